"""
C{python -m tests.benchmarks}: measure, print, save.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from tests.benchmarks import levels
from tests.benchmarks.cases import (
    CASES,
    CHARTED,
    CHARTED_FIRST,
    LEVELS,
    Case,
    find_cases,
)
from tests.benchmarks.chart import ChartFailed, draw
from tests.benchmarks.machine import cores, describe_machine, probe
from tests.benchmarks.peers import CLIENTS, PEERS, Peer, control, find_peers
from tests.benchmarks.report import table, text
from tests.benchmarks.results import Book, save
from tests.benchmarks.servers import ServerFailed, Workshop
from tests.benchmarks.settings import Settings, estimate

__all__ = ["main"]

# Distributions whose versions are told; all that the servers are made of.
_TOLD = [
    "Python",
    "Twisted",
    "h11",
    "twisted-h11",
    "uvicorn",
    "httptools",
    "uvloop",
    "hypercorn",
    "daphne",
    "aiohttp",
    "tornado",
    "granian",
    "gunicorn",
    "httpx",
]

MIB = 1 << 20


def _parser() -> argparse.ArgumentParser:
    """
    The command line.
    """
    default = Settings()
    minutes = estimate(CASES, PEERS, default) / 60
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="Compare twisted-h11 with its peers. Nothing is installed; "
        "what is missing is named and left out. "
        f"With every peer and no options it takes about {minutes:.0f} minutes.",
    )
    add = parser.add_argument
    add("--list", action="store_true", help="list cases and peers, and stop")
    for name, what in (
        ("case", "only these cases: level/name, name or level, with * and ?"),
        ("peer", "only these peers, and what of ours they are compared with"),
    ):
        add(
            f"--{name}",
            action="append",
            default=[],
            metavar="PATTERN",
            help=f"{what}; repeatable",
        )
    number = partial(add, type=_positive)
    number("--rounds", default=default.rounds)
    number("--seconds", default=default.seconds, help="length of a wrk run")
    number("--connections", default=default.connections)
    number("--idle-connections", default=default.idleConnections)
    number(
        "--bulk-size",
        default=default.bulkLength // MIB,
        metavar="MIB",
        help="length of the large body in MiB",
    )
    add(
        "--python",
        default=sys.executable,
        metavar="PATH",
        help="the interpreter of the environment that has the peers",
    )
    add(
        "--control",
        action="store_true",
        help="put twisted.web in our place: shows how large the noise is",
    )
    add("--output", metavar="FILE", help="save the result as JSON")
    add("--chart", metavar="FILE", help="draw a chart as SVG")
    add("--chart-level", choices=list(LEVELS), default="rate")
    add(
        "--publish",
        metavar="FOLDER",
        help="save the result as FOLDER/performance.json, and draw the charts of the "
        "documentation beside it",
    )
    add(
        "--from",
        dest="saved",
        metavar="FILE",
        help="measure nothing; print, and draw, this saved result; --case says "
        "what is drawn",
    )
    return parser


def _positive(value: str) -> int:
    """
    A whole number above zero.
    """
    number = int(value) if value.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{value!r} is not a whole number above 0")
    return number


def _memory(book: Book, cases: list[Case], settings: Settings) -> None:
    """
    The level that needs no servers; it can be told only here what ours is.
    """
    # Imports Twisted, which those who only want the list need not have.
    from tests.benchmarks.memory import compare, h11_site, twisted_site

    ours = twisted_site if settings.control else h11_site
    for case in cases:
        settings.progress(case.fullName)
        try:
            mine, other = compare(case, ours, twisted_site, 3 * settings.rounds)
        except AssertionError as reason:
            book.leaveOut(case.fullName, "twisted_h11", str(reason))
            continue
        for name, figures in (("twisted_h11", mine), ("twisted.web", other)):
            for turn, figure in enumerate(figures):
                book.add(case.fullName, name, turn, figure)


def _present(
    book: Book, cases: list[Case], peers: list[Peer], workshop: Workshop
) -> tuple[list[Peer], dict[str, str]]:
    """
    The peers that are installed; for the others the reason is taken down.
    """
    wanted = sorted({module for peer in peers for module in peer.modules})
    try:
        missing, versions = probe(workshop.python, wanted, workshop.environment)
    except (OSError, subprocess.CalledProcessError) as reason:
        raise ServerFailed(f"{workshop.python} does not run: {reason}") from None
    found = []
    for peer in peers:
        lacking = [missing[module] for module in peer.modules if module in missing]
        if not lacking:
            found.append(peer)
        for case in cases:
            if lacking and peer.takes(case):
                book.leaveOut(case.fullName, peer.name, f"missing: {lacking[0]}")
    lower = {name.lower(): version for name, version in versions.items()}
    told = {name: lower[name.lower()] for name in _TOLD if name.lower() in lower}
    return found, told


def measure(
    cases: list[Case], peers: list[Peer], settings: Settings, python: str
) -> Any:
    """
    Measure everything.

    @return: the document.  When the run is interrupted it has what was measured
        until then, and says so.
    @raise ServerFailed: when the interpreter for the peers does not run.
    """
    book = Book()
    machine = describe_machine()
    versions: dict[str, str] = {}
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _measure(book, cases, peers, settings, python, versions)
    except KeyboardInterrupt:
        machine["interrupted"] = "yes: this is not a whole run"
    return book.document(
        machine=machine,
        versions=versions,
        settings={
            "rounds": settings.rounds,
            "seconds": settings.seconds,
            "connections": settings.connections,
            "idle_connections": settings.idleConnections,
            "bulk_bytes": settings.bulkLength,
            "server_core": settings.serverCore,
            "load_core": settings.loadCore,
            "control": settings.control,
        },
    )


def _measure(
    book: Book,
    cases: list[Case],
    peers: list[Peer],
    settings: Settings,
    python: str,
    versions: dict[str, str],
) -> None:
    """
    Measure level by level.

    @param versions: gets the versions of what takes part.
    """
    by = {level: [case for case in cases if case.level == level] for level in LEVELS}
    if by["memory"]:
        # Those of this process; an interpreter for the peers may have others.
        for name in ("Twisted", "h11"):
            with contextlib.suppress(PackageNotFoundError):
                versions[name] = version(name)
        _memory(book, by["memory"], settings)
    outside = [case for case in cases if case.level != "memory"]
    if outside:
        workshop = Workshop(python, settings.serverCore, settings.loadCore)
        try:
            present, told = _present(book, outside, peers, workshop)
            versions.update(told)
            if settings.loadCore is not None:
                # We are the load where wrk is not.
                os.sched_setaffinity(0, {settings.loadCore})
            for level, run in levels.LEVELS.items():
                if by[level]:
                    run(book, by[level], present, workshop, settings)
        finally:
            workshop.close()


def _listing(cases: list[Case], peers: list[Peer], settings: Settings) -> str:
    """
    What there is.
    """
    rows = [["case", "what"], *([case.fullName, case.title] for case in cases)]
    lines = table(rows)
    rows = [["peer", "what", "access log"]]
    rows += [[peer.name, peer.title, peer.log] for peer in peers]
    lines += ["", *table(rows), ""]
    lines += table([["client", "what"], *([one.name, one.title] for one in CLIENTS)])
    lines.append("")
    minutes = estimate(cases, peers, settings) / 60
    lines.append(f"All of this takes about {minutes:.0f} minutes.")
    return "\n".join(lines)


def _warn(settings: Settings) -> None:
    """
    Say what makes the figures of this machine worse.
    """
    if settings.serverCore is None:
        print("There are no two cores: server and load share one.", file=sys.stderr)
    elif shutil.which("taskset") is None:
        print(
            "taskset is missing (apt-get install util-linux): servers are not "
            "bound to a core.",
            file=sys.stderr,
        )


def main(arguments: list[str] | None = None) -> int:
    """
    Run.

    @return: the exit status.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    level, charted = options.chart_level, options.case
    if options.publish is not None:
        if options.saved or options.output or options.chart:
            parser.error(
                "--publish says where all goes: not with --from, --output or --chart"
            )
        options.output = os.path.join(options.publish, "performance.json")
        options.chart = os.path.join(options.publish, "performance.svg")
        level, charted = None, CHARTED
    try:
        cases, peers = find_cases(options.case), find_peers(options.peer)
    except ValueError as reason:
        parser.error(str(reason))
    if options.saved is not None:
        with open(options.saved, encoding="utf-8") as saved:
            document = json.load(saved)
    else:
        if options.control:
            peers = control(peers)
        pair = cores()
        settings = Settings(
            rounds=options.rounds,
            seconds=options.seconds,
            connections=options.connections,
            idleConnections=options.idle_connections,
            bulkLength=options.bulk_size * MIB,
            serverCore=pair[0] if pair else None,
            loadCore=pair[1] if pair else None,
            control=options.control,
            progress=lambda line: print(line, file=sys.stderr, flush=True),
        )
        if options.list:
            print(_listing(cases, peers, settings))
            return 0
        _warn(settings)
        minutes = estimate(cases, peers, settings) / 60
        print(f"This takes about {minutes:.1f} minutes.", file=sys.stderr, flush=True)
        # Found now, not after an hour; what was saved before stays until there is more.
        if options.output is not None:
            with open(options.output, "a", encoding="utf-8"):
                pass
        if options.chart is not None and find_spec("matplotlib") is None:
            print("a chart needs matplotlib, which is not installed", file=sys.stderr)
            return 1
        try:
            document = measure(cases, peers, settings, options.python)
        except ServerFailed as reason:
            print(reason, file=sys.stderr)
            return 1
        if options.output is not None:
            save(document, options.output)
    print(text(document))
    if options.chart is not None:
        try:
            draw(document, options.chart, level, find_cases(charted))
            if options.publish is not None:
                short = os.path.join(options.publish, "performance-short.svg")
                draw(document, short, None, find_cases(CHARTED_FIRST), 4.8)
        except ChartFailed as reason:
            print(reason, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
