"""
C{writeBufferLength}: what is unsent of a response is bounded, and nothing else is.
"""

from __future__ import annotations

import random
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.error import ConnectionLost
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.web import server

from tests.support.memory import CLIENT, SERVER
from tests.support.responses import read_responses
from tests.support.server_cases import GET, Holding, ServerTestCase
from tests.support.socket_cases import TCPBackend, TLSBackend
from twisted_h11._wire.progress import bytes_unsent
from twisted_h11.server import Limits, Site

MOST = 300_000


class FromTwisted(server.Request):
    """
    A request class that is not ours: it frames its chunks by itself.
    """


class Reactor:
    """
    As much of a reactor as a transport needs that is driven by hand.
    """

    def addReader(self, reader: object) -> None:
        """
        Nothing is ever read.
        """

    addWriter = removeReader = removeWriter = addReader


class Slow(FileDescriptor):
    """
    A real transport of Twisted's, whose peer takes what the test says.
    """

    connected = 1

    def __init__(self) -> None:
        reactor: Any = Reactor()
        super().__init__(reactor)
        self.taken = bytearray()
        self.left = 0
        self.aborted = False

    def writeSomeData(self, data: Any) -> int:
        """
        Take as much as the peer takes now.
        """
        piece = bytes(data)[: self.left]
        self.taken += piece
        self.left -= len(piece)
        return len(piece)

    def take(self, length: int) -> None:
        """
        The peer reads so much.
        """
        self.left = length
        while self.left and (self.dataBuffer or self._tempDataLen):
            self.doWrite()
        self.left = 0

    def abortConnection(self) -> None:
        """
        The connection is dropped.
        """
        self.aborted = True

    def getPeer(self) -> Any:
        """
        The client.
        """
        return CLIENT

    def getHost(self) -> Any:
        """
        The server.
        """
        return SERVER


