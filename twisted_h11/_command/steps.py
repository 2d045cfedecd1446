"""
Waiting for something that may take long, by a clock that may be set.

The reactor's time is that of the system's clock.  If the clock is set forward, or the
process was stopped, or the machine suspended, all delayed calls are due at once, before
any message is read that has arrived meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall

__all__ = ["SteppedCall"]

_STEPS = 3


class SteppedCall:
    """
    A delayed call that waits in steps: a leap of the clock ends only one of them.

    @param reactor: the reactor.
    @param seconds: how long to wait.
    @param call: called then.
    """

    def __init__(
        self, reactor: Any, seconds: float, call: Callable[[], object]
    ) -> None:
        self._reactor = reactor
        self._step = seconds / _STEPS
        self._call = call
        self._left = _STEPS
        self._timer: IDelayedCall = self._reactor.callLater(self._step, self._next)

    def _next(self) -> None:
        self._left -= 1
        if self._left:
            self._timer = self._reactor.callLater(self._step, self._next)
        else:
            self._call()

    def active(self) -> bool:
        """
        Whether it still waits.
        """
        return self._timer.active()

    def cancel(self) -> None:
        """
        Do not call.
        """
        self._timer.cancel()
