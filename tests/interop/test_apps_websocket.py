"""
WebSocket resources take the connection over, and nothing of ours stays behind.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import sys
from typing import Any

from twisted.web.resource import Resource

from tests.support.optional import need
from tests.support.programs import Programs
from tests.support.server_cases import FAST_PATH, Echo, ServerTestCase, get
from tests.support.socket_cases import (
    TCPBackend,
    TLSBackend,
    UNIXBackend,
    certificate,
)
from twisted_h11.server import Site

KEY = base64.b64encode(b"0123456789abcdef")
ACCEPT = base64.b64encode(
    hashlib.sha1(KEY + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
)
HANDSHAKE = get(
    b"/ws",
    b"Connection: keep-alive, Upgrade",
    b"Upgrade: websocket",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: " + KEY,
)


def frame(payload: bytes, opcode: int = 1) -> bytes:
    """
    A masked frame from a client.
    """
    mask = b"\x01\x02\x03\x04"
    masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    if len(payload) < 126:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | len(payload))
    else:
        head = struct.pack("!BBH", 0x80 | opcode, 0xFE, len(payload))
    return head + mask + masked


def echoed(payload: bytes) -> bytes:
    """
    The frame in which a server sends a text back.
    """
    return struct.pack("!BB", 0x81, len(payload)) + payload


def twisted_resource() -> Any:
    """
    Twisted's own, as an echo.
    """

    websocket = need("twisted.web.websocket")

    class EchoFactory:
        def buildProtocol(self, request: Any) -> Any:
            return EchoProtocol()

    base: Any = websocket.WebSocketProtocol

    class EchoProtocol(base):  # type: ignore[misc]
        def negotiationStarted(self, transport: Any) -> None:
            self.transport = transport

        def negotiationFinished(self) -> None:
            pass

        def textMessageReceived(self, message: str) -> None:
            self.transport.sendTextMessage(message)

        def bytesMessageReceived(self, data: bytes) -> None:
            self.transport.sendBytesMessage(data)

        def connectionLost(self, reason: Any) -> None:
            pass

        def pongReceived(self, payload: bytes) -> None:
            pass

    return websocket.WebSocketResource(EchoFactory())


def autobahn_resource() -> Any:
    """
    autobahn's, as an echo.
    """

    websocket = need("autobahn.twisted.websocket")

    base: Any = websocket.WebSocketServerProtocol

    class EchoProtocol(base):  # type: ignore[misc]
        def onMessage(self, payload: bytes, isBinary: bool) -> None:
            self.sendMessage(payload, isBinary)

    factory = websocket.WebSocketServerFactory()
    factory.protocol = EchoProtocol
    factory.openHandshakeTimeout = 0
    factory.closeHandshakeTimeout = 0
    factory.startFactory()
    return need("autobahn.twisted.resource").WebSocketResource(factory)


# Not the library's threads: Python's SSL objects are not safe with two of them.
CLIENT = """
import asyncio, json, ssl, sys
from websockets.asyncio.client import connect, unix_connect

uri, path, authority = sys.argv[1:]
options = {"open_timeout": 10, "close_timeout": 2}
if authority:
    options["ssl"] = ssl.create_default_context(cafile=authority)
    options["server_hostname"] = "localhost"

async def main():
    if path:
        opened = unix_connect(path, "ws://localhost/ws", **options)
    else:
        opened = connect(uri, **options)
    async with opened as connection:
        for i in range(10):
            await connection.send(json.dumps({"i": i, "text": "x" * 1000 * i}))
        for _ in range(10):
            print(await asyncio.wait_for(connection.recv(), 10))

