"""
Proxies: which one, and how to get through it.

A request for C{http:} is sent to the proxy in absolute form, and the proxy
forwards it.  One for C{https:} goes through a tunnel (CONNECT), in which TLS is
spoken with the server itself.  The way to the proxy is plain, or TLS if its
URL says C{https:}.  The credentials for the proxy are sent to the proxy only.
"""

from __future__ import annotations

import base64
import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IAddress, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from twisted.web.client import URI
from zope.interface import implementer

from twisted_h11._client_errors import RequestError
from twisted_h11._client_request import DEFAULT_SETTINGS, ClientRequest
from twisted_h11._client_response import Response
from twisted_h11._client_settings import ClientSettings
from twisted_h11._client_tls import tls_endpoint
from twisted_h11._exchange import ClientConnection

__all__ = ["Proxies", "Proxy", "ProxyRefused", "TunnelEndpoint", "host_value"]

_PROXY = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://)?"
    r"(?:(?P<user>[^/?#@]*)@)?"
    r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^/?#@:\[\]]+)"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)


class ProxyRefused(RequestError, ConnectError):
    """
    A proxy did not open a tunnel.  Nothing was sent to the server.

    @ivar code: the status of the proxy's answer.

    @since: 0.1
    """

    def __init__(self, code: int, phrase: bytes, authority: bytes) -> None:
        self.code = code
        text = phrase.decode("latin-1")
        super().__init__(
            string=f"The proxy answered {code} {text} to CONNECT {authority.decode()}"
        )

    def __str__(self) -> str:
        return str(self.args[0] if self.args else self.osError or "")


def host_value(host: bytes, port: int | None) -> bytes:
    """
    Host and port as they stand in a URI; without the port if it is C{None}.
    """
    if b":" in host:
        host = b"[%b]" % (host,)
    return host if port is None else b"%b:%d" % (host, port)


@dataclass(frozen=True)
class Proxy:
    """
    One proxy.

    @ivar secure: whether TLS is spoken with the proxy itself.
    @ivar host: its name or address.
    @ivar port: its port.
    @ivar authorization: the value of Proxy-Authorization, or C{None}.

    @since: 0.1
    """

    secure: bool
    host: str
    port: int
    authorization: bytes | None = field(default=None, repr=False)

    @classmethod
    def fromURL(cls, url: str) -> Proxy:
        """
        Make a proxy of C{http://user:password@host:port}.

        @raise ValueError: if that can not be one.
        """
        match = _PROXY.fullmatch(url)
        if match is None:
            # Without the text: there may be a password in it.
            raise ValueError("This is not the URL of a proxy")
        scheme = (match["scheme"] or "http").lower()
        if scheme not in ("http", "https"):
            raise ValueError(f"Proxies of the kind {scheme}: are not supported")
        port = int(match["port"] or (443 if scheme == "https" else 3128))
        if not 0 < port < 65536:
            raise ValueError(f"A proxy can not have the port {port}")
        authorization = None
        if match["user"] is not None:
            user, _, password = match["user"].partition(":")
            credentials = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
            authorization = b"Basic " + base64.b64encode(credentials)
        return cls(scheme == "https", match["host"].strip("[]"), port, authorization)


@dataclass(frozen=True)
class Proxies:
    """
    Which requests go through which proxy.

    @ivar http: the L{Proxy} for C{http:} URIs, or C{None}.
    @ivar https: the L{Proxy} for C{https:} URIs, or C{None}.
    @ivar exceptions: hosts that are reached directly, as in C{NO_PROXY}: names
        with all that is below them, addresses, networks (C{10.0.0.0/8}), each
        with or without a port, or C{*}.

    @since: 0.1
    """

    http: Proxy | None = None
    https: Proxy | None = None
    exceptions: tuple[str, ...] = ()

    @classmethod
    def fromEnvironment(cls, environment: Mapping[str, str] | None = None) -> Proxies:
        """
        The usual variables: C{http_proxy}, C{https_proxy}, C{all_proxy},
        C{no_proxy}, in lower or upper case; but C{HTTP_PROXY} not where
        C{REQUEST_METHOD} is set, because there a client could set it
        (CVE-2016-5385).

        @raise ValueError: if a variable has a value that makes no sense.
        """
        if environment is None:
            environment = os.environ

        def value(name: str) -> str:
            found = environment.get(name)
            if found is None and not (
                name == "http_proxy" and "REQUEST_METHOD" in environment
            ):
                found = environment.get(name.upper())
            return (found or "").strip()

        def proxy(name: str) -> Proxy | None:
            for variable in (name, "all_proxy"):
                url = value(variable)
                if url:
                    try:
                        return Proxy.fromURL(url)
                    except ValueError as error:
                        raise ValueError(f"{variable}: {error}") from None
            return None

        return cls(
            proxy("http_proxy"),
            proxy("https_proxy"),
            tuple(
                item.strip() for item in value("no_proxy").split(",") if item.strip()
            ),
        )

    def find(self, scheme: bytes, host: bytes, port: int) -> Proxy | None:
        """
        The proxy for a request, or C{None}.
        """
        proxy = self.https if scheme == b"https" else self.http
        if proxy is None or self._isException(host.decode("ascii").lower(), port):
            return None
        return proxy

    def _isException(self, host: str, port: int) -> bool:
        host = host.rstrip(".")
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            address = None
        for item in self.exceptions:
            item = item.lower()
            if item == "*":
                return True
            if address is not None and "/" in item:
                try:
                    if address in ipaddress.ip_network(item, strict=False):
                        return True
                except ValueError:
                    pass
                continue
            name, colon, number = item.rpartition(":")
            if colon and number.isdigit() and (":" not in name or name[-1:] == "]"):
                if int(number) != port:
                    continue
                item = name
            item = item.strip("[]").lstrip("*").lstrip(".").rstrip(".")
            if item and (
                host == item or (address is None and host.endswith("." + item))
            ):
                return True
        return False


