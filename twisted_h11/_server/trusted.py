"""
Trusted proxies, and their fields in a request.

Any client can send C{X-Forwarded-For}.  A proxy appends the address of its own peer.
So, from the end backwards, an address is reliable as long as it was written by a
trusted proxy.  The first address that is not that of a trusted proxy is the client's;
the addresses before it were sent by the client.

A malformed address gets a 400.  nginx would use the last valid address, which is that
of the proxy: often an address of this machine, which applications trust more than
others.  Caddy would skip it, and use the next one, which a client may have sent.  An
address that a trusted proxy does not know or hides (C{unknown}, C{_hidden}) is no
error: then the client's address is that of this proxy, as in nginx.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, NamedTuple

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress

from twisted_h11._boundary.checks import STR, Kind, checked, listed, optional
from twisted_h11._http.forwarded import (
    Node,
    read_forwarded,
    read_host,
    read_node,
    read_scheme,
    unmapped,
)
from twisted_h11._http.lists import members

__all__ = ["FAMILIES", "Origin", "TrustedProxies", "to_address"]

FAMILIES = ("x-forwarded", "forwarded")
"""
The families of fields that proxies may send.
"""

_UNIX = "unix"

# How many results are cached, and the length of fields, in bytes, up to which they are.
_MOST_KNOWN = 1024
_LONGEST_KNOWN = 256

# The fields of each family, and the beginning of their lines.
_FIELDS: dict[str | None, tuple[bytes, ...]] = {
    "x-forwarded": (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"),
    "forwarded": (b"forwarded",),
    None: (),
}
_BEGINNINGS = {"x-forwarded": b"\nx-forwarded-", "forwarded": b"\nforwarded:"}

# Client, scheme and host.
_Said = tuple["Node | None", "bytes | None", "bytes | None"]

Values = Callable[[bytes], Sequence[bytes]]


class Origin(NamedTuple):
    """
    The values of a trusted proxy for a request; C{None} for those that it has not sent.

    @ivar client: the address of the client.
    @ivar secure: whether the client has used TLS.
    @ivar host: the client's Host field.
    """

    client: IAddress | None
    secure: bool | None
    host: bytes | None


def _unmapped(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    """
    The IPv4 network of an IPv4-mapped IPv6 network; other networks are returned as is.
    """
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < 96:
        return network
    return IPv4Network((int(mapped), network.prefixlen - 96))


def to_address(host: str, port: int) -> IAddress:
    """
    Make a TCP address.

    @param host: an address, or the name of a host.
    """
    kind: Any = IPv6Address if ":" in host else IPv4Address
    address: IAddress = kind("TCP", host, port)
    return address


class TrustedProxies:
    """
    The proxies whose fields give the address, the scheme and the host of the client.

    ::

        proxies = TrustedProxies(["10.0.0.0/8", "::1", "unix"])
        Site(root, trustedProxies=proxies)

    On connections from these addresses, and no others, the fields of one family count:
    C{X-Forwarded-For}, C{X-Forwarded-Proto} and C{X-Forwarded-Host}, or C{Forwarded}
    (RFC 7239); the other family is ignored.  Then C{getClientAddress}, C{isSecure},
    C{getRequestHostname}, C{getHost}, C{prePathURL}, the access log and the variables
    of WSGI and CGI programs describe the client's request to the first of the trusted
    proxies, not the proxy's request to this server.  A request whose fields are
    malformed gets a 400.

    The same networks may send a header of the PROXY protocol
    (L{ProxyProtocolFactory<twisted_h11.server.ProxyProtocolFactory>}); then the address
    in that header decides whether the fields are used.

    @ivar forwarded: the family that is used, or C{None}.
    @ivar beginning: the beginning of the lines of its fields, in lower case, with the
        LF before.

    @since: 0.1
    """

    @checked(
        networks=listed(
            Kind("networks", lambda n: not isinstance(n, (bytes, int, type(None))))
        ),
        forwarded=optional(STR),
    )
    def __init__(
        self, networks: Iterable[Any], forwarded: str | None = "x-forwarded"
    ) -> None:
        """
        @param networks: arguments of L{ipaddress.ip_network}, such as
            C{"192.0.2.0/24"}, C{"2001:db8::/32"} or a single address; or C{"unix"}
            for all peers on a UNIX socket.
        @param forwarded: C{"x-forwarded"} or C{"forwarded"}; C{None} to use no field,
            if the list is for the PROXY protocol only.
        @raise TypeError: if C{networks} is a string, not a list, or
            C{forwarded} has a wrong type.
        @raise ValueError: if an item is not a network, or has bits outside its mask,
            or for an unknown family.
        """
        if forwarded is not None and forwarded not in FAMILIES:
            raise ValueError(
                f"forwarded must be one of {', '.join(FAMILIES)} or None, "
                f"not {forwarded!r}"
            )
        self.forwarded = forwarded
        self._unix = False
        self._networks: list[IPv4Network | IPv6Network] = []
        for network in networks:
            if network == _UNIX:
                self._unix = True
            else:
                self._networks.append(_unmapped(ip_network(network)))
        self._known: dict[str, bool] = {}
        self._fields = _FIELDS[forwarded]
        # For None: a text that no head has.
        self.beginning = _BEGINNINGS.get(forwarded or "", b"\n\n")
        self._origins: dict[tuple[bytes, ...], Origin] = {}

    def __repr__(self) -> str:
        names = [str(network) for network in self._networks] + [_UNIX] * self._unix
        return f"<TrustedProxies {', '.join(names)}: {self.forwarded}>"

    def trusts(self, address: IAddress | None) -> bool:
        """
        Whether an address is that of a trusted proxy.

        @param address: the address of a peer; the path of a UNIX socket does not
            count.
        """
        peer: Any = address
        if isinstance(peer, UNIXAddress):
            return self._unix
        host = getattr(peer, "host", None)
        return isinstance(host, str) and self._trustsHost(host)

    def sent(self, request: Any) -> bool:
        """
        Whether a request came over a connection from a trusted proxy.

        @param request: a request that is not finished yet, of a site with these
            C{trustedProxies}.
        """
        channel: Any = getattr(request, "channel", None)
        if channel is None:
            return False
        connected = getattr(channel, "connectedPeer", channel.getPeer)
        return self.trusts(connected())

    def _trustsHost(self, host: str) -> bool:
        known = self._known.get(host)
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[host] = self._lookUp(host)
        return known

    def _lookUp(self, host: str) -> bool:
        try:
            address = ip_address(unmapped(host))
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    # -- the fields ---------------------------------------------------------------

    def origin(self, values: Values) -> Origin | None:
        """
        Read the fields of a request from a trusted proxy.

        @param values: returns the values of a field, by its name in lower case.
        @return: C{None} if the request has none of the fields.
        @raise Malformed: if a field is malformed.
        """
        # Joined by LF, which no value has.
        said = tuple([b"\n".join(values(name)) for name in self._fields])
        origin = self._origins.get(said)
        if origin is None and any(said):
            origin = self._read([text.split(b"\n") for text in said])
            if sum(map(len, said)) < _LONGEST_KNOWN:
                if len(self._origins) >= _MOST_KNOWN:
                    self._origins.clear()
                self._origins[said] = origin
        return origin

    def _read(self, fields: list[list[bytes]]) -> Origin:
        """
        Read the fields of the family.
        """
        read = self._readForwarded if len(fields) == 1 else self._readXForwarded
        client, scheme, host = read(*fields)
        if host is not None:
            read_host(host)
        return Origin(
            None if client is None else to_address(client.host or "", client.port),
            None if scheme is None else read_scheme(scheme),
            host,
        )

    def _readForwarded(self, values: list[bytes]) -> _Said:
        elements = read_forwarded(values)
        client, depth = self._walk([element.get(b"for") for element in elements])
        # The elements of trusted proxies, the client's proxy first.
        believed = elements[-depth:]
        scheme, host = (
            next((e[name] for e in believed if name in e), None)
            for name in (b"proto", b"host")
        )
        return client, scheme, host

    def _readXForwarded(self, *fields: list[bytes]) -> _Said:
        nodes, schemes, hosts = map(members, fields)
        client, depth = self._walk(nodes)
        # Some proxies append to these lists, others send a single value.
        scheme, host = (
            found[-min(max(depth, 1), len(found))] if found else None
            for found in (schemes, hosts)
        )
        return client, scheme, host

    def _walk(self, nodes: Sequence[bytes | None]) -> tuple[Node | None, int]:
        """
        Go from this server's peer towards the client, as far as the proxies are
        trusted.

        @param nodes: for each proxy the address of its peer, as text.
        @return: the address of the client, C{None} if the last element has
            none; and how many elements are from trusted proxies.
        """
        client = None
        depth = 0
        for text in reversed(nodes):
            depth += 1
            node = None if text is None else read_node(text)
            if node is None or node.host is None:
                break
            client = node
            if not self._trustsHost(node.host):
                break
        return client, depth
