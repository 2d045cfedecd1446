"""
WSGI applications that keep PEP 3333, and such as do not.
"""

from __future__ import annotations

import gc
import io
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from weakref import ref
from wsgiref.validate import validator

from twisted.internet.address import UNIXAddress
from twisted.internet.task import Clock
from twisted.web import server
from twisted.web.resource import Resource

from tests.server.test_http2_bounds import BoundsTestCase
from tests.support.memory import MemoryTransport
from tests.support.responses import WireResponse
from tests.support.server_cases import ServerTestCase, get, post
from tests.support.wire import Wire
from tests.support.wsgi import Inline, NoThreads, inline
from twisted_h11.wsgi import WSGIResource

TEXT = [("Content-Type", "text/plain")]

Application = Callable[[dict[str, Any], Any], Any]


class Boom(Exception):
    """
    An application fails.
    """


class Pieces:
    """
    Content with a C{close}.
    """

    def __init__(self, *pieces: Any) -> None:
        self.pieces = list(pieces)
        self.closed = 0
        self.asked = 0

    def __iter__(self) -> Iterator[Any]:
        for piece in self.pieces:
            self.asked += 1
            if isinstance(piece, Exception):
                raise piece
            yield piece

    def close(self) -> None:
        """
        Count.
        """
        self.closed += 1


class Single(Pieces):
    """
    Content that says that it is one piece.
    """

    def __init__(self, *pieces: Any, before: Callable[[], object] = bool) -> None:
        super().__init__(*pieces)
        self.before = before

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Any]:
        self.before()
        return super().__iter__()


class WSGITestCase(ServerTestCase):
    """
    Applications in memory.
    """

    def serve(
        self, application: Any, request: bytes | None = None, **options: Any
    ) -> Wire:
        """
        Have C{application} answer a request.
        """
        request = get() if request is None else request
        wire = self.talk(inline(self.clock, application), request, **options)
        wire.pump()
        return wire

    def answer(
        self, application: Any, request: bytes | None = None, **options: Any
    ) -> WireResponse:
        """
        The response of an application.
        """
        return self.serve(application, request, **options).only()

    def line(self, part: str) -> str:
        """
        The one line of the log that has C{part}.
        """
        found = [m for m in self.messages() if part in m]
        self.assertEqual(1, len(found), self.messages())
        return found[0]


