"""
Host names in DNS.

Twisted refuses a name that IDNA 2008 does not allow: with an underscore, as containers
have it (C{http://my_service/}), with a hyphen at an end of a label, or with an emoji.
DNS takes any label (RFC 2181 section 11), so such names exist, and other clients
resolve them.
"""

from __future__ import annotations

import re

__all__ = ["is_dns_name"]

_LABEL = r"[A-Za-z0-9_-]{1,63}"
_is_name = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?").fullmatch


def is_dns_name(name: str) -> bool:
    """
    Whether C{name} can be looked up in DNS.

    @param name: ASCII.
    """
    return len(name) <= 254 and _is_name(name) is not None
