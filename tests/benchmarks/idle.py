"""
Memory of idle connections: resident memory of the server before and after
thousands of connections were made and one request was answered on each.
"""

from __future__ import annotations

import contextlib
import time
from contextlib import ExitStack

from tests.benchmarks.cases import Case
from tests.benchmarks.machine import raise_descriptor_limit
from tests.benchmarks.peers import Peer
from tests.benchmarks.rate import able, check
from tests.benchmarks.results import Book
from tests.benchmarks.servers import Server, ServerFailed, Workshop
from tests.benchmarks.settings import Settings
from tests.benchmarks.wire import Unexpected

__all__ = ["run"]

# Descriptors that the processes need for anything else.
_SPARE = 200

# Time for the server to write its log and to give memory back.
_SETTLE = 1.0


def _measure(server: Server, case: Case, connections: int) -> tuple[float, int]:
    """
    @return: bytes per connection, and the bytes without connections.
    @raise Unexpected: when an answer is wrong, or a connection was closed.
    """
    check(server, case)
    time.sleep(_SETTLE)
    before = server.resident()
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
        after = server.resident()
        closed = sum(1 for connection in held if not connection.isOpen())
        if closed:
            raise Unexpected(f"{closed} of {connections} idle connections were closed")
    return (after - before) / connections, before


def run(
    book: Book,
    cases: list[Case],
    peers: list[Peer],
    workshop: Workshop,
    settings: Settings,
) -> None:
    """
    Measure with every peer in turn, with a new process each time.
    """
    limit = raise_descriptor_limit() - _SPARE
    for case in cases:
        if limit < settings.idleConnections:
            reason = f"only {limit} connections can be open: raise ulimit -n"
            book.leaveOut(case.fullName, "all", reason)
            continue
        for turn in range(settings.rounds):
            for peer in able(book, case, peers, workshop)[:: -1 if turn % 2 else 1]:
                settings.progress(f"round {turn + 1}: {case.fullName}, {peer.name}")
                try:
                    with Server(peer, workshop) as server:
                        value, before = _measure(server, case, settings.idleConnections)
                except (ServerFailed, Unexpected, OSError) as reason:
                    book.leaveOut(case.fullName, peer.name, str(reason))
                else:
                    book.add(
                        case.fullName,
                        peer.name,
                        turn,
                        value,
                        unit="bytes/connection",
                        higher=False,
                        resident_before=before,
                    )
