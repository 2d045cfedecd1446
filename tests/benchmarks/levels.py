"""
The levels that need servers: how each is measured.

In each round every server is started afresh, so that the accidents of one
process (where its memory lies, how its dictionaries are seeded) do not decide.
Within a round the peers take turns case by case, in an order that changes.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.benchmarks.cases import Case
from tests.benchmarks.heads import COUNTER, head
from tests.benchmarks.machine import busy_seconds, pinned, raise_descriptor_limit
from tests.benchmarks.peers import BARE, GENERAL, Peer
from tests.benchmarks.results import Book
from tests.benchmarks.sends import sends
from tests.benchmarks.servers import Server, ServerFailed, Workshop, ask, check
from tests.benchmarks.settings import Settings
from tests.benchmarks.streams import echo, listen
from tests.benchmarks.wire import Unexpected, read_answer

__all__ = ["LEVELS", "MOVES", "Level", "ToolFailed", "in_memory", "move", "run"]

_SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "wrk.lua")


class ToolFailed(Exception):
    """
    wrk or a client did not run, or saw errors.
    """


def _result(
    command: list[str], core: int | None, timeout: float, environment: Any = None
) -> dict[str, float]:
    """
    Run a program that prints one line of JSON behind the word RESULT.

    @raise ToolFailed: with its last words.
    """
    try:
        done = subprocess.run(
            pinned(command, core),
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ToolFailed(f"it took more than {timeout:.0f} s") from None
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            counted: dict[str, float] = json.loads(line.removeprefix("RESULT "))
            return counted
    said = (done.stderr or done.stdout).strip().splitlines()
    raise ToolFailed(said[-1][:200] if said else "no message")


def in_memory(case: Case, workshop: Workshop, checkout: str) -> float:
    """
    CPU time per request of a case of the level C{memory}, in a process of its own.

    @param checkout: where its C{twisted_h11} is, if it is not ours.
    @raise ToolFailed: when it does not answer as the case says.
    """
    settings = workshop.settings
    command = [settings.python, "-m", "tests.benchmarks.memory", case.fullName]
    environment = workshop.environment(checkout)
    return _result(command, settings.serverCore, 60, environment)["value"]


def _load(server: Server, case: Case) -> dict[str, float]:
    """
    Run wrk once, and tell what it counted.

    @raise ToolFailed: when it failed, or requests failed.
    """
    data, settings = case.asked(server.host), server.settings
    offset = data.find(COUNTER.encode("ascii")) + 1
    with tempfile.NamedTemporaryFile(prefix="benchmark") as request:
        request.write(data * case.depth)
        request.flush()
        command = ["wrk", "--threads", "1", "--timeout", "10s"]
        command += ["--connections", str(case.connections or settings.connections)]
        command += ["--duration", f"{settings.seconds}s", "--script", _SCRIPT]
        command += [f"{'https' if case.tls else 'http'}://{server.host}/"]
        command += ["--", request.name, str(offset), str(case.every or 0)]
        counted = _result(command, settings.loadCore, settings.seconds + 60)
    kinds = ("connect", "read", "write", "status", "timeout")
    wrong = {name: counted[name] for name in kinds if counted[name]}
    # A connection that ends with the run can count as an error of reading.
    if not counted["requests"] or sum(wrong.values()) > counted["requests"] * 0.001:
        raise ToolFailed(f"{counted['requests']:.0f} answers, errors: {wrong}")
    return counted


def _rate(server: Server, case: Case, turn: int) -> dict[str, float]:
    """
    Requests per second, by wrk.  Beside that the CPU time of the server per request
    is taken down, what else used its core, and in the first round how many system
    calls sent a response.
    """
    check(server, case)
    counted = sends(server, case) if turn == 0 and not case.tls else None
    more = {} if counted is None else {"sends": counted}
    before = busy_seconds(server.settings.serverCore)
    used, began = server.seconds(), time.monotonic()
    result = _load(server, case)
    used = server.seconds() - used
    passed = time.monotonic() - began
    after = busy_seconds(server.settings.serverCore)
    others = 0.0 if before is None or after is None else after - before - used
    return {
        **more,
        "value": result["requests"] / result["microseconds"] * 1e6,
        "cpu_per_request": used / result["requests"],
        "busy": used / passed,
        "disturbed": max(0.0, others / passed),
        "p50_microseconds": result["p50"],
        "p99_microseconds": result["p99"],
    }


# Descriptors that the processes need for anything else.
_SPARE = 200

# Time for the server to write its log and to give memory back.
_SETTLE = 1.0


def _idle(server: Server, case: Case, turn: int) -> dict[str, float]:
    """
    Resident memory per connection, when each of thousands has had one answer.

    @raise Unexpected: when an answer is wrong, or a connection was closed.
    """
    check(server, case)
    time.sleep(_SETTLE)
    before = server.memory("VmRSS")
    count = server.settings.idleConnections
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for number in range(count):
            connection = stack.enter_context(closing(server.connect()))
            ask(server, case, [connection], number)
            selector.register(connection.socket, selectors.EVENT_READ)
        time.sleep(_SETTLE)
        after = server.memory("VmRSS")
        closed = len(selector.select(0))
        if closed:
            raise Unexpected(f"{closed} of {count} idle connections were closed")
    return {"value": (after - before) / count, "resident_before": before}


_PIECE = memoryview(bytes(262144))

# For the name of a case, the request.
MOVES = {
    "upload": "PUT /upload HTTP/1.1\nHost: {host}\nContent-Length: {length}",
    "upload-streamed": "PUT /stream HTTP/1.1\nHost: {host}\nContent-Length: {length}",
    "download": "GET /download/{length} HTTP/1.1\nHost: {host}",
}


def move(server: Server, name: str, length: int) -> None:
    """
    Move one body by one of L{MOVES}.

    @raise Unexpected: when not all of it came over.
    """
    with closing(server.connect()) as connection:
        connection.send(head(MOVES[name], host=server.host, length=length))
        if name == "download":
            moved = connection.skim()
        else:
            for at in range(0, length, len(_PIECE)):
                connection.send(_PIECE[: length - at])
            moved = int(read_answer(connection.file))
        if moved != length:
            raise Unexpected(f"moved {moved} bytes instead of {length}")


def _bulk(server: Server, case: Case, turn: int) -> dict[str, float]:
    """
    CPU time of the server's processes, and the most memory that they had.  The time
    that passed would say more about the client.
    """
    move(server, case.name, 1 << 20)
    used, began = server.seconds(), time.monotonic()
    before = server.memory("VmRSS")
    move(server, case.name, server.settings.bulkLength)
    return {
        "value": server.seconds() - used,
        "passed": time.monotonic() - began,
        "grown": max(0, server.memory("VmHWM") - before),
    }


@contextmanager
def _asking(peer: Peer, workshop: Workshop, case: Case) -> Iterator[Any]:
    """
    What runs a client; what that asks is on the core of the load.
    """
    settings = workshop.settings
    with Server(BARE, workshop, beside=True) as bare:
        command = peer.words(settings.python, origin=bare.port)
        command += ["--requests", str(settings.clientRequests)]
        environment = workshop.environment(peer.folder)
        yield partial(_result, command, settings.serverCore, 120, environment)


def _client(
    ask_all: Callable[[], dict[str, float]], case: Case, turn: int
) -> dict[str, float]:
    """
    CPU time of the client per request; it is on the core that the servers have in other
    levels.
    """
    found = ask_all()
    return {"value": found["cpu"], "passed": found["passed"]}


@dataclass(frozen=True)
class Level:
    """
    How a level is measured.

    @ivar measure: one figure, called C{value}, and others; given what was started, the
        case and the number of the round.
    @ivar unable: why nothing can be measured, if that is so.
    @ivar kept: whether a server answers all cases of a round.
    @ivar start: starts what is measured.
    """

    measure: Callable[[Any, Case, int], dict[str, float]]
    unable: Callable[[Settings], str | None] = lambda settings: None
    kept: bool = False
    start: Callable[[Peer, Workshop, Case], AbstractContextManager[Any]] = (
        lambda peer, workshop, case: Server(peer, workshop, case.tls)
    )


def _no_wrk(settings: Settings) -> str | None:
    return None if shutil.which("wrk") else "wrk is missing: apt-get install wrk"


def _too_many(settings: Settings) -> str | None:
    limit = raise_descriptor_limit() - _SPARE
    if limit >= settings.idleConnections:
        return None
    return f"only {limit} connections can be open: raise ulimit -n"


LEVELS = {
    "rate": Level(_rate, _no_wrk, kept=True),
    "frames": Level(echo),
    "events": Level(listen),
    "idle": Level(_idle, _too_many),
    "bulk": Level(_bulk),
    "client": Level(_client, start=_asking),
}


def _able(book: Book, case: Case, peers: list[Peer], workshop: Workshop) -> list[Peer]:
    """
    The peers that can do a case; for the others the reason is taken down.
    """
    if case.tls and not workshop.certificate:
        reason = "no certificate can be made: apt-get install openssl"
        book.leaveOut(case.fullName, "all", reason)
        return []
    for peer in peers:
        lacking = case.needs - peer.can
        # That a server is no proxy, or has no frameworks, need not be said.
        if lacking and lacking <= GENERAL and peer.isGeneral:
            reason = f"does not offer: {', '.join(sorted(lacking))}"
            book.leaveOut(case.fullName, peer.name, reason)
    able = [peer for peer in peers if peer.takes(case)]
    return [peer for peer in able if (case.fullName, peer.name) not in book.leftOut]


def _in_turns(things: list[Any], turn: int) -> list[Any]:
    """
    Another order in each round: backwards in every other one, and begun
    elsewhere.
    """
    start = turn % len(things) if things else 0
    turned = things[start:] + things[:start]
    return turned[::-1] if turn % 2 else turned


def run(book: Book, cases: list[Case], peers: list[Peer], workshop: Workshop) -> None:
    """
    Measure the cases of one level.  What fails is left out, with the reason.
    """
    settings = workshop.settings
    level = LEVELS[cases[0].level]
    reason = level.unable(settings)
    if reason is not None:
        for case in cases:
            book.leaveOut(case.fullName, "all", reason)
        return
    for turn in range(settings.rounds):
        # Who is left out meanwhile is not asked again.
        pairs = (
            (case, peer)
            for case in cases
            for peer in _in_turns(_able(book, case, peers, workshop), turn)
        )
        with ExitStack() as stack:
            running: dict[tuple[str, bool], Any] = {}
            for case, peer in pairs:
                settings.progress(f"round {turn + 1}: {case.fullName}, {peer.name}")
                which = (peer.name, case.tls)
                try:
                    if which not in running:
                        started = level.start(peer, workshop, case)
                        running[which] = stack.enter_context(started)
                    figures = level.measure(running[which], case, turn)
                except (ServerFailed, ToolFailed, Unexpected, OSError) as failed:
                    # A server that does not start can do none of them.
                    none = level.kept and isinstance(failed, ServerFailed)
                    for other in cases if none else [case]:
                        if other.tls == case.tls:
                            book.leaveOut(other.fullName, peer.name, str(failed))
                else:
                    book.add(case.fullName, peer.name, turn, **figures)
                if not level.kept:
                    stack.close()
                    running.clear()