class GoodTests(WSGITestCase):
    """
    What an application says is what the client gets.
    """

    def test_list(self) -> None:
        """
        A list is sent whole, its length is known, and the connection stays.
        """

        def application(environ: Any, start: Any) -> Any:
            start("201 Made it", [*TEXT, ("X-A", "1"), ("X-A", "2")])
            return [b"one ", b"", b"two"]

        wire = self.serve(application)
        response = wire.only()
        self.assertEqual(201, response.status)
        self.assertEqual(b"one two", response.body)
        self.assertEqual("length", response.framing)
        self.assertEqual([b"1", b"2"], response.all(b"x-a"))
        self.assertIn(b"201 Made it\r\n", wire.output)
        self.assertFalse(response.closes)

    def test_oneCall(self) -> None:
        """
        Head, content and end of a short response are one call into the reactor's
        thread, and one write.
        """

        def listed(environ: Any, start: Any) -> Any:
            start("200 OK", TEXT)
            return [b"short"]

        def generated(environ: Any, start: Any) -> Any:
            start("200 OK", [*TEXT, ("Content-Length", "5")])
            yield b"short"

        def written(environ: Any, start: Any) -> Any:
            start("200 OK", TEXT)(b"short")
            return []

        def closed(environ: Any, start: Any) -> Any:
            start("200 OK", [*TEXT, ("Content-Length", "5")])
            return Pieces(b"short")

        def single(environ: Any, start: Any) -> Any:
            start("200 OK", TEXT)
            return Single(b"short")

        for application in (listed, generated, written, closed, single):
            resource = inline(self.clock, application)
            wire = self.talk(resource, get())
            response = wire.only()
            self.assertEqual(b"short", response.body)
            # What is written says nothing of its length, however quick it is.
            framing = "chunked" if application is written else "length"
            self.assertEqual(framing, response.framing)
            self.assertEqual(1, resource._reactor.calls)
            # A socket gets both, content and end, at the end of the turn.
            writes = 2 if application is written else 1
            self.assertEqual(writes, wire.transport.writes)

    def test_single(self) -> None:
        """
        Content that says that it is one piece has the length of that, also if it is
        empty, and if the head comes with it; more than it said is not sent.
        """

        def early(environ: Any, start: Any) -> Any:
            start("200 OK", [])
            return Single(environ["QUERY_STRING"].encode())

        def late(environ: Any, start: Any) -> Any:
            content = environ["QUERY_STRING"].encode()
            return Single(content, before=lambda: start("200 OK", []))

        for application in (early, late):
            for body in (b"", b"ab"):
                response = self.answer(application, get(b"/?" + body))
                self.assertEqual("length", response.framing)
                self.assertEqual(body, response.body)

        def told(environ: Any, start: Any) -> Any:
            start("200 OK", [("Content-Length", "2")])
            return Single(b"ab")

        self.assertEqual(b"ab", self.answer(told).body)

        def liar(environ: Any, start: Any) -> Any:
            start("200 OK", [])
            return Single(b"ab", b"cd")

        self.assertEqual(b"ab", self.answer(liar).body)
        self.line("more than its Content-Length")

    def test_generator(self) -> None:
        """
        Content of unknown length goes out in chunks; C{start_response} may be
        called as late as its first piece.
        """

        def application(environ: Any, start: Any) -> Any:
            yield b""
            start("200 OK", TEXT)
            yield b"one "
            # It is not here yet when the reactor looks.
            self.clock.advance(0)
            yield b"two"

        response = self.answer(application)
        self.assertEqual(b"one two", response.body)
        self.assertEqual("chunked", response.framing)

    def test_write(self) -> None:
        """
        What C{start_response} returns writes content, before all that is
        returned.
        """

        def application(environ: Any, start: Any) -> Any:
            write = start("200 OK", TEXT)
            write(b"one ")
            write(b"")
            write(b"two ")
            return [b"three"]

        self.assertEqual(b"one two three", self.answer(application).body)

    def test_nothing(self) -> None:
        """
        No content has a length of nought.
        """
        contents: list[Any] = [[], (), iter([]), [b""], Pieces()]
        for content in contents:

            def application(environ: Any, start: Any, content: Any = content) -> Any:
                start("200 OK", TEXT)
                return content

            response = self.answer(application)
            self.assertEqual(b"0", response.get(b"content-length"))

    def test_withoutContent(self) -> None:
        """
        HEAD, 204 and 304 have no content, whatever the application gives; one
        that would give it for ever is not asked for ever, and is closed.
        """
        content = Pieces(*[b"x" * 100] * 10_000)

        def application(environ: Any, start: Any) -> Any:
            start(environ["PATH_INFO"][1:] + " Status", TEXT)
            return content

        for path, method in ((b"/200", b"HEAD"), (b"/204", b"GET"), (b"/304", b"GET")):
            content.asked = content.closed = 0
            response = self.answer(application, get(path, method=method))
            self.assertEqual(int(path[1:]), response.status)
            self.assertEqual(b"", response.body)
            self.assertFalse(response.closes)
            self.assertLessEqual(content.asked, 1)
            self.assertEqual(1, content.closed)

    def test_headLength(self) -> None:
        """
        A response to HEAD may say how long its content would be.
        """

        def application(environ: Any, start: Any) -> Any:
            start("200 OK", [*TEXT, ("Content-Length", "12345")])
            return []

        response = self.answer(application, get(method=b"HEAD"))
        self.assertEqual(b"12345", response.get(b"content-length"))
        self.assertEqual([], [m for m in self.messages() if "failed" in m])

    def test_ownLength(self) -> None:
        """
        An application may say how long its content is; empty pieces are no more than
        that.
        """
        contents: list[Any] = [[b"a", b"bc"], (b"abc",), iter([b"abc", b"", b""])]
        for content in contents:

            def application(environ: Any, start: Any, content: Any = content) -> Any:
                start("200 OK", [*TEXT, ("Content-Length", "3")])
                return content

            response = self.answer(application)
            self.assertEqual(b"abc", response.body)
            self.assertEqual([b"3"], response.all(b"content-length"))
        self.assertEqual([], [m for m in self.messages() if "failed" in m])

    def test_closed(self) -> None:
        """
        C{close} is called once, however the content ends.
        """
        for pieces in ((b"a", b"b"), (Boom(),), (b"a", Boom()), (b"a", 3), ()):
            content = Pieces(*pieces)

            def application(environ: Any, start: Any, content: Any = content) -> Any:
                start("200 OK", TEXT)
                return content

            self.serve(application)
            self.assertEqual(1, content.closed, pieces)
        self.flushLoggedErrors(Boom)

    def test_excInfo(self) -> None:
        """
        With C{exc_info} the head may be replaced, as long as it is here.
        """

        def application(environ: Any, start: Any) -> Any:
            start("200 OK", TEXT)
            try:
                raise Boom
            except Boom:
                start("503 Not now", [("X-A", "b")], sys.exc_info())
            return [b"sorry"]

        response = self.answer(application)
        self.assertEqual(503, response.status)
        self.assertEqual(b"b", response.get(b"x-a"))
        self.assertIsNone(response.get(b"content-type"))

    def test_excInfoTooLate(self) -> None:
        """
        When it is gone, the exception is raised again.
        """
        raised = []

        def application(environ: Any, start: Any) -> Any:
            start("200 OK", TEXT)
            yield b"some"
            try:
                raise Boom
            except Boom:
                try:
                    start("500 Oh", TEXT, sys.exc_info())
                except Boom:
                    raised.append(True)
                    raise

        response = self.answer(application)
        self.assertEqual([True], raised)
        self.assertFalse(response.complete)
        self.flushLoggedErrors(Boom)

    def test_input(self) -> None:
        """
        The body can be read in each way that PEP 3333 knows, and ends.
        """
        body = b"line one\nline two\n\nthe rest"
        reads: list[tuple[Callable[[Any], Any], Any]] = [
            (lambda i: i.read(), body),
            (lambda i: i.read(-1), body),
            (lambda i: i.read(4) + i.read(4) + i.read(), body),
            (lambda i: (i.read(), i.read(), i.read(3)), (body, b"", b"")),
            (lambda i: i.readline() + i.readline(3), b"line one\nlin"),
            (lambda i: i.readline(-1), b"line one\n"),
            (lambda i: i.readlines(), body.splitlines(True)),
            (lambda i: i.readlines(3), [b"line one\n"]),
            (list, body.splitlines(True)),
        ]
        fields = [(), (b"Expect: 100-continue",)]
        for read, expected in reads:
            for extra in fields:
                got: list[Any] = []

                def application(
                    environ: Any, start: Any, read: Any = read, got: Any = got
                ) -> Any:
                    got.append(read(environ["wsgi.input"]))
                    start("200 OK", [])
                    return []

                resource = inline(self.clock, application, later=True)
                wire = self.talk(resource, post(body, *extra))
                if extra:
                    resource._threads.waiting[0].__self__._stream.take()
                resource._threads.runOne()
                wire.pump()
                self.assertEqual([expected], got)
                self.assertEqual(200, wire.only().status)

    def test_partsOfAPiece(self) -> None:
        """
        A piece of the body that is longer than is asked for is given in parts.
        """
        got: list[bytes] = []

        def application(environ: Any, start: Any) -> Any:
            got.extend(environ["wsgi.input"].read(4) for _ in range(3))
            start("200 OK", [])
            return []

        resource = inline(self.clock, application, later=True)
        wire = self.talk(
            resource, post(b"abcdefghijkl"), limits={"bodyBufferLength": 4}
        )
        resource._threads.runOne()
        wire.pump()
        self.assertEqual([b"abcd", b"efgh", b"ijkl"], got)
        self.assertEqual(200, wire.only().status)

    def reading(self) -> tuple[list[bytes], Any]:
        """
        An application that reads the whole body, in a thread that runs later.

        @return: where the bodies will be, and the resource.
        """
        got: list[bytes] = []

        def application(environ: Any, start: Any) -> Any:
            got.append(environ["wsgi.input"].read())
            start("200 OK", [])
            return []

        return got, inline(self.clock, application, later=True)

    def test_trickle(self) -> None:
        """
        A body that comes byte by byte, while the application does not read, waits in
        a few pieces, not in one for each byte.
        """
        got, resource = self.reading()
        wire = self.connect(self.site(resource))
        body = bytes(range(250)) * 40
        wire.send(post(body)[: -len(body)])
        for at in range(len(body)):
            wire.send(body[at : at + 1])
        stream = resource._threads.waiting[0].__self__._stream
        self.assertLess(len(stream._pieces), 5)
        resource._threads.runOne()
        wire.pump()
        self.assertEqual([body], got)

    def test_takenOnce(self) -> None:
        """
        Two threads of an application may ask for the same body at the same time.
        """
        got, resource = self.reading()
        wire = self.talk(resource, post(b"abc", b"Expect: 100-continue"))
        stream = resource._threads.waiting[0].__self__._stream
        stream.take()
        stream.take()
        resource._threads.runOne()
        wire.pump()
        self.assertEqual([b"abc"], got)

    def test_noInput(self) -> None:
        """
        Without a body there is nothing to read.
        """

        def application(environ: Any, start: Any) -> Any:
            start("200 OK", [])
            return [repr(environ["wsgi.input"].read()).encode()]

        self.assertEqual(b"b''", self.answer(application).body)

    def test_errors(self) -> None:
        """
        What is written to C{wsgi.errors} is in the log, braces and all; bytes are
        refused.
        """
        refused: list[str] = []

        def application(environ: Any, start: Any) -> Any:
            print("oh {no}", file=environ["wsgi.errors"])
            environ["wsgi.errors"].writelines(["a\n", "b\n"])
            environ["wsgi.errors"].flush()
            try:
                environ["wsgi.errors"].write(b"bytes")
            except TypeError as error:
                refused.append(str(error))
            start("200 OK", [])
            return []

        self.serve(application)
        self.line("oh {no}")
        self.line("a\nb")
        self.assertEqual(["wsgi.errors takes str, not b'bytes'"], refused)

    def test_servers(self) -> None:
        """
        C{Server} and C{Date} are the server's, and so is framing.
        """

        def application(environ: Any, start: Any) -> Any:
            start(
                "200 OK",
                [
                    *(("Server", "me"), ("Date", "never")),
                    ("Transfer-Encoding", "chunked"),
                ],
            )
            return [b"x"]

        response = self.answer(application)
        self.assertEqual([b"1"], response.all(b"content-length"))
        self.assertIn(b"twisted-h11", response.get(b"server") or b"")
        self.assertEqual(1, len(response.all(b"date")))

    def test_validator(self) -> None:
        """
        C{wsgiref.validate} has nothing to say against either side.
        """

        def application(environ: Any, start: Any) -> Any:
            environ["wsgi.errors"].write("")
            body = environ["wsgi.input"].read(100)
            write = start("200 OK", TEXT)
            if environ["QUERY_STRING"]:
                write(b"written ")
            return [b"got ", body]

        resource = Resource()
        threads = []
        for name in (b"", b"app"):
            child = inline(self.clock, validator(application), later=True)
            resource.putChild(name, child)
            threads.append(child._threads)
        requests = [
            get(b"/"),
            get(b"/app"),
            get(b"/app/"),
            get(b"/app/a/b?c=d"),
            get(b"/app", method=b"HEAD"),
            get(b"/app", host=None, version=b"1.0"),
            post(b"abc", b"Content-Type: text/plain", target=b"/app/x"),
        ]
        for request in requests:
            wire = self.talk(resource, request)
            for pool in threads:
                if pool.waiting:
                    pool.runOne()
            wire.pump()
            wire.methods = [request.partition(b" ")[0]]
            self.assertEqual(200, wire.only().status, request)
        self.assertEqual([], [m for m in self.messages() if "failed" in m])

    def test_notCallable(self) -> None:
        """
        What can not be called is refused at once.
        """
        message = self.raised(TypeError, inline, self.clock, "application")
        self.assertIn("'application'", message)


