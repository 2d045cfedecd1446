"""
Many connections, bounded.

The pool's promises:

B{Slots.}  A connection takes a slot when the attempt to make it begins, and
gives it back when it is closed, or given to another protocol; not earlier, so
that there are never more sockets than slots.  There are so many slots for each
origin, and so many for all.

B{Turns.}  Who finds no slot waits in line.  Whoever has waited longest and can
be served is served first, whatever its origin: an idle connection of another
origin is closed to make room, and a connection that becomes idle is closed if
somebody older waits for another origin and only the total stands in the way.

B{Keys.}  A connection is used only by whom it was made by, or by who would have
made the same one; see L{twisted_h11._client.party}.  What is said of an origin above is
meant of each of these apart.

B{Cancelling.}  A waiter that gives up leaves no trace in the line; an attempt
that is given up frees its slot, once.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Any, NamedTuple

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure

from twisted_h11._boundary.checks import BOOL, REACTOR, checked, instance, optional
from twisted_h11._client import errors
from twisted_h11._client.attempt import Attempt
from twisted_h11._client.connection import ClientConnection
from twisted_h11._client.errors import PoolTimedOut, QueueFull
from twisted_h11._client.party import is_for, plain_key
from twisted_h11._client.queue import Ticket, Waiter, first_number
from twisted_h11._client.request import DEFAULT_SETTINGS
from twisted_h11._client.settings import ClientSettings, PoolSettings

__all__ = ["HTTPConnectionPool", "PoolCounts"]


class PoolCounts(NamedTuple):
    """
    What a pool holds at a moment.

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


