"""
Back-pressure in an L{H11Protocol}, in both directions.
"""

from __future__ import annotations

import tracemalloc
from typing import Any
from unittest.mock import Mock

import h11
from twisted.internet.interfaces import IPullProducer, IPushProducer
from zope.interface import implementer

from tests.support.memory import MemoryTransport
from tests.support.protocol_cases import OK, Answering, ProtocolTestCase, Recording
from tests.support.server_cases import GET, get, post

TWO = ["Request", "EndOfMessage"] * 2


class CountingTransport(MemoryTransport):
    """
    Counts how often it is resumed.
    """

    resumes = 0

    def resumeProducing(self) -> None:
        """
        Count.
        """
        self.resumes += 1
        super().resumeProducing()


class PausedTests(ProtocolTestCase):
    """
    h11's PAUSED.
    """

    def test_pausedOnce(self) -> None:
        """
        What comes behind a message pauses the transport, once; the next cycle
        resumes it, once.
        """
        transport = CountingTransport()
        wire = self.connect(Recording, transport).send(GET)
        self.assertFalse(transport.paused)
        wire.send(GET[:5])
        self.assertTrue(transport.paused)
        # Bytes that were on their way when it was paused.
        for byte in GET[5:]:
            wire.channel.dataReceived(bytes([byte]))
        self.assertEqual((1, 0), (transport.pauses, transport.resumes))
        self.assertEqual(TWO[:2], wire.channel.kinds)
        wire.channel.respond()
        self.assertEqual((1, 0), (transport.pauses, transport.resumes))
        wire.channel.startNextCycle()
        self.assertEqual(TWO, wire.channel.kinds)
        self.assertEqual((1, 1), (transport.pauses, transport.resumes))
        self.assertFalse(transport.paused)

    def test_stillPaused(self) -> None:
        """
        If there is still more behind the next message, nothing is resumed.
        """
        transport = CountingTransport()
        wire = self.connect(Recording, transport).send(GET * 3)
        wire.channel.respond()
        wire.channel.startNextCycle()
        self.assertEqual(TWO, wire.channel.kinds)
        self.assertEqual((1, 0), (transport.pauses, transport.resumes))

    def test_readAhead(self) -> None:
        """
        C{readAhead} bytes may wait before the transport is paused.
        """

        class Ahead(Recording):
            readAhead = 10

        wire = self.connect(Ahead).send(GET, b"x" * 10)
        self.assertFalse(wire.transport.paused)
        wire.send(b"x")
        self.assertTrue(wire.transport.paused)

    def test_upgradeProposed(self) -> None:
        """
        What comes behind a proposal to switch protocols waits for the answer,
        and is HTTP if that is no.
        """
        upgrade = get(b"/", b"Connection: upgrade", b"Upgrade: other")
        wire = self.connect(Recording).send(upgrade, GET)
        self.assertTrue(wire.transport.paused)
        self.assertEqual(TWO[:2], wire.channel.kinds)
        wire.channel.respond(b"no", status=404)
        wire.channel.startNextCycle()
        self.assertEqual(TWO, wire.channel.kinds)
        self.assertFalse(wire.transport.paused)

    def test_startTooEarly(self) -> None:
        """
        A cycle can not begin before both messages have ended; trying does no
        harm.
        """
        wire = self.connect(Recording)
        for step in (lambda: None, lambda: wire.send(post(b"x")[:-1])):
            step()
            try:
                wire.channel.startNextCycle()
            except h11.LocalProtocolError as error:
                error.__traceback__ = None
            else:
                self.fail("no error")
        wire.send(b"x")
        wire.channel.respond()
        wire.channel.startNextCycle()
        wire.send(GET)
        self.assertEqual(
            ["Request", "Data", "EndOfMessage", *TWO[:2]], wire.channel.kinds
        )

    def test_startTooLate(self) -> None:
        """
        Nor after a last message.
        """
        wire = self.connect(Recording).send(get(b"/", b"Connection: close"))
        wire.channel.respond()
        with self.assertRaises(h11.LocalProtocolError):
            wire.channel.startNextCycle()
        wire.vanish()
        with self.assertRaises(h11.LocalProtocolError):
            wire.channel.startNextCycle()

    def test_client(self) -> None:
        """
        A client is paused by what comes behind a response, and uses the
        connection again.
        """
        wire = self.client().send(OK, OK[:4])
        self.assertTrue(wire.transport.paused)
        self.assertEqual(["Response", "Data", "EndOfMessage"], wire.channel.kinds)


