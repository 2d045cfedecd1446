"""
HEAD, 1xx, 204, 304: no body on the wire, whatever the application writes.
"""

from __future__ import annotations

from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.static import File

from tests.support.responses import WireResponse
from tests.support.server_cases import GET, ServerTestCase, get

HEAD = get(method=b"HEAD")


class OnlyGet(Resource):
    """
    Implements GET; C{later} answers in a later turn.
    """

    isLeaf = True

    def __init__(self, clock: Any = None) -> None:
        super().__init__()
        self.clock = clock

    def render_GET(self, request: Any) -> Any:
        """
        A body, at once or later.
        """
        request.setHeader(b"X-Seen", request.method)
        if self.clock is None:
            return b"a body"

        def later() -> None:
            request.write(b"a body")
            request.finish()

        self.clock.callLater(1, later)
        return NOT_DONE_YET


class HeadTests(ServerTestCase):
    """
    RFC 9110 section 9.3.2.
    """

    def head(self, resource: Any, data: bytes = HEAD) -> WireResponse:
        """
        The response to a HEAD, after which a GET must work.
        """
        wire = self.connect(self.site(resource))
        wire.methods = [b"HEAD", b"GET"]
        wire.send(data)
        wire.advance(2)
        wire.send(GET)
        wire.advance(2)
        responses = wire.responses
        self.assertEqual(2, len(responses), wire.output)
        self.assertEqual(b"a body", responses[1].body)
        return responses[0]

    def test_faked(self) -> None:
        """
        HEAD of a resource that has only GET is GET without the body.
        """
        response = self.head(OnlyGet())
        self.assertEqual(b"6", response.get(b"content-length"))

    def test_fakedLater(self) -> None:
        """
        Also where GET answers later.
        """
        response = self.head(OnlyGet(self.clock))
        self.assertEqual(200, response.status)

    def test_written(self) -> None:
        """
        What an application writes in answer to HEAD does not go out.
        """

        def render(request: Any) -> None:
            request.setHeader(b"Content-Length", b"6")
            request.write(b"a bo")
            request.write(b"dy")
            request.finish()

        response = self.head(render)
        self.assertEqual(b"6", response.get(b"content-length"))

    def test_writtenWithoutLength(self) -> None:
        """
        Nor where its length is not known.
        """

        def render(request: Any) -> None:
            request.write(b"a body")
            request.finish()

        response = self.head(render)
        self.assertEqual(200, response.status)

    def test_returned(self) -> None:
        """
        Nor what it returns; its length is told.
        """
        response = self.head(lambda request: b"a body")
        self.assertEqual(b"6", response.get(b"content-length"))

    def test_wrongLength(self) -> None:
        """
        A Content-Length that GET would have is no promise to keep in HEAD.
        """

        def render(request: Any) -> Any:
            if request.method == b"HEAD":
                request.setHeader(b"Content-Length", b"1000000")
                request.finish()
                return None
            return b"a body"

        response = self.head(render)
        self.assertEqual(b"1000000", response.get(b"content-length"))


class NoBodyTests(ServerTestCase):
    """
    RFC 9110 sections 15.3.5 and 15.4.5, RFC 9112 section 6.3.
    """

    def answer(self, status: int, *fields: tuple[bytes, bytes]) -> WireResponse:
        """
        The response with C{status} of an application that writes a body.
        """

        def render(request: Any) -> Any:
            if request.uri == b"/next":
                return b"next"
            request.setResponseCode(status)
            for name, value in fields:
                request.setHeader(name, value)
            request.write(b"must not be seen")
            request.finish()
            return None

        wire = self.talk(render, GET, get(b"/next"))
        self.assertEqual([status, 200], wire.statuses, wire.output)
        self.assertEqual(b"next", wire.responses[1].body)
        self.assertNotIn(b"must not", wire.output)
        return wire.responses[0]

    def test_noContent(self) -> None:
        """
        204 has neither a body nor framing fields.
        """
        self.answer(204)
        self.answer(204, (b"Content-Length", b"16"))
        self.answer(204, (b"Transfer-Encoding", b"chunked"))

    def test_notModified(self) -> None:
        """
        304 has no body; a Content-Length tells that of a 200.
        """
        self.assertIsNone(self.answer(304).get(b"transfer-encoding"))
        response = self.answer(304, (b"Content-Length", b"16"))
        self.assertEqual(b"16", response.get(b"content-length"))

    def test_returned(self) -> None:
        """
        A returned body with 204 or 304 does not go out either.
        """
        for status in (204, 304):

            def render(request: Any, status: int = status) -> bytes:
                request.setResponseCode(status)
                return b"must not be seen"

            wire = self.talk(render, GET, GET)
            self.assertEqual([status, status], wire.statuses)
            self.assertNotIn(b"must not", wire.output)

    def test_lengthOfNothing(self) -> None:
        """
        304 does not claim that a 200 would be empty (RFC 9110 8.6), whatever is
        returned or set, by a resource or by Twisted's files.
        """

        def returned(request: Any) -> bytes:
            request.setResponseCode(304)
            return b""

        wire = self.talk(returned, GET, get(method=b"HEAD"))
        wires = [r.get(b"content-length") for r in wire.responses]
        set_ = self.answer(304, (b"Content-Length", b"0")).get(b"content-length")
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(b"abc")
        since = get(b"/", b"If-Modified-Since: Fri, 31 Dec 2100 23:59:59 GMT")
        leaf = File(path)
        leaf.isLeaf = True
        (ofFile,) = self.talk(leaf, since).responses
        self.assertEqual(304, ofFile.status)
        self.assertEqual([None] * 4, [*wires, set_, ofFile.get(b"content-length")])

    def test_defaultType(self) -> None:
        """
        204 and 304 do not get the default Content-Type, however the body is given and
        sent; one that the application has set is kept.
        """

        def answer(request: Any) -> Any:
            request.setResponseCode(int(request.args[b"status"][0]))
            if b"cookie" in request.args:
                request.addCookie(b"a", b"b")
            if b"typed" in request.args:
                request.setHeader(b"Content-Type", b"text/plain")
            if b"written" not in request.args:
                return b"a body"
            request.write(b"a body")
            request.finish()
            return None

        for status in (b"204", b"304"):
            for how in (b"", b"&written=1", b"&cookie=1", b"&cookie=1&written=1"):
                for also, expected in ((b"", None), (b"&typed=1", b"text/plain")):
                    target = b"/?status=" + status + how + also
                    (response,) = self.talk(answer, get(target)).responses
                    self.assertEqual(int(status), response.status)
                    self.assertEqual(expected, response.get(b"Content-Type"), target)

    def test_resetContent(self) -> None:
        """
        205 has a length of zero (RFC 9110 15.3.6).
        """

        def render(request: Any) -> bytes:
            request.setResponseCode(205)
            return b""

        wire = self.talk(render, GET, GET)
        self.assertEqual([205, 205], wire.statuses)
        self.assertEqual([b"", b""], [r.body for r in wire.responses])


