"""
Connections of a site that counts what happens on them.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from twisted_h11._http.strict_requests import RequestHead
from twisted_h11._server.channel import Channel
from twisted_h11._server.cycle import Cycle
from twisted_h11._server.given_away import GivenAway
from twisted_h11._server.states import Reading, Wait

__all__ = ["MeasuredChannel", "TimedChannel", "activity"]


_makeCycle = Channel.makeCycle


class TimedChannel(Channel):
    """
    A channel that notes when a request began: when its head was here.
    """

    def makeCycle(self, head: RequestHead, unseenHead: bytes | None) -> Cycle:
        """
        Called by the reader: a request head is here.
        """
        # Not by super(), which costs a quarter of a microsecond.
        head.began = self.factory.reactor.seconds()
        return _makeCycle(self, head, unseenHead)


class MeasuredChannel(TimedChannel):
    """
    A channel that tells its site's C{metrics} what happens.
    """

    def connectionMade(self) -> None:
        """
        Count a connection.
        """
        self.factory.metrics.connected()
        super().connectionMade()

    def handshakeCompleted(self) -> None:
        """
        Count a handshake.
        """
        self.factory.metrics.handshake(True)
        super().handshakeCompleted()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Count a handshake that has failed, if it was not over.
        """
        if self.wire.waiting is Wait.HANDSHAKE:
            self.factory.metrics.handshake(False)
        super().connectionLost(reason)

    def refuse(self, status: int, reason: str) -> None:
        """
        Count a refusal.
        """
        self.factory.metrics.refused(status)
        super().refuse(status, reason)

    def deadlineOver(self, wait: Enum) -> None:
        """
        Count a time-out, if it is one: some waits are looked at now and then.
        """
        if wait is Wait.HANDSHAKE:
            self.factory.metrics.handshake(False)
        super().deadlineOver(wait)
        wire = self.wire
        if wire.transport is None or wire.closing is not None:
            self.factory.metrics.timedOut(wait.name.lower())


def activity(connection: Any) -> str:
    """
    What a connection of a site's register does, in a word: C{idle}, C{reading},
    C{responding}, C{closing} or C{given_away}.
    """
    if isinstance(connection, GivenAway):
        return "given_away"
    if not isinstance(connection, Channel):
        # One of HTTP/2, which does all of that at a time.
        return "responding"
    if connection.wire.closing is not None:
        return "closing"
    cycle, reader = connection.cycle, connection.reader
    if cycle is not None and cycle.requestEnded:
        return "responding"
    if cycle is not None or reader.hasBytes or reader.state is Reading.BODY:
        return "reading"
    return "idle"
