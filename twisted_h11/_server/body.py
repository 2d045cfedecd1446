"""
The body of a request, on its way to whoever takes it.

This is the mirror image of a response's body on the client side: it is taken
with C{deliverBody(protocol)}, once, and the protocol gets C{dataReceived} and
at last C{connectionLost}, with L{ResponseDone} if the body was complete.  So
L{twisted.web.client.readBody} and treq's functions, which were written for
responses, work on it.

Back-pressure has two marks.  What the protocol does not take (it has paused its
transport, or there is none yet) waits here; at C{Limits.bodyBufferLength} the
network is paused, at a quarter of that it is resumed.

A failure is told at once, also to a protocol that has paused: nothing more will
come, and whoever waits for a slow disk should hear of it.

A body knows its request by a weak reference only.  The request holds the body,
and the two must die with the connection, not with the next run of the garbage
collector.
"""

from __future__ import annotations

import weakref
from collections import deque
from copy import copy
from typing import Any, BinaryIO

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IPushProducer, ITransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.iweb import UNKNOWN_LENGTH
from zope.interface import implementer

from twisted_h11._boundary.checks import check_protocol
from twisted_h11._boundary.guarded import log_failure
from twisted_h11._wire.wire import CONSUMER

__all__ = ["BodyIterator", "RequestBody", "RequestBodyCut", "SpooledBody"]

_PIECE_LENGTH = 64 * 1024

# Pieces that wait are joined up to this length, so that a body in chunks of one
# byte does not cost an object for each.
_JOINED_LENGTH = 4 * 1024


class RequestBodyCut(Exception):
    """
    The body of a request ended before it was complete.

    @since: 0.1
    """