class BrokenTests(WSGITestCase):
    """
    An application that does what it may not.
    """

    def start(self, *arguments: Any, content: Any = (b"x",)) -> Application:
        """
        An application that calls C{start_response} so.
        """

        def application(environ: Any, start: Any) -> Any:
            start(*arguments)
            return content

        return application

    def test_beforeTheHead(self) -> None:
        """
        As long as nothing has gone out the client gets a whole 500; the log says
        which application it was, for which request, and what was wrong.
        """

        def noStart(environ: Any, start: Any) -> Any:
            return [b"x"]

        def noStartEmpty(environ: Any, start: Any) -> Any:
            return []

        def generatedWithout(environ: Any, start: Any) -> Any:
            yield b"x"

        def twice(environ: Any, start: Any) -> Any:
            start("200 OK", TEXT)
            start("200 OK", TEXT)
            return [b"x"]

        def raises(environ: Any, start: Any) -> Any:
            raise Boom("so it is")

        def raisesLater(environ: Any, start: Any) -> Any:
            start("200 OK", [("X-Secret", "y"), ("Content-Length", "3")])
            yield b""
            raise Boom("so it is")

        def exits(environ: Any, start: Any) -> Any:
            sys.exit(3)

        def writes(environ: Any, start: Any) -> Any:
            start("200 OK", TEXT)("text")

        good = ("200 OK", TEXT)
        cases: list[tuple[Any, str]] = [
            (noStart, "start_response"),
            (noStartEmpty, "start_response"),
            (generatedWithout, "start_response"),
            (twice, "twice"),
            (raises, "so it is"),
            (raisesLater, "so it is"),
            (exits, "SystemExit: 3"),
            (writes, "encode it"),
            (lambda environ: [b"x"], "positional argument"),
            (self.start("200", TEXT), "'200'"),
            (self.start("200OK", TEXT), "'200OK'"),
            (self.start("OK", TEXT), "'OK'"),
            (self.start("", TEXT), "''"),
            (self.start("100 Continue", TEXT), "'100 Continue'"),
            (self.start("1000 Much", TEXT), "'1000 Much'"),
            (self.start("600 Much", TEXT), "'600 Much'"),
            (self.start("200 O\r\nX: y", TEXT), "the status"),
            (self.start("200 \u0141", TEXT), "Latin-1"),
            (self.start(200, TEXT), "200"),
            (self.start(b"200 OK", TEXT), "b'200 OK'"),
            (self.start("200 OK", {"a": "b"}), "must be a list"),
            (self.start("200 OK", None), "must be a list"),
            (self.start("200 OK", "ab"), "must be a list"),
            (self.start("200 OK", [("a", 1)]), "('a', 1)"),
            (self.start("200 OK", [(b"a", b"b")]), "(b'a', b'b')"),
            (self.start("200 OK", ["ab"]), "'ab'"),
            (self.start("200 OK", [("a",)]), "('a',)"),
            (self.start("200 OK", [("a b", "c")]), "'a b'"),
            (self.start("200 OK", [("", "c")]), "''"),
            (self.start("200 OK", [("a", "b\r\nc: d")]), "control character"),
            (self.start("200 OK", [("a", "b\0")]), "control character"),
            (self.start("200 OK", [("a", "\u20ac")]), "Latin-1"),
            (self.start("200 OK", [("Content-Length", "x")]), "'x'"),
            (self.start("200 OK", [("Content-Length", "-1")]), "'-1'"),
            (self.start("200 OK", [("Content-Length", "+1")]), "'+1'"),
            (
                self.start(
                    "200 OK", [("Content-Length", "1"), ("content-length", "2")]
                ),
                "both 1 and 2",
            ),
            (self.start("200 OK", [("Transfer-Encoding", "gzip")]), "gzip"),
            (self.start("200 OK", [("Content-Length", "5")]), "5"),
            (self.start("200 OK", [("Content-Length", "0")]), "0"),
            (
                self.start("200 OK", [("Content-Length", "1")], content=iter([b"xy"])),
                "more than its Content-Length",
            ),
            (self.start("200 OK", [("Content-Length", "1")], content=iter([])), "1"),
            (self.start("200 OK"), "argument"),
            (self.start(*good, content=None), "None"),
            (self.start(*good, content=3), "3"),
            (self.start(*good, content="text"), "encode it"),
            (self.start(*good, content=["text"]), "encode it"),
            (self.start(*good, content=[b"x", "text"]), "encode it"),
            (self.start(*good, content=[None]), "NoneType"),
            (self.start(*good, content=b"bytes"), "list of bytes"),
            (self.start(*good, content=bytearray(b"x")), "list of bytes"),
            (self.start(*good, content=[bytearray(b"x")]), "bytearray"),
            (self.start(*good, content=[memoryview(b"x")]), "memoryview"),
            (self.start(*good, content=iter([{}])), "dict"),
        ]
        for application, what in cases:
            self.events.clear()
            response = self.answer(application)
            self.assertEqual(500, response.status, what)
            self.assertTrue(response.complete)
            self.assertTrue(response.body)
            self.assertIsNone(response.get(b"x-secret"))
            self.assertEqual(
                [b"text/html; charset=utf-8"], response.all(b"content-type")
            )
            line = self.line("The WSGI application")
            self.assertIn("GET /", line)
            tracebacks = [
                event["log_failure"].getTraceback()
                for event in self.events
                if "log_failure" in event
            ]
            self.assertIn(what, "".join([line, *tracebacks]))
            self.flushLoggedErrors()

    def test_behindTheHead(self) -> None:
        """
        When some of it has gone out the response is cut, so that the client can
        tell, in HTTP/1.0 as well; and the log says why.
        """

        def raises(environ: Any, start: Any) -> Any:
            start("200 OK", TEXT)
            yield b"some"
            raise Boom

        def text(environ: Any, start: Any) -> Any:
            start("200 OK", TEXT)
            yield b"some"
            yield "text"

        def short(environ: Any, start: Any) -> Any:
            start("200 OK", [("Content-Length", "10")])
            yield b"some"

        def long(environ: Any, start: Any) -> Any:
            start("200 OK", [("Content-Length", "6")])
            yield b"some"
            yield b"more"

        def written(environ: Any, start: Any) -> Any:
            start("200 OK", TEXT)(b"some")
            return 3

        for application in (raises, text, short, long, written):
            for version in (b"1.1", b"1.0"):
                if True:
                    self.events.clear()
                    request = get(version=version)
                    wire = self.serve(application, request)
                    self.assertTrue(wire.settle(6).closed)
                    delimited = version == b"1.0" and application in (
                        raises,
                        text,
                        written,
                    )
                    if delimited:
                        self.assertTrue(wire.aborted)
                    else:
                        response = wire.only()
                        self.assertEqual(200, response.status)
                        self.assertFalse(response.complete, application)
                    self.line("The WSGI application")
                    self.flushLoggedErrors()

    def test_behindTheEnd(self) -> None:
        """
        What goes wrong when the response is complete is in the log; the response
        is not touched.
        """

        class Closing(Pieces):
            def close(self) -> None:
                raise Boom

        def tooMuch(environ: Any, start: Any) -> Any:
            start("200 OK", [("Content-Length", "4")])
            yield b"some"
            yield b"more"

        def lateWrite(environ: Any, start: Any) -> Any:
            write = start("200 OK", [("Content-Length", "4")])
            write(b"some")
            write(b"more")
            return []

        def raises(environ: Any, start: Any) -> Any:
            start("200 OK", [("Content-Length", "4")])
            yield b"some"
            raise Boom

        applications = [
            self.start("200 OK", TEXT, content=Closing(b"some")),
            tooMuch,
            lateWrite,
            raises,
        ]
        for application in applications:
            self.events.clear()
            response = self.answer(application)
            self.assertEqual(b"some", response.body)
            self.assertTrue(response.complete)
            self.line("The WSGI application")
            self.flushLoggedErrors()

    def test_headersNotKept(self) -> None:
        """
        C{displayTracebacks} shows the traceback.
        """

        def raises(environ: Any, start: Any) -> Any:
            raise Boom("so it is")

        site = self.site(inline(self.clock, raises))
        site.displayTracebacks = True
        response = self.connect(site).send(get()).only()
        self.assertIn(b"so it is", response.body)
        self.flushLoggedErrors(Boom)


