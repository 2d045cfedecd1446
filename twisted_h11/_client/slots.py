"""
How many connections there may be: to each origin, and to all.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from twisted_h11._client.settings import PoolSettings

__all__ = ["Slots"]


class Slots:
    """
    Counts connections from the attempt to make them until they are closed.

    @ivar settings: has the bounds.
    @ivar total: how many slots are taken.
    """

    def __init__(self, settings: PoolSettings) -> None:
        self.settings = settings
        self.total = 0
        self._taken: dict[Hashable, int] = {}

    def __iter__(self) -> Iterator[tuple[Hashable, int]]:
        """
        Each key that has taken slots, and how many.
        """
        return iter(self._taken.items())

    def areLeft(self) -> bool:
        """
        Whether the bound for all is not reached.
        """
        return self.total < self.settings.maxConnections

    def areLeftFor(self, key: Hashable) -> bool:
        """
        Whether the bound for each is not reached by C{key}.
        """
        return self._taken.get(key, 0) < self.settings.maxConnectionsPerOrigin

    def take(self, key: Hashable) -> None:
        """
        A connection is about to be made.
        """
        self._taken[key] = self._taken.get(key, 0) + 1
        self.total += 1

    def free(self, key: Hashable) -> bool:
        """
        A connection has gone, or was not made.

        @return: whether this was what C{key} had to wait for, if it did.
        """
        left = self._taken[key] - 1
        self.total -= 1
        if left:
            self._taken[key] = left
        else:
            del self._taken[key]
        return left == self.settings.maxConnectionsPerOrigin - 1
