"""
What a worker does before it is a server.
"""

from __future__ import annotations

import atexit
import os
import runpy
import shutil
import signal
import sys
from typing import Any

from twisted.internet.error import ReactorNotRunning
from twisted.logger import formatEvent, globalLogPublisher
from twisted.scripts import twistd
from twisted.trial.unittest import SynchronousTestCase

from twisted_h11._command import worker


class WorkerTests(SynchronousTestCase):
    """
    C{python -m twisted_h11._command.worker}.
    """

    def setUp(self) -> None:
        """
        Keep what it changes.
        """
        self.addCleanup(signal.signal, signal.SIGINT, signal.getsignal(signal.SIGINT))
        self.patch(worker, "_inherited", [])

    def test_command(self) -> None:
        """
        It takes from its parent what that has opened, and leaves what systemd handed to
        that; the rest of the command line is twistd's.
        """
        commands: list[list[str]] = []
        self.patch(twistd, "run", lambda: commands.append(list(sys.argv)))
        arguments = [str(os.getppid()), "2", "--nodaemon", "h11web", "-p", "0"]
        self.patch(sys, "argv", ["worker", *arguments])
        self.patch(os, "environ", {"LISTEN_FDS": "4"})
        self.assertIsNone(worker.inherited())
        runpy.run_module("twisted_h11._command.worker", run_name="__main__")
        self.assertEqual([["twistd", "--nodaemon", "h11web", "-p", "0"]], commands)
        had = worker.inherited()
        assert had is not None
        self.assertEqual([5, 6], had.descriptors)
        self.assertFalse(had.isOrphaned())
        self.assertEqual(str(os.getpid()), os.environ["LISTEN_PID"])
        # What is typed is for the parent, which tells its workers what to do.
        self.assertEqual(signal.SIG_IGN, signal.getsignal(signal.SIGINT))

    def test_alone(self) -> None:
        """
        A worker whose parent is gone says so, and ends in good order, if it does not
        already.  Only a folder that is ours is removed.
        """
        events: list[Any] = []
        observer: Any = events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

        class Reactor:
            def stop(self) -> None:
                events.append({"log_format": "stopped"})
                if len(events) > 2:
                    raise ReactorNotRunning

        left: list[tuple[Any, ...]] = []
        self.patch(atexit, "register", lambda *call, **_: left.append(call))
        for folder in ("/run/systemd", "/tmp/h11web-x"):
            worker._inherited.append(worker.Inherited(1, [], folder))
            worker.end_alone(Reactor())
        self.assertEqual([(shutil.rmtree, "/tmp/h11web-x")], left)
        events.clear()
        reactor = Reactor()
        # The second time it is about to end.
        for _ in range(2):
            worker.end_alone(reactor)
        lines = [formatEvent(event) for event in events]
        expected = ["The parent of this worker is gone: it ends", "stopped"]
        self.assertEqual(expected * 2, lines)
