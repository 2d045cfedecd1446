"""
A Twisted protocol on a wire, whatever it speaks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

from twisted.internet.interfaces import IConsumer, IProducer, IPushProducer
from twisted.internet.protocol import Protocol
from zope.interface import implementer

from twisted_h11._boundary.guarded import guarded
from twisted_h11._boundary.octets import as_bytes
from twisted_h11._wire.closing import End
from twisted_h11._wire.outbox import Outbox
from twisted_h11._wire.wire import Wire
from twisted_h11.limits import Limits

__all__ = ["DEFAULT_LIMITS", "WireProtocol"]

DEFAULT_LIMITS = Limits()


@implementer(IPushProducer, IConsumer)
class WireProtocol(Protocol):
    """
    A protocol that has a L{Wire}, and is the user of it
    (L{WireUser<twisted_h11._wire.user.WireUser>}).

    It is registered as the producer of its transport, so it learns when the peer
    does not read, and is the consumer of at most one producer above it.

    @cvar limits: the bounds that apply.
    @cvar callLater: L{IReactorTime.callLater<twisted.internet.interfaces>}; the
        global reactor's if it is C{None}.
    """

    limits: Limits = DEFAULT_LIMITS
    callLater: Any = None

    # For the wire; see WireUser.
    finalWaits: frozenset[Enum] = frozenset()
    writesNow = False
    outbox: Outbox | None = None
    cooperate: Any = None

    _taken: Any = None

    def __init__(self) -> None:
        self._wire = Wire(self)

    # -- the transport ----------------------------------------------------------

    @property
    def transport(self) -> Any:
        """
        The transport; C{None} before the connection and after it was given
        away.  Reading it writes out everything that is pending.
        """
        return self._wire.share()

    @transport.setter
    def transport(self, transport: Any) -> None:
        wire = self._wire
        if transport is None and wire.transport is not None:
            # Somebody (autobahn's WebSocketResource does it this way) takes
            # the transport over: from now on we are silent.
            self._taken = wire.transport
            self._letGo()
        wire.transport = transport

    def connectionMade(self) -> None:
        """
        Become the transport's producer, and ask for small writes at once.
        """
        self._wire.connected(self._wire.transport)

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        Register a producer above us; it is paused while the peer is slow.

        @param producer: an L{IPushProducer} or L{IPullProducer} provider.
        @param streaming: C{True} for a push producer.
        @raise RuntimeError: if a producer is registered already.
        """
        self._wire.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """
        Forget the producer above us; nothing happens if there is none.
        """
        self._wire.unregisterProducer()

    def write(self, data: bytes) -> None:
        """
        Write bytes as they are.

        @raise TypeError: for anything else.
        """
        self._wire.send(as_bytes(data))

    def writeSequence(self, parts: Iterable[bytes]) -> None:
        """
        Write several byte strings as they are, in one write.
        """
        self._wire.send(b"".join([as_bytes(part) for part in parts]))

    def pauseProducing(self) -> None:
        """
        The peer does not read as fast as we write: pause whoever produces.
        """
        self._wire.pauseProducing()

    def resumeProducing(self) -> None:
        """
        The transport has room again.
        """
        self._wire.resumeProducing()

    def stopProducing(self) -> None:
        """
        The transport will take nothing more.
        """
        self._wire.stopProducing()

    def loseConnection(self) -> None:
        """
        Close the connection after what was written has gone out.
        """
        self._wire.close(End.LOSE)

    def abortConnection(self) -> None:
        """
        Drop the connection at once, with everything that was not yet sent.
        """
        self._abort()

    def _closeInStages(self) -> None:
        self._wire.close(End.LINGER)

    def _abort(self) -> None:
        self._wire.abort()

    def _letGo(self) -> None:
        self._wire.detach()

    # -- what the wire asks and tells ---------------------------------------------

    def deadlineOver(self, wait: Enum) -> None:
        """
        Called by the wire; there is no wait of our own.
        """

    def wireShared(self) -> None:
        """
        Called by the wire: somebody has the transport for the first time.
        """

    def wireWaits(self) -> None:
        """
        Called by the wire: the peer does not take what is written.
        """

    def wireTaken(self) -> None:
        """
        Called by the wire: the transport has room again.
        """

    def wireWritable(self) -> None:
        """
        Called by the wire: more may be written.
        """

    def wireQueueSent(self) -> bool:
        """
        Called by the wire: all regions of files are out.
        """
        return False

    def wireClosing(self) -> None:
        """
        Called by the wire: the connection is about to close.
        """

    def wireEnded(self) -> None:
        """
        Called by the wire: the connection is gone, or given away.
        """

    def producing(self) -> object:
        """
        Called by the wire: what the producer above us produces.
        """
        return None

    def tellProducer(self, call: Callable[[], object]) -> bool:
        """
        Called by the wire: call a method of the producer above us.
        """
        return guarded("A producer", call)

    def producerFailed(self, what: object) -> None:
        """
        Called by the wire: the producer above us has raised.
        """
        self._abort()

    def dropConnection(self) -> None:
        """
        Called by the wire: the peer does not play its part.
        """
        self._abort()
