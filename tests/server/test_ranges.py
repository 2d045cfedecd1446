"""
Ranges of files: what is asked for is sent, or the whole file, or 416; never more.
"""

from __future__ import annotations

import os
import random
import re
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Cooperator
from twisted.python.filepath import FilePath
from twisted.web import server, static
from twisted.web.resource import EncodingResourceWrapper, Resource
from twisted.web.server import GzipEncoderFactory

import twisted_h11._wire.producers
from tests.support.server_cases import ServerTestCase, get
from twisted_h11._server.ranges import MOST_RANGES, settled

TEN = b"0123456789"
SIZE = 300_000


class Wrapping(Resource):
    """
    Renders a file that nobody else knows of.
    """

    isLeaf = True

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def render(self, request: Any) -> Any:
        """
        What the file renders.
        """
        return static.File(self.path).render(request)


class Later(Wrapping):
    """
    The same, in a coroutine.
    """

    async def render(self, request: Any) -> Any:
        """
        After a moment.
        """
        done: Deferred[None] = Deferred()
        request.channel.callLater(0, done.callback, None)
        await done
        return static.File(self.path).render(request)


class Noting:
    """
    A file that notes how much is read at a time, and is no longer one that the
    kernel could send.
    """

    def __init__(self, file: Any, read: list[int]) -> None:
        self._file = file
        self._read = read

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, size: int = -1) -> Any:
        """
        Read.
        """
        data = self._file.read(size)
        self._read.append(len(data))
        return data


class OddFile(static.File):
    """
    Opens files that are wrapped.
    """

    read: list[int] = []  # noqa: RUF012 (one for all)

    def openForReading(self) -> Any:
        """
        See L{Noting}.
        """
        return Noting(super().openForReading(), self.read)


def parts_of(response: Any) -> list[bytes]:
    """
    The parts of a multipart response, each with its range.
    """
    kind = response.get(b"content-type")
    boundary = re.fullmatch(b'multipart/byteranges; boundary="(.*)"', kind)[1]  # type: ignore[index]
    pieces = response.body.split(b"\r\n--" + boundary)
    assert pieces[0] == b"" and pieces[-1] == b"--\r\n", pieces
    return [piece.partition(b"\r\n\r\n")[2] for piece in pieces[1:-1]]