asyncio.run(main())
"""


class Bodies:
    """
    What holds for both resources over every transport.
    """

    assertEqual: Any
    assertIn: Any
    assertTrue: Any
    listen: Any
    open: Any
    run_: Any
    running: Any
    status: Any
    write: Any

    def make(self) -> Any:
        """
        The resource of this test case.
        """
        raise NotImplementedError

    def watched(self, site: Any) -> Any:
        """
        The connection ends in another protocol: nothing to watch.
        """
        return site

    def site(self) -> Any:
        """
        A site with the resource at C{/ws} and an echo elsewhere.
        """
        root = Resource()
        root.putChild(b"ws", self.make())
        root.putChild(b"plain", Echo())
        return Site(root, fastPath=FAST_PATH)

    async def test_echo(self) -> None:
        """
        After the handshake, messages go to the WebSocket protocol.
        """
        peer = await self.open(self.site())
        peer.send(HANDSHAKE)
        await peer.until(lambda: peer.ended or b"\r\n\r\n" in peer.received)
        head, _, rest = peer.received.partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 101 "), peer.received)
        self.assertIn(ACCEPT, head)
        self.assertEqual(b"", rest)
        for i in range(5):
            text = b"message %d" % i
            peer.send(frame(text))
            await peer.until(lambda: peer.ended or echoed(text) in peer.received)  # noqa: B023
            self.assertTrue(peer.received.endswith(echoed(text)))
        peer.abort()
        await peer.gone()

    async def test_frameWithTheHandshake(self) -> None:
        """
        Frames that come together with the handshake are not lost, and nothing
        is answered before the handshake is.
        """
        peer = await self.open(self.site())
        peer.send(HANDSHAKE + frame(b"early") + frame(b"and more"))
        expected = echoed(b"early") + echoed(b"and more")
        await peer.until(lambda: peer.ended or expected in peer.received)
        self.assertTrue(peer.received.startswith(b"HTTP/1.1 101 "))
        self.assertTrue(peer.received.endswith(b"\r\n\r\n" + expected))
        peer.abort()
        await peer.gone()

    async def test_afterAnotherRequest(self) -> None:
        """
        The handshake may be a later request of a connection, and pipelined.
        """
        peer = await self.open(self.site())
        peer.send(get(b"/plain") + HANDSHAKE + frame(b"early"))
        await peer.until(lambda: peer.ended or echoed(b"early") in peer.received)
        self.assertTrue(peer.received.startswith(b"HTTP/1.1 200 "))
        self.assertIn(b"nothingHTTP/1.1 101 ", peer.received)
        peer.abort()
        await peer.gone()

    async def test_closeHandshake(self) -> None:
        """
        A closing handshake is answered, and the server ends the connection: the
        client only waits.
        """
        peer = await self.open(self.site())
        peer.send(HANDSHAKE)
        await peer.until(lambda: b"\r\n\r\n" in peer.received)
        peer.send(frame(struct.pack("!H", 1000), opcode=8))
        # RFC 6455 section 5.5.1: the same status; section 7.1.1: the server first.
        await peer.end()
        self.assertTrue(peer.received.endswith(b"\x88\x02\x03\xe8"), peer.received)

    async def test_goingAway(self) -> None:
        """
        When the site is drained it says so (status 1001), waits for the client's close
        frame where the library does, and is done when the connection is gone.
        """
        site = self.site()
        peer = await self.open(site)
        peer.send(HANDSHAKE)
        await peer.until(lambda: b"\r\n\r\n" in peer.received)
        drained = site.drain(20)
        status = struct.pack("!H", 1001)
        await peer.until(lambda: b"\x88\x02" + status in peer.received)
        if not peer.ended:
            peer.send(frame(status, opcode=8))
        await peer.end()
        await drained

    async def test_library(self) -> None:
        """
        The C{websockets} client talks to it, from a process of its own.
        """
        need("websockets.asyncio.client")
        port = await self.listen(self.site())
        host = port.getHost()
        path = getattr(host, "name", b"").decode()
        authority = ""
        if isinstance(self, TLSBackend):
            authority = self.write("ca.pem", certificate()[1].dumpPEM().decode())
        scheme = "wss" if authority else "ws"
        uri = f"{scheme}://127.0.0.1:{getattr(host, 'port', 0)}/ws"
        await self.run_(sys.executable, "-c", CLIENT, uri, path, authority)
        program = self.running[-1][1]
        self.assertEqual((0, b""), (self.status, program.errors))
        found = [json.loads(line) for line in program.output.splitlines()]
        self.assertEqual(list(range(10)), [one["i"] for one in found])


class TwistedBodies(Bodies):
    """
    With Twisted's resource.
    """

    def make(self) -> Any:
        """
        Twisted's.
        """
        return twisted_resource()


class AutobahnBodies(Bodies):
    """
    With autobahn's resource.
    """

    def make(self) -> Any:
        """
        autobahn's.
        """
        return autobahn_resource()


class TwistedTCPTests(TwistedBodies, Programs, TCPBackend):
    """
    Twisted's over TCP.
    """


class TwistedTLSTests(TwistedBodies, Programs, TLSBackend):
    """
    Twisted's over TLS.
    """


class TwistedUNIXTests(TwistedBodies, Programs, UNIXBackend):
    """
    Twisted's over a UNIX socket.
    """


class AutobahnTCPTests(AutobahnBodies, Programs, TCPBackend):
    """
    autobahn's over TCP.
    """


class AutobahnTLSTests(AutobahnBodies, Programs, TLSBackend):
    """
    autobahn's over TLS.
    """


class AutobahnUNIXTests(AutobahnBodies, Programs, UNIXBackend):
    """
    autobahn's over a UNIX socket.
    """


class SilenceTests(ServerTestCase):
    """
    After an upgrade the channel is silent and not kept alive.
    """

    def upgraded(self, make: Any) -> Any:
        """
        A connection in memory that has been upgraded.
        """
        root = Resource()
        root.putChild(b"ws", make())
        wire = self.connect(self.site(root)).send(HANDSHAKE)
        self.assertTrue(wire.output.startswith(b"HTTP/1.1 101 "), wire.output)
        return wire

    def silent(self, make: Any) -> None:
        """
        No time-out, no producer, no log line, nothing in memory afterwards.
        """
        wire = self.upgraded(make)
        before, logged = wire.output, len(self.events)
        self.assertIsNone(wire.transport.producer)
        self.assertFalse(wire.transport.paused)
        wire.advance(1000, step=10)
        self.assertEqual(before, wire.output)
        self.assertFalse(wire.transport.disconnecting)
        wire.send(frame(b"still here"))
        self.assertTrue(wire.output.endswith(echoed(b"still here")))
        site = self.sites[0]
        drained: list[object] = []
        site.drain(1).addCallback(drained.append)
        self.assertEqual([None], drained)
        self.assertFalse(wire.transport.disconnecting)
        wire.vanish()
        self.assertEqual([], self.messages()[logged:])
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_twisted(self) -> None:
        """
        With Twisted's resource.
        """
        self.silent(twisted_resource)

    def test_twistedReleases(self) -> None:
        """
        With Twisted's resource, many connections leave nothing reachable.
        """
        for _ in range(5):
            self.upgraded(twisted_resource).vanish()

    def test_otherMethods(self) -> None:
        """
        A request that is no handshake is answered as plain HTTP.
        """
        wire = self.talk(twisted_resource(), get(b"/ws"))
        self.assertEqual(1, len(wire.responses))
        self.assertGreaterEqual(wire.only().status, 400)
        self.flushLoggedErrors()
