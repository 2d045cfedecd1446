"""
Each wait of the client has its own bound, and its failure says which it was.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import TimeoutError as TwistedTimeoutError
from twisted.web.client import (
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
)

from tests.support.client_cases import ClientTestCase, Reader
from tests.support.producers import OK, Producer
from twisted_h11._client import timeouts
from twisted_h11.client import (
    ClientSettings,
    ConnectTimedOut,
    PoolTimedOut,
    RequestNotSent,
    TimedOut,
)

PARTIAL = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"


class TimeoutTests(ClientTestCase):
    """
    One test for each time-out.
    """

    def assertTimedOut(self, error: Any, phase: str, elapsed: float) -> None:
        """
        C{error} is a time-out that knows where and when.
        """
        self.assertIsInstance(error, TimedOut)
        self.assertIsInstance(error, TwistedTimeoutError)
        self.assertIn(phase, error.phase)
        self.assertEqual(elapsed, error.elapsed)
        self.assertIn(f"after {elapsed:g} s", str(error))

    def test_pool(self) -> None:
        """
        Waiting for a connection.
        """
        agent = self.makeAgent(self.makePool(maxConnections=1), poolTimeout=7)
        self.ask(agent)
        waiting, _ = self.ask(agent)
        self.clock.advance(6.9)
        self.assertNoResult(waiting)
        self.clock.advance(0.1)
        error = self.failing(waiting, PoolTimedOut)
        self.assertTimedOut(error, "waiting for a connection", 7)
        self.assertIsInstance(error, RequestNotSent)
        self.assertEqual(0, agent.pool.counts().queued)

    def test_poolsOwn(self) -> None:
        """
        Without one of the agent's the pool's own bound counts.
        """
        agent = self.makeAgent(self.makePool(maxConnections=1, queueTimeout=3))
        self.ask(agent)
        waiting, _ = self.ask(agent)
        self.clock.advance(3)
        self.failing(waiting, PoolTimedOut)

    def test_connect(self) -> None:
        """
        Connecting; the attempt is cancelled, and its slot is free.
        """
        self.network.hang = True
        agent = self.makeAgent(connectTimeout=5)
        deferred = agent.request(b"GET", b"http://a/")
        self.clock.advance(5)
        error = self.failing(deferred, ConnectTimedOut)
        self.assertTimedOut(error, "connecting", 5)
        self.assertEqual(1, self.network.cancelled)
        self.assertEqual((0, 0, 0, 0), tuple(agent.pool.counts()))

    def test_write(self) -> None:
        """
        The server takes nothing of the request.
        """
        producer = Producer()
        deferred, peer = self.ask(method=b"POST", body=producer, writeTimeout=4)
        self.clock.advance(100)
        peer.fill()
        self.clock.advance(3)
        peer.drain()
        peer.fill()
        self.clock.advance(4)
        error = self.failing(deferred, RequestTransmissionFailed)
        self.assertTimedOut(error, "sending", 107)
        self.assertEqual("stop", producer.events[-1])
        self.assertTrue(peer.aborted)

    def test_writeAnew(self) -> None:
        """
        A server that was slow for less than that has as long again the next time.
        """
        producer = Producer()
        deferred, peer = self.ask(method=b"POST", body=producer, writeTimeout=4)
        peer.fill()
        self.clock.advance(3)
        peer.drain()
        self.clock.advance(2)
        peer.fill()
        self.clock.advance(3)
        self.assertNoResult(deferred)
        self.clock.advance(1)
        error = self.failing(deferred, RequestTransmissionFailed)
        self.assertTimedOut(error, "sending", 9)

    def test_writeSlowly(self) -> None:
        """
        A server that takes something is not one that takes nothing, although the
        transport stays full: a long piece may take longer.
        """
        taken = [0]
        self.patch(timeouts, "bytes_taken", lambda transport: taken[0])
        deferred, peer = self.ask(method=b"POST", body=Producer(), writeTimeout=4)
        self.clock.advance(100)
        peer.fill()
        for _ in range(10):
            self.clock.advance(3)
            taken[0] += 1
        self.clock.advance(4)
        self.assertNoResult(deferred)
        self.clock.advance(4)
        error = self.failing(deferred, RequestTransmissionFailed)
        self.assertIsInstance(error, TimedOut)

    def test_slowProducer(self) -> None:
        """
        A producer may take its time: that is no time-out of the network.
        """
        producer = Producer()
        deferred, _ = self.ask(
            method=b"POST", body=producer, writeTimeout=4, headTimeout=5
        )
        self.clock.advance(1000)
        self.assertNoResult(deferred)
        producer.done.callback(None)
        self.clock.advance(5)
        self.failing(deferred, ResponseNeverReceived)

    def test_head(self) -> None:
        """
        The response head; a trickle of bytes does not prolong it.
        """
        deferred, peer = self.ask(headTimeout=9)
        self.clock.advance(8)
        self.assertNoResult(deferred)
        peer.send(b"HTTP/1.1 200")
        self.clock.advance(1)
        self.assertTimedOut(self.failing(deferred, ResponseFailed), "head", 9)
        deferred, peer = self.ask(headTimeout=9)
        self.clock.advance(9)
        self.failing(deferred, ResponseNeverReceived)
        self.assertTrue(peer.aborted)

    def test_read(self) -> None:
        """
        A pause in the body; each piece is given its time.
        """
        deferred, peer = self.ask(readTimeout=5)
        peer.send(PARTIAL)
        reader = self.read(self.successResultOf(deferred))
        self.clock.advance(4)
        peer.send(b"l")
        self.clock.advance(4)
        self.assertIsNone(reader.reason)
        self.clock.advance(1)
        assert reader.reason is not None
        self.assertTimedOut(reader.reason.value, "body", 9)
        self.assertIsInstance(reader.reason.value, ResponseFailed)
        self.assertTrue(peer.aborted)

    def test_readPaused(self) -> None:
        """
        While the reader is paused, nothing is expected of the server.
        """
        deferred, peer = self.ask(readTimeout=5)
        peer.send(PARTIAL)
        reader = self.read(self.successResultOf(deferred))
        reader.pause()
        self.clock.advance(100)
        self.assertIsNone(reader.reason)
        reader.resume()
        self.clock.advance(5)
        self.assertIsNotNone(reader.reason)

    def test_readPausedFirst(self) -> None:
        """
        Nor where the reader pauses at once, or while it gets what had arrived before it
        asked.
        """

        class Pausing(Reader):
            def connectionMade(self) -> None:
                self.pause()

        class PausingLater(Reader):
            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                self.pause()

        head = b"HTTP/1.1 200 OK\r\nContent-Length: 70001\r\n\r\n"
        for reader in (Pausing(), PausingLater()):
            for length in (2, 70000):
                deferred, peer = self.ask(readTimeout=5)
                peer.send(head, b"x" * length)
                self.successResultOf(deferred).deliverBody(reader)
                self.clock.advance(100)
                self.assertIsNone(reader.reason, (reader, length))
                self.assertFalse(peer.aborted)
                reader.resume()
                self.clock.advance(4)
                self.assertIsNone(reader.reason)
                self.clock.advance(1)
                self.assertEqual(length, len(reader.data))
                self.assertIn("body", str(reader.reason))
                reader.__init__()  # type: ignore[misc]

    def test_claim(self) -> None:
        """
        Nobody asks for the body.
        """
        deferred, peer = self.ask(claimTimeout=6)
        peer.send(PARTIAL)
        response = self.successResultOf(deferred)
        self.clock.advance(6)
        self.assertTrue(peer.aborted)
        reader = self.read(response)
        assert reader.reason is not None
        self.assertIn("The application did not ask for the", str(reader.reason.value))

    def test_total(self) -> None:
        """
        Everything together: in the line, connecting, in the head, in the body.
        """
        agent = self.makeAgent(self.makePool(maxConnections=1), totalTimeout=10)
        first, _ = self.ask(agent)
        self.clock.advance(1)
        second, _ = self.ask(agent)
        self.clock.advance(9)
        self.assertTimedOut(self.failing(first, ResponseNeverReceived), "head", 10)
        self.clock.advance(1)
        # The first has gone, so the second was sent meanwhile.
        self.assertTimedOut(self.failing(second, ResponseNeverReceived), "head", 10)

        self.network.hang = True
        third = agent.request(b"GET", b"http://a/")
        self.clock.advance(10)
        self.assertTimedOut(self.failing(third, TimedOut), "connecting", 10)
        self.network.hang = False

        self.ask(self.makeAgent(agent.pool))
        fourth, _ = self.ask(agent)
        self.clock.advance(10)
        self.assertTimedOut(self.failing(fourth, TimedOut), "waiting", 10)
        self.network.peers[-1].send(OK)

        deferred, peer = self.ask(agent)
        self.clock.advance(5)
        peer.send(PARTIAL)
        reader = self.read(self.successResultOf(deferred))
        self.clock.advance(4)
        peer.send(b"l")
        self.clock.advance(1)
        assert reader.reason is not None
        self.assertTimedOut(reader.reason.value, "body", 10)

    def test_totalOver(self) -> None:
        """
        It ends with the body.
        """
        deferred, peer = self.ask(totalTimeout=10)
        peer.send(PARTIAL)
        reader = self.read(self.successResultOf(deferred))
        peer.send(b"llo")
        self.clock.advance(20)
        self.assertEqual(b"hello", reader.data)
        self.assertEqual("idle", peer.protocol.state.value)

    def test_totalEnds(self) -> None:
        """
        It ends with the exchange, too, where nobody reads the body: nothing is left on
        the clock.
        """
        upgrade = [(b"Connection", b"Upgrade"), (b"Upgrade", b"x")]
        switched = b"HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
        for how in ("dropped", "aborted", "lost", "switched", "not taken"):
            deferred, peer = self.ask(totalTimeout=1000, headers=upgrade)
            peer.send(switched if how in ("switched", "not taken") else PARTIAL)
            response = self.successResultOf(deferred)
            if how == "aborted":
                response.abort()
            elif how == "lost":
                peer.lose()
            elif how == "switched":
                response.switchProtocol(Reader())
            del response
            self.clock.advance(0)
            left = [
                call for call in self.clock.getDelayedCalls() if call.getTime() > 500
            ]
            self.assertEqual([], left, how)

    def test_none(self) -> None:
        """
        C{None} switches off what can be switched off.
        """
        names = ["connect", "tls", "write", "head", "read", "claim", "total"]
        settings: dict[str, Any] = {f"{name}Timeout": None for name in names}
        deferred, peer = self.ask(**settings)
        self.clock.advance(1e6)
        peer.send(PARTIAL)
        reader = self.read(self.successResultOf(deferred))
        self.clock.advance(1e6)
        peer.send(b"llo")
        self.assertEqual(b"hello", reader.data)

    def test_noneInLine(self) -> None:
        """
        Not even in the line.
        """
        pool = self.makePool(maxConnections=1, queueTimeout=None)
        self.ask(self.makeAgent(pool, headTimeout=None))
        waiting, _ = self.ask(self.makeAgent(pool))
        self.clock.advance(1e6)
        self.assertNoResult(waiting)
        self.assertEqual(1, pool.counts().queued)

    def test_idleBetween(self) -> None:
        """
        No time-out of one request is left for the next.
        """
        agent = self.makeAgent(headTimeout=5, readTimeout=5, connectTimeout=5)
        for _ in range(3):
            deferred, peer = self.ask(agent)
            self.clock.advance(4)
            peer.send(OK)
            self.successResultOf(deferred)
            self.clock.advance(4)
        self.assertEqual(1, len(self.network.peers))


class SettingsTests(ClientTestCase):
    """
    The settings object.
    """

    def test_checked(self) -> None:
        """
        Values that are no bounds are refused.
        """
        for bad in (
            {"headTimeout": -1},
            {"headTimeout": "5"},
            {"maxHeadLength": None},
            {"retries": True},
        ):
            with self.assertRaises(ValueError):
                ClientSettings(**bad)

    def test_frozen(self) -> None:
        """
        Settings do not change.
        """
        with self.assertRaises(AttributeError):
            ClientSettings().headTimeout = 5  # type: ignore[misc]
