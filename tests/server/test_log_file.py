"""
Log files: no line is lost, torn or without an end, whatever becomes of the file.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.server_cases import ServerTestCase, get
from twisted_h11._server import log_file
from twisted_h11._server.batched_file import FLUSH_SECONDS, BatchedFile
from twisted_h11.server import LogFile, LogFileError

# What each of several processes does: lines that tell who wrote them.
WRITER = """
import sys
from twisted_h11.server import LogFile
path, name, size = sys.argv[1:]
log = LogFile(path, int(size) or None, 9)
for number in range(400):
    log.write("".join(f"{name} {number} {step} {'x' * 90}\\n" for step in range(10)))
print(log.dropped)
"""


class Files(ServerTestCase):
    """
    A folder, and what is in it.
    """

    def setUp(self) -> None:
        """
        A name that nothing has.
        """
        super().setUp()
        self.folder = os.path.abspath(self.mktemp())
        os.mkdir(self.folder)
        self.path = os.path.join(self.folder, "access.log")

    def opened(self, *args: Any) -> LogFile:
        """
        A log that is closed after the test.
        """
        made = LogFile(self.path, *args)
        self.addCleanup(made.close)
        return made

    def content(self, suffix: str = "") -> bytes:
        """
        What is in a file.
        """
        with open(self.path + suffix, "rb") as file:
            return file.read()

    @contextmanager
    def sizeLimit(self, size: int) -> Iterator[None]:
        """
        The disk has room for so many bytes more.
        """
        write = os.write
        left = size

        def writeSome(descriptor: int, data: bytes) -> int:
            nonlocal left
            if data and not left:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            done = write(descriptor, data[:left])
            left -= done
            return done

        patch = self.patch(os, "write", writeSome)
        try:
            yield
        finally:
            patch.restore()


class LogFileTests(Files):
    """
    The file by itself.
    """

    def test_appends(self) -> None:
        """
        What the file had stays, and what others append, too.
        """
        with open(self.path, "wb", buffering=0) as other:
            other.write(b"before\n")
            log = self.opened()
            log.write("a\nb\n")
            os.lseek(other.fileno(), 0, os.SEEK_END)
            other.write(b"other\n")
            log.write("c\n")
        self.assertEqual(b"before\na\nb\nother\nc\n", self.content())
        self.assertEqual(0, log.dropped)

    def test_copyTruncate(self) -> None:
        """
        A file that was cut to nothing begins anew, without a hole of NULs.
        """
        log = self.opened()
        log.write("a" * 1000 + "\n")
        os.truncate(self.path, 0)
        log.write("b\n")
        self.assertEqual(b"b\n", self.content())

    def test_moved(self) -> None:
        """
        A file that was moved gets the lines until it is opened anew.
        """
        log = self.opened()
        log.write("1\n")
        os.rename(self.path, self.path + ".1")
        log.write("2\n")
        log.reopen()
        log.write("3\n")
        self.assertEqual(b"1\n2\n", self.content(".1"))
        self.assertEqual(b"3\n", self.content())

    def test_canNotReopen(self) -> None:
        """
        If there can be no new file the old one goes on.
        """
        log = self.opened()
        os.rename(self.path, self.path + ".1")
        os.mkdir(self.path)
        error = self.raised(LogFileError, log.reopen)
        self.assertIn(self.path, error)
        log.write("kept\n")
        self.assertEqual(b"kept\n", self.content(".1"))

    def test_canNotOpen(self) -> None:
        """
        Nor is there a log in a folder that is not there.
        """
        self.raised(LogFileError, LogFile, os.path.join(self.folder, "a", "b"))

    def test_noDescriptorLeft(self) -> None:
        """
        Opening anew and closing leave no descriptor open.
        """
        log = self.opened()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            log.reopen()
        self.assertEqual(before, len(os.listdir("/proc/self/fd")))
        log.close()
        log.close()
        self.assertTrue(log.closed)
        self.assertEqual(before - 1, len(os.listdir("/proc/self/fd")))

    def test_full(self) -> None:
        """
        On a full disk lines are dropped and counted, which is said once; so is that
        it is over.
        """
        log = self.opened()
        with self.sizeLimit(20):
            log.write("x" * 19 + "\n")
            for _ in range(3):
                log.write("lost\nlost\n")
        self.assertEqual(6, log.dropped)
        log.write("kept\n")
        log.write("kept\n")
        self.assertEqual(b"x" * 19 + b"\nkept\nkept\n", self.content())
        self.assertEqual(6, log.dropped)
        said = [text for text in self.messages() if self.path in text]
        self.assertEqual(2, len(said), said)
        self.assertIn("No space left on device; lines are dropped until", said[0])
        self.assertIn("6 lines were dropped", said[1])

    def test_fullInALine(self) -> None:
        """
        A line that was written in part is completed first of all, so that the others
        are not torn.
        """
        for room in range(1, 31):
            log = self.opened()
            with self.sizeLimit(room):
                log.write("first line\nsecond line\nthird\n")
                log.write("lost\n")
            log.write("later\n")
            lines = self.content().split(b"\n")
            log.close()
            os.unlink(self.path)
            whole = [b"first line", b"second line", b"third"]
            self.assertEqual([b"later", b""], lines[-2:] if lines[-3:] else lines)
            written = lines[:-2]
            if written[-1:] == [b"lost"]:
                written.pop()
            self.assertEqual(whole[: len(written)], written, room)
            self.assertEqual(4 - len(lines[:-2]), log.dropped, room)

    def test_restOfALine(self) -> None:
        """
        That holds also where the file is closed or moved before there is room.
        """
        for end in (LogFile.close, LogFile.reopen):
            log = self.opened()
            with self.sizeLimit(3):
                log.write("a line\nanother\n")
            if end is LogFile.reopen:
                os.rename(self.path, self.path + ".1")
            end(log)
            moved = ".1" if end is LogFile.reopen else ""
            self.assertEqual(b"a line\n", self.content(moved))
            self.assertEqual(1, log.dropped)
            os.unlink(self.path + moved)

    def test_anyText(self) -> None:
        """
        UTF-8, whatever the terminal has; and what that does not have with escapes.
        """
        log = self.opened()
        log.write("l\xf6ve \udcff\n")
        self.assertEqual(b"l\xc3\xb6ve \\udcff\n", self.content())

    def onStandardOutput(self, opening: Callable[[], Any]) -> tuple[Any, socket.socket]:
        """
        Open a log while the standard output is a socket.

        @return: the log, and the other end of the socket.
        """
        reader, writer = socket.socketpair()
        kept = os.dup(1)
        try:
            os.dup2(writer.fileno(), 1)
            return opening(), reader
        finally:
            os.dup2(kept, 1)
            os.close(kept)
            writer.close()

    def test_standardOutput(self) -> None:
        """
        C{/dev/stdout} is what is the standard output now, and stays that when files are
        opened anew; it may be a socket, which has no name.
        """
        log, reader = self.onStandardOutput(lambda: LogFile("/dev/stdout"))
        log.write("a\n")
        log.reopen()
        log.write("b\n")
        self.assertFalse(log.isatty())
        log.close()
        self.assertFalse(log.isatty())
        self.assertEqual(b"a\nb\n", reader.recv(100))
        reader.close()

    def test_linkToStandardOutput(self) -> None:
        """
        So is a link that leads there, as images of containers have.
        """
        os.symlink("/dev/stdout", self.path)
        log, reader = self.onStandardOutput(self.opened)
        log.write("a\n")
        log.reopen()
        log.write("b\n")
        self.assertEqual(b"a\nb\n", reader.recv(100))
        reader.close()

    def test_fullAtTheEnd(self) -> None:
        """
        The rest of a line for which there is no room when the file is closed counts.
        """
        log = self.opened()
        with self.sizeLimit(3):
            log.write("a line\n")
            self.assertEqual(0, log.dropped)
            log.close()
        self.assertEqual((1, b"a l"), (log.dropped, self.content()))

    def test_afterClose(self) -> None:
        """
        What comes after the end is dropped, and goes into nobody else's descriptor.
        """
        log = self.opened()
        log.close()
        with open(self.path, "ab"):
            log.write("late\n")
        self.assertEqual(b"", self.content())

    def test_arguments(self) -> None:
        """
        Sizes and counts that can not be kept are refused.
        """
        self.raised(ValueError, LogFile, self.path, 0)
        self.raised(ValueError, LogFile, self.path, 10, 0)
        self.assertFalse(os.path.exists(self.path))


class PipeTests(Files):
    """
    Pipes.
    """

    def test_wholeLines(self) -> None:
        """
        What is written at once to a pipe is whole lines that the kernel keeps
        together, whoever else writes to it.
        """
        os.mkfifo(self.path)
        reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        log = self.opened()
        pieces: list[bytes] = []
        write = os.write

        def spy(descriptor: int, data: bytes) -> int:
            pieces.append(bytes(data))
            return write(descriptor, data)

        self.patch(os, "write", spy)
        text = "".join("y" * size + "\n" for size in range(0, 300, 3))
        long = "z" * (select.PIPE_BUF + 10) + "\n"
        log.write(text + long + "end\n")
        self.assertEqual((text + long + "end\n").encode(), b"".join(pieces))
        self.assertGreater(len(pieces), 3)
        for piece in pieces:
            self.assertTrue(piece.endswith(b"\n"))
            if piece != long.encode():
                self.assertLessEqual(len(piece), select.PIPE_BUF)

    def test_readerGone(self) -> None:
        """
        A pipe that nobody reads any more costs lines, and goes on with its next
        reader.
        """
        os.mkfifo(self.path)
        reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        log = self.opened()
        os.close(reader)
        log.write("lost\n")
        self.assertEqual(1, log.dropped)
        reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        log.write("kept\n")
        self.assertEqual(b"kept\n", os.read(reader, 100))

    def test_othersDoNotBlock(self) -> None:
        """
        A pipe that somebody has made not to block is waited for, while it is read.
        """
        os.mkfifo(self.path)
        reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        os.set_blocking(reader, True)
        log = self.opened()
        os.set_blocking(log.fileno(), False)
        line = "w" * 999 + "\n"
        got = bytearray()

        def read() -> None:
            while len(got) < 200_000:
                got.extend(os.read(reader, 65536))

        thread = threading.Thread(target=read)
        thread.start()
        for _ in range(200):
            log.write(line)
        thread.join(10)
        self.assertEqual(line.encode() * 200, got)
        self.assertEqual(0, log.dropped)

    def test_waits(self) -> None:
        """
        What such a pipe has no room for is written as soon as it has been read.
        """
        os.mkfifo(self.path)
        reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        log = self.opened()
        os.set_blocking(log.fileno(), False)
        got = bytearray()

        class Reading:
            def register(self, descriptor: int, events: int) -> None:
                self.registered = descriptor, events

            def poll(_, patience: int) -> list[tuple[int, int]]:
                self.assertEqual((log.fileno(), select.POLLOUT), _.registered)
                got.extend(os.read(reader, 1 << 20))
                return [_.registered]

        self.patch(select, "poll", Reading)
        line = "w" * 999 + "\n"
        for _ in range(200):
            log.write(line)
        got.extend(os.read(reader, 1 << 20))
        self.assertEqual(line.encode() * 200, got)
        self.assertEqual(0, log.dropped)

    def test_full(self) -> None:
        """
        One that is full, and is not read, costs lines after a while.
        """
        self.patch(log_file, "_PATIENCE", 1)
        os.mkfifo(self.path)
        reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        log = self.opened()
        os.set_blocking(log.fileno(), False)
        # Each as long as what a pipe keeps together.
        log.write(("y" * (select.PIPE_BUF - 1) + "\n") * 1000)
        before = log.dropped
        self.assertGreater(before, 0)
        log.write("lost\n")
        self.assertEqual(before + 1, log.dropped)
        os.read(reader, 1 << 20)
        log.write("kept\n")
        self.assertTrue(os.read(reader, 65536).endswith(b"kept\n"))
        self.assertEqual(before + 1, log.dropped)


class RotationTests(Files):
    """
    Files that rename themselves.
    """

    def names(self) -> list[str]:
        """
        The files of the folder.
        """
        return sorted(os.listdir(self.folder))

    def test_notUnlessAsked(self) -> None:
        """
        Without a size a file grows as long as it likes.
        """
        log = self.opened()
        for _ in range(40):
            log.write("x" * 65535 + "\n")
        self.assertEqual(["access.log"], self.names())
        self.assertEqual(40 * 65536, len(self.content()))

    def test_rotates(self) -> None:
        """
        No file is longer than asked, there are only so many old ones, and the
        newest lines are there.
        """
        log = self.opened(100, 3)
        for number in range(100):
            log.write(f"line {number:04}\n")
        self.assertEqual(
            ["access.log"] + [f"access.log.{n}" for n in (1, 2, 3)], self.names()
        )
        lines = b"".join(self.content(s) for s in (".3", ".2", ".1", ""))
        self.assertEqual(
            [b"line %04d" % n for n in range(60, 100)], lines.splitlines()[-40:]
        )
        for suffix in ("", ".1", ".2", ".3"):
            self.assertLessEqual(len(self.content(suffix)), 100)
        self.assertEqual(0, log.dropped)

    def test_standardOutput(self) -> None:
        """
        The standard output is never renamed, though it may be a file: its name belongs
        to the system.
        """
        renamed: list[Any] = []
        self.patch(os, "replace", lambda *names: renamed.append(names))
        kept = os.dup(1)
        with open(self.path, "ab") as file:
            os.dup2(file.fileno(), 1)
        try:
            log = LogFile("/dev/stdout", 10, 1)
            for _ in range(3):
                log.write("a line\n")
        finally:
            os.dup2(kept, 1)
            os.close(kept)
        log.close()
        self.assertEqual([], renamed)
        self.assertEqual(b"a line\n" * 3, self.content())

    def test_longLine(self) -> None:
        """
        A line that is longer than a file may be is written all the same.
        """
        log = self.opened(10, 1)
        for letter in "abc":
            log.write(letter * 50 + "\n")
        self.assertEqual(
            (b"c" * 50 + b"\n", b"b" * 50 + b"\n"), (self.content(), self.content(".1"))
        )

    def test_canNot(self) -> None:
        """
        Where it can not be renamed it grows on, which is said once.
        """
        log = self.opened(10, 1)
        os.mkdir(self.path + ".1")
        open(os.path.join(self.path + ".1", "a"), "w").close()
        for _ in range(5):
            log.write("a line\n")
        self.assertEqual(b"a line\n" * 5, self.content())
        said = [text for text in self.messages() if "Can not rotate" in text]
        self.assertEqual(1, len(said))
        self.assertIn(self.path, said[0])

    def test_others(self) -> None:
        """
        Where another process is about to rename it, it grows a little longer; where it
        has been renamed or removed, the next line is in the one that has its name.
        """
        log = self.opened(10, 2)
        log.write("a line\n")
        with open(self.path) as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            log.write("more\n")
        self.assertEqual(b"a line\nmore\n", self.content())
        os.rename(self.path, self.path + ".1")
        with open(self.path, "w") as other:
            other.write("theirs\n")
        log.write("ours\n")
        self.assertEqual(b"theirs\nours\n", self.content())
        os.unlink(self.path)
        log.write("again\n")
        self.assertEqual(b"again\n", self.content())
        self.assertEqual(["access.log", "access.log.1"], self.names())
        self.assertEqual(0, log.dropped)

    def test_processes(self) -> None:
        """
        Several processes write to one file, and rename it, or not: every line is
        there once, and whole.
        """
        for size in (0, 300_000):
            path = f"{self.path}-{size}"
            command = [sys.executable, "-c", WRITER, path]
            running = [
                subprocess.Popen(
                    [*command, name, str(size)], stdout=subprocess.PIPE, text=True
                )
                for name in "abc"
            ]
            for process in running:
                self.assertEqual("0\n", process.communicate(timeout=60)[0])
            found: list[str] = []
            for name in self.names():
                if name.startswith(os.path.basename(path)):
                    with open(os.path.join(self.folder, name)) as file:
                        found += file.read().splitlines()
            expected = [
                f"{name} {number} {step} {'x' * 90}"
                for name in "abc"
                for number in range(400)
                for step in range(10)
            ]
            self.assertEqual(sorted(expected), sorted(found))


class SiteTests(Files):
    """
    The log of a site.
    """

    def test_reopen(self) -> None:
        """
        C{reopenLog} puts what waits into the file that was moved away, and what
        follows into a new one.
        """
        site = self.site(logPath=self.path)
        site.startFactory()
        wire = self.connect(site).send(get(b"/1"))
        os.rename(self.path, self.path + ".1")
        site.reopenLog()
        wire.send(get(b"/2"))
        site.flushLog()
        self.assertIn(b"GET /1 ", self.content(".1"))
        self.assertIn(b"GET /2 ", self.content())
        self.assertEqual(2, (self.content() + self.content(".1")).count(b"\n"))

    def test_canNotReopen(self) -> None:
        """
        C{reopenLog} raises what the file raises, and the old file goes on.
        """
        site = self.site(logPath=self.path)
        site.startFactory()
        os.rename(self.path, self.path + ".1")
        os.mkdir(self.path)
        self.raised(LogFileError, site.reopenLog)
        self.connect(site).send(get(b"/1"))
        site.flushLog()
        self.assertIn(b"GET /1 ", self.content(".1"))

    def test_noFile(self) -> None:
        """
        A site without a file of its own, or that is not running, has nothing to do.
        """
        for site in (self.site(start=True), self.site(), self.site(logPath=self.path)):
            site.reopenLog()
            site.flushLog()
            self.assertEqual(0, site.droppedLogLines)

    def test_rotation(self) -> None:
        """
        A site's file renames itself when it was asked for that.
        """
        site = self.site(logPath=self.path, logRotateSize=200, logRotateCount=2)
        site.startFactory()
        wire = self.connect(site)
        for _ in range(20):
            wire.send(get())
            self.clock.advance(FLUSH_SECONDS)
        self.assertEqual(
            ["access.log", "access.log.1", "access.log.2"],
            sorted(os.listdir(self.folder)),
        )

    def test_badRotation(self) -> None:
        """
        What can not be kept is refused when the site is made.
        """
        for options in (
            {"logRotateSize": 0},
            {"logRotateSize": 9, "logRotateCount": 0},
        ):
            self.raised(
                ValueError, lambda o: self.site(logPath=self.path, **o), options
            )

    def test_dropped(self) -> None:
        """
        C{droppedLogLines} counts what could not be written or made, also when the
        site has stopped, and in its next life.
        """

        def fails(when: Any, request: Any) -> str:
            if request.uri == b"/bad":
                raise ValueError("no line")
            return "x" * 9

        site = self.site(logPath=self.path, logFormatter=fails)
        site.startFactory()
        wire = self.connect(site)
        with self.sizeLimit(20):
            for _ in range(4):
                wire.send(get())
                self.clock.advance(FLUSH_SECONDS)
            self.assertEqual(2, site.droppedLogLines)
            wire.send(get(b"/bad"))
            self.assertEqual(3, site.droppedLogLines)
            wire.send(get()).vanish()
            site.stopFactory()
            self.assertEqual(4, site.droppedLogLines)
        site.startFactory()
        self.assertEqual(4, site.droppedLogLines)
        self.assertEqual(1, len(self.flushLoggedErrors(ValueError)))

    def test_flushInAThread(self) -> None:
        """
        C{flushLog} may be called in any thread while lines are added: none is lost,
        none is written twice.
        """
        site = self.site(logPath=self.path, logFormatter=lambda when, request: "a line")
        site.startFactory()
        wire = self.connect(site)
        over = threading.Event()

        def flush() -> None:
            while not over.is_set():
                site.flushLog()

        thread = threading.Thread(target=flush)
        thread.start()
        for _ in range(40):
            wire.send(get() * 25)
        over.set()
        thread.join(10)
        site.flushLog()
        self.assertEqual(b"a line\n" * 1000, self.content())


class BatchedFileTests(SynchronousTestCase):
    """
    The file by itself.
    """

    def test_oneWrite(self) -> None:
        """
        What waits goes out in one write.
        """
        writes: list[str] = []

        class Recorder(io.StringIO):
            def write(self, text: str) -> int:
                writes.append(text)
                return len(text)

        clock: Any = Clock()
        batched = BatchedFile(Recorder(), clock)
        for line in ("a\n", "b\n", "c\n"):
            batched.write(line)
        self.assertEqual(writes, [])
        clock.advance(FLUSH_SECONDS)
        self.assertEqual(writes, ["a\nb\nc\n"])
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_failing(self) -> None:
        """
        A disk that is full for a while costs lines, and only those.
        """

        class Full(io.StringIO):
            full = True

            def write(self, text: str) -> int:
                if self.full:
                    raise OSError("no space left on device")
                return super().write(text)

        clock: Any = Clock()
        file = Full()
        batched = BatchedFile(file, clock)
        for _ in range(6):
            batched.write("lost\n")
            clock.advance(FLUSH_SECONDS)
        file.full = False
        batched.write("kept\n")
        clock.advance(FLUSH_SECONDS)
        self.assertEqual(file.getvalue(), "kept\n")
        self.assertEqual(6, batched.dropped)

    def test_close(self) -> None:
        """
        C{close} writes what waits, closes the file, and leaves no timer.
        """

        class Kept(io.StringIO):
            said = ""

            def close(self) -> None:
                self.said = self.getvalue()
                super().close()

        clock: Any = Clock()
        file = Kept()
        batched = BatchedFile(file, clock)
        batched.write("a\n")
        batched.close()
        self.assertEqual((file.said, file.closed), ("a\n", True))
        self.assertEqual(clock.getDelayedCalls(), [])
        self.assertTrue(batched.closed)
