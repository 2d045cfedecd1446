"""
The first page compares by figures that the evidence shows.
"""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from tests.support.pages import DOCS


def rows(text: str) -> list[list[str]]:
    """
    The rows of the list tables in a page, each cell without line ends.
    """
    found = re.findall(r"^   \* - ?((?:.*\n)(?:     .*\n)*)", text, re.M)
    return [
        [" ".join(c.split()) for c in re.split(r"^     - ?", row, flags=re.M)]
        for row in found
    ]


class ComparisonTests(SynchronousTestCase):
    """
    The table of docs/index.rst.
    """

    def setUp(self) -> None:
        self.page = (DOCS / "index.rst").read_text("utf-8")
        self.evidence = (DOCS / "evidence" / "differential.inc").read_text("utf-8")

    def test_refusedByUs(self) -> None:
        """
        So many requests that twisted-h11 refuses are answered by others.
        """
        figures = {row[0]: row[2] for row in rows(self.evidence) if len(row) == 5}
        count = re.search(r"--count (\d+)", self.evidence)
        assert count is not None
        first = f"of {int(count[1]):,} :doc:`unusual requests <evidence>`"
        [row] = [row for row in rows(self.page) if row[0].startswith(first)]
        self.assertEqual(
            row[1:],
            [
                "none",
                figures["twisted.web"],
                f"{figures['uvicorn-httptools']} or {figures['uvicorn-h11']}",
                "not tested",
            ],
        )

    def test_noEstimates(self) -> None:
        """
        No cell says "some" or "most".
        """
        for row in rows(self.page):
            for cell in row[1:]:
                self.assertNotIn(
                    cell.lower(), ("some", "most", "many", "few", "partly")
                )
