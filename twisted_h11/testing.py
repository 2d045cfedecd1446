"""
Both ends in memory, for the tests of programs: no sockets, no waiting.

L{MemoryAgent} is an agent whose requests go to a resource::

    class GreetingTests(SynchronousTestCase):
        def test_greeting(self):
            agent = MemoryAgent(Greeting())
            response = self.successResultOf(
                agent.request(b"GET", b"http://example.com/?name=World"))
            body = self.successResultOf(readBody(response))
            self.assertEqual(b"Hello, World", body)

The request is written, parsed, answered and parsed again by the code that does
it on a network; only the network is missing.  Time stands still until
C{agent.clock} is advanced.  treq works on it, see L{MemoryAgent}.

L{MemorySite} is the server alone: the test sends bytes and gets bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import (
    IConsumer,
    IPushProducer,
    ISSLTransport,
    IStreamClientEndpoint,
    ITransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.client import URI
from twisted.web.iweb import IAgent, IAgentEndpointFactory
from twisted.web.resource import IResource
from zope.interface import implementer

from twisted_h11._checks import BOOL, REACTOR, checked, instance, optional, wrong
from twisted_h11.client import Agent, ClientSettings, HTTPConnectionPool
from twisted_h11.server import Site

__all__ = ["MemoryAgent", "MemoryConnection", "MemorySite"]

CLIENT = IPv4Address("TCP", "127.0.0.1", 50000)
SERVER = IPv4Address("TCP", "127.0.0.1", 80)

# How much one side may write before it is told to pause.
BUFFER_LENGTH = 64 * 1024


@implementer(ITransport, IConsumer, IPushProducer)
class _End:
    """
    One end of a link: the transport of one protocol.
    """

    def __init__(self, link: _Link, host: IPv4Address, peer: IPv4Address) -> None:
        self.link = link
        self.protocol: Any = None
        self.outgoing: list[bytes] = []
        self.length = 0
        self.paused = False
        self.disconnecting = False
        self.producer: Any = None
        self.streaming = False
        self.producerPaused = False
        self._host = host
        self._peer = peer

    def write(self, data: bytes) -> None:
        if self.disconnecting or self.link.closed or not data:
            return
        self.outgoing.append(data)
        self.length += len(data)
        if (
            self.length > BUFFER_LENGTH
            and self.streaming
            and self.producer is not None
            and not self.producerPaused
        ):
            self.producerPaused = True
            self.producer.pauseProducing()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def take(self) -> bytes:
        """
        What was written, taken off.
        """
        data = b"".join(self.outgoing)
        self.outgoing.clear()
        self.length = 0
        return data

    def refill(self) -> bool:
        """
        Ask the producer for more, when all is gone.
        """
        producer = self.producer
        if producer is None or self.outgoing:
            return False
        if not self.streaming:
            producer.resumeProducing()
            return True
        if self.producerPaused:
            self.producerPaused = False
            producer.resumeProducing()
            return True
        return False

    def loseConnection(self) -> None:
        self.disconnecting = True

    def abortConnection(self) -> None:
        self.disconnecting = True
        self.take()
        self.link.aborted = True

    def getHost(self) -> IPv4Address:
        return self._host

    def getPeer(self) -> IPv4Address:
        return self._peer

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if self.producer is not None:
            raise RuntimeError("a producer is registered already")
        self.producer = producer
        self.streaming = streaming
        self.producerPaused = False

    def unregisterProducer(self) -> None:
        self.producer = None

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def stopProducing(self) -> None:
        self.loseConnection()


@implementer(ISSLTransport)
class _SecureEnd(_End):
    """
    An end that claims to be encrypted.  To Twisted that is a TCP transport.
    """

    noDelay = False
    keepAlive = False

    def getPeerCertificate(self) -> None:
        return None

    def getTcpNoDelay(self) -> bool:
        return self.noDelay

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.noDelay = enabled

    def getTcpKeepAlive(self) -> bool:
        return self.keepAlive

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self.keepAlive = enabled

    def loseWriteConnection(self) -> None:
        raise NotImplementedError("TLS has no half-close")


class _Link:
    """
    A connection between two protocols.
    """

    def __init__(self, client: Any, server: Any, secure: bool) -> None:
        self.closed = False
        self.aborted = False
        make = _SecureEnd if secure else _End
        self.client = make(self, CLIENT, SERVER)
        self.server = make(self, SERVER, CLIENT)
        self.client.protocol = client
        self.server.protocol = server
        server.makeConnection(self.server)
        client.makeConnection(self.client)

    def pump(self) -> bool:
        """
        Move what can be moved.

        @return: whether anything was.
        """
        moved = False
        for end, other in (
            (self.client, self.server),
            (self.server, self.client),
        ):
            if self.closed:
                return moved
            if end.outgoing and not other.paused and not other.disconnecting:
                other.protocol.dataReceived(end.take())
                moved = True
            elif end.outgoing and other.disconnecting:
                end.take()
            if end.refill():
                moved = True
        if self.aborted:
            self.close(ConnectionAborted())
            return True
        for end in (self.client, self.server):
            if end.disconnecting and not end.outgoing and end.producer is None:
                self.close(ConnectionDone())
                return True
        return moved

    def close(self, error: Exception) -> None:
        """
        The connection is gone, for both.
        """
        if self.closed:
            return
        self.closed = True
        for end in (self.client, self.server):
            producer, end.producer = end.producer, None
            if producer is not None:
                producer.stopProducing()
            end.protocol.connectionLost(Failure(error))


class MemorySite:
    """
    A site without a port.

    @param resource: the root of the site, or a factory such as a
        L{Site<twisted_h11.server.Site>}.
    @param clock: the time; a new L{Clock} if it is not given.
    @param options: more arguments for L{Site<twisted_h11.server.Site>}.

    @ivar site: the factory.
    @ivar clock: its time.

    @since: 0.1
    """

    @checked(clock=optional(REACTOR))
    def __init__(
        self, resource: Any, clock: Clock | None = None, **options: Any
    ) -> None:
        self.clock = Clock() if clock is None else clock
        if IResource.providedBy(resource):
            options.setdefault("reactor", self.clock)
            self.site: Any = Site(resource, **options)
        elif not hasattr(resource, "buildProtocol"):
            raise wrong("resource", "a resource or a factory", resource)
        elif options.keys() - {"fastPath"}:
            names = ", ".join(sorted(options))
            raise TypeError(f"{names}: a site that is made already takes no options")
        else:
            self.site = resource
        self._links: list[_Link] = []

    def connect(self, secure: bool = False) -> MemoryConnection:
        """
        Open a connection, to send bytes and to receive some.

        @param secure: whether the server believes that it is encrypted.
        """
        connection = MemoryConnection(self)
        self._open(connection, secure)
        return connection

    def _open(self, client: Any, secure: bool) -> None:
        server = self.site.buildProtocol(CLIENT)
        self._links.append(_Link(client, server, secure))

    def flush(self) -> None:
        """
        Deliver all that was written, until both sides are quiet.  Time does
        not pass.
        """
        moved = True
        while moved:
            moved = False
            for link in list(self._links):
                if link.pump():
                    moved = True
            self._links = [link for link in self._links if not link.closed]
            # What is due now, a turn of the reactor later.
            due = [
                call
                for call in self.clock.getDelayedCalls()
                if call.getTime() <= self.clock.seconds()
            ]
            if due:
                self.clock.advance(0)
                moved = True

    def close(self) -> None:
        """
        Drop all connections.
        """
        for link in self._links:
            link.close(ConnectionDone())
        self._links.clear()


class MemoryConnection(Protocol):
    """
    The client's end of a connection to a L{MemorySite}.

    @ivar received: all bytes that the server has sent.
    @ivar closed: whether the connection has ended.

    @since: 0.1
    """

    def __init__(self, site: MemorySite) -> None:
        self._site = site
        self.received = b""
        self.closed = False

    def send(self, *pieces: bytes) -> bytes:
        """
        Send C{pieces}, each as a segment of its own.

        @return: what the server has sent since then.
        """
        before = len(self.received)
        for piece in pieces:
            assert self.transport is not None
            self.transport.write(piece)
            self._site.flush()
        return self.received[before:]

    def close(self) -> None:
        """
        Close the connection.
        """
        assert self.transport is not None
        self.transport.loseConnection()
        self._site.flush()

    def dataReceived(self, data: bytes) -> None:
        """
        Keep what the server sends.
        """
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Note the end.
        """
        self.closed = True


