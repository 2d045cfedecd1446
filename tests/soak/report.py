"""
What a run has shown: the verdict, and the figures in words.

The document that is judged::

    {"seconds": ..., "started": ..., "rate": ..., "seed": ...,
     "servers": {name: {"workers": ..., "before": sample, "after": sample,
                        "metrics": {...}, "clients": {what: count},
                        "tracebacks": [...], "stopped": {...},
                        "samples": [{"at": seconds, ...}, ...]}},
     "faults": [...], "ended": {"good": exit status, ...}}
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from statistics import median
from typing import Any

from tests.soak.content import EXACT

__all__ = ["judge", "quarters", "table", "thin", "total"]

GROWTH = {"memory": (1.05, 4 << 20), "descriptors": (1.1, 32)}
"""
How much more the last quarter may have than the second: a factor, and an amount beyond
it, because clients that come and go are never the same number.
"""

MEASURE: dict[str, Callable[[list[int]], float]] = {
    "memory": median,
    "descriptors": min,
}
"""
What stands for a quarter.  Of the descriptors the fewest: a flood of connections
may be there for most of a quarter, and what is lost is never given back.
"""


def quarters(samples: list[dict[str, Any]], key: str) -> tuple[float, float]:
    """
    What stands for the second and for the last quarter.
    """
    measure = MEASURE[key]
    length = len(samples)
    second = [one[key] for one in samples[length // 4 : length // 2]]
    last = [one[key] for one in samples[length * 3 // 4 :]]
    return measure(second), measure(last)


def _counts(name: str, server: dict[str, Any]) -> Iterable[str]:
    clients, metrics = server["clients"], server["metrics"]
    late = clients.get("late", 0)
    for method in EXACT:
        ours, theirs = clients.get(f"good {method}", 0), metrics.get(method, 0)
        if not ours <= theirs <= ours + late:
            yield f"{name}: {ours} {method} were answered, {theirs} counted"
    good, requests = clients.get("good", 0), metrics["requests"]
    most = good + late + clients.get("sent", 0)
    if not good <= requests <= most:
        yield f"{name}: {requests} requests counted, not {good} to {most}"
    if not good:
        yield f"{name}: no good request was answered"


def _flat(name: str, server: dict[str, Any]) -> Iterable[str]:
    samples = server["samples"]
    if len(samples) < 8:
        yield f"{name}: too few samples: {len(samples)}"
        return
    for key, (factor, more) in GROWTH.items():
        second, last = quarters(samples, key)
        if last > second * factor + more:
            yield f"{name}: {key} grew from {second:.0f} to {last:.0f}"


def _end(name: str, server: dict[str, Any]) -> Iterable[str]:
    before, after, stopped = server["before"], server["after"], server["stopped"]
    if after["connections"]:
        yield f"{name}: {after['connections']} connections were left"
    if after["descriptors"] > before["descriptors"]:
        more = after["descriptors"] - before["descriptors"]
        yield f"{name}: {more} descriptors were left"
    if stopped["status"] != 0 or stopped["left"]:
        yield (
            f"{name}: after SIGTERM the exit status was {stopped['status']}, and "
            f"{stopped['left']} processes were left"
        )
    for line in sorted(set(server["tracebacks"])):
        number = server["tracebacks"].count(line)
        yield f"{name}: {number} tracebacks in the log: {line}"


def judge(document: dict[str, Any]) -> list[str]:
    """
    What was not as it must be; nothing, if the run is good.
    """
    found: list[str] = []
    for name, server in document["servers"].items():
        clients = server["clients"]
        for what, words in (
            ("wrong", "answers were wrong"),
            ("failed", "good requests failed"),
            ("kept", "connections of bad clients did not end"),
        ):
            if clients.get(what):
                found.append(f"{name}: {clients[what]} {words}")
        found += _counts(name, server)
        found += _flat(name, server)
        found += _end(name, server)
    for name, status in document["ended"].items():
        if status:
            found.append(f"the clients {name} ended with status {status}")
    return found + [f"  {line}" for line in document["faults"]]


def total(document: dict[str, Any]) -> int:
    """
    Requests that the servers have answered.
    """
    return sum(one["metrics"]["requests"] for one in document["servers"].values())


def thin(samples: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """
    At most so many of the samples, evenly: no more are drawn.
    """
    step = -(-len(samples) // most)
    return samples[step - 1 :: step] if step > 1 else samples


def _rows(server: dict[str, Any]) -> list[tuple[str, str]]:
    clients, samples = server["clients"], server["samples"]
    memory, descriptors = quarters(samples, "memory"), quarters(samples, "descriptors")
    fifty = median([one["p50"] for one in samples if one["p50"] is not None] or [0])
    most = median([one["p99"] for one in samples if one["p99"] is not None] or [0])
    final = server["metrics"]
    return [
        ("Requests answered", f"{final['requests']:,}"),
        ("of them of good clients, each checked", f"{clients.get('good', 0):,}"),
        ("by our Agent", f"{clients.get('agent', 0):,}"),
        ("Wrong answers", f"{clients.get('wrong', 0)}"),
        ("Good requests that failed", f"{clients.get('failed', 0)}"),
        ("Sent too late by a busy machine", f"{clients.get('late', 0)}"),
        ("Connections", f"{final['accepted']:,}"),
        ("Refusals", f"{final['refused']:,}"),
        ("Time-outs", f"{final['timeouts']:,}"),
        ("Slow, hostile, vanishing visits", _visits(clients)),
        ("Latency of a small request, p50", f"{fifty * 1e3:.1f} ms"),
        ("Latency of a small request, p99", f"{most * 1e3:.1f} ms"),
        ("Median of memory, 2nd quarter", f"{memory[0] / 2**20:.1f} MiB"),
        ("Median of memory, last quarter", f"{memory[1] / 2**20:.1f} MiB"),
        ("Fewest descriptors, 2nd quarter", f"{descriptors[0]:.0f}"),
        ("Fewest descriptors, last quarter", f"{descriptors[1]:.0f}"),
        ("Descriptors, before and after", _both(server, "descriptors")),
        ("Connections, after", f"{server['after']['connections']}"),
        ("Tracebacks, but for the deliberate", f"{len(server['tracebacks'])}"),
        ("Ended after SIGTERM in", f"{server['stopped']['seconds']:.1f} s"),
    ]


def _visits(clients: dict[str, int]) -> str:
    hostile = clients.get("hostile", 0) + clients.get("flood", 0)
    counts = (clients.get("slow", 0), hostile, clients.get("vanished", 0))
    return ", ".join(f"{count:,}" for count in counts)


def _both(server: dict[str, Any], key: str) -> str:
    return f"{server['before'][key]}, {server['after'][key]}"


def table(document: dict[str, Any]) -> str:
    """
    The figures, as a table of reStructuredText.
    """
    columns = [[("", name), *_rows(one)] for name, one in document["servers"].items()]
    rows = [
        [line[0][0], *(cell[1] for cell in line)] for line in zip(*columns, strict=True)
    ]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    widths = [max(4, width) for width in widths]
    rule = "  ".join("=" * width for width in widths)

    def line(row: list[str]) -> str:
        cells = zip(row, widths, strict=True)
        return "  ".join(cell.ljust(width) for cell, width in cells).rstrip()

    rows[0][0] = "What"
    body = [line(row) for row in rows]
    return "\n".join([rule, body[0], rule, *body[1:], rule]) + "\n"
