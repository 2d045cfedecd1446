"""
Chunked bodies are read as h11 reads them, with and without it.
"""

from __future__ import annotations

from typing import Any

import h11
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.web.client import ResponseDone

from tests.client_support.memory import ClientTestCase
from twisted_h11._client_chunks import ChunkReader

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

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


def by_h11(data: bytes) -> tuple[bytes, str, Any]:
    """
    Body, end and trailers, as h11 sees them.
    """
    conn = h11.Connection(h11.CLIENT)
    conn.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    conn.receive_data(HEAD + data)
    body = b""
    while True:
        try:
            event = conn.next_event()
        except h11.RemoteProtocolError:
            return body, "refused", None
        if event is h11.NEED_DATA:
            return body, "open", None
        if isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            return body, "ended", event.headers.raw_items()


class ChunkTests(ClientTestCase):
    """
    L{ChunkReader}, and h11 behind it.
    """

    def ours(self, pieces: list[bytes]) -> tuple[bytes, str, Any]:
        """
        The same, as our client sees it.
        """
        deferred, peer = self.ask()
        peer.send(HEAD)
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
        pieces, last = [], 0
        for cut in sorted({cut for cut in cuts if cut < len(data)}):
            pieces.append(data[last:cut])
            last = cut
        pieces.append(data[last:])
        expected = by_h11(data)
        ours = self.ours([piece for piece in pieces if piece])
        if expected[1] == "refused":
            # Where in a refused body the error is found may differ by what was
            # delivered together.
            self.assertEqual("refused", ours[1])
            self.assertTrue(expected[0].startswith(ours[0]) or ours[0] == expected[0])
        else:
            self.assertEqual(expected, ours)

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
