"""
What a fault is, and where the server's can be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tests.faults.server import STAGES, ServerRun

__all__ = [
    "ALL",
    "CODES",
    "EVERYWHERE",
    "NO_SOCKET",
    "READS",
    "SOCKETS",
    "WRITES",
    "WRITING",
    "Fault",
    "reset",
]


class Fault(NamedTuple):
    """
    Something that fails.

    @ivar prepare: has a run do it.
    @ivar stages: where it can be.
    @ivar transports: on which it can be.
    @ivar why: why not elsewhere.
    @ivar streams: whether the application takes bodies as they come.
    @ivar never: stages and transports that do not go together.
    """

    name: str
    prepare: Callable[[Any], object]
    stages: tuple[str, ...]
    transports: tuple[str, ...]
    why: str = ""
    streams: bool = False
    never: tuple[tuple[str, str], ...] = ()


EVERYWHERE = ("memory", "tcp", "tls", "unix")
SOCKETS = EVERYWHERE[1:]
NO_SOCKET = "in memory nothing calls a socket"
ALL = tuple(STAGES)
# Where bytes of the client are still looked at, and where something is written.
WRITING = ("first write", "middle of response", "last write")
AT_WORK = ("body", *WRITING, "draining")

CODES = ("ECONNRESET", "EPIPE", "ENOBUFS", "EIO")
READS = ("recv", "recvmsg")
WRITES = ("send", "sendmsg")


def reset(run: ServerRun) -> None:
    """
    The client is gone.
    """
    # Of a UNIX socket that is closed the other end only hears that it is empty.
    run.kills = run.transport != "unix"
    run.goesOn = False
    run.act = lambda: run.link.reset()
