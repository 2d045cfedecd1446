"""
Heads of requests that go out, and how they frame the body: their parts are checked,
and joined.

A length that is neither a number of bytes nor unknown would leave a body without any
framing, and a server would read it as the next request (RFC 9112 section 6.3).  So
L{body_length} looks at it once, before there is a connection.

L{request_head} writes exactly what h11 would write (a test holds it to that), so
that h11 can be shown the same request later, when a response needs it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.web.iweb import UNKNOWN_LENGTH

from twisted_h11._client.errors import RequestError
from twisted_h11._http.abnf import is_field_content, is_target, is_token
from twisted_h11._http.lists import has_member
from twisted_h11._http.response_received import Fields

__all__ = [
    "CHUNKED_LENGTH",
    "BadRequest",
    "body_length",
    "request_fields",
    "request_head",
]


# The length of a body that goes out in chunks.
CHUNKED_LENGTH = -1

# RFC 9110 section 8.6 sets no bound; h11 takes twenty digits, and there are
# servers that count in 63 bits and let what is larger wrap around.
LONGEST = 2**63 - 1


class BadRequest(RequestError, ValueError):
    """
    A part of a request that can not be sent.

    @since: 0.1
    """


def body_length(body: Any) -> int:
    """
    The length of a body that is not bytes.

    @param body: an L{IBodyProducer<twisted.web.iweb.IBodyProducer>}.
    @return: the length in bytes, or L{CHUNKED_LENGTH} if it is not known.
    @raise TypeError: if it is not a body, or its length is neither an C{int} nor
        C{UNKNOWN_LENGTH}.
    @raise ValueError: if its length can not be the length of anything.
    """
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
        if not is_field_content(value):
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
            if has_member((value,), b"close"):
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
