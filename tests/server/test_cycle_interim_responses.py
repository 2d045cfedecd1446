"""
Interim responses: 100, 102 and 103, before the final one.
"""

from __future__ import annotations

from typing import Any

from twisted.web.http_headers import Headers
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.server import Request as TwistedRequest

from tests.support.server_cases import GET, ServerTestCase, get
from twisted_h11.server import Request

HINT = (b"Link", b"</style.css>; rel=preload; as=style")


class InterimTests(ServerTestCase):
    """
    C{sendInterim}.
    """

    def ask(self, function: Any, request: bytes = GET, **options: Any) -> Any:
        """
        Answer by a function that may send interim responses.
        """
        return self.talk(function, request, **options)

    def test_earlyHints(self) -> None:
        """
        103 goes out at once, with its fields and nothing of the final ones.
        """
        requests: list[Any] = []

        def render(request: Any) -> Any:
            requests.append(request)
            request.setHeader(b"X-Final", b"1")
            self.assertTrue(request.sendInterim(103, [HINT]))
            return NOT_DONE_YET

        wire = self.ask(render)
        self.assertEqual(
            b"HTTP/1.1 103 Early Hints\r\n"
            b"Link: </style.css>; rel=preload; as=style\r\n\r\n",
            wire.output,
        )
        requests.pop().finish()
        wire.pump()
        response = wire.only()
        self.assertEqual(([103], 200), (response.interim, response.status))
        self.assertIsNone(response.get(b"link"))
        self.assertEqual(b"1", response.get(b"x-final"))

    def test_nextByH11(self) -> None:
        """
        Behind an interim response, and a final one in one piece, the next request is
        read, whether its body has a length or chunks.
        """

        def render(request: Any) -> bytes:
            if request.uri == b"/":
                request.sendInterim(103, [HINT])
            return bytes(request.uri)

        chunked = get(b"/b", b"Transfer-Encoding: chunked", method=b"POST")
        wire = self.ask(render)
        wire.send(chunked + b"0\r\n\r\n", GET, get(b"/c"))
        responses = wire.responses
        self.assertEqual([b"/", b"/b", b"/", b"/c"], [one.body for one in responses])
        self.assertEqual(
            [[103], [], [103], []], [response.interim for response in responses]
        )

    def test_several(self) -> None:
        """
        There may be several, of several kinds, and fields as C{Headers}.
        """

        def render(request: Any) -> bytes:
            request.sendInterim(102)
            headers = Headers({b"link": [b"<a>; rel=preload", b"<b>; rel=preload"]})
            request.sendInterim(103, headers)
            request.sendInterim(103, [HINT])
            return b"hello"

        wire = self.ask(render, GET + GET)
        for response in wire.responses:
            self.assertEqual([102, 103, 103], response.interim)
            self.assertEqual(b"hello", response.body)
        self.assertEqual(6, wire.output.count(b"\r\nLink: "))

    def test_explicitContinue(self) -> None:
        """
        100 may be sent by hand, too.
        """

        def render(request: Any) -> bytes:
            request.sendInterim(100)
            return b"hello"

        self.assertEqual([100], self.ask(render).only().interim)

    def test_notInHTTP10(self) -> None:
        """
        A client of HTTP/1.0 gets none (RFC 9110 section 15.2).
        """

        def render(request: Any) -> bytes:
            self.assertFalse(request.sendInterim(103, [HINT]))
            return b"hello"

        wire = self.ask(render, get(version=b"1.0"))
        self.assertEqual(([], b"hello"), (wire.only().interim, wire.only().body))

    def test_notAfterTheHead(self) -> None:
        """
        None is sent once the final response has begun, or is over.
        """
        requests: list[Any] = []

        def render(request: Any) -> Any:
            request.write(b"hel")
            self.assertFalse(request.sendInterim(103, [HINT]))
            request.write(b"lo")
            request.finish()
            self.assertFalse(request.sendInterim(103, [HINT]))
            return NOT_DONE_YET

        wire = self.ask(render)
        self.assertEqual(([], b"hello"), (wire.only().interim, wire.only().body))
        requests.clear()

    def test_notToNobody(self) -> None:
        """
        Nor when the client has gone.
        """
        requests: list[Any] = []

        def render(request: Any) -> Any:
            requests.append(request)
            return NOT_DONE_YET

        self.ask(render).vanish()
        self.assertFalse(requests.pop().sendInterim(103, [HINT]))

    def test_wrongStatus(self) -> None:
        """
        Another status, and 101, are a ValueError.
        """

        def render(request: Any) -> bytes:
            for status in (99, 101, 200, 404):
                self.raised(ValueError, request.sendInterim, status)
            return b"hello"

        self.assertEqual([], self.ask(render).only().interim)

    def test_wrongFields(self) -> None:
        """
        Fields that can not be sent are a ValueError, and nothing goes out.
        """

        def render(request: Any) -> bytes:
            for name, value in (
                (b"Link", b"a\r\nX-Evil: 1"),
                (b"Li nk", b"a"),
                (b"Link", b"a\x00"),
                (b"", b"a"),
                (b"Content-Length", b"5"),
                (b"Transfer-Encoding", b"chunked"),
            ):
                self.raised(ValueError, request.sendInterim, 103, [(name, value)])
            return b"hello"

        wire = self.ask(render)
        self.assertEqual(([], b"hello"), (wire.only().interim, wire.only().body))
        self.assertNotIn(b"X-Evil", wire.output)

    def test_beforeHead(self) -> None:
        """
        HEAD may have them as well.
        """

        class Hinting(Resource):
            isLeaf = True

            def render_GET(self, request: Any) -> bytes:
                request.sendInterim(103, [HINT])
                return b"hello"

        wire = self.connect(self.site(Hinting()))
        wire.methods = [b"HEAD"]
        wire.send(get(method=b"HEAD"))
        self.assertEqual([103], wire.only().interim)

    def test_keepsAlive(self) -> None:
        """
        The connection goes on, by the state machine or past it.
        """

        def render(request: Any) -> bytes:
            if request.path == b"/hint":
                request.sendInterim(103, [HINT])
            return request.path  # type: ignore[no-any-return]

        for fast in (True, False):
            wire = self.ask(
                render, get(b"/a") + get(b"/hint") + get(b"/b"), fastPath=fast
            )
            self.assertEqual([[], [103], []], [r.interim for r in wire.responses])

    def test_besideTwistedsRequest(self) -> None:
        """
        A site whose requests are twisted.web's answers without them, on the
        same connection as a client that could have had one.
        """
        sent: list[object] = []

        def render(request: Any) -> bytes:
            hint = getattr(request, "sendInterim", None)
            sent.append(hint(103, [HINT]) if hint is not None else None)
            return b"page"

        for factory, expected in ((TwistedRequest, [None]), (Request, [True])):
            wire = self.talk(render, GET, requestFactory=factory)
            self.assertEqual(expected, sent)
            self.assertEqual([103] if expected[0] else [], wire.only().interim)
            self.assertEqual(b"page", wire.only().body)
            sent.clear()


