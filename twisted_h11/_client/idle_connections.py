"""
The connections of a pool that wait for a request.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator

from twisted_h11._client.connection import ClientConnection
from twisted_h11._client.settings import PoolSettings

__all__ = ["IdleConnections", "is_good"]


def is_good(connection: ClientConnection, settings: PoolSettings) -> bool:
    """
    Whether an idle connection may be used for another request.
    """
    age, requests = settings.maxAge, settings.maxRequests
    return (
        connection.isUsable()
        # The clock may be set back.
        and (age is None or 0 <= connection.clock.seconds() - connection.since < age)
        and (requests is None or connection.served < requests)
    )


class IdleConnections:
    """
    Idle connections by key.  The most recently used one is taken first, so that the
    others can expire.
    """

    def __init__(self) -> None:
        self._byKey: dict[Hashable, list[ClientConnection]] = {}
        # The connection that has been idle longest comes first.
        self._order: OrderedDict[ClientConnection, Hashable] = OrderedDict()

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[ClientConnection]:
        return iter(self._order)

    @property
    def keys(self) -> Iterable[Hashable]:
        """
        The keys that have idle connections.
        """
        return self._order.values()

    def put(self, key: Hashable, connection: ClientConnection) -> int:
        """
        Keep an idle connection.

        @return: how many idle connections C{key} has now.
        """
        kept = self._byKey.setdefault(key, [])
        kept.append(connection)
        self._order[connection] = key
        return len(kept)

    def take(self, key: Hashable) -> ClientConnection | None:
        """
        Remove and return the connection of C{key} that was used last.
        """
        kept = self._byKey.get(key)
        if kept is None:
            return None
        connection = kept.pop()
        if not kept:
            del self._byKey[key]
        del self._order[connection]
        return connection

    def discard(self, connection: ClientConnection) -> None:
        """
        Remove a connection, if it is kept here.
        """
        key = self._order.pop(connection, None)
        if key is not None:
            kept = self._byKey[key]
            kept.remove(connection)
            if not kept:
                del self._byKey[key]

    def oldest(self) -> ClientConnection | None:
        """
        The connection that has been idle longest, or C{None}.
        """
        return next(iter(self._order), None)

    def oldestOf(self, key: Hashable) -> ClientConnection:
        """
        The connection of C{key} that has been idle longest; C{key} must have one.
        """
        return self._byKey[key][0]
