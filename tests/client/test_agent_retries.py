"""
A request is sent again where that is safe, and only there.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost, ConnectionRefusedError
from twisted.web.client import (
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
)

from tests.support.client_cases import ClientTestCase
from tests.support.client_memory import Peer
from tests.support.producers import OK, Producer
from twisted_h11.client import Agent, ClientSettings


class RetryTests(ClientTestCase):
    """
    A connection that was used before may be dead without our knowing.
    """

    def used(self, agent: Agent) -> Peer:
        """
        An idle connection that has served.
        """
        deferred, peer = self.ask(agent)
        peer.send(OK)
        self.successResultOf(deferred)
        peer.take()
        return peer

    def test_dead(self) -> None:
        """
        A GET on it goes to a new connection, once.
        """
        agent = self.makeAgent()
        peer = self.used(agent)
        deferred, again = self.ask(agent)
        self.assertIs(peer, again)
        peer.lose(ConnectionLost())
        second = self.network.peers[1]
        self.assertIn(b"GET /", second.received)
        second.send(OK)
        self.assertEqual(200, self.successResultOf(deferred).code)

    def test_fresh(self) -> None:
        """
        The second attempt is made on a new connection, also where the pool is
        full: the others may be dead as well.
        """
        agent = self.makeAgent(self.makePool(maxConnections=2))
        asked = [self.ask(agent) for _ in range(2)]
        for deferred, peer in asked:
            peer.send(OK)
            self.successResultOf(deferred)
        first, _ = self.ask(agent)
        self.assertEqual(2, len(self.network.peers))
        (one, two) = self.network.peers
        busy = one if one.protocol.state.value == "waiting" else two
        other = two if busy is one else one
        busy.lose(ConnectionLost())
        self.assertFalse(other.received.count(b"GET") > 1)
        self.clock.advance(0)
        self.assertEqual(3, len(self.network.peers))
        self.network.peers[2].send(OK)
        self.successResultOf(first)

    def test_freshInLine(self) -> None:
        """
        In the line it takes no connection that was used, but its slot.
        """
        agent = self.makeAgent(self.makePool(maxConnections=2))
        asked = [self.ask(agent) for _ in range(2)]
        for deferred, peer in asked:
            peer.send(OK)
            self.successResultOf(deferred)
        asked = [self.ask(agent) for _ in range(2)]
        waiting, _ = self.ask(agent)
        one, two = self.network.peers
        one.lose(ConnectionLost())
        self.clock.advance(0)
        # Whoever waited got the slot of the first; the repetition waits.
        self.assertEqual(3, len(self.network.peers))
        two.send(OK)
        self.assertTrue(two.closed)
        self.clock.advance(0)
        self.assertEqual(4, len(self.network.peers))
        for peer in self.network.peers[2:]:
            peer.send(OK)
        for deferred in (waiting, *(each[0] for each in asked)):
            self.successResultOf(deferred)

    def test_cancelledAsItBegins(self) -> None:
        """
        One that is cancelled just as its second connection is begun gives that up.
        """
        asked: list[Any] = []

        def trace(event: Any) -> None:
            if event.name == "connecting" and asked:
                asked[0].cancel()

        agent = self.makeAgent(trace=trace)
        peer = self.used(agent)
        asked.append(self.ask(agent)[0])
        self.network.hang = True
        peer.lose(ConnectionLost())
        self.failing(asked[0], CancelledError)
        self.assertEqual(1, self.network.cancelled)
        self.assertEqual((0, 0, 0, 0), tuple(agent.pool.counts()))

    def test_once(self) -> None:
        """
        If that one dies too, it is a failure.
        """
        agent = self.makeAgent()
        peer = self.used(agent)
        deferred, _ = self.ask(agent)
        peer.lose(ConnectionLost())
        self.network.peers[1].lose(ConnectionLost())
        self.failing(deferred, ResponseNeverReceived)
        self.assertEqual(2, len(self.network.peers))

    def test_first(self) -> None:
        """
        A death on the first request is not the connection's age.
        """
        deferred, peer = self.ask()
        peer.lose(ConnectionLost())
        self.failing(deferred, ResponseNeverReceived)

    def test_methods(self) -> None:
        """
        A method that may have had its effect is not repeated, unless the
        settings say so.
        """
        agent = self.makeAgent()
        peer = self.used(agent)
        deferred, _ = self.ask(agent, method=b"POST", body=b"x")
        peer.lose(ConnectionLost())
        self.failing(deferred, ResponseNeverReceived)
        agent = self.makeAgent(agent.pool, retryMethods=[b"POST"])
        peer = self.used(agent)
        deferred, _ = self.ask(agent, method=b"POST", body=b"x")
        peer.lose(ConnectionLost())
        self.network.peers[-1].send(OK)
        self.successResultOf(deferred)

    def test_closedUnnoticed(self) -> None:
        """
        A connection that is found closed before anything was sent is left
        alone, whatever the method.
        """
        agent = self.makeAgent()
        peer = self.used(agent)

        class Poll:
            def poll(self, timeout: int) -> list[Any]:
                return [(3, 1)]

        peer.protocol._poll = Poll()
        deferred, second = self.ask(agent, method=b"POST", body=b"x")
        self.assertIsNot(peer, second)
        self.assertEqual(b"", peer.received)
        self.assertTrue(peer.closed)
        second.send(OK)
        self.successResultOf(deferred)

    def test_answered(self) -> None:
        """
        Once a byte of the answer is here, nothing is repeated.
        """
        agent = self.makeAgent()
        peer = self.used(agent)
        deferred, _ = self.ask(agent)
        peer.send(b"HTTP")
        peer.lose(ConnectionLost())
        self.failing(deferred, ResponseFailed)
        self.assertEqual(1, len(self.network.peers))

    def test_startedBody(self) -> None:
        """
        A producer that was started can not be started again.
        """
        agent = self.makeAgent(retryMethods=[b"PUT"])
        peer = self.used(agent)
        deferred, _ = self.ask(agent, method=b"PUT", body=Producer())
        peer.lose(ConnectionLost())
        self.failing(deferred, RequestTransmissionFailed)

    def test_timeOut(self) -> None:
        """
        A time-out is not repeated.
        """
        agent = self.makeAgent(headTimeout=5)
        self.used(agent)
        deferred, _ = self.ask(agent)
        self.clock.advance(5)
        self.failing(deferred, ResponseNeverReceived)
        self.assertEqual(1, len(self.network.peers))

    def test_off(self) -> None:
        """
        C{retryAutomatically}, of twisted.web's pool, switches it off; so does
        C{retries}.
        """
        for agent in (self.makeAgent(), self.makeAgent(retries=0)):
            if agent._settings.retries:
                agent.pool.retryAutomatically = False
            peer = self.used(agent)
            deferred, _ = self.ask(agent)
            peer.lose(ConnectionLost())
            self.failing(deferred, ResponseNeverReceived)

    def test_newConnections(self) -> None:
        """
        With C{retryNewConnections} any method is tried again when there is no
        connection: nothing was sent.  The wait doubles.
        """
        self.network.error = ConnectionRefusedError()
        agent = self.makeAgent(retryNewConnections=True, retries=3, retryDelay=2)
        deferred = agent.request(b"POST", b"http://a/", None, b"x")
        self.clock.advance(2)
        self.clock.advance(4)
        self.assertNoResult(deferred)
        self.network.error = None
        self.clock.advance(7.9)
        self.assertEqual([], self.network.peers)
        self.clock.advance(0.1)
        self.network.peers[0].send(OK)
        self.successResultOf(deferred)

    def test_many(self) -> None:
        """
        There may be thousands of retries, without a delay or with one that is doubled,
        of attempts that fail at once or later: each is made, and the request ends.
        """
        tries: list[Any] = []

        class Failing:
            def __init__(self, clock: Any, atOnce: bool) -> None:
                self.clock = clock
                self.atOnce = atOnce

            def endpointForURI(self, uri: Any) -> Any:
                return self

            def connect(self, factory: Any) -> Deferred[Any]:
                connecting: Deferred[Any] = Deferred(lambda _: None)
                tries.append(connecting)
                error = ConnectionRefusedError()
                if self.atOnce:
                    connecting.errback(error)
                else:
                    self.clock.callLater(0, connecting.errback, error)
                return connecting

        for atOnce in (True, False):
            for delay in (0, 0.0, 1e-300):
                del tries[:]
                pool = self.makePool()
                agent = Agent.usingEndpointFactory(
                    self.clock,
                    Failing(self.clock, atOnce),
                    pool,
                    settings=ClientSettings(
                        retries=2000, retryDelay=delay, retryNewConnections=True
                    ),
                )
                deferred = agent.request(b"GET", b"http://a/")
                for _ in range(4100):
                    self.clock.advance(1e-9)
                self.failing(deferred, ConnectionRefusedError)
                self.assertEqual(2001, len(tries), (atOnce, delay))
                self.assertEqual((0, 0, 0, 0), tuple(pool.counts()))

    def test_cancelBetween(self) -> None:
        """
        Cancelling works between two attempts.
        """
        self.network.error = ConnectionRefusedError()
        agent = self.makeAgent(retryNewConnections=True, retries=3, retryDelay=2)
        deferred = agent.request(b"GET", b"http://a/")
        deferred.cancel()
        self.failing(deferred, CancelledError)

    def test_closedBetween(self) -> None:
        """
        A pool that is closed between two attempts fails the request; nothing is left.
        """
        self.network.error = ConnectionRefusedError()
        for seconds in (None, 60):
            agent = self.makeAgent(
                retryNewConnections=True,
                retries=3,
                retryDelay=2,
                totalTimeout=seconds,
            )
            deferred = agent.request(b"GET", b"http://a/")
            self.assertNoResult(deferred)
            self.successResultOf(agent.pool.close())
            self.failing(deferred, CancelledError)
            self.assertEqual([], self.clock.getDelayedCalls())

    def test_traced(self) -> None:
        """
        A trace tells all moments in order, the repetition included.
        """
        events: list[Any] = []
        agent = self.makeAgent(self.makePool(maxConnections=1), trace=events.append)
        first, peer = self.ask(agent)
        second, _ = self.ask(agent)
        self.clock.advance(3)
        peer.send(OK)
        self.successResultOf(first)
        peer.lose(ConnectionLost())
        self.network.peers[1].send(OK[:-1])
        self.read(self.successResultOf(second))
        self.network.peers[1].send(b"o")
        sent = ["connected", "head sent", "body sent"]
        of: dict[Any, list[str]] = {}
        for event in events:
            of.setdefault(event.request, []).append(event.name)
        one, two = of.values()
        self.assertEqual(["connecting", *sent, "head received", "ended"], one)
        again = ["queued", "connecting", *sent, "head received", "ended"]
        self.assertEqual(["queued", *sent, "ended", *again], two)
        self.assertEqual((0.0, 3.0), (events[0].time, events[-1].time))

    def test_tracedFailure(self) -> None:
        """
        A failure is told once, wherever it happened.
        """
        events: list[Any] = []
        agent = self.makeAgent(trace=events.append)
        deferred, peer = self.ask(agent)
        peer.lose(ConnectionLost())
        error = self.failing(deferred, ResponseNeverReceived)
        (end,) = [event for event in events if event.name == "ended"]
        self.assertIs(error, end.failure.value)
        events.clear()
        self.network.error = ConnectionRefusedError()
        self.failing(agent.request(b"GET", b"http://a/"), ConnectionRefusedError)
        self.assertEqual(["connecting", "ended"], [event.name for event in events])
