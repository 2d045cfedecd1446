"""
Calls from threads into the reactor's thread, joined.

C{callFromThread} writes a byte into a pipe for each call, which costs the thread a
system call, and the others a fight for the interpreter in the middle of it.  Where many
threads have something for the reactor in the same turn, the first alone wakes it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted_h11._boundary.guarded import guarded

__all__ = ["Hops"]


class Hops:
    """
    What threads want to be called in the reactor's thread, in the order in which they
    asked.

    @param reactor: the reactor.
    """

    __slots__ = ("_asked", "_calls", "_reactor")

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._calls: deque[Callable[[], object]] = deque()
        self._asked = False

    def call(self, call: Callable[[], object]) -> None:
        """
        Have C{call} called, soon.  For any thread.
        """
        self._calls.append(call)
        if not self._asked:
            # Two threads may both get here: then the second turn finds nothing.
            self._asked = True
            self._reactor.callFromThread(self._run)

    def _run(self) -> None:
        # First: who adds something from here on asks again.
        self._asked = False
        calls = self._calls
        # What is added meanwhile waits for the next turn.
        for _ in range(len(calls)):
            guarded("A call from a thread", calls.popleft())
