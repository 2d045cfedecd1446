"""
The body of a request, read by a thread while it arrives.

C{wsgi.input} blocks until there is something to read.  Unread bytes wait in an
L{InputStream}, up to C{Limits.bodyBufferLength}; then reading from the client is
paused, until a quarter of that is left.
"""

from __future__ import annotations

import io
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from zope.interface import implementer

if TYPE_CHECKING:
    from twisted_h11._server.body import RequestBody

from twisted_h11._wsgi.hops import Hops

__all__ = ["ClientDisconnected", "InputStream", "open_input"]

# Waiting pieces are joined up to this length, in bytes: a body that arrives byte by
# byte must not cost an object for each byte.
_JOINED_LENGTH = 4 * 1024


class ClientDisconnected(ConnectionError):
    """
    The client has gone, or the server stops: the application can not read or write
    any more.  An C{OSError}, as frameworks expect of C{wsgi.input}.

    @since: 0.1
    """


@implementer(IProtocol)
class InputStream(io.RawIOBase):
    """
    Takes a body in the reactor's thread, for a thread that reads it.

    @param hops: makes calls in the reactor's thread.
    @param body: the body.
    @param high: how many bytes may wait before reading from the client is paused.
    """

    def __init__(self, hops: Hops, body: RequestBody, high: int) -> None:
        super().__init__()
        self._hops = hops
        self._body = body
        self._high = high
        self._ready = threading.Condition(threading.Lock())
        self._pieces: deque[memoryview] = deque()
        self._size = 0
        self._paused = False
        self._asked = False
        self._ended = False
        self._error: str | None = None

    # -- in the reactor's thread ------------------------------------------------

    def take(self) -> None:
        """
        Start to take the body; this sends C{100 Continue} if the client waits for it.
        """
        if not self._asked:
            self._asked = True
            self._body.deliverBody(self)

    def makeConnection(self, transport: Any) -> None:
        """
        See L{IProtocol.makeConnection}.
        """
        self._transport = transport

    def connectionMade(self) -> None:
        """
        Nothing to do.
        """

    def dataReceived(self, data: bytes) -> None:
        """
        Keep the bytes for the thread; pause the body if too many wait.
        """
        with self._ready:
            pieces = self._pieces
            if pieces and len(pieces[-1]) + len(data) <= _JOINED_LENGTH:
                pieces[-1] = memoryview(bytes(pieces[-1]) + data)
            else:
                pieces.append(memoryview(data))
            self._size += len(data)
            pause = self._size > self._high and not self._paused
            if pause:
                self._paused = True
            self._ready.notify()
        if pause:
            self._transport.pauseProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The body is complete, or was cut off.
        """
        if reason.check(ResponseDone):
            self._end(None)
        else:
            self._end(reason.getErrorMessage())

    def abandon(self) -> None:
        """
        The server stops: fail the thread's reads.
        """
        self._end("The server stops.")

    def _end(self, error: str | None) -> None:
        with self._ready:
            if not self._ended:
                self._ended = True
                self._error = error
            self._ready.notify()

    def _resume(self) -> None:
        self._transport.resumeProducing()

    # -- in the thread of the application ----------------------------------------

    def readable(self) -> bool:
        """
        See L{io.IOBase.readable}.
        """
        return True

    def readinto(self, buffer: Any) -> int:
        """
        Wait for some of the body.

        @return: how many bytes were read; 0 at the end.
        @raise ClientDisconnected: if the body was cut off.
        """
        resume = False
        if not self._asked:
            self._hops.call(self.take)
        with self._ready:
            while not self._pieces and not self._ended:
                self._ready.wait()
            if not self._pieces:
                if self._error is not None:
                    raise ClientDisconnected(self._error)
                return 0
            piece = self._pieces.popleft()
            count = min(len(buffer), len(piece))
            if count < len(piece):
                self._pieces.appendleft(piece[count:])
            self._size -= count
            if self._paused and self._size <= self._high // 4:
                self._paused = False
                resume = True
        buffer[:count] = piece[:count]
        if resume:
            self._hops.call(self._resume)
        return count


def open_input(request: Any, hops: Hops, high: int) -> tuple[Any, InputStream | None]:
    """
    Make C{wsgi.input} for a request.

    @return: the file, and the stream behind it if the body has not arrived yet.
    """
    content = request.content
    if content is not None:
        # The whole body is in a file.
        content.seek(0)
        return content, None
    stream = InputStream(hops, request.bodySource(), high)
    if not request.requestHeaders.hasHeader(b"Expect"):
        stream.take()
    return io.BufferedReader(stream, max(high, 1)), stream
