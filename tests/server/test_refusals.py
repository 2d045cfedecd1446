"""
Requests that are refused: none reaches the application, none is answered twice.

The many ways to be malformed stand in the corpus; here is what all refusals
have in common, and what a table can not say.
"""

from __future__ import annotations

from typing import Any

import h11

from tests.support.server_cases import GET, Echo, Holding, ServerTestCase, get, post
from tests.support.wire import Wire, splittings
from twisted_h11._http.response_to_send import reason_of
from twisted_h11.server import Limits

BAD = b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"


class RefusalTests(ServerTestCase):
    """
    A refusal in its surroundings.
    """

    def refused(self, *pieces: bytes) -> tuple[Echo, Wire]:
        """
        Send to an L{Echo}, and see that it saw nothing.
        """
        echo = Echo()
        wire = self.talk(echo, *pieces)
        self.assertEqual([], echo.seen)
        return echo, wire

    def test_nothingAfterRefusal(self) -> None:
        """
        Whatever follows a refused request is dropped, however it comes.
        """
        echo, wire = self.refused(BAD + GET, GET, GET)
        wire.send(GET)
        self.assertRefused(wire, 400)
        self.assertEqual([], echo.seen)
        self.assertEqual(1, len(wire.responses))

    def test_afterAnswered(self) -> None:
        """
        A refusal comes after the answers to what was sent before it.
        """
        echo = Echo()
        wire = self.talk(echo, GET + post(b"x") + BAD)
        self.assertEqual([200, 200, 400], wire.statuses)
        self.assertEqual(2, len(echo.seen))
        self.assertRefused(wire, 400)

    def test_waitsForOutstandingResponse(self) -> None:
        """
        A refusal waits until the request before it is answered.
        """
        holding = Holding()
        wire = self.talk(holding, GET + BAD)
        self.assertEqual(b"", wire.output)
        holding.answer()
        wire.pump()
        self.assertEqual([200, 400], wire.statuses)
        self.assertRefused(wire, 400)

    def test_secondSegmentWaitsForOutstandingResponse(self) -> None:
        """
        So does a refusal of bytes that come while the request runs.
        """
        holding = Holding()
        wire = self.talk(holding, GET, BAD)
        self.assertEqual(b"", wire.output)
        holding.answer()
        wire.pump()
        self.assertEqual([200, 400], wire.statuses)
        self.assertRefused(wire, 400)

    def test_afterHalfClose(self) -> None:
        """
        A client that half-closed gets its refusal, and the connection ends.
        """
        _, wire = self.refused(BAD)
        wire.halfClose()
        self.assertEqual([400], wire.statuses)
        self.assertTrue(wire.closed)

    def test_clientGone(self) -> None:
        """
        A client that vanishes in the middle of a refusal leaves nothing.
        """
        _, wire = self.refused(BAD)
        wire.vanish()
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_clientReadsNothing(self) -> None:
        """
        A client that never reads its refusal is cut off in the end.
        """
        wire = self.connect(self.site()).stall()
        wire.send(BAD)
        limits = Limits()
        wire.advance(limits.lingerTimeout + limits.abortTimeout + 2)
        self.assertTrue(wire.closed)

    def test_lengthBeyondAllIntegers(self) -> None:
        """
        A Content-Length of hundreds of digits is refused (RFC 9110 8.6).
        """
        for digits in (20, 21, 40, 5000):
            head = get(b"/", b"Content-Length: " + b"9" * digits, method=b"POST")
            _, wire = self.refused(head)
            self.assertIn(wire.only().status, (400, 413))
            self.assertRefused(wire, wire.only().status)

    def test_chunkSizeBeyondAllIntegers(self) -> None:
        """
        A chunk size of many digits is refused (RFC 9112 7.1).
        """
        for digits in (16, 17, 20, 21, 40, 5000):
            head = get(b"/", b"Transfer-Encoding: chunked", method=b"POST")
            _, wire = self.refused(head + b"F" * digits + b"\r\nabc\r\n")
            self.assertIn(wire.only().status, (400, 413))
            self.assertRefused(wire, wire.only().status)

    def test_h11Refuses(self) -> None:
        """
        What h11 refuses, or takes for another request, is refused, although our own
        rules have let it pass.
        """

        def raises(conn: Any) -> Any:
            raise h11.RemoteProtocolError("no", error_status_hint=431)

        def another(conn: Any) -> Any:
            fields = [(b"Host", b"a")]
            return h11.Request(method=b"GET", target=b"/other", headers=fields)

        for reads, status in ((raises, 431), (another, 400)):
            self.patch(h11.Connection, "next_event", reads)
            echo = Echo()
            self.assertRefused(self.talk(echo, GET, fastPath=False), status)
            self.assertEqual([], echo.seen)

    def test_onlyBinary(self) -> None:
        """
        Bytes of another protocol end in a refusal or in a time-out.
        """
        for data in (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
            bytes(range(256)) * 80,
            b"\x00" * 20000,
            b"\r" * 20000,
            b"\n" * 20000,
            b" " * 20000,
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"EHLO example.com\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
            b"\r\n" * 10000,
        ):
            _, wire = self.refused(data)
            wire.advance((Limits().headTimeout or 0) + Limits().lingerTimeout + 2)
            self.assertTrue(wire.closed, repr(data[:30]))
            self.assertGreaterEqual(wire.only().status, 400, repr(data[:30]))

    def test_unknownCodingAlone(self) -> None:
        """
        A body whose end can not be known is never waited for (RFC 9112 6.3).
        """
        for coding in (b"gzip", b"identity", b"xchunked", b"chunkedx", b'"chunked"'):
            head = get(b"/", b"Transfer-Encoding: " + coding, method=b"POST")
            _, wire = self.refused(head)
            self.assertIn(wire.only().status, (400, 501), repr(coding))
            self.assertRefused(wire, wire.only().status)

    def test_dataAfterClose(self) -> None:
        """
        Data that a transport still delivers after our close is dropped.
        """
        _, wire = self.refused(BAD)
        channel = wire.channel
        self.assertRefused(wire, 400)
        before = wire.output
        channel.dataReceived(GET)
        self.assertEqual(before, wire.output)

    def test_everyRefusedStatusKeepsTheRules(self) -> None:
        """
        One body line of plain text that names the reason, and no more.
        """
        for data, status in (
            (BAD, 400),
            (post(b"x" * 11), 413),
            (get(b"/" + b"a" * 9000), 414),
            (get(b"/", b"Expect: x"), 417),
            (get(b"/", b"X: " + b"a" * 20000), 431),
            (get(b"/", b"Transfer-Encoding: gzip, chunked"), 501),
            (get(b"/", version=b"3.0"), 505),
        ):
            wire = self.talk(Echo(), data, limits={"maxBodyLength": 10})
            response = self.assertRefused(wire, status)
            body = response.body
            self.assertRegex(body, rb"\A[\x20-\x7e]{8,}\n\Z", str(status))
            kind = response.get(b"content-type")
            self.assertEqual(b"text/plain; charset=utf-8", kind)
            self.assertEqual(reason_of(status), response.reason)

    def test_atOnce(self) -> None:
        """
        A head that can not become valid is refused with the byte that says so, in any
        cut, and behind another request.
        """
        limits = {"maxTargetLength": 50, "maxHeadLength": 90}
        for data, status in (
            (b" ", 400),
            (b"G@", 400),
            (b"GET\t", 400),
            (b"GET\r", 400),
            (b"GET  ", 400),
            (b"GET \t", 400),
            (b"GET /\xc3", 400),
            (b"GET /" + b"a" * 50, 414),
            (b"GET /\r", 400),
            (b"GET / \r", 400),
            (b"GET / h", 400),
            (b"GET / HTTP/1.1 ", 400),
            (b"GET / HTTP/1.10", 400),
            (b"GET / HTTP/3.0", 505),
            (b"GET / HTTP/1.2", 505),
            (b"GET / HTTP/1.1\r\nA: \x01", 400),
            (b"GET / HTTP/1.1\r\nA: b\n", 400),
            (b"GET / HTTP/1.1\r\nA: b\rc", 400),
            (b"GET / HTTP/1.1\r\nA: %b" % (b"b" * 72), 431),
        ):
            for before, earlier in ((b"", []), (GET, [200])):
                for how, pieces in splittings(before + data[:-1], 7):
                    wire = self.connect(self.site(limits=limits)).send(*pieces)
                    self.assertEqual(earlier, wire.statuses, (data, how))
                    wire.send(data[-1:])
                    self.assertEqual([*earlier, status], wire.statuses, (data, how))

    def test_reasons(self) -> None:
        """
        The reason says what is wrong with a line, in any cut.
        """
        for data, reason in (
            (get(b"/", b"X: a\nb"), b"bare LF"),
            (get(b"/", b"X: a\rb"), b"bare CR"),
            (get(b"/", b"X: a\x01b"), b"control character"),
            (get(b"/", b"X: a", b" b"), b"folded"),
            (get(b"/", b"X: a", b"\tb: c"), b"folded"),
            (get(b"/", b"X : a"), b"field line is malformed"),
            (get(b"/", b"X a"), b"field line is malformed"),
            (get(b"/", b"Content-Length: 5, 5"), b"more than one Content-Length"),
            (b"GET / HTTP/1.1\rX", b"bare CR"),
        ):
            for how, pieces in splittings(data, 7):
                _, wire = self.refused(*pieces)
                self.assertIn(reason, wire.only().body, (data, how))

    def test_echoesNoBytes(self) -> None:
        """
        A refusal has none of the request's bytes in it.
        """
        mark = b"zq<script>7"
        for data in (
            mark + b" / HTTP/1.1\r\n\r\n",
            get(b"/#" + mark),
            get(b"/", mark + b": x"),
            get(b"/", b"X\x01: " + mark),
            get(b"/", host=mark),
            get(b"/", b"Content-Length: " + mark),
            get(b"/", b"Transfer-Encoding: " + mark),
            get(b"/", b"Expect: " + mark),
            get(b"/", version=mark),
            get(b"/", b"Transfer-Encoding: chunked") + mark + b"\r\n",
        ):
            _, wire = self.refused(data)
            self.assertNotIn(b"zq", wire.output)
            self.assertNotIn(b"script", wire.output)
            self.assertGreaterEqual(wire.only().status, 400)
