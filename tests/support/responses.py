"""
A strict reader of HTTP/1.1 responses, for judging what a server sends.

It is written from RFC 9112 alone and shares no code with the server or with
h11: a fault that both had in common would go unseen.  Anything that is not
exactly well formed is an L{AssertionError} that quotes the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

__all__ = ["WireResponse", "read_response", "read_responses"]

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)")
_FIELD_LINE = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e\x80-\xff\t]*?)[ \t]*"
)
_CHUNK_LINE = re.compile(rb"[0-9A-Fa-f]+")


@dataclass
class WireResponse:
    """
    One response as it was on the wire.

    @ivar fields: (name in lower case, value), in order.
    @ivar framing: C{"none"}, C{"length"}, C{"chunked"} or C{"close"}.
    @ivar complete: whether the end of the message was seen.
    @ivar interim: the statuses of the 1xx responses before this one.
    """

    status: int
    reason: bytes
    fields: list[tuple[bytes, bytes]]
    body: bytes = b""
    framing: str = "none"
    complete: bool = True
    interim: list[int] = field(default_factory=list)
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)

    def all(self, name: bytes) -> list[bytes]:
        """
        Every value of the field C{name}, in order.
        """
        return [value for key, value in self.fields if key == name.lower()]

    def get(self, name: bytes) -> bytes | None:
        """
        The value of the field C{name}, which must not be there twice.
        """
        values = self.all(name)
        assert len(values) < 2, f"{name!r} is there more than once: {values!r}"
        return values[0] if values else None

    @property
    def closes(self) -> bool:
        """
        Whether the response says that the connection closes after it.
        """
        tokens = b",".join(self.all(b"connection")).lower().split(b",")
        return b"close" in [token.strip() for token in tokens]


def _fields(block: bytes) -> list[tuple[bytes, bytes]]:
    """
    The field lines of C{block}, which has no empty line at its end.
    """
    result = []
    for line in block.split(b"\r\n") if block else []:
        match = _FIELD_LINE.fullmatch(line)
        assert match is not None, f"not a field line: {line!r}"
        result.append((match[1].lower(), match[2]))
    return result


def _chunks(data: bytes, at: int) -> tuple[bytes, list[tuple[bytes, bytes]], int, bool]:
    """
    Read a chunked body that begins at C{at}.

    @return: body, trailer fields, where it ends, whether the end was seen.
    """
    body: list[bytes] = []
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return b"".join(body), [], len(data), False
        line = data[at:end]
        assert _CHUNK_LINE.fullmatch(line), f"not a chunk line: {line[:80]!r}"
        size = int(line, 16)
        at = end + 2
        if size == 0:
            break
        body.append(data[at : at + size])
        at += size
        if len(data) < at + 2:
            return b"".join(body), [], len(data), False
        assert data[at : at + 2] == b"\r\n", "chunk data without its CRLF"
        at += 2
    if data.startswith(b"\r\n", at):
        return b"".join(body), [], at + 2, True
    end = data.find(b"\r\n\r\n", at)
    if end < 0:
        return b"".join(body), [], len(data), False
    return b"".join(body), _fields(data[at:end]), end + 4, True


def read_response(
    data: bytes, method: bytes = b"GET", closed: bool = False, at: int = 0
) -> tuple[WireResponse | None, int]:
    """
    Read one final response, with the interim ones before it.

    @param method: what was asked for.
    @param closed: whether the connection has ended.
    @param at: where to begin.
    @return: the response, or L{None} where not even its head is complete, and
        where it ends.
    """
    interim: list[int] = []
    while True:
        end = data.find(b"\r\n\r\n", at)
        if end < 0:
            return None, at
        line, _, block = data[at:end].partition(b"\r\n")
        at = end + 4
        match = _STATUS_LINE.fullmatch(line)
        assert match is not None, f"not a status line: {line[:120]!r}"
        response = WireResponse(int(match[1]), match[2], _fields(block))
        if response.status >= 200 or response.status == 101:
            break
        assert response.get(b"content-length") is None, "Content-Length on 1xx"
        assert response.get(b"transfer-encoding") is None, "Transfer-Encoding on 1xx"
        interim.append(response.status)
    response.interim = interim
    coding = response.get(b"transfer-encoding")
    length = response.get(b"content-length")
    assert coding is None or length is None, "both framing fields on a response"
    if length is not None:
        assert re.fullmatch(rb"[0-9]+", length), f"Content-Length: {length!r}"
    if response.status in (101, 204):
        assert coding is None and length is None, "framing fields on 101 or 204"
    tunnel = method == b"CONNECT" and 200 <= response.status < 300
    if tunnel:
        assert coding is None and length is None, "framing fields on a tunnel"
    if method == b"HEAD" or response.status in (101, 204, 304) or tunnel:
        return response, at
    if coding is not None:
        assert coding == b"chunked", f"Transfer-Encoding: {coding!r}"
        response.framing = "chunked"
        body, trailers, at, complete = _chunks(data, at)
        response.body, response.trailers = body, trailers
        response.complete = complete
        return response, at
    if length is not None:
        response.framing = "length"
        size = int(length)
        response.body = data[at : at + size]
        response.complete = len(data) >= at + size
        return response, min(at + size, len(data))
    response.framing = "close"
    response.body = data[at:]
    response.complete = closed
    return response, len(data)


def read_responses(
    data: bytes, methods: Sequence[bytes] | Iterable[bytes] = (), closed: bool = False
) -> list[WireResponse]:
    """
    Read every response in C{data}; bytes that are no response fail the test.

    @param methods: the methods of the requests, in order; GET where it ends.
    """
    responses = []
    queue = list(methods)
    at = 0
    while at < len(data):
        method = queue.pop(0) if queue else b"GET"
        response, at = read_response(data, method, closed, at)
        assert response is not None, f"left over: {data[at : at + 200]!r}"
        responses.append(response)
        if response.status == 101:
            break
    return responses
