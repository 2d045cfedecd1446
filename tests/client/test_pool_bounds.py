"""
The pool: never more connections than its bounds, turns kept, nothing lost.
"""

from __future__ import annotations

import gc
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.python.failure import Failure
from twisted.web.client import Agent as TwistedAgent
from twisted.web.http_headers import Headers

from tests.support.client_cases import ClientTestCase
from tests.support.client_memory import Peer
from tests.support.producers import OK
from twisted_h11._client.connecting import Attempt
from twisted_h11.client import (
    Agent,
    HTTPConnectionPool,
    PoolSettings,
    QueueFull,
    RequestNotSent,
    ResponseFailed,
    readBody,
)


class BoundsTests(ClientTestCase):
    """
    How many connections there are.
    """

    def ask_many(self, agent: Agent, *hosts: bytes) -> list[Deferred[Any]]:
        """
        One request to each of C{hosts}.
        """
        return [self.ask(agent, uri=b"http://" + host + b"/")[0] for host in hosts]

    def open(self) -> list[Peer]:
        """
        The connections that are open.
        """
        return [peer for peer in self.network.peers if not peer.gone]

    def test_perOrigin(self) -> None:
        """
        An origin has its own bound; another one is not hindered by it.
        """
        agent = self.makeAgent(self.makePool(maxConnectionsPerOrigin=2))
        results = self.ask_many(agent, b"a", b"a", b"a", b"a", b"b")
        self.assertEqual(3, len(self.network.peers))
        self.assertEqual((0, 3, 0, 2), tuple(agent.pool.counts()))
        self.assertEqual((0, 2, 0, 2), tuple(agent.pool.counts((b"http", b"a", 80))))
        # Which is no origin.
        self.assertEqual((0, 0, 0, 0), tuple(agent.pool.counts(80)))
        self.network.peers[0].send(OK)
        self.successResultOf(results[0])
        self.assertEqual(2, self.network.peers[0].received.count(b"GET"))
        self.network.peers[0].send(OK)
        self.successResultOf(results[2])
        self.network.peers[0].send(OK)
        self.successResultOf(results[3])
        self.assertEqual((0, 2, 1, 0), tuple(agent.pool.counts()))

    def test_keptBeside(self) -> None:
        """
        A connection becomes idle, and is not closed, where others wait for another
        origin's bound only.
        """
        agent = self.makeAgent(self.makePool(maxConnectionsPerOrigin=1))
        results = self.ask_many(agent, b"a", b"a", b"b")
        self.network.peers[1].send(OK)
        self.successResultOf(results[2])
        self.assertFalse(self.network.peers[1].closed)
        self.assertEqual((0, 1, 1, 1), tuple(agent.pool.counts()))
        self.network.peers[0].send(OK)
        self.network.peers[0].send(OK)

    def test_counts(self) -> None:
        """
        What there is in each state is counted, for one origin and for all.
        """
        agent = self.makeAgent(self.makePool(maxConnectionsPerOrigin=2))
        self.ask_many(agent, b"a", b"a", b"b")
        for peer in self.network.peers:
            peer.send(OK)
        self.network.hang = True
        self.ask_many(agent, b"b", b"b", b"c", b"c", b"c")
        for host, expected in (
            (b"a", (0, 0, 2, 0)),
            (b"b", (1, 1, 0, 0)),
            (b"c", (2, 0, 0, 1)),
            (b"d", (0, 0, 0, 0)),
        ):
            counts = agent.pool.counts((b"http", host, 80))
            self.assertEqual(expected, tuple(counts), host)
        self.assertEqual((3, 1, 2, 1), tuple(agent.pool.counts()))

    def test_useless(self) -> None:
        """
        A connection that was made and can not be used counts until it has gone, and
        not as one that is being made.
        """
        agent = self.makeAgent()
        network: Any = self.network
        network.problem = Failure(ValueError("no"))
        self.failing(agent.request(b"GET", b"http://a/"))
        self.assertEqual((0, 1, 0, 0), tuple(agent.pool.counts()))
        self.clock.advance(0)
        self.assertEqual((0, 0, 0, 0), tuple(agent.pool.counts()))

    def test_otherSettings(self) -> None:
        """
        A pool may get other bounds.
        """
        pool = self.makePool()
        settings = pool.settings = PoolSettings(maxConnections=1)
        self.assertIs(settings, pool.settings)
        self.ask_many(self.makeAgent(pool), b"a", b"b")
        self.assertEqual((0, 1, 0, 1), tuple(pool.counts()))

    def test_otherSettingsLater(self) -> None:
        """
        Requests that wait get connections as soon as the bounds of the pool are
        higher, as many as these allow, now and when connections are lost.
        """
        for before, after, expected in (
            ({"maxConnections": 2}, {"maxConnections": 3}, (0, 3, 0, 5)),
            ({"maxConnectionsPerOrigin": 1}, {}, (0, 8, 0, 0)),
            (
                {"maxConnectionsPerOrigin": 1},
                {"maxConnectionsPerOrigin": 2},
                (0, 4, 0, 4),
            ),
            (
                {"maxConnectionsPerOrigin": 3},
                {"maxConnectionsPerOrigin": 2},
                (0, 6, 0, 2),
            ),
        ):
            self.network.peers.clear()
            pool = self.makePool(True, **before, queueTimeout=None)
            self.ask_many(self.makeAgent(pool), *b"a b a b a b a b".split())
            pool.settings = PoolSettings(**after)
            self.assertEqual(expected, tuple(pool.counts()), (before, after))
            while peers := self.open():
                peers[0].lose()
            self.assertEqual((0, 0, 0, 0), tuple(pool.counts()), (before, after))

    def test_lostWhileAnotherWaits(self) -> None:
        """
        When a connection is lost, whoever waits for its origin gets a new one.
        """
        agent = self.makeAgent(self.makePool(maxConnectionsPerOrigin=1))
        first, second = self.ask_many(agent, b"a", b"a")
        self.network.peers[0].lose()
        self.failing(first, ResponseFailed)
        self.network.peers[1].send(OK)
        self.successResultOf(second)

    def test_manyFail(self) -> None:
        """
        However many wait for a server that refuses, they fail one after the other, not
        one within the other.
        """
        agent = self.makeAgent(self.makePool(maxConnections=1, maxQueued=None))
        self.network.hang = True
        results = [agent.request(b"GET", b"http://a/") for _ in range(500)]
        seen: set[tuple[int, ...]] = set()

        def failed(reason: Failure) -> Failure:
            seen.add(agent.pool.counts()[:3])
            return reason

        for result in results:
            result.addErrback(failed)
        self.network.hang = False
        self.network.error = ConnectionRefusedError()
        ((connecting, _),) = self.network.hanging
        connecting.errback(ConnectionRefusedError())
        for result in results:
            self.failing(result, ConnectionRefusedError)
        self.assertEqual({(0, 0, 0)}, seen)

    def test_noCircle(self) -> None:
        """
        An attempt to connect is gone without the collector, with its connection or
        when it has failed.
        """
        agent = self.makeAgent()
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        before = self.attempts()
        self.ask(agent)[1].send(OK)
        self.network.hang = True
        agent.request(b"GET", b"http://b/").addErrback(lambda _: None)
        connecting, _ = self.network.hanging.pop()
        connecting.errback(ConnectionRefusedError())
        del connecting, _
        agent.pool.close()
        self.clock.advance(0)
        self.deferreds.clear()
        self.network.peers.clear()
        self.assertEqual(set(), self.attempts() - before)

    def attempts(self) -> set[int]:
        """
        The attempts to connect that there are, those of other tests included.
        """
        return {id(one) for one in gc.get_objects() if type(one) is Attempt}

    def test_closedWhileConnecting(self) -> None:
        """
        An attempt to connect ends with the pool.
        """
        pool = self.makePool()
        self.network.hang = True
        deferred = self.makeAgent(pool).request(b"GET", b"http://a/")
        gone = pool.close()
        self.failing(deferred, CancelledError)
        self.assertEqual(1, self.network.cancelled)
        self.assertIsNone(self.successResultOf(gone))
        self.assertEqual((0, 0, 0, 0), tuple(pool.counts()))

    def test_closedWhileWaiting(self) -> None:
        """
        A request that waits for a connection fails when the pool is closed.
        """
        pool = self.makePool(maxConnectionsPerOrigin=1)
        first, second = self.ask_many(self.makeAgent(pool), b"a", b"a")
        self.assertNoResult(second)
        pool.close()
        self.failureResultOf(second, CancelledError)
        first.addErrback(lambda _: None)

    def test_total(self) -> None:
        """
        All together have a bound.
        """
        agent = self.makeAgent(self.makePool(maxConnections=2))
        results = self.ask_many(agent, b"a", b"b", b"c")
        self.assertEqual(2, len(self.network.peers))
        self.network.peers[1].send(OK)
        self.successResultOf(results[1])
        # The idle connection to b makes room, but not before it is gone.
        self.assertEqual(2, len(self.network.peers))
        self.clock.advance(0)
        self.assertEqual(3, len(self.network.peers))
        self.assertIn(b"Host: c", self.network.peers[2].received)
        self.assertEqual(2, self.network.most)

    def test_room(self) -> None:
        """
        An idle connection of another origin is closed to make room.
        """
        agent = self.makeAgent(self.makePool(maxConnections=1))
        self.ask_many(agent, b"a")
        self.network.peers[0].send(OK)
        self.assertEqual(1, agent.pool.counts().idle)
        (second,) = self.ask_many(agent, b"b")
        self.clock.advance(0)
        self.network.peers[1].send(OK)
        self.successResultOf(second)
        self.assertEqual(1, self.network.most)

    def test_turns(self) -> None:
        """
        Who has waited longest is served first, whatever its origin: a busy
        origin does not keep its connection from another.
        """
        agent = self.makeAgent(self.makePool(maxConnections=1))
        results = self.ask_many(agent, b"a", b"b", b"a", b"b", b"a")
        order = []
        for _ in range(5):
            (peer,) = self.open()
            line = peer.take()
            order.append(line.partition(b"Host: ")[2][:1])
            peer.send(OK)
            self.clock.advance(0)
            self.clock.advance(0)
        self.assertEqual([b"a", b"b", b"a", b"b", b"a"], order)
        for result in results:
            self.successResultOf(result)
        self.assertEqual(1, self.network.most)

    def test_queueBound(self) -> None:
        """
        The line has a bound as well.
        """
        agent = self.makeAgent(self.makePool(maxConnections=1, maxQueued=1))
        results = self.ask_many(agent, b"a", b"a", b"a")
        self.assertIn("maxQueued", str(self.failing(results[2], QueueFull)))

    def test_failedConnect(self) -> None:
        """
        A connection that could not be made gives its slot to the next.
        """
        agent = self.makeAgent(self.makePool(maxConnections=1))
        self.network.error = ConnectionRefusedError()
        results = self.ask_many_failing(agent)
        error = self.failing(results[0], ConnectionRefusedError)
        self.assertEqual("connecting", error.phase)
        self.assertEqual((0, 0, 0, 0), tuple(agent.pool.counts()))

    def ask_many_failing(self, agent: Agent) -> list[Deferred[Any]]:
        """
        A request that can not be connected.
        """
        return [agent.request(b"GET", b"http://a/")]

    def test_settings(self) -> None:
        """
        There is always room for one.
        """
        for name in ("maxConnections", "maxConnectionsPerOrigin"):
            for value in (0, 0.5):
                given: dict[str, Any] = {name: value}
                self.assertRaises(ValueError, PoolSettings, **given)


