"""
Heads: what the client writes, and what it reads without h11, is what h11 says.
"""

from __future__ import annotations

import h11
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz import client_law
from tests.fuzz.client_law import check_head
from tests.fuzz.law import BrokenLaw
from twisted_h11._client.request_head import BadRequest, request_fields, request_head
from twisted_h11._http.response_received import CHUNKED, UNTIL_CLOSE

TOKEN = st.text("abcXYZ-019!~", min_size=1, max_size=10).map(str.encode)
VALUE = st.one_of(
    st.sampled_from(
        [b"", b"5", b"05", b"chunked", b"Chunked", b"close", b"Keep-Alive", b"a, b"]
    ),
    st.binary(max_size=6),
    st.text('ab \t,;="', max_size=8).map(str.encode),
)
NAME = st.one_of(
    TOKEN,
    st.sampled_from(
        [
            b"Content-Length",
            b"content-length",
            b"Transfer-Encoding",
            b"Connection",
            b"connection",
            b"Server",
            b"X Y",
        ]
    ),
)
LENGTH = b"Content-Length: 1\r\n"
CODING = b"Transfer-Encoding: chunked\r\n"
METHODS = st.sampled_from([b"GET", b"HEAD", b"POST"])


class ResponseHeadTests(SynchronousTestCase):
    """
    The fast path and h11 agree.
    """

    @settings(max_examples=400, deadline=None)
    @given(
        METHODS,
        st.sampled_from([b"1.1", b"1.0", b"2.0"]),
        st.sampled_from(
            [b"200", b"204", b"304", b"404", b"100", b"599", b"20", b"999"]
        ),
        st.sampled_from([b" OK", b" ", b"", b" a\x01b", b" \xff"]),
        st.lists(
            st.tuples(NAME, st.sampled_from([b":", b": ", b":\t "]), VALUE), max_size=4
        ),
        st.sampled_from([b"\r\n", b"\n"]),
        st.sampled_from([b"", b"hello", b"\r\n"]) | st.binary(max_size=6),
    )
    def test_agreesWithH11(
        self,
        method: bytes,
        version: bytes,
        status: bytes,
        reason: bytes,
        lines: list[tuple[bytes, bytes, bytes]],
        ending: bytes,
        rest: bytes,
    ) -> None:
        """
        Wherever the fast path answers, h11 gives the same answer.
        """
        data = b"HTTP/" + version + b" " + status + reason + ending
        for line in lines:
            data += b"".join(line) + ending
        data += ending
        check_head(data + rest, method)

    def test_usual(self) -> None:
        """
        A usual head is read without h11: fields, length, whether it goes on.
        """
        data = b"HTTP/1.1 200 OK\r\nServer: x\r\ncontent-LENGTH:5 \r\n\r\nhello"
        head = check_head(data, b"GET")
        assert head is not None
        self.assertEqual(
            (200, b"OK", 5, True, len(data) - 5),
            (head.code, head.reason, head.length, head.persistent, head.size),
        )
        self.assertEqual([(b"Server", b"x"), (b"content-LENGTH", b"5")], head.fields)

    def test_asLong(self) -> None:
        """
        Fields whose names are as long as those about framing say nothing of it.
        """
        data = (
            b"HTTP/1.1 200 OK\r\nX-Content-Size: 7\r\nSet-Cookie: close\r\n"
            b"X-Transfer-Coding: chunked\r\nContent-Length: 0\r\n\r\n"
        )
        head = check_head(data, b"GET")
        assert head is not None
        self.assertEqual((0, True), (head.length, head.persistent))

    def test_framings(self) -> None:
        """
        Chunked, close-delimited and empty bodies are told from the head.
        """
        for field, length, persistent in [
            (b"Transfer-Encoding: chunked\r\n", CHUNKED, True),
            (b"", UNTIL_CLOSE, False),
            (b"Content-Length: 0\r\n", 0, True),
            (b"Content-Length: 0\r\nConnection: Close\r\n", 0, False),
        ]:
            head = check_head(b"HTTP/1.1 200 OK\r\n" + field + b"\r\n", b"GET")
            assert head is not None
            self.assertEqual((length, persistent), (head.length, head.persistent))

    def test_unusual(self) -> None:
        """
        Anything unusual is left to h11.
        """
        for head in [
            b"HTTP/1.0 200 OK\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
            b"HTTP/1.1 200 OK\nA: b\n\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n" + LENGTH + CODING + b"\r\n",
            b"HTTP/1.1 200 OK\r\n" + CODING + LENGTH + b"\r\n",
            b"HTTP/1.1 200 OK\r\nConnection: close, TE\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: b\r\n",
        ]:
            self.assertIsNone(check_head(head, b"GET"), head)

    def test_brokenLawIsSeen(self) -> None:
        """
        The check fails for a head that h11 reads in another way, or refuses.
        """
        data = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
        head = check_head(data, b"GET")
        assert head is not None
        made = head
        self.patch(client_law, "read_response", lambda *_: made)
        self.assertEqual(head, check_head(data, b"GET"))
        for change in (
            {"code": 201},
            {"reason": b"ok"},
            {"fields": [(b"content-length", b"5")]},
            {"length": 4},
            {"length": UNTIL_CLOSE},
            {"persistent": False},
            {"size": head.size - 1},
        ):
            made = head._replace(**change)
            self.assertRaises(BrokenLaw, check_head, data, b"GET")
        made = head
        self.assertRaises(BrokenLaw, check_head, data.replace(b"5", b"x"), b"GET")


