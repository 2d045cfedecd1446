"""
Calls from threads into the reactor's thread, in batches.

C{callFromThread} writes a byte into a pipe for each call: a system call, during which
other threads contend for the interpreter.  If many threads have calls for the same
turn of the reactor, only the first call wakes it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted_h11._boundary.guarded import guarded

__all__ = ["Hops"]


class Hops:
    """
    A queue of calls for the reactor's thread, made in the order of L{call}.

    @param reactor: the reactor.
    """

    __slots__ = ("_asked", "_calls", "_reactor")

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._calls: deque[Callable[[], object]] = deque()
        self._asked = False

    def call(self, call: Callable[[], object]) -> None:
        """
        Have C{call} called in the reactor's thread, soon.  Any thread may call this.
        """
        self._calls.append(call)
        if not self._asked:
            # Two threads may both get here: then the second run finds no calls.
            self._asked = True
            self._reactor.callFromThread(self._run)

    def _run(self) -> None:
        # Before taking calls: a thread that adds one from here on wakes the reactor.
        self._asked = False
        calls = self._calls
        # Calls that are added meanwhile wait for the next turn.
        for _ in range(len(calls)):
            guarded("A call from a thread", calls.popleft())
