"""
Where a fetched body goes, and how far it is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, BinaryIO, TextIO

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss

__all__ = ["OutputFailed", "Progress", "Sink", "sizes"]

# How often the progress is shown, in seconds, and how wide the bar is.
INTERVAL = 0.2
WIDTH = 24


class OutputFailed(Exception):
    """
    The body could not be written.
    """


def sizes(count: float) -> str:
    """
    A number of bytes for people.
    """
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            break
        count /= 1024
    return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"


class Progress:
    """
    A line on a terminal that tells how far a download is.
    """

    def __init__(
        self,
        stream: TextIO,
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
        self._stream.flush()


class Sink(Protocol):
    """
    Writes a body to a file or to standard output.

    @ivar done: fires with C{None} when it is all written.
    """

    def __init__(
        self, file: BinaryIO, begin: int = 0, progress: Progress | None = None
    ) -> None:
        self.done: Deferred[None] = Deferred()
        self._file = file
        self._length = begin
        self._progress = progress
        self._error: OutputFailed | None = None

    def dataReceived(self, data: bytes) -> None:
        """
        Write it.
        """
        if self._error is not None:
            return
        try:
            self._file.write(data)
        except OSError as error:
            self._fail(error)
            return
        self._length += len(data)
        if self._progress is not None:
            self._progress.show(self._length)

    def _fail(self, error: OSError) -> None:
        self._error = OutputFailed(f"Can not write the body: {error.strerror}")
        if isinstance(error, BrokenPipeError):
            # So that Python does not complain once more at its exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        self.transport.abortConnection()  # type: ignore[union-attr]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The body has ended.
        """
        if self._error is None:
            try:
                self._file.flush()
            except OSError as error:
                self._error = OutputFailed(f"Can not write the body: {error.strerror}")
        if self._progress is not None:
            self._progress.show(self._length, last=True)
        if self._error is not None:
            self.done.errback(self._error)
        elif reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(None)
        else:
            self.done.errback(reason)


def open_output(path: str | None, append: bool, stdout: Any) -> BinaryIO:
    """
    The file that a body is written to.

    @raise OutputFailed: if it can not be opened.
    """
    if path is None or path == "-":
        out: BinaryIO = getattr(stdout, "buffer", stdout)
        return out
    try:
        return open(path, "ab" if append else "wb")
    except OSError as error:
        raise OutputFailed(f"Can not write {path}: {error.strerror}") from None
