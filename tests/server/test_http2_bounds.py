"""
HTTP/2 connections: what a client can do to us with one, and for how long.
"""

from __future__ import annotations

import gc
import os
import random
from functools import partial
from typing import Any

from twisted.internet import reactor as reactor
from twisted.internet.address import IPv4Address
from twisted.web.static import File

from tests.support.memory import SERVER, SecureMemoryTransport
from tests.support.optional import need
from tests.support.server_cases import Calls, Echo, Holding, ServerTestCase
from tests.support.wire import Wire
from twisted import internet
from twisted_h11._metrics.numbers import PLACES, WAITS
from twisted_h11._metrics.prometheus import exposition
from twisted_h11._server.http2_frames import DATA, PREFACE, SETTINGS
from twisted_h11.metrics import Metrics
from twisted_h11.server import Limits

LIMITS = Limits()


class Transport(SecureMemoryTransport):
    """
    TLS, with HTTP/2 negotiated.
    """

    negotiatedProtocol = b"h2"


def frame_of(kind: int, flags: int, payload: bytes) -> bytes:
    """
    A frame of no stream.
    """
    return len(payload).to_bytes(3, "big") + bytes((kind, flags, 0, 0, 0, 0)) + payload


class Client:
    """
    One connection.
    """

    def __init__(self, wire: Wire, **settings: int) -> None:
        from h2.config import H2Configuration
        from h2.connection import H2Connection
        from h2.settings import SettingCodes

        self.wire = wire
        self.h2: Any = H2Connection(H2Configuration(client_side=True))
        self.events: list[Any] = []
        self.seen = 0
        self.h2.initiate_connection()
        if settings:
            codes = {getattr(SettingCodes, k): v for k, v in settings.items()}
            self.h2.update_settings(codes)

    def flush(self) -> bytes:
        """
        What is to be sent.
        """
        data: bytes = self.h2.data_to_send()
        return data

    def go(self, seconds: float = 0) -> Client:
        """
        Send, let time pass, and take what has come.
        """
        data = self.flush()
        if data:
            self.wire.send(data)
        self.wire.advance(seconds) if seconds else self.wire.pump()
        output = self.wire.output
        new, self.seen = output[self.seen :], len(output)
        if new:
            self.events += self.h2.receive_data(new)
        data = self.flush()
        if data and not self.wire.closed:
            self.wire.send(data)
        return self

    def request(self, stream: int, body: bytes | None = None, **more: str) -> Client:
        """
        Begin a request; with a body it is not ended.
        """
        fields = {
            ":method": "GET" if body is None else "POST",
            ":path": "/",
            ":scheme": "https",
            ":authority": "localhost",
            **more,
        }
        self.h2.send_headers(stream, [*fields.items()], end_stream=body is None)
        if body:
            self.h2.send_data(stream, body)
        return self

    def named(self, name: str) -> list[Any]:
        """
        The events of one kind.
        """
        return [event for event in self.events if type(event).__name__ == name]

    @property
    def closed(self) -> bool:
        """
        Whether the connection is gone.
        """
        return self.wire.closed


class BoundsTestCase(ServerTestCase):
    """
    A site that speaks HTTP/2, on the test's clock.
    """

    def setUp(self) -> None:
        """
        Have Twisted's HTTP/2 use the clock, too.
        """
        need("h2")
        super().setUp()
        modules: Any = internet
        self.patch(modules, "reactor", self.clock)

    def client(self, site: Any, host: str = "192.0.2.7", **settings: int) -> Client:
        """
        A client that has sent its preface.
        """
        transport = Transport(SERVER, IPv4Address("TCP", host, 1))
        return Client(self.connect(site, transport), **settings).go()

    def made(self, resource: Any = None, **limits: Any) -> Any:
        """
        The site.
        """
        return self.site(resource, limits=limits, http2=True)

    def assertDropped(self, client: Client, reason: str) -> None:
        """
        The connection was dropped, which has one line in the log.
        """
        client.go()
        self.assertTrue(client.closed)
        lines = [text for text in self.messages() if "Dropped the HTTP/2" in text]
        self.assertEqual(1, len(lines), lines)
        self.assertIn(reason, lines[0])
        self.events.clear()
        self.assertEqual([], self.flushLoggedErrors())


