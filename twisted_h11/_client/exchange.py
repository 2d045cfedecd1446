"""
One request on one connection, and its response.

B{Both directions at once.}  The response is read while the request is still being
sent.  An early response (a 413, a redirect) is delivered at once, and is not lost
when the server closes the connection before it has read the whole request.  If the
response ends before the request does, the rest of the request is not sent, and the
connection is dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IProtocol
from twisted.python.failure import Failure

from twisted_h11._client import errors
from twisted_h11._client.errors import MalformedResponse, UnexpectedEnd
from twisted_h11._client.interfaces import ClientLine, ExchangeHandler
from twisted_h11._client.request import ClientRequest
from twisted_h11._client.request_sender import BodySender
from twisted_h11._client.response import InterimResponse, Response
from twisted_h11._client.response_reader import ResponseReader
from twisted_h11._client.response_source import ResponseSource, too_large
from twisted_h11._client.sent import TLSPassage, none_left
from twisted_h11._client.timeouts import set_deadline
from twisted_h11._http.response_received import ReceivedHead
from twisted_h11._wire.wire import READ_AHEAD

__all__ = ["Exchange"]

_UNASKED = "The server sent something before the request had left"


class Exchange:
    """
    One request on one connection, and its response.

    @ivar connection: the connection.
    @ivar request: the request.
    @ivar reused: whether the connection had another request before.
    @ivar reader: reads the response.
    @ivar sender: sends the rest of the request's body; C{None} when it was sent.
    @ivar source: the source of the response's body; C{None} before there is one.
    @ivar fullSince: when the transport's buffer became full, in the clock's seconds.
    @ivar taken: how much the server had taken when the deadline of writing was set; see
        L{bytes_taken<twisted_h11._wire.progress.bytes_taken>}.
    @ivar passage: watches the request in the TLS layer, or C{None}.
    @ivar isOver: whether the exchange has ended, with success or failure.
    @ivar whenOver: called when the exchange has ended, or C{None}.
    """

    __slots__ = (
        "_handler",
        "_interim",
        "_seen",
        "connection",
        "fullSince",
        "isOver",
        "passage",
        "reader",
        "request",
        "reused",
        "sender",
        "source",
        "taken",
        "whenOver",
    )

    def __init__(
        self, connection: ClientLine, request: ClientRequest, handler: ExchangeHandler
    ) -> None:
        self.connection = connection
        self.request = request
        self.reused = connection.served > 1
        self.reader = ResponseReader(self, request)
        self.sender: BodySender | None = None
        self.source: ResponseSource | None = None
        self.isOver = False
        self._handler: ExchangeHandler | None = handler
        self._interim: list[InterimResponse] | None = None
        self.passage: TLSPassage | None = None
        # Whether any byte of a response was received.
        self._seen = False
        self.fullSince = 0.0
        self.taken: int | None = None
        self.whenOver: Callable[[], None] | None = None

    def report(self, name: str, failure: Failure | None = None) -> None:
        """
        Report an event to the agent's trace function, if there is one.
        """
        if self.request.report is not None:
            self.request.report(name, self.connection, failure)

    # -- the request ----------------------------------------------------------

    def startBody(self) -> None:
        """
        Start to send the body.
        """
        # The trace function may have cancelled the request.
        if self.sender is not None:
            self.connection.wire.disarm()
            self.sender.start()
            set_deadline(self)

    def bodySent(self) -> None:
        """
        The whole request has been written.
        """
        self.sender = None
        if not self.isOver:
            self.report("body sent")
            set_deadline(self)

    # -- the response -----------------------------------------------------------

    def dataReceived(self, data: bytes) -> None:
        """
        Pass received data to the reader of the response.
        """
        if not self._seen:
            if self.reused and self.connection.tellsUnsent:
                if self._noneLeft(self.connection.wire.transport):
                    # The server sent this before it received the request.
                    self.fail(Failure(UnexpectedEnd(_UNASKED)), None, True)
                    return
            self._seen = True
        self.reader.dataReceived(data)

    def interimRead(self, response: InterimResponse) -> None:
        """
        Keep an interim response; a 100 starts the request's body.
        """
        self._interim = [*(self._interim or ()), response]
        if len(self._interim) > self.request.settings.maxInterimResponses:
            text = "Too many interim responses (maxInterimResponses)"
            self.fail(Failure(MalformedResponse(text)))
        elif response.code == 100 and self.sender is not None:
            if not self.sender.started:
                self.startBody()

    def _makeResponse(self, head: ReceivedHead) -> Response:
        response = Response(head, self.request)
        if self._interim:
            response.interimResponses, self._interim = self._interim, None
        if self.request.report is not None:
            self.report("head received")
        return response

    def headRead(self, head: ReceivedHead, data: bytes) -> None:
        """
        Make the response and pass it to the handler.

        @param data: all received bytes from the head on.
        """
        handler = self._handler
        assert handler is not None
        response = self._makeResponse(head)
        if self.isOver:
            # The trace function has cancelled the request.
            return
        length, reader = head.length, self.reader
        if not head.persistent:
            reader.persistent = False
        limit = self.request.settings.maxBodyLength
        if limit is not None and length > limit:
            self.fail(Failure(too_large(limit)))
            return
        body = reader.wholeBody(head, data)
        if body is not None:
            # The usual case: the whole body was received with the head.
            response._body.complete(body)
            self.over(len(data) == head.size + length)
            if self.request.report is not None:
                self.report("ended")
            handler.responseReceived(response)
            return
        unwanted = self.sender
        if unwanted is not None:
            if unwanted.started and (head.code < 400 or head.persistent):
                unwanted = None
            else:
                # The rest of the body is not sent: the connection is not re-used.
                reader.persistent = False
                self.sender = None
        self._expectBody(response, length)
        if unwanted is not None:
            unwanted.stop()
        handler.responseReceived(response)
        if len(data) > head.size:
            reader.dataReceived(data[head.size :])

    def switchRead(self, head: ReceivedHead) -> None:
        """
        The server has switched protocols: pass the response to the handler, so that
        the application can take the connection.
        """
        handler = self._handler
        assert handler is not None
        if self.sender is not None:
            # The server would read the rest of the body as the other protocol
            # (RFC 9110 section 7.8).
            text = f"The server answered {head.code} before the request was complete"
            self.fail(Failure(MalformedResponse(text)))
            return
        self.connection.wire.hold(READ_AHEAD)
        response = self._makeResponse(head)
        if not self.isOver:
            self._expectBody(response, None)
            handler.responseReceived(response)

    def _expectBody(self, response: Response, length: int | None) -> None:
        # No length: another protocol follows.
        self._handler = None
        source = self.source = ResponseSource(self, response, length is None)
        if length is None:
            source.wait()
        else:
            self.reader.beginBody(length, source)
            set_deadline(self)

    def inputEnded(self, reason: Failure, transport: Any) -> None:
        """
        Handle the end of file, or the loss of the connection.

        @param transport: the transport; it may be closed.
        """
        if self.source is not None:
            self.source.inputEnded(reason)
        else:
            nothingSent = not self._seen and self._noneLeft(transport)
            self.fail(reason, None, nothingSent)

    def _noneLeft(self, transport: Any) -> bool:
        """
        Whether no byte of the request can have left this machine: it still waits for
        the end of this turn of the reactor, or in the transport's buffer.
        """
        if self.sender is None and self.connection.wire.pendingLength:
            return True
        return none_left(transport, self.request, self.sender, self.passage)

    # -- the end ------------------------------------------------------------

    def _end(self) -> BodySender | None:
        """
        Stop reading and sending.

        @return: the sender, if the request's body was not complete.
        """
        self.isOver = True
        self.reader.stop()
        self.source = self._handler = None
        sender, self.sender = self.sender, None
        whenOver, self.whenOver = self.whenOver, None
        if whenOver is not None:
            whenOver()
        return sender

    def over(self, clean: bool) -> None:
        """
        The response is complete: use the connection again, or close it.

        @param clean: whether no bytes were received after the response.
        """
        reusable = clean and self.request.persistent and self.reader.persistent
        sender = self._end()
        if sender is not None:
            self.connection.exchangeFailed()
            sender.stop()
        else:
            self.connection.exchangeOver(reusable)

    def drop(self) -> None:
        """
        End the exchange and drop the connection: the application did not take it.
        """
        self._end()
        self.connection.exchangeFailed()
        self.report("ended")

    def giveTo(self, protocol: IProtocol) -> None:
        """
        Give the connection to another protocol.
        """
        rest = self.reader.takeRest()
        self._end()
        self.connection.giveTo(protocol, rest, self.report)

    def cancel(self) -> None:
        """
        The application has cancelled the request: fail with C{CancelledError}.
        """
        kind = errors.Generation if self.sender is not None else None
        self.fail(Failure(CancelledError()), kind)

    def fail(
        self, reason: Failure, kind: Any = None, nothingSent: bool = False
    ) -> None:
        """
        Fail the exchange: drop the connection, and pass the failure to the handler,
        or to the reader of the body if the head was delivered.

        @param kind: the class of the error; C{None} to choose it by the phase.
        @param nothingSent: whether the server certainly received nothing of the
            request.
        """
        if self.isOver:
            return
        source = self.source
        isRead = source is not None and source.isClaimed
        response = None if source is None else source.take()
        handler = self._handler
        sender = self._end()
        if self.passage is not None:
            self.passage.cancel()
        self.connection.exchangeFailed()
        # Everything called below is code of the application, or may call it.
        if sender is not None:
            sender.stop(reason)
        elapsed = self.connection.clock.seconds() - self.request.started
        phase = errors.HEAD if source is None else errors.BODY
        if source is None and (sender is not None or kind is not None):
            phase = errors.SENDING
        # An unread response keeps the failure, which must not refer to it in turn.
        named = response if isRead else None
        failure = errors.of_exchange(phase, kind, self._seen, elapsed, reason, named)
        self.report("ended", failure)
        if handler is not None:
            handler.requestFailed(failure, nothingSent)
        elif response is not None:
            response._ended(failure)
