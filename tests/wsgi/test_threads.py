"""
WSGI applications in threads: a slow client, a slow application, and the end.
"""

from __future__ import annotations

import hashlib
import io
import os
import runpy
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

from twisted.internet.threads import deferToThread
from twisted.python.threadpool import ThreadPool

from tests.support.server_cases import FAST_PATH, get, post
from tests.support.socket_cases import (
    Peer,
    SocketTestCase,
    TCPBackend,
    TLSBackend,
    UNIXBackend,
    net,
)
from tests.support.times import eventually
from twisted_h11._wsgi import call
from twisted_h11._wsgi.call import region_of
from twisted_h11.server import Limits, Site
from twisted_h11.wsgi import ClientDisconnected, WSGIResource

PIECE = b"x" * 65536


class ThreadsTestCase(SocketTestCase):
    """
    Applications over real connections.
    """

    async def serve(self, application: Any, **limits: Any) -> Peer:
        """
        Serve an application, and connect to it.
        """
        self.resource = WSGIResource(net, None, application)
        self.addCleanup(self.resource.abandon)
        site = Site(self.resource, fastPath=FAST_PATH, limits=Limits(**limits))
        return await self.open(site)

    async def wait(self, condition: Callable[[], object]) -> None:
        """
        Wait for what another thread does.
        """
        await eventually(condition)

    def has(self, peer: Peer, data: bytes) -> bool:
        """
        Whether a client has received something.
        """
        return data in peer.received

    async def settled(self, number: Callable[[], int]) -> int:
        """
        Wait until a number stays as it is for a while.
        """
        last, same = number(), 0
        while same < 300:
            await self.turns(1)
            now = number()
            last, same = now, same + 1 if now == last else 0
        return last


class DownloadTests:
    """
    A client that is slower than the application.
    """

    async def look(self, case: Any) -> None:
        """
        The thread waits; the client gets everything.
        """
        given, got = [0], [0]
        whole = 200 * len(PIECE)

        def application(environ: Any, start: Any) -> Any:
            start("200 OK", [("Content-Length", str(whole))])
            for _ in range(200):
                given[0] += 1
                yield PIECE

        def count(data: bytes) -> None:
            got[0] += len(data)

        peer = await case.serve(application, writeBufferLength=1_000_000)
        peer.dataReceived = count
        peer.send(get())
        await case.wait(lambda: given[0])
        peer.transport.pauseProducing()
        some = await case.settled(lambda: given[0])
        case.assertLess(some, 150)
        peer.transport.resumeProducing()
        await case.wait(lambda: got[0] > whole)
        await case.wait(lambda: not case.resource._calls)


