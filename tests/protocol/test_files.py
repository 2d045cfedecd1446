"""
File regions in an L{H11Protocol}, in memory; over sockets see
L{tests.protocol.test_sockets}.
"""

from __future__ import annotations

import gzip
import io
import tempfile
from types import SimpleNamespace
from typing import Any

import h11
from twisted.internet.error import ConnectionAborted, ConnectionLost

from tests.protocol.test_flow import Producer
from tests.support.memory import MemoryTransport
from tests.support.protocol_cases import ProtocolTestCase, Recording
from tests.support.server_cases import GET, get
from twisted_h11._wire.files import is_stored
from twisted_h11.protocol import FileRegion

CONTENT = bytes(range(256)) * 1024  # 256 KiB


class SmallBuffer(MemoryTransport):
    """
    Says soon that it has enough.
    """

    bufferSize = 1000


class Restless(MemoryTransport):
    """
    Pauses its producer and resumes it with each write.
    """

    def write(self, data: bytes) -> None:
        """
        Write it.
        """
        super().write(data)
        if self.producer is not None:
            self.producer.resumeProducing()
            self.producer.pauseProducing()
            self.producer.resumeProducing()


class Noting(Recording):
    """
    Does something with each event.
    """

    def __init__(self, act: Any) -> None:
        super().__init__()
        self.act = act

    def eventReceived(self, event: h11.Event) -> None:
        """
        Do it.
        """
        super().eventReceived(event)
        self.act(self, event)


