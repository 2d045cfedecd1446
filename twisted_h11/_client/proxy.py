"""
Proxies: which requests use one, and how.

A request for C{http:} is sent to the proxy in absolute form, and the proxy
forwards it.  All others, C{https:}, C{ws:} and C{wss:}, go through a tunnel
(CONNECT) to the server, with TLS inside if the scheme requires it.  The connection to
the proxy uses TLS if the proxy's URL begins with C{https:}.

The credentials for the proxy are sent to the proxy only: those in its URL, or a
Proxy-Authorization among the application's fields, which takes precedence.  A server
never receives them.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from twisted.internet.abstract import isIPv6Address
from twisted.web.http_headers import Headers as TwistedHeaders

from twisted_h11._boundary.checks import (
    BOOL,
    BYTES,
    INT,
    STR,
    checked,
    instance,
    listed,
    optional,
    wrong,
)
from twisted_h11._client.names import host_endpoint
from twisted_h11._client.no_proxy import NoProxy, ascii_name
from twisted_h11._client.party import SECURE, Party
from twisted_h11._client.request import pairs_of
from twisted_h11._client.settings import ClientSettings
from twisted_h11._client.tls import tls_endpoint
from twisted_h11._client.tunnel import ProxyEndpoint, TunnelEndpoint
from twisted_h11._client.uri import host_value

__all__ = ["Proxies", "Proxy", "Route", "Via", "proxy_endpoint"]

_PROXY = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://)?"
    r"(?:(?P<user>[^/?#@]*)@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._~%-]+)?\]|[^/?#@:\[\]\s]+)"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)


_PROXY_FIELDS = {
    "secure": BOOL,
    "host": STR,
    "port": INT,
    "authorization": optional(BYTES),
}


@dataclass(frozen=True)
class Proxy:
    """
    One proxy.

    @ivar secure: whether the connection to the proxy uses TLS.
    @ivar host: its name or address.
    @ivar port: its port.
    @ivar authorization: the value of Proxy-Authorization, or C{None}.

    @since: 0.1
    """

    secure: bool
    host: str
    port: int
    authorization: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name, kind in _PROXY_FIELDS.items():
            value = getattr(self, name)
            if not kind.test(value):
                # The credentials must not get into a log.
                shown = value if name != "authorization" else type(value)
                raise wrong(name, kind.name, shown)

    @classmethod
    @checked(url=STR)
    def fromURL(cls, url: str) -> Proxy:
        """
        Make a proxy from a URL, C{http://user:password@host:port}.

        @raise ValueError: if C{url} is not the URL of a proxy.
        """
        match = _PROXY.fullmatch(url)
        if match is None:
            # The message leaves the URL out: it may contain a password.
            raise ValueError(
                "This is not the URL of a proxy: http://user:password@host:port, in "
                "which an @ or / of the password is written as %40 or %2F"
            )
        scheme = (match["scheme"] or "http").lower()
        if scheme not in ("http", "https"):
            raise ValueError(f"Proxies of the kind {scheme}: are not supported")
        port = int(match["port"] or (443 if scheme == "https" else 3128))
        if not 0 < port < 65536:
            raise ValueError(f"A proxy can not have the port {port}")
        authorization = None
        if match["user"] is not None:
            name, _, password = match["user"].partition(":")
            user = unquote_to_bytes(name)
            if b":" in user:
                raise ValueError("The user of a proxy can not have a colon in the name")
            credentials = user + b":" + unquote_to_bytes(password)
            authorization = b"Basic " + base64.b64encode(credentials)
        return cls(scheme == "https", _host(match["host"]), port, authorization)

    @property
    def name(self) -> str:
        """
        Host and port, for messages.
        """
        return host_value(self.host.encode("ascii", "replace"), self.port).decode()


def _host(text: str) -> str:
    """
    The host of a proxy's URL.
    """
    try:
        if not text.startswith("["):
            return ascii_name(text)
        address = text[1:-1].replace("%25", "%")
        if isIPv6Address(address.partition("%")[0]):
            return address
    except ValueError:
        pass
    raise ValueError("The URL of a proxy has no host in it")


@dataclass(frozen=True)
class Proxies:
    """
    Which requests go through which proxy.

    @ivar http: the L{Proxy} for C{http:} and C{ws:} URIs, or C{None}.
    @ivar https: the L{Proxy} for C{https:} and C{wss:} URIs, or C{None}.
    @ivar exceptions: hosts that are reached directly, as in C{NO_PROXY}: names
        with their subdomains, addresses, networks (C{10.0.0.0/8}), each with or
        without a port, or C{*}.

    @raise ValueError: for an invalid exception.

    @since: 0.1
    """

    http: Proxy | None = None
    https: Proxy | None = None
    exceptions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        one, many = optional(instance("a Proxy", Proxy)), listed(STR)
        for name, kind in (("http", one), ("https", one), ("exceptions", many)):
            value = getattr(self, name)
            if not kind.test(value):
                raise wrong(name, kind.name, value)
        object.__setattr__(self, "_noProxy", NoProxy(self.exceptions))

    @classmethod
    @checked(environment=optional(instance("a mapping", Mapping)))
    def fromEnvironment(cls, environment: Mapping[str, str] | None = None) -> Proxies:
        """
        Read the usual variables: C{http_proxy}, C{https_proxy}, C{all_proxy},
        C{no_proxy}, in lower or upper case.  C{HTTP_PROXY} is ignored where
        C{REQUEST_METHOD} is set, because a CGI client can set it (CVE-2016-5385).

        @param environment: the variables; those of the process if not given.
        @raise ValueError: if a variable has an invalid value.
        """
        if environment is None:
            environment = os.environ

        def value(name: str) -> tuple[str, str]:
            found = environment.get(name)
            if found is None and not (
                name == "http_proxy" and "REQUEST_METHOD" in environment
            ):
                name = name.upper()
                found = environment.get(name)
            return name, (found or "").strip()

        def proxy(name: str) -> Proxy | None:
            for each in (name, "all_proxy"):
                variable, url = value(each)
                if url:
                    try:
                        return Proxy.fromURL(url)
                    except ValueError as error:
                        raise ValueError(f"{variable}: {error}") from None
            return None

        http, https = proxy("http_proxy"), proxy("https_proxy")
        variable, text = value("no_proxy")
        try:
            return cls(http, https, tuple(text.replace(",", " ").split()))
        except ValueError as error:
            raise ValueError(f"{variable}: {error}") from None

    def find(self, scheme: bytes, host: bytes, port: int) -> Proxy | None:
        """
        Find the proxy for a request.

        @param scheme: the scheme of its URI, in lower case.
        @param host: its host, ASCII.
        @param port: its port.
        @return: the proxy; C{None} if the request goes directly.
        """
        proxy = self.https if scheme in SECURE else self.http
        rules: NoProxy = vars(self)["_noProxy"]
        if proxy is None or rules.matches(host.decode("ascii"), port):
            return None
        return proxy


def proxy_endpoint(reactor: Any, proxy: Proxy, policy: Any, options: Any) -> Any:
    """
    How to connect to a proxy.
    """
    endpoint = host_endpoint(reactor, proxy.host, proxy.port, options)
    if proxy.secure:
        endpoint = tls_endpoint(
            policy, proxy.host.encode("ascii"), proxy.port, endpoint
        )
    return ProxyEndpoint(endpoint, proxy.name)


class Route(NamedTuple):
    """
    How a request goes through a proxy.

    @ivar key: the pool's key.
    @ivar target: the request target, in the form for the proxy or for the server.
    @ivar headers: the fields to send.
    @ivar endpoint: how to connect, or a function that returns it.
    """

    key: Hashable
    target: bytes
    headers: Any
    endpoint: Any


class Via(NamedTuple):
    """
    One proxy, as one agent uses it.

    @ivar which: the proxy, as a part of the pool's keys.
    @ivar name: host and port of the proxy, for messages; may be empty.
    @ivar endpoint: makes an endpoint to it.
    @ivar authorization: the credentials in the proxy's URL, or C{None}.
    @ivar forwarding: the L{Party} of requests that the proxy forwards.
    @ivar tunnelling: the L{Party} of tunnels.
    """

    which: Hashable
    name: str
    endpoint: Callable[[], Any]
    authorization: bytes | None
    forwarding: Party
    tunnelling: Party

    def forward(self, target: bytes, headers: Any) -> Route:
        """
        The route of a request that the proxy forwards.

        @param target: the URI.
        """
        headers, given = _credentials(headers)
        if not given and self.authorization is not None:
            given = (self.authorization,)
            pairs = pairs_of(headers) if headers is not None else ()
            headers = [*pairs, (b"Proxy-Authorization", self.authorization)]
        key = ("proxy", self.which, given, self.forwarding)
        return Route(key, target, headers, self.endpoint)

    def tunnel(
        self,
        reactor: Any,
        policy: Any,
        settings: ClientSettings,
        fastPath: bool,
        origin: tuple[bytes, bytes, int],
        target: bytes,
        headers: Any,
    ) -> Route:
        """
        The route of a request through a tunnel.

        @param origin: scheme, host and port.
        """
        headers, given = _credentials(headers)
        if not given and self.authorization is not None:
            given = (self.authorization,)
        scheme, host, port = origin

        def connect() -> Any:
            endpoint: Any = TunnelEndpoint(
                reactor,
                self.endpoint(),
                host,
                port,
                given[0] if given else None,
                settings,
                fastPath=fastPath,
                proxy=self.name,
            )
            if scheme in SECURE:
                endpoint = tls_endpoint(policy, host, port, endpoint)
            return endpoint

        key = ("tunnel", self.which, given, scheme, host.lower(), port, self.tunnelling)
        # request_fields leaves the credentials out of the request to the server.
        return Route(key, target, headers, connect)


def _credentials(headers: Any) -> tuple[Any, tuple[bytes, ...]]:
    """
    The fields of a request, and the Proxy-Authorization among them.
    """
    if headers is None:
        return None, ()
    pairs = pairs_of(headers)
    given = tuple(
        value for name, value in pairs if name.lower() == b"proxy-authorization"
    )
    # Keep the class of the headers: the application sees them as request.headers.
    return (headers if isinstance(headers, TwistedHeaders) else pairs), given
