"""
C{python -m tests.benchmarks.workers}: what a second worker is worth.

Servers with two workers, and ours with one, answer the same request on all cores, which
they share with wrk; what is printed is the median of the ratios of interleaved rounds,
the lowest and the highest.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from dataclasses import replace

from tests.benchmarks.cases import find_cases
from tests.benchmarks.levels import ToolFailed, check, load
from tests.benchmarks.peers import Peer, find_peers
from tests.benchmarks.report import table
from tests.benchmarks.servers import Server, ServerFailed, Workshop
from tests.benchmarks.settings import Settings
from tests.benchmarks.wire import Unexpected

__all__ = ["SIDES", "main", "ratios"]

_OURS = "h11web-nolog"

SIDES: dict[str, tuple[str, tuple[str, ...]]] = {
    "twistd h11web --workers 2": (_OURS, ("--workers=2",)),
    "twistd h11web": (_OURS, ()),
    "gunicorn -w 2": ("gunicorn", ("-w", "2")),
    "gunicorn -w 2 --threads 4": ("gunicorn-gthread", ("-w", "2")),
    "uvicorn --workers 2, h11": ("uvicorn-h11", ("--workers", "2")),
    "uvicorn --workers 2, httptools": ("uvicorn-httptools", ("--workers", "2")),
}
"""
What is measured: by its name, the peer that it is and the options that are added.
"""

_FIRST = next(iter(SIDES))


def _peer(name: str) -> Peer:
    base, options = SIDES[name]
    [peer] = [one for one in find_peers([base]) if one.name == base]
    return replace(peer, words=(*peer.words, *options))


def _once(name: str, workshop: Workshop, settings: Settings, case: str) -> float:
    """
    Requests per second of one server, started for that.
    """
    [asked] = find_cases([case])
    with Server(_peer(name), workshop) as server:
        check(server, asked)
        counted = load(server, asked, settings)
    return counted["requests"] / counted["microseconds"] * 1e6


def ratios(figures: dict[str, list[float]]) -> list[list[str]]:
    """
    For each side the median rate, and the ratio of the first side to it.

    @param figures: the rates of each side, one for each round.
    """
    rows = []
    for name, rates in figures.items():
        pairs = zip(figures[_FIRST], rates, strict=True)
        found = sorted(first / other for first, other in pairs)
        middle = sorted(rates)[len(rates) // 2]
        ratio = f"{found[len(found) // 2]:.2f} ({found[0]:.2f}..{found[-1]:.2f})"
        rows.append([name, f"{middle:,.0f}", ratio])
    return rows


def main(arguments: list[str] | None = None) -> int:
    """
    Measure and print.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.workers")
    parser.add_argument("--python", default=sys.executable, help="has the peers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--case", default="rate/browser")
    options = parser.parse_args(arguments)
    settings = Settings(seconds=options.seconds, connections=64)
    figures: dict[str, list[float]] = {name: [] for name in SIDES}
    with contextlib.closing(Workshop(options.python, None)) as workshop:
        for turn in range(options.rounds):
            order = list(figures)
            for name in order[::-1] if turn % 2 else order:
                try:
                    rate = _once(name, workshop, settings, options.case)
                except (ServerFailed, ToolFailed, Unexpected, OSError) as reason:
                    print(f"left out: {name}: {reason}")
                    del figures[name]
                    if name == _FIRST:
                        return 1
                else:
                    figures[name].append(rate)
    head = ["server", "requests/s", f"{_FIRST} / it"]
    print("\n".join(table([head, *ratios(figures)])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
