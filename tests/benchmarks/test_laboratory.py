"""
The benchmark harness measures what it says, and says what it did not measure.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import sys
from contextlib import nullcontext
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import skipUnless
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from tests.benchmarks import __main__ as laboratory
from tests.benchmarks import levels
from tests.benchmarks.__main__ import _present, main
from tests.benchmarks.cases import CASES, CHARTED, Case, find_cases
from tests.benchmarks.chart import ChartFailed, draw, panels
from tests.benchmarks.heads import JSON_KB
from tests.benchmarks.peers import (
    CLIENTS,
    OURS,
    PEERS,
    Peer,
    before,
    compared_with,
    control,
    find_peers,
)
from tests.benchmarks.report import text
from tests.benchmarks.results import TARGETS, Book
from tests.benchmarks.servers import ServerFailed, Workshop
from tests.benchmarks.settings import Settings, estimate
from tests.benchmarks.wire import Unexpected

HOST = "localhost:8080"


def names(cases: list[Case]) -> list[str]:
    """
    What the cases are called.
    """
    return [case.fullName for case in cases]


def command(*arguments: str) -> tuple[object, str]:
    """
    What the command ends with, and what it says.
    """
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            status: object = main([*arguments])
        except SystemExit as end:
            status = end.code
    return status, said.getvalue()


class RequestTests(SynchronousTestCase):
    """
    The requests are what the cases say.
    """

    def test_numbered(self) -> None:
        """
        Two varied requests differ in one field, and are equally long, also if their
        number has more than eight digits; others are the same.
        """
        for case in find_cases(["memory/minimal*", "memory/browser*"]):
            one, two = (case.asked(HOST, n).split(b"\r\n") for n in (7, 10**8 + 8))
            pairs = [pair for pair in zip(one, two, strict=True) if pair[0] != pair[1]]
            self.assertEqual(len(pairs), "varied" in case.name)
            for first, second in pairs:
                self.assertEqual(len(first), len(second))

    def test_lengths(self) -> None:
        """
        What is posted has the length that its head says; the short one is JSON.
        """
        self.assertEqual(len(json.loads(JSON_KB)["rows"]), 16)
        for case in find_cases(["rate/post-json", "rate/upload-64k"]):
            head, _, body = case.asked(HOST).partition(b"\r\n\r\n")
            self.assertIn(b"Content-Length: %d" % len(body), head)


class SelectionTests(SynchronousTestCase):
    """
    Cases and peers are found by patterns.
    """

    def test_patterns(self) -> None:
        """
        A pattern may be the whole name, the name in every level, or a level; a peer
        that is chosen brings what of ours it is compared with.
        """
        self.assertEqual(names(find_cases(["memory/browser"])), ["memory/browser"])
        both = ["memory/browser", "rate/browser"]
        self.assertEqual(names(find_cases(["browser"])), both)
        self.assertEqual(
            find_cases(["memory"]), [one for one in CASES if one.level == "memory"]
        )
        self.assertEqual(find_cases([]), CASES)
        found = [peer.name for peer in find_peers(["aiohttp"])]
        self.assertEqual(found, ["h11web-nolog", "aiohttp"])

    def test_nothingFound(self) -> None:
        """
        A pattern that matches nothing is an error that names it, and ends the command.
        """
        for option in ("--case", "--peer"):
            status, said = command(option, "no-such")
            self.assertEqual(status, 2)
            self.assertIn(f"no {option[2:]} is called 'no-such'", said)

    def test_equalFlags(self) -> None:
        """
        Whatever is compared has its access log in the same place, and what is compared
        with C{twistd web} is started with the same flags.
        """
        peers = {peer.name: peer for peer in PEERS}
        for peer in PEERS:
            self.assertEqual(peers[peer.ours].log, peer.log)
        for end in ("", "-logfile"):
            theirs, ours = (
                peers[name + end].words("python", port=8080, folder="/folder")
                for name in ("twistd-web", "h11web")
            )
            expected = ["h11web" if word == "web" else word for word in theirs]
            self.assertEqual(ours, expected)

    def test_targets(self) -> None:
        """
        Every target is about a case and a peer that exist, and that can do it.
        """
        cases = {case.fullName: case for case in CASES}
        peers = {peer.name: peer for peer in PEERS}
        for name, peer in TARGETS:
            case = cases[name]
            if case.level != "memory":
                self.assertLessEqual(case.needs, peers[peer].can)

    def test_control(self) -> None:
        """
        As a control, twisted.web stands in each of our places, and only there.
        """
        for one, after in zip(PEERS, control(PEERS), strict=True):
            self.assertEqual((one.name, one.log), (after.name, after.log))
            self.assertEqual(one != after, one.name in OURS)
            self.assertNotIn("h11", after.command * (one.name in OURS))

    def test_before(self) -> None:
        """
        Each of ours is compared with the same of an earlier revision, whose package
        comes first on its path, and with nothing else.
        """
        peers = before("earlier")
        names = [peer.name for peer in peers]
        self.assertEqual(OURS, set(names[::2]))
        self.assertEqual([f"{name}-before" for name in names[::2]], names[1::2])
        for now, then in zip(peers[::2], peers[1::2], strict=True):
            self.assertEqual(now.name, compared_with(then.name))
            self.assertIs(None, compared_with(now.name))
            self.assertEqual((now.command, now.can), (then.command, then.can))
            self.assertEqual(("", "earlier"), (now.folder, then.folder))
        folder = self.mktemp()
        for name in ("twisted", "twisted_h11"):
            os.makedirs(os.path.join(folder, name))
        workshop = Workshop(Settings())
        self.addCleanup(workshop.close)
        (ours,) = workshop.environment()["PYTHONPATH"].split(os.pathsep)
        for _ in range(2):
            paths = workshop.environment(folder)["PYTHONPATH"].split(os.pathsep)
            self.assertEqual([ours], paths[1:])
            for name in ("twisted", "twisted_h11"):
                self.assertTrue(
                    os.path.samefile(
                        os.path.join(paths[0], name), os.path.join(folder, name)
                    )
                )

    def test_beforeInMemory(self) -> None:
        """
        In memory each revision is measured in processes of its own.
        """
        self.addCleanup(signal.signal, signal.SIGTERM, signal.getsignal(signal.SIGTERM))
        cases = find_cases(["memory/minimal"])
        here = str(Path(__file__).resolve().parents[2])
        document = laboratory.measure(cases, before(here), Settings(rounds=2))
        names = ["twisted_h11", "twisted_h11-before"]
        results = document["results"]
        self.assertEqual(names, [result["peer"] for result in results])
        self.assertEqual(2, len(document["ratios"][0]["values"]))
        (ratio,) = document["ratios"]
        self.assertEqual(names, [ratio["ours"], ratio["peer"]])
        self.assertTrue(0.2 < ratio["median"] < 5, ratio)
        broken = self.mktemp()
        for name in ("twisted", "twisted_h11"):
            os.makedirs(os.path.join(broken, name))
        Path(broken, "twisted_h11", "__init__.py").write_text("raise ValueError('old')")
        document = laboratory.measure(cases, before(broken), Settings(rounds=1))
        (left,) = document["left_out"]
        self.assertEqual("twisted_h11-before", left["peer"])
        self.assertIn("old", left["reason"])

    def test_beforeWrong(self) -> None:
        """
        A folder without the package, or other peers, are refused in one line.
        """
        for arguments, said in (
            (["--before", "nowhere"], "there is no twisted_h11 in 'nowhere'"),
            (["--before", ".", "--control"], "not with --peer or --control"),
            (["--before", ".", "--peer", "nginx*"], "not with --peer or --control"),
        ):
            status, output = command(*arguments)
            self.assertEqual(2, status)
            self.assertIn(said, output.splitlines()[-1])

    def test_list(self) -> None:
        """
        The list has every case and peer, and how long all of it takes: longer with more
        rounds.
        """
        status, listing = command("--list")
        self.assertEqual(status, 0)
        for name in [*names(CASES), *(one.name for one in [*PEERS, *CLIENTS])]:
            self.assertIn(name, listing)
        self.assertRegex(listing, r"about \d+ minutes")
        five, ten = (estimate(CASES, PEERS, Settings(rounds=n)) for n in (5, 10))
        self.assertGreater(ten, five)


class BookTests(SynchronousTestCase):
    """
    Results are taken down and compared.
    """

    def setUp(self) -> None:
        """
        One case, measured in four rounds, one without the peer, one without us.
        """
        self.book = Book()
        rounds = [(30, 10), (90, None), (40, 20), (None, 20)]
        for turn, (mine, other) in enumerate(rounds):
            if mine is not None:
                self._add("h11web-logfile", turn, mine)
            if other is not None:
                self._add("twistd-web-logfile", turn, other)

    def _add(self, peer: str, turn: int, value: float) -> None:
        self.book.add("rate/browser", peer, turn, value, cpu_per_request=1 / value)

    def test_ratioRoundByRound(self) -> None:
        """
        A ratio is that of one round, and rounds that only one side has are left
        out of it.  Where less is better, the target is the greatest ratio that meets
        it.
        """
        for name, value in (("h11web-logfile", 3.0), ("twistd-web-logfile", 4.0)):
            self.book.add("idle/connections", name, 0, value)
        self.assertEqual(
            [
                (one["values"], one["median"], one["target"], one["met"])
                for one in self.book.ratios()
            ],
            [([3, 2], 2.5, 3.0, False), ([0.75], 0.75, 1.0, True)],
        )

    def test_leftOut(self) -> None:
        """
        What is left out has no figure any more, and the first reason stays.
        """
        which = ("rate/browser", "twistd-web-logfile")
        self.book.leaveOut(*which, "it failed")
        self.book.leaveOut(*which, "again")
        self.assertEqual(self.book.ratios(), [])
        self.assertEqual(self.book.leftOut, {which: "it failed"})

    def test_report(self) -> None:
        """
        The saved document has all that the printed report needs; a figure that was
        disturbed, or limited by the load, is pointed out.
        """
        self.book.leaveOut("rate/browser", "tornado", "missing: No module 'tornado'")
        for peer, busy, disturbed in (("a", 0.5, 0.4), ("b", 0.5, 0), ("c", 1, 0)):
            self.book.add("rate/tls", peer, 0, 1, busy=busy, disturbed=disturbed)
        saved = json.dumps(self.book.document(machine={"cores": 2}))
        printed = text(json.loads(saved))
        for expected in (
            r"cores: 2\n",
            r"rate/browser +twistd-web-logfile +20/s .* 2\.500 .* >= 3\.00 MISSED",
            r"rate/tls, a: something else used 40%",
            r"rate/tls, b: used 50% of its core",
            r"tornado: missing: No module 'tornado' \(rate/browser\)",
        ):
            self.assertRegex(printed, expected)
        self.assertNotIn("rate/tls, c:", printed)

    def test_panels(self) -> None:
        """
        The chart has a panel for a case, with the greatest ratio first; what is
        published has cases of several levels.
        """
        self._add("h11web-nolog", 0, 30)
        self._add("aiohttp", 0, 5)
        for name in ("h11web-logfile", "twistd-web-logfile"):
            self.book.add("frames/websocket", name, 0, 1)
        drawn = panels(self.book.document(), find_cases(CHARTED))
        self.assertEqual(
            [(title, *(ratio["peer"] for ratio in ratios)) for title, ratios in drawn],
            [
                ("GET, 12 fields", "aiohttp", "twistd-web-logfile"),
                ("WebSocket messages of 32 bytes that come back", "twistd-web-logfile"),
            ],
        )

    def test_savedBefore(self) -> None:
        """
        What is published goes to one folder, and nowhere else.  What was saved before
        stays until there is a new result; that no chart can be drawn is found out
        before anything is measured.
        """
        status, said = command("--publish", ".", "--output", "x")
        self.assertEqual(status, 2)
        self.assertIn("--publish says where", said)
        saved = Path(self.mktemp(), "performance.json")
        saved.parent.mkdir()
        saved.write_text("before")
        measured: list[object] = []

        def measure(*arguments: object) -> None:
            measured.append(arguments)
            raise ServerFailed("it does not start")

        self.patch(laboratory, "measure", measure)
        for spec, reason, times in (
            (None, "matplotlib", 0),
            (find_spec("json"), "it does not start", 1),
        ):
            self.patch(laboratory, "find_spec", lambda _, spec=spec: spec)
            status, said = command("--case", "minimal", "--publish", str(saved.parent))
            self.assertEqual(1, status)
            self.assertIn(reason, said)
            self.assertEqual(times, len(measured))
            self.assertEqual(saved.read_text(), "before")

    def test_chartWithoutMatplotlib(self) -> None:
        """
        Without matplotlib the reason is said, and nothing is written.
        """
        path = Path(self.mktemp())
        with (
            patch.dict(sys.modules, {"matplotlib": None}),
            self.assertRaisesRegex(ChartFailed, "needs matplotlib"),
        ):
            draw(self.book.document(), str(path), CASES)
        self.assertFalse(path.exists())

    @skipUnless(find_spec("matplotlib"), "needs matplotlib")
    def test_chartIsRepeatable(self) -> None:
        """
        The same result gives the same file, to the byte.
        """
        drawn = []
        for path in (self.mktemp(), self.mktemp()):
            draw(self.book.document(), path, CASES)
            drawn.append(Path(path).read_bytes())
        self.assertIn(b"GET, 12 fields", drawn[0])
        self.assertEqual(drawn[0], drawn[1])


class RunTests(SynchronousTestCase):
    """
    Peers take turns, and what is missing is named.
    """

    def run_level(self, cases: list[str], names: str, **how: Any) -> Book:
        """
        What a run of a level has found, in which all that is told to
        L{tests.benchmarks.levels.Level} is another.
        """
        book, [level, *_] = Book(), [case.level for case in find_cases(cases)]
        workshop = Workshop(Settings(rounds=3))
        self.addCleanup(workshop.close)
        peers = [peer for peer in PEERS if peer.name in names.split()]
        changed = replace(levels.LEVELS[level], **how)
        self.patch(levels, "LEVELS", {level: changed})
        levels.run(book, find_cases(cases), peers, workshop)
        return book

    def test_turns(self) -> None:
        """
        Each round has another order; who fails is asked no more, and has no figures.
        """
        asked = []

        def measure(name: str, case: Case, turn: int) -> dict[str, float]:
            asked.append(name)
            if (name, turn) == ("granian", 1):
                raise Unexpected("another answer")
            return {"value": 1, "busy": turn}

        book = self.run_level(
            *(["rate/minimal"], "h11web-nolog aiohttp granian"),
            measure=measure,
            start=lambda peer, workshop, case: nullcontext(peer.name),
        )
        self.assertEqual(
            asked,
            [
                *("h11web-nolog", "aiohttp", "granian"),
                *("h11web-nolog", "granian", "aiohttp"),
                *("h11web-nolog", "aiohttp"),
            ],
        )
        self.assertEqual(book.leftOut, {("rate/minimal", "granian"): "another answer"})
        self.assertEqual([one["busy"] for one in book.results()], [[0, 1, 2]] * 2)

    def test_doesNotStart(self) -> None:
        """
        A server that would answer all cases, and does not start, is started once.
        """
        started = []

        def start(peer: Peer, workshop: Workshop, case: Case) -> Any:
            started.append(peer.name)
            raise ServerFailed("no, thank you")

        book = self.run_level(
            ["rate/minimal", "rate/browser", "rate/tls"], "bare", start=start
        )
        self.assertEqual(started, ["bare"] * 2)
        self.assertEqual(set(book.leftOut.values()), {"no, thank you"})
        self.assertEqual(len(book.leftOut), 3)

    def test_wrk(self) -> None:
        """
        Without wrk the level is left out, with the command that installs it.
        """
        self.patch(shutil, "which", lambda name: None)
        book = self.run_level(["rate/minimal"], "bare")
        [(which, reason)] = book.leftOut.items()
        self.assertEqual(which, ("rate/minimal", "all"))
        self.assertIn("apt-get install wrk", reason)

    def test_module(self) -> None:
        """
        A peer that is not installed is left out, with the module it lacks.
        """
        book = Book()
        absent = Peer("absent", "absent", "no_such_module", "")
        workshop = Workshop(Settings())
        self.addCleanup(workshop.close)
        cases = find_cases(["rate/minimal"])
        found, versions = _present(book, cases, [absent], workshop)
        self.assertEqual(found, [])
        self.assertIn("Twisted", versions)
        self.assertIn("no_such_module", book.leftOut["rate/minimal", "absent"])