class IdleTests(ClientTestCase):
    """
    Connections between requests.
    """

    def finished(self, agent: Agent, uri: bytes = b"http://a/") -> Peer:
        """
        A request that is over; its connection.
        """
        deferred, peer = self.ask(agent, uri=uri)
        peer.send(OK)
        self.successResultOf(deferred)
        return peer

    def test_used(self) -> None:
        """
        An idle connection is used again; one to another origin is not.
        """
        agent = self.makeAgent()
        first = self.finished(agent)
        self.assertIs(first, self.finished(agent, b"http://A:80/x"))
        self.assertIsNot(first, self.finished(agent, b"http://a:81/"))
        self.assertIsNot(first, self.finished(agent, b"https://a/"))

    def test_byDefault(self) -> None:
        """
        So it is where nothing is said of persistence.
        """
        pool = HTTPConnectionPool(self.clock)
        self.pools.append(pool)
        agent = self.makeAgent(pool)
        self.assertIs(self.finished(agent), self.finished(agent))

    def test_expires(self) -> None:
        """
        An idle connection is closed after a while.
        """
        agent = self.makeAgent(self.makePool(idleTimeout=10))
        peer = self.finished(agent)
        self.clock.advance(9)
        self.assertIs(peer, self.finished(agent))
        self.clock.advance(9)
        self.assertFalse(peer.closed)
        self.clock.advance(1)
        self.assertTrue(peer.closed)

    def test_age(self) -> None:
        """
        An old connection is not used again.
        """
        agent = self.makeAgent(self.makePool(maxAge=10))
        peer = self.finished(agent)
        self.clock.advance(10)
        self.assertIsNot(peer, self.finished(agent))
        self.assertTrue(peer.closed)

    def test_ageAfterSetClock(self) -> None:
        """
        Nor is one whose age is not known, because the clock was set back.
        """
        agent = self.makeAgent(self.makePool(maxAge=10))
        peer = self.finished(agent)
        self.clock.advance(-86400)
        self.assertIsNot(peer, self.finished(agent))
        self.assertTrue(peer.closed)

    def test_requests(self) -> None:
        """
        A connection serves a bounded number of requests.
        """
        agent = self.makeAgent(self.makePool(maxRequests=2))
        peer = self.finished(agent)
        self.assertIs(peer, self.finished(agent))
        self.assertTrue(peer.closed)
        self.assertIsNot(peer, self.finished(agent))

    def test_fewKept(self) -> None:
        """
        C{maxPersistentPerHost}, of twisted.web's pool, bounds the idle ones.
        """
        pool = self.makePool()
        pool.maxPersistentPerHost = 1
        agent = self.makeAgent(pool)
        asked = [self.ask(agent) for _ in range(3)]
        for _, peer in asked:
            peer.send(OK)
        self.assertEqual([True, True, False], [peer.closed for _, peer in asked])
        self.clock.advance(0)
        self.assertEqual((0, 0, 1, 0), tuple(pool.counts()))

    def test_notPersistent(self) -> None:
        """
        Without persistence each connection serves once, and says so.
        """
        agent = self.makeAgent(self.makePool(persistent=False))
        peer = self.finished(agent)
        self.assertIn(b"Connection: close\r\n", peer.received)
        self.assertTrue(peer.closed)

    def test_closedByServer(self) -> None:
        """
        An idle connection that the server closes is forgotten.
        """
        agent = self.makeAgent()
        for how in ("end", "lose"):
            peer = self.finished(agent)
            getattr(peer, how)()
            self.assertEqual(0, agent.pool.counts().idle)
            self.assertIsNot(peer, self.finished(agent))

    def test_closeCached(self) -> None:
        """
        C{closeCachedConnections} closes the idle ones, leaves those in use,
        and fires when they are gone.
        """
        agent = self.makeAgent()
        _, busyPeer = self.ask(agent)
        _, idlePeer = self.ask(agent)
        idlePeer.send(OK)
        gone = agent.pool.closeCachedConnections()
        self.assertTrue(idlePeer.closed)
        self.assertFalse(busyPeer.closed)
        self.assertNoResult(gone)
        self.clock.advance(0)
        self.assertIsNone(self.successResultOf(gone))
        self.successResultOf(agent.pool.closeCachedConnections())


