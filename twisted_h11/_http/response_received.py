"""
The heads of responses, as a client receives them.

L{read_response} reads a usual head without h11, or returns C{None} to leave it to
h11, under the Law of L{twisted_h11._http.fastpath}.  L{read_event} makes a head of
h11's event.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import h11

from twisted_h11._http.abnf import FIELD_CONTENT, FIELD_LINE, is_short_length

__all__ = [
    "CHUNKED",
    "MOST_FIELDS",
    "UNTIL_CLOSE",
    "Fields",
    "ReceivedHead",
    "is_persistent",
    "read_event",
    "read_response",
    "says_close",
    "values_of",
]

Fields = list[tuple[bytes, bytes]]

# White space around a value is removed later.
_HEAD = re.compile(
    rb"HTTP/1\.1 ([2-5][0-9]{2})(?: (" + FIELD_CONTENT + rb"))?\r\n"
    rb"((?:" + FIELD_LINE + rb")*)\r\n"
)
_match_head = _HEAD.match

# How many fields a head, or a trailer section, may have, as in curl.  An empty field
# costs far more time and memory than its four bytes.
MOST_FIELDS = 5000

# The length of a body that ends with the connection, and of a chunked body.
UNTIL_CLOSE = -1
CHUNKED = -2


class ReceivedHead(NamedTuple):
    """
    The parsed head of a response.

    @ivar minor: the second number of the version; C{major} is the first.
    @ivar length: the length of the body in bytes, C{UNTIL_CLOSE} or C{CHUNKED}.
    @ivar persistent: whether the connection may be used again.
    @ivar size: the length of the head, in bytes.
    """

    minor: int
    code: int
    reason: bytes
    fields: Fields
    length: int
    persistent: bool
    size: int
    major: int = 1


def read_response(data: bytes, bodiless: bool) -> ReceivedHead | None:
    """
    Read the head of a response at the beginning of C{data}.

    @param bodiless: whether the method was HEAD.
    @return: the head; C{None} to leave it to h11, if it is not complete, not valid,
        or not usual.
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
    if len(fields) > MOST_FIELDS:
        return None
    return ReceivedHead(1, code, reason or b"", fields, length, persistent, match.end())


def values_of(fields: Sequence[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """
    The values of the fields with the name C{name}, given in lower case.
    """
    return [value for key, value in fields if key.lower() == name]


def says_close(fields: Fields) -> bool:
    """
    Whether C{Connection} has an option that contains C{close}.  Some servers send
    C{closed}; closing is always allowed.
    """
    return any(b"close" in value.lower() for value in values_of(fields, b"connection"))


def is_persistent(version: bytes, fields: Fields) -> bool:
    """
    Whether a final or an interim response allows to use the connection again.

    @param version: for example C{b"1.1"}.
    """
    # The minor number counts in HTTP/1 only.
    return version[:2] == b"1." and version != b"1.0" and not says_close(fields)


def read_event(event: h11.Response, raw: bytes, method: bytes) -> ReceivedHead:
    """
    Make a head of h11's event.

    @param raw: the bytes of the head, as received.
    @param method: the method of the request.
    """
    fields: Fields = [
        (bytes(name), bytes(value)) for name, value in event.headers.raw_items()
    ]
    # h11 allows a digit, a point and a digit.
    major, minor = int(event.http_version[:1]), int(event.http_version[-1:])
    persistent = is_persistent(event.http_version, fields)
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
        major,
    )
