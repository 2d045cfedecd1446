"""
The body of a request, on its way to the protocol that reads it.

It has the interface of a response's body on the client side: C{deliverBody(protocol)}
is called once, and the protocol gets C{dataReceived} and at last C{connectionLost},
with L{ResponseDone} if the body was complete.  So L{twisted.web.client.readBody} and
treq's functions for responses work on it.

While the protocol has paused its transport, or there is no protocol yet, up to
C{Limits.bodyBufferLength} bytes wait; see L{twisted_h11._wire.delivery}.

A failure is reported at once, also to a protocol that has paused, for example because
it waits for a slow disk.

A body has only a weak reference to its request.  The request refers to the body, and
both must be freed with the connection, and not in the next garbage collection.
"""

from __future__ import annotations

import weakref
from typing import Any, BinaryIO

from twisted.internet.interfaces import IProtocol, IPushProducer, ITransport
from twisted.python.failure import Failure
from twisted.web.iweb import UNKNOWN_LENGTH
from zope.interface import implementer

from twisted_h11._boundary.checks import check_protocol
from twisted_h11._boundary.guarded import log_failure
from twisted_h11._wire.delivery import BodyIterator, Delivery

__all__ = ["RequestBody", "RequestBodyCut", "SpooledBody"]

_PIECE_LENGTH = 64 * 1024


class RequestBodyCut(Exception):
    """
    The body of a request ended before it was complete.

    @since: 0.1
    """


@implementer(ITransport, IPushProducer)
class RequestBody(Delivery):
    """
    A request's body, before or while it is delivered; and the transport of the
    protocol that takes it.

    It has the attributes that functions for responses use.

    @ivar length: the length of the body in bytes, or
        L{twisted.web.iweb.UNKNOWN_LENGTH}.
    @ivar headers: the request's fields.
    @ivar code: C{200}, for functions that were written for responses.
    @ivar phrase: C{b"OK"}, likewise.

    @since: 0.1
    """

    code = 200
    phrase = b"OK"
    previousResponse = None

    def __init__(self, channel: Any, request: Any, length: Any) -> None:
        """
        @param channel: the source that is held, released and aborted, usually a
            L{Channel<twisted_h11._server.channel.Channel>}; C{None} for a body that
            has arrived.
        @param request: the request.
        @param length: the length in bytes, or
            L{twisted.web.iweb.UNKNOWN_LENGTH}.
        """
        high = channel.limits.bodyBufferLength if channel is not None else 0
        super().__init__(channel, high)
        self._request = weakref.ref(request)
        self.length = UNKNOWN_LENGTH if length is None else length
        self.headers = request.requestHeaders
        self.version = (b"HTTP", 1, 1)

    def __repr__(self) -> str:
        if self.over:
            state = "ended"
        elif not self._taken:
            state = "not taken"
        else:
            state = "paused" if self._paused else "flowing"
        return f"<{type(self).__name__} {state} length={self.length!r}>"

    @property
    def request(self) -> Any:
        """
        The request; C{None} when it is over and was freed.
        """
        return self._request()

    # -- for the application ----------------------------------------

    def deliverBody(self, protocol: IProtocol) -> None:
        """
        Deliver the body, from its beginning, to a protocol.

        This sends C{100 Continue} if the client waits for it.

        @param protocol: gets C{makeConnection} with a transport that it may
            pause, C{dataReceived}, and C{connectionLost}: with
            L{twisted.web.client.ResponseDone} if the body was complete, else
            with L{RequestBodyCut}.
        @raise TypeError: if C{protocol} is not a protocol.
        @raise RuntimeError: if the body was taken already.
        """
        check_protocol(protocol)
        if self._taken:
            raise RuntimeError("The body of this request was taken already.")
        self._taken = True
        self._reader = protocol
        if self._source is not None:
            self._source.sendContinue()
        protocol.makeConnection(self)
        self._deliver()

    def __aiter__(self) -> BodyIterator[bytes]:
        """
        The body, piece by piece, with back-pressure on the client.
        """
        return BodyIterator(self)

    # -- the transport of the protocol ------------------------------

    def stopProducing(self) -> None:
        """
        See L{loseConnection}.
        """
        self.loseConnection()

    def loseConnection(self) -> None:
        """
        Deliver no more of the body.  The rest is read and dropped within a bound, or
        else the connection ends after the response.
        """
        self.cut(Failure(RequestBodyCut("The rest of the body was refused.")))
        self._release()

    def abortConnection(self) -> None:
        """
        Drop the client's connection.
        """
        source = self._source
        self.loseConnection()
        if source is not None:
            source.abortConnection()

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
        The server's own address; C{None} when the request is over.
        """
        request = self.request
        return None if request is None else request.getHost()

    # -- from the channel -------------------------------------------

    def ended(self, reason: Failure | None = None) -> None:
        """
        All of the body has arrived, or will never arrive.

        @param reason: why it is not complete; C{None} if it is.
        """
        self._release()
        super().ended(reason)

    def failed(self, reason: Failure) -> None:
        """
        The connection was lost, or the request refused.
        """
        cut = RequestBodyCut(f"The body was cut: {reason.getErrorMessage()}")
        cut.__cause__ = reason.value
        self._fail(cut)

    def dropped(self) -> None:
        """
        The response has ended before the body did.
        """
        self._fail(RequestBodyCut("The response ended before the body."))

    def _fail(self, cut: Exception) -> None:
        """
        Cut the body: it will never be complete.
        """
        self._source = None
        if not self.over:
            self.cut(Failure(cut))

    def _readerFailed(self, failure: Failure) -> None:
        """
        The protocol, or reading the body's file, has failed: fail the request.
        """
        cut = RequestBodyCut("The application failed while reading the body.")
        cut.__cause__ = failure.value
        self.cut(Failure(cut), True)
        request = self.request
        if request is not None:
            request.takerFailed(failure)
        else:
            log_failure("The reader of the body of a request", failure)

    _readerFailedAtEnd = _readerFailed


class SpooledBody(RequestBody):
    """
    A body that was collected in a file before its resource was found, delivered from
    that file.
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

    def cut(self, reason: Failure, always: bool = False) -> None:
        # Also cut what the file has and was not read yet.
        super().cut(reason, always or self._reader is not None or not self._taken)

    def _refill(self) -> bool:
        if self.over:
            return False
        if self._content.closed:
            # A request closes its content when it is over.
            self.over = True
            self.end = Failure(RequestBodyCut("The response ended before the body."))
            return False
        data = self._content.read(_PIECE_LENGTH)
        if not data:
            self.over = True
            return False
        self._waiting.append(data)
        self._size += len(data)
        return True
