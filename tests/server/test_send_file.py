"""
C{sendFile}: regions of files as content, and C{static.File} through it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from functools import partial
from gzip import decompress
from typing import Any
from unittest.mock import patch

from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionAborted
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.resource import EncodingResourceWrapper, Resource
from twisted.web.server import NOT_DONE_YET, GzipEncoderFactory
from twisted.web.static import File

from tests.server.test_ranges import parts_of
from tests.support.server_cases import FAST_PATH, GET, Calls, ServerTestCase, get
from tests.support.socket_cases import (
    MemoryBackend,
    Peer,
    TCPBackend,
    TLSBackend,
    UNIXBackend,
    certificate,
)
from twisted_h11._wire.sockets import MOST_AT_ONCE
from twisted_h11.server import Limits, Site

net: Any = reactor

CONTENT = bytes(range(256)) * 4096  # 1 MiB


def leaf(path: str) -> File:
    """
    twisted.web's resource for one file, as the root.
    """
    file = File(path)
    file.isLeaf = True
    return file


def opened(path: str) -> Any:
    """
    A file that is closed by whoever sends it.
    """
    return open(path, "rb")


class FileBodies:
    """
    The tests; each backend runs all of them.

    @ivar sends: whether C{sendfile} is used here.
    @ivar slow: whether a client can be slower than the server here.
    """

    sends = False
    slow = True
    open: Any
    assertEqual: Any
    assertTrue: Any
    assertFalse: Any
    assertIn: Any
    assertLess: Any
    addCleanup: Any

    def makeFile(self, content: bytes = CONTENT) -> str:
        """
        A file with C{content}.
        """
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "file")
        with open(path, "wb") as file:
            file.write(content)
        return path

    def site(self, resource: Any, **limits: Any) -> Any:
        """
        A site on the real clock.
        """
        if not hasattr(resource, "render"):
            resource = Calls(resource)
        limits.setdefault("lingerTimeout", 0.3)
        return Site(resource, limits=Limits(**limits), fastPath=FAST_PATH)

    def counted(self) -> list[int]:
        """
        Count what goes out by C{sendfile}.
        """
        counts: list[int] = []
        real = os.sendfile

        def sendfile(*args: Any) -> int:
            sent = real(*args)
            counts.append(sent)
            return sent

        patcher = patch("os.sendfile", sendfile)
        patcher.start()
        self.addCleanup(patcher.stop)
        return counts

    async def test_region(self) -> None:
        """
        A region of a file, between other writes, in chunks or with a length;
        and the next request behind it.
        """
        counts = self.counted()
        path = self.makeFile()
        fired: list[object] = []
        for length in (True, False):

            def render(request: Any, length: bool = length) -> Any:
                file = opened(path)
                if length:
                    size = b"%d" % (len(CONTENT) - 1000 + 10,)
                    request.setHeader(b"Content-Length", size)
                request.write(b"begin")
                done = request.sendFile(file, 1000)
                done.addCallback(fired.append)
                done.addBoth(lambda _: file.close())
                request.write(b"after")
                request.finish()
                return NOT_DONE_YET

            peer: Peer = await self.open(self.site(render))
            peer.send(GET + GET)
            responses = await peer.responses(2)
            for response in responses:
                self.assertEqual(b"begin" + CONTENT[1000:] + b"after", response.body)
                self.assertTrue(response.complete)
            framing = "length" if length else "chunked"
            self.assertEqual([framing] * 2, [r.framing for r in responses])
        self.assertEqual([None] * 4, fired)
        self.assertEqual(4 * (len(CONTENT) - 1000) if self.sends else 0, sum(counts))

    async def test_atOnce(self) -> None:
        """
        A socket that has room is given a file within the call, without a turn of the
        reactor.
        """
        counts = self.counted()
        path = self.makeFile()
        sent: list[int] = []

        def render(request: Any) -> Any:
            file = opened(path)
            request.sendFile(file).addBoth(lambda _: file.close())
            sent.append(sum(counts))
            request.finish()
            return NOT_DONE_YET

        peer: Peer = await self.open(self.site(render))
        peer.send(GET)
        (response,) = await peer.responses(1)
        self.assertEqual(CONTENT, response.body)
        self.assertEqual(self.sends, bool(sent[0]))

    async def test_severalRegions(self) -> None:
        """
        Regions of one file, in any order; the file's position is not moved by
        one to the harm of another.
        """
        path = self.makeFile()

        def render(request: Any) -> Any:
            file = opened(path)
            waits = [
                request.sendFile(file, start, 100_000)
                for start in (500_000, 0, 250_000)
            ]
            waits[-1].addBoth(lambda _: file.close())
            request.write(b"end")
            request.finish()
            return NOT_DONE_YET

        peer: Peer = await self.open(self.site(render))
        peer.send(GET)
        (response,) = await peer.responses(1)
        expected = b"".join(CONTENT[s : s + 100_000] for s in (500_000, 0, 250_000))
        self.assertEqual(expected + b"end", response.body)

    async def test_truncated(self) -> None:
        """
        A file that turns out to be shorter ends the connection visibly, and the
        Deferred fails.
        """
        path = self.makeFile()
        failed: list[str] = []
        small = 100_000

        def render(request: Any) -> Any:
            file = opened(path)
            size = len(CONTENT)
            request.setHeader(b"Content-Length", b"%d" % (size,))
            os.truncate(path, small)
            with patch("os.fstat", lambda _: os.stat_result([0] * 6 + [size, 0, 0, 0])):
                done = request.sendFile(file)
            done.addErrback(lambda reason: failed.append(reason.type.__name__))
            done.addBoth(lambda _: file.close())
            request.finish()
            return NOT_DONE_YET

        peer: Peer = await self.open(self.site(render))
        peer.send(GET)
        await peer.end()
        self.assertEqual(["EOFError"], failed)
        self.assertTrue(peer.size < len(CONTENT))

    async def test_clientGoes(self) -> None:
        """
        When the client goes in the middle the Deferred fails, so that the file
        can be closed.
        """
        if not self.slow:
            return
        path = self.makeFile(CONTENT * 64)
        ended: Deferred[str] = Deferred()

        def render(request: Any) -> Any:
            file = opened(path)

            def close(name: Any) -> None:
                file.close()
                ended.callback(name)

            done = request.sendFile(file)
            done.addErrback(lambda reason: reason.type.__name__)
            done.addBoth(close)
            request.finish()
            return NOT_DONE_YET

        peer: Peer = await self.open(self.site(render))
        peer.send(GET)
        await peer.until(lambda: peer.size > 10_000)
        peer.abort()
        self.assertIn("Connection", str(await ended))

    async def test_slowReader(self) -> None:
        """
        A client that stops reading stops the file, and gets all of it later.
        """
        path = self.makeFile(CONTENT * 16)
        done: list[object] = []

        def render(request: Any) -> Any:
            file = opened(path)
            request.setHeader(b"Content-Length", b"%d" % (16 * len(CONTENT),))
            request.sendFile(file).addBoth(done.append).addBoth(lambda _: file.close())
            request.finish()
            return NOT_DONE_YET

        peer: Any = await self.open(self.site(render))
        if not self.slow:
            return
        peer.transport.pauseProducing()
        peer.send(GET)
        for _ in range(200):
            await deferLater(net, 0)
        self.assertEqual([], done)
        peer.transport.resumeProducing()
        (response,) = await peer.responses(1)
        self.assertEqual(CONTENT * 16, response.body)
        self.assertEqual([None], done)

    async def test_static(self) -> None:
        """
        twisted.web's C{File} is sent in the same way, whole, by range, and not
        for HEAD; the connection goes on.
        """
        counts = self.counted()
        peer: Peer = await self.open(self.site(leaf(self.makeFile())))
        cases: list[tuple[bytes, int, bytes]] = [
            (GET, 200, CONTENT),
            (get(b"/", b"Range: bytes=1000-500999"), 206, CONTENT[1000:501_000]),
            (get(b"/", b"Range: bytes=-10"), 206, CONTENT[-10:]),
            (get(b"/", b"Range: bytes=9999999-"), 416, b""),
            (get(b"/", method=b"HEAD"), 200, b""),
            (GET, 200, CONTENT),
        ]
        peer.methods = [request.partition(b" ")[0] for request, _, _ in cases]
        for count, (request, status, body) in enumerate(cases, 1):
            peer.send(request)
            response = (await peer.responses(count))[-1]
            self.assertEqual(status, response.status)
            self.assertEqual(body, response.body, request)
        sent = 2 * len(CONTENT) + 500_000
        self.assertEqual(sent if self.sends else 0, sum(counts))
        peer.send(get(b"/", b"Range: bytes=0-9,20-29"))
        response = (await peer.responses(len(cases) + 1))[-1]
        self.assertEqual(206, response.status)
        self.assertIn(CONTENT[20:30], response.body)

    async def test_staticRanges(self) -> None:
        """
        So are several ranges that are long.
        """
        counts = self.counted()
        peer: Peer = await self.open(self.site(leaf(self.makeFile())))
        peer.send(get(b"/", b"Range: bytes=0-99999,300000-399999"))
        (response,) = await peer.responses(1)
        self.assertEqual(
            [CONTENT[:100_000], CONTENT[300_000:400_000]], parts_of(response)
        )
        self.assertEqual(200_000 if self.sends else 0, sum(counts))

    async def test_staticEncoded(self) -> None:
        """
        It is encoded where the application wants that.
        """
        resource = leaf(self.makeFile())
        wrapped = EncodingResourceWrapper(resource, [GzipEncoderFactory()])
        peer: Peer = await self.open(self.site(wrapped))
        peer.send(get(b"/", b"Accept-Encoding: gzip"))
        (response,) = await peer.responses(1)
        self.assertEqual(b"gzip", response.get(b"content-encoding"))
        self.assertEqual(CONTENT, decompress(response.body))

    async def test_staticPipelined(self) -> None:
        """
        Responses behind a file wait for it.
        """
        root = Resource()
        root.putChild(b"big", leaf(self.makeFile()))
        root.putChild(b"small", leaf(self.makeFile(b"small")))
        peer: Peer = await self.open(self.site(root))
        peer.send((get(b"/big") + get(b"/small")) * 5)
        responses = await peer.responses(10)
        self.assertEqual([CONTENT, b"small"] * 5, [r.body for r in responses])

    async def test_manyAtOnce(self) -> None:
        """
        A client that asks for many files in one segment does not keep the server from
        others: they get their turns after a mebibyte or two.
        """
        if not self.sends:
            return
        length, count = 100_000, 100
        path = self.makeFile(CONTENT[:length])
        turns: list[int] = []
        begun: list[int] = []

        def turn() -> None:
            turns.append(len(begun))
            if len(begun) < count:
                net.callLater(0, turn)

        class Counting(File):
            def render_GET(self, request: Any) -> Any:
                begun.append(len(turns))
                return super().render_GET(request)

        file = Counting(path)
        file.isLeaf = True
        peer: Peer = await self.open(self.site(file))
        net.callLater(0, turn)
        peer.send(GET * count)
        responses = await peer.responses(count)
        self.assertEqual({CONTENT[:length]}, {r.body for r in responses})
        most = max(begun.count(number) for number in begun)
        self.assertLess(most * length, 3 * MOST_AT_ONCE)

    async def test_countedAnew(self) -> None:
        """
        For that, the files of each segment are counted anew.
        """
        if not self.sends:
            return
        site = self.site(leaf(self.makeFile()))
        peer: Peer = await self.open(site)
        for _ in range(3):
            peer.received = b""
            peer.send(GET)
            (response,) = await peer.responses(1)
            self.assertEqual(CONTENT, response.body)
            (channel,) = site._connections.open
            self.assertEqual(len(CONTENT), channel.wire.pressure.begun)


class TCPFileTests(FileBodies, TCPBackend):
    """
    By C{sendfile}.
    """

    sends = hasattr(os, "sendfile")


class UNIXFileTests(FileBodies, UNIXBackend):
    """
    By C{sendfile}.
    """

    sends = hasattr(os, "sendfile")


class MemoryFileTests(FileBodies, MemoryBackend):
    """
    By reading.
    """

    slow = False


class TLSFileTests(FileBodies, TLSBackend):
    """
    By reading: C{sendfile} below TLS would send plain text.
    """

    async def test_noPlainText(self) -> None:
        """
        Nothing of the file is on the wire as it is.
        """
        wire: list[bytes] = []

        class Recording(TLSMemoryBIOFactory):
            def buildProtocol(self, addr: Any) -> Any:
                protocol: Any = super().buildProtocol(addr)
                received = protocol.dataReceived

                def dataReceived(data: bytes) -> None:
                    wire.append(data)
                    received(data)

                protocol.dataReceived = dataReceived
                return protocol

        port = await self.listen(self.site(leaf(self.makeFile())))
        options = ssl.optionsForClientTLS("localhost", trustRoot=certificate()[1])
        peer = Peer()
        factory = Recording(options, True, Factory.forProtocol(lambda: peer))
        endpoint = TCP4ClientEndpoint(net, "127.0.0.1", port.getHost().port)
        await endpoint.connect(factory)
        self.keep(peer)
        peer.send(GET)
        (response,) = await peer.responses(1)
        self.assertEqual(CONTENT, response.body)
        sent = b"".join(wire)
        self.assertTrue(len(sent) > len(CONTENT))
        for start in range(0, len(CONTENT), 997):
            self.assertFalse(CONTENT[start : start + 16] in sent)
        self.assertFalse(b"HTTP/1.1" in sent)


class SendFileTests(ServerTestCase):
    """
    The rest, in memory.
    """

    def ask(self, function: Any, request: bytes = GET, **options: Any) -> Any:
        """
        Answer by C{function(request, file)}; the file has ten bytes.
        """
        file: Any = tempfile.TemporaryFile()  # noqa: SIM115 (closed by the cleanup)
        self.addCleanup(file.close)
        file.write(b"0123456789")
        file.flush()

        def render(request: Any) -> Any:
            function(request, file)
            return NOT_DONE_YET

        return self.talk(render, request, **options)

    def test_wrongRegion(self) -> None:
        """
        A region that is not in the file is a ValueError, before anything was
        sent.
        """

        def render(request: Any, file: Any) -> None:
            for region in ((-1, 1), (0, 11), (11, None), (5, 6), (0, -1)):
                if region == (11, None):
                    continue
                self.raised(ValueError, request.sendFile, file, *region)
            request.setResponseCode(204)
            request.finish()

        self.assertEqual(204, self.ask(render).only().status)

    def test_nothing(self) -> None:
        """
        An empty region is sent at once.
        """
        fired: list[object] = []

        def render(request: Any, file: Any) -> None:
            request.sendFile(file, 10).addCallback(fired.append)
            request.finish()

        self.assertEqual(b"", self.ask(render).only().body)
        self.assertEqual([None], fired)

    def test_head(self) -> None:
        """
        For HEAD no byte of it is sent.
        """
        fired: list[object] = []

        def render(request: Any, file: Any) -> None:
            request.setHeader(b"Content-Length", b"10")
            request.sendFile(file).addCallback(fired.append)
            request.finish()

        wire = self.ask(render, get(method=b"HEAD"))
        self.assertTrue(wire.output.endswith(b"\r\n\r\n"))
        self.assertEqual([None], fired)

    def test_moreThanTheLength(self) -> None:
        """
        What passes the Content-Length is dropped, and the Deferred fires all
        the same.
        """
        fired: list[object] = []

        def render(request: Any, file: Any) -> None:
            request.setHeader(b"Content-Length", b"4")
            request.sendFile(file).addBoth(fired.append)
            request.sendFile(file).addBoth(fired.append)
            request.finish()

        wire = self.ask(render)
        self.assertEqual(b"0123", wire.only().body)
        self.assertEqual(2, len(fired))
        wire.settle(6)

    def test_whenTheClientHasGone(self) -> None:
        """
        It fails when the client had gone before.
        """
        requests: list[Any] = []
        self.ask(lambda request, file: requests.append((request, file))).vanish()
        request, file = requests.pop()
        failed: list[object] = []
        request.sendFile(file).addErrback(failed.append)
        self.assertEqual(1, len(failed))
        failed.clear()

    def test_whenTheResponseIsBroken(self) -> None:
        """
        It fails, and does not wait for ever, when the response has failed.
        """
        fired: list[object] = []

        def render(request: Any, file: Any) -> None:
            request.responseHeaders._rawHeaders[b"x"] = [b"a\r\nb"]
            request.sendFile(file).addBoth(fired.append)

        wire = self.ask(render)
        wire.settle(6)
        self.flushLoggedErrors()
        self.assertEqual([500], wire.statuses)
        self.assertEqual(1, len(fired))
        fired.clear()

    def test_encoded(self) -> None:
        """
        An encoder is not used for C{sendFile}.
        """
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(CONTENT)

        class Sending(Resource):
            isLeaf = True

            def render_GET(self, request: Any) -> int:
                file = opened(path)
                done = request.sendFile(file)
                done.addBoth(lambda _: file.close())
                request.finish()
                return NOT_DONE_YET

        wrapped = EncodingResourceWrapper(Sending(), [GzipEncoderFactory()])
        wire = self.talk(wrapped, get(b"/", b"Accept-Encoding: gzip"))
        response = wire.only()
        self.assertIsNone(response.get(b"content-encoding"))
        self.assertEqual(CONTENT, response.body)

    def test_encodedAlready(self) -> None:
        """
        A file can not follow what was encoded; an encoding that was there before stays
        on a file that is sent alone.
        """
        texts: list[str] = []

        def after(request: Any, file: Any) -> None:
            request.write(b"some")
            texts.append(self.raised(RuntimeError, request.sendFile, file))
            request.finish()

        def alone(request: Any, file: Any) -> None:
            request.sendFile(file)
            request.finish()

        class Encodes(Resource):
            def __init__(self, inner: Any) -> None:
                super().__init__()
                self.inner = inner

            def getChild(self, path: bytes, request: Any) -> Any:
                request.setHeader(b"Content-Encoding", b"own")
                return EncodingResourceWrapper(self.inner, [GzipEncoderFactory()])

        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(CONTENT)
        for function, coding, body in (
            (after, b"own,gzip", b"some"),
            (alone, b"own", CONTENT),
        ):
            with opened(path) as file:
                root = Encodes(Calls(partial(function, file=file)))
                wire = self.talk(root, get(b"/x", b"Accept-Encoding: gzip"))
                response = wire.only()
            self.assertEqual(coding, response.get(b"content-encoding"))
            content = response.body
            self.assertEqual(body, decompress(content) if body == b"some" else content)
        self.assertIn("encoded", texts[0])

    def test_whenTheResponseIsCut(self) -> None:
        """
        It fails when somebody has ended the connection, or the response, before.
        """
        for end in ("failResponse", "loseConnection"):
            failed: list[Any] = []

            def render(
                request: Any, file: Any, end: str = end, failed: Any = failed
            ) -> None:
                request.write(b"begun")
                getattr(request.channel, end)()
                request.sendFile(file).addErrback(lambda f: failed.append(f.type))

            wire = self.ask(render).settle(6)
            self.assertEqual([ConnectionAborted], failed)
            self.assertNotIn(b"0123", wire.output)
            self.assertTrue(wire.closed)

    def test_raw(self) -> None:
        """
        A file may be a part of a response that a resource frames by itself.
        """
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"

        def render(request: Any, file: Any) -> None:
            request.startedWriting = 1
            request.write(head)
            request.sendFile(file)
            request.finish()

        wire = self.ask(render).settle(6)
        self.assertEqual(head + b"0123456789", wire.output)
        self.assertTrue(wire.closed)

    def test_accessLog(self) -> None:
        """
        The access log has the length of it.
        """

        def render(request: Any, file: Any) -> None:
            request.sendFile(file)
            request.finish()

        site = self.site(Calls(lambda r: render(r, file)), start=True)
        with tempfile.TemporaryFile() as file:
            file.write(b"0123456789")
            file.flush()
            self.connect(site).send(GET)
        self.assertIn('" 200 10 "', site.access.getvalue())
