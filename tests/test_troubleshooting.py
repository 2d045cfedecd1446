"""
The messages on the page about troubleshooting are those that are given.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.internet.protocol import Protocol
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import directlyProvides, implementer

from twisted_h11._command.options import Options
from twisted_h11.client import ClientSettings, readBody
from twisted_h11.interfaces import IStreamingResource
from twisted_h11.server import Limits, RequestDisconnected
from twisted_h11.testing import MemoryAgent, MemorySite

PAGE = Path(__file__).resolve().parent.parent / "docs" / "troubleshooting.rst"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n"


class Calling(Resource):
    """
    Has a function answer each request.
    """

    isLeaf = True

    def __init__(self, function: Callable[[Any], Any] = lambda request: b"") -> None:
        Resource.__init__(self)
        self.function = function

    def render(self, request: Any) -> Any:
        """
        Have the function answer.
        """
        return self.function(request)


def plain(text: str) -> str:
    """
    A message without what differs from run to run.
    """
    text = re.sub(r"<[^<>]* at 0x[0-9a-f]+[^<>]*>", "<...>", text)
    return re.sub(r"\(/[^()]*\)", "(<...>)", text)


def client_hello() -> bytes:
    """
    What a TLS client sends first.
    """
    sent = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(
        ssl.MemoryBIO(), sent, server_hostname="example.com"
    )
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return sent.read()


def short(request: Any) -> int:
    """
    Answer with less than was announced.
    """
    request.setHeader(b"Content-Length", b"10")
    request.write(b"abc")
    request.finish()
    return NOT_DONE_YET


def cut_off(request: Any) -> int:
    """
    Answer with a part, and drop the connection.
    """
    request.setHeader(b"Content-Length", b"10")
    request.write(b"abc")
    request.loseConnection()
    return NOT_DONE_YET


def twice(request: Any) -> int:
    """
    Finish, and go on.
    """
    request.finish()
    request.write(b"more")
    return NOT_DONE_YET


def take_twice(request: Any) -> int:
    """
    Take the body of a request two times.
    """
    request.deliverBody(Protocol())
    request.deliverBody(Protocol())
    return NOT_DONE_YET


class TroubleshootingTests(SynchronousTestCase):
    """
    Each test brings about the messages of a part of the page.
    """

    def assertPage(self, title: str, messages: list[str]) -> None:
        """
        See that a part of the page has exactly these messages.
        """
        text = PAGE.read_text(encoding="utf-8")
        part = re.split(r"\n\n[^\n]+\n-{3,}\n", text.partition(f"{title}\n---")[2])[0]
        there = re.findall(r"(?m)^\.\. code-block:: text\n\n   (.*)$", part)
        self.assertEqual(there, [plain(message) for message in messages])

    def test_start(self) -> None:
        """
        What is said when the server does not start.
        """
        messages = [self.portInUse()]
        for arguments in (
            ["--path", "/srv/none"],
            ["--wsgi", "json:app"],
            ["--https", "443"],
            ["--idle-timeout", "1m"],
            ["--listn", "tcp:8080"],
        ):
            error = self.assertRaises(UsageError, Options().parseOptions, arguments)
            messages.append(str(error))
        with patch.dict("os.environ", {"H11WEB_PROT": "80"}):
            messages.append(
                str(self.assertRaises(UsageError, Options().parseOptions, []))
            )
        self.assertPage("The server does not start", messages)

    def portInUse(self) -> str:
        """
        What C{twistd h11web} says of a port that is in use.
        """
        with socket.create_server(("127.0.0.1", 0)) as taken:
            number = str(taken.getsockname()[1])
            command = [sys.executable, "-m", "twisted", "h11web", "--check"]
            done = subprocess.run(
                [*command, "--port", number, "--interface", "127.0.0.1"],
                cwd=tempfile.gettempdir(),
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        last = (done.stdout + done.stderr).strip().splitlines()[-1]
        return last.replace(number, "8080")

    def test_refusals(self) -> None:
        """
        What a request that is refused is told.
        """

        def answer(data: bytes, late: int = 0, limits: Limits | None = None) -> str:
            site = MemorySite(Calling(), limits=limits or Limits())
            connections = [site.connect(), site.connect()]
            connections[-1].send(data)
            site.clock.advance(late)
            site.flush()
            return connections[-1].received.partition(b"\r\n\r\n")[2].decode().strip()

        both = b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
        messages = [
            answer(client_hello()),
            answer(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + GET + b"\r\n"),
            answer(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
            answer(b"GET / HTTP/1.1\nHost: a\n\n"),
            answer(GET + both),
            answer(GET + b"Cookie: " + b"a" * 20_000 + b"\r\n\r\n"),
            answer(
                GET.replace(b"GET", b"POST") + b"Content-Length: 9\r\n\r\n",
                limits=Limits(maxBodyLength=8),
            ),
            answer(b"GET / HT", late=41),
            answer(b"", limits=Limits(maxConnections=1)),
        ]
        self.assertPage("Requests are refused", messages)

    def test_applications(self) -> None:
        """
        What the log says of an application, and what it is told.
        """
        logged: list[str] = []

        @implementer(ILogObserver)
        def observe(event: LogEvent) -> None:
            failure = event.get("log_failure")
            logged.append(failure.getErrorMessage() if failure else formatEvent(event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        streaming = Calling(take_twice)
        directlyProvides(streaming, IStreamingResource)
        for root in (
            Calling(lambda request: "text"),
            Calling(short),
            Calling(twice),
            streaming,
        ):
            MemorySite(root).connect().send(GET + b"\r\n")
        self.flushLoggedErrors()
        held: list[Any] = []
        connection = MemorySite(
            Calling(lambda request: held.append(request) or NOT_DONE_YET)  # type: ignore[func-returns-value]
        ).connect()
        connection.send(GET + b"\r\n")
        connection.abort()
        gone = self.assertRaises(RequestDisconnected, held[0].finish)
        logged.insert(3, str(gone))
        self.assertPage("What an application does wrong", logged)

    def test_client(self) -> None:
        """
        What the client says.
        """
        wrong: Any = "GET"
        agent = MemoryAgent(Calling())
        late = MemoryAgent(
            Calling(lambda request: NOT_DONE_YET),
            settings=ClientSettings(headTimeout=30),
        )
        never = late.request(b"GET", b"http://example.com/")
        late.clock.advance(30)
        cutting = MemoryAgent(Calling(cut_off))
        cut = cutting.request(b"GET", b"http://example.com/").addCallback(readBody)
        cutting.flush()
        response = self.successResultOf(agent.request(b"GET", b"http://example.com/"))
        self.successResultOf(readBody(response))
        messages = [
            self.assertRaises(TypeError, agent.request, wrong, b"http://example.com/"),
            self.assertRaises(ValueError, agent.request, b"GET", b"example.com/"),
            self.failureResultOf(never).value,
            self.failureResultOf(cut).value,
            self.assertRaises(RuntimeError, response.deliverBody, Protocol()),
        ]
        self.flushLoggedErrors()
        self.assertPage("The client", [str(message) for message in messages])