class CloseTests(ClientTestCase):
    """
    The pool is closed.
    """

    def test_usedBefore(self) -> None:
        """
        A request under way on a connection that was used before fails, and is not
        sent again on a new one.
        """
        pool = self.makePool()
        agent = self.makeAgent(pool)
        _, peer = self.ask(agent)
        peer.send(OK)
        deferred, again = self.ask(agent)
        self.assertIs(peer, again)
        pool.close()
        self.clock.advance(0)
        self.failing(deferred, ResponseFailed)
        self.assertEqual(1, len(self.network.peers), "a new connection")
        self.assertEqual((0, 0, 0, 0), tuple(pool.counts()))

    def test_usedAfter(self) -> None:
        """
        A pool that was closed may be used again, and requests on it are repeated.
        """
        pool = self.makePool()
        agent = self.makeAgent(pool)
        pool.close()
        _, peer = self.ask(agent)
        peer.send(OK)
        deferred, again = self.ask(agent)
        self.assertIs(peer, again)
        peer.lose()
        self.assertEqual(2, len(self.network.peers))
        self.network.peers[1].send(OK)
        self.successResultOf(deferred)


class CancelTests(ClientTestCase):
    """
    Cancelling frees exactly one slot, at any moment.
    """

    def setUp(self) -> None:
        """
        A pool with one slot.
        """
        super().setUp()
        self.agent = self.makeAgent(self.makePool(maxConnections=1))

    def assertOneSlot(self) -> None:
        """
        There is one slot: a request is served, a second one waits.
        """
        self.network.hang = False
        self.clock.advance(0)
        first, peer = self.ask(self.agent)
        second, _ = self.ask(self.agent)
        self.assertEqual((0, 1, 0, 1), tuple(self.agent.pool.counts()))
        peer.send(OK)
        peer.send(OK)
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertEqual((0, 0, 1, 0), tuple(self.agent.pool.counts()))
        self.assertEqual(1, self.network.most)

    def test_waiting(self) -> None:
        """
        In the line: first, in the middle, last.
        """
        first, peer = self.ask(self.agent)
        waiting = [self.ask(self.agent)[0] for _ in range(5)]
        for index in (0, 2, 4):
            waiting[index].cancel()
            self.failing(waiting[index], CancelledError)
        self.assertEqual(2, self.agent.pool.counts().queued)
        peer.send(OK)
        peer.send(OK)
        peer.send(OK)
        for deferred in (first, waiting[1], waiting[3]):
            self.successResultOf(deferred)
        self.assertOneSlot()

    def test_manyWaiting(self) -> None:
        """
        In the line, again and again, while another request waits for very long: nothing
        is left of those that were cancelled.
        """
        pool = self.makePool(maxConnections=2, maxConnectionsPerOrigin=1)
        agent = self.makeAgent(pool)
        for host in (b"a", b"a", b"b", b"c"):
            self.ask(agent, uri=b"http://" + host + b"/")
        self.assertEqual(2, pool.counts().queued)
        for host in (b"a", b"c", b"d") * 100:
            deferred = agent.request(b"GET", b"http://" + host + b"/")
            deferred.cancel()
            self.failing(deferred, CancelledError)
        line = pool._line
        self.assertEqual(2, sum(map(len, line._queues.values())))
        self.assertLess(len(line._heads), 50)
        self.assertEqual(2, pool.counts().queued)

    def test_connecting(self) -> None:
        """
        While it connects: the attempt is cancelled too.
        """
        self.network.hang = True
        deferred = self.agent.request(b"GET", b"http://a/")
        deferred.cancel()
        self.failing(deferred, CancelledError)
        self.assertEqual(1, self.network.cancelled)
        self.assertOneSlot()

    def test_late(self) -> None:
        """
        An endpoint that connects all the same leaves no connection behind.
        """
        self.network.hang = True
        deferred = self.agent.request(b"GET", b"http://a/")
        ((_, factory),) = self.network.hanging
        deferred.cancel()
        self.failing(deferred, CancelledError)
        self.network._make(factory)
        self.assertTrue(self.network.peers[0].aborted)
        self.clock.advance(0)
        self.assertEqual((0, 0, 0, 0), tuple(self.agent.pool.counts()))
        self.assertOneSlot()

    def test_sent(self) -> None:
        """
        Waiting for the answer; who waits in line is served afterwards.
        """
        deferred, peer = self.ask(self.agent)
        waiting, _ = self.ask(self.agent)
        deferred.cancel()
        self.assertTrue(peer.aborted)
        self.failing(deferred).reasons[0].trap(CancelledError)
        self.assertEqual(1, len(self.network.peers))
        self.clock.advance(0)
        self.network.peers[1].send(OK)
        self.successResultOf(waiting)
        self.assertOneSlot()

    def test_receiving(self) -> None:
        """
        In the body, by C{readBody}.
        """
        deferred, peer = self.ask(self.agent)
        peer.send(OK[:-1])
        body = readBody(self.successResultOf(deferred))
        body.cancel()
        self.failing(body)
        self.assertTrue(peer.aborted)
        self.assertOneSlot()

    def test_done(self) -> None:
        """
        Afterwards it changes nothing.
        """
        deferred, peer = self.ask(self.agent)
        peer.send(OK)
        deferred.cancel()
        self.assertFalse(peer.closed)
        self.assertOneSlot()


