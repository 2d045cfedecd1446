"""
C{python -m twisted_h11 URL}, where the server, the disk or the terminal is no good.
"""

from __future__ import annotations

import os
import shutil
import sys
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.protocol import Factory, ProcessProtocol, Protocol
from twisted.trial.unittest import TestCase

from tests.support.server_cases import FAST_PATH
from tests.support.tls_servers import make_factory, stop
from twisted_h11._command import fetch_options as options_module
from twisted_h11._command.fetch import fetch
from twisted_h11._command.fetch_codes import exit_code
from twisted_h11._command.fetch_options import BadUsage, parse
from twisted_h11._command.fetch_output import Messages, Output
from twisted_h11.client import Agent

net: Any = reactor
CURL = shutil.which("curl")

WHOLE = b"0123456789" * 30
HERE = WHOLE[:100]
REST = WHOLE[100:]
PAGE = b"<p>This is not what you want.</p>"


def answer(
    status: bytes, body: bytes, *fields: bytes, length: int | None = None
) -> bytes:
    """
    A response; with a length that may be another than the body's.
    """
    lines = [b"HTTP/1.1 " + status, *fields]
    if length is None or length >= 0:
        lines.append(b"Content-Length: %d" % (len(body) if length is None else length))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def partial(text: bytes, body: bytes = REST, length: int | None = None) -> bytes:
    """
    A partial response.
    """
    return answer(b"206 Partial", body, b"Content-Range: " + text, length=length)


KEPT, ALL, MORE = "kept", "all", "more"

# What the server answers to a request for the rest; our exit code, and that of curl
# 7.88, which believes more; and what becomes of the file.
RESUMED: list[tuple[bytes, int, int, str]] = [
    (answer(b"404 Not Found", PAGE), 33, 33, KEPT),
    (answer(b"403 Forbidden", PAGE), 33, 33, KEPT),
    (answer(b"500 Oh", PAGE), 33, 33, KEPT),
    (answer(b"503 Oh", b""), 33, 0, KEPT),
    (answer(b"302 Found", PAGE, b"Location: /there"), 33, 33, KEPT),
    (answer(b"304 Not Modified", b"", length=-1), 33, 0, KEPT),
    (answer(b"204 No Content", b"", length=-1), 33, 0, KEPT),
    (answer(b"201 Created", WHOLE), 33, 33, KEPT),
    # A whole new file.  curl gives up.
    (answer(b"200 OK", WHOLE), 0, 33, ALL),
    (answer(b"200 OK", WHOLE, length=-1), 0, 33, ALL),
    (answer(b"200 OK", WHOLE[:50], length=300), 18, 33, KEPT),
    (answer(b"200 OK", WHOLE[:200], length=300), 18, 33, KEPT),
    (answer(b"200 OK", WHOLE[:50], length=-1), 18, 33, KEPT),
    # The rest.
    (partial(b"bytes 100-299/300"), 0, 0, ALL),
    (partial(b"Bytes 100-299/*"), 0, 0, ALL),
    (partial(b"bytes=100-299/300"), 0, 0, ALL),
    (partial(b"bytes 100-299/300", REST[:50], 200), 18, 18, MORE),
    # A part of it is no more than a part.
    (partial(b"bytes 100-149/300", REST[:50]), 18, 0, MORE),
    # No more is kept than the range has.
    (partial(b"bytes 100-299/300", REST + b"more", -1), 23, 0, ALL),
    (partial(b"bytes 100-299/*", REST + b"more", -1), 23, 0, ALL),
    (partial(b"bytes 100-149/300", REST, -1), 23, 0, MORE),
    # Others' ranges.
    (partial(b"bytes 0-299/300", WHOLE), 33, 33, KEPT),
    (partial(b"bytes 101-299/300", WHOLE[101:]), 33, 33, KEPT),
    (partial(b"bytes 1000-1199/1200"), 33, 33, KEPT),
    (partial(b"bytes 100-199/300"), 33, 0, KEPT),
    (partial(b"bytes 100-50/300", REST, -1), 33, 0, KEPT),
    (partial(b"lines 100-299/300"), 33, 0, KEPT),
    (partial(b"bytes */300"), 33, 0, KEPT),
    (partial(b""), 33, 0, KEPT),
    (partial(b"bytes \xff"), 33, 0, KEPT),
    (answer(b"206 Partial", REST), 33, 33, KEPT),
    (
        answer(b"206 Partial", PAGE, b"Content-Type: multipart/byteranges; boundary=x"),
        33,
        33,
        KEPT,
    ),
    # There is no rest.
    (answer(b"416 No", PAGE, b"Content-Range: bytes */100"), 0, 0, KEPT),
    (answer(b"416 No", PAGE, b"Content-Range: bytes */90"), 33, 0, KEPT),
    (answer(b"416 No", PAGE), 33, 0, KEPT),
    (answer(b"416 No", PAGE, b"Content-Range: bytes */\xff\x9b"), 33, 0, KEPT),
    # No answer.
    (b"", 52, 52, KEPT),
    (b"HTTP/1.1 206 Par", 56, 52, KEPT),
    (b"nonsense\r\n\r\n", 8, 1, KEPT),
]


