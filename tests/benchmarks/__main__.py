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
from tests.benchmarks.peers import (
    BEFORE,
    CLIENTS,
    PEERS,
    Peer,
    before,
    control,
    find_peers,
)
from tests.benchmarks.report import table, text
from tests.benchmarks.results import Book
from tests.benchmarks.servers import ServerFailed, Workshop
from tests.benchmarks.settings import Settings, estimate

__all__ = ["main", "measure"]

# Distributions whose versions are told; all that the servers are made of.
_TOLD = ["Python", "Twisted", "h11", "twisted-h11", "uvicorn", "httptools", "uvloop"]
_TOLD += ["hypercorn", "daphne", "aiohttp", "tornado", "granian", "gunicorn", "httpx"]

MIB = 1 << 20


def _positive(value: str) -> int:
    number = int(value) if value.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{value!r} is not a whole number above 0")
    return number


def _parser() -> argparse.ArgumentParser:
    default = Settings()
    minutes = estimate(CASES, PEERS, default)
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="Compare twisted-h11 with its peers. Nothing is installed; "
        "what is missing is named and left out. "
        f"With every peer and no options it takes about {minutes:.0f} minutes.",
    )
    add = parser.add_argument
    add("--list", action="store_true", help="list cases and peers, and stop")
    several = partial(add, action="append", default=[], metavar="PATTERN")
    several(
        "--case",
        help="only these cases: level/name, name or level, with * and ?; repeatable",
    )
    several(
        "--peer",
        help="only these peers, and what of ours they are compared with; repeatable",
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
    add(
        "--before",
        metavar="FOLDER",
        help="compare with an earlier revision only, whose checkout is in FOLDER",
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
            sides = compare(case, ours, twisted_site, 3 * settings.rounds)
        except AssertionError as reason:
            book.leaveOut(case.fullName, "twisted_h11", str(reason))
            continue
        for name, figures in zip(("twisted_h11", "twisted.web"), sides, strict=True):
            for turn, figure in enumerate(figures):
                book.add(case.fullName, name, turn, figure)


def _memory_before(
    book: Book, cases: list[Case], workshop: Workshop, folder: str
) -> None:
    """
    The same level, for us and for an earlier revision: two versions of one package need
    two processes.

    @param folder: a checkout of that revision.
    """
    sides = [("twisted_h11", ""), (f"twisted_h11{BEFORE}", folder)]
    for case in cases:
        workshop.settings.progress(case.fullName)
        for turn in range(workshop.settings.rounds):
            for name, checkout in reversed(sides) if turn % 2 else sides:
                try:
                    figure = levels.in_memory(case, workshop, checkout)
                except levels.ToolFailed as reason:
                    book.leaveOut(case.fullName, name, str(reason))
                else:
                    book.add(case.fullName, name, turn, figure)


def _present(
    book: Book, cases: list[Case], peers: list[Peer], workshop: Workshop
) -> tuple[list[Peer], dict[str, str]]:
    """
    The peers that are installed, and versions; for the others the reason is taken down.
    """
    python = workshop.settings.python
    wanted = {module for peer in peers for module in peer.modules.split()}
    try:
        missing, versions = probe(python, wanted, workshop.environment())
    except (OSError, subprocess.CalledProcessError) as reason:
        raise ServerFailed(f"{python} does not run: {reason}") from None
    found = []
    for peer in peers:
        lacking = [missing[name] for name in peer.modules.split() if name in missing]
        if not lacking:
            found.append(peer)
        for case in cases:
            if lacking and peer.takes(case):
                book.leaveOut(case.fullName, peer.name, f"missing: {lacking[0]}")
    lower = {name.lower(): version for name, version in versions.items()}
    return found, {name: lower[name.lower()] for name in _TOLD if name.lower() in lower}


def measure(cases: list[Case], peers: list[Peer], settings: Settings) -> Any:
    """
    Measure everything, level by level.

    @return: the document.  When the run is interrupted it has what was measured
        until then, and says so.
    @raise ServerFailed: when the interpreter for the peers does not run.
    """
    book = Book()
    machine = describe_machine()
    versions: dict[str, str] = {}
    by = {level: [case for case in cases if case.level == level] for level in LEVELS}
    inside = by.pop("memory")
    outside = [case for level in by.values() for case in level]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    earlier = next((peer.folder for peer in peers if peer.folder), None)
    with contextlib.ExitStack() as stack:
        try:
            workshop = Workshop(settings)
            stack.callback(workshop.close)
            if inside:
                # Those of this process; an interpreter for the peers may have others.
                for name in ("Twisted", "h11"):
                    with contextlib.suppress(PackageNotFoundError):
                        versions[name] = version(name)
            if earlier is None:
                _memory(book, inside, settings)
            else:
                _memory_before(book, inside, workshop, earlier)
            if outside:
                present, told = _present(book, outside, peers, workshop)
                versions.update(told)
                if settings.loadCore is not None:
                    # We are the load where wrk is not.
                    os.sched_setaffinity(0, {settings.loadCore})
                for level in filter(None, by.values()):
                    levels.run(book, level, present, workshop)
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


def _listing(cases: list[Case], peers: list[Peer], settings: Settings) -> str:
    logs = [[peer.name, peer.title, peer.log] for peer in peers]
    lines = [
        *table([["case", "what"], *([case.fullName, case.title] for case in cases)]),
        "",
        *table([["peer", "what", "access log"], *logs]),
        "",
        *table([["client", "what"], *([one.name, one.title] for one in CLIENTS)]),
        "",
        f"All of this takes about {estimate(cases, peers, settings):.0f} minutes.",
    ]
    return "\n".join(lines)


def _say(line: object) -> None:
    print(line, file=sys.stderr, flush=True)


def _new(
    options: Any, cases: list[Case], peers: list[Peer], settings: Settings
) -> dict[str, Any]:
    """
    Measure, and save.

    @raise ChartFailed: when no chart can be drawn of it.
    @raise ServerFailed: when the interpreter for the peers does not run.
    """
    # What makes the figures of this machine worse.
    if settings.serverCore is None:
        _say("There are no two cores: server and load share one.")
    elif shutil.which("taskset") is None:
        _say(
            "taskset is missing (apt-get install util-linux): servers are not "
            "bound to a core."
        )
    _say(f"This takes about {estimate(cases, peers, settings):.1f} minutes.")
    # Found now, not after an hour; what was saved before stays until there is more.
    if options.output is not None:
        with open(options.output, "a", encoding="utf-8"):
            pass
    if (options.chart or options.publish) and find_spec("matplotlib") is None:
        raise ChartFailed("a chart needs matplotlib, which is not installed")
    document: dict[str, Any] = measure(cases, peers, settings)
    if options.output is not None:
        with open(options.output, "w", encoding="utf-8") as out:
            json.dump(document, out, indent=1)
            out.write("\n")
    return document


def main(arguments: list[str] | None = None) -> int:
    """
    Run.

    @return: the exit status.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    # The file, the cases and the width of each.
    charts: list[tuple[str, list[Case], float]] = []
    if options.publish is not None:
        if options.saved or options.output or options.chart:
            parser.error(
                "--publish says where all goes: not with --from, --output or --chart"
            )
        options.output = os.path.join(options.publish, "performance.json")
        for name, patterns, width in (
            ("performance.svg", CHARTED, 8),
            ("performance-short.svg", CHARTED_FIRST, 4.8),
        ):
            path = os.path.join(options.publish, name)
            charts.append((path, find_cases(patterns), width))
    try:
        cases, peers = find_cases(options.case), find_peers(options.peer)
    except ValueError as reason:
        parser.error(str(reason))
    if options.chart is not None:
        charted = [case for case in cases if case.level == options.chart_level]
        charts.append((options.chart, charted, 8))
    clients = CLIENTS
    if options.before is not None:
        if options.peer or options.control:
            parser.error("--before names the peers: not with --peer or --control")
        if not os.path.isdir(os.path.join(options.before, "twisted_h11")):
            parser.error(f"--before: there is no twisted_h11 in {options.before!r}")
        peers, clients = before(options.before), []
    if options.control:
        peers = control(peers)
    serverCore, loadCore = cores()
    settings = Settings(
        python=options.python,
        rounds=options.rounds,
        seconds=options.seconds,
        connections=options.connections,
        idleConnections=options.idle_connections,
        bulkLength=options.bulk_size * MIB,
        serverCore=serverCore,
        loadCore=loadCore,
        control=options.control,
        progress=_say,
    )
    if options.list:
        print(_listing(cases, peers, settings))
        return 0
    try:
        if options.saved is None:
            document = _new(options, cases, [*peers, *clients], settings)
        else:
            with open(options.saved, encoding="utf-8") as saved:
                document = json.load(saved)
        print(text(document))
        for path, charted, width in charts:
            draw(document, path, charted, width)
    except (ChartFailed, ServerFailed) as reason:
        _say(reason)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
