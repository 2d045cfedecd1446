"""
What has not left is sent again, whatever its method; what has left, in part, is not.
"""

from __future__ import annotations

import socket
from typing import Any

import trustme
from twisted.internet import reactor, tcp, unix
from twisted.internet.defer import CancelledError, inlineCallbacks
from twisted.internet.error import ConnectionAborted
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from twisted.web.client import RequestTransmissionFailed, ResponseNeverReceived

from tests.support.producers import OK, Producer
from tests.support.sends import CountedSocket
from tests.support.server_cases import FAST_PATH
from tests.support.tls_servers import private_of, stop
from twisted_h11.client import (
    Agent,
    HTTPConnectionPool,
    TLSPolicy,
    UNIXEndpointFactory,
    readBody,
)

net: Any = reactor


class Server(Protocol):
    """
    Answers each request, as far as it comes in one segment.
    """

    factory: Any

    def connectionMade(self) -> None:
        self.factory.connections.append(self)

    def dataReceived(self, data: bytes) -> None:
        self.factory.received.append((self.factory.connections.index(self), data))
        if self.factory.resets:
            self.transport.abortConnection()  # type: ignore[union-attr]
        elif b"\r\n\r\n" in data:
            assert self.transport is not None
            self.transport.write(OK)

    def connectionLost(self, reason: Any = connectionDone) -> None:
        self.factory.connections[self.factory.connections.index(self)] = None

    @property
    def lowest(self) -> Any:
        """
        The transport below TLS.
        """
        transport: Any = self.transport
        while hasattr(transport, "wrappedProtocol"):
            transport = transport.transport
        return transport

    @property
    def socket(self) -> Any:
        """
        What the kernel has of it.
        """
        return self.lowest.getHandle()

    def finish(self) -> None:
        """
        Close the sending side, now.
        """
        self.socket.shutdown(socket.SHUT_WR)

    def notify(self) -> None:
        """
        End TLS, now, and close.
        """
        tls: Any = self.transport
        connection = tls.getHandle()
        connection.shutdown()
        self.socket.send(connection.bio_read(4096))
        self.finish()

    def reset(self) -> None:
        """
        Reset the connection, now.
        """
        self.lowest.connectionLost(Failure(ConnectionAborted()))

    def answer(self) -> None:
        """
        Send a time-out's answer, that nobody has asked for, now.
        """
        self.socket.send(b"HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n")


