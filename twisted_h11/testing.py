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

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    IPushProducer,
    ISSLTransport,
    IStreamClientEndpoint,
    ITransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock, Cooperator
from twisted.python.failure import Failure
from twisted.web.client import URI
from twisted.web.iweb import IAgent, IAgentEndpointFactory
from twisted.web.resource import IResource
from zope.interface import implementer

from twisted_h11._boundary.checks import (
    BOOL,
    REACTOR,
    checked,
    instance,
    optional,
    wrong,
)
from twisted_h11._boundary.guarded import guarded
from twisted_h11._boundary.octets import as_bytes
from twisted_h11._boundary.twisted_private_client import produce_on
from twisted_h11.client import Agent, ClientSettings, HTTPConnectionPool
from twisted_h11.server import Site

__all__ = ["MemoryAgent", "MemoryConnection", "MemorySite"]

CLIENT = IPv4Address("TCP", "127.0.0.1", 50000)
SERVER = IPv4Address("TCP", "127.0.0.1", 80)

# How much one side may write before it is told to pause.
BUFFER_LENGTH = 64 * 1024

# How many turns one flush has, and for how many of them it goes on asking pull
# producers that give nothing.
MOST_TURNS = 100_000
MOST_IDLE_STEPS = 100


@implementer(ITransport, IConsumer, IPushProducer)
class _End:
    """
    One end of a link: the transport of one protocol.  It behaves as a socket's
    does: a producer is paused when enough waits, a pull producer is asked when
    nothing does, and the end waits for neither.
    """

    # Called when the protocol reads again.
    resumed: Callable[[], None] | None = None

    # Whether the end of the connection waits for a producer, as that of TLS does.
    waitsForProducer = False

    def __init__(self, link: _Link, host: IPv4Address, peer: IPv4Address) -> None:
        self.link = link
        self.protocol: Any = None
        self.outgoing: list[bytes] = []
        self.length = 0
        self.paused = False
        self.disconnecting = False
        self.aborted = False
        self.writeClosing = False
        self.writeClosed = False
        self.producer: Any = None
        self.streaming = False
        self.producerPaused = False
        self._host = host
        self._peer = peer

    def write(self, data: bytes) -> None:
        data = as_bytes(data)
        if self.disconnecting or self.writeClosing or self.link.closed or not data:
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
        self.write(b"".join([as_bytes(piece) for piece in data]))

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

        @return: whether anything came of it.
        """
        producer = self.producer
        if producer is None or self.outgoing:
            return False
        if not self.streaming:
            producer.resumeProducing()
            return bool(self.outgoing) or self.producer is not producer
        if self.producerPaused:
            self.producerPaused = False
            producer.resumeProducing()
            return True
        return False

    def loseConnection(self) -> None:
        self.disconnecting = True

    def loseWriteConnection(self) -> None:
        self.writeClosing = True

    def abortConnection(self) -> None:
        self.disconnecting = True
        self.aborted = True
        self.take()

    def mayEnd(self) -> bool:
        """
        Whether all is out after which this end wanted to close.
        """
        waits = self.waitsForProducer and self.producer is not None
        return self.disconnecting and not self.outgoing and not waits

    def getHost(self) -> IPv4Address:
        return self._host

    def getPeer(self) -> IPv4Address:
        return self._peer

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if self.producer is not None:
            raise RuntimeError("a producer is registered already")
        if self.link.closed:
            producer.stopProducing()
            return
        self.producer = producer
        self.streaming = streaming
        self.producerPaused = False

    def unregisterProducer(self) -> None:
        self.producer = None

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False
        if self.resumed is not None:
            self.resumed()

    def stopProducing(self) -> None:
        self.loseConnection()


@implementer(ISSLTransport)
class _SecureEnd(_End):
    """
    An end that claims to be encrypted.  To Twisted that is a TCP transport.
    """

    waitsForProducer = True
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
        for end, other in self._ways():
            if self.closed:
                return True
            if end.outgoing and other.disconnecting:
                end.take()
            elif end.outgoing and not other.paused:
                other.protocol.dataReceived(end.take())
                moved = True
            if not self.closed and end.refill():
                moved = True
            if end.writeClosing and not (end.writeClosed or end.outgoing):
                end.writeClosed = moved = True
                self._tellHalfClose(end, other)
        for end, _ in self._ways():
            if end.aborted:
                self._end(end, ConnectionAborted(), ConnectionLost())
                return True
        over = self.client.writeClosed and self.server.writeClosed
        for end, _ in self._ways():
            if over or end.mayEnd():
                self.close()
                return True
        return moved

    def _ways(self) -> tuple[tuple[_End, _End], tuple[_End, _End]]:
        return (self.client, self.server), (self.server, self.client)

    def _tellHalfClose(self, end: _End, other: _End) -> None:
        half: Any = IHalfCloseableProtocol(end.protocol, None)
        if half is not None:
            half.writeConnectionLost()
        half = IHalfCloseableProtocol(other.protocol, None)
        if half is not None:
            half.readConnectionLost()
        else:
            other.loseConnection()

    def close(self) -> None:
        """
        The connection has ended in order.
        """
        self._end(self.client, ConnectionDone(), ConnectionDone())

    def _end(self, end: _End, its: Exception, others: Exception) -> None:
        """
        The connection is gone, for both.
        """
        if self.closed:
            return
        self.closed = True
        other = self.server if end is self.client else self.client
        for side, error in ((end, its), (other, others)):
            producer, side.producer = side.producer, None
            if producer is not None:
                guarded("A producer", producer.stopProducing)
            guarded("connectionLost", side.protocol.connectionLost, Failure(error))


def _reactor() -> Any:
    from twisted.internet import reactor

    return reactor


def _one_step() -> Callable[[], bool]:
    return lambda: True


class _Step:
    """
    A step of a task, as L{Cooperator} wants to have it scheduled.
    """

    def __init__(self, function: Callable[[], None]) -> None:
        self._function: Callable[[], None] | None = function

    def run(self) -> None:
        """
        Do it, unless it was cancelled.
        """
        function, self._function = self._function, None
        if function is not None:
            function()

    def cancel(self) -> None:
        """
        Do not do it.
        """
        self._function = None


class MemorySite:
    """
    A site without a port.

    @param resource: the root of the site, or a factory such as a
        L{Site<twisted_h11.server.Site>}.
    @param clock: the time; a new L{Clock} if it is not given.
    @param options: more arguments for L{Site<twisted_h11.server.Site>}.

    @ivar site: the factory.
    @ivar clock: its time.  A L{Site<twisted_h11.server.Site>} that was made for
        the reactor has this one, too.
    @ivar cooperator: a L{Cooperator<twisted.internet.task.Cooperator>} whose
        tasks run while L{flush} does.

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
            if getattr(resource, "reactor", None) is _reactor():
                # Nobody is there who could turn that one.
                resource.reactor = self.clock
        self._links: list[_Link] = []
        self._steps: list[_Step] = []
        self._flushing = False
        schedule: Any = self._schedule
        self.cooperator = Cooperator(_one_step, schedule)
        if isinstance(self.site, Site):
            self.site._cooperate = self.cooperator.cooperate

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
        link = _Link(client, server, secure)
        # A reader that goes on has what it waits for at once.
        link.client.resumed = self.flush
        self._links.append(link)

    def flush(self) -> None:
        """
        Deliver all that was written, until both sides are quiet.  Time does
        not pass.  Inside of a call that a flush has made nothing happens: what
        is written there it delivers anyway.

        @raise RuntimeError: if the two sides are still not quiet after
            100,000 turns.
        """
        if self._flushing:
            return
        self._flushing = True
        try:
            self._turnUntilQuiet()
        finally:
            self._flushing = False

    def _turnUntilQuiet(self) -> None:
        idle = 0
        for _ in range(MOST_TURNS):
            moved = self._turn()
            if not moved and not self._steps:
                return
            # A pull producer that is asked need not give something each time.
            idle = 0 if moved else idle + 1
            if idle > MOST_IDLE_STEPS:
                return
            steps, self._steps = self._steps, []
            for step in steps:
                step.run()
        raise RuntimeError(
            f"the two sides are not quiet after {MOST_TURNS} turns: "
            "is there a producer without an end?"
        )

    def _turn(self) -> bool:
        """
        What a reactor does in one turn.

        @return: whether there was anything to do.
        """
        moved = False
        for link in list(self._links):
            if link.pump():
                moved = True
        self._links = [link for link in self._links if not link.closed]
        # What is due now, a turn of the reactor later.
        now = self.clock.seconds()
        if any(call.getTime() <= now for call in self.clock.getDelayedCalls()):
            self.clock.advance(0)
            moved = True
        return moved

    def _schedule(self, function: Callable[[], None]) -> _Step:
        step = _Step(function)
        self._steps.append(step)
        return step

    def close(self) -> None:
        """
        Drop all connections.
        """
        for link in self._links:
            link.close()
        self._links.clear()
        self._steps.clear()


