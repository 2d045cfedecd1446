"""
WSGI without threads: an application runs where it is called, at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock

from twisted_h11.wsgi import WSGIResource

__all__ = ["Inline", "NoThreads", "inline"]


class NoThreads:
    """
    A pool that calls at once, or when the test says so.
    """

    max = 4

    def __init__(self, later: bool = False) -> None:
        self.later = later
        self.waiting: list[Callable[[], object]] = []

    def callInThread(self, work: Callable[[], object]) -> None:
        """
        Call it.
        """
        if self.later:
            self.waiting.append(work)
        else:
            work()

    def runOne(self) -> None:
        """
        Do what has waited longest.
        """
        self.waiting.pop(0)()


class Inline:
    """
    A reactor on a test's clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.calls = 0
        self.callLater = clock.callLater

    def callFromThread(self, call: Any, *args: Any) -> None:
        """
        Call in the next turn.
        """
        self.calls += 1
        self._clock.callLater(0, call, *args)


def inline(clock: Clock, application: Any, later: bool = False) -> WSGIResource:
    """
    A resource whose application runs without threads.
    """
    return WSGIResource(Inline(clock), NoThreads(later), application)
