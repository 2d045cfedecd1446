"""
Host names in DNS.

Twisted refuses a name that IDNA 2008 does not allow: with an underscore, as containers
have it (C{http://my_service/}), with a hyphen at an end of a label, or with an emoji.
DNS takes any label (RFC 2181 section 11), so such names exist, and other clients
resolve them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from twisted.internet.endpoints import HostnameEndpoint

from twisted_h11._boundary.twisted_private_client import accept_name

__all__ = ["host_endpoint", "is_dns_name"]

_LABEL = r"[A-Za-z0-9_-]{1,63}"
_is_name = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?").fullmatch


def is_dns_name(name: str) -> bool:
    """
    Whether C{name} can be looked up in DNS.

    @param name: ASCII.
    """
    return len(name) <= 254 and _is_name(name) is not None


def host_endpoint(
    reactor: Any, name: str, port: int, options: Mapping[str, Any]
) -> Any:
    """
    A C{HostnameEndpoint}, also for a name that IDNA does not allow.

    @param name: a name or an address, in ASCII.
    @param options: further arguments of C{HostnameEndpoint}.
    """
    endpoint = HostnameEndpoint(reactor, name, port, **options)
    if is_dns_name(name):
        accept_name(endpoint)
    return endpoint
