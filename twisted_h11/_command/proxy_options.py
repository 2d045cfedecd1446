"""
The options of C{twistd h11web} for a server behind proxies.
"""

from __future__ import annotations

import os
from typing import Any, ClassVar

from twisted.python import usage

from twisted_h11._command.endpoints import endpoint_kind
from twisted_h11._command.passing import ListeningReactor
from twisted_h11._command.process_options import ProcessOptions
from twisted_h11.limits import Limits
from twisted_h11.server import (
    ProxyProtocolFactory,
    TrustedProxies,
    check_root_path,
)

__all__ = ["ProxyOptions", "ProxyReactor"]

_FAMILIES = ("forwarded", "x-forwarded", "none")

_FORWARDED = (
    "Which fields of a trusted proxy describe the client: x-forwarded "
    "(X-Forwarded-For, -Proto and -Host), forwarded (RFC 7239), or none. By default "
    "x-forwarded, and none with --proxy-protocol."
)
_PROXY_PROTOCOL = (
    "Require that every connection begins with a header of the PROXY protocol, version "
    "1 or 2, also before TLS; drop others, and those that are not from a --trust-proxy."
)
_ROOT_PATH = (
    "Path, such as /app, that the proxy removes from the beginning of each request's "
    "path: it is added again, in URLs, redirects and SCRIPT_NAME too."
)

# The kinds of endpoints that use a reactor's methods for listening.
_KINDS = ("tcp", "tcp4", "tcp6", "unix", "ssl", "tls", "systemd")


class ProxyReactor(ListeningReactor):
    """
    A reactor for endpoints whose connections begin with a header of the PROXY
    protocol, before any TLS.

    @param reactor: the reactor.
    @param trusted: the proxies that may send a header.
    @param limits: the limits of the site.
    """

    def __init__(self, reactor: Any, trusted: TrustedProxies, limits: Limits) -> None:
        super().__init__(reactor)
        self._trusted = trusted
        self._limits = limits

    def _wrap(self, factory: Any) -> ProxyProtocolFactory:
        return ProxyProtocolFactory(factory, self._trusted, self._limits, self._reactor)

    def listenTCP(self, port: int, factory: Any, *args: Any, **kwargs: Any) -> Any:
        """
        See L{IReactorTCP<twisted.internet.interfaces.IReactorTCP>}.
        """
        return self._reactor.listenTCP(port, self._wrap(factory), *args, **kwargs)

    def listenUNIX(self, address: Any, factory: Any, *args: Any, **kwargs: Any) -> Any:
        """
        See L{IReactorUNIX<twisted.internet.interfaces.IReactorUNIX>}.
        """
        return self._reactor.listenUNIX(address, self._wrap(factory), *args, **kwargs)

    def adoptStreamPort(self, fileDescriptor: int, family: Any, factory: Any) -> Any:
        """
        See L{IReactorSocket<twisted.internet.interfaces.IReactorSocket>}.
        """
        return self._reactor.adoptStreamPort(
            fileDescriptor, family, self._wrap(factory)
        )


class ProxyOptions(ProcessOptions):
    """
    Options for proxies in front of the server.

    After L{checkProxies}, C{self["proxies"]} is a L{TrustedProxies} or C{None}, and
    C{self["rootPath"]} bytes.

    @since: 0.1
    """

    heading = "Behind a proxy"

    optParameters: ClassVar[list[list[Any]]] = [
        ["forwarded", None, None, _FORWARDED],
        ["root-path", None, None, _ROOT_PATH],
    ]

    optFlags: ClassVar[list[list[str]]] = [
        ["proxy-protocol", "", _PROXY_PROTOCOL],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["trustedNetworks"] = []

    def opt_trust_proxy(self, network: str) -> None:
        """
        Address or network, such as 10.0.0.0/8 or ::1, of a proxy that is trusted to
        describe the client; unix: every peer on a UNIX socket. By default no peer is
        trusted. May be repeated.
        """
        try:
            TrustedProxies([network])
        except ValueError as error:
            hint = ""
            if network == "*":
                hint = "; for all addresses, 0.0.0.0/0 and ::/0"
            elif network.startswith("unix:"):
                hint = "; write unix, without a path"
            raise usage.UsageError(f"--trust-proxy {network}: {error}{hint}") from None
        self["trustedNetworks"].append(network)

    def checkProxies(self) -> None:
        """
        Check the options against each other.
        """
        networks, family = self["trustedNetworks"], self["forwarded"]
        if not networks:
            for name in ("forwarded", "proxy-protocol"):
                if self[name]:
                    raise usage.UsageError(
                        f"--{name} needs --trust-proxy, with the trusted proxies"
                    )
        if family is None:
            family = "none" if self["proxy-protocol"] else "x-forwarded"
        if family not in _FAMILIES:
            raise usage.UsageError(
                f"--forwarded {family}: must be one of {', '.join(_FAMILIES)}"
            )
        if family == "none" and networks and not self["proxy-protocol"]:
            raise usage.UsageError(
                "--forwarded none: --trust-proxy would have no effect"
            )
        self["proxies"] = None
        if networks:
            believed = None if family == "none" else family
            self["proxies"] = TrustedProxies(networks, believed)
        try:
            self["rootPath"] = check_root_path(os.fsencode(self["root-path"] or ""))
        except ValueError as error:
            raise usage.UsageError(f"--root-path: {error}") from None

    def givenForProxies(self) -> dict[str, bool]:
        """
        Which of these options were given.
        """
        return {
            "trust-proxy": bool(self["trustedNetworks"]),
            "root-path": bool(self["rootPath"]),
        }

    def reactorFor(self, description: str) -> Any:
        """
        The reactor with which an endpoint is to listen.

        @param description: the endpoint description.
        @raise ValueError: if C{--proxy-protocol} was given, and is not possible for
            this kind of endpoint.
        """
        reactor = self.listeningReactor(description)
        if not self["proxy-protocol"]:
            return reactor
        kind = endpoint_kind(description)
        if kind == "haproxy":
            raise ValueError("haproxy: and --proxy-protocol exclude each other")
        if kind not in _KINDS:
            raise ValueError(
                f"--proxy-protocol is for endpoints of {', '.join(_KINDS)}"
            )
        return ProxyReactor(reactor, self["proxies"], self["limits"])
