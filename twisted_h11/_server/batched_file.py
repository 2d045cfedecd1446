"""
A log file that is written to in batches.

A file that the server has opened is written to twice a second, or when enough lines
wait, and when the site stops: a clean stop loses nothing, a crash at most half a
second.  A log object of the application is written to at once.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from twisted_h11._server.log_file import Losses
from twisted_h11._server.log_watch import LogWatch, watch_log

__all__ = ["FLUSH_SECONDS", "BatchedFile"]

FLUSH_SECONDS = 0.5
_MOST_LINES = 256

# How many lines wait while another process has the file open, and how often that is
# checked.
_MOST_HELD = 64 * 1024
_LOOK_SECONDS = 0.05


class BatchedFile:
    """
    A log file that is written to in batches.

    All other attributes are the file's own.  If a write fails the lines are dropped and
    counted, and an error is logged once.

    Lines wait while another process has the file open, because it may be about to
    truncate the file; see L{twisted_h11._server.log_watch}.

    @param file: the file.
    @param reactor: schedules the next write.
    """

    def __init__(self, file: Any, reactor: IReactorTime) -> None:
        self._file = file
        self._reactor = reactor
        self._watch = self._watchFile()
        self._lines: list[str] = []
        self._call: IDelayedCall | None = None
        self._losses = Losses("the access log")
        # flush() may be called in the thread that watches a process that does not end.
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def _watchFile(self) -> LogWatch | None:
        if not getattr(self._file, "mayBeCut", False):
            return None
        return watch_log(self._reactor, self._file.path, self._size)

    def _size(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    @property
    def dropped(self) -> int:
        """
        How many lines could not be written.
        """
        return self._losses.count + int(getattr(self._file, "dropped", 0))

    def write(self, line: str) -> None:
        """
        Queue a line, with its line end.
        """
        self._lines.append(line)
        if self._call is None:
            self._call = self._reactor.callLater(FLUSH_SECONDS, self._timeUp)
        elif len(self._lines) >= _MOST_LINES and not self._mustWait():
            self._writeLines()

    def _timeUp(self) -> None:
        self._call = None
        if not (self._lines or self._isInDoubt()) or not self._mustWait():
            self._writeLines()
        if self._lines or self._isInDoubt():
            self._call = self._reactor.callLater(_LOOK_SECONDS, self._timeUp)

    def _isInDoubt(self) -> bool:
        return self._watch is not None and self._watch.isInDoubt

    def _mustWait(self) -> bool:
        watch = self._watch
        return watch is not None and len(self._lines) < _MOST_HELD and watch.isBusy()

    def _writeLines(self, last: bool = False) -> None:
        """
        Write the queued lines.

        @param last: whether this file will not be written to again.
        """
        with self._lock:
            # Lines that are added meanwhile stay.
            count = len(self._lines)
            if not count and not self._isInDoubt():
                return
            text = "".join(self._lines[:count])
            del self._lines[:count]
            watch = self._watch
            if watch is not None:
                text = watch.gone(last).decode("utf-8") + text
            if not text:
                return
            dropped = self.dropped
            try:
                self._file.write(text)
            except OSError as error:
                # For example a full disk, or a pipe without a reader.
                self._losses.lost(count, error)
            else:
                self._losses.over()
                if watch is not None and self.dropped == dropped:
                    end = os.lseek(self._file.fileno(), 0, os.SEEK_CUR)
                    watch.wrote(text.encode("utf-8", "backslashreplace"), end)

    def flush(self) -> None:
        """
        Write what waits, and flush the file.  Any thread may call this.
        """
        self._writeLines()
        self._file.flush()

    def reopen(self) -> None:
        """
        Write what waits, and open the file anew.

        @raise OSError: if the file can not be opened.
        """
        self._writeLines(True)
        self._file.reopen()
        watch, self._watch = self._watch, self._watchFile()
        if watch is not None:
            watch.close()

    def close(self) -> None:
        """
        Write what waits, and close the file.
        """
        call, self._call = self._call, None
        if call is not None and call.active():
            call.cancel()
        try:
            self._writeLines(True)
        finally:
            self._file.close()
            watch, self._watch = self._watch, None
            if watch is not None:
                watch.close()
