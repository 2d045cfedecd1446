"""
A small run of the comparison, and that it can fail.
"""

from __future__ import annotations

import sys
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.differential import peers
from tests.differential.__main__ import run
from tests.differential.asking import Outcome, Understood, ask_all
from tests.differential.chains import run_chain, wrong_in
from tests.differential.compare import Difference, compare
from tests.differential.peers import Missing, Server, build_go
from tests.differential.report import Report
from tests.differential.requests import make
from tests.differential.rows import Row, row_of

A = Understood("GET", "/a", "", "")
B = Understood("GET", "/b", "", "")
CLOSED = Outcome((A, B), 0, True, b"")
REFUSED = Outcome((A,), 400, True, b"HTTP/1.1 400 x\r\n\r\nIt is odd.\n")


class DifferentialTests(SynchronousTestCase):
    """
    Us and twisted.web.
    """

    count = 100
    peers: tuple[str, ...] = ("twisted.web",)
    python = sys.executable
    seed = 1

    def test_everyDifferenceHasARow(self) -> None:
        """
        With and without the fast path we read the same, and each difference from the
        peers is justified or a refusal; behind a proxy nothing is seen that it did not
        mean.
        """
        report = run(self.count, self.seed, list(self.peers), self.python, quiet=True)
        self.assertEqual("", report.text())
        self.assertTrue(report.figures)
        for _, same, refused, justified, missed in report.figures:
            self.assertEqual(self.count, same + refused + justified)
            self.assertEqual(0, missed)
            self.assertGreater(same, 0)
        for chain, _, seen, _ in report.chains:
            self.assertGreater(seen, 0, chain)


class ChainTests(SynchronousTestCase):
    """
    A server behind a proxy.
    """

    def test_broken(self) -> None:
        """
        A server that reads the content of a request as another one is found out, though
        no answer to that arrives anywhere; ours reads it as content.
        """
        inner = b"GET /inner HTTP/1.1\r\nHost: a\r\n\r\n"
        head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
        inputs = [head % len(inner) + inner]
        try:
            found = run_chain("nginx", "broken", sys.executable, inputs, 0.5)
        except Missing as missing:
            raise SkipTest(str(missing)) from None
        self.assertEqual(3, found[1])
        self.assertIn("'' was not meant", found[2])
        self.assertEqual((2, 2, []), run_chain("nginx", "ours", sys.executable, inputs))


class GoTests(SynchronousTestCase):
    """
    Go's server.
    """

    def test_tells(self) -> None:
        """
        It tells each request as it came, and refuses one whose content is malformed.
        """
        head = b"POST /a%2fb//c?d=\xe9 HTTP/1.1\r\nHost: a\r\nX-Meant: 7\r\n"
        chunked = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        inputs = [
            head + b"Content-Length: 5\r\n\r\nh\xe9<\r\n",
            chunked + b"5\r\nhello\r\n0\r\n\r\n",
            chunked + b"5\r\nhello!\r\n0\r\n\r\n",
        ]
        try:
            with Server("go", sys.executable) as server:
                found = ask_all(server.port, inputs, 5.0)
        except Missing as missing:
            raise SkipTest(str(missing)) from None
        last = Understood("GET", "/sentinel", "", "")
        odd = Understood("POST", "/a%2fb//c?d=\xe9", "h\xe9<\r\n", "7")
        plain = Understood("POST", "/a", "hello", "")
        seen = [one.requests for one in found]
        self.assertEqual([(odd, last), (plain, last), ()], seen)
        self.assertEqual([0, 0, 400], [one.refusal for one in found])
        self.assertEqual([True] * 3, [one.closed for one in found])

    def test_missing(self) -> None:
        """
        It is left out, with the reason, where there is no compiler, or one that fails.
        """
        folder = Path(self.mktemp()).resolve()
        folder.mkdir()
        broken = folder / "go"
        broken.write_text("#!/bin/sh\necho 'It is too old.' >&2\nexit 1\n")
        broken.chmod(0o755)
        for path, reason in (
            (None, "go is not installed"),
            (str(broken), "go does not build echo.go: It is too old."),
        ):
            self.patch(peers, "find_program", lambda name, path=path: path)
            error = self.assertRaises(Missing, build_go, "echo.go", str(folder))
            self.assertIn(reason, str(error))
            error = self.assertRaises(Missing, Server("go", "").__enter__)
            self.assertIn(reason, str(error))

    def test_percent(self) -> None:
        """
        That it refuses a percent sign is a reason only in a path, and where no two
        digits follow.
        """
        nothing = Outcome((), 400, True, b"")
        for target, peer, known in (
            ("/%zz", "go", True),
            ("/%1", "go", True),
            ("/%41%4", "go", True),
            ("/%41", "go", False),
            ("/a?%zz", "go", False),
            ("%zz", "go", False),
            ("/%zz", "node", False),
        ):
            mine = Outcome((A._replace(target=target, body="/%zz"),), 0, True, b"")
            difference = compare(peer, b"x", mine, nothing)
            assert difference is not None
            found = row_of(difference)
            self.assertEqual(known, isinstance(found, Row), (target, peer))


