"""
A Twisted protocol on a wire, for both roles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    IProducer,
    IProtocol,
    IPushProducer,
)
from twisted.internet.protocol import Protocol
from zope.interface import implementer

from twisted_h11._boundary.guarded import guarded
from twisted_h11._boundary.octets import as_bytes
from twisted_h11._wire.closing import End
from twisted_h11._wire.outbox import Outbox
from twisted_h11._wire.sockets import end_connection, read_left
from twisted_h11._wire.wire import Wire
from twisted_h11.limits import Limits

__all__ = ["DEFAULT_LIMITS", "WireProtocol", "give_trailing"]

DEFAULT_LIMITS = Limits()


@implementer(IPushProducer, IConsumer, IHalfCloseableProtocol)
class WireProtocol(Protocol):
    """
    A protocol that has a L{Wire}, and is its
    L{WireUser<twisted_h11._wire.user.WireUser>}.

    It is registered as the producer of its transport, so it learns when the peer
    does not read, and is the consumer of at most one producer above it.  It can give
    the transport to another protocol, its successor.

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

    # The successor, and a successor that waits until all regions of files are sent.
    _successor: IProtocol | None = None
    _nextSuccessor: IProtocol | None = None

    def __init__(self) -> None:
        self.wire = Wire(self)

    # -- the transport ----------------------------------------------------------

    @property
    def transport(self) -> Any:
        """
        The transport; C{None} before the connection and after it was given
        away.  Reading this attribute flushes what is pending.
        """
        return self.wire.share()

    @transport.setter
    def transport(self, transport: Any) -> None:
        wire = self.wire
        if transport is None and wire.transport is not None:
            # Another protocol takes the transport over, as autobahn's
            # WebSocketResource does: write nothing from now on.
            self._transportTaken()
        wire.transport = transport

    def connectionMade(self) -> None:
        """
        Become the transport's producer, and set C{TCP_NODELAY}.
        """
        self.wire.connected(self.wire.transport)

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        Register a producer, which is paused while the peer is slow.

        @param producer: an L{IPushProducer} or L{IPullProducer} provider.
        @param streaming: C{True} for a push producer.
        @raise RuntimeError: if a producer is registered already.
        """
        self.wire.backPressure().registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """
        Forget the registered producer; nothing happens if there is none.
        """
        self.wire.backPressure().unregisterProducer()

    def write(self, data: bytes) -> None:
        """
        Write bytes as they are.

        @raise TypeError: for anything else.
        """
        self.wire.send(as_bytes(data))

    def writeSequence(self, parts: Iterable[bytes]) -> None:
        """
        Write several byte strings as they are, in one write.
        """
        self.wire.send(b"".join([as_bytes(part) for part in parts]))

    def pauseProducing(self) -> None:
        """
        The transport has no room: pause the registered producer.
        """
        self.wire.backPressure().pauseProducing()

    def resumeProducing(self) -> None:
        """
        The transport has room again: resume the registered producer.
        """
        self.wire.backPressure().resumeProducing()

    def stopProducing(self) -> None:
        """
        The transport will take nothing more, perhaps because it can not write: read
        what has arrived, and stop the registered producer.
        """
        wire = self.wire
        if wire.isOpen and self._readsLate():
            guarded("Reading late", read_left, wire.transport, self._readsLate)
        if wire.pressure is not None:
            wire.pressure.stopProducing()

    def _readsLate(self) -> bool:
        """
        Hook: whether data that has arrived is of use although nothing can be written.

        A server may answer before it has read all of a request, and close.  Its kernel
        then resets the connection.  A client that is writing finds out by that, and
        Twisted closes the socket although the response is in it.
        """
        return False

    def loseConnection(self) -> None:
        """
        Close the connection after what was written has gone out.
        """
        self.wire.close(End.LOSE)

    def abortConnection(self) -> None:
        """
        Drop the connection at once, with everything that was not yet sent.
        """
        self.wire.abort()

    def _closeInStages(self) -> None:
        self.wire.close(End.LINGER)

    def _letGo(self) -> None:
        wire = self.wire
        pressure = wire.pressure
        wire.detach()
        if pressure is not None:
            wire.pressure = None
            # Not before: what a producer does then must not reach the transport.
            pressure.stopProducing()

    def _transportTaken(self) -> None:
        self._letGo()

    # -- the peer's end of file -------------------------------------------------------

    def readConnectionLost(self) -> None:
        """
        The peer will send nothing more, but may still read.
        """
        if self._successor is not None:
            self._endSuccessor()
            return
        self.wire.eof = True
        if self.wire.closing is not None:
            self.wire.closing.inputEnded()
            return
        self._inputEnded()

    def _inputEnded(self) -> None:
        """
        Hook: end of file from the peer, on a connection that is open.
        """

    def writeConnectionLost(self) -> None:
        """
        Our own half-close has reached the socket.
        """
        if self.wire.closing is not None:
            self.wire.closing.outputEnded = True

    # -- giving the transport away --------------------------------------------------

    def _giveTo(self, successor: IProtocol) -> None:
        """
        Give the transport to another protocol for good, as soon as all regions of
        files are sent.
        """
        wire = self.wire
        if wire.queue is not None:
            self._nextSuccessor = successor
            return
        trailing, ended = self._takeTrailingData()
        transport = wire.transport
        self._successor = successor
        self._letGo()
        if wire.holds and not wire.eof and IPushProducer.providedBy(transport):
            transport.resumeProducing()
        wire.holds = 0
        # Some transports go on calling this protocol; instance attributes pass
        # their calls to the successor at no cost.
        self.dataReceived = successor.dataReceived  # type: ignore[method-assign]
        self.connectionLost = successor.connectionLost  # type: ignore
        for name in ("protocol", "wrappedProtocol"):
            if getattr(transport, name, None) is self:
                setattr(transport, name, successor)
        if not guarded("Connecting a protocol", successor.makeConnection, transport):
            end_connection(transport)
        elif trailing:
            give_trailing(successor, transport, trailing)
        if ended:
            self._endSuccessor()

    def _takeTrailingData(self) -> tuple[bytes, bool]:
        """
        Take what was received for the successor.

        @return: the bytes, and whether the peer has sent end of file.
        """
        return b"", self.wire.eof

    def _endSuccessor(self) -> None:
        """
        Pass the peer's half-close to the successor, or close the connection.
        """
        successor: Any = self._successor
        if IHalfCloseableProtocol.providedBy(successor):
            successor.readConnectionLost()
        else:
            successor.transport.loseConnection()

    # -- called by the wire -------------------------------------------------------

    def deadlineOver(self, wait: Enum) -> None:
        """
        Called by the wire when a deadline is over; this class starts none.
        """

    def wireShared(self) -> bool:
        """
        Called by the wire when other code gets the transport.
        """
        return False

    def wireWaits(self) -> None:
        """
        Called by the wire when the transport has no room.
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
        Called by the wire when all regions of files are sent.
        """
        successor, self._nextSuccessor = self._nextSuccessor, None
        if successor is None or self.wire.closing is not None:
            return False
        self._giveTo(successor)
        return True

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
        Called by the wire: what the registered producer produces.
        """
        return None

    def tellProducer(self, call: Callable[[], object]) -> bool:
        """
        Called by the wire: call a method of the registered producer.
        """
        return guarded("A producer", call)

    def producerFailed(self, what: object) -> None:
        """
        Called by the wire when the registered producer has raised.
        """
        self.abortConnection()


def give_trailing(successor: Any, transport: Any, trailing: bytes) -> None:
    """
    Give a successor what was received for it.  If it raises, the exception is logged
    and the connection is lost, as Twisted does for a protocol that raises.
    """
    if not guarded("A protocol", successor.dataReceived, trailing):
        end_connection(transport)
