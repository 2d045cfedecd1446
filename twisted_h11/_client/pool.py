"""
The connections of agents, bounded.

B{Slots.}  A connection takes a slot when the attempt to make it begins, and gives it
back when it is closed, or given to another protocol, so that there are never more
sockets than slots.  Each key (see L{twisted_h11._client.party}) has a bound of its
own, and all together have one.

B{Turns.}  A request that finds no slot waits in line.  The oldest request whose key is
below its own bound is served first, whatever its key: to make room within the total
bound an idle connection of another key is closed, and so is a connection that becomes
idle while an older request waits for another key.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure

from twisted_h11._boundary.checks import BOOL, REACTOR, checked, instance, optional
from twisted_h11._client import errors
from twisted_h11._client.connecting import Attempt
from twisted_h11._client.connection import ClientConnection, State
from twisted_h11._client.gone import Gone
from twisted_h11._client.idle_connections import IdleConnections, is_good
from twisted_h11._client.party import is_for, plain_key
from twisted_h11._client.queue import Line, Slots, Ticket, Waiter
from twisted_h11._client.request import DEFAULT_SETTINGS
from twisted_h11._client.settings import ClientSettings, PoolSettings
from twisted_h11._client.twisted_pool import PlainWaiter
from twisted_h11._wire.outbox import Outbox

__all__ = ["HTTPConnectionPool", "PoolCounts"]


class PoolCounts(NamedTuple):
    """
    The counts of a pool at one moment.

    @ivar connecting: connections that are being made.
    @ivar busy: connections that have a request, or are closing.
    @ivar idle: connections that wait for a request.
    @ivar queued: requests that wait for a connection.

    @since: 0.1
    """

    connecting: int
    busy: int
    idle: int
    queued: int


def _count(
    attempts: set[Attempt],
    idleConnections: IdleConnections,
    slots: Slots,
    line: Line,
    key: Hashable | None,
) -> PoolCounts:
    if key is None:
        connecting, idle = len(attempts), len(idleConnections)
        taken, queued = slots.total, line.length
    else:
        connecting = sum(1 for each in attempts if is_for(each.key, key))
        idle = sum(1 for each in idleConnections.keys if is_for(each, key))
        taken = sum(n for each, n in slots if is_for(each, key))
        queued = sum(1 for each in line if is_for(each.key, key))
    return PoolCounts(connecting, taken - connecting - idle, idle, queued)


class HTTPConnectionPool:
    """
    A bounded pool of connections, for our L{Agent<twisted_h11.client.Agent>}
    and for Twisted's.

    @ivar persistent: whether connections are used for more than one request.
    @ivar maxPersistentPerHost: most idle connections to one origin.
    @ivar cachedConnectionTimeout: seconds after which an idle one is closed.
    @ivar retryAutomatically: whether an agent on this pool repeats requests.
    @ivar isClosing: whether C{close} is running; what fails then is not repeated.

    @param reactor: for the time-outs of connections and waiting requests.
    @param persistent: whether connections are used for more than one request.
    @param settings: the L{PoolSettings}; the defaults if not given.

    @since: 0.1
    """

    retryAutomatically = True
    isClosing = False

    @checked(
        reactor=REACTOR,
        persistent=BOOL,
        settings=optional(instance("PoolSettings", PoolSettings)),
    )
    def __init__(
        self,
        reactor: Any,
        persistent: bool = True,
        settings: PoolSettings | None = None,
    ) -> None:
        settings = settings or PoolSettings()
        self._reactor = reactor
        self.persistent = persistent
        self.maxPersistentPerHost = settings.maxConnectionsPerOrigin
        self.cachedConnectionTimeout = settings.idleTimeout
        self._slots = Slots(settings)
        self._outbox = Outbox()
        self._attempts: set[Attempt] = set()
        # Attempts that have failed, whose connections are not gone yet.
        self._ending: set[Attempt] = set()
        self._keys: dict[ClientConnection, Hashable] = {}
        self._idle = IdleConnections()
        self._line = Line(self._slots)
        self._serving = False
        self.pausing: set[Waiter] = set()  # before a retry, without a connection
        self._gone = Gone()

    @property
    def settings(self) -> PoolSettings:
        """
        The bounds.  Higher ones count for requests that wait already.
        """
        return self._slots.settings

    @settings.setter
    def settings(self, settings: PoolSettings) -> None:
        self._line.setBounds(settings)
        self._serve()

    def __repr__(self) -> str:
        counts = ", ".join(f"{n} {name}" for name, n in self.counts()._asdict().items())
        return f"<{type(self).__name__} {counts}>"

    def counts(self, key: Hashable | None = None) -> PoolCounts:
        """
        Count the connections and the waiting requests.

        @param key: count for this origin only: C{(scheme, host, port)}, all agents.
        """
        return _count(self._attempts, self._idle, self._slots, self._line, key)

    # -- for Twisted's agents -----------------------------------------------

    def getConnection(
        self, key: Hashable, endpoint: IStreamClientEndpoint
    ) -> Deferred[Any]:
        """
        Get a connection for one request of a twisted.web agent.

        @param key: the origin.  Agents that would make the same connection share
            the connections of a key; other callers share them only for the same
            C{endpoint}.
        @param endpoint: how to connect.
        @return: a Deferred with an object whose C{request(request)} sends a
            L{twisted.web.client.Request}; it must be used at once.
        """
        key = plain_key(key, endpoint)
        waiter = PlainWaiter(self._reactor, self.cachedConnectionTimeout)
        if (connection := self.idleConnection(key)) is not None:
            waiter.connectionAvailable(connection)
        else:
            waiter.ticket = self.wait(key, endpoint, DEFAULT_SETTINGS, waiter)
        waiter.returned = True
        return waiter.deferred

    # -- asking for a connection --------------------------------------------

    def idleConnection(self, key: Hashable) -> ClientConnection | None:
        """
        Take an idle connection, if there is one.
        """
        if key in self._line:
            return None
        while (connection := self._idle.take(key)) is not None:
            if is_good(connection, self.settings):
                return connection
            connection.loseConnection()
        return None

    def wait(
        self,
        key: Hashable,
        endpoint: Any,
        settings: ClientSettings,
        waiter: Waiter,
        fresh: bool = False,
    ) -> Ticket:
        """
        Wait for a connection, a new one or one that becomes idle.

        @param endpoint: how to connect, or a function that returns it.
        @param fresh: whether the connection must not have been used before.
        @return: a ticket, whose C{cancel} ends the wait.
        """
        line = self._line
        ticket = Ticket(
            line=line,
            key=key,
            endpoint=endpoint,
            settings=settings,
            waiter=waiter,
            started=self._reactor.seconds(),
            fresh=fresh,
        )
        if key not in line and self._hasRoom(key):
            self._begin(ticket)
        else:
            line.join(ticket, self._reactor, self)
        return ticket

    def _hasRoom(self, key: Hashable) -> bool:
        """
        Whether a connection may be made now.  If only the total bound forbids it, the
        connection that has been idle longest is closed; its slot is free when the
        connection is gone.
        """
        slots = self._slots
        if not slots.areLeftFor(key):
            return False
        if not slots.areLeft() and (idle := self._idle.oldest()) is not None:
            idle.loseConnection()
        return slots.areLeft()

    def _serve(self) -> None:
        """
        Begin to connect for the oldest requests in line, while there are slots.
        """
        if self._serving:
            return
        self._serving = True
        try:
            while self._line.length:
                ticket = self._line.oldest()
                if ticket is None or not self._hasRoom(ticket.key):
                    return
                self._line.leave(ticket)
                self._begin(ticket)
        finally:
            self._serving = False

    # -- connections --------------------------------------------------------

    def _begin(self, ticket: Ticket) -> None:
        self._slots.take(ticket.key)
        attempt = ticket.attempt = Attempt(
            clock=self._reactor,
            key=ticket.key,
            endpoint=ticket.endpoint,
            connectTimeout=ticket.settings.connectTimeout,
            tlsTimeout=ticket.settings.tlsTimeout,
            started=ticket.started,
            done=lambda attempt, connection: self._made(ticket, attempt, connection),
            failed=lambda attempt, reason: self._notMade(ticket, attempt, reason),
            freed=self._notNeeded,
            outbox=self._outbox,
        )
        self._attempts.add(attempt)
        waiter = ticket.waiter
        assert waiter is not None
        waiter.connectionBegun()
        attempt.begin()

    def _made(
        self, ticket: Ticket, attempt: Attempt, connection: ClientConnection
    ) -> None:
        self._attempts.discard(attempt)
        ticket.attempt = None
        self._keys[connection] = ticket.key
        connection.adopt(self)
        ticket.give(connection)

    def _notNeeded(self, attempt: Attempt) -> None:
        self._attempts.discard(attempt)
        self._ending.discard(attempt)
        self._freeAndServe(attempt.key)
        self._gone.tell(attempt)

    def _notMade(self, ticket: Ticket, attempt: Attempt, reason: Failure) -> None:
        self._attempts.discard(attempt)
        if attempt.isEnding():
            self._ending.add(attempt)
        ticket.attempt = None
        ticket.fail(reason)

    def _freeAndServe(self, key: Hashable) -> None:
        if self._slots.free(key):
            self._line.announce(key)
        self._serve()

    def connectionReady(self, connection: ClientConnection) -> None:
        """
        Never called: the attempt owns the connection until its handshake is complete.
        """

    connectionOpened = connectionReady

    def connectionIdle(self, connection: ClientConnection) -> None:
        """
        A connection has become idle: give it to a waiting request, or keep it.
        """
        key = self._keys[connection]
        if not self.persistent or not is_good(connection, self.settings):
            connection.loseConnection()
            return
        line = self._line
        if line.length:
            ticket = line.first(key)
            if line.needsRoomFirst(key) or (ticket is not None and ticket.fresh):
                connection.loseConnection()
                return
            if ticket is not None:
                line.leave(ticket)
                ticket.give(connection)
                return
        kept = self._idle.put(key, connection)
        connection.expireIn(self.cachedConnectionTimeout)
        if kept > self.maxPersistentPerHost:
            self._idle.oldestOf(key).loseConnection()

    def connectionClosing(self, connection: ClientConnection) -> None:
        """
        A connection will take no more requests; its slot is not free yet.
        """
        self._idle.discard(connection)

    def connectionGone(self, connection: ClientConnection, reason: Failure) -> None:
        """
        A connection is closed, or was given to another protocol: free its slot.
        """
        key = self._keys.pop(connection)
        self._idle.discard(connection)
        self._freeAndServe(key)
        self._gone.tell(connection)

    # -- the end ------------------------------------------------------------

    def closeCachedConnections(self) -> Deferred[None]:
        """
        Close all idle connections.

        @return: a Deferred that fires when they are closed, and all connections
            that were closing before.
        """
        for connection in list(self._idle):
            connection.loseConnection()
        closing = [each for each in self._keys if each.state is State.CLOSING]
        return self._gone.wait([*self._ending, *closing])

    def close(self) -> Deferred[None]:
        """
        Close the pool: waiting requests and requests under way fail, and idle
        connections are closed.

        @return: a Deferred that fires when no connection is left.
        """
        self.isClosing = True
        # A waiter may ask for another connection from within its callback.
        for waiter in [*self._line.clear(), *self.pausing]:
            why = errors.adopt(Failure(CancelledError()), errors.QUEUED)
            waiter.connectionFailed(why)
        for attempt in list(self._attempts):
            attempt.cancel()
        for connection in list(self._keys):
            connection.breakOff(Failure(ConnectionAborted()))
            if connection.state is not State.CLOSING:
                connection.loseConnection()
        self.isClosing = False
        return self.closeCachedConnections()
