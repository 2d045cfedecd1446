"""
A proxy that tunnels: ``CONNECT``, to the hosts and ports that it knows.

``python server_connect_tunnel.py tcp:8080:interface=127.0.0.1 example.com:443``, then
``curl --proxy http://localhost:8080 https://example.com/``.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    HostnameEndpoint,
    connectProtocol,
    serverFromString,
)
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import react
from twisted.python.failure import Failure
from twisted.web.resource import Resource

from twisted_h11.server import Request, Site


class End(Protocol):
    """
    One end of a tunnel.  Each is the other's producer, so that whoever reads
    slowly is sent to slowly.
    """

    transport: Any
    other: End | None = None

    def join(self, other: End) -> None:
        """
        Begin to pass bytes in both directions.
        """
        self.other, other.other = other, self
        self.transport.registerProducer(other.transport, True)
        other.transport.registerProducer(self.transport, True)
        other.transport.resumeProducing()

    def dataReceived(self, data: bytes) -> None:
        """
        Pass it on.
        """
        if self.other is not None:
            self.other.transport.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        End the other end too.
        """
        other, self.other = self.other, None
        if other is not None:
            other.other = None
            other.transport.unregisterProducer()
            other.transport.loseConnection()


class Outer(End):
    """
    The end at the host that was asked for; it says nothing before it is joined.
    """

    def connectionMade(self) -> None:
        """
        Wait.
        """
        self.transport.pauseProducing()


class Inner(End):
    """
    The end at the client.
    """

    def __init__(self, outer: Outer) -> None:
        self.outer = outer

    def connectionMade(self) -> None:
        """
        The response is out.
        """
        self.join(self.outer)


class Tunnel(Resource):
    """
    Connects clients to one of ``allowed``, each a host and a port.
    """

    isLeaf = True

    def __init__(self, reactor: Any, allowed: set[bytes]) -> None:
        super().__init__()
        self.reactor = reactor
        self.allowed = allowed

    async def render_CONNECT(self, request: Request) -> bytes | None:
        """
        Connect, then give the client's connection away.
        """
        if request.uri not in self.allowed:
            request.setResponseCode(403)
            return b"Not there.\n"
        host, _, port = request.uri.decode("ascii").rpartition(":")
        endpoint = HostnameEndpoint(self.reactor, host.strip("[]"), int(port))
        try:
            outer = await connectProtocol(endpoint, Outer())
        except (ConnectError, DNSLookupError):
            request.setResponseCode(502)
            return b"It can not be reached.\n"
        request.switchProtocol(Inner(outer))
        return None


async def main(
    reactor: Any, endpoint: str = "tcp:8080:interface=127.0.0.1", *allowed: str
) -> None:
    """
    Listen, and say where.
    """
    tunnel = Tunnel(reactor, {text.encode("ascii") for text in allowed})
    port = await serverFromString(reactor, endpoint).listen(Site(tunnel))
    print("listening on", port.getHost(), flush=True)
    await Deferred()


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor, *sys.argv[1:])))
