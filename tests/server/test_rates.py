"""
Least rates: a transfer that does not get on is ended, a slow one is not.
"""

from __future__ import annotations

import struct
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater

from tests.server.test_streaming_bodies import CHUNKED, LARGE, Streaming, chunk
from tests.support.server_cases import GET, Echo, Holding, ServerTestCase, get, post
from tests.support.socket_cases import Peer, TCPBackend, TLSBackend, UNIXBackend
from tests.support.times import TRIES, eventually
from twisted_h11._wire.progress import bytes_taken
from twisted_h11.server import Limits, Site

net: Any = reactor

WINDOW = Limits().rateWindow
RATE = 240


class BodyRateTests(ServerTestCase):
    """
    C{minBodyRate}, looked at every C{rateWindow}.
    """

    def test_silence(self) -> None:
        """
        A body of which nothing comes is 408 after a window, buffered or not.
        """
        for resource in (Echo(), Streaming()):
            for head in (LARGE, CHUNKED):
                wire = self.talk(resource, head)
                wire.advance(WINDOW - 1)
                self.assertEqual([], wire.statuses)
                wire.advance(2)
                self.assertRefused(wire, 408)
            if isinstance(resource, Streaming):
                resource.requests.clear()

    def test_trickle(self) -> None:
        """
        A byte a second is silence: no byte buys time.
        """
        for head, piece in ((LARGE, b"x"), (CHUNKED, chunk(b"x"))):
            wire = self.talk(Echo(), head)
            for _ in range(int(WINDOW) + 1):
                wire.send(piece).advance(1)
            self.assertRefused(wire, 408)

    def test_framingIsNoBody(self) -> None:
        """
        What is sent around the body does not count: a chunk extension or half a
        chunk line is no progress.
        """
        wire = self.talk(Echo(), CHUNKED)
        for _ in range(int(WINDOW) + 1):
            wire.send(b"1;" + b"x" * 500 + b"\r\nx\r\n").advance(1)
        self.assertRefused(wire, 408)

    def test_slowButAlive(self) -> None:
        """
        The least rate is enough, for ever.
        """
        echo = Echo()
        head = get(b"/", b"Content-Length: 72000", method=b"POST")
        wire = self.talk(echo, head)
        for _ in range(300):
            wire.send(b"x" * RATE).advance(1)
        self.assertEqual([200], wire.statuses)

    def test_inBursts(self) -> None:
        """
        What counts is the window, not the second.
        """
        head = get(b"/", b"Content-Length: 48000", method=b"POST")
        wire = self.talk(Echo(), head)
        for _ in range(10):
            wire.send(b"x" * 4800).advance(WINDOW - 1, WINDOW - 1)
            wire.advance(1)
        self.assertEqual([200], wire.statuses)

    def test_switchedOff(self) -> None:
        """
        C{None} switches it off.
        """
        wire = self.talk(Echo(), LARGE, limits={"minBodyRate": None})
        wire.advance(1000, 10)
        self.assertFalse(wire.closed)

    def test_heldByUs(self) -> None:
        """
        A client that can not send because nobody takes is not blamed, not even
        just after we have begun to take again.
        """
        resource = Streaming(most=0)
        wire = self.talk(resource, LARGE, *[b"x" * 30_000] * 4)
        self.assertTrue(wire.transport.paused)
        wire.advance(3 * WINDOW - 1)
        resource.takers[0].most = None
        resource.takers[0].transport.resumeProducing()
        self.assertFalse(wire.transport.paused)
        wire.advance(2)
        self.assertEqual([], wire.statuses)
        wire.advance(2 * WINDOW)
        resource.requests.clear()
        self.assertRefused(wire, 408)

    def test_afterTheResponse(self) -> None:
        """
        The rest of a body whose response has ended must come, too.
        """
        resource = Streaming()
        wire = self.talk(resource, CHUNKED + chunk(b"x"))
        resource.answer()
        wire.advance(WINDOW + 1)
        wire.settle(6)
        self.assertEqual([200], wire.statuses)
        self.assertTrue(wire.closed)

    def test_cancelled(self) -> None:
        """
        It is over with the body: a response may take as long as it likes.
        """
        holding = Holding()
        wire = self.talk(holding, LARGE, b"x" * 1_000_000)
        wire.advance(500, 10)
        holding.answer()
        wire.pump()
        self.assertEqual([200], wire.statuses)