@implementer(ITransport, IPushProducer)
class RequestBody:
    """
    A request's body, before or while it is delivered; and the transport of the
    protocol that takes it.

    It has the names that functions for responses look at.

    @ivar length: how many bytes it will have, or
        L{twisted.web.iweb.UNKNOWN_LENGTH}.
    @ivar headers: the request's fields.
    @ivar code: C{200}, for functions that were written for responses.
    @ivar phrase: C{b"OK"}, likewise.

    @since: 0.1
    """

    code = 200
    phrase = b"OK"
    previousResponse = None
    disconnecting = False

    def __init__(self, channel: Any, request: Any, length: Any) -> None:
        """
        @param channel: what is paused, resumed and aborted; C{None} for a body
            that is here.  Usually a L{Channel<twisted_h11._server.channel.Channel>}.
        """
        self._channel = channel
        self._request = weakref.ref(request)
        self.length = UNKNOWN_LENGTH if length is None else length
        self.headers = request.requestHeaders
        self.version = (b"HTTP", 1, 1)
        self._high: int = channel.limits.bodyBufferLength if channel is not None else 0
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._protocol: Any = None
        self._taken = False
        self._paused = False
        self._delivering = False
        self._end: Failure | None = None

    def __repr__(self) -> str:
        if self._end is not None:
            state = "ended"
        elif not self._taken:
            state = "not taken"
        else:
            state = "paused" if self._paused else "flowing"
        return f"<{type(self).__name__} {state} length={self.length!r}>"

    @property
    def request(self) -> Any:
        """
        The request; C{None} when it is over and nobody holds it.
        """
        return self._request()

    # -- for whoever takes it ---------------------------------------

    def deliverBody(self, protocol: IProtocol) -> None:
        """
        Deliver the body, from its beginning, to a protocol.

        A client that waits for C{100 Continue} is sent it now.

        @param protocol: gets C{makeConnection} with a transport that it may
            pause, C{dataReceived}, and C{connectionLost}: with
            L{twisted.web.client.ResponseDone} if the body was complete, else
            with L{RequestBodyCut}.
        @raise TypeError: if C{protocol} is none.
        @raise RuntimeError: if the body was taken already.
        """
        check_protocol(protocol)
        if self._taken:
            raise RuntimeError("The body of this request was taken already.")
        self._taken = True
        self._protocol = protocol
        if self._channel is not None and self._end is None:
            self._channel.sendContinue()
        protocol.makeConnection(self)
        self._deliver()

    def __aiter__(self) -> BodyIterator:
        """
        The body, piece by piece; a loop over it holds the client back.
        """
        iterator = BodyIterator(self)
        self.deliverBody(_Feed(iterator))
        return iterator

    # -- the transport of the protocol ------------------------------

    def pauseProducing(self) -> None:
        """
        Deliver nothing more for now.
        """
        self._paused = True

    def resumeProducing(self) -> None:
        """
        Go on delivering.
        """
        if self._paused:
            self._paused = False
            self._deliver()

    def stopProducing(self) -> None:
        """
        The rest is not wanted.
        """
        self.loseConnection()

    def loseConnection(self) -> None:
        """
        The rest is not wanted: it is read and dropped within a bound, or the
        connection ends after the response.
        """
        self._cut(RequestBodyCut("The rest of the body was refused."))
        self._releaseNetwork()

    def abortConnection(self) -> None:
        """
        Drop the client's connection.
        """
        channel = self._channel
        self.loseConnection()
        if channel is not None:
            channel.abortConnection()

    def write(self, data: bytes) -> None:
        """
        Nothing can be written to a body that is received.
        """

    def writeSequence(self, data: Any) -> None:
        """
        See L{write}.
        """

    def getPeer(self) -> Any:
        """
        The client's address; C{None} when the request is over.
        """
        request = self.request
        return None if request is None else request.getClientAddress()

    def getHost(self) -> Any:
        """
        Our own address; C{None} when the request is over.
        """
        request = self.request
        return None if request is None else request.getHost()

    # -- from the channel -------------------------------------------

    def dataReceived(self, data: bytes) -> None:
        """
        Some of the body has arrived.
        """
        if self._end is not None:
            return
        self._keep(data)
        self._deliver()
        if self._size > self._high and self._channel is not None:
            self._channel.hold(CONSUMER)

    def ended(self) -> None:
        """
        All of the body has arrived.
        """
        self._releaseNetwork()
        self._channel = None
        self._finish(Failure(ResponseDone()))

    def failed(self, reason: Failure) -> None:
        """
        The connection was lost, or the request refused.
        """
        self._channel = None
        cut = RequestBodyCut(f"The body was cut: {reason.getErrorMessage()}")
        cut.__cause__ = reason.value
        self._fail(cut)

    def dropped(self) -> None:
        """
        The response has ended before the body.
        """
        self._channel = None
        self._fail(RequestBodyCut("The response ended before the body."))

    # -- the loop ---------------------------------------------------

    def _keep(self, data: bytes) -> None:
        """
        Add to what waits.
        """
        waiting = self._waiting
        if waiting and len(waiting[-1]) + len(data) <= _JOINED_LENGTH:
            waiting[-1] += data
        else:
            waiting.append(data)
        self._size += len(data)

    def _finish(self, end: Failure) -> None:
        if self._end is None:
            self._end = end
            self._deliver()

    def _fail(self, cut: Exception) -> None:
        """
        The body will never be complete.
        """
        if self._end is None:
            self._cut(cut)

    def _cut(self, cut: Exception) -> None:
        """
        Forget what waits, and say so; unless all of it was delivered.
        """
        if self._end is None or self._waiting:
            self._end = Failure(cut)
        self._waiting.clear()
        self._size = 0
        self._paused = False
        self._deliver()

    def _deliver(self) -> None:
        """
        Deliver what may be delivered; then, if that was all, its end.
        """
        if self._delivering or not self._taken:
            return
        self._delivering = True
        try:
            while not self._paused and (self._waiting or self._refill()):
                data = self._waiting.popleft()
                self._size -= len(data)
                self._protocol.dataReceived(data)
        except KeyboardInterrupt:
            raise
        except BaseException:
            self._failedIn(Failure())
        finally:
            self._delivering = False
        if self._size <= self._high // 4:
            self._releaseNetwork()
        if self._end is not None and not self._waiting and not self._paused:
            protocol, self._protocol = self._protocol, None
            if protocol is not None:
                try:
                    protocol.connectionLost(self._end)
                except KeyboardInterrupt:
                    raise
                except BaseException:
                    self._failedIn(Failure())

    def _failedIn(self, failure: Failure) -> None:
        """
        Whoever takes the body, or its file, has failed: so has the request.
        """
        cut = RequestBodyCut("Whoever took the body has failed.")
        cut.__cause__ = failure.value
        self._end = Failure(cut)
        self._waiting.clear()
        self._size = 0
        self._paused = False
        request = self.request
        if request is not None:
            request.takerFailed(failure)
        else:
            log_failure("Whoever took the body of a request", failure)

    def _refill(self) -> bool:
        """
        Hook: whether there is more, now in C{_waiting}.
        """
        return False

    def _releaseNetwork(self) -> None:
        if self._channel is not None:
            self._channel.release(CONSUMER)


