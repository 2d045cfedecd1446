"""
HTTP/2: how a connection begins and ends, and what is no reason to end it.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Protocol
from twisted.protocols.policies import WrappingFactory

from tests.server.test_connection_limits import Late
from tests.server.test_http2_bounds import (
    BoundsTestCase,
    Client,
    Transport,
    frame_of,
)
from tests.support.memory import SecureMemoryTransport
from tests.support.server_cases import GET, Echo, Holding
from tests.support.wire import Wire
from twisted_h11._metrics.prometheus import exposition
from twisted_h11._server import http2_watch
from twisted_h11._server.http2_frames import (
    DATA,
    GOAWAY,
    HEADERS,
    RST_STREAM,
    SETTINGS,
    frames_in,
    goaway,
)
from twisted_h11._server.http2_guard import Guard
from twisted_h11.metrics import Metrics
from twisted_h11.server import describe_connections

POST = [
    (":method", "POST"),
    (":path", "/"),
    (":scheme", "https"),
    (":authority", "localhost"),
]


def bodies(echo: Echo) -> list[bytes]:
    """
    The bodies that an application got.
    """
    return [seen.body for seen in echo.seen]


class BeginningTests(BoundsTestCase):
    """
    Before it is known which protocol was negotiated.
    """

    def test_noTimeout(self) -> None:
        """
        A handshake takes as long as it takes, where its time is not bounded; on a site
        that does not count, too, it ends in time where it is.
        """
        for seconds, closed in ((None, False), (10, True)):
            wire = self.connect(self.made(handshakeTimeout=seconds), Transport())
            wire.advance(1000, step=100)
            self.assertEqual(closed, wire.closed)

    def test_counted(self) -> None:
        """
        A site counts the connection, and whether its handshake was good.
        """
        metrics = Metrics()
        site = self.site(None, http2=True, metrics=metrics)
        good, bad = self.connect(site, Transport()), self.connect(site, Transport())
        good.channel.handshakeCompleted()
        Client(good).request(1).go()
        bad.vanish()
        told = exposition(*metrics.totals())[1].decode()
        for line in (
            "connections_accepted_total 2",
            'tls_handshakes_total{result="ok"} 1',
            'tls_handshakes_total{result="failed"} 1',
        ):
            self.assertIn(f"twisted_h11_{line}", told)

    def test_drain(self) -> None:
        """
        Draining ends it at once, or after its one request, if idle connections stay
        for a while.
        """
        site = self.made()
        wire = self.connect(site, Transport())
        done: list[object] = []
        site.drain(30).addCallback(done.append)
        wire.pump()
        self.assertTrue(wire.closed)
        self.assertEqual([None], done)
        wire = self.connect(site, SecureMemoryTransport())
        site.drain(30, 2).addCallback(done.append)
        wire.send(GET)
        self.assertEqual(200, wire.only().status)
        self.assertTrue(wire.only().closes)
        wire.settle(6)
        self.assertEqual([None, None], done)

    def test_halfClose(self) -> None:
        """
        A client that has closed its side has closed the connection, as with TLS; that
        our side is closed is nothing to be told.
        """
        site = self.made()
        fresh, used = self.connect(site, Transport()), self.client(site).wire
        for wire in (fresh, used):
            wire.channel.writeConnectionLost()
            self.assertFalse(wire.closed)
            wire.halfClose()
            self.assertTrue(wire.closed)

    def test_ourHalfClose(self) -> None:
        """
        A connection of HTTP/1.1 is told that our side is closed, so that a lingering
        close ends as soon as the client has closed its own.
        """
        wire = self.connect(self.made()).send(b"bad\r\n\r\n")
        wire.channel.writeConnectionLost()
        self.assertTrue(wire.channel._successor.wire.closing.outputEnded)

    def test_described(self) -> None:
        """
        A report tells it from one that speaks HTTP/2.
        """
        site = self.made()
        self.connect(site, Transport())
        self.client(site)
        described = describe_connections(site)
        self.assertIn("2 connections: 1 new, 1 ", described)
        self.assertIn("HTTP/2", described)

    def test_addressIsLate(self) -> None:
        """
        Where the address of the client comes with the first bytes it counts from then
        on: the connection of one that has enough of them is dropped.
        """
        site = self.made(maxConnectionsPerPeer=1)
        factory = WrappingFactory(site)
        factory.protocol = Late
        clients = []
        for host in (b"192.0.2.1", b"192.0.2.2", b"192.0.2.1"):
            wire = Wire(factory, self.clock, Transport())
            self.wires.append(wire)
            clients.append(Client(wire.send(b"FROM " + host + b"\r\n")))
        for client in clients:
            client.go()
        self.assertEqual([False, False, True], [one.closed for one in clients])
        self.assertEqual(2, len(site._connections))
        wire = Wire(factory, self.clock, Transport()).send(b"SOMETHING ELSE")
        self.wires.append(wire)
        self.assertTrue(wire.closed)
        said = [text for text in self.messages() if "did not begin" in text]
        self.assertEqual(1, len(said))


class EndTests(BoundsTestCase):
    """
    What ends a connection, and how.
    """

    def test_leavesOnce(self) -> None:
        """
        However often it is to end, it says so once, and answers what it has.
        """
        holding = Holding()
        site = self.made(holding)
        client = self.client(site).request(1).go()
        site.drain(30, 2)
        client.go(3)
        site.drain(30)
        holding.answer()
        # The client's h2 takes nothing behind the first.
        client.wire.advance(1)
        kinds = [frame.kind for frame in frames_in(client.wire.output)]
        self.assertEqual((1, 1), (kinds.count(GOAWAY), kinds.count(HEADERS)))
        self.assertTrue(client.closed)

    def test_closesOnce(self) -> None:
        """
        So does one that is idle.
        """
        site = self.made()
        client = self.client(site)
        transport: Any = client.wire.transport
        lose, ends = transport.loseConnection, []

        def loseConnection() -> None:
            ends.append(1)
            lose()

        transport.loseConnection = loseConnection
        for _ in range(2):
            site.drain(30)
        del transport.loseConnection
        self.assertEqual([1], ends)
        client.go()
        self.assertEqual(1, len(client.named("ConnectionTerminated")))
        self.assertTrue(client.closed)

    def test_twoReasons(self) -> None:
        """
        One that has two reasons to be dropped has one line in the log.
        """
        site = self.made(headTimeout=10, minBodyRate=100, rateWindow=10)
        client = self.client(site).request(1, b"x").go()
        client.wire.send(frame_of(SETTINGS, 0, b"")[:5])
        client.wire.advance(11)
        self.assertDropped(client, "a frame did not arrive in time")

    def test_inPieces(self) -> None:
        """
        Frames that Twisted writes in pieces pass by as those that it writes at once.
        """

        class Speaking(Protocol):
            requestFactory = timeOut = None

            def connectionMade(self) -> None:
                assert self.transport is not None
                self.transport.writeSequence([settings[:4], settings[4:]])

        settings = frame_of(SETTINGS, 0, b"")
        transport = Transport()
        guard = Guard(self.made(), transport)
        guard.start(Speaking())
        self.assertEqual(settings, transport.output)
        guard.connectionLost(None)
        guard._transport = transport.producer = None

    def test_raises(self) -> None:
        """
        Where what a client sends makes Twisted raise, as more than a thousand
        streams in the tree of priorities do, it is dropped.
        """
        client = self.client(self.made())
        fields = [(":method", "GET"), (":path", "/"), (":scheme", "https")]
        fields.append((":authority", "localhost"))
        for number in range(1100):
            if client.closed:
                break
            client.h2.send_headers(
                2 * number + 1,
                fields,
                end_stream=True,
                priority_depends_on=2 * number + 100_001,
            )
            client.go()
        self.assertDropped(client, "it is malformed")


class AfterGoawayTests(BoundsTestCase):
    """
    Requests that cross a GOAWAY on their way.
    """

    def left(self, last: bytes = b"the end") -> tuple[Any, Client, Any]:
        """
        A client whose upload is under way when the site drains.

        @return: what the application gets, the client, and a function that ends the
            upload, with whatever is to be sent before.
        """
        echo = Echo()
        site = self.made(echo)
        client = self.client(site).request(1, b"the beginning and ").go()
        site.drain(1000)

        def end(trailers: Any = None) -> None:
            client.h2.send_data(1, last, end_stream=trailers is None)
            if trailers is not None:
                client.h2.send_headers(1, trailers, end_stream=True)
            client.wire.send(client.flush())
            client.wire.advance(1)

        return echo, client, end

    def take(self, client: Client) -> None:
        """
        Have a client read what has come, but for GOAWAY, which is on its way.
        """
        output = client.wire.output
        new, client.seen = output[client.seen :], len(output)
        at = 0
        for frame in frames_in(new):
            whole = new[at : at + 9 + frame.length]
            at += len(whole)
            if frame.kind != GOAWAY:
                client.events += client.h2.receive_data(whole)

    def test_window(self) -> None:
        """
        The bodies of requests that are not served any more do not use up the window of
        the connection: an upload that is under way comes to its end.
        """
        echo, client, end = self.left(b"x" * 16_000)
        for stream in (3, 5, 7):
            client.h2.send_headers(stream, POST)
            while client.h2.local_flow_control_window(stream) > 10_000:
                client.h2.send_data(stream, b"y" * 10_000)
            client.wire.send(client.flush())
            self.take(client)
        end()
        self.assertEqual([b"the beginning and " + b"x" * 16_000], bodies(echo))
        self.assertEqual([], client.named("StreamReset"))

    def test_fields(self) -> None:
        """
        Their fields count for the compression of those that follow.
        """
        echo, client, end = self.left()
        client.h2.send_headers(3, [*POST, ("x-new", "a value")], end_stream=True)
        end([("x-new", "a value")])
        self.assertEqual([b"the beginning and the end"], bodies(echo))
        self.assertEqual([], [m for m in self.messages() if "Dropped" in m])

    def test_tooMany(self) -> None:
        """
        Too many of them are too many resets.
        """
        site = self.made(Holding(), maxStreamResets=10)
        client = self.client(site).request(1, b"x").go()
        site.drain(1000)
        for number in range(11):
            self.assertFalse(client.closed)
            client.h2.send_headers(2 * number + 3, POST, end_stream=True)
            client.wire.send(client.flush())
        client.wire.pump()
        self.assertTrue(client.closed)
        self.assertIn("it resets too many streams", "".join(self.messages()))

    def test_ofTheClient(self) -> None:
        """
        A client that makes no more requests gets the responses that it waits for; then
        the connection closes.
        """
        holding = Holding()
        for stream in (1, None):
            client = self.client(self.made(holding))
            if stream is not None:
                client.request(stream).go()
            client.wire.send(goaway(0, 0))
            if stream is not None:
                self.assertFalse(client.closed)
                holding.answer()
                client.wire.advance(1)
                self.assertEqual(1, holding.finished)
                self.assertIn(b"done", client.wire.output)
            client.wire.pump()
            self.assertTrue(client.closed)


class SlowEndTests(BoundsTestCase):
    """
    A connection that is to close when its client has taken the last response.
    """

    def ended(self, **limits: Any) -> Any:
        """
        A client that reads slowly, and a site that has drained.

        @return: the client's connection.
        """
        client = self.client(self.made(abortTimeout=10, **limits))
        self.patch(http2_watch, "bytes_taken", lambda transport: self.taken)
        self.taken: int | None = 0
        client.wire.stall()
        client.wire.transport.backlog += b"the rest of a response"
        self.sites[-1].drain(1000)
        return client.wire

    def test_takes(self) -> None:
        """
        It stays as long as the client takes what was sent, at the least rate.
        """
        wire = self.ended(minResponseRate=100)
        for _ in range(5):
            wire.advance(9)
            self.taken = (self.taken or 0) + 1000
            wire.advance(1)
            self.assertFalse(wire.closed)
        wire.advance(9)
        self.taken = (self.taken or 0) + 999
        wire.advance(1)
        self.assertTrue(wire.aborted)

    def test_unknown(self) -> None:
        """
        Where nobody knows what the client has taken, or there is no least rate, it is
        aborted after its time.
        """
        for rate, taken in ((100, None), (None, 100_000)):
            wire = self.ended(minResponseRate=rate)
            self.taken = taken
            wire.advance(9)
            self.assertFalse(wire.closed)
            wire.advance(1)
            self.assertTrue(wire.aborted)


class NoReasonTests(BoundsTestCase):
    """
    What a client may do.
    """

    def test_unlimitedBodies(self) -> None:
        """
        Bodies of any length, if that is not bounded.
        """
        echo = Echo()
        client = self.client(self.made(echo, maxBodyLength=None))
        client.request(1, b"x" * 10_000).go()
        client.h2.end_stream(1)
        client.go()
        self.assertEqual([10_000], [len(seen.body) for seen in echo.seen])

    def test_takenInTime(self) -> None:
        """
        More than C{writeBufferLength} at once, if the client has taken it when the turn
        of the reactor is over.
        """
        requests: list[Any] = []
        client = self.client(self.made(requests.append, writeBufferLength=1000))
        client.request(1).go()
        request = requests.pop()
        request.write(b"x" * 30_000)
        for _ in range(5):
            client.go()
        self.assertFalse(client.closed)
        request.finish()
        for _ in range(5):
            client.go()
        self.assertEqual(1, len(client.named("StreamEnded")))

    def test_slowFrame(self) -> None:
        """
        A frame may be on its way when it is looked how fast bodies come.
        """
        site = self.made(headTimeout=30, minBodyRate=100, rateWindow=10)
        client = self.client(site).request(1, b"x" * 2000).go(5)
        rest = frame_of(SETTINGS, 0, b"")
        client.wire.send(rest[:5])
        client.wire.advance(6)
        client.wire.send(rest[5:])
        self.assertFalse(client.closed)
        client.h2.end_stream(1)
        client.go()
        self.assertEqual(1, len(client.named("StreamEnded")))

    def test_errorAfterTheEnd(self) -> None:
        """
        What comes for a stream that is over is answered by a reset, which counts for
        none of those that cost something.
        """
        client = self.client(self.made(maxStreamResets=1)).request(1).go()
        late = frame_of(DATA, 0, b"x")
        for _ in range(10):
            client.wire.send(late[:5] + (1).to_bytes(4, "big") + late[9:])
        self.assertFalse(client.closed)
        kinds = [frame.kind for frame in frames_in(client.wire.output)]
        self.assertEqual(10, kinds.count(RST_STREAM))
        client.seen = len(client.wire.output)
        client.request(3).go()
        self.assertEqual(2, len(client.named("StreamEnded")))
