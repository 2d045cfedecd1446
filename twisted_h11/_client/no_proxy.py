"""
Which hosts are reached without a proxy: the rules of C{NO_PROXY}.

There is no standard.  Here a rule is one of

  - a name, which also matches all its subdomains; a leading C{.} or C{*.}, a final
    dot and the case of letters do not matter;
  - an address, compared as an address: C{::1} is C{[0:0:0:0:0:0:0:1]};
  - a network, C{10.0.0.0/8} or C{fd00::/8}; with the last parts of an IPv4 address
    left out as well, C{169.254/16};
  - C{*}, everything;

each of them followed by a port, or without one for all ports.  An IPv6 address or
network with a port is written in brackets.  Names are not resolved.  Any other text
is an error: if it were skipped, requests could be sent to the proxy against the
user's intention.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["NoProxy", "ascii_name"]

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_is_name = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?").fullmatch
_is_port = re.compile(r"[0-9]{1,5}").fullmatch
_NUMBER = r"(?:0x[0-9a-f]{1,8}|[0-9]{1,11})"
_is_numeric = re.compile(rf"{_NUMBER}(?:\.{_NUMBER}){{0,3}}").fullmatch
_has_few_parts = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){0,2}").fullmatch


class _Rule(NamedTuple):
    """
    One rule: a network or a name; with neither it matches every host.
    """

    network: _Network | None
    name: str | None
    port: int | None


class NoProxy:
    """
    A list of rules.

    @raise ValueError: for an invalid rule.
    """

    def __init__(self, rules: Iterable[str]) -> None:
        self._rules = [_parse(rule) for rule in rules]

    def matches(self, host: str, port: int) -> bool:
        """
        Whether a host is reached without a proxy.

        @param host: a name, or an address without brackets.
        """
        host = host.lower().rstrip(".")
        addresses = _addresses(host)
        for rule in self._rules:
            if rule.port is not None and rule.port != port:
                continue
            if rule.network is not None:
                if any(address in rule.network for address in addresses):
                    return True
            elif rule.name is None:
                return True
            elif not addresses:
                if host == rule.name or host.endswith("." + rule.name):
                    return True
        return False


def ascii_name(name: str) -> str:
    """
    A host name in lower case and ASCII (IDNA).

    @raise ValueError: if it is not a host name.
    """
    if not name.isascii():
        import idna

        name = idna.encode(name, uts46=True).decode("ascii")
    name = name.lower().rstrip(".")
    if not _is_name(name) or len(name) > 253 or ".." in name:
        raise ValueError("not a host name")
    return name


def _addresses(host: str) -> list[_Address]:
    """
    The IP address that C{host} spells, in any form that can be connected to, and the
    IPv4 address mapped in it; empty if C{host} is a name.
    """
    found: _Address
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        if not _is_numeric(host):
            return []
        try:
            # Short, octal and hexadecimal forms, which getaddrinfo accepts.
            found = ipaddress.IPv4Address(socket.inet_aton(host))
        except (OSError, ValueError):
            return []
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return [found.ipv4_mapped, found]
    return [found]


def _parse(rule: str) -> _Rule:
    try:
        return _parse_text(rule.strip().lower())
    except ValueError:
        raise ValueError(
            f"{rule!r} is no host name, address or network (10.0.0.0/8), "
            "with a port or without"
        ) from None


def _parse_text(text: str) -> _Rule:
    host, number = text, ""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        length, colon, number = rest.partition(":")
        if not bracket or ":" not in host or (length and length[0] != "/"):
            raise ValueError("brackets")
        host += length
    elif text.count(":") == 1:
        host, colon, number = text.partition(":")
    else:
        colon = ""
    if colon and not (_is_port(number) and 0 < int(number) < 65536):
        raise ValueError("port")
    port = int(number) if colon else None
    if host == "*":
        return _Rule(None, None, port)
    if "/" in host:
        return _Rule(_network(host), None, port)
    addresses = _addresses(host)
    if not addresses:
        if host.startswith("*."):
            host = host[1:]
        host = ascii_name(host.removeprefix("."))
        # "10.0.0.1." and full-width digits also spell an address.
        addresses = _addresses(host)
    if addresses:
        return _Rule(ipaddress.ip_network(addresses[0]), None, port)
    return _Rule(None, host, port)


def _network(text: str) -> _Network:
    host, _, length = text.partition("/")
    if _has_few_parts(host):
        host += ".0" * (3 - host.count("."))
    network: _Network = ipaddress.ip_network(
        f"{host.partition('%')[0]}/{length}", strict=False
    )
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.ip_network(f"{mapped}/{network.prefixlen - 96}")
    return network
