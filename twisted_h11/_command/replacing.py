"""
Which workers are to be replaced, one after the other, and which have left.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection

from twisted.internet.defer import Deferred, succeed

__all__ = ["Leaving", "Turns"]


class Turns:
    """
    The numbers of the workers that are to be replaced; the first is being replaced.

    @param begin: begins with one.
    """

    def __init__(self, begin: Callable[[int], object]) -> None:
        self._begin = begin
        self._numbers: deque[int] = deque()

    def add(self, number: int, again: bool = False) -> None:
        """
        Replace a worker when its turn comes.

        @param again: whether one that is being replaced now gets another turn.
        """
        waiting = list(self._numbers)[1:] if again else self._numbers
        if number not in waiting:
            self._numbers.append(number)
            if len(self._numbers) == 1:
                self._begin(number)

    def next(self) -> None:
        """
        The first has been replaced.
        """
        self._numbers.popleft()
        if self._numbers:
            self._begin(self._numbers[0])

    def clear(self) -> None:
        """
        Replace no more.
        """
        self._numbers.clear()


class Leaving:
    """
    Which workers listen no longer, and who waits for that, or for their end.

    @param names: those of all workers that there are.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._left: set[str] = set()
        self._leaving: Deferred[None] | None = None
        self._ending: Deferred[None] | None = None

    def add(self, name: str) -> None:
        """
        One listens no longer; call L{look} then.
        """
        self._left.add(name)

    def discard(self, name: str) -> None:
        """
        One has ended.
        """
        self._left.discard(name)

    def whenLeft(self) -> Deferred[None]:
        """
        Wait until none listens any more.
        """
        if self._left.issuperset(self._names):
            return succeed(None)
        self._leaving = Deferred()
        return self._leaving

    def whenEnded(self) -> Deferred[None]:
        """
        Wait until there is none any more; call L{look} then.
        """
        self._ending = Deferred()
        return self._ending

    def look(self) -> None:
        """
        Tell those who wait, if it is so far.
        """
        leaving, ending = self._leaving, self._ending
        if leaving is not None and self._left.issuperset(self._names):
            self._leaving = None
            leaving.callback(None)
        if ending is not None and not self._names and not ending.called:
            ending.callback(None)