def proxy_endpoint(reactor: Any, proxy: Proxy, policy: Any, options: Any) -> Any:
    """
    How to connect to a proxy.
    """
    endpoint = HostnameEndpoint(reactor, proxy.host, proxy.port, **options)
    if proxy.secure:
        return tls_endpoint(policy, proxy.host.encode("ascii"), proxy.port, endpoint)
    return endpoint


class _TunnelFactory(Factory):
    noisy = False

    def __init__(self, make: Callable[[], ClientConnection]) -> None:
        self._make = make

    def buildProtocol(self, addr: IAddress | None) -> ClientConnection:
        """
        Make the connection to the proxy.
        """
        return self._make()


@implementer(IStreamClientEndpoint)
class TunnelEndpoint:
    """
    A connection through a proxy's tunnel, as an endpoint.

    @param reactor: for its time.
    @param proxyEndpoint: how to connect to the proxy.
    @param host: the server behind it.
    @param port: its port.
    @param authorization: the value of Proxy-Authorization, or C{None}.
    @param settings: the time-outs.
    @param fastPath: whether the request for the tunnel may pass without the
        state machine of h11.

    @since: 0.1
    """

    def __init__(
        self,
        reactor: Any,
        proxyEndpoint: Any,
        host: bytes,
        port: int,
        authorization: bytes | None = None,
        settings: ClientSettings = DEFAULT_SETTINGS,
        *,
        fastPath: bool = True,
    ) -> None:
        self._reactor = reactor
        self._endpoint = proxyEndpoint
        self._authority = host_value(host, port)
        self._authorization = authorization
        self._settings = settings
        self._fastPath = fastPath

    def connect(self, factory: Any) -> Deferred[Any]:
        """
        See L{IStreamClientEndpoint}.
        """
        from twisted_h11._connecting import Attempt

        headers = []
        if self._authorization is not None:
            headers.append((b"Proxy-Authorization", self._authorization))
        request = ClientRequest(
            b"CONNECT",
            self._authority,
            self._authority,
            headers,
            None,
            True,
            self._settings,
            self._reactor.seconds(),
            fast=self._fastPath,
        )
        tunnel = _Tunnel(factory, request)
        tunnel.attempt = attempt = Attempt(
            self._reactor,
            None,
            self._endpoint,
            None,
            self._settings.tlsTimeout,
            request.started,
            tunnel.connected,
            tunnel.failed,
            lambda: None,
        )
        attempt.begin()
        return tunnel.deferred


class _Tunnel:
    """
    One attempt to open a tunnel.
    """

    attempt: Any = None
    _connection: ClientConnection | None = None

    def __init__(self, factory: Any, request: ClientRequest) -> None:
        self._factory = factory
        self._request = request
        self.deferred: Deferred[Any] = Deferred(self._cancel)

    def _cancel(self, _: object) -> None:
        if self._connection is not None:
            self._connection.cancelRequest()
        else:
            self.attempt.cancel()

    def connected(self, attempt: object, connection: ClientConnection) -> None:
        """
        The proxy is there: ask for the tunnel.
        """
        self._connection = connection
        connection.adopt(self)
        connection.start(self._request, self)

    def failed(self, attempt: object, reason: Failure) -> None:
        """
        The proxy is not there.
        """
        self.deferred.errback(reason)

    def responseReceived(self, response: Response) -> None:
        """
        The proxy has answered.
        """
        if not 200 <= response.code < 300:
            response.abort()
            self.deferred.errback(
                Failure(
                    ProxyRefused(response.code, response.phrase, self._request.target)
                )
            )
            return
        assert self._connection is not None
        protocol = self._factory.buildProtocol(self._connection.peer)
        if protocol is None:
            response.abort()
            self.deferred.errback(Failure(ConnectError(string="nobody to connect")))
            return
        response.switchProtocol(protocol)
        self.deferred.callback(protocol)

    def requestFailed(self, failure: Failure, nothingSent: bool) -> None:
        """
        The proxy has not answered.
        """
        self.deferred.errback(failure)

    def connectionOpened(self, connection: ClientConnection) -> None:
        """
        Known already.
        """

    connectionReady = connectionOpened
    connectionClosing = connectionOpened

    def connectionIdle(self, connection: ClientConnection) -> None:
        """
        What is not a tunnel is of no use.
        """
        connection.loseConnection()

    def connectionGone(self, connection: ClientConnection, reason: Failure) -> None:
        """
        The response has told already.
        """


def parse_uri(uri: bytes) -> URI:
    """
    Parse a URI; twisted.web's parser.
    """
    parsed: URI = URI.fromBytes(uri)
    return parsed
