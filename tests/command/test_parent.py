"""
The parent of several workers, apart from processes.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import tempfile
from typing import Any

from twisted.internet.error import CannotListenError

from tests.support.command_loop import CommandLoopTestCase, Process
from twisted_h11._command.notify import Notifier
from twisted_h11._command.service import StartError

PORT = 8080


class ParentTestCase(CommandLoopTestCase):
    """
    Has a parent of two workers.
    """

    def setUp(self) -> None:
        """
        Hear what it tells, and whom it kills.
        """
        super().setUp()
        self.told: list[str] = []
        self.patch(Notifier, "tell", lambda notifier, line: self.told.append(line))
        self.killed: list[tuple[int, int]] = []
        self.patch(os, "kill", lambda *arguments: self.killed.append(arguments))
        self.stderr = io.StringIO()
        self.patch(sys, "__stderr__", self.stderr)

    def parent(self, *words: str, twistd: tuple[str, ...] = ("-n",)) -> Any:
        """
        Start it.
        """
        given = ("--workers=2", f"--port=tcp:{PORT}", "--grace=5", *words)
        service = self.make(*given, twistd=twistd)
        self.addCleanup(service.workers.killAll)
        self.exits: list[str] = []
        service.listening._failAtExit = lambda: self.exits.append("fails")
        service.privilegedStartService()
        service.startService()
        self.loop.start()
        return service

    @property
    def processes(self) -> list[Process]:
        """
        The workers.
        """
        return self.loop.processes

    def tell(self, process: Process, line: bytes) -> None:
        """
        A worker tells something.
        """
        port = self.loop.ports[process.env["NOTIFY_SOCKET"]]
        port.factory.datagramReceived(line, None)


class StartTests(ParentTestCase):
    """
    What workers are started with.
    """

    def test_handed(self) -> None:
        """
        The parent opens the sockets, and accepts nothing; workers get them, and nothing
        that systemd has told the parent.
        """
        for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_PID"):
            os.environ[name] = "1"
        self.parent()
        port = self.loop.ports[PORT]
        self.assertFalse(port.reading)
        self.assertEqual([{0: "w", 1: 1, 2: 2, 3: port.fileno()}] * 2, self.loop.fds)
        environ = self.processes[0].env
        self.assertEqual("1", environ["LISTEN_FDS"])
        self.assertEqual("h11web", environ["LISTEN_FDNAMES"])
        self.assertEqual("30000000", environ["WATCHDOG_USEC"])
        self.assertIn(environ["NOTIFY_SOCKET"], self.loop.ports)
        self.assertNotIn("LISTEN_PID", environ)
        self.assertNotIn("H11WEB_METRICS_DIRECTORY", environ)

    def test_commands(self) -> None:
        """
        Workers have the options of the parent, and its log, wherever that is.
        """
        here = os.path.abspath("x.log")
        worker = [sys.executable, "-m", "twisted_h11._command.worker"]
        worker += [str(os.getpid()), "0", "--nodaemon", "--pidfile="]
        same = ["--rundir=.", "--prefix=a"]
        more = ["--forwarded=forwarded", "--trust-proxy=::1"]
        given = ["--workers=2", f"--port=tcp:{PORT}", "--grace=5", *more]
        observer = "twisted.logger.globalLogBeginner"
        cases: tuple[tuple[tuple[str, ...], list[str]], ...] = (
            (("-n",), []),
            (("-n", "--syslog"), ["--syslog"]),
            (("-n", "--logfile=x.log"), [f"--logfile={here}"]),
            ((), [f"--logfile={os.path.abspath('twistd.log')}"]),
            (("-n", "--logfile=-"), ["--logfile=-"]),
            (("-n", f"--logger={observer}"), [f"--logger={observer}"]),
        )
        for twistd, words in cases:
            del self.loop.processes[:]
            self.parent(*more, twistd=("--prefix=a", *twistd))
            command = [*worker, *same, *words, "h11web", *given]
            self.assertEqual(command, self.processes[0].args)

    def test_daemon(self) -> None:
        """
        What workers of a daemon write is logged, for it would go nowhere.
        """
        self.parent(twistd=())
        self.assertEqual("r", self.loop.fds[0][1])

    def test_status(self) -> None:
        """
        With C{--status-listen} they keep their numbers in one place, which is gone at
        the end.
        """
        service = self.parent("--status-listen=unix:/run/status")
        environ = self.processes[0].env
        self.assertEqual("2", environ["LISTEN_FDS"])
        directory = environ["H11WEB_METRICS_DIRECTORY"]
        self.assertTrue(os.path.isdir(directory))
        service.workers.killAll()
        self.assertFalse(os.path.exists(os.path.dirname(directory)))

    def test_ready(self) -> None:
        """
        When all are ready, so is the server.
        """
        self.parent()
        self.tell(self.processes[0], b"READY=1")
        self.assertEqual([], self.told)
        self.tell(self.processes[1], b"READY=1")
        self.assertEqual(["READY=1"], self.told)

    def test_signals(self) -> None:
        """
        SIGHUP has all replaced, SIGUSR1 and SIGUSR2 are passed on; the latter is
        answered, too.
        """
        self.parent()
        for process in self.processes:
            self.tell(process, b"READY=1")
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            signal.raise_signal(number)
        sent = [process.signals for process in self.processes]
        self.assertEqual([[signal.SIGUSR1, signal.SIGUSR2]] * 2, sent)
        self.assertEqual(1, len(self.lines("Report: 2 workers")))
        signal.raise_signal(signal.SIGHUP)
        self.assertEqual(3, len(self.processes))


class EndTests(ParentTestCase):
    """
    How it ends.
    """

    def test_stopped(self) -> None:
        """
        Workers are told to end; the sockets are closed when they all have stopped
        listening, or have not in time, and all is over when they have ended.
        """
        for tells in (True, False):
            del self.loop.processes[:], self.told[:]
            service = self.parent()
            for process in self.processes:
                self.tell(process, b"READY=1")
            del self.told[:]
            done = service.stopService()
            self.assertEqual(["STOPPING=1"], self.told)
            self.assertEqual([["TERM"]] * 2, [one.signals for one in self.processes])
            port = self.loop.ports[PORT]
            if tells:
                for process in self.processes:
                    self.assertFalse(port.closed)
                    self.tell(process, b"STOPPING=1")
            else:
                self.loop.advance(0.4)
                self.assertFalse(port.closed)
                self.loop.advance(0.1)
            self.assertTrue(port.closed)
            self.assertNoResult(done)
            directory = os.path.dirname(self.processes[0].env["NOTIFY_SOCKET"])
            for process in self.processes:
                process.end()
            self.successResultOf(done)
            self.assertEqual([], self.loop.getDelayedCalls())
            self.assertFalse(os.path.exists(directory))

    def test_noneReady(self) -> None:
        """
        If workers end before any was ready, the server ends with 1, and says why, once.
        """
        for stderr in (self.stderr, None):
            self.patch(sys, "__stderr__", stderr)
            del self.loop.processes[:]
            service = self.parent()
            self.assertEqual(0, service.stopping.status())
            for process in self.processes[:2]:
                process.end(3)
            self.assertEqual(["fails"], self.exits)
            self.assertFalse(self.loop.running)
            self.assertEqual(1, service.stopping.status())
        self.assertRegex(
            self.stderr.getvalue(),
            r"\Atwistd h11web: worker 1 \(process \d+\) ended with status 3 before it "
            r"was ready\n\Z",
        )

    def test_toldAtOnce(self) -> None:
        """
        If somebody tells the server and its workers to end before these are ready, that
        is no failure, and nobody begins in their places.
        """
        signal.signal(signal.SIGTERM, lambda number, frame: None)
        service = self.parent()
        signal.raise_signal(signal.SIGTERM)
        for process in list(self.processes):
            process.end(signal=15)
        self.assertEqual((True, "", []), (self.loop.running, self.said(), self.exits))
        self.loop.stop()
        self.successResultOf(service.stopService())
        self.assertEqual([], self.loop.getDelayedCalls())
        self.assertEqual((2, 0), (len(self.processes), service.stopping.status()))

    def said(self) -> str:
        """
        What was said on standard error.
        """
        return self.stderr.getvalue()

    def test_atOnce(self) -> None:
        """
        SIGQUIT ends all at once.
        """
        self.parent()
        signal.raise_signal(signal.SIGQUIT)
        pids = [process.pid for process in self.processes]
        self.assertEqual([(pid, signal.SIGKILL) for pid in pids], self.killed)
        self.assertEqual([0], self.left)


class NotStartedTests(ParentTestCase):
    """
    A parent that can not start its workers.
    """

    def test_noSockets(self) -> None:
        """
        Where there is no place for the sockets of workers, the server does not start:
        it says why in one line, and leaves nothing behind.
        """
        folder = os.path.abspath(self.mktemp())
        os.mkdir(folder)
        self.patch(tempfile, "tempdir", folder)

        def refuse(path: str, protocol: Any) -> Any:
            if len(self.loop.processes) == 1:
                raise CannotListenError(None, path, OSError("AF_UNIX path too long"))
            return listen(path, protocol)

        listen = self.loop.listenUNIXDatagram
        self.patch(self.loop, "listenUNIXDatagram", refuse)
        error = self.assertRaises(StartError, self.parent)
        self.assertEqual(1, error.code)
        self.assertEqual(
            "twistd h11web: can not start workers, with sockets in TMPDIR or /tmp: "
            "AF_UNIX path too long\n",
            self.stderr.getvalue(),
        )
        self.assertEqual([(100, signal.SIGKILL)], self.killed)
        self.assertTrue(self.loop.ports[PORT].closed)
        self.assertEqual([], os.listdir(folder))

    def test_noDirectory(self) -> None:
        """
        So it is where no directory can be made.
        """
        self.patch(tempfile, "tempdir", os.path.abspath(self.mktemp()))
        self.assertRaises(StartError, self.parent, "--status-listen=tcp:9000")
        self.assertIn("No such file or directory", self.stderr.getvalue())
        self.assertTrue(all(port.closed for port in self.loop.ports.values()))
