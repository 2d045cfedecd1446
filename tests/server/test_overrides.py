"""
Static files never pass by code that somebody has overridden.
"""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from twisted.internet import tcp
from twisted.web import static
from twisted.web.static import File, NoRangeStaticProducer

from tests.support.server_cases import FAST_PATH, GET, ServerTestCase, get, post
from tests.support.socket_cases import TCPBackend, TLSBackend
from twisted_h11._boundary.overrides import overrides
from twisted_h11._server import responding
from twisted_h11._wire.sockets import is_bare_socket
from twisted_h11.server import Request, Site

# Stored in lower case, and served in upper case by whatever is overridden.
LARGE = b"abcdefghij" * 20_000
SMALL = b"abcdefghij" * 100


class Wrapper:
    """
    A file with a C{read} of its own, and all else from the one it wraps.
    """

    def __init__(self, file: Any) -> None:
        self.file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def read(self, size: int = -1) -> Any:
        """
        Decrypt.
        """
        return self.file.read(size).upper()


class Reader(io.BufferedReader):
    """
    Overrides C{read}.
    """

    def read(self, size: int | None = -1) -> bytes:
        """
        Decrypt.
        """
        return super().read(size).upper()


class Raw(io.FileIO):
    """
    Overrides what a C{BufferedReader} reads by.
    """

    def readinto(self, buffer: Any) -> int:
        """
        Decrypt.
        """
        count = super().readinto(buffer)
        view = memoryview(buffer)[:count]
        view[:] = bytes(view).upper()
        return count or 0

    def read(self, size: int | None = -1) -> bytes:
        """
        Decrypt.
        """
        return (super().read(-1 if size is None else size) or b"").upper()


def instance(file: Any) -> Any:
    """
    One file whose C{read} was replaced.
    """
    read = file.read
    file.read = lambda size=-1: read(size).upper()
    return file


FILES: dict[str, Callable[[Any], Any]] = {
    "wrapper": Wrapper,
    "subclass": lambda file: Reader(io.FileIO(os.dup(file.fileno()))),
    "raw subclass": lambda file: io.BufferedReader(Raw(os.dup(file.fileno()))),
    "unbuffered subclass": lambda file: Raw(os.dup(file.fileno())),
    "instance": instance,
    "memory": lambda file: io.BytesIO(file.read().upper()),
    "wrapped twice": lambda file: Wrapper(Wrapper(file)),
}


class Opens(File):
    """
    Overrides C{openForReading}.
    """

    how = "wrapper"

    def openForReading(self) -> Any:
        """
        A file that decrypts.
        """
        file = super().openForReading()
        other = FILES[self.how](file)
        if self.how not in ("wrapper", "instance", "wrapped twice"):
            file.close()
        return other


class Producer(NoRangeStaticProducer):
    """
    Overrides a step of producing.
    """

    def resumeProducing(self) -> None:
        """
        Decrypt.
        """
        if self.request:
            data = self.fileObject.read(1000)
            if data:
                self.request.write(data.upper())
            else:
                self.request.unregisterProducer()
                self.request.finish()
                self.stopProducing()


class Makes(File):
    """
    Overrides C{makeProducer}.
    """

    def makeProducer(self, request: Any, fileForReading: Any) -> Any:
        """
        A producer that decrypts.
        """
        super().makeProducer(request, fileForReading)
        return Producer(request, fileForReading)


class MakesOdd(File):
    """
    Returns one producer whose method was replaced.
    """

    def makeProducer(self, request: Any, fileForReading: Any) -> Any:
        """
        A producer that decrypts.
        """
        super().makeProducer(request, fileForReading)
        producer: Any = NoRangeStaticProducer(request, fileForReading)
        producer.resumeProducing = Producer.resumeProducing.__get__(producer)
        return producer


class Writes(Request):
    """
    Overrides C{write}.
    """

    def write(self, data: bytes) -> None:
        """
        Decrypt.
        """
        super().write(data.upper())


class Looks(Request):
    """
    Overrides how its methods are found.
    """

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name == "write":
            return lambda data: found(data.upper())
        return found