class BacklogTests(ServerTestCase):
    """
    What is looked at is what is there.
    """

    def begin(self, **options: Any) -> tuple[Any, Slow]:
        """
        A request that waits for its response, on a transport that takes nothing.
        """
        self.holding = Holding()
        options.setdefault("limits", {"writeBufferLength": MOST})
        site = self.site(self.holding, **options)
        transport = Slow()
        channel = site.buildProtocol(CLIENT)
        channel.makeConnection(transport)
        self.addCleanup(self._end, channel, transport)
        channel.dataReceived(GET)
        self.clock.advance(0)
        return self.holding.requests.pop(), transport

    def _end(self, channel: Any, transport: Slow) -> None:
        self.holding.lost.clear()
        transport.connectionLost(Failure(ConnectionLost()))
        channel.connectionLost(Failure(ConnectionLost()))

    def steady(self, request: Any, transport: Slow, whole: int) -> int:
        """
        Write faster than the client reads up to 200 kB behind, then as fast as
        it reads; the transport is never empty.

        @return: how many bytes were written when the connection was dropped.
        """
        sent = 0
        while sent < whole and not transport.aborted:
            request.write(b"x" * 20_000)
            sent += 20_000
            self.clock.advance(0)
            if sent > 200_000:
                transport.take(20_000)
        return sent

    def test_steady(self) -> None:
        """
        A client that keeps up a little behind is served as long as it takes,
        though the transport never runs empty.
        """
        request, transport = self.begin()
        self.assertEqual(10_000_000, self.steady(request, transport, 10_000_000))
        request.finish()
        transport.take(20_000_000)
        (response,) = read_responses(bytes(transport.taken), [], False)
        self.assertEqual(10_000_000, len(response.body))

    def test_foreign(self) -> None:
        """
        It is the same for a request class of twisted.web's.
        """
        request, transport = self.begin(requestFactory=FromTwisted)
        self.assertEqual(3_000_000, self.steady(request, transport, 3_000_000))
        request.finish()
        transport.take(20_000_000)
        (response,) = read_responses(bytes(transport.taken), [], False)
        self.assertEqual(3_000_000, len(response.body))

    def test_withoutFastPath(self) -> None:
        """
        It is the same where h11 frames.
        """
        request, transport = self.begin(fastPath=False)
        self.assertEqual(3_000_000, self.steady(request, transport, 3_000_000))
        request.finish()

    def test_random(self) -> None:
        """
        However writes and reads follow each other: dropped if and only if there
        was a turn with more than the bound unsent.
        """
        for seed in range(30):
            source = random.Random(seed)
            request, transport = self.begin()
            over = False
            for _ in range(200):
                for _ in range(source.randrange(4)):
                    request.write(b"x" * source.randrange(1, 60_000))
                transport.take(source.randrange(1, 90_000))
                # A little of what was written is framing.
                unsent = len(transport.dataBuffer) - transport.offset
                unsent += transport._tempDataLen
                if abs(unsent - MOST) < 3000:
                    break
                over = unsent > MOST
                self.clock.advance(0)
                self.assertEqual(over, transport.aborted, seed)
                if over:
                    break
            if not transport.aborted:
                request.finish()

    def test_finishedAtOnce(self) -> None:
        """
        A response that is over at the end of the turn is not cut for its size,
        in how many writes it ever came.
        """
        for count in (2, 50):
            request, transport = self.begin()
            for _ in range(count):
                request.write(b"x" * (2 * MOST))
            request.finish()
            self.clock.advance(0)
            transport.take(2**30)
            (response,) = read_responses(bytes(transport.taken), [], False)
            self.assertEqual(2 * MOST * count, len(response.body))
            self.assertFalse(transport.aborted)

    def test_finishedLater(self) -> None:
        """
        Nor one that has ended before its bound was crossed by the next.
        """
        request, transport = self.begin()
        request.write(b"x" * (MOST - 10_000))
        self.clock.advance(0)
        request.write(b"x" * (2 * MOST))
        request.finish()
        self.clock.advance(5)
        self.assertFalse(transport.aborted)
        transport.take(2**30)

    def test_dropped(self) -> None:
        """
        An application that writes on and on to a client that takes nothing is
        stopped; the log says what was there.
        """
        request, transport = self.begin()
        sent = 0
        while not transport.aborted:
            request.write(b"x" * 10_000)
            sent += 10_000
            self.clock.advance(0)
        self.assertLessEqual(sent, MOST + 20_000)
        (line,) = [m for m in self.messages() if "writeBufferLength" in m]
        unsent = int(line.split(" bytes of the unfinished response")[0])
        self.assertLessEqual(abs(unsent - sent), 2_000)
        self.assertIn(str(MOST), line)
        self.assertIn("192.0.2.7", line)

    def test_raw(self) -> None:
        """
        A response that the application frames itself has the same bound.
        """
        request, transport = self.begin(requestFactory=FromTwisted)
        request.startedWriting = 1
        for _ in range(100):
            request.channel.write(b"x" * 10_000)
            self.clock.advance(0)
            if transport.aborted:
                break
        self.assertTrue(transport.aborted)

    def test_unknownWithRoom(self) -> None:
        """
        What such a transport had room for does not count, however much that is.
        """
        holding = Holding()
        wire = self.talk(holding, GET, limits={"writeBufferLength": MOST})
        request = holding.requests.pop()
        for _ in range(5):
            request.write(b"x" * MOST)
            wire.pump()
        request.finish()
        wire.pump()
        self.assertEqual(5 * MOST, len(wire.only().body))

    def test_unknownTransport(self) -> None:
        """
        Where nobody knows what a transport keeps, what was written since it was
        last empty counts; then, too, a response that is over is not cut.
        """
        holding = Holding()
        limits = {"writeBufferLength": MOST}
        wire = self.talk(holding, GET, limits=limits)
        for _ in range(10):
            wire.stall()
            for _ in range(25):
                holding.requests[0].write(b"x" * 10_000)
            wire.pump()
            wire.drain()
        wire.stall()
        request = holding.requests.pop()
        for _ in range(100):
            request.write(b"x" * 10_000)
        request.finish()
        wire.pump()
        wire.drain()
        self.assertEqual(3_500_000, len(wire.only().body))
        wire = self.talk(holding, GET, limits=limits)
        wire.stall()
        request = holding.requests.pop()
        for _ in range(100):
            request.write(b"x" * 10_000)
        del request
        wire.pump()
        self.assertTrue(wire.aborted)
        self.assertEqual(1, len(holding.lost))
        holding.lost.clear()

    def test_oneLargeResponse(self) -> None:
        """
        What C{render} returns may be larger than the bound.
        """
        body = b"x" * 1_000_000
        site = self.site(lambda request: body, limits={"writeBufferLength": 10_000})
        wire = self.connect(site)
        wire.stall().send(GET)
        wire.drain()
        self.assertEqual(body, wire.only().body)

    def test_noLimit(self) -> None:
        """
        C{None} is no limit.
        """
        request, transport = self.begin(limits={"writeBufferLength": None})
        for _ in range(100):
            request.write(b"x" * 1_000_000)
            self.clock.advance(0)
        request.finish()
        self.assertFalse(transport.aborted)
        transport.take(2**30)
        del transport.taken[:]

    def test_producersArePaused(self) -> None:
        """
        A producer that does what it is told never comes near it.
        """
        request, transport = self.begin()

        class Producer:
            paused = False

            def pauseProducing(self) -> None:
                self.paused = True

            def resumeProducing(self) -> None:
                self.paused = False

            def stopProducing(self) -> None:
                self.paused = True

        producer = Producer()
        request.registerProducer(producer, True)
        for _ in range(1000):
            if not producer.paused:
                request.write(b"x" * 10_000)
            self.clock.advance(0)
        self.assertLess(transport._tempDataLen, 100_000)
        request.unregisterProducer()
        request.finish()

    def test_behindAFile(self) -> None:
        """
        What is written behind a region of a file counts, though the transport
        has nothing of it.
        """
        holding = Holding()
        wire = self.talk(holding, GET, limits={"writeBufferLength": MOST})
        path = self.mktemp()
        with open(path, "wb") as made:
            made.write(b"f" * 1_000_000)
        file = open(path, "rb")  # noqa: SIM115
        self.addCleanup(file.close)
        wire.stall()
        request = holding.requests.pop()
        request.sendFile(file).addErrback(lambda _: None)
        for _ in range(100):
            request.write(b"x" * 10_000)
            wire.pump()
            if wire.aborted:
                break
        self.assertTrue(wire.aborted)
        del request
        holding.lost.clear()


