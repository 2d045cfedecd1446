"""
A response is as long as it says, or it visibly is not; the log has what was wrong.
"""

from __future__ import annotations

from functools import partial
from itertools import product
from types import SimpleNamespace
from typing import Any

from twisted.web import server
from twisted.web.resource import EncodingResourceWrapper

from tests.support.server_cases import GET, Calls, ServerTestCase, get
from tests.support.wire import Wire
from twisted_h11._server.cycle import Cycle
from twisted_h11.server import Request

OLD = get(version=b"1.0")


class LengthTests(ServerTestCase):
    """
    Of an application that says a length of four.
    """

    def answered(self, data: bytes, *pieces: bytes, **options: Any) -> Wire:
        """
        The response to a request, in pieces, and what there is in the log.
        """
        self.events.clear()

        def render(request: Any) -> None:
            request.setHeader(b"Content-Length", b"4")
            for piece in pieces:
                request.write(piece)
            request.finish()

        return self.talk(render, data, **options)

    def said(self, text: str) -> int:
        """
        How often the log has a text.
        """
        return sum(text in message for message in self.messages())

    def test_exactly(self) -> None:
        """
        What is as long as it says is complete, and another request may follow.
        """
        for fast in (True, False):
            for factory in (Request, server.Request):
                options = {"fastPath": fast, "requestFactory": factory}
                for pieces in ([b"abcd"], [b"ab", b"", b"cd"], [b"a", b"bcd", b""]):
                    wire = self.answered(GET + GET, *pieces, **options)
                    bodies = [response.body for response in wire.responses]
                    self.assertEqual([b"abcd", b"abcd"], bodies)
                    self.assertFalse(wire.transport.disconnecting)
                    self.assertEqual([], self.messages())

    def test_more(self) -> None:
        """
        What is more does not go out; the log says so, once, and the connection closes.
        """
        for fast in (True, False):
            for pieces in (
                [b"abcdef"],
                [b"abcd", b"e"],
                [b"abc", b"def", b"ghi", b"jkl"],
            ):
                wire = self.answered(GET + GET, *pieces, fastPath=fast)
                self.assertEqual(b"abcd", wire.only().body)
                self.assertTrue(wire.only().complete)
                self.assertEqual(1, self.said("sent more than its Content-Length"))
                wire.settle(6)
                self.assertTrue(wire.closed)
                self.assertFalse(wire.aborted)

    def test_moreInTheLog(self) -> None:
        """
        The access log has the length that was sent.
        """

        def render(request: Any, pieces: list[bytes]) -> None:
            request.setHeader(b"Content-Length", b"4")
            for piece in pieces:
                request.write(piece)
            request.finish()

        for factory in (Request, server.Request):
            for pieces in ([b"abcdef"], [b"ab", b"cdef"], [b"abcd", b"e", b"fg"]):
                resource = partial(render, pieces=pieces)
                site = self.site(resource, start=True, requestFactory=factory)
                self.connect(site).send(GET)
                self.assertIn('HTTP/1.1" 200 4 ', site.access.getvalue())

    def test_moreBehindTheEnd(self) -> None:
        """
        What is more than the length is dropped and logged, whoever has written it.
        """
        owner: Any = SimpleNamespace(persistent=True)
        nothing: Any = None
        Cycle(owner, nothing, nothing, None).tooLong(3)
        self.assertFalse(owner.persistent)
        self.assertEqual(1, self.said("sent more than its Content-Length"))

    def test_less(self) -> None:
        """
        What is less can not be told from what was lost: the connection closes, and
        the log says why.
        """
        for fast in (True, False):
            for data in (GET + GET, OLD):
                for pieces in ([b"abc"], [b"a", b"b"], [b""]):
                    wire = self.answered(data, *pieces, fastPath=fast)
                    self.assertEqual(1, self.said("sent less than its Content-Length"))
                    wire.settle(6)
                    self.assertTrue(wire.closed)
                    self.assertFalse(wire.aborted)
                    self.assertEqual(b"".join(pieces), wire.only().body)
                    self.assertFalse(wire.only().complete)

    def test_lessBecauseTheClientHasGone(self) -> None:
        """
        Nothing is said of an application that ends the response when the transport
        stops its producer, because the client has gone.
        """

        def render(request: Any) -> None:
            def stopProducing() -> None:
                request.unregisterProducer()
                request.finish()

            producer: Any = SimpleNamespace(stopProducing=stopProducing)
            request.setHeader(b"Content-Length", b"4")
            request.registerProducer(producer, True)
            request.write(b"ab")

        data = get(b"/", b"Accept-Encoding: gzip")
        plain: Any = Calls(render)
        encoded = EncodingResourceWrapper(plain, [server.GzipEncoderFactory()])
        for factory, resource in product((Request, server.Request), (plain, encoded)):
            wire = self.connect(self.site(resource, requestFactory=factory)).send(data)
            # As FileDescriptor.connectionLost does.
            wire.channel.stopProducing()
            wire.vanish()
            self.assertEqual([], self.messages())

    def test_withoutContent(self) -> None:
        """
        Of a response to HEAD nothing is missing.
        """
        head = get(method=b"HEAD")
        wire = self.answered(head + head)
        wire.methods += [b"HEAD", b"HEAD"]
        self.assertEqual([200, 200], wire.statuses)
        self.assertEqual([], self.messages())


class TrailerTests(ServerTestCase):
    """
    Of an application that has trailers.
    """

    def test_values(self) -> None:
        """
        White space around a value is not sent, and nothing else is left out.
        """

        def render(request: Any) -> None:
            request.write(b"hello")
            request.responseTrailers.setRawHeaders(b"X-Sum", [b" \t!5! \t"])
            request.finish()

        wire = self.talk(render, GET)
        self.assertEqual([(b"x-sum", b"!5!")], wire.only().trailers)

    def test_complaints(self) -> None:
        """
        The log has why they are not sent: the response is not chunked, or they are
        malformed.
        """
        for name, length, data, text in (
            (b"X-Sum", b"5", GET, "has trailers, but its response is not chunked"),
            (b"X-Sum", None, OLD, "has trailers, but its response is not chunked"),
            (b"Trailer", None, GET, "can not be sent here"),
        ):
            self.events.clear()

            def render(
                request: Any, name: bytes = name, length: bytes | None = length
            ) -> None:
                if length is not None:
                    request.setHeader(b"Content-Length", length)
                request.write(b"hello")
                request.responseTrailers.setRawHeaders(name, [b"5"])
                request.finish()

            wire = self.talk(render, data)
            self.assertEqual(1, sum(text in one for one in self.messages()), text)
            wire.settle(6)
            self.assertEqual(length is None, wire.closed)
            self.assertEqual(b"hello", wire.only().body)
            self.assertEqual(name != b"Trailer", wire.only().complete)
