"""
What signals have the program do, in one place.
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
    Calls for signals, each in the thread of the reactor, in the order in which they
    were added.

    @param reactor: the reactor.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._calls: dict[int, list[Callable[[], object]]] = {}

    def add(self, number: int, call: Callable[[], object]) -> None:
        """
        Have a signal make a call.

        @param number: of the signal, for example C{signal.SIGUSR1}.
        @param call: what it makes; what it raises is logged.
        """
        self._calls.setdefault(number, []).append(call)

    def install(self) -> None:
        """
        Handle the signals from now on.  Calls are made when the reactor runs; when it
        begins to, it takes over those signals for which it has handlers of its own.
        """
        for number in self._calls:
            # Elsewhere than in the main thread nobody handles signals.
            with contextlib.suppress(ValueError):
                signal.signal(number, self._came)

    def _came(self, number: int, frame: object) -> None:
        self._reactor.callFromThread(self._run, number)

    def _run(self, number: int) -> None:
        name = signal.Signals(number).name
        for call in self._calls[number]:
            guarded(name, call)
