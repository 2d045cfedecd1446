"""
HTTP Strict Transport Security (RFC 6797): a field that tells browsers to use TLS only,
sent in responses over TLS (section 7.2).
"""

from __future__ import annotations

from typing import Any

__all__ = ["STRICT_TRANSPORT", "max_age", "security_fields"]

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


def security_fields(site: Any, isSecure: bool) -> list[tuple[bytes, bytes]]:
    """
    The field for a response, as pairs of name and value.

    @param site: any site.
    @param isSecure: whether the client uses TLS.
    """
    value = getattr(site, "transportSecurity", None)
    return [] if value is None or not isSecure else [(STRICT_TRANSPORT, value)]
