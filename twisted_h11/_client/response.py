"""
The client's response, as the application gets it.

A response refers to its connection only while its body is being received.  Data that is
received before the application reads the body, or while the reader is paused, is kept
here, within a bound.  When the body is complete the response drops the reference, so
that the connection can take another request even before this body is read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IConsumer, IProtocol, IPushProducer
from twisted.python.failure import Failure
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers as TwistedHeaders
from twisted.web.iweb import UNKNOWN_LENGTH, IResponse
from zope.interface import implementer

from twisted_h11._boundary.checks import check_protocol
from twisted_h11._boundary.guarded import log_failure
from twisted_h11._client import errors
from twisted_h11._client.request import ClientRequest
from twisted_h11._http.response_received import Fields, ReceivedHead
from twisted_h11._wire.delivery import BodyIterator, Delivery
from twisted_h11.forwarding import deliver_to

__all__ = ["InterimResponse", "Response"]

# Fields about the connection, not the resource: twisted.web keeps them out of a
# response's headers.
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


class InterimResponse:
    """
    An interim response, like 103 (Early Hints).

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
    Make headers of fields as they were received.
    """
    headers = TwistedHeaders()
    for name, value in fields:
        headers.addRawHeader(name, value)
    return headers


@implementer(IPushProducer)
class ResponseBody(Delivery):
    """
    The body of a response, and the transport of the protocol that reads it, which can
    pause, resume and end the body.  While the body is being received, its source is a
    L{ResponseSource<twisted_h11._client.response_source>}.
    """

    _done = ("Response body fully received",)
    # Whether nobody is likely to read it.
    _unwanted = False

    def take(self, response: Response, reader: IProtocol) -> None:
        """
        Deliver the body to a protocol.
        """
        self._taken = True
        self._reader = reader
        self._owner = response
        end: Any = self.end
        if end is not None and getattr(end.value, "response", end) is None:
            # It was cut before anybody read it.
            end.value.response = response
        # From now on only the reader's own pauses hold the connection back.
        self._high = 0
        try:
            reader.makeConnection(self)  # type: ignore[arg-type]
        except BaseException:
            self._failReader(Failure())
            raise
        if self._source is not None:
            self._source.claimBody(response)
        self._deliver()

    def complete(self, data: bytes) -> None:
        """
        Keep C{data} as the whole body, before the application has the response.
        """
        if data:
            self._waiting.append(data)
            self._size = len(data)
        self.over = True

    def abortConnection(self) -> None:
        """
        Drop the rest of the body, and its connection.
        """
        source = self._source
        if source is not None:
            self._forget()
            source.abortConnection()
        elif self._reader is not None:
            self.cut(self._wrapped(Failure(ConnectionAborted())))

    stopProducing = loseConnection = abandoned = abortConnection

    def letGo(self) -> None:
        """
        Drop the connection as soon as more than the bound waits, unless somebody reads
        the body by then.
        """
        self._unwanted = True
        if self._held:
            self._hold()

    def _hold(self) -> None:
        if self._unwanted and self._reader is None:
            self.abortConnection()
        else:
            super()._hold()

    def getPeer(self) -> Any:
        """
        The address of the server, or C{None} if the body has ended.
        """
        return None if self._source is None else self._source.peer

    def getHost(self) -> Any:
        """
        The local address, or C{None} if the body has ended.
        """
        return None if self._source is None else self._source.host

    def _wrapped(self, reason: Failure) -> Failure:
        return Failure(errors.Failed([reason], self._owner))

    def _readerFailed(self, failure: Failure) -> None:
        log_failure("The reader of a response body", failure)
        self._failReader(failure)

    def _failReader(self, failure: Failure) -> None:
        """
        The reader has raised: cut the body, although more data may be waiting.
        """
        if self._source is not None:
            self._forget()
            self._source.abortConnection(failure)
            # A reader that raised in connectionMade gets connectionLost, too.
            self._paused = False
            self._deliver()
        else:
            self.cut(self._wrapped(failure), True)

    def _readerFailedAtEnd(self, failure: Failure) -> None:
        log_failure("The reader of a response body, at its end,", failure)


@implementer(IResponse)
class Response:
    """
    A response: L{IResponse}, with further attributes and methods.

    @ivar version: the version of the status line: C{(b"HTTP", 1, 1)}, C{(b"HTTP", 1,
        0)}, or another one that was forgiven.
    @ivar code: the status.
    @ivar phrase: the reason phrase, bytes.
    @ivar length: the length of the body, or C{UNKNOWN_LENGTH}.
    @ivar request: the request, an L{IClientRequest}.
    @ivar previousResponse: the redirect that led to this response, or C{None}.
    @ivar rawFields: all fields as they were received: order and case kept,
        those about the connection included.
    @ivar interimResponses: the L{InterimResponse}s that were received before it.

    @since: 0.1
    """

    previousResponse: Any = None
    interimResponses: list[InterimResponse] = []  # noqa: RUF012

    _headers: TwistedHeaders | None = None
    _trailers: TwistedHeaders | None = None
    _trailerFields: Fields = []  # noqa: RUF012

    def __init__(
        self,
        head: ReceivedHead,
        request: ClientRequest,
    ) -> None:
        self.version = (b"HTTP", head.major, head.minor)
        self.code = head.code
        self.phrase = head.reason
        self.rawFields = head.fields
        self.length: Any = head.length if head.length >= 0 else UNKNOWN_LENGTH
        self.request = request
        self._body = ResponseBody(None, request.settings.readAhead)

    def __repr__(self) -> str:
        body = self._body
        if not body.over:
            state = "body under way"
        elif body.end is None or body.end.check(PotentialDataLoss):
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
        The fields of the trailer section; empty until the body has ended.  They are
        not merged into C{headers}, and have no effect on framing.
        """
        if self._trailers is None:
            if not self._body.over:
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

        @raise TypeError: if C{protocol} is not a protocol.
        @raise RuntimeError: if C{deliverBody} was called before.
        """
        check_protocol(protocol)
        body = self._body
        if body._taken:
            if body._reader is None:
                raise RuntimeError("Response already finished, cannot deliverBody now.")
            raise RuntimeError(
                f"Response already has protocol {body._reader!r}, "
                "cannot deliverBody again"
            )
        body.take(self, protocol)

    def deliverTo(self, consumer: IConsumer) -> Deferred[None]:
        """
        Write the body to a consumer, for example a server's request, under
        back-pressure; see L{twisted_h11.forwarding.deliver_to}.

        @param consumer: gets the body; its C{finish} is not called.
        @return: fires with C{None} when the whole body was written; fails when the
            body is cut, or when the consumer stops it.
        @raise RuntimeError: if C{deliverBody} was called before.
        """
        return deliver_to(self, consumer)

    def abort(self) -> None:
        """
        Drop the connection if the body is still being received.  The body's reader, if
        it has not got all of it, gets a C{ResponseFailed}.  Once the body has been
        read this does nothing.
        """
        self._body.abortConnection()

    def _letGo(self) -> None:
        """
        Nobody is likely to read the body, as after a redirect: drop the connection
        unless the body is short enough to be kept until it is complete.
        """
        body = self._body
        if body.over:
            return
        length = self.length
        if length is not UNKNOWN_LENGTH and length > self.request.settings.readAhead:
            self.abort()
        else:
            body.letGo()

    def _dropUnread(self) -> None:
        """
        Drop the connection unless the body is complete, or somebody reads it.
        """
        if not self._body._taken:
            self.abort()

    def switchProtocol(self, protocol: IProtocol) -> None:
        """
        Give the connection to another protocol, for good: after a 101
        response, or a 2xx response to CONNECT.  The bytes that were received
        after the response go to C{protocol}.

        @raise TypeError: if C{protocol} is not a protocol.
        @raise RuntimeError: if the server has not switched protocols.
        """
        check_protocol(protocol)
        source = self._body._source
        if source is None or self._body._taken:
            raise RuntimeError("The server has not switched to another protocol")
        source.switchFor(self, protocol)

    def __aiter__(self) -> AsyncIterator[bytes]:
        """
        The pieces of the body, as they arrive, under back-pressure.  When the loop is
        left early, or cancelled, the connection is dropped.
        """
        return BodyIterator(self)

    # -- what the connection does -------------------------------------------

    def _ended(self, reason: Failure | None = None) -> None:
        """
        End the body: it is complete, or was cut for C{reason}.
        """
        if not self._body.over:
            self._body.ended(reason)
