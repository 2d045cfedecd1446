"""
The heads of a client's requests: the fields are checked, the body is framed, and the
head is joined.

A length that is neither a number of bytes nor unknown would leave a body without any
framing, and a server would read it as the next request (RFC 9112 section 6.3).  So
L{body_length} checks it once, before there is a connection.

L{request_head} writes exactly what h11 would write (a test compares them), so that
h11 can be given the same request later, when it has to read the response.
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


# The length of a body that is sent in chunks.
CHUNKED_LENGTH = -1

# RFC 9110 section 8.6 sets no bound; h11 accepts twenty digits, but some servers
# count in 63 bits and overflow.
LONGEST = 2**63 - 1


class BadRequest(RequestError, ValueError):
    """
    A part of the request is invalid and can not be sent.

    @since: 0.1
    """


def body_length(body: Any) -> int:
    """
    The length of a body that is not bytes.

    @param body: an L{IBodyProducer<twisted.web.iweb.IBodyProducer>}.
    @return: the length in bytes, or L{CHUNKED_LENGTH} if it is not known.
    @raise TypeError: if it is not a body, or its length is neither an C{int} nor
        C{UNKNOWN_LENGTH}.
    @raise ValueError: if its length is negative, or above L{LONGEST}.
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
    # A subclass of int may have a __str__ of its own.
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
    Check the fields of a request, and add Host (as the first) and the framing.

    @param given: the application's fields.
    @param host: the value of Host, unless the application gives one.
    @param length: the length of the body, -1 if it is not known, C{None} if there is
        no body and no length is to be sent.
    @param close: whether to send C{Connection: close}.
    @param target: the request target, whose form says whether a proxy receives the
        request.  Proxy-Authorization is sent to proxies only.
    @return: the fields, and whether the body is chunked.
    @raise BadRequest: for a field that can not be sent.
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
            # Two lengths allow request smuggling: only the actual length is sent.
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
            # RFC 9112 section 3.2: origin-form and asterisk-form go to a server.
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
    The bytes of a request head.  The parts must have been checked.
    """
    return b"%b %b HTTP/1.1\r\n%b\r\n" % (
        method,
        target,
        b"".join([b"%b: %b\r\n" % field for field in fields]),
    )