class ResponseTrailerTests(ServerTestCase):
    """
    Trailers in both directions.
    """

    def test_sent(self) -> None:
        """
        C{responseTrailers} follow a chunked response.
        """

        def render(request: Any) -> Any:
            request.setHeader(b"Trailer", b"X-Sum")
            request.write(b"hello")
            request.responseTrailers.setRawHeaders(b"X-Sum", [b"5"])
            request.finish()
            return NOT_DONE_YET

        for fast in (True, False):
            wire = self.talk(render, GET + GET, fastPath=fast)
            self.assertEqual([200, 200], wire.statuses)
            for response in wire.responses:
                self.assertEqual("chunked", response.framing)
                self.assertEqual([(b"x-sum", b"5")], response.trailers)
                self.assertEqual(b"hello", response.body)

    def test_notWithALength(self) -> None:
        """
        A response that is not chunked has none; that is logged, and the
        response is whole.
        """

        def render(request: Any) -> bytes:
            request.responseTrailers.setRawHeaders(b"X-Sum", [b"5"])
            return b"hello"

        for request in (GET, get(version=b"1.0")):
            wire = self.talk(render, request)
            self.assertEqual((b"hello", []), (wire.only().body, wire.only().trailers))
            self.assertTrue([m for m in self.messages() if "trailers" in m])

    def test_notTheNext(self) -> None:
        """
        Trailers of one response are not those of the next.
        """

        def render(request: Any) -> Any:
            request.write(b"hello")
            if request.path == b"/with":
                request.responseTrailers.setRawHeaders(b"X-Sum", [b"5"])
            request.finish()
            return NOT_DONE_YET

        wire = self.talk(render, get(b"/with") + GET)
        self.assertEqual([1, 0], [len(r.trailers) for r in wire.responses])

    def test_wrong(self) -> None:
        """
        Trailers that can not be sent end the response visibly, and inject
        nothing.
        """

        def render(request: Any) -> Any:
            request.write(b"hello")
            request.responseTrailers._rawHeaders[b"x-sum"] = [b"5\r\n\r\nHTTP/1.1 "]
            request.finish()
            return NOT_DONE_YET

        wire = self.talk(render, GET)
        wire.settle(6)
        self.flushLoggedErrors()
        self.assertEqual(1, wire.output.count(b"HTTP/1.1"))
        self.assertFalse(wire.only().complete)
        self.assertTrue(wire.closed)

    def test_forbidden(self) -> None:
        """
        Fields that frame or route are not sent in a trailer section (RFC 9110
        section 6.5.1).
        """

        def render(request: Any) -> Any:
            request.write(b"hello")
            for name in (b"Content-Length", b"Transfer-Encoding", b"Set-Cookie"):
                request.responseTrailers.setRawHeaders(name, [b"5"])
            request.responseTrailers.setRawHeaders(b"X-Sum", [b"5"])
            request.finish()
            return NOT_DONE_YET

        wire = self.talk(render, GET)
        wire.settle(6)
        self.flushLoggedErrors()
        names = [name for name, _ in wire.only().trailers]
        self.assertNotIn(b"content-length", names)
        self.assertNotIn(b"transfer-encoding", names)
