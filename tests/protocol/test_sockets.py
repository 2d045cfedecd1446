"""
L{H11Protocol} in both roles, the same over memory, TCP, TLS and UNIX sockets.
"""

from __future__ import annotations

import io
import os
import tempfile
from typing import Any
from unittest.mock import patch

import h11
from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    UNIXClientEndpoint,
    connectProtocol,
    wrapClientTLS,
)
from twisted.internet.interfaces import IPullProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.support.protocol_cases import Answering, Recording, client_request
from tests.support.server_cases import GET, get
from tests.support.socket_cases import (
    MemoryBackend,
    Peer,
    TCPBackend,
    TLSBackend,
    UNIXBackend,
    certificate,
)
from tests.support.times import eventually
from twisted_h11._wire.sockets import is_bare_socket
from twisted_h11.protocol import FileRegion, H11Factory, H11Protocol
from twisted_h11.server import Limits

net: Any = reactor

CONTENT = bytes(range(256)) * 8192  # 2 MiB
UPGRADE = get(b"/", b"Connection: upgrade", b"Upgrade: echo")


class Back(Protocol):
    """
    Sends back what it gets.
    """

    transport: Any

    def dataReceived(self, data: bytes) -> None:
        """
        Send it back.
        """
        self.transport.write(data)


@implementer(IPullProducer)
class Pull:
    """
    Sends L{CONTENT} in pieces, each when it is asked for it; or goes on for ever.
    """

    def __init__(self, protocol: Any, ever: bool) -> None:
        self.protocol = protocol
        self.ever = ever
        self.sent = 0

    def resumeProducing(self) -> None:
        """
        Send a piece, or end.
        """
        start = self.sent % len(CONTENT) if self.ever else self.sent
        piece = CONTENT[start : start + 16384]
        self.sent += len(piece)
        self.protocol.factory.sent = self.sent
        if piece:
            self.protocol.sendEvent(h11.Data(data=piece))
        else:
            self.protocol.unregisterProducer()
            self.protocol.sendEvent(h11.EndOfMessage())
            self.protocol.startNextCycle()

    def stopProducing(self) -> None:
        """
        The connection is gone.
        """
        self.protocol.factory.stopped = True


class Server(H11Protocol):
    """
    Does what the target says.

    @cvar problems: what C{protocolError} was told.
    @cvar ends: how regions have ended.
    @cvar path: a file.
    """

    path = ""

    def __init__(self) -> None:
        super().__init__()
        self.last: Any = None
        self.target = b""
        self.body = bytearray()
        self.events: list[str] = []

    def eventReceived(self, event: h11.Event) -> None:
        """
        Answer.
        """
        self.events.append(type(event).__name__)
        if isinstance(event, h11.Request):
            self.last = event
            self.target = event.target
            self.body = bytearray()
        elif isinstance(event, h11.Data):
            self.body += event.data
        elif isinstance(event, h11.EndOfMessage):
            if dict(event.headers):
                self.body += b"%r" % (list(event.headers),)
            self.answer()

    def answer(self) -> None:
        """
        Send a response.
        """
        if self.target == b"/switch":
            self.sendEvent(
                h11.InformationalResponse(
                    status_code=101,
                    headers=[("Connection", "upgrade"), ("Upgrade", "echo")],
                )
            )
            self.switchProtocol(Back())
            return
        if self.target.startswith(b"/pull"):
            self.sendEvent(h11.Response(status_code=200, headers=[]))
            self.registerProducer(Pull(self, self.target == b"/pull/ever"), False)
            return
        length: list[Any] = [("Content-Length", str(len(self.body)))]
        if self.target.startswith(b"/file"):
            size = os.path.getsize(self.path)
            length = [("Content-Length", str(size))]
            if self.target == b"/file/chunked":
                length = []
            if self.target == b"/file/short":
                length, size = [("Content-Length", str(size + 10))], size + 10
            self.sendEvent(h11.Response(status_code=200, headers=length))
            file = open(self.path, "rb")  # noqa: SIM115 - closed in ended

            def ended(error: BaseException | None) -> None:
                file.close()
                self.regions.append(error)

            region: Any = FileRegion(file, 0, size, ended)
            self.sendEvent(h11.Data(data=region))
        else:
            self.sendEvent(h11.Response(status_code=200, headers=length))
            self.sendEvent(h11.Data(data=bytes(self.body)))
        if self.h11Connection.our_state is h11.SEND_BODY:
            self.sendEvent(h11.EndOfMessage())
        if self.h11Connection.our_state is h11.DONE:
            self.startNextCycle()

    @property
    def regions(self) -> list[BaseException | None]:
        """
        How the regions have ended.
        """
        ends: list[BaseException | None] = self.factory.ends
        return ends


