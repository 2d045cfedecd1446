"""
What twisted.web, frameworks and our own requests use of a channel.

Each name is passed on to what does it: the current cycle, the reader, the wire.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IAddress, IProducer, ISSLTransport
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers

from twisted_h11._boundary.octets import as_bytes
from twisted_h11._http.strict_requests import Refused
from twisted_h11._server.cycle import Cycle
from twisted_h11._server.foreign import finish as finish_foreign
from twisted_h11._server.foreign import write as write_foreign
from twisted_h11._server.foreign import write_sequence
from twisted_h11._server.interfaces import Served
from twisted_h11._server.ranges import bounded
from twisted_h11._server.refused import refuse, send_error
from twisted_h11._server.request_reader import RequestReader
from twisted_h11._server.sending import respond, send_interim
from twisted_h11._server.slow_client import SlowClient
from twisted_h11._server.states import Wait
from twisted_h11._server.timeouts import set_half_close, set_timeout
from twisted_h11._wire.drained import client_gone
from twisted_h11._wire.pressure import unsent_length
from twisted_h11._wire.protocol import WireProtocol
from twisted_h11._wire.wire import APPLICATION

__all__ = ["HTTPChannelNames"]


# Our own addresses: many connections have one of them.
_ours: dict[IAddress, IAddress] = {}
_MOST_OURS = 1024


def _for_all(host: IAddress) -> IAddress:
    """
    The one object for an address of ours, so that not each idle connection keeps one.
    """
    if not isinstance(host, (IPv4Address, IPv6Address)):
        return host
    if len(_ours) >= _MOST_OURS:
        _ours.clear()
    return _ours.setdefault(host, host)


class NetworkProducer:
    """
    What daphne and autobahn expect as C{channel._networkProducer}.
    """

    def __init__(self, channel: HTTPChannelNames) -> None:
        self._channel = channel

    def pauseProducing(self) -> None:
        """
        Read nothing from the network until C{resumeProducing}.
        """
        self._channel.hold(APPLICATION)

    def resumeProducing(self) -> None:
        """
        Read from the network again, as far as we are concerned.
        """
        self._channel.release(APPLICATION)


class HTTPChannelNames(WireProtocol):
    """
    A connection as its requests see it.

    @ivar site: the site; C{factory} is the same object.
    @ivar requestFactory: what makes a request, called with the channel.
    @ivar timeOut: seconds that the connection may be idle; C{None} for ever.
    @ivar persistent: whether another request may follow the current one.  An
        application may set it to a false value.
    @ivar reader: what was received.
    @ivar cycle: the current request and its response; C{None} between them.
    @ivar served: how many requests there were.
    """

    site: Served | None = None
    factory: Any = None
    requestFactory: Any = None
    timeOut: float | None = 75
    persistent: Any = True

    reader: RequestReader
    cycle: Cycle | None = None
    served = 0
    _slowClient: SlowClient | None = None
    _host: Any = None
    _peer: Any = None

    # -- the response ------------------------------------------------------------

    def writeHeaders(
        self,
        version: bytes,
        code: bytes,
        reason: bytes,
        headers: Headers | Iterable[tuple[bytes, bytes]],
    ) -> None:
        """
        Send a response head.  If it can not be sent, a 500 goes out instead.

        @param version: not used; the client's version is known here.
        @param code: the status, for example C{b"200"}.
        @param reason: the reason phrase.
        @param headers: the fields.
        """
        if self.cycle is not None:
            respond(self.cycle, code, reason, headers)

    def write(self, data: bytes) -> None:
        """
        Send content of a response.  For a request that frames its chunks by
        itself, as twisted.web's do, the framing is taken off.  Before a
        response head it is a raw response, and goes out as it is.
        """
        if self.cycle is not None:
            write_foreign(self.cycle, data)
        else:
            as_bytes(data)

    def writeSequence(self, parts: Iterable[bytes]) -> None:
        """
        Send content of a response; see L{write}.

        @raise TypeError: for anything but bytes.
        """
        if self.cycle is not None:
            write_sequence(self.cycle, parts)

    def requestDone(self, request: Any) -> None:
        """
        The request's response has ended.

        @raise TypeError: if it is not the current request.
        """
        cycle = self.cycle
        if cycle is not None and request is cycle.request:
            finish_foreign(cycle, request)
        elif self.wire.isOpen:
            # Else it was given away (switch), aborted, or is closing.
            raise TypeError(f"{request!r} is not the request that is answered now")

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        Register a producer of content; see L{WireProtocol.registerProducer
        <twisted_h11._wire.protocol.WireProtocol.registerProducer>}.
        """
        super().registerProducer(
            producer if streaming else bounded(producer), streaming
        )

    def drained(self) -> Deferred[None]:
        """
        Wait until the client has taken what was written, but for a little.

        @return: fires with C{None}, at once if there is room; fails with
            L{ConnectionLost} if the connection ends before.  It may be cancelled.
        """
        if not self.wire.isOpen:
            return client_gone()
        return succeed(None) if self.wire.hasRoom else self.slowClient().drained()

    def slowClient(self) -> SlowClient:
        """
        What watches the client, from now on.
        """
        if self._slowClient is None:
            self._slowClient = SlowClient(self, self.wire)
        return self._slowClient

    # -- the request -------------------------------------------------------------

    def bodyLeft(self) -> int:
        """
        How many bytes of the request's body have not been received, where its length
        is known.
        """
        incoming = self.reader.incoming
        return (incoming.left or 0) if incoming is not None else 0

    def setBodyLimit(self, most: int | None) -> None:
        """
        Change how long the body of the current request may be.

        @param most: bytes; C{None} for any number.
        """
        if self.cycle is not None and self.reader.incoming is not None:
            try:
                self.reader.incoming.setLimit(most)
            except Refused as refused:
                self.refuse(refused.status, refused.reason)

    def sendContinue(self) -> None:
        """
        Ask for the body, if the client waits for that and none of it is here
        (RFC 9110 section 10.1.1).
        """
        cycle, incoming = self.cycle, self.reader.incoming
        if (
            cycle is not None
            and incoming is not None
            and cycle.clientWaits
            and send_interim(cycle, 100, [])
        ):
            # The client's turn begins now, in the middle of a window.
            incoming.wasHeld = True

    def hold(self, why: int) -> None:
        """
        Keep the network quiet until C{why} is released.
        """
        self.wire.hold(why)
        # A window in which we did not read says nothing about the client.
        if self.reader.incoming is not None:
            self.reader.incoming.wasHeld = True

    def release(self, why: int) -> None:
        """
        Let the network speak again, as far as C{why} is concerned.
        """
        self.wire.release(why)

    @property
    def _networkProducer(self) -> NetworkProducer:
        return NetworkProducer(self)

    # -- the end -----------------------------------------------------------------

    def loseConnection(self) -> None:
        """
        Close the connection after what was written has gone out; or reset it, if a
        response that is not complete would look as if it were.
        """
        if self.cycle is not None and self.cycle.endsWithConnection():
            self.cycle.fail()
        else:
            super().loseConnection()

    def abortConnection(self) -> None:
        """
        Drop the connection at once.
        """
        slow = self._slowClient
        if slow is None or slow.told is None:
            self.wire.abort()
            return
        unsent = unsent_length(self.wire)
        self.wire.abort()
        slow.tell(Failure(ConnectionAborted()), unsent)

    forceAbortClient = abortConnection

    def refuse(self, status: int, reason: str) -> None:
        """
        Answer a request that the application never sees, and close.
        """
        refuse(self, status, reason)

    def sendError(self, status: int, reason: str, method: bytes) -> int:
        """
        Send a response of our own, and close.

        @param method: of the request; HEAD gets no content.
        @return: the length of its content.
        """
        return send_error(self, status, reason, method)

    def failResponse(self) -> None:
        """
        End the connection in the middle of a response, so that the client
        knows that it is not complete.
        """
        if self.cycle is not None:
            self.cycle.fail()
        else:
            self.abortConnection()

    def failRequest(self, request: Any) -> None:
        """
        The request can not be answered any further: 500 if nothing was sent, else
        the end of the connection, by which the client can tell.  The request is
        told that it is over.
        """
        cycle = self.cycle
        if cycle is not None and request is not None and request is cycle.request:
            cycle.applicationFailed()

    def _respondToBadRequestAndDisconnect(self) -> None:
        """
        Called by twisted.web's C{Request.requestReceived} for bad multipart.
        """
        self.refuse(400, "The request body is malformed.")

    # -- the connection ----------------------------------------------------------

    def getPeer(self) -> IAddress:
        """
        The address of the client.
        """
        peer: IAddress | None = self._peer
        if peer is None:
            peer = self.wire.transport.getPeer()
            if self.served:
                # Sooner it may not be the last word: the PROXY protocol tells it
                # with the first bytes.
                self._peer = peer
        return peer

    def getHost(self) -> IAddress:
        """
        Our own address.
        """
        host: IAddress | None = self._host
        if host is None:
            host = self.wire.transport.getHost()
            if self.served:
                self._host = host = _for_all(host)
        return host

    def isSecure(self) -> bool:
        """
        Whether the transport is TLS.
        """
        return ISSLTransport.providedBy(self.wire.transport)

    def setTimeout(self, period: float | None) -> float | None:
        """
        While a request runs: the time that it has from now on.  Else: the idle
        time-out of this connection.

        @param period: seconds, or C{None} for no time-out.
        @return: the idle time-out that holds until now.
        """
        return set_timeout(self, period)

    def resetTimeout(self) -> None:
        """
        Begin the wait of an idle connection anew.
        """
        if self.wire.waiting is Wait.IDLE:
            self.wire.arm(self.timeOut, Wait.IDLE)

    def setHalfCloseTimeout(self, seconds: float) -> None:
        """
        Change how long the current request may run on when the client has closed
        its sending side, in the place of C{Limits.halfCloseTimeout}.

        @param seconds: 0 for a client that is to be given up as soon as it may have
            gone.
        @raise ValueError: if it is not a number of seconds.
        """
        set_half_close(self, seconds)
