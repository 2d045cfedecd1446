"""
Forms, C{multipart/form-data}, part by part as they arrive.
"""

from __future__ import annotations

import gc
from time import process_time
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.web.client import readBody
from twisted.web.resource import Resource

from tests.server.test_streaming_bodies import Doing, Taker
from tests.support.optional import need
from tests.support.server_cases import ServerTestCase, get, post
from tests.support.times import confirmed
from tests.support.wire import splittings
from twisted_h11.multipart import (
    MultipartError,
    MultipartLimits,
    deliver_parts,
    parts_of,
)

KIND = b"Content-Type: multipart/form-data; boundary=xyz"


def part(disposition: bytes, data: bytes, *fields: bytes) -> bytes:
    """
    One part with its boundary.
    """
    lines = [b"--xyz", b"Content-Disposition: form-data; " + disposition, *fields]
    return b"\r\n".join([*lines, b"", data, b""])


FORM = (
    part(b'name="title"', b"Hello")
    + part(b'name="file"; filename="a b.txt"', b"x" * 2000, b"Content-Type: text/a")
    + part(b'name="empty"; filename=""', b"")
    + part(b"name=last", b"--xy\r\n--xyzz"[:8])
    + b"--xyz--\r\n"
)
SEEN = [
    ("title", None, b"Hello"),
    ("file", "a b.txt", b"x" * 2000),
    ("empty", "", b""),
    ("last", None, b"--xy\r\n--"),
]


class FormTestCase(ServerTestCase):
    """
    Only with the parser.
    """

    def setUp(self) -> None:
        """
        Skip without it.
        """
        need("python_multipart")
        super().setUp()

    def collecting(self, **limits: Any) -> tuple[Any, list[Any], list[Any]]:
        """
        A resource that reads every part.

        @return: the resource, the parts that it saw, its errors.
        """
        seen: list[Any] = []
        errors: list[Any] = []

        async def render(request: Any) -> bytes:
            try:
                async for part in parts_of(request, MultipartLimits(**limits)):
                    seen.append((part.name, part.filename, await part.read(5000)))
            except MultipartError as error:
                errors.append((error.status, str(error)))
                request.setResponseCode(error.status)
            except Exception as error:
                errors.append((0, type(error).__name__))
                raise
            return b"done"

        return Doing(render), seen, errors


