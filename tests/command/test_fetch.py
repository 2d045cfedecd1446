"""
C{python -m twisted_h11 URL}.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.client import ResponseFailed
from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.static import Data

from tests.support.server_cases import FAST_PATH
from tests.support.tls_servers import make_factory, stop
from twisted_h11._command import fetch_options as options_module
from twisted_h11._command.fetch import fetch
from twisted_h11._command.fetch_codes import exit_code
from twisted_h11._command.fetch_options import BadUsage, make_uri, parse
from twisted_h11._command.fetch_output import Messages, Output, Progress, sizes
from twisted_h11._command.fetch_run import tell
from twisted_h11.client import Agent

net: Any = reactor
BODY = bytes(range(256)) * 40


class Ranged(Resource):
    """
    Serves a range that begins somewhere, as the test wants it.
    """

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        """
        By the path.
        """
        begin = int((request.getHeader("range") or "bytes=0-")[6:-1])
        if request.path == b"/whole":
            return BODY
        if begin >= len(BODY):
            request.setResponseCode(416)
            request.setHeader("Content-Range", f"bytes */{len(BODY)}")
            return b"no"
        if request.getHeader("range"):
            request.setResponseCode(206)
            if request.path == b"/wrong":
                begin += 1
            request.setHeader(
                "Content-Range", f"bytes {begin}-{len(BODY) - 1}/{len(BODY)}"
            )
        return BODY[begin:]

    def render_POST(self, request: Any) -> bytes:
        """
        What was sent.
        """
        content: bytes = request.content.read()
        return b"%b %b" % (request.getHeader(b"x-a") or b"-", content)


class Typed(Resource):
    """
    Says of which type a request is.
    """

    isLeaf = True

    def render_POST(self, request: Any) -> bytes:
        """
        Its media type.
        """
        return request.getHeader(b"content-type") or b"none"

    render_PUT = render_POST


class Switched(Agent):
    """
    An agent that takes the fast path if the suite does.
    """

    def request(self, *args: Any, **options: Any) -> Deferred[Any]:
        """
        Send a request.
        """
        self._fastPath = FAST_PATH
        return super().request(*args, **options)


class Terminal(io.StringIO):
    """
    Standard error of a terminal.
    """

    def isatty(self) -> bool:
        """
        It is one.
        """
        return True


class FetchTests(TestCase):
    """
    Against a server on loopback.
    """

    timeout = 60

    def setUp(self) -> None:
        """
        Listen.
        """
        root = Resource()
        root.putChild(b"data", Data(b"hello", "text/plain"))
        root.putChild(b"type", Typed())
        for path in (b"whole", b"range", b"wrong"):
            root.putChild(path, Ranged())
        port = net.listenTCP(0, Site(root), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.base = f"http://127.0.0.1:{port.getHost().port}"
        self.out = io.BytesIO()
        self.errors: io.StringIO = io.StringIO()
        self.patch(os, "environ", {})
        self.patch(options_module, "Agent", Switched)

    def run_fetch(self, path: str, *options: str) -> Deferred[None]:
        """
        Fetch from the server.
        """
        arguments = parse([*options, self.base + path])
        return Deferred.fromCoroutine(
            fetch(net, arguments, Output(self.out), Messages(self.errors))
        )

    @inlineCallbacks
    def failing(
        self, deferred: Deferred[None], code: int, kind: Any = Exception
    ) -> Any:
        """
        It fails with an exit code.
        """
        error = yield self.assertFailure(deferred, kind)
        self.assertEqual(code, exit_code(error), error)
        return error

    @inlineCallbacks
    def test_proxyFails(self) -> Any:
        """
        A proxy that breaks off, or is not there, has the codes of curl, and is named.
        """

        class Closing(Protocol):
            def dataReceived(self, data: bytes) -> None:
                assert self.transport is not None
                self.transport.loseConnection()

        factory = Factory.forProtocol(Closing)
        port = net.listenTCP(0, factory, interface="127.0.0.1")
        name = f"127.0.0.1:{port.getHost().port}"
        for code in (56, 7):
            options = parse(["-x", name, "https://a.example/"])
            deferred = Deferred.fromCoroutine(
                fetch(net, options, Output(self.out), Messages(self.errors))
            )
            error = yield self.failing(deferred, code)
            self.assertIn(f"The proxy {name}", str(error))
            yield port.stopListening()

    @inlineCallbacks
    def test_body(self) -> Any:
        """
        The body goes to standard output, and nothing else does.
        """
        yield self.run_fetch("/data")
        self.assertEqual(b"hello", self.out.getvalue())
        self.assertEqual("", self.errors.getvalue())

    @inlineCallbacks
    def test_sent(self) -> Any:
        """
        Method, fields and data are sent; data of a file, too.
        """
        yield self.run_fetch("/whole", "-d", "abc", "-H", "X-A: b c")
        self.assertEqual(b"b c abc", self.out.getvalue())
        name = self.mktemp()
        with open(name, "wb") as file:
            file.write(b"\0\xff")
        yield self.run_fetch("/whole", "-d", "@" + name, "-X", "POST")
        self.assertTrue(self.out.getvalue().endswith(b"- \0\xff"))

    @inlineCallbacks
    def test_form(self) -> Any:
        """
        Data are declared to be a form, as by curl, unless a field says what they are.
        """
        yield self.run_fetch("/type", "-d", "a=b")
        self.assertEqual(b"application/x-www-form-urlencoded", self.out.getvalue())
        for path, options, expected in (
            ("/type", ("-X", "PUT", "-d", "a=b"), self.out.getvalue()),
            ("/type", ("-d", "{}", "-H", "CONTENT-type: text/json"), b"text/json"),
            ("/type", ("-X", "POST"), b"none"),
        ):
            self.out.seek(0)
            self.out.truncate()
            yield self.run_fetch(path, *options)
            self.assertEqual(expected, self.out.getvalue(), options)

    @inlineCallbacks
    def test_include(self) -> Any:
        """
        With C{-i} the head is written before the body.
        """
        yield self.run_fetch("/data", "-i")
        out = self.out.getvalue()
        self.assertTrue(out.startswith(b"HTTP/1.1 200 OK\r\n"))
        self.assertTrue(out.endswith(b"\r\n\r\nhello"))

    @inlineCallbacks
    def test_verbose(self) -> Any:
        """
        With C{-v} events, times and heads are told, on standard error.
        """
        yield self.run_fetch("/data", "-v")
        text = self.errors.getvalue()
        for line in (
            "ms  connecting\n",
            "ms  connected to IPv4Address",
            "> GET /data HTTP/1.1\n",
            "ms  head sent\n",
            "< HTTP/1.1 200 OK\n",
            "ms  ended\n",
        ):
            self.assertIn(line, text)
        self.assertEqual(b"hello", self.out.getvalue())

    @inlineCallbacks
    def test_output(self) -> Any:
        """
        A body goes to a file, with a progress bar on a terminal.
        """
        self.errors = Terminal()
        name = self.mktemp()
        yield self.run_fetch("/range", "-o", name)
        with open(name, "rb") as file:
            self.assertEqual(BODY, file.read())
        self.assertIn(
            "100% [########################] 10.0 KiB", self.errors.getvalue()
        )
        self.errors = Terminal()
        yield self.run_fetch("/range", "-o", name, "-s")
        self.assertEqual("", self.errors.getvalue())

    @inlineCallbacks
    def test_resume(self) -> Any:
        """
        With C{-C} the rest is fetched; what is complete is left alone; a server
        without ranges sends all again.
        """
        name = self.mktemp()
        for path, length in (
            ("/range", 100),
            ("/range", len(BODY)),
            ("/whole", 100),
            ("/range", 0),
        ):
            with open(name, "wb") as file:
                file.write(BODY[:length])
            yield self.run_fetch(path, "-C", "-o", name)
            with open(name, "rb") as file:
                self.assertEqual(BODY, file.read())

    @inlineCallbacks
    def test_resumeWrong(self) -> Any:
        """
        Another range than asked for is never appended.
        """
        name = self.mktemp()
        for path, length in (("/wrong", 100), ("/range", len(BODY) + 1)):
            with open(name, "wb") as file:
                file.write(b"x" * length)
            yield self.failing(self.run_fetch(path, "-C", "-o", name), 33)
            self.assertEqual(length, os.path.getsize(name))

    @inlineCallbacks
    def test_failures(self) -> Any:
        """
        Failures have curl's exit codes.
        """
        yield self.failing(self.run_fetch("/none", "-f"), 22)
        yield self.failing(self.run_fetch("/data", "-o", "/none/x"), 23)
        yield self.failing(self.run_fetch("/data", "-H", "a b: c"), 43)
        yield self.failing(self.run_fetch("/data", "-X", "A B"), 3)
        yield self.failing(self.run_fetch("/data", "--unix-socket", "/none"), 7)
        yield self.failing(self.run_fetch("/data", "-x", "socks5://a"), 5)
        yield self.run_fetch("/none")

    @inlineCallbacks
    def test_badServers(self) -> Any:
        """
        So have those of servers that do not answer well.
        """
        for answer, code in [
            (b"", 52),
            (b"nonsense\r\n\r\n", 8),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", 18),
            (b"HTTP/1.1 200", 56),
        ]:
            factory = make_factory(answer, closes=True)
            port = net.listenTCP(0, factory, interface="127.0.0.1")
            self.addCleanup(stop, port, factory)
            self.base = f"http://127.0.0.1:{port.getHost().port}"
            yield self.failing(self.run_fetch("/"), code, ResponseFailed)

    @inlineCallbacks
    def test_command(self) -> Any:
        """
        The command itself: exit code, one line on standard error.
        """
        environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        for arguments, expected in (
            ([self.base + "/data"], (b"hello", b"", 0)),
            (
                ["-f", self.base + "/none"],
                (b"", b"twisted_h11: The server answered 404\n", 22),
            ),
            (["-s", "-f", self.base + "/none"], (b"", b"", 22)),
            (
                ["-C", "http://a"],
                (b"", b"twisted_h11: --continue needs --output FILE\n", 2),
            ),
        ):
            result = yield getProcessOutputAndValue(
                sys.executable, ["-m", "twisted_h11", *arguments], environment
            )
            self.assertEqual(expected, result)


class PartsTests(SynchronousTestCase):
    """
    Without a network.
    """

    def test_tell(self) -> None:
        """
        What was wrong is one line, without what a terminal would obey.
        """
        out = io.StringIO()
        tell(Messages(out), ValueError("a\nb \x1b[2J\u00e9"))
        tell(Messages(out), ValueError())
        self.assertEqual(
            "twisted_h11: a b \\x1b[2J\u00e9\ntwisted_h11: ValueError\n",
            out.getvalue(),
        )

    def test_uris(self) -> None:
        """
        URLs as people write them.
        """
        for url, uri in [
            ("example.com", b"http://example.com"),
            ("https://a/b c?d=\u00e9#e", b"https://a/b%20c?d=%C3%A9#e"),
            ("http://b\u00fccher.example:81/", b"http://xn--bcher-kva.example:81/"),
            ("http://a/%20", b"http://a/%20"),
            ("a?b", b"http://a?b"),
            ("a:1/?b=http://c", b"http://a:1/?b=http://c"),
            ("a#http://c", b"http://a#http://c"),
        ]:
            self.assertEqual(uri, make_uri(url))
        with self.assertRaises(BadUsage):
            make_uri("http://\u00fc..b/")

    def test_usage(self) -> None:
        """
        Command lines that make no sense.
        """
        for arguments in (["-H", "x", "http://a"], ["-d", "@/none", "http://a"]):
            with self.assertRaises(BadUsage):
                parse(arguments)

    def test_sizes(self) -> None:
        """
        Sizes for people.
        """
        self.assertEqual(
            ["0 bytes", "1023 bytes", "1.5 KiB", "2.0 GiB", "2048.0 GiB"],
            [sizes(n) for n in (0, 1023, 1536, 2 << 30, 2 << 40)],
        )

    def test_progress(self) -> None:
        """
        Progress is shown now and then, and at the end; without a length there
        is no bar.
        """
        now = [0.0]
        stream = io.StringIO()
        progress = Progress(Messages(stream), lambda: now[0], 0, None)
        for number in range(10):
            now[0] += 0.125
            progress.show(number * 1024)
        progress.show(10240, last=True)
        self.assertEqual(6, stream.getvalue().count("\r"))
        self.assertTrue(stream.getvalue().endswith("10.0 KiB, 8.0 KiB/s\x1b[K\n"))
        self.assertNotIn("[#", stream.getvalue())
