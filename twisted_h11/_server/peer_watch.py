"""
The least rate at which a client takes its response (C{Limits.minResponseRate}).
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Protocol

from twisted.internet.interfaces import IAddress, IDelayedCall

from twisted_h11._server.states import Wait
from twisted_h11._wire.progress import bytes_taken
from twisted_h11._wire.wire import Wire
from twisted_h11.limits import Limits

__all__ = ["PeerWatch"]


class Watched(Protocol):
    """
    The interface of a watched connection.
    """

    limits: Limits
    callLater: Any

    def getPeer(self) -> IAddress:
        """
        The address of the client.
        """

    def abortConnection(self) -> None:
        """
        Abort the connection at once.
        """

    def deadlineOver(self, wait: Enum) -> None:
        """
        See L{WireUser<twisted_h11._wire.user.WireUser>}.
        """


class PeerWatch:
    """
    Checks a client that does not keep up, once in each window.

    @param owner: the connection.
    @param wire: its wire.
    """

    __slots__ = ("_call", "_lastTaken", "_owner", "_resumes", "_wire")

    def __init__(self, owner: Watched, wire: Wire) -> None:
        self._owner = owner
        self._wire = wire
        self._call: IDelayedCall | None = None
        self._resumes = 0
        self._lastTaken: tuple[int, int, int | None] = (0, 0, None)

    def begin(self) -> None:
        """
        Begin to check, unless that has begun already.
        """
        if self._call is None:
            self._watch()

    def taken(self) -> None:
        """
        Note that the transport has asked for more: the client makes progress.
        """
        self._resumes += 1

    def end(self) -> None:
        """
        Stop checking.
        """
        call, self._call = self._call, None
        if call is not None and call.active():
            call.cancel()

    def _watch(self) -> None:
        owner = self._owner
        if owner.limits.minResponseRate is not None:
            self._lastTaken = self._whatIsTaken()
            self._call = owner.callLater(owner.limits.rateWindow, self._look)

    def _whatIsTaken(self) -> tuple[int, int, int | None]:
        queue = self._wire.queue
        left = 0
        if queue is not None and queue.sender is not None:
            left = queue.sender.left
        return self._resumes, left, bytes_taken(self._wire.transport)

    def _look(self) -> None:
        """
        See whether the client has taken too little by the end of a window.
        """
        self._call = None
        owner, wire = self._owner, self._wire
        if not wire.full and (wire.queue is None or wire.queue.sender is None):
            return
        resumes, left, taken = self._lastTaken
        now = self._whatIsTaken()
        if now[:2] == (resumes, left):
            least = (owner.limits.minResponseRate or 0) * owner.limits.rateWindow
            if taken is None or now[2] is None or now[2] - taken < least:
                owner.deadlineOver(Wait.RESPONSE)
                return
        self._watch()
