"""
SIGTERM with threads that nobody can stop, in all the ways there are.
"""

from __future__ import annotations

from tests.command import test_stopping as stopping
from tests.support.long_cases import skip_unless_named


class AllCasesTests(stopping.ProcessTests):
    """
    Every application there is, and the one that sleeps ten times.
    """

    cases = tuple(stopping.CASES)

    def setUp(self) -> None:
        """
        Skip unless it was asked for.
        """
        skip_unless_named()
        super().setUp()

    def test_tenTimes(self) -> None:
        """
        Ten of ten.
        """
        self.cases = ("sleeping",)
        for _ in range(10):
            self.test_inTime()
