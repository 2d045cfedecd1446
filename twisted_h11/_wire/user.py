"""
A wire as its parts see it, and whoever uses it, as the wire sees that.
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
    producer of the transport, and passes that on.

    @ivar limits: the bounds that apply.
    @ivar callLater: what starts delayed calls; the reactor's if it is C{None}.
    @ivar finalWaits: what is waited for so long and no longer, also by a connection
        that closes.
    @ivar writesNow: whether to write to sockets at once.  Servers do; a client had
        better read an early answer before it writes on.
    @ivar outbox: where what is pending waits for the end of the turn.
    @ivar cooperate: what starts the tasks of pull producers, where that is not the
        reactor's.
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
        """

    def wireShared(self) -> bool:
        """
        Somebody has the transport.

        @return: whether what is pending will be written before what others write.
        """

    def wireWaits(self) -> None:
        """
        The peer does not take what is written as fast as it is written.
        """

    def wireTaken(self) -> None:
        """
        The transport has room again; nothing has been made of it yet.
        """

    def wireWritable(self) -> None:
        """
        More may be written.
        """

    def wireQueueSent(self) -> bool:
        """
        The last region that had to wait is gone, and all behind it.

        @return: whether the user has seen to what is next.
        """

    def wireClosing(self) -> None:
        """
        The connection is about to close; from now on nothing is written.
        """

    def wireEnded(self) -> None:
        """
        The connection is gone, dropped, or about to be given away.
        """

    def producing(self) -> object:
        """
        What the producer produces now.
        """

    def tellProducer(self, call: Callable[[], object]) -> bool:
        """
        Call a method of the producer.

        @return: whether it went well, or the user has seen to what is next.
        """

    def producerFailed(self, what: object) -> None:
        """
        The producer has raised.

        @param what: what L{producing} has returned before.
        """

    def abortConnection(self) -> None:
        """
        The peer does not play its part: call L{Wire.abort}, and see to what that
        means.
        """


class OwnWire(Protocol):
    """
    A L{Wire<twisted_h11._wire.wire.Wire>}, as the objects that belong to it see it.
    """

    user: WireUser
    transport: Any
    hasRoom: bool
    holds: int
    eof: bool
    pendingLength: int
    pressure: Any
    closing: Any

    waiting: Enum | None

    def arm(self, seconds: float | None, wait: Enum) -> None:
        """
        Wait so many seconds for something.
        """

    def disarm(self) -> None:
        """
        Wait for nothing.
        """

    def flush(self) -> None:
        """
        Give what is pending to the transport.
        """

    def register(self) -> None:
        """
        Be the transport's producer.
        """

    def unregister(self) -> None:
        """
        Be it no longer.
        """

    def pend(self, data: bytes) -> None:
        """
        Have C{data} go out with the next flush.
        """

    def close(self, how: Any) -> None:
        """
        Close, as soon as all that was written is out.
        """


class Nobody:
    """
    The L{WireUser} of a wire whose connection is gone, or given away.  A wire that
    kept its protocol would keep it in memory until the collector comes.

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
The user of every wire whose connection is gone.
"""

GIVEN_AWAY: Any = Nobody(State.GIVEN_AWAY)
"""
The user of every wire whose transport has got another protocol.
"""
