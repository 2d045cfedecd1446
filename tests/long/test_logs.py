"""
C{twistd h11web} writes its logs: processes.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
from typing import Any

from tests.support.command_cases import SOON, CommandTestCase
from tests.support.long_cases import unnamed
from tests.support.server_cases import get

skip = unnamed()


APPLICATION = """
import time
from twisted.logger import Logger
from twisted.web.resource import Resource

class Root(Resource):
    isLeaf = True

    def render(self, request):
        if request.path == b"/hang":
            time.sleep(3600)
        Logger().info("rendering {path}", path=request.path)
        return b"x"
"""


class ProcessTests(CommandTestCase):
    """
    A process.
    """

    def setUp(self) -> None:
        """
        Its application.
        """
        super().setUp()
        with open(os.path.join(self.directory, "app.py"), "w") as file:
            file.write(APPLICATION)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """
        Start it, and wait until it listens.
        """
        process = self.popen(
            *("-n", "--logfile", "own.log", "h11web", "--listen", "unix:s"),
            *("--class", "app:Root", "--logfile", "access.log", *arguments),
        )
        self.waitFor(self.listens)
        return process

    def listens(self) -> bool:
        """
        Whether it listens: a socket that is there need not.
        """
        with socket.socket(socket.AF_UNIX) as client:
            path = os.path.relpath(os.path.join(self.directory, "s"))
            return client.connect_ex(path) == 0

    def waitFor(self, condition: Any) -> None:
        """
        Wait until something is so.
        """
        until = time.monotonic() + SOON
        while not condition():
            self.assertLess(time.monotonic(), until)
            time.sleep(0.02)

    def connect(self) -> socket.socket:
        """
        A connection.
        """
        client = socket.socket(socket.AF_UNIX)
        self.addCleanup(client.close)
        client.settimeout(SOON)
        client.connect(os.path.relpath(os.path.join(self.directory, "s")))
        return client

    def ask(self, client: socket.socket, target: bytes) -> None:
        """
        Send a request, and see that it is answered.
        """
        client.sendall(get(target))
        self.assertTrue(client.recv(65536).startswith(b"HTTP/1.1 200 "))

    def stop(self, process: subprocess.Popen[str]) -> None:
        """
        End it.
        """
        process.terminate()
        process.communicate(timeout=SOON)
        self.assertEqual(0, process.returncode)

    def test_pipe(self) -> None:
        """
        A pipe that nobody reads is one line, and leaves nothing, for both logs.
        """
        pipe = os.path.join(self.directory, "pipe")
        os.mkfifo(pipe)
        before = self.files()
        for own, access, which in (("-", "pipe", "access log"), ("pipe", "x", "log")):
            status, _, err = self.run_(
                *("-n", "--logfile", own, "h11web"),
                *("--listen", "unix:s", "--logfile", access),
            )
            problem = f"can not write the {which} {pipe}: nobody reads this pipe"
            self.assertEqual((1, f"twistd h11web: {problem}\n"), (status, err))
            self.assertEqual(before, self.files())

    def test_reopen(self) -> None:
        """
        On SIGUSR1 both logs are opened anew, and no line is lost; what is logged
        during a request has its identifier, as the access log has it.
        """
        process = self.start("--log-json", "--request-ids", "on", "--program-log-json")
        client = self.connect()
        self.ask(client, b"/first")
        for name in ("own.log", "access.log"):
            path = os.path.join(self.directory, name)
            os.rename(path, path + ".1")
        self.ask(client, b"/second")
        process.send_signal(signal.SIGUSR1)
        self.waitFor(lambda: {"own.log", "access.log"} <= set(self.files()))
        self.ask(client, b"/third")
        client.close()
        self.stop(process)
        first, second = (
            [json.loads(line) for line in self.read(name).splitlines()]
            for name in ("access.log.1", "access.log")
        )
        self.assertEqual(
            (["/first", "/second"], ["/third"]),
            ([one["target"] for one in first], [one["target"] for one in second]),
        )
        own = [
            json.loads(line)
            for name in ("own.log.1", "own.log")
            for line in self.read(name).splitlines()
        ]
        rendered = [one for one in own if one["message"].startswith("rendering")]
        self.assertEqual(
            [one["request_id"] for one in first + second],
            [one["request_id"] for one in rendered],
        )
        self.assertEqual(3, len({one["request_id"] for one in rendered}))
        self.assertEqual("Server Shut Down.", own[-1]["message"])

    def test_ids(self) -> None:
        """
        Text has them, too.
        """
        process = self.start("--request-ids", "on", "--log-format", "{request_id}")
        client = self.connect()
        self.ask(client, b"/")
        client.close()
        self.stop(process)
        identifier = self.read("access.log").strip()
        self.assertRegex(identifier, r"\A[0-9a-f]{32}\Z")
        [line] = re.findall(r".*rendering.*", self.read("own.log"))
        self.assertIn(f" [app#info {identifier}] rendering", line)

    def test_hangs(self) -> None:
        """
        A process that is ended since it hangs has written the lines of its access
        log.
        """
        process = self.start("--grace", "0")
        client, other = self.connect(), self.connect()
        self.ask(client, b"/")
        other.sendall(get(b"/hang"))
        time.sleep(0.1)
        self.assertEqual("", self.read("access.log"))
        process.terminate()
        process.communicate(timeout=SOON)
        self.assertIn('"GET / HTTP/1.1" 200', self.read("access.log"))
