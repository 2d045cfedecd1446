"""
What the resources answer, known to the server and to the clients: content that is made
from a token, so that an answer shows to which request it belongs.
"""

from __future__ import annotations

import hashlib
import random
import zlib

__all__ = [
    "EXACT",
    "FILES",
    "LONG",
    "content",
    "file_content",
    "receipt",
    "receipt_for",
    "token",
]

LONG = 256 * 1024
"""
Bytes of a large response.
"""

FILES = {"small.txt": 500, "page.html": 20_000, "large.bin": 500_000}
"""
The static files, and their lengths.
"""

EXACT = ("PUT", "DELETE", "PATCH")
"""
Methods that nobody but the good clients uses.
"""


def token(rng: random.Random) -> bytes:
    """
    A new name for a request.
    """
    return b"%016x" % rng.getrandbits(64)


def content(kind: str, name: bytes) -> bytes:
    """
    The content of a resource for a token.

    @param kind: C{small}, C{large}, C{stream}, C{slow} or C{wsgi}.
    """
    line = kind.encode("ascii") + b" " + name + b"\n"
    if kind in ("small", "slow"):
        return line
    return (line * (LONG // len(line) + 1))[: LONG if kind != "wsgi" else 10_000]


def file_content(name: str) -> bytes:
    """
    The content of a static file.
    """
    piece = hashlib.sha256(name.encode("ascii")).digest()
    length = FILES[name]
    return (piece * (length // len(piece) + 1))[:length]


def receipt(name: bytes, length: int, checksum: int) -> bytes:
    """
    The answer to an upload.

    @param checksum: the CRC-32 of what was received.
    """
    return b"took %s %d %08x\n" % (name, length, checksum)


def receipt_for(name: bytes, body: bytes) -> bytes:
    """
    The answer to an upload of a body.
    """
    return receipt(name, len(body), zlib.crc32(body))
