"""
Threads that nobody waits for.

Twisted's thread pool joins its threads when the reactor has stopped, and Python
joins all that are left when the interpreter ends.  A thread that sleeps, or that
itself waits for the reactor, then keeps the process alive for ever.  The threads
here are daemon threads: they end with the process, whatever they do.

Each thread that has nothing to do waits for a lock of its own, and the one that became
idle last is woken first: its memory is the likeliest to be in the caches of the
processor.  (Of those that wait for one queue, Python wakes another one whenever one is
served.)  And one is woken at a time: it wakes the next, if more waits than it takes
itself.  So while short work comes fast, few threads do it, and do not fight for the
interpreter; and where work is long, nothing waits while a thread is idle.
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
    Up to so many threads, begun when they are needed.  How much may wait for
    them is for the caller to bound.

    @param most: how many threads.
    @param name: what their names begin with.
    """

    def __init__(self, most: int, name: str) -> None:
        self.most = most
        self._name = name
        self._lock = threading.Lock()
        self._count = 0
        # Each is locked; who unlocks it wakes the thread that waits for it.
        self._idle: list[threading.Lock] = []
        self._waking = False
        self._waiting: deque[Callable[[], object]] = deque()
        self._stopped = False

    def callInThread(self, work: Callable[[], object]) -> None:
        """
        Have a thread call C{work}, as soon as one is free.

        @raise RuntimeError: if there is no thread, and none can be begun.
        """
        with self._lock:
            self._waiting.append(work)
            begins = self._wakeOne()
        if begins:
            try:
                self._begin()
            except RuntimeError:
                # The system gives us no more.
                with self._lock:
                    if self._count:
                        return
                    self._waiting.remove(work)
                raise

    def stop(self) -> None:
        """
        Let each thread end when it has nothing to do.  None is waited for.
        """
        with self._lock:
            self._stopped = True
            idle, self._idle = self._idle, []
        for bell in idle:
            bell.release()

    def _wakeOne(self) -> bool:
        """
        Have one more thread look what waits, unless one is about to.

        @return: whether it has to be begun.
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
                # Those that are there have to do.
                _log.failure("No more threads can be begun")
            try:
                work()
            except BaseException:
                _log.failure("A thread could not do its work")
            # It may keep a request, and the next may be long in coming.
            del work
