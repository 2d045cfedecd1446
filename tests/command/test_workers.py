"""
The workers of a server, apart from processes: on a clock, with those of a test.
"""

from __future__ import annotations

import signal
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from tests.support.command_loop import Process, Reactor
from twisted_h11._command.notify import REPLACE
from twisted_h11._command.workers import Workers


class Sockets:
    """
    What workers tell, in memory.
    """

    def __init__(self) -> None:
        self.told: dict[str, Any] = {}
        self.ended = False
        self.removed: set[str] = set()
        self.fails: OSError | None = None

    def open(self, name: str, told: Any, later: bool = False) -> str:
        """
        One more.
        """
        if self.fails is not None and not later:
            raise self.fails
        self.told[name] = told
        return f"/run/{name}"

    def restore(self, name: str) -> bool:
        """
        One again, if it was removed.
        """
        if self.fails is not None:
            raise self.fails
        wasThere = name not in self.removed
        self.removed.discard(name)
        return not wasThere

    def close(self, name: str) -> None:
        """
        One less.
        """
        del self.told[name]

    def end(self) -> None:
        """
        None.
        """
        self.ended = True

    remove = end


class WorkersTestCase(SynchronousTestCase):
    """
    Has workers.
    """

    def setUp(self) -> None:
        """
        Two workers, not ready yet.
        """
        self.events: list[Any] = []
        observer: Any = self.events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.reactor = Reactor()
        self.sockets = Sockets()
        sockets: Any = self.sockets
        self.workers = Workers(self.reactor, 2, 60, 30, {"A": "b"}, "/", sockets, 5)
        self.said: list[str] = []
        self.workers.onReady = lambda: self.said.append("ready")
        self.workers.onFailure = self.said.append
        self.workers.start(["run"], [7, 9])

    def lines(self, word: str) -> list[str]:
        """
        What was logged with a word.
        """
        texts = [str(formatEvent(event)) for event in self.events]
        return [text for text in texts if word in text]

    @property
    def alive(self) -> list[Process]:
        """
        The processes that run.
        """
        return [process for process in self.reactor.processes if not process.gone]

    def tell(self, process: Process, line: str) -> None:
        """
        A worker tells something.
        """
        name = process.env["NOTIFY_SOCKET"].removeprefix("/run/")
        self.sockets.told[name](line)

    def ready(self) -> tuple[Process, Process]:
        """
        Have two workers that are ready.
        """
        one, two = self.alive
        for process in (one, two):
            self.tell(process, "READY=1")
        return one, two

    def beat(self, seconds: int) -> None:
        """
        Time passes, and all workers live.
        """
        for _ in range(seconds):
            self.reactor.advance(1)
            for process in self.alive:
                if "TERM" not in process.signals:
                    self.tell(process, "WATCHDOG=1")