class SpooledBody(RequestBody):
    """
    A body that was collected before its resource was found, delivered from
    where it was collected.
    """

    def __init__(self, request: Any, content: BinaryIO) -> None:
        content.seek(0, 2)
        super().__init__(None, request, content.tell())
        content.seek(0)
        self._content = content

    def abortConnection(self) -> None:
        """
        Drop the client's connection.
        """
        self.loseConnection()
        request = self.request
        if request is not None:
            request.abort()

    def _cut(self, cut: Exception) -> None:
        # What was not read yet waits too.
        if self._protocol is not None or not self._taken:
            self._end = None
        super()._cut(cut)

    def _refill(self) -> bool:
        if self._end is not None:
            return False
        if self._content.closed:
            # Requests close their content when they are over.
            self._end = Failure(RequestBodyCut("The response ended before the body."))
            return False
        data = self._content.read(_PIECE_LENGTH)
        if not data:
            self._end = Failure(ResponseDone())
            return False
        self._waiting.append(data)
        self._size += len(data)
        return True


class BodyIterator:
    """
    A body as an asynchronous iterator: C{async for data in request.body}.

    It holds the body, which does not hold it; so a loop that was left early
    leaves nothing behind.
    """

    def __init__(self, body: RequestBody) -> None:
        self._body = body
        self._pieces: deque[bytes] = deque()
        self._end: Failure | None = None
        self._waiter: Deferred[None] | None = None

    def __aiter__(self) -> BodyIterator:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self._end is not None:
                if self._end.check(ResponseDone):
                    raise StopAsyncIteration
                # A copy: its traceback has our frame, and we must not hold what
                # holds us.
                error: Any = self._end.value
                raise copy(error) from error.__cause__
            # It may be called, and forgotten, before resumeProducing returns.
            waiter: Deferred[None] = Deferred()
            self._waiter = waiter
            self._body.resumeProducing()
            await waiter
        return self._pieces.popleft()

    def received(self, data: bytes) -> None:
        """
        A piece is here.
        """
        self._pieces.append(data)
        self._wake()

    def ended(self, end: Failure) -> None:
        """
        The last piece was taken.
        """
        self._end = end
        self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.called:
            waiter.callback(None)


@implementer(IProtocol)
class _Feed:
    """
    Takes a body for a L{BodyIterator}, one piece at a time.
    """

    def __init__(self, iterator: BodyIterator) -> None:
        self._iterator = weakref.ref(iterator)

    def makeConnection(self, transport: ITransport) -> None:
        """
        Take nothing before somebody asks.
        """
        transport.pauseProducing()  # type: ignore[attr-defined]

    def connectionMade(self) -> None:
        """
        Nothing to do.
        """

    def dataReceived(self, data: bytes) -> None:
        """
        One piece at a time.
        """
        iterator = self._iterator()
        if iterator is not None:
            iterator._body.pauseProducing()
            iterator.received(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The last piece was taken.
        """
        iterator = self._iterator()
        if iterator is not None:
            iterator.ended(reason)
