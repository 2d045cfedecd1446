"""
The same answers as h11 for the common messages, without the state machine.

Most requests are one segment: a request line, a handful of plain fields, and
no body or a small one that is already here.  For those, three regular
expressions over the bytes give the head that h11 gives.  Most responses have
fields that need no mending, and a length or chunks.

Everything here is a pure function of bytes that answers, or returns C{None} for
"ask the strict layer and h11".  They never guess: whatever is unusual
(C{Transfer-Encoding}, C{Upgrade}, C{Expect}, a C{Connection} other than
C{keep-alive}, a second C{Host}, a head that is not complete, ...) is C{None}.

B{The Law.}  For every input on which a function here answers, the strict layer
and h11 answer the same: the same method, target, version, fields, body and
keep-alive decision, and for responses the same bytes.  A property test and a
fuzz target hold it, and the whole test suite runs with and without this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from twisted_h11._limits import Limits
from twisted_h11._strict import RequestHead, _host

__all__ = ["FastHead", "read_request", "response_head"]

# What is refused in a target (see twisted_h11._strict) is not in these classes.
_line = re.compile(
    rb"(?!CONNECT )([A-Z]+) (/[!$-;=@-\[\]-~]*(?:\?[!$-;=?-~]*)?) HTTP/1\.1\r\n"
)

# Field lines, and the empty line.  The classes of name, colon and value do not
# overlap where one ends and the next begins, so this is linear.
_fields = re.compile(
    rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t -~\x80-\xff]*\r\n)+\r\n",
)

# Fields that decide about more than themselves.  The CR LF in front belongs to
# the line before.
_special = re.compile(
    rb"\r\n(?:(host)|(content-length)|(connection)|transfer-encoding|upgrade|expect)"
    rb":[ \t]*([^\r]*)",
    re.IGNORECASE,
)

_length = re.compile(rb"[0-9]{1,7}")

# The values that the last few requests had in Host, found to be in order.
_known_hosts: set[bytes] = set()
_MOST_KNOWN_HOSTS = 256

# How large a body is read without the state machine, in bytes.
SMALL_BODY = 64 * 1024


class FastHead(RequestHead):
    """
    A request head whose fields are taken apart when somebody asks.

    @ivar block: the field lines, each with its line end.
    @ivar end: where the head ends in the bytes that it was read from.
    """

    __slots__ = ("_pairs", "block", "end")

    def __init__(
        self, method: bytes, target: bytes, block: bytes, length: int, end: int
    ) -> None:
        self.method = method
        self.target = target
        self.version = b"HTTP/1.1"
        self.block = block
        self.length = length
        self.end = end
        self.keepAlive = True
        self.expectsContinue = False
        self._pairs: list[tuple[bytes, bytes]] | None = None

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:  # type: ignore[override]
        """
        Pairs of name and value, as received.
        """
        if self._pairs is None:
            pairs = []
            for line in self.block[:-2].split(b"\r\n"):
                name, _, value = line.partition(b":")
                pairs.append((name, value.strip(b" \t")))
            self._pairs = pairs
        return self._pairs


def read_request(
    data: bytes, start: int, limits: Limits, last: FastHead | None
) -> FastHead | None:
    """
    Read the head of a common request.

    @param data: what has been received.
    @param start: where the request begins.
    @param limits: bounds; whatever passes one is C{None}.
    @param last: the head before on the same connection.  Clients repeat their
        fields to the byte; what was found in order is in order.
    @return: the head, if the whole of it and of its body are in C{data}.
    """
    match = _line.match(data, start)
    if match is None:
        return None
    method, target = match.groups()
    if len(target) > limits.maxTargetLength:
        return None
    fields = match.end()
    if (
        last is not None
        and last.length == 0
        and data.startswith(last.block, fields)
        and data.startswith(b"\r\n", fields + len(last.block))
    ):
        end = fields + len(last.block) + 2
        if end - start > limits.maxHeadLength:
            return None
        head = FastHead(method, target, last.block, 0, end)
        head._pairs = last._pairs
        return head
    match = _fields.match(data, fields)
    if match is None:
        return None
    end = match.end()
    block = data[fields : end - 2]
    if end - start > limits.maxHeadLength or block.count(b"\n") > limits.maxFieldCount:
        return None
    length = _framing(data, fields - 2, end)
    if length is None or len(data) - end < length:
        return None
    most = limits.maxBodyLength
    if most is not None and length > most:
        return None
    return FastHead(method, target, block, length, end)


def _framing(data: bytes, start: int, end: int) -> int | None:
    """
    Look at the fields that matter for framing and routing.

    @return: the length of the body; C{None} for anything unusual.
    """
    host = length = None
    for found in _special.finditer(data, start, end):
        isHost, isLength, isConnection, value = found.groups()
        value = value.rstrip(b" \t")
        if isHost:
            if host is not None:
                return None
            host = value
        elif isLength:
            if length is not None:
                return None
            length = value
        elif not isConnection or value.lower() != b"keep-alive":
            return None
    if host is None:
        return None
    if host not in _known_hosts:
        if _host.fullmatch(host) is None:
            return None
        if len(_known_hosts) >= _MOST_KNOWN_HOSTS:
            _known_hosts.clear()
        _known_hosts.add(host)
    if length is None:
        return 0
    if _length.fullmatch(length) is None:
        return None
    size = int(length)
    return size if size <= SMALL_BODY else None


# A field line that h11 would send as it is: a token, and a value without white
# space around it.  Whoever smuggles a line end in makes one line more.
_response_block = re.compile(
    rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+: "
    rb"(?:[!-~\x80-\xff]+(?:[ \t]+[!-~\x80-\xff]+)*)?\r\n)*"
)
_reason = re.compile(rb"[\t -~\x80-\xff]*")
_unusual = frozenset((b"connection", b"transfer-encoding"))


def response_head(
    status: int, reason: bytes, pairs: Iterable[tuple[bytes, bytes]]
) -> tuple[bytes, int | None] | None:
    """
    The head of a common response to an HTTP/1.1 request that keeps alive.

    @param status: not 1xx, 204, 205 or 304.
    @param reason: the reason phrase.
    @param pairs: the fields.
    @return: the bytes, and the length of the content (C{None} if it goes out in
        chunks).  C{None} instead for anything unusual.
    """
    if status < 200 or status > 599 or status in (204, 205, 304):
        return None
    lines = []
    length = None
    dated = False
    for name, value in pairs:
        lines.append(name + b": " + value + b"\r\n")
        if len(name) in (4, 10, 14, 17):
            lower = name.lower()
            if lower == b"content-length":
                if length is not None or _length.fullmatch(value) is None:
                    return None
                length = int(value)
            elif lower == b"date":
                dated = True
            elif lower in _unusual:
                return None
    block = b"".join(lines)
    if (
        not dated
        or _response_block.fullmatch(block) is None
        or block.count(b"\n") != len(lines)
        or _reason.fullmatch(reason) is None
    ):
        return None
    if length is None:
        block += b"Transfer-Encoding: chunked\r\n"
    return b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, reason, block), length
