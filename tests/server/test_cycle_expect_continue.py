"""
C{Expect: 100-continue}: 100 is sent when the body is wanted, and only then.
"""

from __future__ import annotations

from typing import Any

from twisted.web.server import NOT_DONE_YET

from tests.server.test_streaming_bodies import Doing
from tests.support.server_cases import GET, Echo, Holding, ServerTestCase, get

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HEAD = get(b"/", b"Expect: 100-continue", b"Content-Length: 5", method=b"POST")
CHUNKED = get(
    b"/", b"Expect: 100-continue", b"Transfer-Encoding: chunked", method=b"POST"
)


class ExpectContinueTests(ServerTestCase):
    """
    RFC 9110 section 10.1.1.
    """

    def interim(self, data: bytes) -> int:
        """
        How many interim responses C{data} has.
        """
        return data.count(b"HTTP/1.1 100")

    def test_sentAtOnce(self) -> None:
        """
        A buffered resource wants its body, so 100 comes with the head.
        """
        for head, body in ((HEAD, b"hello"), (CHUNKED, b"5\r\nhello\r\n0\r\n\r\n")):
            echo = Echo()
            wire = self.talk(echo, head)
            self.assertTrue(wire.output.startswith(b"HTTP/1.1 100"), wire.output)
            self.assertEqual(1, self.interim(wire.output))
            wire.send(body)
            self.assertEqual([200], wire.statuses)
            self.assertEqual([100], wire.only().interim)
            self.assertEqual(b"hello", echo.seen[0].body)

    def test_once(self) -> None:
        """
        It is sent once, however the body comes.
        """
        wire = self.talk(None, HEAD, b"h", b"e", b"l", b"l", b"o")
        self.assertEqual(1, self.interim(wire.output))

    def test_nextRequestWithout(self) -> None:
        """
        The next request on the connection gets none.
        """
        wire = self.talk(None, HEAD, b"hello", GET)
        self.assertEqual(1, self.interim(wire.output))
        self.assertEqual([200, 200], wire.statuses)

    def test_eachRequest(self) -> None:
        """
        Each request that asks for it gets its own.
        """
        wire = self.talk(None, HEAD, b"hello", HEAD, b"world")
        self.assertEqual([[100], [100]], [r.interim for r in wire.responses])

    def test_notInHTTP10(self) -> None:
        """
        A client of HTTP/1.0 gets none.
        """
        head = HEAD.replace(b"HTTP/1.1", b"HTTP/1.0")
        wire = self.talk(None, head)
        self.assertEqual(b"", wire.output)
        wire.send(b"hello")
        self.assertEqual([200], wire.statuses)
        self.assertEqual([], wire.only().interim)

    def test_notWithoutABody(self) -> None:
        """
        A request without a body gets none, and is answered.
        """
        wire = self.talk(None, get(b"/", b"Expect: 100-continue"))
        self.assertEqual([200], wire.statuses)
        self.assertEqual([], wire.only().interim)

    def test_notWhenTheBodyIsTooLong(self) -> None:
        """
        A body that is refused is not asked for.
        """
        echo = Echo()
        wire = self.talk(echo, HEAD, limits={"maxBodyLength": 4})
        self.assertEqual(0, self.interim(wire.output))
        self.assertRefused(wire, 413)
        self.assertEqual([], echo.seen)

    def test_notWithAnotherExpectation(self) -> None:
        """
        An expectation that we do not know is 417, also beside the known one.
        """
        for value in (b"a-miracle", b"100-continue, a-miracle", b"100-continue=1"):
            head = get(b"/", b"Expect: " + value, b"Content-Length: 5", method=b"PUT")
            wire = self.talk(None, head)
            self.assertEqual(0, self.interim(wire.output))
            self.assertRefused(wire, 417)

    def test_notForAMalformedRequest(self) -> None:
        """
        A refused request gets none.
        """
        head = get(b"/", b"Expect: 100-continue", b"Content-Length: 5", host=b"a b")
        wire = self.talk(None, head)
        self.assertEqual(0, self.interim(wire.output))
        self.assertRefused(wire, 400)

    def unread(self, *pieces: bytes) -> bool:
        """
        Answer a request, a turn later, whose body nobody asks for.

        @return: whether the connection is kept.
        """
        requests: list[Any] = []

        def render(request: Any) -> Any:
            requests.append(request)
            return NOT_DONE_YET

        wire = self.talk(Doing(render), *pieces)
        self.assertEqual(0, self.interim(wire.output))
        request = requests.pop()
        request.setHeader(b"Content-Length", b"0")
        request.finish()
        wire.pump()
        return not wire.only().closes

    def test_answeredWithout(self) -> None:
        """
        Whether a client sends the body behind a response that came instead is not
        known, so that is the last one; unless it has begun to.
        """
        for head, body in ((HEAD, b"h"), (CHUNKED, b"5\r\nh")):
            self.assertFalse(self.unread(head))
            self.assertTrue(self.unread(head, body))
            self.assertTrue(self.unread(head + body))

    def test_notIntoAnotherResponse(self) -> None:
        """
        It waits for the response before it.
        """
        holding = Holding()
        wire = self.talk(holding, GET + HEAD)
        request = holding.requests[0]
        request.write(b"part")
        del request
        wire.pump()
        self.assertEqual(0, self.interim(wire.output))
        request = holding.requests.pop()
        request.finish()
        del request
        wire.pump()
        self.assertTrue(wire.output.endswith(CONTINUE) or self.interim(wire.output))
        wire.send(b"hello")
        holding.answer()
        wire.pump()
        self.assertEqual([[], [100]], [r.interim for r in wire.responses])
