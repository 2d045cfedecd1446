"""
The benchmark harness measures what it says, and says what it did not measure.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import shutil
import sys
from importlib.util import find_spec
from typing import Any
from unittest import skipUnless
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from tests.benchmarks import __main__ as laboratory
from tests.benchmarks import levels, memory
from tests.benchmarks.__main__ import _present, main
from tests.benchmarks.apps.resources import Foreign
from tests.benchmarks.cases import CASES, CHARTED, Case, find_cases
from tests.benchmarks.chart import ChartFailed, draw, panels
from tests.benchmarks.heads import JSON_KB, browser, minimal, post_json
from tests.benchmarks.peers import (
    CLIENTS,
    OURS,
    PEERS,
    Launch,
    Peer,
    control,
    find_peers,
)
from tests.benchmarks.report import text
from tests.benchmarks.results import TARGETS, Book
from tests.benchmarks.servers import ServerFailed, Workshop
from tests.benchmarks.settings import Settings, estimate

MEMORY = [case for case in CASES if case.level == "memory"]
HOST = b"localhost:8080"


def names(cases: list[Case]) -> list[str]:
    """
    What the cases are called.
    """
    return [case.fullName for case in cases]


class HeadsTests(SynchronousTestCase):
    """
    The requests are what the cases say.
    """

    def test_browserHasTwelveFields(self) -> None:
        """
        The browser's head has twelve fields, Host first.
        """
        lines = browser(HOST).data.removesuffix(b"\r\n\r\n").split(b"\r\n")
        self.assertEqual(lines[:2], [b"GET / HTTP/1.1", b"Host: " + HOST])
        self.assertEqual(len(lines), 1 + 12)

    def test_variedDiffer(self) -> None:
        """
        Two varied requests differ in one field, and are equally long.
        """
        for make in (minimal, browser):
            message = make(HOST, varied=True)
            one, two = (message.numbered(n).split(b"\r\n") for n in (7, 8))
            differing = [
                pair for pair in zip(one, two, strict=True) if pair[0] != pair[1]
            ]
            self.assertEqual(len(differing), 1)
            self.assertEqual(*map(len, differing[0]))

    def test_unvariedAreEqual(self) -> None:
        """
        Without variation every request is the same.
        """
        for message in (minimal(HOST), browser(HOST), post_json(HOST)):
            self.assertEqual(message.numbered(1), message.numbered(2))

    def test_numberWraps(self) -> None:
        """
        A number of more than eight digits does not change the length.
        """
        message = minimal(HOST, varied=True)
        self.assertEqual(message.numbered(10**8 + 5), message.numbered(5))

    def test_json(self) -> None:
        """
        The document that is posted is JSON of 1,000 bytes.
        """
        self.assertEqual(len(JSON_KB), 1000)
        self.assertEqual(len(json.loads(JSON_KB)["rows"]), 16)


class SelectionTests(SynchronousTestCase):
    """
    Cases and peers are found by patterns.
    """

    def test_patterns(self) -> None:
        """
        A pattern may be the whole name, the name in every level, or a level.
        """
        self.assertEqual(names(find_cases(["memory/browser"])), ["memory/browser"])
        self.assertEqual(
            names(find_cases(["browser"])), ["memory/browser", "rate/browser"]
        )
        self.assertEqual(find_cases(["memory"]), MEMORY)
        self.assertEqual(find_cases([]), CASES)

    def test_nothingFound(self) -> None:
        """
        A pattern that matches nothing is an error that names it.
        """
        for find in (find_cases, find_peers):
            with self.assertRaisesRegex(ValueError, "'no-such'"):
                find(["no-such"])

    def test_peersBringOurs(self) -> None:
        """
        A peer that is chosen brings what of ours it is compared with.
        """
        found = [peer.name for peer in find_peers(["aiohttp"])]
        self.assertEqual(found, ["h11web-nolog", "aiohttp"])

    def test_sameAccessLog(self) -> None:
        """
        Whatever is compared has its access log in the same place.
        """
        logs = {peer.name: peer.log for peer in PEERS}
        for peer in PEERS:
            self.assertEqual(logs[peer.ours], peer.log)

    def test_equalFlags(self) -> None:
        """
        What is compared with C{twistd web} is started with the same flags.
        """
        commands = {
            peer.name: peer.command(Launch("python", 8080, "/folder")) for peer in PEERS
        }
        for theirs, ours in (
            ("twistd-web", "h11web"),
            ("twistd-web-logfile", "h11web-logfile"),
        ):
            expected = ["h11web" if a == "web" else a for a in commands[theirs]]
            self.assertEqual(commands[ours], expected)

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
        for before, after in zip(PEERS, control(PEERS), strict=True):
            self.assertEqual(before.name, after.name)
            self.assertEqual(before.log, after.log)
            self.assertEqual(before != after, before.name in OURS)

    def test_estimate(self) -> None:
        """
        A run of more rounds is said to take longer.
        """
        five, ten = (estimate(CASES, PEERS, Settings(rounds=n)) for n in (5, 10))
        self.assertGreater(ten, five)


class _BusyRequest(Request):
    """
    A request that wastes time.
    """

    def process(self) -> None:
        """
        Several times as much work as a whole request.
        """
        sum(range(100_000))
        Request.process(self)


class _ClosingRequest(Request):
    """
    A request after which the connection ends.
    """

    def process(self) -> None:
        """
        Ask for the close.
        """
        self.setHeader(b"connection", b"close")
        channel = self.channel
        Request.process(self)
        channel.loseConnection()


def busy_site(resource: Resource, **kwargs: Any) -> Site:
    """
    A site that is much slower.
    """
    return Site(resource, _BusyRequest, **kwargs)


def closing_site(resource: Resource, **kwargs: Any) -> Site:
    """
    A site that closes.
    """
    return Site(resource, _ClosingRequest, **kwargs)


def empty_site(resource: Resource, **kwargs: Any) -> Site:
    """
    A site that has nothing.
    """
    return Site(Resource(), **kwargs)


class MemoryTests(SynchronousTestCase):
    """
    The level in memory.
    """

    def test_oneSend(self) -> None:
        """
        What is answered in a later turn is sent by one call, on both sides.
        """
        for case in MEMORY:
            if case.turns:
                message = case.message(HOST).data
                for make in (memory.twisted_site, memory.h11_site):
                    with memory.Side("it", make) as side:
                        length = len(side.answer(message, True))
                        side.seconds([message] * 32, 32 * length, True)
                        self.assertEqual((case.name, side.sends), (case.name, 32))

    def test_foreignRequests(self) -> None:
        """
        A foreign case has a framework's own class of requests on both sides.
        """
        seen = []

        def site(resource: Resource, factory: Any = Request, **kwargs: Any) -> Site:
            factory = kwargs.get("requestFactory", factory)
            seen.append(factory)
            return Site(resource, **kwargs)

        for name, factory in (("minimal", Request), ("foreign", Foreign)):
            seen.clear()
            memory.ratio(name, site, site, 1, 1)
            self.assertEqual(seen, [factory, factory])

    def test_wrongAnswer(self) -> None:
        """
        A site that answers something else is not measured.
        """
        with self.assertRaisesRegex(AssertionError, "ours.*404"):
            memory.ratio("minimal", empty_site, memory.twisted_site, 1, 4)

    def test_closedConnection(self) -> None:
        """
        A site that closes is not measured, even if it answered everything.
        """
        with self.assertRaisesRegex(AssertionError, "theirs.*closed: True"):
            memory.ratio("minimal", memory.twisted_site, closing_site, 1, 1)

    def test_unknownCase(self) -> None:
        """
        A case of another level has no ratio in memory.
        """
        self.assertRaises(ValueError, memory.ratio, "new-connection")

    def test_collectorIsRestored(self) -> None:
        """
        The collector is off while time is taken, and as before afterwards.
        """
        seen = []

        class Seeing(Request):
            def process(self) -> None:
                seen.append(gc.isenabled())
                Request.process(self)

        def site(resource: Resource, **kwargs: Any) -> Site:
            return Site(resource, Seeing, **kwargs)

        self.addCleanup(gc.enable if gc.isenabled() else gc.disable)
        for switch in (gc.disable, gc.enable):
            switch()
            before = gc.isenabled()
            seen.clear()
            memory.ratio("minimal", site, memory.twisted_site, 1, 4)
            self.assertEqual(gc.isenabled(), before)
        # The first request is the check, which is not timed.
        self.assertEqual(set(seen[1:]), {False})

    def test_nothingLeft(self) -> None:
        """
        A side that is done has no timers and no folder left.
        """
        for make in (memory.twisted_site, memory.h11_site):
            with memory.Side("it", make) as side:
                side.answer(minimal(HOST).data)
                folder = side._folder
                self.assertTrue(os.path.isdir(folder))
            self.assertEqual(side._reactor.getDelayedCalls(), [])
            self.assertFalse(os.path.exists(folder))

    def test_accessLog(self) -> None:
        """
        Both sides write one access line for each request.
        """
        for make in (memory.twisted_site, memory.h11_site):
            with memory.Side("it", make) as side:
                side.seconds([minimal(HOST).data] * 3, 3 * len(side.answer(ONE)))
                side._site.doStop()
                with open(os.path.join(side._folder, "access.log"), "rb") as lines:
                    self.assertEqual(lines.read().count(b'"GET / HTTP/1.1" 200'), 4)


ONE = minimal(HOST).data


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
        out of it.
        """
        [ratio] = self.book.ratios()
        self.assertEqual(ratio["values"], [3, 2])
        self.assertEqual(ratio["median"], 2.5)
        self.assertEqual((ratio["target"], ratio["met"]), (3.0, False))

    def test_lessIsBetter(self) -> None:
        """
        Where less is better, the target is the greatest ratio that meets it.
        """
        for name, value in (("h11web-logfile", 3.0), ("twistd-web-logfile", 4.0)):
            self.book.add("idle/connections", name, 0, value)
        [_, ratio] = self.book.ratios()
        self.assertEqual(
            (ratio["median"], ratio["target"], ratio["met"]), (0.75, 1.0, True)
        )

    def test_leftOut(self) -> None:
        """
        What is left out has no figure any more, and the first reason stays.
        """
        self.book.leaveOut("rate/browser", "twistd-web-logfile", "it failed")
        self.book.leaveOut("rate/browser", "twistd-web-logfile", "again")
        self.assertEqual(self.book.ratios(), [])
        self.assertEqual(
            self.book.leftOut(), [("rate/browser", "twistd-web-logfile", "it failed")]
        )

    def test_report(self) -> None:
        """
        The saved document has all that the printed report needs.
        """
        self.book.leaveOut("rate/browser", "tornado", "missing: No module 'tornado'")
        saved = json.dumps(self.book.document(machine={"cores": 2}))
        printed = text(json.loads(saved))
        self.assertIn("cores: 2", printed)
        self.assertRegex(printed, r"rate/browser +twistd-web-logfile +20/s .* 2\.500 ")
        self.assertIn(">= 3.00 MISSED", printed)
        self.assertIn("tornado: missing: No module 'tornado' (rate/browser)", printed)

    def test_doubts(self) -> None:
        """
        A figure that was disturbed, or limited by the load, is pointed out.
        """
        for peer, busy, disturbed in (("a", 0.5, 0.4), ("b", 0.5, 0), ("c", 1, 0)):
            self.book.add("rate/tls", peer, 0, 1, busy=busy, disturbed=disturbed)
        printed = text(self.book.document())
        self.assertIn("rate/tls, a: something else used 40%", printed)
        self.assertIn("rate/tls, b: used 50% of its core", printed)
        self.assertNotIn("rate/tls, c:", printed)

    def test_chartOrder(self) -> None:
        """
        The chart has a panel for a case, with the greatest ratio first.
        """
        self._add("h11web-nolog", 0, 30)
        self._add("aiohttp", 0, 5)
        [(title, ratios)] = panels(self.book.document(), "rate")
        self.assertEqual(title, "GET, 12 fields")
        self.assertEqual(
            [ratio["peer"] for ratio in ratios], ["aiohttp", "twistd-web-logfile"]
        )

    def test_published(self) -> None:
        """
        What is published goes to one folder, and nowhere else; the chart has cases of
        several levels.
        """
        said = io.StringIO()
        with contextlib.redirect_stderr(said), self.assertRaises(SystemExit):
            main(["--publish", ".", "--output", "x"])
        self.assertIn("--publish", said.getvalue())
        levels = {case.level for case in find_cases(CHARTED)}
        self.assertEqual(levels, {"rate", "frames", "events"})
        self.book.add("frames/websocket", "h11web-logfile", 0, 1)
        self.book.add("frames/websocket", "twistd-web-logfile", 0, 1)
        drawn = panels(self.book.document(), None, find_cases(CHARTED))
        self.assertEqual(len(drawn), 2)

    def test_chartWithoutMatplotlib(self) -> None:
        """
        Without matplotlib the reason is said, and nothing is written.
        """
        path = self.mktemp()
        with (
            patch.dict(sys.modules, {"matplotlib": None}),
            self.assertRaisesRegex(ChartFailed, "needs matplotlib"),
        ):
            draw(self.book.document(), path)
        self.assertFalse(os.path.exists(path))

    def test_savedBefore(self) -> None:
        """
        What was saved before stays until there is a new result; that no chart can be
        drawn is found out before anything is measured.
        """
        folder = self.mktemp()
        os.mkdir(folder)
        saved = os.path.join(folder, "performance.json")
        before = '{"rows": []}'
        with open(saved, "w") as file:
            file.write(before)
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
            said = io.StringIO()
            with contextlib.redirect_stderr(said):
                self.assertEqual(1, main(["--case", "minimal", "--publish", folder]))
            self.assertIn(reason, said.getvalue())
            self.assertEqual(times, len(measured))
            with open(saved) as file:
                self.assertEqual(before, file.read())

    @skipUnless(find_spec("matplotlib"), "needs matplotlib")
    def test_chartIsRepeatable(self) -> None:
        """
        The same result gives the same file, to the byte.
        """
        drawn = []
        for path in (self.mktemp(), self.mktemp()):
            draw(self.book.document(), path)
            with open(path, "rb") as chart:
                drawn.append(chart.read())
        self.assertIn(b"GET, 12 fields", drawn[0])
        self.assertEqual(drawn[0], drawn[1])


