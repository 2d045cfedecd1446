"""
One transport: its bytes, its back-pressure and its end.

A L{Wire} gives three guarantees to the protocol that uses it.

B{What one turn of the reactor writes is sent in one call.}  Twisted's transports
buffer what is written until the reactor polls its sockets again.  With a bare socket
and an L{Outbox} the wire buffers by itself and calls the kernel at the end of the turn,
which costs less than a writable event.  Elsewhere (a client, TLS, a wrapper) it writes
to the transport at once, unless L{Wire.beginJoin} or L{Wire.beginBatch} joins writes.

Three things are sent at once: L{BATCH_LENGTH} or more; what precedes a region of a file
or the end of the connection; ends of responses, while there is only one busy peer.
Other code may write to the transport too: a resource that switches to WebSocket writes
its own 101.  So only L{Wire.share} hands out the transport.  From then on the user
flushes what is pending before others write, or else the wire buffers nothing beyond a
single call.

B{Reading is paused while there is a reason.}  Each part that pauses reading sets its
own bit (L{Wire.hold}).  The transport is paused with the first bit and resumed when
the last one is released, so one part can not resume what another has paused.

B{Closing in stages}, see L{twisted_h11._wire.closing}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.python.failure import Failure

from twisted_h11._wire.closing import Closing, End
from twisted_h11._wire.deadline import Waiter
from twisted_h11._wire.file_queue import RegionQueue
from twisted_h11._wire.outbox import Outbox, leave
from twisted_h11._wire.pressure import BackPressure
from twisted_h11._wire.sockets import (
    BATCH_LENGTH,
    MOST_PIECES,
    end_connection,
    is_bare_socket,
    send_at_once,
    write_now,
)
from twisted_h11._wire.user import GIVEN_AWAY, LOST, Nobody, State, WireUser

__all__ = [
    "APPLICATION",
    "CONSUMER",
    "EVENTS",
    "NEXT_TURN",
    "PEER",
    "READ_AHEAD",
    "Wire",
]

# Why reading is paused: one bit for each reason.
READ_AHEAD = 1  # enough bytes wait behind the current message
CONSUMER = 2  # the reader of the body is paused
APPLICATION = 4  # the application asked for it
EVENTS = 8  # the application has paused events
PEER = 16  # the peer has not taken its responses
NEXT_TURN = 32  # what was received waits for the next turn of the reactor


class Wire(Waiter):
    """
    One transport.

    @ivar transport: the transport; C{None} before the connection and after it.
    @ivar isOpen: whether there is a transport, and it is not about to close.
    @ivar outbox: flushes this wire at the end of the turn; C{None} to write at once.
    @ivar pending: what was written and not yet given to the transport.
    @ivar pendingLength: the length of C{pending}, in bytes; after the connection is
        lost, how many bytes were dropped, with those of regions.
    @ivar joining: how many callers join their writes now.
    @ivar batching: whether a received segment is being handled; C{None} if that must
        not delay writes, because other code writes to the transport.
    @ivar hasRoom: whether a write now is sent at once.
    @ivar full: whether the transport has no room.
    @ivar queue: what waits for a region of a file; C{None} if nothing does.
    @ivar pressure: the back-pressure on writes; C{None} until it is needed.
    @ivar held: whether what is pending waits for the end of the turn.
    @ivar holds: why reading is paused, a bit for each reason.
    @ivar eof: whether the peer will send nothing more.
    @ivar closing: the state of closing; C{None} while the connection is open.
    """

    # Slots are the fastest attributes, and each request reads many of these.
    __slots__ = (
        "_registered",
        "batching",
        "eof",
        "hasRoom",
        "held",
        "holds",
        "joining",
        "outbox",
        "pending",
        "pendingLength",
        "pressure",
    )

    def __init__(self, user: WireUser) -> None:
        super().__init__()
        self.user: WireUser = user
        self.transport: Any = None
        self.pending: list[bytes] | tuple[()] = ()
        self.pendingLength = self.joining = self.holds = 0
        self._registered = self.held = self.eof = False
        self.batching: bool | None = False
        self.outbox: Outbox | None = None
        self.hasRoom = True
        self.pressure: BackPressure | None = None
        self.closing: Closing | None = None

    def __repr__(self) -> str:
        return f"<Wire {self.state.value}>"

    @property
    def state(self) -> State:
        """What the wire is doing."""
        if self.transport is None:
            user: object = self.user
            return user.state if isinstance(user, Nobody) else State.UNCONNECTED
        return State.OPEN if self.closing is None else self.closing.state

    @property
    def isOpen(self) -> bool:
        return self.transport is not None and self.closing is None

    # -- the transport ----------------------------------------------------------

    def connected(self, transport: Any) -> None:
        """
        Register as the transport's producer, and set C{TCP_NODELAY}.
        """
        self.transport = transport
        if is_bare_socket(transport):
            self.outbox = self.user.outbox
        send_at_once(transport)
        if IConsumer.providedBy(transport):
            self.register()

    def share(self) -> Any:
        """
        The transport, for other code that may write to it; what is pending is written
        first.
        """
        if self.batching is None or not self.user.wireShared():
            self.flush()
            self.batching = self.outbox = None
        return self.transport

    def register(self) -> None:
        """Register the user as the transport's push producer."""
        self._registered = True
        self.transport.registerProducer(self.user, True)

    def unregister(self) -> None:
        """Unregister the user as the transport's producer."""
        if self._registered:
            self._registered = False
            self.transport.unregisterProducer()

    def detach(self) -> None:
        """
        Give the transport away: flush it, stop the deadline and unregister.
        """
        self.flush()
        self.user.wireEnded()
        self.cancel()
        self.unregister()
        self.transport = None
        self._forget(GIVEN_AWAY)

    def lost(self, reason: Failure) -> None:
        """
        The connection is lost: stop everything that belongs to it.
        """
        self.user.wireEnded()
        self.cancel()
        self.transport = None
        self._registered = False
        self._drop(reason.value)
        self.user.stopProducing()
        self._forget(LOST)

    def _drop(self, error: BaseException | None) -> None:
        self.pending = ()
        if self.pressure is not None:
            self.pendingLength += self.pressure.dropQueue(error)

    def _forget(self, user: WireUser) -> None:
        """
        Drop all references that lead back here.
        """
        self.user = user
        self.outbox = None
        if self.closing is not None:
            self.closing.forget()
        if self.pressure is not None and self.pressure.producer is None:
            self.pressure = None

    def backPressure(self) -> BackPressure:
        """
        The back-pressure on writes; made on first need.
        """
        if self.pressure is None:
            self.pressure = BackPressure(self)
        return self.pressure

    @property
    def full(self) -> bool:
        return self.pressure is not None and self.pressure.full

    @property
    def queue(self) -> RegionQueue | None:
        return None if self.pressure is None else self.pressure.queue

    # -- writing ------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """
        Write C{data}, by the end of this turn; nothing if the connection closes.
        """
        if not data or self.closing is not None:
            return
        if not self.hasRoom and self.queue is not None:
            self.queue.append(data)
            return
        pending = self.pending
        if pending:
            pending.append(data)
        else:
            self.pending = [data]
        self.pendingLength += len(data)
        if self.pendingLength >= BATCH_LENGTH:
            self.flush()
        elif not (self.batching or self.joining or self.held):
            leave(self, True)

    def pend(self, data: bytes) -> None:
        """
        Have C{data} go out with the next flush.
        """
        if self.pending:
            self.pending.append(data)
        else:
            self.pending = [data]
        self.pendingLength += len(data)

    def flush(self) -> None:
        """Give what is pending to the transport."""
        data = self.pending
        if data:
            # Joining copies: a few long pieces are passed as they are.
            if len(data) > 1 and (
                self.pendingLength <= BATCH_LENGTH or len(data) > MOST_PIECES
            ):
                data = [b"".join(data)]
            self.pending = ()
            self.pendingLength = 0
            self.held = False
            transport = self.transport
            if transport is None:
                return
            closing = self.closing
            # Otherwise the transport sends it together with the end of the connection.
            if self.user.writesNow and (closing is None or closing.how is End.TURN):
                pressure = self.pressure
                whole = pressure is None or pressure.producer is None
                write_now(transport, data, whole)
            else:
                transport.writeSequence(data)

    def beginJoin(self) -> None:
        """
        Join what is written until L{endJoin}; calls may be nested.
        """
        self.joining += 1

    def endJoin(self) -> None:
        """
        Write what was joined, unless an outer join or batch goes on.
        """
        self.joining -= 1
        if self.pending and not (self.joining or self.batching or self.held):
            leave(self, True)

    def beginBatch(self) -> bool:
        """
        Join what is written while a received segment is handled, unless other code
        has the transport; returns what to pass to L{endBatch}.
        """
        if self.pressure is not None:
            self.pressure.begun = 0
        if self.batching is not False:
            return False
        self.batching = True
        return True

    def endBatch(self, begun: bool, more: bool = False) -> None:
        """
        The segment was handled: write, or wait for the end of the turn.

        @param more: whether a response is not complete.
        """
        if begun:
            self.batching = False if self.batching else None
            if self.pending and not self.joining:
                leave(self, more)

    # -- reading --------------------------------------------------------------------

    def hold(self, why: int) -> None:
        """
        Pause reading until C{why} is released.
        """
        if not self.holds and IPushProducer.providedBy(self.transport):
            self.transport.pauseProducing()
        self.holds |= why

    def release(self, why: int, always: bool = False) -> None:
        """
        Drop the reason C{why}; resume reading if none is left.

        @param always: resume also if only other code has paused the transport.
        """
        if always or self.holds & why:
            self.holds &= ~why
            if (
                not self.holds
                and not self.eof
                and (self.closing is None or not self.closing.hasBegun)
                and IPushProducer.providedBy(self.transport)
            ):
                self.transport.resumeProducing()

    # -- the end --------------------------------------------------------------------

    def close(self, how: End) -> None:
        """
        Close the connection in the way C{how}, as soon as the transport is not full.
        """
        closing = self.closing
        if self.transport is None or (closing is not None and not closing.later):
            return
        if closing is None:
            closing = self.closing = Closing(self, how)
        closing.begin(how)

    def abort(self) -> None:
        """Abort the connection at once, and drop everything that was not sent."""
        transport = self.transport
        if transport is None:
            return
        self.user.wireEnded()
        self.cancel()
        self.closing = Closing(self, End.ABORT)
        self._drop(ConnectionAborted())
        # A response that is finished now has not been sent.
        self.hasRoom = False
        self.unregister()
        end_connection(transport)
