"""
Chunked bodies are read as h11 reads them, with and without it.
"""

from __future__ import annotations

from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.web.client import ResponseDone

from tests.fuzz import client_law
from tests.fuzz.client_law import CHUNKED_HEAD, LONGEST, check_chunks
from tests.fuzz.client_streams import cut
from tests.fuzz.law import BrokenLaw
from tests.support.client_cases import ClientTestCase
from twisted_h11._http.chunks import (
    ChunkDecoder,
    StrictRules,
    TolerantRules,
    frame,
)
from twisted_h11.limits import Limits

# What may stand in a chunk of three bytes, part for part.
PARTS = (
    [b"3", b"03", b"3g", b"+3", b""],
    [b"", b" ", b"\t", b" \t ", b"\x0b"],
    [b"", b";", b";x", b"; x = y", b';x="\\"y;"', b";\xff", b";\0", b"x"],
    [b"", b" ", b"\t", b"\r", b";"],
    [b"\r\n", b"\n", b"\r"],
    [b"abc"],
    [b"\r\n", b"\n", b"\r", b""],
)

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
        b"0\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\n",
        b"0\n\n",
        b"0\r\n\n",
        b"",
        b"0",
    ]
)


def read_cut(
    data: bytes, size: int, rules: StrictRules | TolerantRules | None = None
) -> tuple[ChunkDecoder, bytes]:
    """
    Have a chunked body read in segments of a length.

    @param rules: those of the client if there are none.
    @return: what has read it, and the body.
    """
    reader = ChunkDecoder(rules or TolerantRules(LONGEST))
    starts = range(0, len(data), size)
    body = b"".join([reader.feed(data[start : start + size]) for start in starts])
    return reader, body


