"""
Nobody makes the common request slow without noticing.

The measure is the CPU time per request, divided by that of twisted.web's Site
in the same process, transports in memory: both are slowed alike by whatever
else the machine does.  The limits are well above what is reached (see
C{docs/performance.rst}), and a bad figure has to be confirmed.
"""

from __future__ import annotations

import os
import sys
import threading
from functools import partial
from typing import Any
from unittest.mock import patch

from twisted.internet import reactor
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.benchmarks import memory
from tests.benchmarks.results import TARGETS
from tests.benchmarks.test_memory import MEMORY, busy_site
from tests.support.long_cases import unnamed
from tests.support.server_cases import FAST_PATH

skip = unnamed()

net: Any = reactor

# Case of the level "memory", and the greatest ratio that passes.  The promises,
# which C{python -m tests.benchmarks} measures with more care, are in
# C{tests.benchmarks.results.TARGETS}.
LIMITS = {
    "minimal": 0.60,
    "browser-varied": 0.65,
    "post-json": 0.75,
    "later": 0.66,
    "later-length": 0.74,
    "pieces": 0.68,
    "foreign": 0.86,
    "foreign-later": 0.92,
    "foreign-later-length": 0.94,
    "foreign-pieces": 0.96,
}

TRIES = 4
ROUNDS = 5
REQUESTS = 160


def measured_time_means_something() -> str | None:
    """
    @return: why it does not, or C{None}.
    """
    monitoring = getattr(sys, "monitoring", None)
    if sys.gettrace() is not None or threading.gettrace() is not None:
        return "the code is traced (coverage, a debugger)"
    if sys.getprofile() is not None:
        return "the code is profiled"
    if monitoring is not None and any(map(monitoring.get_tool, range(6))):
        return "the code is monitored (coverage, a profiler)"
    if sys.flags.dev_mode or hasattr(sys, "gettotalrefcount"):
        return "this is a debugging interpreter"
    if sys.implementation.name != "cpython":
        return f"the limits are those of CPython, not {sys.implementation.name}"
    if not FAST_PATH:
        return "this run of the suite is without the fast path"
    return None


def best_ratio(case: str, limit: float) -> float:
    """
    Measure until the limit is kept, a few times at most.

    @return: the lowest ratio.
    """
    best = float("inf")
    for _ in range(TRIES):
        best = min(best, memory.ratio(case, rounds=ROUNDS, requests=REQUESTS))
        if best <= limit:
            break
    return best


class GuardTests(SynchronousTestCase):
    """
    The ratio to twisted.web.
    """

    def setUp(self) -> None:
        """
        Nothing is measured where that means nothing.
        """
        reason = measured_time_means_something()
        if reason is not None:
            raise SkipTest(reason)

    def check(self, *cases: str) -> None:
        """
        Each case must keep its limit.
        """
        for case in cases:
            limit = LIMITS[case]
            best = best_ratio(case, limit)
            said = f"{case}: {best:.2f} of twisted.web's CPU time per request"
            self.assertLessEqual(best, limit, said)

    def test_atOnce(self) -> None:
        """
        Answers that are given at once.
        """
        self.check("minimal", "browser-varied", "post-json")

    def test_later(self) -> None:
        """
        Answers from a later turn of the reactor.
        """
        self.check("later", "later-length", "pieces")

    def test_foreign(self) -> None:
        """
        The same with a framework's own class of requests.
        """
        self.check(*(case for case in LIMITS if case.startswith("foreign")))

    def test_slowIsSeen(self) -> None:
        """
        Without the fast path the limits are not kept: the guard can fail.
        """
        from twisted_h11.server import Site

        slow = partial(Site, fastPath=False)
        # A figure that is too good has to be confirmed, too.
        for _ in range(TRIES):
            found = memory.ratio("minimal", slow, rounds=ROUNDS, requests=REQUESTS)
            if found > LIMITS["minimal"]:
                break
        self.assertGreater(found, LIMITS["minimal"])


class SkippingTests(SynchronousTestCase):
    """
    Where time means nothing it is not measured.
    """

    def test_reasons(self) -> None:
        """
        A trace function, as coverage sets it, is a reason, and so is a profiler.
        """
        with patch.object(sys, "gettrace", lambda: print):
            self.assertIn("traced", measured_time_means_something() or "")
        with (
            patch.object(sys, "gettrace", lambda: None),
            patch.object(threading, "gettrace", lambda: None),
            patch.object(sys, "getprofile", lambda: print),
        ):
            self.assertIn("profiled", measured_time_means_something() or "")

    def test_confirmed(self) -> None:
        """
        One bad figure is not believed, and a good one ends the measuring.
        """
        figures = [0.9, 0.5, 0.1]
        with patch.object(memory, "ratio", lambda *a, **k: figures.pop(0)):
            self.assertEqual(best_ratio("minimal", 0.6), 0.5)
        self.assertEqual(figures, [0.1])
        with patch.object(memory, "ratio", lambda *a, **k: 0.9):
            self.assertEqual(best_ratio("minimal", 0.6), 0.9)

    def test_nothingLeft(self) -> None:
        """
        No thread, no delayed call and no file is left.
        """
        threads = threading.enumerate()
        calls = net.getDelayedCalls()
        files = os.listdir(".")
        memory.ratio("minimal", rounds=1, requests=4)
        self.assertEqual(threading.enumerate(), threads)
        self.assertEqual(net.getDelayedCalls(), calls)
        self.assertEqual(os.listdir("."), files)


class MeasureTests(SynchronousTestCase):
    """
    What the guard measures, and with what.
    """

    def test_everyLimit(self) -> None:
        """
        Every promise of the level is guarded, at no less than it promises.
        """
        promised = {
            case.removeprefix("memory/"): target
            for (case, _), target in TARGETS.items()
            if case.startswith("memory/")
        }
        self.assertEqual(set(), set(promised) - set(LIMITS))
        for case, target in promised.items():
            self.assertGreater(LIMITS[case], target)

    def test_everyCase(self) -> None:
        """
        Both sites answer every case as it says, and each round has a figure.
        """
        for case in MEMORY:
            mine, other = memory.compare(
                case, memory.h11_site, memory.twisted_site, rounds=2, requests=4
            )
            self.assertEqual([len(mine), len(other)], [2, 2])
            self.assertGreater(min(mine + other), 0)

    def test_slowerIsSeen(self) -> None:
        """
        A site that does much more work has a ratio well above 1, and one that
        it is compared with has it well below.
        """
        slow, plain = busy_site, memory.twisted_site
        self.assertGreater(memory.ratio("minimal", slow, plain, 3, 16), 1.5)
        self.assertLess(memory.ratio("minimal", plain, slow, 3, 16), 0.67)
