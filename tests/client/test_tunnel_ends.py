"""
How an attempt to open a tunnel ends: what the caller is told, and when its slot in the
pool is free.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.protocol import Factory, Protocol

from tests.support.client_cases import ClientTestCase
from tests.support.server_cases import FAST_PATH
from twisted_h11.client import (
    ClientSettings,
    HTTPConnectionPool,
    ProxyAgent,
    ProxyRefused,
    RequestError,
    TunnelEndpoint,
)

OPENED = b"HTTP/1.1 200 Connected\r\n\r\n"

# What a proxy may do instead of opening a tunnel.
FAILURES = {
    "refused": lambda peer: peer.send(
        b"HTTP/1.1 407 x\r\nContent-Length: 0\r\n\r\n",
    ),
    "refused with a body": lambda peer: peer.send(
        b"HTTP/1.1 407 x\r\nContent-Length: 10\r\n\r\n"
    ),
    "no HTTP": lambda peer: peer.send(b"SSH-2.0-x\r\n"),
    "end of file": lambda peer: peer.end(),
}


class SlotTests(ClientTestCase):
    """
    The slot of a connection to a proxy.
    """

    def tunnel(self, pool: HTTPConnectionPool, uri: bytes = b"ws://a/") -> Any:
        """
        A request through a proxy's tunnel, and the proxy.
        """
        settings = ClientSettings(connectTimeout=10)
        agent = ProxyAgent(
            self.network, self.clock, pool, settings=settings, fastPath=FAST_PATH
        )
        deferred = agent.request(b"GET", uri)
        self.deferreds.append(deferred)
        return deferred, self.network.peers[-1]

    def assertHeld(self, pool: HTTPConnectionPool, peer: Any, how: str) -> None:
        """
        The slot is taken until the connection is gone, and so long no other is made.
        """
        self.assertFalse(peer.gone, how)
        self.assertEqual((0, 1, 0, 0), tuple(pool.counts()), how)
        waiting, last = self.tunnel(pool)
        self.assertIs(peer, last, how)
        closing = pool.closeCachedConnections()
        self.assertNoResult(closing)
        self.clock.advance(0)
        self.assertTrue(peer.gone, how)
        self.successResultOf(closing)
        self.assertIsNot(peer, self.network.peers[-1], how)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.clock.advance(0)
        self.assertEqual((0, 0, 0, 0), tuple(pool.counts()), how)

    def test_failed(self) -> None:
        """
        The slot of an attempt that fails at the proxy is free when the connection to
        the proxy is gone.
        """
        for how, fail in FAILURES.items():
            pool = self.makePool(maxConnections=1)
            deferred, peer = self.tunnel(pool)
            fail(peer)
            self.failureResultOf(deferred, RequestError)
            self.assertHeld(pool, peer, how)

    def test_cancelled(self) -> None:
        """
        So is that of one that is cancelled.
        """
        pool = self.makePool(maxConnections=1)
        deferred, peer = self.tunnel(pool)
        deferred.cancel()
        self.failureResultOf(deferred, CancelledError)
        self.assertHeld(pool, peer, "cancelled")

    def test_late(self) -> None:
        """
        So is that of one that takes too long.
        """
        pool = self.makePool()
        deferred, _ = self.tunnel(pool)
        seen: list[Any] = []
        deferred.addErrback(lambda failure: seen.append(tuple(pool.counts())))
        self.clock.advance(10)
        self.assertEqual([(0, 1, 0, 0)], seen)
        self.assertEqual((0, 0, 0, 0), tuple(pool.counts()))

    def test_closed(self) -> None:
        """
        C{close} waits for the connection to the proxy.
        """
        pool = self.makePool()
        deferred, peer = self.tunnel(pool)
        closing = pool.close()
        self.failureResultOf(deferred, CancelledError)
        self.assertNoResult(closing)
        self.clock.advance(0)
        self.assertTrue(peer.gone)
        self.successResultOf(closing)

    def test_connecting(self) -> None:
        """
        A slot without a connection is free at once.
        """
        pool = self.makePool()
        self.network.hang = True
        agent = ProxyAgent(self.network, self.clock, pool)
        deferred = agent.request(b"GET", b"ws://a/")
        self.assertEqual((1, 0, 0, 0), tuple(pool.counts()))
        deferred.cancel()
        self.failureResultOf(deferred, CancelledError)
        self.assertEqual((0, 0, 0, 0), tuple(pool.counts()))


class Canceller(Factory):
    """
    Cancels its connection in one of its calls, or of its protocol's.
    """

    deferred: Any = None

    def __init__(self, where: str) -> None:
        self._where = where

    def reached(self, where: str) -> None:
        """
        Cancel it, if it is here.
        """
        if where == self._where:
            self.deferred.cancel()

    def buildProtocol(self, addr: Any) -> Protocol:
        """
        Make the protocol.
        """
        self.reached("buildProtocol")
        protocol = Reached()
        protocol.factory = self
        return protocol


class Reached(Protocol):
    """
    Tells its factory where it is.
    """

    def makeConnection(self, transport: Any) -> None:
        """
        There is a transport.
        """
        self.factory.reached("makeConnection")
        super().makeConnection(transport)

    def connectionMade(self) -> None:
        """
        The protocol has it.
        """
        self.factory.reached("connectionMade")


class CancellingTests(ClientTestCase):
    """
    Cancelling an attempt from within.
    """

    def test_anywhere(self) -> None:
        """
        A program may cancel the Deferred of a C{TunnelEndpoint} from within any call of
        its factory or protocol: it fires once, nothing is logged, and the connection is
        dropped.
        """
        for where in ("buildProtocol", "makeConnection", "connectionMade"):
            factory = Canceller(where)
            endpoint = TunnelEndpoint(self.clock, self.network, b"a", 1)
            factory.deferred = deferred = endpoint.connect(factory)
            peer = self.network.peers[-1]
            peer.send(OPENED)
            self.failureResultOf(deferred, CancelledError)
            self.assertTrue(peer.closed, where)
            self.clock.advance(0)
            self.assertEqual([], self.flushLoggedErrors(), where)

    def test_refused(self) -> None:
        """
        What a proxy says that opens no tunnel is an error of its own.
        """
        deferred = TunnelEndpoint(self.clock, self.network, b"a", 1).connect(Factory())
        FAILURES["refused"](self.network.peers[-1])
        self.failureResultOf(deferred, ProxyRefused)