@implementer(IStreamClientEndpoint, IAgentEndpointFactory)
class _Network:
    """
    Connects an agent to a site, whatever the URI says.
    """

    def __init__(self, site: MemorySite, secure: bool = False) -> None:
        self._site = site
        self._secure = secure

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        return _Network(self._site, uri.scheme in (b"https", b"wss"))

    def connect(self, factory: Any) -> Deferred[Any]:
        protocol = factory.buildProtocol(SERVER)
        self._site._open(protocol, self._secure)
        return succeed(protocol)


@implementer(IAgent)
class MemoryAgent:
    """
    An agent whose requests all go to one resource, without a network.

    What can be answered at once is answered when C{request} returns.  A
    resource that answers later needs L{flush} after it has answered; one that
    waits for time to pass needs C{clock.advance}, and then L{flush}.

    @param resource: the root of the site, or a factory.
    @param clock: the time of both ends; a new L{Clock} if it is not given.
    @param settings: a L{ClientSettings}.
    @param fastPath: whether common messages may pass without the state
        machine of h11, at either end.
    @param options: more arguments for L{Site<twisted_h11.server.Site>}.

    @ivar site: the L{MemorySite}.
    @ivar clock: the time.
    @ivar pool: the pool of connections, which persist.

    @since: 0.1
    """

    @checked(
        clock=optional(REACTOR),
        settings=optional(instance("ClientSettings", ClientSettings)),
        fastPath=BOOL,
    )
    def __init__(
        self,
        resource: Any,
        clock: Clock | None = None,
        settings: ClientSettings | None = None,
        fastPath: bool = True,
        **options: Any,
    ) -> None:
        self.site = MemorySite(resource, clock, fastPath=fastPath, **options)
        self.clock = self.site.clock
        self.pool = HTTPConnectionPool(self.clock)
        self._agent = Agent.usingEndpointFactory(
            self.clock,
            _Network(self.site),
            self.pool,
            settings=settings,
            fastPath=fastPath,
        )

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Any = None,
        bodyProducer: Any = None,
    ) -> Deferred[Any]:
        """
        Send a request; see L{Agent.request<twisted_h11.client.Agent.request>}.
        """
        deferred = self._agent.request(method, uri, headers, bodyProducer)
        self.flush()
        return deferred

    def flush(self) -> None:
        """
        Deliver all that was written.
        """
        self.site.flush()

    def close(self) -> None:
        """
        Drop all connections; requests that are still open fail.
        """
        self.pool.close()
        self.flush()
        self.site.close()
