"""
The names of a channel that twisted.web, frameworks and this package's requests use.

They are implemented by the current cycle, the reader or the wire.
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


# Own addresses of the server, shared by many connections.
_ours: dict[IAddress, IAddress] = {}
_MOST_OURS = 1024


def _for_all(host: IAddress) -> IAddress:
    """
    A shared object for an own address, to save memory in each idle connection.
    """
    if not isinstance(host, (IPv4Address, IPv6Address)):
        return host
    if len(_ours) >= _MOST_OURS:
        _ours.clear()
    return _ours.setdefault(host, host)


class NetworkProducer:
    """
    The C{channel._networkProducer} that daphne and autobahn use.
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
        Read from the network again, unless there is another reason to pause.
        """
        self._channel.release(APPLICATION)


class HTTPChannelNames(WireProtocol):
    """
    A connection, as its requests use it.

    @ivar site: the site; C{factory} is the same object.
    @ivar requestFactory: makes a request; called with the channel.
    @ivar timeOut: how many seconds the connection may be idle; C{None} for ever.
    @ivar persistent: whether another request may follow the current one.  An
        application may set it to a false value.
    @ivar reader: the reader of received bytes.
    @ivar cycle: the current request and its response; C{None} between requests.
    @ivar served: how many requests the connection has had.
    @ivar takesNothing: whether the transport will take nothing more.
    """

    site: Served | None = None
    factory: Any = None
    requestFactory: Any = None
    timeOut: float | None = 75
    persistent: Any = True

    reader: RequestReader
    cycle: Cycle | None = None
    served = 0
    takesNothing = False
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
        Send a response head, or a 500 if the head is invalid.

        @param version: C{b"HTTP/1.0"} in the response to an HTTP/1.0 request is sent as
            the version, as twisted.web's own request classes expect; else the version
            is HTTP/1.1 (RFC 9110 section 2.5).
        @param code: the status, for example C{b"200"}.
        @param reason: the reason phrase.
        @param headers: the fields.
        """
        if self.cycle is not None:
            respond(self.cycle, code, reason, headers, version)

    def write(self, data: bytes) -> None:
        """
        Send content of a response.  The framing of a request class that frames its
        chunks by itself, as twisted.web's do, is removed.  Before a response head
        C{data} is a raw response, and is sent unchanged.
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
            # If not open, it was given away (switch), aborted, or is closing.
            raise TypeError(f"{request!r} is not the request that is answered now")

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        Register a producer of content; see L{WireProtocol.registerProducer
        <twisted_h11._wire.protocol.WireProtocol.registerProducer>}.
        """
        super().registerProducer(
            producer if streaming else bounded(producer), streaming
        )

    def stopProducing(self) -> None:
        """
        The transport will take nothing more: stop the registered producer.
        """
        self.takesNothing = True
        super().stopProducing()

    def drained(self) -> Deferred[None]:
        """
        Wait until the client has taken nearly all that was written.

        @return: a Deferred that fires with C{None}, at once if there is room, or fails
            with L{ConnectionLost} if the connection ends before.  It may be cancelled.
        """
        if not self.wire.isOpen:
            return client_gone()
        return succeed(None) if self.wire.hasRoom else self.slowClient().drained()

    def slowClient(self) -> SlowClient:
        """
        The watch over a client that does not keep up; made on first need.
        """
        if self._slowClient is None:
            self._slowClient = SlowClient(self, self.wire)
        return self._slowClient

    # -- the request -------------------------------------------------------------

    def bodyLeft(self) -> int:
        """
        How many bytes of the request's body have not been received; 0 if its length is
        not known.
        """
        incoming = self.reader.incoming
        return (incoming.left or 0) if incoming is not None else 0

    def setBodyLimit(self, most: int | None) -> None:
        """
        Change the maximum length of the current request's body.

        @param most: bytes; C{None} for any number.
        """
        if self.cycle is not None and self.reader.incoming is not None:
            try:
                self.reader.incoming.setLimit(most)
            except Refused as refused:
                self.refuse(refused.status, refused.reason)

    def sendContinue(self) -> None:
        """
        Send C{100 Continue}, if the client waits for it and none of the body has
        arrived (RFC 9110 section 10.1.1).
        """
        cycle, incoming = self.cycle, self.reader.incoming
        if (
            cycle is not None
            and incoming is not None
            and cycle.clientWaits
            and send_interim(cycle, 100, [])
        ):
            # The client begins to send in the middle of a window of the least rate.
            incoming.wasHeld = True

    def hold(self, why: int) -> None:
        """
        Pause reading until C{why} is released.
        """
        self.wire.hold(why)
        # The least rate does not apply to a window in which reading was paused.
        if self.reader.incoming is not None:
            self.reader.incoming.wasHeld = True

    def release(self, why: int) -> None:
        """
        Drop the reason C{why}; resume reading if none is left.
        """
        self.wire.release(why)

    @property
    def _networkProducer(self) -> NetworkProducer:
        return NetworkProducer(self)

    # -- the end -----------------------------------------------------------------

    def loseConnection(self) -> None:
        """
        Close the connection after what was written was sent; or reset it, if an
        incomplete response would otherwise look complete.
        """
        if self.cycle is not None and self.cycle.endsWithConnection():
            self.cycle.fail()
        else:
            super().loseConnection()

    def abortConnection(self) -> None:
        """
        Abort the connection at once.
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
        Send an error response to a request that the application does not get; close.
        """
        refuse(self, status, reason)

    def sendError(self, status: int, reason: str, method: bytes) -> int:
        """
        Send an error response, and close.

        @param method: the method of the request; HEAD gets no content.
        @return: the length of the content, in bytes.
        """
        return send_error(self, status, reason, method)

    def failResponse(self) -> None:
        """
        End the connection in the middle of a response, so that the client can tell
        that it is not complete.
        """
        if self.cycle is not None:
            self.cycle.fail()
        else:
            self.abortConnection()

    def failRequest(self, request: Any) -> None:
        """
        The application has failed: send a 500 if nothing was sent, else end the
        connection so that the client can tell.  The request's C{connectionLost} is
        called.
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
                # Not before the first bytes, which may have the address by the
                # PROXY protocol.
                self._peer = peer
        return peer

    def getHost(self) -> IAddress:
        """
        The server's own address.
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
        While a request runs, set the time that it has from now on; else, set the idle
        time-out of this connection.

        @param period: seconds, or C{None} for no time-out.
        @return: the previous idle time-out.
        """
        return set_timeout(self, period)

    def resetTimeout(self) -> None:
        """
        Restart the idle time-out.
        """
        if self.wire.waiting is Wait.IDLE:
            self.wire.arm(self.timeOut, Wait.IDLE)

    def setHalfCloseTimeout(self, seconds: float) -> None:
        """
        Change how long the current request may run on when the client has closed
        its sending side, instead of C{Limits.halfCloseTimeout}.

        @param seconds: 0 to end the request as soon as the client may have gone.
        @raise ValueError: if it is not a number of seconds.
        """
        set_half_close(self, seconds)
