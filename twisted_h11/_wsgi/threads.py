"""
Threads that nobody waits for.

Twisted's thread pool joins its threads when the reactor has stopped, and Python
joins all that are left when the interpreter ends.  A thread that sleeps, or that
itself waits for the reactor, then keeps the process alive for ever.  The threads
here are daemon threads: they end with the process, whatever they do.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

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
        self._work: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._waiting = 0

    def callInThread(self, work: Callable[[], object]) -> None:
        """
        Have a thread call C{work}, as soon as one is free.
        """
        with self._lock:
            self._waiting += 1
            begin = self._waiting > self._idle and len(self._threads) < self.most
            if begin:
                thread = threading.Thread(
                    target=self._run,
                    name=f"{self._name}-{len(self._threads)}",
                    daemon=True,
                )
                self._threads.append(thread)
        self._work.put(work)
        if begin:
            thread.start()

    def stop(self) -> None:
        """
        Let each thread end when it has nothing to do.  None is waited for.
        """
        with self._lock:
            threads, self._threads = self._threads, []
        for _ in threads:
            self._work.put(None)

    def _run(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            work = self._work.get()
            with self._lock:
                self._idle -= 1
                if work is not None:
                    self._waiting -= 1
            if work is None:
                return
            try:
                work()
            except BaseException:
                _log.failure("A thread could not do its work")
            # It may keep a request, and the next may be long in coming.
            del work
