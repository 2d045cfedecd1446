"""
The levels that need servers: how each is measured.

In each round every server is started afresh, so that the accidents of one
process (where its memory lies, how its dictionaries are seeded) do not decide.
Within a round the peers take turns case by case, in an order that changes.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

from tests.benchmarks.cases import Case
from tests.benchmarks.heads import head
from tests.benchmarks.machine import busy_seconds, pinned, probe, raise_descriptor_limit
from tests.benchmarks.peers import CLIENTS, GENERAL, PEERS, Peer
from tests.benchmarks.results import Book
from tests.benchmarks.sends import sends
from tests.benchmarks.servers import Server, ServerFailed, Workshop
from tests.benchmarks.settings import Settings
from tests.benchmarks.streams import echo, listen
from tests.benchmarks.wire import Unexpected

__all__ = ["LEVELS", "MOVES", "ToolFailed", "check", "load"]

_SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "wrk.lua")


class ToolFailed(Exception):
    """
    wrk or a client did not run, or saw errors.
    """


# -- what they share ---------------------------------------------------------------


def _able(book: Book, case: Case, peers: list[Peer], workshop: Workshop) -> list[Peer]:
    """
    The peers that can do a case; for the others the reason is taken down.
    """
    if case.tls and workshop.certificate is None:
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
    return [peer for peer in able if not book.isLeftOut(case.fullName, peer.name)]


def _turns(things: list[Any], turn: int) -> list[Any]:
    """
    Another order in each round: backwards in every other one, and begun
    elsewhere.
    """
    start = turn % len(things) if things else 0
    turned = things[start:] + things[:start]
    return turned[::-1] if turn % 2 else turned


@contextlib.contextmanager
def _measuring(book: Book, case: Case, name: str) -> Iterator[None]:
    """
    What fails is left out, with the reason.
    """
    try:
        yield
    except (ServerFailed, ToolFailed, Unexpected, OSError) as reason:
        book.leaveOut(case.fullName, name, str(reason))


def _each(
    book: Book,
    cases: list[Case],
    peers: list[Peer],
    workshop: Workshop,
    settings: Settings,
    turn: int,
) -> Iterator[tuple[Case, Peer]]:
    """
    The cases and peers of one round.
    """
    for case in cases:
        for peer in _turns(_able(book, case, peers, workshop), turn):
            settings.progress(f"round {turn + 1}: {case.fullName}, {peer.name}")
            yield case, peer


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


def check(server: Server, case: Case) -> None:
    """
    See that the answer is what the case says, and warm the server up with some 200
    requests, ten on a connection; large answers need no hundreds of requests.

    @raise Unexpected: when the answer is another.
    """
    message = case.message(server.host)
    keep = "keep-alive" in server.peer.can and not case.closes
    for turn in range(max(1, min(200, 5_000_000 // case.body) // 10)):
        with contextlib.closing(server.connect()) as connection:
            for number in range(10 if keep else 1):
                first = turn * 1000 + number * case.depth
                connection.send(message.several(first, case.depth))
                for _ in range(case.depth):
                    length = len(connection.answer())
                    if length != case.body:
                        raise Unexpected(f"{length} bytes instead of {case.body}")


# -- requests per second over loopback ---------------------------------------------


def load(server: Server, case: Case, settings: Settings) -> dict[str, float]:
    """
    Run wrk once.

    @return: what it counted.
    @raise ToolFailed: when it failed, or requests failed.
    """
    message = case.message(server.host)
    scheme = "https" if case.tls else "http"
    offset = 0 if message.offset is None else message.offset + 1
    with tempfile.NamedTemporaryFile(prefix="benchmark") as request:
        request.write(message.data * case.depth)
        request.flush()
        command = ["wrk", "--threads", "1", "--timeout", "10s"]
        command += ["--connections", str(case.connections or settings.connections)]
        command += ["--duration", f"{settings.seconds}s", "--script", _SCRIPT]
        command += [f"{scheme}://127.0.0.1:{server.port}/"]
        command += ["--", request.name, str(offset), str(case.every or 0)]
        counted = _result(command, settings.loadCore, settings.seconds + 60)
    kinds = ("connect", "read", "write", "status", "timeout")
    wrong = {name: counted[name] for name in kinds if counted[name]}
    # A connection that ends with the run can count as an error of reading.
    if not counted["requests"] or sum(wrong.values()) > counted["requests"] * 0.001:
        raise ToolFailed(f"{counted['requests']:.0f} answers, errors: {wrong}")
    return counted


def _rate_of(
    server: Server, case: Case, settings: Settings, turn: int
) -> dict[str, float]:
    """
    Check, and measure once.  Beside the rate the CPU time of the server per request
    is taken down, what else used its core, and in the first round how many system
    calls sent a response.
    """
    check(server, case)
    counted = sends(server, case) if turn == 0 and not case.tls else None
    more = {} if counted is None else {"sends": counted}
    before = busy_seconds(settings.serverCore)
    used, began = server.seconds(), time.monotonic()
    result = load(server, case, settings)
    used = server.seconds() - used
    passed = time.monotonic() - began
    after = busy_seconds(settings.serverCore)
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


def rate(
    book: Book,
    cases: list[Case],
    peers: list[Peer],
    workshop: Workshop,
    settings: Settings,
) -> None:
    """
    Requests per second: wrk on one core, the server on another.
    """
    if shutil.which("wrk") is None:
        for case in cases:
            book.leaveOut(case.fullName, "all", "wrk is missing: apt-get install wrk")
        return
    for turn in range(settings.rounds):
        with ExitStack() as stack:
            running: dict[tuple[str, bool], Server] = {}
            for case, peer in _each(book, cases, peers, workshop, settings, turn):
                which = (peer.name, case.tls)
                with _measuring(book, case, peer.name):
                    if which not in running:
                        server = Server(peer, workshop, case.tls)
                        try:
                            running[which] = stack.enter_context(server)
                        except ServerFailed as reason:
                            for other in cases:
                                if other.tls == case.tls:
                                    book.leaveOut(
                                        other.fullName, peer.name, str(reason)
                                    )
                            continue
                    figures = _rate_of(running[which], case, settings, turn)
                    book.add(case.fullName, peer.name, turn, **figures)


# -- connections that stay busy ----------------------------------------------------


def _streaming(measured: Callable[..., dict[str, float]]) -> Callable[..., None]:
    """
    A level whose load is ours, each server by itself.
    """

    def run(
        book: Book,
        cases: list[Case],
        peers: list[Peer],
        workshop: Workshop,
        settings: Settings,
    ) -> None:
        for turn in range(settings.rounds):
            for case, peer in _each(book, cases, peers, workshop, settings, turn):
                with _measuring(book, case, peer.name), Server(peer, workshop) as one:
                    figures = measured(one, case, settings)
                    book.add(case.fullName, peer.name, turn, **figures)

    return run


# -- memory of idle connections ----------------------------------------------------

# Descriptors that the processes need for anything else.
_SPARE = 200

# Time for the server to write its log and to give memory back.
_SETTLE = 1.0


def _memory_of(server: Server, case: Case, connections: int) -> tuple[float, int]:
    """
    Answer one request on each of thousands of connections.

    @return: bytes per connection, and the bytes without connections.
    @raise Unexpected: when an answer is wrong, or a connection was closed.
    """
    check(server, case)
    time.sleep(_SETTLE)
    before = server.memory("VmRSS")
    message = case.message(server.host)
    with ExitStack() as stack:
        held = []
        for number in range(connections):
            connection = stack.enter_context(contextlib.closing(server.connect()))
            connection.send(message.numbered(number))
            if len(connection.answer()) != case.body:
                raise Unexpected("another answer than before")
            held.append(connection)
        time.sleep(_SETTLE)
        after = server.memory("VmRSS")
        closed = sum(1 for connection in held if not connection.isOpen())
        if closed:
            raise Unexpected(f"{closed} of {connections} idle connections were closed")
    return (after - before) / connections, before


def idle(
    book: Book,
    cases: list[Case],
    peers: list[Peer],
    workshop: Workshop,
    settings: Settings,
) -> None:
    """
    Resident memory of the server before and after.
    """
    limit = raise_descriptor_limit() - _SPARE
    if limit < settings.idleConnections:
        reason = f"only {limit} connections can be open: raise ulimit -n"
        for case in cases:
            book.leaveOut(case.fullName, "all", reason)
        return
    for turn in range(settings.rounds):
        for case, peer in _each(book, cases, peers, workshop, settings, turn):
            with _measuring(book, case, peer.name), Server(peer, workshop) as server:
                value, before = _memory_of(server, case, settings.idleConnections)
                book.add(case.fullName, peer.name, turn, value, resident_before=before)


# -- one large body ----------------------------------------------------------------

_PIECE = memoryview(bytes(262144))

# For the name of a case, method and target.
MOVES = {
    "upload": (b"PUT", b"/upload"),
    "upload-streamed": (b"PUT", b"/stream"),
    "download": (b"GET", b"/download/%d"),
}


def move(server: Server, name: str, length: int) -> None:
    """
    Move one body.

    @param name: one of L{MOVES}.
    @raise Unexpected: when not all of it came over.
    """
    method, target = MOVES[name]
    fields = [(b"Host", server.host)]
    with contextlib.closing(server.connect()) as connection:
        if method == b"GET":
            connection.send(head(method, target % length, fields))
            moved = connection.skim()
        else:
            fields.append((b"Content-Length", b"%d" % length))
            connection.send(head(method, target, fields))
            for at in range(0, length, len(_PIECE)):
                connection.send(_PIECE[: min(length - at, len(_PIECE))])
            moved = int(connection.answer())
        if moved != length:
            raise Unexpected(f"moved {moved} bytes instead of {length}")


def bulk(
    book: Book,
    cases: list[Case],
    peers: list[Peer],
    workshop: Workshop,
    settings: Settings,
) -> None:
    """
    CPU time of the server's processes, and the most memory that they had.  The time
    that passed would say more about the client.
    """
    for turn in range(settings.rounds):
        for case, peer in _each(book, cases, peers, workshop, settings, turn):
            with _measuring(book, case, peer.name), Server(peer, workshop) as server:
                move(server, case.name, 1 << 20)
                used, began = server.seconds(), time.monotonic()
                before = server.memory("VmRSS")
                move(server, case.name, settings.bulkLength)
                book.add(
                    case.fullName,
                    peer.name,
                    turn,
                    server.seconds() - used,
                    passed=time.monotonic() - began,
                    grown=max(0, server.memory("VmHWM") - before),
                )


# -- clients -----------------------------------------------------------------------


def client(
    book: Book,
    cases: list[Case],
    peers: list[Peer],
    workshop: Workshop,
    settings: Settings,
) -> None:
    """
    CPU time of the client per request.  Each is a process on the core that the
    servers have in other levels, and asks one server, a bare Protocol that answers a
    constant, on the other core.

    @param peers: not used; the clients are L{CLIENTS}.
    """
    [bare] = [peer for peer in PEERS if peer.name == "bare"]
    modules = [one.module for one in CLIENTS]
    missing, _ = probe(workshop.python, modules, workshop.environment)
    for case in cases:
        for one in CLIENTS:
            if one.module in missing:
                reason = f"missing: {missing[one.module]}"
                book.leaveOut(case.fullName, one.name, reason)
        for turn in range(settings.rounds):
            with (
                _measuring(book, case, "all"),
                Server(bare, workshop, core=settings.loadCore) as server,
            ):
                for one in CLIENTS[:: -1 if turn % 2 else 1]:
                    if book.isLeftOut(case.fullName, one.name):
                        continue
                    settings.progress(f"round {turn + 1}: {case.fullName}, {one.name}")
                    command = [workshop.python, "-m", "tests.benchmarks.apps.clients"]
                    command += [one.name, "--port", str(server.port)]
                    command += ["--requests", str(settings.clientRequests)]
                    with _measuring(book, case, one.name):
                        core = settings.serverCore
                        got = _result(command, core, 120, workshop.environment)
                        book.add(
                            case.fullName,
                            one.name,
                            turn,
                            got["cpu"],
                            passed=got["passed"],
                        )


LEVELS = {
    "rate": rate,
    "frames": _streaming(echo),
    "events": _streaming(listen),
    "idle": idle,
    "bulk": bulk,
    "client": client,
}
