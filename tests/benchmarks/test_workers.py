"""
The comparison of servers with several workers.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.benchmarks.results import Book
from tests.benchmarks.workers import SIDES, ratios


class WorkersTests(SynchronousTestCase):
    """
    What is told of what is measured.
    """

    def test_ratios(self) -> None:
        """
        The ratio is that of the first side to each, round by round.
        """
        first, other = (side.name for side in SIDES[:2])
        book = Book()
        for turn, rates in enumerate([(10.0, 10.0), (30.0, 10.0), (20.0, 10.0)]):
            for name, rate in zip((first, other), rates, strict=True):
                book.add("rate/browser", name, turn, rate)
        self.assertEqual(
            [[first, "20", "1.00 (1.00..1.00)"], [other, "10", "2.00 (1.00..3.00)"]],
            ratios(book.results()),
        )
