"""
What h11 must not see, and what it may.
"""

from __future__ import annotations

import h11
from twisted.trial.unittest import SynchronousTestCase

from twisted_h11._http.raw_guard import RawGuard

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def look(*pieces: bytes) -> tuple[list[str], str | None]:
    """
    Read requests, one after the other, as long as they are in order.

    @return: the kinds of events, those of data once, and what was found.
    """
    conn, guard = h11.Connection(h11.SERVER), RawGuard(1000)
    seen: list[str] = []
    for piece in pieces:
        conn.receive_data(piece)
        guard.received(piece)
        while True:
            problem = guard.problem(conn)
            if problem is not None:
                return seen, str(problem)
            event = conn.next_event()
            if not isinstance(event, (h11.Request, h11.Data, h11.EndOfMessage)):
                break
            guard.delivered(event, conn)
            if type(event).__name__ not in seen[-1:]:
                seen.append(type(event).__name__)
            if isinstance(event, h11.EndOfMessage):
                conn.send(h11.Response(status_code=204, headers=[]))
                conn.send(h11.EndOfMessage())
                conn.start_next_cycle()
    return seen, None


class GuardTests(SynchronousTestCase):
    """
    L{RawGuard}.
    """

    def test_inOrder(self) -> None:
        """
        What h11 accepts is not refused, request after request, in any cut.
        """
        one = CHUNKED + b"3;x=y\r\nabc\r\n0\r\nA: b\r\nC: d\r\n\r\n"
        two = HEAD + b"X: chunked\r\nContent-Length: 2\r\n\r\n\0\0"
        data = one + two + one + HEAD + b"\r\n"
        whole = ["Request", "Data", "EndOfMessage"]
        for size in (1, 7, len(data)):
            pieces = [data[at : at + size] for at in range(0, len(data), size)]
            expected = [*whole * 3, "Request", "EndOfMessage"]
            self.assertEqual((expected, None), look(*pieces))

    def test_found(self) -> None:
        """
        What would keep h11 busy is found, in any cut.
        """
        for data, text in (
            (HEAD + b"A: b\0\r\n\r\n", "illegal header line"),
            (HEAD + b"A: b\rc\r\n\r\n", "illegal header line"),
            (CHUNKED + b"3\nabc\r\n0\r\n\r\n", "ends with a bare LF"),
            (CHUNKED + b"3\r\nabc\n0\r\n\r\n", "malformed chunk footer"),
            (CHUNKED + b"0\r\nA: b\0\r\n\r\n", "illegal trailer line"),
            (
                CHUNKED + b"0\r\nA: b\r\nC: d\x0b\r\nE: f\r\n\r\n",
                "illegal trailer line",
            ),
        ):
            for size in (1, 7, 20, len(data)):
                pieces = [data[at : at + size] for at in range(0, len(data), size)]
                _, found = look(*pieces)
                self.assertIn(text, str(found), (data, size))

    def test_next(self) -> None:
        """
        It is found in a head behind other messages, wherever it stands in it.
        """
        chunked = CHUNKED + b"1\r\na\r\n0\r\n\r\n"
        for before in (HEAD + b"A: %b\r\n\r\n" % (b"b" * 99), chunked, chunked * 2):
            data = before + HEAD + b"A: b\0\r\n\r\n"
            for size in (1, 7, len(data)):
                pieces = [data[at : at + size] for at in range(0, len(data), size)]
                _, found = look(*pieces)
                self.assertEqual("illegal header line", found, (data, size))

    def test_tunnel(self) -> None:
        """
        Behind a response to CONNECT that opens a tunnel anything may follow; behind
        any other there is a body.
        """
        lines = b"\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc"
        for status, text in ((200, None), (299, None), (300, "bare LF"), (404, "bare")):
            conn, guard = h11.Connection(h11.CLIENT), RawGuard(1000)
            headers = [(b"Host", b"a")]
            conn.send(h11.Request(method=b"CONNECT", target=b"a:1", headers=headers))
            conn.send(h11.EndOfMessage())
            guard.method = b"CONNECT"
            conn.receive_data(b"HTTP/1.1 %d X" % status + lines)
            self.assertIs(None, guard.problem(conn))
            event = conn.next_event()
            assert isinstance(event, h11.Response)
            guard.delivered(event, conn)
            self.assertIn(text or "None", str(guard.problem(conn)), status)

    def test_eachLine(self) -> None:
        """
        Each line of a trailer section is looked at, however many come at a time.
        """
        begin = CHUNKED + b"0\r\nA: b\r\n"
        _, found = look(begin, b"C: d\x0b\r\nE: f\r\n")
        self.assertEqual("illegal trailer line", found)
