"""
Heads on the client's side: pure functions between bytes and fields.

B{Requests.}  L{request_head} checks each part of a request and joins them.  It
writes exactly what h11 would write (a test holds it to that), so that h11 can
be shown the same request later, when a response needs it.

B{Responses.}  The usual head is read by L{twisted_h11._fastpath}.  What is here
makes the same of the event that h11 has for any other, and says what is wrong with
one that h11 refuses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import h11

from twisted_h11._client_errors import MalformedResponse, RequestError
from twisted_h11._fastpath import CHUNKED, UNTIL_CLOSE, Fields, ResponseHead
from twisted_h11._strict import TOKEN

__all__ = [
    "BadRequest",
    "check_event",
    "request_fields",
    "request_head",
]

is_token = re.compile(TOKEN).fullmatch
is_target = re.compile(rb"[\x21-\x7e]+").fullmatch
_is_value = re.compile(rb"[\t\x20-\x7e\x80-\xff]*").fullmatch

# The end of a head, as h11 sees it: a bare LF ends a line (RFC 9112 2.2).
find_end = re.compile(rb"\n\r?\n").search


class BadRequest(RequestError, ValueError):
    """
    A part of a request that can not be sent.

    @since: 0.1
    """


# -- requests ---------------------------------------------------------------


def request_fields(
    given: Iterable[tuple[bytes, bytes]],
    host: bytes,
    length: int | None,
    close: bool,
    target: bytes = b"/",
) -> tuple[Fields, bool]:
    """
    The fields of a request, checked, framed, Host first; and whether the body
    is chunked.

    @param given: what the application wants to send.
    @param host: the value of Host, unless the application has one.
    @param length: the length of the body, -1 if it is not known, C{None} if
        there is none and none is to be announced.
    @param close: whether to ask for the end of the connection.
    @param target: the target of the request, whose form tells whether a proxy
        receives it.  Nobody else is told Proxy-Authorization.
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
        if size == 19 and name.lower() == b"proxy-authorization":
            # RFC 9112 section 3.2: in these forms a server is asked.
            if target[:1] in (b"/", b"*", b"?", b""):
                continue
        if size == 10 and close and name.lower() == b"connection":
            if asks_to_close(value):
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


def asks_to_close(connection: bytes) -> bool:
    """
    Whether a value of Connection has the option C{close}.
    """
    return b"close" in [item.strip() for item in connection.lower().split(b",")]


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


def values_of(fields: Sequence[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """
    The values of the fields called C{name}, which is in lower case.
    """
    return [value for key, value in fields if key.lower() == name]


def check_event(event: h11.Response, raw: bytes, method: bytes) -> ResponseHead:
    """
    Turn h11's event into a head.

    @param raw: the bytes that were received for it.
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
    if method == b"HEAD" or event.status_code in (204, 304):
        length = 0
    elif method == b"CONNECT" and 200 <= event.status_code < 300:
        length = 0
        persistent = False
    elif codings:
        # Transfer-Encoding wins (RFC 9112 sections 6.1 and 6.3), but who sends
        # both, or says so in HTTP/1.0, is not to be trusted with another request.
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


_FRAMING = frozenset((b"content-length", b"transfer-encoding"))


def explain(error: h11.RemoteProtocolError, raw: bytes) -> MalformedResponse:
    """
    Say what was wrong with a head, and name the fields that are to blame.
    """
    text = str(error)
    if "Content-Length" in text or "Transfer-Encoding" in text:
        parts = [line.partition(b":") for line in raw.splitlines()]
        found = [
            f"{name.decode('latin-1').strip()}: {value.decode('latin-1').strip()}"
            for name, _, value in parts
            if name.strip().lower() in _FRAMING
        ]
        if found:
            return MalformedResponse(f"{text}: {', '.join(found)!s}"[:500])
    return MalformedResponse(text[:500])
