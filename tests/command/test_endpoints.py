"""
Endpoint strings: whatever Twisted can listen on, the site can be served on.
"""

from __future__ import annotations

import io
import os
import socket
import tempfile
from typing import Any

from twisted.internet import reactor, ssl
from twisted.internet.endpoints import (
    SSL4ServerEndpoint,
    TCP4ClientEndpoint,
    TCP4ServerEndpoint,
    connectProtocol,
    serverFromString,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.protocols.haproxy import proxyEndpoint
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from tests.support.server_cases import FAST_PATH, GET, Calls, get
from tests.support.socket_cases import (
    Peer,
    TCPBackend,
    TLSBackend,
    UNIXBackend,
    certificate,
)
from twisted_h11._command.endpoints import parse_endpoint
from twisted_h11.server import Limits, Site
from twisted_h11.wsgi import WSGIResource

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

    async def serve(self, text: str, made: Any = None) -> Any:
        """
        Listen as an endpoint string says.
        """
        if made is None:
            made = site()
        port: Any = await serverFromString(net, text).listen(self.watched(made))
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

    async def test_haproxyCounts(self) -> None:
        """
        With C{haproxy:} each client counts for its own address, not for that of the
        proxy, however many are there before they say who they are.
        """
        made = site()
        made.limits = Limits(maxConnectionsPerPeer=1)
        port = await self.serve("haproxy:tcp:0:interface=127.0.0.1", made)
        peers = [await self.connect(port) for _ in range(5)]
        await self.turns(3)
        for number, peer in enumerate(peers[:4]):
            peer.send(b"PROXY TCP4 198.51.100.%d 203.0.113.7 1 80\r\n" % number)
            await self.turns(3)
            peer.send(GET)
            (response,) = await peer.responses(1)
            self.assertIn(b"IPv4Address 198.51.100.%d 1 " % number, response.body)
        peers[4].send(b"PROXY TCP4 198.51.100.2 203.0.113.7 2 80\r\n" + GET)
        (response,) = await peers[4].responses(1)
        self.assertEqual(503, response.status)
        hosts = {f"198.51.100.{number}": 1 for number in range(4)}
        self.assertEqual(hosts, dict(made._connections.hosts))
        peers[2].close()
        await peers[2].gone()
        await self.turns(3)
        again = await self.connect(port)
        again.send(b"PROXY TCP4 198.51.100.2 203.0.113.7 3 80\r\n" + GET)
        (response,) = await again.responses(1)
        self.assertEqual(200, response.status)

    async def test_haproxyLogs(self) -> None:
        """
        The access log and the other log have the client's address, for answers and
        for refusals, also where somebody has asked for it before it was known.
        """
        made = site()
        build = made.buildProtocol

        def buildProtocol(address: Any) -> Any:
            channel = build(address)
            made_ = channel.connectionMade

            def connectionMade() -> None:
                made_()
                channel.getPeer()
                channel.getHost()

            channel.connectionMade = connectionMade
            return channel

        made.buildProtocol = buildProtocol
        port = await self.serve("haproxy:tcp:0:interface=127.0.0.1", made)
        access = made.logFile = io.StringIO()
        messages = self.logged()
        line = b"PROXY TCP4 198.51.100.22 203.0.113.7 35646 80\r\n"
        peer = await self.connect(port)
        peer.send(line + GET)
        (response,) = await peer.responses(1)
        self.assertEqual(
            b"IPv4Address 198.51.100.22 35646 IPv4Address False", response.body
        )
        peer = await self.connect(port)
        peer.send(line + b"bad\r\n\r\n")
        await peer.responses(1)
        lines = access.getvalue().splitlines()
        self.assertEqual(['"198.51.100.22" - - '] * 2, [text[:20] for text in lines])
        self.assertEqual([], [text for text in messages if "127.0.0.1" in text])
        self.assertTrue([text for text in messages if "198.51.100.22" in text])

    async def test_haproxyEnviron(self) -> None:
        """
        What a WSGI application is told of client and server is what the PROXY line
        says.
        """

        def application(environ: dict[str, Any], start: Any) -> list[bytes]:
            start("200 OK", [])
            names = ("REMOTE_ADDR", "REMOTE_PORT", "SERVER_PORT", "wsgi.url_scheme")
            return [" ".join(str(environ.get(name)) for name in names).encode()]

        made = Site(WSGIResource(net, None, application), fastPath=FAST_PATH)
        port = await self.serve("haproxy:tcp:0:interface=127.0.0.1", made)
        line = b"PROXY TCP4 198.51.100.22 203.0.113.7 35646 81\r\n"
        self.assertEqual(b"198.51.100.22 35646 81 http", await self.body(port, line))

    async def test_haproxyWithoutLine(self) -> None:
        """
        A connection that does not begin with a PROXY line is dropped, and the log
        says so; one that only comes and goes, as those of a balancer that looks
        whether we are there, is not worth a line.
        """
        port = await self.serve("haproxy:tcp:0:interface=127.0.0.1")
        messages = self.logged()
        for data in (
            GET,
            b"PROXY nonsense\r\n" + GET,
            b"PROXY " + b"x" * 200,
            b"\r\n\r\n\x00\r\nQUIT\n\xf1\x11\x00\x0c" + b"x" * 12,
        ):
            messages.clear()
            peer = await self.connect(port)
            peer.send(data)
            await peer.end()
            await self.turns(3)
            (text,) = (text for text in messages if "Dropped a connection" in text)
            self.assertIn("127.0.0.1", text)
            self.assertIn("the PROXY protocol", text)
        for data in (b"", b"PROXY TCP4 198.51.100.22 203.0.113.7 1 80\r\n"):
            messages.clear()
            peer = await self.connect(port)
            peer.send(data)
            await self.turns(3)
            peer.close()
            await peer.gone()
            await self.turns(3)
            self.assertEqual([], [text for text in messages if "Dropped" in text])

    def logged(self) -> list[str]:
        """
        What is logged from now on.
        """
        messages: list[str] = []

        @implementer(ILogObserver)
        def observe(event: LogEvent) -> None:
            messages.append(formatEvent(event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        return messages

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
        with self.assertRaises(ValueError) as caught:
            parse_endpoint(net, "systemd:domain=inet:index=0")
        self.assertIn("no domain 'inet', only INET", str(caught.exception))

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

    async def ask(self, port: Any, before: bytes = b"") -> bytes:
        """
        The body of one response.
        """
        peer = await self.connect(port)
        peer.send(before + GET)
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

    async def test_haproxy(self) -> None:
        """
        C{haproxy:ssl:}: the address comes inside of TLS; the connection is secure.
        """
        _, _, path = certificate()
        text = f"haproxy:ssl:0:interface=127.0.0.1:privateKey={path}:certKey={path}"
        made = site()
        made.limits = Limits(maxConnectionsPerPeer=1)
        port: Any = await serverFromString(net, text).listen(self.watched(made))
        self.ports.append(port)
        for number in range(3):
            line = b"PROXY TCP4 198.51.100.%d 203.0.113.7 1 80\r\n" % number
            body = await self.ask(port, line)
            self.assertIn(b"IPv4Address 198.51.100.%d 1 " % number, body)

    async def test_wrappedHaproxy(self) -> None:
        """
        TLS behind the PROXY line: the address comes before the handshake.
        """
        private, root, _ = certificate()
        made = site()
        made.limits = Limits(maxConnectionsPerPeer=1)
        factory = TLSMemoryBIOFactory(private.options(), False, self.watched(made))
        endpoint = proxyEndpoint(TCP4ServerEndpoint(net, 0, interface="127.0.0.1"))
        port: Any = await endpoint.listen(factory)
        self.ports.append(port)
        options = ssl.optionsForClientTLS("localhost", trustRoot=root)
        plain = TCP4ClientEndpoint(net, "127.0.0.1", port.getHost().port)
        for number in range(3):
            peer = self.keep(Peer())
            first = Announcing(
                b"PROXY TCP4 198.51.100.%d 203.0.113.7 1 80\r\n" % number
            )
            await connectProtocol(plain, first)
            first.startTLS(options, peer)
            peer.send(GET)
            (response,) = await peer.responses(1)
            self.assertIn(b"IPv4Address 198.51.100.%d 1 " % number, response.body)


class Announcing(Protocol):
    """
    Sends a line, and gives the connection to a protocol that speaks TLS.
    """

    def __init__(self, line: bytes) -> None:
        self.line = line

    def connectionMade(self) -> None:
        """
        Send it.
        """
        assert self.transport is not None
        self.transport.write(self.line)

    def startTLS(self, options: Any, protocol: Any) -> None:
        """
        Begin to speak TLS.
        """
        transport: Any = self.transport
        factory = Factory.forProtocol(lambda: protocol)
        wrapped = TLSMemoryBIOFactory(options, True, factory).buildProtocol(None)
        transport.protocol = wrapped
        wrapped.makeConnection(transport)
