"""
Heads on the client's side: pure functions between bytes and fields.

B{Requests.}  L{request_head} checks each part of a request and joins them.  It
writes exactly what h11 would write (a test holds it to that), so that h11 can
be shown the same request later, when a response needs it.

B{Responses.}  L{read_head} is the fast path: one anchored regular expression
over the bytes.  It answers only where nothing is unusual, and C{None} ("ask
h11") everywhere else.  For every input on which it answers, h11 says the same;
a test holds it to that, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import h11

from twisted_h11._client_errors import MalformedResponse

__all__ = [
    "BadRequest",
    "Fields",
    "ResponseHead",
    "check_event",
    "read_head",
    "request_fields",
    "request_head",
]

Fields = list[tuple[bytes, bytes]]

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
is_token = re.compile(_TOKEN).fullmatch
is_target = re.compile(rb"[\x21-\x7e]+").fullmatch
_is_value = re.compile(rb"[\t\x20-\x7e\x80-\xff]*").fullmatch

_VCHAR = rb"[\x21-\x7e\x80-\xff]+"
_VALUE = rb"(?:" + _VCHAR + rb"(?:[ \t]+" + _VCHAR + rb")*)?"
_LINE = rb"(" + _TOKEN + rb"):[ \t]*(" + _VALUE + rb")[ \t]*\r\n"
_HEAD = re.compile(
    rb"HTTP/1\.1 ([2-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?\r\n"
    rb"((?:" + _TOKEN + rb":[ \t]*" + _VALUE + rb"[ \t]*\r\n)*)\r\n"
)
_match_head = _HEAD.match
_find_lines = re.compile(_LINE).findall
_is_length = re.compile(rb"[0-9]{1,18}").fullmatch

# The end of a head, as h11 sees it: a bare LF ends a line (RFC 9112 2.2).
find_end = re.compile(rb"\n\r?\n").search

# Length of a body that ends with the connection, and of one that is chunked.
UNTIL_CLOSE = -1
CHUNKED = -2


class BadRequest(ValueError):
    """
    A part of a request that can not be sent.

    @since: 0.1
    """


class ResponseHead(NamedTuple):
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


# -- requests ---------------------------------------------------------------


def request_fields(
    given: Iterable[tuple[bytes, bytes]],
    host: bytes,
    length: int | None,
    close: bool,
) -> tuple[Fields, bool]:
    """
    The fields of a request, checked, framed, Host first; and whether the body
    is chunked.

    @param given: what the application wants to send.
    @param host: the value of Host, unless the application has one.
    @param length: the length of the body, -1 if it is not known, C{None} if
        there is none and none is to be announced.
    @param close: whether to ask for the end of the connection.
    @raise BadRequest: for anything that can not be sent.
    """
    fields: Fields = [(b"Host", host)]
    hosts = 0
    chunked = length == -1
    for name, value in given:
        value = value.strip(b" \t")
        if not is_token(name):
            raise BadRequest(f"Invalid header name {name!r}")
        if not _is_value(value):
            raise BadRequest(f"Invalid value of header {name!r}: {value!r}")
        size = len(name)
        if size == 4 and name.lower() == b"host":
            hosts += 1
            if hosts > 1:
                raise BadRequest("Exactly one Host header required")
            fields[0] = (name, value)
            continue
        if size == 14 and name.lower() == b"content-length":
            # Two lengths are how a request is smuggled: ours alone is sent.
            if value != b"%d" % (length or 0,):
                raise BadRequest(
                    f"Content-Length is {value!r}, but the body "
                    + ("has no known length" if chunked else f"has {length or 0} bytes")
                )
            if length is None:
                length = 0
            continue
        if size == 17 and name.lower() == b"transfer-encoding":
            if value.lower() != b"chunked" or length is None:
                raise BadRequest(f"Transfer-Encoding {value!r} can not be sent")
            chunked = True
            continue
        if size == 10 and close and name.lower() == b"connection":
            if b"close" in [item.strip() for item in value.lower().split(b",")]:
                close = False
        fields.append((name, value))
    if not is_target(fields[0][1]) and fields[0][1]:
        raise BadRequest(f"Invalid Host {fields[0][1]!r}")
    if chunked:
        fields.append((b"Transfer-Encoding", b"chunked"))
    elif length is not None:
        fields.append((b"Content-Length", b"%d" % (length,)))
    if close:
        fields.append((b"Connection", b"close"))
    return fields, chunked


def request_head(method: bytes, target: bytes, fields: Fields) -> bytes:
    """
    The bytes of a request head.  The parts were checked already.
    """
    return b"%b %b HTTP/1.1\r\n%b\r\n" % (
        method,
        target,
        b"".join([b"%b: %b\r\n" % field for field in fields]),
    )


# -- responses --------------------------------------------------------------


def read_head(data: bytes, bodiless: bool) -> ResponseHead | None:
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
    fields: Fields = _find_lines(block)
    for name, value in fields:
        size = len(name)
        if size == 14:
            if name.lower() == b"content-length":
                if length != UNTIL_CLOSE or not _is_length(value):
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
    return ResponseHead(1, code, reason or b"", fields, length, persistent, match.end())


def values_of(fields: Sequence[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """
    The values of the fields called C{name}, which is in lower case.
    """
    return [value for key, value in fields if key.lower() == name]


def check_event(event: h11.Response, raw: bytes, method: bytes) -> ResponseHead:
    """
    Turn h11's event into a head, and refuse what h11 lets pass.

    @param raw: the bytes that h11 read.
    @raise MalformedResponse: for a transfer coding in HTTP/1.0 (RFC 9112
        section 6.1).
    """
    fields: Fields = [
        (bytes(name), bytes(value)) for name, value in event.headers.raw_items()
    ]
    minor = int(event.http_version[-1:])
    tokens = [
        item.strip()
        for value in values_of(fields, b"connection")
        for item in value.lower().split(b",")
    ]
    persistent = minor >= 1 and b"close" not in tokens
    lengths = values_of(fields, b"content-length")
    codings = values_of(fields, b"transfer-encoding")
    if codings and event.http_version < b"1.1":
        raise MalformedResponse(
            f"Transfer-Encoding {codings[0]!r} in an HTTP/"
            f"{event.http_version.decode()} response"
        )
    if method == b"HEAD" or event.status_code in (204, 304):
        length = 0
    elif method == b"CONNECT" and 200 <= event.status_code < 300:
        length = 0
        persistent = False
    elif codings:
        # Transfer-Encoding wins (RFC 9112 section 6.3), but who sends both is
        # not to be trusted with another request.
        length = CHUNKED
        persistent = persistent and not lengths
    elif lengths:
        length = int(lengths[0])
    else:
        length = UNTIL_CLOSE
        persistent = False
    return ResponseHead(
        minor,
        event.status_code,
        bytes(event.reason),
        fields,
        length,
        persistent,
        len(raw),
    )


_FRAMING = re.compile(
    rb"^(content-length|transfer-encoding)[ \t]*:[ \t]*(.*?)[ \t]*\r?$",
    re.IGNORECASE | re.MULTILINE,
)


def explain(error: h11.RemoteProtocolError, raw: bytes) -> MalformedResponse:
    """
    Say what was wrong with a head, and name the fields that are to blame.
    """
    text = str(error)
    if "Content-Length" in text or "Transfer-Encoding" in text:
        found = [
            f"{name.decode('ascii')}: {value.decode('latin-1')}"
            for name, value in _FRAMING.findall(raw)
        ]
        if found:
            return MalformedResponse(f"{text}: {', '.join(found)!s}"[:500])
    return MalformedResponse(text[:500])