class TwistedAgentTests(ClientTestCase):
    """
    The pool under Twisted's own Agent.
    """

    def setUp(self) -> None:
        """
        Twisted's Agent on our pool.
        """
        super().setUp()
        pool: Any = self.makePool(maxConnections=1)
        self.pool = pool
        self.agent = TwistedAgent.usingEndpointFactory(self.clock, self.network, pool)

    def test_requests(self) -> None:
        """
        Requests are served, one after the other.
        """
        results = [self.agent.request(b"GET", b"http://a/x") for _ in range(2)]
        (peer,) = self.network.peers
        self.assertEqual(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n", peer.take())
        peer.send(OK)
        peer.send(OK)
        for result in results:
            response = self.successResultOf(result)
            self.assertEqual(b"hello", self.successResultOf(readBody(response)))
            self.assertEqual(b"http://a/x", response.request.absoluteURI)
        third = self.agent.request(b"POST", b"http://a/x")
        peer.send(OK)
        self.successResultOf(third)
        self.assertEqual(1, len(self.network.peers))

    def test_cancel(self) -> None:
        """
        Cancelling works in the line and later.
        """
        first = self.agent.request(b"GET", b"http://a/x")
        second = self.agent.request(b"GET", b"http://a/x")
        second.cancel()
        self.failing(second, CancelledError)
        first.cancel()
        self.failing(first).reasons[0].trap(CancelledError)
        self.clock.advance(0)
        self.assertEqual((0, 0, 0, 0), tuple(self.pool.counts()))

    def test_gone(self) -> None:
        """
        A connection that has gone before it was used sends nothing.
        """
        connection = self.successResultOf(
            self.pool.getConnection((b"http", b"a", 80), self.network)
        )
        self.network.peers[0].lose()
        # Not even a look at the request.
        self.failing(connection.request(object()), RequestNotSent)

    def test_notUsed(self) -> None:
        """
        A connection that was waited for and is then not used is closed.
        """
        self.agent.request(b"GET", b"http://a/x").addErrback(lambda _: None)
        waiting = self.pool.getConnection((b"http", b"a", 80), self.network)
        (peer,) = self.network.peers
        peer.send(OK)
        self.successResultOf(waiting)
        self.assertTrue(peer.closed)

    def test_notWaitedFor(self) -> None:
        """
        A Deferred that its owner has fired meanwhile is not fired again, however the
        wait ends; a connection that is there then is closed.
        """
        key = (b"http", b"a", 80)
        self.network.hang = True
        connecting = self.pool.getConnection(key, self.network)
        queued = self.pool.getConnection(key, self.network)
        for waiting in (connecting, queued):
            waiting.callback("mine")
        self.network.connectOne()
        self.assertTrue(self.network.peers[-1].closed)
        # Which fails who stands in the line.
        self.pool.close()
        self.clock.advance(0)
        for waiting in (connecting, queued):
            self.assertEqual("mine", self.successResultOf(waiting))
        self.assertEqual((0, 0, 0, 0), tuple(self.pool.counts()))

    def test_notAskedFor(self) -> None:
        """
        So it is with the Deferred of a request.
        """
        request = SimpleNamespace(
            method=b"GET",
            uri=b"/",
            headers=Headers({b"Host": [b"a"]}),
            bodyProducer=None,
            persistent=True,
            absoluteURI=None,
        )
        for ending in ("answered", "lost"):
            asked: list[Deferred[Any]] = []
            waiting = self.pool.getConnection((b"http", b"a", 80), self.network)
            waiting.addCallback(lambda c, to=asked: to.append(c.request(request)))
            asked[0].callback("mine")
            peer = self.network.peers[-1]
            if ending == "answered":
                peer.send(OK)
            else:
                peer.lose()
            self.assertEqual("mine", self.successResultOf(asked[0]))
            self.assertEqual(0, self.pool.counts().busy)

    def test_badTransport(self) -> None:
        """
        A transport that can not write fails the request, and has no place in the
        pool any more.
        """

        def broken(data: bytes) -> None:
            raise ZeroDivisionError

        deferred = self.agent.request(b"GET", b"http://a/x")
        (peer,) = self.network.peers
        peer.send(OK)
        self.successResultOf(deferred)
        peer.write = broken  # type: ignore[method-assign]
        deferred = self.agent.request(b"POST", b"http://a/x")
        self.failing(deferred).reasons[0].trap(ZeroDivisionError)
        self.clock.advance(0)
        self.assertEqual((0, 0, 0, 0), tuple(self.pool.counts()))

    def test_closedUnused(self) -> None:
        """
        So is one that was given away at once, and not used, when the pool is closed.
        """
        origin = (b"http", b"a", 80)
        self.successResultOf(self.pool.getConnection(origin, self.network))
        (peer,) = self.network.peers
        gone = self.pool.close()
        self.assertTrue(peer.closed)
        self.clock.advance(0)
        self.assertIsNone(self.successResultOf(gone))
