"""
The heads of responses, as a client receives them.

L{read_response} reads the usual one without h11: a pure function that answers, or
returns C{None} for "ask h11", under the law of L{twisted_h11._http.fastpath}.  Of
any other, h11's event is made into a head by L{read_event}.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import h11

from twisted_h11._http.abnf import FIELD_CONTENT, FIELD_LINE, is_short_length

__all__ = [
    "CHUNKED",
    "UNTIL_CLOSE",
    "Fields",
    "ReceivedHead",
    "read_event",
    "read_response",
    "says_close",
    "values_of",
]

Fields = list[tuple[bytes, bytes]]

# White space around a value is taken off afterwards.
_HEAD = re.compile(
    rb"HTTP/1\.1 ([2-5][0-9]{2})(?: (" + FIELD_CONTENT + rb"))?\r\n"
    rb"((?:" + FIELD_LINE + rb")*)\r\n"
)
_match_head = _HEAD.match

# Length of a body that ends with the connection, and of one that is chunked.
UNTIL_CLOSE = -1
CHUNKED = -2


class ReceivedHead(NamedTuple):
    """
    What the head of a response says.

    @ivar length: the bytes of the body, C{UNTIL_CLOSE} or C{CHUNKED}.
    @ivar persistent: whether the connection may be used again.
    @ivar size: how many bytes the head has.
    """

    minor: int
    code: int
    reason: bytes
    fields: Fields
    length: int
    persistent: bool
    size: int


def read_response(data: bytes, bodiless: bool) -> ReceivedHead | None:
    """
    Read the head of a response at the beginning of C{data}.

    @param bodiless: whether the method was HEAD.
    @return: what it says; C{None} if h11 must be asked: the head is not yet
        complete, not valid, or not usual.
    """
    match = _match_head(data)
    if match is None:
        return None
    status, reason, block = match.groups()
    code = int(status)
    length = UNTIL_CLOSE
    persistent = True
    fields: Fields = []
    for line in block.splitlines():
        name, _, value = line.partition(b":")
        value = value.strip(b" \t")
        fields.append((name, value))
        size = len(name)
        if size == 14:
            if name.lower() == b"content-length":
                if length != UNTIL_CLOSE or is_short_length(value) is None:
                    return None
                length = int(value)
        elif size == 10:
            if name.lower() == b"connection":
                value = value.lower()
                if value == b"close":
                    persistent = False
                elif value != b"keep-alive":
                    return None
        elif size == 17:
            if name.lower() == b"transfer-encoding":
                if length != UNTIL_CLOSE or value != b"chunked":
                    return None
                length = CHUNKED
    if bodiless or code == 204 or code == 304:
        length = 0
    elif length == UNTIL_CLOSE:
        persistent = False
    return ReceivedHead(1, code, reason or b"", fields, length, persistent, match.end())


def values_of(fields: Sequence[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """
    The values of the fields called C{name}, which is in lower case.
    """
    return [value for key, value in fields if key.lower() == name]


def says_close(fields: Fields) -> bool:
    """
    Whether a server says that it will close: an option that only contains the word,
    C{closed}, is another one, but is meant so, and a connection may always be closed.
    """
    return any(b"close" in value.lower() for value in values_of(fields, b"connection"))


def read_event(event: h11.Response, raw: bytes, method: bytes) -> ReceivedHead:
    """
    Turn h11's event into a head.

    @param raw: the bytes that were received for it.
    """
    fields: Fields = [
        (bytes(name), bytes(value)) for name, value in event.headers.raw_items()
    ]
    minor = int(event.http_version[-1:])
    closes = says_close(fields)
    # Of 0.9 or 2.1, which are none, the minor number says nothing.
    persistent = event.http_version[:2] == b"1." and minor >= 1 and not closes
    lengths = values_of(fields, b"content-length")
    codings = values_of(fields, b"transfer-encoding")
    if method == b"HEAD" or event.status_code in (204, 304):
        length = 0
    elif method == b"CONNECT" and 200 <= event.status_code < 300:
        length = 0
        persistent = False
    elif codings:
        # Transfer-Encoding wins (RFC 9112 section 6.3).
        length = CHUNKED
    elif lengths:
        length = int(lengths[0])
    else:
        length = UNTIL_CLOSE
        persistent = False
    return ReceivedHead(
        minor,
        event.status_code,
        bytes(event.reason),
        fields,
        length,
        persistent,
        len(raw),
    )
