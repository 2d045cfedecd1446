"""
The answers, shared by all applications, so that none does less than another.

Every application answers:

    - C{GET /}: L{HELLO}
    - C{GET /10k}: L{TEN_K}
    - C{GET /1m}: L{ONE_M}, from memory
    - C{GET /chunked}: L{PIECES}, without a Content-Length
    - C{GET /later}: L{HELLO}, from a later turn of the event loop, without a
      Content-Length
    - C{GET /later-length}: the same with one
    - C{GET /pieces}: L{TWENTY}, each written by itself, all of them in a later turn
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

__all__ = [
    "BLOCK",
    "CONTENT_TYPE",
    "FILES",
    "HELLO",
    "ONE_M",
    "PIECES",
    "TEN_K",
    "TICK",
    "TWENTY",
    "WHOLE",
    "blocks",
    "event",
    "static_root",
]

CONTENT_TYPE = "text/plain; charset=utf-8"
HELLO = b"Hello, world!\n"
TEN_K = b"0123456789abcde\n" * 640
ONE_M = b"0123456789abcde\n" * 65536
# What is answered whole, by path.
WHOLE = {"/": HELLO, "/10k": TEN_K, "/1m": ONE_M}
PIECES = [b"0123456789abcde\n" * 16] * 4
TWENTY = [b"0123456789abcdefghi\n" * 5] * 20
BLOCK = b"\0" * 65536
# What the folder of static files holds.
FILES = {"1m.bin": ONE_M, "4k.bin": ONE_M[:4096]}
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
    pieces = [BLOCK] * whole
    if rest:
        pieces.append(BLOCK[:rest])
    return pieces


def static_root() -> str:
    """
    The folder that holds C{1m.bin}; the harness made it.
    """
    return os.environ.get("BENCHMARK_STATIC", "")
