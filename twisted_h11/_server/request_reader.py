"""
The bytes that a connection has received, and their parser.

h11 never returns bytes that it was given, so it is not given any beyond the current
message.  Received bytes wait here, and the state, a L{Reading}, says how to read them:

  - C{FIRST}: nothing has arrived yet, and the transport gets the address of its peer
    with the first bytes (the PROXY protocol).
  - C{HEAD}: between messages.  L{twisted_h11._http.fastpath} reads a common head.
    Any other head is found by its empty line, checked by
    L{twisted_h11._http.strict_requests}, then given to h11, and both must agree.
  - C{BODY}: the bytes of the message are given to h11, and h11's data to the
    request.  After a head of the fast path the body has a known length, and its
    bytes are given to the request directly.  A chunked body is decoded by the strict
    layer; its data is given to the request, and only its end to h11, for h11's state.
  - C{NOTHING}: the request is complete; what follows waits for the response.
    Reading goes on for a few more bytes (C{Limits.readAhead}), because a paused
    transport does not notice that its peer has gone.

One loop (L{RequestReader.advance}) does all steps, so that a thousand pipelined
requests need no deep stack.  No request is begun while the peer does not take its
responses: this bounds the memory for a peer that sends requests and reads no responses.

The loop has an end, too, while other connections wait: L{twisted_h11._wire.turns}.
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
from twisted_h11._server.received import Received
from twisted_h11._server.starting import (
    serve_bodiless,
    serve_whole,
    start_by_h11,
    start_request,
)
from twisted_h11._server.states import Reading, Wait
from twisted_h11._wire import turns
from twisted_h11._wire.outbox import leave
from twisted_h11._wire.sockets import read_long
from twisted_h11._wire.wire import READ_AHEAD, Wire

__all__ = ["RequestReader"]


# Globals are faster than members of an enumeration; each request reads these often.
_HEAD, _BODY, _NOTHING = Reading.HEAD, Reading.BODY, Reading.NOTHING


class RequestReader(Received):
    """
    The reader of the bytes that one connection has received.

    @param owner: the L{Channel<twisted_h11._server.channel.Channel>}.
    @param wire: its wire.
    @ivar state: what is read next.
    @ivar incoming: the body that is being read, or C{None}.
    """

    __slots__ = (
        "_lastHead",
        "_scanned",
        "_skippedLine",
        "incoming",
        "state",
    )

    def __init__(self, owner: Any, wire: Wire) -> None:
        super().__init__(owner, wire)
        self._scanned = 0
        self._skippedLine = False
        # Only to read the next head faster.
        self._lastHead: fastpath.FastHead | None = None
        self.state = _HEAD
        self.incoming: Incoming | None = None

    def forgetLastHead(self) -> None:
        """
        Free the head of the last request.
        """
        self._lastHead = None

    def end(self) -> None:
        """
        The connection is lost, or given away: drop all bytes, and read nothing more.
        """
        super().end()
        self._lastHead = self.incoming = None

    # -- the loop ---------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """
        Add received bytes, and read what can be read now.
        """
        start = self._start
        if start < len(self._buffer):
            self._buffer = self._buffer[start:] + data
            self._scanned -= start
        else:
            self._buffer, self._scanned = data, 0
        self._start = 0
        if not self.isAdvancing:
            self.readOn()

    def advance(self) -> None:
        """
        Read heads and bodies from the received bytes, as far as possible now.
        """
        if self.isAdvancing:
            return
        owner, wire = self._owner, self._wire
        hasBytes = self._start < len(self._buffer)
        if self.state is _HEAD and not (hasBytes or wire.holds or wire.eof):
            # The usual case when a response ends later than its request.
            if wire.pending:
                leave(wire, False)
            owner.lookForSuccessor()
        else:
            self.readOn()

    def readOn(self) -> None:
        """The loop of L{advance}."""
        owner, wire = self._owner, self._wire
        self.isAdvancing = True
        begun = wire.beginBatch()
        shared = self._shared
        since = None if shared is None else shared.since(owner.seconds())
        isFurther = since is not None
        waits = False
        try:
            # wire.isOpen, without the call: it is read twice for each request.
            while wire.closing is None and wire.transport is not None:
                state = self.state
                if state is _HEAD:
                    if not (self._start < len(self._buffer) or wire.eof):
                        break
                    # Most segments have one request: it needs no clock.
                    if isFurther:
                        now = owner.seconds()
                        if since is None:
                            since = now
                        # The clock may be set back.
                        if not 0 <= now - since < turns.TURN:
                            self._endTurn()
                            waits = True
                            break
                    isFurther = True
                    if not self._readHead():
                        break
                elif state is _NOTHING or not self._readOther():
                    break
        except Refused as refused:
            owner.refuse(refused.status, refused.reason)
        except h11.RemoteProtocolError as error:
            owner.refuse(error.error_status_hint, "The request is malformed.")
        finally:
            self.isAdvancing = waits or self._owner is None
            wire.endBatch(begun, owner.cycle is not None)
        if shared is not None:
            shared.pause(owner.seconds())
        if owner.handOver is not None:
            # Other code may have taken the transport.
            owner.lookForSuccessor()
        if wire.transport is None:
            return
        if self._start and self._start >= len(self._buffer):
            # Save memory in an idle connection.
            self._buffer, self._start = b"", 0
        # Most requests end here with nothing to balance: avoid the call.
        if wire.closing is None and (
            wire.holds or self.state is not _HEAD or not wire.hasRoom or waits
        ):
            self._balance(waits)

    def _balance(self, waits: bool) -> None:
        """
        Pause reading when enough bytes wait that can not be handled now.

        @param waits: whether the next request waits for the turn of this connection.
        """
        wire, state = self._wire, self.state
        waits = waits or not wire.hasRoom
        if state is _NOTHING or (state is _HEAD and waits):
            if len(self._buffer) - self._start > self._owner.limits.readAhead:
                wire.hold(READ_AHEAD)
        elif wire.holds:
            wire.release(READ_AHEAD)

    def _readOther(self) -> bool:
        if self.state is _BODY:
            return self._readBody()
        self.state = _HEAD
        return bool(self._owner.firstBytes())

    # -- the head ---------------------------------------------------------------

    def _readHead(self) -> bool:
        buffer, start, wire = self._buffer, self._start, self._wire
        if start >= len(buffer):
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
            # The head has arrived in pieces, and is complete now.
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
        Begin a common request without h11.

        @return: whether the request is common; if not, nothing was done.
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
            # h11 is only given the end of the body.
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
        # cycle.framer again: another framer may have replaced it meanwhile.
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
