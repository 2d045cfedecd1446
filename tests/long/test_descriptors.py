"""

skip = unnamed()
Descriptors: as many as there may be, no more connections than there are, and one
line about it.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any
from unittest import mock

from twisted.internet.address import IPv4Address
from twisted.trial.unittest import SkipTest

from tests.support.command_cases import SOON, TWISTD, CommandTestCase
from tests.support.memory import SERVER, MemoryTransport
from tests.support.server_cases import GET, ServerTestCase
from tests.support.socket_cases import certificate
from tests.support.wire import Wire
from twisted_h11._boundary import descriptors as descriptors_module
from twisted_h11._boundary.descriptors import descriptor_limit, raise_descriptor_limit


class Limited:
    """
    As much of the module C{resource} as is asked.
    """

    RLIMIT_NOFILE = resource.RLIMIT_NOFILE
    RLIM_INFINITY = resource.RLIM_INFINITY

    def __init__(self, soft: int, hard: int, refuses: bool = False) -> None:
        self.soft, self.hard, self.refuses = soft, hard, refuses

    def getrlimit(self, which: int) -> tuple[int, int]:
        """
        The two limits.
        """
        assert which == self.RLIMIT_NOFILE
        return self.soft, self.hard

    def setrlimit(self, which: int, limits: tuple[int, int]) -> None:
        """
        Set them.
        """
        assert which == self.RLIMIT_NOFILE
        if self.refuses:
            raise ValueError("current limit exceeds maximum limit")
        self.soft, self.hard = limits


class LimitTests(ServerTestCase):
    """
    The limits of the process, and what a site makes of them.
    """

    def limited(self, *limits: Any) -> Limited:
        """
        Have these limits from now on.
        """
        made = Limited(*limits)
        patch = mock.patch.object(descriptors_module, "resource", made)
        patch.start()
        self.addCleanup(patch.stop)
        return made

    def warnings(self, word: str = "descriptors") -> list[str]:
        """
        What was said about them.
        """
        return [text for text in self.messages() if word in text]

    def test_raised(self) -> None:
        """
        The soft limit becomes the hard one.
        """
        made = self.limited(1024, 5000)
        raise_descriptor_limit()
        self.assertEqual((5000, 5000), (made.soft, made.hard))
        self.assertEqual(5000, descriptor_limit())

    def test_notRaised(self) -> None:
        """
        Where it can not be raised it stays what it is.
        """
        made = self.limited(1024, 5000, True)
        raise_descriptor_limit()
        self.assertEqual(1024, made.soft)

    def test_noLimit(self) -> None:
        """
        There may be no limit, or no such thing as limits.
        """
        self.limited(resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        self.assertIsNone(descriptor_limit())
        with mock.patch.object(descriptors_module, "resource", None):
            raise_descriptor_limit()
            self.assertIsNone(descriptor_limit())
            self.site(start=True)
        self.assertEqual([], self.warnings())

    def test_warned(self) -> None:
        """
        The log warns when C{maxConnections} is more than there are descriptors for.
        """
        self.limited(1024, 1024)
        for most in (10_000, None, 1000):
            self.events.clear()
            self.site(limits={"maxConnections": most}, start=True)
            (text,) = self.warnings()
            self.assertIn(f"maxConnections is {most}", text)
            self.assertIn("no more than 896 connections", text)
            self.assertIn("LimitNOFILE=", text)

    def test_enough(self) -> None:
        """
        It says nothing when there are enough.
        """
        self.limited(20_000, 20_000)
        self.site(start=True)
        self.assertEqual([], self.warnings())

    def connected(self, site: Any, number: int) -> Wire:
        """
        One more connection.
        """
        address = IPv4Address("TCP", "192.0.2.1", number)
        return self.connect(site, MemoryTransport(SERVER, address))

    def test_usedUp(self) -> None:
        """
        When there is none left further connections are closed, which is said once;
        as soon as others have gone newcomers are served.
        """
        self.limited(50, 50)
        site = self.site(limits={"maxConnections": None}, start=True)
        self.events.clear()
        wires = [self.connected(site, number) for number in range(100)]
        self.assertEqual([False] * 26 + [True] * 74, [w.aborted for w in wires])
        (text,) = self.messages()
        self.assertIn("descriptors of this process are used up (50)", text)
        wires[0].vanish()
        self.assertEqual([200], self.connected(site, 1).send(GET).statuses)
        self.assertTrue(self.connected(site, 2).aborted)
        self.assertEqual(1, len(self.messages()))
        for wire in wires:
            wire.vanish()
        again = [self.connected(site, number) for number in range(27)]
        self.assertTrue(again[-1].aborted)
        self.assertEqual(2, len(self.warnings("are used up")))

    def test_moreLater(self) -> None:
        """
        Who is allowed more while it runs takes more.
        """
        made = self.limited(50, 50)
        site = self.site(limits={"maxConnections": None}, start=True)
        for number in range(26):
            self.connected(site, number)
        made.soft = 60
        self.assertEqual([200], self.connected(site, 1).send(GET).statuses)
        self.assertEqual([], self.warnings("used up"))


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
