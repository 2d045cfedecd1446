"""
The receiving half of a client connection: heads, bodies, and where they end.

See L{twisted_h11._client.connection} for the rules.  L{ResponseReader} knows what has
been received and what it means; the other half, in L{ClientConnection}, sends,
waits and fails.
"""

from __future__ import annotations

import weakref
from enum import Enum
from typing import TYPE_CHECKING, Any, cast

import h11
from twisted.python.failure import Failure

from twisted_h11._client.errors import (
    MalformedResponse,
    ResponseTooLarge,
    UnexpectedEnd,
)
from twisted_h11._client.h11_role import (
    begin_exchange,
    read_whole_body,
)
from twisted_h11._client.parties import ExchangeHandler, Owner
from twisted_h11._client.request import ClientRequest
from twisted_h11._client.request_sender import BodySender
from twisted_h11._client.response import InterimResponse, Response
from twisted_h11._http.abnf import find_head_end
from twisted_h11._http.chunks import ChunkReader, frame
from twisted_h11._http.fastpath import CHUNKED, Fields, ResponseHead, read_response
from twisted_h11._http.response_event import check_event
from twisted_h11._http.tolerance import EMPTY_LINES, forgive
from twisted_h11._wire.wire import APPLICATION, CONSUMER, READ_AHEAD
from twisted_h11.protocol import H11Protocol

if TYPE_CHECKING:
    from twisted_h11._client.connection import ClientConnection

__all__ = [
    "IN_BODY",
    "IN_CHUNKS",
    "IN_EVENTS",
    "IN_HEAD",
    "NOTHING",
    "SWITCHING",
    "UNTIL_END",
    "ResponseReader",
    "Wait",
]

_UNASKED = "The server sent something before the request had left"

# What is read next; in IN_EVENTS it is a body of any kind, and h11 reads it.
NOTHING, IN_HEAD, IN_BODY, IN_CHUNKS, UNTIL_END, IN_EVENTS, SWITCHING = range(7)

_FRAMING = frozenset((b"content-length", b"transfer-encoding"))


def explain(error: h11.RemoteProtocolError, raw: bytes) -> MalformedResponse:
    """
    Say what was wrong with a head, and name the fields that are to blame.
    """
    text = str(error)
    if "Content-Length" in text or "Transfer-Encoding" in text:
        parts = [line.partition(b":") for line in raw.splitlines()]
        found = [
            f"{name.decode('latin-1').strip()}: {value.decode('latin-1').strip()}"
            for name, _, value in parts
            if name.strip().lower() in _FRAMING
        ]
        if found:
            return MalformedResponse(f"{text}: {', '.join(found)!s}"[:500])
    return MalformedResponse(text[:500])


class Wait(Enum):
    """
    What has to happen in time.
    """

    IDLE = "the next request"
    CONTINUE = "100 Continue"
    WRITE = "the server takes more of the request"
    HEAD = "the response head"
    READ = "the next piece of the response body"
    CLAIM = "somebody asks for the response body"


