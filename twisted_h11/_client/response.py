"""
The response that an application sees.

A response belongs to its connection only while its body arrives.  What came
before anybody asked for the body is kept here, within a bound; so is what
came while the reader of the body was paused.  When the body has ended the
response lets go of the connection, which may then serve another request, even
if nobody has read this one yet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any
from typing import Protocol as Interface

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IConsumer, IProtocol, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers as TwistedHeaders
from twisted.web.iweb import UNKNOWN_LENGTH, IResponse
from zope.interface import implementer

from twisted_h11._boundary.checks import check_protocol
from twisted_h11._boundary.guarded import guarded, log_failure
from twisted_h11._client import errors
from twisted_h11._client.request import ClientRequest
from twisted_h11._http.received_head import Fields, ReceivedHead
from twisted_h11.forwarding import deliver_to

__all__ = ["InterimResponse", "Response"]

# Fields that tell about the connection, not about the resource: twisted.web
# keeps them out of a response's headers.
CONNECTION_FIELDS = frozenset(
    (
        b"content-length",
        b"connection",
        b"keep-alive",
        b"te",
        b"trailers",
        b"transfer-encoding",
        b"upgrade",
        b"proxy-connection",
    )
)


class BodySource(Interface):
    """
    Where a response has its body from, while that is on its way.

    """

    @property
    def peer(self) -> Any:
        """
        The address of the server.
        """

    @property
    def host(self) -> Any:
        """
        Our own address.
        """

    def claimBody(self, response: Response) -> None:
        """
        Somebody reads the body now.
        """

    def holdBody(self, held: bool) -> None:
        """
        The reader of the body is paused, or goes on.
        """

    def abortResponse(self, reason: Failure) -> None:
        """
        The rest of the body is not wanted.
        """

    def switchFor(self, response: Response, protocol: IProtocol) -> None:
        """
        Give the connection away.
        """


class InterimResponse:
    """
    A response that came before the final one, like 103 (Early Hints).

    @ivar code: its status.
    @ivar phrase: its reason phrase.
    @ivar rawFields: its fields, as they were received.

    @since: 0.1
    """

    __slots__ = ("code", "phrase", "rawFields")

    def __init__(self, code: int, phrase: bytes, rawFields: Fields) -> None:
        self.code = code
        self.phrase = phrase
        self.rawFields = rawFields

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.code} {self.phrase.decode('latin-1')}>"


def make_headers(fields: Fields) -> TwistedHeaders:
    """
    Headers of fields as they were received.
    """
    headers = TwistedHeaders()
    for name, value in fields:
        headers.addRawHeader(name, value)
    return headers


@implementer(IPushProducer)
class BodyTransport:
    """
    The transport that the reader of a body gets: it can pause, resume and end
    the body, and nothing else.
    """

    disconnecting = False

    def __init__(self, response: Response) -> None:
        self._response = response

    def pauseProducing(self) -> None:
        """
        Deliver nothing until C{resumeProducing}.
        """
        self._response._pause()

    def resumeProducing(self) -> None:
        """
        Go on.
        """
        self._response._resume()

    def stopProducing(self) -> None:
        """
        The rest of the body is not wanted: drop the connection.
        """
        self._response.abort()

    loseConnection = stopProducing
    abortConnection = stopProducing

    def getPeer(self) -> Any:
        """
        The address of the server, or C{None} if the body has ended.
        """
        connection = self._response._connection
        return None if connection is None else connection.peer

    def getHost(self) -> Any:
        """
        Our own address, or C{None} if the body has ended.
        """
        connection = self._response._connection
        return None if connection is None else connection.host


@implementer(IResponse)
class Response:
    """
    A response, as L{IResponse} has it, and some more.

    @ivar version: C{(b"HTTP", 1, 1)} or C{(b"HTTP", 1, 0)}.
    @ivar code: the status.
    @ivar phrase: the reason phrase, bytes.
    @ivar length: the length of the body, or C{UNKNOWN_LENGTH}.
    @ivar request: what was asked, an L{IClientRequest}.
    @ivar previousResponse: the one that redirected here, or C{None}.
    @ivar rawFields: all fields as they were received: order and case kept,
        those about the connection included.
    @ivar interimResponses: the L{InterimResponse}s that came before.

    @since: 0.1
    """

    previousResponse: Any = None
    interimResponses: list[InterimResponse] = []  # noqa: RUF012

    _headers: TwistedHeaders | None = None
    _trailers: TwistedHeaders | None = None
    _trailerFields: Fields = []  # noqa: RUF012
    _reader: IProtocol | None = None
    _finished = False
    _reason: Failure | None = None
    _paused = False
    _delivering = False
    _told = False
    _whenEnded: Callable[[], None] | None = None

    def __init__(
        self,
        head: ReceivedHead,
        request: ClientRequest,
        connection: BodySource | None,
    ) -> None:
        self.version = (b"HTTP", 1, head.minor)
        self.code = head.code
        self.phrase = head.reason
        self.rawFields = head.fields
        self.length: Any = head.length if head.length >= 0 else UNKNOWN_LENGTH
        self.request = request
        self._connection = connection
        self._buffer: deque[bytes] = deque()
        self._buffered = 0

    def __repr__(self) -> str:
        if not self._finished:
            state = "body under way"
        elif self._reason is None or self._reason.check(PotentialDataLoss):
            state = "body complete"
        else:
            state = "body failed"
        return f"<{type(self).__name__} {self.code} {state}>"

    @property
    def headers(self) -> TwistedHeaders:
        """
        The fields, without those about the connection.
        """
        headers = self._headers
        if headers is None:
            headers = self._headers = TwistedHeaders()
            isHead = self.request.method == b"HEAD"
            for name, value in self.rawFields:
                lower = name.lower()
                if lower not in CONNECTION_FIELDS or (
                    isHead and lower == b"content-length"
                ):
                    headers.addRawHeader(name, value)
        return headers

    @headers.setter
    def headers(self, headers: TwistedHeaders) -> None:
        self._headers = headers

    @property
    def trailers(self) -> TwistedHeaders:
        """
        The fields after the body; empty until the body has ended.  They were
        never merged into C{headers}, and say nothing about framing.
        """
        if self._trailers is None:
            if not self._finished:
                return TwistedHeaders()
            self._trailers = make_headers(self._trailerFields)
        return self._trailers

    def setPreviousResponse(self, previousResponse: Any) -> None:
        """
        See L{IResponse.setPreviousResponse}.
        """
        self.previousResponse = previousResponse

    # -- what the application does ------------------------------------------

    def deliverBody(self, protocol: IProtocol) -> None:
        """
        See L{IResponse.deliverBody}.

        @raise TypeError: if C{protocol} is none.
        @raise RuntimeError: if the body was asked for already.
        """
        check_protocol(protocol)
        if self._told:
            raise RuntimeError("Response already finished, cannot deliverBody now.")
        if self._reader is not None:
            raise RuntimeError(
                f"Response already has protocol {self._reader!r}, "
                "cannot deliverBody again"
            )
        self._reader = protocol
        try:
            protocol.makeConnection(BodyTransport(self))  # type: ignore[arg-type]
        except BaseException:
            self._readerFailed()
            raise
        connection = self._connection
        if connection is not None:
            connection.claimBody(self)
        self._deliver()

    def deliverTo(self, consumer: IConsumer) -> Deferred[None]:
        """
        Write the body to a consumer, a request of a server for instance, at the
        consumer's pace; see L{twisted_h11.forwarding.deliver_to}.

        @param consumer: is not finished.
        @return: fires with C{None} when all of the body was written, and fails when
            it is cut, or the consumer takes nothing more.
        @raise RuntimeError: if the body was asked for already.
        """
        return deliver_to(self, consumer)

    def abort(self) -> None:
        """
        Drop the connection, if the body is still under way.  Whoever reads the
        body, and has not got all of it, gets a C{ResponseFailed}.  Nothing happens
        afterwards.
        """
        connection = self._connection
        if connection is not None:
            self._buffer.clear()
            self._buffered = 0
            self._paused = False
            connection.abortResponse(Failure(ConnectionAborted()))
        elif not self._told and self._reader is not None:
            if self._buffer:
                self._fail(Failure(ConnectionAborted()))
            self._paused = False
            self._deliver()

    def switchProtocol(self, protocol: IProtocol) -> None:
        """
        Give the connection to another protocol, for good: after a 101
        response, or a 2xx response to CONNECT.  The bytes that were received
        after the response go to C{protocol}.

        @raise TypeError: if C{protocol} is none.
        @raise RuntimeError: if the server has not switched.
        """
        check_protocol(protocol)
        connection = self._connection
        if connection is None or self._reader is not None or self._told:
            raise RuntimeError("The server has not switched to another protocol")
        connection.switchFor(self, protocol)

    def __aiter__(self) -> AsyncIterator[bytes]:
        """
        The pieces of the body, as they arrive, under back-pressure.
        """
        pieces = _Pieces()
        self.deliverBody(pieces)
        return _Iteration(pieces)

    # -- what the connection does -------------------------------------------

    def _received(self, data: bytes) -> None:
        """
        A piece of the body is here.
        """
        reader = self._reader
        if (
            reader is not None
            and not self._paused
            and not self._buffer
            and not self._delivering
        ):
            self._delivering = True
            try:
                reader.dataReceived(data)
            except BaseException:
                log_failure("The reader of a response body")
                self._readerFailed()
            self._delivering = False
            if self._buffer or self._finished:
                self._deliver()
            return
        self._buffer.append(data)
        self._buffered += len(data)

    def _ended(self, reason: Failure | None = None) -> None:
        """
        Nothing more will come: the body is complete, or there is a reason.
        """
        if self._finished:
            return
        self._finished = True
        self._reason = reason
        self._connection = None
        ended, self._whenEnded = self._whenEnded, None
        if ended is not None:
            ended()
        if self._reader is not None:
            self._deliver()

    # -- delivery -----------------------------------------------------------

    def _deliver(self) -> None:
        """
        Give the reader all that waits for it, and the end.
        """
        reader = self._reader
        if self._delivering or reader is None:
            return
        self._delivering = True
        buffer = self._buffer
        try:
            while buffer and not self._paused:
                data = buffer.popleft()
                self._buffered -= len(data)
                reader.dataReceived(data)
        except BaseException:
            log_failure("The reader of a response body")
            self._readerFailed()
        self._delivering = False
        if self._finished and not buffer and not self._told:
            if not self._paused:
                self._told = True
                # The reader's transport knows us: no cycle is left behind.
                self._reader = None
                reason = self._reason
                if reason is None:
                    reason = Failure(ResponseDone("Response body fully received"))
                guarded(
                    "The reader of a response body, at its end,",
                    reader.connectionLost,
                    reason,
                )

    def _readerFailed(self) -> None:
        """
        The reader has raised: it did not get the body, however much of it is here.
        """
        failure = Failure()
        if self._connection is not None:
            self._buffer.clear()
            self._connection.abortResponse(failure)
        else:
            self._fail(failure)
        # One that did not even begin to read is told, too.
        self._paused = False
        self._deliver()

    def _fail(self, why: Failure) -> None:
        """
        The reader will not get what is still kept here, although all of it came.
        """
        self._buffer.clear()
        self._buffered = 0
        reason = self._reason
        if reason is None or reason.check(PotentialDataLoss):
            self._reason = Failure(errors.Failed([why], self))

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            if self._connection is not None:
                self._connection.holdBody(True)

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self._deliver()
            if self._connection is not None and not self._paused:
                self._connection.holdBody(False)


class _Pieces(Protocol):
    """
    The reader behind C{async for}: asks for one piece at a time.
    """

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._waiting: Deferred[bytes | None] | None = None
        self._reason: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(data)
        else:
            self._pieces.append(data)
            self.transport.pauseProducing()  # type: ignore[union-attr]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._reason = reason
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._end(waiting, reason)

    def _end(self, waiting: Deferred[bytes | None], reason: Failure) -> None:
        if reason.check(ResponseDone, PotentialDataLoss):
            waiting.callback(None)
        else:
            waiting.errback(reason)

    def next(self) -> Deferred[bytes | None]:
        """
        The next piece, or C{None} at the end.
        """
        if self._pieces:
            return succeed(self._pieces.popleft())
        waiting: Deferred[bytes | None] = Deferred(self._cancel)
        if self._reason is not None:
            self._end(waiting, self._reason)
            return waiting
        self._waiting = waiting
        self.transport.resumeProducing()  # type: ignore[union-attr]
        return waiting

    def _cancel(self, _: object) -> None:
        self._waiting = None
        self.transport.abortConnection()  # type: ignore[union-attr]

    def abandon(self) -> None:
        """
        Nobody will ask again.
        """
        if self._reason is None:
            self.transport.abortConnection()  # type: ignore[union-attr]


class _Iteration(AsyncIterator[bytes]):
    """
    The iterator that C{async for} holds.  When the loop is left early it goes
    away, and the connection with it.
    """

    def __init__(self, pieces: _Pieces) -> None:
        self._pieces = pieces

    async def __anext__(self) -> bytes:
        piece = await self._pieces.next()
        if piece is None:
            raise StopAsyncIteration
        return piece

    def __del__(self) -> None:
        self._pieces.abandon()
