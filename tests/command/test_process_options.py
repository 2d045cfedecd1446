"""
The options about processes, and what systemd is told.
"""

from __future__ import annotations

import os
import random
import socket
import tempfile
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python import usage
from twisted.scripts import twistd as command
from twisted.trial.unittest import SynchronousTestCase

from twisted_h11._command import worker
from twisted_h11._command.handed import InheritingReactor, OpeningReactor
from twisted_h11._command.notify import Notifier
from twisted_h11._command.retiring import retire_after
from twisted_h11.tap import Options

REFUSED = {
    ("--workers=0",): "--workers 0: must be a whole number from 1 to 1024",
    ("--workers=two",): "--workers two: must be a whole number from 1 to 1024",
    ("--workers=9999",): "--workers 9999: must be a whole number from 1 to 1024",
    ("--worker-timeout=3",): "--worker-timeout goes with --workers",
    ("--worker-start-timeout=3",): "--worker-start-timeout goes with --workers",
    (
        "--workers=2",
        "--worker-timeout=0",
    ): "--worker-timeout 0: must be at least one second",
    ("--workers=2", "--worker-timeout=x"): "--worker-timeout x: not a number of secon",
    ("--workers=2", "--personal"): "--personal and --workers exclude each other",
    ("--workers=2", "--listen=stdio:"): "--listen stdio:: --workers is for endpoints",
    ("--max-requests=0",): "--max-requests 0: must be a whole number from 1 to",
    ("--max-requests-jitter=5",): "--max-requests-jitter goes with --max-requests",
    ("--drain-idle=-1",): "--drain-idle -1: not a number of seconds",
    ("--grace=x",): "--grace x: not a number of seconds",
    ("--grace=1.2.3",): "--grace 1.2.3: not a number of seconds",
}


class OptionsTests(SynchronousTestCase):
    """
    What is refused, and what is made of the others.
    """

    def parse(self, *words: str, twistd: tuple[str, ...] = ()) -> Options:
        """
        Parse a command line of twistd.
        """
        options = Options()
        parent: Any = command.ServerOptions()  # type: ignore[attr-defined]
        parent.parseOptions([*twistd])
        options.parent = parent
        options.parseOptions(list(words))
        return options

    def test_refused(self) -> None:
        """
        What can not be done is said in one line.
        """
        for words, problem in REFUSED.items():
            error = self.assertRaises(SystemExit, self.parse, *words)
            self.assertIn(f"twistd h11web: {problem}", str(error))

    def test_twistd(self) -> None:
        """
        So are options of twistd that workers do not go with, and other commands.
        """
        error: BaseException = self.assertRaises(
            SystemExit, self.parse, "--workers=2", twistd=("--chroot=/x",)
        )
        self.assertIn("--workers and twistd --chroot exclude each other", str(error))
        error = self.assertRaises(
            usage.UsageError, Options().parseOptions, ["--workers=2"]
        )
        self.assertIn("--workers is for the command twistd h11web", str(error))

    def test_values(self) -> None:
        """
        What was given, and what is the default.
        """
        options = self.parse()
        self.assertEqual((1, 30), (options["drain-idle"], options["grace"]))
        self.assertEqual((None, None), (options["workers"], options["opening"]))
        options = self.parse("--workers=3", "--worker-timeout=2.5", "--max-requests=7")
        self.assertEqual((3, 7), (options["workers"], options["max-requests"]))
        self.assertEqual(2.5, options["worker-timeout"])
        self.assertEqual(60, options["worker-start-timeout"])
        self.assertIsInstance(options["opening"], OpeningReactor)

    def test_worker(self) -> None:
        """
        In a worker there are no workers, and what it listens on was opened before.
        """
        opened = socket.socket()
        self.addCleanup(opened.close)
        had = worker.Inherited(os.getppid(), [opened.fileno()])
        self.patch(worker, "_inherited", [had])
        options = self.parse("--workers=3")
        self.assertIsNone(options["workers"])
        self.assertIsInstance(options.listeningReactor("tcp:1"), InheritingReactor)
        self.assertFalse(had.isOrphaned())
        self.assertTrue(worker.Inherited(1 << 30, []).isOrphaned())

    def test_jitter(self) -> None:
        """
        A server is told once when it has served so many requests, and some more; a
        worker whenever it has.
        """

        class Site:
            def log(self, request: Any) -> None:
                logged.append(request)

        logged: list[Any] = []
        told: list[int] = []
        self.patch(random, "randint", lambda least, most: most)
        site = Site()
        retire_after(site, 3, 2, lambda: told.append(len(logged)))
        for number in range(9):
            site.log(number)
        self.assertEqual((list(range(9)), [4]), (logged, told))
        again: list[int] = []
        retire_after(site, 3, 2, lambda: again.append(len(logged)), again=True)
        for number in range(16):
            site.log(number)
        self.assertEqual([13, 18, 23], again)


