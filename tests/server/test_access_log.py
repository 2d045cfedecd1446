"""
The access log: twisted.web's lines to the byte, and none of them lost.
"""

from __future__ import annotations

import io
import os
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.task import Clock
from twisted.python.logfile import LogFile
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import combinedLogFormatter, proxiedLogFormatter

from tests.fuzz.strategies import REAL, examples, head
from tests.support.memory import MemoryTransport
from tests.support.server_cases import (
    FAST_PATH,
    Calls,
    Holding,
    ServerTestCase,
    get,
    post,
)
from tests.support.wire import Wire
from twisted_h11._server import access_log
from twisted_h11._server.access_log import combined_line
from twisted_h11._server.batched_file import _MOST_LINES, FLUSH_SECONDS
from twisted_h11.server import Site

PEERS = [
    IPv4Address("TCP", "192.0.2.7", 50007),
    IPv6Address("TCP", "2001:db8::7", 50007),
    UNIXAddress("/run/socket"),
]

# What the formatter escapes, and what it does not.
TEXT = st.text(
    st.sampled_from("az09 -\"'\\\t\x80\xa0\xe4\xff;,[]{}%!~"), max_size=8
).map(lambda text: text.encode("latin-1"))


@st.composite
def requests(draw: Any) -> bytes:
    """
    A request with what is logged in it, some of it twice or not at all.
    """
    target = draw(
        st.sampled_from([b"/", b"/a?b=c", b"/a%22", b"/?a\\b", b"/'", b"/\x7e|{}"])
    )
    lines = [b"Host: a"]
    for name in (b"Referer", b"user-agent", b"USER-AGENT", b"X-Referer"):
        if draw(st.booleans()):
            lines.append(name + b":" + draw(st.sampled_from([b"", b" "])) + draw(TEXT))
    method = draw(st.sampled_from([b"GET", b"POST", b"HEAD", b"BREW", b"get", b"M-X"]))
    version = draw(st.sampled_from([b"1.1", b"1.1", b"1.1", b"1.0"]))
    made: bytes = head(method + b" " + target + b" HTTP/" + version, *lines)
    return made


def answers(request: Any) -> bytes:
    """
    A status and a length that depend on the method.
    """
    if request.method == b"BREW":
        request.setResponseCode(418, b"I'm a teapot")
    return b"" if request.method == b"POST" else b"some content"


class Both:
    """
    A formatter that asks ours and twisted.web's.

    @ivar lines: what each said.
    """

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def __call__(self, timestamp: Any, request: Any) -> str:
        """
        See L{twisted.web.iweb.IAccessLogFormatter}.
        """
        ours = combined_line(timestamp, request)
        # Again, with what was remembered.
        assert combined_line(timestamp, request) == ours
        self.lines.append((ours, str(combinedLogFormatter(timestamp, request))))
        return str(ours)


def reads_all(request: Any) -> bytes:
    """
    Makes the mapping of all fields.
    """
    list(request.requestHeaders.getAllRawHeaders())
    return answers(request)


