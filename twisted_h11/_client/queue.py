"""
Who waits for a connection, and where in the line.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any
from typing import Protocol as Interface

from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from twisted_h11._client.connection import ClientConnection
from twisted_h11._client.settings import ClientSettings

if TYPE_CHECKING:
    from twisted_h11._client.attempt import Attempt
    from twisted_h11._client.pool import HTTPConnectionPool

__all__ = ["Ticket", "Waiter", "first_number"]


class Waiter(Interface):
    """
    Whoever has asked for a connection and did not get it at once.
    """

    def connectionAvailable(self, connection: ClientConnection) -> None:
        """
        Here it is; it must be used, or aborted, at once.
        """

    def connectionFailed(self, reason: Failure) -> None:
        """
        There will be none.
        """

    def connectionBegun(self) -> None:
        """
        One is being made.
        """


class Ticket:
    """
    The place of a waiter: in the line, then with the attempt for it.
    """

    __slots__ = (
        "attempt",
        "endpoint",
        "fresh",
        "key",
        "number",
        "pool",
        "settings",
        "started",
        "timer",
        "waiter",
    )

    def __init__(
        self,
        pool: HTTPConnectionPool,
        number: int,
        key: Hashable,
        endpoint: Any,
        settings: ClientSettings,
        waiter: Waiter,
        started: float,
        fresh: bool,
    ) -> None:
        self.pool = pool
        self.number = number
        self.key = key
        self.endpoint = endpoint
        self.settings = settings
        self.fresh = fresh
        self.waiter: Waiter | None = waiter
        self.started = started
        self.attempt: Attempt | None = None
        self.timer: IDelayedCall | None = None

    def cancel(self) -> None:
        """
        The connection is not wanted any more; the waiter hears nothing.
        """
        if self.waiter is not None:
            self.waiter = None
            self.pool._cancelled(self)


def first_number(queue: deque[Ticket]) -> int:
    """
    The number of the first in line who still waits.
    """
    for ticket in queue:
        if ticket.waiter is not None:
            return ticket.number
    return queue[-1].number + 1