class FramingTests(ServerTestCase):
    """
    How the body of a response is framed (RFC 9112 section 6).
    """

    def test_length(self) -> None:
        """
        A returned body has its Content-Length.
        """
        response = self.talk(lambda request: b"hello", GET).only()
        self.assertEqual(b"5", response.get(b"content-length"))
        self.assertIsNone(response.get(b"transfer-encoding"))

    def test_chunked(self) -> None:
        """
        A written body of unknown length is chunked in HTTP/1.1.
        """

        def render(request: Any) -> None:
            request.write(b"one")
            request.write(b"")
            request.write(b"two")
            request.finish()

        response = self.talk(render, GET).only()
        self.assertEqual("chunked", response.framing)
        self.assertEqual(b"onetwo", response.body)
        self.assertTrue(response.complete)

    def test_closeDelimited(self) -> None:
        """
        For HTTP/1.0 it ends with the connection.
        """

        def render(request: Any) -> None:
            request.write(b"one")
            request.write(b"two")
            request.finish()

        wire = self.talk(render, get(version=b"1.0"))
        wire.settle(6)
        response = wire.only()
        self.assertEqual("close", response.framing)
        self.assertEqual(b"onetwo", response.body)
        self.assertTrue(response.closes)
        self.assertTrue(wire.closed)
        self.assertFalse(wire.aborted)

    def test_empty(self) -> None:
        """
        An empty body is framed, too.
        """
        self.assertEqual(
            b"0", self.talk(lambda r: b"", GET).only().get(b"content-length")
        )

        def render(request: Any) -> None:
            request.finish()

        wire = self.talk(render, GET, GET)
        self.assertEqual([200, 200], wire.statuses)
        self.assertEqual([b"", b""], [r.body for r in wire.responses])

    def test_applicationSetsChunked(self) -> None:
        """
        An application that sets Transfer-Encoding itself is framed once.
        """

        def render(request: Any) -> None:
            request.setHeader(b"Transfer-Encoding", b"chunked")
            request.write(b"hello")
            request.finish()

        wire = self.talk(render, GET, GET)
        self.assertEqual([b"hello", b"hello"], [r.body for r in wire.responses])
        self.flushLoggedErrors()

    def test_bothFramings(self) -> None:
        """
        A response never has both Content-Length and Transfer-Encoding.
        """

        def render(request: Any) -> None:
            request.setHeader(b"Transfer-Encoding", b"chunked")
            request.setHeader(b"Content-Length", b"5")
            request.write(b"hello")
            request.finish()

        wire = self.talk(render, GET)
        wire.settle(6)
        response = wire.responses[0]
        self.assertIn(response.status, (200, 500))
        self.flushLoggedErrors()

    def test_firstWriteComesAtOnce(self) -> None:
        """
        What is written goes out before the response is finished.
        """
        requests: list[Any] = []
        wire = self.talk(requests.append, GET)
        self.assertEqual(b"", wire.output)
        requests[0].write(b"first")
        self.assertIn(b"first", wire.output)
        requests[0].write(b"second")
        self.assertIn(b"second", wire.output)
        requests.pop().finish()
        self.assertTrue(wire.only().complete)
