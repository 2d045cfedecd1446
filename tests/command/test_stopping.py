"""
C{twistd h11web} ends in time, whatever its threads do.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import signal
import sys
import tempfile
import threading
import time
from functools import partial
from http.client import HTTPException
from typing import Any
from urllib.request import urlopen

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from tests.support import command_cases as command
from tests.support.times import TRIES
from tests.support.wsgi import inline
from twisted_h11._command import stopping as stopping_module
from twisted_h11._command.stopping import Stopping

APPLICATIONS = """
import time
from twisted.internet import reactor
from twisted.internet.threads import blockingCallFromThread, deferToThread
from twisted.python.threadpool import ThreadPool
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.wsgi import WSGIResource


def said():
    open("begun", "w").close()


def sleeping(environ, start):
    said()
    time.sleep(1000)


def endless(environ, start):
    start("200 OK", [])
    said()
    while True:
        yield b"x" * 100_000
        time.sleep(0.01)


def reading(environ, start):
    said()
    environ["wsgi.input"].read()


class Theirs(WSGIResource):
    # Twisted's own, its threads joined when the reactor stops.
    def __init__(self, application=sleeping):
        pool = ThreadPool()
        pool.start()
        reactor.addSystemEventTrigger("after", "shutdown", pool.stop)
        WSGIResource.__init__(self, reactor, pool, application)


class TheirsEndless(Theirs):
    def __init__(self):
        Theirs.__init__(self, endless)


class Deferring(Resource):
    isLeaf = True

    def work(self):
        time.sleep(1000)

    def render(self, request):
        deferToThread(self.work)
        said()
        return NOT_DONE_YET


class Asking(Deferring):
    # A thread that wants something of the reactor when that has stopped.
    def work(self):
        while reactor.running:
            time.sleep(0.01)
        blockingCallFromThread(reactor, lambda: None)


class Blocked(Resource):
    # The reactor never hears of the signal.
    isLeaf = True

    def render(self, request):
        said()
        time.sleep(1000)


class Left(Deferring):
    # A thread for a response that is over.
    def render(self, request):
        Deferring.render(self, request)
        return b"done"
