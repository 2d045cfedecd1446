"""
The page on performance says what was measured.
"""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.benchmarks.cases import LEVELS, find_cases
from tests.benchmarks.chart import panels
from tests.benchmarks.report import text
from tests.benchmarks.results import more_is_better

DOCS = Path(__file__).resolve().parent.parent / "docs"


def module() -> dict[str, Any]:
    """
    The module that makes the tables.
    """
    path = DOCS / "_ext" / "performance.py"
    names: dict[str, Any] = {"__name__": "performance", "__file__": str(path)}
    try:
        exec(compile(path.read_text("utf-8"), str(path), "exec"), names)
    except ModuleNotFoundError as error:
        if error.name != "docutils":
            raise
        raise SkipTest("docutils is not installed (extra docs)") from None
    return names


class PageTests(SynchronousTestCase):
    """
    The saved run, the tables made of it, and the chart.
    """

    def setUp(self) -> None:
        """
        Read the saved run.
        """
        self.document = json.loads((DOCS / "performance.json").read_text("utf-8"))
        self.page = (DOCS / "performance.rst").read_text("utf-8")

    def test_saved(self) -> None:
        """
        The saved run is one that the harness can print, and was not cut short.
        """
        self.assertIn("date: ", text(self.document))
        self.assertNotIn("interrupted", self.document["machine"])
        self.assertFalse(self.document["settings"]["control"])

    def test_everyLevel(self) -> None:
        """
        The page has a table of every level.
        """
        found = re.findall(r"performance-table:: (\w+)", self.page)
        self.assertEqual(sorted(found), sorted(LEVELS))

    def test_targets(self) -> None:
        """
        Every promise that was measured has a row, with what was reached.
        """
        promised = [one for one in self.document["ratios"] if one["target"] is not None]
        self.assertTrue(promised)
        lines = module()["targets"](self.document)
        reached = [line for line in lines if re.fullmatch(r" +- \*\*[0-9.]+\*\*", line)]
        self.assertEqual(
            [line.strip("- *") for line in reached],
            [f"{one['median']:.2f}" for one in promised],
        )
        missed = [one for one in promised if not one["met"]]
        self.assertEqual(
            sum("**missed**" in line for line in lines), len(missed), "missed"
        )

    def test_rows(self) -> None:
        """
        Every ratio has a row, and where the peer was better the row says so.
        """
        made = module()
        for name in LEVELS:
            ratios = [
                one
                for one in self.document["ratios"]
                if one["case"].startswith(name + "/")
            ]
            lines = made["level"](self.document, name)
            rows = [line for line in lines if line.startswith("   * - ")]
            self.assertEqual(len(rows), len(ratios) + bool(ratios))
            lost = [
                one
                for one in ratios
                if (one["median"] < 1) == (one["better"] == "higher")
            ]
            self.assertEqual(sum("(we lose)" in line for line in lines), len(lost))

    def test_facts(self) -> None:
        """
        The page says when, on what machine, and with which versions.
        """
        lines = "\n".join(module()["facts"](self.document))
        for name in ("date", "processor", "revision"):
            self.assertIn(str(self.document["machine"][name]), lines)
        for name, version in self.document["versions"].items():
            self.assertIn(f"{name} {version}", lines)

    def test_leftOut(self) -> None:
        """
        What was not measured is on the page, each with its reason.
        """
        reasons = [{"peer": "x", "case": "y", "reason": "for a reason of the test"}]
        for left in (self.document["left_out"], reasons):
            lines = "\n".join(module()["left_out"]({**self.document, "left_out": left}))
            for one in left:
                self.assertIn(one["reason"], lines)

    def test_charts(self) -> None:
        """
        The charts were drawn from this run: each of their figures is one of it, for
        each case that they show.
        """
        for chart in ("performance.svg", "performance-short.svg"):
            drawn = (DOCS / chart).read_text("utf-8")
            lines = re.findall("<text[^>]*>([^<]*)</text>", drawn)
            titles = list(pairwise(lines))
            shown = 0
            for name in LEVELS:
                # The same case has the same title in memory and over loopback.
                better = "more" if more_is_better(f"{name}/") else "less"
                for title, ratios in panels(self.document, find_cases([name])):
                    if (title, f"ours / peer ({better} is better)") in titles:
                        shown += 1
                        for ratio in ratios:
                            self.assertIn(f">{ratio['median']:.2f}<", drawn)
            self.assertEqual(shown, drawn.count(">ours / peer ("))
            self.assertTrue(shown)

    def test_dark(self) -> None:
        """
        Where the reader wants dark pages, every colour that a chart has on white, or as
        white, is another one.
        """
        for chart in ("performance.svg", "performance-short.svg"):
            light, _, dark = (
                (DOCS / chart)
                .read_text("utf-8")
                .partition("@media (prefers-color-scheme: dark)")
            )
            rules = dark.partition("</style>")[0]
            self.assertIn("text { fill:", rules)
            drawn = set(
                re.findall(r"(?:fill|stroke): #(?:000000|ffffff)", dark + light)
            )
            self.assertEqual({"fill: #ffffff", "stroke: #000000"}, drawn)
            for colour in drawn:
                self.assertIn(f'[style*="{colour}"]', rules)
