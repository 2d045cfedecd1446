"""
Responses that leave compressed: which, and what their heads say.
"""

from __future__ import annotations

import gzip
import os
import zlib
from functools import partial
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Cooperator
from twisted.web import server
from twisted.web.resource import EncodingResourceWrapper
from twisted.web.server import GzipEncoderFactory
from twisted.web.static import File

import twisted_h11._wire.producers
from tests.support.server_cases import Calls, ServerTestCase, get
from twisted_h11.server import Compression, Request

TEXT = b"It is a truth universally acknowledged, " * 100
TAKES = b"Accept-Encoding: gzip, br"


class CompressionTestCase(ServerTestCase):
    """
    A site that compresses.
    """

    compression: ClassVar[dict[str, Any]] = {}

    def ask(
        self,
        resource: Any,
        *fields: bytes,
        method: bytes = b"GET",
        target: bytes = b"/",
        limits: dict[str, Any] | None = None,
    ) -> Any:
        """
        One request: its response.
        """
        site = self.site(
            resource, compression=Compression(**self.compression), limits=limits
        )
        return self.answer(site, *fields, method=method, target=target)

    def answer(
        self,
        site: Any,
        *fields: bytes,
        method: bytes = b"GET",
        target: bytes = b"/",
    ) -> Any:
        """
        The response of a site.
        """
        wire = self.connect(site)
        wire.send(get(target, *fields, method=method))
        wire.settle(1)
        for _ in range(20):
            wire.settle(0)
        return wire.responses[-1]

    def text(self, *fields: tuple[bytes, bytes], code: int = 200) -> Any:
        """
        A function that answers with C{TEXT}.
        """

        def render(request: Any) -> bytes:
            request.setHeader(b"Content-Type", b"text/plain")
            request.setResponseCode(code)
            for name, value in fields:
                request.setHeader(name, value)
            return TEXT

        return render


