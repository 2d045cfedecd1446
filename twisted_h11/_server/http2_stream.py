"""
The channel of one HTTP/2 request: Twisted's stream, with a queue before it.

Bytes in one of Twisted's streams that flow control does not allow to be sent (RFC 9113
section 5.2) make the reactor spin, and have no bound.  So a L{Stream} queues what is
written to it, gives Twisted only what may be sent now, and pauses its producer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from twisted.internet.error import ConnectionAborted
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers

from twisted_h11._boundary.guarded import guarded, log_failure
from twisted_h11._boundary.octets import as_bytes
from twisted_h11._http.response_to_send import ResponseHead
from twisted_h11._server.foreign import has_failed
from twisted_h11._server.http2_response import (
    Content,
    failed_answer,
    fields_of,
    head_of,
)
from twisted_h11._wire.producers import PullAdapter

__all__ = ["Stream"]


class _Owner(Protocol):
    """
    The interface of a connection for its streams.
    """

    def wrote(self) -> None:
        """
        A stream has more to send.
        """


class _Flow(Protocol):
    """
    The interface of the flow control for streams.

    @ivar firstWindow: how many bytes may be sent on a new stream.
    """

    firstWindow: int

    def reset(self, stream: Stream) -> None:
        """
        Call C{reset} of a stream as soon as Twisted can do it.
        """


class Stream:
    """
    The channel of one request.

    @ivar coming: whether the client is still sending the request.
    @ivar connection: the transport of the connection.
    @ivar received: how many bytes of its body have arrived.
    @ivar window: how many bytes may be sent.
    @ivar given: how many bytes Twisted has, and has not sent.
    @ivar queued: how many bytes are queued here.
    @ivar finished: whether all of the response was written.
    @ivar request: the application's request object; C{None} once its response has
        ended.
    @ivar answer: the response head that was sent.
    """

    _log = Logger()

    request: Any = None
    answer: ResponseHead | None = None

    def __init__(self, owner: _Owner, flow: _Flow, connection: Any) -> None:
        self._owner = owner
        self._flow = flow
        self.connection = connection
        self._twisteds: Any = None
        self._content = Content()
        self._queue: deque[bytes] = deque()
        self._end: Callable[[], object] | None = None
        self._producer: Any = None
        self._paused = self._over = False
        self.window = flow.firstWindow
        self.coming = True
        self.finished = False
        self.received = self.given = self.queued = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._twisteds, name)

    def attach(self, twisteds: Any) -> None:
        """
        Set the stream that Twisted has made.
        """
        self._twisteds = twisteds

    @property
    def unsent(self) -> int:
        """
        How many bytes wait for the client.
        """
        return self.queued + self.given

    @property
    def waits(self) -> bool:
        """
        Whether anything waits for the client.
        """
        return self._paused or self.unsent > 0

    # -- for the request -----------------------------------------------------------

    def writeHeaders(
        self, version: bytes, code: bytes, reason: bytes, headers: Headers
    ) -> None:
        """
        Send a response head, with the fields that the site adds, or a 500 if the head
        is invalid.

        @param version: not used.
        """
        if self.answer is not None or self._over:
            return
        try:
            answer = head_of(self, code, reason, headers)
        except (TypeError, ValueError) as error:
            # The application may have given values of any type.
            self._failed(f"gave a response that can not be sent: {error}")
        else:
            self._begin(answer)

    def _begin(self, answer: ResponseHead) -> None:
        self.answer = answer
        self._content.begin(answer)
        status = b"%d" % answer.status
        self._twisteds.writeHeaders(b"HTTP/2", status, b"", fields_of(answer))

    def _failed(self, text: str) -> None:
        """
        The application's response head is invalid: log that, and send a 500.
        """
        self._complain(self.request, text)
        answer, page = failed_answer(self)
        self._begin(answer)
        self._queueUp(self._content.take(page))
        self._content.end()
        self._finish(lambda: self._twisteds.requestDone(None))
        # If it has ended by then, that does nothing.
        self.callLater(0, self._tellLost)

    def write(self, data: bytes) -> None:
        """
        Write content.  What exceeds the response's C{Content-Length} is dropped, and
        what a response without content has.
        """
        try:
            data = as_bytes(data)
        except TypeError:
            self._cut()
            raise
        answer = self.answer
        if answer and not self.finished and has_failed(self.request, answer):
            self._complain(self.request, "failed after its head")
            self._cut()
        whole = len(data)
        data = self._content.take(data)
        self._dropped(whole - len(data))
        self._queueUp(data)

    def _queueUp(self, data: bytes) -> None:
        if data and not self._over:
            self._queue.append(data)
            self.queued += len(data)
            self._owner.wrote()
            if self.queued and self._producer is not None and not self._paused:
                self._paused = True
                guarded("A producer", self._producer.pauseProducing)

    def _cut(self) -> None:
        """Take nothing more, and reset the stream when all was sent."""
        self._content.end()
        self.loseConnection()

    def _dropped(self, length: int) -> None:
        """Some content is not sent, though the request has counted it."""
        if length and hasattr(self.request, "sentLength"):
            self.request.sentLength -= length

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """
        Write content.
        """
        self.write(b"".join(data))

    def requestDone(self, request: Any) -> None:
        """
        End the response when all was sent.  One with less content than its
        C{Content-Length} is reset, so that the client can tell.
        """
        self.request = None
        if self._content.exceeds:
            self._complain(request, "sent more than its Content-Length")
        if self.answer is None:
            # It has written to the channel, as if that were HTTP/1.
            self._finish(self.abortConnection)
        elif self._content.misses:
            self._complain(request, "sent less than its Content-Length")
            self._finish(self.abortConnection)
        else:
            self._finish(lambda: self._twisteds.requestDone(request))

    def _complain(self, request: Any, text: str) -> None:
        self._log.error("{request} {text}", request=request, text=text)

    def loseConnection(self) -> None:
        """
        Reset the stream when all was sent.  Twisted's stream would end in good order,
        as if the response were complete.
        """
        self._finish(self.abortConnection)

    def abortConnection(self) -> None:
        """
        Reset the stream, so that the client can tell that the response is not
        complete; and tell the request.
        """
        if not self._over:
            self._over = True
            self._drop()
            self._flow.reset(self)

    def setHalfCloseTimeout(self, seconds: float) -> None:
        """
        Do nothing: TLS has no half-close.

        @param seconds: not used.
        """

    def _finish(self, end: Callable[[], object]) -> None:
        if not self.finished and not self._over:
            self.finished = True
            self._end = end
            self._owner.wrote()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        See L{twisted.internet.interfaces.IConsumer}.
        """
        if self._producer is not None:
            raise RuntimeError(
                f"Cannot register producer {producer}, because producer "
                f"{self._producer} was never unregistered."
            )
        if self._over:
            guarded("A producer", producer.stopProducing)
            return
        self._paused = False
        if not streaming:
            producer = PullAdapter(producer, self._step)
        self._producer = producer
        if self.queued:
            self._paused = True
            guarded("A producer", producer.pauseProducing)

    def unregisterProducer(self) -> None:
        """
        See L{twisted.internet.interfaces.IConsumer}.
        """
        producer, self._producer = self._producer, None
        self._paused = False
        if isinstance(producer, PullAdapter):
            producer.end()

    def _step(self, step: Callable[[], object]) -> None:
        """
        Have a pull producer write its next piece.
        """
        try:
            step()
        except Exception:
            log_failure("A producer")
            producer = self._producer
            if producer is not None:
                self.unregisterProducer()
                self.abortConnection()

    # -- for the connection ----------------------------------------------------------

    def give(self, most: int) -> int:
        """
        Give Twisted what may be sent now.

        @param most: how many bytes at most.
        @return: how many bytes were given.
        """
        total = 0
        while self._queue and total < most and not self._over:
            piece = self._queue.popleft()
            left = most - total
            if len(piece) > left:
                self._queue.appendleft(piece[left:])
                piece = piece[:left]
            total += len(piece)
            self.queued -= len(piece)
            self.given += len(piece)
            self._twisteds.write(piece)
        if self._queue or self._over:
            return total
        if self._end is not None:
            if not self.given:
                end, self._end = self._end, None
                end()
        elif self._paused:
            self._paused = False
            guarded("A producer", self._producer.resumeProducing)
        return total

    def reset(self) -> None:
        """
        Have Twisted reset the stream, and tell the request.
        """
        self._twisteds.abortConnection()
        self._tellLost()

    def _tellLost(self) -> None:
        lost = Failure(ConnectionAborted())
        guarded("A request's connectionLost", self._twisteds.connectionLost, lost)

    def close(self) -> None:
        """
        The stream is over: drop the queue, and stop the producer.
        """
        self._over = True
        self._dropped(self.given)
        self.given = 0
        self._drop()

    def callLater(self, seconds: float, call: Callable[..., Any], *args: Any) -> Any:
        """
        See L{twisted.internet.interfaces.IReactorTime.callLater}.
        """
        return self.site.reactor.callLater(seconds, call, *args)

    def _drop(self) -> None:
        self._dropped(self.queued)
        self._queue.clear()
        self.queued = 0
        self._end = None
        producer, self._producer = self._producer, None
        if producer is not None:
            guarded("A producer", producer.stopProducing)
