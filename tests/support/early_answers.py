"""
Servers that answer before they have read a request, and reset the connection.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Any

import trustme
from twisted.internet import reactor, tcp, unix
from twisted.internet.error import ConnectionAborted
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from tests.support.tls_servers import private_of

__all__ = ["BODY", "HEAD", "Hasty", "hasty_servers"]

net: Any = reactor

HEAD = b"HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 40000\r\n\r\n"
BODY = bytes(40_000)


class Hasty(Protocol):
    """
    Answers at the first byte, and resets the connection before the client has read
    that; the client finds out when it writes.
    """

    answer = b""
    isAsked = False

    def dataReceived(self, data: bytes) -> None:
        if not self.isAsked:
            self.isAsked = True
            net.callLater(0, self.reset)

    def reset(self) -> None:
        """
        Do all that between two turns of the reactor.
        """
        lowest: Any = self.transport
        data = self.answer
        if data:
            if hasattr(lowest, "wrappedProtocol"):
                # TLS would write at the end of the turn.
                tls, lowest = lowest.getHandle(), lowest.transport
                while data:
                    data = data[tls.send(data) :]
                data = tls.bio_read(100_000)
            if lowest.getHandle().family != socket.AF_UNIX:
                # Or the kernel would wait for an acknowledgement of TLS's tickets, and
                # drop the answer with the reset.
                lowest.setTcpNoDelay(True)
            lowest.write(data)
            lowest.doWrite()
        while hasattr(lowest, "wrappedProtocol"):
            lowest = lowest.transport
        if isinstance(lowest, tcp.Connection):
            at_once = struct.pack("ii", 1, 0)
            lowest.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        lowest.connectionLost(Failure(ConnectionAborted()))
        kinds = (tcp.Client, unix.Client)
        (client,) = (each for each in net.getReaders() if isinstance(each, kinds))
        # As the reactor does it.
        why = client.doWrite()
        assert isinstance(why, Exception)
        client.connectionLost(Failure(why))


def hasty_servers(case: TestCase, answer: bytes) -> Iterator[tuple[Any, bytes]]:
    """
    A server on TCP, one on TLS, and one on a UNIX socket, until the test ends.

    @return: the port of each, and the certificate that TLS's clients trust.
    """
    factory = Factory.forProtocol(type("Hasty", (Hasty,), {"answer": answer}))
    factory.noisy = False
    authority = trustme.CA()
    trusted = authority.cert_pem.bytes()
    options = private_of(authority.issue_cert("localhost")).options()
    path = case.mktemp()[-90:]
    ports = [
        net.listenTCP(0, factory, interface="127.0.0.1"),
        net.listenSSL(0, factory, options, interface="127.0.0.1"),
        net.listenUNIX(path, factory),
    ]
    for port in ports:
        case.addCleanup(port.stopListening)
    yield from ((port, trusted) for port in ports)