_GET = b"GET %b HTTP/1.1\r\nHost: %b\r\n"
_CHUNKED = _GET % (b"/a", b"a") + b"Transfer-Encoding: chunked\r\n\r\n"

# How a request is odd: its bytes, how the peer's outcome differs, and the peer.
_ODD: list[tuple[bytes, str, str]] = [
    (_GET % (b"/a", b"a..b"), "refuses", "nginx"),
    (_GET % (b"/a", b"."), "refuses", "nginx"),
    (_GET % (b"/a", b"192.0..1:80"), "refuses", "nginx"),
    (_GET % (b"/a/../../b", b"a"), "refuses", "nginx"),
    (_GET % (b"/%2F..", b"a"), "refuses", "nginx"),
    (_GET % (b"x+y://a/", b"a"), "refuses", "node"),
    (b"OPTIONS http://a HTTP/1.1\r\nHost: a\r\n", "reads", "gunicorn"),
    (_GET % (b"/a", b"a") + b"Upgrade: x, websocket\r\n", "refuses", "haproxy"),
    (
        _GET % (b"/a", b"a") + b"Upgrade: websocket\r\nSec-WebSocket-Key: x\r\n",
        "refuses",
        "haproxy",
    ),
    (_GET % (b"/a", b"a") + b"Proxy-Connection: Close\r\n", "refuses", "node"),
    (_GET % (b"/a", b"a") + b"Expect: \r\n", "refuses", "gunicorn"),
    (_GET % (b"/a", b"a") + b"Expect:\r\n", "reads", "node"),
    (_CHUNKED + b"5; a\r\nhello\r\n0\r\n\r\n", "refuses", "waitress"),
    (_CHUNKED + b"5;a =b\r\nhello\r\n0\r\n\r\n", "refuses", "node"),
    (_CHUNKED + b"5;a= b\r\nhello\r\n0\r\n\r\n", "refuses", "aiohttp"),
    (_CHUNKED + b"0\r\nA: b\r\nHost: b\r\n\r\n", "refuses", "gunicorn"),
    (_CHUNKED + b"0;a\r\nA: b\r\nTrailer: b\r\n\r\n", "refuses", "gunicorn"),
    (_CHUNKED + b"00\r\nAuthorization: b\r\n\r\n", "refuses", "gunicorn"),
    (_CHUNKED + b"0\r\nTE: b\r\n\r\n", "refuses", "gunicorn"),
    (_CHUNKED + b"0\r\nProxy-Connection: close\r\n\r\n", "refuses", "aiohttp"),
    (_CHUNKED + b"0\r\nConnection: close\r\n\r\n", "waits", "uvicorn-httptools"),
    # The fields of the request that follows are in the trailer section.
    (_CHUNKED + b"0\r\nT: ", "refuses", "gunicorn"),
]


class RowTests(SynchronousTestCase):
    """
    Differences that are known.
    """

    def test_table(self) -> None:
        """
        Each has a row, and a plain request that differs in the same way has none.
        """
        for data, how, peer in _ODD:
            for one, known in ((data, True), (_GET % (b"/a", b"a"), False)):
                found = row_of(self.difference(one, how, peer))
                self.assertEqual(known, isinstance(found, Row), (one, how, peer))

    def test_behind(self) -> None:
        """
        A peer that reads ahead refuses a request for what one behind it is; that is a
        reason only if others understood the same as we do.
        """
        nothing = Outcome((), 400, True, b"")
        for method, target in (("CONNECT", "a:80"), ("GET", "http://a:99999/")):
            behind = Understood(method, target, "", "")
            found = compare("node", b"x", Outcome((A, behind), 0, True, b""), nothing)
            assert found is not None
            for agreeing, known in ((1, True), (0, False)):
                row = row_of(found._replace(agreeing=agreeing))
                self.assertEqual(known, isinstance(row, Row), behind)

    def test_connect(self) -> None:
        """
        Behind CONNECT we read nothing, wherever it stands.
        """
        connect = b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n"
        for before in (b"", _GET % (b"/a", b"a") + b"\r\n", b"hello"):
            ended = Outcome((A,), 0, True, b"")
            found = compare("waitress", before + connect, ended, CLOSED)
            assert found is not None
            self.assertIsInstance(row_of(found), Row)

    def difference(self, data: bytes, how: str, peer: str) -> Difference:
        """
        What is different if a peer does so with an input.
        """
        method, target, _ = data.split(b" ", 2)
        first = Understood(method.decode(), target.decode(), "", "")
        outcomes = {
            "refuses": Outcome((), 400, True, b""),
            "waits": Outcome((), 0, False, b""),
            "reads": Outcome((B,), 0, True, b""),
        }
        mine = Outcome((first,), 0, True, b"")
        difference = compare(peer, data, mine, outcomes[how])
        assert difference is not None
        return difference


