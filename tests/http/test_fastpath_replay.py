"""
A request that came by the fast path and then needs h11 after all: h11 is told
what it has missed, and the bytes are those that it would have sent alone.

Each of these runs on a fresh connection and on connections that have been used
before, by the fast path and by h11, and is followed by requests of both sorts.
"""

from __future__ import annotations

from typing import Any

import h11
from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.strategies import head
from tests.fuzz.streams import KINDS, Outcome, check_stream
from tests.support.responses import WireResponse, read_responses
from twisted_h11._http.strict_requests import RequestHead
from twisted_h11._server.framers import FastFramer, H11Framer

FAST = head(b"GET /whole HTTP/1.1", b"Host: a")
SLOW = (
    head(b"POST /whole HTTP/1.1", b"Host: a", b"Transfer-Encoding: chunked")
    + b"3\r\nabc\r\n0\r\n\r\n"
)
BEFORE = {
    "fresh": [],
    "after the fast path": [FAST],
    "after h11": [SLOW],
    "after both": [FAST, SLOW, FAST],
}


class ReplayTests(SynchronousTestCase):
    """
    What each kind of response does to a request of the fast path.
    """

    def setUp(self) -> None:
        """
        Count how often h11 is told what it missed.
        """
        self.woken = 0
        wake = FastFramer.wake

        def counting(framer: FastFramer, head: RequestHead, left: int) -> H11Framer:
            self.woken += 1
            return wake(framer, head, left)

        self.patch(FastFramer, "wake", counting)

    def once(
        self, request: bytes, before: list[bytes], **options: Any
    ) -> tuple[Outcome, list[WireResponse]]:
        """
        Send a request between others, in one segment each and all at once.

        @return: what came back for it, and all responses from it on.
        """
        method = request.partition(b" ")[0]
        after = [FAST, SLOW]
        outcome = check_stream([*before, request, *after], **options)
        for pieces in (
            [b"".join([*before, request, *after])],
            [*before, request[:7], request[7:], *after],
        ):
            again = check_stream(pieces, **options)
            self.assertEqual(outcome.output, again.output)
        self.flushLoggedErrors(ValueError)
        methods = [b"GET"] * len(before) + [method]
        responses = read_responses(outcome.output, methods, outcome.closed)
        for response in responses[: len(before)]:
            self.assertEqual((response.status, response.body), (200, b"whole"))
        return outcome, responses[len(before) :]

    def responses(
        self,
        kind: str,
        method: bytes = b"GET",
        body: bytes = b"",
        needsH11: bool = True,
        goesOn: bool = True,
        **options: Any,
    ) -> WireResponse:
        """
        Try one kind of response after everything in L{BEFORE}.

        @param needsH11: whether h11 must be told about the request; if not, it
            must not.
        @param goesOn: whether the connection can be used again.
        @return: the response.
        """
        self.assertIn(kind, KINDS)
        lines = [method + b" /" + kind.encode() + b" HTTP/1.1", b"Host: a"]
        if body:
            lines.append(b"Content-Length: %d" % len(body))
        request = head(*lines) + body
        found = []
        for name, before in BEFORE.items():
            self.woken = 0
            _, responses = self.once(request, before, **options)
            self.assertEqual(bool(self.woken), needsH11, name)
            statuses = [response.status for response in responses[1:]]
            self.assertEqual(statuses, [200, 200] if goesOn else [], name)
            found.append(responses[0])
        for one in found[1:]:
            self.assertEqual(one, found[0])
        return found[0]

    def test_common(self) -> None:
        """
        Common responses do not need h11.
        """
        for kind in ("whole", "empty", "typed", "length", "chunked", "later"):
            self.responses(kind, needsH11=False)
            self.responses(kind, b"POST", b"abc", needsH11=False)

    def test_interim(self) -> None:
        """
        An interim response.
        """
        response = self.responses("hints")
        self.assertEqual((response.interim, response.body), ([103], b"hints"))
        self.assertEqual(self.responses("hints", b"POST", b"abc"), response)

    def test_interimThenChunks(self) -> None:
        """
        An interim response, chunks, and another interim response too late.
        """
        response = self.responses("hintsThenChunks")
        self.assertEqual((response.interim, response.body), ([103], b"abc"))
        self.assertTrue(response.complete)

    def test_trailers(self) -> None:
        """
        A trailer section, when the content is out already.
        """
        for method, body in ((b"GET", b""), (b"POST", b"abc")):
            response = self.responses("trailers", method, body)
            self.assertEqual(response.body, b"abc")
            self.assertEqual(response.trailers, [(b"x-sum", b"6")])

    def test_trailersOfNothing(self) -> None:
        """
        A trailer section after no content.
        """
        response = self.responses("trailersOfNothing")
        self.assertEqual((response.body, response.trailers), (b"", [(b"x-sum", b"0")]))

    def test_file(self) -> None:
        """
        A region of a file, with a length, after other content, and in the
        middle of chunks.
        """
        self.assertEqual(self.responses("sent").body, b"2345")
        self.assertEqual(self.responses("sentAfter").body, b"abc2345")
        response = self.responses("sentInChunks")
        self.assertEqual((response.framing, response.body), ("chunked", b"abc012def"))

    def test_head(self) -> None:
        """
        HEAD: the same fields as GET where the length is known, and no content.
        """
        self.assertEqual(self.responses("length", b"HEAD").get(b"content-length"), b"6")
        for kind in ("chunked", "trailers", "later", "typed"):
            self.assertEqual(self.responses(kind, b"HEAD").body, b"")

    def test_noContent(self) -> None:
        """
        204, 205 and 304 have no content, whatever the application gives.
        """
        for kind, status in (
            ("none", 204),
            ("noneWithBody", 204),
            ("reset", 205),
            ("notModified", 304),
        ):
            response = self.responses(kind)
            self.assertEqual((response.status, response.body), (status, b""))

    def test_close(self) -> None:
        """
        C{Connection: close} by the application.
        """
        response = self.responses("closing", goesOn=False)
        self.assertEqual((response.closes, response.body), (True, b"closing"))
        response = self.responses("closingChunks", goesOn=False)
        self.assertEqual((response.closes, response.framing), (True, "chunked"))

    def test_persistent(self) -> None:
        """
        The application says that the connection may not be used again, before
        the head and after it.
        """
        response = self.responses("notPersistent", goesOn=False, needsH11=False)
        self.assertTrue(response.closes)
        response = self.responses("notPersistentLate", goesOn=False, needsH11=False)
        self.assertFalse(response.closes)
        self.assertTrue(response.complete)

    def test_extraHeaders(self) -> None:
        """
        Fields that the site adds to every response.
        """
        for kind in ("whole", "chunked", "typed"):
            response = self.responses(kind, extraHeaders=[(b"X-Extra", b"1")])
            self.assertEqual(response.get(b"x-extra"), b"1")

    def test_codedByApplication(self) -> None:
        """
        The application says C{Transfer-Encoding: chunked} itself.
        """
        response = self.responses("coded", needsH11=False)
        self.assertEqual((response.framing, response.body), ("chunked", b"abcdef"))

    def test_padded(self) -> None:
        """
        A value with white space around it goes out without.
        """
        self.assertEqual(self.responses("padded").get(b"x-padded"), b"a  b")

    def test_short(self) -> None:
        """
        Less content than was said ends the connection, and is no whole response.
        """
        response = self.responses("short", goesOn=False, needsH11=False)
        self.assertEqual((response.body, response.complete), (b"abc", False))

    def test_long(self) -> None:
        """
        More content than was said is cut off, and the connection is not used
        again.
        """
        response = self.responses("long", goesOn=False, needsH11=False)
        self.assertEqual((response.body, response.complete), (b"abc", True))

    def test_raising(self) -> None:
        """
        An error of the application before its response is an answer like any
        other; in the middle it ends the connection without a last chunk.
        """
        response = self.responses("raising", needsH11=False)
        self.assertEqual(response.status, 500)
        response = self.responses("raisingLate", goesOn=False, needsH11=False)
        self.assertEqual((response.body, response.complete), (b"abc", False))

    def test_refused(self) -> None:
        """
        A head that can not be sent is a 500, and the end.
        """
        for kind in ("badField", "badReason", "badStatus"):
            response = self.responses(kind, goesOn=False, needsH11=False)
            self.assertEqual((response.status, response.closes), (500, True))


class StateTests(SynchronousTestCase):
    """
    What h11 knows after it was told.
    """

    def test_states(self) -> None:
        """
        In the middle of a response h11 is where it would be had it seen all of
        it: the client done, we in the body, with the rest of the length left.
        """
        seen = []
        wake = FastFramer.wake

        def looking(framer: FastFramer, head: RequestHead, left: int) -> H11Framer:
            woken = wake(framer, head, left)
            conn = woken._conn
            seen.append((conn.our_state, conn.their_state, framer._answer is None))
            return woken

        self.patch(FastFramer, "wake", looking)
        check_stream([head(b"GET /hints HTTP/1.1", b"Host: a")])
        check_stream([head(b"GET /trailers HTTP/1.1", b"Host: a")])
        check_stream([head(b"GET /sentInChunks HTTP/1.1", b"Host: a")])
        self.assertEqual(seen[0], (h11.SEND_RESPONSE, h11.DONE, True))
        self.assertIn((h11.SEND_BODY, h11.DONE, False), seen)
