"""
What the client forgives in a response, what it does not, and what that costs.
"""

from __future__ import annotations

import time
from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.client import ResponseDone, ResponseFailed, readBody
from twisted.web.http import PotentialDataLoss

from tests.support.client_cases import ClientTestCase
from tests.support.times import confirmed
from twisted_h11._http.abnf import has_control

END = b"Content-Length: 5\r\n\r\nhello"
OK = b"HTTP/1.1 200 OK\r\n"

TEXT = bytes(range(33, 127)) + b"!"

# What is odd, an answer, the body; the fields called X that are left.
FORGIVEN: list[tuple[str, bytes, bytes, list[bytes]]] = [
    ("a name with a slash", OK + b"A/B: c\r\nX: y\r\n" + END, b"hello", [b"y"]),
    ("a name with a space", OK + b"A B: c\r\nX: y\r\n" + END, b"hello", [b"y"]),
    (
        "a name that is not ASCII",
        OK + b"\xc3\xa4: c\r\nX: y\r\n" + END,
        b"hello",
        [b"y"],
    ),
    ("no name", OK + b": c\r\nX: y\r\n" + END, b"hello", [b"y"]),
    ("no colon", OK + b"nonsense\r\nX: y\r\n" + END, b"hello", [b"y"]),
    (
        "no colon in the last line",
        OK + b"X: y\r\nContent-Length: 5\r\nz\r\n\r\nhello",
        b"hello",
        [b"y"],
    ),
    (
        "a fold of a field that is left out",
        OK + b"A/B: c\r\n d: e\r\nX: y\r\n" + END,
        b"hello",
        [b"y"],
    ),
    (
        "no name before any punctuation",
        OK + b"X: " + TEXT + b"\r\n!: z\r\nA B: c\r\n" + END,
        b"hello",
        [TEXT],
    ),
    (
        "a fold of any punctuation",
        OK + b"A B: c\r\nX: " + TEXT + b"\r\n " + TEXT + b"\r\n" + END,
        b"hello",
        [TEXT + b" " + TEXT],
    ),
    ("white space before the colon", OK + b"A : c\r\nX\t: z\r\n" + END, b"hello", []),
    *[
        (
            "a control character",
            OK + b"A: b" + char + b"c\r\nX: y\r\n" + END,
            b"hello",
            [b"y"],
        )
        for char in (b"\0", b"\x01", b"\x08", b"\x0b", b"\x0c", b"\r", b"\x1f", b"\x7f")
    ],
    ("one in the reason", b"HTTP/1.1 200 O\x01K\r\nX: y\r\n" + END, b"hello", [b"y"]),
    ("no reason", b"HTTP/1.1 200\r\nA B: c\r\nX: y\r\n" + END, b"hello", [b"y"]),
    ("lower case", b"http/1.1 200 OK\r\nX: y\r\n" + END, b"hello", [b"y"]),
    ("mixed case", b"Http/1.0 200 OK\r\nX: y\r\n" + END, b"hello", [b"y"]),
    ("an empty line before", b"\r\n" + OK + b"X: y\r\n" + END, b"hello", [b"y"]),
    ("two of them", b"\r\n\r\n" + OK + b"X: y\r\n" + END, b"hello", [b"y"]),
    ("two bare ones", b"\n\n" + OK + b"X: y\r\n" + END, b"hello", [b"y"]),
    ("identity", OK + b"Transfer-Encoding: identity\r\n" + END, b"hello", []),
    (
        "chunked in HTTP/1.0",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"hello",
        [],
    ),
    (
        "bare LF in the framing of chunks",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n",
        b"hello",
        [],
    ),
    (
        "white space before an extension of a chunk",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5 ;x\r\nhello\r\n0\r\n\r\n",
        b"hello",
        [],
    ),
    (
        "odd fields behind a body",
        OK
        + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"
        + b"A B: c\r\nX: y\r\n\r\n",
        b"hello",
        [],
    ),
    (
        "odd fields in an interim response",
        b"HTTP/1.1 103 Early Hints\r\nA B: c\r\n\r\n" + OK + b"X: y\r\n" + END,
        b"hello",
        [b"y"],
    ),
    (
        "odd fields in the first of them",
        b"HTTP/1.1 100 Continue\r\nA B: c\r\n\r\n" + OK + b"X: y\r\n" + END,
        b"hello",
        [b"y"],
    ),
    ("equal lengths", OK + b"content-length: 5\r\n" + END, b"hello", []),
    (
        "equal lengths in a list",
        OK + b"Content-Length: 5, 5\r\n\r\nhello",
        b"hello",
        [],
    ),
    (
        "a length beside a coding",
        OK
        + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"5\r\nhello\r\n0\r\n\r\n",
        b"hello",
        [],
    ),
]