class PipeliningTests(ProtocolTestCase):
    """
    Thousands of requests on one connection.
    """

    def thousands(self, protocol: Any, size: int) -> Any:
        """
        Send five thousand, in segments of C{size} bytes.
        """
        wire = self.connect(protocol)
        wire.methods = [b"GET"] * 5_000
        data = b"".join(get(b"/%d" % i) for i in range(5_000))
        wire.send(*(data[i : i + size] for i in range(0, len(data), size)))
        return wire

    def test_answeredAtOnce(self) -> None:
        """
        They are answered in order, with no more stack than one, in few writes.
        """
        for size in (1 << 30, 1000):
            wire = self.thousands(Answering, size)
            self.assertEqual(
                [b"/%d" % i for i in range(5_000)], [r.body for r in wire.responses]
            )
            self.assertLess(wire.transport.writes, 500)
            self.end()

    def test_answeredLater(self) -> None:
        """
        Nor does it take more when each is answered from outside.
        """
        wire = self.thousands(Recording, 65536)
        protocol = wire.channel
        for _ in range(5_000):
            protocol.respond()
            protocol.startNextCycle()
            wire.pump()
        self.assertEqual(5_000, len(wire.responses))
        self.assertEqual(10_000, len(protocol.seen))

    def test_notTaken(self) -> None:
        """
        While the client does not read, its next requests wait, and the network
        is quiet; it goes on when the client reads.
        """

        class Large(Recording):
            def eventReceived(self, event: h11.Event) -> None:
                super().eventReceived(event)
                if isinstance(event, h11.EndOfMessage):
                    self.respond(b"x" * 50_000)
                    self.startNextCycle()

        wire = self.connect(Large)
        wire.methods = [b"GET"] * 1000
        wire.stall()
        wire.send(*[GET * 10] * 100)
        self.assertLess(len(wire.transport.backlog), 300_000)
        self.assertTrue(wire.transport.paused)
        self.assertLess(len(wire.channel.seen), 20)
        wire.drain()
        self.assertEqual(1000, len(wire.responses))
        self.assertFalse(wire.transport.paused)

    def test_memory(self) -> None:
        """
        What waits does not grow with the number of requests.
        """

        class Silent(Answering):
            def eventReceived(self, event: h11.Event) -> None:
                super().eventReceived(event)
                self.seen.clear()

        wire = self.connect(Silent)
        wire.transport.write = lambda data: None  # type: ignore[method-assign]
        segment = GET * 500
        wire.send(segment)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for _ in range(8):
            wire.send(segment)
        self.assertLess(tracemalloc.get_traced_memory()[1], 1_000_000)


class RaisingTests(ProtocolTestCase):
    """
    A producer that raises.
    """

    def test_dropsTheConnection(self) -> None:
        """
        What it produces will never be complete: the connection is dropped.
        """
        for name in ("pauseProducing", "resumeProducing", "stopProducing"):
            producer: Any = Mock(**{name + ".side_effect": ZeroDivisionError})
            wire = self.connect(Recording).send(GET)
            wire.channel.registerProducer(producer, True)
            if name == "stopProducing":
                wire.vanish()
            else:
                wire.channel.pauseProducing()
                wire.channel.resumeProducing()
                self.assertTrue(wire.aborted)
            self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))


