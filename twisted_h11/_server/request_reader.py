"""
The bytes that a connection has received, and what may look at them now.

h11 never gives bytes back, so it is never fed beyond the current message.  What
arrives waits here, and L{Reading} says what it is taken for:

  - C{FIRST}: nothing has come yet, and the transport learns who its peer is from
    the first bytes (the PROXY protocol).
  - C{HEAD}: between messages.  A common head is taken by
    L{twisted_h11._http.fastpath}.  Any other is found by its empty line, judged by
    L{twisted_h11._http.strict_requests}, then given to h11, and both must agree.
  - C{BODY}: as many bytes as belong to the message go to h11, and what h11 makes of
    them to the request.  Of a body that follows a head of the fast path only the
    length matters, so it goes to the request at once.  Of a chunked body the strict
    layer knows the framing by the byte; its data, too, goes to the request, and h11
    is told of its end, from which its states follow.
  - C{NOTHING}: the request is complete; what follows waits for the response.
    Reading goes on for a few bytes more (C{Limits.readAhead}), since a transport
    that is paused does not notice that its peer has gone.

One loop (L{RequestReader.advance}) takes one step after the other; so a thousand
pipelined requests that are answered at once need a loop, not a stack.  No request is
begun while the peer does not take our bytes: that is what bounds the memory of a peer
that sends requests and reads no responses.
"""

from __future__ import annotations

from typing import Any

import h11

from twisted_h11._http import fastpath
from twisted_h11._http.strict_requests import (
    Refused,
    check_partial_head,
    check_request_head,
)
from twisted_h11._server.cycle import Cycle
from twisted_h11._server.incoming import Incoming
from twisted_h11._server.starting import (
    serve_bodiless,
    serve_whole,
    start_by_h11,
    start_request,
)
from twisted_h11._server.states import Reading, Wait
from twisted_h11._wire.outbox import leave
from twisted_h11._wire.sockets import read_long
from twisted_h11._wire.wire import READ_AHEAD, Wire

__all__ = ["RequestReader"]


# As globals they are found faster, for each request several times.
_HEAD, _BODY, _NOTHING = Reading.HEAD, Reading.BODY, Reading.NOTHING


