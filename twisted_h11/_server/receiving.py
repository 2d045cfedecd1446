"""
The receiving half of a server connection, as far as bodies are concerned.

As many bytes as belong to the current message go to h11, and what h11 makes of
them goes to the request: to its C{handleContentChunk}, as in twisted.web, or to
the L{RequestBody<twisted_h11._server.body.RequestBody>} of a resource that streams.
Of a body that follows a head of the fast path only the length matters, so it
goes to the request at once.  Of a chunked body the strict layer knows the framing
by the byte; its data, too, goes to the request, and h11 is told of its end, from
which its states follow.

A body has to get on (L{Limits.minBodyRate}), but only while it is the client's
turn: not while we hold the network back, nor while the client waits for our
100 Continue.  That wait ends with the first byte behind the head, whatever it is.
"""

from __future__ import annotations

from twisted_h11._boundary.guarded import log_failure
from twisted_h11._http.strict import ChunkScanner, Refused
from twisted_h11._server.answering import Answering
from twisted_h11._server.body import RequestBody
from twisted_h11._server.cycle import Cycle
from twisted_h11._server.forms import FormError, receive_with_form
from twisted_h11._server.states import Reading, Wait

__all__ = ["Incoming", "Receiving"]


class Incoming:
    """
    The body of one request, as it arrives.

    @ivar left: how many bytes are missing, where the length is known.
    @ivar chunks: what knows the framing of a chunked body.
    @ivar limit: how many bytes it may have; C{None} for any number.
    @ivar received: how many have arrived, also as the response was over.
    @ivar sink: where the body of a streaming resource goes.
    @ivar rateSeen: C{received}, as a window began.
    @ivar wasHeld: whether we did not read in all of this window.
    """

    __slots__ = ("chunks", "left", "limit", "rateSeen", "received", "sink", "wasHeld")

    def __init__(self, left: int | None, chunks: ChunkScanner | None) -> None:
        self.left = left
        self.chunks = chunks
        self.limit: int | None = None
        self.received = self.rateSeen = 0
        self.sink: RequestBody | None = None
        self.wasHeld = False

    def setLimit(self, limit: int | None) -> None:
        """
        Change how long it may be.
        """
        self.limit = limit
        if self.chunks is not None:
            self.chunks.most = limit


