"""
The numbers in the format of Prometheus, by C{prometheus-client}.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from twisted_h11._metrics.numbers import (
    CLASSES,
    DURATIONS,
    METHODS,
    PLACES,
    SIZES,
    STATES,
    STATUSES,
    WAITS,
)

__all__ = ["exposition"]

_PREFIX = "twisted_h11_"


def exposition(numbers: Sequence[int], processes: int) -> tuple[bytes, bytes]:
    """
    Format the numbers as text.

    @param numbers: the numbers, by L{PLACES}.
    @param processes: the number of processes they are from.
    @return: the media type and the text.
    @raise ImportError: if C{prometheus-client} is not installed
        (C{twisted-h11[metrics]}).
    """
    import prometheus_client
    from prometheus_client.registry import Collector

    class Numbers(Collector):
        def collect(self) -> Iterator[Any]:
            return _families(numbers, processes)

    registry = prometheus_client.CollectorRegistry(auto_describe=False)
    registry.register(Numbers())
    text = prometheus_client.generate_latest(registry)
    return prometheus_client.CONTENT_TYPE_LATEST.encode("ascii"), text


def _families(numbers: Sequence[int], processes: int) -> Iterator[Any]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    def counter(name: str, doc: str, labels: Sequence[str] = ()) -> Any:
        return CounterMetricFamily(_PREFIX + name, doc, labels=labels)

    requests = counter("requests", "Responses that have ended.", ["method", "status"])
    for method in METHODS:
        for kind in CLASSES:
            number = numbers[PLACES[f"requests {method} {kind}"]]
            requests.add_metric([method, kind], number)
    yield requests
    yield _histogram(
        "request_duration_seconds",
        "From the head of a request to the end of its response.",
        (numbers, "duration", DURATIONS, 1e9),
    )
    yield _histogram(
        "response_size_bytes",
        "Content of responses that was sent.",
        (numbers, "sent", SIZES, 1),
    )
    yield _histogram(
        "request_size_bytes",
        "Content of requests with content.",
        (numbers, "received", SIZES, 1),
    )
    for name, key, doc, label, values in (
        ("refused", "refused", "Requests and connections refused.", "status", STATUSES),
        ("timeouts", "timed out", "Connections that timed out.", "wait", WAITS),
        (
            "tls_handshakes",
            "handshakes",
            "TLS handshakes that have ended.",
            "result",
            ("ok", "failed"),
        ),
    ):
        family = counter(name, doc, [label])
        for value in values:
            family.add_metric([value], numbers[PLACES[f"{key} {value}"]])
        yield family
    for name, key, doc in (
        ("connections_accepted", "connections", "Connections that were accepted."),
        ("log_lines_dropped", "log lines dropped", "Lines of the access log lost."),
    ):
        family = counter(name, doc)
        family.add_metric([], numbers[PLACES[key]])
        yield family
    states = GaugeMetricFamily(
        _PREFIX + "connections", "Connections that are open.", labels=["state"]
    )
    for state in STATES:
        states.add_metric([state], numbers[PLACES[f"state {state}"]])
    yield states
    alive = GaugeMetricFamily(_PREFIX + "processes", "Processes that serve.")
    alive.add_metric([], processes)
    yield alive


def _histogram(
    name: str, doc: str, said: tuple[Sequence[int], str, Sequence[float], float]
) -> Any:
    from prometheus_client.core import HistogramMetricFamily

    numbers, key, bounds, unit = said
    buckets: list[tuple[str, float]] = []
    below = 0
    for place, bound in enumerate([*bounds, float("inf")]):
        below += numbers[PLACES[f"{key} {place}"]]
        buckets.append((f"{bound:g}" if bound != float("inf") else "+Inf", below))
    family = HistogramMetricFamily(_PREFIX + name, doc)
    family.add_metric([], buckets, numbers[PLACES[f"{key} sum"]] / unit)
    return family
