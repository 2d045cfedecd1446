"""
Foreign request classes, such as twisted.web's, that frame their responses themselves.

Their chunked responses are written with framing, which is removed: the framer frames.
A chunk in the four pieces of L{twisted.web.http.toChunk} has its data as one piece;
all other writes are decoded.

twisted.web's own C{Request} writes an error page into a response that has begun, and
test servers leave the last chunk out; neither response may look complete.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.web.http_headers import Headers

from twisted_h11._boundary.octets import as_bytes
from twisted_h11._http.chunks import ChunkDecoder, TolerantRules
from twisted_h11._http.response_to_send import ResponseHead
from twisted_h11._server.cycle import Cycle

__all__ = ["finish", "has_failed", "write", "write_sequence"]

# The longest chunk line of a request, in bytes; twisted.web's have no extension.
_LONGEST_CHUNK_LINE = 1024

# The last chunk, and a decoder that has read only that.
_LAST = b"0\r\n\r\n"
_ENDED = ChunkDecoder(TolerantRules(_LONGEST_CHUNK_LINE))
_ENDED.feed(_LAST)


def write(cycle: Cycle, data: bytes) -> None:
    """
    Send content of a request that may frame its chunks by itself.

    @raise TypeError: for anything but bytes.  Then the response is cut off, even if
        the application handles the error.
    """
    data = _checked(cycle, data)
    request, answer = cycle.request, cycle.answer
    if answer is not None:
        if has_failed(request, answer):
            cycle.complain("{request} failed after its head", request=request)
            cycle.fail()
            return
        if getattr(request, "chunked", False) and not getattr(
            request, "leavesFraming", False
        ):
            chunks = cycle.foreignChunks
            if chunks is None:
                if data == _LAST:
                    cycle.foreignChunks = _ENDED
                    return
                chunks = ChunkDecoder(TolerantRules(_LONGEST_CHUNK_LINE))
                cycle.foreignChunks = chunks
            elif chunks is _ENDED:
                return
            data = chunks.feed(data)
            if chunks.error is not None:
                cycle.complain("a chunk of the body is malformed")
                cycle.fail()
                return
    cycle.send(data)


def write_sequence(cycle: Cycle, parts: Iterable[bytes]) -> None:
    """
    Send content; see L{write}.
    """
    if type(parts) is tuple and len(parts) == 4:
        size, lineEnd, data, end = parts
        request, answer, chunks = cycle.request, cycle.answer, cycle.foreignChunks
        if (
            answer is not None
            and type(data) is bytes
            and data
            and size == b"%x" % len(data)
            and lineEnd == end == b"\r\n"
            # The same conditions as in write().
            and getattr(request, "chunked", False)
            and getattr(request, "code", 0) != 500
            and not getattr(request, "leavesFraming", False)
            and (chunks is None or chunks.isBetween)
        ):
            cycle.send(data, b"".join(parts))
            return
    write(cycle, b"".join([_checked(cycle, part) for part in parts]))


def has_failed(request: Any, answer: ResponseHead) -> bool:
    """
    Whether a request has begun to write an error page into a response that has begun:
    its status is another than the one that was sent, or the length of its content.
    """
    if getattr(request, "code", 0) != 500 or getattr(request, "leavesFraming", False):
        return False
    if answer.status != 500:
        return True
    headers = getattr(request, "responseHeaders", None)
    lengths = isinstance(headers, Headers) and headers.getRawHeaders(b"Content-Length")
    if not lengths or not lengths[0].isdigit():
        return False
    return int(lengths[0]) != answer.length


def _checked(cycle: Cycle, data: bytes) -> bytes:
    try:
        return as_bytes(data)
    except TypeError:
        if cycle.answer is not None:
            cycle.fail()
        raise


def finish(cycle: Cycle, request: Any) -> None:
    """
    The request has finished its response.  If it has set C{chunked = False} in a
    chunked response, as test servers do to leave the last chunk out, the response is
    cut off.
    """
    answer = cycle.answer
    if (
        not getattr(request, "chunked", True)
        and answer is not None
        and answer.hasContent
        and answer.length is None
        and cycle.head.chunkedAllowed
        and not cycle.isOver
        # Last, because this costs more than the other conditions.
        and not getattr(request, "__dict__", {}).get("chunked", True)
    ):
        cycle.request = None
        cycle.fail()
    else:
        cycle.done(request)