class WhichTests(CompressionTestCase):
    """
    Which responses are compressed.
    """

    def test_whole(self) -> None:
        """
        A response in one piece is compressed, with its length.
        """
        response = self.ask(self.text(), TAKES)
        self.assertEqual(response.all(b"Content-Encoding"), [b"gzip"])
        self.assertEqual(response.all(b"Vary"), [b"Accept-Encoding"])
        length = int(response.all(b"Content-Length")[0])
        self.assertEqual(len(response.body), length)
        self.assertLess(length, len(TEXT) / 10)
        self.assertEqual(gzip.decompress(response.body), TEXT)

    def test_notTaken(self) -> None:
        """
        Who does not take gzip gets the content as it is, and caches learn that there
        are two.
        """
        for fields in ([], [b"Accept-Encoding: br"], [b"Accept-Encoding: gzip;q=0"]):
            response = self.ask(self.text(), *fields)
            self.assertEqual(response.body, TEXT)
            self.assertEqual(response.all(b"Content-Encoding"), [])
            self.assertEqual(response.all(b"Vary"), [b"Accept-Encoding"])

    def test_not(self) -> None:
        """
        What is compressed already, a part, of another type, short, without content, or
        said to stay as it is, stays as it is.
        """
        for fields, code in (
            ([(b"Content-Encoding", b"br")], 200),
            ([(b"Content-Type", b"image/png")], 200),
            ([(b"Content-Type", b"text/event-stream")], 200),
            ([(b"Content-Type", b"nonsense")], 200),
            ([(b"Cache-Control", b"private, No-Transform")], 200),
            ([], 204),
            ([], 304),
            ([(b"Content-Range", b"bytes 0-3999/9999")], 206),
        ):
            response = self.ask(self.text(*fields, code=code), TAKES)
            expected = [value for name, value in fields if name == b"Content-Encoding"]
            self.assertEqual(response.all(b"Content-Encoding"), expected, fields)
            if code == 200:
                self.assertEqual(response.body, TEXT)
                self.assertEqual(response.all(b"Vary"), [], fields)

    def test_eventsOfAKind(self) -> None:
        """
        C{text/*} leaves C{text/event-stream} as it is; only its own name compresses it.
        """
        events = self.text((b"Content-Type", b"text/event-stream; charset=utf-8"))
        for types, coding in (
            (["text/*"], []),
            (["text/*", "text/event-stream"], [b"gzip"]),
        ):
            for resource, expected in ((events, coding), (self.text(), [b"gzip"])):
                site = self.site(resource, compression=Compression(types=types))
                response = self.answer(site, TAKES)
                self.assertEqual(response.all(b"Content-Encoding"), expected)

    def test_varies(self) -> None:
        """
        A part of a text, and the news that it has not changed, say that there are two.
        """
        for code in (206, 304):
            for fields in ([TAKES], []):
                response = self.ask(self.text(code=code), *fields)
                self.assertEqual(response.all(b"Vary"), [b"Accept-Encoding"], code)
                self.assertEqual(response.all(b"Content-Encoding"), [])

    def test_short(self) -> None:
        """
        What is shorter than it is worth, or would grow, stays as it is.
        """
        for content in (b"", b"x" * 1023, os.urandom(4000)):

            def render(request: Any, content: bytes = content) -> bytes:
                request.setHeader(b"Content-Type", b"text/plain")
                return content

            response = self.ask(render, TAKES)
            self.assertEqual(response.body, content)
            self.assertEqual(response.all(b"Content-Encoding"), [])

    def test_types(self) -> None:
        """
        The list of types may be another one, with stars, in any case.
        """
        types = {"types": ["Image/PNG", "font/*"]}
        self.patch(type(self), "compression", types)
        for kind, compressed in (
            (b"image/png", True),
            (b"IMAGE/png; x=y", True),
            (b"font/ttf", True),
            (b"text/html", False),
        ):
            response = self.ask(self.text((b"Content-Type", kind)), TAKES)
            self.assertEqual(bool(response.all(b"Content-Encoding")), compressed, kind)

    def test_wrong(self) -> None:
        """
        A level or a type that there is not is an error.
        """
        for wrong in ({"level": 0}, {"level": 10}, {"types": ["text"]}):
            given: dict[str, Any] = wrong
            message = self.raised(ValueError, partial(Compression, **given))
            self.assertIn(str(next(iter(given.values()))).strip("[]'"), message)

    def test_most(self) -> None:
        """
        Beyond C{Limits.maxCompressors} responses leave as they are; one that has ended
        or was cut counts no more.
        """
        requests: list[Any] = []

        def render(request: Any) -> Any:
            request.setHeader(b"Content-Type", b"text/plain")
            request.write(TEXT)
            requests.append(request)
            return server.NOT_DONE_YET

        site = self.site(
            render, compression=Compression(), limits={"maxCompressors": 2}
        )

        def compressed() -> bool:
            wire = self.connect(site)
            wire.send(get(b"/", TAKES))
            return b"Content-Encoding: gzip" in bytes(wire.transport.output)

        self.assertEqual([compressed() for _ in range(3)], [True, True, False])
        requests[0].finish()
        requests[0] = None
        self.assertEqual([compressed() for _ in range(2)], [True, False])
        self.wires[1].vanish()
        requests[1] = None
        self.assertEqual([compressed() for _ in range(2)], [True, False])
        for request in requests:
            if request is not None:
                request.finish()


