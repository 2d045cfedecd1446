"""
The rows of the table of faults that need no socket.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.faults.table import everything, omitted, rows


def told(wrong: dict[Any, list[str]]) -> str:
    """
    The rows that have failed, as text.
    """
    return "\n".join(f"{', '.join(row)}: {what}" for row, what in wrong.items())


class MemoryTests(SynchronousTestCase):
    """
    In memory.
    """

    def test_all(self) -> None:
        """
        Whatever fails, the connection ends within its bound, the answer is whole or
        visibly cut, everybody hears of it, and nothing is left.
        """
        running = Deferred.fromCoroutine(
            everything(rows(("memory",)), self.flushLoggedErrors)
        )
        wrong = self.successResultOf(running)
        self.flushLoggedErrors()
        self.assertEqual("", told(wrong))

    def test_reasons(self) -> None:
        """
        Each fault that is not tried everywhere says why.
        """
        silent = [names for names, (_, why) in omitted().items() if not why]
        self.assertEqual([], silent)