class RequestReader:
    """
    The bytes that one connection has received.

    @param owner: the L{Channel<twisted_h11._server.channel.Channel>}.
    @param wire: its wire.
    @ivar state: what is read next.
    @ivar incoming: the body that is read.
    @ivar isAdvancing: whether bytes are being looked at now.
    """

    __slots__ = (
        "_buffer",
        "_lastHead",
        "_owner",
        "_scanned",
        "_skippedLine",
        "_start",
        "_wire",
        "incoming",
        "isAdvancing",
        "state",
    )

    def __init__(self, owner: Any, wire: Wire) -> None:
        self._owner: Any = owner
        self._wire = wire
        self._buffer = b""
        self._start = self._scanned = 0
        self._skippedLine = self.isAdvancing = False
        # It only serves to read the next one faster.
        self._lastHead: fastpath.FastHead | None = None
        self.state = _HEAD
        self.incoming: Incoming | None = None

    @property
    def hasBytes(self) -> bool:
        """
        Whether something was received that nobody has looked at.
        """
        return self._start < len(self._buffer)

    @property
    def unread(self) -> bytes:
        """
        What nobody has looked at.
        """
        return self._buffer[self._start :]

    def takeUnread(self) -> bytes:
        """
        What nobody has looked at; it is not kept here.
        """
        unread, self._buffer, self._start = self.unread, b"", 0
        return unread

    def forgetLastHead(self) -> None:
        """
        Free the head of the last request.
        """
        self._lastHead = None

    def end(self) -> None:
        """
        The connection is gone: keep nothing, and look at nothing any more.
        """
        self.isAdvancing = True
        self._buffer, self._start = b"", 0
        self._owner = self._lastHead = self.incoming = None

    # -- the loop ---------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """
        Take bytes, and do everything that can be done with them.
        """
        start = self._start
        if start < len(self._buffer):
            self._buffer = self._buffer[start:] + data
            self._scanned -= start
        else:
            self._buffer = data
            self._scanned = 0
        self._start = 0
        self.advance()

    def advance(self) -> None:
        """
        Do all that can be done with the bytes that are here.
        """
        if self.isAdvancing:
            return
        owner, wire = self._owner, self._wire
        if (
            self.state is _HEAD
            and self._start >= len(self._buffer)
            and not (wire.holds or wire.eof)
        ):
            # As always when a response ends later than its request.
            if wire.pending:
                leave(wire, False)
            owner.lookForSuccessor()
            return
        self.isAdvancing = True
        begun = wire.beginBatch()
        try:
            # wire.isOpen, without the call: it is asked twice for each request.
            while wire.closing is None and wire.transport is not None:
                state = self.state
                if state is _NOTHING:
                    break
                if not (self._readHead() if state is _HEAD else self._readOther()):
                    break
        except Refused as refused:
            owner.refuse(refused.status, refused.reason)
        except h11.RemoteProtocolError as error:
            owner.refuse(error.error_status_hint, "The request is malformed.")
        finally:
            self.isAdvancing = self._owner is None
            wire.endBatch(begun, owner.cycle is not None)
        # Somebody may have taken the transport.
        owner.lookForSuccessor()
        if wire.transport is None:
            return
        if self._start and self._start >= len(self._buffer):
            # An idle connection keeps nothing of what it has read.
            self._buffer, self._start = b"", 0
        if wire.closing is None:
            self._balance()

    def _balance(self) -> None:
        """
        Pause the network when enough waits that we can not look at now.
        """
        wire, state = self._wire, self.state
        if state is _NOTHING or (state is _HEAD and not wire.hasRoom):
            if len(self._buffer) - self._start > self._owner.limits.readAhead:
                wire.hold(READ_AHEAD)
        elif wire.holds:
            wire.release(READ_AHEAD)

    def _readOther(self) -> bool:
        if self.state is _BODY:
            return self._readBody()
        self.state = _HEAD
        served: bool = self._owner.firstBytes()
        return served

    # -- the head ---------------------------------------------------------------

    def _readHead(self) -> bool:
        buffer, start, wire = self._buffer, self._start, self._wire
        if start >= len(buffer):
            if wire.eof:
                self._owner.loseConnection()
            return False
        if not wire.hasRoom:
            return False
        if not self._scanned and self._readFast(buffer, start):
            return True
        if not self._skippedLine and b"\r\n".startswith(buffer[start : start + 2]):
            # RFC 9112 section 2.2: one empty line before a request is ignored.
            if len(buffer) - start < 2:
                return self._waitForHead()
            self._skippedLine = True
            self._start = start = start + 2
            if start == len(buffer):
                return self._waitForHead()
        end = buffer.find(b"\r\n\r\n", max(start, self._scanned - 3))
        limits = self._owner.limits
        if end < 0:
            check_partial_head(buffer, start, self._scanned, limits)
            self._scanned = len(buffer)
            return self._waitForHead()
        if self._scanned and self._readFast(buffer, start):
            # It came in pieces; now it is whole.
            self._scanned = 0
            return True
        end += 4
        raw = buffer[start:end]
        head = check_request_head(raw, limits)
        self._start = end
        self._scanned = 0
        self._skippedLine = False
        start_by_h11(self._owner, self, head, raw)
        return True

    def _waitForHead(self) -> bool:
        self._refuseEnd()
        if self._wire.waiting is not Wait.HEAD:
            self._wire.arm(self._owner.limits.headTimeout, Wait.HEAD)
        return False

    def _readFast(self, buffer: bytes, start: int) -> bool:
        """
        Begin a common request: no state machine, neither for its head nor for a body
        whose length is known.

        @return: whether it is common.
        """
        owner = self._owner
        if not owner.fastPath:
            return False
        head = fastpath.read_request(buffer, start, owner.limits, self._lastHead)
        if head is None:
            return False
        if self._lastHead is None:
            owner.connections.warm(owner)
        self._lastHead = head
        self._skippedLine = False
        self._start = end = head.end
        cycle = owner.makeCycle(head, buffer[start:end])
        length = head.length
        if not length:
            self.state = _NOTHING
            factory = owner.requestFactory
            if getattr(factory, "servesWhole", False):
                serve_whole(owner, cycle, factory)
            else:
                serve_bodiless(owner, cycle)
            return True
        assert length is not None
        self._start = end = end + min(length, len(buffer) - end)
        self.incoming = incoming = Incoming(
            cycle, self._wire, length - (end - head.end), None
        )
        self.state = _BODY
        start_request(owner, cycle, incoming)
        incoming.readLong()
        if end > head.end and self._wire.closing is None:
            incoming.take(buffer[head.end : end])
        if not incoming.left and self._wire.closing is None:
            self._bodyEnded(incoming, cycle)
        return True

    # -- the body ---------------------------------------------------------------

    def _readBody(self) -> bool:
        cycle, incoming = self._owner.cycle, self.incoming
        assert cycle is not None and incoming is not None
        buffer, start = self._buffer, self._start
        if start < len(buffer):
            cycle.clientWaits = False
        end, chunks = incoming.scan(buffer, start), incoming.chunks
        if end == start and incoming.left != 0:
            return self._waitForBody()
        piece = buffer if not start and end == len(buffer) else buffer[start:end]
        self._start = end
        wire = self._wire
        if chunks is not None and chunks.keeps:
            # h11 sees the end only.
            data = chunks.take()
            if data:
                incoming.take(data)
            if wire.closing is not None:
                return False
            piece = chunks.end if chunks.ended else b""
        for data in cycle.framer.received(piece, incoming.left == 0):
            incoming.take(data)
            if wire.closing is not None:
                return False
        # It may have been woken meanwhile.
        if cycle.framer.requestEnded:
            self._bodyEnded(incoming, cycle)
            return True
        return self.hasBytes or self._waitForBody()

    def _waitForBody(self) -> bool:
        self._refuseEnd()
        if self._wire.waiting is None and self.incoming is not None:
            self.incoming.beginWindow()
        return False

    def _refuseEnd(self) -> None:
        if self._wire.eof:
            raise Refused(400, "The request is incomplete.")

    def _bodyEnded(self, incoming: Incoming, cycle: Cycle) -> None:
        owner = self._owner
        if owner is None:
            # The connection was lost meanwhile.
            return
        self.state = _NOTHING
        self.incoming = None
        cycle.requestEnded = True
        cycle.head.bodyLength = incoming.received
        wire = self._wire
        if wire.waiting is Wait.BODY:
            wire.disarm()
        if incoming.readsLong:
            read_long(wire.transport, False)
        if cycle.request is None:
            owner.endCycle()
        else:
            incoming.ended(owner.site)
