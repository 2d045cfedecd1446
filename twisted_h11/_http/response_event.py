"""
Responses that came in by h11: its event as a head.
"""

from __future__ import annotations

from collections.abc import Sequence

import h11

from twisted_h11._http.fastpath import CHUNKED, UNTIL_CLOSE, Fields, ResponseHead

__all__ = ["check_event", "values_of"]


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