class LineTests(SynchronousTestCase):
    """
    C{combined_line} against C{combinedLogFormatter}.
    """

    def compared(
        self, data: bytes, peer: Any = PEERS[0], render: Any = answers
    ) -> list[str]:
        """
        Answer requests, and compare the lines.

        @return: the lines.
        """
        clock = Clock()
        both: Any = Both()
        site: Any = Site(Calls(render), reactor=clock, logFormatter=both)
        site.startFactory()
        site.logFile = io.StringIO()
        wire = Wire(site, clock)
        wire.transport._peer = peer
        wire.channel._peer = None
        wire.send(data)
        wire.advance(1)
        wire.vanish()
        site.stopFactory()
        for ours, theirs in both.lines:
            self.assertEqual(ours, theirs)
        return [ours for ours, _ in both.lines]

    @examples(100)
    @given(st.lists(requests(), min_size=1, max_size=3), st.sampled_from(PEERS))
    def test_sameLines(self, data: list[bytes], peer: Any) -> None:
        """
        The lines are twisted.web's to the byte, for whatever a client says of
        itself, and for every kind of address.
        """
        lines = self.compared(b"".join(data), peer)
        self.assertTrue(lines)
        for line in lines:
            self.assertNotIn("\n", line)

    def test_realRequests(self) -> None:
        """
        And for what browsers, curl and wget send, several on one connection.
        """
        self.assertEqual(len(self.compared(b"".join(REAL) * 2)), 2 * len(REAL))

    def test_everyByte(self) -> None:
        """
        Every byte that may be in a value, alone, at either end, and within.
        """
        for value in [9, *range(32, 127), *range(128, 256)]:
            byte = bytes([value])
            for text in (byte, b"a" + byte, byte + b"a", b"a" + byte + b"a"):
                data = head(
                    b"GET / HTTP/1.1",
                    b"Host: a",
                    b"Referer: " + text,
                    b"User-Agent: " + text,
                )
                self.compared(data)
                self.compared(data, render=reads_all)

    def test_everyByteOfATarget(self) -> None:
        """
        Every character that may be in a path or a query.
        """
        for code in range(33, 127):
            byte = bytes([code])
            for target in (b"/" + byte, b"/?" + byte, b"/a" + byte + b"b?c" + byte):
                data = head(b"GET " + target + b" HTTP/1.1", b"Host: a")
                lines = self.compared(data)
                self.assertEqual(lines, self.compared(data, render=reads_all))
                self.assertEqual(8, "\n".join(lines).replace('\\"', "").count('"'))

    def test_shortWay(self) -> None:
        """
        Common requests do not go through twisted.web's formatter, also if all of their
        fields are looked at.
        """

        def refuse(timestamp: Any, request: Any) -> str:
            raise AssertionError("twisted.web's formatter was asked")

        self.patch(access_log, "combinedLogFormatter", refuse)
        for render in (answers, reads_all):
            clock = Clock()
            site: Any = Site(Calls(render), reactor=clock)
            site.startFactory()
            site.logFile = lines = io.StringIO()
            wire = Wire(site, clock).send(b"".join(REAL)).vanish()
            self.assertEqual(lines.getvalue().count("\n"), len(REAL))
            self.assertTrue(wire.closed)
            site.stopFactory()

    def test_changedByApplication(self) -> None:
        """
        What the application changes in the request is logged as changed.
        """

        def method(request: Any) -> bytes:
            request.method = b"DELETE"
            return b"x"

        def uri(request: Any) -> bytes:
            request.uri = b'/other"'
            return b"x"

        def code(request: Any) -> bytes:
            request.setResponseCode(404)
            return b""

        for change in (method, uri, code):
            self.compared(REAL[2], render=change)

    def test_changedFields(self) -> None:
        """
        So are fields that it has changed.
        """

        def agent(request: Any) -> bytes:
            request.requestHeaders.setRawHeaders(b"User-Agent", [b"changed"])
            return b"x"

        [line] = self.compared(REAL[2], render=agent)
        self.assertIn('"changed"', line)