class CompareTests(SynchronousTestCase):
    """
    What is said of two outcomes.
    """

    def test_kinds(self) -> None:
        """
        The kind tells who refused, who closed, who waits, and what is read otherwise.
        """
        other = Outcome((A, Understood("PUT", "/b", "c", "")), 0, True, b"")
        ended = Outcome((A,), 0, True, b"")
        waiting = Outcome((A,), 0, False, b"")
        for mine, theirs, kind in [
            (REFUSED, CLOSED, "strict"),
            (CLOSED, REFUSED, "loose"),
            (ended, CLOSED, "ends"),
            (CLOSED, ended, "stops"),
            (CLOSED, waiting, "waits"),
            (waiting, CLOSED, "waits"),
            (CLOSED, other, "reads method body"),
        ]:
            found = compare("peer", b"x", mine, theirs)
            assert found is not None
            self.assertEqual((kind, 1), (found.kind, found.at))
        self.assertIsNone(compare("peer", b"x", CLOSED, CLOSED))

    def test_withoutARow(self) -> None:
        """
        A difference that no row explains is told, a refusal of ours by its reason.
        """
        report = Report([b"x"], [CLOSED])
        report.outcomes["peer"] = [Outcome((B,), 0, True, b"")]
        report.judge()
        self.assertIn("peer: reads target: b'x'", report.text())
        self.assertEqual([("peer", 0, 0, 0, 1)], report.figures)
        report = Report([b"x"], [REFUSED])
        report.outcomes["peer"] = [CLOSED]
        report.judge()
        self.assertEqual("", report.text())
        self.assertIn("400 It is odd.", report.rst())

    def test_readsAhead(self) -> None:
        """
        That a peer refuses what we answer, for what is behind it, is a reason only if
        another peer understood the same as we do.
        """
        mine, nothing = Outcome((A,), 400, True, b""), Outcome((), 400, True, b"")
        for third, missed in ((mine, 0), (nothing, 3)):
            report = Report([b"x"], [mine])
            report.outcomes = {"one": [nothing], "two": [nothing], "three": [third]}
            report.judge()
            self.assertEqual(missed, len(report.unexplained))

    def test_emptyLine(self) -> None:
        """
        An empty line between requests is one behind content that ends with a line end,
        too; without it a refusal of the next request has no row.
        """
        content = "GET /b HTTP/1.1\r\n\r\nHost: a\r\n"
        head = b"GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 28\r\n\r\n"
        last = Understood("GET", "/sentinel", "", "")
        mine = Outcome((A._replace(body=content), last), 0, True, b"")
        nothing = mine._replace(requests=mine.requests[:1], refusal=400)
        for end, known in ((b"\r\n", True), (b"", False)):
            data = head + content.encode() + end
            difference = compare("peer", data, mine, nothing)
            assert difference is not None
            self.assertEqual(known, isinstance(row_of(difference), Row), end)

    def test_leftOut(self) -> None:
        """
        A peer that leaves out a request without content must read on as we do.
        """
        data = b"GET /a HTTP/1.1\r\nExpect: 100-continue\r\n\r\n"
        for behind, missed in ((B, 0), (A._replace(target="/c"), 1)):
            report = Report([data], [CLOSED])
            report.outcomes["waitress"] = [Outcome((behind,), 0, True, b"")]
            report.judge()
            self.assertEqual(missed, len(report.unexplained))

    def test_twoWaysOfOurs(self) -> None:
        """
        It is wrong if the fast path and h11 do not see the same.
        """
        report = Report([b"x"], [CLOSED])
        report.sees([REFUSED], "ours-h11")
        self.assertIn("ours-h11 is not as ours", report.text())

    def test_chains(self) -> None:
        """
        It is wrong if a request has no identity of the proxy, or that of another.
        """
        self.assertEqual([], wrong_in(["a", "b"], ["a", "b", "c"]))
        self.assertEqual(["'a' was seen 2 times"], wrong_in(["a", "a"], ["a"]))
        self.assertEqual(["'' was not meant"], wrong_in(["a", ""], ["a"]))


class RequestTests(SynchronousTestCase):
    """
    What is sent.
    """

    def test_seeded(self) -> None:
        """
        One seed always gives the same inputs, no two alike; another gives others.
        """
        first = make(300, 1)
        self.assertEqual(first, make(300, 1))
        self.assertEqual(300, len({*first}))
        self.assertNotEqual(first, make(300, 2))
