"""
An agent on a server in memory, and who reads a body.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.support.client_memory import MemoryEndpoint, Peer
from tests.support.server_cases import FAST_PATH
from twisted_h11._client.agent import Agent
from twisted_h11._client.pool import HTTPConnectionPool
from twisted_h11._client.settings import ClientSettings, PoolSettings

__all__ = ["ClientTestCase", "Reader"]


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