@implementer(IHalfCloseableProtocol)
class MemoryConnection(Protocol):
    """
    The client's end of a connection to a L{MemorySite}.

    @ivar closed: whether the connection has ended.
    @ivar ended: whether the server has closed its side, at least.

    @since: 0.1
    """

    def __init__(self, site: MemorySite) -> None:
        self._site = site
        self._pieces: list[bytes] = []
        self.closed = False
        self.ended = False

    @property
    def received(self) -> bytes:
        """
        All bytes that the server has sent.
        """
        if len(self._pieces) > 1:
            self._pieces = [b"".join(self._pieces)]
        return self._pieces[0] if self._pieces else b""

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

    def halfClose(self) -> None:
        """
        Close the client's side only; TLS has no such thing.
        """
        transport: Any = self.transport
        transport.loseWriteConnection()
        self._site.flush()

    def abort(self) -> None:
        """
        Drop the connection, as a client that vanishes.
        """
        transport: Any = self.transport
        transport.abortConnection()
        self._site.flush()

    def pause(self) -> None:
        """
        Read nothing until L{resume}: what a slow client looks like.
        """
        transport: Any = self.transport
        transport.pauseProducing()

    def resume(self) -> None:
        """
        Read again.
        """
        transport: Any = self.transport
        transport.resumeProducing()
        self._site.flush()

    def readConnectionLost(self) -> None:
        """
        The server will send nothing more.
        """
        self.ended = True

    def writeConnectionLost(self) -> None:
        """
        Our half-close has gone out.
        """

    def dataReceived(self, data: bytes) -> None:
        """
        Keep what the server sends.
        """
        self._pieces.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Note the end.
        """
        self.closed = self.ended = True


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

    What can be answered at once is answered when C{request} returns, and its
    body is there when somebody asks for it.  A resource that answers later needs
    L{flush} after it has answered; one that waits for time to pass needs
    C{clock.advance}, and then L{flush}.  Pull producers, and the bodies of
    L{FileBodyProducer<twisted.web.client.FileBodyProducer>}, take their turns
    within a flush.

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
        produce_on(bodyProducer, self.site.cooperator.cooperate)
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