class RegionTests(ProtocolTestCase):
    """
    A region is read and written where C{sendfile} can not be used.
    """

    def setUp(self) -> None:
        """
        Nobody was told of an end.
        """
        super().setUp()
        self.ended: list[object] = []
        self.addCleanup(self.ended.clear)

    def region(self, offset: int = 0, count: int = len(CONTENT)) -> Any:
        """
        A region of a file.
        """
        return FileRegion(io.BytesIO(CONTENT), offset, count, self.ended.append)

    def begin(self, *fields: tuple[str, str], **limits: Any) -> Any:
        """
        A response has begun, to a client that does not read.
        """
        wire = self.connect(Recording, SmallBuffer(), **limits).send(GET)
        wire.methods = [b"GET"]
        wire.channel.sendEvent(h11.Response(status_code=200, headers=list(fields)))
        wire.stall()
        return wire

    def send(self, wire: Any, region: Any) -> None:
        """
        Send a region.
        """
        wire.channel.sendEvent(h11.Data(data=region))

    def test_framing(self) -> None:
        """
        h11 frames it: by chunks, by length, or by the end of the connection.
        """
        for request, fields, framing in (
            (GET, [], "chunked"),
            (GET, [("Content-Length", "1000")], "length"),
            (b"GET / HTTP/1.0\r\n\r\n", [], "close"),
        ):
            wire = self.connect(Recording).send(request)
            wire.channel.sendEvent(h11.Response(status_code=200, headers=fields))
            self.send(wire, self.region(100, 1000))
            wire.channel.sendEvent(h11.EndOfMessage())
            wire.settle(6)
            self.assertEqual(CONTENT[100:1100], wire.only().body)
            self.assertEqual(framing, wire.only().framing)
        self.assertEqual([None] * 3, self.ended)

    def test_laterWritesQueue(self) -> None:
        """
        What is sent behind it, other regions included, goes out behind it.
        """
        wire = self.begin()
        self.send(wire, self.region())
        self.send(wire, b"between")
        self.send(wire, self.region(5, 5))
        self.send(wire, b"behind")
        wire.channel.sendEvent(h11.EndOfMessage())
        self.assertLess(len(wire.transport.backlog), 100_000)
        self.assertEqual([], self.ended)
        wire.drain()
        self.assertEqual(
            CONTENT + b"between" + CONTENT[5:10] + b"behind", wire.only().body
        )
        self.assertEqual([None, None], self.ended)

    def test_nextRequestWaits(self) -> None:
        """
        A request behind it is delivered when it is gone.
        """
        wire = self.begin()
        self.send(wire, self.region())
        wire.channel.sendEvent(h11.EndOfMessage())
        wire.channel.startNextCycle()
        wire.send(GET)
        self.assertEqual(["Request", "EndOfMessage"], wire.channel.kinds)
        wire.drain()
        self.assertEqual(["Request", "EndOfMessage"] * 2, wire.channel.kinds)

    def test_manyQueued(self) -> None:
        """
        Thousands of them need no more stack than one.
        """
        wire = self.begin()
        self.send(wire, self.region(0, 2000))
        for i in range(5000):
            self.send(wire, self.region(i, 1))
        wire.channel.sendEvent(h11.EndOfMessage())
        wire.drain()
        self.assertEqual(CONTENT[:2000] + CONTENT[:5000], wire.only().body)
        self.assertEqual([None] * 5001, self.ended)

    def test_manyPipelined(self) -> None:
        """
        Nor do thousands of requests, each answered with one.
        """

        def answer(protocol: Any, event: h11.Event) -> None:
            if isinstance(event, h11.EndOfMessage):
                protocol.sendEvent(
                    h11.Response(status_code=200, headers=[("Content-Length", "9")])
                )
                protocol.sendEvent(h11.Data(data=self.region(7, 9)))
                protocol.sendEvent(h11.EndOfMessage())
                protocol.startNextCycle()

        wire = self.serve(answer).send(GET * 2000)
        wire.methods = [b"GET"] * 2000
        self.assertEqual([CONTENT[7:16]] * 2000, [r.body for r in wire.responses])

    def test_nothing(self) -> None:
        """
        A region of no length ends at once.
        """
        wire = self.begin()
        self.send(wire, self.region(0, 0))
        self.assertEqual([None], self.ended)
        wire = self.begin(("Content-Length", "0"))
        self.send(wire, self.region(0, 0))
        self.assertEqual([None, None], self.ended)

    def test_truncated(self) -> None:
        """
        A file that is shorter than its region drops the connection.
        """
        wire = self.begin(("Content-Length", "20"))
        wire.transport.stalled = False
        self.send(wire, self.region(len(CONTENT) - 10, 20))
        self.assertTrue(wire.aborted or wire.transport.aborted)
        self.assertIsInstance(self.ended.pop(), EOFError)
        self.assertIs(h11.ERROR, wire.channel.h11Connection.our_state)
        self.assertEqual(["A file could not be sent: {error}"], self.text())

    def test_closedFile(self) -> None:
        """
        So does one that is closed before it is sent.
        """
        wire = self.begin()
        region = self.region()
        region.file.close()
        self.send(wire, region)
        self.assertTrue(wire.transport.aborted)
        self.assertIsInstance(self.ended.pop(), ValueError)

    def test_lost(self) -> None:
        """
        If the connection is lost, all that wait are told, once.
        """
        wire = self.begin()
        self.send(wire, self.region())
        self.send(wire, self.region())
        wire.vanish()
        self.assertEqual([ConnectionLost] * 2, [type(e) for e in self.ended])
        self.assertEqual([], self.text())

    def test_aborted(self) -> None:
        """
        Also if it is aborted.
        """
        wire = self.begin()
        self.send(wire, self.region())
        wire.channel.abortConnection()
        self.assertEqual(1, len(self.ended))
        self.assertIsInstance(self.ended.pop(), Exception)

    def test_closedBehind(self) -> None:
        """
        Closing the connection waits for it.
        """
        wire = self.begin(("Connection", "close"))
        self.send(wire, self.region())
        wire.channel.sendEvent(h11.EndOfMessage())
        self.assertEqual([], self.ended)
        wire.drain()
        wire.settle(6)
        self.assertTrue(wire.closed)
        self.assertEqual(CONTENT, wire.only().body)
        self.assertTrue(wire.only().complete)

    def test_toldBadly(self) -> None:
        """
        An exception of C{ended} does no harm to others.
        """

        def fail(error: object) -> None:
            raise ZeroDivisionError

        wire = self.begin()
        region: Any = FileRegion(io.BytesIO(CONTENT), 0, len(CONTENT), fail)
        self.send(wire, region)
        self.send(wire, self.region())
        wire.vanish()
        self.assertEqual(1, len(self.ended))
        self.assertEqual(1, len(self.text()))
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_sentFromEnded(self) -> None:
        """
        What C{ended} sends comes next.
        """
        wire = self.begin()

        def ended(error: object) -> None:
            self.send(wire, b"next")
            wire.channel.sendEvent(h11.EndOfMessage())
            wire.channel.startNextCycle()

        region: Any = FileRegion(io.BytesIO(CONTENT), 0, len(CONTENT), ended)
        self.send(wire, region)
        wire.send(GET)
        wire.drain()
        self.assertEqual(CONTENT + b"next", wire.only().body)
        self.assertEqual(["Request", "EndOfMessage"] * 2, wire.channel.kinds)

    def test_sentFromEndedAtOnce(self) -> None:
        """
        It comes behind the end of the chunk, also where the region was gone at once.
        """
        wire = self.begin()
        wire.transport.stalled = False

        def ended(error: object) -> None:
            self.send(wire, b"next")
            wire.channel.sendEvent(h11.EndOfMessage())

        self.send(wire, FileRegion(io.BytesIO(CONTENT), 0, 10, ended))
        self.assertEqual(CONTENT[:10] + b"next", wire.only().body)
        self.assertTrue(wire.only().complete)

    def test_abortedFromEnded(self) -> None:
        """
        It may also abort.
        """
        wire = self.begin()

        def ended(error: object) -> None:
            wire.channel.abortConnection()

        region: Any = FileRegion(io.BytesIO(CONTENT), 0, len(CONTENT), ended)
        self.send(wire, region)
        self.send(wire, self.region())
        wire.drain()
        self.assertTrue(wire.aborted)
        self.assertEqual(1, len(self.ended))

    def test_closedFromEnded(self) -> None:
        """
        It may close, also where the region was gone at once.
        """
        wire = self.begin(("Content-Length", "10"))
        wire.transport.stalled = False

        def ended(error: object) -> None:
            wire.channel.loseConnection()

        self.send(wire, FileRegion(io.BytesIO(CONTENT), 0, 10, ended))
        wire.pump()
        self.assertTrue(wire.closed)
        self.assertFalse(wire.aborted)
        self.assertEqual(CONTENT[:10], wire.only().body)

    def test_abortedFromRead(self) -> None:
        """
        A file that drops the connection when it is read, and what it does then, ends
        its region once; nothing is written behind that.
        """

        def read(size: int) -> bytes:
            wire.channel.abortConnection()
            return content.pop()

        content = [b"x" * 10]
        for _ in range(2):
            wire = self.begin()
            wire.transport.stalled = False
            file: Any = SimpleNamespace(read=read, seek=lambda offset: None)
            self.send(wire, FileRegion(file, 0, 10, self.ended.append))
            self.assertTrue(wire.transport.aborted)
        self.assertEqual([ConnectionAborted] * 2, [type(e) for e in self.ended])
        self.assertEqual([], self.text())

    def test_brokenPipe(self) -> None:
        """
        A client that has gone by the time that a region is sent is nobody's fault.
        """

        class Broken(io.BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                raise BrokenPipeError

        wire = self.begin()
        self.send(wire, FileRegion(Broken(), 0, 10, self.ended.append))
        self.assertTrue(wire.transport.aborted)
        self.assertEqual([BrokenPipeError], [type(e) for e in self.ended])
        self.assertEqual([], self.text())
        quiet = [event.get("log_format") for event in self.logged]
        self.assertIn("A file was not sent whole: {error}", quiet)

    def test_restless(self) -> None:
        """
        A transport may pause and resume within each write, and resume in vain.
        """

        def answer(protocol: Any, event: h11.Event) -> None:
            if isinstance(event, h11.EndOfMessage):
                # Within the event, so that it is still there when the region comes.
                protocol.sendEvent(h11.Response(status_code=200, headers=[]))
                protocol.sendEvent(h11.Data(data=self.region()))
                protocol.sendEvent(h11.EndOfMessage())

        wire = self.connect(lambda: Noting(answer), Restless()).send(GET)
        wire.methods = [b"GET"]
        self.assertEqual(CONTENT, wire.only().body)
        self.assertEqual([None], self.ended)

    def test_producer(self) -> None:
        """
        A producer waits for it: paused once, resumed once.
        """
        wire = self.begin()
        producer = Producer(None)
        wire.channel.registerProducer(producer, True)
        self.send(wire, self.region())
        self.assertEqual(["pause"], producer.calls)
        wire.drain()
        self.assertEqual(["pause", "resume"], producer.calls)

    def test_producerOfRegions(self) -> None:
        """
        A producer whose regions need no time is not called from within its own
        call.
        """
        wire = self.begin()
        wire.transport.stalled = False
        producer = Producer(None)
        wire.channel.registerProducer(producer, True)
        self.send(wire, self.region(0, 10))
        self.assertEqual([], producer.calls)

    def test_refused(self) -> None:
        """
        A region that does not fit raises; its end is not told.
        """
        wire = self.begin(("Content-Length", "5"))
        with self.assertRaises(h11.LocalProtocolError):
            self.send(wire, self.region())
        self.assertEqual([], self.ended)

    def test_headOnly(self) -> None:
        """
        So does one that answers HEAD.
        """
        wire = self.connect(Recording).send(get(method=b"HEAD"))
        wire.channel.sendEvent(h11.Response(status_code=200, headers=[]))
        with self.assertRaises(h11.LocalProtocolError):
            self.send(wire, self.region())

    def test_values(self) -> None:
        """
        A region is somewhere, and says where.
        """
        for offset, count in ((-1, 1), (1, -1)):
            with self.assertRaises(ValueError):
                FileRegion(io.BytesIO(), offset, count)
        region = FileRegion(io.BytesIO(), 3, 5)
        self.assertEqual(5, len(region))
        self.assertEqual("<FileRegion offset=3 count=5>", repr(region))


class DescriptorTests(ProtocolTestCase):
    """
    Which files C{sendfile} may be used for.
    """

    def test_kinds(self) -> None:
        """
        Those whose descriptor gives what reading them gives.
        """
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(gzip.compress(b"hello"))
        with (
            open(path, "rb") as plain,
            open(path, "rb", buffering=0) as raw,
            gzip.open(path) as zipped,
            tempfile.TemporaryFile() as temporary,
            tempfile.NamedTemporaryFile() as named,
        ):
            files: list[Any] = [plain, raw, temporary]
            self.assertEqual([True] * 3, [is_stored(file) for file in files])
            # The last but one is a wrapper, and nobody knows what those do.
            others: list[Any] = [zipped, named, io.BytesIO()]
            self.assertEqual([False] * 3, [is_stored(file) for file in others])
        self.assertFalse(is_stored(plain))
