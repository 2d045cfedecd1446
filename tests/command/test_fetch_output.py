"""
C{python -m twisted_h11 URL}: where the body goes, and what is said.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone

from tests.support.memory import MemoryTransport
from twisted_h11._command.fetch_output import (
    Appended,
    Messages,
    NewFile,
    Output,
    OutputFailed,
    Replacement,
    Sink,
)


class Full(io.BytesIO):
    """
    Takes so many pieces, and then no more.
    """

    left = 0

    def write(self, data: Any) -> int:
        """
        Take one.
        """
        if not self.left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.left -= 1
        return super().write(data)


class MessagesTests(SynchronousTestCase):
    """
    L{Messages}.
    """

    def test_written(self) -> None:
        """
        What is said is there at once.
        """
        stream = io.StringIO()
        Messages(stream).write("a")
        self.assertEqual("a", stream.getvalue())

    def test_nowhere(self) -> None:
        """
        Where nothing can be said, nothing is, and nobody looks.
        """
        closed = io.StringIO()
        closed.close()
        for stream in (None, closed):
            messages = Messages(stream)
            self.assertFalse(messages.isatty())
            messages.write("a")
            self.assertFalse(messages.writing)
            self.assertFalse(messages.isatty())

    def test_full(self) -> None:
        """
        After a failure nothing more is tried.
        """
        full = Full()
        stream = io.TextIOWrapper(full, write_through=True)
        messages = Messages(stream)
        messages.write("a")
        full.left = 9
        messages.write("b")
        self.assertEqual(b"", full.getvalue())


class FileTests(SynchronousTestCase):
    """
    Files, on a disk that is no good.
    """

    def setUp(self) -> None:
        """
        A file in a folder of its own.
        """
        self.folder = os.path.abspath(self.mktemp())
        os.makedirs(self.folder)
        self.path = os.path.join(self.folder, "file")
        with open(self.path, "wb") as file:
            file.write(b"here")

    def check(self, content: bytes) -> None:
        """
        Nothing else is left in the folder.
        """
        self.assertEqual(["file"], os.listdir(self.folder))
        with open(self.path, "rb") as file:
            self.assertEqual(content, file.read())

    def test_closed(self) -> None:
        """
        Standard output that was closed can not be written.
        """
        output = Output(None)
        error = self.assertRaises(OutputFailed, output.write, b"x")
        self.assertIn(os.strerror(errno.EBADF), str(error))
        self.assertEqual((0, False), (output.length, output.writing))

    def test_new(self) -> None:
        """
        A new file takes the place of what was there, as far as it came.
        """
        output = NewFile(self.path)
        output.write(b"new")
        output.end()
        self.check(b"new")
        self.assertEqual(3, output.length)

    def test_changed(self) -> None:
        """
        The rest goes behind what was there when it was asked for, and nothing else.
        """
        error = self.assertRaises(OutputFailed, Appended, self.path, 3)
        self.assertEqual(f"{self.path} has changed in the meantime", str(error))
        self.check(b"here")
        output = Appended(self.path, 4)
        output.write(b" too")
        output.end()
        self.check(b"here too")
        self.assertEqual(8, output.length)

    def test_noFolder(self) -> None:
        """
        A file that can not be made beside the old one is said with its folder.
        """
        path = os.path.join(self.folder, "none", "file")
        error = self.assertRaises(OutputFailed, Replacement, path)
        self.assertIn(f"Can not write in {os.path.dirname(path)}: No such", str(error))

    def test_notReplaced(self) -> None:
        """
        When the new file can not take its place, the old one is kept.
        """

        def refuse(*names: str) -> None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        for module, name in ((os, "replace"), (shutil, "copymode")):
            patch = self.patch(module, name, refuse)
            output = Replacement(self.path)
            output.write(b"new")
            error = self.assertRaises(OutputFailed, output.complete)
            self.assertIn("Permission denied", str(error))
            output.end()
            self.check(b"here")
            patch.restore()


class SinkTests(SynchronousTestCase):
    """
    L{Sink}.
    """

    def sink(self, output: Output) -> tuple[Sink, MemoryTransport]:
        """
        One that receives a body.
        """
        sink, transport = Sink(output), MemoryTransport()
        sink.makeConnection(transport)
        return sink, transport

    def test_all(self) -> None:
        """
        It says whether it is certain that all is there.
        """
        file = io.BytesIO()
        sink, _ = self.sink(Output(file))
        sink.dataReceived(b"a")
        sink.connectionLost(Failure(ResponseDone()))
        self.assertTrue(self.successResultOf(sink.done))
        self.assertEqual(b"a", file.getvalue())

    def test_full(self) -> None:
        """
        What can not be written ends the response, and nothing is written behind it,
        whatever still comes.
        """
        file = Full()
        file.left = 1
        sink, transport = self.sink(Output(file))
        sink.dataReceived(b"a")
        self.assertFalse(transport.aborted)
        sink.dataReceived(b"b")
        self.assertTrue(transport.aborted)
        file.left = 1
        sink.dataReceived(b"c")
        sink.connectionLost(Failure(ConnectionDone()))
        self.failureResultOf(sink.done, OutputFailed)
        self.assertEqual(b"a", file.getvalue())

    def test_cancelled(self) -> None:
        """
        Who does not wait any more is not told.
        """
        sink, _ = self.sink(Output(io.BytesIO()))
        sink.done.cancel()
        sink.connectionLost(Failure(ConnectionDone()))
        self.failureResultOf(sink.done, CancelledError)
