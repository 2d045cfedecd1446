"""
Connections that were given away: counted, and ended with the others.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import SkipTest
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from tests.server.test_switch_protocol import CONNECT, UPGRADE, EchoProtocol, Switching
from tests.support.memory import TellingTransport
from tests.support.optional import need
from tests.support.server_cases import FAST_PATH, GET, Holding, ServerTestCase
from tests.support.socket_cases import (
    Peer,
    TCPBackend,
    TLSBackend,
    UNIXBackend,
)
from tests.support.wire import Wire
from twisted_h11.interfaces import IDrainable
from twisted_h11.server import ProxyProtocolFactory, Site, TrustedProxies

net: Any = reactor

HANDSHAKE = (
    b"GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n\r\n"
)

# RFC 6455 section 5.5.1: a close frame with the status 1001.
GOING_AWAY = b"\x88\x02\x03\xe9"


@implementer(IDrainable)
class Drainable(EchoProtocol):
    """
    Can be asked to go away.
    """

    raises = False

    def drain(self) -> None:
        """
        Say good-bye.
        """
        self.transport.write(b"bye")
        if self.raises:
            raise RuntimeError("drain")
        self.transport.loseConnection()


class Giving(Switching):
    """
    Gives all connections to protocols of one class.
    """

    def __init__(self, kind: type[EchoProtocol]) -> None:
        super().__init__()
        self.kind = kind

    def render(self, request: Any) -> Any:
        """
        Switch.
        """
        self.protocols.append(self.kind())
        request.setHeader(b"Upgrade", b"echo/1")
        request.switchProtocol(self.protocols[-1])
        return NOT_DONE_YET


class RegisterTests(ServerTestCase):
    """
    In memory, with a transport that tells of its end.
    """

    def open(self, site: Any, data: bytes = UPGRADE) -> Wire:
        """
        A connection that was given away.
        """
        return self.connect(site, TellingTransport()).send(data)

    def test_counted(self) -> None:
        """
        It has its place as long as it lasts.
        """
        limits = {"maxConnections": 2, "maxConnectionsPerPeer": 2}
        site = self.site(Switching(), limits=limits)
        first, second = self.open(site), self.open(site, CONNECT)
        self.assertEqual([101], first.statuses)
        self.assertEqual([503], self.open(site, GET).statuses)
        second.vanish()
        self.assertEqual([101], self.open(site).statuses)
        for wire in self.wires:
            wire.vanish()
        self.assertEqual((set(), {}), (site._connections.open, site._connections.hosts))

    def test_drained(self) -> None:
        """
        The site waits for it, and drops it when the time is over.
        """
        resource = Switching()
        site = self.site(resource)
        wire = self.open(site)
        done: list[object] = []
        site.drain(10).addCallback(done.append)
        wire.advance(9)
        wire.send(b"still here")
        self.assertTrue(wire.output.endswith(b"STILL HERE"))
        self.assertEqual([], done)
        wire.advance(2)
        self.assertTrue(wire.aborted)
        self.assertEqual([None], done)
        self.assertEqual(["ConnectionAborted"], resource.protocols[0].lost)

    def test_endsByItself(self) -> None:
        """
        The site does not wait when it has ended.
        """
        resource = Switching()
        site = self.site(resource)
        wire = self.open(site)
        done: list[object] = []
        site.drain(10).addCallback(done.append)
        resource.protocols[0].transport.loseConnection()
        wire.pump()
        self.assertEqual([None], done)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_asked(self) -> None:
        """
        A protocol that can be asked to go away is asked.
        """
        for kind in (Drainable, type("Raises", (Drainable,), {"raises": True})):
            site = self.site(Giving(kind))
            wire = self.open(site)
            done: list[object] = []
            site.drain(10).addCallback(done.append)
            wire.pump()
            self.assertTrue(wire.output.endswith(b"bye"), wire.output)
            self.assertTrue(wire.closed)
            self.assertEqual([None], done)
        self.assertEqual(1, len(self.flushLoggedErrors(RuntimeError)))

    def test_askedOnce(self) -> None:
        """
        It is asked at once, and once, also where idle connections stay for a while.
        """

        class Slow(Drainable):
            def drain(self) -> None:
                self.transport.write(b"soon")

        site = self.site(Giving(Slow))
        wire = self.open(site)
        site.drain(10, 2)
        wire.pump()
        self.assertTrue(wire.output.endswith(b"soon"))
        wire.advance(9)
        self.assertEqual(1, wire.output.count(b"soon"))
        wire.vanish()

    def test_whileDraining(self) -> None:
        """
        So is one that gets its connection when the site ends already.
        """
        requests: list[Any] = []
        site = self.site(requests.append)
        wire = self.open(site)
        done: list[object] = []
        site.drain(10).addCallback(done.append)
        request = requests.pop()
        request.setHeader(b"Upgrade", b"echo/1")
        request.switchProtocol(Drainable())
        wire.pump()
        self.assertTrue(wire.output.endswith(b"bye"), wire.output)
        self.assertEqual([None], done)

    def test_givenOn(self) -> None:
        """
        A protocol may give its transport to another one: who has it then is told, and
        counts.
        """
        resource = Switching()
        site = self.site(resource)
        wire = self.open(site)
        other = EchoProtocol()
        wire.transport.protocol = other
        other.makeConnection(wire.transport)
        self.assertEqual(1, len(site._connections))
        wire.vanish()
        self.assertEqual(["ConnectionLost"], other.lost)
        self.assertEqual(0, len(site._connections))

    def test_taken(self) -> None:
        """
        So does one whose transport was taken, as autobahn and daphne do it.
        """
        taker = Drainable()

        def take(request: Any) -> None:
            transport = request.channel.transport
            request.channel.transport = None
            transport.protocol = taker
            taker.makeConnection(transport)

        site = self.site(take)
        wire = self.open(site, GET)
        self.assertEqual(1, len(site._connections))
        done: list[object] = []
        site.drain(10).addCallback(done.append)
        wire.pump()
        self.assertEqual(b"bye", wire.output)
        self.assertEqual([None], done)

    def test_takenByItsProtocol(self) -> None:
        """
        One whose transport has another protocol when a later response ends has no
        time-out of ours any more.
        """
        taker, holding = EchoProtocol(), Holding()
        wire = self.open(self.site(holding, timeout=60), GET)
        transport = holding.requests[0].channel.transport
        transport.protocol = taker
        holding.answer()
        taker.makeConnection(transport)
        wire.advance(1000)
        self.assertFalse(wire.closed)
        self.assertEqual(b"done", wire.only().body)

    def test_closeFrame(self) -> None:
        """
        One of autobahn's is asked for a close frame.
        """

        class Autobahns(EchoProtocol):
            def sendMessage(self) -> None:
                """Not asked for."""

            sendPing = sendMessage

            def sendCloseFrame(self, code: int) -> None:
                self.transport.write(b"close %d" % code)

        site = self.site(Giving(Autobahns))
        wire = self.open(site)
        site.drain(10)
        wire.pump()
        self.assertTrue(wire.output.endswith(b"close 1001"))
        wire.vanish()

    def test_notCounted(self) -> None:
        """
        A transport that lets nobody hear of its end is not counted any more.
        """

        class Closed(TellingTransport):
            def __setattr__(self, name: str, value: Any) -> None:
                if name == "connectionLost":
                    raise AttributeError(name)
                super().__setattr__(name, value)

        resource = Switching()
        site = self.site(resource)
        wire = self.connect(site, Closed()).send(UPGRADE)
        self.assertEqual([101], wire.statuses)
        self.assertEqual(0, len(site._connections))
        wire.vanish()
        self.assertEqual(["ConnectionLost"], resource.protocols[0].lost)

    def test_takenWithinAResponse(self) -> None:
        """
        What is written to a response whose transport was taken is dropped, encoded or
        not; what the client has sent meanwhile is for who has taken it.
        """

        class Same:
            def encode(self, data: bytes) -> bytes:
                return data

            def finish(self) -> bytes:
                return b""

        for encoder in (None, Same()):
            requests: list[Any] = []

            def begin(
                request: Any, encoder: Any = encoder, requests: Any = requests
            ) -> None:
                request._encoder = encoder
                request.write(b"begun")
                requests.append(request)

            wire = self.open(self.site(begin), GET)
            request = requests.pop()
            wire.send(b"early ")
            taker = EchoProtocol()
            transport, request.channel.transport = request.channel.transport, None
            transport.protocol = taker
            taker.makeConnection(transport)
            before = wire.output
            request.write(b"more")
            request.finish()
            del request
            wire.send(b"late")
            self.assertEqual(before + b"EARLY LATE", wire.output)

    def test_transport(self) -> None:
        """
        The transport is left as it was, also if somebody else has changed it before.
        """
        site = self.site(Switching())
        wire = self.open(site)
        wire.vanish()
        self.assertNotIn("connectionLost", vars(wire.transport))
        transport = TellingTransport()
        calls = []
        own = transport.connectionLost

        def connectionLost(reason: Any) -> None:
            calls.append(1)
            own(reason)

        transport.connectionLost = connectionLost  # type: ignore[method-assign]
        wire = self.connect(site, transport).send(UPGRADE)
        wire.vanish()
        self.assertEqual([1], calls)
        self.assertIs(connectionLost, vars(transport)["connectionLost"])
        self.assertEqual(0, len(site._connections))


class Socket:
    """
    A protocol of twisted.web's WebSockets.
    """

    def __init__(self) -> None:
        self.ended = False

    def negotiationStarted(self, transport: Any) -> None:
        """
        Nothing.
        """

    def negotiationFinished(self) -> None:
        """
        Nothing.
        """

    def textMessageReceived(self, message: str) -> None:
        """
        Nothing.
        """

    def connectionLost(self, reason: Any) -> None:
        """
        Note.
        """
        self.ended = True


class Factory:
    """
    Makes them.
    """

    def __init__(self) -> None:
        self.made: list[Socket] = []

    def buildProtocol(self, request: Any) -> Socket:
        """
        One for each connection.
        """
        self.made.append(Socket())
        return self.made[-1]


class WebSocketTests:
    """
    Over a real connection.
    """

    def watched(self, site: Any) -> Any:
        """
        Connections that are given away do not tell their channel that they are gone.
        """
        return site

    def root(self) -> Any:
        """
        A WebSocket below C{/chat}.
        """
        need("wsproto")
        from twisted.web.resource import Resource

        try:
            from twisted.web.websocket import WebSocketResource
        except ImportError:
            raise SkipTest("Twisted has WebSockets since 25.5") from None

        self.factory = Factory()
        root = Resource()
        factory: Any = self.factory
        root.putChild(b"chat", WebSocketResource(factory))
        return root

    async def check(self: Any, site: Any, peer: Peer) -> None:
        """
        The WebSocket gets a close frame, and the site ends when it is gone.
        """
        peer.send(HANDSHAKE)
        await peer.until(lambda: b"\r\n\r\n" in peer.received)
        self.assertTrue(peer.received.startswith(b"HTTP/1.1 101 "))
        self.assertEqual(1, len(site._connections))
        drained = site.drain(20)
        await peer.until(lambda: peer.received.endswith(GOING_AWAY))
        await drained
        self.assertEqual(0, len(site._connections))
        self.assertTrue(self.factory.made[0].ended)

    async def test_goingAway(self: Any) -> None:
        """
        A WebSocket gets a close frame with the status 1001.
        """
        site = Site(self.root(), fastPath=FAST_PATH)
        await self.check(site, await self.connect(await self.listen(site)))

    async def test_dropped(self: Any) -> None:
        """
        A protocol that can not be asked is dropped when the time is over.
        """
        resource = Switching()
        site = Site(resource, fastPath=FAST_PATH)
        peer = await self.connect(await self.listen(site))
        peer.send(UPGRADE)
        await peer.until(lambda: b"\r\n\r\n" in peer.received)
        await site.drain(0.05)
        self.assertEqual(0, len(site._connections))
        self.assertEqual(1, len(resource.protocols[0].lost))
        await peer.end()

    async def test_leaves(self: Any) -> None:
        """
        A client that goes is counted no longer.
        """
        resource = Switching()
        site = Site(resource, fastPath=FAST_PATH)
        peer = await self.connect(await self.listen(site))
        peer.send(UPGRADE)
        await peer.until(lambda: b"\r\n\r\n" in peer.received)
        self.assertEqual(1, len(site._connections))
        peer.close()
        while len(site._connections):
            await deferLater(net, 0.001)
        self.assertEqual(1, len(resource.protocols[0].lost))


class TCPTests(WebSocketTests, TCPBackend):
    """
    TCP.
    """

    async def test_proxyProtocol(self) -> None:
        """
        The same below the header of a proxy.
        """
        site = Site(self.root(), fastPath=FAST_PATH)
        factory = ProxyProtocolFactory(site, TrustedProxies(["127.0.0.1"]))
        port = net.listenTCP(0, factory, interface="127.0.0.1")
        self.ports.append(port)
        peer = await self.connect(port)
        peer.send(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n")
        await self.check(site, peer)


class UNIXTests(WebSocketTests, UNIXBackend):
    """
    UNIX sockets.
    """


class TLSTests(WebSocketTests, TLSBackend):
    """
    TLS.
    """

    async def test_http2(self) -> None:
        """
        On a site that offers HTTP/2, to a client that does not speak it.
        """
        need("h2")
        site = Site(self.root(), fastPath=FAST_PATH, http2=True)
        await self.check(site, await self.connect(await self.listen(site)))
