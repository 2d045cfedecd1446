"""
Two servers behind HAProxy, with the settings of docs/examples/deployment, of which one
after the other is restarted under load.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest

from tests.support.command_cases import SOON, TWISTD
from tests.support.deployment import SHOP, example, with_
from tests.support.long_cases import TOP, LongTestCase
from tests.support.optional import find_program
from tests.support.ports import free_port

_CONNECTIONS = 64
_RESTARTS = 10

_FORMAT = "{method} {target} {status}"


class Clients(threading.Thread):
    """
    Clients that keep their connections, and send nothing twice.

    @ivar sent: every request that was sent.
    @ivar failures: what went wrong.
    @ivar answered: who has answered how many.
    @ivar closed: how many connections were closed after a response that said so.
    """

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port
        self.over = threading.Event()
        self.sent: list[str] = []
        self.failures: list[str] = []
        self.answered: Counter[int] = Counter()
        self.closed = 0

    def run(self) -> None:
        """
        Ask, until told to end.
        """
        asyncio.run(self._all())

    async def _all(self) -> None:
        await asyncio.gather(*(self._one(number) for number in range(_CONNECTIONS)))

    async def _one(self, name: int) -> None:
        number = 0
        while not self.over.is_set():
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                while not self.over.is_set():
                    number += 1
                    if await self._ask(reader, writer, f"/{name}-{number}", number):
                        self.closed += 1
                        break
            finally:
                writer.close()

    async def _ask(self, reader: Any, writer: Any, target: str, number: int) -> bool:
        """
        Send one request.

        @return: whether the connection ends with its response.
        """
        # What is no GET is never sent twice by a proxy.
        method, body = ("POST", "x" * 1000) if number % 2 else ("GET", "")
        self.sent.append(f"{method} {target}")
        head = f"{method} {target} HTTP/1.1\r\nHost: shop.example\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        try:
            said = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = re.search(r"content-length: (\d+)", said)
            content = (
                await reader.readexactly(int(length[1])) if length else b"no length"
            ).decode()
        except (OSError, asyncio.IncompleteReadError) as error:
            self.failures.append(f"{method} {target}: {error!r}")
            return True
        if not said.startswith("http/1.1 200 ") or target not in content.split():
            self.failures.append(f"{method} {target}: {said} {content}")
        else:
            self.answered[int(content.split()[0])] += 1
        return "connection: close" in said


class RestartTests(LongTestCase):
    """
    Nobody notices.
    """

    def setUp(self) -> None:
        """
        A folder.
        """
        super().setUp()
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        Path(self.folder, "shop.py").write_text(SHOP)
        self.ports = [free_port() for _ in range(2)]
        self.statuses = [free_port() for _ in range(2)]

    def serve(self, number: int) -> subprocess.Popen[bytes]:
        """
        Start one of the servers.
        """
        path = os.path.join(self.folder, f"{number}.toml")
        Path(path).write_text(
            example(
                "h11web.toml",
                ("/var/log/h11web/access", f"{self.folder}/access.{number}"),
                ("tcp:9000", f"tcp:{self.statuses[number]}"),
            )
        )
        process = subprocess.Popen(
            [
                *(*TWISTD, "-n", "--pidfile=", f"--logfile={path}.log", "h11web"),
                *("--config", path, "--log-format", _FORMAT, "--listen"),
                f"tcp:{self.ports[number]}:interface=127.0.0.1",
            ],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": f"{self.folder}:{TOP}"},
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def balance(self) -> int:
        """
        Start HAProxy.

        @return: its port.
        """
        program = find_program("haproxy")
        if program is None:
            raise SkipTest("haproxy is not installed")
        port = free_port()
        text = with_(
            example("haproxy.cfg"),
            ("bind :443 ssl crt /etc/haproxy/shop.example.pem", f"bind :{port}"),
            (" alpn h2,http/1.1", ""),
            ("maxconn 10000", "maxconn 1000"),
            ("check port 9000", "check"),
        )
        for number, (one, status) in enumerate(
            zip(self.ports, self.statuses, strict=True), 11
        ):
            text = with_(
                text, (f"10.0.0.{number}:8080", f"127.0.0.1:{one} port {status}")
            )
        path = os.path.join(self.folder, "haproxy.cfg")
        Path(path).write_text(text)
        process = subprocess.Popen(
            [program, "-db", "-f", path], stderr=subprocess.DEVNULL
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return port

    def until(self, condition: Any, clients: Clients | None = None) -> None:
        """
        Wait until something is so, or a client has failed.
        """
        until = time.monotonic() + SOON
        while not condition() and not (clients and clients.failures):
            self.assertLess(time.monotonic(), until)
            time.sleep(0.02)

    def listens(self, port: int) -> bool:
        """
        Whether something listens there.
        """
        try:
            socket.create_connection(("127.0.0.1", port), SOON).close()
        except ConnectionError:
            return False
        return True

    def test_oneAfterTheOther(self) -> None:
        """
        Each is restarted while 64 clients keep their connections: no request fails, and
        none is answered twice.
        """
        servers = [self.serve(number) for number in range(2)]
        for port in self.ports:
            self.until(lambda port=port: self.listens(port))
        front = self.balance()
        self.until(lambda: self.listens(front))
        clients = Clients(front)
        clients.start()
        began = time.monotonic()
        ended = []
        restarts = 0
        try:
            for turn in range(2 * _RESTARTS):
                for one in servers:
                    self.until(lambda one=one: clients.answered[one.pid], clients)
                if clients.failures:
                    break
                number = turn % 2
                at = time.monotonic()
                servers[number].terminate()
                self.assertEqual(0, servers[number].wait(SOON))
                ended.append(time.monotonic() - at)
                servers[number] = self.serve(number)
                restarts += 1
            for one in servers:
                self.until(lambda one=one: clients.answered[one.pid], clients)
        finally:
            clients.over.set()
            clients.join(SOON)
        for one in servers:
            one.terminate()
            one.wait(SOON)
        seconds = time.monotonic() - began
        logged: Counter[str] = Counter()
        for number in range(2):
            logged.update(
                Path(self.folder, f"access.{number}.log").read_text().splitlines()
            )
        self.say(
            f"{restarts} restarts in {seconds:.0f} s, each ended within "
            f"{max(ended):.1f} s; {len(clients.sent)} requests, "
            f"{len(clients.failures)} failed, {clients.closed} connections ended"
        )
        self.assertEqual([], clients.failures[:5])
        self.assertEqual(2 * _RESTARTS, restarts)
        self.assertEqual(Counter(f"{one} 200" for one in clients.sent), logged)
