"""
What proxies say about a request that they have passed on: C{Forwarded} (RFC 7239),
and C{X-Forwarded-For}, C{-Proto} and C{-Host}, which it was made of.

Each proxy adds to the end what it knows: from whom it has the request, by which
scheme, for which host.  So the end of a list was written by the one who is connected
to us, and what stands at its beginning may have been written by anybody.  Whom to
believe is not decided here (L{twisted_h11._server.trusted}); here it is read.

Nothing is guessed: what is not of the grammar is L{Malformed}.
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

# What is longer is not remembered.
_LONGEST_KNOWN = 64

_COMMA, _SEMICOLON = b",;"

# Traefik names the scheme that a WebSocket has.
_SECURE = {b"http": False, b"https": True, b"ws": False, b"wss": True}


class Malformed(ValueError):
    """
    A field of a proxy's can not be read.  The text says which, without its value.
    """


class Node(NamedTuple):
    """
    From whom a proxy had a request.

    @ivar host: its address, C{None} if the proxy does not know or does not say.
    @ivar port: its port, 0 if it is not known.
    """

    host: str | None
    port: int


_UNKNOWN = Node(None, 0)


def unmapped(host: str) -> str:
    """
    One spelling for each address: that of IPv4 for what a socket of IPv6 calls
    C{::ffff:192.0.2.1}, and no zone.

    @raise ValueError: for what is no address.
    """
    address: IPv4Address | IPv6Address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)


def read_node(text: bytes) -> Node:
    """
    Read an address, with or without a port; also one of IPv6 without brackets, which
    only C{X-Forwarded-For} has, and of which the last group is no port.

    @raise Malformed: if it is nothing that a proxy may say.
    """
    return _known_node(text) if len(text) < _LONGEST_KNOWN else _read_node(text)


def _read_node(text: bytes) -> Node:
    match = is_node(text)
    if match is None:
        if is_bare_ipv6(text) is None:
            raise Malformed("There is no address where a proxy tells the client's.")
        host, port = text, None
    else:
        host, port = match[1] or match[2], match[4]
        if match[3]:
            return _UNKNOWN
    try:
        address = unmapped(host.decode("ascii"))
    except ValueError:
        raise Malformed(
            "There is no address where a proxy tells the client's."
        ) from None
    if match is not None and (b":" in host) != bool(match[2]):
        raise Malformed("There is no address where a proxy tells the client's.")
    number = int(port) if port and port.isdigit() else 0
    if number > 65535:
        raise Malformed("A proxy tells a port that there can not be.")
    return Node(address, number)


_known_node = lru_cache(maxsize=1024)(_read_node)


def read_scheme(text: bytes) -> bool:
    """
    Read a scheme.

    @return: whether it is that of TLS.
    @raise Malformed: if it is no scheme of HTTP.
    """
    try:
        return _SECURE[text.lower()]
    except KeyError:
        raise Malformed("A proxy tells a scheme that is not known.") from None


def read_host(text: bytes) -> tuple[str, int | None]:
    """
    Read a host, by the rules for C{Host}.

    @return: its name, without brackets, and its port, if there is one.
    @raise Malformed: if it is none.
    """
    if is_host(text) is None:
        raise Malformed("A proxy tells a host that is malformed.")
    name, colon, port = text.decode("ascii").rpartition(":")
    if not colon or port.endswith("]"):
        name, port = text.decode("ascii"), ""
    if port and int(port) > 65535:
        raise Malformed("A proxy tells a port that there can not be.")
    return name.strip("[]"), int(port) if port else None


def read_forwarded(values: Sequence[bytes]) -> list[dict[bytes, bytes]]:
    """
    Read C{Forwarded}: for each proxy what it says, by the names of the parameters in
    lower case.

    White space is taken around a semicolon, too, where RFC 7239 has none and many
    have it.

    @param values: those of all its lines.  A string in quotes ends in the line in
        which it begins.
    @raise Malformed: if one is not in order.
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
                raise Malformed("A parameter of Forwarded is there twice.")
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
