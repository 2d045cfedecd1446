"""
Connections of a site with metrics.
"""

from __future__ import annotations

from enum import Enum

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from twisted_h11._http.strict_requests import RequestHead
from twisted_h11._server.channel import Channel
from twisted_h11._server.cycle import Cycle
from twisted_h11._server.states import Wait

__all__ = ["MeasuredChannel", "TimedChannel"]


_makeCycle = Channel.makeCycle


class TimedChannel(Channel):
    """
    A channel that notes the time when the head of a request has arrived.
    """

    def makeCycle(self, head: RequestHead, unseenHead: bytes | None) -> Cycle:
        """
        Called by the reader when a request head has arrived.
        """
        # super() would cost a quarter of a microsecond.
        head.began = self.factory.reactor.seconds()
        return _makeCycle(self, head, unseenHead)


class MeasuredChannel(TimedChannel):
    """
    A channel that counts for its site's C{metrics}.
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
        Count a failed handshake, if it was not complete.
        """
        if self.wire.waiting is Wait.HANDSHAKE:
            self.factory.metrics.handshake(False)
        super().connectionLost(reason)

    def refuse(self, status: int, reason: str) -> None:
        """
        Count a refused request.
        """
        self.factory.metrics.refused(status)
        super().refuse(status, reason)

    def deadlineOver(self, wait: Enum) -> None:
        """
        Count a time-out if it ends the connection, as the end of a window of the least
        rate need not.
        """
        if wait is Wait.HANDSHAKE:
            self.factory.metrics.handshake(False)
        super().deadlineOver(wait)
        wire = self.wire
        if wire.transport is None or wire.closing is not None:
            self.factory.metrics.timedOut(wait.name.lower())
