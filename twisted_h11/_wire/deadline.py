"""
One deadline for everything that a connection waits for.

A connection waits for one thing at a time: a first byte, a head, the rest of a
body, the end of a lingering close.  So one delayed call is enough.  It is pushed
forward (C{reset}) and rarely cancelled, because that is what costs a reactor least.

What is waited for is a member of an enumeration.  The user of the wire maps such
members to actions, so the deadline keeps no reference to a bound method.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from twisted.internet.interfaces import IDelayedCall

from twisted_h11._wire.closing import Closing, ClosingWait
from twisted_h11._wire.user import WireUser

__all__ = ["Waiter", "delayed_calls"]


def delayed_calls(callLater: Any) -> Any:
    """
    What starts delayed calls: C{callLater}, or the global reactor's if it is C{None}.
    """
    if callLater is None:
        from twisted.internet import reactor

        callLater = reactor.callLater
    return callLater


class Waiter:
    """
    The deadline of a connection.  L{Wire<twisted_h11._wire.wire.Wire>} is its
    only subclass: an object of its own for the deadline would cost each idle
    connection 48 bytes.

    @ivar waiting: what is waited for; C{None} for nothing.
    @ivar user: the L{WireUser} whose C{deadlineOver} is called.
    @ivar transport: C{None} when the connection is gone.
    @ivar closing: how the connection ends.
    """

    __slots__ = ("_call", "closing", "transport", "user", "waiting")

    user: WireUser
    transport: Any
    closing: Closing | None

    def __init__(self) -> None:
        self.waiting: Enum | None = None
        self._call: IDelayedCall | None = None

    def arm(self, seconds: float | None, wait: Enum) -> None:
        """
        Start the deadline, in place of the one before.

        @param seconds: how long to wait; C{None} to wait for nothing.
        @param wait: what is waited for.
        """
        if seconds is None:
            self.waiting = None
            return
        call = self._call
        if call is not None:
            call.reset(seconds)
        elif self.transport is not None:
            # A bound method would be one more object for each idle connection.
            self._call = delayed_calls(self.user.callLater)(seconds, self)
        self.waiting = wait

    def disarm(self) -> None:
        """
        Wait for nothing.  The delayed call stays, to be pushed forward by the next
        L{arm}; if it runs before that, nothing happens.
        """
        self.waiting = None

    def cancel(self) -> None:
        """
        Wait for nothing, and leave no delayed call behind.
        """
        self.waiting = None
        call, self._call = self._call, None
        if call is not None and call.active():
            call.cancel()

    def __call__(self) -> None:
        """
        The time is over: tell the user, or the closing connection.
        """
        self._call = None
        wait, self.waiting = self.waiting, None
        if wait is None:
            return
        if not isinstance(wait, ClosingWait):
            self.user.deadlineOver(wait)
        else:
            assert self.closing is not None
            self.closing.deadlineOver(wait)
