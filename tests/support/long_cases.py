"""
A server process, and blocking clients.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

__all__ = [
    "MIB",
    "Client",
    "LongTestCase",
    "Server",
    "say",
    "skip_unless_named",
    "unnamed",
]

MIB = 1 << 20
TOP = Path(__file__).resolve().parent.parent.parent


class Client:
    """
    One connection.
    """

    def __init__(self, port: int, receive: int | None = None) -> None:
        self.socket = socket.socket()
        if receive is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        self.socket.settimeout(60)
        self.socket.connect(("127.0.0.1", port))

    def ask(self, path: str) -> None:
        """
        Send a GET.
        """
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())

    def answer(self) -> tuple[int, bytes]:
        """
        Read one response with a length, or in chunks.

        @return: its status and its body.
        """
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, body = data.partition(b"\r\n\r\n")
        lower = head.lower()
        if b"content-length:" in lower:
            length = int(lower.split(b"content-length:")[1].split()[0])
            while len(body) < length:
                body += self._more()
        else:
            while not body.endswith(b"0\r\n\r\n"):
                body += self._more()
            size, _, body = body.partition(b"\r\n")
            body = body[: int(size, 16)]
        return int(head.split()[1]), body

    def _more(self) -> bytes:
        data = self.socket.recv(1 << 20)
        if not data:
            raise EOFError("the server has closed")
        return data

    def get(self, path: str) -> bytes:
        """
        A GET that must succeed.
        """
        self.ask(path)
        status, body = self.answer()
        if status != 200:
            raise AssertionError(f"{path}: {status}")
        return body

    def upload(self, path: str, size: int, chunked: bool = False) -> int:
        """
        PUT C{size} bytes, in pieces of a MiB.

        @return: how many the server says that it got.
        """
        framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
        self.socket.sendall(
            f"PUT {path} HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n".encode()
        )
        piece = b"x" * MIB
        if chunked:
            piece = b"%x\r\n%b\r\n" % (MIB, piece)
        for _ in range(size // MIB):
            self.socket.sendall(piece)
        if chunked:
            self.socket.sendall(b"0\r\n\r\n")
        status, body = self.answer()
        if status != 200:
            raise AssertionError(f"{path}: {status}")
        return int(body)

    def drop(self, size: int) -> None:
        """
        Read and forget C{size} bytes.
        """
        buffer = bytearray(MIB)
        while size > 0:
            got = self.socket.recv_into(buffer)
            if not got:
                raise EOFError("the server has closed")
            size -= got

    def close(self) -> None:
        """
        Close.
        """
        self.socket.close()


class Server:
    """
    A server process.
    """

    def __init__(self, kind: str = "ours", *limits: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.long.server", kind, *limits],
            cwd=TOP,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def client(self, receive: int | None = None) -> Client:
        """
        Connect.
        """
        return Client(self.port, receive)

    def get(self, path: str) -> bytes:
        """
        A GET on a connection of its own.
        """
        client = self.client()
        try:
            return client.get(path)
        finally:
            client.close()

    def state(self) -> dict[str, Any]:
        """
        What it knows of itself.
        """
        found: dict[str, Any] = json.loads(self.get("/state"))
        return found

    def _status(self, name: str) -> int:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
        raise AssertionError(name)

    def memory(self) -> int:
        """
        How much memory it has, in bytes; from now on its peak is noted.
        """
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        return self._status("VmRSS")

    def peak(self) -> int:
        """
        How much it has had since L{memory}.
        """
        return self._status("VmHWM")

    def written(self) -> int:
        """
        How many bytes it has written to files and sockets by C{write(2)}.
        """
        for line in Path(f"/proc/{self.process.pid}/io").read_text().splitlines():
            if line.startswith("write_bytes"):
                return int(line.split()[1])
        raise AssertionError("write_bytes")

    def seconds(self) -> float:
        """
        How much processor time it has used.
        """
        text = Path(f"/proc/{self.process.pid}/stat").read_text()
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> str:
        """
        Stop it.

        @return: what it has said.
        """
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        said, _ = self.process.communicate(timeout=40)
        return said


def unnamed() -> str | None:
    """
    Why a long case does not run: nobody has asked for it.  A module that sets C{skip}
    to this is one of long cases.

    @return: the reason, or L{None} if it runs.
    """
    named = any(word.startswith("tests.long") for word in sys.argv)
    if named or os.environ.get("TWISTED_H11_LONG"):
        return None
    return "long: run it by the name tests.long"


def skip_unless_named() -> None:
    """
    Skip a long case that nobody has asked for.
    """
    reason = unnamed()
    if reason is not None:
        raise SkipTest(reason)


def say(case: unittest.TestCase, text: str) -> None:
    """
    Print a figure of a long case.
    """
    print(f"\n      {case.id().rpartition('.')[2]}: {text}", file=sys.__stdout__)


class LongTestCase(SynchronousTestCase):
    """
    Runs only when it is named.
    """

    def setUp(self) -> None:
        """
        Skip unless it was asked for.
        """
        skip_unless_named()
        if not sys.platform.startswith("linux"):
            raise SkipTest("figures are read from /proc")
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 20_000), most))

    def server(self, kind: str = "ours", *limits: str, **environment: str) -> Server:
        """
        Start a server; it is stopped after the test.
        """
        server = Server(kind, *limits, **environment)
        self.addCleanup(server.stop)
        return server

    def file(self, size: int) -> str:
        """
        A file without content, of C{size} bytes.
        """
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "file")
        with open(path, "wb") as file:
            file.truncate(size)
        return path

    def say(self, text: str) -> None:
        """
        Print a figure.
        """
        say(self, text)