class WorkersTests(WorkersTestCase):
    """
    L{Workers}.
    """

    def test_start(self) -> None:
        """
        Each gets the sockets, its number, and where to tell how it is.
        """
        one, two = self.alive
        self.assertEqual(["run"], one.args)
        self.assertEqual([{0: "w", 1: 1, 2: 2, 3: 7, 4: 9}] * 2, self.reactor.fds)
        numbers = [process.env["H11WEB_WORKER"] for process in (one, two)]
        self.assertEqual(["1", "2"], numbers)
        self.assertEqual(("b", "30000000"), (one.env["A"], one.env["WATCHDOG_USEC"]))
        self.tell(one, "READY=1")
        self.assertEqual([], self.said)
        self.tell(two, "READY=1")
        self.tell(two, "READY=1")
        self.assertEqual(["ready"], self.said)

    def test_output(self) -> None:
        """
        What a worker of a daemon writes is logged.
        """
        self.workers.start(["run"], [], True)
        process = self.alive[-1]
        self.assertEqual({0: "w", 1: "r", 2: "r"}, self.reactor.fds[-1])
        process.protocol.outReceived(b"it says\n")
        process.protocol.errReceived(b"what is wrong")
        process.end(1)
        self.assertEqual(1, len(self.lines("it says")))
        self.assertEqual(1, len(self.lines("what is wrong")))

    def test_neverReady(self) -> None:
        """
        If the first of all ends before any was ready, nobody starts it for ever.
        """
        self.alive[0].end(1)
        (said,) = self.said
        self.assertIn("ended with status 1 before it was ready", said)

    def test_notStarted(self) -> None:
        """
        One that can not even be started is tried again, later and later, and it is no
        error to stop meanwhile.
        """
        one, _ = self.ready()
        self.reactor.fails = PermissionError(13, "Permission denied", "/bin/x")
        one.end(1)
        self.beat(10)
        lines = self.lines("could not be started (/bin/x: Permission denied)")
        self.assertTrue(2 < len(lines) < 8, lines)
        self.assertEqual([], self.flushLoggedErrors())
        self.reactor.fails = None
        self.beat(20)
        self.assertEqual(2, len(self.alive))
        self.reactor.fails = PermissionError(13, "Permission denied", "/bin/x")
        self.workers.replaceAll()
        drained = self.workers.drain(5)
        for process in self.alive:
            process.end()
        self.reactor.advance(0)
        self.successResultOf(drained)
        self.assertEqual([], self.reactor.getDelayedCalls())

    def test_noneStarted(self) -> None:
        """
        If the first of all can not be started, the server ends.
        """
        self.alive[0].end(1)
        del self.said[:]
        self.reactor.fails = PermissionError(13, "Permission denied", "/bin/x")
        self.reactor.advance(1)
        self.reactor.advance(0)
        (said,) = self.said
        self.assertIn("could not be started (/bin/x: Permission denied)", said)

    def test_dies(self) -> None:
        """
        One that dies is replaced, within a second; those that do so again and again
        later and later.
        """
        one, _ = self.ready()
        self.beat(20)
        one.end(signal=9)
        self.assertEqual(1, len(self.lines("1 (process 100) was ended by SIGKILL")))
        self.reactor.advance(0)
        self.assertEqual(2, len(self.alive))
        begun = self.reactor.seconds()
        for _ in range(4):
            count = len(self.reactor.processes)
            self.alive[-1].end(1)
            while len(self.reactor.processes) == count:
                self.beat(1)
        self.assertGreater(self.reactor.seconds() - begun, 3)
        self.assertEqual("1", self.alive[-1].env["H11WEB_WORKER"])
        self.assertEqual(["ready"], self.said)

    def test_notReadyInTime(self) -> None:
        """
        One that is not ready in time is killed, and started again.
        """
        one, two = self.alive
        self.tell(two, "READY=1")
        for _ in range(60):
            self.reactor.advance(1)
            self.tell(two, "WATCHDOG=1")
        self.assertTrue(one.gone)
        self.assertEqual(1, len(self.lines("was not ready in time")))
        self.reactor.advance(0)
        self.assertEqual(2, len(self.alive))

    def test_hangs(self) -> None:
        """
        So is one that gives no sign of life.
        """
        one, two = self.ready()
        for _ in range(29):
            self.reactor.advance(1)
            self.tell(two, "WATCHDOG=1")
        self.assertFalse(one.gone)
        self.reactor.advance(1)
        self.assertEqual((True, False), (one.gone, two.gone))
        self.assertEqual(1, len(self.lines("gave no sign of life in time")))

    def test_socketRemoved(self) -> None:
        """
        One that can not be heard, because somebody has removed its socket, is not
        killed: the socket is made again.
        """
        one, two = self.ready()
        self.sockets.removed.add(one.env["NOTIFY_SOCKET"].removeprefix("/run/"))
        for killed in (False, True):
            for _ in range(30):
                self.reactor.advance(1)
                self.tell(two, "WATCHDOG=1")
            self.assertEqual(killed, one.gone)
            self.assertEqual(1, len(self.lines("was removed: it is made again")))
        self.assertFalse(two.gone)

    def test_removedBeforeRestart(self) -> None:
        """
        If its socket was removed, it is made again before the worker is started again,
        which would not be heard otherwise.
        """
        one, _ = self.ready()
        self.sockets.removed.add(one.env["NOTIFY_SOCKET"].removeprefix("/run/"))
        one.end(1)
        self.beat(1)
        self.assertEqual(2, len(self.alive))
        self.assertEqual(set(), self.sockets.removed)
        self.assertEqual(1, len(self.lines("was removed: it is made again")))

    def test_noSocket(self) -> None:
        """
        While no socket can be made, nobody is killed, workers are not replaced, and
        those that have ended are tried again.
        """
        one, two = self.ready()
        self.sockets.fails = FileNotFoundError(2, "No such file or directory", "/tmp/x")
        self.workers.replaceAll()
        self.reactor.advance(0)
        (line,) = self.lines("the old ones stay")
        self.assertIn("could not be started (/tmp/x: No such file or directory)", line)
        for _ in range(30):
            self.reactor.advance(1)
        self.assertEqual([one, two], self.alive)
        self.assertEqual(
            2, len(self.lines("so whether it lives is not known: /tmp/x: No"))
        )
        self.tell(one, "STOPPING=1")
        one.end(1)
        self.reactor.advance(5)
        self.sockets.fails = None
        self.beat(30)
        self.assertEqual(2, len(self.alive))
        self.workers.replaceAll()
        self.reactor.advance(0)
        self.assertEqual(3, len(self.alive))
        self.assertEqual([], self.flushLoggedErrors())

    def test_clock(self) -> None:
        """
        If the clock leaps, no worker is killed: neither one that lives, nor one that is
        starting.
        """
        self.reactor.advance(86400)
        one, two = self.ready()
        self.reactor.advance(86400)
        self.beat(60)
        self.assertEqual([one, two], self.alive)
        self.assertEqual([], self.lines("is killed"))

    def test_replaced(self) -> None:
        """
        All are replaced one after the other, each when its successor is ready.
        """
        one, two = self.ready()
        self.workers.replaceAll()
        three = self.alive[-1]
        self.assertEqual(3, len(self.alive))
        self.assertEqual("1", three.env["H11WEB_WORKER"])
        self.assertEqual(([], []), (one.signals, two.signals))
        self.tell(three, "READY=1")
        self.assertEqual((["TERM"], []), (one.signals, two.signals))
        four = self.alive[-1]
        self.tell(one, "STOPPING=1")
        one.end()
        self.tell(four, "READY=1")
        self.assertEqual(["TERM"], two.signals)
        # That takes its time, and more than it may.
        self.beat(5)
        self.assertEqual(["TERM"], two.signals)
        self.beat(1)
        self.assertEqual(["TERM", "KILL"], two.signals)
        self.beat(60)
        self.assertEqual([three, four], self.alive)
        self.assertEqual({"1.3", "2.4"}, set(self.sockets.told))

    def test_replacedAgain(self) -> None:
        """
        Who asks while they are replaced has all replaced once more, and not more often.
        """
        self.ready()
        for _ in range(3):
            self.workers.replaceAll()
        for count in range(3, 6):
            self.assertEqual(count, len(self.reactor.processes))
            self.tell(self.reactor.processes[-1], "READY=1")
        # The first had begun before, so it comes again.
        self.assertEqual(5, len(self.reactor.processes))
        for process in self.reactor.processes[:-2]:
            if "TERM" in process.signals and not process.gone:
                process.end()
        self.assertEqual(2, len(self.alive))

    def test_successorFails(self) -> None:
        """
        If a successor ends before it is ready, the old ones stay; later it may be
        tried again.
        """
        one, two = self.ready()
        self.workers.replaceAll()
        self.alive[-1].end(1)
        self.assertEqual(1, len(self.lines("the old ones stay")))
        self.beat(60)
        self.assertEqual(([one, two], []), (self.alive, one.signals))
        self.workers.replaceAll()
        self.tell(self.alive[-1], "READY=1")
        self.assertEqual(["TERM"], one.signals)

    def test_asks(self) -> None:
        """
        A worker may ask for its successor.
        """
        one, two = self.ready()
        self.tell(two, REPLACE)
        self.tell(two, REPLACE)
        self.assertEqual(3, len(self.alive))
        self.tell(self.alive[-1], "READY=1")
        self.assertEqual(([], ["TERM"]), (one.signals, two.signals))
        self.assertEqual(3, len(self.alive))

    def test_toldByOthers(self) -> None:
        """
        Somebody else may tell a worker to end: another one begins at once.
        """
        one, _ = self.ready()
        self.tell(one, "STOPPING=1")
        self.assertEqual(3, len(self.alive))
        one.end()
        self.beat(60)
        self.assertEqual(2, len(self.alive))

    def test_toldWhileReplaced(self) -> None:
        """
        Also one that is being replaced, and its successor may fail then, too.
        """
        one, two = self.ready()
        self.workers.replaceAll()
        three = self.alive[-1]
        self.tell(one, "STOPPING=1")
        one.end()
        self.assertEqual([two, three], self.alive)
        three.end(1)
        self.beat(2)
        numbers = [process.env["H11WEB_WORKER"] for process in self.alive]
        self.assertEqual(["1", "2", "2"], sorted(numbers))
        for process in self.alive:
            self.tell(process, "READY=1")
        for process in self.alive:
            if "TERM" in process.signals:
                process.end()
        self.assertEqual(2, len(self.alive))
        self.beat(60)
        self.assertEqual(2, len(self.alive))

    def test_oldDiesMeanwhile(self) -> None:
        """
        An old one that dies while its successor starts is not needed any more when that
        is ready.
        """
        one, _ = self.ready()
        self.workers.replaceAll()
        three = self.alive[-1]
        one.end(signal=11)
        self.tell(three, "READY=1")
        self.beat(60)
        numbers = sorted(process.env["H11WEB_WORKER"] for process in self.alive)
        self.assertEqual(["1", "2"], numbers)

    def test_drain(self) -> None:
        """
        All are told to end, and nothing begins any more.
        """
        one, two = self.ready()
        self.workers.replaceAll()
        three = self.alive[-1]
        left: list[object] = []
        done: list[object] = []
        drained: Deferred[None] = self.workers.drain(5)
        drained.addCallback(done.append)
        self.workers.whenLeaving().addCallback(left.append)
        self.assertEqual([["TERM"]] * 3, [p.signals for p in (one, two, three)])
        self.tell(one, "STOPPING=1")
        self.tell(two, "STOPPING=1")
        self.assertEqual([], left)
        # It was not ready, so it does not know how to end well.
        three.end(signal=15)
        self.assertEqual(([None], []), (left, done))
        one.end()
        self.workers.replaceAll()
        two.end()
        self.assertEqual([None], done)
        self.assertTrue(self.sockets.ended)
        self.assertEqual([], self.reactor.getDelayedCalls())
        self.assertEqual(3, len(self.reactor.processes))

    def test_drainWhileNoneRuns(self) -> None:
        """
        Those that wait to be started again are not.
        """
        for process in self.ready():
            process.end(1)
        self.successResultOf(self.workers.drain(5))
        self.successResultOf(self.workers.whenLeaving())
        self.assertEqual([], self.reactor.getDelayedCalls())

    def test_signals(self) -> None:
        """
        Signals are passed on: to those that are not ready yet when they are.
        """
        one, two = self.alive
        self.tell(one, "READY=1")
        self.workers.signalAll(signal.SIGUSR1)
        self.assertEqual(([signal.SIGUSR1], []), (one.signals, two.signals))
        self.tell(two, "READY=1")
        self.assertEqual([signal.SIGUSR1], two.signals)

    def test_report(self) -> None:
        """
        The log says how they are.
        """
        self.tell(self.alive[0], "READY=1")
        self.reactor.advance(3)
        self.workers.report()
        (text,) = self.lines("Report: 2 workers")
        self.assertIn("worker 1 (process 100): ready, since 3 s", text)
        self.assertIn("worker 2 (process 101): not ready yet, since 3 s", text)
