"""
The units of docs/examples/deployment: systemd finds nothing wrong with them, and the
server takes the sockets that it is handed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest

from tests.support.command_cases import SOON, TWISTD, CommandTestCase
from tests.support.deployment import example, unit, unit_command
from tests.support.long_cases import unnamed
from tests.support.optional import find_program

skip = unnamed()

HANDING_OVER = """
import os, sys

handed = [int(number) for number in sys.argv[1].split(",")]
for to, number in enumerate(handed, 3):
    # Descriptors that are handed over are the first ones, and stay open.
    os.dup2(number, to)
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = str(len(handed))
os.environ["LISTEN_FDNAMES"] = sys.argv[2]
os.execv(sys.argv[3], sys.argv[3:])
"""
"""
What systemd does between fork and exec.
"""


class UnitTests(CommandTestCase):
    """
    What systemd says of the files.
    """

    def analyze(self, *arguments: str) -> str:
        """
        Run systemd-analyze on the units, with the commands of this machine.

        @return: what it says.
        """
        program = find_program("systemd-analyze")
        if program is None:
            raise SkipTest("systemd is not installed")
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        twistd = os.path.join(folder, "twistd")
        Path(twistd).write_text("#!/bin/sh\n")
        os.chmod(twistd, 0o755)
        Path(folder, "h11web.socket").write_text(example("h11web.socket"))
        Path(folder, "h11web.service").write_text(
            example("h11web.service", ("/srv/shop/venv/bin/twistd", twistd))
        )
        paths = [f"{folder}/{name}" for name in ("h11web.socket", "h11web.service")]
        done = subprocess.run(
            [program, *arguments, *paths],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        said = done.stdout + done.stderr
        self.assertEqual(0, done.returncode, said)
        return said

    def test_verify(self) -> None:
        """
        C{systemd-analyze verify} has nothing to say.
        """
        ours = [
            line for line in self.analyze("verify").splitlines() if "h11web" in line
        ]
        self.assertEqual([], ours)

    def test_stopping(self) -> None:
        """
        systemd waits for longer than the server may take.
        """
        seconds = float(unit("h11web.service")["Service"]["TimeoutStopSec"])
        self.assertGreater(seconds, 30 + 1)


class ActivationTests(CommandTestCase):
    """
    Sockets that somebody else has opened, and keeps.
    """

    def setUp(self) -> None:
        """
        What is started is what the unit says.
        """
        super().setUp()
        python, *run = TWISTD
        self.command = unit_command(self.directory, [python, *run])

    def hand(
        self,
        *sockets: socket.socket,
        names: str,
        listen: str = "",
        more: tuple[str, ...] = (),
    ) -> Any:
        """
        Start the server with sockets, as systemd does.

        @param listen: where it listens, if not as the unit says.
        @param more: further options.
        """
        given = "--listen=systemd:domain=INET:index=0"
        command = list(self.command)
        assert given in command
        if listen:
            at = command.index(given)
            command[at : at + 1] = [f"--listen={one}" for one in listen.split()]
        numbers = [one.fileno() for one in sockets]
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", HANDING_OVER),
                *(",".join(map(str, numbers)), names, *command, *more),
            ],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=numbers,
            text=True,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def tcp(self) -> socket.socket:
        """
        What C{ListenStream=127.0.0.1:PORT} opens.
        """
        made = socket.socket()
        self.addCleanup(made.close)
        made.bind(("127.0.0.1", 0))
        made.listen(100)
        return self.high(made)

    def unix(self) -> tuple[socket.socket, str]:
        """
        What C{ListenStream=/run/h11web.sock} with C{SocketMode=0600} opens.
        """
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "s")
        made = socket.socket(socket.AF_UNIX)
        self.addCleanup(made.close)
        made.bind(path)
        os.chmod(path, 0o600)
        made.listen(100)
        return self.high(made), path

    def high(self, made: socket.socket) -> socket.socket:
        """
        The same under a number that is not in the way of those that are handed over.
        """
        import fcntl

        number = fcntl.fcntl(made.fileno(), fcntl.F_DUPFD, 50)
        made.close()
        high = socket.socket(fileno=number)
        self.addCleanup(high.close)
        return high

    def ask(self, where: Any, path: str = "/x") -> list[str]:
        """
        One request.

        @return: what the application says.
        """
        connection = HTTPConnection("shop.example", timeout=SOON)
        connection.sock = socket.socket(
            socket.AF_UNIX if isinstance(where, str) else socket.AF_INET
        )
        connection.sock.settimeout(SOON)
        connection.sock.connect(where)
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        self.assertEqual(200, response.status)
        said = response.read().decode().split()
        connection.close()
        return said

    def stop(self, process: Any) -> None:
        """
        End it as systemd does.
        """
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=SOON)
        self.assertEqual((0, ""), (process.returncode, out))

    def test_unit(self) -> None:
        """
        The command of the unit serves on the socket; its pid file is there while it
        runs, and its logs are where they should be.
        """
        made = self.tcp()
        process = self.hand(made, names="h11web.socket")
        pid, *said = self.ask(made.getsockname())
        self.assertEqual(["127.0.0.1", "http", "shop.example", "/x", "0"], said)
        self.assertEqual(str(process.pid), pid)
        self.assertEqual(pid, self.read("run/h11web.pid").strip())
        self.stop(process)
        self.assertEqual([], os.listdir(f"{self.directory}/run"))
        self.assertIn('"GET /x HTTP/1.1" 200', self.read("log/access.log"))
        self.assertIn("Server Shut Down", self.read("log/h11web.log"))

    def notifications(self) -> socket.socket:
        """
        Where systemd is told; from now on servers know it.
        """
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(told.close)
        told.settimeout(SOON)
        told.bind(f"{folder}/notify")
        self.environment["NOTIFY_SOCKET"] = f"{folder}/notify"
        seconds = unit("h11web.service")["Service"]["WatchdogSec"]
        self.environment["WATCHDOG_USEC"] = f"{seconds}000000"
        return told

    def told(self, notified: socket.socket, *lines: str) -> None:
        """
        See that systemd is told these, and nothing else but that the server lives.
        """
        for wanted in lines:
            while (line := notified.recv(1000).decode().strip()) != wanted:
                self.assertEqual("WATCHDOG=1", line)

    def test_notify(self) -> None:
        """
        systemd is told when the server serves, that it lives, and when it stops, with
        workers, too.
        """
        self.assertEqual("notify", unit("h11web.service")["Service"]["Type"])
        notified = self.notifications()
        made = self.tcp()
        for workers in ((), ("--workers", "2")):
            process = self.hand(made, names="h11web.socket", more=workers)
            self.told(notified, "READY=1", "WATCHDOG=1")
            pids = {self.ask(made.getsockname())[0] for _ in range(10)}
            self.assertEqual(workers == (), str(process.pid) in pids)
            process.send_signal(signal.SIGTERM)
            self.told(notified, "STOPPING=1")
            self.assertEqual(0, process.wait(SOON))
            notified.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    notified.recv(1000)
            notified.settimeout(SOON)

    def restarted(self, made: socket.socket, **settings: Any) -> None:
        """
        Who comes while no server is there waits for the next one, as many as the
        queue of the socket takes.
        """
        where = made.getsockname()
        process = self.hand(made, **settings)
        pids = {self.ask(where)[0]}
        self.stop(process)
        waiting = [socket.socket(made.family) for _ in range(60)]
        for one in waiting:
            self.addCleanup(one.close)
            one.settimeout(SOON)
            one.connect(where)
            one.sendall(b"GET /waits HTTP/1.1\r\nHost: a\r\n\r\n")
        process = self.hand(made, **settings)
        for one in waiting:
            self.assertTrue(one.recv(65536).startswith(b"HTTP/1.1 200 "))
        pids.add(self.ask(where)[0])
        for one in waiting:
            one.close()
        self.stop(process)
        self.assertEqual(2, len(pids))

    def test_restart(self) -> None:
        """
        The socket outlives the server.
        """
        self.restarted(self.tcp(), names="h11web.socket")

    def test_restartUNIX(self) -> None:
        """
        So does a UNIX socket: its path stays, with its mode.
        """
        made, path = self.unix()
        self.restarted(
            made, names="h11web.socket", listen="systemd:domain=UNIX:index=0"
        )
        self.assertEqual(0o600, os.stat(path).st_mode & 0o777)

    def test_workers(self) -> None:
        """
        And both do with several workers.
        """
        self.environment["H11WEB_WORKERS"] = "2"
        self.restarted(self.tcp(), names="h11web.socket")
        made, path = self.unix()
        self.restarted(
            made, names="h11web.socket", listen="systemd:domain=UNIX:index=0"
        )
        self.assertEqual(0o600, os.stat(path).st_mode & 0o777)

    def test_wrong(self) -> None:
        """
        A socket of another kind than the option says is one line.
        """
        datagrams = socket.socket(type=socket.SOCK_DGRAM)
        self.addCleanup(datagrams.close)
        datagrams.bind(("127.0.0.1", 0))
        begin = "twistd h11web: can not listen on systemd:domain="
        handed = "the socket that was handed over"
        for made, domain, problem in (
            (self.tcp(), "INET6", f"{handed} is of the domain INET, not INET6"),
            (self.unix()[0], "INET", f"{handed} is of the domain UNIX, not INET"),
            (self.high(datagrams), "INET", f"{handed} does not listen for connections"),
        ):
            process = self.hand(
                *(made,), names="x", listen=f"systemd:domain={domain}:index=0"
            )
            out, _ = process.communicate(timeout=SOON)
            self.assertEqual(1, process.returncode)
            self.assertEqual(1, out.count("\n"), out)
            self.assertTrue(out.startswith(f"{begin}{domain}:index=0: {problem}"), out)

    def test_names(self) -> None:
        """
        Several sockets are told apart by C{FileDescriptorName=}.
        """
        one, (two, path) = self.tcp(), self.unix()
        process = self.hand(
            *(one, two),
            names="web:local",
            listen="systemd:domain=UNIX:name=local systemd:domain=INET:name=web",
        )
        self.assertIn("/y", self.ask(path, "/y"))
        self.assertIn("/z", self.ask(one.getsockname(), "/z"))
        self.stop(process)

    def test_unserved(self) -> None:
        """
        The log says, once, which of them nothing listens on, with workers, too.
        """
        one, two = self.tcp(), self.tcp()
        for workers in ((), ("--workers", "2")):
            process = self.hand(one, two, names="web:other", more=workers)
            self.ask(one.getsockname())
            self.stop(process)
            lines = self.read("log/h11web.log").splitlines()
            said = [line for line in lines if "No endpoint listens" in line]
            self.assertEqual(1, len(said), said)
            self.assertIn(f"port {two.getsockname()[1]} of 127.0.0.1", said[0])
            self.assertIn("(descriptor 4, other)", said[0])
            os.unlink(f"{self.directory}/log/h11web.log")
