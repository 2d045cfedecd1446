"""
Sockets that were handed over, and that no endpoint listens on.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import tempfile
from typing import Any

from tests.support.command_loop import CommandLoopTestCase
from tests.support.leaks import open_descriptors
from twisted_h11._command import unserved as unserved_module
from twisted_h11._command import worker as worker_module
from twisted_h11._command.unserved import first_environ
from twisted_h11._command.worker import Inherited

WORDS = "its clients wait in vain"


class UnservedTests(CommandLoopTestCase):
    """
    L{twisted_h11._command.unserved.warn_of_unserved}.
    """

    def opened(self, family: int = socket.AF_INET, where: Any = None) -> Any:
        """
        A socket that listens.
        """
        made = socket.socket(family)
        self.addCleanup(made.close)
        made.bind(where or ("127.0.0.1", 0))
        made.listen()
        return made

    def hand(self, *given: Any, **environ: str) -> list[int]:
        """
        Hand sockets over.

        @return: their descriptors, one after the other, above all others.
        """
        numbers = [fcntl.fcntl(one.fileno(), fcntl.F_DUPFD, 500) for one in given]
        for number in numbers:
            self.addCleanup(self.close, number)
        said = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(given))}
        said.update(environ)
        self.patch(unserved_module, "FIRST", numbers[0])
        self.patch(unserved_module, "first_environ", lambda: said)
        return numbers

    def close(self, number: int) -> None:
        """
        Close a descriptor, unless an endpoint has done so.
        """
        try:
            os.close(number)
        except OSError:
            pass

    def warnings(self) -> list[str]:
        """
        What is said at the start.
        """
        self.make("--listen=tcp:8080")
        self.loop.start()
        return self.lines(WORDS)

    def test_said(self) -> None:
        """
        One line for each: where, which, and how to serve it.
        """
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        web = self.opened()
        local = self.opened(socket.AF_UNIX, f"{folder}/s")
        hidden = self.opened(socket.AF_UNIX, "\0" + folder)
        one, two, three = self.hand(web, local, hidden, LISTEN_FDNAMES="web:local")
        port = web.getsockname()[1]
        begin = "No endpoint listens on {}, a socket that was handed over to this "
        begin += "server (descriptor {}, {}): " + WORDS
        begin += ". To serve it: --listen=systemd:domain={}:index={}"
        self.assertEqual(
            [
                begin.format(f"port {port} of 127.0.0.1", one, "web", "INET", 0),
                begin.format(f"{folder}/s", two, "local", "UNIX", 1),
                begin.format(f"@{folder}", three, "without a name", "UNIX", 2),
            ],
            self.warnings(),
        )

    def test_served(self) -> None:
        """
        Nothing is said of those that endpoints have adopted, whatever has their numbers
        since.
        """
        closed, used, file = self.hand(self.opened(), self.opened(), self.opened())
        self.make("--listen=tcp:8080")
        os.close(closed)
        os.dup2(self.opened().fileno(), used)
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), file)
        before = open_descriptors()
        self.loop.start()
        self.assertEqual([], self.lines(WORDS))
        self.assertEqual(before, open_descriptors())

    def test_others(self) -> None:
        """
        Nothing is said of what has no waiting clients.
        """
        bound = socket.socket()
        self.addCleanup(bound.close)
        bound.bind(("127.0.0.1", 0))
        with open(os.devnull, "rb") as file:
            self.hand(bound, file)
        before = open_descriptors()
        self.assertEqual([], self.warnings())
        self.assertEqual(before, open_descriptors())

    def test_environment(self) -> None:
        """
        Nothing is said if nothing was handed over to this process; not more is looked
        at than there is.
        """
        nothing = ({"LISTEN_PID": "1"}, {"LISTEN_FDS": "many"}, {"LISTEN_FDS": "0"})
        for environ in nothing:
            self.hand(self.opened(), **environ)
            self.assertEqual([], self.warnings(), environ)
        self.hand(self.opened(), LISTEN_FDS="9" * 18)
        self.assertEqual(1, len(self.warnings()))

    def test_workers(self) -> None:
        """
        The parent of workers says it, they do not.
        """
        self.hand(self.opened())
        self.make("--listen=tcp:8080", "--workers=2")
        self.loop.start()
        self.assertEqual(1, len(self.lines(WORDS)))
        self.patch(worker_module, "_inherited", [Inherited(os.getppid(), [])])
        self.make("--listen=tcp:8080", "--workers=2")
        self.loop.start()
        self.assertEqual(1, len(self.lines(WORDS)))

    def test_firstEnvironment(self) -> None:
        """
        What this process was started with is found, also if it was removed since.
        """
        if os.path.exists("/proc/self/environ"):
            path = first_environ()["PATH"]
            self.patch(os, "environ", {})
            self.assertEqual(path, first_environ()["PATH"])

    def test_noEnvironment(self) -> None:
        """
        On other systems, and without C{/proc}, nothing is found.
        """

        def fails(path: str) -> None:
            raise FileNotFoundError(path)

        self.patch(unserved_module, "open_file", fails)
        self.assertEqual({}, first_environ())