class UnsentTests(TestCase):
    """
    On real sockets, closed by the server between two turns of the reactor.
    """

    timeout = 20

    def serve(self, listen: Any, *arguments: Any) -> Any:
        """
        Listen.
        """
        factory: Any = Factory.forProtocol(Server)
        factory.noisy = False
        factory.connections = []
        factory.received = []
        factory.resets = False
        port = listen(*arguments[:1], factory, *arguments[1:])
        self.addCleanup(stop, port, factory)
        factory.port = port.getHost()
        return factory

    def tcp(self) -> Any:
        """
        An agent and its server, on TCP.
        """
        factory = self.serve(lambda n, f: net.listenTCP(n, f, interface="127.0.0.1"), 0)
        pool = HTTPConnectionPool(net)
        agent = Agent(net, pool=pool, fastPath=FAST_PATH)
        return factory, agent, f"http://127.0.0.1:{factory.port.port}/".encode()

    def unix(self) -> Any:
        """
        On a UNIX socket.
        """
        path = self.mktemp()[-90:]
        factory = self.serve(net.listenUNIX, path)
        agent = Agent.usingEndpointFactory(
            net,
            UNIXEndpointFactory(net, path),
            pool=HTTPConnectionPool(net),
            fastPath=FAST_PATH,
        )
        return factory, agent, b"http://a/"

    def tls(self) -> Any:
        """
        On TLS.
        """
        authority = trustme.CA()
        leaf = private_of(authority.issue_cert("127.0.0.1"))
        factory = self.serve(
            lambda n, f, o: net.listenSSL(n, f, o, interface="127.0.0.1"),
            0,
            leaf.options(),
        )
        policy = TLSPolicy.trusting(authority.cert_pem.bytes())
        pool = HTTPConnectionPool(net)
        agent = Agent(net, policy, pool=pool, fastPath=FAST_PATH)
        return factory, agent, f"https://127.0.0.1:{factory.port.port}/".encode()

    @inlineCallbacks
    def attempt(
        self, kind: Any, happens: str, body: Any = b"x", method: bytes = b"POST"
    ) -> Any:
        """
        Use a connection, send a request on it, and let something happen before
        the reactor's next turn.
        """
        factory, agent, uri = kind()
        self.addCleanup(agent.pool.close)
        response = yield agent.request(b"GET", uri)
        yield readBody(response)
        self.assertEqual(1, agent.pool.counts().idle)
        if happens == "notify":
            # The reactor looks at its sockets next; else TLS writes first, and what
            # it has written leaves before the connection is closed.
            yield deferLater(net, 0)
        deferred = agent.request(method, uri, None, body)
        self.assertEqual(1, agent.pool.counts().busy)
        getattr(factory.connections[0], happens)()
        return deferred, factory, agent

    def client(self) -> Any:
        """
        The client's transport, the only one.
        """
        kinds = (tcp.Client, unix.Client)
        [transport] = [each for each in net.getReaders() if isinstance(each, kinds)]
        return transport

    @inlineCallbacks
    def test_endOfTurn(self) -> Any:
        """
        A request that may be sent again leaves in one call of the kernel at the end of
        the turn of the reactor, any other one later.  Of one that is given up before
        that nothing leaves.
        """
        for kind in (self.tcp, self.unix):
            for method in (b"GET", b"POST"):
                _, agent, uri = kind()
                self.addCleanup(agent.pool.close)
                yield readBody((yield agent.request(method, uri, None, b"x")))
                transport = self.client()
                client: Any = CountedSocket(transport.socket)
                transport.socket = client
                deferred = agent.request(method, uri, None, b"x")
                self.assertEqual([], client.sent)
                yield deferLater(net, 0)
                if method == b"GET":
                    self.assertEqual(1, len(client.sent))
                yield readBody((yield deferred))
                self.assertEqual(1, len(client.sent))
                deferred = agent.request(method, uri, None, b"x")
                deferred.cancel()
                yield self.assertFailure(
                    deferred, CancelledError, ResponseNeverReceived
                )
                self.assertEqual(1, len(client.sent))
                yield agent.pool.close()

    @inlineCallbacks
    def test_answeredBefore(self) -> Any:
        """
        What arrives before the end of the turn is no answer to a request that leaves
        then: that goes to another connection.
        """
        for kind in (self.tcp, self.unix):
            factory, agent, uri = kind()
            self.addCleanup(agent.pool.close)
            yield readBody((yield agent.request(b"GET", uri)))
            deferred = agent.request(b"GET", uri)
            self.client().protocol.dataReceived(OK.replace(b"200", b"201"))
            response = yield deferred
            self.assertEqual(200, response.code)
            yield readBody(response)
            self.assertEqual(2, len(factory.connections))
            yield agent.pool.close()

    @inlineCallbacks
    def test_cancelled(self) -> Any:
        """
        One that is cancelled while TLS keeps it is not looked after any longer; a long
        one never is, because TLS does not keep it.
        """

        def watched() -> bool:
            return any("TLSPassage" in str(call) for call in net.getDelayedCalls())

        for length, kept in ((1, True), (65_000, False)):
            _, agent, uri = self.tls()
            self.addCleanup(agent.pool.close)
            yield readBody((yield agent.request(b"GET", uri)))
            deferred = agent.request(b"POST", uri, None, b"x" * length)
            self.assertEqual(kept, watched())
            deferred.cancel()
            self.assertFalse(watched())
            yield self.assertFailure(deferred, ResponseNeverReceived)

    @inlineCallbacks
    def test_again(self) -> Any:
        """
        A request of any method, whose connection ends before any of it has left,
        is sent again, once; so is one for which an answer came first.
        """
        for kind in (self.tcp, self.unix, self.tls):
            for happens in ("finish", "answer", "notify"):
                for body in (None, b"x", b"x" * 65_000, b"x" * 200_000):
                    if happens == "notify" and kind != self.tls:
                        continue
                    # A long one is not kept by TLS until the end of the turn.
                    most = 65_000 if happens == "finish" else 9
                    if kind == self.tls and (
                        happens == "answer" or len(body or b"") > most
                    ):
                        continue
                    deferred, factory, _ = yield self.attempt(kind, happens, body)
                    response = yield deferred
                    self.assertEqual(200, response.code)
                    self.assertEqual({0, 1}, {place for place, _ in factory.received})
                    first = [data for place, data in factory.received if not place]
                    self.assertEqual(1, len(first), "it had left")

    @inlineCallbacks
    def test_reset(self) -> Any:
        """
        So it is when the connection is reset.
        """
        deferred, factory, _ = yield self.attempt(self.tcp, "reset")
        response = yield deferred
        self.assertEqual(200, response.code)
        self.assertEqual(2, len(factory.connections))

    @inlineCallbacks
    def test_left(self) -> Any:
        """
        What the kernel has taken, be it a part, is not sent again.
        """
        for kind in (self.tcp, self.unix, self.tls):
            for body in (b"x", b"x" * 5_000_000):
                factory, agent, uri = kind()
                self.addCleanup(agent.pool.close)
                response = yield agent.request(b"GET", uri)
                yield readBody(response)
                factory.resets = True
                deferred = agent.request(b"POST", uri, None, body)
                yield self.assertFailure(
                    deferred, ResponseNeverReceived, RequestTransmissionFailed
                )
                self.assertEqual(1, len(factory.connections))

    @inlineCallbacks
    def test_chunked(self) -> Any:
        """
        Of a body in chunks nobody knows whether it has left.
        """
        factory, agent, uri = self.tcp()
        self.addCleanup(agent.pool.close)
        yield readBody((yield agent.request(b"GET", uri)))
        fields = [(b"Transfer-Encoding", b"chunked")]
        deferred = agent.request(b"POST", uri, fields, b"x")
        factory.connections[0].finish()
        yield self.assertFailure(deferred, ResponseNeverReceived)
        self.assertEqual(1, len(factory.connections))

    @inlineCallbacks
    def test_producer(self) -> Any:
        """
        A producer that was started can not be started again.
        """
        deferred, factory, _ = yield self.attempt(self.tcp, "finish", Producer())
        yield self.assertFailure(deferred, RequestTransmissionFailed)
        self.assertEqual(1, len(factory.connections))

    @inlineCallbacks
    def test_waitingProducer(self) -> Any:
        """
        One that has not been started, waiting for a 100, can.
        """
        factory, agent, uri = self.tcp()
        self.addCleanup(agent.pool.close)
        response = yield agent.request(b"GET", uri)
        yield readBody(response)
        producer = Producer(0)
        fields = [(b"Expect", b"100-continue")]
        deferred = agent.request(b"POST", uri, fields, producer)
        factory.connections[0].finish()
        response = yield deferred
        self.assertEqual(200, response.code)
        self.assertEqual(2, len(factory.connections))
