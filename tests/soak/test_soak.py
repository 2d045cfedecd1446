"""
The laboratory of the long run finds what it is there to find, and draws it.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import io
import json
import random
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from tests.soak.__main__ import main
from tests.soak.bad import malice, stages, usable_cases
from tests.soak.chart import draw, panels, ticks
from tests.soak.clients import Place, Plan, Tally
from tests.soak.content import EXACT, LONG, content, receipt_for
from tests.soak.good import KINDS, ask, check, read_answer
from tests.soak.report import judge, table, thin
from tests.soak.servers import counted, read_log, read_metrics

PLACE = Place("single", "tcp", port=80)


def sample(at: int, **more: Any) -> dict[str, Any]:
    """
    A sample.
    """
    return {
        "at": at,
        "memory": 70 << 20,
        "descriptors": 40 + at % 3,
        "threads": 3,
        "requests": 100 * at,
        "refused": at,
        "timeouts": 0,
        "accepted": at,
        "connections": 20,
        "p50": 0.002,
        "p99": 0.02,
        **more,
    }


def document() -> dict[str, Any]:
    """
    A run that is good.
    """
    end = sample(100, connections=0, descriptors=15)
    counts = {"requests": 990, "refused": 5, "timeouts": 2, "accepted": 50}
    server = {
        "workers": 0,
        "before": end,
        "after": end,
        "metrics": {**counts, "PUT": 10, "DELETE": 7, "PATCH": 0},
        "clients": {"good": 900, "good PUT": 10, "good DELETE": 7, "sent": 100},
        "tracebacks": [],
        "stopped": {"status": 0, "seconds": 0.5, "left": 0},
        "samples": [sample(at) for at in range(1, 101)],
    }
    return {
        "seconds": 100.0,
        "seed": 1,
        "rate": 1,
        "servers": {"single": server, "2 workers": copy.deepcopy(server)},
        "ended": {"good": 0},
        "faults": [],
    }


class VerdictTests(SynchronousTestCase):
    """
    What is wrong in a run is said.
    """

    def setUp(self) -> None:
        """
        A good run, to spoil.
        """
        self.document = document()
        self.server = self.document["servers"]["single"]

    def said(self, *words: str) -> None:
        """
        The verdict is one sentence, with these words in it.
        """
        (found,) = judge(self.document)
        for word in words:
            self.assertIn(word, found)

    def test_good(self) -> None:
        """
        Of a good run nothing is said.
        """
        self.assertEqual([], judge(self.document))

    def test_clients(self) -> None:
        """
        Wrong answers, failed requests, and connections that did not end are said.
        """
        for what in ("wrong", "failed", "kept"):
            self.server["clients"] = {**document()["servers"]["single"]["clients"]}
            self.server["clients"][what] = 3
            self.said("single: 3 ")

    def test_exactCounts(self) -> None:
        """
        One request more or less of a method that only good clients use is said.
        """
        for number in (9, 11):
            self.server["metrics"]["PUT"] = number
            self.said(f"10 PUT were answered, {number} counted")

    def test_allCounts(self) -> None:
        """
        Fewer requests than were answered, and more than were sent, are said.
        """
        for number in (899, 1001):
            self.server["metrics"]["requests"] = number
            self.said(f"{number} requests counted, not 900 to 1000")

    def test_late(self) -> None:
        """
        What a good client has sent too late may be counted or not.
        """
        self.server["metrics"]["PUT"] += 1
        self.said("PUT were answered")
        self.server["clients"]["late"] = 1
        self.assertEqual([], judge(self.document))

    def test_growth(self) -> None:
        """
        Memory and descriptors that grow all the time are said; a peak is not, nor is a
        flood that lasts for most of the last quarter.
        """
        self.server["samples"][70]["memory"] *= 3
        for one in self.server["samples"][80:]:
            one["descriptors"] += 150
        self.assertEqual([], judge(self.document))
        for at, one in enumerate(self.server["samples"]):
            one["memory"] += at * 200_000
        self.said("memory grew")
        self.server["samples"] = [sample(n, descriptors=40 + n) for n in range(100)]
        self.said("descriptors grew")

    def test_left(self) -> None:
        """
        Connections and descriptors that are left at the end are said.
        """
        self.server["after"] = {**self.server["after"], "connections": 1}
        self.said("1 connections were left")
        self.server["after"] = {**self.server["before"], "descriptors": 16}
        self.said("1 descriptors were left")

    def test_end(self) -> None:
        """
        A server that does not end by itself, and clients that fail, are said.
        """
        self.server["stopped"]["status"] = None
        self.said("after SIGTERM the exit status was None")
        self.server["stopped"] = {"status": 0, "seconds": 1, "left": 2}
        self.said("2 processes were left")
        self.document = document()
        self.document["ended"]["good"] = 1
        self.said("clients good ended with status 1")

    def test_tracebacks(self) -> None:
        """
        A traceback in the log is said, with how often it is there.
        """
        self.server["tracebacks"] = ["ValueError: no"] * 2
        self.said("2 tracebacks in the log: ValueError: no")


class ReadingTests(SynchronousTestCase):
    """
    What the servers say is read.
    """

    def test_log(self) -> None:
        """
        Tracebacks are found by their last lines, but for the deliberate one.
        """
        frame = 'Traceback (most recent call last):\n  File "a", line 1, in b\n    c\n'
        log = f"{frame}builtins.ValueError: no\nx\n{frame}tests.soak.app.Deliberate: \n"
        self.assertEqual(["builtins.ValueError: no"], read_log(log))
        twisted = frame.replace("\n", "\n\t").rstrip("\t")
        log = f"at [-] Unhandled\n\t{twisted}\texceptions.KeyError: 1\n\t\n"
        self.assertEqual(["exceptions.KeyError: 1"], read_log(log))
        self.assertEqual(["a traceback without an end"], read_log(frame))

    def test_metrics(self) -> None:
        """
        Numbers are added up by their labels.
        """
        text = (
            "# HELP twisted_h11_requests_total Responses\n"
            'twisted_h11_requests_total{method="PUT",status="2xx"} 5.0\n'
            'twisted_h11_requests_total{method="GET",status="2xx"} 1.0e+06\n'
            "twisted_h11_processes 2.0\n"
        )
        metrics = read_metrics(text)
        self.assertEqual(2, metrics["processes"])
        self.assertEqual(1_000_005, counted(metrics, "requests_total"))
        self.assertEqual(5, counted(metrics, "requests_total", "method=PUT,"))

    def test_thin(self) -> None:
        """
        Of many samples some are kept, evenly, the last among them.
        """
        samples = [sample(at) for at in range(1, 101)]
        self.assertEqual(samples, thin(samples, 100))
        kept = thin(samples, 25)
        self.assertEqual([4, 8], [one["at"] for one in kept[:2]])
        self.assertEqual((25, 100), (len(kept), kept[-1]["at"]))


class ClientTests(SynchronousTestCase):
    """
    The clients know a right answer from a wrong one.
    """

    def test_wrongAnswers(self) -> None:
        """
        An answer is wrong by its status, by one byte, and if it is another request's.
        """
        asked = ask(random.Random(1), "small")
        other = ask(random.Random(2), "small")
        assert asked.body is not None and other.body is not None
        tally = Tally()
        check(asked, 200, asked.body, PLACE, tally)
        self.assertNotIn("single wrong", tally.counts)
        answers = ((404, asked.body), (200, asked.body[:-1]), (200, other.body))
        for number, (status, body) in enumerate(answers, 1):
            check(asked, status, body, PLACE, tally)
            self.assertEqual(number, tally.counts["single wrong"])
        self.assertEqual(4, tally.counts["single good GET"])

    def test_kinds(self) -> None:
        """
        Every kind of request is made; what a client gets to see depends on its token.
        """
        for kind in KINDS:
            one, two = (ask(random.Random(seed), kind) for seed in (1, 2))
            self.assertNotEqual(one.data, two.data) if kind != "files" else None
            self.assertIn(b"\r\nHost: localhost\r\n", one.data)
        self.assertEqual(LONG, len(content("large", b"a")))
        self.assertEqual(b"took a 2 9e83486d\n", receipt_for(b"a", b"ab"))

    def test_answers(self) -> None:
        """
        Answers with a length and in chunks are read, one behind the other.
        """
        data = (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"
            b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n"
            b"Connection: close\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"
        )

        async def read() -> list[tuple[int, bytes, bool]]:
            reader = asyncio.StreamReader()
            reader.feed_data(data)
            reader.feed_eof()
            return [await read_answer(reader), await read_answer(reader)]

        expected = [(200, b"ab", True), (500, b"abc", False)]
        self.assertEqual(expected, asyncio.run(read()))

    def test_exactMethods(self) -> None:
        """
        Nobody who is hostile, or vanishes, uses a method that is counted exactly.
        """
        rng, cases = random.Random(1), usable_cases()
        self.assertGreater(len(cases), 100)
        sent = [case.data for case in cases] + [data for data, _ in stages(rng)]
        sent += [malice(rng, cases)[0] for _ in range(100)]
        for data in sent:
            for method in EXACT:
                self.assertNotIn(method.encode("ascii") + b" ", data)

    def test_plan(self) -> None:
        """
        A plan goes to another process as it is.
        """
        plan = Plan([PLACE], 1.5, 2, 3, "a.pem")
        self.assertEqual(plan, Plan.read(plan.text()))


class ChartTests(SynchronousTestCase):
    """
    The chart shows the run.
    """

    def test_panels(self) -> None:
        """
        There is a panel for each figure; what is counted is shown as a rate.
        """
        drawn = panels(document())
        self.assertEqual(6, len(drawn))
        requests, _, latency, memory = drawn[:4]
        self.assertEqual(["single", "2 workers"], [one.name for one in requests.lines])
        self.assertEqual((2, 100.0), requests.lines[0].points[0])
        self.assertEqual((1, 2.0), latency.lines[0].points[0])
        self.assertEqual((1, 70.0), memory.lines[0].points[0])

    def test_ticks(self) -> None:
        """
        Ticks are round, begin with 0, and reach the greatest value.
        """
        self.assertEqual([0, 25, 50, 75, 100], ticks(97))
        self.assertEqual([0, 1], ticks(0))
        self.assertEqual([0, 5, 10, 15, 20], ticks(20))

    def test_svg(self) -> None:
        """
        It is well-formed, has colours for a dark scheme, and is inside of its frame.
        """
        text = draw(document())
        root = ElementTree.fromstring(text)
        space = "{http://www.w3.org/2000/svg}"
        self.assertIn("prefers-color-scheme: dark", text)
        # A page may have another scheme than the system: a background for each.
        self.assertEqual(2, text.count("svg { background: #"))
        lines = root.findall(f"{space}polyline")
        self.assertEqual(12, len(lines))
        width, height = float(root.attrib["width"]), float(root.attrib["height"])
        for line in lines:
            for point in line.attrib["points"].split():
                x, y = map(float, point.split(","))
                self.assertTrue(0 <= x <= width and 0 <= y <= height, point)


class CommandTests(SynchronousTestCase):
    """
    C{python -m tests.soak --from DOCUMENT}.
    """

    def test_from(self) -> None:
        """
        A document is judged and drawn again; the status tells the verdict.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        source, chart = folder / "soak.json", folder / "soak.svg"
        for spoiled in (0, 1):
            one = document()
            one["servers"]["single"]["clients"]["wrong"] = spoiled
            source.write_text(json.dumps(one))
            said = io.StringIO()
            with contextlib.redirect_stdout(said):
                status = main(["--from", str(source), "--chart", str(chart)])
            self.assertEqual(spoiled, status)
            words = "1 answers were wrong" if spoiled else "Nothing was wrong."
            self.assertIn(words, said.getvalue())
            self.assertIn("<svg", chart.read_text())

    def test_table(self) -> None:
        """
        The figures are a table with a column for each server.
        """
        lines = table(document()).splitlines()
        self.assertEqual(lines[0], lines[-1])
        self.assertIn("single", lines[1])
        self.assertRegex(lines[3], r"^Requests answered +990 +990$")
