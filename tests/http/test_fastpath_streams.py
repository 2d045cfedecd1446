"""
The Law from end to end: a site with the fast path and one without it bring the
same bytes back, for the same bytes in the same segments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from twisted.web import server

from tests.fuzz.strategies import (
    CURL,
    CURL_POST,
    REAL,
    TIGHT,
    examples,
    head,
    split,
    streams,
)
from tests.fuzz.streams import STREAMING, Outcome, check_stream
from twisted_h11._http.response_to_send import http_date
from twisted_h11.limits import Limits


class StreamTests(SynchronousTestCase):
    """
    A site with the fast path against one without it.
    """

    # How many of the connections of a test brought something back.
    answered = 0
    silent = False

    def tearDown(self) -> None:
        """
        Two sides that say nothing are the same, too.
        """
        self.assertEqual(self.silent, not self.answered)

    def check(self, pieces: Sequence[bytes], **options: Any) -> Outcome:
        """
        Both sides are the same; what the resources raised is expected.
        """
        outcome = check_stream(pieces, **options)
        self.answered += b"HTTP/1.1 " in outcome.output
        self.flushLoggedErrors(ValueError)
        return outcome

    @examples(60)
    @given(st.data(), streams(), st.sampled_from([(), ((b"X-Extra", b"1"),)]))
    def test_streams(self, choice: Any, requests: list[bytes], extra: Any) -> None:
        """
        The same bytes come back for the same bytes in the same segments.
        """
        self.check(choice.draw(split(requests)), extraHeaders=extra)

    @examples(60)
    @given(st.data(), streams(streaming=False))
    def test_foreign(self, choice: Any, requests: list[bytes]) -> None:
        """
        So it is where the requests are twisted.web's.
        """
        self.patch(server, "datetimeToString", http_date)
        self.check(choice.draw(split(requests)), requestFactory=server.Request)
        # What only ours has is missed.
        self.flushLoggedErrors(AttributeError)

    def test_everySplit(self) -> None:
        """
        Two requests, a small body between them, cut at every place.
        """
        data = head(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: 2") + b"xy" + CURL
        whole = self.check([data]).output
        self.assertEqual(whole.count(b"HTTP/1.1 200 OK"), 2)
        for at in range(1, len(data)):
            self.assertEqual(self.check([data[:at], data[at:]]).output, whole)

    @examples(15)
    @given(st.sampled_from(REAL), st.sampled_from(REAL), st.data())
    def test_realSplit(self, one: bytes, two: bytes, choice: Any) -> None:
        """
        Real requests bring the same back, however they are cut.
        """
        pieces = choice.draw(split([one, two]))
        self.assertEqual(
            self.check(pieces).output, self.check([one + two], http2=False).output
        )

    @examples(25)
    @given(streams(), TIGHT)
    @example([CURL_POST, CURL], Limits(maxBodyLength=3))
    def test_limits(self, requests: list[bytes], limits: Limits) -> None:
        """
        Limits hold on both sides in the same way.
        """
        self.check([b"".join(requests)], limits=limits)

    def test_longBodies(self) -> None:
        """
        Bodies that are too long for the fast path, and those that come in many
        segments, with a request behind them in the same segment.
        """
        for size in (10, 65536, 65537, 200_000):
            for kind in (b"whole", b"streaming", b"later"):
                post = head(
                    b"POST /" + kind + b" HTTP/1.1",
                    b"Host: a",
                    b"Content-Length: %d" % size,
                )
                data = post + bytes(range(256)) * (size // 256) + bytes(size % 256)
                data += CURL
                for step in (len(data), 65536, 9_000, len(post), len(data) - 5):
                    pieces = [data[i : i + step] for i in range(0, len(data), step)]
                    output = self.check(pieces).output
                    self.assertEqual(output.count(b"HTTP/1.1 200 OK"), 2)

    def test_streaming(self) -> None:
        """
        Resources that take a body as it comes, and need h11 before, in and after
        it, or do not wait for its end.
        """
        for kind in STREAMING:
            for size in (1, 12, 3000):
                post = head(
                    b"POST /streaming/" + kind.encode() + b" HTTP/1.1",
                    b"Host: a",
                    b"Content-Length: %d" % size,
                )
                data = CURL + post + bytes(size) + CURL
                start = len(CURL) + len(post)
                for cut in (start, start + 1, start + size // 2, start + size):
                    for first in (CURL, b""):
                        whole = data if first else data[len(CURL) :]
                        at = cut if first else cut - len(CURL)
                        self.check([whole[:at], whole[at:]])
                        self.check([whole[:at], whole[at : at + 1], whole[at + 1 :]])
                        self.check([whole[:at]])

    def test_cutBodies(self) -> None:
        """
        Bodies whose rest never comes.
        """
        post = head(b"POST /streaming HTTP/1.1", b"Host: a", b"Content-Length: 100")
        for sent in (0, 1, 99):
            for before in (b"", CURL):
                self.check([before + post + bytes(sent)])
                self.check([before + post, bytes(sent)] if sent else [before + post])

    def test_mostRequests(self) -> None:
        """
        The last request that a connection may have ends it on both sides.
        """
        output = self.check(
            [CURL * 3], limits=Limits(maxRequestsPerConnection=2)
        ).output
        self.assertEqual(output.count(b"HTTP/1.1 200"), 2)
        self.assertEqual(output.count(b"Connection: close"), 1)

    def test_losing(self) -> None:
        """
        A connection that the application gives up before it answers.
        """
        self.silent = True
        outcome = self.check([head(b"GET /losing HTTP/1.1", b"Host: a")])
        self.assertTrue(outcome.seen)
        self.assertTrue(outcome.closed)