class LoopTests(FormTestCase):
    """
    C{parts_of}.
    """

    def test_parts(self) -> None:
        """
        Each part has its name, file name and data, however the form was cut.
        """
        for how, pieces in splittings(post(FORM, KIND), 5):
            resource, seen, errors = self.collecting()
            wire = self.talk(resource, *pieces)
            self.assertEqual(([200], []), (wire.statuses, errors), how)
            self.assertEqual(SEEN, seen, how)

    def test_spooled(self) -> None:
        """
        So it is for a form that was collected first.
        """
        resource, seen, _ = self.collecting()

        class Old(Resource):
            def getChild(self, name: bytes, request: Any) -> Any:
                return resource

        wire = self.talk(Old(), post(FORM, KIND))
        self.assertEqual(([200], SEEN), (wire.statuses, seen))

    def test_headers(self) -> None:
        """
        A part has its fields.
        """
        seen: list[Any] = []

        async def render(request: Any) -> bytes:
            async for part in parts_of(request):
                seen.append(part.headers.getRawHeaders("content-type"))
            return b""

        self.talk(Doing(render), post(FORM, KIND))
        self.assertEqual([None, ["text/a"], None, None], seen)

    def test_readers(self) -> None:
        """
        Functions for responses read a part.
        """
        seen: list[bytes] = []

        async def render(request: Any) -> bytes:
            async for part in parts_of(request):
                body: Any = part
                seen.append(await readBody(body))
            return b""

        self.talk(Doing(render), *[bytes([b]) for b in post(FORM, KIND)])
        self.assertEqual([data for _, _, data in SEEN], seen)

    def test_skipped(self) -> None:
        """
        What is not taken of a part is dropped.
        """
        names: list[str] = []

        async def render(request: Any) -> bytes:
            async for part in parts_of(request):
                names.append(part.name)
                if part.filename:
                    async for _ in part:
                        break
            return b"done"

        for how, pieces in splittings(post(FORM, KIND), 6):
            del names[:]
            wire = self.talk(Doing(render), *pieces)
            self.assertEqual([200], wire.statuses, how)
            self.assertEqual([name for name, _, _ in SEEN], names, how)

    def test_leftEarly(self) -> None:
        """
        A loop that is left leaves nothing in memory, and the connection goes
        on.
        """

        async def render(request: Any) -> bytes:
            async for part in parts_of(request):
                return str(part.name).encode()
            return b"none"

        chunked = get(b"/", b"Transfer-Encoding: chunked", KIND, method=b"POST")
        for cut in (100, len(FORM)):
            first, rest = FORM[:cut], FORM[cut:]
            body = [b"%x\r\n%b\r\n" % (len(first), first)]
            if rest:
                body.append(b"%x\r\n%b\r\n" % (len(rest), rest))
            wire = self.talk(Doing(render), chunked, *body, b"0\r\n\r\n")
            wire.send(post(FORM, KIND))
            self.assertEqual([b"title"] * 2, [r.body for r in wire.responses])

    def test_backPressure(self) -> None:
        """
        A slow taker of a part holds the client back.
        """
        waits: list[Deferred[None]] = []
        length = 0

        async def render(request: Any) -> bytes:
            nonlocal length
            async for part in parts_of(request):
                async for data in part:
                    length += len(data)
                    waits.append(Deferred())
                    await waits[-1]
            return b"done"

        file = part(b'name="f"; filename="f"', b"x" * 1_000_000)
        form = part(b'name="a"; filename="a"', b"a") + file + file + b"--xyz--\r\n"
        data = post(form, KIND)
        wire = self.talk(Doing(render), data[:100])
        for start in range(100, len(data), 30_000):
            wire.unread.append(data[start : start + 30_000])
        wire.pump()
        unread = len(wire.unread)
        self.assertTrue(wire.transport.paused)
        self.assertGreater(unread, 55)
        most = 0
        while waits:
            waits.pop().callback(None)
            wire.pump()
            taken = sum(map(len, wire.unread))
            most = max(most, len(data) - taken - length)
        self.assertEqual(2_000_001, length)
        self.assertEqual([200], wire.statuses)
        # Both marks, and a segment each.
        self.assertLess(most, 4 * 64 * 1024 + 4 * 30_000)

    def test_wait(self) -> None:
        """
        A wait for the next part that was given up costs the part before, and no more.
        """
        waits: list[Deferred[Any]] = []
        names: list[str] = []

        async def render(request: Any) -> bytes:
            form = parts_of(request)
            names.append((await form.__anext__()).name)
            waits.append(Deferred.fromCoroutine(form.__anext__()))
            try:
                await waits[-1]
            except CancelledError:
                names.append("given up")
            async for part in form:
                names.append(part.name)
            return b"done"

        data = post(FORM, KIND)
        at = data.index(b"x" * 2000) + 10
        first = data.index(b"Hello") + 2
        wire = self.talk(Doing(render), data[:first])
        waits.pop().cancel()
        # What it has ended with keeps the part until then.
        gc.collect()
        wire.send(data[first:at], data[at:])
        self.assertEqual(["title", "given up", "file", "empty", "last"], names)
        self.assertEqual([200], wire.statuses)

    def test_twoReasons(self) -> None:
        """
        The client waits until the part and the loop both go on.
        """
        waits: list[Deferred[None]] = []
        lengths: list[int] = []

        async def render(request: Any) -> bytes:
            async for part in parts_of(request, MultipartLimits(bufferLength=1000)):
                waits.append(Deferred())
                await waits[-1]
                lengths.append(len(await part.read(1_000_000)))
            return b"done"

        form = part(b"name=a", b"1") + part(b"name=b; filename=b", b"x" * 500_000)
        data = post(form + b"--xyz--\r\n", KIND)
        first = data.index(b"\r\n--xyz\r\n", data.index(b"name=a")) + 2
        wire = self.talk(Doing(render), data[:first])
        for start in range(first, len(data), 20_000):
            wire.unread.append(data[start : start + 20_000])
        wire.pump()
        unread = len(wire.unread)
        self.assertGreater(unread, 15)
        waits.pop().callback(None)
        wire.pump()
        self.assertEqual((1, [1]), (len(waits), lengths))
        self.assertEqual(unread, len(wire.unread))
        waits.pop().callback(None)
        wire.pump()
        self.assertEqual([1, 500_000], lengths)
        self.assertEqual([200], wire.statuses)

    def test_repr(self) -> None:
        """
        A part says which it is.
        """
        seen: list[str] = []

        async def render(request: Any) -> bytes:
            async for part in parts_of(request):
                seen.append(repr(part))
            return b"done"

        self.talk(Doing(render), post(FORM, KIND))
        self.assertEqual("<Part 'title' filename=None>", seen[0])
        self.assertEqual("<Part 'file' filename='a b.txt'>", seen[1])