class FormatterTests(ServerTestCase):
    """
    Which formatter a site uses.
    """

    def test_ofTheSite(self) -> None:
        """
        A formatter that the site was given makes all lines.
        """
        site = self.site(start=True, logFormatter=lambda when, request: "a line")
        self.connect(site).send(get(), get(version=b"1.0"))
        self.assertEqual(site.access.getvalue(), "a line\n" * 2)

    def test_proxied(self) -> None:
        """
        twisted.web's formatter for sites behind a proxy works as it does there.
        """
        site = self.site(start=True, logFormatter=proxiedLogFormatter)
        self.connect(site).send(get(b"/", b"X-Forwarded-For: 203.0.113.5"))
        self.assertTrue(site.access.getvalue().startswith('"203.0.113.5" - - ['))

    def test_timestamp(self) -> None:
        """
        The time is that of the second in which the response ended.
        """
        site = self.site(start=True)
        wire = self.connect(site)
        for _ in range(3):
            wire.send(get())
            wire.advance(0.6, step=0.6)
        times = [
            line.split("[")[1][:20] for line in site.access.getvalue().split("\n")[:3]
        ]
        self.assertEqual(times, ["01/Jan/1970:00:00:00"] * 2 + ["01/Jan/1970:00:00:01"])

    def test_manyHosts(self) -> None:
        """
        Of the addresses that need no escaping only so many are remembered.
        """
        known: set[str] = set()
        self.patch(access_log, "_plain_hosts", known)
        self.patch(access_log, "_MOST_HOSTS", 3)
        site = self.site(lambda request: b"x", start=True)
        for number in range(10):
            peer = IPv4Address("TCP", f"192.0.2.{number}", 1)
            self.connect(site, MemoryTransport(peer=peer)).send(get())
            self.assertIn(len(known), (1, 2, 3) if FAST_PATH else (0,))
        lines = site.access.getvalue().splitlines()
        self.assertEqual(
            [f'"192.0.2.{number}"' for number in range(10)],
            [line.split()[0] for line in lines],
        )