class ResponseRateTests(ServerTestCase):
    """
    C{minResponseRate}: a client that does not take what it has asked for.
    """

    def stalled(self, **limits: Any) -> Any:
        """
        A client that stops in the middle of a large response.
        """
        wire = self.connect(self.site(lambda request: b"x" * 300_000, limits=limits))
        wire.stall().send(GET)
        return wire

    def test_stops(self) -> None:
        """
        It is dropped after a window.
        """
        wire = self.stalled()
        wire.advance(WINDOW - 1)
        self.assertFalse(wire.closed)
        wire.advance(2)
        self.assertTrue(wire.aborted)
        self.assertTrue([m for m in self.messages() if "does not take" in m])

    def test_switchedOff(self) -> None:
        """
        C{None} switches it off.
        """
        wire = self.stalled(minResponseRate=None)
        wire.advance(1000, 10)
        self.assertFalse(wire.closed)
        wire.drain()
        self.assertEqual([200], wire.statuses)

    def test_goesOn(self) -> None:
        """
        One that goes on in time is not, however long all of it takes.
        """
        holding = Holding()
        wire = self.talk(holding, GET)
        request = holding.requests.pop()
        for _ in range(20):
            wire.stall()
            request.write(b"x" * 100_000)
            wire.advance(WINDOW - 1)
            self.assertFalse(wire.closed)
            wire.drain()
        request.finish()
        del request
        wire.pump()
        self.assertEqual(2_000_000, len(wire.only().body))
        wire.advance(Limits().idleTimeout + 1)  # type: ignore[operator]
        self.assertTrue(wire.closed)

    def test_pipelined(self) -> None:
        """
        One that sends requests and reads nothing is dropped too.
        """
        wire = self.stalled()
        wire.send(GET * 1000)
        wire.advance(WINDOW + 1)
        self.assertTrue(wire.aborted)

    def test_lastResponse(self) -> None:
        """
        A last response that is taken slowly is not cut by the time-outs of
        closing, neither with C{Connection: close} nor in HTTP/1.0.
        """
        for request in (
            get(b"/", b"Connection: close"),
            get(version=b"1.0"),
        ):
            holding = Holding()
            wire = self.talk(holding, request, limits={"rateWindow": 100})
            wire.stall()
            holding.answer(b"x" * 300_000)
            wire.advance(95)
            self.assertFalse(wire.closed, "cut by the time-outs of closing")
            wire.drain().settle(25)
            self.assertEqual(300_000, len(wire.only().body))
            self.assertTrue(wire.closed)

    def test_lastResponseNotTaken(self) -> None:
        """
        A last response that is not taken at all is given up.
        """
        holding = Holding()
        wire = self.talk(holding, get(b"/", b"Connection: close"))
        wire.stall()
        holding.answer(b"x" * 300_000)
        wire.advance(2 * WINDOW + 25)
        self.assertTrue(wire.closed)


