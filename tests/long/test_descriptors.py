"""
Processes that have used up their descriptors.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

from twisted.trial.unittest import SkipTest

from tests.support.command_cases import SOON, TWISTD, CommandTestCase
from tests.support.long_cases import unnamed
from tests.support.server_cases import GET
from tests.support.socket_cases import certificate

skip = unnamed()


class ProcessTests(CommandTestCase):
    """
    C{twistd h11web} with few descriptors.
    """

    def serve(self, limits: str, *arguments: str) -> tuple[Any, int]:
        """
        Start it with what C{ulimit} is told.

        @return: the process, and its port.
        """
        if not os.path.exists("/bin/sh"):
            raise SkipTest("there is no shell to set limits with")
        if "--listen" not in arguments:
            arguments = ("-p", "0", "--interface", "127.0.0.1", *arguments)
        command = [*TWISTD, "-n", "h11web"]
        shell = f'{limits}; exec "$@"'
        process = subprocess.Popen(
            ["/bin/sh", "-c", shell, "sh", *command, *arguments],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        assert process.stdout is not None
        self.before = []
        for line in process.stdout:
            self.before.append(line)
            found = re.search(r"Listening on https?://127\.0\.0\.1:(\d+)/", line)
            if found is not None:
                return process, int(found[1])
        raise self.failureException("".join(self.before))

    def waitFor(self, process: Any, words: str) -> None:
        """
        Wait until its log has some words.
        """
        late = threading.Timer(SOON, process.kill)
        late.start()
        try:
            for line in process.stdout:
                self.before.append(line)
                if words in line:
                    return
        finally:
            late.cancel()
            late.join()
        raise self.failureException("".join(self.before))

    def end(self, process: Any) -> str:
        """
        Stop it.

        @return: its log.
        """
        process.send_signal(signal.SIGTERM)
        out: str = process.communicate(timeout=SOON)[0]
        return "".join(self.before) + out

    def ask(self, port: int) -> bytes:
        """
        One request; nothing if there is no answer.
        """
        client = self.client(port)
        try:
            client.sendall(GET)
            return client.recv(12)
        except OSError:
            return b""
        finally:
            client.close()

    def client(self, port: int) -> socket.socket:
        """
        A client, which may have been turned away.
        """
        client = socket.socket()
        client.settimeout(SOON)
        try:
            client.connect(("127.0.0.1", port))
        except ConnectionError:
            pass
        return client

    def test_softIsRaised(self) -> None:
        """
        The server may have as many descriptors as the hard limit allows.
        """
        if not sys.platform.startswith("linux"):
            raise SkipTest("there is no /proc to look into")
        process, _ = self.serve("ulimit -Sn 100; ulimit -Hn 300")
        with open(f"/proc/{process.pid}/limits") as file:
            (line,) = (line for line in file if line.startswith("Max open files"))
        self.assertEqual(["300", "300"], line.split()[3:5])
        self.assertIn("maxConnections is 10000, but", self.end(process))

    def test_recovers(self) -> None:
        """
        A server whose descriptors are used up says so once, and serves newcomers
        as soon as some of its clients have gone.
        """
        process, port = self.serve("ulimit -n 50", "--no-access-log")
        clients = [self.client(port) for _ in range(70)]
        for client in clients:
            self.addCleanup(client.close)
        self.assertEqual(b"", self.ask(port))
        for client in clients:
            client.close()
        # When the server hears that they have gone is its own affair.
        deadline = time.monotonic() + SOON
        while not (answer := self.ask(port)) and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertEqual(b"HTTP/1.1 200", answer)
        log = self.end(process)
        self.assertEqual(1, log.count("are used up"), log)
        self.assertNotIn("EMFILE", log)
        self.assertNotIn("Traceback", log)
        self.assertLess(log.count("\n"), 30, log)

    def test_tls(self) -> None:
        """
        So does one that speaks TLS, with descriptors for all that it accepts at once.
        """
        _, _, path = certificate()
        listen = f"ssl:0:interface=127.0.0.1:privateKey={path}"
        process, port = self.serve("ulimit -n 50", "--listen", listen)
        clients = [self.client(port) for _ in range(70)]
        for client in clients:
            self.addCleanup(client.close)
        # The kernel answers all of them, before the server has looked.
        self.waitFor(process, "are used up")
        for client in clients:
            client.close()
        log = self.end(process)
        self.assertEqual(1, log.count("are used up"), log)
        self.assertNotIn("EMFILE", log)
        self.assertNotIn("Traceback", log)
