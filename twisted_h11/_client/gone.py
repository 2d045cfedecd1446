"""
Waiting until connections, or attempts to make one, are gone.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from twisted.internet.defer import Deferred, gatherResults

__all__ = ["Gone"]


class Gone:
    """
    The Deferreds that wait for connections, or attempts, to be gone.
    """

    def __init__(self) -> None:
        self._waiting: dict[Hashable, list[Deferred[None]]] = {}

    def wait(self, ending: Iterable[Hashable]) -> Deferred[None]:
        """
        @param ending: what is about to go.
        @return: a Deferred that fires when all of it is gone.
        """
        waiting: list[Deferred[None]] = []
        for each in ending:
            gone: Deferred[None] = Deferred()
            self._waiting.setdefault(each, []).append(gone)
            waiting.append(gone)
        return gatherResults(waiting).addCallback(lambda _: None)

    def tell(self, gone: Hashable) -> None:
        """
        Fire the Deferreds that wait for this one.
        """
        for waiting in self._waiting.pop(gone, ()):
            waiting.callback(None)
