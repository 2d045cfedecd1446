"""
The body of one request, as it arrives.

The reader's bytes go to the request's C{handleContentChunk}, as in twisted.web, or to
the L{RequestBody<twisted_h11._server.body.RequestBody>} of a resource that streams.

A body must arrive at a least rate (L{Limits.minBodyRate}), except while reading is
paused, and while the client waits for 100 Continue.  That wait ends with any first byte
behind the head.
"""

from __future__ import annotations

from twisted_h11._boundary.guarded import log_failure
from twisted_h11._http.chunks import TOO_LONG, ChunkDecoder
from twisted_h11._http.strict_requests import Refused
from twisted_h11._server.body import RequestBody
from twisted_h11._server.cycle import Cycle
from twisted_h11._server.forms import FormError, receive_with_form
from twisted_h11._server.interfaces import Served
from twisted_h11._server.states import Wait
from twisted_h11._wire.closing import End
from twisted_h11._wire.sockets import LONG_READ, read_long
from twisted_h11._wire.wire import Wire
from twisted_h11.limits import Limits

__all__ = ["Incoming", "answer"]


class Incoming:
    """
    The body of one request.

    @param cycle: the request, and its response.
    @param wire: the wire of the connection.
    @param left: how many bytes are missing, where the length is known.
    @param chunks: the decoder of a chunked body, or C{None}.
    @ivar received: how many bytes have arrived, also after the response was over.
    @ivar sink: the C{RequestBody} for a resource that streams, or C{None}.
    @ivar readsLong: whether the transport reads L{LONG_READ} bytes at a time.
    @ivar wasHeld: whether reading was paused in a part of this window.
    """

    __slots__ = (
        "_cycle",
        "_limit",
        "_rateSeen",
        "_wire",
        "chunks",
        "left",
        "readsLong",
        "received",
        "sink",
        "wasHeld",
    )

    def __init__(
        self, cycle: Cycle, wire: Wire, left: int | None, chunks: ChunkDecoder | None
    ) -> None:
        self._cycle = cycle
        self._wire = wire
        self.left = left
        self.chunks = chunks
        self._limit: int | None = None
        self.received = self._rateSeen = 0
        self.sink: RequestBody | None = None
        self.wasHeld = self.readsLong = False

    def readLong(self) -> None:
        """
        Read more bytes at a time, if many are missing and the request writes them to
        its content file as they arrive.
        """
        if self.sink is None and self.left is not None and self.left > LONG_READ:
            self.readsLong = True
            read_long(self._wire.transport, True)

    def setLimit(self, limit: int | None) -> None:
        """
        Change the maximum length of the body.

        @param limit: bytes; C{None} for any number.
        @raise Refused: if the body is already known to be longer.
        """
        self._limit = limit
        if self.chunks is not None:
            self.chunks.most = limit
        if limit is not None and limit < max(
            self._cycle.head.length or 0, self.received
        ):
            raise Refused(413, TOO_LONG)

    def scan(self, buffer: bytes, start: int) -> int:
        """
        Find the end of this body in the received bytes.

        @param buffer: the bytes.
        @param start: the index to begin at.
        @return: the index behind the bytes of this body.
        @raise Refused: for malformed chunks.
        """
        if self.chunks is not None:
            return self.chunks.scan(buffer, start)
        assert self.left is not None
        length = min(len(buffer) - start, self.left)
        self.left -= length
        return start + length

    def take(self, data: bytes | bytearray) -> None:
        """
        Give the request some of its body.

        @raise Refused: if there is too much of it.
        """
        self.received += len(data)
        request = self._cycle.request
        if request is None:
            # The response has ended before the request: drop the rest, up to
            # drainLength bytes.
            if self.received > self._wire.user.limits.drainLength:
                self._wire.close(End.LINGER)
            return
        if self._limit is not None and self.received > self._limit:
            raise Refused(413, TOO_LONG)
        try:
            if self.sink is not None:
                self.sink.dataReceived(bytes(data))
            elif getattr(request, "servesWhole", False):
                # No copy: the request writes the piece to its content, and keeps none.
                request.handleContentChunk(data)
            else:
                request.handleContentChunk(bytes(data))
        except KeyboardInterrupt:
            raise
        except BaseException:
            log_failure("Taking the body of a request")
            self._cycle.applicationFailed()

    def ended(self, site: Served | None) -> None:
        """
        The request was given all of its body, and is not over: have it processed.

        @raise Refused: if the body is a form that is malformed or exceeds a limit.
        """
        answer(self._cycle, site, self._wire.user.limits, self.sink, self.chunks)

    def dropSink(self) -> None:
        """
        The response has ended before the body did: cut the body of a resource that
        streams.
        """
        sink, self.sink = self.sink, None
        if sink is not None:
            sink.dropped()

    # -- the least rate --------------------------------------------------------

    def beginWindow(self) -> None:
        """
        Begin a window of the least rate: the client has to send now.
        """
        self._rateSeen = self.received
        self._wire.arm(self._wire.user.limits.rateWindow, Wait.BODY)

    def isTooSlow(self, limits: Limits) -> bool:
        """
        End a window, and begin another.

        @return: whether the client could send in all of the window, and has sent too
            little.
        """
        cycle, held = self._cycle, bool(self._wire.holds)
        came = self.received - self._rateSeen
        self._rateSeen = self.received
        # After the response reading is not paused for the application.
        waited = cycle.request is None or not (
            held or self.wasHeld or cycle.clientWaits
        )
        self.wasHeld = held
        rate = limits.minBodyRate
        return rate is not None and waited and came < rate * limits.rateWindow


def answer(
    cycle: Cycle,
    site: Served | None,
    limits: Limits,
    sink: RequestBody | None = None,
    chunks: ChunkDecoder | None = None,
) -> None:
    """
    All of a request has arrived: have it processed.

    @raise Refused: if its body is a form that is malformed or exceeds a limit.
    """
    request, head = cycle.request, cycle.head
    try:
        if chunks is not None and chunks.trailers:
            request.trailerFields = chunks.trailers
        if sink is not None:
            sink.ended()
        elif getattr(request, "leavesFraming", False):
            request.requestReceived(head.method, head.target, head.version)
        else:
            receive_with_form(request, head, site, limits)
    except KeyboardInterrupt:
        raise
    except FormError as error:
        if cycle.request is request:
            raise Refused(error.status, str(error)) from None
    except BaseException:
        log_failure("A request")
        if cycle.request is request:
            cycle.applicationFailed()
