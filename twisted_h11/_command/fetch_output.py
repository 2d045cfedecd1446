"""
Where a fetched body goes, and how far it is.

What is on the disk is never made worse than it was: the rest of a file is appended
to it, and a whole new file takes its place when it is complete, not before.  And
nothing here waits for a terminal, a pipe or a disk that does not take what is
written: that ends the command, with curl's code.
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
    Standard error: what can not be written there is not missed.

    @param stream: C{None} if it was closed.
    @ivar writing: whether we are in the middle of a write, which may take long.
    """

    writing = False

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """
        Write, if that can be done.
        """
        self.writing = True
        try:
            if self._stream is not None:
                self._stream.write(text)
                self._stream.flush()
        except (OSError, ValueError):
            # It is full, or was closed, and will be.
            self._stream = None
        finally:
            self.writing = False

    def isatty(self) -> bool:
        """
        Whether somebody looks.
        """
        try:
            return self._stream is not None and self._stream.isatty()
        except ValueError:
            return False


def sizes(count: float) -> str:
    """
    A number of bytes for people.
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
    A line on a terminal that tells how far a download is.
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
        C{done} bytes are there, with those from earlier.
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
    A file that was opened by others.

    @param file: C{None} if it was closed.
    @ivar length: how many bytes are there, with those from earlier.
    @ivar writing: whether we are in the middle of a write, which may take long.
    """

    length = 0
    writing = False

    def __init__(self, file: IO[bytes] | None) -> None:
        self._file = file

    def write(self, data: bytes) -> None:
        """
        Write.

        @raise OutputFailed: if it can not be written.
        """
        self.writing = True
        try:
            if self._file is None:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            self._file.write(data)
            # Whoever reads from a pipe sees what has come, and what has come is
            # there after a kill.
            self._file.flush()
        except (OSError, ValueError) as error:
            raise _failed(error) from None
        finally:
            self.writing = False
        self.length += len(data)

    def complete(self) -> None:
        """
        All was written, and is what it should be.

        @raise OutputFailed: if it can not be what it should.
        """

    def end(self) -> None:
        """
        Nothing more will be written, be it complete or not.
        """


class NewFile(Output):
    """
    A file that is made, or overwritten.

    @raise OutputFailed: if that can not be done.
    """

    mode = "wb"

    def __init__(self, path: str) -> None:
        try:
            self._opened: IO[bytes] = open(path, self.mode)  # noqa: SIM115
        except (OSError, ValueError) as error:
            raise OutputFailed(f"Can not write {path}: {reason(error)}") from None
        super().__init__(self._opened)

    def end(self) -> None:
        """
        Close it.
        """
        with contextlib.suppress(OSError):
            self._opened.close()


class Appended(NewFile):
    """
    A file of which the beginning is here.

    @param length: how much of it.
    """

    mode = "ab"

    def __init__(self, path: str, length: int) -> None:
        super().__init__(path)
        self.length = length
        if os.fstat(self._opened.fileno()).st_size != length:
            self.end()
            raise OutputFailed(f"{path} has changed in the meantime")


class Replacement(NewFile):
    """
    A new file that takes the place of another when it is complete.
    """

    def __init__(self, path: str) -> None:
        # What a link leads to is replaced, not the link.
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
        Take the place.
        """
        try:
            shutil.copymode(self._path, self._new)
            os.replace(self._new, self._path)
        except OSError as error:
            raise _failed(error) from None
        self._done = True

    def end(self) -> None:
        """
        If it is not complete, there is no use for it.
        """
        super().end()
        if not self._done:
            with contextlib.suppress(OSError):
                os.unlink(self._new)


def _failed(error: Exception) -> OutputFailed:
    return OutputFailed(f"Can not write the body: {reason(error)}")


class Sink(Protocol):
    """
    Writes a body.

    @ivar done: fires when it is all written, with whether it is certain that it
        was all.
    """

    def __init__(self, output: Output, progress: Progress | None = None) -> None:
        self.done: Deferred[bool] = Deferred()
        self._output = output
        self._progress = progress
        self._error: OutputFailed | None = None

    def dataReceived(self, data: bytes) -> None:
        """
        Write it.
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
