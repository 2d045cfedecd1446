"""
The end of a response is told when its last byte has left, with the true count.
"""

from __future__ import annotations

import os
from io import StringIO
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.static import File

from tests.support.memory import SecureMemoryTransport
from tests.support.server_cases import FAST_PATH, GET, Calls, ServerTestCase, get
from tests.support.socket_cases import TCPBackend, TLSBackend, UNIXBackend
from twisted_h11.server import Limits, Site, access_log_format

net: Any = reactor

LENGTH = 16 * 1024 * 1024


class Sources(Resource):
    """
    Ways in which a large response is made; C{ended} fires with what
    C{notifyFinish} has told.
    """

    isLeaf = True

    def __init__(self, path: str, way: str) -> None:
        super().__init__()
        self.path = path
        self.way = way
        self.ended: Deferred[Any] = Deferred()
        self.returned = False

    def render(self, request: Any) -> Any:
        """
        Respond.
        """
        request.notifyFinish().addBoth(lambda told: self.ended.callback([told]))
        try:
            return getattr(self, self.way)(request)
        finally:
            self.returned = True

    def static(self, request: Any) -> Any:
        """
        twisted.web's C{File}.
        """
        return File(self.path).render(request)

    def sent(self, request: Any) -> Any:
        """
        C{sendFile}.
        """
        file = open(self.path, "rb")  # noqa: SIM115 (closed when it is sent)
        request.setHeader(b"Content-Length", b"%d" % LENGTH)
        done = request.sendFile(file)
        done.addErrback(lambda _: None).addCallback(lambda _: file.close())
        request.finish()
        return NOT_DONE_YET

    def written(self, request: Any) -> Any:
        """
        One write.
        """
        request.setHeader(b"Content-Length", b"%d" % LENGTH)
        request.write(bytes(LENGTH))
        request.finish()
        return NOT_DONE_YET

    def chunked(self, request: Any) -> Any:
        """
        Several writes, of no known length.
        """
        for _ in range(4):
            request.write(bytes(LENGTH // 4))
        request.finish()
        return NOT_DONE_YET

    def given(self, request: Any) -> Any:
        """
        What C{render} returns.
        """
        return bytes(LENGTH)


WAYS = ("static", "sent", "written", "chunked", "given")


class SentResponses:
    """
    The tests; each backend runs all of them.
    """

    open: Any
    assertEqual: Any
    assertTrue: Any
    assertIn: Any
    mktemp: Any
    port: Any

    def site(self, resource: Any) -> Any:
        """
        A site.
        """
        limits = Limits(lingerTimeout=0.3)
        return Site(resource, limits=limits, fastPath=FAST_PATH)

    async def opened(self, site: Any) -> Any:
        """
        A connection to a site that remembers its access log.
        """
        peer: Any = await self.open(site)
        peer.count = 0

        def received(data: bytes) -> None:
            peer.count += len(data)

        peer.dataReceived = received
        site.access = site.logFile = StringIO()
        return peer

    def source(self, way: str) -> Sources:
        """
        A resource with a large sparse file.
        """
        path = self.mktemp()
        with open(path, "wb"):
            os.truncate(path, LENGTH)
        return Sources(path, way)

    async def test_whenTheClientTakesIt(self) -> None:
        """
        Nothing is told or logged while most of the response is still here.
        """
        for way in WAYS:
            source = self.source(way)
            site = self.site(source)
            peer: Any = await self.opened(site)
            peer.send(GET)
            while not source.returned:
                await deferLater(net, 0)
            peer.transport.pauseProducing()
            for _ in range(50):
                await deferLater(net, 0)
            self.assertTrue(not source.ended.called, way)
            self.assertEqual("", site.access.getvalue(), way)
            peer.transport.resumeProducing()
            self.assertEqual([None], await source.ended)
            while peer.count < LENGTH:
                await deferLater(net, 0)
            self.assertIn(f'HTTP/1.1" 200 {LENGTH} "', site.access.getvalue())
            peer.close()
            await peer.gone()

    async def test_whenTheClientGoes(self) -> None:
        """
        C{notifyFinish} fails, and the line in the log has what has left and no more.
        """
        for way in WAYS:
            source = self.source(way)
            site = self.site(source)
            peer: Any = await self.opened(site)
            peer.send(GET)
            while peer.count < 100_000:
                await deferLater(net, 0)
            peer.abort()
            (reason,) = await source.ended
            self.assertIn("Connection", reason.type.__name__)
            (line,) = site.access.getvalue().splitlines()
            count = int(line.split('" 200 ')[1].split()[0])
            self.assertTrue(50_000 < count < LENGTH - 1_000_000, (way, count))


class TCPSentTests(SentResponses, TCPBackend):
    """
    On a socket.
    """


class UNIXSentTests(SentResponses, UNIXBackend):
    """
    On a socket that is a file.
    """


class TLSSentTests(SentResponses, TLSBackend):
    """
    Below TLS.
    """


class MemorySentTests(ServerTestCase):
    """
    In memory, with a client that stalls.
    """

    def test_small(self) -> None:
        """
        What a transport keeps without saying so has left, as ever.
        """
        told: list[object] = []

        def render(request: Any) -> bytes:
            request.notifyFinish().addBoth(told.append)
            return b"small"

        wire = self.connect(self.site(render, start=True))
        wire.transport.stall()
        wire.send(GET)
        self.assertEqual([None], told)

    def test_order(self) -> None:
        """
        A response that is behind is told of before the next request begins.
        """
        events: list[str] = []

        def render(request: Any) -> bytes:
            events.append("begins")
            request.notifyFinish().addCallback(lambda _: events.append("left"))
            return bytes(100_000)

        site = self.site(render, start=True)
        wire = self.connect(site)
        wire.transport.stall()
        wire.send(GET * 2)
        self.assertEqual(["begins"], events)
        self.assertEqual("", site.access.getvalue())
        wire.transport.drain()
        self.assertEqual(["begins", "left", "begins", "left"], events)
        self.assertEqual(2, site.access.getvalue().count(" 200 100000 "))

    def test_asLastOfAConnection(self) -> None:
        """
        Also where the connection closes behind it, and where it is told afterwards
        that somebody wants to know.
        """
        told: list[object] = []
        requests: list[Any] = []

        def render(request: Any) -> bytes:
            requests.append(request)
            return bytes(100_000)

        wire = self.connect(self.site(render))
        wire.transport.stall()
        wire.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        requests.pop().notifyFinish().addBoth(told.append)
        self.assertEqual([], told)
        wire.transport.drain()
        self.assertEqual([None], told)

    def test_cut(self) -> None:
        """
        A response that was cut has its line in the access log, whoever has begun it.
        """

        def by_channel(request: Any) -> None:
            request.channel.writeHeaders(b"HTTP/1.1", b"200", b"OK", [])
            request.channel.write(b"some")

        for begin, length in (
            (lambda request: request.write(b"some"), "4"),
            (by_channel, "-"),
        ):
            site = self.site(Calls(begin), start=True)
            wire = self.connect(site).send(GET)
            wire.vanish()
            self.assertIn(f'HTTP/1.1" 200 {length} "', site.access.getvalue())

    def test_cutOverTLS(self) -> None:
        """
        It says which version of TLS there was, and nothing keeps the connection.
        """

        class Handle:
            def get_protocol_version_name(self) -> str:
                return "TLSv1.3"

        class Transport(SecureMemoryTransport):
            def getHandle(self) -> Handle:
                return Handle()

        requests: list[Any] = []

        def begin(request: Any) -> None:
            requests.append(request)
            request.write(b"some")
            if request.path == b"/whole":
                request.finish()

        made = access_log_format("{target} {tls}")
        site = self.site(Calls(begin), start=True, logFormatter=made)
        wire = self.connect(site, Transport()).send(get(b"/whole"), get(b"/cut"))
        wire.vanish()
        self.assertEqual("/whole TLSv1.3\n/cut TLSv1.3\n", site.access.getvalue())
        self.assertEqual([None, None], [request.transport for request in requests])
        requests.clear()