class SlowReader:
    """
    On sockets, where the kernel knows what was taken.
    """

    open: Any
    assertEqual: Any
    assertTrue: Any
    assertFalse: Any
    channels: list[Any]
    # More than what the kernel buffers on both sides.
    size = 12_000_000
    window = 0.2

    def site(self, body: bytes, **limits: Any) -> Any:
        """
        A site with short windows.
        """
        from tests.support.server_cases import Calls

        limits.setdefault("rateWindow", self.window)
        limits.setdefault("lingerTimeout", 0.3)
        limits.setdefault("abortTimeout", 0.3)
        return Site(Calls(lambda request: body), limits=Limits(**limits))

    async def test_notReading(self) -> None:
        """
        A client that reads nothing is dropped.
        """
        peer: Any = await self.open(self.site(b"x" * 20_000_000))
        peer.send(GET)
        await peer.until(lambda: peer.received)
        peer.transport.pauseProducing()
        await eventually(lambda: self.channels[0].gone)
        self.assertTrue(self.channels[0].gone)

    async def slowly(self, request: bytes, size: int) -> tuple[Peer, float]:
        """
        Read C{size} bytes in steps, many windows long.

        @return: the client, and the longest that a step took: a machine that had no
            time for us made that client one that reads nothing.
        """
        peer: Any = await self.open(self.site(b"x" * size, minResponseRate=1000))
        peer.send(request)
        await peer.until(lambda: peer.received)
        peer.transport.pauseProducing()
        longest = 0.0
        while not peer.ended and peer.size < size:
            began = net.seconds()
            await deferLater(net, 0.01)
            peer.transport.resumeProducing()
            await deferLater(net, 0)
            await deferLater(net, 0)
            peer.transport.pauseProducing()
            longest = max(longest, net.seconds() - began)
        peer.transport.resumeProducing()
        return peer, longest

    async def test_slowDownload(self) -> None:
        """
        A slow client gets all of it, whether or not the connection stays.
        """
        for request in (GET, get(b"/", b"Connection: close")):
            for _ in range(TRIES):
                started = net.seconds()
                peer, longest = await self.slowly(request, self.size)
                (response,) = await peer.responses(1)
                if response.complete or longest < self.window / 4:
                    break
            self.assertEqual(self.size, len(response.body))
            self.assertTrue(net.seconds() - started > 0.4, "that was not slow")


class TCPSlowReaderTests(SlowReader, TCPBackend):
    """
    TCP.
    """

    async def test_counted(self) -> None:
        """
        The kernel counts what was acknowledged; this count only grows.
        """
        site = self.site(b"x" * 100_000)
        seen: list[Any] = []
        build = site.buildProtocol

        def buildProtocol(address: Any) -> Any:
            channel = build(address)
            seen.append(channel)
            return channel

        site.buildProtocol = buildProtocol
        peer = await self.open(site)
        peer.send(GET)
        await peer.responses(1)
        counts: list[Any] = []

        def acknowledged() -> bool:
            counts.append(bytes_taken(seen[0].wire.transport))
            return counts[-1] is None or counts[-1] > 100_000

        await eventually(acknowledged)
        if counts[0] is None:
            return
        self.assertTrue(counts[-1] > 100_000, counts)
        self.assertEqual(sorted(counts), counts)


class TLSSlowReaderTests(SlowReader, TLSBackend):
    """
    TLS: the same, below it.
    """


class UNIXSlowReaderTests(SlowReader, UNIXBackend):
    """
    A UNIX socket: the kernel does not tell, but what waits in the transport
    gets less.
    """

    size = 5_000_000

    async def test_waiting(self) -> None:
        """
        C{bytes_taken} grows as less is waiting.
        """
        peer: Any = await self.open(self.site(b""))
        before = bytes_taken(peer.transport)
        peer.transport.write(b"x" * 1_000_000)
        between: Any = bytes_taken(peer.transport)
        self.assertEqual((0, -1_000_000), (before, between))
        peer.transport.doWrite()
        after: Any = bytes_taken(peer.transport)
        self.assertTrue(between < after < 0, after)


class CountTests(ServerTestCase):
    """
    L{bytes_taken} on transports that are none.
    """

    def test_notASocket(self) -> None:
        """
        It does not know.
        """
        self.assertIsNone(bytes_taken(object()))
        wire = self.talk(None, post(b""))
        self.assertIsNone(bytes_taken(wire.transport))

    def test_layout(self) -> None:
        """
        The place of the count in C{struct tcp_info} is that of the C library.
        """
        # 8 bytes, 24 counts of 4 bytes, two rates of 8 bytes (linux/tcp.h).
        self.assertEqual(120, struct.calcsize("=8B24I2Q"))
