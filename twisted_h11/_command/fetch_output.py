"""
The output of a fetched body, and its progress.

A resumed download never loses data: the rest of a file is appended to it, and a new
file replaces it only when it is complete.  An output that can not be written ends the
command, with curl's exit code.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Callable
from typing import IO, TextIO

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss

from twisted_h11._boundary.explain import reason
from twisted_h11._boundary.opening import open_to_append, open_to_write

__all__ = [
    "Appended",
    "Messages",
    "NewFile",
    "Output",
    "OutputFailed",
    "Progress",
    "Replacement",
    "Sink",
    "sizes",
]

# How often the progress is shown, in seconds, and how wide the bar is.
INTERVAL = 0.2
WIDTH = 24


class OutputFailed(Exception):
    """
    The body could not be written.
    """


class Messages:
    """
    Standard error.  Errors of writing are ignored.

    @param stream: the stream; C{None} if it was closed.
    @ivar writing: whether a write is under way, which may block.
    """

    writing = False

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """
        Write C{text}, if that is possible.
        """
        self.writing = True
        try:
            if self._stream is not None:
                self._stream.write(text)
                self._stream.flush()
        except (OSError, ValueError):
            # The disk is full, or the stream was closed: do not try again.
            self._stream = None
        finally:
            self.writing = False

    def isatty(self) -> bool:
        """
        Whether the stream is a terminal.
        """
        try:
            return self._stream is not None and self._stream.isatty()
        except ValueError:
            return False


def sizes(count: float) -> str:
    """
    Format a number of bytes for people.
    """
    unit = "bytes"
    for larger in ("KiB", "MiB", "GiB"):
        if count < 1024:
            break
        count /= 1024
        unit = larger
    return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"


class Progress:
    """
    A line on a terminal with the progress of a download.
    """

    def __init__(
        self,
        stream: Messages,
        seconds: Callable[[], float],
        begin: int,
        total: int | None,
    ) -> None:
        self._stream = stream
        self._seconds = seconds
        self._begin = begin
        self._total = total
        self._started = seconds()
        self._shown: float | None = None

    def show(self, done: int, last: bool = False) -> None:
        """
        Update the line.

        @param done: how many bytes are written, with those of earlier downloads.
        @param last: whether the download has ended.
        """
        now = self._seconds()
        if not last and self._shown is not None and now - self._shown < INTERVAL:
            return
        self._shown = now
        elapsed = now - self._started
        rate = (done - self._begin) / elapsed if elapsed > 0 else 0.0
        if self._total:
            part = min(1.0, done / self._total)
            bar = "#" * int(part * WIDTH)
            text = f"{part:4.0%} [{bar:<{WIDTH}}] {sizes(done)} of {sizes(self._total)}"
        else:
            text = sizes(done)
        self._stream.write(f"\r{text}, {sizes(rate)}/s\x1b[K" + ("\n" if last else ""))


class Output:
    """
    An output to a file that is open already.

    @param file: the file; C{None} if it was closed.
    @ivar length: how many bytes it has, with those of earlier downloads.
    @ivar writing: whether a write is under way, which may block.
    """

    length = 0
    writing = False

    def __init__(self, file: IO[bytes] | None) -> None:
        self._file = file

    def write(self, data: bytes) -> None:
        """
        Write a piece of the body.

        @raise OutputFailed: if it can not be written.
        """
        self.writing = True
        try:
            if self._file is None:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            self._file.write(data)
            # The reader of a pipe sees each piece at once, and a file keeps it if
            # this process is killed.
            self._file.flush()
        except (OSError, ValueError) as error:
            raise _failed(error) from None
        finally:
            self.writing = False
        self.length += len(data)

    def complete(self) -> None:
        """
        The whole body was written: put it in its place.

        @raise OutputFailed: if that is not possible.
        """

    def end(self) -> None:
        """
        Release the output, complete or not.
        """


class NewFile(Output):
    """
    A file that is created, or overwritten; or a pipe that has a reader.

    @raise OutputFailed: if it can not be opened.
    """

    @staticmethod
    def _open(path: str) -> int:
        return open_to_write(path)

    def __init__(self, path: str) -> None:
        try:
            self._opened: IO[bytes] = os.fdopen(self._open(path), "wb")
        except (OSError, ValueError) as error:
            raise OutputFailed(f"Can not write {path}: {reason(error)}") from None
        super().__init__(self._opened)

    def end(self) -> None:
        """
        Close the file.
        """
        with contextlib.suppress(OSError):
            self._opened.close()


class Appended(NewFile):
    """
    A file that has the beginning of the body already.

    @param length: how many bytes it has.
    @param end: how many it may have at most; C{None} for any number.
    """

    @staticmethod
    def _open(path: str) -> int:
        return open_to_append(path)

    def __init__(self, path: str, length: int, end: int | None = None) -> None:
        super().__init__(path)
        self.length = length
        self._end = end
        if os.fstat(self._opened.fileno()).st_size != length:
            self.end()
            raise OutputFailed(f"{path} has changed in the meantime")

    def write(self, data: bytes) -> None:
        """
        Write a piece of the body, as far as the range goes.

        @raise OutputFailed: if it goes on behind that, too.
        """
        room = len(data) if self._end is None else self._end - self.length
        super().write(data[:room])
        if len(data) > room:
            raise OutputFailed("The server sent more than the range that it announced")


class Replacement(NewFile):
    """
    A new file that replaces another one when it is complete.
    """

    def __init__(self, path: str) -> None:
        # Replace the target of a symbolic link, not the link.
        self._path = os.path.realpath(path)
        folder, name = os.path.split(self._path)
        try:
            descriptor, self._new = tempfile.mkstemp(
                prefix=f".{name[:99]}.", dir=folder
            )
            os.close(descriptor)
        except OSError as error:
            raise OutputFailed(f"Can not write in {folder}: {reason(error)}") from None
        self._done = False
        super().__init__(self._new)

    def complete(self) -> None:
        """
        Rename the new file to the path of the old one.
        """
        try:
            shutil.copymode(self._path, self._new)
            os.replace(self._new, self._path)
        except OSError as error:
            raise _failed(error) from None
        self._done = True

    def end(self) -> None:
        """
        Remove the new file if it is not complete.
        """
        super().end()
        if not self._done:
            with contextlib.suppress(OSError):
                os.unlink(self._new)


def _failed(error: Exception) -> OutputFailed:
    return OutputFailed(f"Can not write the body: {reason(error)}")


class Sink(Protocol):
    """
    Writes a body to an output.

    @ivar done: fires when the body has ended and was written, with whether it is
        certainly complete.
    """

    def __init__(self, output: Output, progress: Progress | None = None) -> None:
        self.done: Deferred[bool] = Deferred()
        self._output = output
        self._progress = progress
        self._error: OutputFailed | None = None

    def dataReceived(self, data: bytes) -> None:
        """
        Write a piece of the body.
        """
        if self._error is not None:
            return
        try:
            self._output.write(data)
        except OutputFailed as error:
            self._error = error
            self.transport.abortConnection()  # type: ignore[union-attr]
            return
        if self._progress is not None:
            self._progress.show(self._output.length)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The body has ended.
        """
        if self._progress is not None:
            self._progress.show(self._output.length, last=True)
        if self._error is not None:
            self.done.errback(self._error)
        elif reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(reason.check(ResponseDone) is not None)
        else:
            self.done.errback(reason)
