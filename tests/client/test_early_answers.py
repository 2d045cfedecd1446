"""
A response that has arrived is read, although the rest of the request can not be sent.
"""

from __future__ import annotations

import socket
import struct
from typing import Any

import trustme
from twisted.internet import reactor, tcp, unix
from twisted.internet.defer import inlineCallbacks
from twisted.internet.error import ConnectionAborted
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from twisted.web.client import ResponseFailed

from tests.support.server_cases import FAST_PATH
from tests.support.tls_servers import private_of
from twisted_h11._wire import sockets
from twisted_h11.client import (
    Agent,
    RequestError,
    TLSPolicy,
    UNIXEndpointFactory,
    readBody,
)

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


class EarlyAnswerTests(TestCase):
    """
    On real sockets.
    """

    timeout = 20

    def ways(self, answer: bytes) -> Any:
        """
        Servers that answer, and an agent for each.
        """
        factory = Factory.forProtocol(type("Hasty", (Hasty,), {"answer": answer}))
        factory.noisy = False
        authority = trustme.CA()
        options = private_of(authority.issue_cert("localhost")).options()
        policy = TLSPolicy.trusting(authority.cert_pem.bytes())
        path = self.mktemp()[-90:]
        ports = [
            net.listenTCP(0, factory, interface="127.0.0.1"),
            net.listenSSL(0, factory, options, interface="127.0.0.1"),
            net.listenUNIX(path, factory),
        ]
        for port in ports:
            self.addCleanup(port.stopListening)
        for port, scheme in zip(ports, ("http", "https"), strict=False):
            uri = f"{scheme}://localhost:{port.getHost().port}/"
            yield Agent(net, policy, fastPath=FAST_PATH), uri.encode()
        ways = UNIXEndpointFactory(net, path)
        yield (
            Agent.usingEndpointFactory(net, ways, fastPath=FAST_PATH),
            b"http://localhost/",
        )

    @inlineCallbacks
    def test_read(self) -> Any:
        """
        The whole response is read, on each transport, and a part of one is a failure.
        """
        for answer in (HEAD + BODY, HEAD + BODY[:30_000]):
            for agent, uri in self.ways(answer):
                body = bytes(3_000_000)
                response = yield agent.request(b"POST", uri, None, body)
                self.assertEqual(413, response.code)
                if answer == HEAD + BODY:
                    self.assertEqual(BODY, (yield readBody(response)))
                else:
                    yield self.assertFailure(readBody(response), ResponseFailed)

    @inlineCallbacks
    def test_none(self) -> Any:
        """
        Without a response the request fails.
        """
        for agent, uri in self.ways(b""):
            sent = agent.request(b"POST", uri, None, bytes(3_000_000))
            yield self.assertFailure(sent, RequestError)

    @inlineCallbacks
    def test_bound(self) -> Any:
        """
        A connection that is lost is not read for ever.
        """
        self.patch(sockets, "MOST_READS", 0)
        for agent, uri in self.ways(HEAD + BODY):
            sent = agent.request(b"POST", uri, None, bytes(3_000_000))
            yield self.assertFailure(sent, RequestError)
