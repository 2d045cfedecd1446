"""
HTTP/2, by Twisted's implementation.

The protocol is chosen in the TLS handshake (ALPN), so a channel or a guard is made
only when the first byte behind it arrives.  A connection without TLS is HTTP/1.1.  A
L{Guard<twisted_h11._server.http2_guard.Guard>} keeps an HTTP/2 connection within its
bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from typing import Protocol as Interface

from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IHandshakeListener,
    ISSLTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http
from zope.interface import implementer

from twisted_h11._boundary.handshakes import prepare_handshake
from twisted_h11._server.admission import Verdict, close_now, report_dropped
from twisted_h11._server.connections import Connection, Connections
from twisted_h11._server.http2_guard import Guard, Guarded
from twisted_h11._server.states import Phase, Wait

__all__ = ["Negotiator", "check_http2"]


def check_http2() -> None:
    """
    Check that Twisted's HTTP/2 can be used.

    @raise ValueError: if it can not be used.
    """
    if not http.H2_ENABLED:
        raise ValueError(
            "HTTP/2 needs the packages h2 and priority: "
            "install the http2 extra, twisted-h11[http2]"
        )


class Served(Connection, Interface):
    """
    The protocol of a connection that speaks HTTP/1.1.
    """

    def makeConnection(self, transport: Any) -> None:
        """
        See L{IProtocol<twisted.internet.interfaces.IProtocol>}.
        """

    def dataReceived(self, data: bytes) -> None:
        """
        See L{IProtocol<twisted.internet.interfaces.IProtocol>}.
        """


@implementer(IHandshakeListener, IHalfCloseableProtocol)
class Negotiator(Protocol):
    """
    Waits for the first byte, and builds the negotiated protocol.

    @param site: the site.
    @param connections: the site's register.
    @param build11: makes the protocol of an HTTP/1.1 connection.
    @param build2: makes Twisted's protocol for HTTP/2.
    @ivar countedHost: the address under which the site counts this connection.
    """

    countedHost: str | None = None

    _guard: Guard | None = None
    _timer: IDelayedCall | None = None
    _late = False
    _completed = False
    _draining = False

    _log = Logger()

    def __init__(
        self,
        site: Guarded,
        connections: Connections,
        build11: Callable[[], Served],
        build2: Callable[[], Any],
    ) -> None:
        self._site = site
        self._connections = connections
        self._build11 = build11
        self._build2 = build2
        # The channel or the guard that has the connection.
        self._successor: Any = None

    def connectionMade(self) -> None:
        """
        Start the time-out of the handshake, if there is one.
        """
        if not ISSLTransport.providedBy(self.transport):
            # The channel registers itself.
            self._become(self._build11())
            return
        prepare_handshake(self.transport)
        verdict = self._connections.made(self, self.transport, self._site.limits)
        if verdict is Verdict.LATE:
            self._late = True
        elif verdict is not Verdict.TAKEN:
            # No 503: the protocol is not known before the handshake.
            self.abortConnection()
            close_now(self.transport)
            return
        self._wait(self._site.limits.handshakeTimeout, Wait.HANDSHAKE)

    def handshakeCompleted(self) -> None:
        """
        Start the time-out of the first byte.
        """
        self._completed = True
        if self._site.metrics is not None:
            self._site.metrics.handshake(True)
        if self._successor is None and self.transport is not None and self._known():
            self._wait(self._site.limits.firstByteTimeout, Wait.IDLE)

    def _wait(self, seconds: float | None, wait: Wait) -> None:
        self._cancelTimer()
        if seconds is not None:
            self._timer = self._site.reactor.callLater(seconds, self._timeOver, wait)

    def _timeOver(self, wait: Wait) -> None:
        if self._site.metrics is not None:
            self._site.metrics.timedOut(wait.name.lower())
        self.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """
        The handshake is over: pass the bytes to the negotiated protocol.
        """
        if self._guard is not None:
            self._guard.dataReceived(data)
        elif self._negotiated():
            self._successor.dataReceived(data)

    def _negotiated(self) -> bool:
        """
        The first bytes have arrived: make a guard or a channel.

        @return: whether the connection is served.
        """
        if not self._known():
            return False
        if getattr(self.transport, "negotiatedProtocol", None) == b"h2":
            self._cancelTimer()
            if self._site.metrics is not None:
                self._site.metrics.connected()
            self._guard = self._successor = Guard(self._site, self.transport)
            self._guard.start(self._build2())
            if self._draining:
                self._guard.leave()
        else:
            channel = self._build11()
            self._connections.moved(self, channel)
            if self._draining:
                channel.drain(True)
            self._become(channel)
        return True

    def _known(self) -> bool:
        """
        The address of the client is final now: count the connection for it.

        @return: whether the connection is served.
        """
        late, self._late = self._late, False
        if late:
            verdict = self._connections.known(self, self._site.limits)
            if verdict is not Verdict.TAKEN:
                self.abortConnection()
                return False
        return True

    def _become(self, channel: Served) -> None:
        """
        The connection is HTTP/1.1: give it to a channel.
        """
        self._cancelTimer()
        self._successor = channel
        channel.makeConnection(self.transport)
        self.dataReceived = channel.dataReceived  # type: ignore[method-assign]

    def readConnectionLost(self) -> None:
        """
        End of file from the client.
        """
        half: Any = IHalfCloseableProtocol(self._successor, None)
        if half is not None:
            half.readConnectionLost()
        elif self._guard is not None:
            self._guard.close()
        else:
            assert self.transport is not None
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """
        The half-close of this side has reached the socket.
        """
        half: Any = IHalfCloseableProtocol(self._successor, None)
        if half is not None:
            half.writeConnectionLost()

    def getPeer(self) -> IAddress:
        """
        The address of the client.
        """
        assert self.transport is not None
        return self.transport.getPeer()

    def drain(self, spareIdle: bool = False) -> None:
        """
        End the connection after the current requests.

        @param spareIdle: whether an idle connection may get one more request; ignored
            for HTTP/2.
        """
        self._draining = True
        if self._guard is not None:
            # GOAWAY tells the client which of its requests were not served.
            self._guard.leave()
        elif not spareIdle:
            assert self.transport is not None
            self.transport.loseConnection()

    def phase(self) -> Phase:
        """
        What the connection is doing now, for metrics.
        """
        return Phase.NEW if self._guard is None else Phase.HTTP2

    def abortConnection(self) -> None:
        """
        Abort the connection at once.
        """
        transport: Any = self.transport
        transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The connection is lost: tell the guard or the channel, and unregister.
        """
        self._cancelTimer()
        if self._late:
            report_dropped(self._log, self.transport)
        successor, self._successor = self._successor, None
        self._guard = None
        metrics = self._site.metrics
        if successor is None and metrics is not None:
            # A channel of HTTP/1.1 counts itself.
            metrics.connected()
            if not self._completed:
                metrics.handshake(False)
        if successor is not None:
            successor.connectionLost(reason)
        self._connections.gone(self)

    def _cancelTimer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
