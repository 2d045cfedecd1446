"""
The client's Agent: the place where its measure will stand.

What a measure needs: the peer is twisted.web's Agent in a process of its own
(L{tests.benchmarks.servers.Server} starts and watches any command), the server
is the same for both, and the figure is the client's CPU time per request.
"""

from __future__ import annotations

from tests.benchmarks.cases import Case
from tests.benchmarks.peers import Peer
from tests.benchmarks.results import Book
from tests.benchmarks.servers import Workshop
from tests.benchmarks.settings import Settings

__all__ = ["run"]


def run(
    book: Book,
    cases: list[Case],
    peers: list[Peer],
    workshop: Workshop,
    settings: Settings,
) -> None:
    """
    Say that nothing is measured yet.
    """
    for case in cases:
        book.leaveOut(case.fullName, "all", "there is no client to measure yet")