class SetsWrite(File):
    """
    Replaces C{write} in one request.
    """

    def render(self, request: Any) -> Any:
        """
        Render.
        """
        write = request.write
        request.write = lambda data: write(data.upper())
        return super().render(request)


class Counts(Request):
    """
    Overrides the steps around the content.
    """

    calls: list[str] = []  # noqa: RUF012 (one for all)

    def unregisterProducer(self) -> None:
        """
        Count.
        """
        self.calls.append("unregisterProducer")
        super().unregisterProducer()

    def finish(self) -> None:
        """
        Count.
        """
        self.calls.append("finish")
        super().finish()


class Bodies:
    """
    Gets what a resource answers.
    """

    open: Any
    mktemp: Any
    assertTrue: Any

    def file(self, content: bytes, kind: type[File] = File) -> Any:
        """
        A resource for a file with C{content}.
        """
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(content)
        resource = kind(path)
        resource.isLeaf = True
        return resource

    async def body(self, resource: Any, *fields: bytes, factory: Any = None) -> bytes:
        """
        The body that a client gets.
        """
        site = Site(resource, requestFactory=factory, fastPath=FAST_PATH)
        peer = await self.open(site)
        peer.send(get(b"/", *fields) if fields else GET)
        (response,) = await peer.responses(1)
        self.assertTrue(response.complete)
        peer.close()
        await peer.gone()
        body: bytes = response.body
        return body


class Noting(Request):
    """
    Notes how it is given its body.
    """

    calls: list[Any] = []  # noqa: RUF012 (one for all)
    closes = False

    def gotLength(self, length: int | None) -> None:
        """
        Note, and close if so asked.
        """
        self.calls.append(length)
        super().gotLength(length)
        if self.closes:
            self.channel.loseConnection()

    def handleContentChunk(self, data: bytes) -> None:
        """
        Note.
        """
        self.calls.append(bytes(data))
        super().handleContentChunk(data)

    def process(self) -> None:
        """
        Note.
        """
        self.calls.append("process")
        super().process()


class Closing(Noting):
    """
    Closes the connection when it knows the length.
    """

    closes = True


class BodyTests(ServerTestCase):
    """
    The body of a request whose class overrides how it is given it.
    """

    def given(self, factory: type[Noting], *pieces: bytes) -> list[Any]:
        """
        What a request was called with.
        """
        self.patch(Noting, "calls", [])
        self.talk(None, *pieces, requestFactory=factory)
        return Noting.calls

    def test_pieces(self) -> None:
        """
        It gets each piece as it arrives, and none that is empty.
        """
        whole = post(b"hello")
        head = whole[:-5]
        for pieces, found in (
            ((whole,), [b"hello"]),
            ((head, b"hello"), [b"hello"]),
            ((head + b"he", b"l", b"lo"), [b"he", b"l", b"lo"]),
        ):
            given = self.given(Noting, *pieces)
            self.assertEqual([5, *found, "process"], given, pieces)

    def test_closed(self) -> None:
        """
        If it closes the connection before, it gets none.
        """
        for pieces in (
            (post(b"hello"),),
            (post(b"hello")[:-5], b"hello"),
            (post(b"hello")[:-3], b"llo"),
        ):
            self.assertEqual([5], self.given(Closing, *pieces), pieces)


