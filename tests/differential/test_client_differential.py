"""
A small run of the comparison of clients, and that it can fail.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.differential import peers
from tests.differential.client import compare_clients
from tests.differential.client_answers import Answer, make_answers
from tests.differential.client_asking import Response, fetch_all
from tests.differential.client_compare import compare_responses, is_laxer
from tests.differential.client_origin import Origin
from tests.differential.client_report import ClientReport
from tests.differential.client_row import ClientRow
from tests.differential.client_rows import CLIENT_ROWS, client_row_of
from tests.differential.peers import Missing

TOP = Path(__file__).resolve().parent.parent.parent

PLAIN = Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
ODD = Answer(b"HTTP/1.1 200 OK\r\nX: y\x01\r\nContent-Length: 5\r\n\r\nhello")
NAME = Answer(b"HTTP/1.1 200 OK\r\nX Y: z\r\nContent-Length: 5\r\n\r\nhello")

AGAIN = Response("done", 200, b"hello", (("x", "y"),), "", "again")
FRESH = AGAIN._replace(then="fresh")
FAILED = Response("failed", error="Refused: it is odd: b'x'", then="fresh")
WAITS = Response("waits", then="fresh")

_OK = b"HTTP/1.1 200 OK\r\n"
_FIVE = b"Content-Length: 5\r\n\r\n"
_BEHIND = _OK + _FIVE + b"hello"

# Odd answers: what we make of one, what the other does, which may be only one client.
_PARTINGS: list[tuple[Answer, Response, Response, str]] = [
    (
        Answer(_OK + b"Connection: keep-alive\r\n onnection: close\r\n" + _FIVE),
        FRESH,
        AGAIN,
        "peer",
    ),
    (Answer(_OK + b"Connection: x\r\n\t,close\r\n" + _FIVE), FRESH, AGAIN, "peer"),
    (
        Answer(b"HTTP/1.1 103 E\r\nConnection: x\r\n close\r\n\r\n" + _BEHIND),
        FRESH,
        AGAIN,
        "peer",
    ),
    (Answer(b"http/1.1 100 C\r\n\r\n" + _BEHIND), FRESH, FAILED, "peer"),
    (Answer(b"HTTP/1.1 103 E\r\n\r\n\r\n" + _BEHIND), FRESH, FAILED, "peer"),
    (Answer(b"HTTP/1.1 103 E\n\n\n" + _BEHIND), FRESH, AGAIN, "peer"),
    (Answer(b"HTTP/2.0 100 C\r\n\r\n" + _BEHIND), FRESH, FAILED, "peer"),
    (
        Answer(
            b"HTTP/1.1 103 E\r\nContent-Length: x\r\n\r\n" + _OK + _FIVE,
            method="HEAD",
        ),
        FRESH,
        AGAIN,
        "peer",
    ),
    (
        Answer(
            b"HTTP/1.1 103 E\r\nTransfer-Encoding: gzip\r\n\r\n" + _OK + _FIVE,
            method="HEAD",
        ),
        FRESH,
        FAILED,
        "peer",
    ),
    (Answer(b"HTTP/1.2 100 C\r\n\r\n" + _BEHIND), AGAIN, FAILED, "peer"),
    (
        Answer(b"HTTP/1.1 199 O\r\nTransfer-Encoding: chunked\r\n\r\n" + _BEHIND),
        AGAIN,
        FAILED,
        "aiohttp",
    ),
    (
        Answer(_OK + b"Content-Length: %030d\r\n\r\n" % 5, method="HEAD"),
        FRESH,
        AGAIN,
        "peer",
    ),
    (
        Answer(_OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nhello"),
        WAITS,
        FAILED,
        "http.client",
    ),
    (
        Answer(_OK + b"X: y\r\nZ: z\r\nx: y\r\n" + _FIVE + b"hello"),
        AGAIN,
        AGAIN._replace(fields=()),
        "curl",
    ),
]


class ClientDifferentialTests(SynchronousTestCase):
    """
    Our client, twisted.web's and http.client.
    """

    count = 12
    peers: tuple[str, ...] = ("twisted.web", "http.client")
    python = sys.executable
    seed = 1
    patience = 3.0
    # Then nobody waits for anything.
    ends = True

    def test_everyDifferenceHasARow(self) -> None:
        """
        With and without the fast path we read the same, each difference from the others
        is justified or a refusal, and no answer of ours is that to another request.
        """
        made = make_answers(self.count - 2, self.seed)
        if self.ends:
            made = [answer._replace(ends=True) for answer in made]
        answers = [PLAIN, ODD, *made]
        report = compare_clients(
            answers, list(self.peers), self.python, self.patience, quiet=True
        )
        self.assertEqual("", report.text())
        self.assertEqual(AGAIN._replace(fields=()), report.ours[0])
        self.assertEqual(FRESH._replace(fields=()), report.ours[1])
        self.assertTrue(report.figures)
        for _, same, refused, justified, missed, _ in report.figures:
            self.assertEqual(self.count, same + refused + justified)
            self.assertEqual(0, missed)
            self.assertGreater(same, 0)


class GoClientTests(SynchronousTestCase):
    """
    Go's client.
    """

    def test_tells(self) -> None:
        """
        It tells what it has read, whether it has failed or still waits, and on which
        connection it went on.
        """
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
        answers = [
            Answer(head + b"X: \xe9\r\nx: z\r\n\r\nh\xe9llo"),
            Answer(head + b"Connection: close\r\n\r\nhello"),
            Answer(head + b"\r\nhell", ends=True),
            Answer(head + b"\r\nhell"),
            Answer(head + b"Location: /a\r\n\r\n", method="HEAD"),
            Answer(b"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello"),
        ]
        numbers = list(range(len(answers)))
        try:
            with Origin(answers) as origin:
                found = fetch_all("go", "", origin.port, answers, numbers, 2.0)
        except Missing as missing:
            raise SkipTest(str(missing)) from None
        fields = (("x", "\xe9"), ("x", "z"))
        self.assertEqual(
            [
                Response("done", 200, b"h\xe9llo", fields, "", "again"),
                Response("done", 200, b"hello", (), "", "fresh"),
                Response("failed", 0, b"", (), "unexpected EOF", ""),
                Response("waits", 0, b"", (), "", "fresh"),
                Response("done", 200, b"", (("location", "/a"),), "", "again"),
                Response("done", 101, b"", (), "", "fresh"),
            ],
            found,
        )

    def test_missing(self) -> None:
        """
        It is left out, with the reason, where there is no compiler.
        """
        self.patch(peers, "find_program", lambda name: None)
        error = self.assertRaises(Missing, fetch_all, "go", "", 1, [PLAIN], [0], 1.0)
        self.assertEqual("go is not installed", str(error))

    def test_chunkedBefore10(self) -> None:
        """
        That it waits behind chunks is a reason only in a version before 1.0, and
        if we do not use the connection again.
        """
        chunks = b" 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        for version, peer, mine, known in (
            (b"HTTP/0.9", "go", FRESH, True),
            (b"HTTP/0.9", "go", AGAIN, False),
            (b"HTTP/0.9", "node", FRESH, False),
            (b"HTTP/1.1", "go", FRESH, False),
        ):
            parting = compare_responses(peer, Answer(version + chunks), mine, WAITS)
            assert parting is not None
            found = client_row_of(parting)
            self.assertEqual(known, found is not None, (version, peer, mine))


class CompareClientTests(SynchronousTestCase):
    """
    What is said of two clients.
    """

    def test_kinds(self) -> None:
        """
        The kind tells who refused, who waits, what is read otherwise, and who uses the
        connection again.
        """
        for mine, theirs, kind, laxer in [
            (FAILED, AGAIN, "strict", False),
            (FRESH, FAILED, "loose", True),
            (WAITS, FAILED, "patient", False),
            (WAITS, FRESH, "waits", False),
            (FRESH, WAITS, "waits", False),
            (AGAIN, FRESH, "reuses", True),
            (FRESH, AGAIN, "closes", False),
            (FRESH, AGAIN._replace(then="wrong"), "closes", False),
            (AGAIN, AGAIN._replace(status=404, body=b""), "reads status body", False),
            (AGAIN, AGAIN._replace(fields=()), "reads fields", False),
        ]:
            found = compare_responses("peer", PLAIN, mine, theirs)
            assert found is not None
            self.assertEqual(kind, found.kind)
            self.assertEqual(laxer, is_laxer(mine, theirs), kind)
        for mine, theirs in (
            (AGAIN, AGAIN),
            (FAILED, FAILED),
            (WAITS, WAITS),
            (FAILED, WAITS),
        ):
            self.assertIsNone(compare_responses("peer", PLAIN, mine, theirs))

    def test_withoutARow(self) -> None:
        """
        A difference that no row explains is told, a refusal of ours by its reason.
        """
        report = ClientReport([PLAIN], [FRESH])
        report.add("peer", [FAILED])
        self.assertIn("peer: loose: Answer(data=b'HTTP", report.text())
        self.assertEqual([("peer", 0, 0, 0, 1, 0)], report.figures)
        report = ClientReport([PLAIN], [FAILED])
        report.add("peer", [AGAIN])
        self.assertEqual("", report.text())
        self.assertIn("it is odd\n", report.rst())

    def test_rows(self) -> None:
        """
        Each of these has a row, and a plain answer that differs in the same way has
        none; nor has one that others refuse if we use the connection again.
        """
        for answer, mine, theirs, peer in _PARTINGS:
            body = b"" if answer.method == "HEAD" else b"hello"
            plain = Answer(_OK + _FIVE + body, method=answer.method)
            for one, known in ((answer, True), (plain, False)):
                parting = compare_responses(peer, one, mine, theirs)
                assert parting is not None
                found = client_row_of(parting)
                self.assertEqual(known, isinstance(found, ClientRow), (one, peer))
            if theirs == FAILED and mine == FRESH:
                again = compare_responses(peer, answer, AGAIN, FAILED)
                assert again is not None
                self.assertIsNone(client_row_of(again), answer)

    def test_usedAgain(self) -> None:
        """
        A connection that is used again behind a field that was left out has no row:
        what is forgiven costs the connection.
        """
        for mine, explained in ((FRESH, True), (AGAIN, False)):
            parting = compare_responses("peer", NAME, mine, FAILED)
            assert parting is not None
            self.assertEqual(explained, client_row_of(parting) is not None)

    def test_laxerThanMost(self) -> None:
        """
        It is wrong if most of the others refuse what we take for a reason that the
        documentation does not give.
        """
        version = Answer(b"HTTP/1.1 200 OK\r\nX: \xe9\r\n\r\n", method="HEAD")
        for answer, mine, theirs, wrong in (
            (version, AGAIN, FRESH, True),
            (NAME, FRESH, FAILED, False),
        ):
            report = ClientReport([answer], [mine])
            for peer in ("node", "aiohttp"):
                report.add(peer, [theirs])
            self.assertEqual("", report.text())
            report.judge()
            self.assertEqual([0], report.alone)
            self.assertEqual(wrong, "laxer than node, aiohttp" in report.text())

    def test_wrongAnswer(self) -> None:
        """
        It is wrong if we take something else for the answer to the next request, or use
        a connection again behind a failure; of others it is counted.
        """
        for ours in (AGAIN._replace(then="wrong"), FAILED._replace(then="again")):
            report = ClientReport([PLAIN], [ours])
            report.add("peer", [AGAIN._replace(then="wrong")])
            report.judge()
            self.assertIn("ours: read ", report.text())
            self.assertEqual(1, report.figures[0][-1])

    def test_twoWaysOfOurs(self) -> None:
        """
        It is wrong if the fast path and h11 do not read the same.
        """
        report = ClientReport([PLAIN], [AGAIN])
        report.sees([FRESH], "ours-h11")
        self.assertIn("ours-h11 is not as ours", report.text())

    def test_documented(self) -> None:
        """
        What a row says is forgiven stands in the documentation.
        """
        text = " ".join((TOP / "docs" / "client.rst").read_text().split())
        for row in CLIENT_ROWS:
            self.assertIn(re.sub(r"\s+", " ", row.forgiven), text, row.title)

    def test_seeded(self) -> None:
        """
        One seed always gives the same answers, no two alike; another gives others.
        """
        first = make_answers(500, 1)
        self.assertEqual(first, make_answers(500, 1))
        self.assertEqual(500, len({*first}))
        self.assertNotEqual(first, make_answers(500, 2))
