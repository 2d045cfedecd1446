"""
The fields that a site adds to every response: C{extraHeaders}, and with TLS the field
of HTTP Strict Transport Security (RFC 6797 section 7.2), which tells browsers to use
TLS only.
"""

from __future__ import annotations

from typing import Any

from twisted.web.http_headers import Headers

from twisted_h11._boundary.twisted_private import raw_fields

__all__ = ["STRICT_TRANSPORT", "adds_fields", "fields_to_add", "max_age"]

STRICT_TRANSPORT = b"Strict-Transport-Security"


def max_age(seconds: int | None) -> bytes | None:
    """
    The value of the field.

    @param seconds: how long browsers must use TLS only; C{None} for no field.
    @raise ValueError: for a negative number.
    """
    if seconds is None:
        return None
    if seconds < 0:
        raise ValueError("hsts must not be negative")
    return b"max-age=%d" % seconds


def adds_fields(site: Any, channel: Any, headers: Headers) -> bool:
    """
    Whether L{fields_to_add} has any, for a response of C{channel} with C{headers}.
    """
    return bool(site.extraHeaders) or (
        site.transportSecurity is not None
        and STRICT_TRANSPORT not in raw_fields(headers)
        and channel.isSecure()
    )


def fields_to_add(
    site: Any, channel: Any, fields: list[tuple[bytes, bytes]]
) -> list[tuple[bytes, bytes]]:
    """
    The fields that a response does not have yet.  A C{Strict-Transport-Security} that
    the application has set is kept.

    @param site: any site.
    @param channel: the channel, which knows whether the client uses TLS.
    @param fields: the response's own fields, as pairs of name and value.
    """
    added = list(getattr(site, "extraHeaders", ()))
    value = getattr(site, "transportSecurity", None)
    if (
        value is not None
        and channel.isSecure()
        and not any(name.lower() == _LOWER for name, _ in fields)
    ):
        added.append((STRICT_TRANSPORT, value))
    return added


_LOWER = STRICT_TRANSPORT.lower()
