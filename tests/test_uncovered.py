"""
Coverage is held against a list of what need not run.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

CI = Path(__file__).resolve().parent.parent / ".ci"

SOURCE = """\
import os


class A:
    def f(self, x):
        if x:
            x += 1
            print(x)
        try:
            os.stat(x)
        except OSError:
            return 0
        return x
"""


def checker() -> ModuleType:
    """
    The module that checks, in C{.ci}.
    """
    spec = importlib.util.spec_from_file_location("uncovered", CI / "uncovered.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Where its dataclasses look for their annotations.
    sys.modules["uncovered"] = module
    spec.loader.exec_module(module)
    return module


class UncoveredTests(SynchronousTestCase):
    """
    A report and a list.
    """

    def setUp(self) -> None:
        """
        A package of one module.
        """
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.top = Path(folder.name)
        self.checker = checker()
        self.addCleanup(sys.modules.pop, "uncovered")
        (self.top / "twisted_h11").mkdir()
        (self.top / "twisted_h11" / "a.py").write_text(SOURCE)

    def wrong(
        self, text: str, lines: list[int], branches: list[list[int]] | None = None
    ) -> list[str]:
        """
        What is wrong with what did not run, and a list.
        """
        found: dict[str, Any] = {
            "missing_lines": lines,
            "missing_branches": branches or [],
        }
        measured = {"files": {"twisted_h11/a.py": found}}
        places = self.checker.read_list(text)
        gone, left = self.checker.check(measured, places, self.top)
        return [*gone, *left]

    def test_nothing(self) -> None:
        """
        Where everything runs, and nothing is listed, all is well.
        """
        self.assertEqual(self.wrong("", []), [])

    def test_line(self) -> None:
        """
        A line that does not run is named, with its function; what follows in its block
        goes without saying.
        """
        self.assertEqual(
            self.wrong("", [7, 8, 12]),
            [
                "does not run: 7: a.py  A.f: x += 1",
                "does not run: 12: a.py  A.f: return 0",
            ],
        )

    def test_listed(self) -> None:
        """
        A line of the list, and the rest of its block, need not run; others need.
        """
        text = "Nobody can.\n    a.py  A.f: x += 1\n"
        self.assertEqual(self.wrong(text, [7, 8]), [])
        self.assertEqual(
            self.wrong(text, [7, 8, 12]), ["does not run: 12: a.py  A.f: return 0"]
        )

    def test_handler(self) -> None:
        """
        Where an exception handler is in the list, all of it is.
        """
        text = "Nobody can.\n    a.py  A.f: except OSError:\n"
        self.assertEqual(self.wrong(text, [11, 12]), [])

    def test_branch(self) -> None:
        """
        A branch that is never taken is named with where it would go to, and can be in
        the list so.
        """
        self.assertEqual(
            self.wrong("", [], [[6, 9]]), ["does not run: 6: a.py  A.f: if x: -> try:"]
        )
        self.assertEqual(
            self.wrong("Why.\n    a.py  A.f: if x: -> try:\n", [], [[6, 9]]), []
        )
        self.assertEqual(
            self.wrong("", [], [[6, -5]]),
            ["does not run: 6: a.py  A.f: if x: -> exit"],
        )

    def test_branchOfALine(self) -> None:
        """
        A branch to a line that does not run is said with that line only.
        """
        self.assertEqual(len(self.wrong("", [7, 8], [[6, 7]])), 1)

    def test_gone(self) -> None:
        """
        A place of the list that is not in the code any more is wrong, be it the line,
        the function or the module.
        """
        for place in ("a.py  A.f: x += 2", "a.py  f: x += 1", "b.py  A.f: x += 1"):
            [wrong] = self.wrong(f"Why.\n    {place}\n", [])
            self.assertIn("not in the code", wrong)

    def test_leftOut(self) -> None:
        """
        A place of a module that was not measured is looked for all the same.
        """
        (self.top / "twisted_h11" / "b.py").write_text(SOURCE)
        self.assertEqual([], self.wrong("Why.\n    b.py  A.f: x += 1\n", []))
        [wrong] = self.wrong("Why.\n    b.py  A.f: x += 2\n", [])
        self.assertIn("not in the code", wrong)

    def test_noReason(self) -> None:
        """
        A place without a reason above it is not understood.
        """
        with self.assertRaises(ValueError):
            self.wrong("    a.py  A.f: x += 1\n", [])

    def test_least(self) -> None:
        """
        The status tells whether as much has run as has to; what has not is told.
        """
        total = {"covered_lines": 9, "num_statements": 10, "percent_covered": 90.0}
        total |= {"covered_branches": 0, "num_branches": 0}
        report = self.top / "report.json"
        report.write_text(json.dumps({"files": {}, "totals": total}))
        (self.top / ".ci").mkdir()
        (self.top / ".ci" / "uncovered").write_text("")
        self.patch(self.checker, "TOP", self.top)
        said = StringIO()
        self.patch(sys, "stdout", said)
        self.assertEqual(self.checker.main([str(report), "90"]), 0)
        self.assertNotIn("less than", said.getvalue())
        self.assertEqual(self.checker.main([str(report), "90.1"]), 1)
        self.assertIn("less than 90.1 %", said.getvalue())
        self.assertIn("9 of 10 lines", said.getvalue())

    def test_theList(self) -> None:
        """
        The project's own list can be read, and all its places are in the code.
        """
        places = self.checker.read_list((CI / "uncovered").read_text(encoding="utf-8"))
        for place in places:
            path = CI.parent / "twisted_h11" / place.module
            lines = path.read_text(encoding="utf-8").splitlines()
            module = self.checker.Module(place.module, lines, set(), set())
            self.assertTrue(module.allow(place), place)
