"""
The end of a response is told when its last byte has left, with the true count.
"""

from __future__ import annotations

import errno
import os
from io import StringIO
from itertools import product
from typing import Any
from unittest.mock import patch

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted
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


def failing_sendfile(sent: list[int], failing: int, code: int | None) -> Any:
    """
    C{sendfile} that fails.

    @param sent: gets what was sent before.
    @param failing: the number of the call that fails.
    @param code: the number of the error; C{None} for the end of the file.
    """
    real = os.sendfile

    def sendfile(*args: Any) -> int:
        if len(sent) < failing - 1:
            sent.append(real(*args))
            return sent[-1]
        if code is None:
            return 0
        raise OSError(code, os.strerror(code))

    return sendfile


class SentResponses:
    """
    The tests; each backend runs all of them.
    """

    open: Any
    assertEqual: Any
    assertTrue: Any
    assertIn: Any
    flushLoggedErrors: Any
    mktemp: Any
    port: Any
    sends = hasattr(os, "sendfile")

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

    async def test_notSent(self) -> None:
        """
        A file that is not sent does not count: for HEAD, and where the connection is
        about to close.
        """
        source = self.source("static")

        class ByGet(Resource):
            isLeaf = True

            def render_GET(self, request: Any) -> Any:
                if request.path == b"/closing":
                    request.channel.loseConnection()
                return File(source.path).render_GET(request)

        site = self.site(ByGet())
        for request in (get(method=b"HEAD"), get(b"/closing")):
            peer: Any = await self.opened(site)
            peer.send(request)
            while not site.access.getvalue():
                await deferLater(net, 0)
            self.assertIn(' HTTP/1.1" 200 - "', site.access.getvalue())

    async def test_whenTheFileFails(self) -> None:
        """
        So it is if C{sendfile} fails, for the file or for the client, in the first
        call, while the request is rendered, or in a later one.
        """
        if not self.sends:
            return
        codes = (errno.EPIPE, errno.ECONNRESET, errno.EIO, None)
        for way, failing, code in product(("static", "sent"), (1, 2), codes):
            source = self.source(way)
            site = self.site(source)
            peer: Any = await self.opened(site)
            sent: list[int] = []
            with patch("os.sendfile", failing_sendfile(sent, failing, code)):
                peer.send(GET)
                (reason,) = await source.ended
            self.assertIn("Connection", getattr(reason, "type", str).__name__)
            (line,) = site.access.getvalue().splitlines()
            self.assertIn(f'" 200 {sum(sent) or "-"} "', line, (way, failing, code))
            self.assertEqual([], self.flushLoggedErrors())
            await peer.end()


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

    sends = False


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

    def test_aborted(self) -> None:
        """
        A response that is finished after its connection was aborted has not been sent.
        """
        told: list[Any] = []

        def render(request: Any) -> None:
            request.notifyFinish().addErrback(lambda reason: told.append(reason.type))
            request.write(b"some")
            request.abort()
            request.finish()

        self.connect(self.site(Calls(render), start=True)).send(GET).pump()
        self.assertEqual([ConnectionAborted], told)

    def test_writtenTooLate(self) -> None:
        """
        What is written after the response has failed, or while the connection is about
        to close, does not count.
        """
        for end in ("abortConnection", "failResponse", "loseConnection"):

            def render(request: Any, end: str = end) -> None:
                request.setHeader(b"Content-Length", b"100000")
                request.write(b"some")
                getattr(request.channel, end)()
                request.write(b"x" * 99_996)
                request.finish()

            site = self.site(Calls(render), start=True)
            self.connect(site).send(GET).settle(6)
            length = "-" if end == "abortConnection" else "4"
            self.assertIn(f'HTTP/1.1" 200 {length} "', site.access.getvalue(), end)

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

    def test_patchedObject(self) -> None:
        """
        What is sent whole passes a C{write} and a C{finish} that an application has
        put on the request object.
        """
        written: Any = []

        def render(request: Any) -> bytes:
            write, finish = request.write, request.finish
            request.write = lambda data: (written.append(data), write(data.upper()))
            request.finish = lambda: (written.append("end"), finish())
            return b"hello"

        wire = self.talk(Calls(render), GET)
        self.assertEqual(b"HELLO", wire.only().body)
        self.assertEqual([b"hello", "end"], written)
