"""
The body of a request on its way out.

A body is C{bytes} or an L{IBodyProducer}.  L{BodySender} frames it, by its
length, or chunked where the length is not known (or h11 does, to the same
bytes), holds the producer to the length it promised, and passes the transport's
back-pressure on to it.  The producer's C{stopProducing} is called at most once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h11
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web._newclient import ExcessWrite, WrongBodyLength
from zope.interface import implementer

if TYPE_CHECKING:
    from twisted_h11._client_request import ClientRequest
    from twisted_h11._exchange import ClientConnection

__all__ = ["PIECE_LENGTH", "BodySender"]

# In which pieces a body that is given as bytes goes out, if it is long.
PIECE_LENGTH = 64 * 1024

_log = Logger()


@implementer(IConsumer, IPushProducer)
class BodySender:
    """
    Sends the body of one request over one connection.

    @ivar started: whether any of it has been asked for.
    """

    def __init__(self, connection: ClientConnection, request: ClientRequest) -> None:
        self._connection: ClientConnection | None = connection
        self._request = request
        self._body: Any = request.body
        self._chunked = request.chunked
        self._fast = request.fast
        self._left = request.length if request.length is not None else -1
        self._offset = 0
        self._paused = False
        self.started = False
        if not isinstance(self._body, bytes):
            # It is called for each write of a fast upload: without a detour.
            self.pauseProducing = self._body.pauseProducing  # type: ignore[method-assign]
            self.resumeProducing = self._body.resumeProducing  # type: ignore[method-assign]

    def start(self) -> None:
        """
        Begin to send.
        """
        connection = self._connection
        if self.started or connection is None:
            return
        self.started = True
        # From here on the body goes to the transport as it is.
        connection._flush()
        if isinstance(self._body, bytes):
            connection.registerProducer(self, True)
            self._writePieces()
            return
        self._request.bodyStarted = True
        try:
            producing: Deferred[None] = self._body.startProducing(self)
        except BaseException:
            self._failed(Failure())
            return
        if self._connection is not None and not producing.called:
            # Only now: a producer may not be paused before it was started.
            connection.registerProducer(self, True)
        producing.addCallbacks(self._finished, self._failed)

    def stop(self) -> None:
        """
        No more of the body is wanted.
        """
        connection, self._connection = self._connection, None
        if connection is None:
            return
        connection.unregisterProducer()
        if self.started and not isinstance(self._body, bytes):
            try:
                self._body.stopProducing()
            except Exception:
                _log.failure("A body producer failed to stop")

    # -- the consumer that the producer sees --------------------------------

    def write(self, data: bytes) -> None:
        """
        Send a piece of the body.

        @raise ExcessWrite: after the body has ended.
        """
        connection = self._connection
        if connection is None:
            raise ExcessWrite()
        size = len(data)
        if not size:
            # An empty chunk would end the body.
            return
        if self._left >= 0:
            self._left -= size
            if self._left < 0:
                self.stop()
                connection.generationFailed(
                    Failure(WrongBodyLength("too many bytes written"))
                )
                return
        wire = connection._wire
        if wire is not None and connection._closing is None:
            if not self._fast:
                connection.sendEvent(h11.Data(data=data))
            elif self._chunked:
                wire.writeSequence((b"%x\r\n" % (size,), data, b"\r\n"))
            else:
                wire.write(data)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        The producer is known already.
        """

    def unregisterProducer(self) -> None:
        """
        The producer's Deferred tells the end.
        """

    def _finished(self, _: object) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        connection.unregisterProducer()
        if self._left > 0:
            connection.generationFailed(
                Failure(WrongBodyLength("too few bytes written"))
            )
            return
        if not self._fast:
            connection.sendEvent(h11.EndOfMessage())
        elif self._chunked:
            connection._send(b"0\r\n\r\n")
        connection.bodySent()

    def _failed(self, reason: Failure) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            _log.failure("A body producer failed after its request", failure=reason)
            return
        connection.unregisterProducer()
        connection.generationFailed(reason)

    # -- the producer that the connection sees ------------------------------

    def pauseProducing(self) -> None:
        """
        The server does not read.
        """
        self._paused = True

    def resumeProducing(self) -> None:
        """
        The server reads again.
        """
        self._paused = False
        self._writePieces()

    def stopProducing(self) -> None:
        """
        The connection is gone.
        """
        self.stop()

    def _writePieces(self) -> None:
        while not self._paused and self._connection is not None:
            piece = self._body[self._offset : self._offset + PIECE_LENGTH]
            if not piece:
                self._finished(None)
                return
            self._offset += len(piece)
            self.write(piece)
