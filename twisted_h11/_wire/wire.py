"""
One transport: its bytes, its back-pressure and its end.

A L{Wire} knows nothing of HTTP.  It keeps three promises to the protocol that uses
it.

B{What one turn of the reactor writes leaves in one call.}  Twisted's transports collect
what they are given until the reactor looks at sockets again.  Where there is a bare
socket and an L{Outbox} the wire does that itself and calls the kernel at the end of the
turn, for less than it costs to ask the reactor when it may.  Everywhere else (a client,
TLS, a wrapper) it gives the transport at once what it is not about to join.

What goes at once, all the same: L{BATCH_LENGTH} or more; what has to be out before
something else (a region of a file, the end of the connection); ends of responses, while
there is but one busy peer.  Others may have the transport, too: a resource that goes
over to WebSocket writes its own 101.  So it is shown by L{Wire.share} only; the user
then sees to it that whoever writes there has what is pending written first, or nothing
is held beyond a single call any more.

B{Reading has one switch.}  Everybody who wants the network to be quiet sets a bit of
his own (L{Wire.hold}); the transport is paused with the first bit and resumed when
the last one goes.  So nobody resumes what another paused.

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
    "PEER",
    "READ_AHEAD",
    "Wire",
]

# Why the network is quiet: one bit for each party that may ask for it.
READ_AHEAD = 1  # enough bytes wait behind the current message
CONSUMER = 2  # whoever takes the body can not take more now
APPLICATION = 4  # the application asked for it
EVENTS = 8  # it takes no more events now
PEER = 16  # the peer has to take its responses first


class Wire(Waiter):
    """
    One transport.

    @ivar transport: the transport; C{None} before the connection and after it.
    @ivar isOpen: whether there is a transport, and it is not about to close.
    @ivar outbox: what collects for this wire; C{None} if the transport does.
    @ivar pending: what has been written and not given to the transport.
    @ivar pendingLength: how many bytes that are; of a wire whose connection is gone,
        how many were dropped, with those of regions.
    @ivar joining: how many callers want their writes to be joined.
    @ivar batching: whether a segment is being worked on; C{None} if that is not to
        delay a write, since others write to the transport, too.
    @ivar hasRoom: whether what is written now leaves at once.
    @ivar full: whether the transport has no room.
    @ivar queue: what waits for a region of a file; C{None} if nothing does.
    @ivar pressure: knows of a transport that has no room; C{None} until it is needed.
    @ivar held: whether what is pending waits for the end of the turn.
    @ivar holds: why the network is quiet, a bit for each reason.
    @ivar eof: whether the peer will send nothing more.
    @ivar closing: how the connection ends; C{None} while it does not.
    """

    # Attributes in slots are found fastest, and each request asks for many of these.
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
        Learn when the transport has no room, and ask for small writes at once.
        """
        self.transport = transport
        if is_bare_socket(transport):
            self.outbox = self.user.outbox
        send_at_once(transport)
        if IConsumer.providedBy(transport):
            self.register()

    def share(self) -> Any:
        """
        The transport, for somebody who may write to it; what is pending is written
        first.
        """
        if self.batching is None or not self.user.wireShared():
            self.flush()
            self.batching = self.outbox = None
        return self.transport

    def register(self) -> None:
        """Have the transport say when it has no room."""
        self._registered = True
        self.transport.registerProducer(self.user, True)

    def unregister(self) -> None:
        """Have it say so no longer."""
        if self._registered:
            self._registered = False
            self.transport.unregisterProducer()

    def detach(self) -> None:
        """
        Give the transport away: no deadline, no producer, and nothing pending.  A
        producer above is stopped.
        """
        self.flush()
        self.user.wireEnded()
        self.cancel()
        self.unregister()
        self.transport = None
        pressure, self.pressure = self.pressure, None
        self._forget(GIVEN_AWAY)
        if pressure is not None:
            pressure.stopProducing()

    def lost(self, reason: Failure) -> None:
        """
        The connection is gone: stop everything that belongs to it.
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
        What is the transport's push producer, and has one above it.
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
        Write C{data}, at the end of this turn of the reactor.
        """
        if not data:
            return
        if not self.hasRoom and self.queue is not None:
            self.queue.append(data)
            return
        if self.closing is not None and self.closing.later:
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
        """
        Give what is pending to the transport.
        """
        data = self.pending
        if data:
            # A few long ones are not copied.
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
            # A last answer goes out together with the end of the connection.
            if self.user.writesNow and self.closing is None:
                pressure = self.pressure
                whole = pressure is None or pressure.producer is None
                write_now(transport, data, whole)
            else:
                transport.writeSequence(data)

    def beginJoin(self) -> None:
        """
        Join what is written until L{endJoin}; may be called within itself.
        """
        self.joining += 1

    def endJoin(self) -> None:
        """
        Write what was joined, if nobody joins it further.
        """
        self.joining -= 1
        if self.pending and not (self.joining or self.batching or self.held):
            leave(self, True)

    def beginBatch(self) -> bool:
        """
        Join what is written while a segment is being worked on, unless somebody else
        has the transport; returns what to pass to L{endBatch}.
        """
        if self.batching is not False:
            return False
        self.batching = True
        return True

    def endBatch(self, begun: bool, more: bool = False) -> None:
        """
        The segment is done: write, or wait for the end of the turn.

        @param more: whether a response is under way.
        """
        if begun:
            self.batching = False if self.batching else None
            if self.pending and not self.joining:
                leave(self, more)

    # -- reading --------------------------------------------------------------------

    def hold(self, why: int) -> None:
        """
        Keep the network quiet until C{why} is released.
        """
        if not self.holds and IPushProducer.providedBy(self.transport):
            self.transport.pauseProducing()
        self.holds |= why

    def release(self, why: int) -> None:
        """
        Let the network speak again, as far as C{why} is concerned.
        """
        if self.holds & why:
            self.holds &= ~why
            if (
                not self.holds
                and not self.eof
                and self.closing is None
                and IPushProducer.providedBy(self.transport)
            ):
                self.transport.resumeProducing()

    # -- the end --------------------------------------------------------------------

    def close(self, how: End) -> None:
        """
        Close, as soon as the transport has room for nothing more.
        """
        closing = self.closing
        if self.transport is None or (closing is not None and not closing.later):
            return
        if closing is None:
            closing = self.closing = Closing(self, how)
        closing.begin(how)

    def abort(self) -> None:
        """
        Drop the connection at once, with everything that was not yet sent.
        """
        transport = self.transport
        if transport is None:
            return
        self.user.wireEnded()
        self.cancel()
        self.closing = Closing(self, End.ABORT)
        self._drop(ConnectionAborted())
        self.unregister()
        end_connection(transport)