class NotifierTests(SynchronousTestCase):
    """
    L{Notifier}.
    """

    def setUp(self) -> None:
        """
        Listen as systemd does.
        """
        self.clock = Clock()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = f"{folder.name}/n"
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.listener.close)
        self.listener.setblocking(False)
        self.listener.bind(self.path)

    def told(self) -> list[bytes]:
        """
        What has come.
        """
        found: list[bytes] = []
        try:
            while True:
                found.append(self.listener.recv(100))
        except BlockingIOError:
            return found

    def notifier(self, *more: Any, **environ: str) -> Notifier:
        """
        Make one.
        """
        environ["NOTIFY_SOCKET"] = self.path
        made = Notifier(self.clock, environ, *more)
        self.assertEqual({}, environ)
        return made

    def test_life(self) -> None:
        """
        It is ready, lives, and stops; when it has stopped nothing more is told.
        """
        notifier = self.notifier(WATCHDOG_USEC="1000000", WATCHDOG_PID=str(os.getpid()))
        notifier.ready()
        self.assertEqual([b"READY=1", b"WATCHDOG=1"], self.told())
        self.clock.pump([0.5] * 4)
        self.assertEqual([b"WATCHDOG=1"] * 4, self.told())
        done: Deferred[None] = Deferred()
        notifier.around(lambda: done)()
        self.assertEqual([b"STOPPING=1"], self.told())
        self.clock.advance(0.5)
        self.assertEqual([b"WATCHDOG=1"], self.told())
        done.callback(None)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_noWatchdog(self) -> None:
        """
        Nobody may want to know whether it lives, or of another process.
        """
        for environ in (
            {},
            {"WATCHDOG_USEC": "9", "WATCHDOG_PID": "1"},
            {"WATCHDOG_USEC": "9" * 5000},
            {"WATCHDOG_USEC": "x"},
        ):
            self.notifier(**environ).ready()
            self.assertEqual([b"READY=1"], self.told())
            self.assertEqual([], self.clock.getDelayedCalls())

    def test_nobody(self) -> None:
        """
        Nobody may listen, or not any more.
        """
        Notifier(self.clock, {}).ready()
        notifier = self.notifier()
        self.listener.close()
        notifier.ready()
        os.unlink(self.path)
        notifier.ready()
        for _ in range(2000):
            notifier.tell("x")

    def test_full(self) -> None:
        """
        Who does not keep up does not hold the server.
        """
        notifier = self.notifier()
        for _ in range(5000):
            notifier.tell("x")
        self.assertGreater(5000, len(self.told()))

    def test_orphaned(self) -> None:
        """
        Once, it is told that the parent is gone.
        """
        gone: list[int] = []
        alone: list[str] = []
        notifier = self.notifier(lambda: bool(gone), lambda: alone.append("alone"))
        notifier.ready()
        self.clock.advance(1)
        self.assertEqual([], alone)
        gone.append(1)
        self.clock.pump([1] * 3)
        self.assertEqual(["alone"], alone)
