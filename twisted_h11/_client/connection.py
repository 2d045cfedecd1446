"""
One client connection: one request at a time, and its response.

A L{ClientConnection} has a L{Wire} for the transport and, during a request, an
L{Exchange}.  The connection itself handles the TLS handshake, idle time and closing.

Data received on an idle connection aborts it: the data can not be a response to the
next request (RFC 9112 section 9.2).

The owner of the connection (usually the pool) is called when the connection becomes
idle, and exactly once when it is gone.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from enum import Enum
from typing import Any

import h11
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHandshakeListener, IProtocol, ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_h11._boundary.handshakes import prepare_handshake
from twisted_h11._client.connection_state import State, state_of
from twisted_h11._client.errors import Generation
from twisted_h11._client.exchange import Exchange
from twisted_h11._client.interfaces import ExchangeHandler, Owner
from twisted_h11._client.request import ClientRequest
from twisted_h11._client.timeouts import (
    Wait,
    time_out,
    wire_full,
    wire_writable,
)
from twisted_h11._wire.outbox import Outbox
from twisted_h11._wire.progress import bytes_unsent
from twisted_h11._wire.protocol import WireProtocol
from twisted_h11._wire.sockets import is_bare_socket
from twisted_h11._wire.wire import APPLICATION, CONSUMER, READ_AHEAD

try:
    from select import POLLIN, poll
except ImportError:  # pragma: no cover - not on POSIX
    poll = None  # type: ignore[assignment,misc]

__all__ = ["ClientConnection", "State"]


@implementer(IHandshakeListener)
class ClientConnection(WireProtocol):
    """
    One connection to a server or proxy.

    @ivar wire: the transport.
    @ivar clock: the reactor's time.
    @ivar served: how many requests were sent on it.
    @ivar since: when it was made.
    @ivar wantsHandshake: whether its TLS handshake is still under way.
    @ivar requestOutbox: where requests wait for the end of the turn.
    @ivar handshakeDetails: the OpenSSL connection of a failed handshake.
    """

    served = 0
    since = 0.0
    wantsHandshake = False
    secure = False
    tellsUnsent = False
    peer: Any = None
    host: Any = None
    handshakeDetails: Any = None
    requestOutbox: Outbox | None = None

    _exchange: Exchange | None = None
    _poll: Any = None
    _rest = b""

    def __init__(self, owner: Owner[ClientConnection], clock: Any) -> None:
        super().__init__()
        self._owner: Owner[ClientConnection] | None = owner
        self.clock = clock
        self.callLater = clock.callLater

    @property
    def state(self) -> State:
        """
        What the connection is doing.
        """
        if self._successor is not None:
            return State.SWITCHED
        if self.wantsHandshake and self.wire.isOpen:
            return State.HANDSHAKING
        return state_of(self.wire, bool(self.connected), self._exchange)

    def __repr__(self) -> str:
        exchange = self._exchange
        asked = "" if exchange is None else f" {exchange.request!r}"
        return (
            f"<{type(self).__name__} {self.state.value}{asked}, "
            f"request {self.served}, at {id(self):#x}>"
        )

    # -- the connection -----------------------------------------------------

    def connectionMade(self) -> None:
        """
        Find out whether the transport is secure, and its other properties.
        """
        super().connectionMade()
        transport = self.wire.transport
        self.since = self.clock.seconds()
        self.secure = ISSLTransport.providedBy(transport)
        self.wantsHandshake = prepare_handshake(transport)
        self.peer, self.host = _addresses_of(transport)
        self.tellsUnsent = bytes_unsent(transport) is not None
        self._poll = _poll_of(transport.transport if self.wantsHandshake else transport)
        assert self._owner is not None
        self._owner.connectionOpened(self)

    def adopt(self, owner: Owner[ClientConnection]) -> None:
        """
        Make C{owner} the owner of the connection.
        """
        self._owner = owner

    def expireIn(self, seconds: float | None) -> None:
        """
        Close the connection unless it gets another request within C{seconds}.
        """
        self.wire.arm(seconds, Wait.REQUEST)

    def handshakeCompleted(self) -> None:
        """
        The TLS handshake is complete: requests can be sent now.

        Twisted 24.7 calls this also when the certificate is for another name; the
        connection is then closing already.
        """
        if self.wantsHandshake and not self.wire.transport.disconnecting:
            self.wantsHandshake = False
            assert self._owner is not None
            self._owner.connectionReady(self)

    def isUsable(self) -> bool:
        """
        Whether an idle connection can take a request.

        An end of file or unexpected data may wait in the socket before the reactor
        has read it.  The socket is polled for that.
        """
        wire = self.wire
        return (
            self._exchange is None
            and wire.isOpen
            and not wire.eof
            and (self._poll is None or not self._poll.poll(0))
        )

    # -- exchanges ------------------------------------------------------------

    def begin(self, request: ClientRequest, handler: ExchangeHandler) -> Exchange:
        """
        Begin an exchange for C{request}.  The connection must be idle.

        @param handler: called with the response, or with the failure.
        @return: the exchange; pass it to C{start_request} at once.
        """
        assert self._exchange is None and self.wire.transport is not None, self
        self.served += 1
        exchange = self._exchange = Exchange(self, request, handler)
        return exchange

    def sendWhole(self, data: bytes) -> None:
        """
        Send a complete request: on a bare socket at the end of this turn of the
        reactor, together with those of other connections.  Incomplete requests go to
        the transport, so that an early response is read before more is sent.

        @param data: the request, which may be sent again if it is lost.
        """
        wire, outbox = self.wire, self.requestOutbox
        if outbox is None or not (wire.hasRoom and is_bare_socket(wire.transport)):
            wire.send(data)
            return
        self.writesNow = True
        wire.pend(data)
        outbox.add(wire)

    def exchangeOver(self, reusable: bool) -> None:
        """
        The response is complete: use the connection again, or close it.
        """
        self._exchange = None
        self.writesNow = False
        wire = self.wire
        wire.disarm()
        if wire.holds:
            wire.release(APPLICATION | CONSUMER | READ_AHEAD)
        owner = self._owner
        if reusable and not wire.eof and owner is not None:
            owner.connectionIdle(self)
        else:
            self.loseConnection()

    def exchangeFailed(self) -> None:
        """
        The exchange failed: drop the connection.
        """
        self._exchange = None
        self.abortConnection()

    def giveTo(
        self, protocol: IProtocol, data: bytes, report: Callable[[str], None]
    ) -> None:
        """
        Give the transport to another protocol, for good.

        @param data: the bytes that were received after the response.
        @param report: called with C{"ended"} before the protocol begins.
        """
        self._exchange = None
        self._tellGone(connectionDone)
        report("ended")
        if not self.wire.isOpen:
            raise h11.LocalProtocolError("The connection is closed")
        self._rest = data
        self._giveTo(protocol)

    def _takeTrailingData(self) -> tuple[bytes, bool]:
        rest, self._rest = self._rest, b""
        return rest, self.wire.eof

    # -- from the transport ---------------------------------------------------

    def dataReceived(self, data: bytes) -> None:
        """
        Pass received data to the exchange; without one, abort the connection.
        """
        exchange = self._exchange
        if exchange is not None:
            exchange.dataReceived(data)
        elif self.wire.closing is not None:
            self.wire.closing.received(len(data))
        else:
            # No request is under way, so these bytes are no response.
            self.abortConnection()

    def _readsLate(self) -> bool:
        return self._exchange is not None and not self.wire.holds

    def _inputEnded(self) -> None:
        wire = self.wire
        exchange = self._exchange
        if exchange is not None:
            if exchange.source is not None and exchange.source.switched:
                return
            exchange.inputEnded(Failure(ConnectionDone()), wire.transport)
        if wire.closing is None:
            self.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The transport is closed: end the exchange and call the owner.
        """
        # Tests call it with None.
        reason = reason or connectionDone
        self._poll = None
        wire = self.wire
        transport = wire.transport
        if self.wantsHandshake:
            self.handshakeDetails = transport.getHandle()
        wire.lost(reason)
        if self._exchange is not None:
            self._exchange.inputEnded(reason, transport)
        self._tellGone(reason)

    def _tellGone(self, reason: Failure) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.connectionGone(self, reason)

    # -- the end ------------------------------------------------------------

    def loseConnection(self) -> None:
        """
        Close the connection after all written data was sent.
        """
        super().loseConnection()
        self._tellClosing()

    def abortConnection(self) -> None:
        """
        Drop the connection at once.
        """
        super().abortConnection()
        self._tellClosing()

    def _tellClosing(self) -> None:
        if self._owner is not None:
            self._owner.connectionClosing(self)

    def breakOff(self, reason: Failure) -> None:
        """
        Fail the exchange, if there is one, and drop the connection with it.
        """
        if self._exchange is not None:
            self._exchange.fail(reason)

    # -- from the wire -----------------------------------------------------

    def deadlineOver(self, wait: Enum) -> None:
        """
        Close the connection if it is idle, or time its exchange out.
        """
        if wait is Wait.REQUEST:
            self.loseConnection()
        else:
            assert isinstance(wait, Wait) and self._exchange is not None
            time_out(self._exchange, wait)

    def wireWaits(self) -> None:
        """
        The transport's buffer is full: the server does not read.
        """
        if self._exchange is not None:
            wire_full(self._exchange)

    def wireWritable(self) -> None:
        """
        The transport's buffer has room again.
        """
        if self._exchange is not None:
            wire_writable(self._exchange)

    def tellProducer(self, call: Callable[[], object]) -> bool:
        """
        Call a method of the body's producer; fail the exchange if it raises.

        @return: always true: a failure is handled here.
        """
        try:
            call()
        except KeyboardInterrupt:
            raise
        except BaseException:
            if self._exchange is not None:
                self._exchange.fail(Failure(), Generation)
        return True


def _addresses_of(transport: Any) -> tuple[Any, Any]:
    """
    The addresses of both ends; C{None} for what a transport does not tell.
    """
    getPeer = getattr(transport, "getPeer", None)
    getHost = getattr(transport, "getHost", None)
    return getPeer and getPeer(), getHost and getHost()


def _poll_of(transport: Any) -> Any:
    """
    A poll object for the socket of C{transport}; C{None} for other transports.
    """
    getHandle = getattr(transport, "getHandle", None)
    handle = getHandle() if getHandle is not None and poll is not None else None
    if not isinstance(handle, socket.socket):
        return None
    polled = poll()
    polled.register(handle.fileno(), POLLIN)
    return polled
