"""
The options of C{twistd h11web} that say where to listen.
"""

from __future__ import annotations

import os
from typing import Any, ClassVar

from twisted.internet import endpoints
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.python import usage
from twisted.web import distrib

from twisted_h11._command.endpoints import parse_endpoint, tcp_description
from twisted_h11._command.proxy_options import ProxyOptions
from twisted_h11._command.twistd_paths import start_directory
from twisted_h11._command.values import is_number

__all__ = ["ListenOptions"]

_INTERFACE = (
    "IP address to listen on when --port or --https is a number, or both are left out. "
    "By default a number listens on all IPv4 interfaces."
)


class ListenOptions(ProxyOptions):
    """
    Where to listen.

    After L{checkListen}, C{self["listen"]} is the list of endpoints, each with its
    name for messages.

    @since: 0.1
    """

    heading = "Where to listen"

    optParameters: ClassVar[list[list[Any]]] = [
        ["interface", None, None, _INTERFACE],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["ports"] = []
        self["port"] = None

    def opt_port(self, port: str) -> None:
        """
        Port number, or endpoint description, to listen on. Port 0 takes a free
        one; the log says which. [default: 8080]
        """
        if self["port"] is not None:
            raise usage.UsageError(
                "--port is given more than once; --listen may be repeated"
            )
        self["port"] = port

    opt_p = opt_port

    def opt_listen(self, description: str) -> None:
        """
        Endpoint description to listen on, such as tcp:8080, unix:/run/web.sock
        (which everybody may connect to, unless it ends in :mode=660 or another
        mode) or ssl:8443:privateKey=key.pem:certKey=cert.pem. May be repeated.
        """
        self["ports"].append(description)

    def checkListen(self) -> None:
        """
        Parse the endpoints.
        """
        listen = [
            (description, self.makeEndpoint("listen", description, description))
            for description in self["ports"]
        ]
        port, interface = self["port"], self["interface"]
        if port is None and not (listen or self["https"]):
            if self["personal"]:
                path = os.path.expanduser(f"~/{distrib.UserDirectory.userSocketName}")
                port = "unix:" + endpoints.quoteStringArgument(path)
            else:
                port = "8080"
        if port is not None and is_number(port):
            try:
                name, description = tcp_description(port, interface)
            except ValueError as error:
                raise usage.UsageError(str(error)) from None
            listen.append((name, self.makeEndpoint("port", port, description)))
        elif interface is not None and not any(map(is_number, self["https"])):
            raise usage.UsageError("--interface goes with a --port that is a number")
        elif port is not None and ":" not in port:
            raise usage.UsageError(
                f"--port {port}: neither a number nor an endpoint description"
            )
        elif port is not None:
            listen.append((port, self.makeEndpoint("port", port, port)))
        self["listen"] = listen

    def makeEndpoint(
        self, option: str, value: str, description: str
    ) -> IStreamServerEndpoint:
        """
        Parse one endpoint description, and load its certificates.
        """
        try:
            return parse_endpoint(
                self.reactorFor(description), description, start_directory(self.parent)
            )
        except ValueError as error:
            raise usage.UsageError(f"--{option} {value}: {error}") from None