class UnsentTests(ServerTestCase):
    """
    L{bytes_unsent} looks through what lies above a socket.
    """

    def test_wrapped(self) -> None:
        """
        Through a wrapper, and through two.
        """
        transport = Slow()
        factory: Any = WrappingFactory(Site(Holding()))
        inner: Any = ProtocolWrapper(factory, Holding())  # type: ignore[arg-type]
        inner.transport = transport
        outer: Any = ProtocolWrapper(factory, Holding())  # type: ignore[arg-type]
        outer.transport = inner
        transport.write(b"x" * 1000)
        self.assertEqual(1000, bytes_unsent(outer))
        transport.take(600)
        self.assertEqual(400, bytes_unsent(outer))
        self.assertIsNone(bytes_unsent(object()))
        self.assertTrue(issubclass(TLSMemoryBIOProtocol, ProtocolWrapper))


class SocketTests:
    """
    A client that stops reading for a while.
    """

    async def look(self, case: Any) -> None:
        """
        What it leaves behind is seen; it gets all of it.
        """
        whole = b"x" * 20_000_000
        holding = Holding()
        peer = await case.open(Site(holding, limits=Limits(writeBufferLength=MOST)))
        peer.send(GET)
        while not holding.requests:
            await case.turns(1)
        peer.transport.pauseProducing()
        request = holding.requests.pop()
        wire = request.channel.wire.transport
        request.write(whole)
        request.finish()
        await case.turns(50)
        unsent = bytes_unsent(wire)
        case.assertGreater(unsent, 1_000_000)
        case.assertLess(unsent, 21_000_000)
        peer.transport.resumeProducing()
        await peer.until(lambda: peer.size > len(whole))
        case.assertEqual(0, bytes_unsent(wire))
        peer.close()
        await peer.gone()


class TCPTests(TCPBackend):
    """
    Over TCP.
    """

    async def test_look(self) -> None:
        """
        The transport is asked itself.
        """
        await SocketTests().look(self)


class TLSTests(TLSBackend):
    """
    Over TLS.
    """

    async def test_look(self) -> None:
        """
        The transport below TLS is asked.
        """
        await SocketTests().look(self)
