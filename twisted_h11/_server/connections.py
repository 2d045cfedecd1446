"""
The register of the connections of one site, and the end of all of them.

A connection of any kind is registered (L{Connections.made}) before it is served, and
removed when it has ended (L{Connections.gone}).  One that was given away is replaced
(L{Connections.moved}) by a L{GivenAway<twisted_h11._server.given_away.GivenAway>} until
it ends.  Draining ends idle connections at once, and the others after their current
response.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Protocol
from weakref import ref

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime

from twisted_h11._server.admission import Admission, Verdict
from twisted_h11._server.states import Phase
from twisted_h11.limits import Limits

__all__ = ["Connection", "Connections", "Remembering"]

# How many connections keep the head of their last request.
_MOST_WARM = 256


class Connection(Protocol):
    """
    The interface of a connection for its site.

    @ivar countedHost: the address under which it is counted; set by the site.
    """

    countedHost: str | None

    def getPeer(self) -> IAddress:
        """
        The address of the client.
        """

    def drain(self, spareIdle: bool = False) -> None:
        """
        End the connection after the current response.

        @param spareIdle: whether an idle connection may still get one last request.
            This method is called again to end it.
        """

    def abortConnection(self) -> None:
        """
        Abort the connection at once.
        """

    def phase(self) -> Phase:
        """
        What the connection is doing now.
        """


class Remembering(Protocol):
    """
    A connection that keeps the head of its last request.

    @ivar reader: its L{RequestReader<twisted_h11._server.request_reader>}.
    """

    reader: Any


class Connections:
    """
    The register of one site's connections.
    """

    def __init__(self) -> None:
        self._admission = Admission()
        self._open: set[Connection] = self._admission.connections
        self._warm: deque[ref[Remembering]] = deque()
        self._drained: list[Deferred[None]] = []
        self._drainTimer: IDelayedCall | None = None
        self._idleTimer: IDelayedCall | None = None
        self._whenEmpty: Callable[[], object] | None = None

    def __len__(self) -> int:
        return len(self._open)

    @property
    def open(self) -> set[Connection]:
        """
        The connections that are registered.
        """
        return set(self._open)

    @property
    def hosts(self) -> Counter[str]:
        """
        How many connections each client address has, where that is bounded.
        """
        return self._admission.hosts

    def start(self, limits: Limits) -> None:
        """
        The site is started: forget the call of L{whenEmpty}, and read the limit of
        descriptors.
        """
        self._whenEmpty = None
        self._admission.start(limits)

    # -- one connection ---------------------------------------------------------

    def made(self, connection: Connection, transport: Any, limits: Limits) -> Verdict:
        """
        Register a new connection, and decide whether it is served.
        """
        return self._admission.made(connection, transport, limits)

    def known(self, connection: Connection, limits: Limits) -> Verdict:
        """
        A connection has received its first bytes, and its peer's address is final.
        """
        return self._admission.known(connection, limits)

    def moved(self, old: Connection, new: Connection) -> None:
        """
        Replace C{old} by its successor C{new}.
        """
        self._admission.moved(old, new)

    def warm(self, connection: Remembering) -> None:
        """
        A connection begins to keep its last head.  The number of such connections is
        bounded, because a head costs a kilobyte.
        """
        warm = self._warm
        if len(warm) >= _MOST_WARM:
            forgetful = warm.popleft()()
            if forgetful is not None:
                forgetful.reader.forgetLastHead()
        warm.append(ref(connection))

    def gone(self, connection: Connection) -> None:
        """
        Remove a connection that has ended, or whose end will not be noticed.
        """
        if self._admission.gone(connection):
            self._allGone()

    # -- all of them ------------------------------------------------------------

    def drain(
        self, timeout: float | None, reactor: IReactorTime, idle: float = 0.0
    ) -> Deferred[None]:
        """
        End all connections; see L{Site.drain<twisted_h11.server.Site.drain>}.
        """
        if timeout is not None:
            idle = min(idle, timeout)
        self._drainAll(idle > 0)
        if not self._open:
            return succeed(None)
        done: Deferred[None] = Deferred()
        self._drained.append(done)
        if idle > 0:
            self._idleTimer = _by(self._idleTimer, reactor, idle, self._idleOver)
        if timeout is not None:
            self._drainTimer = _by(self._drainTimer, reactor, timeout, self._abortAll)
        return done

    def whenEmpty(self, call: Callable[[], object]) -> None:
        """
        Call C{call} when no connection is left; now, if there is none.
        """
        if self._open:
            self._whenEmpty = call
        else:
            call()

    def _drainAll(self, spareIdle: bool) -> None:
        for connection in list(self._open):
            connection.drain(spareIdle)

    def _idleOver(self) -> None:
        self._idleTimer = None
        self._drainAll(False)

    def _abortAll(self) -> None:
        self._drainTimer = None
        for connection in list(self._open):
            connection.abortConnection()

    def _allGone(self) -> None:
        timers = self._drainTimer, self._idleTimer
        self._drainTimer = self._idleTimer = None
        for timer in timers:
            if timer is not None:
                timer.cancel()
        call, self._whenEmpty = self._whenEmpty, None
        if call is not None:
            call()
        drained, self._drained = self._drained, []
        for done in drained:
            done.callback(None)


def _by(
    timer: IDelayedCall | None,
    reactor: IReactorTime,
    seconds: float,
    call: Callable[[], object],
) -> IDelayedCall:
    """
    Have C{call} called after so many seconds, or when C{timer}, if that is not C{None},
    runs out before.
    """
    if timer is None:
        return reactor.callLater(seconds, call)
    if timer.getTime() > reactor.seconds() + seconds:
        timer.reset(seconds)
    return timer
