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
from statistics import median
from typing import Any

from tests.benchmarks.cases import find_cases
from tests.benchmarks.levels import run
from tests.benchmarks.peers import PEERS
from tests.benchmarks.report import table
from tests.benchmarks.results import Book
from tests.benchmarks.servers import Workshop
from tests.benchmarks.settings import Settings

__all__ = ["SIDES", "main", "ratios"]

_ADDED = {
    "twistd h11web --workers 2": ("h11web-nolog", "--workers=2"),
    "twistd h11web": ("h11web-nolog", ""),
    "gunicorn -w 2": ("gunicorn", "-w 2"),
    "gunicorn -w 2 --threads 4": ("gunicorn-gthread", "-w 2"),
    "uvicorn --workers 2, h11": ("uvicorn-h11", "--workers 2"),
    "uvicorn --workers 2, httptools": ("uvicorn-httptools", "--workers 2"),
}

SIDES = [
    replace(peer, name=name, command=f"{peer.command} {options}", always=True)
    for name, (base, options) in _ADDED.items()
    for peer in PEERS
    if peer.name == base
]
"""
What is measured: peers, with options that are added; ratios are those of the first.
"""


def ratios(results: list[Any]) -> list[list[str]]:
    """
    For each side the median rate, and the ratio of the first side to it.

    @param results: what the book has.
    """
    [first] = [one["rounds"] for one in results if one["peer"] == SIDES[0].name]
    rows = []
    for one in results:
        rounds = one["rounds"]
        found = [first[turn] / rate for turn, rate in rounds.items() if turn in first]
        ratio = f"{median(found):.2f} ({min(found):.2f}..{max(found):.2f})"
        rows.append([one["peer"], f"{one['median']:,.0f}", ratio])
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
    settings = Settings(options.python, options.rounds, options.seconds, connections=64)
    book = Book()
    with contextlib.closing(Workshop(settings)) as workshop:
        run(book, find_cases([options.case]), SIDES, workshop)
    for (_, name), reason in book.leftOut.items():
        print(f"left out: {name}: {reason}")
        if name in (SIDES[0].name, "all"):
            return 1
    head = ["server", "requests/s", f"{SIDES[0].name} / it"]
    print("\n".join(table([head, *ratios(book.results())])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
