"""
The header of the PROXY protocol, version 1 and 2: the address of the proxy's client,
sent first on a connection (U{the specification
<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>}).

L{read_header} makes a L{ProxyHeader} of bytes, or raises L{BadHeader} as soon as no
further bytes can complete a header.  Two kinds of header have no addresses: that of a
connection of the proxy's own (version 2 C{LOCAL}, as for a health check), and that of
an unknown kind of connection (version 1 C{UNKNOWN}, version 2 C{UNSPEC}).  What
follows the addresses in version 2 (TLVs) is skipped.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Any, NamedTuple

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress

__all__ = ["BadHeader", "ProxyHeader", "read_header"]

_V1 = b"PROXY "
_V2 = b"\r\n\r\n\0\r\nQUIT\n"

# The longest header of version 1, in bytes, by the specification.
_LONGEST_V1 = 107
_FIXED_V2 = 16

# Section 2.1.  The ipaddress module checks the addresses.
_is_v1 = re.compile(
    rb"PROXY (?:UNKNOWN(?: [ -~]*)?|(TCP[46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) "
    rb"(0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4}))"
).fullmatch

# The length of an address of each family in version 2, in bytes.
_INET, _INET6, _UNIX = 1, 2, 3
_LENGTHS = {_INET: 4, _INET6: 16, _UNIX: 108}


class BadHeader(ValueError):
    """
    A connection does not begin with a valid header.  The text says what is wrong, and
    quotes no received byte.
    """


class ProxyHeader(NamedTuple):
    """
    The contents of a header.

    @ivar source: the client's address; C{None} if the header has none: then the
        transport's peer is the client.
    @ivar destination: the address that the client has connected to, or C{None}.
    @ivar end: the length of the header, in bytes.
    """

    source: IAddress | None
    destination: IAddress | None
    end: int


def read_header(data: bytes, longest: int) -> ProxyHeader | None:
    """
    Read a header.

    @param data: what has been received.
    @param longest: how many bytes the header may have.
    @return: C{None} if the header is not complete.
    @raise BadHeader: if C{data} does not begin with a header.
    """
    if data.startswith(_V2[: len(data)]):
        return _read_v2(data, longest)
    if data.startswith(_V1[: len(data)]):
        return _read_v1(data, min(longest, _LONGEST_V1))
    raise BadHeader("it does not begin with a header of the PROXY protocol")


def _read_v1(data: bytes, longest: int) -> ProxyHeader | None:
    end = data.find(b"\r\n", 0, longest)
    if end < 0:
        if len(data) >= longest:
            raise BadHeader("its line of the PROXY protocol is too long")
        return None
    match = _is_v1(data, 0, end)
    if match is None:
        raise BadHeader("its line of the PROXY protocol is malformed")
    family, *texts = match.groups()
    if family is None:
        return ProxyHeader(None, None, end + 2)
    version = 4 if family == b"TCP4" else 6
    hosts = [_host(text, version) for text in texts[:2]]
    ports = [int(text) for text in texts[2:]]
    if max(ports) > 65535:
        raise BadHeader("its line of the PROXY protocol has a port above 65535")
    source, destination = (
        _address(version, host, port, "TCP")
        for host, port in zip(hosts, ports, strict=True)
    )
    return ProxyHeader(source, destination, end + 2)


def _host(text: bytes, version: int) -> str:
    try:
        address = ip_address(text.decode("ascii"))
    except ValueError:
        address = None
    if address is None or address.version != version:
        raise BadHeader("its line of the PROXY protocol has a malformed address")
    return str(address)


def _address(version: int, host: str, port: int, kind: Any) -> IAddress:
    # An IPv4-mapped IPv6 address is the same host.
    mapped = getattr(ip_address(host), "ipv4_mapped", None)
    if version == 4 or mapped is not None:
        return IPv4Address(kind, str(mapped or host), port)
    return IPv6Address(kind, host, port)


def _unix(packed: bytes) -> IAddress:
    # A path ends at its first zero byte; an abstract name begins with one.
    path = packed.split(b"\0", 1)[0]
    return UNIXAddress(path or packed.rstrip(b"\0") or None)


def _read_v2(data: bytes, longest: int) -> ProxyHeader | None:
    if len(data) < _FIXED_V2:
        return None
    version, command = data[12] >> 4, data[12] & 15
    family, transport = data[13] >> 4, data[13] & 15
    length = int.from_bytes(data[14:16], "big")
    if version != 2 or command > 1 or family > _UNIX or transport > 2:
        raise BadHeader("its header of the PROXY protocol is malformed")
    end = _FIXED_V2 + length
    if end > longest:
        raise BadHeader("its header of the PROXY protocol is too long")
    if len(data) < end:
        return None
    if command == 0 or not family or not transport:
        return ProxyHeader(None, None, end)
    size = _LENGTHS[family]
    if length < 2 * size + (0 if family == _UNIX else 4):
        raise BadHeader("its header of the PROXY protocol has no addresses")
    at = _FIXED_V2
    packed = [data[at : at + size], data[at + size : at + 2 * size]]
    if family == _UNIX:
        return ProxyHeader(_unix(packed[0]), _unix(packed[1]), end)
    ports = at + 2 * size
    found = [
        _address(
            4 if family == _INET else 6,
            str(ip_address(host)),
            int.from_bytes(data[ports + 2 * i : ports + 2 * i + 2], "big"),
            "TCP" if transport == 1 else "UDP",
        )
        for i, host in enumerate(packed)
    ]
    return ProxyHeader(found[0], found[1], end)