class PiecesTests(CompressionTestCase):
    """
    Responses that come in pieces.
    """

    def test_each(self) -> None:
        """
        Each piece of a response without a length arrives when it is written.
        """
        requests: list[Any] = []

        def render(request: Any) -> Any:
            request.setHeader(b"Content-Type", b"text/html")
            requests.append(request)
            return server.NOT_DONE_YET

        wire = self.connect(self.site(render, compression=Compression()))
        wire.send(get(b"/", TAKES))
        got, decoder = b"", zlib.decompressobj(31)
        for piece in (b"one", b"two" * 1000, b"three"):
            requests[0].write(piece)
            wire.settle(0)
            got += piece
            self.assertEqual(self.decoded(wire, zlib.decompressobj(31)), got)
        requests.pop().finish()
        wire.settle(0)
        response = wire.responses[-1]
        self.assertEqual(decoder.decompress(response.body), got)
        self.assertTrue(decoder.eof)
        self.assertEqual(response.all(b"Content-Length"), [])

    def decoded(self, wire: Any, decoder: Any) -> bytes:
        """
        What the chunks that have arrived hold.
        """
        content = bytes(wire.transport.output).partition(b"\r\n\r\n")[2]
        encoded = b""
        while content:
            size, _, content = content.partition(b"\r\n")
            encoded += content[: int(size, 16)]
            content = content[int(size, 16) + 2 :]
        found: bytes = decoder.decompress(encoded)
        return found

    def test_length(self) -> None:
        """
        One that says how long it is, and comes in pieces, is compressed without that
        length.
        """

        def render(request: Any) -> Any:
            request.setHeader(b"Content-Type", b"text/html")
            request.setHeader(b"Content-Length", b"%d" % len(TEXT))
            for start in range(0, len(TEXT), 100):
                request.write(TEXT[start : start + 100])
            request.finish()
            return server.NOT_DONE_YET

        response = self.ask(render, TAKES)
        self.assertEqual(response.all(b"Content-Length"), [])
        self.assertEqual(gzip.decompress(response.body), TEXT)

    def encodingSites(self, render: Any) -> list[Any]:
        """
        Sites that encode what C{render} writes: by themselves, and by Twisted's
        wrapper, for our requests and for its own.
        """
        wrapped = EncodingResourceWrapper(Calls(render), [GzipEncoderFactory()])
        return [
            self.site(render, compression=Compression()),
            self.site(wrapped),
            self.site(wrapped, requestFactory=server.Request),
        ]

    def test_cut(self) -> None:
        """
        One that ends before the length that it said is cut off, although that length
        was left out; so is one that is encoded by Twisted's wrapper, for any class of
        requests.
        """

        def render(request: Any) -> Any:
            request.setHeader(b"Content-Type", b"text/html")
            request.setHeader(b"Content-Length", b"%d" % len(TEXT))
            request.write(TEXT[:1000])
            request.write(TEXT[1000:2000])
            request.finish()
            return server.NOT_DONE_YET

        for site in self.encodingSites(render):
            wire = self.connect(site).send(get(b"/", TAKES))
            wire.settle(60)
            response = wire.responses[-1]
            self.assertEqual(response.all(b"Content-Encoding"), [b"gzip"])
            self.assertFalse(response.complete)
            self.assertTrue(wire.closed)
            wire = self.connect(site).send(get(b"/", TAKES, version=b"1.0"))
            wire.settle(60)
            self.assertTrue(wire.transport.aborted)
            wire = self.connect(site).send(get(b"/", TAKES, method=b"HEAD"))
            wire.settle(0)
            self.assertFalse(wire.closed)
        told = [text for text in self.messages() if "sent less" in text]
        self.assertEqual(6, len(told))
        self.assertIn("Content-Length", told[0])

    def test_excess(self) -> None:
        """
        What is written beyond the length that it said is dropped, although that length
        was left out, and the log says so, once; so it is if Twisted's wrapper encodes
        it, for any class of requests.
        """

        def render(request: Any) -> Any:
            request.setHeader(b"Content-Type", b"text/html")
            request.setHeader(b"Content-Length", b"%d" % len(TEXT))
            for piece in (TEXT[:1000], TEXT[1000:] + b"more", b"still more"):
                request.write(piece)
            request.finish()
            return server.NOT_DONE_YET

        for site in self.encodingSites(render):
            self.events.clear()
            response = self.answer(site, TAKES)
            self.assertEqual(response.all(b"Content-Encoding"), [b"gzip"])
            self.assertEqual(gzip.decompress(response.body), TEXT)
            self.assertTrue(response.complete)
            told = [text for text in self.messages() if "sent more" in text]
            self.assertEqual(1, len(told))

    def test_later(self) -> None:
        """
        One that comes later, whole, is compressed with its length.
        """
        waiting: Deferred[bytes] = Deferred()

        def render(request: Any) -> Any:
            request.setHeader(b"Content-Type", b"text/html")
            return waiting

        wire = self.connect(self.site(render, compression=Compression()))
        wire.send(get(b"/", TAKES))
        waiting.callback(TEXT)
        wire.settle(0)
        response = wire.responses[-1]
        self.assertEqual(response.all(b"Content-Encoding"), [b"gzip"])
        self.assertEqual(gzip.decompress(response.body), TEXT)

    def test_head(self) -> None:
        """
        HEAD is answered as GET, without the length that nobody knows.
        """
        response = self.ask(self.text(), TAKES, method=b"HEAD")
        self.assertEqual(response.body, b"")
        self.assertEqual(response.all(b"Content-Encoding"), [b"gzip"])
        self.assertEqual(response.all(b"Content-Length"), [])
        response = self.ask(self.text(), method=b"HEAD")
        self.assertEqual(response.all(b"Content-Length"), [b"%d" % len(TEXT)])

    def test_nothingWritten(self) -> None:
        """
        So is it where the resource ends the response without any content.
        """

        def render(request: Any) -> Any:
            request.setHeader(b"Content-Type", b"text/html")
            request.finish()
            return server.NOT_DONE_YET

        response = self.ask(render, TAKES, method=b"HEAD")
        self.assertEqual(response.all(b"Content-Encoding"), [b"gzip"])
        self.assertEqual(response.all(b"Content-Length"), [])

    def test_tooMuch(self) -> None:
        """
        What is written beyond the length of a response that was there whole is dropped.
        """

        def render(request: Any) -> Any:
            request.setHeader(b"Content-Type", b"text/html")
            request.setHeader(b"Content-Length", b"%d" % len(TEXT))
            request.write(TEXT)
            request.write(b"more")
            request.finish()
            return server.NOT_DONE_YET

        response = self.ask(render, TAKES)
        self.assertEqual(response.all(b"Content-Length"), [b"%d" % len(response.body)])
        self.assertEqual(gzip.decompress(response.body), TEXT)
        self.assertEqual([], [text for text in self.messages() if "sent more" in text])


