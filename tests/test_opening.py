"""
The files that users name are opened in one way, whatever a name leads to.
"""

from __future__ import annotations

import ast
import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

import twisted_h11
from tests.support.leaks import open_descriptors
from twisted_h11._boundary.opening import (
    NotAFile,
    TooLong,
    open_file,
    open_to_append,
    open_to_write,
    read_file,
    read_input,
    standard_stream,
)
from twisted_h11._command.fetch_options import BadUsage, parse
from twisted_h11._command.fetch_output import Appended, NewFile, OutputFailed
from twisted_h11._command.stopping import leave
from twisted_h11._resources.public_files import PublicFile
from twisted_h11._server.log_file import LogFile, LogFileError
from twisted_h11._tls.pem import read_certificates
from twisted_h11.resources import PasswordFile
from twisted_h11.server import ErrorPages
from twisted_h11.tap import Options

PACKAGE = Path(twisted_h11.__file__).parent

# Where files are opened that no user names: the null device, and the files in a
# directory that only the metrics of one server use.
OWN = {"_command.standard", "_metrics.shared", "_metrics.numbers"}

# What opens files: names of functions, and of methods of pathlib's and Twisted's paths.
FUNCTIONS = {"open", "io.open", "os.open", "os.popen", "codecs.open"}
METHODS = {
    *("getContent", "setContent", "read_text", "read_bytes", "write_text"),
    "write_bytes",
}


