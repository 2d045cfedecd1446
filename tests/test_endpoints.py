"""
Endpoint strings: whatever Twisted can listen on, the site can be served on.
"""

from __future__ import annotations

import os
import socket
import tempfile
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import (
    SSL4ServerEndpoint,
    serverFromString,
)
from twisted.protocols.tls import TLSMemoryBIOFactory

from tests.support.cases import FAST_PATH, GET, Calls, get
from tests.support.transports import TCPBackend, TLSBackend, UNIXBackend, certificate
from twisted_h11.server import Site

net: Any = reactor


def site() -> Any:
    """
    Tells what the server knows of the connection.
    """

    def render(request: Any) -> bytes:
        client, host = request.getClientAddress(), request.getHost()
        return " ".join(
            [
                type(client).__name__,
                str(getattr(client, "host", None)),
                str(getattr(client, "port", None)),
                type(host).__name__,
                str(request.isSecure()),
            ]
        ).encode()

    return Site(Calls(render), fastPath=FAST_PATH)


class StringTests(TCPBackend):
    """
    Over TCP.
    """

    async def serve(self, text: str) -> Any:
        """
        Listen as an endpoint string says.
        """
        port: Any = await serverFromString(net, text).listen(self.watched(site()))
        self.ports.append(port)
        return port

    async def body(self, port: Any, before: bytes = b"") -> bytes:
        """
        The body of one response.
        """
        peer = await self.connect(port)
        peer.send(before + GET)
        (response,) = await peer.responses(1)
        return response.body

    async def test_tcp(self) -> None:
        """
        C{tcp:}.
        """
        port = await self.serve("tcp:0:interface=127.0.0.1")
        body = await self.body(port)
        self.assertTrue(body.startswith(b"IPv4Address 127.0.0.1 "), body)

    async def test_haproxy(self) -> None:
        """
        C{haproxy:} takes the client's address from the PROXY protocol, in the
        same segment as the request or before it.
        """
        port = await self.serve("haproxy:tcp:0:interface=127.0.0.1")
        line = b"PROXY TCP4 198.51.100.22 203.0.113.7 35646 80\r\n"
        body = await self.body(port, line)
        self.assertEqual(b"IPv4Address 198.51.100.22 35646 IPv4Address False", body)
        peer = await self.connect(port)
        peer.send(line)
        await self.turns(3)
        for byte in GET:
            peer.send(bytes([byte]))
            await self.turns(1)
        (response,) = await peer.responses(1)
        self.assertEqual(body, response.body)

    async def test_haproxyRefusal(self) -> None:
        """
        Refusals and closing work through its wrapper.
        """
        port = await self.serve("haproxy:tcp:0:interface=127.0.0.1")
        peer = await self.connect(port)
        line = b"PROXY TCP4 198.51.100.22 203.0.113.7 35646 80\r\n"
        peer.send(line + get(b"/", b"Connection: close"))
        (response,) = await peer.responses(1)
        self.assertTrue(response.closes)
        peer.close()
        await peer.gone()
        peer = await self.connect(port)
        peer.send(line + b"bad\r\n\r\n")
        (response,) = await peer.responses(1)
        self.assertEqual(400, response.status)

    async def test_systemd(self) -> None:
        """
        C{systemd:} serves on a socket that was passed to the process.
        """
        from twisted.internet.interfaces import IStreamServerEndpointStringParser
        from twisted.plugin import getPlugins
        from twisted.python.systemd import ListenFDs

        listening = socket.socket()
        self.addCleanup(listening.close)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        parsers = [
            plugin
            for plugin in getPlugins(IStreamServerEndpointStringParser)
            if getattr(plugin, "prefix", None) == "systemd"
        ]
        for parser in parsers:
            self.patch(parser, "_sddaemon", ListenFDs([os.dup(listening.fileno())]))
        port = await self.serve("systemd:domain=INET:index=0")
        body = await self.body(port)
        self.assertTrue(body.startswith(b"IPv4Address 127.0.0.1 "), body)

    async def test_fd(self) -> None:
        """
        A reactor's C{adoptStreamPort} works.
        """
        listening = socket.socket()
        self.addCleanup(listening.close)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.setblocking(False)
        port = net.adoptStreamPort(
            listening.fileno(), socket.AF_INET, self.watched(site())
        )
        self.ports.append(port)
        self.assertTrue((await self.body(port)).startswith(b"IPv4Address "))


class UNIXStringTests(UNIXBackend):
    """
    C{unix:}.
    """

    async def test_unix(self) -> None:
        """
        Requests over it have a C{UNIXAddress}.
        """
        folder = tempfile.mkdtemp()
        self.folders.append(folder)
        text = f"unix:{folder}/socket:mode=600"
        port: Any = await serverFromString(net, text).listen(self.watched(site()))
        self.ports.append(port)
        peer = await self.connect(port)
        peer.send(GET)
        (response,) = await peer.responses(1)
        self.assertEqual(b"UNIXAddress None None UNIXAddress False", response.body)


class TLSStringTests(TLSBackend):
    """
    C{ssl:} and other ways to TLS.
    """

    async def ask(self, port: Any) -> bytes:
        """
        The body of one response.
        """
        peer = await self.connect(port)
        peer.send(GET)
        (response,) = await peer.responses(1)
        self.assertTrue(response.body.endswith(b"True"), response.body)
        return response.body

    async def test_ssl(self) -> None:
        """
        C{ssl:} with key and chain in a file.
        """
        _, _, path = certificate()
        text = f"ssl:0:interface=127.0.0.1:privateKey={path}:certKey={path}"
        port: Any = await serverFromString(net, text).listen(self.watched(site()))
        self.ports.append(port)
        await self.ask(port)

    async def test_endpoint(self) -> None:
        """
        L{SSL4ServerEndpoint}.
        """
        private, _, _ = certificate()
        endpoint = SSL4ServerEndpoint(net, 0, private.options(), interface="127.0.0.1")
        port: Any = await endpoint.listen(self.watched(site()))
        self.ports.append(port)
        await self.ask(port)

    async def test_wrapped(self) -> None:
        """
        C{TLSMemoryBIOFactory} around the site, as C{tls:} plugins do it.
        """
        private, _, _ = certificate()
        factory = TLSMemoryBIOFactory(private.options(), False, self.watched(site()))
        port = net.listenTCP(0, factory, interface="127.0.0.1")
        self.ports.append(port)
        await self.ask(port)
