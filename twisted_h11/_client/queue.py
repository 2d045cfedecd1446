"""
How many connections there may be, and the line of requests that wait for one.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any
from typing import Protocol as Interface

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from twisted_h11._client import errors
from twisted_h11._client.connecting import Attempt
from twisted_h11._client.connection import ClientConnection
from twisted_h11._client.errors import PoolTimedOut, QueueFull
from twisted_h11._client.settings import ClientSettings, PoolSettings

__all__ = ["Line", "Slots", "Ticket", "Waiter"]


# So many entries of the heap may be out of date before it is tidied.
_SPARE_HEADS = 16


class Slots:
    """
    Counts connections, by key and in total, from the attempt to connect until they
    are closed.

    @ivar settings: the bounds.
    @ivar total: how many slots are taken.
    """

    def __init__(self, settings: PoolSettings) -> None:
        self.settings = settings
        self.total = 0
        self._taken: dict[Hashable, int] = {}

    def __iter__(self) -> Iterator[tuple[Hashable, int]]:
        """
        Pairs of a key that has taken slots, and their number.
        """
        return iter(self._taken.items())

    def areLeft(self) -> bool:
        """
        Whether the total is below its bound.
        """
        return self.total < self.settings.maxConnections

    def areLeftFor(self, key: Hashable) -> bool:
        """
        Whether C{key} is below the bound for each origin.
        """
        return self._taken.get(key, 0) < self.settings.maxConnectionsPerOrigin

    def take(self, key: Hashable) -> None:
        """
        Take a slot: a connection is about to be made.
        """
        self._taken[key] = self._taken.get(key, 0) + 1
        self.total += 1

    def free(self, key: Hashable) -> bool:
        """
        Free a slot: a connection is gone, or was not made.

        @return: whether C{key} was at its bound before.
        """
        left = self._taken[key] - 1
        self.total -= 1
        if left:
            self._taken[key] = left
        else:
            del self._taken[key]
        return left == self.settings.maxConnectionsPerOrigin - 1


class Waiter(Interface):
    """
    Waits for a connection.
    """

    def connectionAvailable(self, connection: ClientConnection) -> None:
        """
        Use C{connection}, or abort it, at once.
        """

    def connectionFailed(self, reason: Failure) -> None:
        """
        The wait has failed; nothing was sent.
        """

    def connectionBegun(self) -> None:
        """
        A connection is being made.
        """


@dataclass(slots=True, kw_only=True, eq=False)
class Ticket:
    """
    Holds a waiter: in the line, and then during the attempt to connect for it.

    @ivar line: the line in which the ticket waits before there is an attempt.
    @ivar key: the pool's key of the connection.
    @ivar endpoint: how to connect, or a function that returns it.
    @ivar waiter: C{None} when the wait is over.
    @ivar started: when the wait began.
    @ivar fresh: whether the connection must not have been used before.
    @ivar number: increases from ticket to ticket; the lowest is the oldest.
    """

    line: Line
    key: Hashable
    endpoint: Any
    settings: ClientSettings
    waiter: Waiter | None
    started: float
    fresh: bool
    number: int = field(init=False)
    attempt: Attempt | None = field(default=None, init=False)
    timer: IDelayedCall | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.number = self.line.nextNumber()

    def take(self) -> Waiter | None:
        """
        Remove and return the waiter, to call it with the result.
        """
        waiter, self.waiter = self.waiter, None
        return waiter

    def give(self, connection: ClientConnection) -> None:
        """
        Give the connection to the waiter.
        """
        waiter = self.take()
        assert waiter is not None
        waiter.connectionAvailable(connection)

    def fail(self, reason: Failure) -> None:
        """
        Fail the waiter, if there still is one.
        """
        waiter = self.take()
        if waiter is not None:
            waiter.connectionFailed(reason)

    def cancel(self) -> None:
        """
        End the wait without calling the waiter.
        """
        if self.take() is None:
            return
        attempt, self.attempt = self.attempt, None
        if attempt is not None:
            attempt.cancel()
        else:
            self.line.gaveUp(self)

    def stopTimer(self) -> None:
        """
        Cancel the time-out of the wait in the line.
        """
        timer, self.timer = self.timer, None
        if timer is not None:
            timer.cancel()


class Line:
    """
    The tickets that wait for a connection: a queue for each key, and a heap to find
    the oldest ticket of all without a look at every key.

    @param slots: say whether a key is below its own bound.

    @ivar length: how many tickets wait.
    """

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        # By key and number: the oldest first.
        self._queues: dict[Hashable, OrderedDict[int, Ticket]] = {}
        # (number, id of the queue, key) of the first ticket of each key that is below
        # its own bound; entries that are out of date are skipped.
        self._heads: list[tuple[int, int, Hashable]] = []
        self._number = 0
        self.length = 0

    def __contains__(self, key: Hashable) -> bool:
        """
        Whether a ticket waits for C{key}.
        """
        return key in self._queues

    def __iter__(self) -> Iterator[Ticket]:
        """
        All tickets that wait.
        """
        for queue in self._queues.values():
            yield from queue.values()

    def nextNumber(self) -> int:
        """
        The number for a new ticket.
        """
        self._number += 1
        return self._number

    def join(self, ticket: Ticket, clock: IReactorTime, pool: object) -> None:
        """
        Put a ticket at the end of the line, within the bounds of the settings.

        @param pool: the pool, whose counts are shown in the error of a time-out.
        """
        settings = self._slots.settings
        limit = settings.maxQueued
        if limit is not None and self.length >= limit:
            text = f"{self.length} requests wait for a connection already (maxQueued)"
            ticket.fail(errors.phased(QueueFull(text), errors.QUEUED, 0.0))
            return
        queue = self._queues.get(ticket.key)
        if queue is None:
            queue = self._queues[ticket.key] = OrderedDict()
        queue[ticket.number] = ticket
        self.length += 1
        if len(queue) == 1:
            self.announce(ticket.key)
        seconds = ticket.settings.poolTimeout
        if seconds is None:
            seconds = settings.queueTimeout
        if seconds is not None:
            ticket.timer = clock.callLater(
                seconds, self._waitedTooLong, ticket, seconds, clock, pool
            )

    def _waitedTooLong(
        self, ticket: Ticket, seconds: float, clock: IReactorTime, pool: object
    ) -> None:
        ticket.timer = None
        waiter = ticket.take()
        assert waiter is not None
        self.gaveUp(ticket)
        text = f"No connection became free within {seconds:g} s: {pool!r}"
        elapsed = clock.seconds() - ticket.started
        waiter.connectionFailed(
            errors.phased(PoolTimedOut(text), errors.QUEUED, elapsed)
        )

    def announce(self, key: Hashable) -> None:
        """
        Put the first ticket of C{key} on the heap, if C{key} is below its own bound.
        """
        queue = self._queues.get(key)
        if queue is None:
            return
        if not queue:
            del self._queues[key]
        elif self._slots.areLeftFor(key):
            heapq.heappush(self._heads, (next(iter(queue)), id(queue), key))
        if len(self._heads) > 2 * len(self._queues) + _SPARE_HEADS:
            self._announceAll()

    def setBounds(self, settings: PoolSettings) -> None:
        """
        Change the bounds, also for the tickets that wait.
        """
        self._slots.settings = settings
        self._announceAll()

    def _announceAll(self) -> None:
        """
        Make the heap anew, without entries that are out of date.
        """
        self._heads = [
            (next(iter(queue)), id(queue), key)
            for key, queue in self._queues.items()
            if self._slots.areLeftFor(key)
        ]
        heapq.heapify(self._heads)

    def oldest(self) -> Ticket | None:
        """
        The oldest ticket whose key is below its own bound, or C{None}.
        """
        heads = self._heads
        while heads:
            number, _, key = heads[0]
            first = self.first(key)
            if (
                first is not None
                and first.number == number
                and self._slots.areLeftFor(key)
            ):
                return first
            heapq.heappop(heads)
            if first is not None and first.number > number:
                self.announce(key)
        return None

    def first(self, key: Hashable) -> Ticket | None:
        """
        The oldest ticket of C{key}, whether or not there are slots.
        """
        queue = self._queues.get(key)
        return None if queue is None else next(iter(queue.values()))

    def needsRoomFirst(self, key: Hashable) -> bool:
        """
        Whether a connection of C{key} must close because a ticket of another key, held
        up by the total bound only, is older than all tickets of C{key}.
        """
        oldest = None if self._slots.areLeft() else self.oldest()
        if oldest is None or oldest.key == key:
            return False
        first = self.first(key)
        return first is None or oldest.number < first.number

    def leave(self, ticket: Ticket) -> None:
        """
        Remove a ticket, the first of its key, from the line.
        """
        del self._queues[ticket.key][ticket.number]
        self.length -= 1
        ticket.stopTimer()
        self.announce(ticket.key)

    def gaveUp(self, ticket: Ticket) -> None:
        """
        A ticket was cancelled, anywhere in the line.
        """
        self.length -= 1
        ticket.stopTimer()
        queue = self._queues[ticket.key]
        wasFirst = next(iter(queue)) == ticket.number
        del queue[ticket.number]
        if wasFirst:
            self.announce(ticket.key)

    def clear(self) -> list[Waiter]:
        """
        Empty the line.

        @return: the waiters, which were not called yet.
        """
        waiting = []
        for ticket in self:
            ticket.stopTimer()
            waiter = ticket.take()
            assert waiter is not None
            waiting.append(waiter)
        self._queues.clear()
        self._heads.clear()
        self.length = 0
        return waiting
