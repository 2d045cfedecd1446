"""
What may be the body of a request, and how long it says it is.

The length decides where the body ends on the wire: C{Content-Length}, or chunks
where it is not known.  A length that is neither would leave a body without any
framing, and a server would read it as the next request (RFC 9112 section 6.3).
So it is looked at once, before there is a connection, and never asked for again.
"""

from __future__ import annotations

from typing import Any

from twisted.web.iweb import UNKNOWN_LENGTH

__all__ = ["CHUNKED_LENGTH", "body_length", "piece_of"]

# The length of a body that goes out in chunks.
CHUNKED_LENGTH = -1

# RFC 9110 section 8.6 sets no bound; h11 takes twenty digits, and there are
# servers that count in 63 bits and let what is larger wrap around.
LONGEST = 2**63 - 1


def body_length(body: Any) -> int:
    """
    The length of a body.

    @param body: bytes, or an L{IBodyProducer<twisted.web.iweb.IBodyProducer>}.
    @return: the length in bytes, or L{CHUNKED_LENGTH} if it is not known.
    @raise TypeError: if it is not a body, or its length is neither an C{int} nor
        C{UNKNOWN_LENGTH}.
    @raise ValueError: if its length can not be the length of anything.
    """
    if isinstance(body, bytes):
        return len(body)
    if not callable(getattr(body, "startProducing", None)):
        raise TypeError(
            f"bodyProducer must be bytes or an IBodyProducer, not {type(body).__name__}"
        )
    try:
        length = body.length
    except AttributeError:
        raise TypeError(
            f"bodyProducer, a {type(body).__name__}, has no length: it must be "
            "UNKNOWN_LENGTH or the number of bytes"
        ) from None
    if length is UNKNOWN_LENGTH:
        return CHUNKED_LENGTH
    if isinstance(length, bool) or not isinstance(length, int):
        raise TypeError(
            "The length of bodyProducer must be UNKNOWN_LENGTH or an int, not "
            f"{length!r:.99}"
        )
    # A subclass of int may be printed as anything.
    length = int(length)
    if not 0 <= length <= LONGEST:
        raise ValueError(
            f"The length of bodyProducer must be from 0 to {LONGEST}, not "
            + (f"{length}" if length.bit_length() < 99 else "a much larger number")
        )
    return length


def piece_of(data: Any) -> bytes:
    """
    What a producer has written, as bytes that do not change any more, and that are
    counted as they are sent (a C{memoryview} may have items of several bytes).

    @raise TypeError: if it is not bytes.
    """
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise TypeError(
        f"The body of a request is written as bytes, not {type(data).__name__}"
    )
