"""
One client connection: one request at a time, and its response.

The connection is an L{H11Protocol<twisted_h11.protocol.H11Protocol>} in the
role of the client.  Its rules:

B{Both directions at once.}  The response is read while the request is still
going out.  An answer that comes early (a 413, a redirect) is delivered early,
and is not lost when the server closes the connection on the rest of the
request.  If the response ends before the request does, the rest of the request
is not sent, and the connection is dropped.

B{Framing decides, never guesses.}  Where a body ends is known from its head
alone.  Anything that arrives beyond it, or on an idle connection, condemns the
connection: it was not asked for, so it can not be the answer to the next
request (RFC 9112 section 9.2).

B{Whole heads.}  A head is looked at when it is complete.  The usual one is read
by L{read_head}, a pure function, and the usual chunked body by L{ChunkReader};
all others by an h11 connection that lives for this response only, and is first
shown the request.

B{One owner.}  Whoever made the connection (the pool) is told when it is idle,
and when it is gone; exactly once each.
"""

from __future__ import annotations

import socket
import weakref
from typing import TYPE_CHECKING, Any
from typing import Protocol as Interface

import h11
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IHandshakeListener, IProtocol, ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.web.http import PotentialDataLoss
from zope.interface import implementer

from twisted_h11 import _client_errors as errors
from twisted_h11._client_chunks import ChunkReader
from twisted_h11._client_errors import (
    MalformedResponse,
    ResponseTooLarge,
    TimedOut,
    UnexpectedEnd,
)
from twisted_h11._client_heads import (
    CHUNKED,
    ResponseHead,
    check_event,
    explain,
    find_end,
    read_head,
)
from twisted_h11._client_request import ClientRequest
from twisted_h11._client_response import InterimResponse, Response
from twisted_h11._flow import APPLICATION, CONSUMER, READ_AHEAD
from twisted_h11._sending import PIECE_LENGTH, BodySender
from twisted_h11.protocol import H11Protocol

try:
    from select import POLLIN, poll
except ImportError:  # pragma: no cover - not on POSIX
    poll = None  # type: ignore[assignment,misc]

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ClientConnection", "ExchangeHandler", "Owner"]

# What h11 is told when it has to go on in the middle of a chunked body.
CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

# What is read next.
NOTHING, IN_HEAD, IN_BODY, IN_CHUNKS, UNTIL_END, SWITCHING = range(6)


class ExchangeHandler(Interface):
    """
    Whoever has started a request is told one of two things, once.
    """

    def responseReceived(self, response: Response) -> None:
        """
        The head of the final response is here.
        """

    def requestFailed(self, failure: Failure, nothingSent: bool) -> None:
        """
        There will be no response.

        @param nothingSent: whether it is certain that the server has seen
            nothing of the request.
        """


class Owner(Interface):
    """
    Whoever has made a connection.
    """

    def connectionReady(self, connection: ClientConnection) -> None:
        """
        The TLS handshake is complete.
        """

    def connectionOpened(self, connection: ClientConnection) -> None:
        """
        The connection has its transport.
        """

    def connectionIdle(self, connection: ClientConnection) -> None:
        """
        The connection may be used for another request.
        """

    def connectionClosing(self, connection: ClientConnection) -> None:
        """
        The connection will take no more requests.
        """

    def connectionGone(self, connection: ClientConnection, reason: Failure) -> None:
        """
        The connection is closed, or belongs to another protocol now.
        """