class ChunkTests(ClientTestCase):
    """
    L{ChunkDecoder}, and the connection that it reads for.
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
        However a body is chunked and cut, h11 and the client see the same, and the
        response is what the reader says.
        """
        data = b"".join(chunks) + end
        pieces = cut(data, cuts)
        check_chunks(pieces)
        reader = ChunkDecoder(TolerantRules(LONGEST))
        body = reader.feed(data)
        result: Any = ("open", None)
        if reader.ended:
            result = ("ended", reader.trailers)
        elif reader.error is not None:
            result = ("refused", None)
        ours = self.ours(pieces)
        self.assertEqual(result, ours[1:])
        self.assertTrue(body.startswith(ours[0]))
        if result[0] != "refused":
            self.assertEqual(body, ours[0])

    def test_lines(self) -> None:
        """
        Whatever a chunk is put together of, h11 and the client see the same.
        """
        for parts in product(*PARTS):
            check_chunks([b"".join(parts) + b"0\r\n\r\n"])

    def test_framingFields(self) -> None:
        """
        Fields about framing in a trailer section are what h11 makes of them: equal
        lengths are one, others and other codings are refused.
        """
        length, coding = b"Content-Length: %b\r\n", b"Transfer-Encoding: %b\r\n"
        for section, expected in (
            (length % b"5" + length.lower() % b"5", [(b"Content-Length", b"5")]),
            (length % b"5, 5", [(b"Content-Length", b"5")]),
            (coding % b"Chunked", [(b"Transfer-Encoding", b"chunked")]),
            (length % b"5" + length % b"6", None),
            (length % b"-1", None),
            (coding % b"gzip", None),
            (coding % b"chunked" * 2, None),
        ):
            data = b"5\r\nhello\r\n0\r\nA: b\r\n" + section + b"\r\n"
            check_chunks([data])
            end, trailers = self.ours([data])[1:]
            if expected is None:
                self.assertEqual("refused", end, section)
            else:
                self.assertEqual([(b"A", b"b"), *expected], trailers, section)

    def test_brokenLawIsSeen(self) -> None:
        """
        The check fails for a reader that loses a byte, or ends too late.
        """
        pieces = [b"5\r\nhello\r\n0\r\n\r\n", b"rest"]
        self.assertTrue(check_chunks(pieces))

        class Losing(ChunkDecoder):
            def feed(self, data: bytes) -> bytes:
                return super().feed(data)[1:]

        class Late(ChunkDecoder):
            def feed(self, data: bytes) -> bytes:
                body = super().feed(data)
                if self.ended:
                    self.rest += b"\n"
                return body

        for kind in (Losing, Late):
            self.patch(client_law, "ChunkDecoder", kind)
            self.assertRaises(BrokenLaw, check_chunks, pieces)

    def test_usual(self) -> None:
        """
        A usual body is read in any cut.
        """
        data = b"5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n"
        for size in range(1, len(data) + 1):
            reader, body = read_cut(data, size)
            self.assertEqual(b"hello0123456789", body)
            self.assertEqual(
                (True, b"", False), (reader.ended, reader.rest, reader.odd)
            )

    def test_digits(self) -> None:
        """
        A size of several digits is hexadecimal, with an extension too, and usual.
        """
        sizes = (0x10, 0x1F, 0xFF, 0x100, 0x1A2B)
        for size, extension in product(sizes, (b"", b";a=b")):
            content = b"x" * size
            data = b"%x%b\r\n%b\r\n0\r\n\r\n" % (size, extension, content)
            for step in (7, len(data)):
                for rules in (TolerantRules(LONGEST), StrictRules(Limits())):
                    reader, body = read_cut(data, step, rules)
                    self.assertEqual((content, True), (body, reader.ended))
                    self.assertEqual((None, False), (reader.error, reader.odd))

    def test_behindTheEnd(self) -> None:
        """
        Nothing is content behind the trailer section.
        """
        data = b"1\r\na\r\n0\r\n\r\n"
        for size in (1, 4, len(data)):
            reader, _ = read_cut(data, size)
            for more in (b"1\r\nb\r\n", b"x"):
                self.assertEqual(b"", reader.feed(more))
                self.assertEqual((more, None), (reader.rest, reader.error))

    def test_between(self) -> None:
        """
        A reader is between chunks before the first and behind the CR LF of each: not
        within a chunk line or data, not before that CR LF, not when the body has ended
        or was wrong.
        """
        data = b"2\r\nhi\r\n3\r\nabc\r\n0\r\n\r\n"
        between = [
            size
            for size in range(len(data) + 1)
            if read_cut(data[:size], size or 1)[0].isBetween
        ]
        self.assertEqual([0, 7, 15], between)
        self.assertFalse(read_cut(b"x\r\n", 1)[0].isBetween)

    def test_framedAgain(self) -> None:
        """
        What was decoded is framed as it was received.
        """
        chunk, end = b"5\r\nhello\r\n", b"0\r\nA: b\r\nC: d\r\n\r\n"
        for pieces in ([chunk, end], [chunk + end], [b"", chunk, b"0\r\n", end[3:]]):
            reader = ChunkDecoder(TolerantRules(LONGEST))
            framed = [frame(reader.feed(piece), reader) for piece in pieces]
            self.assertEqual(chunk + end, b"".join(framed))

    def test_bareLF(self) -> None:
        """
        A bare LF ends a line of the framing, in any cut, and is said to be odd; so it
        does behind the data of a chunk, if its line has ended in one.
        """
        usual = b"5;x\r\nhel\nl\r\n2\r\n\r\n\r\n0\r\nA: b\r\n\r\n"
        lines = [b"5;x", b"hel\nl", b"2", b"\r\n", b"0", b"A: b", b""]
        for odd in ({0}, {0, 1}, {2}, {2, 3}, {4}, {5}, {6}, {*range(7)}):
            data = b"".join(
                line + (b"\n" if place in odd else b"\r\n")
                for place, line in enumerate(lines)
            )
            self.assertNotEqual(usual, data)
            for size in range(1, len(data) + 1):
                reader, body = read_cut(data, size)
                self.assertEqual(b"hel\nl\r\n", body)
                self.assertEqual(
                    (True, True, [(b"A", b"b")]),
                    (reader.ended, reader.odd, reader.trailers),
                )

    def test_whiteSpace(self) -> None:
        """
        White space at the end of a chunk line is usual, as in h11, which refuses it in
        front of an extension: that is said to be odd.
        """
        for line, isOdd in (
            (b"5 \t", False),
            (b"5;", False),
            (b"5; x", False),
            (b"5; x \t", False),
            (b"5 ;", True),
            (b"5\t;x", True),
            (b"5 ; x=y ", True),
        ):
            data = line + b"\r\nhello\r\n0\r\n\r\n"
            for size in range(1, len(data) + 1):
                reader, body = read_cut(data, size)
                self.assertEqual(
                    (b"hello", True, isOdd), (body, reader.ended, reader.odd), line
                )

    def test_bareLFBehindData(self) -> None:
        """
        A bare LF behind the data of a chunk whose line has ended in CR LF is refused,
        in any cut: the size could be wrong by one, and the CR be of its line end.
        """
        for data in (b"6\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\n0\n\n"):
            for size in range(1, len(data) + 1):
                reader, body = read_cut(data, size)
                self.assertEqual(b"hello", body[:5])
                self.assertRegex(
                    str(reader.error), r"\Amalformed chunk footer: b'\\n0?'\Z"
                )

    def test_long(self) -> None:
        """
        A chunk line, and a trailer section, are bounded, in any cut.
        """
        for data, what in (
            (b"5;" + b"x" * 200 + b"\r\n", "chunk line"),
            (b"0\r\n" + b"A: b\r\n" * 50 + b"\r\n", "trailer section"),
            (b"0\r\nA: " + b"b" * 200 + b"\r\n\r\n", "trailer section"),
        ):
            for size in (1, 7, len(data)):
                reader = ChunkDecoder(TolerantRules(100))
                for start in range(0, len(data), size):
                    reader.feed(data[start : start + size])
                self.assertIn(f"the {what} is longer than 100", str(reader.error))

    def test_longToTheByte(self) -> None:
        """
        They are as long as the bound says, and not longer, in any cut.
        """
        for begin, line in (
            (b"", b"1;xxxxx\r\n"),
            (b"0\r\n", b"A: b\r\nC: d\r\n\r\n"),
        ):
            for size in (1, 7, 100):
                data = begin + line
                for limit, fails in ((len(line), False), (len(line) - 1, True)):
                    reader = ChunkDecoder(TolerantRules(limit))
                    for start in range(0, len(data), size):
                        reader.feed(data[start : start + size])
                    self.assertEqual(fails, reader.error is not None, (line, size))

    def test_moreExtensionsThanData(self) -> None:
        """
        Extensions may be long, but not all of them, in any cut; those of long chunks,
        and short ones, may be as many as they like.
        """
        for line, length, fails in (
            *((b";%b" % (b"x" * 80,), 1, True), (b";%b" % (b"x" * 20,), 1, True)),
            *((b";a=b", 1, False), (b" " * 80, 1, True), (b"", 1, False)),
            (b";chunk-signature=%b" % (b"0" * 64,), 64, False),
        ):
            data = (b"%x%b\r\n%b\r\n" % (length, line, b"y" * length)) * 500
            for size in (1, 7, len(data)):
                reader = ChunkDecoder(TolerantRules(1000))
                body = 0
                for start in range(0, len(data), size):
                    body += len(reader.feed(data[start : start + size]))
                if fails:
                    self.assertIn("chunk extensions", str(reader.error), line)
                    self.assertLess(body, 200)
                else:
                    self.assertEqual((None, 500 * length), (reader.error, body), line)

    def test_moreExtensionsToTheByte(self) -> None:
        """
        What they have too much is counted to the byte; a short one has not less
        than none.
        """
        for first, last in product(([], [b"1;"]), (32, 33)):
            lines = [*first, b"1;" + b"x" * 36, b"1;" + b"x" * last]
            data = b"".join(line + b"\r\ny\r\n" for line in lines)
            reader = ChunkDecoder(TolerantRules(40))
            self.assertEqual(len(lines) - (last > 32), len(reader.feed(data)))
            self.assertEqual(last > 32, reader.error is not None)

    def test_emptyLine(self) -> None:
        """
        An empty line is no chunk line.
        """
        for line in (b"\n", b"\r\n"):
            reader = ChunkDecoder(TolerantRules(100))
            reader.feed(line)
            self.assertIn("illegal chunk header", str(reader.error))

    def test_framingThatH11Refuses(self) -> None:
        """
        A field about framing in the trailer section, which says nothing there, fails
        the body if h11 refuses it.
        """
        for line, refused in (
            (b"Transfer-Encoding: cuhkned", True),
            (b"Content-Length: x", True),
            (b"Content-Length: 1\r\nContent-Length: 2", True),
            (b"Transfer-Encoding: chunked", False),
            (b"Content-Length: 5", False),
        ):
            data = b"3\r\nabc\r\n0\r\n" + line + b"\r\n\r\n"
            for pieces in ([data], cut(data, [1] * 100)):
                check_chunks(pieces)
                reader = ChunkDecoder(TolerantRules(LONGEST))
                self.assertEqual(b"abc", b"".join(map(reader.feed, pieces)))
                self.assertEqual(refused, reader.error is not None, line)

    def test_folds(self) -> None:
        """
        A folded field of the trailer section has the value that h11 gives it, with
        spaces before and behind the line end.
        """
        spaces = (b"", b" ", b"\t", b" \t ")
        for before, behind in product(spaces, spaces[1:]):
            for first, second in product((b"", b"a"), (b"", b"b")):
                line = b"x:" + before + first + before + b"\r\n" + behind + second
                data = b"3\r\nabc\r\n0\r\n" + line + b"\r\n\tc\r\nD: e\r\n\r\n"
                for pieces in ([data], cut(data, [1] * 100)):
                    self.assertTrue(check_chunks(pieces), data)

    def test_controlAboutFraming(self) -> None:
        """
        A control character in a field of the trailer section whose name has the letters
        of one about framing fails the body, whatever was forgiven before.
        """
        for before in (b"", b"A: b\n"):
            for name in (b"Content-Length", b"transfer-encoding%"):
                data = b"3\r\nabc\r\n0\r\n" + before + name + b": x\x1f\r\n\r\n"
                self.assertFalse(check_chunks([data]))
                reader = ChunkDecoder(TolerantRules(LONGEST))
                self.assertEqual(b"abc", reader.feed(data))
                self.assertIn("where the response ends", str(reader.error))

    def test_controlInExtension(self) -> None:
        """
        A control character in the extension of a chunk, which h11 takes, is refused:
        it could be the end of the line to somebody else.
        """
        for line in (b"3;x=\x04", b"3;x\x0010", b"3;x\ry"):
            data = line + b"\r\nabc\r\n0\r\n\r\n"
            self.assertFalse(check_chunks([data]))
            reader = ChunkDecoder(TolerantRules(LONGEST))
            self.assertEqual(b"", reader.feed(data))
            self.assertIn("illegal chunk header", str(reader.error))

    def test_controlInTrailers(self) -> None:
        """
        A field of the trailer section with a control character, which h11 takes, is
        left out, and said to be odd.
        """
        data = b"3\r\nabc\r\n0\r\nDigest: \x1dx\r\nA: b\r\n\r\n"
        self.assertFalse(check_chunks([data]))
        reader = ChunkDecoder(TolerantRules(LONGEST))
        self.assertEqual(b"abc", reader.feed(data))
        self.assertEqual(
            (True, True, [(b"A", b"b")]), (reader.ended, reader.odd, reader.trailers)
        )

    def test_controlInFramingTrailer(self) -> None:
        """
        A control character in a field of the trailer section that could be about
        framing, which h11 takes, fails the body.
        """
        for name in (b"conten%t-length", b"Content-Length", b"Transfer-Encoding"):
            data = b"0\r\n" + name + b": 8\x01\r\n\r\n"
            for pieces in ([data], cut(data, [1] * 100)):
                self.assertFalse(check_chunks(pieces))
                reader = ChunkDecoder(TolerantRules(LONGEST))
                for piece in pieces:
                    reader.feed(piece)
                self.assertIn("where the response ends", str(reader.error))

    def test_framingInTrailers(self) -> None:
        """
        A malformed field in the trailer section that could be about framing fails
        the body.
        """
        for line in (b"Content-Length : 5", b"Transfer-Encoding: chunked\0"):
            reader = ChunkDecoder(TolerantRules(LONGEST))
            reader.feed(b"0\r\n" + line + b"\r\n\r\n")
            self.assertIn("where the response ends", str(reader.error))
            self.assertFalse(reader.ended)