class HTTPConnectionPool:
    """
    A bounded pool of connections, for our L{Agent<twisted_h11.client.Agent>}
    and for Twisted's.

    @ivar persistent: whether connections are used for more than one request.
    @ivar settings: the L{PoolSettings}.
    @ivar maxPersistentPerHost: most idle connections to one origin.
    @ivar cachedConnectionTimeout: seconds after which an idle one is closed.
    @ivar retryAutomatically: whether an agent on this pool repeats requests.

    @since: 0.1
    """

    retryAutomatically = True

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
        if settings is None:
            settings = PoolSettings()
        self._reactor = reactor
        self.persistent = persistent
        self.settings = settings
        self.maxPersistentPerHost = settings.maxConnectionsPerOrigin
        self.cachedConnectionTimeout = settings.idleTimeout
        # How many slots each origin has taken; the sum of it.
        self._taken: dict[Hashable, int] = {}
        self._total = 0
        self._attempts: set[Attempt] = set()
        self._keys: dict[ClientConnection, Hashable] = {}
        # The most recently used is used first, so that the others can expire.
        self._idle: dict[Hashable, list[ClientConnection]] = {}
        self._idleOrder: OrderedDict[ClientConnection, Hashable] = OrderedDict()
        self._queues: dict[Hashable, deque[Ticket]] = {}
        self._queued = 0
        # (number, key) of the first in line of each origin that is below its
        # own bound; entries that are out of date are skipped.
        self._heads: list[tuple[int, int, Hashable]] = []
        self._number = 0
        self._serving = False
        self._whenGone: dict[ClientConnection, list[Deferred[None]]] = {}

    def __repr__(self) -> str:
        counts = ", ".join(
            f"{count} {name}" for name, count in self.counts()._asdict().items()
        )
        return f"<{type(self).__name__} {counts}>"

    def counts(self, key: Hashable | None = None) -> PoolCounts:
        """
        What the pool holds now.

        @param key: count for this origin only: C{(scheme, host, port)}; for all
            agents together.
        """
        if key is None:
            connecting = len(self._attempts)
            idle = len(self._idleOrder)
            return PoolCounts(
                connecting, self._total - connecting - idle, idle, self._queued
            )
        connecting = sum(1 for each in self._attempts if is_for(each.key, key))
        idle = sum(1 for each in self._idleOrder.values() if is_for(each, key))
        taken = sum(n for each, n in self._taken.items() if is_for(each, key))
        queued = sum(
            1
            for each, queue in self._queues.items()
            if is_for(each, key)
            for ticket in queue
            if ticket.waiter is not None
        )
        return PoolCounts(connecting, taken - connecting - idle, idle, queued)

    # -- for Twisted's agents -----------------------------------------------

    def getConnection(
        self, key: Hashable, endpoint: IStreamClientEndpoint
    ) -> Deferred[Any]:
        """
        A connection for one request, as twisted.web's agents ask for it.

        @param key: the origin.  Connections of the same key are interchangeable
            if the same agent, or one that would make the same connection, asks for
            them; for anybody else, if C{endpoint} is the same.
        @param endpoint: how to connect.
        @return: a Deferred with an object whose C{request(request)} sends a
            L{twisted.web.client.Request}; it must be used at once.
        """
        from twisted_h11._client.twisted_pool import PlainWaiter

        key = plain_key(key, endpoint)
        waiter = PlainWaiter(self, self._reactor)
        connection = self.idleConnection(key)
        if connection is not None:
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
        idle = self._idle.get(key)
        if not idle or key in self._queues:
            return None
        while idle:
            connection = idle.pop()
            del self._idleOrder[connection]
            if self._isGood(connection):
                if not idle:
                    del self._idle[key]
                return connection
            connection.loseConnection()
        self._idle.pop(key, None)
        return None

    def _isGood(self, connection: ClientConnection) -> bool:
        settings = self.settings
        return (
            connection.isUsable()
            and (
                settings.maxAge is None
                or self._reactor.seconds() - connection.since < settings.maxAge
            )
            and (
                settings.maxRequests is None or connection.served < settings.maxRequests
            )
        )

    def wait(
        self,
        key: Hashable,
        endpoint: Any,
        settings: ClientSettings,
        waiter: Waiter,
        fresh: bool = False,
    ) -> Ticket:
        """
        Ask for a connection that is not there yet.

        @param endpoint: how to connect, or a function that returns it.
        @param fresh: whether it must not have been used before.
        @return: what can be cancelled.
        """
        self._number += 1
        now = self._reactor.seconds()
        ticket = Ticket(self, self._number, key, endpoint, settings, waiter, now, fresh)
        limit = self.settings.maxQueued
        queue = self._queues.get(key)
        if queue is None and self._hasRoom(key):
            self._begin(ticket)
            return ticket
        if limit is not None and self._queued >= limit:
            ticket.waiter = None
            waiter.connectionFailed(
                errors.phased(
                    QueueFull(
                        f"{self._queued} requests wait for a connection already "
                        "(maxQueued)"
                    ),
                    errors.QUEUED,
                    0.0,
                )
            )
            return ticket
        if queue is None:
            queue = self._queues[key] = deque()
        queue.append(ticket)
        self._queued += 1
        if len(queue) == 1:
            self._announce(key)
        seconds = settings.poolTimeout
        if seconds is None:
            seconds = self.settings.queueTimeout
        if seconds is not None:
            ticket.timer = self._reactor.callLater(
                seconds, self._waitedTooLong, ticket, seconds
            )
        return ticket

    def _hasRoom(self, key: Hashable) -> bool:
        """
        Whether a connection may be made now; an idle one of another origin is
        closed if that would help, and its slot is free when it is gone.
        """
        settings = self.settings
        if self._taken.get(key, 0) >= settings.maxConnectionsPerOrigin:
            return False
        if self._total < settings.maxConnections:
            return True
        self._closeOldestIdle()
        return self._total < settings.maxConnections

    def _closeOldestIdle(self) -> None:
        if self._idleOrder:
            next(iter(self._idleOrder)).loseConnection()

    def _forgetIdle(self, connection: ClientConnection, key: Hashable) -> None:
        idle = self._idle.get(key)
        if idle is not None and connection in idle:
            idle.remove(connection)
            if not idle:
                del self._idle[key]

    # -- the line -----------------------------------------------------------

    def _announce(self, key: Hashable) -> None:
        """
        Somebody waits for C{key}: note who is first, if its origin has room.
        """
        queue = self._queues.get(key)
        if queue is None:
            return
        if not self._queued:
            self._heads.clear()
        while queue and queue[0].waiter is None:
            queue.popleft()
        if not queue:
            del self._queues[key]
        elif self._taken.get(key, 0) < self.settings.maxConnectionsPerOrigin:
            first = queue[0].number
            heapq.heappush(self._heads, (first, id(queue), key))

    def _oldest(self) -> Ticket | None:
        """
        The first in line whose origin has room.
        """
        heads = self._heads
        limit = self.settings.maxConnectionsPerOrigin
        while heads:
            number, _, key = heads[0]
            queue = self._queues.get(key)
            if (
                queue is not None
                and queue[0].waiter is not None
                and queue[0].number == number
                and self._taken.get(key, 0) < limit
            ):
                return queue[0]
            heapq.heappop(heads)
            if queue is not None and (
                queue[0].waiter is None or queue[0].number > number
            ):
                self._announce(key)
        return None

    def _leave(self, ticket: Ticket) -> Waiter | None:
        """
        The first of its origin leaves the line.
        """
        queue = self._queues[ticket.key]
        queue.popleft()
        self._queued -= 1
        self._stopTimer(ticket)
        self._announce(ticket.key)
        return ticket.waiter

    def _stopTimer(self, ticket: Ticket) -> None:
        timer, ticket.timer = ticket.timer, None
        if timer is not None:
            timer.cancel()

    def _waitedTooLong(self, ticket: Ticket, seconds: float) -> None:
        ticket.timer = None
        waiter, ticket.waiter = ticket.waiter, None
        if waiter is None:
            return
        self._queued -= 1
        self._announceIfFirst(ticket)
        waiter.connectionFailed(
            errors.phased(
                PoolTimedOut(
                    f"No connection became free within {seconds:g} s: {self!r}"
                ),
                errors.QUEUED,
                self._reactor.seconds() - ticket.started,
            )
        )

    def _announceIfFirst(self, ticket: Ticket) -> None:
        queue = self._queues.get(ticket.key)
        if queue and queue[0] is ticket:
            self._announce(ticket.key)

    def _cancelled(self, ticket: Ticket) -> None:
        attempt, ticket.attempt = ticket.attempt, None
        if attempt is not None:
            attempt.cancel()
            return
        self._queued -= 1
        self._stopTimer(ticket)
        self._announceIfFirst(ticket)

    def _serve(self) -> None:
        """
        Begin to connect for those first in line, while there is room.
        """
        if self._serving:
            return
        self._serving = True
        try:
            while self._queued:
                ticket = self._oldest()
                if ticket is None or not self._hasRoom(ticket.key):
                    return
                self._leave(ticket)
                self._begin(ticket)
        finally:
            self._serving = False

    # -- connections --------------------------------------------------------

    def _begin(self, ticket: Ticket) -> None:
        key = ticket.key
        settings = ticket.settings
        self._taken[key] = self._taken.get(key, 0) + 1
        self._total += 1
        attempt = ticket.attempt = Attempt(
            self._reactor,
            key,
            ticket.endpoint,
            settings.connectTimeout,
            settings.tlsTimeout,
            ticket.started,
            lambda attempt, connection: self._made(ticket, attempt, connection),
            lambda attempt, reason: self._notMade(ticket, attempt, reason),
            lambda attempt: self._notNeeded(attempt, key),
        )
        self._attempts.add(attempt)
        if ticket.waiter is not None:
            ticket.waiter.connectionBegun()
        attempt.begin()

    def _made(
        self, ticket: Ticket, attempt: Attempt, connection: ClientConnection
    ) -> None:
        self._attempts.discard(attempt)
        ticket.attempt = None
        self._keys[connection] = ticket.key
        connection.adopt(self)
        waiter, ticket.waiter = ticket.waiter, None
        if waiter is None:
            connection.abortConnection()
        else:
            waiter.connectionAvailable(connection)

    def _notNeeded(self, attempt: Attempt, key: Hashable) -> None:
        self._attempts.discard(attempt)
        self._freeAndServe(key)

    def _notMade(self, ticket: Ticket, attempt: Attempt, reason: Failure) -> None:
        self._attempts.discard(attempt)
        ticket.attempt = None
        waiter, ticket.waiter = ticket.waiter, None
        if waiter is not None:
            waiter.connectionFailed(reason)

    def _freeAndServe(self, key: Hashable) -> None:
        self._free(key)
        self._serve()

    def _free(self, key: Hashable) -> None:
        left = self._taken[key] - 1
        self._total -= 1
        if left:
            self._taken[key] = left
        else:
            del self._taken[key]
        if left == self.settings.maxConnectionsPerOrigin - 1:
            self._announce(key)

    def connectionOpened(self, connection: ClientConnection) -> None:
        """
        Known already.
        """

    def connectionReady(self, connection: ClientConnection) -> None:
        """
        TLS has negotiated anew: nothing to do.
        """

    def connectionIdle(self, connection: ClientConnection) -> None:
        """
        A connection has become free: give it to whoever waits, or keep it.
        """
        key = self._keys[connection]
        if not self.persistent or not self._isGood(connection):
            connection.loseConnection()
            return
        queue = self._queues.get(key)
        if self._queued:
            if self._total >= self.settings.maxConnections:
                oldest = self._oldest()
                if oldest is not None and oldest.key != key:
                    if queue is None or oldest.number < first_number(queue):
                        # It is another origin's turn.
                        connection.loseConnection()
                        return
            while queue:
                ticket = queue[0]
                if ticket.waiter is None:
                    queue.popleft()
                    continue
                if ticket.fresh:
                    # It makes room for a new one.
                    connection.loseConnection()
                    return
                waiter, ticket.waiter = self._leave(ticket), None
                assert waiter is not None
                waiter.connectionAvailable(connection)
                return
            if queue is not None and key in self._queues:
                del self._queues[key]
        idle = self._idle.setdefault(key, [])
        idle.append(connection)
        self._idleOrder[connection] = key
        connection.expireIn(self.cachedConnectionTimeout)
        if len(idle) > self.maxPersistentPerHost:
            idle[0].loseConnection()

    def connectionClosing(self, connection: ClientConnection) -> None:
        """
        A connection will take no more requests; its slot is not free yet.
        """
        if self._idleOrder.pop(connection, None) is not None:
            self._forgetIdle(connection, self._keys[connection])

    def connectionGone(self, connection: ClientConnection, reason: Failure) -> None:
        """
        A connection is closed, or is not ours any more.
        """
        key = self._keys.pop(connection)
        if self._idleOrder.pop(connection, None) is not None:
            self._forgetIdle(connection, key)
        self._freeAndServe(key)
        for gone in self._whenGone.pop(connection, ()):
            gone.callback(None)

    # -- the end ------------------------------------------------------------

    def closeCachedConnections(self) -> Deferred[None]:
        """
        Close all idle connections.

        @return: a Deferred that fires when they are closed, and all those
            that were closing already.
        """
        for connection in list(self._idleOrder):
            connection.loseConnection()
        waiting: list[Deferred[None]] = []
        for connection in self._keys:
            if connection.state == "closing":
                gone: Deferred[None] = Deferred()
                self._whenGone.setdefault(connection, []).append(gone)
                waiting.append(gone)
        return gatherResults(waiting).addCallback(lambda _: None)

    def close(self) -> Deferred[None]:
        """
        Drop everything: those that wait fail, requests under way fail, idle
        connections close.

        @return: a Deferred that fires when no connection is left.
        """
        waiting: list[Waiter] = []
        for queue in self._queues.values():
            for ticket in queue:
                waiter, ticket.waiter = ticket.waiter, None
                if waiter is not None:
                    self._stopTimer(ticket)
                    waiting.append(waiter)
        self._queues.clear()
        self._heads.clear()
        self._queued = 0
        # Whoever is told may ask for another connection at once.
        for waiter in waiting:
            waiter.connectionFailed(
                errors.adopt(Failure(CancelledError()), errors.QUEUED)
            )
        for attempt in list(self._attempts):
            attempt.cancel()
        for connection in list(self._keys):
            connection.breakOff(Failure(ConnectionAborted()))
            if connection.state != "closing":
                connection.loseConnection()
        return self.closeCachedConnections()