class OverrideTests(Bodies, TCPBackend):
    """
    Where the kernel could send the file.
    """

    async def test_files(self) -> None:
        """
        Files that are not what C{open} returns are read, whole and by range.
        """
        for how in FILES:
            for content in (SMALL, LARGE):
                resource = self.file(content, Opens)
                resource.how = how
                self.assertEqual(content.upper(), await self.body(resource), how)
                last = len(content) - 2
                found = await self.body(resource, b"Range: bytes=3-%d" % last)
                self.assertEqual(content[3 : last + 1].upper(), found, how)
                found = await self.body(resource, b"Range: bytes=0-1,3-%d" % last)
                self.assertIn(content[3 : last + 1].upper(), found, how)

    async def test_compressed(self) -> None:
        """
        A file that decompresses has the descriptor of what is compressed.
        """

        class Compressed(File):
            def openForReading(self) -> Any:
                return gzip.open(self.path)

            def getFileSize(self) -> int:
                return len(LARGE)

        resource = self.file(gzip.compress(LARGE), Compressed)
        self.assertEqual(LARGE, await self.body(resource))

    async def test_producers(self) -> None:
        """
        A producer that overrides something produces.
        """
        for kind in (Makes, MakesOdd):
            for content in (SMALL, LARGE):
                resource = self.file(content, kind)
                self.assertEqual(content.upper(), await self.body(resource), kind)

    async def test_requests(self) -> None:
        """
        A request that overrides C{write}, in whatever way, writes.
        """

        def write(self: Request, data: bytes) -> None:
            original(self, data.upper())

        original = Request.write
        for content in (SMALL, LARGE):
            resource = self.file(content)
            for factory in (Writes, Looks):
                found = await self.body(resource, factory=factory)
                self.assertEqual(content.upper(), found, factory)
            found = await self.body(self.file(content, SetsWrite))
            self.assertEqual(content.upper(), found)
            with patch.object(Request, "write", write):
                self.assertEqual(content.upper(), await self.body(resource))
                page = static.Data(content, "text/plain")
                page.isLeaf = True
                self.assertEqual(content.upper(), await self.body(page))

    async def test_steps(self) -> None:
        """
        A request that overrides what comes after the content is called.
        """
        for content in (SMALL, LARGE):
            Counts.calls.clear()
            found = await self.body(self.file(content), factory=Counts)
            self.assertEqual(content, found)
            self.assertEqual(["unregisterProducer", "finish"], Counts.calls)

    async def test_nothingOverridden(self) -> None:
        """
        Where nothing is overridden, the kernel sends the file.
        """

        class Other(Request):
            def somethingElse(self) -> None:
                """
                No matter.
                """

        real, sent = os.sendfile, []

        def sendfile(*args: Any) -> int:
            sent.append(real(*args))
            return sent[-1]

        with patch("os.sendfile", sendfile):
            for factory in (None, Other):
                self.assertEqual(
                    LARGE, await self.body(self.file(LARGE), factory=factory)
                )
        self.assertEqual(2 * len(LARGE), sum(sent))

    def test_names(self) -> None:
        """
        An override is seen in a subclass, a mixin, an instance, or a class that was
        changed later.
        """

        class Mixin:
            def write(self) -> None:
                """
                Something else.
                """

        class Base:
            def write(self) -> None:
                """
                Something.
                """

        class Plain(Base):
            """
            Nothing else.
            """

        class Mixed(Mixin, Base):
            """
            Something else.
            """

        one: Any = Base()
        self.assertFalse(overrides(one, Base, ["write"]))
        self.assertFalse(overrides(Plain(), Base, ["write"]))
        self.assertTrue(overrides(Mixed(), Base, ["write"]))
        one.write = print
        self.assertTrue(overrides(one, Base, ["write"]))
        Plain.write = print  # type: ignore[assignment,method-assign]
        self.assertTrue(overrides(Plain(), Base, ["write"]))

    def test_ours(self) -> None:
        """
        The methods that are looked for are there.
        """
        for name in responding._WRITING:
            self.assertTrue(callable(getattr(Request, name)))


class TLSOverrideTests(TLSBackend, OverrideTests):
    """
    Where it could not.
    """

    async def test_nothingOverridden(self) -> None:
        """
        Nothing is sent below TLS.
        """
        with patch("os.sendfile", side_effect=AssertionError):
            self.assertEqual(LARGE, await self.body(self.file(LARGE)))


class TransportTests(Bodies, TCPBackend):
    """
    What the kernel is passed by.
    """

    async def test_transports(self) -> None:
        """
        A transport that overrides C{write} gets everything to write.
        """
        written = []

        class Replaces(File):
            def render(self, request: Any) -> Any:
                transport = request.channel.transport
                real = transport.write

                def write(data: bytes) -> None:
                    written.append(len(data))
                    real(data)

                transport.write = write
                return super().render(request)

        self.assertEqual(LARGE, await self.body(self.file(LARGE, Replaces)))
        self.assertTrue(sum(written) >= len(LARGE))

        class Server(tcp.Server):
            pass

        self.assertFalse(is_bare_socket(Server.__new__(Server)))
