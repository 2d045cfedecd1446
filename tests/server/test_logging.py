"""
What is logged: one access line for each answer, one reason for each refusal.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import LogLevel

from tests.support.memory import CLIENT
from tests.support.server_cases import GET, Holding, ServerTestCase, get, post

BAD = b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"


class AccessLogTests(ServerTestCase):
    """
    The access log is twisted.web's, in the combined format.
    """

    def lines(self, *pieces: bytes, **options: Any) -> list[str]:
        """
        The access lines of what is sent.
        """
        site = self.site(start=True, **options)
        wire = self.connect(site).send(*pieces)
        wire.settle(6)
        lines: list[str] = site.access.getvalue().splitlines()
        return lines

    def test_answered(self) -> None:
        """
        A line tells peer, request, status, length, referrer and agent.
        """
        request = get(b"/a?b", b"Referer: http://r/", b"User-Agent: tester")
        (line,) = self.lines(request)
        self.assertRegex(
            line,
            r'\A"192\.0\.2\.7" - - \[.*\] "GET /a\?b HTTP/1\.1" 200 7 '
            r'"http://r/" "tester"\Z',
        )

    def test_eachOnce(self) -> None:
        """
        Each answered request has one line, in order.
        """
        lines = self.lines(get(b"/1") + get(b"/2"), post(b"x", target=b"/3"))
        self.assertEqual(
            ["/1", "/2", "/3"], [line.split('"')[3].split()[1] for line in lines]
        )

    def test_refused(self) -> None:
        """
        A refused request has one line, with a dash for what is not known.
        """
        for data, known in ((BAD, "GET / HTTP/1.1"), (b"GET /\r\n\r\n", "- - -")):
            (line,) = self.lines(data)
            self.assertIn('"192.0.2.7"', line)
            self.assertIn(f' "{known}" 400 ', line)
            self.assertIn('"-"', line)

    def test_refusedInjectsNothing(self) -> None:
        """
        A refused request can not forge a line.
        """
        lines = self.lines(b'GET /"\n"1.2.3.4" - - forged HTTP/1.1\r\n\r\n')
        self.assertEqual(1, len(lines))

    def test_timedOut(self) -> None:
        """
        A request that did not come in time has its line, too.
        """
        site = self.site(start=True)
        wire = self.connect(site).send(b"GET / HT")
        wire.advance(50)
        (line,) = site.access.getvalue().splitlines()
        self.assertIn(" 408 ", line)

    def test_idle(self) -> None:
        """
        A connection that was never used has none.
        """
        site = self.site(start=True)
        self.connect(site).halfClose()
        self.connect(site).advance(70)
        self.assertEqual("", site.access.getvalue())

    def test_off(self) -> None:
        """
        C{accessLog=False} writes none.
        """
        self.assertEqual([], self.lines(GET, BAD, accessLog=False))

    def test_formatter(self) -> None:
        """
        C{logFormatter} makes the line, of refused requests as well.
        """

        def formatter(timestamp: str, request: Any) -> str:
            return f"<{request.code}>"

        self.assertEqual(
            ["<200>", "<400>"], self.lines(GET + BAD, logFormatter=formatter)
        )


class MessageTests(ServerTestCase):
    """
    The log of the server.
    """

    def test_refusal(self) -> None:
        """
        A refusal is one line at level info, with its reason and the peer.
        """
        wire = self.connect(self.site())
        before = len(self.events)
        wire.send(BAD)
        events = self.events[before:]
        told = [text for text in self.messages()[before:] if CLIENT.host in text]
        self.assertEqual(1, len(told), told)
        self.assertIn("Host", told[0])
        for event in events:
            self.assertLessEqual(event["log_level"], LogLevel.info)

    def test_refusalInjectsNothing(self) -> None:
        """
        Nothing of the request's bytes can forge a line.
        """
        wire = self.connect(self.site())
        before = len(self.events)
        wire.send(b"GET /\x1b[2J HTTP/1.1\r\nHost: a\r\nX\n\x1b: forged\r\n\r\n")
        texts = self.messages()[before:]
        self.assertEqual(1, len(texts), texts)
        self.assertEqual([400], wire.statuses)
        for text in texts:
            self.assertNotIn("\x1b", text)
            self.assertNotIn("\n", text.strip())

    def test_nothingOnSuccess(self) -> None:
        """
        An answered request is no news.
        """
        wire = self.connect(self.site())
        before = len(self.events)
        wire.send(GET, post(b"x")).halfClose()
        self.assertEqual([200, 200], wire.statuses)
        self.assertEqual([], self.messages()[before:])
        # What is news is seen here.
        self.connect(self.site()).send(b"nonsense\r\n\r\n")
        self.assertEqual(1, len(self.messages()[before:]))

    def test_clientGone(self) -> None:
        """
        A client that goes is no news, whatever it was doing.
        """
        holding = Holding()
        site = self.site(holding)
        before = len(self.events)
        for data in ((), (b"GET /",), (post(b"hello")[:-1],), (GET,)):
            self.connect(site).send(*data).vanish()
        self.assertEqual(1, len(holding.lost))
        self.assertEqual([], self.messages()[before:])
        holding.requests.clear()
        holding.lost.clear()

    def assertToldOnce(self, render: Any) -> None:
        """
        What C{render} does leaves one line in the log.
        """
        wire = self.connect(self.site(render))
        before = len(self.events)
        wire.send(GET)
        wire.settle(6)
        self.flushLoggedErrors()
        self.assertEqual(1, len(self.messages()[before:]), self.messages()[before:])

    def test_tooMuchOnce(self) -> None:
        """
        A response longer than its Content-Length is told once.
        """

        def render(request: Any) -> None:
            request.setHeader(b"Content-Length", b"1")
            for _ in range(10):
                request.write(b"more")
            request.finish()

        self.assertToldOnce(render)

    def test_tooLittleOnce(self) -> None:
        """
        So is one that is shorter.
        """

        def render(request: Any) -> None:
            request.setHeader(b"Content-Length", b"10")
            request.write(b"more")
            request.finish()

        self.assertToldOnce(render)