class BoundTests(FormTestCase):
    """
    Forms that are too large, or none.
    """

    def refused(
        self, status: int, form: bytes, kind: bytes = KIND, **limits: Any
    ) -> str:
        """
        Send a form that must be refused with C{status}.

        @return: the reason.
        """
        resource, _, errors = self.collecting(**limits)
        wire = self.talk(resource, post(form, kind))
        self.assertEqual([status], wire.statuses, form[:200])
        self.assertEqual([status], [status for status, _ in errors])
        return str(errors[0][1])

    def test_parts(self) -> None:
        """
        The number of parts is bounded.
        """
        resource, seen, _ = self.collecting(maxParts=4)
        self.talk(resource, post(FORM, KIND))
        self.assertEqual(4, len(seen))
        self.assertIn("too many", self.refused(413, FORM, maxParts=3))

    def test_headers(self) -> None:
        """
        The fields of a part are bounded, all together.
        """
        form = part(b"name=a", b"", b"X: " + b"x" * 500, b"Y: " + b"y" * 500)
        form += b"--xyz--\r\n"
        resource, seen, _ = self.collecting(maxHeaderLength=1100)
        self.talk(resource, post(form, KIND))
        self.assertEqual(1, len(seen))
        self.assertIn("fields", self.refused(413, form, maxHeaderLength=1000))
        # The parser has a bound of its own for one of them.
        self.refused(400, b"--xyz\r\nX: " + b"x" * 100_000)

    def test_longLine(self) -> None:
        """
        A line of a part's fields that does not end is refused when it passes the bound,
        also in a part that begins when the bound is nearly used up by others.
        """
        form = part(b"name=a", b"b", b"X: " + b"x" * 200) * 3 + b"--xyz\r\nX: "
        for limits, more in (({"maxHeaderLength": 300}, 300), ({}, 16 * 1024)):
            resource, seen, errors = self.collecting(**limits)
            wire = self.connect(self.site(resource))
            wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n")
            wire.send(KIND + b"\r\n\r\n" + form)
            sent = 0
            while not errors and sent < 10 * more:
                wire.send(b"y" * 50)
                sent += 50
            self.assertEqual(3, len(seen))
            self.assertLessEqual(sent, more + 50)
            self.assertIn(errors[0][0], (400, 413))

    def test_field(self) -> None:
        """
        A part without a file name is bounded, one with a name is not.
        """
        form = part(b'name=f; filename="f"', b"x" * 101) + b"--xyz--\r\n"
        resource, seen, _ = self.collecting(maxFieldLength=100)
        self.talk(resource, post(form, KIND))
        self.assertEqual(101, len(seen[0][2]))
        form = part(b"name=f", b"x" * 101) + b"--xyz--\r\n"
        self.assertIn("field", self.refused(413, form, maxFieldLength=100))

    def test_anyField(self) -> None:
        """
        With C{None} a field may be of any length.
        """
        lengths: list[int] = []

        async def render(request: Any) -> bytes:
            async for part in parts_of(request, MultipartLimits(maxFieldLength=None)):
                lengths.append(len(await part.read(10_000_000)))
            return b"done"

        form = part(b"name=f", b"x" * 1_100_000) + b"--xyz--\r\n"
        self.talk(Doing(render), post(form, KIND))
        self.assertEqual([1_100_000], lengths)

    def test_linear(self) -> None:
        """
        Headers with many semicolons cost in proportion to their length: as few long
        ones no more than as many short ones.
        """

        def cost(length: int, count: int) -> float:
            resource, seen, errors = self.collecting()
            filler = b'name="a"; filename="%b"' % (b";" * length)
            form = part(filler, b"") * count + b"--xyz--\r\n"
            before = process_time()
            self.talk(resource, post(form, KIND))
            taken = process_time() - before
            self.assertEqual((count, []), (len(seen), errors))
            return taken

        def ratio() -> float:
            return cost(3600, 10) / cost(360, 100)

        self.assertLess(confirmed(ratio, 2), 2)

    def test_limits(self) -> None:
        """
        Bounds are numbers, and none is negative.
        """

        def made(name: str, value: Any) -> Any:
            return MultipartLimits(**{name: value})

        for name in ("maxParts", "maxHeaderLength", "maxFieldLength", "bufferLength"):
            for kind, value in ((ValueError, -1), (TypeError, "many")):
                self.assertIn(name, self.raised(kind, made, name, value))

    def test_read(self) -> None:
        """
        C{read} has a bound of its own.
        """
        form = part(b'name=f; filename="f"', b"x" * 5001) + b"--xyz--\r\n"
        self.assertIn("'f'", self.refused(413, form))

    def test_emptyLines(self) -> None:
        """
        Empty lines may stand in front of a form, and nothing else, however it is cut.
        """
        for how, pieces in splittings(post(b"\r\n\n" + FORM, KIND), 5):
            resource, seen, errors = self.collecting()
            self.talk(resource, *pieces)
            self.assertEqual((SEEN, []), (seen, errors), how)
        for how, pieces in splittings(post(b"\r\nhello\r\n" + FORM, KIND), 5):
            resource, seen, errors = self.collecting()
            self.talk(resource, *pieces)
            self.assertEqual([], seen, how)
            self.assertEqual([400], [status for status, _ in errors], how)

    def test_malformed(self) -> None:
        """
        What is no form of this kind is 400.
        """
        for form in (
            b"",
            b"hello",
            FORM[:-10],
            FORM.replace(b"name=", b"nome="),
            FORM.replace(b"form-data", b"attachment"),
            FORM.replace(b"Content-Disposition", b"Content Disposition"),
            part(b"name=a", b"b"),
        ):
            self.refused(400, form)

    def test_otherTypes(self) -> None:
        """
        Another type is 415, one without a boundary 400.
        """
        self.refused(415, b"a=b", b"Content-Type: application/x-www-form-urlencoded")
        self.refused(415, b"a=b", b"X: y")
        self.refused(400, FORM, b"Content-Type: multipart/form-data")
        self.refused(400, FORM, KIND + b"z" * 70)

    def test_cut(self) -> None:
        """
        A form that is cut is an error in the loop.
        """
        resource, _, errors = self.collecting()
        wire = self.talk(resource, post(FORM, KIND)[:-50])
        wire.vanish()
        self.assertEqual([(0, "RequestBodyCut")], errors)
        self.assertEqual([], self.flushLoggedErrors())