class ResponseReader(H11Protocol):
    """
    Reads the responses of one connection.

    While a request that may not take the fast path is under way, C{_h11} is the
    h11 connection of its exchange; else there is one only in C{IN_EVENTS}.
    """

    role = h11.CLIENT
    _looksFirst = False

    served = 0

    # Whether the transport tells what it has not sent.
    _tells = False
    _clock: Any
    _handler: ExchangeHandler | None = None
    _owner: Owner | None = None

    _mode = NOTHING
    _left = 0
    _lastPiece = 0.0
    _received = 0
    _persistent = False
    _bytesSeen = False
    _interim: list[InterimResponse] | None = None
    _request: ClientRequest | None = None
    _sender: BodySender | None = None
    _body: Response | None = None
    _unclaimed: weakref.ref[Response] | None = None
    _chunks: ChunkReader | None = None
    _held = False
    _emptyLines = 0

    def __init__(self) -> None:
        super().__init__()
        self._buffer = bytearray()
        self._searched = 0

    # -- receiving ----------------------------------------------------------

    def dataReceived(self, data: bytes) -> None:
        """
        Bytes from the server.
        """
        mode = self._mode
        if mode == IN_BODY:
            left = self._left - len(data)
            body = self._body
            if left > 0 and body is not None:
                # The inside of a long body; its length was checked before.
                self._left = left
                self._lastPiece = self._clock.seconds()
                body._received(data)
            else:
                self._readBody(data)
        elif mode == IN_HEAD:
            if not self._bytesSeen:
                if (
                    self.served > 1
                    and self._tells
                    and self._noneLeft(self._wire.transport)
                ):
                    # It can not be the answer: the server sent it to nobody.
                    self._break(Failure(UnexpectedEnd(_UNASKED)), None, True)
                    return
                self._bytesSeen = True
            self._readHead(data)
        elif mode == IN_CHUNKS:
            self._readChunks(data)
        elif mode == UNTIL_END:
            self._bodyReceived(data)
        elif mode == IN_EVENTS:
            super().dataReceived(data)
        elif mode == SWITCHING:
            self._buffer += data
            self._wire.hold(READ_AHEAD)
        elif self._wire.closing is not None:
            self._wire.closing.received(len(data))
        else:
            # Nobody asked for this.
            self._abort()

    def _readHead(self, data: bytes) -> None:
        request = self._request
        assert request is not None
        limit = request.settings.maxHeadLength
        buffer = self._buffer
        if not buffer:
            if data[:1] in b"\r\n":
                data = self._skipEmptyLines(data)
                if not data:
                    return
            # Usually the whole head is in one segment.
            if request.fast and request.method != b"CONNECT":
                head = read_response(data, request.method == b"HEAD")
                if head is not None and head.size <= limit:
                    self._headReceived(head, data)
                    return
            if not b"HTTP/".startswith(data[:5].upper()):
                self._malformed(f"The answer is not HTTP: it begins with {data[:20]!r}")
                return
        while True:
            buffer += data
            found = find_head_end(buffer, self._searched)
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

    def _skipEmptyLines(self, data: bytes) -> bytes:
        """
        Take off what stands before a status line.
        """
        rest = data.lstrip(b"\r\n")
        self._emptyLines += len(data) - len(rest)
        self._persistent = False
        if self._emptyLines > EMPTY_LINES:
            self._malformed(f"The answer is not HTTP: it begins with {data[:20]!r}")
            return b""
        return rest

    def _readUnusualHead(self, request: ClientRequest, raw: bytes, rest: bytes) -> bool:
        """
        Let h11 read a head.

        @return: whether another head follows, an interim one having been read.
        """
        try:
            head, odd = forgive(raw, request.method)
            if odd:
                self._persistent = False
            conn = begin_exchange(request) if self._h11 is None else self._h11
            conn.receive_data(head)
            event = conn.next_event()
            if isinstance(event, h11.InformationalResponse):
                return self._interimReceived(request, event, rest)
            assert isinstance(event, h11.Response), event
            answer = check_event(event, raw, request.method)
        except h11.RemoteProtocolError as error:
            self._break(Failure(explain(error, raw)))
        else:
            if request.method == b"CONNECT" and 200 <= answer.code < 300:
                self._switching(answer, rest)
            else:
                self._headReceived(answer, raw + rest)
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
        response = Response(head, request, cast("ClientConnection", self))
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
        if self._request is not request:
            # Whoever was told has cancelled it.
            return
        length = head.length
        if not head.persistent:
            self._persistent = False
        available = len(data) - head.size
        conn = self._h11
        if 0 <= length <= available:
            # The usual case: all of it is here.
            if conn is not None:
                body = read_whole_body(conn, data[head.size :])
                if body:
                    response._buffer.append(body)
            elif length:
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
        self._left = length
        self._chunks = None
        if length == CHUNKED:
            self._mode = IN_CHUNKS
            self._chunks = ChunkReader(request.settings.maxHeadLength)
        elif conn is not None:
            self._mode = IN_EVENTS
        elif length >= 0:
            self._mode = IN_BODY
        else:
            self._mode = UNTIL_END
        sender = self._sender
        if sender is not None and (
            not sender.started or (head.code >= 400 and not head.persistent)
        ):
            # What is not wanted is not sent; the request stays unfinished.
            self._persistent = False
            self._sender = None
        else:
            sender = None
        self._handler = None
        self._unclaimed = weakref.ref(response, self._abandoned)
        self._rearm()
        if sender is not None:
            sender.stop()
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
        if self._sender is not None:
            # What is left of the body would be read as the other protocol's
            # (RFC 9110 section 7.8).
            self._malformed(
                f"The server answered {head.code} before the request was complete"
            )
            return
        self._mode = SWITCHING
        self._h11 = None
        self._buffer += rest
        self._wire.hold(READ_AHEAD)
        response = self._makeResponse(head)
        if self._request is not request:
            return
        self._handler = None
        self._unclaimed = weakref.ref(response, self._abandoned)
        self._wire.deadline.arm(request.settings.claimTimeout, Wait.CLAIM)
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
            self._lastPiece = self._clock.seconds()
            response._received(data)
        elif self._unclaimed is not None:
            response = self._unclaimed()
            if response is not None:
                response._received(data)
                if response._buffered > settings.readAhead:
                    self._wire.hold(CONSUMER)

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
        request = self._request
        assert chunks is not None and request is not None
        body = chunks.feed(data)
        if chunks.ended and (chunks.rest or chunks.odd):
            self._persistent = False
        if self._h11 is not None:
            # h11 is to follow: it reads the same, framed anew.
            framed = frame(body, chunks)
            if framed:
                super().dataReceived(framed)
        else:
            if body:
                self._bodyReceived(body)
            if chunks.ended and self._mode == IN_CHUNKS and self._request is request:
                self._trailersReceived(chunks.trailers)
                self._bodyEnded(True)
        if chunks.error is not None and self._request is request:
            self._malformed(chunks.error)

    def _trailersReceived(self, fields: Fields) -> None:
        response = self._body
        if response is None and self._unclaimed is not None:
            response = self._unclaimed()
        if response is not None and fields:
            response._trailerFields = fields

    def eventReceived(self, event: h11.Event) -> None:
        """
        What h11 has made of a body.
        """
        if self._mode not in (IN_EVENTS, IN_CHUNKS):
            return
        if isinstance(event, h11.Data):
            if self._left > 0:
                self._left -= len(event.data)
            self._bodyReceived(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            self._trailersReceived(
                [
                    (bytes(name), bytes(value))
                    for name, value in event.headers.raw_items()
                ]
            )
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
        if response is not None:
            # From now on the connection may be another's.
            response._connection = None
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
        sender, self._sender = self._sender, None
        owner = self._owner
        self._request = None
        self._wire.deadline.disarm()
        if self._wire.holds:
            self._wire.release(APPLICATION)
            self._wire.release(CONSUMER)
            self._wire.release(READ_AHEAD)
        if sender is not None:
            self._abort()
            sender.stop()
        elif not (clean and self._persistent) or self._wire.eof or owner is None:
            self.loseConnection()
        else:
            owner.connectionIdle(cast("ClientConnection", self))

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

    # -- what the connection does -------------------------------------------

    def _startBody(self) -> None:
        """
        The body of the request may be sent.
        """
        raise NotImplementedError

    def _rearm(self) -> None:
        """
        Something else is waited for now.
        """
        raise NotImplementedError

    def _break(
        self, reason: Failure, kind: Any = None, nothingSent: bool = False
    ) -> None:
        """
        The exchange has failed.
        """
        raise NotImplementedError

    def _noneLeft(self, wire: Any) -> bool:
        """
        Whether it is certain that nothing of the request has left.
        """
        raise NotImplementedError

    def _abandoned(self, reference: weakref.ref[Response]) -> None:
        """
        The response was thrown away, and its body with it.
        """
        raise NotImplementedError
