"""
A server in memory, for tests of the client.

L{MemoryEndpoint} stands for the network: whoever connects gets a L{Peer}, and
the test says what the peer sends, reads and closes.  The end of a connection
is told by the clock, never from within a call of the client.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    IPushProducer,
    IStreamClientEndpoint,
    ITransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from tests.support.cases import FAST_PATH
from twisted_h11._client.agent import Agent
from twisted_h11._client.pool import HTTPConnectionPool
from twisted_h11._client.settings import ClientSettings, PoolSettings

__all__ = ["ClientTestCase", "MemoryEndpoint", "Peer", "Reader"]


@implementer(ITransport, IConsumer, IPushProducer)
class Peer:
    """
    The server's end of a connection, and the client's transport.

    @ivar received: what the client has written.
    @ivar closed: whether the client has closed, and C{aborted}, how.
    """

    def __init__(self, clock: Clock, protocol: Any) -> None:
        self.clock = clock
        self.protocol = protocol
        self.received = b""
        self.writes = 0
        self.closed = False
        self.aborted = False
        self.gone = False
        self.paused = False
        self.producer: Any = None
        self.full = False
        self._waiting: list[bytes] = []

    # -- what the test does ----------------------------------------------------

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
        while self._waiting and not self.paused and not self.gone:
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
        if not self.gone:
            self.gone = True
            if self.producer is not None:
                producer, self.producer = self.producer, None
                producer.stopProducing()
            self.protocol.connectionLost(Failure(error or ConnectionDone()))

    def fill(self) -> None:
        """
        The network takes nothing more.
        """
        self.full = True
        if self.producer is not None:
            self.producer.pauseProducing()

    def drain(self) -> None:
        """
        The network takes more.
        """
        self.full = False
        if self.producer is not None:
            self.producer.resumeProducing()

    def take(self) -> bytes:
        """
        What was received since the last time.
        """
        received, self.received = self.received, b""
        return received

    # -- what the client does ----------------------------------------------------

    def write(self, data: bytes) -> None:
        """
        Receive from the client.
        """
        assert isinstance(data, bytes), data
        assert not self.closed, "written after the close"
        self.writes += 1
        self.received += data

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """
        Receive from the client.
        """
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """
        The client closes.
        """
        if not self.closed:
            self.closed = True
            self.clock.callLater(0, self.lose)

    def abortConnection(self) -> None:
        """
        The client drops the connection.
        """
        self.closed = self.aborted = True
        self.clock.callLater(0, self.lose, ConnectionAborted())

    def getPeer(self) -> IPv4Address:
        """
        The server's address.
        """
        return IPv4Address("TCP", "192.0.2.80", 80)

    def getHost(self) -> IPv4Address:
        """
        The client's address.
        """
        return IPv4Address("TCP", "192.0.2.7", 50007)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Take the client's producer.
        """
        assert self.producer is None and streaming
        self.producer = producer

    def unregisterProducer(self) -> None:
        """
        Forget it.
        """
        self.producer = None

    def pauseProducing(self) -> None:
        """
        The client does not read.
        """
        self.paused = True

    def resumeProducing(self) -> None:
        """
        The client reads.
        """
        self.paused = False
        self.clock.callLater(0, self._deliver)

    def stopProducing(self) -> None:
        """
        The client does not read any more.
        """
        self.loseConnection()


@implementer(IStreamClientEndpoint, IAgentEndpointFactory)
class MemoryEndpoint:
    """
    Connects to the test.

    @ivar peers: the connections made.
    @ivar hanging: the attempts that wait, if C{hang} is true.
    @ivar most: how many connections there were at most at a time.
    """

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
        peer = Peer(self.clock, protocol)
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


class Reader(Protocol):
    """
    Reads a body, and remembers what happened.
    """

    def __init__(self) -> None:
        self.data = b""
        self.pieces: list[bytes] = []
        self.reason: Failure | None = None
        self.ends = 0

    def dataReceived(self, data: bytes) -> None:
        """
        A piece.
        """
        self.pieces.append(data)
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The end.
        """
        self.ends += 1
        self.reason = reason

    def pause(self) -> None:
        """
        Want nothing now.
        """
        self.transport.pauseProducing()  # type: ignore[union-attr]

    def resume(self) -> None:
        """
        Want more.
        """
        self.transport.resumeProducing()  # type: ignore[union-attr]


class ClientTestCase(SynchronousTestCase):
    """
    An agent on a server in memory.

    When a test is over, its pool must hold nothing and its clock must have
    nothing to do.
    """

    def setUp(self) -> None:
        """
        Make the clock and the network.
        """
        self.clock = Clock()
        self.network = MemoryEndpoint(self.clock)
        self.pools: list[HTTPConnectionPool] = []
        self.deferreds: list[Deferred[Any]] = []
        self.addCleanup(self._finish)

    def _finish(self) -> None:
        for deferred in self.deferreds:
            deferred.addErrback(lambda _: None)
        self.deferreds.clear()
        for pool in self.pools:
            pool.close()
        for _ in range(3):
            self.clock.advance(0)
        for peer in self.network.peers:
            peer.lose()
        for pool in self.pools:
            self.assertEqual((0, 0, 0, 0), tuple(pool.counts()), "left in the pool")
        self.assertEqual([], self.clock.getDelayedCalls(), "left on the clock")

    def makePool(self, persistent: bool = True, **settings: Any) -> HTTPConnectionPool:
        """
        A pool with some settings.
        """
        pool = HTTPConnectionPool(self.clock, persistent, PoolSettings(**settings))
        self.pools.append(pool)
        return pool

    def makeAgent(
        self,
        pool: HTTPConnectionPool | None = None,
        trace: Any = None,
        fastPath: bool = FAST_PATH,
        **settings: Any,
    ) -> Agent:
        """
        An agent with some settings.
        """
        return Agent.usingEndpointFactory(
            self.clock,
            self.network,
            pool or self.makePool(),
            settings=ClientSettings(**settings),
            trace=trace,
            fastPath=fastPath,
        )

    def ask(
        self,
        agent: Agent | None = None,
        method: bytes = b"GET",
        uri: bytes = b"http://example.com/",
        headers: Any = None,
        body: Any = None,
        **settings: Any,
    ) -> tuple[Deferred[Any], Peer]:
        """
        Send a request; where it went to comes back too.
        """
        if agent is None:
            agent = self.makeAgent(**settings)
        deferred = agent.request(method, uri, headers, body)
        self.deferreds.append(deferred)
        return deferred, self.network.peers[-1]

    def get(self, answer: bytes, **options: Any) -> Any:
        """
        The response to a request, from its bytes.
        """
        deferred, peer = self.ask(**options)
        peer.send(answer)
        return self.successResultOf(deferred)

    def read(self, response: Any) -> Reader:
        """
        Read a body.
        """
        reader = Reader()
        response.deliverBody(reader)
        return reader

    def failing(self, deferred: Deferred[Any], *kinds: Any) -> Any:
        """
        The exception that a Deferred has failed with.
        """
        return self.failureResultOf(deferred, *kinds).value