class ByResourceTests(CompressionTestCase):
    """
    Resources that encode by themselves.
    """

    def test_wrapper(self) -> None:
        """
        Twisted's wrapper around a resource does it for all requests, also on a site
        that compresses nothing.
        """
        for factory in (Request, server.Request):
            root = EncodingResourceWrapper(Calls(self.text()), [GzipEncoderFactory()])
            site = self.site(root, requestFactory=factory)
            response = self.answer(site, TAKES)
            self.assertEqual(response.all(b"Content-Encoding"), [b"gzip"], factory)
            self.assertEqual(gzip.decompress(response.body), TEXT)

    def test_gone(self) -> None:
        """
        Of a response whose client has gone nobody says that it is too short.
        """
        requests: list[Any] = []

        def render(request: Any) -> Any:
            request.setHeader(b"Content-Length", b"5000")
            request.write(TEXT)
            requests.append(request)
            return server.NOT_DONE_YET

        root = EncodingResourceWrapper(Calls(render), [GzipEncoderFactory()])
        wire = self.connect(self.site(root, requestFactory=server.Request))
        wire.send(get(b"/", TAKES)).vanish()
        self.raised(RuntimeError, requests.pop().finish)
        self.assertEqual([], [text for text in self.messages() if "sent less" in text])

    def test_lengthKept(self) -> None:
        """
        An encoder that leaves the length leaves that of what it makes.
        """

        class Half:
            def encoderForRequest(self, request: Any) -> Any:
                return self

            def encode(self, data: bytes) -> bytes:
                return data[::2]

            def finish(self) -> bytes:
                return b""

        def render(request: Any) -> Any:
            request.setHeader(b"Content-Length", b"50")
            for length in (40, 50, 10):
                request.write(b"ab" * (length // 2))
            request.finish()
            return server.NOT_DONE_YET

        root = EncodingResourceWrapper(Calls(render), [Half()])
        for factory in (Request, server.Request):
            response = self.answer(self.site(root, requestFactory=factory))
            self.assertEqual(b"a" * 50, response.body)
            self.assertTrue(response.complete)

    def test_freed(self) -> None:
        """
        Such a response leaves no request of a foreign class in memory.
        """

        def render(request: Any) -> bytes:
            self.watch("request", request)
            return TEXT

        root = EncodingResourceWrapper(Calls(render), [GzipEncoderFactory()])
        self.answer(self.site(root, requestFactory=server.Request), TAKES)


class ValidatorTests(CompressionTestCase):
    """
    Entity tags of what is compressed.
    """

    def tagged(self, request: Any) -> bytes:
        """
        Render with a tag.
        """
        request.setHeader(b"Content-Type", b"text/plain")
        return b"" if request.setETag(b'"v1"') else TEXT

    def test_weak(self) -> None:
        """
        A strong tag becomes a weak one, however it was set.
        """
        for resource in (self.tagged, self.text((b"ETag", b'"v1"'))):
            response = self.ask(resource, TAKES)
            self.assertEqual(response.all(b"ETag"), [b'W/"v1"'])
            self.assertEqual(self.ask(resource).all(b"ETag"), [b'"v1"'])
        response = self.ask(self.text((b"ETag", b'W/"v1"')), TAKES)
        self.assertEqual(response.all(b"ETag"), [b'W/"v1"'])

    def test_digests(self) -> None:
        """
        A digest of the text as it is says nothing of what is sent.
        """
        names = (b"Repr-Digest", b"Content-Digest", b"Digest", b"Content-MD5")
        resource = self.text(*[(name, b"of the text") for name in names])
        plain, compressed = self.ask(resource), self.ask(resource, TAKES)
        self.assertEqual(compressed.all(b"Content-Encoding"), [b"gzip"])
        for name in names:
            self.assertEqual(plain.all(name), [b"of the text"])
            self.assertEqual(compressed.all(name), [])

    def test_revalidated(self) -> None:
        """
        Either tag is one that the client may have.
        """
        for tag in (b'"v1"', b'W/"v1"', b'"v0", W/"v1"', b"*"):
            response = self.ask(self.tagged, TAKES, b"If-None-Match: " + tag)
            self.assertEqual(response.status, 304, tag)
        response = self.ask(self.tagged, TAKES, b'If-None-Match: "v2"')
        self.assertEqual(response.status, 200)

    def test_text(self) -> None:
        """
        A tag that is text is one like any other.
        """

        def render(request: Any) -> bytes:
            return b"" if request.setETag('"v\u00e9"') else TEXT

        for tag, status in (
            (b'"v\xc3\xa9"', 304),
            (b'W/"v\xc3\xa9"', 304),
            (b'"v"', 200),
        ):
            response = self.ask(render, b"If-None-Match: " + tag)
            self.assertEqual(response.status, status, tag)
            self.assertEqual(response.all(b"ETag"), [b'"v\xc3\xa9"'])

    def test_writes(self) -> None:
        """
        A method that changes something fails where GET would not have changed.
        """
        response = self.ask(
            self.tagged, b'If-None-Match: W/"v1"', b"Content-Length: 0", method=b"PUT"
        )
        self.assertEqual(response.status, 412)

    def test_date(self) -> None:
        """
        Beside C{If-None-Match} a date says nothing (RFC 9110 section 13.1.3).
        """

        def render(request: Any) -> bytes:
            if request.setETag(b'"v1"') or request.setLastModified(0):
                return b""
            return TEXT

        date = b"If-Modified-Since: Thu, 01 Jan 2026 00:00:00 GMT"
        self.assertEqual(self.ask(render, date).status, 304)
        response = self.ask(render, date, b'If-None-Match: "v0"')
        self.assertEqual(response.status, 200)


class FileTests(CompressionTestCase):
    """
    L{File} on a site that compresses.
    """

    def file(self, name: str, content: bytes) -> File:
        """
        A directory with one file.
        """
        path = self.mktemp()
        os.mkdir(path)
        with open(os.path.join(path, name), "wb") as file:
            file.write(content)
        return File(path)

    def test_text(self) -> None:
        """
        A text is compressed: a short one in one piece, with its length.
        """
        cooperator = Cooperator(scheduler=lambda call: self.clock.callLater(0, call))
        self.patch(twisted_h11._wire.producers, "cooperate", cooperator.cooperate)
        self.addCleanup(cooperator.stop)
        for content, lengths in ((TEXT, 1), (TEXT * 100, 0)):
            root = self.file("a.txt", content)
            response = self.ask(root, TAKES, target=b"/a.txt")
            self.assertEqual(gzip.decompress(response.body), content)
            self.assertEqual(response.all(b"Accept-Ranges"), [])
            self.assertEqual(len(response.all(b"Content-Length")), lengths)

    def test_range(self) -> None:
        """
        A range is a range of the file.
        """
        root = self.file("a.txt", TEXT)
        for fields in ([TAKES], []):
            response = self.ask(root, b"Range: bytes=3-7", *fields, target=b"/a.txt")
            self.assertEqual((response.status, response.body), (206, TEXT[3:8]))
            self.assertEqual(response.all(b"Content-Encoding"), [])

    def test_picture(self) -> None:
        """
        A picture is not.
        """
        root = self.file("a.png", TEXT)
        response = self.ask(root, TAKES, target=b"/a.png")
        self.assertEqual(response.body, TEXT)
        self.assertEqual(response.all(b"Content-Length"), [b"%d" % len(TEXT)])
