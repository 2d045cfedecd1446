"""
The logrotate of Debian, under load, with two processes that write to one file.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections import Counter

from twisted.trial.unittest import SkipTest

from tests.support.command_cases import TWISTD
from tests.support.long_cases import TOP, LongTestCase
from tests.support.optional import find_program
from twisted_h11._server.log_watch import PATIENCE

# How many requests are sent at once, and how often logs are rotated.
_AT_ONCE = 32
_ROTATIONS = 40
_PAUSE = 0.15

_OK = b"HTTP/1.1 200 OK\r\n"

MOVE = """
{path} {{
    create
    rotate 1000
    nocompress
    postrotate
        kill -USR1 {pids}
    endscript
}}
"""

COPY = """
{path} {{
    copytruncate
    rotate 1000
    nocompress
}}
"""


class Asking(threading.Thread):
    """
    Sends requests whose targets tell them apart, until it is told to end.

    @ivar count: how many were answered.
    """

    def __init__(self, path: str, name: str) -> None:
        super().__init__(name=name)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(path)
        self.count = 0
        self.over = threading.Event()

    def run(self) -> None:
        """
        Ask.
        """
        while not self.over.is_set():
            numbers = range(self.count, self.count + _AT_ONCE)
            self.socket.sendall(
                b"".join(
                    f"GET /{self.name}-{number} HTTP/1.1\r\nHost: a\r\n"
                    f"User-Agent: {'x' * (number % 200)}\r\n\r\n".encode()
                    for number in numbers
                )
            )
            answers, seen = b"", 0
            while seen < _AT_ONCE:
                # One that was counted is not to be counted again.
                answers = answers[1 - len(_OK) :] + self.socket.recv(1 << 20)
                seen += answers.count(_OK)
            self.count += _AT_ONCE
        self.socket.close()


class LogrotateTests(LongTestCase):
    """
    Each request has its line, once, whatever becomes of the file.
    """

    def setUp(self) -> None:
        """
        A folder that nobody else may write to, as logrotate wants it.
        """
        super().setUp()
        program = find_program("logrotate")
        if program is None:
            raise SkipTest("logrotate is not installed")
        self.program = program
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)

    def start(self, name: str, *options: str) -> subprocess.Popen[bytes]:
        """
        A server that listens on a UNIX socket.
        """
        path = os.path.join(self.folder, name)
        process = subprocess.Popen(
            [
                *TWISTD,
                *("-n", "--logfile", f"{path}.own", "--pidfile", ""),
                *("h11web", "--listen", f"unix:{path}", "--class"),
                *("twisted.web.demo.Test", *options),
            ],
            cwd=TOP,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        until = time.monotonic() + 30
        while not os.path.exists(path):
            self.assertLess(time.monotonic(), until)
            time.sleep(0.05)
        return process

    def rotated(self, configuration: str, *options: str) -> list[str]:
        """
        Rotate under load.

        @return: the lines of all files.
        """
        path = os.path.join(self.folder, "access.log")
        servers = [self.start(name, "--logfile", path, *options) for name in "ab"]
        asking = [
            Asking(os.path.join(self.folder, name), f"{name}{number}")
            for name in "ab"
            for number in range(2)
        ]
        with open(os.path.join(self.folder, "conf"), "w") as file:
            pids = " ".join(str(server.pid) for server in servers)
            file.write(configuration.format(path=path, pids=pids))
        for thread in asking:
            thread.start()
        self.slowest = 0.0
        for _ in range(_ROTATIONS):
            time.sleep(_PAUSE)
            begun = time.monotonic()
            subprocess.run(
                [
                    *(self.program, "--force", "--state", f"{self.folder}/state"),
                    f"{self.folder}/conf",
                ],
                check=True,
                timeout=60,
            )
            self.slowest = max(self.slowest, time.monotonic() - begun)
        for thread in asking:
            thread.over.set()
        for thread in asking:
            thread.join(60)
        for server in servers:
            server.terminate()
        for server in servers:
            self.assertEqual(0, server.wait(60))
        names = [n for n in os.listdir(self.folder) if n.startswith("access.log")]
        self.assertEqual(_ROTATIONS + 1, len(names))
        lines: list[str] = []
        self.begun: list[str] = []
        for name in names:
            with open(os.path.join(self.folder, name), "rb") as log:
                content = log.read()
            self.assertNotIn(b"\0", content)
            *whole, rest = content.decode("ascii").split("\n")
            lines += whole
            if rest:
                self.begun.append(rest)
        wanted = [f"/{t.name}-{n}" for t in asking for n in range(t.count)]
        sizes = [os.stat(os.path.join(self.folder, name)).st_size for name in names]
        self.say(
            f"{len(wanted)} requests, {len(lines)} lines in {len(names)} files, "
            f"of up to {max(sizes)} bytes; the slowest rotation took "
            f"{self.slowest:.1f} s"
        )
        self.assertGreater(len(wanted), 1000)
        self.wanted = sorted(wanted)
        return lines

    def check(self, configuration: str, twice: float = 0.0) -> None:
        """
        No line is lost or torn: whole lines of the combined format, and of chosen
        fields.

        @param twice: which part of the lines may be there twice.
        """
        lines = self.rotated(configuration)
        for line in lines:
            self.assertRegex(
                line,
                r'\A"-" - - \[[^]]+\] "GET /[ab]\d-\d+ HTTP/1\.1" 200 \d+ "-" "x*-?"\Z',
            )
        found = [line.split()[6] for line in lines]
        if self.slowest > PATIENCE * 0.8:
            # A disk that takes so long makes lines be written while they are copied.
            found = list(set(found))
        found.sort()
        missing = set(self.wanted).difference(found)
        self.assertEqual([], sorted(missing)[:10], f"{len(missing)} lines are missing")
        extra = len(found) - len(self.wanted)
        self.assertTrue(0 <= extra <= twice * len(self.wanted), extra)
        self.assertLessEqual(max(Counter(found).values()), 2 if twice else 1)
        for rest in self.begun:
            self.assertTrue(any(line.startswith(rest) for line in lines), rest)

    def test_move(self) -> None:
        """
        The file is moved away, and SIGUSR1 sent.
        """
        self.check(MOVE)
        self.assertEqual([], self.begun)

    def test_copyTruncate(self) -> None:
        """
        The file is copied, and cut to nothing.  Who copies a file while it is written
        may get the beginning of a line at its end, which is whole in the next file.

        Lines that are copied while they are written may be there twice, see
        L{twisted_h11._server.log_watch}: seldom any, and then a batch or two.
        """
        self.check(COPY, 0.01)
