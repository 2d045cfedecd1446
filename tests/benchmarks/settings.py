"""
How long and how often: what a run can be told.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from tests.benchmarks.cases import Case
from tests.benchmarks.peers import Peer

__all__ = ["Settings", "estimate"]


@dataclass(frozen=True)
class Settings:
    """
    @ivar python: the interpreter of the environment that has the peers.
    @ivar rounds: how often everything is measured.
    @ivar seconds: how long wrk runs each time.
    @ivar connections: how many connections wrk holds open.
    @ivar idleConnections: how many connections are idle.
    @ivar bulkLength: bytes of the large body.
    @ivar listeners: how many clients listen to events.
    @ivar clientRequests: how many requests a client sends.
    @ivar serverCore: core of the servers, or C{None} to leave it open.
    @ivar loadCore: core of the load.
    @ivar control: whether twisted.web stands in our place.
    @ivar progress: told what is being done.
    """

    python: str = sys.executable
    rounds: int = 5
    seconds: int = 1
    connections: int = 32
    idleConnections: int = 4000
    bulkLength: int = 1 << 30
    listeners: int = 500
    clientRequests: int = 4000
    serverCore: int | None = None
    loadCore: int | None = None
    control: bool = False
    progress: Callable[[str], None] = lambda line: None


def estimate(cases: list[Case], peers: list[Peer], settings: Settings) -> float:
    """
    About how many minutes a run takes, from what the parts took when tried.
    """
    # For each server, checks and warm-up, too.
    seconds = {
        "rate": settings.seconds + 0.3,
        "frames": settings.seconds + 0.5,
        "events": settings.seconds + 1.5,
        "idle": 3 + settings.idleConnections * 0.0006,
        "bulk": 1 + 2 * settings.bulkLength / (1 << 30),
    }
    total = 0.0
    for case in cases:
        able = sum(1 for peer in peers if peer.takes(case))
        whole = {"memory": 0.6 * 3, "client": 20}.get(case.level)
        total += able * seconds[case.level] if whole is None else whole
    if any(case.level == "rate" for case in cases):
        # The start of servers, once in a round.
        total += len(peers) * 1.5
    return settings.rounds * total / 60
