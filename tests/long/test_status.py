"""
The status site of C{twistd h11web}, as a process.
"""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import tempfile
import time
from typing import Any

from tests.support.command_cases import SOON, CommandTestCase
from tests.support.long_cases import unnamed

skip = unnamed()


HOLDING = """
from twisted.internet import reactor
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

class Held(Resource):
    isLeaf = True
    def render_GET(self, request):
        if request.path != b"/held":
            return b"hello"
        reactor.callLater(2, self.end, request)
        open("begun", "w").close()
        return NOT_DONE_YET
    def end(self, request):
        request.write(b"late")
        request.finish()
"""


class _Connection(http.client.HTTPConnection):
    """
    Over a UNIX socket.
    """

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=SOON)
        self._path = path

    def connect(self) -> None:
        end = time.monotonic() + SOON
        while True:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(SOON)
            try:
                return self.sock.connect(self._path)
            except ConnectionRefusedError:
                # It has a name before it listens.
                self.sock.close()
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)


class ProcessTests(CommandTestCase):
    """
    As a process.
    """

    def setUp(self) -> None:
        """
        The names of sockets have to be short.
        """
        super().setUp()
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)

    def get(self, name: str, path: str) -> tuple[int, bytes]:
        """
        Ask one of the sockets.
        """
        connection = _Connection(os.path.join(self.folder, name))
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def wait(self, name: str) -> None:
        """
        Until a file is there.
        """
        end = time.monotonic() + SOON
        while not os.path.exists(os.path.join(self.directory, name)):
            self.assertLess(time.monotonic(), end, name)
            time.sleep(0.02)

    def test_served(self) -> None:
        """
        It is well, counts to the request, and says when the server is about to end,
        until that has ended.
        """
        with open(os.path.join(self.directory, "held.py"), "w") as file:
            file.write(HOLDING)
        process: Any = self.popen(
            *("-n", "h11web", "--class", "held:Held"),
            *("--listen", f"unix:{self.folder}/web"),
            *("--status-listen", f"unix:{self.folder}/status"),
        )
        self.wait(os.path.join(self.folder, "web"))
        self.wait(os.path.join(self.folder, "status"))
        for _ in range(7):
            self.assertEqual(self.get("web", "/"), (200, b"hello"))
        self.assertEqual(self.get("status", "/health"), (200, b"ok\n"))
        _, text = self.get("status", "/metrics")
        line = b'twisted_h11_requests_total{method="GET",status="2xx"} 7.0\n'
        self.assertIn(line, text)
        held = _Connection(os.path.join(self.folder, "web"))
        held.request("GET", "/held")
        self.wait("begun")
        process.send_signal(signal.SIGTERM)
        end = time.monotonic() + SOON
        while self.get("status", "/health") != (503, b"draining\n"):
            self.assertLess(time.monotonic(), end)
        self.assertEqual(held.getresponse().read(), b"late")
        held.close()
        self.assertEqual(process.wait(SOON), 0)
        self.assertEqual(os.listdir(self.folder), [])