@implementer(IHandshakeListener)
class ClientConnection(H11Protocol):
    """
    One connection to a server or proxy.

    @ivar served: how many requests it was given.
    @ivar since: when it was made.
    @ivar wantsHandshake: whether its TLS handshake is still under way.
    """

    role = h11.CLIENT

    served = 0
    since = 0.0
    wantsHandshake = False

    _mode = NOTHING
    _left = 0
    _received = 0
    _persistent = False
    _bytesSeen = False
    _interim: list[InterimResponse] | None = None
    _request: ClientRequest | None = None
    _handler: ExchangeHandler | None = None
    _sender: BodySender | None = None
    _body: Response | None = None
    _unclaimed: weakref.ref[Response] | None = None
    _chunks: ChunkReader | None = None
    _poll: Any = None
    _gone = False
    _held = False
    _tlsConnection: Any = None

    _log = Logger()

    def __init__(self, owner: Owner, clock: Any) -> None:
        super().__init__()
        self._owner: Owner | None = owner
        self._clock = clock
        self.callLater = clock.callLater
        self._buffer = bytearray()
        self._searched = 0

    @property
    def state(self) -> str:
        """
        What the connection is doing, in a word or two.
        """
        if self._switchedTo is not None:
            return "switched"
        if self._wire is None:
            return "closed" if self._gone else "connecting"
        if self._closing is not None:
            return "closing"
        if self.wantsHandshake:
            return "handshaking"
        mode = self._mode
        if mode == NOTHING:
            return "idle"
        if mode == SWITCHING:
            return "switching"
        if mode == IN_HEAD:
            return "waiting" if self._sender is None else "sending"
        return "receiving" if self._sender is None else "sending and receiving"

    def __repr__(self) -> str:
        asked = "" if self._request is None else f" {self._request!r}"
        return (
            f"<{type(self).__name__} {self.state}{asked}, request {self.served}, "
            f"at {id(self):#x}>"
        )

    # -- the connection -----------------------------------------------------

    def connectionMade(self) -> None:
        """
        Look at what kind of transport it is.
        """
        super().connectionMade()
        wire = self._wire
        self.since = self._clock.seconds()
        self.secure = ISSLTransport.providedBy(wire)
        self.wantsHandshake = isinstance(wire, TLSMemoryBIOProtocol)
        self.peer = wire.getPeer() if hasattr(wire, "getPeer") else None
        self.host = wire.getHost() if hasattr(wire, "getHost") else None
        if poll is not None:
            raw = wire.transport if self.wantsHandshake else wire
            getHandle = getattr(raw, "getHandle", None)
            handle = getHandle() if getHandle is not None else None
            if isinstance(handle, socket.socket):
                self._poll = poll()
                self._poll.register(handle.fileno(), POLLIN)
        if self._owner is not None:
            self._owner.connectionOpened(self)

    def adopt(self, owner: Owner) -> None:
        """
        From now on C{owner} is told.
        """
        self._owner = owner

    @property
    def handshakeDetails(self) -> Any:
        """
        The OpenSSL connection, while the transport is there; it knows why a
        handshake failed.
        """
        return self._tlsConnection

    def expireIn(self, seconds: float | None) -> None:
        """
        Close, unless there is another request within C{seconds}.
        """
        self._arm(seconds, "loseConnection")

    def handshakeCompleted(self) -> None:
        """
        TLS is established: what the application sends can be sent now.

        Twisted 24.7 says so also when the certificate was for another name;
        then it is closing the connection already.
        """
        if self.wantsHandshake and not self._wire.disconnecting:
            self.wantsHandshake = False
            if self._owner is not None:
                self._owner.connectionReady(self)

    def isUsable(self) -> bool:
        """
        Whether an idle connection is still good for a request.

        The end of the connection, or bytes that nobody asked for, may have
        arrived already without the reactor having told us: a look at the
        socket finds that out before a request is risked on it.
        """
        return (
            self._mode == NOTHING
            and self._closing is None
            and self._wire is not None
            and not self._eof
            and (self._poll is None or not self._poll.poll(0))
        )

    # -- sending ------------------------------------------------------------

    def start(self, request: ClientRequest, handler: ExchangeHandler) -> None:
        """
        Send a request.  The connection must be idle.
        """
        assert self._mode == NOTHING and self._wire is not None, self
        self._request = request
        self._handler = handler
        self._mode = IN_HEAD
        self._bytesSeen = False
        self._persistent = request.persistent
        self.served += 1
        body = request.body
        if body is None:
            self._send(request.head)
        elif (
            isinstance(body, bytes)
            and len(body) <= PIECE_LENGTH
            and not (request.expect or request.chunked)
        ):
            self._send(request.head + body)
        else:
            sender = self._sender = BodySender(self, request)
            self._send(request.head)
            if request.report is not None:
                request.report("head sent", self)
            if request.expect:
                self._arm(request.settings.continueTimeout, "_startBody")
            else:
                self._startBody()
            assert sender is not None
            return
        if request.report is not None:
            request.report("head sent", self)
            request.report("body sent", self)
        self._rearm()

    def _startBody(self) -> None:
        self._disarm()
        if self._sender is not None:
            self._sender.start()
            self._rearm()

    def sendPieces(self, pieces: Sequence[bytes]) -> None:
        """
        Write pieces of the body.
        """
        if self._wire is not None and self._closing is None:
            if self._pending:
                self._flush()
            if len(pieces) == 1:
                self._wire.write(pieces[0])
            else:
                self._wire.writeSequence(pieces)

    def bodySent(self) -> None:
        """
        The whole request has been written.
        """
        self._sender = None
        if self._request is not None:
            if self._request.report is not None:
                self._request.report("body sent", self)
            self._rearm()

    def generationFailed(self, reason: Failure) -> None:
        """
        The producer of the body has failed.
        """
        self._sender = None
        self._break(reason, errors.Generation)

    def pauseProducing(self) -> None:
        """
        The server does not read.
        """
        super().pauseProducing()
        self._rearm()

    def _writable(self) -> None:
        self._rearm()

    # -- time ---------------------------------------------------------------

    def _rearm(self) -> None:
        """
        Set the timer to what is waited for now.
        """
        request = self._request
        if request is None or self._mode in (NOTHING, SWITCHING):
            return
        settings = request.settings
        if self._writeFull and (self._sender is not None or self._mode == IN_HEAD):
            self._arm(settings.writeTimeout, "_writeTimedOut")
        elif self._mode == IN_HEAD:
            sender = self._sender
            if sender is None:
                self._arm(settings.headTimeout, "_headTimedOut")
            elif sender.started:
                self._disarm()
        elif self._unclaimed is not None:
            self._arm(settings.claimTimeout, "_claimTimedOut")
        elif self._held:
            self._disarm()
        else:
            self._arm(settings.readTimeout, "_readTimedOut")

    def _writeTimedOut(self) -> None:
        self._timedOut("writeTimeout", "The server took nothing of the request for")

    def _headTimedOut(self) -> None:
        self._timedOut("headTimeout", "No response head came within")

    def _readTimedOut(self) -> None:
        self._timedOut("readTimeout", "Nothing of the response body came for")

    def _claimTimedOut(self) -> None:
        self._timedOut("claimTimeout", "Nobody asked for the response body for")

    def _timedOut(self, name: str, what: str) -> None:
        assert self._request is not None
        seconds = getattr(self._request.settings, name)
        self._break(Failure(TimedOut(f"{what} {seconds:g} s")))

    # -- receiving ----------------------------------------------------------

    def dataReceived(self, data: bytes) -> None:
        """
        Bytes from the server.
        """
        mode = self._mode
        if mode == IN_HEAD:
            self._bytesSeen = True
            self._readHead(data)
        elif mode == IN_BODY:
            self._readBody(data)
        elif mode == IN_CHUNKS:
            self._readChunks(data)
        elif mode == UNTIL_END:
            self._bodyReceived(data)
        elif mode == SWITCHING:
            self._buffer += data
            self._hold(READ_AHEAD)
        elif self._dropping is not None:
            self._drop(len(data))
        else:
            # Nobody asked for this.
            self._abort()

    def _readHead(self, data: bytes) -> None:
        request = self._request
        assert request is not None
        limit = request.settings.maxHeadLength
        buffer = self._buffer
        if not buffer:
            # Usually the whole head is in one segment.
            if request.method != b"CONNECT":
                head = read_head(data, request.method == b"HEAD")
                if head is not None and head.size <= limit:
                    self._headReceived(head, data)
                    return
            if not data.startswith(b"HTTP/"[: len(data)]):
                self._malformed(f"The answer is not HTTP: it begins with {data[:20]!r}")
                return
        while True:
            buffer += data
            found = find_end(buffer, self._searched)
            end = len(buffer) if found is None else found.end()
            if end > limit:
                self._break(
                    Failure(
                        ResponseTooLarge(
                            f"The response head is longer than {limit} bytes "
                            "(maxHeadLength)"
                        )
                    )
                )
                return
            if found is None:
                self._searched = max(0, end - 2)
                return
            raw, data = bytes(buffer[:end]), bytes(buffer[end:])
            buffer.clear()
            self._searched = 0
            if not self._readUnusualHead(request, raw, data):
                return
            if not data:
                return

    def _readUnusualHead(self, request: ClientRequest, raw: bytes, rest: bytes) -> bool:
        """
        Let h11 read a head.

        @return: whether another head follows, an interim one having been read.
        """
        self._h11 = conn = h11.Connection(
            h11.CLIENT, max_incomplete_event_size=request.settings.maxHeadLength
        )
        conn.send(request.event())
        conn.receive_data(raw)
        try:
            event = conn.next_event()
            if isinstance(event, h11.InformationalResponse):
                return self._interimReceived(request, event, rest)
            assert isinstance(event, h11.Response), event
            head = check_event(event, raw, request.method)
        except h11.RemoteProtocolError as error:
            self._break(Failure(explain(error, raw)))
        except MalformedResponse:
            self._break(Failure())
        else:
            if request.method == b"CONNECT" and 200 <= head.code < 300:
                self._switching(head, rest)
            else:
                self._headReceived(head, raw + rest)
        return False

    def _interimReceived(
        self, request: ClientRequest, event: h11.InformationalResponse, rest: bytes
    ) -> bool:
        fields = [
            (bytes(name), bytes(value)) for name, value in event.headers.raw_items()
        ]
        code = event.status_code
        if code == 101:
            self._switching(
                ResponseHead(1, code, bytes(event.reason), fields, 0, False, 0), rest
            )
            return False
        self._h11 = None
        if self._interim is None:
            self._interim = []
        self._interim.append(InterimResponse(code, bytes(event.reason), fields))
        if len(self._interim) > request.settings.maxInterimResponses:
            self._malformed("Too many interim responses (maxInterimResponses)")
            return False
        if code == 100 and self._sender is not None and not self._sender.started:
            self._startBody()
        return self._mode == IN_HEAD

    def _makeResponse(self, head: ResponseHead) -> Response:
        request = self._request
        assert request is not None
        response = Response(head, request, self)
        if self._interim:
            response.interimResponses, self._interim = self._interim, None
        if request.report is not None:
            request.report("head received", self)
        return response

    def _headReceived(self, head: ResponseHead, data: bytes) -> None:
        """
        The head of the final response is here, and perhaps some of the body.

        @param data: all bytes from the head on.
        """
        request = self._request
        handler = self._handler
        assert request is not None and handler is not None
        response = self._makeResponse(head)
        length = head.length
        if not head.persistent:
            self._persistent = False
        available = len(data) - head.size
        if 0 <= length <= available:
            # The usual case: all of it is here.
            if length:
                response._buffer.append(data[head.size : head.size + length])
            limit = request.settings.maxBodyLength
            if limit is None or length <= limit:
                response._connection = None
                self._over(available == length)
                response._finished = True
                if request.report is not None:
                    request.report("ended", self)
                handler.responseReceived(response)
                return
        limit = request.settings.maxBodyLength
        if limit is not None and length > limit:
            self._tooLarge(limit)
            return
        self._received = 0
        if length >= 0:
            self._mode = IN_BODY
            self._left = length
        elif length == CHUNKED:
            self._mode = IN_CHUNKS
            self._chunks = ChunkReader()
        else:
            self._mode = UNTIL_END
        self._h11 = None
        sender = self._sender
        if sender is not None and (
            not sender.started or (head.code >= 400 and not head.persistent)
        ):
            # What is not wanted is not sent; the request stays unfinished.
            self._persistent = False
            self._sender = None
            sender.stop()
        self._handler = None
        self._unclaimed = weakref.ref(response, self._abandoned)
        self._rearm()
        handler.responseReceived(response)
        if available:
            # Held by nobody but us from here on, unless it was claimed.
            self._continueWith(response, data[head.size :])

    def _continueWith(self, response: Response, rest: bytes) -> None:
        if response._connection is self:
            self.dataReceived(rest)

    def _switching(self, head: ResponseHead, rest: bytes) -> None:
        """
        The server has switched; the application may now take the connection.
        """
        handler = self._handler
        request = self._request
        assert handler is not None and request is not None
        self._mode = SWITCHING
        self._h11 = None
        self._stopSending()
        self._buffer += rest
        self._hold(READ_AHEAD)
        response = self._makeResponse(head)
        self._handler = None
        self._unclaimed = weakref.ref(response, self._abandoned)
        self._arm(request.settings.claimTimeout, "_claimTimedOut")
        handler.responseReceived(response)

    # -- bodies -------------------------------------------------------------

    def _bodyReceived(self, data: bytes) -> None:
        """
        A piece of the body is here.
        """
        request = self._request
        response = self._body
        assert request is not None
        settings = request.settings
        if settings.maxBodyLength is not None:
            self._received += len(data)
            if self._received > settings.maxBodyLength:
                self._tooLarge(settings.maxBodyLength)
                return
        if response is not None:
            if not self._held:
                self._arm(settings.readTimeout, "_readTimedOut")
            response._received(data)
        elif self._unclaimed is not None:
            response = self._unclaimed()
            if response is not None:
                response._received(data)
                if response._buffered > settings.readAhead:
                    self._hold(CONSUMER)

    def _readBody(self, data: bytes) -> None:
        left = self._left - len(data)
        if left > 0:
            self._left = left
            self._bodyReceived(data)
            return
        request = self._request
        self._left = 0
        self._bodyReceived(data if left == 0 else data[:left])
        if self._mode == IN_BODY and self._request is request:
            self._bodyEnded(left == 0)

    def _readChunks(self, data: bytes) -> None:
        chunks = self._chunks
        if chunks is None:
            super().dataReceived(data)
            return
        request = self._request
        body = chunks.feed(data)
        if body:
            self._bodyReceived(body)
            if self._mode != IN_CHUNKS or self._request is not request:
                return
        if chunks.ended:
            self._bodyEnded(not chunks.rest)
        elif chunks.broken is not None:
            self._malformed(f"malformed chunk footer: {chunks.broken!r}")
        elif chunks.rest is not None:
            assert request is not None
            self._chunks = None
            self._h11 = conn = h11.Connection(
                h11.CLIENT, max_incomplete_event_size=request.settings.maxHeadLength
            )
            conn.send(request.event())
            conn.receive_data(CHUNKED_HEAD)
            conn.next_event()
            super().dataReceived(chunks.rest)

    def eventReceived(self, event: h11.Event) -> None:
        """
        What h11 has made of a chunked body.
        """
        if self._mode != IN_CHUNKS:
            return
        if isinstance(event, h11.Data):
            self._bodyReceived(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            response = self._body
            if response is None and self._unclaimed is not None:
                response = self._unclaimed()
            fields = event.headers.raw_items()
            if response is not None and fields:
                response._trailerFields = [
                    (bytes(name), bytes(value)) for name, value in fields
                ]
            assert self._h11 is not None
            self._bodyEnded(not self._h11.trailing_data[0])

    def protocolError(self, error: h11.RemoteProtocolError) -> None:
        """
        A chunk was malformed, or the trailer section.
        """
        self._refused = False
        self._break(Failure(MalformedResponse(str(error)[:500])))

    def _deliverNext(self, conn: h11.Connection | None) -> bool:
        # Within the last event the response ended, and its h11 with it.
        return conn is not None and super()._deliverNext(conn)

    def _closeIfOver(self) -> None:
        """
        Whether a connection goes on is decided in L{_over}.
        """

    def _bodyEnded(self, clean: bool, reason: Failure | None = None) -> None:
        """
        The body is complete.

        @param clean: whether nothing was received behind it.
        """
        response = self._takeResponse()
        request = self._request
        self._over(clean)
        if response is not None:
            response._ended(reason)
        if request is not None and request.report is not None:
            request.report("ended", self)

    def _takeResponse(self) -> Response | None:
        response = self._body
        if response is None and self._unclaimed is not None:
            response = self._unclaimed()
        self._body = None
        self._unclaimed = None
        return response

    def _over(self, clean: bool) -> None:
        """
        The response is complete: use the connection again, or close it.
        """
        self._mode = NOTHING
        self._h11 = None
        self._handler = None
        self._interim = None
        self._held = False
        sending = self._stopSending()
        owner = self._owner
        self._request = None
        self._disarm()
        if self._holds:
            self._release(APPLICATION)
            self._release(CONSUMER)
            self._release(READ_AHEAD)
        if sending:
            self._abort()
        elif not (clean and self._persistent) or self._eof or owner is None:
            self.loseConnection()
        else:
            owner.connectionIdle(self)

    def _stopSending(self) -> bool:
        sender, self._sender = self._sender, None
        if sender is None:
            return False
        sender.stop()
        return True

    # -- what the response asks for -----------------------------------------

    def claimBody(self, response: Response) -> None:
        """
        Somebody reads the body now.
        """
        if self._mode == SWITCHING:
            # There is no body, and nobody will take the connection.
            self._takeResponse()
            self._mode = NOTHING
            self._request = None
            self._abort()
            response._ended()
            return
        self._unclaimed = None
        self._body = response
        self._release(CONSUMER)
        self._rearm()

    def holdBody(self, held: bool) -> None:
        """
        The reader of the body is paused, or goes on.
        """
        self._held = held
        if held:
            self._hold(APPLICATION)
        else:
            self._release(APPLICATION)
        self._rearm()

    def abortResponse(self, reason: Failure) -> None:
        """
        The rest of the body is not wanted.
        """
        self._break(reason)

    def switchFor(self, response: Response, protocol: IProtocol) -> None:
        """
        Give the connection away.
        """
        if self._mode != SWITCHING:
            raise RuntimeError("The server has not switched to another protocol")
        self._takeResponse()
        self._mode = NOTHING
        request, self._request = self._request, None
        self._tellGone(connectionDone)
        response._connection = None
        if request is not None and request.report is not None:
            request.report("ended", self)
        self.switchProtocol(protocol)

    def _takeTrailingData(self) -> tuple[bytes, bool]:
        data = bytes(self._buffer)
        self._buffer.clear()
        return data, self._eof

    def _abandoned(self, reference: weakref.ref[Response]) -> None:
        """
        The response was thrown away and its body with it.
        """
        if self._unclaimed is reference:
            self._break(Failure(ConnectionAborted()))

    # -- the end ------------------------------------------------------------

    def cancelRequest(self) -> None:
        """
        The answer to the request is not wanted any more.
        """
        if self._sender is not None:
            sender, self._sender = self._sender, None
            sender.cancel()
            self._break(Failure(CancelledError()), errors.Generation)
        else:
            self._break(Failure(CancelledError()))

    def _malformed(self, text: str) -> None:
        self._break(Failure(MalformedResponse(text)))

    def _tooLarge(self, limit: int) -> None:
        self._break(
            Failure(
                ResponseTooLarge(
                    f"The response body is longer than {limit} bytes (maxBodyLength)"
                )
            )
        )

    def breakOff(self, reason: Failure) -> None:
        """
        Give the exchange up, and the connection.
        """
        self._break(reason)

    def _break(self, reason: Failure, kind: Any = None) -> None:
        """
        The exchange has failed: drop the connection and tell whoever waits.
        """
        if self._mode == NOTHING:
            return
        mode = self._mode
        request = self._request
        handler, self._handler = self._handler, None
        sending = self._stopSending()
        response = self._takeResponse()
        bytesSeen = self._bytesSeen
        self._mode = NOTHING
        self._request = None
        self._interim = None
        self._h11 = None
        self._buffer.clear()
        self._abort()
        assert request is not None
        elapsed = self._clock.seconds() - request.started
        late = isinstance(reason.value, TimedOut)
        if mode == IN_HEAD:
            phase = errors.SENDING if sending or kind else errors.HEAD
            if kind is None:
                if bytesSeen:
                    kind = errors.FailedTimedOut if late else errors.Failed
                elif sending:
                    kind = errors.TransmissionTimedOut if late else errors.Transmission
                elif late:
                    kind = errors.NeverReceivedTimedOut
                else:
                    kind = errors.NeverReceived
            failure = errors.wrap(kind, phase, elapsed, reason)
            if request.report is not None:
                request.report("ended", self, failure)
            if handler is not None:
                handler.requestFailed(failure, False)
            return
        failure = errors.wrap(
            errors.FailedTimedOut if late else errors.Failed,
            errors.BODY,
            elapsed,
            reason,
            response=response,
        )
        if request.report is not None:
            request.report("ended", self, failure)
        if response is not None:
            response._ended(failure)

    def _close(self, how: str) -> None:
        super()._close(how)
        if self._owner is not None:
            self._owner.connectionClosing(self)

    def _abort(self) -> None:
        super()._abort()
        if self._owner is not None:
            self._owner.connectionClosing(self)

    def readConnectionLost(self) -> None:
        """
        The server will send nothing more.
        """
        self._eof = True
        if self._mode == SWITCHING:
            return
        if self._closing is not None:
            super().readConnectionLost()
            return
        self._ended(Failure(ConnectionDone()))
        if self._closing is None:
            self.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The connection is gone.
        """
        self._gone = True
        self._poll = None
        if self.wantsHandshake:
            self._tlsConnection = self._wire.getHandle()
        super().connectionLost(reason)
        self._ended(reason)
        self._tellGone(reason)

    def _tellGone(self, reason: Failure) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.connectionGone(self, reason)

    def _ended(self, reason: Failure) -> None:
        """
        No more bytes will come: what does that mean for the response?
        """
        mode = self._mode
        if mode == NOTHING:
            return
        if mode == UNTIL_END and reason.check(ConnectionDone):
            # TLS tells a complete end from a cut; a bare socket does not.
            self._persistent = False
            self._bodyEnded(True, None if self.secure else Failure(PotentialDataLoss()))
            return
        error: Exception
        if mode == IN_HEAD:
            self._break(reason)
            return
        if mode == IN_BODY:
            error = UnexpectedEnd(
                f"The connection ended {self._left} bytes before the body did"
            )
        elif mode == IN_CHUNKS:
            error = UnexpectedEnd("The connection ended before the last chunk")
        else:
            error = UnexpectedEnd("The connection broke")
        error.__cause__ = reason.value
        self._break(Failure(error))
