"""
HTTP/2, by handing the connection to what Twisted builds for it.

The protocol is chosen in the TLS handshake (ALPN), so nothing of ours, neither
timer nor producer, is on the connection before the first byte after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IAddress, IDelayedCall, IProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web import http

from twisted_h11._admission import Verdict, close_now

if TYPE_CHECKING:
    from twisted_h11.server import Site

__all__ = ["Negotiator", "check_http2"]


def check_http2() -> None:
    """
    @raise ValueError: if Twisted's HTTP/2 can not be used here.
    """
    if not http.H2_ENABLED:
        raise ValueError(
            "HTTP/2 needs the packages h2 and priority: "
            "install the http2 extra, twisted-h11[http2]"
        )


class Negotiator(Protocol):
    """
    Waits for the first byte, and builds the protocol that was negotiated.
    """

    countedHost: str | None = None

    _successor: IProtocol | None = None
    _late = False
    _timer: IDelayedCall | None = None

    def __init__(self, site: Site, addr: IAddress | None) -> None:
        self._site = site
        self._addr = addr

    def connectionMade(self) -> None:
        """
        A handshake that does not end is bounded like a first byte.
        """
        assert self.transport is not None
        verdict = self._site._channelMade(self, self.transport)
        if verdict is Verdict.LATE:
            self._late = True
        elif verdict is not Verdict.TAKEN:
            # Before the handshake nobody knows in which words to refuse it.
            self.abortConnection()
            close_now(self.transport)
            return
        timeout = self._site.limits.firstByteTimeout
        if timeout is not None:
            self._timer = self._site.reactor.callLater(
                timeout,
                self.transport.abortConnection,  # type: ignore[attr-defined]
            )

    def dataReceived(self, data: bytes) -> None:
        """
        The handshake is over.
        """
        self._cancelTimer()
        if self._late and self._site._peerKnown(self) is not Verdict.TAKEN:
            self.abortConnection()
            return
        transport: Any = self.transport
        successor: Any
        if getattr(transport, "negotiatedProtocol", None) == b"h2":
            successor = self._site._buildTwistedProtocol(self._addr)
        else:
            successor = self._site._buildChannel()
            self._site._admission.moved(self, successor)
        self._successor = successor
        self.dataReceived = successor.dataReceived  # type: ignore[method-assign]
        successor.makeConnection(transport)
        successor.dataReceived(data)

    def getPeer(self) -> IAddress:
        """
        The address of the client.
        """
        assert self.transport is not None
        return self.transport.getPeer()

    def drain(self) -> None:
        """
        Nothing is known here of what is under way: ask for the end.
        """
        if self.transport is not None:
            self.transport.loseConnection()

    def abortConnection(self) -> None:
        """
        Drop the connection at once.
        """
        transport: Any = self.transport
        if transport is not None:
            transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The connection is gone.
        """
        self._cancelTimer()
        self._site._channelGone(self)
        successor, self._successor = self._successor, None
        if successor is not None:
            successor.connectionLost(reason)

    def _cancelTimer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
