"""
HTTP Strict Transport Security (RFC 6797): responses with TLS, and only those (section
7.2), tell browsers to use nothing else.
"""

from __future__ import annotations

from typing import Any

__all__ = ["STRICT_TRANSPORT", "max_age", "security_fields"]

STRICT_TRANSPORT = b"Strict-Transport-Security"


def max_age(seconds: int | None) -> bytes | None:
    """
    The value of the field.

    @raise ValueError: for a negative number.
    """
    if seconds is None:
        return None
    if seconds < 0:
        raise ValueError("hsts must not be negative")
    return b"max-age=%d" % seconds


def security_fields(site: Any, isSecure: bool) -> list[tuple[bytes, bytes]]:
    """
    What a response of ours has of it.

    @param site: any site.
    @param isSecure: whether the client uses TLS.
    """
    value = getattr(site, "transportSecurity", None)
    return [] if value is None or not isSecure else [(STRICT_TRANSPORT, value)]