# Framing that says nothing, because there is no body.
BODILESS = [
    b"Content-Length: +2\r\n",
    b"Content-Length: x\r\n",
    b"Content-Length: \r\n",
    b"Content-Length: 3\r\nContent-Length: 4\r\n",
    b"Content-Length: 3, 4\r\n",
    b"Transfer-Encoding: gzip\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding: xchunked\r\n",
    b"Transfer-Encoding: identity\r\n",
]

# What frames is never forgiven: a part of the message that says why.
REFUSED: list[tuple[bytes, str]] = [
    (OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n", "Content-Length"),
    (OK + b"Content-Length: +2\r\n\r\n", "+2"),
    (OK + b"Content-Length: 2 3\r\n\r\n", "2 3"),
    (OK + b"Content-Length: 2\r\n 3\r\n\r\n", "Content-Length"),
    (OK + b"Content-Length : 2\r\n\r\n", "Content-Length"),
    (OK + b"Content-Length\t: 2\r\n\r\n", "Content-Length"),
    (OK + b"Content-Length\0: 2\r\n\r\n", "Content-Length"),
    (OK + b"Content-Length: 2\x0b\r\n\r\n", "Content-Length"),
    (OK + b"Content-Length: \x005\r\n\r\n", "Content-Length"),
    (OK + b"Content-Length: 5\rX: y\r\n\r\n", "Content-Length"),
    (OK + b"Transfer-Encoding : chunked\r\n\r\n", "Transfer-Encoding"),
    (OK + b"Transfer-Encoding\x0b: chunked\r\n\r\n", "Transfer-Encoding"),
    (OK + b"Transfer-Encoding: chunked\0\r\n\r\n", "Transfer-Encoding"),
    (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", "gzip"),
    (OK + b"Transfer-Encoding: identity, chunked\r\n\r\n", "identity"),
    (OK + b"Transfer-Encoding: chunked\r\n x\r\n\r\n", "chunked"),
    (OK + b" Content-Length: 5\r\nX: y\r\n\r\n", "continuation"),
    (b"HTTP/1.1 099 Low\r\n\r\n", "below 100"),
    (b"HTTP/1.1 20 Short\r\n\r\n", "three digits"),
    (b"HTTP/1.1 2000 Long\r\n\r\n", "three digits"),
    (b"HTTP/1.1 2x0 Odd\r\n\r\n", "three digits"),
    (b"HTTP/1.1\r\n\r\n", "three digits"),
    (b"\r\n\r\n\r\n" + OK + END, "not HTTP"),
    (b"\r\n\r\n\n" + OK + END, "not HTTP"),
    (b"HTTP/1.1 205 X\r\nContent-Length: +2\r\n\r\n", "+2"),
    (b"HTTP/1.1 305 X\r\nContent-Length: +2\r\n\r\n", "+2"),
    (b"HTTPS/1.1 200 OK\r\n\r\n", "HTTP"),
]


class ToleranceTests(ClientTestCase):
    """
    Odd answers to one request, whole and byte by byte.
    """

    def answers(self, answer: bytes, method: bytes = b"GET") -> Any:
        """
        The response to a request, sent in both ways.
        """
        for send in ("send", "bytewise"):
            deferred, peer = self.ask(method=method)
            getattr(peer, send)(answer)
            yield deferred, peer

    def test_forgiven(self) -> None:
        """
        Where the end of the response is in no doubt, it is delivered, and the
        connection not used again.
        """
        for what, answer, body, left in FORGIVEN:
            for deferred, peer in self.answers(answer):
                response = self.successResultOf(deferred)
                phrase = b"OK" if b" 200 OK" in answer else b""
                self.assertEqual(phrase, response.phrase, what)
                reader = self.read(response)
                self.assertEqual(body, reader.data, what)
                assert reader.reason is not None, what
                reader.reason.trap(ResponseDone, PotentialDataLoss)
                found = response.headers.getRawHeaders(b"X", [])
                self.assertEqual(left, found, what)
                for _, values in response.headers.getAllRawHeaders():
                    self.assertFalse(any(map(has_control, values)), what)
                self.assertTrue(peer.closed, what)

    def test_bodiless(self) -> None:
        """
        Framing that makes no sense is forgiven where there is no body to frame.
        """
        for fields in BODILESS:
            for method, status in (
                (b"HEAD", b"200"),
                (b"GET", b"204"),
                (b"GET", b"304"),
            ):
                answer = b"HTTP/1.1 " + status + b" X\r\nX: y\r\n" + fields + b"\r\n"
                for deferred, peer in self.answers(answer, method):
                    response = self.successResultOf(deferred)
                    reader = self.read(response)
                    self.assertEqual(b"", reader.data)
                    assert reader.reason is not None, fields
                    reader.reason.trap(ResponseDone)
                    self.assertEqual([b"y"], response.headers.getRawHeaders(b"X"))
                    self.assertTrue(peer.closed, fields)

    def test_refused(self) -> None:
        """
        What could be about framing, or is no status, fails and says so.
        """
        for answer, word in REFUSED:
            for deferred, peer in self.answers(answer):
                error = self.failing(deferred, ResponseFailed)
                self.assertIn(word, str(error), answer)
                self.assertTrue(peer.aborted or peer.closed, answer)

    def test_manyFields(self) -> None:
        """
        A head, or a trailer section, of more than 5000 fields is a failure that says
        so, whatever the fields are: each costs much more than its bytes.
        """
        chunked = OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n"
        for line in (b"a:\r\n", b"a:\n", b"a\r\n", b"a:\r\n b\r\n"):
            for begin, end in (
                (OK + b"Content-Length: 0\r\n", b""),
                (b"HTTP/1.1 103 X\r\nA: b\r\n", OK + END),
                (chunked, b""),
            ):
                for fast in (True, False):
                    for count in (4_999, 5_000):
                        answer = begin + line * count + b"\r\n" + end
                        result = self.bodyOf(answer, fast)
                        if count < 5_000:
                            self.successResultOf(result)
                        else:
                            error = self.failing(result, ResponseFailed)
                            self.assertIn("more than 5000 fields", str(error))
                            self.assertTrue(self.network.peers[-1].aborted)

    def bodyOf(self, answer: bytes, fast: bool) -> Deferred[bytes]:
        """
        The body of a response.
        """
        deferred, peer = self.ask(self.makeAgent(fastPath=fast))
        peer.send(answer)
        return deferred.addCallback(readBody)

    def test_statuses(self) -> None:
        """
        Any status of three digits from 200 on passes.
        """
        for status in (b"200", b"299", b"418", b"600", b"999"):
            for deferred, _ in self.answers(b"HTTP/1.1 " + status + b" X\r\n" + END):
                self.assertEqual(int(status), self.successResultOf(deferred).code)

    def test_usualIsKept(self) -> None:
        """
        What is not odd does not cost the connection.
        """
        for answer in (OK + b"X:  y \t\r\n" + END, b"HTTP/1.1 200\r\n" + END):
            for deferred, peer in self.answers(answer):
                self.assertEqual(
                    b"hello", self.read(self.successResultOf(deferred)).data
                )
                self.assertFalse(peer.closed, answer)
                self.assertFalse(peer.aborted, answer)

    def test_split(self) -> None:
        """
        What precedes a head, and its first bytes, mean the same in whatever pieces they
        come, and also behind an interim response: a wrong answer fails at once.
        """
        interim = b"HTTP/1.1 103 Early Hints\r\n\r\n"
        final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        for begins, isHTTP in (
            *((b"", True), (b"\r\n", True), (b"\n\n", True), (b"\r\n" * 3, False)),
            *((b"HT\xd0P/1.1 200 OK\r\n", False), (b"220 ready\r\n", False)),
            *((b"HTTPS", False), (b"ff\r\n", False), (b"\r\nff\r\n", False)),
        ):
            for before in (b"", interim, interim * 2):
                answer = before + begins + final
                cuts = [[answer[:i], answer[i:]] for i in range(1, len(answer))]
                for pieces in ([answer], [b"%c" % one for one in answer], *cuts):
                    for fast in (True, False):
                        deferred, peer = self.ask(self.makeAgent(fastPath=fast))
                        peer.send(*pieces)
                        what = (begins, before, pieces)
                        if isHTTP:
                            response = self.successResultOf(deferred)
                            self.assertEqual(200, response.code, what)
                            self.assertEqual(bool(begins), peer.closed, what)
                        else:
                            self.assertTrue(peer.aborted, what)
                            error = self.failing(deferred, ResponseFailed)
                            self.assertIn("not HTTP", str(error))

    def test_bareLF(self) -> None:
        """
        Nor does a bare LF at the ends of lines, where other fields are usual; their
        names may be as long as those that frame.
        """
        lines = b"HTTP/1.1 200 OK\nX-Cache-Status: a, b\nX-Served-By-Proxy: c\n"
        for method, framing, body in (
            (b"GET", b"Content-Length: 5\n\nhello", b"hello"),
            (
                b"GET",
                b"Transfer-Encoding: chunked\n\n5\r\nhello\r\n0\r\n\r\n",
                b"hello",
            ),
            (b"HEAD", b"Content-Length: 5\n\n", b""),
            (b"HEAD", b"Transfer-Encoding: chunked\n\n", b""),
            (b"HEAD", b"\n", b""),
        ):
            for deferred, peer in self.answers(lines + framing, method):
                response = self.successResultOf(deferred)
                self.assertEqual(b"OK", response.phrase)
                self.assertEqual(body, self.read(response).data)
                self.assertFalse(peer.closed or peer.aborted, (method, framing))


# What was exponential or quadratic: how the answer begins, and what is repeated.
HOSTILE: list[tuple[str, bytes, bytes, bytes]] = [
    ("empty values", OK, b"A:" + b" " * 30 + b"\r\n", b""),
    ("white space and a NUL", OK + b"a:", b" ", b"\0\r\n\r\n"),
    ("white space in a length", OK + b"Content-Length: a", b" ", b"b\r\n\r\n"),
    ("white space in a coding", OK + b"Transfer-Encoding: a", b" ", b"b\r\n\r\n"),
    ("white space in a reason", b"HTTP/1.1 200", b" ", b"\0\r\n\r\n"),
    ("no end of a name", OK, b"a", b""),
    ("folds", OK + b"A: b", b"\r\n c", b"\r\n\r\n"),
    ("line ends", b"", b"\r\n", b""),
    ("lines without a colon", OK, b"a\n", b"\n"),
    ("many fields", OK, b"a:\r\n", b"\r\n"),
    ("white space in a value", OK + b"a: b", b" ", b"c\0\r\n\r\n"),
    ("in an interim response", b"HTTP/1.1 103 x\r\na:", b" ", b"\0\r\n\r\n"),
    (
        "in a trailer section",
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\na:",
        b" ",
        b"\0\r\n\r\n",
    ),
    ("in a chunk line", OK + b"Transfer-Encoding: chunked\r\n\r\n5", b" ", b"\0\r\n"),
    ("in an extension", OK + b"Transfer-Encoding: chunked\r\n\r\n5;", b"a=", b"\0\r\n"),
    (
        "tiny chunks",
        OK + b"Transfer-Encoding: chunked\r\n\r\n",
        b"1\r\na\r\n",
        b"0\r\n",
    ),
    ("zeros", OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0", b"\r\n"),
]


class CostTests(ClientTestCase):
    """
    What hostile answers cost: in proportion to their length, however cut.
    """

    def seconds(self, answer: bytes, size: int) -> float:
        """
        Processor time for an answer in segments of C{size}; the best of two.
        """
        best = float("inf")
        for _ in range(2):
            deferred, peer = self.ask(maxHeadLength=1024 * 1024)
            deferred.addBoth(lambda result: None)
            protocol = peer.protocol
            begun = time.process_time()
            for start in range(0, len(answer), size):
                protocol.dataReceived(answer[start : start + size])
            best = min(best, time.process_time() - begun)
            peer.lose()
            self.clock.advance(0)
        return best

    def test_linear(self) -> None:
        """
        Four times as much of anything hostile takes about four times as long.
        """
        for what, begin, repeated, end in HOSTILE:
            for size, length in ((65536, 32 * 1024), (1, 4 * 1024)):
                n = length // 4 // len(repeated)
                large = begin + repeated * 4 * n + end
                small = begin + repeated * n + end

                def growth(
                    large: bytes = large, small: bytes = small, size: int = size
                ) -> float:
                    four = self.seconds(large, size)
                    # What costs next to nothing can not be compared.
                    return four / self.seconds(small, size) if four > 0.05 else 0

                def seconds(large: bytes = large, size: int = size) -> float:
                    return self.seconds(large, size)

                self.assertLess(confirmed(growth, 8), 8, (what, size))
                self.assertLess(confirmed(seconds, 1), 1, (what, size))
