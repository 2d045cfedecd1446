"""
The same behaviour over memory, TCP, TLS and UNIX sockets.
"""

from __future__ import annotations

import socket
import struct
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.web.server import NOT_DONE_YET

from tests.support.server_cases import FAST_PATH, GET, Calls, Echo, Holding, get, post
from tests.support.socket_cases import (
    MemoryBackend,
    Peer,
    TCPBackend,
    TLSBackend,
    UNIXBackend,
)
from tests.support.times import eventually
from twisted_h11._wire.sockets import LONG_READ
from twisted_h11.server import Limits, Request, Site

net: Any = reactor

BAD = b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"
CLOSE = get(b"/", b"Connection: close")


class Bodies:
    """
    The bodies of the tests; each backend runs all of them.
    """

    hasHalfClose: bool
    readsSockets = False
    open: Any
    listen: Any
    connect: Any
    assertEqual: Any
    assertTrue: Any
    assertFalse: Any
    assertIn: Any

    def site(self, resource: Any = None, **limits: Any) -> Any:
        """
        A site on the real clock.
        """
        if resource is None:
            resource = Echo()
        elif callable(resource) and not hasattr(resource, "render"):
            resource = Calls(resource)
        limits.setdefault("lingerTimeout", 0.3)
        return Site(resource, limits=Limits(**limits), fastPath=FAST_PATH)

    async def test_get(self) -> None:
        """
        A request is answered and the connection kept.
        """
        peer: Peer = await self.open(self.site())
        for count in (1, 2, 3):
            peer.send(GET)
            responses = await peer.responses(count)
            self.assertEqual([200] * count, [r.status for r in responses])
        self.assertFalse(peer.ended)

    async def test_byteByByte(self) -> None:
        """
        A request may come a byte at a time.
        """
        echo = Echo()
        peer: Peer = await self.open(self.site(echo))
        for byte in post(b"hello"):
            peer.send(bytes([byte]))
            await deferLater(net, 0)
        (response,) = await peer.responses(1)
        self.assertEqual(b"hello", response.body)

    async def test_pipelined(self) -> None:
        """
        A thousand pipelined requests are answered in order.
        """
        peer: Peer = await self.open(self.site(lambda request: request.uri))
        peer.send(b"".join(get(b"/%d" % i) for i in range(1000)))
        responses = await peer.responses(1000)
        self.assertEqual([b"/%d" % i for i in range(1000)], [r.body for r in responses])

    async def test_largeBodies(self) -> None:
        """
        A large body goes in and out whole.
        """
        body = bytes(range(256)) * 8192
        peer: Peer = await self.open(self.site())
        peer.send(post(body))
        (response,) = await peer.responses(1)
        self.assertTrue(response.body == body)

    async def test_longReads(self) -> None:
        """
        Of a long body that is buffered much is read at a time, and afterwards as
        much as of other requests; sockets only, as nobody knows of the others.
        """
        sizes: list[int] = []

        class Counting(Request):
            def handleContentChunk(self, data: bytes) -> None:
                sizes.append(len(data))
                super().handleContentChunk(data)

        site = self.site()
        site.requestFactory = Counting
        peer: Peer = await self.open(site)
        short = [post(b"x" * 200_000), post(b"y" * 3_000_000), post(b"z" * 200_000)]
        most = []
        for count, request in enumerate(short, 1):
            sizes.clear()
            peer.send(request)
            responses = await peer.responses(count)
            self.assertTrue(responses[-1].body == request[-len(responses[-1].body) :])
            most.append(max(sizes))
        if self.readsSockets:
            self.assertTrue(all(size <= 65536 for size in (most[0], most[2])), most)
            self.assertTrue(65536 < most[1] <= 262144, most)

    async def test_chunkedLarge(self) -> None:
        """
        So does one that is written in pieces as fast as the client reads.
        """

        def render(request: Any) -> Any:
            for i in range(64):
                request.write(b"%02d" % i * 8192)
            request.finish()
            return NOT_DONE_YET

        peer: Peer = await self.open(self.site(render))
        peer.send(GET)
        (response,) = await peer.responses(1)
        self.assertEqual("chunked", response.framing)
        self.assertTrue(
            response.body == b"".join(b"%02d" % i * 8192 for i in range(64))
        )

    async def test_close(self) -> None:
        """
        With Connection: close the server ends the connection.
        """
        peer: Peer = await self.open(self.site())
        peer.send(CLOSE)
        await peer.end()
        self.assertEqual([200], [r.status for r in peer.read()])
        peer.close()
        await peer.gone()

    async def test_closeWithMoreBehind(self) -> None:
        """
        What follows a Connection: close does not destroy the answer.
        """
        peer: Peer = await self.open(self.site(lambda request: b"x" * 100_000))
        peer.send(CLOSE + GET * 5000)
        await peer.end()
        (response,) = peer.read()
        self.assertEqual(100_000, len(response.body))
        self.assertTrue(response.complete)

    async def test_refusalArrives(self) -> None:
        """
        A refusal reaches a client that goes on sending a large body.
        """
        peer: Peer = await self.open(self.site(maxBodyLength=1000))
        head = get(b"/", b"Content-Length: 2000000", method=b"POST")
        peer.send(head)
        for _ in range(20):
            peer.send(b"x" * 100_000)
            await deferLater(net, 0)
        await peer.end()
        (response,) = peer.read()
        self.assertEqual(413, response.status)
        self.assertTrue(response.complete)

    async def test_refusal(self) -> None:
        """
        A malformed request is refused and the connection closed in time, even
        if the client does not close.
        """
        peer: Peer = await self.open(self.site())
        peer.send(BAD)
        await peer.end()
        self.assertEqual([400], [r.status for r in peer.read()])

    async def test_responseTooShort(self) -> None:
        """
        A response that falls short is flushed, then the connection ends.
        """

        def render(request: Any) -> Any:
            request.setHeader(b"Content-Length", b"100000")
            request.write(b"x" * 50_000)
            request.finish()
            return NOT_DONE_YET

        peer: Peer = await self.open(self.site(render))
        peer.send(GET)
        await peer.end()
        (response,) = peer.read()
        self.assertEqual(50_000, len(response.body))
        self.assertFalse(response.complete)
        self.flush()

    def flush(self) -> None:
        """
        Forget what was logged.
        """
        self.flushLoggedErrors()  # type: ignore[attr-defined]

    async def test_clientGone(self) -> None:
        """
        An application hears of a client that goes while its request runs.
        """
        holding = Holding()
        peer: Peer = await self.open(self.site(holding, halfCloseTimeout=0.1))
        peer.send(GET)
        while not holding.requests:
            await deferLater(net, 0)
        peer.abort()
        await peer.gone()
        # A UNIX socket has no reset: there it is the half-close that ends.
        while not holding.lost:
            await deferLater(net, 0)

    async def test_slowReader(self) -> None:
        """
        A client that reads late gets everything.
        """
        peer: Peer = await self.open(self.site(lambda request: b"x" * 3_000_000))
        if hasattr(peer.transport, "pauseProducing"):
            peer.transport.pauseProducing()
            peer.send(GET)
            for _ in range(50):
                await deferLater(net, 0)
            peer.transport.resumeProducing()
        else:
            peer.send(GET)
        (response,) = await peer.responses(1)
        self.assertEqual(3_000_000, len(response.body))

    async def test_idleTimeout(self) -> None:
        """
        An idle connection is closed.
        """
        peer: Peer = await self.open(self.site(idleTimeout=0.05))
        peer.send(GET)
        await peer.end()
        self.assertEqual([200], [r.status for r in peer.read()])

    async def test_drain(self) -> None:
        """
        Draining closes the idle and lets the busy finish.
        """
        holding = Holding()
        site = self.site(holding)
        port = await self.listen(site)
        idle: Peer = await self.connect(port)
        busy: Peer = await self.connect(port)
        busy.send(GET)
        while not holding.requests:
            await deferLater(net, 0)
        drained = site.drain(10)
        await idle.end()
        holding.answer()
        await busy.end()
        self.assertEqual([b"done"], [r.body for r in busy.read()])
        idle.close()
        busy.close()
        await drained


