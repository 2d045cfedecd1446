"""
One request on one connection, and its response.

B{Both directions at once.}  The response is read while the request is still going
out.  An answer that comes early (a 413, a redirect) is delivered early, and is not
lost when the server closes the connection on the rest of the request.  If the
response ends before the request does, the rest of the request is not sent, and the
connection is dropped.
"""

from __future__ import annotations

from typing import Any

import h11
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IProtocol
from twisted.python.failure import Failure

from twisted_h11._client import errors
from twisted_h11._client.errors import MalformedResponse, TimedOut, UnexpectedEnd
from twisted_h11._client.interfaces import ClientLine, ExchangeHandler
from twisted_h11._client.request import ClientRequest
from twisted_h11._client.request_sender import PIECE_LENGTH, BodySender
from twisted_h11._client.response import InterimResponse, Response
from twisted_h11._client.response_reader import ResponseReader
from twisted_h11._client.response_source import ResponseSource, too_large
from twisted_h11._client.sent import TLSPassage, none_left
from twisted_h11._client.settings import Wait, seconds_for, timed_out
from twisted_h11._http.response_received import Fields, ReceivedHead
from twisted_h11._wire.wire import READ_AHEAD

__all__ = ["Exchange"]

_UNASKED = "The server sent something before the request had left"


