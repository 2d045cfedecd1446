"""
How an agent connects: to the server that a URI names, or to a UNIX socket.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.web.client import URI
from twisted.web.error import SchemeNotSupported
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from twisted_h11._boundary.checks import NUMBER, PATH, REACTOR, checked
from twisted_h11._client.names import host_endpoint
from twisted_h11._client.party import SECURE, Party, standard_party
from twisted_h11._client.proxy import Proxy, Via, proxy_endpoint
from twisted_h11._client.tls import tls_endpoint

__all__ = ["LazyEndpoint", "StandardEndpointFactory", "UNIXEndpointFactory"]


@implementer(IAgentEndpointFactory)
class StandardEndpointFactory:
    """
    TCP for C{http:}, TLS on TCP for C{https:}, both with Happy Eyeballs.
    """

    def __init__(
        self,
        reactor: Any,
        policy: Any,
        connectTimeout: float | None,
        bindAddress: Any,
    ) -> None:
        self.reactor = reactor
        self.policy = policy
        self.options: dict[str, Any] = {"bindAddress": bindAddress}
        if connectTimeout is not None:
            self.options["timeout"] = connectTimeout
        self.plain = standard_party(False, reactor, policy, bindAddress)
        self.secure = standard_party(True, reactor, policy, bindAddress)

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """
        See L{IAgentEndpointFactory}.
        """
        return self.endpointFor(uri.scheme, uri.host, uri.port)

    def endpointFor(
        self, scheme: bytes, host: bytes, port: int
    ) -> IStreamClientEndpoint:
        """
        The endpoint for an origin.
        """
        name = host.decode("ascii")
        endpoint: IStreamClientEndpoint = host_endpoint(
            self.reactor, name, port, self.options
        )
        if scheme in SECURE:
            endpoint = tls_endpoint(self.policy, host, port, endpoint)
        return endpoint

    def partyFor(self, scheme: bytes) -> Party:
        """
        The L{Party} of a direct connection to a server.
        """
        return self.secure if scheme in SECURE else self.plain

    def via(self, proxy: Proxy) -> Via:
        """
        The endpoint, credentials and parties for connections through a proxy.
        """
        return Via(
            (proxy.secure, proxy.host, proxy.port),
            proxy.name,
            lambda: proxy_endpoint(self.reactor, proxy, self.policy, self.options),
            proxy.authorization,
            self.secure if proxy.secure else self.plain,
            self.secure,
        )


def check_path(path: str | bytes) -> None:
    """
    Check the path of a UNIX socket: Twisted raises for a bad one only where no caller
    receives the error.

    @raise ValueError: if it is too long, or has a NUL.
    """
    name = os.fsencode(path)
    # sockaddr_un.sun_path: 108 bytes on Linux, 104 on BSD and macOS, NUL included.
    longest = 107 if sys.platform == "linux" else 103
    if len(name) > longest:
        raise ValueError(
            f"The path of a UNIX socket has at most {longest} bytes, not {len(name)}"
        )
    if b"\0" in name[1:]:
        raise ValueError("The path of a UNIX socket has no NUL in it")


@implementer(IAgentEndpointFactory)
class UNIXEndpointFactory:
    """
    Sends every request to one UNIX socket, for
    L{Agent.usingEndpointFactory}::

        Agent.usingEndpointFactory(
            reactor, UNIXEndpointFactory(reactor, "/run/docker.sock"))

    The server receives the host of the URI in the Host field.

    @param path: the path of the socket.
    @param timeout: seconds to wait for the connection.
    @raise ValueError: if no socket can have that path.

    @since: 0.1
    """

    @checked(reactor=REACTOR, path=PATH, timeout=NUMBER)
    def __init__(self, reactor: Any, path: str, timeout: float = 30) -> None:
        check_path(path)
        self._endpoint = UNIXClientEndpoint(reactor, path, timeout=timeout)

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """
        See L{IAgentEndpointFactory}.

        @raise SchemeNotSupported: for any scheme but C{http:}.
        """
        if uri.scheme != b"http":
            raise SchemeNotSupported(f"Unsupported scheme: {uri.scheme!r}")
        endpoint: IStreamClientEndpoint = self._endpoint
        return endpoint


class LazyEndpoint:
    """
    The endpoint for an origin, made when it is needed.
    """

    __slots__ = ("_factory", "_host", "_port", "_scheme")

    def __init__(
        self, factory: StandardEndpointFactory, scheme: bytes, host: bytes, port: int
    ) -> None:
        self._factory = factory
        self._scheme = scheme
        self._host = host
        self._port = port

    def __call__(self) -> Any:
        return self._factory.endpointFor(self._scheme, self._host, self._port)