class RequestHeadTests(SynchronousTestCase):
    """
    L{request_head} and h11 agree.
    """

    @settings(max_examples=300, deadline=None)
    @given(
        METHODS,
        st.lists(st.tuples(NAME, VALUE), max_size=4),
        st.sampled_from([None, 0, 5, -1]),
        st.booleans(),
    )
    def test_agreesWithH11(
        self,
        method: bytes,
        given: list[tuple[bytes, bytes]],
        length: int | None,
        close: bool,
    ) -> None:
        """
        What is not refused is what h11 would write for the same fields.
        """
        try:
            fields, _ = request_fields(given, b"example.com", length, close)
        except BadRequest:
            return
        event = h11.Request(method=method, target=b"/x?y", headers=fields)
        expected = h11.Connection(h11.CLIENT).send(event)
        self.assertEqual(expected, request_head(method, b"/x?y", fields))

    def test_order(self) -> None:
        """
        Host comes first, then the fields as given, then the framing.
        """
        fields, chunked = request_fields(
            [(b"x-ONE", b"1"), (b"host", b"other"), (b"Two", b" 2\t")], b"h", -1, True
        )
        self.assertEqual(
            [
                (b"host", b"other"),
                (b"x-ONE", b"1"),
                (b"Two", b"2"),
                (b"Transfer-Encoding", b"chunked"),
                (b"Connection", b"close"),
            ],
            fields,
        )
        self.assertTrue(chunked)

    def test_refused(self) -> None:
        """
        Line ends and other control characters, names that are no tokens, a
        second Host, and framing that is not true, are refused.
        """
        for pair in [
            (b"A", b"b\r\nC: d"),
            (b"A", b"b\nC: d"),
            (b"A", b"b\x00"),
            (b"A\r\nB", b"c"),
            (b"A: b", b"c"),
            (b"", b"c"),
            (b"Content-Length", b"7"),
            (b"Transfer-Encoding", b"gzip"),
            (b"Host", b"a b"),
            (b"Host", b"a\r\nb"),
        ]:
            with self.assertRaises(BadRequest, msg=repr(pair)):
                request_fields([pair], b"h", 5, False)
        with self.assertRaises(BadRequest):
            request_fields([(b"Host", b"a"), (b"host", b"b")], b"h", None, False)

    def test_ownLength(self) -> None:
        """
        A true Content-Length of the application's own is sent once.
        """
        fields, _ = request_fields([(b"content-length", b"5")], b"h", 5, False)
        self.assertEqual([(b"Host", b"h"), (b"Content-Length", b"5")], fields)

    def test_close(self) -> None:
        """
        The application's own C{Connection: close} is not repeated.
        """
        fields, _ = request_fields([(b"Connection", b"x, Close")], b"h", None, True)
        self.assertEqual([(b"Host", b"h"), (b"Connection", b"x, Close")], fields)