class HalfCloseBodies:
    """
    Where a client can half-close.
    """

    open: Any
    site: Any
    assertEqual: Any
    assertTrue: Any

    async def test_halfClose(self) -> None:
        """
        A client that half-closed gets its answers.
        """
        holding = Holding()
        peer: Peer = await self.open(self.site(holding))
        peer.send(GET)
        peer.halfClose()
        while not holding.requests:
            await deferLater(net, 0)
        for _ in range(20):
            await deferLater(net, 0)
        holding.answer(b"x" * 1_000_000)
        await peer.end()
        (response,) = peer.read()
        self.assertEqual(1_000_000, len(response.body))


class MemoryTests(Bodies, HalfCloseBodies, MemoryBackend):
    """
    In memory.
    """


class TLSTests(Bodies, TLSBackend):
    """
    Over TLS.
    """

    async def test_closeNotify(self) -> None:
        """
        The server ends with close_notify, not with a cut connection.
        """
        peer = await self.open(self.site())
        peer.send(CLOSE + b"more bytes")
        await peer.gone()
        from twisted.internet.error import ConnectionDone

        assert peer.lost is not None
        self.assertTrue(peer.lost.check(ConnectionDone), str(peer.lost))

    async def test_isSecure(self) -> None:
        """
        The application can tell that it is TLS.
        """
        peer = await self.open(
            self.site(lambda request: repr(request.isSecure()).encode())
        )
        peer.send(GET)
        (response,) = await peer.responses(1)
        self.assertEqual(b"True", response.body)