class BatchTests(ServerTestCase):
    """
    A log file that the site has opened itself.
    """

    def setUp(self) -> None:
        """
        A file, and a site that logs to it.
        """
        super().setUp()
        self.path = os.path.abspath(self.mktemp())

    def logging(self, resource: Any = None, **options: Any) -> Any:
        """
        A site that runs.
        """
        site = self.site(resource, logPath=self.path, **options)
        site.startFactory()
        return site

    def lines(self) -> list[str]:
        """
        What is in the file now.
        """
        with open(self.path, encoding="ascii") as log:
            return log.read().splitlines()

    def test_written(self) -> None:
        """
        Lines are in the file after C{FLUSH_SECONDS}, which is less than a
        second, all of them, in order.
        """
        site = self.logging()
        wire = self.connect(site)
        for number in range(3):
            wire.send(get(b"/%d" % number))
        self.assertEqual(self.lines(), [])
        self.assertLess(FLUSH_SECONDS, 1)
        self.clock.advance(FLUSH_SECONDS)
        found = [line.split('"')[3] for line in self.lines()]
        self.assertEqual(found, [f"GET /{number} HTTP/1.1" for number in range(3)])

    def test_writtenAgain(self) -> None:
        """
        The same holds for what comes after that, also long after.
        """
        site = self.logging()
        wire = self.connect(site)
        for number in range(1, 4):
            wire.send(get())
            self.clock.advance(FLUSH_SECONDS)
            self.assertEqual(len(self.lines()), number)
            self.clock.advance(10)

    def test_notPutOff(self) -> None:
        """
        Requests that keep coming do not put the writing off.
        """
        site = self.logging()
        wire = self.connect(site)
        for _ in range(10):
            wire.send(get())
            self.clock.advance(FLUSH_SECONDS / 5)
        self.assertGreaterEqual(len(self.lines()), 5)

    def test_many(self) -> None:
        """
        When enough lines wait they are written at once.
        """
        site = self.logging()
        self.connect(site).send(get() * (_MOST_LINES + 5))
        found = len(self.lines())
        self.assertGreaterEqual(found, _MOST_LINES)
        self.clock.advance(FLUSH_SECONDS)
        self.assertEqual(len(self.lines()), _MOST_LINES + 5)

    def test_anyText(self) -> None:
        """
        A line that no encoding has does not take the others of its batch with it, and
        the encoding is not that of the terminal.
        """
        texts = iter(["before", "l\xf6ve \udcff", "behind"])
        site = self.logging(logFormatter=lambda when, request: next(texts))
        self.connect(site).send(get() * 3)
        self.clock.advance(FLUSH_SECONDS)
        with open(self.path, "rb") as file:
            content = file.read()
        self.assertEqual(b"before\nl\xc3\xb6ve \\udcff\nbehind\n", content)

    def test_stop(self) -> None:
        """
        A clean stop loses nothing, and leaves no timer.
        """
        site = self.logging()
        wire = self.connect(site).send(get(), post(b"x"))
        logFile = site.logFile
        wire.vanish()
        site.stopFactory()
        self.assertEqual(len(self.lines()), 2)
        self.assertTrue(logFile.closed)

    def test_stopWhileBusy(self) -> None:
        """
        A request that is under way when the site stops is logged, too.
        """
        holding = Holding()
        site = self.logging(holding)
        wire = self.connect(site).send(get())
        logFile = site.logFile
        site.drain(10)
        site.stopFactory()
        self.assertFalse(logFile.closed)
        holding.answer()
        wire.advance(8)
        self.assertTrue(wire.closed)
        self.assertEqual(len(self.lines()), 1)
        self.assertTrue(logFile.closed)

    def test_restart(self) -> None:
        """
        A site that is started again goes on in the same file.
        """
        site = self.logging()
        for _ in range(2):
            self.connect(site).send(get()).vanish()
            site.stopFactory()
            site.startFactory()
        self.assertEqual(len(self.lines()), 2)

    def test_flush(self) -> None:
        """
        C{flush} writes what waits, through to the file, and may be called when
        nothing waits.
        """
        site = self.logging()
        site.logFile.flush()
        self.connect(site).send(get())
        self.assertEqual(self.lines(), [])
        site.logFile.flush()
        self.assertEqual(len(self.lines()), 1)
        self.clock.advance(FLUSH_SECONDS)
        self.assertEqual(len(self.lines()), 1)

    def test_movedAway(self) -> None:
        """
        A file that logrotate has moved gets the lines until the site is started
        anew; then there is a new one.  None is lost.
        """
        site = self.logging()
        wire = self.connect(site).send(get(b"/1"))
        moved = self.path + ".1"
        os.rename(self.path, moved)
        wire.send(get(b"/2")).vanish()
        site.stopFactory()
        site.startFactory()
        self.connect(site).send(get(b"/3"))
        site.logFile.flush()
        self.assertEqual(len(self.lines()), 1)
        with open(moved, encoding="ascii") as log:
            self.assertEqual(len(log.readlines()), 2)

    def test_rotation(self) -> None:
        """
        A site whose log file rotates (C{_openLogFile} is there to be overridden
        for that) loses nothing, and can ask it to rotate.
        """

        class Rotating(Site):
            def _openLogFile(self, path: str | bytes) -> Any:
                return LogFile.fromFullPath(str(path), rotateLength=200)

        site: Any = Rotating(Calls(answers), reactor=self.clock, logPath=self.path)
        self.sites.append(site)
        site.startFactory()
        wire = self.connect(site)
        for _ in range(8):
            wire.send(get())
            self.clock.advance(FLUSH_SECONDS)
        wire.send(get())
        site.logFile.rotate()
        site.logFile.flush()
        wire.vanish()
        site.stopFactory()
        folder, name = os.path.split(self.path)
        files = [one for one in os.listdir(folder) if one.startswith(name)]
        self.assertGreater(len(files), 2)
        found = 0
        for one in files:
            with open(os.path.join(folder, one), encoding="ascii") as log:
                found += len(log.readlines())
        self.assertEqual(found, 9)

    def test_off(self) -> None:
        """
        Without an access log nothing is written, and nothing waits.
        """
        site = self.site(accessLog=False, logPath=self.path)
        site.startFactory()
        self.connect(site).send(get())
        self.clock.advance(FLUSH_SECONDS)
        self.assertEqual(self.lines(), [])
