"""
What a foreign request writes in chunks is framed once, whether its pieces are known
as those of C{toChunk} or have to be decoded, and in whatever order the two come.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.web import http, server

from tests.fuzz.strategies import examples
from tests.support.server_cases import GET, Holding, ServerTestCase
from twisted_h11._http.chunks import ChunkDecoder, TolerantRules
from twisted_h11._server import foreign

LAST = b"0\r\n\r\n"
SIZES = st.sampled_from([1, 2, 9, 10, 15, 16, 17, 255, 256, 4096, 70_000])
DATA = st.one_of(
    st.sampled_from([b"", b"0", b"\r\n", LAST, b"1\r\na\r\n", b"0\r\n"]),
    SIZES.map(lambda size: b"x" * size),
)

# A call on the channel, or a change of the request.
Step = tuple[str, Any]


@st.composite
def pieces(draw: Any) -> list[bytes]:
    """
    The pieces of a chunk, mostly as C{toChunk} makes them.
    """
    data = draw(DATA)
    made = list(http.toChunk(data))
    size = made[0]
    match draw(st.integers(0, 11)):
        case 0:
            made[0] = draw(
                st.sampled_from(
                    [
                        *(size.upper(), b"0" + size, b"+" + size, b" " + size),
                        *(size + b" ", size + b";x", b"%x" % (len(data) + 1), b""),
                        *(b"%x" % max(len(data) - 1, 0), b"g", size + b"\r\n"),
                    ]
                )
            )
        case 1:
            made[draw(st.sampled_from([1, 3]))] = draw(
                st.sampled_from([b"", b"\n", b"\r", b"\r\n\r\n", b"\r\nx", b"\r\n0"])
            )
        case 2:
            del made[draw(st.integers(0, 3))]
        case 3:
            made.append(draw(DATA))
    return made


@st.composite
def steps(draw: Any) -> list[Step]:
    """
    What a request does with its channel.
    """
    made: list[Step] = []
    for _ in range(draw(st.integers(1, 5))):
        parts = draw(pieces())
        if draw(st.integers(0, 9)) == 0:
            parts = [LAST]
        data = b"".join(parts)
        match draw(st.integers(0, 9)):
            case 0 | 1 | 2 | 3 | 4:
                made.append(("writeSequence", tuple(parts)))
            case 5:
                made.append(("writeSequence", list(parts)))
            case 6:
                made.append(("write", data))
            case 7:
                at = draw(st.integers(0, len(data)))
                made += [("write", data[:at]), ("write", data[at:])]
            case 8:
                # Where an end of one and the beginning of another are together.
                at = draw(st.integers(0, len(data)))
                made.append(("write", data[:at]))
                made.append(("writeSequence", (data[at:], *draw(pieces()))))
            case 9:
                at = draw(st.integers(0, len(parts)))
                made.append(("writeSequence", tuple(parts[:at])))
                made.append(("writeSequence", tuple(parts[at:])))
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(made)))
        made.insert(at, draw(st.sampled_from([("chunked", 0), ("code", 500)])))
        if draw(st.booleans()):
            made.insert(draw(st.integers(at, len(made))), ("chunked", 1))
    return made


def decoded(done: list[Step]) -> tuple[bytes, bool]:
    """
    What has to come of it: everything is decoded, and framed.

    @return: the chunks, and whether the response fails.
    """
    decoder = ChunkDecoder(TolerantRules(1024))
    content = b""
    chunked, code = 1, 200
    for what, value in done:
        if what == "chunked":
            chunked = value
        elif what == "code":
            code = value
        elif code == 500:
            return content, True
        else:
            data = value if what == "write" else b"".join(value)
            if chunked:
                data = decoder.feed(data)
                if decoder.error is not None:
                    return content, True
            if data:
                content += b"".join(http.toChunk(data))
    return content, False


class ChunkTests(ServerTestCase):
    """
    Chunks that a foreign request frames.
    """

    def begun(self) -> tuple[Any, Any, int]:
        """
        A wire, a request on it that has sent its head, and the length of that.
        """
        holding = Holding()
        wire = self.connect(self.site(holding, requestFactory=server.Request))
        wire.send(GET)
        request = holding.requests.pop()
        self.addCleanup(holding.lost.clear)
        request.write(b"")
        return wire, request, len(wire.output)

    @examples(400)
    @given(steps())
    def test_asDecoded(self, done: list[Step]) -> None:
        """
        Whatever is recognised, the same goes out as if all of it were decoded.
        """
        wire, request, start = self.begun()
        for what, value in done:
            if what in ("chunked", "code"):
                setattr(request, what, value)
            else:
                getattr(request.channel, what)(value)
        framed, failed = decoded(done)
        self.assertEqual(framed, wire.output[start:])
        wire.settle(6)
        self.assertEqual(failed, wire.closed)
        if not failed and request.chunked:
            framed, failed = decoded([*done, ("write", LAST)])
            request.finish()
            self.assertEqual(framed + LAST * (not failed), wire.output[start:])
            self.assertEqual(failed, bool(wire.channel.wire.closing))
        self.flushLoggedErrors()
        wire.vanish()

    def test_recognised(self) -> None:
        """
        The pieces of C{toChunk}, and the last chunk, need no decoder.
        """

        def fail(*_: object) -> None:
            raise AssertionError("a decoder was made")

        self.patch(foreign, "ChunkDecoder", fail)
        wire, request, start = self.begun()
        for size in (1, 15, 16, 4095, 4096, 70_000):
            request.write(b"x" * size)
        request.finish()
        self.assertTrue(wire.output[start:].endswith(LAST))
        self.assertTrue(wire.only().complete)

    def test_notBytes(self) -> None:
        """
        Pieces that are other buffers are copied: they may change before they leave.
        """
        wire, request, start = self.begun()
        data = bytearray(b"abc")
        request.channel.writeSequence((b"3", b"\r\n", data, b"\r\n"))
        data[:] = b"xyz"
        request.channel.write(LAST)
        request.finish()
        self.assertEqual(b"3\r\nabc\r\n" + LAST, wire.output[start:])

    def test_afterTheLast(self) -> None:
        """
        Nothing is content behind the last chunk.
        """
        for write in ("write", "writeSequence"):
            wire, request, start = self.begun()
            request.write(b"abc")
            request.channel.write(LAST)
            more = http.toChunk(b"more")
            if write == "write":
                request.channel.write(b"".join(more))
            else:
                request.channel.writeSequence(more)
            request.finish()
            self.assertEqual(b"3\r\nabc\r\n" + LAST, wire.output[start:])
            self.assertEqual(200, wire.only().status)