class MissingTests(SynchronousTestCase):
    """
    What is missing is named.
    """

    def test_wrk(self) -> None:
        """
        Without wrk the level is left out, with the command that installs it.
        """
        self.patch(shutil, "which", lambda name: None)
        book = Book()
        workshop: Any = None
        levels.rate(book, find_cases(["rate/minimal"]), [], workshop, Settings())
        [(case, peer, reason)] = book.leftOut()
        self.assertEqual((case, peer), ("rate/minimal", "all"))
        self.assertIn("apt-get install wrk", reason)

    def test_module(self) -> None:
        """
        A peer that is not installed is left out, with the module it lacks.
        """
        book = Book()
        absent = Peer("absent", "absent", ("no_such_module",), "off", ())
        workshop = Workshop(sys.executable, None)
        self.addCleanup(workshop.close)
        found, versions = _present(
            book, find_cases(["rate/minimal"]), [absent], workshop
        )
        self.assertEqual(found, [])
        self.assertIn("Twisted", versions)
        [(_, _, reason)] = book.leftOut()
        self.assertIn("no_such_module", reason)

    def test_unknownCase(self) -> None:
        """
        A case that does not exist ends the command with a message.
        """
        complaint = io.StringIO()
        with contextlib.redirect_stderr(complaint):
            failure = self.assertRaises(SystemExit, main, ["--case", "no-such"])
        self.assertEqual(failure.code, 2)
        self.assertIn("no case is called 'no-such'", complaint.getvalue())

    def test_list(self) -> None:
        """
        The list has every case and peer, and how long all of it takes.
        """
        listing = io.StringIO()
        with contextlib.redirect_stdout(listing):
            self.assertEqual(main(["--list"]), 0)
        clients = [client.name for client in CLIENTS]
        for name in [*names(CASES), *(peer.name for peer in PEERS), *clients]:
            self.assertIn(name, listing.getvalue())
        self.assertRegex(listing.getvalue(), r"about \d+ minutes")
