"""
Sending the body of a request.

A body is C{bytes} or an L{IBodyProducer}.  L{BodySender} frames it, by its length, or
chunked where the length is not known (or h11 does, with the same bytes), checks that
the producer writes as many bytes as its C{length} says, and passes the transport's
back-pressure on to it.  The producer's C{stopProducing} is called at most once.  If the
application cancels the request, the Deferred of C{startProducing} is cancelled, too:
twisted.web's agent does only that.

A producer that raises, returns no Deferred, writes anything but bytes, or writes too
much or too little fails the request.  The connection is dropped first, so that the
server can not read the bytes that were written as another message.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from typing import Protocol as Interface

import h11
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.python.failure import Failure
from twisted.web._newclient import ExcessWrite, WrongBodyLength
from zope.interface import implementer

from twisted_h11._boundary.guarded import guarded, log_failure
from twisted_h11._client.errors import Generation
from twisted_h11._client.request import ClientRequest
from twisted_h11._wire.wire import Wire

__all__ = ["BodySender", "send_whole"]

# A body that is given as bytes is sent in pieces of this many bytes.
PIECE_LENGTH = 64 * 1024


def _nothing() -> None:
    """
    Replaces a method that a producer lacks: the body producer of Twisted's own
    example has no C{resumeProducing}.
    """


def piece_of(data: Any) -> bytes:
    """
    Copy what a producer has written to C{bytes}: it does not change later, and its
    length is in bytes (a C{memoryview} may have items of several bytes).

    @raise TypeError: if C{data} is not bytes-like.
    """
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise TypeError(
        f"The body of a request is written as bytes, not {type(data).__name__}"
    )


def send_whole(
    send: Callable[[bytes], object],
    request: ClientRequest,
    conn: h11.Connection | None,
) -> bool:
    """
    Send a request in one piece, if its body is short and need not wait for a 100.

    @param send: called with the bytes.
    @param conn: the h11 connection that writes the body; C{None} on the fast path.
    @return: whether the request was sent.
    """
    body, data = request.body, request.head
    if body is not None:
        if not isinstance(body, bytes) or len(body) > PIECE_LENGTH:
            return False
        if request.expect or request.chunked:
            return False
        if conn is None:
            data += body
        elif body:
            data += conn.send(h11.Data(data=body)) or b""
    if conn is not None:
        data += conn.send(h11.EndOfMessage()) or b""
    send(data)
    return True


class SendingUser(Interface):
    """
    The owner of a L{BodySender}.  One of the two methods is called, once, at its end.
    """

    def bodySent(self) -> None:
        """
        The whole body was written.
        """

    def fail(self, reason: Failure, kind: Any) -> None:
        """
        The producer of the body has failed.

        @param kind: the class of the request's error.
        """


@implementer(IConsumer, IPushProducer)
class BodySender:
    """
    Sends the body of one request.

    @param wire: the wire to write to.
    @param conn: the h11 connection that writes the body; C{None} on the fast path.

    @ivar started: whether sending has begun.
    @ivar written: how many bytes were written, if the body was given as bytes.
    """

    def __init__(
        self,
        user: SendingUser,
        wire: Wire,
        request: ClientRequest,
        conn: h11.Connection | None,
    ) -> None:
        self._user: SendingUser | None = user
        self._wire = wire
        self._request: ClientRequest | None = request
        self._h11 = conn
        self._body: Any = request.body
        self._chunked = request.chunked
        self._left = request.length if request.length is not None else -1
        self._offset = 0
        self._paused = False
        self.started = False
        self.written = 0
        self._refused = False
        self._isCancelled = False
        self._producing: Deferred[Any] | None = None
        body = self._body
        if not isinstance(body, bytes):
            # These are called for each write of a fast upload: bind them directly.
            self.pauseProducing = getattr(body, "pauseProducing", _nothing)  # type: ignore[method-assign]
            self.resumeProducing = getattr(body, "resumeProducing", _nothing)  # type: ignore[method-assign]

    def start(self) -> None:
        """
        Begin to send the body; a producer is started.
        """
        user, request = self._user, self._request
        if self.started or user is None or request is None:
            return
        self.started = True
        # From here on the body is written to the transport, past the wire's buffer.
        self._wire.flush()
        if isinstance(self._body, bytes):
            self._wire.backPressure().registerProducer(self, True)
            self._writePieces()
            return
        request.bodyStarted = True
        try:
            producing: object = self._body.startProducing(self)
        except BaseException:
            self._failed(Failure())
            return
        if not isinstance(producing, Deferred):
            error = TypeError(
                f"startProducing must return a Deferred, not {type(producing).__name__}"
            )
            if self._user is not None:
                user.fail(Failure(error), Generation)
            return
        self._producing = producing
        producing.addCallbacks(self._finished, self._failed)
        if self._user is not None:
            # Registered only now: a producer must not be paused before it is started.
            self._wire.backPressure().registerProducer(self, True)
        else:
            self._forget()

    def stop(self, reason: Failure | None = None) -> None:
        """
        Stop sending, and stop the producer.

        @param reason: why the request has failed; C{None} if it has not, or if the
            connection is lost.
        """
        if self._leave() is None:
            return
        self._isCancelled = reason is not None and bool(reason.check(CancelledError))
        if self.started and not isinstance(self._body, bytes):
            guarded(
                "Stopping a body producer",
                getattr(self._body, "stopProducing", _nothing),
            )
        self._forget()

    def _forget(self) -> None:
        """
        Drop the body: a producer usually keeps its consumer, which is this object.
        If the request was cancelled, so is the producer.
        """
        self._body = self._request = None
        for name in ("pauseProducing", "resumeProducing"):
            vars(self).pop(name, None)
        producing, self._producing = self._producing, None
        if producing is not None and self._isCancelled:
            guarded("Cancelling a body producer", producing.cancel)

    def _leave(self) -> SendingUser | None:
        """
        Stop sending.

        @return: the owner to call, or C{None} if the sender has ended already.
        """
        user, self._user = self._user, None
        if user is not None:
            self._wire.backPressure().unregisterProducer()
        return user

    # -- the consumer that the producer sees --------------------------------

    def write(self, data: bytes) -> None:
        """
        Send a piece of the body.

        @raise ExcessWrite: after the body has ended.
        @raise TypeError: if C{data} is not bytes-like; the request fails, too.
        """
        user = self._user
        if user is None:
            raise ExcessWrite()
        if type(data) is not bytes:
            try:
                data = piece_of(data)
            except TypeError as error:
                self._refused = True
                user.fail(Failure(error), Generation)
                raise
        size = len(data)
        if not size:
            # An empty chunk would end the body.
            return
        if self._left >= 0:
            self._left -= size
            if self._left < 0:
                excess = WrongBodyLength("too many bytes written")
                user.fail(Failure(excess), Generation)
                return
        wire = self._wire
        transport = wire.transport
        if wire.isOpen:
            if self._h11 is not None:
                wire.send(self._h11.send(h11.Data(data=data)) or b"")
            elif self._chunked:
                transport.writeSequence((b"%x\r\n" % (size,), data, b"\r\n"))
            else:
                transport.write(data)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Do nothing: the producer is the body itself.
        """

    def unregisterProducer(self) -> None:
        """
        Do nothing: the Deferred of C{startProducing} marks the end.
        """

    def _finished(self, _: object) -> None:
        user = self._leave()
        if user is None:
            return
        self._forget()
        if self._left > 0:
            user.fail(Failure(WrongBodyLength("too few bytes written")), Generation)
            return
        if self._h11 is not None:
            self._wire.send(self._h11.send(h11.EndOfMessage()) or b"")
        elif self._chunked:
            self._wire.send(b"0\r\n\r\n")
        user.bodySent()

    def _failed(self, reason: Failure) -> None:
        user = self._leave()
        if user is not None:
            self._forget()
            user.fail(reason, Generation)
        elif self._isCancelled and reason.check(CancelledError):
            pass
        elif not self._refused:
            # A TypeError of write() has failed the request already.
            log_failure("A body producer, after its request,", reason)

    # -- the producer that the connection sees ------------------------------

    def pauseProducing(self) -> None:
        """
        Pause: the transport's buffer is full.
        """
        self._paused = True

    def resumeProducing(self) -> None:
        """
        Send more pieces: the transport's buffer has room.
        """
        self._paused = False
        self._writePieces()

    def stopProducing(self) -> None:
        """
        The connection is lost: stop sending.
        """
        self.stop()

    def _writePieces(self) -> None:
        while not self._paused and self._user is not None:
            piece = self._body[self._offset : self._offset + PIECE_LENGTH]
            if not piece:
                self._finished(None)
                return
            self._offset += len(piece)
            self.written += len(piece)
            if self._chunked:
                self.written += len(b"%x\r\n\r\n" % (len(piece),))
            self.write(piece)
