"""
Processes of C{twistd h11web} with some options, and a list of those that were tried.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import socket
import ssl
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any

from tests.support.command_cases import SOON, CommandTestCase

__all__ = ["SCRIPT", "EachTestCase", "does", "tried"]

APPLICATION = """
import os
import time

from twisted.internet import reactor
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET


class Tell(Resource):
    isLeaf = True

    def render(self, request):
        if request.path.endswith(b"/raises"):
            raise ValueError("as it should")
        if request.path.endswith(b"/form"):
            return str(len(request.args)).encode()
        if request.path.endswith(b"/never"):
            return NOT_DONE_YET
        if request.path.endswith(b"/unread"):
            return b"unread"
        return b" ".join(
            (
                request.getClientAddress().host.encode(),
                request.prePathURL(),
                b"secure" if request.isSecure() else b"plain",
                request.content.read(),
            )
        )


class Odd(Resource):
    isLeaf = True

    def __init__(self, path, registry):
        Resource.__init__(self)

    def render(self, request):
        return b"processed"


def app(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        time.sleep(2)
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/pid":
        return [str(os.getpid()).encode()]
    return [environ.get("HTTP_X_ODD", "none").encode()]
"""

SCRIPT = """
from twisted.web.static import Data

resource = Data(b"from a script", "text/plain")
"""

ROOT = """
from twisted.web.resource import Resource
from twisted.web.static import Data


class Root(Resource):
    def getChild(self, name, request):
        return Data(b"from a root", "text/plain")


resource = Root()
"""


def does(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """
    Say which options a test tries.
    """

    def note(test: Any) -> Any:
        test.options = frozenset(names)
        return test

    return note


class EachTestCase(CommandTestCase):
    """
    Starts a server with some options.
    """

    def setUp(self) -> None:
        """
        Something to serve.
        """
        super().setUp()
        self.write("app.py", APPLICATION)
        self.write("root.rpy", ROOT)

    def write(self, name: str, text: str) -> str:
        """
        Write a file.

        @return: its path.
        """
        path = Path(self.directory, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    def begin(self, *arguments: str, ports: int = 1, own: tuple[str, ...] = ()) -> Any:
        """
        Start a server with the options that the test has named, all of them.

        @param ports: how many ports it opens.
        @param own: options of twistd itself.
        @return: the process.
        """
        named = getattr(self, self._testMethodName).options
        given = {one[2:].partition("=")[0] for one in arguments if one[:2] == "--"}
        self.assertLessEqual(named, given)
        process = self.popen("-n", "--pidfile=", *own, "h11web", *arguments)
        assert process.stdout is not None
        self.ports: list[int] = []
        self.said = ""
        while len(self.ports) < ports:
            ready, _, _ = select.select([process.stdout], [], [], SOON)
            data = os.read(process.stdout.fileno(), 65536) if ready else b""
            if not data:
                assert process.stderr is not None
                self.fail(f"it does not listen: {self.said} {process.stderr.read()}")
            self.said += data.decode()
            found = re.findall(r"Listening on https?://127\.0\.0\.1:(\d+)/", self.said)
            self.ports = [int(port) for port in found]
        return process

    def end(self, process: Any) -> None:
        """
        Stop it; its output is C{said}.
        """
        process.terminate()
        out, err = process.communicate(timeout=SOON)
        self.said += out
        self.assertEqual((0, ""), (process.returncode, err))

    def ask(
        self,
        target: str = "/",
        *,
        method: str = "GET",
        port: int | None = None,
        body: Any = None,
        context: ssl.SSLContext | None = None,
        **fields: str,
    ) -> tuple[int, dict[str, str], bytes]:
        """
        One request.

        @param fields: names of fields, with C{_} for C{-}, and values.
        @return: the status, the fields, and the body.
        """
        number = self.ports[0] if port is None else port
        connection = (
            HTTPConnection("127.0.0.1", number, timeout=SOON)
            if context is None
            else HTTPSConnection("a.example", number, timeout=SOON, context=context)
        )
        if context is not None:
            plain = socket.create_connection(("127.0.0.1", number), SOON)
            connection.sock = context.wrap_socket(plain, server_hostname="a.example")
        sent = {name.replace("_", "-"): value for name, value in fields.items()}
        connection.request(method, target, body, {"Connection": "close", **sent})
        response = connection.getresponse()
        content = response.read()
        connection.close()
        found = {name.lower(): value for name, value in response.getheaders()}
        return response.status, found, content

    def status(self, *arguments: Any, **settings: Any) -> int:
        """
        The status of a response.
        """
        return self.ask(*arguments, **settings)[0]

    def raw(self, data: bytes, port: int | None = None) -> bytes:
        """
        What comes for some bytes, until the server closes.
        """
        where = ("127.0.0.1", self.ports[0] if port is None else port)
        said = b""
        with (
            socket.create_connection(where, SOON) as client,
            contextlib.suppress(ConnectionResetError),
        ):
            client.sendall(data)
            while more := client.recv(65536):
                said += more
        return said


def tried() -> Iterator[frozenset[str]]:
    """
    What all tests of this kind try.
    """
    for case in EachTestCase.__subclasses__():
        for name, test in vars(case).items():
            if name.startswith("test_"):
                yield test.options
