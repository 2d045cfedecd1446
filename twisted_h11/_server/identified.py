"""
Connections whose requests have identifiers, which log events get.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from twisted_h11._http.strict_requests import RequestHead
from twisted_h11._server.channel import Channel
from twisted_h11._server.cycle import Cycle
from twisted_h11._server.proxied import values_of
from twisted_h11._server.request_ids import current
from twisted_h11._server.request_reader import RequestReader

__all__ = ["IdentifiedChannel"]


def _within(cycle: Cycle | None, call: Callable[..., Any], *args: Any) -> None:
    """
    Call a function with the identifier of a cycle's request as the current one.
    """
    head = None if cycle is None else cycle.head
    token = current.set(getattr(head, "requestId", None))
    try:
        call(*args)
    finally:
        current.reset(token)


class _Reader(RequestReader):
    """
    A reader that handles each request with its identifier as the current one.
    """

    __slots__ = ()

    def readOn(self) -> None:
        """
        See L{RequestReader.readOn}.
        """
        _within(self._owner.cycle, super().readOn)


class IdentifiedChannel(Channel):
    """
    A channel whose requests have identifiers.
    """

    readerClass = _Reader

    def makeCycle(self, head: RequestHead, unseenHead: bytes | None) -> Cycle:
        """
        Called by the reader when a request head has arrived.
        """
        cycle = super().makeCycle(head, unseenHead)
        peer = getattr(self, "connectedPeer", self.getPeer)()
        head.requestId = found = self.factory.requestIds.of(values_of(head), peer)
        # readOn() resets it.
        current.set(found)
        return cycle

    def refuse(self, status: int, reason: str) -> None:
        """
        Refuse a request.  One that was not read gets an identifier here, which its line
        in the access log and the reason in the program's log have in common.
        """
        if self.cycle is not None:
            super().refuse(status, reason)
            return
        made = self.factory.requestIds.of(lambda name: (), self.getPeer())
        token = current.set(made)
        try:
            super().refuse(status, reason)
        finally:
            current.reset(token)

    def deadlineOver(self, wait: Enum) -> None:
        """See L{WireUser}."""
        _within(self.cycle, super().deadlineOver, wait)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Tell the request that the connection is lost, and drop all references.
        """
        _within(self.cycle, super().connectionLost, reason)
