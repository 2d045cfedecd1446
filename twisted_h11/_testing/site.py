"""
A site without a port, and connections to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IHalfCloseableProtocol, IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock, Cooperator
from twisted.python.failure import Failure
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory
from twisted.web.resource import IResource
from zope.interface import implementer

from twisted_h11._boundary.checks import REACTOR, checked, optional, wrong
from twisted_h11._testing.link import CLIENT, SERVER, Link
from twisted_h11.server import Site

__all__ = ["MemoryConnection", "MemorySite", "Network"]

# How many turns one flush may take, and for how many of them it calls pull producers
# that write nothing.
MOST_TURNS = 100_000


MOST_IDLE_STEPS = 100


def _reactor() -> Any:
    from twisted.internet import reactor

    return reactor


def _one_step() -> Callable[[], bool]:
    return lambda: True


class _Step:
    """
    A scheduled step of a task of a L{Cooperator}.
    """

    def __init__(self, function: Callable[[], None]) -> None:
        self._function: Callable[[], None] | None = function

    def run(self) -> None:
        """
        Run the step, unless it was cancelled.
        """
        function, self._function = self._function, None
        if function is not None:
            function()

    def cancel(self) -> None:
        """
        Cancel the step.
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
    @ivar clock: the time.  A L{Site<twisted_h11.server.Site>} that was made for the
        global reactor is switched to this clock.
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
            raise TypeError(f"{names}: options go with a resource, not with a site")
        else:
            self.site = resource
            if getattr(resource, "reactor", None) is _reactor():
                # The global reactor does not run during a flush.
                resource.reactor = self.clock
        self._links: list[Link] = []
        self._steps: list[_Step] = []
        self._flushing = False
        schedule: Any = self._schedule
        self.cooperator = Cooperator(_one_step, schedule)
        if isinstance(self.site, Site):
            self.site._cooperate = self.cooperator.cooperate

    def connect(self, secure: bool = False) -> MemoryConnection:
        """
        Open a connection, to send and receive bytes.

        @param secure: whether the server's transport claims to be encrypted.
        """
        connection = MemoryConnection(self)
        self._open(connection, secure)
        return connection

    def _open(self, client: Any, secure: bool) -> None:
        server = self.site.buildProtocol(CLIENT)
        link = Link(client, server, secure)
        # A reader that resumes gets the waiting data at once.
        link.client.resumed = self.flush
        self._links.append(link)

    def flush(self) -> None:
        """
        Deliver all written data, until both sides are quiet.  Time does not pass.
        Within a flush this does nothing: the running flush delivers the data.

        @raise RuntimeError: if the two sides are not quiet after 100,000 turns.
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
            # A pull producer need not write at each call.
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
        Do what a reactor does in one turn.

        @return: whether anything was done.
        """
        moved = False
        for link in list(self._links):
            if link.pump():
                moved = True
        self._links = [link for link in self._links if not link.closed]
        # Delayed calls that are due now run in this turn.
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
    @ivar ended: whether the server has closed at least its sending side.

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

        @return: the bytes that the server has sent since then.
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
        Close the client's sending side only; not possible with TLS.
        """
        transport: Any = self.transport
        transport.loseWriteConnection()
        self._site.flush()

    def abort(self) -> None:
        """
        Drop the connection, like a client that crashes.
        """
        transport: Any = self.transport
        transport.abortConnection()
        self._site.flush()

    def pause(self) -> None:
        """
        Read nothing until L{resume}, like a slow client.
        """
        transport: Any = self.transport
        transport.pauseProducing()

    def resume(self) -> None:
        """
        Resume reading.
        """
        transport: Any = self.transport
        transport.resumeProducing()
        self._site.flush()

    def readConnectionLost(self) -> None:
        """
        The server has closed its sending side.
        """
        self.ended = True

    def writeConnectionLost(self) -> None:
        """
        The half-close was delivered.
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
class Network:
    """
    Connects an agent to a site, whatever the URI says.
    """

    def __init__(self, site: MemorySite, secure: bool = False) -> None:
        self._site = site
        self._secure = secure

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        return Network(self._site, uri.scheme in (b"https", b"wss"))

    def connect(self, factory: Any) -> Deferred[Any]:
        protocol = factory.buildProtocol(SERVER)
        self._site._open(protocol, self._secure)
        return succeed(protocol)