"""

CASES = {
    "sleeping": ("--wsgi", "applications.sleeping"),
    "endless": ("--wsgi", "applications.endless"),
    "reading": ("--wsgi", "applications.reading"),
    "theirs": ("--class", "applications.Theirs"),
    "theirs endless": ("--class", "applications.TheirsEndless"),
    "deferring": ("--class", "applications.Deferring"),
    "asking": ("--class", "applications.Asking"),
    "blocked": ("--class", "applications.Blocked"),
    "left": ("--class", "applications.Left"),
}


def listening(line: str) -> str | None:
    """
    The URL in the line that says where a process listens.
    """
    found = re.search(r"Listening on (http://127\.0\.0\.1:[1-9]\d*/)", line)
    return None if found is None else found[1]


class ProcessTests(command.CommandTestCase):
    """
    SIGTERM, and threads that would keep a process for ever.

    @cvar cases: those that are tried; L{tests.long.test_stopping} tries all.
    """

    cases: tuple[str, ...] = ("sleeping", "asking", "blocked")

    def test_inTime(self) -> None:
        """
        The process is gone within its grace and a second, with a status of 0, no
        pid file, and one line that says what was cut.
        """
        with open(os.path.join(self.directory, "applications.py"), "w") as file:
            file.write(APPLICATIONS)
        late: dict[str, float] = dict.fromkeys(self.cases, 0)
        # The machine may do something else: what was late has to be so each time.
        for _ in range(TRIES):
            late = self.end(tuple(late))
            if not late:
                break
        self.assertEqual({}, late)

    def end(self, cases: tuple[str, ...]) -> dict[str, float]:
        """
        Run some cases, and end them.

        @return: the names of those that took longer than they may, and how long
            they took.
        """
        late: dict[str, float] = {}
        running: list[tuple[str, Any, str]] = []
        root = self.directory
        for name in cases:
            self.directory = tempfile.mkdtemp(dir=root)
            process = self.popen(
                *("-n", "h11web", "--grace", "0.3", "-p", "0"),
                *("--interface", "127.0.0.1", *CASES[name]),
            )
            running.append((name, process, self.directory))
        self.directory = root
        for name, process, directory in running:
            url = next(filter(None, map(listening, process.stdout)))
            data = b"x" if name == "reading" else None

            def ask(url: str = url, data: bytes | None = data) -> None:
                with contextlib.suppress(OSError, HTTPException):
                    urlopen(url, data=data, timeout=command.SOON).read()

            thread = threading.Thread(target=ask, daemon=True)
            thread.start()
            self.addCleanup(thread.join)
            begun = os.path.join(directory, "begun")
            deadline = time.monotonic() + command.SOON
            while not os.path.exists(begun) and time.monotonic() < deadline:
                time.sleep(0.01)
            self.assertTrue(os.path.exists(begun), name)
        for name, process, directory in running:
            told = time.monotonic()
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=command.SOON)
            took = time.monotonic() - told
            self.assertEqual(0, process.returncode, (name, out, err))
            if took >= 1.3:
                late[name] = took
            lines = [line for line in out.splitlines() if "cut off" in line]
            # What was read was all there: nothing was left.
            self.assertEqual(name != "reading", len(lines) == 1, (name, out))
            self.assertEqual("", err)
            self.assertNotIn("twistd.pid", os.listdir(directory))
        return late


class Site:
    """
    As much of a site as its end needs.
    """

    def __init__(self) -> None:
        self.drained: Deferred[None] = Deferred()
        self.connectionCount = 0
        self.graces: list[float] = []
        self.idles: list[float] = []
        self.flushes = 0

    def flushLog(self) -> None:
        """
        Count.
        """
        self.flushes += 1

    def drain(self, grace: float, idle: float = 0.0) -> Deferred[None]:
        """
        When the test says so.
        """
        self.graces.append(grace)
        self.idles.append(idle)
        return self.drained


class StoppingTests(SynchronousTestCase):
    """
    The end, on a clock.
    """

    def setUp(self) -> None:
        """
        Catch the log.
        """
        self.clock = Clock()
        self.site = Site()
        self.events: list[Any] = []
        observer: Any = self.events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def lines(self) -> list[str]:
        """
        What was said of what was cut.
        """
        texts = [formatEvent(event) for event in self.events]
        return [text for text in texts if "cut off" in text]

    def test_signalAtTheEnd(self) -> None:
        """
        While the interpreter ends, another signal does not change the exit status.
        """
        registered: list[Any] = []
        self.patch(atexit, "register", registered.append)
        self.patch(Stopping, "_watch", lambda stopping: None)
        Stopping(self.site, None, 7, lambda status: None, self.clock).drain()
        (call,) = registered
        for number in (signal.SIGTERM, signal.SIGINT):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        call()
        for number in (signal.SIGTERM, signal.SIGINT):
            self.assertEqual(signal.SIG_IGN, signal.getsignal(number))

    def begin(self, root: object = None) -> Deferred[None]:
        """
        Stop, with seven seconds of grace.
        """
        return Stopping(self.site, root, 7, None, self.clock).drain()

    def test_nothing(self) -> None:
        """
        Where nothing runs nothing is said, and no timer is left.
        """
        stopping = self.begin()
        self.assertEqual([7], self.site.graces)
        self.site.drained.callback(None)
        self.successResultOf(stopping)
        self.assertEqual([], self.clock.getDelayedCalls())
        self.assertEqual([], self.lines())

    def test_connections(self) -> None:
        """
        Connections that are still there when the grace is over are counted.
        """
        stopping = self.begin()
        self.site.connectionCount = 2
        self.clock.advance(7)
        self.assertNoResult(stopping)
        self.site.drained.callback(None)
        self.successResultOf(stopping)
        (line,) = self.lines()
        self.assertIn("7 seconds", line)
        self.assertIn("2 connections", line)

    def test_threads(self) -> None:
        """
        Where no connection is left the threads of a WSGI application still have
        the rest of the grace.
        """
        resource = inline(self.clock, lambda environ, start: None, later=True)
        for late in (False, True):
            self.site = Site()
            call: Any = f"<GET /{late}>"

            class Running(str):
                def abandon(self) -> None:
                    pass

                def __repr__(self) -> str:
                    return str(self)

            running: Any = Running(call)
            resource._calls.add(running)
            stopping = self.begin(resource)
            self.clock.advance(3)
            self.site.drained.callback(None)
            self.clock.advance(3)
            self.assertNoResult(stopping)
            if late:
                self.clock.advance(1)
            else:
                resource._over(running)
                self.clock.advance(0)
            self.successResultOf(stopping)
        (line,) = self.lines()
        self.assertIn("<GET /True>", line)

    def test_watch(self) -> None:
        """
        The process is ended with the status that is asked for, also when the log
        can not be written.
        """
        self.patch(stopping_module, "_LATE", 0)
        left: list[int] = []
        go = threading.Event()
        self.addCleanup(go.set)
        for blocks in (False, True):
            self.patch(stopping_module, "_LOG_TIME", 0.01 if blocks else command.SOON)
            stopping = Stopping(self.site, None, 0, left.append, self.clock)
            stopping.status = lambda: 5
            if blocks:
                self.patch(stopping, "_lastWords", lambda why: go.wait())
            stopping._watch()
        self.assertEqual([5, 5], left)
        self.assertEqual(2, self.site.flushes)
        self.assertEqual(1, len(self.lines()))

    def test_others(self) -> None:
        """
        A process that is not ours is told what is cut off, and goes on; there may be
        no standard output.
        """
        self.patch(sys, "stdout", None)
        self.patch(os, "_exit", self.fail)
        Stopping(self.site, None, 0, None, self.clock).endNow("It is over")
        (line,) = self.lines()
        self.assertIn("It is over", line)
        self.assertEqual(1, self.site.flushes)

    def test_connectionsAtOnce(self) -> None:
        """
        Connections that an end at once cuts off are counted, too.
        """
        self.site.connectionCount = 2
        Stopping(self.site, None, 7, None, self.clock).endNow("It ends at once")
        (line,) = self.lines()
        self.assertIn("It ends at once; cut off: 2 connections", line)

    def test_toldOnce(self) -> None:
        """
        What was cut is said by the reactor or by the watch, whichever is first.
        """
        self.patch(stopping_module, "_LATE", 0)
        for watchFirst in (True, False):
            self.events.clear()
            stopping = Stopping(self.site, None, 0, None, self.clock)
            stopping._aborted = 1
            tellers: list[Any] = [
                partial(stopping._lastWords, "Over"),
                partial(stopping._over, []),
            ]
            for tell in tellers if watchFirst else reversed(tellers):
                tell()
            self.assertEqual(1, len(self.lines()))

    def signals(self, patient: bool = False) -> tuple[list[Any], list[int]]:
        """
        Heed signals, of which the reactor handles SIGTERM and nobody SIGINT.

        @return: what has become of the process, and what the reactor has seen.
        """
        begun: list[Any] = []
        handled: list[int] = []
        keep = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
        for number in keep:
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        signal.signal(signal.SIGTERM, lambda number, frame: handled.append(number))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        stopping = Stopping(
            self.site, None, 0, begun.append, self.clock, patient=patient
        )
        self.patch(stopping, "_watch", lambda: begun.append("watch"))
        stopping.heedEarlySignals()
        os.kill(os.getpid(), signal.SIGTERM)
        self.assertEqual([0], begun)
        begun.clear()
        signal.signal(signal.SIGTERM, lambda number, frame: handled.append(number))
        stopping.heedSignals()
        self.assertEqual(signal.SIG_IGN, signal.getsignal(signal.SIGINT))
        return begun, handled

    def test_signals(self) -> None:
        """
        The watch begins with the first signal, and who handled it before handles
        it still; what nobody handles is left alone.  The second one ends the process
        at once, and so does one that comes before the reactor runs.
        """
        begun, handled = self.signals()
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
        self.assertEqual([signal.SIGTERM], handled)
        for thread in threading.enumerate():
            if thread.name == "h11web":
                thread.join()
        self.assertEqual(["watch", 0], sorted(begun, key=str, reverse=True))
        (line,) = self.lines()
        self.assertIn("Ended at once by SIGTERM", line)

    def test_patient(self) -> None:
        """
        A worker may be told twice, by its parent and by systemd.
        """
        begun, handled = self.signals(patient=True)
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
        self.assertEqual([signal.SIGTERM], handled)
        self.assertNotIn(0, begun)

    def test_quit(self) -> None:
        """
        SIGQUIT ends the process at once.
        """
        begun, handled = self.signals()
        os.kill(os.getpid(), signal.SIGQUIT)
        self.assertEqual(([0], []), (begun, handled))

    def test_idle(self) -> None:
        """
        Idle connections stay for as long as was asked for.
        """
        Stopping(self.site, None, 7, None, self.clock, 2).drain()
        self.assertEqual([2], self.site.idles)

    def test_leave(self) -> None:
        """
        The pid file goes, if there is one and it is ours.
        """
        statuses: list[int] = []
        self.patch(os, "_exit", statuses.append)
        path = self.mktemp()
        for written in ("", "x", str(os.getppid())):
            with open(path, "w") as file:
                file.write(written)
            stopping_module.leave(path, 3)
            self.assertTrue(os.path.exists(path), written)
        with open(path, "w") as file:
            file.write(f"{os.getpid()}\n")
        for pidfile in (path, path, None, ""):
            stopping_module.leave(pidfile, 3)
        self.assertEqual([3] * 7, statuses)
        self.assertRaises(FileNotFoundError, open, path)
