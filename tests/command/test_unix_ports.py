"""
UNIX sockets, their paths and locks, at the start and the end of a server.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import tempfile
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import TestCase

from twisted_h11._command.unix_ports import LockingReactor, remove_sockets

net: Any = reactor


class _Factory(Factory):
    """
    Notes that it was stopped.
    """

    noisy = False
    stopped = False

    def stopFactory(self) -> None:
        """
        It was.
        """
        self.stopped = True


class PortTests(TestCase):
    """
    L{LockingReactor}.
    """

    timeout = 60

    def setUp(self) -> None:
        """
        A short path.
        """
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.path = os.path.join(self.folder, "s")
        self.factory = _Factory()
        self.events: list[Any] = []
        observer: Any = self.events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def listen(self, lock: int = 1) -> Any:
        """
        Listen, with a lock or without.
        """
        port = LockingReactor(net).listenUNIX(self.path, self.factory, wantPID=lock)
        self.addCleanup(port.stopListening)
        return port

    def lines(self, word: str) -> list[str]:
        """
        What was logged with a word.
        """
        texts = [str(formatEvent(event)) for event in self.events]
        return [text for text in texts if word in text]

    def left(self) -> None:
        """
        A server was killed, and a process with its id lives.
        """
        with socket.socket(socket.AF_UNIX) as old:
            old.bind(self.path)
            old.listen()
        os.symlink(str(os.getpid()), f"{self.path}.lock")

    @inlineCallbacks
    def test_left(self) -> Any:
        """
        A lock is no hindrance if nobody listens, whoever has its process id now.
        """
        self.left()
        port = self.listen()
        self.assertEqual(1, len(self.lines("on which no process listened")))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.path)
        yield port.stopListening()
        self.assertEqual([], os.listdir(self.folder))

    @inlineCallbacks
    def test_served(self) -> Any:
        """
        Who listens keeps the lock, and the message names the process.
        """
        port = self.listen()
        error = self.assertRaises(CannotListenError, self.listen)
        self.assertEqual(
            f"process {os.getpid()} listens there, according to {self.path}.lock",
            error.socketError.strerror,
        )
        yield port.stopListening()
        self.assertEqual([], os.listdir(self.folder))

    def test_begun(self) -> None:
        """
        A lock without a socket may be that of a server that is starting; what is no
        socket is not removed.
        """
        os.symlink("1", f"{self.path}.lock")
        self.assertRaises(CannotListenError, self.listen)
        with open(self.path, "w"):
            self.assertRaises(CannotListenError, self.listen)
        self.assertEqual(["s", "s.lock"], sorted(os.listdir(self.folder)))

    def test_noSocket(self) -> None:
        """
        Where there is something else than a socket nobody listens, and no lock is left.
        """
        with open(self.path, "w"):
            pass
        for lock in (0, 1):
            error = self.assertRaises(CannotListenError, self.listen, lock)
            self.assertEqual(errno.EADDRINUSE, error.socketError.errno)
            self.assertEqual(["s"], os.listdir(self.folder))

    def test_factoryFails(self) -> None:
        """
        A factory that can not be started leaves no lock.
        """

        def fails() -> None:
            raise OSError(28, "No space left on device")

        self.factory.startFactory = fails  # type: ignore[method-assign]
        self.assertRaises(OSError, self.listen)
        self.assertEqual([], os.listdir(self.folder))

    def test_reactorFails(self) -> None:
        """
        Nor does a socket that the reactor can not take leave anything.
        """

        def fails(port: Any) -> None:
            raise OSError(28, "No space left on device")

        self.patch(net, "addReader", fails)
        self.assertRaises(OSError, self.listen)
        self.assertEqual([], os.listdir(self.folder))

    @inlineCallbacks
    def test_endedAtOnce(self) -> Any:
        """
        A process that ends without closing its ports removes their paths and locks, but
        not those of another process: its own child has the same ports.
        """
        port = self.listen()
        mine = os.getpid()
        patch = self.patch(os, "getpid", lambda: mine + 1)
        remove_sockets()
        patch.restore()
        self.assertEqual(["s", "s.lock"], sorted(os.listdir(self.folder)))
        lock = f"{self.path}.lock"
        os.unlink(lock)
        os.symlink("1", lock)
        remove_sockets()
        self.assertEqual(["s", "s.lock"], sorted(os.listdir(self.folder)))
        os.unlink(lock)
        os.symlink(str(mine), lock)
        remove_sockets()
        self.assertEqual([], os.listdir(self.folder))
        yield port.stopListening()
        remove_sockets()

    @inlineCallbacks
    def test_endedAtOnceWithoutLock(self) -> Any:
        """
        So it does with a socket that has no lock; what others have called so, and
        closed ones, are left alone.
        """
        port = LockingReactor(net).listenUNIX(self.path, self.factory)
        with open(f"{self.path}.lock", "w"):
            remove_sockets()
        self.assertEqual(["s.lock"], os.listdir(self.folder))
        os.unlink(f"{self.path}.lock")
        yield port.stopListening()
        with open(self.path, "w"):
            remove_sockets()
        self.assertEqual(["s"], os.listdir(self.folder))

    @inlineCallbacks
    def test_removed(self) -> Any:
        """
        If the path is gone at the end, the socket is closed, and the factory is told.
        """
        port = self.listen()
        shutil.rmtree(self.folder)
        yield port.stopListening()
        self.assertTrue(self.factory.stopped)
        self.assertEqual([], self.lines("Can not remove"))

    @inlineCallbacks
    def test_notRemoved(self) -> Any:
        """
        So it is if the path can not be removed, and the log says so; with a lock and
        without.
        """

        def fails(path: Any) -> None:
            raise PermissionError(13, "Permission denied", path)

        for lock in (0, 1):
            self.events.clear()
            self.factory.stopped = False
            port = self.listen(lock)
            patch = self.patch(os, "unlink", fails)
            yield port.stopListening()
            patch.restore()
            self.assertTrue(self.factory.stopped)
            (line,) = self.lines("Can not remove")
            self.assertIn(f"{self.path}: Permission denied", line)
            with socket.socket(socket.AF_UNIX) as client:
                self.assertRaises(ConnectionRefusedError, client.connect, self.path)
            os.unlink(self.path)

    @inlineCallbacks
    def test_factoryDoesNotStop(self) -> Any:
        """
        An error of the factory is not said to be one of the removal: whoever closes the
        port gets it, and nothing is left.
        """
        for made in (ValueError("no end"), PermissionError(13, "no end")):

            def fails(made: Exception = made) -> None:
                self.factory.stopped = True
                raise made

            self.factory.stopFactory = fails  # type: ignore[method-assign]
            for lock in (0, 1):
                port = LockingReactor(net).listenUNIX(
                    self.path, self.factory, wantPID=lock
                )
                try:
                    yield port.stopListening()
                except (ValueError, OSError) as error:
                    self.assertIs(made, error)
                else:
                    self.fail("the error is lost")
                self.assertFalse(port.disconnecting)
                self.assertEqual([], os.listdir(self.folder))
        self.assertEqual([], self.lines("Can not remove"))
