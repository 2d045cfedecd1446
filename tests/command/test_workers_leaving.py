"""
Workers that end, or are to end, while something else happens.
"""

from __future__ import annotations

import os
import signal
from typing import Any

from twisted.internet.interfaces import IReactorProcess, IReactorTime
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.command.test_workers import WorkersTestCase
from tests.support.command_loop import Reactor
from twisted_h11._command.notify import REPLACE
from twisted_h11._command.spawning import Spawner


class LeavingTests(WorkersTestCase):
    """
    What is told late, or by somebody else, and what is told again.
    """

    def test_toldByTheDead(self) -> None:
        """
        What a worker has told before it ended does not count for the next one in its
        place.
        """
        one, two = self.alive
        self.tell(two, "READY=1")
        one.end(1)
        self.tell(one, "READY=1")
        self.assertEqual(1, len(self.lines("is ready")))
        self.assertEqual([], [word for word in self.said if word == "ready"])

    def test_toldWhileLeaving(self) -> None:
        """
        One that was told to end needs give no sign of life, and has nobody replaced.
        """
        one, _ = self.ready()
        self.workers.replaceAll()
        self.tell(self.alive[-1], "READY=1")
        before = len(self.alive), set(self.reactor.getDelayedCalls())
        for line in ("READY=1", "WATCHDOG=1", REPLACE):
            self.tell(one, line)
        after = len(self.alive), set(self.reactor.getDelayedCalls())
        self.assertEqual(before, after)
        self.assertEqual(["TERM"], one.signals)

    def test_successorTold(self) -> None:
        """
        If somebody else tells a successor to end before it is ready, nobody begins in
        its place, and the old ones stay.
        """
        one, two = self.ready()
        self.workers.replaceAll()
        three = self.alive[-1]
        self.tell(three, "STOPPING=1")
        self.assertEqual([one, two, three], self.alive)
        three.end()
        self.assertEqual(1, len(self.lines("the old ones stay")))
        self.beat(60)
        self.assertEqual(([one, two], []), (self.alive, one.signals))

    def test_oldTold(self) -> None:
        """
        One that somebody else has told to end while its successor begins is not told
        again when that is ready; the next one is replaced then.
        """
        one, two = self.ready()
        self.workers.replaceAll()
        three = self.alive[-1]
        self.tell(one, "STOPPING=1")
        self.tell(three, "READY=1")
        self.assertEqual((["TERM"], []), (one.signals, two.signals))
        self.tell(self.alive[-1], "READY=1")
        self.assertEqual((["TERM"], ["TERM"]), (one.signals, two.signals))
        self.assertEqual(4, len(self.reactor.processes))

    def test_drainedAgain(self) -> None:
        """
        Who has been told to end is not told again when all are; and who asks for the
        end of all once more waits for the same.
        """
        one, two = self.ready()
        self.workers.replaceAll()
        three = self.alive[-1]
        self.tell(three, "READY=1")
        four = self.alive[-1]
        ends = [self.workers.drain(5), self.workers.drain(5)]
        signals = [process.signals for process in (one, two, three, four)]
        self.assertEqual([["TERM"]] * 4, signals)
        for process in (one, two, three):
            process.end()
        for end in ends:
            self.assertNoResult(end)
        four.end()
        for end in ends:
            self.successResultOf(end)

    def test_killed(self) -> None:
        """
        All are killed at once; those that have ended, or have just ended, are none.
        """
        killed: list[tuple[int, int]] = []

        def kill(pid: int, number: int) -> None:
            killed.append((pid, number))
            raise ProcessLookupError

        self.patch(os, "kill", kill)
        one, _ = self.ready()
        one.end(1)
        self.reactor.fails = PermissionError(13, "Permission denied", "/bin/x")
        self.workers.replaceAll()
        self.workers.killAll()
        self.assertEqual([(101, signal.SIGKILL)], killed)
        self.assertTrue(self.sockets.ended)

    def test_oddSignal(self) -> None:
        """
        A signal that has no name is said by its number.
        """
        one, _ = self.ready()
        one.end(signal=40)
        (line,) = self.lines("was ended by")
        self.assertIn("was ended by 40;", line)


class SpawnerTests(SynchronousTestCase):
    """
    L{Spawner}.
    """

    def test_time(self) -> None:
        """
        It is as much of a reactor as it says, and its time is the reactor's.
        """
        reactor = Reactor()
        spawner: Any = Spawner(reactor, print, print)
        for interface in (IReactorProcess, IReactorTime):
            verifyObject(interface, spawner)
        call = spawner.callLater(3, print)
        reactor.advance(1)
        self.assertEqual(1, spawner.seconds())
        self.assertEqual([call], spawner.getDelayedCalls())
        self.assertEqual([call], reactor.getDelayedCalls())