class QueueTests(WSGITestCase):
    """
    Threads and what waits for them.
    """

    def application(self, environ: Any, start: Any) -> Any:
        """
        Answer.
        """
        self.called += 1
        start("200 OK", TEXT)
        return [b"x"]

    def test_full(self) -> None:
        """
        Beyond C{maxThreadQueue} the answer is 503, and one line in the log; when
        there is room again, requests are taken again.
        """
        self.called = 0
        resource = inline(self.clock, self.application, later=True)
        site = self.site(resource, limits={"maxThreadQueue": 2})
        wires = [self.connect(site).send(get()) for _ in range(9)]
        statuses = [w.only().status for w in wires if w.output]
        # Four threads, two that wait.
        self.assertEqual([503] * 3, statuses)
        self.assertEqual(b"1", wires[-1].only().get(b"retry-after"))
        self.line("503")
        for _ in range(6):
            resource._threads.runOne()
        self.clock.advance(0)
        self.assertEqual(6, self.called)
        wires[-1].send(get())
        resource._threads.runOne()
        wires[-1].pump()
        self.assertEqual([503, 200], wires[-1].statuses)

    def test_reactorStops(self) -> None:
        """
        When the reactor stops, no request is taken any more.  The reactor does not keep
        a resource that is not used any more.
        """

        class Loop(Inline):
            def __init__(self, clock: Clock) -> None:
                super().__init__(clock)
                self.stopping: list[Callable[[], object]] = []

            def addSystemEventTrigger(
                self, phase: str, event: str, call: Any, *args: Any
            ) -> None:
                self.stopping.append(partial(call, *args))

        self.called = 0
        loop = Loop(self.clock)
        for kept in (True, False):
            resource = WSGIResource(loop, NoThreads(), self.application)
            site = self.site(resource)
            wire = self.connect(site).send(get())
            wire.pump()
            self.assertEqual([200], wire.statuses)
            if kept:
                loop.stopping.pop()()
                self.assertEqual([200, 503], wire.send(get()).statuses)
            wire.vanish()
        left = ref(resource)
        site.resource = None
        del resource, wire
        gc.collect()
        self.assertIsNone(left())
        loop.stopping.pop()()
        self.assertEqual(2, self.called)

    def test_goneWhileWaiting(self) -> None:
        """
        The application is not called for a client that has gone while it waited.
        """
        self.called = 0
        resource = inline(self.clock, self.application, later=True)
        wire = self.talk(resource, get())
        wire.vanish()
        resource._threads.runOne()
        self.assertEqual(0, self.called)
        self.assertEqual(set(), resource._calls)

    def test_goneInBetween(self) -> None:
        """
        A client that goes ends the iteration; what is written then raises an
        C{OSError}, which nobody has to hear of.
        """
        wires: list[Wire] = []
        content = Pieces(*[b"x"] * 100)

        def application(environ: Any, start: Any) -> Any:
            write = start("200 OK", TEXT)
            write(b"x")
            self.clock.advance(0)
            wires[0].vanish()
            if environ["PATH_INFO"] == "/write":
                self.assertRaises(OSError, write, b"y")
                write(b"y")
            return content

        for path in (b"/", b"/write"):
            content.closed = content.asked = 0
            resource = inline(self.clock, application, later=True)
            wires[:] = [self.talk(resource, get(path))]
            resource._threads.runOne()
            self.assertLessEqual(content.asked, 1)
            self.assertEqual(path == b"/", content.closed == 1)
        self.assertEqual([], [m for m in self.messages() if "The WSGI" in m])

    def test_goneBeforeTheContent(self) -> None:
        """
        What nobody takes any more is not sent, and a file is closed.
        """
        wires: list[Wire] = []
        files: list[Any] = []
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(b"x" * 100)

        def application(environ: Any, start: Any) -> Any:
            start("200 OK", TEXT)
            wires[0].vanish()
            if environ["PATH_INFO"] == "/list":
                return [b"one", b"two"]
            files.append(open(path, "rb"))  # noqa: SIM115 (closed by the server)
            return environ["wsgi.file_wrapper"](files[0])

        for target in (b"/list", b"/file"):
            resource = inline(self.clock, application, later=True)
            wires[:] = [self.talk(resource, get(target))]
            resource._threads.runOne()
            self.assertEqual(b"", wires[0].output)
            self.assertEqual(set(), resource._calls)
        self.assertTrue(files[0].closed)
        for part in ("The WSGI", "left by its client"):
            self.assertEqual([], [m for m in self.messages() if part in m])

    def test_goneAndFailed(self) -> None:
        """
        Where a client has gone, only what does not follow from that is a failure.
        """
        wires: list[Wire] = []

        def application(environ: Any, start: Any) -> Any:
            write = start("200 OK", TEXT)
            wires[0].vanish()
            if environ["PATH_INFO"] == "/other":
                raise Boom
            try:
                write(b"x")
            except OSError as error:
                if environ["PATH_INFO"] == "/from":
                    raise Boom from error
                raise Boom  # noqa: B904 (as careless applications do)

        for target, failures in ((b"/from", 0), (b"/within", 0), (b"/other", 1)):
            resource = inline(self.clock, application, later=True)
            wires[:] = [self.talk(resource, get(target))]
            resource._threads.runOne()
            self.assertEqual(failures, len(self.flushLoggedErrors(Boom)), target)

    def test_bodyLimit(self) -> None:
        """
        The site's C{maxBodyLength} holds for a body that is streamed.
        """
        self.called = 0
        resource = inline(self.clock, self.application)
        wire = self.talk(resource, post(b"x" * 11), limits={"maxBodyLength": 10})
        self.assertRefused(wire, 413)
        self.assertEqual(0, self.called)

    def test_foreign(self) -> None:
        """
        A request class that is not ours gets the same answers.
        """

        class Foreign(server.Request):
            pass

        def raises(environ: Any, start: Any) -> Any:
            start("200 OK", TEXT)
            yield b"some"
            raise Boom

        def reads(environ: Any, start: Any) -> Any:
            start("200 OK", TEXT)
            return [environ["wsgi.input"].read()]

        response = self.answer(reads, post(b"abc"), requestFactory=Foreign)
        self.assertEqual(b"abc", response.body)
        wire = self.serve(raises, requestFactory=Foreign)
        self.assertTrue(wire.settle(6).closed)
        self.assertFalse(wire.only().complete)
        self.flushLoggedErrors(Boom)

    def test_requestFails(self) -> None:
        """
        A request class that fails where it writes, or when it has finished, is told of
        in the log; what is not complete is cut.
        """

        class Writes(server.Request):
            def write(self, data: bytes) -> None:
                raise Boom

        class Finishes(server.Request):
            def finish(self) -> None:
                super().finish()
                raise Boom

        def application(environ: Any, start: Any) -> Any:
            start("200 OK", TEXT)
            return [b"x"]

        for factory, complete in ((Writes, False), (Finishes, True)):
            wire = self.serve(application, requestFactory=factory)
            self.assertEqual(complete, bool(wire.responses))
            self.assertEqual(not complete, wire.aborted)
            self.assertEqual(1, len(self.flushLoggedErrors(Boom)))
            self.line("A response of a WSGI application could not be written")
            self.events.clear()

    def test_sitesOfTwisted(self) -> None:
        """
        A response that fails is cut on a site of Twisted's, too.
        """

        def application(environ: Any, start: Any) -> Any:
            start("200 OK", TEXT)
            yield b"some"
            raise Boom

        site = server.Site(inline(self.clock, application), reactor=self.clock)
        wire = Wire(site, self.clock).send(get())
        wire.pump()
        self.assertTrue(wire.aborted)
        self.assertEqual(1, len(self.flushLoggedErrors(Boom)))


