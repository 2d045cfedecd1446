"""
The empty line that may stand before a request (RFC 9112 section 2.2).
"""

from __future__ import annotations

from tests.server.test_timeouts import FIRST, HEAD
from tests.support.server_cases import GET, ServerTestCase, get
from tests.support.wire import splittings

CHUNKED = get(b"/", b"Transfer-Encoding: chunked", method=b"POST") + b"0\r\n\r\n"


class EmptyLineTests(ServerTestCase):
    """
    One is ignored, and begins a head.
    """

    def test_beforeEach(self) -> None:
        """
        One may stand before each request, be it a common one or not, in any cut.
        """
        for first in (GET, CHUNKED):
            for second in (GET, CHUNKED):
                data = b"".join(b"\r\n" + one for one in (first, second, first, second))
                for how, pieces in splittings(data, 7):
                    wire = self.talk(None, *pieces)
                    self.assertEqual([200] * 4, wire.statuses, how)

    def test_two(self) -> None:
        """
        Two may not, in any cut: whoever sends only empty lines must end.
        """
        for before, answered in ((b"", []), (GET, [200]), (b"\r\n" + CHUNKED, [200])):
            data = before + b"\r\n\r\n"
            for how, pieces in [
                *splittings(data + GET, 7),
                ("between", [before + b"\r\n", b"\r\n" + GET]),
                ("within", [before + b"\r\n\r", b"\n" + GET]),
            ]:
                wire = self.talk(None, *pieces)
                self.assertEqual([*answered, 400], wire.statuses, (before, how))

    def test_secondAlone(self) -> None:
        """
        The second is refused when it has arrived, whatever follows.
        """
        for before, answered in (([], []), ([GET], [200]), ([CHUNKED], [200])):
            for lines in ([b"\r\n\r\n"], [b"\r\n", b"\r\n"], [b"\r\n\r", b"\n"]):
                wire = self.talk(None, *before, *lines)
                self.assertEqual([*answered, 400], wire.statuses, (before, lines))

    def test_inTwoPieces(self) -> None:
        """
        It may be cut behind a request that was in the same segment.
        """
        wire = self.talk(None, GET + b"\r", b"\n" + GET)
        self.assertEqual([200, 200], wire.statuses)

    def test_beginsAHead(self) -> None:
        """
        Its first byte is the first of a head, which then has its time and no more.
        """
        for before, answered in (([], []), ([GET], [200])):
            for start in (b"\r", b"\r\n"):
                wire = self.talk(None, *before)
                wire.advance(FIRST - 1)
                wire.send(start)
                wire.advance(HEAD - 1)
                self.assertEqual(answered, wire.statuses, (before, start))
                wire.advance(2)
                self.assertEqual([*answered, 408], wire.statuses, (before, start))

    def test_end(self) -> None:
        """
        Half of it is half a request, where the client sends nothing more.
        """
        self.assertEqual([400], self.talk(None, b"\r").halfClose().statuses)
        wire = self.talk(None, b"\r\n").halfClose()
        self.assertEqual(([], True), (wire.statuses, wire.transport.disconnecting))
