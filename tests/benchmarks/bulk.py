"""
One large body, up or down: CPU time of the server's processes, and the most
memory that they had.  The time that passed would say more about the client.
"""

from __future__ import annotations

import contextlib
import time

from tests.benchmarks.cases import Case
from tests.benchmarks.heads import head
from tests.benchmarks.peers import Peer
from tests.benchmarks.rate import able
from tests.benchmarks.results import Book
from tests.benchmarks.servers import Server, ServerFailed, Workshop
from tests.benchmarks.settings import Settings
from tests.benchmarks.wire import Unexpected

__all__ = ["run"]

_PIECE = memoryview(bytes(262144))


def _upload(server: Server, length: int, target: bytes = b"/upload") -> None:
    """
    @raise Unexpected: when the server did not receive all of it.
    """
    fields = [(b"Host", server.host), (b"Content-Length", b"%d" % length)]
    with contextlib.closing(server.connect()) as connection:
        connection.send(head(b"PUT", target, fields))
        left = length
        while left:
            piece = _PIECE[: min(left, len(_PIECE))]
            connection.send(piece)
            left -= len(piece)
        received = connection.answer()
        if received != b"%d" % length:
            raise Unexpected(f"received {received!r} bytes instead of {length}")


def _download(server: Server, length: int) -> None:
    """
    @raise Unexpected: when the server did not send all of it.
    """
    with contextlib.closing(server.connect()) as connection:
        connection.send(
            head(b"GET", b"/download/%d" % length, [(b"Host", server.host)])
        )
        sent = connection.skim()
        if sent != length:
            raise Unexpected(f"sent {sent} bytes instead of {length}")


def _upload_streamed(server: Server, length: int) -> None:
    """
    @raise Unexpected: when the server did not receive all of it.
    """
    _upload(server, length, b"/stream")


_MOVES = {
    "upload": _upload,
    "upload-streamed": _upload_streamed,
    "download": _download,
}


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
    for turn in range(settings.rounds):
        for case in cases:
            move = _MOVES[case.name]
            for peer in able(book, case, peers, workshop)[:: -1 if turn % 2 else 1]:
                settings.progress(f"round {turn + 1}: {case.fullName}, {peer.name}")
                try:
                    with Server(peer, workshop) as server:
                        move(server, 1 << 20)
                        used, began = server.seconds(), time.monotonic()
                        before = server.resident()
                        move(server, settings.bulkLength)
                        passed = time.monotonic() - began
                        used = server.seconds() - used
                        grown = max(0, server.peak() - before)
                except (ServerFailed, Unexpected, OSError) as reason:
                    book.leaveOut(case.fullName, peer.name, str(reason))
                else:
                    book.add(
                        case.fullName,
                        peer.name,
                        turn,
                        used,
                        unit="s",
                        higher=False,
                        passed=passed,
                        grown=grown,
                    )