class Ended(ProcessProtocol):
    """
    A process, to its end.
    """

    def __init__(self) -> None:
        self.output = b""
        self.errors = b""
        self.done: Deferred[Ended] = Deferred()
        self.whenOutput: Any = None
        self.code: int | None = None

    def outReceived(self, data: bytes) -> None:
        self.output += data
        self._received()

    def processExited(self, reason: Any) -> None:
        # It may have been left with much in its pipe.
        process: Any = self.transport
        process.resumeProducing()

    def errReceived(self, data: bytes) -> None:
        self.errors += data
        self._received()

    def _received(self) -> None:
        if self.whenOutput is not None and self.whenOutput(self):
            self.whenOutput = None

    def processEnded(self, reason: Any) -> None:
        reason.trap(ProcessDone, ProcessTerminated)
        self.code = reason.value.exitCode
        if self.code is None:
            self.code = -(reason.value.signal or 0)
        self.done.callback(self)


class Stalling(Protocol):
    """
    Answers with the beginning of a body, and no end.
    """

    factory: Any

    def connectionMade(self) -> None:
        self.factory.connections.append(self)

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(answer(b"200 OK", self.factory.answer, length=10**9))

    def connectionLost(self, reason: Any = None) -> None:
        self.factory.connections.remove(self)


class FaultTestCase(TestCase):
    """
    With servers on loopback, and processes.
    """

    timeout = 60

    def serve(self, answers: bytes) -> str:
        """
        A server that answers, and closes.
        """
        return self.listen(make_factory(answers, closes=True))

    def listen(self, factory: Any) -> str:
        """
        Listen.
        """
        port = net.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(stop, port, factory)
        return f"http://127.0.0.1:{port.getHost().port}/"

    def stall(self, body: bytes = b"begun") -> str:
        """
        A server that sends a part.
        """
        factory: Any = Factory.forProtocol(Stalling)
        factory.noisy = False
        factory.connections = []
        factory.answer = body
        return self.listen(factory)

    def shell(self, command: str, *arguments: str) -> Ended:
        """
        Run a command of the shell, in which C{"$@"} is ours with its arguments.
        """
        ended = Ended()
        environment = {
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PATH": os.environ["PATH"],
        }
        command_line = [
            *("/bin/bash", "-c", f"set -o pipefail; {command}", "bash"),
            *(sys.executable, "-m", "twisted_h11", *arguments),
        ]
        net.spawnProcess(ended, "/bin/bash", command_line, environment)
        return ended