class ReadingTests(ProtocolTestCase):
    """
    C{pauseReading} and C{resumeReading}.
    """

    def test_paused(self) -> None:
        """
        No event is delivered and nothing read until reading is resumed.
        """
        wire = self.connect(Recording)
        wire.send(post(b"hello")[:-5], b"he")
        wire.channel.pauseReading()
        self.assertTrue(wire.transport.paused)
        wire.channel.dataReceived(b"l")
        self.assertEqual(("Data", b"he"), wire.channel.events[-1])
        wire.send(b"lo")
        wire.channel.resumeReading()
        self.assertEqual(("Data", b"hel"), wire.channel.events[-1])
        wire.pump()
        self.assertEqual(
            [("Data", b"hello"), ("EndOfMessage", [])], wire.channel.events[-2:]
        )

    def test_withinAnEvent(self) -> None:
        """
        It takes effect with the next event, also where that is here already.
        """
        wire = self.serve(lambda protocol, event: protocol.pauseReading())
        wire.send(post(b"hello"))
        kinds = ["Request", "Data", "EndOfMessage"]
        for count in (1, 2, 3):
            self.assertEqual(kinds[:count], wire.channel.kinds)
            wire.channel.resumeReading()
        self.assertFalse(wire.transport.paused)

    def test_forNothing(self) -> None:
        """
        Resuming what was not paused, or is gone, does nothing.
        """
        wire = self.connect(Recording).send(GET, GET)
        wire.channel.resumeReading()
        self.assertTrue(wire.transport.paused)
        wire.channel.pauseReading()
        wire.vanish()
        wire.channel.resumeReading()
        self.assertEqual(TWO[:2], wire.channel.kinds)

    def test_beforeAnything(self) -> None:
        """
        It may be paused and resumed before the first byte.
        """
        wire = self.connect(Recording)
        wire.channel.pauseReading()
        wire.channel.resumeReading()
        self.assertFalse(wire.transport.paused)
        self.assertEqual(TWO[:2], wire.send(GET).channel.kinds)


@implementer(IPushProducer, IPullProducer)
class Producer:
    """
    Sends pieces of content; notes what it is told.
    """

    def __init__(self, protocol: Any, pieces: int = 0) -> None:
        self.protocol = protocol
        self.pieces = pieces
        self.calls: list[str] = []

    def resumeProducing(self) -> None:
        """
        Send a piece.
        """
        self.calls.append("resume")
        if self.pieces:
            self.pieces -= 1
            self.protocol.sendEvent(h11.Data(data=b"x" * 40_000))
            if not self.pieces:
                self.protocol.unregisterProducer()
                self.protocol.sendEvent(h11.EndOfMessage())
                self.protocol = None

    def pauseProducing(self) -> None:
        """
        Wait.
        """
        self.calls.append("pause")

    def stopProducing(self) -> None:
        """
        End.
        """
        self.calls.append("stop")
        self.protocol = None


class ProducerTests(ProtocolTestCase):
    """
    The producer of a body.
    """

    def begin(self) -> Any:
        """
        A response has begun.
        """
        wire = self.connect(Recording).send(GET)
        wire.methods = [b"GET"]
        wire.channel.sendEvent(h11.Response(status_code=200, headers=[]))
        return wire

    def test_push(self) -> None:
        """
        A push producer is paused while the peer does not read, and resumed, once
        each.
        """
        wire = self.begin()
        producer = Producer(wire.channel)
        wire.channel.registerProducer(producer, True)
        wire.stall()
        for _ in range(3):
            wire.channel.sendEvent(h11.Data(data=b"x" * 40_000))
        self.assertEqual(["pause"], producer.calls)
        wire.drain()
        self.assertEqual(["pause", "resume"], producer.calls)
        wire.vanish()
        self.assertEqual(["pause", "resume", "stop"], producer.calls)

    def test_registeredLate(self) -> None:
        """
        One that is registered while the peer does not read is paused at once.
        """
        wire = self.begin()
        wire.stall()
        wire.channel.sendEvent(h11.Data(data=b"x" * 100_000))
        producer = Producer(wire.channel)
        wire.channel.registerProducer(producer, True)
        self.assertEqual(["pause"], producer.calls)

    def test_registeredTooLate(self) -> None:
        """
        One that is registered when the connection is gone is stopped at once.
        """
        wire = self.begin().vanish()
        producer = Producer(wire.channel)
        wire.channel.registerProducer(producer, True)
        self.assertEqual(["stop"], producer.calls)

    def test_second(self) -> None:
        """
        There is one at a time.
        """
        wire = self.begin()
        wire.channel.registerProducer(Producer(None), True)
        with self.assertRaises(RuntimeError):
            wire.channel.registerProducer(Producer(None), True)
        wire.channel.unregisterProducer()
        wire.channel.registerProducer(Producer(None), True)

    def test_repeatedTold(self) -> None:
        """
        A transport that says it again is not passed on.
        """
        wire = self.begin()
        producer = Producer(wire.channel)
        wire.channel.registerProducer(producer, True)
        wire.channel.pauseProducing()
        wire.channel.pauseProducing()
        self.assertEqual(["pause"], producer.calls)