def called(source: str) -> Iterator[str]:
    """
    What is called in a module that opens files.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in FUNCTIONS or name.rpartition(".")[2] in METHODS:
                yield name


class OneWayTests(SynchronousTestCase):
    """
    Nothing else opens such files.
    """

    def test_package(self) -> None:
        """
        No module opens files by itself, but those whose files are their own.
        """
        found = {}
        for path in PACKAGE.rglob("*.py"):
            name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
            calls = set(called(path.read_text("utf-8")))
            if calls:
                found[name] = calls
        self.assertEqual({"os.open"}, found.pop("_boundary.opening"))
        self.assertEqual(OWN, set(found))

    def test_finds(self) -> None:
        """
        A call that opens a file is found, in whatever way it is written.
        """
        for source in (
            "open(a)",
            "with open(a) as file: pass",
            "x = io.open(a)",
            "def f(): return os.open(a, 1)",
            "FilePath(a).getContent()",
            "Path(a).read_text()",
        ):
            self.assertEqual(1, len(list(called(source))), source)


class Names(SynchronousTestCase):
    """
    Names that lead to this and that.
    """

    def setUp(self) -> None:
        """
        Make a folder for them.
        """
        self.folder = os.path.abspath(self.mktemp())
        os.makedirs(self.folder)
        self.path = os.path.join(self.folder, "file")

    def pipe(self) -> str:
        """
        A named pipe that has neither reader nor writer.
        """
        path = os.path.join(self.folder, "pipe")
        if not os.path.exists(path):
            os.mkfifo(path)
        return path

    def write(self, content: bytes) -> None:
        """
        Write the file.
        """
        with open(self.path, "wb") as file:
            file.write(content)

    def content(self) -> bytes:
        """
        Read the file.
        """
        with open(self.path, "rb") as file:
            return file.read()


class OpeningTests(Names):
    """
    L{opening}.
    """

    def test_read(self) -> None:
        """
        A regular file is read, up to the length that it may have.
        """
        self.write(b"12345")
        self.assertEqual(b"12345", read_file(self.path, 5))
        self.assertEqual(b"12345", read_input(os.fsencode(self.path)))
        with open_file(Path(self.path)) as file:
            self.assertEqual(b"12345", file.read())
        error = self.assertRaises(TooLong, read_file, self.path, 4)
        self.assertEqual("longer than 4 bytes", str(error))

    def test_notRegular(self) -> None:
        """
        What is no regular file is not read, nothing is waited for, and nothing is left
        open.
        """
        before = open_descriptors()
        for path, code in (
            (self.folder, errno.EISDIR),
            (self.pipe(), errno.EINVAL),
            ("/dev/null", errno.EINVAL),
            ("/dev/zero", errno.EINVAL),
        ):
            error = self.assertRaises(NotAFile, read_file, path, 9)
            self.assertEqual((code, path), (error.errno, error.filename))
        self.assertRaises(NotAFile, read_input, self.folder)
        self.assertRaises(FileNotFoundError, open_file, self.path)
        self.assertEqual(before, open_descriptors())

    def test_writer(self) -> None:
        """
        The writer of a pipe is waited for where a user waits.
        """
        path = self.pipe()

        def write() -> None:
            with open(path, "wb") as file:
                file.write(b"piped")

        thread = threading.Thread(target=write)
        thread.start()
        self.assertEqual(b"piped", read_input(path))
        thread.join()

    def test_outputs(self) -> None:
        """
        A file is overwritten or appended to, and is made if there is none.
        """
        for opened, content in (
            (open_to_append, b"1"),
            (open_to_append, b"11"),
            (open_to_write, b"1"),
        ):
            descriptor = opened(self.path)
            self.assertTrue(os.get_blocking(descriptor))
            self.assertFalse(os.get_inheritable(descriptor))
            os.write(descriptor, b"1")
            os.close(descriptor)
            self.assertEqual(content, self.content())

    def test_noReader(self) -> None:
        """
        A pipe that nobody reads is not waited for either; one that is read is written.
        """
        path = self.pipe()
        for opened in (open_to_append, open_to_write):
            error = self.assertRaises(OSError, opened, path)
            self.assertEqual(
                (errno.ENXIO, "nobody reads this pipe"), (error.errno, error.strerror)
            )
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        for opened in (open_to_append, open_to_write):
            descriptor = opened(path)
            self.assertTrue(os.get_blocking(descriptor))
            os.write(descriptor, b"1")
            os.close(descriptor)
        self.assertEqual(b"11", os.read(reader, 9))

    def test_terminal(self) -> None:
        """
        No way of opening a terminal makes it the controlling terminal of a process that
        has none.
        """
        script = (
            "import contextlib, os, pty\n"
            "from twisted_h11._boundary import opening\n"
            "here, there = pty.openpty()\n"
            "name = os.ttyname(there)\n"
            "os.close(there)\n"
            "os.write(here, b'\\x04')\n"
            "for opened in (opening.open_file, opening.read_input,\n"
            "               opening.open_to_append, opening.open_to_write):\n"
            "    with contextlib.suppress(OSError):\n"
            "        opened(name)\n"
            "    try:\n"
            "        os.open('/dev/tty', os.O_RDWR)\n"
            "    except OSError:\n"
            "        print(opened.__name__)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script],
            start_new_session=True,
            capture_output=True,
            text=True,
            timeout=30,
            env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        )
        self.assertEqual("", done.stderr)
        self.assertEqual(
            ["open_file", "read_input", "open_to_append", "open_to_write"],
            done.stdout.split(),
        )


class UserTests(Names):
    """
    Everything that opens a file that a user names.
    """

    def test_pipes(self) -> None:
        """
        A named pipe without another end is refused at once, by all.
        """
        path = self.pipe()

        def config() -> None:
            Options().parseOptions(["--config", path])

        calls: list[tuple[Callable[[], Any], str]] = [
            (config, f"--config {path}: not a file"),
            (lambda: ErrorPages({404: path}), "not a file"),
            (lambda: read_certificates(path), f"{path}: not a file"),
            (lambda: LogFile(path), "nobody reads this pipe"),
            (lambda: NewFile(path), f"Can not write {path}: nobody reads this pipe"),
            (lambda: Appended(path, 0), "nobody reads this pipe"),
            (PublicFile(path).openForReading, "not a file of this site"),
            (lambda: self.passwords(path), "not a file"),
        ]
        kinds = (OSError, ValueError, UsageError, OutputFailed)
        for call, words in calls:
            with self.assertRaises(kinds) as caught:
                call()
            self.assertIn(words, str(caught.exception))

    def passwords(self, path: str) -> None:
        """
        Read passwords; the package for them is optional.
        """
        try:
            PasswordFile(path)
        except ImportError:
            raise OSError("not a file") from None

    def test_replaced(self) -> None:
        """
        A directory in the place of a file that is being served is refused as a pipe is,
        and nothing is left open.
        """
        before = open_descriptors()
        self.assertRaises(PermissionError, PublicFile(self.folder).openForReading)
        self.assertEqual(before, open_descriptors())

    def test_pidFile(self) -> None:
        """
        A pipe in the place of the pid file does not keep a process from ending.
        """
        ended: list[int] = []
        self.patch(os, "_exit", ended.append)
        leave(self.pipe(), 3)
        self.assertEqual([3], ended)

    def test_longPage(self) -> None:
        """
        An error page that is too long is named.
        """
        self.write(b"x" * ((1 << 20) + 1))
        error = self.assertRaises(ValueError, ErrorPages, {404: self.path})
        self.assertEqual(f"{self.path} is longer than {1 << 20} bytes", str(error))

    def test_errors(self) -> None:
        """
        The errors are those that these places always raise.
        """
        self.assertRaises(LogFileError, LogFile, self.folder)
        self.assertRaises(OutputFailed, NewFile, self.folder)
        self.assertRaises(BadUsage, parse, ["-d", "@" + self.folder, "a"])


class WaitingTests(Names):
    """
    A command that waits for a pipe.
    """

    def test_interrupted(self) -> None:
        """
        SIGINT ends it, without a word, for each file that it reads.
        """
        path = self.pipe()
        for options in (["-d", "@" + path], ["--cacert", path]):
            process = subprocess.Popen(
                [sys.executable, "-m", "twisted_h11", *options, "http://127.0.0.1:1"],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
            )
            # It opens the pipe, and waits for the second half of its input.
            with open(path, "wb"):
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=30)
            self.assertEqual((130, b"", b""), (process.returncode, out, err), options)


class StandardStreamTests(SynchronousTestCase):
    """
    L{standard_stream}.
    """

    def test_links(self) -> None:
        """
        A name leads there by so many links, but not by more.
        """
        folder = self.mktemp()
        os.mkdir(folder)
        name = "/dev/stdout"
        found = []
        for number in range(45):
            link = os.path.join(folder, str(number))
            os.symlink(name if number == 0 else str(number - 1), link)
            found.append(standard_stream(link))
        self.assertEqual([1] * 39 + [None] * 6, found)
        for name in ("/dev/null", "missing", "a\0b", folder):
            self.assertIsNone(standard_stream(name))
