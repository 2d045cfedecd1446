"""
The comparison of servers with several workers.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.benchmarks.peers import PEERS
from tests.benchmarks.workers import SIDES, ratios


class WorkersTests(SynchronousTestCase):
    """
    What is measured, and what is told of it.
    """

    def test_sides(self) -> None:
        """
        Every side is a peer that there is, and is named once.
        """
        names = {peer.name for peer in PEERS}
        self.assertEqual([], [one for one, _ in SIDES.values() if one not in names])
        self.assertEqual(len(SIDES), len(set(SIDES.values())))

    def test_ratios(self) -> None:
        """
        The ratio is that of the first side to each, round by round.
        """
        first, *others = SIDES
        figures = {first: [10.0, 30.0, 20.0], others[0]: [10.0, 10.0, 10.0]}
        self.assertEqual(
            [
                [first, "20", "1.00 (1.00..1.00)"],
                [others[0], "10", "2.00 (1.00..3.00)"],
            ],
            ratios(figures),
        )