class RangeTests(ServerTestCase):
    """
    RFC 9110 section 14, through C{static.File}.
    """

    def setUp(self) -> None:
        """
        A folder with files.
        """
        super().setUp()
        cooperator = Cooperator(scheduler=lambda call: self.clock.callLater(0, call))
        self.patch(twisted_h11._wire.producers, "cooperate", cooperator.cooperate)
        self.addCleanup(cooperator.stop)
        self.folder = FilePath(self.mktemp())
        self.folder.makedirs()
        self.large = random.Random(4).randbytes(SIZE)
        for name, content in (("ten", TEN), ("empty", b""), ("large", self.large)):
            self.folder.child(name).setContent(content)

    def resources(self, name: str) -> list[Any]:
        """
        Resources that answer with a file, in ways that applications have.
        """
        path = self.folder.child(name).path
        resources: list[Any] = [static.File(path), OddFile(path)]
        for resource in list(resources):
            resource.isLeaf = True
            resources.append(EncodingResourceWrapper(resource, []))
        return [*resources, Wrapping(path), Later(path)]

    def ask(self, resource: Any, *fields: bytes, **how: Any) -> Any:
        """
        The response to one request; nothing is logged as an error.
        """
        options = how.pop("options", {})
        wire = self.connect(self.site(resource, **options))
        wire.methods = [how.get("method", b"GET")]
        wire.send(get(b"/", *fields, **how))
        for _ in range(100):
            if wire.responses and wire.responses[0].complete:
                break
            wire.advance(0)
        self.assertEqual(1, len(wire.responses), wire.output[:500])
        response = wire.responses[0]
        self.assertTrue(response.complete)
        self.assertEqual([], self.flushLoggedErrors())
        return response

    def test_ofTen(self) -> None:
        """
        Single, suffix, malformed, unsatisfiable and excessive ranges, however the
        resource comes to the file.
        """
        whole = (200, TEN)
        none = (416, b"")
        digits = b"9" * 5000
        rows: list[tuple[bytes, tuple[int, bytes]]] = [
            (b"bytes=0-0", (206, b"0")),
            (b"bytes=3-", (206, TEN[3:])),
            (b"bytes=-3", (206, TEN[-3:])),
            (b"bytes=-10", (206, TEN)),
            (b"bytes=0-99", (206, TEN)),
            (b"bytes=5-" + digits, (206, TEN[5:])),
            (b"bytes=10-", none),
            (b"bytes=" + digits + b"-", none),
            (b"bytes=10-20,30-40", none),
            (b"bytes=-0", none),
            (b"bytes=4-2", whole),
            (b"bytes=" + b"0-," * 5000, whole),
            (b"bytes=" + b"0-0," * 17, whole),
            (b"bytes=0-5,5-9", whole),
            (b"bytes=-8,0-4", whole),
            (b"bytes=0-,-1", whole),
            (b"lines=1-2", whole),
            (b"bytes", whole),
        ]
        loose = [
            b"bytes=", b"bytes=,", b"bytes=, ,", b"bytes=\xff-", b"bytes=a-b",
            b"bytes=-", b"bytes=--5", b"bytes=1-2-3", b"bytes=+1-+2", b"bytes=1_0-",
            b"bytes=0x1-", b"=", b",", b"", b"bytes=0-0;q=1", b"bytes=\xc2\xb2-",
        ]  # fmt: skip
        for known, resource in enumerate(self.resources("ten")):
            for value, expected in rows:
                response = self.ask(
                    resource,
                    b"Range: " + value,
                    options={"limits": {"maxHeadLength": 64 * 1024}},
                )
                case = (resource, value[:40])
                seen = (response.status, response.body)
                if known >= 4 and (expected in (whole, none) or digits in value):
                    # Nobody knew the file when the field was looked at.
                    self.assertIn(seen, (whole, none, (416, b"")), case)
                    continue
                self.assertEqual(expected, seen, case)
                if expected == none:
                    self.assertEqual(b"bytes */10", response.get(b"content-range"))
            for value in loose:
                response = self.ask(resource, b"Range: " + value)
                # Twisted's own parser takes some of them.
                allowed = (200, 416) if known < 4 else (200, 206, 416)
                self.assertIn(response.status, allowed, (resource, value))
            response = self.ask(resource, b"Range: bytes=-11")
            self.assertEqual(TEN, response.body)
            if known < 4:
                self.assertEqual(206, response.status)
                self.assertEqual(b"bytes 0-9/10", response.get(b"content-range"))

    def test_empty(self) -> None:
        """
        Ranges of an empty file are ignored or 416.
        """
        for resource in self.resources("empty"):
            for value in (b"0-", b"-1", b"-0", b"0-0", b"0-,-1", b"5-9,-2"):
                response = self.ask(resource, b"Range: bytes=" + value)
                self.assertIn(response.status, (200, 416), (resource, value))
                self.assertEqual(b"", response.body)

    def test_several(self) -> None:
        """
        Several ranges are parts of a multipart response, in the order in which they
        were asked for, also for HTTP/1.0.
        """
        ranges = [(0, 65330), (70_000, 70_000), (299_990, 299_999), (65331, 69_999)]
        field = b"Range: bytes=" + b", ".join(b"%d-%d" % pair for pair in ranges)
        for version in (b"1.1", b"1.0"):
            for resource in self.resources("large"):
                response = self.ask(resource, field, version=version)
                self.assertEqual(206, response.status)
                self.assertEqual(
                    b"%d" % len(response.body), response.get(b"content-length")
                )
                self.assertEqual(
                    [self.large[a : b + 1] for a, b in ranges], parts_of(response)
                )

    def test_inPieces(self) -> None:
        """
        However the ranges lie, no more of the file is read at a time than what a
        single range would have read.
        """
        path = self.folder.child("large").path
        for factory in (None, server.Request):
            for first in range(65_000, 65_600, 13):
                OddFile.read.clear()
                resource = OddFile(path)
                resource.isLeaf = True
                field = b"Range: bytes=0-%d,70000-70000" % first
                options = {"requestFactory": factory}
                response = self.ask(resource, field, options=options)
                self.assertEqual(
                    [self.large[: first + 1], self.large[70_000:70_001]],
                    parts_of(response),
                )
                self.assertTrue(max(OddFile.read) <= 65_536, max(OddFile.read))

    def test_foreign(self) -> None:
        """
        A request of twisted.web's gets the same answers.
        """
        resource = static.File(self.folder.child("ten").path)
        resource.isLeaf = True
        options = {"requestFactory": server.Request}
        for value, status in (
            (b"bytes=-11", 206),
            (b"bytes=,", 200),
            (b"bytes=\xff-", 200),
            (b"bytes=" + b"0-," * 1000, 200),
            (b"bytes=0-0,2-2", 206),
            (b"bytes=10-", 416),
        ):
            response = self.ask(resource, b"Range: " + value, options=options)
            self.assertEqual(status, response.status, value[:40])

    def test_head(self) -> None:
        """
        HEAD is not concerned (RFC 9110 section 14.2): its fields are those of the
        whole file.
        """
        for resource in self.resources("ten"):
            for value in (b"bytes=0-0", b"bytes=-11", b"bytes=0-0,2-2", b"bytes=,"):
                response = self.ask(resource, b"Range: " + value, method=b"HEAD")
                self.assertEqual(200, response.status)
                self.assertEqual(b"10", response.get(b"content-length"))
                self.assertIs(None, response.get(b"content-range"))

    def test_noFile(self) -> None:
        """
        What is no file sees the field as it came, and so does one that can not say
        how long it is when it is asked first.
        """

        class Own(static.File):
            def render(self, request: Any) -> Any:
                field: bytes = request.getHeader(b"range")
                return field

        class Odd(static.File):
            asked = 0

            def getFileSize(self) -> Any:
                self.asked += 1
                if self.asked == 1:
                    raise OSError("no size")
                return super().getFileSize()

        path, overlapping = self.folder.path, b"bytes=0-,0-"
        for resource, field, status, body in (
            (Own(path), overlapping, 200, overlapping),
            (Own(path + "/missing"), overlapping, 200, overlapping),
            (Odd(path + "/ten"), b"bytes=0-3", 206, TEN[:4]),
        ):
            resource.isLeaf = True
            response = self.ask(resource, b"Range: " + field)
            self.assertEqual((status, body), (response.status, response.body))

    def test_otherFailures(self) -> None:
        """
        A failure that no file is to blame for is one, whatever range was asked for.
        """
        calls: list[object] = []

        def render(request: Any) -> Any:
            calls.append(request.getHeader(b"range"))
            raise ZeroDivisionError

        wire = self.talk(render, get(b"/", b"Range: bytes=0-0"))
        self.assertEqual([500], wire.statuses)
        self.assertEqual([b"bytes=0-0"], calls)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_clientGone(self) -> None:
        """
        The file is closed when the client goes, before the first part, in the middle,
        and where the ranges are refused.
        """
        opened: list[Any] = []
        real = static.File.openForReading

        def openForReading(file: Any) -> Any:
            opened.append(real(file))
            return opened[-1]

        self.patch(static.File, "openForReading", openForReading)
        path = self.folder.child("large").path
        for resource, field, turns in (
            (OddFile(path), b"0-9,20-250000", 0),
            (OddFile(path), b"0-9,20-250000", 5),
            (Wrapping(path), b"0-9,5-250000", 0),
        ):
            resource.isLeaf = True
            wire = self.connect(self.site(resource)).stall()
            # Not sent by the wire, which has the producer produce.
            wire.channel.dataReceived(get(b"/", b"Range: bytes=" + field))
            for _ in range(turns):
                self.clock.advance(0)
            wire.vanish()
            self.assertTrue(opened.pop().closed, (resource, turns))
        self.assertEqual([], self.flushLoggedErrors())

    def test_shrinks(self) -> None:
        """
        If the file ends before its ranges do, the response is cut.
        """

        def shrinking(base: Any, length: int, name: str) -> Any:
            class Shrinks(base):  # type: ignore[misc]
                def openForReading(self) -> Any:
                    os.truncate(self.path, length)
                    return super().openForReading()

            return Shrinks(self.folder.child(name).path)

        for base, length, name, fields, failures in (
            (OddFile, 100, "large", [b"Range: bytes=0-9,20-200000"], 1),
            (static.File, 5, "ten", [], 0),
            (static.File, 5, "ten", [b"Range: bytes=0-5,7-9"], 1),
        ):
            self.folder.child("ten").setContent(TEN)
            resource = shrinking(base, length, name)
            resource.isLeaf = True
            wire = self.talk(resource, get(b"/", *fields)).advance(1, 0.01).settle(10)
            self.assertFalse(wire.only().complete, (base, fields))
            self.assertTrue(wire.closed)
            self.assertEqual(failures, len(self.flushLoggedErrors(EOFError)))

    def test_withoutLength(self) -> None:
        """
        A producer of a file whose length nobody has told sends all of it, in chunks.
        """
        path = self.folder.child("ten").path

        def render(request: Any) -> None:
            file = open(path, "rb")  # noqa: SIM115 (closed by the producer)
            static.NoRangeStaticProducer(request, file).start()

        response = self.ask(render)
        self.assertEqual(("chunked", TEN), (response.framing, response.body))

    def test_ofAnApplication(self) -> None:
        """
        An application that makes the producer itself is bounded in the same way; if
        nobody knows how long the file is, nobody says so.
        """
        path = self.folder.child("ten").path

        def render(request: Any) -> None:
            file = open(path, "rb")  # noqa: SIM115 (closed by the producer)
            parts = [(b"a", 0, 5), (b"b", 3, 5)]
            static.MultipleRangeStaticProducer(request, file, parts).start()

        response = self.ask(render)
        self.assertEqual((416, b""), (response.status, response.body))
        self.assertIs(None, response.get(b"content-range"))

    def test_ifRange(self) -> None:
        """
        A range applies to the file that the client has the beginning of, and to no
        other (RFC 9110 section 13.1.5).
        """
        resource = self.resources("ten")[0]
        modified = self.ask(resource).get(b"last-modified")
        for condition, status in (
            (modified, 206),
            (b"Thu, 01 Jan 1970 00:00:00 GMT", 200),
            (b"Fri, 31 Dec 2100 23:59:59 GMT", 200),
            (b'"etag"', 200),
            (b'W/"etag"', 200),
            (b"", 200),
            (b"\xff", 200),
            (b"Fri, 31 Dec " + b"9" * 5000 + b" 23:59:59 GMT", 200),
        ):
            fields = (b"Range: bytes=0-0", b"If-Range: " + condition)
            self.assertEqual(status, self.ask(resource, *fields).status, condition)

    def test_conditions(self) -> None:
        """
        A date that is none is no condition.
        """
        for resource in self.resources("ten"):
            for value in (
                b";", b" ; ;", b"\xff", b"x" * 4000, b"9" * 5000, b"Fri, 31 Dec",
                b"Fri, 31 Foo 2100 23:59:59 GMT", b"Fri, 31 Dec -5 23:59:59 GMT",
                b"Fri, 31 Dec 2100 1:2 GMT", b", , , ,", b"\t;\t",
            ):  # fmt: skip
                response = self.ask(resource, b"If-Modified-Since: " + value)
                self.assertEqual((200, TEN), (response.status, response.body), value)

    def test_encoded(self) -> None:
        """
        A range of a file is not one of what an encoder makes of it.
        """
        file = self.resources("ten")[0]
        resource = EncodingResourceWrapper(file, [GzipEncoderFactory()])
        for factory in (None, server.Request):
            wire = self.connect(self.site(resource, requestFactory=factory))
            wire.send(get(b"/", b"Range: bytes=0-3", b"Accept-Encoding: gzip"))
            wire.settle(1)
            response = wire.only()
            self.assertEqual(200, response.status)
            self.assertEqual(b"gzip", response.get(b"content-encoding"))
            self.assertIs(None, response.get(b"content-range"))

    def test_names(self) -> None:
        """
        A name that no file can have is not there.
        """
        for factory in (None, server.Request):
            site = self.site(static.File(self.folder.path), requestFactory=factory)
            for target in (
                b"/%00",
                b"/ten%00",
                b"/%00/x",
                b"/ten%00.html?a",
                b"/\\%00",
            ):
                wire = self.connect(site).send(get(target))
                self.assertIn(wire.statuses[0], (400, 404), target)
        self.assertEqual([], self.flushLoggedErrors())

    def test_otherResources(self) -> None:
        """
        What is no file sees the field as it came.
        """
        seen = []

        def render(request: Any) -> bytes:
            seen.append(request.getHeader(b"range"))
            return b"."

        for value in (b"bytes=-11", b"bytes=,", b"bytes=0-,0-"):
            self.ask(render, b"Range: " + value)
        self.assertEqual([b"bytes=-11", b"bytes=,", b"bytes=0-,0-"], seen)
        del seen[:]