class WrapperTests(WSGITestCase):
    """
    What is given to C{wsgi.file_wrapper}, and is no plain file that could be sent.
    """

    def fetch(self, make: Callable[[], Any]) -> WireResponse:
        """
        The response that has such a file.
        """

        def application(environ: Any, start: Any) -> Any:
            start("200 OK", TEXT)
            return environ["wsgi.file_wrapper"](make())

        return self.answer(application)

    def test_read(self) -> None:
        """
        A pipe is read, and so is whatever has a C{read} and nothing else.
        """

        def pipe() -> Any:
            out, into = os.pipe()
            os.write(into, b"a pipe")
            os.close(into)
            return io.FileIO(out)

        class Reads:
            pieces = (b"a ", b"thing", b"")

            def read(self, size: int) -> bytes:
                first, *self.pieces = self.pieces  # type: ignore[assignment]
                return first

        for make, body in ((pipe, b"a pipe"), (Reads, b"a thing")):
            self.assertEqual(body, self.fetch(make).body)

    def test_unreadable(self) -> None:
        """
        A file that is closed, or open for writing, is a 500.
        """
        path = self.mktemp()
        with open(path, "wb") as whole:
            whole.write(b"x" * 100)

        def closed() -> Any:
            with io.FileIO(path) as file:
                return file

        def writing() -> Any:
            return io.FileIO(os.open(path, os.O_WRONLY), "w")

        for make, kind in ((closed, ValueError), (writing, OSError)):
            self.assertEqual(500, self.fetch(make).status)
            self.assertEqual(1, len(self.flushLoggedErrors(kind)))


