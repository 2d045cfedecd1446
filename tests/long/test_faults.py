"""
The whole table of faults, on all transports.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from tests.faults.checks import net
from tests.faults.table import everything, rows
from tests.faults.test_faults import told
from tests.support.long_cases import skip_unless_named


class FaultTests(TestCase):
    """
    Every stage, fault, role and transport.
    """

    timeout = 300

    def setUp(self) -> None:
        """
        Only if it was asked for.
        """
        skip_unless_named()

    def test_all(self) -> Any:
        """
        See L{tests.faults.test_faults}.
        """

        async def run() -> None:
            # By then trial has armed its time-out.
            await deferLater(net, 0)
            wrong = await everything(rows(), self.flushLoggedErrors)
            self.flushLoggedErrors()
            self.assertEqual("", told(wrong))

        return Deferred.fromCoroutine(run())
