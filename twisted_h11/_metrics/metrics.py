"""
The metrics of a site.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from heapq import heappush, heappushpop
from itertools import count
from typing import Any

from twisted.logger import Logger

from twisted_h11._boundary.checks import PATH, checked, optional
from twisted_h11._boundary.explain import explain
from twisted_h11._metrics.numbers import Numbers
from twisted_h11._metrics.shared import Shared

__all__ = ["Metrics"]

# How many of the newest and of the slowest requests are kept.
_MOST_REMEMBERED = 20

# How many characters of a target are shown.
_MOST_SHOWN = 200


class Metrics:
    """
    Counts a site's connections, requests, refusals, time-outs and TLS handshakes.

    ::

        metrics = Metrics()
        site = Site(root, metrics=metrics)
        status = Site(StatusResource(metrics, lambda: site.isDraining))

    @ivar isWatched: whether to keep the newest requests; set by the page that shows
        them.

    One object is for one site.  Processes that are counted together share a directory.

    @since: 0.1
    """

    _log = Logger()

    @checked(directory=optional(PATH))
    def __init__(self, directory: str | os.PathLike[str] | None = None) -> None:
        """
        @param directory: an existing directory, on a local file system and with nothing
            else in it, in which several processes keep their numbers.
        @raise TypeError: if it is not a path.
        @raise OSError: if it can not be used.
        """
        self._shared = None if directory is None else Shared(os.fspath(directory))
        self._numbers = Numbers() if self._shared is None else self._shared.begin()
        self._newest: deque[tuple[Any, ...]] = deque(maxlen=_MOST_REMEMBERED)
        self._slowest: list[tuple[Any, ...]] = []
        self._isAlone = False
        # A request that takes longer than this is one of the slowest.
        self._slow = -1.0
        self.isWatched = False
        self._order = count()
        self._look: Callable[[], tuple[list[str], int]] = lambda: ([], 0)
        self._count = self._numbers.ended
        self.refused = self._numbers.refused
        self.timedOut = self._numbers.timedOut
        self.connected = self._numbers.connected
        self.handshake = self._numbers.handshake

    def watch(self, look: Callable[[], tuple[list[str], int]]) -> None:
        """
        Called by the site.

        @param look: returns the states of its connections, and how many lines of its
            access log were lost.
        """
        self._look = look

    def ended(self, request: Any, seconds: float | None, received: int | None) -> None:
        """
        Called by the site: a response has ended.
        """
        self._count(request, seconds, received)
        if self.isWatched:
            self._newest.append((request.method, request.uri, request.code, seconds))
        if seconds is not None and seconds > self._slow:
            self._remember(request, seconds)

    def _remember(self, request: Any, seconds: float) -> None:
        slowest = self._slowest
        if len(slowest) < _MOST_REMEMBERED:
            heappush(slowest, self._row(request, seconds))
        else:
            heappushpop(slowest, self._row(request, seconds))
            self._slow = slowest[0][0]

    def _row(self, request: Any, seconds: float) -> tuple[Any, ...]:
        # The number avoids comparing requests of the same duration: bytes and str.
        return (
            *(seconds, next(self._order)),
            *(request.method, request.uri, request.code),
        )

    def totals(self) -> tuple[list[int], int]:
        """
        The sums of the numbers of all processes, by
        L{PLACES<twisted_h11._metrics.numbers.PLACES>}, and the number of processes.  If
        the files of the others can not be used, those of this process.
        """
        self.refresh()
        if self._shared is not None:
            try:
                self._keep(self._shared)
                found = self._shared.total()
            except OSError as error:
                self._tellAlone(error)
            else:
                self._isAlone = False
                return found
        return list(self._numbers.view), 1

    def refresh(self) -> None:
        """
        Update the gauges among this process' numbers, for other processes to read.
        """
        self._numbers.now(*self._look())
        if self._shared is not None:
            try:
                self._keep(self._shared)
            except OSError as error:
                self._tellAlone(error)

    def _keep(self, shared: Shared) -> None:
        if shared.keep(self._numbers):
            self._log.warn(
                "The file of the metrics was removed, and is made again; the metrics "
                "of processes that have ended may be lost"
            )

    def _tellAlone(self, error: OSError) -> None:
        if not self._isAlone:
            self._isAlone = True
            self._log.error(
                "Can not share metrics with other processes, so only those of this one "
                "are shown: {reason}",
                reason=explain(error),
            )

    def newest(self) -> list[dict[str, Any]]:
        """
        The requests of this process that ended last, the newest first.
        """
        return [_row(*row) for row in reversed(self._newest)]

    def slowest(self) -> list[dict[str, Any]]:
        """
        The requests of this process that took longest, the slowest first.
        """
        return [
            _row(method, uri, code, seconds)
            for seconds, _, method, uri, code in sorted(self._slowest, reverse=True)
        ]


def _row(method: Any, uri: Any, code: Any, seconds: float | None) -> dict[str, Any]:
    return {
        "method": _text(method),
        "target": _text(uri),
        "status": int(code),
        "seconds": seconds,
    }


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    text = str(value)
    return text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + "…"
