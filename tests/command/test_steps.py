"""
Waiting in steps.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_h11._command.steps import SteppedCall


class SteppedCallTests(SynchronousTestCase):
    """
    L{SteppedCall}.
    """

    def setUp(self) -> None:
        """
        Wait for nine seconds.
        """
        self.clock = Clock()
        self.called: list[float] = []
        self.waiting = SteppedCall(
            self.clock, 9, lambda: self.called.append(self.clock.seconds())
        )

    def test_time(self) -> None:
        """
        By an even clock it is called in time, once.
        """
        for _ in range(20):
            self.assertEqual(not self.called, self.waiting.active())
            self.clock.advance(1)
        self.assertEqual([9], self.called)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_leap(self) -> None:
        """
        A leap of the clock ends one step.
        """
        self.clock.advance(3600)
        for _ in range(5):
            self.clock.advance(1)
        self.assertEqual([], self.called)
        self.clock.advance(1)
        self.assertEqual([3606], self.called)

    def test_cancelled(self) -> None:
        """
        In any step it can be cancelled.
        """
        self.clock.advance(3)
        self.waiting.cancel()
        self.assertFalse(self.waiting.active())
        self.clock.advance(9)
        self.assertEqual([], self.called)