class ResumeTests(FaultTestCase):
    """
    C{-C}.
    """

    def setUp(self) -> None:
        """
        Use the path that the suite uses.
        """

        class Switched(Agent):
            def request(self, *args: Any, **options: Any) -> Any:
                self._fastPath = FAST_PATH
                return super().request(*args, **options)

        self.patch(os, "environ", {"PATH": os.environ["PATH"]})
        self.patch(options_module, "Agent", Switched)

    def file(self, content: bytes | None = HERE) -> str:
        """
        A file that is here already, in a folder of its own.
        """
        folder = self.mktemp()
        os.makedirs(folder)
        name = os.path.join(folder, "file")
        if content is not None:
            with open(name, "wb") as file:
                file.write(content)
        return name

    @inlineCallbacks
    def ours(self, url: str, *options: str) -> Any:
        """
        Our exit code.
        """
        self.errors: list[str] = []
        arguments = parse([*options, url])
        try:
            yield Deferred.fromCoroutine(
                fetch(net, arguments, Output(None), Messages(None))
            )
        except Exception as error:
            self.errors.append(str(error))
            return exit_code(error)
        return 0

    def check(self, name: str, becomes: str, what: object) -> None:
        """
        The file is what it must be, and nothing else is left.
        """
        self.assertEqual(["file"], os.listdir(os.path.dirname(name)), what)
        with open(name, "rb") as file:
            content = file.read()
        if becomes == MORE:
            self.assertEqual(WHOLE[:150], content, what)
        else:
            self.assertEqual(WHOLE if becomes == ALL else HERE, content, what)

    @inlineCallbacks
    def test_answers(self) -> Any:
        """
        Whatever the server answers, there is never less than there was, nor
        anything else; and the exit code says whether all is here.
        """
        for data, code, _, becomes in RESUMED:
            name = self.file()
            url = self.serve(data)
            self.assertEqual(code, (yield self.ours(url, "-C", "-", "-o", name)), data)
            self.check(name, becomes, data)

    @inlineCallbacks
    def test_curl(self) -> Any:
        """
        Where we say that all is here, or that the server has not sent the rest, so
        does curl; it gives up where the server has a whole new file.
        """
        assert CURL is not None
        for data, ours, code, becomes in RESUMED:
            if code != 33 and ours:
                continue
            name = self.file()
            ended = self.shell(f"{CURL} -s -C - -o {name} {self.serve(data)}")
            yield ended.done
            self.assertEqual(code, ended.code, data)
            self.check(name, becomes if code == 0 else KEPT, data)

    if CURL is None:
        test_curl.skip = "curl is not installed"  # type: ignore[attr-defined]

    @inlineCallbacks
    def test_fail(self) -> Any:
        """
        With C{-f} a status that is an error is 22; the file is kept.
        """
        for status in (b"404 No", b"500 Oh"):
            name = self.file()
            url = self.serve(answer(status, PAGE))
            self.assertEqual(22, (yield self.ours(url, "-f", "-C", "-o", name)))
            self.check(name, KEPT, status)

    @inlineCallbacks
    def test_failNothingMore(self) -> Any:
        """
        With C{-f} a 416 is 22, too, unless it says that the file is complete.
        """
        for length, code in ((len(HERE), 0), (len(HERE) - 1, 22)):
            name = self.file()
            status = b"416 No\r\nContent-Range: bytes */%d" % length
            url = self.serve(answer(status, PAGE))
            self.assertEqual(code, (yield self.ours(url, "-f", "-C", "-o", name)))
            self.check(name, KEPT, length)

    @inlineCallbacks
    def test_replaced(self) -> Any:
        """
        A whole new file has the mode of the old one, and takes its place also
        behind a link; where it can not be written, the old one is kept.
        """
        name = self.file()
        os.chmod(name, 0o640)
        link = self.mktemp()
        os.symlink(os.path.abspath(name), link)
        url = self.serve(answer(b"200 OK", WHOLE))
        self.assertEqual(0, (yield self.ours(url, "-C", "-o", link)))
        self.check(name, ALL, link)
        self.assertTrue(os.path.islink(link))
        self.assertEqual(0o640, os.stat(name).st_mode & 0o777)

    @inlineCallbacks
    def test_nothingHere(self) -> Any:
        """
        Without anything to go on from, all is asked for.
        """
        for content in (None, b""):
            name = self.file(content)
            url = self.serve(answer(b"200 OK", WHOLE))
            self.assertEqual(0, (yield self.ours(url, "-C", "-", "-o", name)))
            self.check(name, ALL, content)

    @inlineCallbacks
    def test_devices(self) -> Any:
        """
        What is no file is written to as it is.
        """
        url = self.serve(answer(b"200 OK", WHOLE))
        self.assertEqual(0, (yield self.ours(url, "-C", "-o", "/dev/null")))
        self.assertTrue(os.path.exists("/dev/null"))
        if os.path.exists("/dev/full"):
            self.assertEqual(23, (yield self.ours(url, "-o", "/dev/full")))

    @inlineCallbacks
    def test_noLimit(self) -> Any:
        """
        A total time of 0 is no limit, as in curl.
        """
        url = self.serve(answer(b"200 OK", WHOLE))
        self.assertEqual(0, (yield self.ours(url, "-m", "0", "-o", "/dev/null")))

    def test_usage(self) -> None:
        """
        What makes no sense with it is refused.
        """
        for arguments in (
            ["-C", "-", "http://a"],
            ["-C", "-o", "-", "http://a"],
            ["-C", "-o", "x", "-i", "http://a"],
            ["-C", "-o", "x", "-X", "HEAD", "http://a"],
            ["-C", "-o", "x", "-d", "a", "http://a"],
            ["-m", "-1", "http://a"],
            ["-m", "nan", "http://a"],
        ):
            with self.assertRaises(BadUsage):
                parse(arguments)


class OddTests(FaultTestCase):
    """
    Command lines.
    """

    @inlineCallbacks
    def test_odd(self) -> Any:
        """
        Whatever stands on the command line ends with a code, and a message.
        """
        url = self.serve(answer(b"200 OK", b""))
        folder = self.mktemp()
        os.makedirs(folder)
        self.patch(os, "environ", {})
        for arguments, code in (
            (["-o", folder, url], 23),
            (["-o", f"{folder}/none/file", url], 23),
            (["-o", "a\0b", url], 23),
            (["-H", "A: b\r\nC: d", url], 43),
            (["-H", "\u2603: b", url], 43),
            (["-H", "\udcff: b", url], 43),
            (["-d", "@a\0b", url], 26),
            (["-d", f"@{folder}", url], 26),
            (["-d", "@/none", url], 26),
            (["--cacert", folder, url], 77),
            (["--cacert", "/none", url], 77),
            (["-X", "\udcff", url], 3),
            (["-X", "A B", url], 3),
            (["http://127.0.0.1:1/\udcff"], 7),
            (["http://\udcff/"], 3),
            (["h\udcff://a/"], 3),
            (["http://[::1"], 3),
            (["http://127.0.0.1:x/"], 3),
            (["http://127.0.0.1:99999/"], 3),
            (["ftp://127.0.0.1/"], 1),
            (["--unix-socket", "x" * 200, "http://a/"], 7),
            (["-x", "socks5://a", url], 5),
            ([""], 3),
        ):
            try:
                yield Deferred.fromCoroutine(
                    fetch(net, parse(arguments), Output(None), Messages(None))
                )
            except Exception as error:
                self.assertEqual(code, exit_code(error), (arguments, error))
                self.assertTrue(str(error), arguments)
            else:
                self.fail(f"{arguments} is taken")