class SettledTests(ServerTestCase):
    """
    L{settled} as a function.
    """

    def test_everything(self) -> None:
        """
        Whatever comes in, what comes out is apart, in the file, not too much, and
        comes out again as it is.
        """
        choice = random.Random(14)
        for _ in range(5000):
            size = choice.choice((0, 1, 2, 10, 100_000))
            number = (b"", b"0", b"1", b"9", b"10", b"99", b"%d" % size, b"9" * 30)
            specs = [
                choice.choice(number) + b"-" * choice.choice((1, 1, 1, 1, 1, 2))
                + choice.choice(number)
                for _ in range(choice.randrange(5))
            ]  # fmt: skip
            value = b"bytes=" + b",".join(specs)
            result = settled(value, size)
            if result is None:
                continue
            self.assertEqual(result, settled(result, size), value)
            if result == b"bytes=%d-" % size:
                continue
            pairs = [pair.split(b"-") for pair in result[6:].split(b",")]
            ranges = sorted((int(first), int(last)) for first, last in pairs)
            self.assertTrue(len(ranges) <= MOST_RANGES)
            end = -1
            for first, last in ranges:
                self.assertTrue(end < first <= last < size, (value, result))
                end = last

    def test_long(self) -> None:
        """
        A long field costs no more than its length.
        """
        for value in (b"0-,", b",", b"9", b"-", b"0-0, ", b"\xff"):
            field = b"bytes=" + value * (1_000_000 // len(value))
            before = os.times().user
            settled(field, 10)
            self.assertTrue(os.times().user - before < 0.1, value)