class Receiving(Answering):
    """
    One connection, seen from the body of the current request.
    """

    _incoming: Incoming | None = None

    def endCycle(self) -> None:
        """
        The response has ended, or the request after it.
        """
        raise NotImplementedError

    def bodyLeft(self) -> int:
        """
        How many bytes of the request's body have not been received, where its length
        is known.
        """
        incoming = self._incoming
        return (incoming.left or 0) if incoming is not None else 0

    def _readBody(self) -> bool:
        cycle, incoming = self._cycle, self._incoming
        assert cycle is not None and incoming is not None
        start = self._start
        if start < len(self._buffer):
            cycle.clientWaits = False
        chunks = incoming.chunks
        if chunks is not None:
            end = chunks.scan(self._buffer, start)
        else:
            assert incoming.left is not None
            end = start + min(len(self._buffer) - start, incoming.left)
            incoming.left -= end - start
        if end == start and incoming.left != 0:
            return self._waitForBody()
        piece = self._buffer
        if start or end < len(piece):
            piece = piece[start:end]
        self._start = end
        if chunks is not None and chunks.keeps:
            # h11 sees the end only.
            data = chunks.take()
            if data:
                self._bodyReceived(cycle, incoming, data)
            if self._wire.closing is not None:
                return False
            piece = chunks.end if chunks.ended else b""
        for data in cycle.framer.received(piece, incoming.left == 0):
            self._bodyReceived(cycle, incoming, data)
            if self._wire.closing is not None:
                return False
        # It may have been woken meanwhile.
        if cycle.framer.requestEnded:
            self._bodyEnded(cycle, incoming)
            return True
        return self._start < len(self._buffer) or self._waitForBody()

    def _waitForBody(self) -> bool:
        if self._wire.eof:
            raise Refused(400, "The request is incomplete.")
        if self._wire.deadline.waiting is None:
            if self._incoming is not None:
                self._incoming.rateSeen = self._incoming.received
            self._wire.deadline.arm(self.limits.rateWindow, Wait.BODY)
        return False

    def _bodyReceived(
        self, cycle: Cycle, incoming: Incoming, data: bytes | bytearray
    ) -> None:
        incoming.received += len(data)
        request = cycle.request
        if request is None:
            # The response has ended before the request: the rest is read and
            # dropped, if there is not too much.
            if incoming.received > self.limits.drainLength:
                self._closeInStages()
            return
        if incoming.limit is not None and incoming.received > incoming.limit:
            raise Refused(413, "The request body is too long.")
        try:
            if incoming.sink is not None:
                incoming.sink.dataReceived(bytes(data))
            elif getattr(request, "servesWhole", False):
                # It writes the piece to its content, and keeps nothing of it.
                request.handleContentChunk(data)
            else:
                request.handleContentChunk(bytes(data))
        except KeyboardInterrupt:
            raise
        except BaseException:
            log_failure("Taking the body of a request")
            cycle.applicationFailed()

    def _bodyEnded(self, cycle: Cycle, incoming: Incoming) -> None:
        self._reading = Reading.NOTHING
        self._incoming = None
        if self._wire.deadline.waiting is Wait.BODY:
            self._wire.deadline.disarm()
        request, head = cycle.request, cycle.head
        if request is None:
            self.endCycle()
            return
        try:
            if incoming.chunks is not None and incoming.chunks.trailers:
                request.trailerFields = incoming.chunks.trailers
            if incoming.sink is not None:
                incoming.sink.ended()
            elif getattr(request, "leavesFraming", False):
                request.requestReceived(head.method, head.target, head.version)
            else:
                receive_with_form(request, head, self.site, self.limits)
        except KeyboardInterrupt:
            raise
        except FormError as error:
            self._refuse(error.status, str(error))
        except BaseException:
            log_failure("A request")
            if cycle.request is request:
                cycle.applicationFailed()

    def _readNothing(self) -> bool:
        return False

    def setBodyLimit(self, most: int | None) -> None:
        """
        Change how long the body of the current request may be.

        @param most: bytes; C{None} for any number.
        """
        cycle, incoming = self._cycle, self._incoming
        if cycle is None or incoming is None:
            return
        incoming.setLimit(most)
        if most is not None and most < max(cycle.head.length or 0, incoming.received):
            self._refuse(413, "The request body is too long.")

    def sendContinue(self) -> None:
        """
        Ask for the body, if the client waits for that and none of it is here
        (RFC 9110 section 10.1.1).
        """
        cycle = self._cycle
        if cycle is not None and cycle.clientWaits and cycle.interim(100, []):
            if self._incoming is not None:
                # The client's turn begins now, in the middle of a window.
                self._incoming.wasHeld = True

    # -- how fast it arrives ---------------------------------------------------

    def _checkBodyRate(self) -> None:
        """
        A window is over: has enough of the body arrived in it?
        """
        cycle, incoming = self._cycle, self._incoming
        if cycle is None or incoming is None:
            return
        came = incoming.received - incoming.rateSeen
        incoming.rateSeen = incoming.received
        rate = self.limits.minBodyRate
        # Whoever has answered already keeps nobody waiting.
        waiting = cycle.request is None or not (
            self._wire.holds or incoming.wasHeld or cycle.clientWaits
        )
        incoming.wasHeld = bool(self._wire.holds)
        if rate is not None and waiting and came < rate * self.limits.rateWindow:
            self._refuse(408, "The request body did not arrive in time.")
        else:
            self._wire.deadline.arm(self.limits.rateWindow, Wait.BODY)

    def hold(self, why: int) -> None:
        """
        Keep the network quiet until C{why} is released.
        """
        self._wire.hold(why)
        # A window in which we did not read says nothing about the client.
        if self._incoming is not None:
            self._incoming.wasHeld = True

    def release(self, why: int) -> None:
        """
        Let the network speak again, as far as C{why} is concerned.
        """
        self._wire.release(why)