class CountTests(BoundsTestCase):
    """
    How many connections, requests and streams.
    """

    def test_connections(self) -> None:
        """
        C{maxConnections} holds for HTTP/2; a newcomer is served when there is a
        place.
        """
        site = self.made(maxConnections=2)
        first, second = self.client(site), self.client(site)
        third = self.connect(site, Transport())
        self.assertTrue(third.closed)
        first.wire.vanish()
        newcomer = self.client(site).request(1).go()
        self.assertEqual(1, len(newcomer.named("StreamEnded")))
        self.assertFalse(second.closed)

    def test_perPeer(self) -> None:
        """
        So does C{maxConnectionsPerPeer}.
        """
        site = self.made(maxConnectionsPerPeer=1)
        first = self.client(site, "192.0.2.1")
        same = Transport(SERVER, first.wire.transport.getPeer())
        self.assertTrue(self.connect(site, same).closed)
        other = self.client(site, "192.0.2.2").request(1).go()
        self.assertEqual(1, len(other.named("StreamEnded")))
        first.wire.vanish()
        again = self.client(site, "192.0.2.1").request(1).go()
        self.assertEqual(1, len(again.named("StreamEnded")))
        for client in (other, again):
            client.wire.vanish()
        self.assertEqual({}, dict(site._connections.hosts))

    def test_streams(self) -> None:
        """
        A hundred streams at a time are announced, and not one more is served.
        """
        holding = Holding()
        client = self.client(self.made(holding))
        self.assertEqual(100, client.h2.remote_settings.max_concurrent_streams)
        client.h2.remote_settings.acknowledge()
        for number in range(100):
            client.request(2 * number + 1)
        client.go()
        self.assertEqual(100, len(holding.requests))
        client.h2.remote_settings.update({3: 1000})
        client.h2.remote_settings.acknowledge()
        client.request(201).go(LIMITS.abortTimeout + 1)
        self.assertTrue(client.closed)
        self.assertEqual(100, len(holding.requests))
        self.assertEqual(100, len(holding.lost))
        holding.lost.clear()
        holding.requests.clear()

    def test_requests(self) -> None:
        """
        After C{maxRequestsPerConnection} no more are taken, and the connection ends
        with the last answer.
        """
        holding = Holding()
        client = self.client(self.made(holding, maxRequestsPerConnection=3))
        for number in (1, 3, 5, 7, 9):
            client.request(number)
        client.go()
        self.assertEqual(3, len(holding.requests))
        (goAway,) = client.named("ConnectionTerminated")
        self.assertEqual((0, 5), (goAway.error_code, goAway.last_stream_id))
        for _ in range(3):
            self.assertFalse(client.closed)
            holding.answer()
            self.clock.advance(0)
            client.wire.pump()
        self.assertEqual(3, holding.finished)
        self.assertTrue(client.closed)

    def test_resets(self) -> None:
        """
        A client that resets its streams as fast as it opens them is dropped, in one
        segment or in many, and no more of its requests are run than are allowed.
        """
        for pieces in (1, 50):
            echo = Echo()
            client = self.client(self.made(echo, maxStreamResets=20))
            for piece in range(pieces):
                for number in range(1000 // pieces):
                    stream = 2 * (piece * (1000 // pieces) + number) + 1
                    if client.h2.open_outbound_streams < 90 and not client.closed:
                        client.request(stream)
                        client.h2.reset_stream(stream)
                if not client.closed:
                    client.wire.send(client.flush())
            self.assertLessEqual(len(echo.seen), 40)
            self.assertDropped(client, "resets too many streams")

    def test_resetsOfOurs(self) -> None:
        """
        Nor does it help to have us reset them, by an error in a stream that has ended
        or has too large a window.
        """
        for frame in (frame_of(DATA, 0, b"x"), frame_of(8, 0, b"\x7f\xff\xff\xff")):
            holding = Holding()
            client = self.client(self.made(holding, maxStreamResets=20))
            for number in range(100):
                if not client.closed:
                    stream = 2 * number + 1
                    data = client.request(stream).flush()
                    at = stream.to_bytes(4, "big")
                    client.wire.send(data + frame[:5] + at + frame[9:])
            self.assertEqual(21, len(holding.requests))
            self.assertDropped(client, "resets too many streams")
            client.wire.vanish()
            self.assertEqual(21, len(holding.lost))
            holding.requests.clear()
            holding.lost.clear()
        # h2's errors are in the frames that they refer to.
        gc.collect()

    def test_abandoned(self) -> None:
        """
        What the application breaks off by itself is not the client's doing.
        """

        def render(request: Any) -> None:
            request.write(b"x")
            self.clock.callLater(0.1, request.channel.loseConnection)

        client = self.client(self.made(render, maxStreamResets=5))
        for number in range(20):
            client.request(2 * number + 1).go(0.2)
        self.assertFalse(client.closed)

    def test_settings(self) -> None:
        """
        One that sends more and more settings is dropped, before h2 keeps them all.
        """
        for each, most in ((1, 1000), (50, 1000), (2000, 1000), (1, 20)):
            # The default is 1000.
            options = {} if most == 1000 else {"maxSettings": most}
            client = self.client(self.made(**options))
            sent = 0
            while sent < 65000 and not client.closed:
                numbers = range(10 + sent, 10 + sent + each)
                payload = b"".join(n.to_bytes(2, "big") + bytes(4) for n in numbers)
                client.wire.send(frame_of(4, 0, payload))
                sent += each
            self.assertLess(sent, most + 1 + each)
            client.seen = len(client.wire.output)
            self.assertDropped(client, "too many settings")

    def test_someResets(self) -> None:
        """
        One that resets some and takes the others is not.
        """
        client = self.client(self.made(maxStreamResets=5))
        for number in range(60):
            client.request(4 * number + 1).go()
            client.request(4 * number + 3, b"")
            client.h2.reset_stream(4 * number + 3)
            client.go()
        self.assertFalse(client.closed)
        self.assertEqual(60, len(client.named("StreamEnded")))

    def test_priorities(self) -> None:
        """
        Any number of frames about priorities does nothing.
        """
        client = self.client(self.made())
        for number in range(3000):
            client.h2.prioritize(2 * number + 1, weight=3, depends_on=0)
            if number % 500 == 0:
                client.go()
        client.request(6001).go()
        self.assertEqual(1, len(client.named("StreamEnded")))
        self.assertFalse(client.closed)


class TimeTests(BoundsTestCase):
    """
    How long a connection lasts.
    """

    def test_handshake(self) -> None:
        """
        The handshake is bounded, and then the wait for the first byte; each time-out
        counts.
        """
        metrics = Metrics()
        limits = {"handshakeTimeout": 10, "firstByteTimeout": 30}
        site = self.site(None, limits=limits, http2=True, metrics=metrics)
        wire = self.connect(site, Transport())
        wire.advance(9)
        self.assertFalse(wire.closed)
        wire.advance(2)
        self.assertTrue(wire.closed)
        wire = self.connect(site, Transport())
        wire.advance(9)
        wire.channel.handshakeCompleted()
        wire.advance(29)
        self.assertFalse(wire.closed)
        wire.advance(2)
        self.assertTrue(wire.closed)
        told = exposition(*metrics.totals())[1].decode()
        for wait in ("handshake", "idle"):
            self.assertIn(f'timeouts_total{{wait="{wait}"}} 1', told)

    def test_frames(self) -> None:
        """
        Preface, settings and heads must come within C{headTimeout}; no byte buys
        time, and no ping either.
        """
        settings = PREFACE + bytes.fromhex("000000040000000000")
        headers = bytes.fromhex("000100010000000001")
        opened = bytes.fromhex("000003010000000001828487")
        ping = bytes.fromhex("000008060000000000") + bytes(8)
        for data, trickle in (
            (PREFACE[:5], b""),
            (PREFACE[:5], PREFACE[5:]),
            (settings[:-3], b""),
            (settings + headers, b""),
            (settings + headers, bytes(60)),
            (settings + opened, b""),
            (settings + ping[:4], b""),
            (settings + ping[:12], bytes(4)),
        ):
            wire = self.connect(self.made(headTimeout=10), Transport())
            wire.send(data)
            for byte in trickle[:9]:
                wire.advance(1).send(bytes((byte,)))
            wire.advance(10 - min(len(trickle), 9) - 1)
            self.assertFalse(wire.closed, data)
            wire.advance(3)
            self.assertTrue(wire.closed, data)
        self.assertEqual([], self.flushLoggedErrors())

    def test_idle(self) -> None:
        """
        A connection without requests lasts for C{idleTimeout}, however many pings
        come, and is told that it ends.
        """
        client = self.client(self.made(idleTimeout=60))
        for _ in range(5):
            client.h2.ping(bytes(8))
            client.go(10)
        client.request(1).go()
        for _ in range(5):
            client.h2.ping(bytes(8))
            client.go(10)
        self.assertFalse(client.closed)
        client.go(11)
        (goAway,) = client.named("ConnectionTerminated")
        self.assertEqual(0, goAway.error_code)
        self.assertTrue(client.closed)

    def test_counted(self) -> None:
        """
        Each time-out counts, once for a connection, by what it waited for.
        """
        bounds = {"headTimeout": 10, "minBodyRate": 100, "rateWindow": 10}
        begun = frame_of(SETTINGS, 0, b"")[:5]
        for wait, body, more in (
            ("idle", None, b""),
            ("head", None, begun),
            ("body", b"x", b""),
            ("head", b"x", begun),
        ):
            metrics = Metrics()
            limits = {**bounds, "idleTimeout": 20}
            site = self.site(None, limits=limits, http2=True, metrics=metrics)
            client = self.client(site)
            if body is not None:
                client.request(1, body).go()
            client.wire.send(more)
            client.wire.advance(21)
            client.go()
            self.assertTrue(client.closed)
            numbers, _ = metrics.totals()
            self.assertEqual(
                [wait], [name for name in WAITS if numbers[PLACES[f"timed out {name}"]]]
            )
            self.assertEqual(1, numbers[PLACES[f"timed out {wait}"]])

    def test_notIdle(self) -> None:
        """
        While an application works on a request there is no time-out.
        """
        holding = Holding()
        client = self.client(self.made(holding)).request(1).go(1000)
        self.assertFalse(client.closed)
        holding.answer()
        client.go(1)
        self.assertEqual(1, len(client.named("StreamEnded")))

    def test_noTimeouts(self) -> None:
        """
        C{None} switches them off here, too.
        """
        site = self.made(
            idleTimeout=None, headTimeout=None, minBodyRate=None, minResponseRate=None
        )
        client = self.client(site).go(10_000)
        client.request(1, b"x").go(10_000)
        self.assertFalse(client.closed)

    def test_bodyRate(self) -> None:
        """
        A body that does not come is not waited for; one that comes slowly is.
        """
        client = self.client(self.made(minBodyRate=100, rateWindow=10))
        client.request(1, b"x")
        for _ in range(20):
            client.h2.send_data(1, b"x" * 1100)
            client.go(10)
        self.assertFalse(client.closed)
        for _ in range(3):
            client.h2.ping(bytes(8))
            client.go(8)
        self.assertDropped(client, "does not send its requests")

    def test_responseRate(self) -> None:
        """
        A client that takes nothing is dropped; one that takes a little at a time is
        served to the end.
        """
        body = b"x" * 200_000
        site = self.made(lambda request: body, minResponseRate=100, rateWindow=10)
        site.metrics = metrics = Metrics()
        client = self.client(site, INITIAL_WINDOW_SIZE=0).request(1)
        for _ in range(100):
            client.go(5)
            if client.named("StreamEnded"):
                break
            client.h2.increment_flow_control_window(3000, 1)
            client.h2.increment_flow_control_window(3000)
        taken = sum(len(event.data) for event in client.named("DataReceived"))
        self.assertEqual(200_000, taken)
        client.request(3)
        for _ in range(3):
            client.h2.ping(bytes(8))
            client.go(8)
        self.assertDropped(client, "does not take its responses")
        self.assertEqual(1, metrics.totals()[0][PLACES["timed out response"]])

    def test_producers(self) -> None:
        """
        What produces a response is told to wait for the client, but not for ever, and
        then told to stop.
        """
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(os.urandom(1000) * 1000)

        class Push:
            stopped = paused = False

            def __init__(self, request: Any) -> None:
                request.registerProducer(self, True)
                request.write(b"x" * 65536)

            def pauseProducing(self) -> None:
                self.paused = True

            def resumeProducing(self) -> None:
                self.paused = False

            def stopProducing(self) -> None:
                self.stopped = True

        made: list[Push] = []

        def push(request: Any) -> None:
            made.append(Push(request))

        for resource in (File(path), Calls(push)):
            site = self.made(resource, minResponseRate=100, rateWindow=10)
            client = self.client(site)
            if isinstance(resource, File):
                resource.isLeaf = True
            client.request(1).go(1)
            for _ in range(3):
                client.wire.send(b"").advance(10)
            self.assertDropped(client, "does not take its responses")
        self.assertTrue(made[0].paused)
        self.assertTrue(made[0].stopped)


class MemoryTests(BoundsTestCase):
    """
    What a connection keeps.
    """

    def test_unsent(self) -> None:
        """
        Responses that a client asks for and does not take are kept up to
        C{writeBufferLength}, all together; then the connection is dropped, and the
        requests are told.
        """
        made = 0

        def render(request: Any) -> bytes:
            nonlocal made
            made += 1
            return b"x" * 1_000_000

        site = self.made(render, writeBufferLength=5_000_000)
        client = self.client(site, INITIAL_WINDOW_SIZE=0)
        for number in range(90):
            client.request(2 * number + 1)
            client.wire.send(client.flush())
        self.assertLessEqual(made, 7)
        self.assertDropped(client, "more than writeBufferLength")

    def test_oneResponse(self) -> None:
        """
        One response that was made at once is not cut for its size.
        """
        body = b"x" * 3_000_000
        client = self.client(self.made(lambda request: body, writeBufferLength=1000))
        client.h2.increment_flow_control_window(2**24)
        client.go()
        client.request(1).go()
        for _ in range(300):
            client.go()
            for event in client.events:
                if type(event).__name__ == "DataReceived" and event.data:
                    client.h2.acknowledge_received_data(len(event.data), 1)
                    client.received = getattr(client, "received", 0) + len(event.data)  # type: ignore[attr-defined]
            client.events = [
                e for e in client.events if type(e).__name__ != "DataReceived"
            ]
            if client.named("StreamEnded"):
                break
        self.assertEqual(len(body), client.received)  # type: ignore[attr-defined]

    def test_writesOn(self) -> None:
        """
        One that goes on and on is.
        """
        requests: list[Any] = []
        site = self.made(requests.append, writeBufferLength=100_000)
        client = self.client(site).request(1).go()
        failures: list[Any] = []
        requests[0].notifyFinish().addErrback(failures.append)
        for _ in range(100):
            requests[0].write(b"x" * 10_000)
            client.wire.pump()
            if client.closed:
                break
        self.assertDropped(client, "more than writeBufferLength")
        self.assertEqual(1, len(failures))

    def test_bodies(self) -> None:
        """
        Bodies that come are kept up to C{maxBodyLength}, all together.
        """
        echo = Echo()
        client = self.client(self.made(echo, maxBodyLength=50_000))
        client.h2.increment_flow_control_window(2**20)
        client.request(1, b"x" * 16_000).go()
        client.h2.end_stream(1)
        client.go()
        self.assertEqual(1, len(echo.seen))
        for number in range(3, 40, 2):
            if client.closed:
                break
            client.request(number, b"x" * 3000).go()
        self.assertEqual(1, len(echo.seen))
        self.assertDropped(client, "longer than maxBodyLength")


class OddTests(BoundsTestCase):
    """
    What no client should send.
    """

    def test_anyFrames(self) -> None:
        """
        Any sequence of frames leaves no traceback; the connection goes on or ends,
        and no timer, request or place is left.
        """
        for seed in range(60):
            source = random.Random(seed)
            size = source.choice((0, 10, 100_000))
            site = self.made(Calls(partial(self.give, size)))
            client = self.client(site)
            wire = client.wire
            for _ in range(40):
                if source.random() < 0.3:
                    kind, flags, number = 1, 5, 2 * source.randrange(30) + 1
                    payload = bytes.fromhex("828684418aa0e41d139d09b8f01e07")
                else:
                    kind = source.choice((0, 0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 99))
                    flags = source.choice((0, 1, 4, 5, 8, 0x20, 0x25, 255))
                    number = source.choice((0, 1, 2, 3, 5, 7, 2**31 - 1))
                    payload = source.randbytes(source.choice((0, 4, 5, 8, 20, 300)))
                frame = len(payload).to_bytes(3, "big") + bytes((kind, flags))
                frame += number.to_bytes(4, "big") + payload
                for piece in (frame[:5], frame[5:]) if seed % 2 else (frame,):
                    wire.send(piece)
                if wire.closed:
                    break
            wire.advance(200, 5)
            self.assertTrue(wire.closed, f"seed {seed}")
            self.assertEqual([], self.flushLoggedErrors(), f"seed {seed}")
            self.assertEqual(set(), site._connections.open)

    def give(self, size: int, request: Any) -> bytes:
        """
        So many bytes.
        """
        return b"x" * size

    def test_drain(self) -> None:
        """
        Draining lets a request end that is under way, and takes no others.
        """
        holding = Holding()
        site = self.made(holding)
        idle, busy = self.client(site), self.client(site).request(1).go()
        done: list[object] = []
        site.drain(30).addCallback(done.append)
        idle.go()
        self.assertTrue(idle.closed)
        busy.go()
        self.assertFalse(busy.closed)
        self.assertEqual(1, len(busy.named("ConnectionTerminated")))
        holding.answer()
        busy.wire.pump()
        self.clock.advance(0)
        busy.wire.pump()
        self.assertTrue(busy.closed)
        self.assertEqual((1, [None]), (holding.finished, done))

    def test_drainSpared(self) -> None:
        """
        A connection on which nothing was negotiated yet is told when it is, if idle
        connections stay for a while.
        """
        site = self.made()
        client = Client(
            self.connect(site, Transport(SERVER, IPv4Address("TCP", "192.0.2.7", 1)))
        )
        done: list[object] = []
        site.drain(30, 2).addCallback(done.append)
        client.wire.pump()
        self.assertFalse(client.closed)
        client.go()
        self.assertEqual(1, len(client.named("ConnectionTerminated")))
        self.assertTrue(client.closed)
        self.assertEqual([None], done)
