"""
C{twistd h11web} as a process.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

import twisted_h11

__all__ = ["SOON", "TWISTD", "CommandTestCase"]

TWISTD = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]

SOON = 30.0
"""
Seconds that a process may take; it takes one.
"""


class CommandTestCase(SynchronousTestCase):
    """
    Runs twistd in an empty directory.
    """

    def setUp(self) -> None:
        """
        Make the directory, and a module path that leads here and there.
        """
        self.directory = os.path.abspath(self.mktemp())
        os.mkdir(self.directory)
        project = os.path.dirname(os.path.dirname(twisted_h11.__file__))
        path = [self.directory, project, os.environ.get("PYTHONPATH", "")]
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(part for part in path if part),
        }

    def popen(self, *arguments: str) -> subprocess.Popen[str]:
        """
        Start twistd.
        """
        process = subprocess.Popen(
            [*TWISTD, *arguments],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def run_(self, *arguments: str) -> tuple[int, str, str]:
        """
        Run twistd to its end.

        @return: its status, and what it wrote to stdout and stderr.
        """
        process = self.popen(*arguments)
        out, err = process.communicate(timeout=SOON)
        return process.returncode, out, err

    def port(self) -> int:
        """
        A port in use.
        """
        taken = socket.socket()
        self.addCleanup(taken.close)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number: int = taken.getsockname()[1]
        return number

    def files(self) -> list[str]:
        """
        What is in the directory.
        """
        return sorted(os.listdir(self.directory))

    def read(self, name: str) -> str:
        """
        A file in the directory.
        """
        with open(os.path.join(self.directory, name)) as file:
            return file.read()
