"""
The program's signal handlers, in one place.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from typing import Any

from twisted_h11._boundary.guarded import guarded

__all__ = ["Signals"]


class Signals:
    """
    Functions that are called for signals, in the reactor's thread, in the order in
    which they were added.

    @param reactor: the reactor.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._calls: dict[int, list[Callable[[], object]]] = {}

    def add(self, number: int, call: Callable[[], object]) -> None:
        """
        Add a function for a signal.

        @param number: the signal, for example C{signal.SIGUSR1}.
        @param call: the function; its exceptions are logged.
        """
        self._calls.setdefault(number, []).append(call)

    def install(self) -> None:
        """
        Install the handlers.  The functions are called when the reactor runs; at its
        start it replaces the handlers of signals for which it has its own.
        """
        for number in self._calls:
            # Python allows signal handlers in the main thread only.
            with contextlib.suppress(ValueError):
                signal.signal(number, self._came)

    def _came(self, number: int, frame: object) -> None:
        self._reactor.callFromThread(self._run, number)

    def _run(self, number: int) -> None:
        name = signal.Signals(number).name
        for call in self._calls[number]:
            guarded(name, call)
