"""
The fields that proxies add to a request: C{Forwarded} (RFC 7239), and the older
C{X-Forwarded-For}, C{X-Forwarded-Proto} and C{X-Forwarded-Host}.

Each proxy appends the address of its peer, the scheme and the host of the request.  So
the last element was written by the peer of this server, and the first ones may have
been written by any client.  This module parses the fields;
L{twisted_h11._server.trusted} decides which elements are trusted.

What does not follow the grammar raises L{Malformed}.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from twisted_h11._http.abnf import (
    is_bare_ipv6,
    is_host,
    is_node,
    match_forwarded_pair,
    match_white_space,
)

__all__ = [
    "Malformed",
    "Node",
    "read_forwarded",
    "read_host",
    "read_node",
    "read_scheme",
    "unmapped",
]

# Longer texts of addresses, in bytes, are not cached.
_LONGEST_KNOWN = 64

_COMMA, _SEMICOLON = b",;"

# Traefik sends ws and wss for WebSockets.
_SECURE = {b"http": False, b"https": True, b"ws": False, b"wss": True}


class Malformed(ValueError):
    """
    A field of a proxy is malformed.  The text names the field, without its value.
    """


class Node(NamedTuple):
    """
    The peer from which a proxy has received a request.

    @ivar host: its address; C{None} if that is C{unknown} or obfuscated.
    @ivar port: its port; 0 if it is not known.
    """

    host: str | None
    port: int


_UNKNOWN = Node(None, 0)


def unmapped(host: str) -> str:
    """
    The canonical text of an address: an IPv4-mapped IPv6 address
    (C{::ffff:192.0.2.1}) as IPv4, and without a zone.

    @raise ValueError: if C{host} is not an address.
    """
    address: IPv4Address | IPv6Address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)


def read_node(text: bytes) -> Node:
    """
    Read an address, with or without a port.  An IPv6 address without brackets, as in
    C{X-Forwarded-For}, has no port.

    @raise Malformed: if C{text} is not a node of RFC 7239 section 6.
    """
    return _known_node(text) if len(text) < _LONGEST_KNOWN else _read_node(text)


def _read_node(text: bytes) -> Node:
    match = is_node(text)
    if match is None:
        if is_bare_ipv6(text) is None:
            raise Malformed("A proxy sent a malformed address of the client.")
        host, port = text, None
    else:
        host, port = match[1] or match[2], match[4]
        if match[3]:
            return _UNKNOWN
    try:
        address = unmapped(host.decode("ascii"))
    except ValueError:
        raise Malformed("A proxy sent a malformed address of the client.") from None
    if match is not None and (b":" in host) != bool(match[2]):
        raise Malformed("A proxy sent a malformed address of the client.")
    number = int(port) if port and port.isdigit() else 0
    if number > 65535:
        raise Malformed("A proxy sent a port above 65535.")
    return Node(address, number)


_known_node = lru_cache(maxsize=1024)(_read_node)


def read_scheme(text: bytes) -> bool:
    """
    Read a scheme.

    @return: whether the scheme implies TLS.
    @raise Malformed: if it is not C{http}, C{https}, C{ws} or C{wss}.
    """
    try:
        return _SECURE[text.lower()]
    except KeyError:
        raise Malformed("A proxy sent an unknown scheme.") from None


def read_host(text: bytes) -> tuple[str, int | None]:
    """
    Read a host, by the rules for C{Host}.

    @return: its name, without brackets, and its port, or C{None}.
    @raise Malformed: if C{text} is not a host.
    """
    if is_host(text) is None:
        raise Malformed("A proxy sent a malformed host.")
    name, colon, port = text.decode("ascii").rpartition(":")
    if not colon or port.endswith("]"):
        name, port = text.decode("ascii"), ""
    if port and int(port) > 65535:
        raise Malformed("A proxy sent a port above 65535.")
    return name.strip("[]"), int(port) if port else None


def read_forwarded(values: Sequence[bytes]) -> list[dict[bytes, bytes]]:
    """
    Read C{Forwarded}.

    White space around a semicolon is accepted: many proxies send it, although RFC
    7239 does not allow it.

    @param values: the values of all its field lines.  A quoted-string must end in the
        line in which it begins.
    @return: for each proxy its parameters, with names in lower case.
    @raise Malformed: if a value does not follow the grammar.
    """
    elements: list[dict[bytes, bytes]] = []
    for value in values:
        _read_line(value, elements)
    return elements


def _read_line(text: bytes, elements: list[dict[bytes, bytes]]) -> None:
    element: dict[bytes, bytes] = {}
    at = _skip(text, 0)
    while at < len(text):
        match = match_forwarded_pair(text, at)
        if match is not None:
            name, token, quoted = match.groups()
            name = name.lower()
            if name in element:
                raise Malformed("Forwarded has a parameter twice.")
            element[name] = token if token is not None else _unquoted(quoted)
            at = _skip(text, match.end())
        if at < len(text):
            separator = text[at]
            if separator == _COMMA:
                if element:
                    elements.append(element)
                element = {}
            elif separator != _SEMICOLON:
                raise Malformed("Forwarded is malformed.")
            at = _skip(text, at + 1)
    if element:
        elements.append(element)


def _skip(text: bytes, at: int) -> int:
    match = match_white_space(text, at)
    assert match is not None
    return match.end()


def _unquoted(text: bytes) -> bytes:
    """
    The content of a quoted-string.
    """
    if b"\\" not in text:
        return text
    parts = iter(text)
    return bytes(next(parts) if byte == 0x5C else byte for byte in parts)
