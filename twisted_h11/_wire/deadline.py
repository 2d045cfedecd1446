"""
One timer for everything that a connection waits for.

A connection waits for one thing at a time: a first byte, a head, the rest of a
body, the end of a lingering close.  So one delayed call is enough.  It is
pushed forward (C{reset}), never cancelled and made anew, because that is what
costs a reactor most; and it calls a method by its name, so that no reference
cycle goes through it.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Protocol

__all__ = ["Timed"]


class Timed(Protocol):
    """
    A protocol with one timer.

    @cvar callLater: L{IReactorTime.callLater}; the global reactor's if C{None}.
    """

    callLater: Any = None

    _delayed: IDelayedCall | None = None
    _wait: str | None = None

    def _arm(self, seconds: float | None, method: str) -> None:
        """
        Call the method of this name in C{seconds}, unless the timer is armed
        anew or disarmed before; C{None} disarms.
        """
        if seconds is None:
            self._wait = None
            return
        self._wait = method
        delayed = self._delayed
        if delayed is not None:
            delayed.reset(seconds)
        else:
            self._delayed = self._schedule(seconds)

    def _schedule(self, seconds: float) -> IDelayedCall:
        callLater = self.callLater
        if callLater is None:
            from twisted.internet import reactor

            callLater = reactor.callLater
        delayed: IDelayedCall = callLater(seconds, self._expired)
        return delayed

    def _disarm(self) -> None:
        """
        Wait for nothing.  The delayed call stays, to be pushed forward by the
        next L{_arm}; should it run before that, nothing happens.
        """
        self._wait = None

    def _expired(self) -> None:
        self._delayed = None
        method, self._wait = self._wait, None
        if method is not None:
            getattr(self, method)()

    def _cancelTimer(self) -> None:
        self._wait = None
        delayed, self._delayed = self._delayed, None
        if delayed is not None and delayed.active():
            delayed.cancel()
