"""
Chunked bodies are read as h11 reads them, with and without it.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.web.client import ResponseDone

from tests.client_support.memory import ClientTestCase
from tests.fuzz import client_law
from tests.fuzz.client_law import CHUNKED_HEAD, body_by_h11, check_chunks
from tests.fuzz.client_streams import cut
from tests.fuzz.law import BrokenLaw
from twisted_h11._client_chunks import ChunkReader

CHUNK = st.one_of(
    st.binary(min_size=1, max_size=40).map(lambda d: b"%x\r\n%b\r\n" % (len(d), d)),
    st.binary(min_size=1, max_size=9).map(lambda d: b"0%X\r\n%b\r\n" % (len(d), d)),
    st.sampled_from(
        [
            b"3;x=y\r\nabc\r\n",
            b"3 \r\nabc\r\n",
            b"3\r\nabcX\r\n",
            b"3\r\nabc\n",
            b"3\nabc\r\n",
            b"+3\r\nabc\r\n",
            b"0x3\r\nabc\r\n",
            b"\r\n",
            b"g\r\n",
            b"00000000000000003\r\nabc\r\n",
            b"3\r\nab",
            b"fffffffffffffffff\r\n",
        ]
    ),
)
END = st.sampled_from(
    [
        b"0\r\n\r\n",
        b"00\r\n\r\n",
        b"0\r\nA: b\r\n\r\n",
        b"0;x\r\n\r\n",
        b"0\r\n\r\nmore",
        b"0\r\n",
        b"0\r\nA\r\n\r\n",
        b"0\n\n",
        b"0\r\n\n",
        b"",
        b"0",
    ]
)


class ChunkTests(ClientTestCase):
    """
    L{ChunkReader}, and h11 behind it.
    """

    def ours(self, pieces: list[bytes]) -> tuple[bytes, str, Any]:
        """
        The same, as our client sees it.
        """
        deferred, peer = self.ask()
        peer.send(CHUNKED_HEAD)
        response = self.successResultOf(deferred)
        reader = self.read(response)
        peer.send(*pieces)
        if reader.reason is None:
            result: Any = "open", None
        elif reader.reason.check(ResponseDone):
            result = "ended", response._trailerFields
        else:
            result = "refused", None
        peer.lose()
        self.clock.advance(0)
        return (reader.data, *result)

    @settings(max_examples=300, deadline=None)
    @given(st.lists(CHUNK, max_size=5), END, st.lists(st.integers(1, 200), max_size=8))
    def test_agreesWithH11(
        self, chunks: list[bytes], end: bytes, cuts: list[int]
    ) -> None:
        """
        However a body is chunked and cut, h11 and the client see the same.
        """
        data = b"".join(chunks) + end
        pieces = cut(data, cuts)
        check_chunks(pieces)
        expected = body_by_h11(data)[:3]
        ours = self.ours(pieces)
        if expected[1] == "refused":
            # Where in a refused body the error is found may differ by what was
            # delivered together.
            self.assertEqual("refused", ours[1])
            self.assertTrue(expected[0].startswith(ours[0]) or ours[0] == expected[0])
        else:
            self.assertEqual(expected, ours)

    def test_brokenLawIsSeen(self) -> None:
        """
        The check fails for a reader that loses a byte, or ends too late.
        """
        pieces = [b"5\r\nhello\r\n0\r\n\r\n", b"rest"]
        self.assertTrue(check_chunks(pieces))

        class Losing(ChunkReader):
            def feed(self, data: bytes) -> bytes:
                return super().feed(data)[1:]

        class Late(ChunkReader):
            def feed(self, data: bytes) -> bytes:
                body = super().feed(data)
                self.rest = b"\n"
                return body

        for kind in (Losing, Late):
            self.patch(client_law, "ChunkReader", kind)
            self.assertRaises(BrokenLaw, check_chunks, pieces)

    def test_usual(self) -> None:
        """
        The usual body needs no h11, in any cut.
        """
        data = b"5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n"
        for size in range(1, len(data) + 1):
            reader = ChunkReader()
            body = b""
            for start in range(0, len(data), size):
                body += reader.feed(data[start : start + size])
            self.assertEqual(b"hello0123456789", body)
            self.assertEqual((True, b""), (reader.ended, reader.rest))

    def test_unusual(self) -> None:
        """
        What is unusual is left to h11, from the beginning of a chunk on.
        """
        for unusual in (b"3;x\r\nabc\r\n", b"0\r\nA: b\r\n\r\n", b"x" * 20):
            reader = ChunkReader()
            self.assertEqual(b"ab", reader.feed(b"2\r\nab\r\n" + unusual))
            self.assertEqual((False, unusual), (reader.ended, reader.rest))
