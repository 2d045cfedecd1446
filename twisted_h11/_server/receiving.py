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

import h11

from twisted_h11._boundary.guarded import log_failure
from twisted_h11._http.strict import ChunkScanner, Refused
from twisted_h11._server.answering import Answering
from twisted_h11._server.body import RequestBody
from twisted_h11._server.forms import FormError, receive_with_form
from twisted_h11._server.states import Reading, Wait

__all__ = ["Receiving"]


class Receiving(Answering):
    """
    One connection, seen from the body of the current request.
    """

    _chunks: ChunkScanner | None = None
    _most: int | None = None
    _received = 0
    _rateSeen = 0
    _wasHeld = False
    _source: RequestBody | None = None

    def _readBody(self) -> bool:
        if self._missed is not None:
            return self._readPlainBody()
        start = self._start
        if start < len(self._buffer):
            self._clientWaits = False
        chunks = self._chunks
        if chunks is not None:
            if chunks.keeps:
                return self._readChunks(chunks)
            end = chunks.scan(self._buffer, start)
        else:
            assert self._bodyLeft is not None
            end = start + min(len(self._buffer) - start, self._bodyLeft)
            self._bodyLeft -= end - start
        if end > start:
            piece = self._buffer
            if start or end < len(piece):
                piece = piece[start:end]
            self._start = end
            self.h11Connection.receive_data(piece)
        elif self._bodyLeft != 0:
            return self._waitForBody()
        return self._takeEvents()

    def _readPlainBody(self) -> bool:
        """
        Some of a body whose head h11 has not seen: only its length counts.
        """
        left = self._bodyLeft
        assert left is not None
        start = self._start
        end = min(len(self._buffer), start + left)
        if end == start:
            return self._waitForBody()
        piece = self._buffer
        if start or end < len(piece):
            piece = piece[start:end]
        self._start = end
        self._bodyLeft = left = left - (end - start)
        self._bodyReceived(piece)
        if self._wire.closing is not None:
            return False
        if not left:
            self._bodyEnded()
        return True

    def _readChunks(self, chunks: ChunkScanner) -> bool:
        """
        Some of a chunked body of which h11 sees the end only.
        """
        start = self._start
        self._start = chunks.scan(self._buffer, start)
        if self._start == start:
            return self._waitForBody()
        data = chunks.take()
        if data:
            self._bodyReceived(data)
        if chunks.ended and self._wire.closing is None:
            self.h11Connection.receive_data(chunks.end)
        return self._takeEvents()

    def _waitForBody(self) -> bool:
        if self._wire.eof:
            raise Refused(400, "The request is incomplete.")
        if self._wire.deadline.waiting is None:
            self._rateSeen = self._received
            self._wire.deadline.arm(self.limits.rateWindow, Wait.BODY)
        return False

    def _takeEvents(self) -> bool:
        """
        Hand over what h11 made of the bytes it has.

        @return: whether the body has ended.
        """
        conn = self.h11Connection
        while self._wire.closing is None:
            event = conn.next_event()
            if type(event) is h11.Data:
                self._bodyReceived(event.data)
            elif type(event) is h11.EndOfMessage:
                self._bodyEnded()
                return True
            else:
                return self._start < len(self._buffer) or self._waitForBody()
        return False

    def _bodyReceived(self, data: bytes | bytearray) -> None:
        self._received += len(data)
        request = self._request
        if request is None:
            # The response has ended before the request: the rest is read and
            # dropped, if there is not too much.
            if self._received > self.limits.drainLength:
                self._closeInStages()
            return
        if self._most is not None and self._received > self._most:
            raise Refused(413, "The request body is too long.")
        try:
            if self._source is not None:
                self._source.dataReceived(bytes(data))
            elif getattr(request, "servesWhole", False):
                # It writes the piece to its content, and keeps nothing of it.
                request.handleContentChunk(data)
            else:
                request.handleContentChunk(bytes(data))
        except KeyboardInterrupt:
            raise
        except BaseException:
            log_failure("Taking the body of a request")
            self._applicationFailed()

    def _bodyEnded(self) -> None:
        self._reading = Reading.NOTHING
        if self._wire.deadline.waiting is Wait.BODY:
            self._wire.deadline.disarm()
        request = self._request
        head = self._head
        source, self._source = self._source, None
        if request is None:
            self._endCycle()
            return
        assert head is not None
        try:
            if self._chunks is not None and self._chunks.trailers:
                request.trailerFields = self._chunks.trailers
            if source is not None:
                source.ended()
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
            if self._request is request:
                self._applicationFailed()

    def _readNothing(self) -> bool:
        return False

    def setBodyLimit(self, most: int | None) -> None:
        """
        Change how long the body of the current request may be.

        @param most: bytes; C{None} for any number.
        """
        head = self._head
        if head is None or self._reading is not Reading.BODY:
            return
        tooLong = most is not None and most < max(head.length or 0, self._received)
        self._most = most
        if self._chunks is not None:
            self._chunks.most = most
        if tooLong:
            self._refuse(413, "The request body is too long.")

    def sendContinue(self) -> None:
        """
        Ask for the body, if the client waits for that and none of it is here
        (RFC 9110 section 10.1.1).
        """
        if self._clientWaits and self.sendInterim(100, []):
            # The client's turn begins now, in the middle of a window.
            self._wasHeld = True

    # -- how fast it arrives ---------------------------------------------------

    def _checkBodyRate(self) -> None:
        """
        A window is over: has enough of the body arrived in it?
        """
        if self._reading is not Reading.BODY:
            return
        came = self._received - self._rateSeen
        self._rateSeen = self._received
        rate = self.limits.minBodyRate
        # Whoever has answered already keeps nobody waiting.
        waiting = self._request is None or not (
            self._wire.holds or self._wasHeld or self._clientWaits
        )
        self._wasHeld = bool(self._wire.holds)
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
        self._wasHeld = True

    def release(self, why: int) -> None:
        """
        Let the network speak again, as far as C{why} is concerned.
        """
        self._wire.release(why)