class Fetching(Recording):
    """
    A client that asks C{count} times, one after another.
    """

    role = h11.CLIENT

    def __init__(self, count: int, *fields: tuple[str, str]) -> None:
        super().__init__()
        self.count = count
        self.fields = fields
        self.done: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        """
        Ask.
        """
        super().connectionMade()
        self.ask()

    def ask(self) -> None:
        """
        Ask once.
        """
        self.count -= 1
        self.sendEvent(client_request(*self.fields))
        self.sendEvent(h11.EndOfMessage())

    def eventReceived(self, event: h11.Event) -> None:
        """
        Ask again.
        """
        super().eventReceived(event)
        if isinstance(event, h11.EndOfMessage) and self.count:
            self.startNextCycle()
            self.ask()
        elif isinstance(event, h11.EndOfMessage) and not self.fields:
            self.sendEvent(h11.ConnectionClosed())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        It is over.
        """
        super().connectionLost(reason)
        self.done.callback(None)


class Bodies:
    """
    The tests; each backend runs all of them.

    @ivar sends: whether C{sendfile} is used here.
    @ivar slow: whether a peer can be slower than we are.
    """

    sends = False
    slow = True
    hasHalfClose: bool
    open: Any
    listen: Any
    connect: Any
    turns: Any
    channels: Any
    assertEqual: Any
    assertTrue: Any
    assertFalse: Any
    assertIn: Any
    assertIsInstance: Any
    addCleanup: Any
    flushLoggedErrors: Any

    def factory(self, protocol: Any = Server, **limits: Any) -> Any:
        """
        A factory on the real clock.
        """
        limits.setdefault("lingerTimeout", 0.3)
        factory: Any = H11Factory(protocol, Limits(**limits))
        factory.ends = []
        return factory

    def makeFile(self) -> str:
        """
        A file.
        """
        handle, path = tempfile.mkstemp()
        self.addCleanup(os.unlink, path)
        with os.fdopen(handle, "wb") as file:
            file.write(CONTENT)
        return path

    def serving(self, **limits: Any) -> Any:
        """
        A server of a file.
        """
        path = self.makeFile()

        class ServerOfFile(Server):
            pass

        ServerOfFile.path = path
        return self.factory(ServerOfFile, **limits)

    async def test_cycles(self) -> None:
        """
        Requests, one after another, pipelined, and byte by byte.
        """
        peer: Peer = await self.open(self.factory(Answering))
        for count in (1, 2, 3):
            peer.send(GET)
            self.assertEqual(count, len(await peer.responses(count)))
        peer.send(b"".join(get(b"/%d" % i) for i in range(500)))
        responses = await peer.responses(503)
        self.assertEqual(
            [b"/%d" % i for i in range(500)], [r.body for r in responses[3:]]
        )
        for byte in get(b"/bytes"):
            peer.send(bytes([byte]))
            await self.turns(1)
        responses = await peer.responses(504)
        self.assertEqual(b"/bytes", responses[-1].body)

    async def test_large(self) -> None:
        """
        A large body goes in and out whole, with trailers.
        """
        peer: Peer = await self.open(self.factory())
        chunks = b"".join(
            b"%x\r\n%s\r\n" % (65536, CONTENT[i : i + 65536])
            for i in range(0, len(CONTENT), 65536)
        )
        head = get(b"/", b"Transfer-Encoding: chunked", method=b"POST")
        peer.send(head + chunks + b"0\r\nX-A: b\r\n\r\n")
        (response,) = await peer.responses(1)
        self.assertTrue(response.body == CONTENT + b"[(b'x-a', b'b')]")

    async def test_refused(self) -> None:
        """
        Bytes that are not HTTP are answered, then the connection closes, and
        what the client goes on to send does not destroy the answer.
        """
        peer: Peer = await self.open(self.factory())
        peer.send(b"what?\r\n\r\n")
        for _ in range(20):
            peer.send(b"x" * 10_000)
            await self.turns(1)
        await peer.end()
        (response,) = await peer.responses(1)
        self.assertEqual(400, response.status)
        self.assertTrue(response.complete)

    async def test_connectionClose(self) -> None:
        """
        After a last response the connection closes.
        """
        peer: Peer = await self.open(self.factory())
        peer.send(get(b"/", b"Connection: close") + b"garbage")
        await peer.end()
        self.assertEqual([200], [r.status for r in peer.read()])

    async def test_halfClose(self) -> None:
        """
        A client that has closed its sending side gets its answers.
        """
        if not self.hasHalfClose:
            return
        peer: Peer = await self.open(self.factory(Answering))
        peer.send(GET * 3)
        peer.halfClose()
        await peer.end()
        self.assertEqual(3, len(peer.read()))

    async def test_switch(self) -> None:
        """
        The connection can be given away, with what came behind the request.
        """
        peer: Peer = await self.open(self.factory())
        peer.send(UPGRADE.replace(b"GET /", b"GET /switch") + b"one,")
        await peer.until(lambda: peer.received.endswith(b"one,"))
        peer.send(b"two")
        await peer.until(lambda: peer.received.endswith(b"\r\n\r\none,two"))
        # It has forgotten us, and tells us nothing.
        self.channels.clear()

    async def test_pull(self) -> None:
        """
        A pull producer sends a body, and the connection is kept.
        """
        peer: Peer = await self.open(self.factory())
        peer.send(get(b"/pull") + GET)
        responses = await peer.responses(2)
        self.assertTrue(responses[0].body == CONTENT)
        self.assertEqual(200, responses[1].status)

    async def test_pullLost(self) -> None:
        """
        It is not asked while the peer does not read, and stopped when the
        connection is lost.
        """
        factory = self.factory()
        factory.stopped = False
        peer: Peer = await self.open(factory)
        peer.send(GET)
        await peer.responses(1)
        if self.slow:
            peer.transport.pauseProducing()
        peer.send(get(b"/pull/ever"))
        await self.turns(5)
        peer.abort()
        await peer.gone()
        await eventually(lambda: self.channels[0].gone)
        self.assertTrue(factory.stopped)
        sent = factory.sent
        await self.turns(5)
        self.assertEqual(sent, factory.sent)

    async def test_file(self) -> None:
        """
        A file is sent, in either framing, and what is sent behind it comes
        behind it.
        """
        counts: list[int] = []
        real = os.sendfile

        def sendfile(*args: Any) -> int:
            counts.append(real(*args))
            return counts[-1]

        patcher = patch("os.sendfile", sendfile)
        patcher.start()
        self.addCleanup(patcher.stop)
        factory = self.serving()
        peer: Peer = await self.open(factory)
        peer.send(get(b"/file") + get(b"/file/chunked") + GET)
        responses = await peer.responses(3)
        self.assertTrue(all(r.body == CONTENT for r in responses[:2]))
        self.assertEqual(["length", "chunked"], [r.framing for r in responses[:2]])
        self.assertEqual([None, None], factory.ends)
        self.assertEqual(self.sends * 2 * len(CONTENT), sum(counts))

    async def test_fileTruncated(self) -> None:
        """
        A file that is too short ends the connection, not the response.
        """
        factory = self.serving()
        peer: Peer = await self.open(factory)
        peer.send(get(b"/file/short"))
        await peer.end()
        self.assertTrue(b"\r\n\r\n" not in peer.received or not peer.read()[0].complete)
        self.assertIsInstance(factory.ends[0], EOFError)

    async def test_fileLost(self) -> None:
        """
        A client that goes away in the middle of a file is no trouble.
        """
        factory = self.serving()
        peer: Peer = await self.open(factory)
        # The handshake, where there is one, needs reading.
        peer.send(GET)
        await peer.responses(1)
        if self.slow:
            peer.transport.pauseProducing()
        peer.send(get(b"/file") * 10)
        await self.turns(20)
        peer.abort()
        await peer.gone()
        await eventually(lambda: self.channels[0].gone)
        self.assertTrue(factory.ends)
        self.assertEqual(not self.slow, factory.ends[-1] is None)


class MemoryTests(Bodies, MemoryBackend):
    """
    In memory.
    """

    slow = False


class ClientBodies:
    """
    The client's role, against a server in the same role.
    """

    factory: Any
    hasHalfClose: bool
    makeFile: Any
    open: Any
    listen: Any
    peers: Any
    assertEqual: Any
    assertTrue: Any

    def endpoint(self, port: Any) -> Any:
        """
        How to get to C{port}.
        """
        raise NotImplementedError

    async def fetch(self, client: Fetching, factory: Any) -> None:
        """
        Run C{client} until its connection is gone.
        """
        port = await self.listen(factory)
        await connectProtocol(self.endpoint(port), client)
        await client.done

    async def test_client(self) -> None:
        """
        A client asks several times, then closes.
        """
        client = Fetching(5)
        await self.fetch(client, self.factory(Answering))
        self.assertEqual(["Response", "Data", "EndOfMessage"] * 5, client.kinds[:15])
        self.assertEqual([], client.errors)

    async def test_clientLast(self) -> None:
        """
        With Connection: close neither side waits for the other.
        """
        before = net.seconds()
        client = Fetching(1, ("Connection", "close"))
        await self.fetch(client, self.factory(Answering, lingerTimeout=8))
        self.assertEqual(["Response", "Data", "EndOfMessage"], client.kinds[:3])
        self.assertTrue(net.seconds() - before < 5)

    async def test_clientHalfCloses(self) -> None:
        """
        A client that closes its sending side gets the response.
        """

        class Half(Fetching):
            def ask(self) -> None:
                super().ask()
                self.sendEvent(h11.ConnectionClosed())

        class Slow(Server):
            def answer(self) -> None:
                net.callLater(0.05, super().answer)

        client = Half(1)
        await self.fetch(client, self.factory(Slow))
        self.assertEqual(
            ["Response", "EndOfMessage"],
            [kind for kind in client.kinds[:3] if kind != "Data"],
        )
        self.assertEqual([], client.errors)

    async def test_clientHalfClosesFromEnded(self) -> None:
        """
        Also where that was asked for when the file was out, which was at once.
        """
        if not self.hasHalfClose:
            return
        path = self.makeFile()
        size = 1000

        class Half(Fetching):
            def ask(self) -> None:
                length = ("Content-Length", str(size))
                self.sendEvent(client_request(length, method="POST"))
                net.callLater(0.01, self.sendBody)

            def sendBody(self) -> None:
                file = open(path, "rb")  # noqa: SIM115 - closed in ended

                def ended(error: object) -> None:
                    file.close()
                    self.sendEvent(h11.EndOfMessage())
                    self.sendEvent(h11.ConnectionClosed())

                self.sendEvent(h11.Data(data=FileRegion(file, 0, size, ended)))  # type: ignore[arg-type]

        closed: list[str] = []

        class Noting(Server):
            def answer(self) -> None:
                pass

            def readConnectionLost(self) -> None:
                closed.append("half")
                super().readConnectionLost()
                super().answer()

        client = Half(0)
        await self.fetch(client, self.factory(Noting))
        self.assertEqual(["half"], closed)
        self.assertTrue(("Data", CONTENT[:size]) in client.events)

    async def test_clientHalfClosesBehindAFile(self) -> None:
        """
        The sending side is closed when the file is out that was sent before.
        """

        class Half(Fetching):
            def ask(self) -> None:
                length = ("Content-Length", str(len(CONTENT)))
                self.sendEvent(client_request(length, method="POST"))
                region: Any = FileRegion(io.BytesIO(CONTENT), 0, len(CONTENT))
                self.sendEvent(h11.Data(data=region))
                self.sendEvent(h11.EndOfMessage())
                self.sendEvent(h11.ConnectionClosed())

        client = Half(0)
        await self.fetch(client, self.factory(Server))
        self.assertTrue(("Data", CONTENT) in client.events)
        self.assertEqual([], client.errors)

    async def test_untilTheEnd(self) -> None:
        """
        A body that ends with the connection ends.
        """

        class Old(Protocol):
            transport: Any

            def dataReceived(self, data: bytes) -> None:
                self.transport.write(b"HTTP/1.0 200 OK\r\n\r\nhello")
                self.transport.loseConnection()

        factory = Factory.forProtocol(Old)
        client = Fetching(1)
        await self.fetch(client, factory)
        self.assertEqual(["Response", "Data", "EndOfMessage"], client.kinds[:3])
        self.assertEqual([], client.errors)


class TCPTests(Bodies, ClientBodies, TCPBackend):
    """
    Over TCP.
    """

    sends = True

    def endpoint(self, port: Any) -> Any:
        """
        See L{ClientBodies.endpoint}.
        """
        return TCP4ClientEndpoint(net, "127.0.0.1", port.getHost().port)

    async def test_plainTextInsideTLS(self) -> None:
        """
        C{startTLS} on a bare socket makes it one that is not bare.
        """
        factory = self.factory(Answering)
        built: list[Any] = []
        build = factory.buildProtocol

        def buildProtocol(address: Any) -> Any:
            built.append(build(address))
            return built[-1]

        factory.buildProtocol = buildProtocol
        peer: Peer = await self.open(factory)
        peer.send(GET)
        await peer.responses(1)
        wire = built[0].wire.transport
        self.assertTrue(is_bare_socket(wire))
        wire.TLS = True
        self.assertFalse(is_bare_socket(wire))
        wire.TLS = False

    async def checkWith(self, sendfile: Any) -> None:
        """
        The file is sent whole with another C{os.sendfile}.
        """
        patcher = patch("os.sendfile", sendfile)
        patcher.start()
        self.addCleanup(patcher.stop)
        factory = self.serving()
        peer: Peer = await self.open(factory)
        peer.send(get(b"/file"))
        (response,) = await peer.responses(1)
        self.assertTrue(response.body == CONTENT)
        self.assertEqual([None], factory.ends)

    async def test_noSendfileHere(self) -> None:
        """
        A file system that knows no C{sendfile} is read.
        """

        def sendfile(*args: Any) -> int:
            raise OSError(22, "Invalid argument")

        await self.checkWith(sendfile)

    async def test_noRoomAfterAll(self) -> None:
        """
        Where the kernel has no room, after all, it is asked again.
        """
        asked = [0]
        real = os.sendfile

        def sendfile(*args: Any) -> int:
            asked[0] += 1
            if asked[0] % 2:
                raise BlockingIOError(11, "Resource temporarily unavailable")
            return real(*args)

        await self.checkWith(sendfile)


class UNIXTests(Bodies, ClientBodies, UNIXBackend):
    """
    Over UNIX sockets.
    """

    sends = True

    def endpoint(self, port: Any) -> Any:
        """
        See L{ClientBodies.endpoint}.
        """
        return UNIXClientEndpoint(net, port.getHost().name)


class TLSTests(Bodies, ClientBodies, TLSBackend):
    """
    Over TLS.
    """

    def endpoint(self, port: Any) -> Any:
        """
        See L{ClientBodies.endpoint}.
        """
        options = ssl.optionsForClientTLS("localhost", trustRoot=certificate()[1])
        plain = HostnameEndpoint(net, "127.0.0.1", port.getHost().port)
        return wrapClientTLS(options, plain)

    async def test_noPlainText(self) -> None:
        """
        Nothing of a file leaves in plain text.
        """

        class Raw(Protocol):
            """
            Sees the bytes below TLS.
            """

        seen = bytearray()
        factory = self.serving()
        private, root, _ = certificate()
        options = ssl.optionsForClientTLS("localhost", trustRoot=root)
        port = net.listenSSL(
            0, self.watched(factory), private.options(), interface="127.0.0.1"
        )
        self.ports.append(port)

        peer = Peer()
        wrapped = TLSMemoryBIOFactory(options, True, Factory.forProtocol(lambda: peer))
        connected: Any = await TCP4ClientEndpoint(
            net, "127.0.0.1", port.getHost().port
        ).connect(wrapped)
        self.keep(peer)
        below = connected.dataReceived

        def dataReceived(data: bytes) -> None:
            seen.extend(data)
            below(data)

        connected.dataReceived = dataReceived
        peer.send(get(b"/file"))
        (response,) = await peer.responses(1)
        self.assertTrue(response.body == CONTENT)
        self.assertTrue(len(seen) > len(CONTENT))
        self.assertFalse(CONTENT[:64] in seen)
        del Raw