class TCPTests(TCPBackend, ThreadsTestCase):
    """
    Over TCP.
    """

    async def test_slowClient(self) -> None:
        """
        The thread waits for the client, and the client gets everything.
        """
        await DownloadTests().look(self)

    async def test_validator(self) -> None:
        """
        C{wsgiref.validate} has nothing to say, in threads either.
        """

        def application(environ: Any, start: Any) -> Any:
            body = environ["wsgi.input"].read(100)
            start("200 OK", [("Content-Type", "text/plain")])
            return [body, b"!"]

        peer = await self.serve(validator(application))
        peer.send(post(b"abc") + get() + post(b"d"))
        responses = await peer.responses(3)
        self.assertEqual([b"abc!", b"!", b"d!"], [r.body for r in responses])

    async def test_slowApplication(self) -> None:
        """
        A client that sends faster than the application reads is held back, and
        the application gets everything, with a length and in chunks.
        """
        go = threading.Event()
        body = os.urandom(3_000_000)
        digests = []

        def application(environ: Any, start: Any) -> Any:
            go.wait(20)
            digest = hashlib.sha256()
            while data := environ["wsgi.input"].read(50_000):
                digest.update(data)
            digests.append(digest.digest())
            start("200 OK", [])
            return []

        peer = await self.serve(application, bodyBufferLength=100_000)
        chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        head = get(method=b"PUT").replace(
            b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for request in (post(body), head + chunked):
            go.clear()
            peer.received = b""
            peer.send(request)
            await self.wait(lambda: self.resource._calls)
            (call,) = self.resource._calls
            stream = call._stream
            assert stream is not None
            await self.wait(partial(getattr, stream, "_paused"))
            kept = await self.settled(partial(getattr, stream, "_size"))
            self.assertLess(kept, 300_000)
            self.assertLess(stream._body._size, 300_000)
            go.set()
            (response,) = await peer.responses(1)
            self.assertEqual(200, response.status)
            await self.wait(lambda: not self.resource._calls)
        self.assertEqual([hashlib.sha256(body).digest()] * 2, digests)

    async def test_expect(self) -> None:
        """
        C{100 Continue} is sent when the application reads.
        """
        read = threading.Event()

        def application(environ: Any, start: Any) -> Any:
            read.wait(20)
            body = environ["wsgi.input"].read()
            start("200 OK", [])
            return [body]

        peer = await self.serve(application)
        head, _, body = post(b"abc", b"Expect: 100-continue").partition(b"\r\n\r\n")
        peer.send(head + b"\r\n\r\n")
        await self.wait(lambda: self.resource._calls)
        await self.turns(20)
        self.assertEqual(b"", peer.received)
        read.set()
        await peer.until(lambda: b"100 Continue\r\n\r\n" in peer.received)
        peer.received = b""
        peer.send(body)
        (response,) = await peer.responses(1)
        self.assertEqual(b"abc", response.body)

    async def test_cutUpload(self) -> None:
        """
        A body that is cut is an C{OSError} where it is read, not an end.
        """
        raised: list[Exception] = []
        called = threading.Event()

        def application(environ: Any, start: Any) -> Any:
            called.set()
            try:
                environ["wsgi.input"].read()
            except ClientDisconnected as error:
                raised.append(error)
                raise
            return []

        peer = await self.serve(application)
        peer.send(post(b"x" * 100)[:-1])
        await self.wait(called.is_set)
        peer.abort()
        await self.wait(lambda: not self.resource._calls)
        self.assertIsInstance(raised[0], OSError)
        self.flushLoggedErrors()

    async def test_clientGone(self) -> None:
        """
        When the client goes, a thread that waits for it goes on: the content is
        closed.
        """
        closed = threading.Event()
        given = [0]

        def pieces() -> Any:
            try:
                while True:
                    given[0] += 1
                    yield PIECE
            finally:
                closed.set()

        def application(environ: Any, start: Any) -> Any:
            start("200 OK", [])
            return pieces()

        peer = await self.serve(application)
        peer.send(get())
        await self.wait(lambda: given[0])
        peer.transport.pauseProducing()
        await self.settled(lambda: given[0])
        peer.abort()
        await self.wait(closed.is_set)
        await self.wait(lambda: not self.resource._calls)

    async def test_threadsAreUsed(self) -> None:
        """
        So many requests as there are threads run at a time, and no more.
        """
        barrier = threading.Barrier(3, timeout=20)
        running: list[int] = []
        lock = threading.Lock()

        def application(environ: Any, start: Any) -> Any:
            with lock:
                running.append(1)
                count = len(running)
            barrier.wait()
            with lock:
                running.pop()
            start("200 OK", [])
            return [b"%d" % count]

        await self.serve(application, maxThreads=3)
        peers = [await self.connect(self.ports[0]) for _ in range(6)]
        for peer in peers:
            peer.send(get())
        most = 0
        for peer in peers:
            (response,) = await peer.responses(1)
            most = max(most, int(response.body))
        self.assertEqual(3, most)

    async def test_example(self) -> None:
        """
        The example of the documentation counts what it is sent.
        """
        path = (
            Path(__file__).parent.parent.parent / "docs" / "examples" / "server_wsgi.py"
        )
        site = runpy.run_path(str(path))["makeSite"](net)
        self.addCleanup(site.resource.children[b"app"].abandon)
        peer = await self.open(site)
        peer.send(post(b"x" * 100_000, target=b"/app/a"))
        (response,) = await peer.responses(1)
        self.assertEqual(b"/a: 100000 bytes\n", response.body)

    async def test_poolOfTwisted(self) -> None:
        """
        The threads may be those of a pool of Twisted's; stopping it does not
        wait for a thread that waits for a client.
        """
        pool = ThreadPool(1, 2)
        pool.start()
        given = [0]

        def application(environ: Any, start: Any) -> Any:
            start("200 OK", [])
            if environ["PATH_INFO"] == "/short":
                return [b"short"]

            def pieces() -> Any:
                while True:
                    given[0] += 1
                    yield PIECE

            return pieces()

        resource = WSGIResource(net, pool, application)
        peer = await self.open(Site(resource, fastPath=FAST_PATH))
        peer.send(get(b"/short"))
        (response,) = await peer.responses(1)
        self.assertEqual(b"short", response.body)
        peer.send(get())
        await self.wait(lambda: given[0])
        peer.transport.pauseProducing()
        await self.settled(lambda: given[0])
        self.assertEqual(["<GET />"], resource.abandon())
        await deferToThread(pool.stop)
        self.assertEqual(set(), resource._calls)

    async def test_drain(self) -> None:
        """
        C{drain} waits for what runs; what still runs when the time is over is
        given up, and what waits for its client or its body wakes up.
        """
        go = threading.Event()

        def application(environ: Any, start: Any) -> Any:
            if environ["PATH_INFO"] == "/read":
                environ["wsgi.input"].read()
            go.wait(20)
            start("200 OK", [])
            return [b"done"]

        peer = await self.serve(application)
        peer.send(get())
        await self.wait(lambda: self.resource._calls)
        draining = self.resource.drain(20)
        await self.turns(5)
        self.assertFalse(draining.called)
        go.set()
        self.assertEqual([], await draining)
        self.assertEqual(b"done", (await peer.responses(1))[0].body)

        peer = await self.serve(application)
        peer.send(post(b"abc", target=b"/read")[:-1])
        await self.wait(lambda: self.resource._calls)
        self.assertEqual(["<POST /read>"], await self.resource.drain(0.01))
        await self.wait(lambda: not self.resource._calls)
        self.flushLoggedErrors()
        other = await self.connect(self.ports[-1])
        other.send(get())
        self.assertEqual(503, (await other.responses(1))[0].status)

    async def test_pieces(self) -> None:
        """
        A piece is with the client before the application has the next, whether it
        is yielded or written.
        """
        arrived = threading.Event()

        def written(environ: Any, start: Any) -> Any:
            write = start("200 OK", [])
            for number in range(3):
                arrived.clear()
                write(b"piece %d" % number)
                if not arrived.wait(20):
                    break
            return [b"end"]

        def yielded(environ: Any, start: Any) -> Any:
            start("200 OK", [])
            for number in range(3):
                arrived.clear()
                yield b"piece %d" % number
                if not arrived.wait(20):
                    break
            yield b"end"

        for application in (written, yielded):
            peer = await self.serve(application)
            peer.send(get())
            for number in range(3):
                piece = b"piece %d" % number
                await peer.until(partial(self.has, peer, piece))
                arrived.set()
            (response,) = await peer.responses(1)
            self.assertEqual(b"piece 0piece 1piece 2end", response.body)


class TLSTests(TLSBackend, ThreadsTestCase):
    """
    Over TLS.
    """

    async def test_slowClient(self) -> None:
        """
        The thread waits for the client, and the client gets everything.
        """
        await DownloadTests().look(self)

    async def test_file(self) -> None:
        """
        A file arrives, and the scheme is https.
        """

        def application(environ: Any, start: Any) -> Any:
            start("200 OK", [("X-Scheme", environ["wsgi.url_scheme"])])
            return environ["wsgi.file_wrapper"](open(__file__, "rb"))

        peer = await self.serve(application)
        peer.send(get())
        (response,) = await peer.responses(1)
        with open(__file__, "rb") as file:
            self.assertEqual(file.read(), response.body)
        self.assertEqual(b"https", response.get(b"x-scheme"))


class UNIXTests(UNIXBackend, ThreadsTestCase):
    """
    Over a UNIX socket.
    """

    async def test_request(self) -> None:
        """
        It works, although there is no host.
        """

        def application(environ: Any, start: Any) -> Any:
            start("200 OK", [])
            return [repr(environ["REMOTE_ADDR"]).encode()]

        peer = await self.serve(application)
        peer.send(get())
        self.assertEqual(b"''", (await peer.responses(1))[0].body)


class Shouting(io.BufferedReader):
    """
    Reads something else than what is on the disk.
    """

    def read(self, size: int | None = -1) -> bytes:
        """
        In capitals.
        """
        return super().read(size).upper()


class RawShouting(io.FileIO):
    """
    The same, one level below.
    """

    def readinto(self, buffer: Any) -> Any:
        """
        In capitals.
        """
        count = super().readinto(buffer)
        view = memoryview(buffer).cast("B")
        view[:count] = bytes(view[:count]).upper()
        return count

    def read(self, size: int | None = -1) -> Any:
        """
        In capitals.
        """
        return (super().read(size) or b"").upper()


class FileTests(TCPBackend, ThreadsTestCase):
    """
    C{wsgi.file_wrapper}.
    """

    WHOLE = b"some bytes of a file, " * 40_000

    def setUp(self) -> None:
        """
        Make the file, and count what goes out by sendfile.
        """
        super().setUp()
        self.path = self.mktemp()
        with open(self.path, "wb") as file:
            file.write(self.WHOLE)
        self.direct = 0
        sendfile = os.sendfile

        def counting(*arguments: Any) -> int:
            sent = sendfile(*arguments)
            self.direct += sent
            return sent

        self.patch(os, "sendfile", counting)

    async def fetch(
        self, make: Callable[[], Any], fields: Any = (), method: bytes = b"GET"
    ) -> tuple[Any, Any]:
        """
        What arrives of a file, and the file.
        """
        files = []

        def application(environ: Any, start: Any) -> Any:
            start("200 OK", list(fields))
            files.append(make())
            return environ["wsgi.file_wrapper"](files[-1], 50_000)

        peer = await self.serve(application)
        peer.methods = [method]
        peer.send(get(method=method))
        self.direct = 0
        (response,) = await peer.responses(1)
        await self.wait(lambda: not self.resource._calls)
        return response, files[-1]

    def opened(self, position: int = 0) -> Any:
        """
        The file.
        """
        file = open(self.path, "rb")  # noqa: SIM115
        file.seek(position)
        return file

    async def test_direct(self) -> None:
        """
        A file goes out by sendfile, with its length, from where it stands, and
        is closed.
        """
        for position in (0, 1000):
            response, file = await self.fetch(partial(self.opened, position))
            self.assertEqual(self.WHOLE[position:], response.body)
            self.assertEqual("length", response.framing)
            self.assertEqual(len(self.WHOLE) - position, self.direct)
            await self.wait(partial(getattr, file, "closed"))

    async def test_raw(self) -> None:
        """
        A file without a buffer, too.
        """
        response, file = await self.fetch(lambda: io.FileIO(self.path))
        self.assertEqual(self.WHOLE, response.body)
        self.assertEqual(len(self.WHOLE), self.direct)
        await self.wait(lambda: file.closed)

    async def test_part(self) -> None:
        """
        C{Content-Length} may ask for less, or for all.
        """
        for length in (70000, len(self.WHOLE)):
            fields = [("Content-Length", str(length))]
            response, _ = await self.fetch(self.opened, fields)
            self.assertEqual(self.WHOLE[:length], response.body)

    async def test_tooLong(self) -> None:
        """
        But not for more.
        """
        response, file = await self.fetch(self.opened, [("Content-Length", "9999999")])
        self.assertEqual(500, response.status)
        self.assertTrue(file.closed)

    async def test_head(self) -> None:
        """
        HEAD sends none of it.
        """
        response, file = await self.fetch(self.opened, method=b"HEAD")
        self.assertEqual(b"", response.body)
        self.assertEqual(0, self.direct)
        self.assertTrue(file.closed)

    async def test_ownClose(self) -> None:
        """
        A C{close} that somebody has put on the file (Django does) is called when
        all was sent, in the application's thread.
        """
        closed: list[str] = []

        def make() -> Any:
            file: Any = self.opened()
            close = file.close

            def closing() -> None:
                closed.append(threading.current_thread().name)
                close()

            file.close = closing
            return file

        response, _ = await self.fetch(make)
        self.assertEqual(self.WHOLE, response.body)
        self.assertEqual(len(self.WHOLE), self.direct)
        self.assertEqual(["wsgi-0"], closed)

    async def test_shrinks(self) -> None:
        """
        A file that has become shorter when it is sent is closed, too: no thread waits
        for its end for ever.
        """
        closed: list[str] = []

        def longer(wrapper: Any) -> Any:
            found = region_of(wrapper)
            assert found is not None
            return replace(found, length=found.length + 1)

        self.patch(call, "region_of", longer)
        for own in (True, False):
            file: Any = self.opened()

            def closing(close: Callable[[], object] = file.close) -> None:
                closed.append("own")
                close()

            if own:
                file.close = closing

            def application(environ: Any, start: Any, file: Any = file) -> Any:
                start("200 OK", [])
                return environ["wsgi.file_wrapper"](file)

            peer = await self.serve(application)
            peer.send(get())
            await self.wait(partial(getattr, file, "closed"))
            await self.wait(lambda: not self.resource._calls)
        self.assertEqual(["own"], closed)
        self.assertEqual(2, len(self.flushLoggedErrors(ValueError)))

    async def test_overridden(self) -> None:
        """
        What is read is sent: files that are not plainly files, or not any more,
        are read by their own methods.
        """
        loud = self.WHOLE.upper()

        def patched() -> Any:
            file: Any = self.opened()
            read = file.read
            file.read = lambda size=-1: read(size).upper()
            return file

        def delegating() -> Any:
            class Delegating:
                def __init__(self, file: Any) -> None:
                    self.file = file

                def __getattr__(self, name: str) -> Any:
                    return getattr(self.file, name)

                def read(self, size: int = -1) -> bytes:
                    data: bytes = self.file.read(size)
                    return data.upper()

            return Delegating(self.opened())

        def temporary() -> Any:
            file = tempfile.NamedTemporaryFile()  # noqa: SIM115
            file.write(loud)
            file.seek(0)
            return file

        def patchedRaw() -> Any:
            file: Any = self.opened()
            file.raw.extra = 1
            return file

        makers: list[Callable[[], Any]] = [
            lambda: Shouting(io.FileIO(self.path)),
            lambda: io.BufferedReader(RawShouting(self.path)),
            lambda: RawShouting(self.path),
            patched,
            delegating,
            temporary,
            lambda: io.BytesIO(loud),
        ]
        for make in makers:
            response, _ = await self.fetch(make)
            self.assertEqual(loud, response.body)
            self.assertEqual(0, self.direct)
        response, _ = await self.fetch(patchedRaw)
        self.assertEqual(0, self.direct)
        response, _ = await self.fetch(
            lambda: io.BytesIO(loud), [("Content-Length", "70000")]
        )
        self.assertEqual(loud[:70000], response.body)

    async def test_ownWrapper(self) -> None:
        """
        A C{close} on the wrapper is called, too.
        """
        closed = threading.Event()

        def application(environ: Any, start: Any) -> Any:
            start("200 OK", [])
            wrapper = environ["wsgi.file_wrapper"](self.opened())
            close = wrapper.close

            def closing() -> None:
                closed.set()
                close()

            wrapper.close = closing
            return wrapper

        peer = await self.serve(application)
        peer.send(get())
        (response,) = await peer.responses(1)
        self.assertEqual(self.WHOLE, response.body)
        await self.wait(closed.is_set)

    async def test_noThread(self) -> None:
        """
        No thread is kept while a file is sent: with one thread there can be many
        slow downloads.
        """
        with open(self.path, "ab") as file:
            file.truncate(30_000_000)

        def application(environ: Any, start: Any) -> Any:
            start("200 OK", [])
            if environ["PATH_INFO"] == "/short":
                return [b"short"]
            return environ["wsgi.file_wrapper"](self.opened())

        peer = await self.serve(application, maxThreads=1)
        slow = [await self.connect(self.ports[0]) for _ in range(3)]
        for other in slow:
            other.transport.pauseProducing()
            other.send(get())
        await self.turns(50)
        peer.send(get(b"/short"))
        self.assertEqual(b"short", (await peer.responses(1))[0].body)
        for other in slow:
            other.abort()
