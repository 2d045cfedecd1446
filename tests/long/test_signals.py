"""
What signals do to C{twistd h11web}, in several reactors.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import Any

from tests.command.test_stopping import listening
from tests.support.command_cases import SOON, CommandTestCase
from tests.support.long_cases import unnamed

skip = unnamed()

APPLICATION = """
import time


def application(environ, start):
    if environ["PATH_INFO"] == "/slow":
        time.sleep(1000)
    start("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""

GET = b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n"


class SignalTests(CommandTestCase):
    """
    A process with a request in flight.
    """

    def serve(self, *arguments: str) -> tuple[Any, tuple[str, int]]:
        """
        Start it.

        @param arguments: for twistd.
        @return: the process, and where it listens.
        """
        with open(os.path.join(self.directory, "slow.py"), "w") as file:
            file.write(APPLICATION)
        process = self.popen(
            *("-n", *arguments, "h11web", "-p", "0", "--interface", "127.0.0.1"),
            *("--wsgi", "slow:application", "--grace", "20"),
            *("--drain-idle", "15", "--status-listen", "unix:status"),
        )
        assert process.stdout is not None
        url = next(filter(None, map(listening, process.stdout)))
        return process, ("127.0.0.1", int(url.rpartition(":")[2].strip("/")))

    def client(self, where: tuple[str, int], path: bytes) -> socket.socket:
        """
        Begin a request.
        """
        client = socket.create_connection(where, SOON)
        self.addCleanup(client.close)
        client.sendall(GET % path)
        return client

    def wait(self, process: Any, word: str) -> str:
        """
        Wait for a line of the log.
        """
        for line in process.stdout:
            if word in line:
                found: str = line
                return found
        raise self.failureException(f"no {word}")

    def ends(self, *arguments: str, by: tuple[signal.Signals, ...]) -> None:
        """
        The last of some signals ends the process at once, whatever runs; it leaves
        neither its pid file nor a UNIX socket.
        """
        process, where = self.serve(*arguments)
        self.client(where, b"/slow")
        quick = self.client(where, b"/")
        self.assertIn(b" 200 ", quick.recv(1000))
        self.assertIn("twistd.pid", self.files())
        for number in by[:-1]:
            process.send_signal(number)
            self.wait(process, f"Received {number.name}")
        self.assertIsNone(process.poll())
        begun = time.monotonic()
        process.send_signal(by[-1])
        out, err = process.communicate(timeout=SOON)
        self.assertLess(time.monotonic() - begun, 10)
        self.assertEqual((0, ""), (process.returncode, err))
        self.assertIn(f"Ended at once by {by[-1].name}; cut off", out)
        for left in ("twistd.pid", "status", "status.lock"):
            self.assertNotIn(left, self.files())

    def test_twice(self) -> None:
        """
        The second SIGTERM or SIGINT does, in every reactor.
        """
        self.ends("--reactor=epoll", by=(signal.SIGTERM, signal.SIGTERM))

    def test_interrupted(self) -> None:
        """
        So does SIGINT.
        """
        self.ends("--reactor=select", by=(signal.SIGINT, signal.SIGINT))

    def test_quit(self) -> None:
        """
        SIGQUIT does.
        """
        self.ends("--reactor=asyncio", by=(signal.SIGQUIT,))

    def test_report(self) -> None:
        """
        SIGUSR2 has the log say what the server does, and SIGHUP does not end it.  Who
        has an idle connection open when it stops still gets an answer.
        """
        process, where = self.serve("--reactor=asyncio")
        self.client(where, b"/slow")
        idle = self.client(where, b"/")
        self.assertIn(b"ok", idle.recv(1000))
        process.send_signal(signal.SIGHUP)
        self.wait(process, "There are no certificates")
        process.send_signal(signal.SIGUSR2)
        self.wait(process, "2 connections: 1 idle, 1 waiting for a response")
        self.wait(process, "1 requests in flight")
        line = self.wait(process, "GET /slow")
        self.assertRegex(line, r"^\t  \d+\.\d s, 127\.0\.0\.1, waiting")
        process.send_signal(signal.SIGTERM)
        # Then it drains.
        self.wait(process, "Closed)")
        idle.sendall(GET % b"/")
        answer = idle.recv(1000)
        self.assertIn(b"\r\nConnection: close\r\n", answer)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=SOON)
