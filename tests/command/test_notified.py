"""
What a parent hears of its workers.
"""

from __future__ import annotations

import os
import resource
import shutil
import stat
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.error import CannotListenError
from twisted.trial.unittest import TestCase

from tests.support.times import eventually
from twisted_h11._command.notified import NotifySockets
from twisted_h11._command.notify import Notifier

net: Any = reactor


class SocketTests(TestCase):
    """
    L{NotifySockets}.
    """

    timeout = 60

    def setUp(self) -> None:
        """
        No directory yet.
        """
        self.sockets = NotifySockets(net)
        self.addCleanup(self.sockets.end)
        self.told: list[tuple[str, str]] = []

    def open(self, name: str) -> Notifier:
        """
        Listen to a worker.

        @return: its end.
        """
        address = self.sockets.open(name, lambda line: self.told.append((name, line)))
        return Notifier(net, {"NOTIFY_SOCKET": address})

    @inlineCallbacks
    def test_told(self) -> Any:
        """
        What each worker tells is told line by line, with the worker.
        """
        one, two = self.open("1.1"), self.open("2.2")
        one.tell("READY=1")
        two.tell("READY=1\nWATCHDOG=1")
        yield eventually(lambda: len(self.told) == 3)
        expected = [("1.1", "READY=1"), ("2.2", "READY=1"), ("2.2", "WATCHDOG=1")]
        self.assertEqual(expected, sorted(self.told))

    @inlineCallbacks
    def test_removed(self) -> Any:
        """
        If somebody removes the directory, it and its folders are made again, and the
        worker is heard again by the address that it has.
        """
        one = self.open("1.1")
        folder = self.sockets.makeFolder("metrics")
        self.assertFalse(self.sockets.restore("1.1"))
        directory = self.sockets.directory
        assert directory is not None
        shutil.rmtree(directory)
        one.tell("lost")
        self.assertFalse(os.path.exists(folder))
        self.assertTrue(self.sockets.restore("1.1"))
        for made in (directory, folder):
            self.assertEqual(0o700, stat.S_IMODE(os.stat(made).st_mode))
        one.tell("WATCHDOG=1")
        yield eventually(lambda: bool(self.told))
        self.assertEqual([("1.1", "WATCHDOG=1")], self.told)
        shutil.rmtree(directory)
        two = self.open("2.2")
        two.tell("READY=1")
        yield eventually(lambda: len(self.told) == 2)

    def test_notRestored(self) -> None:
        """
        Where that is not possible it is an error, at once or later; what was never
        there, or has ended, is not made again.
        """
        self.assertFalse(self.sockets.restore("1.1"))
        self.open("1.1")
        directory = self.sockets.directory
        assert directory is not None
        shutil.rmtree(directory)
        with open(directory, "w"):
            self.assertRaises(CannotListenError, self.sockets.restore, "1.1")
            self.assertRaises(CannotListenError, self.open, "2.2")
            path = self.sockets.open("3.3", print, later=True)
            self.assertRaises(CannotListenError, self.sockets.restore, "3.3")
        os.unlink(directory)
        self.assertTrue(self.sockets.restore("3.3"))
        self.assertTrue(os.path.exists(path))
        self.sockets.end()
        self.assertFalse(self.sockets.restore("1.1"))

    def test_noDescriptors(self) -> None:
        """
        Nothing is left of the directory where no descriptor is free to read it.
        """
        self.open("1.1")
        self.sockets.makeFolder("metrics")
        directory = self.sockets.directory
        assert directory is not None
        free = os.dup(0)
        os.close(free)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
        try:
            self.assertRaises(OSError, os.listdir, directory)
            self.sockets.end()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.assertFalse(os.path.exists(directory))

    def test_directory(self) -> None:
        """
        Nobody else may look into the directory; there is one until the end, and
        nothing is left of it.
        """
        self.open("1.1")
        directory = self.sockets.directory
        assert directory is not None
        self.assertEqual(0o700, stat.S_IMODE(os.stat(directory).st_mode))
        self.assertEqual(directory, self.sockets.makeDirectory())
        self.open("2.2")
        self.assertEqual(["1.1", "2.2"], sorted(os.listdir(directory)))
        self.sockets.close("1.1")
        self.sockets.close("never opened")
        for _ in range(2):
            self.sockets.end()
            self.assertFalse(os.path.exists(directory))
            self.assertIsNone(self.sockets.directory)
