"""
The interfaces between a wire, its parts and the protocol that uses it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Protocol

from twisted_h11._wire.outbox import Outbox
from twisted_h11.limits import Limits

__all__ = ["GIVEN_AWAY", "LOST", "Nobody", "OwnWire", "State", "WireUser"]


class State(Enum):
    """
    What a wire is doing.
    """

    UNCONNECTED = "not connected"
    OPEN = "open"
    FLUSHING = "flushing"
    LINGERING = "lingering"
    CLOSING = "closing"
    CLOSED = "closed"
    GIVEN_AWAY = "given away"


class WireUser(Protocol):
    """
    The protocol that uses a wire, as the wire sees it.  It is registered as the push
    producer of the transport, and passes those calls to the wire.

    @ivar limits: the bounds that apply.
    @ivar callLater: what starts delayed calls; the reactor's if it is C{None}.
    @ivar finalWaits: the waits whose deadline stays while a connection that is to
        close waits for room in its transport.
    @ivar writesNow: whether to write to sockets at once.  Servers do; a client
        reads an early response before it writes on.
    @ivar outbox: flushes wires at the end of the turn; C{None} without one.
    @ivar cooperate: starts the tasks of pull producers; C{None} for Twisted's.
    """

    limits: Limits
    callLater: Any
    finalWaits: frozenset[Enum]
    writesNow: bool
    outbox: Outbox | None
    cooperate: Any

    def pauseProducing(self) -> None:
        """
        Call the wire's method.
        """

    def resumeProducing(self) -> None:
        """
        Call the wire's method.
        """

    def stopProducing(self) -> None:
        """
        Call the wire's method.
        """

    def deadlineOver(self, wait: Enum) -> None:
        """
        What was waited for has not happened in time.

        @param wait: what was waited for.
        """

    def wireShared(self) -> bool:
        """
        Other code gets the transport, and may write to it.

        @return: whether the user makes sure that what is pending is written first.
        """

    def wireWaits(self) -> None:
        """
        The transport has no room, or a region of a file is being sent.
        """

    def wireTaken(self) -> None:
        """
        The transport has room again; called before anything more is written.
        """

    def wireWritable(self) -> None:
        """
        More may be written.
        """

    def wireQueueSent(self) -> bool:
        """
        The last waiting region was sent, and all behind it.

        @return: whether the user goes on by itself, as with a successor.
        """

    def wireClosing(self) -> None:
        """
        The connection is about to close; the user writes nothing more.
        """

    def wireEnded(self) -> None:
        """
        The connection is lost, aborted, or about to be given away.
        """

    def producing(self) -> object:
        """
        What the registered producer produces now, to be passed to L{producerFailed}.
        """

    def tellProducer(self, call: Callable[[], object]) -> bool:
        """
        Call a method of the producer.

        @return: whether it did not raise, or the user has handled the failure.
        """

    def producerFailed(self, what: object) -> None:
        """
        The producer has raised.

        @param what: what L{producing} returned before the call.
        """

    def abortConnection(self) -> None:
        """
        The connection can not go on: call L{Wire.abort}, and handle the consequences.
        """


class OwnWire(Protocol):
    """
    A L{Wire<twisted_h11._wire.wire.Wire>}, as the objects that belong to it see it.
    """

    user: WireUser
    transport: Any
    outbox: Outbox | None
    held: bool
    hasRoom: bool
    holds: int
    eof: bool
    pending: Any
    pendingLength: int
    pressure: Any
    closing: Any

    waiting: Enum | None

    def arm(self, seconds: float | None, wait: Enum) -> None:
        """
        Start the deadline: wait so many seconds for C{wait}.
        """

    def disarm(self) -> None:
        """
        Stop the deadline.
        """

    def flush(self) -> None:
        """
        Give what is pending to the transport.
        """

    def register(self) -> None:
        """
        Register as the transport's producer.
        """

    def unregister(self) -> None:
        """
        Unregister as the transport's producer.
        """

    def pend(self, data: bytes) -> None:
        """
        Have C{data} go out with the next flush.
        """

    def hold(self, why: int) -> None:
        """
        Pause reading for the reason C{why}.
        """

    def close(self, how: Any) -> None:
        """
        Close the connection, as soon as all that was written is sent.
        """


class Nobody:
    """
    The L{WireUser} of a wire whose connection is lost, or given away.  A reference to
    the protocol would be a cycle: it would stay in memory until a garbage collection.

    @ivar state: the state of all such wires.
    """

    limits = Limits()
    callLater = None
    finalWaits: frozenset[Enum] = frozenset()
    writesNow = False
    outbox = None
    cooperate = None

    def __init__(self, state: State) -> None:
        self.state = state

    def _nothing(self, *_: object) -> None:
        pass

    pauseProducing = resumeProducing = stopProducing = _nothing
    deadlineOver = wireWaits = wireTaken = wireWritable = _nothing
    wireQueueSent = wireClosing = wireEnded = _nothing
    producing = producerFailed = tellProducer = abortConnection = _nothing

    def wireShared(self) -> bool:
        """
        Nothing is pending.
        """
        return False


LOST: Any = Nobody(State.CLOSED)
"""
The user of every wire whose connection is lost.
"""

GIVEN_AWAY: Any = Nobody(State.GIVEN_AWAY)
"""
The user of every wire whose transport was given to a successor.
"""
