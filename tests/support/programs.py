"""
Real programs as peers: curl, nginx, HAProxy, and a site for them to talk to.
"""

from __future__ import annotations

import os
import signal
import socket
import tempfile
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import SkipTest

from tests.support.optional import find_program
from tests.support.socket_cases import SocketTestCase, TCPBackend

__all__ = ["ProgramTestCase", "Programs", "nginx_conf"]

_NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
access_log off;
client_body_temp_path {folder}/body;
proxy_temp_path {folder}/proxy;
fastcgi_temp_path {folder}/fastcgi;
uwsgi_temp_path {folder}/uwsgi;
scgi_temp_path {folder}/scgi;
{http}
}}
"""


def nginx_conf(folder: str, http: str) -> str:
    """
    A configuration of nginx that stays in the foreground, and in its folder.

    @param http: what stands in its block C{http}.
    """
    return _NGINX.format(folder=folder, http=http)


net: Any = reactor


class _Run(ProcessProtocol):
    """
    One run of a program.
    """

    def __init__(self) -> None:
        self.output = b""
        self.errors = b""
        self.ended: Deferred[int] = Deferred()
        self.running = True

    def outReceived(self, data: bytes) -> None:
        """
        Keep it.
        """
        self.output += data

    def errReceived(self, data: bytes) -> None:
        """
        Keep it.
        """
        self.errors += data

    def processEnded(self, reason: Any) -> None:
        """
        Tell the exit status.
        """
        self.running = False
        self.ended.callback(reason.value.exitCode)


class Programs(SocketTestCase):
    """
    Runs programs, and ends those that it started.
    """

    timeout = 60

    def setUp(self) -> None:
        """
        A folder for configuration.
        """
        super().setUp()
        self.folder = tempfile.mkdtemp()
        self.folders.append(self.folder)
        self.running: list[tuple[Any, _Run]] = []
        self.addCleanup(lambda: Deferred.fromCoroutine(self.endAll()))

    def program(self, name: str) -> str:
        """
        The path of a program.

        @raise SkipTest: if it is not installed.
        """
        path = find_program(name)
        if path is None:
            raise SkipTest(f"{name} is not installed")
        return path

    def start(self, *command: str, stdin: bytes = b"") -> _Run:
        """
        Start a program.
        """
        run = _Run()
        environment = {**os.environ, "http_proxy": "", "no_proxy": "*"}
        process = net.spawnProcess(run, command[0], command, env=environment)
        if stdin:
            process.write(stdin)
        process.closeStdin()
        self.running.append((process, run))
        return run

    async def run_(self, *command: str, stdin: bytes = b"") -> _Run:
        """
        Run a program to its end.
        """
        run = self.start(*command, stdin=stdin)
        self.status = await run.ended
        return run

    async def curl(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """
        What curl prints; it must succeed.
        """
        run = await self.run_(
            self.program("curl"), "-sS", "--max-time", "45", *arguments, stdin=stdin
        )
        self.assertEqual(0, self.status, run.errors)
        return run.output

    async def listening(self, port: int, run: _Run) -> None:
        """
        Wait until a program that was started listens.
        """
        for _ in range(2000):
            if not run.running:
                self.fail(f"it ended: {run.errors!r} {run.output!r}")
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                await deferLater(net, 0.005)
            else:
                return
        self.fail(f"it does not listen: {run.errors!r}")

    def write(self, name: str, text: str) -> str:
        """
        Write a file of configuration.

        @return: its path.
        """
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    async def endAll(self) -> None:
        """
        End what is still running.
        """
        for process, run in self.running:
            if run.running:
                process.signalProcess(signal.SIGTERM)
                killer = net.callLater(3, process.signalProcess, signal.SIGKILL)
                await run.ended
                if killer.active():
                    killer.cancel()


class ProgramTestCase(Programs, TCPBackend):
    """
    With a site over TCP.
    """