class Exchange:
    """
    One request on one connection, and its response.

    @ivar connection: the connection.
    @ivar request: the request.
    @ivar reused: whether the connection had another request before.
    @ivar reader: what reads the response.
    @ivar sender: what sends the body of the request; C{None} when it is out, or
        stopped.
    @ivar source: where the response has its body from; C{None} while there is no
        response.
    @ivar isOver: whether it has ended, well or not.
    """

    __slots__ = (
        "_fullSince",
        "_handler",
        "_interim",
        "_passage",
        "_seen",
        "connection",
        "isOver",
        "reader",
        "request",
        "reused",
        "sender",
        "source",
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
        self._passage: TLSPassage | None = None
        # Whether anything was received.
        self._seen = False
        self._fullSince = 0.0

    def _report(self, name: str, failure: Failure | None = None) -> None:
        if self.request.report is not None:
            self.request.report(name, self.connection, failure)

    # -- the request ----------------------------------------------------------

    def start(self) -> None:
        """
        Send the request, or its head, and begin with its body.
        """
        request = self.request
        body = request.body
        if body is None:
            self._sendWhole(b"")
        elif (
            isinstance(body, bytes)
            and len(body) <= PIECE_LENGTH
            and not (request.expect or request.chunked)
        ):
            self._sendWhole(body)
        else:
            wire = self.connection.wire
            self.sender = BodySender(self, wire, request, self.reader.h11)
            wire.send(request.head)
            self._report("head sent")
            if request.expect and self.sender is not None:
                wire.arm(request.settings.continueTimeout, Wait.CONTINUE)
            else:
                self._startBody()

    def _sendWhole(self, body: bytes) -> None:
        request = self.request
        connection = self.connection
        conn = self.reader.h11
        data = request.head
        if conn is None:
            data += body
        else:
            if body:
                data += conn.send(h11.Data(data=body)) or b""
            data += conn.send(h11.EndOfMessage()) or b""
        connection.wire.send(data)
        if request.report is not None:
            self._report("head sent")
            self._report("body sent")
            if self.isOver:
                return
        if connection.secure:
            if self.reused and request.method not in request.settings.retryMethods:
                transport = connection.wire.transport
                self._passage = TLSPassage(transport, request, connection.clock)
        self.wait()

    def _startBody(self) -> None:
        # The trace function may have cancelled the request.
        if self.sender is not None:
            self.connection.wire.disarm()
            self.sender.start()
            self.wait()

    def bodySent(self) -> None:
        """
        The whole request has been written.
        """
        self.sender = None
        if not self.isOver:
            self._report("body sent")
            self.wait()

    def generationFailed(self, reason: Failure) -> None:
        """
        The producer of the body has failed.
        """
        self.fail(reason, errors.Generation)

    def _noneLeft(self, transport: Any) -> bool:
        """
        Whether it is certain that nothing of the request has left.
        """
        passage = self._passage
        if passage is not None and passage.waiting:
            return True
        return none_left(transport, self.request, self.sender)

    # -- the response -----------------------------------------------------------

    def dataReceived(self, data: bytes) -> None:
        """
        Bytes from the server.
        """
        if not self._seen:
            if self.reused and self.connection.tellsUnsent:
                if self._noneLeft(self.connection.wire.transport):
                    # The bytes were sent before the server had the request.
                    self.fail(Failure(UnexpectedEnd(_UNASKED)), None, True)
                    return
            self._seen = True
        self.reader.dataReceived(data)

    def interimRead(self, response: InterimResponse) -> None:
        """
        The head of an interim response is here.
        """
        if self._interim is None:
            self._interim = []
        self._interim.append(response)
        if len(self._interim) > self.request.settings.maxInterimResponses:
            text = "Too many interim responses (maxInterimResponses)"
            self.readingFailed(MalformedResponse(text))
        elif response.code == 100 and self.sender is not None:
            if not self.sender.started:
                self._startBody()

    def _makeResponse(self, head: ReceivedHead) -> Response:
        response = Response(head, self.request)
        if self._interim:
            response.interimResponses, self._interim = self._interim, None
        if self.request.report is not None:
            self._report("head received")
        return response

    def headRead(self, head: ReceivedHead, data: bytes) -> None:
        """
        The head of the final response is here, and perhaps some of the body.
        """
        handler = self._handler
        assert handler is not None
        response = self._makeResponse(head)
        if self.isOver:
            # The trace function has cancelled the request.
            return
        length = head.length
        reader = self.reader
        if not head.persistent:
            reader.persistent = False
        limit = self.request.settings.maxBodyLength
        if limit is not None and length > limit:
            self.fail(Failure(too_large(limit)))
            return
        body = reader.wholeBody(head, data)
        if body is not None:
            # The usual case: all of it is here.
            response._body.complete(body)
            self.over(len(data) == head.size + length)
            if self.request.report is not None:
                self._report("ended")
            handler.responseReceived(response)
            return
        reader.beginBody(length)
        unwanted = self.sender
        if unwanted is not None:
            if unwanted.started and (head.code < 400 or head.persistent):
                unwanted = None
            else:
                # The rest of the body is not sent: the connection is not re-used.
                reader.persistent = False
                self.sender = None
        self._expectBody(response, False)
        if unwanted is not None:
            unwanted.stop()
        handler.responseReceived(response)
        if len(data) > head.size:
            reader.dataReceived(data[head.size :])

    def switchRead(self, head: ReceivedHead) -> None:
        """
        The server has switched; the application may now take the connection.
        """
        handler = self._handler
        assert handler is not None
        if self.sender is not None:
            # What is left of the body would be read as the other protocol's
            # (RFC 9110 section 7.8).
            text = f"The server answered {head.code} before the request was complete"
            self.readingFailed(MalformedResponse(text))
            return
        self.connection.wire.hold(READ_AHEAD)
        response = self._makeResponse(head)
        if not self.isOver:
            self._expectBody(response, True)
            handler.responseReceived(response)

    def _expectBody(self, response: Response, switched: bool) -> None:
        self._handler = None
        source = self.source = ResponseSource(self, response, switched)
        if switched:
            source.wait()
        else:
            self.wait()

    def bodyRead(self, data: bytes) -> None:
        """
        A piece of the body is here.
        """
        assert self.source is not None
        self.source.bodyRead(data)

    def bodyEnded(self, trailers: Fields, clean: bool) -> None:
        """
        The body is complete.

        @param clean: whether nothing was received behind it.
        """
        assert self.source is not None
        self.source.bodyEnded(trailers, clean)

    def readingFailed(self, error: Exception) -> None:
        """
        The response is malformed, or too large.
        """
        self.fail(Failure(error))

    def inputEnded(self, reason: Failure, transport: Any) -> None:
        """
        No more bytes will come.

        @param transport: the transport; it may have been closed.
        """
        if self.source is not None:
            self.source.inputEnded(reason)
        else:
            nothingSent = not self._seen and self._noneLeft(transport)
            self.fail(reason, None, nothingSent)

    # -- time ---------------------------------------------------------------

    def wait(self) -> None:
        """
        Set the deadline for what is waited for now.
        """
        if self.isOver:
            return
        wire = self.connection.wire
        settings = self.request.settings
        sender = self.sender
        source = self.source
        if wire.full and (sender is not None or source is None):
            wire.arm(settings.writeTimeout, Wait.WRITE)
        elif source is not None:
            if not source.switched:
                source.wait()
        elif sender is None:
            wire.arm(settings.headTimeout, Wait.HEAD)
        elif sender.started:
            wire.disarm()

    def wireFull(self) -> None:
        """
        The server does not take what is sent.
        """
        self._fullSince = self.connection.clock.seconds()
        if self.connection.wire.waiting is not Wait.WRITE:
            self.wait()

    def wireWritable(self) -> None:
        """
        The server takes more.
        """
        # A fast upload comes here with each write: the deadline stays, and the clock
        # is looked at when it is over.
        if self.source is not None or self.sender is None:
            self.wait()

    def deadlineOver(self, wait: Wait) -> None:
        """
        What was waited for has not happened.
        """
        wire = self.connection.wire
        if wait is Wait.CONTINUE:
            self._startBody()
            return
        since = None
        if wait is Wait.WRITE:
            if not wire.full:
                # It reads again; the next pause begins anew.
                self.wait()
                return
            since = self._fullSince
        elif wait is Wait.READ and self.source is not None:
            # The deadline is not pushed forward with each piece.
            since = self.source.lastPiece
        settings = self.request.settings
        seconds = seconds_for(wait, settings)
        if since is not None and seconds is not None:
            left = since + seconds - self.connection.clock.seconds()
            if left > 0:
                wire.arm(left, wait)
                return
        self.fail(Failure(timed_out(wait, settings)))

    # -- the end ------------------------------------------------------------

    def _end(self) -> BodySender | None:
        """
        Read and send nothing more.

        @return: what still sends.
        """
        self.isOver = True
        self.reader.stop()
        self.source = self._handler = None
        sender, self.sender = self.sender, None
        return sender

    def over(self, clean: bool) -> None:
        """
        The response is complete: use the connection again, or close it.

        @param clean: whether nothing was received behind it.
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
        Drop the connection: the application does not want it.
        """
        self._end()
        self.connection.exchangeFailed()

    def ended(self) -> None:
        """
        Tell the trace that the response is complete.
        """
        self._report("ended")

    def giveTo(self, protocol: IProtocol) -> None:
        """
        Give the connection to another protocol.
        """
        rest = self.reader.takeRest()
        self._end()
        self.connection.giveTo(protocol, rest, self._report)

    def cancel(self) -> None:
        """
        The answer to the request is not wanted any more.
        """
        kind = errors.Generation if self.sender is not None else None
        self.fail(Failure(CancelledError()), kind)

    def fail(
        self, reason: Failure, kind: Any = None, nothingSent: bool = False
    ) -> None:
        """
        The exchange has failed: drop the connection and tell whoever waits.

        @param kind: what it fails with, if that is not for others to find out.
        @param nothingSent: whether the server has certainly seen nothing of it.
        """
        if self.isOver:
            return
        source = self.source
        response = None if source is None else source.take()
        handler = self._handler
        sender = self._end()
        if self._passage is not None:
            self._passage.cancel()
        self.connection.exchangeFailed()
        # All that is called from here on is the application's, or calls it.
        if sender is not None:
            sender.stop()
        elapsed = self.connection.clock.seconds() - self.request.started
        late = isinstance(reason.value, TimedOut)
        if source is None:
            phase = errors.SENDING if sender is not None or kind else errors.HEAD
            if kind is None:
                kind = self._kindOfFailure(sender is not None, late)
        else:
            phase = errors.BODY
            kind = errors.FailedTimedOut if late else errors.Failed
        failure = errors.wrap(kind, phase, elapsed, reason, response=response)
        self._report("ended", failure)
        if handler is not None:
            handler.requestFailed(failure, nothingSent)
        elif response is not None:
            response._ended(failure)

    def _kindOfFailure(self, sending: bool, late: bool) -> Any:
        """
        What has failed while there was no response yet.
        """
        if self._seen:
            return errors.FailedTimedOut if late else errors.Failed
        if sending:
            return errors.TransmissionTimedOut if late else errors.Transmission
        return errors.NeverReceivedTimedOut if late else errors.NeverReceived
