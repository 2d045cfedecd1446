"""
A server in memory, for tests of the client.

L{MemoryEndpoint} stands for the network: whoever connects gets a L{Peer}, and
the test says what the peer sends, reads and closes.  The end of a connection
is told by the clock, never from within a call of the client.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from tests.support.memory import CLIENT, SERVER, MemoryTransport

__all__ = ["MemoryEndpoint", "Peer"]


class Peer(MemoryTransport):
    """
    The server's end of a connection, and the client's transport.
    """

    def __init__(self, clock: Clock, protocol: Any) -> None:
        MemoryTransport.__init__(self, CLIENT, SERVER)
        self.clock = clock
        self.protocol: Any = protocol
        self._waiting: list[bytes] = []

    # -- what the test does and asks ---------------------------------------------

    @property
    def received(self) -> bytes:
        """
        What the client has written.
        """
        return bytes(self.output + self.backlog)

    @property
    def closed(self) -> bool:
        """
        Whether the client has closed; C{aborted} says how.
        """
        return self.disconnecting

    @property
    def gone(self) -> bool:
        """
        Whether the client was told that the connection is gone.
        """
        return self.ended

    def send(self, *pieces: bytes) -> None:
        """
        Send to the client, piece by piece, as far as it reads.
        """
        self._waiting.extend(pieces)
        self._deliver()

    def bytewise(self, data: bytes) -> None:
        """
        Send each byte by itself.
        """
        self.send(*(data[i : i + 1] for i in range(len(data))))

    def _deliver(self) -> None:
        while self._waiting and not self.paused and not self.ended:
            self.protocol.dataReceived(self._waiting.pop(0))

    def end(self) -> None:
        """
        Close the sending side.
        """
        IHalfCloseableProtocol(self.protocol).readConnectionLost()

    def lose(self, error: Exception | None = None) -> None:
        """
        The connection is gone, now.
        """
        if not self.ended:
            self.ended = True
            producer, self.producer = self.producer, None
            if producer is not None:
                producer.stopProducing()
            self.protocol.connectionLost(Failure(error or ConnectionDone()))

    def fill(self) -> None:
        """
        The network takes nothing more.
        """
        self.stall()
        if self.producer is not None:
            self.producerPaused = True
            self.producer.pauseProducing()

    def take(self) -> bytes:
        """
        What was received since the last time.
        """
        received = self.received
        del self.output[:], self.backlog[:]
        return received

    # -- what the client does, where it differs ------------------------------------

    def write(self, data: bytes) -> None:
        """
        Nothing may come after the close.
        """
        assert not self.disconnecting, "written after the close"
        MemoryTransport.write(self, data)

    def loseConnection(self) -> None:
        """
        The client closes.
        """
        if not self.disconnecting:
            MemoryTransport.loseConnection(self)
            self.clock.callLater(0, self.lose)

    def abortConnection(self) -> None:
        """
        The client drops the connection.
        """
        MemoryTransport.abortConnection(self)
        self.clock.callLater(0, self.lose, ConnectionAborted())

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        The client's producers push.
        """
        assert streaming
        MemoryTransport.registerProducer(self, producer, streaming)

    def resumeProducing(self) -> None:
        """
        The client reads.
        """
        MemoryTransport.resumeProducing(self)
        self.clock.callLater(0, self._deliver)


@implementer(IStreamClientEndpoint, IAgentEndpointFactory)
class MemoryEndpoint:
    """
    Connects to the test.

    @ivar peers: the connections made.
    @ivar hanging: the attempts that wait, if C{hang} is true.
    @ivar most: how many connections there were at most at a time.
    @cvar kind: the class of the connections.
    """

    kind = Peer

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.peers: list[Peer] = []
        self.hang = False
        self.error: Exception | None = None
        self.hanging: list[tuple[Deferred[Any], Any]] = []
        self.cancelled = 0
        self.most = 0
        self.asked: list[URI] = []

    def endpointForURI(self, uri: URI) -> MemoryEndpoint:
        """
        The same for all.
        """
        self.asked.append(uri)
        return self

    def connect(self, factory: Any) -> Deferred[Any]:
        """
        See L{IStreamClientEndpoint}.
        """
        if self.hang:
            waiting: Deferred[Any] = Deferred(self._cancel)
            self.hanging.append((waiting, factory))
            return waiting
        if self.error is not None:
            return fail(self.error)
        return succeed(self._make(factory))

    def _cancel(self, deferred: Deferred[Any]) -> None:
        self.cancelled += 1
        self.hanging = [each for each in self.hanging if each[0] is not deferred]

    def _make(self, factory: Any) -> Any:
        protocol = factory.buildProtocol(None)
        peer = self.kind(self.clock, protocol)
        self.peers.append(peer)
        self.most = max(self.most, self.open())
        protocol.makeConnection(peer)
        return protocol

    def open(self) -> int:
        """
        How many connections there are.
        """
        return sum(1 for peer in self.peers if not peer.gone)

    def connectOne(self) -> None:
        """
        The oldest hanging attempt succeeds.
        """
        waiting, factory = self.hanging.pop(0)
        waiting.callback(self._make(factory))
