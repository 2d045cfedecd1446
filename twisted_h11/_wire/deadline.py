"""
One deadline for everything that a connection waits for.

A connection waits for one thing at a time: a first byte, a head, the rest of a
body, the end of a lingering close.  So one delayed call is enough.  It is pushed
forward (C{reset}) and rarely cancelled, because that is what costs a reactor least.

What is waited for is a member of an enumeration.  The owner has a table from such
members to what is to be done, so that the deadline keeps no method of anybody.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall

__all__ = ["Deadline", "DeadlineOwner"]


class DeadlineOwner(Protocol):
    """
    What a L{Deadline} needs of its owner.
    """

    @property
    def callLater(self) -> Any:
        """
        L{IReactorTime.callLater<twisted.internet.interfaces>}; C{None} for that of
        the global reactor.
        """

    def deadlineOver(self, wait: Enum) -> None:
        """
        The time for what was waited for is over.
        """


class Deadline:
    """
    The time until which one thing has to have happened.

    @ivar waiting: what is waited for; C{None} for nothing.
    """

    __slots__ = ("_call", "_owner", "waiting")

    def __init__(self, owner: DeadlineOwner) -> None:
        self._owner: DeadlineOwner | None = owner
        self.waiting: Enum | None = None
        self._call: IDelayedCall | None = None

    def arm(self, seconds: float | None, wait: Enum) -> None:
        """
        Wait so many seconds for something, in the place of what was waited for;
        C{None} to wait for nothing.
        """
        if seconds is None:
            self.waiting = None
            return
        call = self._call
        if call is not None:
            call.reset(seconds)
        elif self._owner is not None:
            self._call = self._schedule(seconds, self._owner.callLater)
        self.waiting = wait

    def _schedule(self, seconds: float, callLater: Any) -> IDelayedCall:
        if callLater is None:
            from twisted.internet import reactor

            callLater = reactor.callLater
        call: IDelayedCall = callLater(seconds, self._expired)
        return call

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

    def release(self) -> None:
        """
        Wait for nothing any more, and forget the owner.
        """
        self.cancel()
        self._owner = None

    def _expired(self) -> None:
        self._call = None
        wait, self.waiting = self.waiting, None
        if wait is not None and self._owner is not None:
            self._owner.deadlineOver(wait)
