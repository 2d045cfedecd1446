"""
The status site: health and metrics of another site.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from twisted_h11._boundary.checks import CALLABLE, REACTOR, checked, instance, optional
from twisted_h11._boundary.variables import WORKER
from twisted_h11._metrics.metrics import Metrics
from twisted_h11._metrics.numbers import (
    CLASSES,
    DURATIONS,
    METHODS,
    PLACES,
    STATES,
    STATUSES,
    WAITS,
)
from twisted_h11._metrics.page import CONTENT_SECURITY_POLICY, PAGE
from twisted_h11._metrics.prometheus import exposition

__all__ = ["StatusResource"]

_INTERVAL = 1.0
"""
Seconds between the events of the page.
"""

_MOST_WATCHING = 20
"""
How many pages may receive events at a time; others get 503.
"""

_NOT_KEPT = (b"Cache-Control", b"no-store")


class StatusResource(Resource):
    """
    C{/health}: 200, or 503 when the site is draining.  C{/metrics}: the numbers in the
    format of Prometheus.  C{/}: a page of them, kept up to date by C{/events}.

    Serve it with a site of its own, on a port that is not public: paths of requests
    are shown.

    @since: 0.1
    """

    @checked(
        metrics=instance("Metrics", Metrics),
        isDraining=CALLABLE,
        reactor=optional(REACTOR),
    )
    def __init__(
        self,
        metrics: Metrics,
        isDraining: Callable[[], bool] = lambda: False,
        reactor: Any = None,
    ) -> None:
        """
        @param metrics: the metrics of the other site.
        @param isDraining: returns whether that site accepts no more connections; by
            default C{/health} is always 200.
        @param reactor: for the time between events; by default the global one.
        @raise TypeError: for an argument of the wrong type.
        """
        super().__init__()
        if reactor is None:
            from twisted.internet import reactor
        self.putChild(b"", _Page())
        self.putChild(b"health", _Health(isDraining))
        self.putChild(b"metrics", _Exposition(metrics))
        self.putChild(b"events", _Events(metrics, isDraining, reactor))


class _Page(Resource):
    """
    The page.
    """

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        """
        Return the page.
        """
        request.setHeader(b"Content-Type", b"text/html; charset=utf-8")
        request.setHeader(b"Content-Security-Policy", CONTENT_SECURITY_POLICY)
        request.setHeader(b"X-Content-Type-Options", b"nosniff")
        request.setHeader(b"Referrer-Policy", b"no-referrer")
        request.setHeader(*_NOT_KEPT)
        return PAGE


class _Health(Resource):
    """
    Whether a load balancer should send requests to the site.
    """

    isLeaf = True

    def __init__(self, isDraining: Callable[[], bool]) -> None:
        super().__init__()
        self._isDraining = isDraining

    def render_GET(self, request: Any) -> bytes:
        """
        Return 200, or 503 while the site is draining.
        """
        request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
        request.setHeader(*_NOT_KEPT)
        if self._isDraining():
            request.setResponseCode(503)
            return b"draining\n"
        return b"ok\n"


class _Exposition(Resource):
    """
    The numbers for Prometheus.
    """

    isLeaf = True

    def __init__(self, metrics: Metrics) -> None:
        super().__init__()
        self._metrics = metrics

    def render_GET(self, request: Any) -> bytes:
        """
        Return the numbers, or 501 without C{prometheus-client}.
        """
        request.setHeader(*_NOT_KEPT)
        try:
            kind, text = exposition(*self._metrics.totals())
        except ImportError:
            request.setResponseCode(501)
            request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
            return b"prometheus-client is not installed: twisted-h11[metrics]\n"
        request.setHeader(b"Content-Type", kind)
        return text


class _Events(Resource):
    """
    The numbers as events, for the page.
    """

    isLeaf = True

    def __init__(
        self, metrics: Metrics, isDraining: Callable[[], bool], reactor: Any
    ) -> None:
        super().__init__()
        self._metrics = metrics
        self._isDraining = isDraining
        self._reactor = reactor
        self._watching: set[Any] = set()
        self._call: IDelayedCall | None = None

    def render_GET(self, request: Any) -> Any:
        """
        Begin to send events to a page.
        """
        request.setHeader(*_NOT_KEPT)
        if len(self._watching) >= _MOST_WATCHING:
            request.setResponseCode(503)
            request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
            return b"Too many clients are watching.\n"
        request.setHeader(b"Content-Type", b"text/event-stream")
        # Without this field nginx buffers events.
        request.setHeader(b"X-Accel-Buffering", b"no")
        if request.method == b"HEAD":
            return b""
        self._watching.add(request)
        self._metrics.isWatched = True
        ended: Deferred[None] = request.notifyFinish()
        ended.addBoth(lambda _: self._gone(request))
        request.write(self._event())
        if self._call is None:
            self._call = self._reactor.callLater(_INTERVAL, self._tell)
        return NOT_DONE_YET

    def _gone(self, request: Any) -> None:
        self._watching.discard(request)
        if not self._watching and self._call is not None:
            self._call.cancel()
            self._call = None
            self._metrics.isWatched = False

    def _tell(self) -> None:
        self._call = self._reactor.callLater(_INTERVAL, self._tell)
        event = self._event()
        for request in list(self._watching):
            request.write(event)
            if self._isDraining():
                # The site is draining: let the connection end.
                request.finish()

    def _event(self) -> bytes:
        numbers, processes = self._metrics.totals()

        def group(key: str, names: tuple[str, ...]) -> dict[str, int]:
            return {name: numbers[PLACES[f"{key} {name}"]] for name in names}

        classes = {
            kind: sum(numbers[PLACES[f"requests {m} {kind}"]] for m in METHODS)
            for kind in CLASSES
        }
        trouble = {f"refused, {n}": c for n, c in group("refused", STATUSES).items()}
        trouble.update(
            (f"timed out, {n}", c) for n, c in group("timed out", WAITS).items()
        )
        trouble["TLS handshakes failed"] = numbers[PLACES["handshakes failed"]]
        trouble["log lines lost"] = numbers[PLACES["log lines dropped"]]
        said = {
            "time": self._reactor.seconds(),
            "worker": os.environ.get(WORKER, ""),
            "processes": processes,
            "draining": self._isDraining(),
            "requests": sum(classes.values()),
            "classes": {kind: n for kind, n in classes.items() if n},
            "states": group("state", STATES),
            "trouble": {name: n for name, n in trouble.items() if n},
            "bounds": DURATIONS,
            "durations": [
                numbers[PLACES[f"duration {n}"]] for n in range(len(DURATIONS) + 1)
            ],
            "newest": self._metrics.newest(),
            "slowest": self._metrics.slowest(),
        }
        return b"data: " + json.dumps(said).encode("ascii") + b"\n\n"