class UNIXTests(Bodies, HalfCloseBodies, UNIXBackend):
    """
    Over a UNIX socket.
    """


class TCPTests(Bodies, HalfCloseBodies, TCPBackend):
    """
    Over TCP.
    """

    readsSockets = True

    async def test_readsMore(self) -> None:
        """
        While much of an upload is missing more is read at once than else.
        """
        for length, long in ((3 * LONG_READ, True), (LONG_READ, False)):
            site = self.site(lambda request: b"done")
            peer: Peer = await self.open(site)
            head = get(b"/", b"Content-Length: %d" % length, method=b"POST")
            peer.send(head + b"x")
            await eventually(lambda site=site: site._connections.open)
            (channel,) = site._connections.open
            await eventually(lambda reader=channel.reader: reader.incoming)
            transport = channel.wire.transport
            usual = type(transport).bufferSize
            self.assertEqual(LONG_READ if long else usual, transport.bufferSize)
            peer.send(b"x" * (length - 1))
            await peer.responses(1)
            self.assertEqual(usual, transport.bufferSize)

    async def test_noReset(self) -> None:
        """
        A client that reads late still finds its refusal: the server closes in
        stages, so no reset destroys what waits in the client's buffer.
        """
        port = await self.listen(self.site(maxBodyLength=1000, lingerTimeout=5))
        client = socket.create_connection(("127.0.0.1", port.getHost().port))
        client.setblocking(False)
        self.addCleanup(client.close)
        client.send(get(b"/", b"Content-Length: 50000", method=b"POST"))
        for _ in range(50):
            client.send(b"x" * 1000)
            await deferLater(net, 0)
        received = b""
        for _ in range(2000):
            try:
                data = client.recv(65536)
            except BlockingIOError:
                await deferLater(net, 0)
                continue
            if not data:
                break
            received += data
        self.assertTrue(received.startswith(b"HTTP/1.1 413 "), received)
        # The server has closed its side only, and still takes bytes.
        client.send(b"x" * 1000)
        await deferLater(net, 0)
        client.send(b"x" * 1000)

    async def test_noDelay(self) -> None:
        """
        Small writes go out at once (TCP_NODELAY).
        """
        seen = []

        def render(request: Any) -> bytes:
            seen.append(request.transport.getTcpNoDelay())
            return b""

        peer = await self.open(self.site(render))
        peer.send(GET)
        await peer.responses(1)
        self.assertEqual([True], [bool(value) for value in seen])

    async def test_reset(self) -> None:
        """
        Resets at any moment leave nothing and log nothing.
        """
        site = self.site(Echo())
        port = await self.listen(site)
        for data in (b"", b"GET /", GET, BAD, CLOSE, post(b"x" * 1000)[:-1]):
            client = socket.create_connection(("127.0.0.1", port.getHost().port))
            client.send(data)
            await deferLater(net, 0)
            client.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            client.close()
            for _ in range(5):
                await deferLater(net, 0)

    async def test_manyConnections(self) -> None:
        """
        Two hundred connections at once are all served.
        """
        port = await self.listen(self.site(lambda request: request.uri))
        peers = [await self.connect(port) for _ in range(200)]
        for number, peer in enumerate(peers):
            peer.send(get(b"/%d" % number))
        for number, peer in enumerate(peers):
            (response,) = await peer.responses(1)
            self.assertEqual(b"/%d" % number, response.body)
