"""
Pull producers whose steps take their time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, Cooperator
from twisted.trial.unittest import SynchronousTestCase

from twisted_h11._wire.producers import PullAdapter


class Remote:
    """
    A pull producer in another process.
    """

    def __init__(self) -> None:
        self.asked: list[Deferred[None]] = []

    def resumeProducing(self) -> Deferred[None]:
        """
        Produce, some time.
        """
        self.asked.append(Deferred())
        return self.asked[-1]

    def stopProducing(self) -> None:
        """
        Nothing is wanted any more.
        """


class PullTests(SynchronousTestCase):
    """
    How a pull producer is asked.
    """

    def setUp(self) -> None:
        """
        A remote producer, asked by a clock.
        """
        self.clock = Clock()
        self.remote = Remote()
        self.failures: list[BaseException] = []
        cooperator = Cooperator(scheduler=lambda call: self.clock.callLater(0.01, call))
        remote: Any = self.remote
        self.adapter = PullAdapter(remote, self.call, cooperator.cooperate)

    def call(self, step: Callable[[], object]) -> None:
        """
        Call a step; one that raises is the last.
        """
        try:
            step()
        except Exception as error:
            self.failures.append(error)
            self.adapter.end()

    def test_oneAfterTheOther(self) -> None:
        """
        A producer that answers later is asked again when it has answered.
        """
        self.clock.pump([0.1] * 5)
        self.assertEqual(1, len(self.remote.asked))
        self.remote.asked[0].callback(None)
        self.clock.pump([0.1] * 5)
        self.assertEqual(2, len(self.remote.asked))

    def test_pausedMeanwhile(self) -> None:
        """
        A producer that was paused before its answer is asked when it is resumed.
        """
        self.clock.pump([0.1])
        self.adapter.pauseProducing()
        self.remote.asked[0].callback(None)
        self.clock.pump([0.1] * 5)
        self.assertEqual(1, len(self.remote.asked))
        self.adapter.resumeProducing()
        self.clock.pump([0.1] * 5)
        self.assertEqual(2, len(self.remote.asked))

    def test_toldAgain(self) -> None:
        """
        One that is paused twice is asked when it is resumed once, and one that is
        resumed twice is asked as before.
        """
        self.adapter.pauseProducing()
        self.adapter.pauseProducing()
        self.clock.pump([0.1] * 5)
        self.assertEqual([], self.remote.asked)
        self.adapter.resumeProducing()
        self.adapter.resumeProducing()
        self.clock.pump([0.1] * 5)
        self.assertEqual(1, len(self.remote.asked))

    def test_fails(self) -> None:
        """
        An answer that is a failure counts as a step that raises, and is told once.
        """
        self.clock.pump([0.1])
        error = RuntimeError("gone")
        self.remote.asked[0].errback(error)
        self.clock.pump([0.1] * 5)
        self.assertEqual([error], self.failures)
        self.assertEqual(1, len(self.remote.asked))

    def test_endedMeanwhile(self) -> None:
        """
        What a producer answers that is not asked any more is of no interest.
        """
        self.clock.pump([0.1])
        self.adapter.end()
        self.remote.asked[0].errback(RuntimeError("gone"))
        self.clock.pump([0.1] * 5)
        self.assertEqual([], self.failures)
        self.assertEqual(1, len(self.remote.asked))