class PushTests(FormTestCase):
    """
    C{deliver_parts}.
    """

    def test_delivers(self) -> None:
        """
        A protocol has each part, and its end.
        """
        for how, pieces in splittings(post(FORM, KIND), 8):
            takers: list[tuple[str, Taker]] = []

            def receive(part: Any, takers: Any = takers) -> None:
                takers.append((part.name, Taker()))
                part.deliverBody(takers[-1][1])

            wire = self.talk(Doing(lambda r, f=receive: deliver_parts(r, f)), *pieces)
            self.assertEqual([200], wire.statuses, how)
            self.assertEqual(
                [(name, data, "ResponseDone") for name, _, data in SEEN],
                [(name, taker.data, taker.ended()) for name, taker in takers],
            )

    def test_paused(self) -> None:
        """
        A protocol that pauses holds the client back.
        """
        taker = Taker(most=1)

        def render(request: Any) -> Any:
            return deliver_parts(request, lambda part: part.deliverBody(taker))

        form = part(b"name=f; filename=f", b"x" * 1_000_000) + b"--xyz--\r\n"
        data = post(form, KIND)
        wire = self.talk(Doing(render))
        for start in range(0, len(data), 30_000):
            wire.unread.append(data[start : start + 30_000])
        wire.pump()
        self.assertTrue(wire.transport.paused)
        self.assertLess(len(taker.data), 30_001)
        taker.most = None
        taker.transport.resumeProducing()
        wire.pump()
        self.assertEqual((1_000_000, "ResponseDone"), (len(taker.data), taker.ended()))
        self.assertEqual([200], wire.statuses)

    def test_cut(self) -> None:
        """
        When the client goes, the part and the whole fail.
        """
        taker = Taker()
        ends: list[Any] = []

        def render(request: Any) -> Any:
            done: Any = deliver_parts(request, lambda part: part.deliverBody(taker))
            return done.addErrback(lambda reason: ends.append(reason.type.__name__))

        form = part(b"name=f; filename=f", b"x" * 1000)
        self.talk(Doing(render), post(form, KIND)[:-100]).vanish()
        self.assertEqual("RequestBodyCut", taker.ended())
        self.assertEqual(["RequestBodyCut"], ends)

    def test_aborted(self) -> None:
        """
        A part that is aborted drops the client.
        """

        def render(request: Any) -> Any:
            done: Any = deliver_parts(request, lambda part: part.abortConnection())
            return done.addErrback(lambda reason: None)

        wire = self.talk(Doing(render), post(FORM, KIND)[:-100])
        self.assertTrue(wire.aborted)

    def cancelled(self, within: bool) -> tuple[list[Any], list[str]]:
        """
        Cancel it between two parts, or within the call with the second one.

        @return: the names of the parts, and how it ended.
        """
        made: list[Any] = []
        seen: list[Any] = []
        ends: list[str] = []

        def receive(part: Any) -> None:
            part.loseConnection()
            seen.append(part.name)
            if within and len(seen) == 2:
                made[0].cancel()

        def render(request: Any) -> Any:
            made.append(deliver_parts(request, receive))
            return made[0].addErrback(lambda reason: ends.append(reason.type.__name__))

        request = post(FORM, KIND)
        cut = request.index(b"filename")
        wire = self.talk(Doing(render), request[:cut])
        if not within:
            made[0].cancel()
        wire.send(request[cut:])
        self.assertEqual([200], wire.statuses)
        return seen, ends

    def test_cancelled(self) -> None:
        """
        When it is cancelled the rest of the form is not taken.
        """
        self.assertEqual((["title"], ["RequestBodyCut"]), self.cancelled(False))
        seen, ends = self.cancelled(True)
        self.assertEqual(["CancelledError"], ends)
        self.assertEqual(["title", "file"], seen[:2])

    def test_receiverRaises(self) -> None:
        """
        An exception of the receiver is the failure of the whole.
        """
        ends: list[Any] = []

        def receive(part: Any) -> None:
            raise ZeroDivisionError

        def render(request: Any) -> Any:
            done: Any = deliver_parts(request, receive)
            return done.addErrback(lambda reason: ends.append(reason.type.__name__))

        wire = self.talk(Doing(render), post(FORM, KIND))
        self.assertEqual(["ZeroDivisionError"], ends)
        self.assertEqual([200], wire.statuses)


class NothingTests(FormTestCase):
    """
    The parser is an extra.
    """

    def test_importWithout(self) -> None:
        """
        The module can be imported without it.
        """
        import twisted_h11.multipart

        self.assertFalse(hasattr(twisted_h11.multipart, "python_multipart"))
