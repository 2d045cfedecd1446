"""
Thousands of requests through a small pool, over real sockets.
"""

from __future__ import annotations

import random
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred, gatherResults
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.trial.unittest import TestCase
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from tests.support.server_cases import FAST_PATH
from tests.support.times import eventually
from twisted_h11.client import Agent, HTTPConnectionPool, PoolSettings, readBody

clock: Any = reactor


class Echo(Protocol):
    """
    Answers with the path, late at times, and closes at times when it is idle.
    """

    def __init__(self, rough: bool, chance: random.Random, here: set[Echo]) -> None:
        self.rough = rough
        self.chance = chance
        self.here = here
        self.waiting = b""
        self.pending: set[IDelayedCall] = set()
        self.idle: IDelayedCall | None = None

    def connectionMade(self) -> None:
        self.here.add(self)

    def dataReceived(self, data: bytes) -> None:
        self.waiting += data
        while b"\r\n\r\n" in self.waiting:
            head, _, self.waiting = self.waiting.partition(b"\r\n\r\n")
            path = head.split(b" ")[1]
            if self.rough and self.chance.random() < 0.3:
                self.later(path)
            else:
                self.reply(path)

    def later(self, path: bytes) -> None:
        """
        Answer in a moment, if the connection is still there.
        """

        def answer() -> None:
            self.pending.discard(call)
            self.reply(path)

        call = clock.callLater(self.chance.random() * 0.01, answer)
        self.pending.add(call)

    def reply(self, path: bytes) -> None:
        """
        Answer in two pieces.
        """
        assert self.transport is not None
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: ")
        self.transport.write(b"%d\r\n\r\n%b" % (len(path), path))
        if self.rough:
            if self.idle is not None:
                self.idle.cancel()
            delay = self.chance.random() * 0.05
            self.idle = clock.callLater(delay, self.closeIfIdle)

    def closeIfIdle(self) -> None:
        """
        Close between requests.
        """
        self.idle = None
        if not self.pending and not self.waiting:
            assert self.transport is not None
            self.transport.loseConnection()

    def connectionLost(self, reason: object = connectionDone) -> None:
        self.here.discard(self)
        calls = [*self.pending, *([self.idle] if self.idle is not None else [])]
        self.pending.clear()
        self.idle = None
        for call in calls:
            call.cancel()


@implementer(IAgentEndpointFactory)
class Counting:
    """
    Counts the sockets that the client has open.
    """

    def __init__(self) -> None:
        self.now = 0
        self.most = 0

    def endpointForURI(self, uri: Any) -> Any:
        return self

    def connect(self, factory: Any) -> Deferred[Any]:
        endpoint = HostnameEndpoint(clock, "127.0.0.1", self.port)
        return endpoint.connect(_CountingFactory(self, factory))

    port = 0


class _CountingFactory(Factory):
    noisy = False

    def __init__(self, counting: Counting, factory: Any) -> None:
        self.counting = counting
        self.factory = factory

    def buildProtocol(self, addr: Any) -> Any:
        counting = self.counting
        protocol = self.factory.buildProtocol(addr)
        made, lost = protocol.connectionMade, protocol.connectionLost

        def connectionMade() -> None:
            counting.now += 1
            counting.most = max(counting.most, counting.now)
            made()

        def connectionLost(reason: Any) -> None:
            counting.now -= 1
            lost(reason)

        protocol.connectionMade = connectionMade
        protocol.connectionLost = connectionLost
        return protocol


class SoakTests(TestCase):
    """
    None is lost, none is mixed up, none is left, and there are never too many.
    """

    timeout = 60
    requests = 2_000

    def soak(self, rough: bool, requests: int) -> Deferred[None]:
        """
        Send C{requests} requests, 200 at a time, 8 connections at most.
        """
        seed = random.randrange(1 << 30)
        chance = random.Random(seed)
        factory: Any = Factory()
        here: set[Echo] = set()
        factory.buildProtocol = lambda addr: Echo(rough, chance, here)
        port = clock.listenTCP(0, factory, interface="127.0.0.1", backlog=300)
        self.addCleanup(port.stopListening)
        counting = Counting()
        counting.port = port.getHost().port
        pool = HTTPConnectionPool(
            clock, settings=PoolSettings(maxConnectionsPerOrigin=8)
        )
        agent = Agent.usingEndpointFactory(clock, counting, pool, fastPath=FAST_PATH)
        cancelled = [0]
        numbers = iter(range(requests))

        async def one(number: int) -> None:
            expected = b"/%d" % (number,)
            current: list[Any] = [agent.request(b"GET", b"http://127.0.0.1" + expected)]
            timer = None
            if rough and chance.random() < 0.1:
                delay = chance.random() * chance.choice([0.001, 0.02, 0.1])
                timer = clock.callLater(delay, lambda: current[0].cancel())
            try:
                response = await current[0]
                current[0] = readBody(response)
                body = await current[0]
            except Exception:
                if timer is None or timer.active():
                    raise
                cancelled[0] += 1
            else:
                self.assertEqual(expected, body)
            if timer is not None and timer.active():
                timer.cancel()

        async def worker() -> None:
            for number in numbers:
                await one(number)

        async def run() -> None:
            await gatherResults(
                [Deferred.fromCoroutine(worker()) for _ in range(200)],
                consumeErrors=True,
            )
            self.assertLessEqual(counting.most, 8, f"seed {seed}")
            if rough:
                self.assertGreater(cancelled[0], 0)
            await pool.closeCachedConnections()
            # The last connections that were aborted are gone a turn later, and those
            # of the server another.
            await eventually(
                lambda: not any(pool.counts()) and not counting.now and not here
            )
            self.assertEqual((0, 0, 0, 0), tuple(pool.counts()), f"seed {seed}")
            self.assertEqual(0, counting.now)

        return ensureDeferred(run())

    def test_smooth(self) -> Deferred[None]:
        """
        With a server that answers.
        """
        return self.soak(False, self.requests)

    def test_rough(self) -> Deferred[None]:
        """
        With one request in ten cancelled at a random moment, and a server that
        closes idle connections at random.
        """
        return self.soak(True, self.requests)
