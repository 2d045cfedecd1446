"""
A pool of daemon threads.

Twisted's thread pool joins its threads when the reactor has stopped, and Python
joins the remaining ones when the interpreter ends.  A thread that sleeps, or waits for
the reactor, then keeps the process alive for ever.  Daemon threads end with the
process.

Each idle thread waits for a lock of its own, and the thread that became idle last is
woken first: its memory is most likely in the caches of the processor.  (With one shared
queue Python wakes the threads in turn.)  One thread is woken at a time; it wakes the
next if more work waits.  So few threads do much short work, without contending for the
interpreter, and no long work waits while a thread is idle.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from twisted.logger import Logger

__all__ = ["DaemonThreads"]

_log = Logger()


class DaemonThreads:
    """
    Up to C{most} threads, started when they are needed.  The queue has no bound: the
    caller must limit it.

    @param most: how many threads.
    @param name: the prefix of their names.
    """

    def __init__(self, most: int, name: str) -> None:
        self.most = most
        self._name = name
        self._lock = threading.Lock()
        self._count = 0
        # The locks of idle threads, all locked; releasing one wakes its thread.
        self._idle: list[threading.Lock] = []
        self._waking = False
        self._waiting: deque[Callable[[], object]] = deque()
        self._stopped = False

    def callInThread(self, work: Callable[[], object]) -> None:
        """
        Have a thread call C{work}, as soon as one is free.

        @raise RuntimeError: if there is no thread, and none can be started.
        """
        with self._lock:
            self._waiting.append(work)
            begins = self._wakeOne()
        if begins:
            try:
                self._begin()
            except RuntimeError:
                # The system allows no more threads.
                with self._lock:
                    if self._count:
                        return
                    self._waiting.remove(work)
                raise

    def stop(self) -> None:
        """
        Let each thread end when no work waits.  Does not wait for the threads.
        """
        with self._lock:
            self._stopped = True
            idle, self._idle = self._idle, []
        for bell in idle:
            bell.release()

    def _wakeOne(self) -> bool:
        """
        Wake one more thread, unless one is waking up.

        @return: whether a new thread has to be started.
        """
        if self._waking:
            return False
        if self._idle:
            self._waking = True
            self._idle.pop().release()
        elif self._count < self.most:
            self._waking = True
            self._count += 1
            return True
        return False

    def _begin(self) -> None:
        name = f"{self._name}-{self._count - 1}"
        try:
            threading.Thread(target=self._run, name=name, daemon=True).start()
        except RuntimeError:
            with self._lock:
                self._count -= 1
                self._waking = False
            raise

    def _run(self) -> None:
        bell = threading.Lock()
        bell.acquire()
        woken = True
        while True:
            begins = False
            work = None
            with self._lock:
                if woken:
                    self._waking = woken = False
                if self._waiting:
                    work = self._waiting.popleft()
                    begins = bool(self._waiting) and self._wakeOne()
                elif self._stopped:
                    self._count -= 1
                    return
                else:
                    self._idle.append(bell)
            if work is None:
                bell.acquire()
                woken = True
                continue
            try:
                if begins:
                    self._begin()
            except RuntimeError:
                # The existing threads go on.
                _log.failure("Can not start another thread")
            try:
                work()
            except BaseException:
                _log.failure("A function in a thread failed")
            # Drop the reference: it may keep a request while this thread is idle.
            del work
