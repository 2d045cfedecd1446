"""
The answers, shared by all applications, so that none does less than another.

Every application answers:

    - C{GET} of what is in L{ANSWERS}
    - C{GET /flask/}, C{GET /klein/}: L{HELLO} by that framework
    - C{GET /events}: L{event} with the present time, at once and with each L{TICK}
    - C{GET /websocket}: every message comes back
    - C{GET /static/1m.bin}, C{/static/4k.bin}: files of 1 MiB and 4 KiB,
      where the server or framework has a way of its own to serve files
    - C{POST /echo-length}: the length of the body, in decimal digits
    - C{PUT /upload}: the same, without keeping the body where that is possible
    - C{PUT /stream}: the same, by what the server has for bodies of any length;
      where it has nothing, as C{/upload}
    - C{GET /download/N}: N bytes, in blocks of L{BLOCK}, under back-pressure
"""

from __future__ import annotations

import os
from typing import NamedTuple

__all__ = [
    *("ANSWERS", "BLOCK", "CONTENT_TYPE", "FILES", "HELLO", "TICK", "Answer"),
    *("blocks", "event", "static_root"),
]


class Answer(NamedTuple):
    """
    What is answered.

    @ivar pieces: the body; each piece is written by itself.
    @ivar measured: whether a Content-Length says how long it is.
    @ivar later: whether it comes from a later turn of the event loop.
    """

    pieces: list[bytes]
    measured: bool = True
    later: bool = False

    @property
    def body(self) -> bytes:
        """
        The whole of it.
        """
        return b"".join(self.pieces)


CONTENT_TYPE = "text/plain; charset=utf-8"
HELLO = b"Hello, world!\n"
_ONE_M = b"0123456789abcde\n" * 65536
# By path.
ANSWERS = {
    "/": Answer([HELLO]),
    "/10k": Answer([_ONE_M[:10240]]),
    "/1m": Answer([_ONE_M]),
    "/chunked": Answer([_ONE_M[:256]] * 4, measured=False),
    "/later": Answer([HELLO], measured=False, later=True),
    "/later-length": Answer([HELLO], later=True),
    "/pieces": Answer([b"0123456789abcdefghi\n" * 5] * 20, measured=False, later=True),
}
BLOCK = b"\0" * 65536
# What the folder of static files holds.
FILES = {"1m.bin": _ONE_M, "4k.bin": _ONE_M[:4096]}
# Seconds between two events.
TICK = 0.1


def event(now: int) -> bytes:
    """
    A server-sent event that says when it happened, in nanoseconds of the monotonic
    clock; all have the same length.
    """
    return b"data: %020d\n\n" % now


def blocks(length: int) -> list[bytes]:
    """
    As many references to L{BLOCK}, and a rest, as make up C{length} bytes.
    """
    whole, rest = divmod(length, len(BLOCK))
    return [BLOCK] * whole + [BLOCK[:rest]] * bool(rest)


def static_root() -> str:
    """
    The folder that holds L{FILES}; the harness made it.
    """
    return os.environ.get("BENCHMARK_STATIC", "")
