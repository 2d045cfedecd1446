"""
The order in which workers are replaced, and which workers have left.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection

from twisted.internet.defer import Deferred, succeed

__all__ = ["Leaving", "Turns"]


class Turns:
    """
    The numbers of the workers to replace, one after the other; the first is being
    replaced.

    @param begin: called with a number to begin its replacement.
    """

    def __init__(self, begin: Callable[[int], object]) -> None:
        self._begin = begin
        self._numbers: deque[int] = deque()

    def add(self, number: int, again: bool = False) -> None:
        """
        Replace a worker when its turn comes.

        @param again: whether a worker that is being replaced now gets another turn.
        """
        waiting = list(self._numbers)[1:] if again else self._numbers
        if number not in waiting:
            self._numbers.append(number)
            if len(self._numbers) == 1:
                self._begin(number)

    def next(self) -> None:
        """
        Begin with the next worker: the first was replaced.
        """
        self._numbers.popleft()
        if self._numbers:
            self._begin(self._numbers[0])

    def clear(self) -> None:
        """
        Replace no more workers.
        """
        self._numbers.clear()


class Leaving:
    """
    Which workers have stopped listening, and the Deferreds that wait for all of them
    to do so, or to end.

    @param names: the names of all existing workers, kept up to date by the owner.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._left: set[str] = set()
        self._leaving: Deferred[None] | None = None
        self._ending: Deferred[None] | None = None

    def add(self, name: str) -> None:
        """
        A worker has stopped listening; call L{look} then.
        """
        self._left.add(name)

    def discard(self, name: str) -> None:
        """
        A worker has ended.
        """
        self._left.discard(name)

    def whenLeft(self) -> Deferred[None]:
        """
        Return a Deferred that fires when no worker listens any more.
        """
        if self._left.issuperset(self._names):
            return succeed(None)
        self._leaving = Deferred()
        return self._leaving

    def whenEnded(self) -> Deferred[None]:
        """
        Return a Deferred that fires when no worker is left; call L{look} then.
        """
        self._ending = Deferred()
        return self._ending

    def look(self) -> None:
        """
        Fire the Deferreds whose condition is met.
        """
        leaving, ending = self._leaving, self._ending
        if leaving is not None and self._left.issuperset(self._names):
            self._leaving = None
            leaving.callback(None)
        if ending is not None and not self._names and not ending.called:
            ending.callback(None)
