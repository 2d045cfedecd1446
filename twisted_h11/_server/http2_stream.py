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
from twisted_h11._http.abnf import is_length
from twisted_h11._server.added_fields import adds_fields, fields_to_add
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
    """

    _log = Logger()

    # How many bytes are missing of the Content-Length; None without one.
    _left: int | None = None
    _excess = 0

    def __init__(self, owner: _Owner, flow: _Flow, connection: Any) -> None:
        self._owner = owner
        self._flow = flow
        self.connection = connection
        self._twisteds: Any = None
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
        Send a response head, with the fields that the site adds.

        @param version: not used.
        @param reason: not used.
        """
        length = headers.getRawHeaders(b"Content-Length")
        if length and (code == b"204" or (code == b"304" and length == [b"0"])):
            # RFC 9110 section 8.6, as in ResponseHead.
            headers = headers.copy()
            headers.removeHeader(b"Content-Length")
        elif length and code != b"304" and is_length(length[0]):
            self._left = int(length[0])
        if adds_fields(self.site, self, headers):
            fields = [(k, v) for k, vs in headers.getAllRawHeaders() for v in vs]
            headers = headers.copy()
            for name, value in fields_to_add(self.site, self, fields):
                headers.addRawHeader(name, value)
        self._twisteds.writeHeaders(version, code, reason, headers)

    def write(self, data: bytes) -> None:
        """
        Write content.  What exceeds the response's C{Content-Length} is dropped.
        """
        if self._left is not None:
            self._excess += max(len(data) - self._left, 0)
            data = data[: self._left]
            self._left -= len(data)
        if data and not self._over:
            self._queue.append(data)
            self.queued += len(data)
            self._owner.wrote()
            if self.queued and self._producer is not None and not self._paused:
                self._paused = True
                guarded("A producer", self._producer.pauseProducing)

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
        if self._excess:
            self._log.error(
                "{request} sent more than its Content-Length", request=request
            )
        if self._left and request.method != b"HEAD":
            self._log.error(
                "{request} sent less than its Content-Length", request=request
            )
            self._finish(self.abortConnection)
        else:
            self._finish(lambda: self._twisteds.requestDone(request))

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
        lost = Failure(ConnectionAborted())
        self._twisteds.abortConnection()
        guarded("A request's connectionLost", self._twisteds.connectionLost, lost)

    def close(self) -> None:
        """
        The stream is over: drop the queue, and stop the producer.
        """
        self._over = True
        self.given = 0
        self._drop()

    def _drop(self) -> None:
        self._queue.clear()
        self.queued = 0
        self._end = None
        producer, self._producer = self._producer, None
        if producer is not None:
            guarded("A producer", producer.stopProducing)
