"""
Requests per second over loopback: wrk on one core, the server on another.

In each round every server is started afresh, so that the accidents of one
process (where its memory lies, how its dictionaries are seeded) do not decide.
Within a round the peers take turns case by case, in an order that changes.

Beside the rate, the CPU time of the server per request is taken down.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack

from tests.benchmarks.cases import Case
from tests.benchmarks.machine import busy_seconds, pinned
from tests.benchmarks.peers import Peer
from tests.benchmarks.results import Book
from tests.benchmarks.servers import Server, ServerFailed, Workshop
from tests.benchmarks.settings import Settings
from tests.benchmarks.wire import Unexpected

__all__ = ["run"]

_SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "wrk.lua")

# Requests before time is taken, on connections of ten.
_WARM_UP = 200


class WrkFailed(Exception):
    """
    wrk did not run, or saw errors.
    """


def check(server: Server, case: Case) -> None:
    """
    See that the answer is what the case says, and warm the server up.

    @raise Unexpected: when the answer is another.
    """
    message = case.message(server.host)
    keep = "keep-alive" in server.peer.can and "close" not in case.needs
    each = 10 if keep else 1
    # Large answers need no hundreds of requests.
    rounds = max(1, min(_WARM_UP, 5_000_000 // case.body) // 10)
    for turn in range(rounds):
        with contextlib.closing(server.connect()) as connection:
            for number in range(each):
                data = b"".join(
                    message.numbered(turn * 1000 + number * case.depth + place)
                    for place in range(case.depth)
                )
                connection.send(data)
                for _ in range(case.depth):
                    length = len(connection.answer())
                    if length != case.body:
                        raise Unexpected(f"{length} bytes instead of {case.body}")


def _wrk(server: Server, case: Case, settings: Settings) -> dict[str, float]:
    """
    Run wrk once.

    @return: what it counted.
    @raise WrkFailed: when it failed, or requests failed.
    """
    message = case.message(server.host)
    scheme = "https" if case.tls else "http"
    connections = case.connections or settings.connections
    offset = 0 if message.offset is None else message.offset + 1
    with tempfile.NamedTemporaryFile(prefix="benchmark") as request:
        request.write(message.data * case.depth)
        request.flush()
        command = [
            "wrk",
            *["--threads", "1", "--connections", str(connections)],
            *["--duration", f"{settings.seconds}s", "--timeout", "10s"],
            *["--script", _SCRIPT, f"{scheme}://127.0.0.1:{server.port}/"],
            *["--", request.name, str(offset)],
        ]
        done = subprocess.run(
            pinned(command, settings.loadCore),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=settings.seconds + 60,
            check=False,
        )
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            counted: dict[str, float] = json.loads(line.removeprefix("RESULT "))
            break
    else:
        raise WrkFailed(f"wrk failed: {(done.stderr or done.stdout).strip()[-200:]}")
    wrong = {
        name: counted[name]
        for name in ("connect", "read", "write", "status", "timeout")
        if counted[name]
    }
    # A connection that ends with the run can count as an error of reading.
    few = counted["requests"] * 0.001
    if not counted["requests"] or sum(wrong.values()) > few:
        raise WrkFailed(f"{counted['requests']:.0f} answers, errors: {wrong}")
    return counted


def _measure(
    server: Server, case: Case, turn: int, settings: Settings, book: Book
) -> None:
    """
    Check, measure once, take down.
    """
    check(server, case)
    before = busy_seconds(settings.serverCore)
    used, began = server.seconds(), time.monotonic()
    counted = _wrk(server, case, settings)
    used = server.seconds() - used
    passed = time.monotonic() - began
    after = busy_seconds(settings.serverCore)
    others = 0.0 if before is None or after is None else after - before - used
    book.add(
        case.fullName,
        server.peer.name,
        turn,
        counted["requests"] / counted["microseconds"] * 1e6,
        unit="requests/s",
        higher=True,
        cpu_per_request=used / counted["requests"],
        busy=used / passed,
        disturbed=max(0.0, others / passed),
        p50_microseconds=counted["p50"],
        p99_microseconds=counted["p99"],
    )


def _order(peers: list[Peer], turn: int) -> list[Peer]:
    """
    Another order in each round: backwards in every other one, and begun
    elsewhere.
    """
    if not peers:
        return []
    start = turn % len(peers)
    turned = peers[start:] + peers[:start]
    return turned[::-1] if turn % 2 else turned


def run(
    book: Book,
    cases: list[Case],
    peers: list[Peer],
    workshop: Workshop,
    settings: Settings,
) -> None:
    """
    Measure all cases of this level with all peers that can do them.
    """
    if shutil.which("wrk") is None:
        for case in cases:
            book.leaveOut(case.fullName, "all", "wrk is missing: apt-get install wrk")
        return
    for turn in range(settings.rounds):
        with ExitStack() as stack:
            running: dict[tuple[str, bool], Server] = {}
            for case in cases:
                for peer in _order(able(book, case, peers, workshop), turn):
                    settings.progress(f"round {turn + 1}: {case.fullName}, {peer.name}")
                    which = (peer.name, case.tls)
                    try:
                        if which not in running:
                            server = Server(peer, workshop, case.tls)
                            running[which] = stack.enter_context(server)
                        _measure(running[which], case, turn, settings, book)
                    except ServerFailed as reason:
                        for other in cases:
                            if other.tls == case.tls:
                                book.leaveOut(other.fullName, peer.name, str(reason))
                    except (Unexpected, WrkFailed, OSError) as reason:
                        book.leaveOut(case.fullName, peer.name, str(reason))


def able(book: Book, case: Case, peers: list[Peer], workshop: Workshop) -> list[Peer]:
    """
    The peers that can do a case; for the others the reason is taken down.
    """
    if case.tls and workshop.certificate is None:
        reason = "no certificate can be made: apt-get install openssl"
        book.leaveOut(case.fullName, "all", reason)
        return []
    found = []
    for peer in peers:
        lacking = case.needs - peer.can
        if lacking:
            book.leaveOut(
                case.fullName,
                peer.name,
                f"does not offer: {', '.join(sorted(lacking))}",
            )
        elif not book.isLeftOut(case.fullName, peer.name):
            found.append(peer)
    return found
