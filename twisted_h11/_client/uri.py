"""
Parsing and checking the URI of a request.

The host is sent to name servers, in Host, and to proxies, which log it.  twisted.web's
parser accepts almost anything as a host, so it is checked here, before anything is
sent.

L{hyperlink.URL} would not preserve the target: it drops an empty query.  It also
refuses an empty port (RFC 3986 section 3.2.3) and the zone of an IPv6 address.
"""

from __future__ import annotations

import re
from collections.abc import Container

from twisted.internet.abstract import isIPv6Address
from twisted.web.client import URI
from twisted.web.error import SchemeNotSupported

from twisted_h11._http.abnf import SCHEME

__all__ = [
    "DEFAULT_PORTS",
    "has_other_scheme",
    "host_value",
    "match_common",
    "parse_uri",
    "split_uri",
]

DEFAULT_PORTS = {b"http": 80, b"https": 443, b"ws": 80, b"wss": 443}

# Common URIs: scheme, host, port and target.  All others, and those whose port is
# out of range, are for L{split_uri}.
match_common = re.compile(
    rb"(https?)://([A-Za-z0-9.-]+)(?::([0-9]{1,5}))?(/[^#]*)\Z"
).match
_match_scheme = re.compile(rb"(" + SCHEME + rb"):").match
_match_rest = re.compile(rb"//([^/?#]*)([^#]*)(?:#.*)?\Z").match
# RFC 3986 section 3.2.2, without IPvFuture; section 6.2.3 for an empty port.
_match_authority = re.compile(
    rb"(?:\[([0-9A-Fa-f:.]+(?:%[A-Za-z0-9._~%-]+)?)\]|([A-Za-z0-9._~%!$&'()*+,;=-]+))"
    rb"(?::([0-9]{0,5}))?\Z"
).match


def split_uri(
    uri: bytes, schemes: Container[bytes] | None = DEFAULT_PORTS
) -> tuple[bytes, bytes, int, bytes]:
    """
    Split an absolute URI into its parts.

    @param uri: visible ASCII, see
        L{check_uri<twisted_h11._client.request.check_uri>}.
    @param schemes: the supported schemes; C{None} for any.
    @return: the scheme in lower case; the host, a name or an address without
        brackets; the port, that of the scheme if there is none; and the target,
        path and query as they are sent to a server.
    @raise SchemeNotSupported: for another scheme.
    @raise ValueError: if it has no host, or credentials, or a port out of range.
    """
    match = _match_scheme(uri)
    if match is None:
        raise ValueError(f"Invalid URI {_shown(uri)}: it is not absolute")
    scheme = match[1].lower()
    if schemes is not None and scheme not in schemes:
        raise SchemeNotSupported(f"Unsupported scheme: {scheme!r}")
    match = _match_rest(uri, match.end())
    if match is None:
        raise ValueError(f"Invalid URI {_shown(uri)}: no host in it")
    authority, target = match.groups()
    if b"@" in authority:
        raise ValueError(
            "Invalid URI: credentials in it would not be sent; "
            "send an Authorization header"
        )
    found = _match_authority(authority)
    if found is None:
        raise ValueError(f"Invalid URI {_shown(uri)}: no host and port in it")
    address, host, number = found.groups()
    if address is not None:
        host = address
        if not isIPv6Address(address.partition(b"%")[0].decode("ascii")):
            raise ValueError(f"Invalid URI {_shown(uri)}: not an IPv6 address")
    port = int(number) if number else DEFAULT_PORTS.get(scheme, 80)
    if not 0 < port < 65536:
        raise ValueError(f"Invalid URI {_shown(uri)}: there is no port {port}")
    if not target.startswith(b"/"):
        target = b"/" + target
    return scheme, host, port, target


def has_other_scheme(uri: bytes) -> bool:
    """
    Whether a URI has a scheme that only an endpoint factory may know.
    """
    match = _match_scheme(uri)
    return match is not None and match[1].lower() not in DEFAULT_PORTS


def _shown(uri: bytes) -> str:
    # A URI with an @ may contain a password.
    return "" if b"@" in uri else repr(uri)


def parse_uri(uri: bytes) -> URI:
    """
    Parse a URI for an endpoint factory.
    """
    before, slashes, rest = uri.partition(b"://")
    end = min((i for i in map(rest.find, (b"/", b"?", b"#")) if i >= 0), default=None)
    authority = rest[:end]
    if authority.endswith(b":"):
        # twisted.web would read the colon as a part of the name.
        uri = before + slashes + authority[:-1] + rest[len(authority) :]
    # Twisted 24.7 has no default ports for ws: and wss:.
    parsed: URI = URI.fromBytes(uri, DEFAULT_PORTS.get(before.lower(), 80))
    return parsed


def host_value(host: bytes, port: int | None) -> bytes:
    """
    Host and port as they are written in a URI; without the port if it is C{None}.
    """
    if b":" in host:
        host = b"[%b]" % (host,)
    return host if port is None else b"%b:%d" % (host, port)
