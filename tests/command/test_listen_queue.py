"""
How many connections wait for C{twistd h11web} to accept them.
"""

from __future__ import annotations

import os
import socket
import tempfile
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactor
from twisted.trial.unittest import TestCase

from twisted_h11._command.endpoints import parse_endpoint

net: Any = reactor


class ListenQueueTests(TestCase):
    """
    The backlog of endpoint descriptions.
    """

    async def test_unix(self) -> None:
        """
        A UNIX socket takes 200 connections that come within one turn of the reactor.
        """
        folder = tempfile.mkdtemp()
        self.addCleanup(os.rmdir, folder)
        path = os.path.join(folder, "s")
        endpoint = parse_endpoint(net, f"unix:{path}")
        port: Any = await endpoint.listen(Factory.forProtocol(Protocol))
        self.addCleanup(port.stopListening)
        for _ in range(200):
            client = socket.socket(socket.AF_UNIX)
            self.addCleanup(client.close)
            client.setblocking(False)
            client.connect(path)

    def backlog(self, description: str) -> int:
        """
        The backlog with which a description listens.
        """
        memory: Any = MemoryReactor()
        listening: Deferred[Any] = parse_endpoint(memory, description).listen(Factory())
        self.successResultOf(listening)
        (call,) = memory.tcpServers or memory.unixServers
        backlog: int = call[2]
        return backlog

    def test_standard(self) -> None:
        """
        Whatever listens has a queue of 2048.
        """
        for description in (
            *("tcp:80", "tcp:80:interface=127.0.0.1", "tcp:80:127.0.0.1"),
            *("tcp6:80", "tcp6:80:interface=\\:\\:1"),
            *("unix:/run/s", "unix:/run/s:mode=660", "unix:/run/s:660"),
            *("unix:/run/a\\:b", "haproxy:tcp:80"),
        ):
            self.assertEqual(2048, self.backlog(description), description)

    def test_described(self) -> None:
        """
        What the description says holds, with a name or by its position.
        """
        for description in (
            *("tcp:80:backlog=7", "tcp:80:127.0.0.1:7", "tcp6:80:7"),
            *("tcp6:80:backlog=7:interface=\\:\\:1", "unix:/run/s:660:7"),
            "haproxy:tcp:80:backlog=7",
        ):
            self.assertEqual(7, self.backlog(description), description)