class HTTP2Tests(BoundsTestCase):
    """
    The streams of HTTP/2.
    """

    def test_cut(self) -> None:
        """
        A response that fails resets its stream, and no other.
        """

        def application(environ: Any, start: Any) -> Any:
            start("200 OK", TEXT)
            yield b"some"
            if environ["REQUEST_METHOD"] == "POST":
                raise Boom

        client = self.client(self.made(inline(self.clock, application)))
        client.request(1).request(3, b"")
        client.h2.end_stream(3)
        client.go().go()
        self.assertEqual(
            [1], [event.stream_id for event in client.named("StreamEnded")]
        )
        self.assertEqual(
            [3], [event.stream_id for event in client.named("StreamReset")]
        )
        self.assertEqual(1, len(self.flushLoggedErrors(Boom)))


class EnvironTests(WSGITestCase):
    """
    What an application is told.
    """

    def environ(self, request: bytes, **options: Any) -> dict[str, Any]:
        """
        The environ of a request.
        """
        found: list[dict[str, Any]] = []
        transport = options.pop("transport", None)

        def application(environ: Any, start: Any) -> Any:
            found.append(environ)
            start("200 OK", TEXT)
            return []

        resource = Resource()
        resource.putChild(b"", inline(self.clock, application))
        resource.putChild(b"app", inline(self.clock, application))
        site = self.site(resource, **options)
        wire = self.connect(site, transport).send(request)
        wire.pump()
        self.assertEqual([200], wire.statuses)
        return found[0]

    def test_request(self) -> None:
        """
        Method, target and addresses.
        """
        environ = self.environ(get(b"/app/a%20b/c?d=%20e", method=b"PUT"))
        expected = {
            "REQUEST_METHOD": "PUT",
            "REQUEST_URI": "/app/a%20b/c?d=%20e",
            "SCRIPT_NAME": "/app",
            "PATH_INFO": "/a b/c",
            "QUERY_STRING": "d=%20e",
            "CONTENT_TYPE": "",
            "CONTENT_LENGTH": "",
            "REMOTE_ADDR": "192.0.2.7",
            "REMOTE_PORT": "50007",
            "SERVER_NAME": "example.com",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "example.com",
            "wsgi.url_scheme": "http",
            "wsgi.version": (1, 0),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
        }
        self.assertEqual(expected, {name: environ[name] for name in expected})

    def test_workers(self) -> None:
        """
        In a worker of C{twistd h11web --workers}, the application is told that other
        processes call it as well (PEP 3333).
        """
        self.patch(os, "environ", {"H11WEB_WORKER": "1"})
        self.assertIs(True, self.environ(get())["wsgi.multiprocess"])

    def test_paths(self) -> None:
        """
        C{SCRIPT_NAME} is never a slash, and C{PATH_INFO} then begins with one.
        """
        for target, script, path in (
            (b"/", "", "/"),
            (b"/app", "/app", ""),
            (b"/app/", "/app", "/"),
            (b"/app//x", "/app", "//x"),
        ):
            environ = self.environ(get(target))
            self.assertEqual(script, environ["SCRIPT_NAME"])
            self.assertEqual(path, environ["PATH_INFO"])

    def test_fields(self) -> None:
        """
        Fields are variables; a name that came twice is joined, cookies by
        semicolons; those with a variable of their own have no other.
        """
        environ = self.environ(
            post(
                b"abc",
                *(b"X-A: one", b"x-a: two", b"Cookie: a=b", b"Cookie: c=d"),
                *(b"Content-Type: text/x", b"X-High: \xe4"),
                target=b"/app",
            )
        )
        self.assertEqual("one,two", environ["HTTP_X_A"])
        self.assertEqual("a=b; c=d", environ["HTTP_COOKIE"])
        self.assertEqual("text/x", environ["CONTENT_TYPE"])
        self.assertEqual("3", environ["CONTENT_LENGTH"])
        self.assertEqual("\xe4", environ["HTTP_X_HIGH"])
        self.assertNotIn("HTTP_CONTENT_TYPE", environ)
        self.assertNotIn("HTTP_CONTENT_LENGTH", environ)

    def test_underscores(self) -> None:
        """
        A field with an underscore in its name can not pass for another; with the
        option it may.  C{Proxy} never becomes C{HTTP_PROXY}.
        """
        request = get(
            b"/app",
            *(b"X-Forwarded-For: 192.0.2.1", b"X_Forwarded_For: 192.0.2.66"),
            *(b"x_forwarded-for: 192.0.2.67", b"Content_Length: 5", b"X_A: b"),
            *(b"Proxy: http://evil", b"X-Proxy: c"),
        )
        environ = self.environ(request)
        self.assertEqual("192.0.2.1", environ["HTTP_X_FORWARDED_FOR"])
        for name in ("HTTP_X_A", "HTTP_PROXY", "HTTP_CONTENT_LENGTH"):
            self.assertNotIn(name, environ)
        self.assertEqual("c", environ["HTTP_X_PROXY"])
        environ = self.environ(request, environUnderscores=True)
        self.assertEqual("b", environ["HTTP_X_A"])
        self.assertIn("192.0.2.66", environ["HTTP_X_FORWARDED_FOR"])
        self.assertNotIn("HTTP_PROXY", environ)

    def test_unix(self) -> None:
        """
        A UNIX socket has neither host nor port.
        """
        for host in (b"example.com", None):
            transport = MemoryTransport(UNIXAddress("/x"), UNIXAddress(None))
            version = b"1.1" if host else b"1.0"
            request = get(b"/app", host=host, version=version)
            environ = self.environ(request, transport=transport)
            self.assertEqual("", environ["REMOTE_ADDR"])
            self.assertEqual("", environ["REMOTE_PORT"])
            self.assertEqual(
                "example.com" if host else "localhost", environ["SERVER_NAME"]
            )
            self.assertEqual("80", environ["SERVER_PORT"])
