"""
Log files: opened to append, and never in the way.

A line is written by one call to C{write(2)}, on a descriptor that appends.  So the
lines of several processes stand in one file without being torn, and a file that
was cut to nothing (C{copytruncate} of logrotate) goes on at its beginning.  A pipe
keeps together what is at most C{PIPE_BUF} bytes, so it gets no more at once.

Where nothing can be written, on a full disk for instance, lines are dropped: they
are counted, and that it began and ended is said in the program's log, once each.
Of a line that has been written in part the rest is kept, and written first.
"""

from __future__ import annotations

import fcntl
import os
import select
import stat
import threading

from twisted.logger import Logger

from twisted_h11._boundary.checks import NUMBER, PATH, checked, optional
from twisted_h11._boundary.explain import reason

__all__ = ["LogFile", "LogFileError", "check_rotation"]

# How long somebody may need who reads what must not block, in milliseconds.
_PATIENCE = 1000

_LF = 10

_STANDARD = {
    "/dev/stdout": 1,
    "/dev/stderr": 2,
    "/dev/fd/1": 1,
    "/dev/fd/2": 2,
    "/proc/self/fd/1": 1,
    "/proc/self/fd/2": 2,
}


class LogFileError(OSError):
    """
    A log file can not be opened: the site's C{logPath}.

    @since: 0.1
    """


def _open(path: str | bytes) -> int:
    """
    Open a file to append to it.

    What is no regular file (a pipe, a terminal, C{/dev/stdout}) has no end to go
    to.  The standard output may also be a socket, which can not be opened by its
    name at all.

    @return: the descriptor.
    @raise LogFileError: if that is not possible.
    """
    try:
        standard = _STANDARD.get(os.fsdecode(path))
        if standard is not None:
            return os.dup(standard)
        # A named pipe that nobody reads would hold us here for ever.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(path, flags | os.O_NONBLOCK, 0o666)
        os.set_blocking(descriptor, True)
        return descriptor
    except OSError as error:
        raise LogFileError(error.errno, error.strerror, path) from error


def check_rotation(size: int | None, count: int) -> None:
    """
    @param size: bytes that a file may have, if that is bounded.
    @param count: how many old ones there may be.
    @raise ValueError: for what can not be kept.
    """
    if size is not None and size < 1:
        raise ValueError(f"a log file has at least one byte: {size}")
    if count < 1:
        raise ValueError(f"at least one old log file is kept, or more: {count}")


class Losses:
    """
    Lines of a log that could not be written.

    @ivar count: how many.

    @param name: of the log, for messages.
    """

    _log = Logger()

    def __init__(self, name: str) -> None:
        self._name = name
        self.count = 0
        self._before: int | None = None

    def lost(self, lines: int, error: OSError) -> None:
        """
        Count lines; the first of a row of failures is told.
        """
        before = self.count
        self.count += lines
        if self._before is None:
            self._before = before
            self._log.error(
                "Can not write {name}: {reason}; lines are dropped until that is "
                "possible",
                name=self._name,
                reason=reason(error),
            )

    def over(self) -> None:
        """
        Something was written.
        """
        if self._before is not None:
            dropped, self._before = self.count - self._before, None
            self._log.warn(
                "{name} is written again; {dropped} lines were dropped",
                name=self._name,
                dropped=dropped,
            )


class LogFile:
    """
    A text file to append lines to, which may be moved away or cut to nothing while it
    is written to, and which any number of processes may write to.

    Writing never fails: lines that can not be written are dropped and counted, and
    the program's log says once that it began, and once that it is over.

    It may be used in any thread.

    @ivar path: the path of the file.
    @ivar closed: whether it is closed.

    @since: 0.1
    """

    _log = Logger()

    @checked(path=PATH, rotateSize=optional(NUMBER), rotateCount=NUMBER)
    def __init__(
        self,
        path: str | bytes | os.PathLike[str],
        rotateSize: int | None = None,
        rotateCount: int = 5,
    ) -> None:
        """
        @param path: the path of the file; a named pipe that somebody reads, or
            C{/dev/stdout}, will do.
        @param rotateSize: the number of bytes that the file may have: before it would
            have more it is renamed to its name and C{.1}, what had that name to C{.2},
            and so on.  By default nobody renames it, or logrotate does.
        @param rotateCount: how many renamed files there may be; at least one.  The
            oldest is removed.
        @raise LogFileError: if it can not be opened.
        @raise TypeError: for an argument that is something else.
        @raise ValueError: for a size or a count that is less than one.
        """
        check_rotation(rotateSize, rotateCount)
        self.path = os.fspath(path)
        self.closed = False
        self._rotateSize = rotateSize
        self._rotateCount = rotateCount
        self._losses = Losses(f"the log {os.fsdecode(path)}")
        # What it says of a failure may come back here.
        self._lock = threading.RLock()
        self._rest = b""
        self._descriptor = -1
        self._take(_open(self.path))

    def _take(self, descriptor: int) -> None:
        self._descriptor = descriptor
        mode = os.fstat(descriptor).st_mode
        self._atOnce = (
            select.PIPE_BUF if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else None
        )
        self._rotates = self._rotateSize is not None and stat.S_ISREG(mode)

    @property
    def dropped(self) -> int:
        """
        How many lines could not be written.
        """
        return self._losses.count

    @property
    def mayBeCut(self) -> bool:
        """
        Whether it is a file that others may copy and cut to nothing.
        """
        regular = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
        return regular and not self._rotates

    def fileno(self) -> int:
        """
        The descriptor of the file.
        """
        return self._descriptor

    def write(self, text: str) -> None:
        """
        Write lines.

        @param text: the lines, with their line ends.  What UTF-8 does not have is
            written with escapes.
        """
        data = text.encode("utf-8", "backslashreplace")
        with self._lock:
            if self.closed:
                return
            if self._rotates:
                self._rotateFor(len(data))
            self._write(data)

    def _write(self, data: bytes) -> None:
        torn = bool(self._rest)
        data = self._rest + data
        done = 0
        try:
            while done < len(data):
                done += self._writeSome(data, done)
        except OSError as error:
            torn = data[done - 1] != _LF if done else torn
            end = data.find(b"\n", done) + 1 if torn else done
            self._rest = data[done:end]
            self._losses.lost(data.count(b"\n", end), error)
        else:
            self._rest = b""
            self._losses.over()

    def _writeSome(self, data: bytes, start: int) -> int:
        """
        Write what the kernel keeps together.
        """
        end = len(data)
        if self._atOnce is not None and end - start > self._atOnce:
            # Whole lines; one that is too long by itself, by itself.
            end = data.rfind(b"\n", start, start + self._atOnce) + 1
            if not end:
                end = data.find(b"\n", start) + 1 or len(data)
        piece = data[start:end]
        try:
            return os.write(self._descriptor, piece)
        except BlockingIOError:
            # Somebody who has the same pipe or terminal wants it so.
            poll = select.poll()
            poll.register(self._descriptor, select.POLLOUT)
            if not poll.poll(_PATIENCE):
                raise
            return os.write(self._descriptor, piece)

    def flush(self) -> None:
        """
        There is nothing that would wait here.
        """

    def isatty(self) -> bool:
        """
        Whether it is a terminal.
        """
        return not self.closed and os.isatty(self._descriptor)

    def close(self) -> None:
        """
        Close the file.  What is written afterwards is dropped.
        """
        with self._lock:
            if not self.closed:
                self.closed = True
                self._finish(self._descriptor)

    def _finish(self, descriptor: int) -> None:
        """
        Close a descriptor, which may have half of a line.
        """
        rest, self._rest = self._rest, b""
        try:
            if rest:
                os.write(descriptor, rest)
        except OSError as error:
            self._losses.lost(1, error)
        finally:
            os.close(descriptor)

    # -- another file of the same name --------------------------------------------

    def reopen(self) -> None:
        """
        Close the file and open what has its name now, after somebody has moved it
        away.  The standard output stays what it is.

        @raise LogFileError: if that can not be opened; the old file goes on being
            written to.
        """
        with self._lock:
            if self.closed or os.fsdecode(self.path) in _STANDARD:
                return
            opened, old = _open(self.path), self._descriptor
            self._finish(old)
            self._take(opened)

    def _rotateFor(self, length: int) -> None:
        """
        Rename the file, if it would get too long.
        """
        assert self._rotateSize is not None
        try:
            size = os.fstat(self._descriptor).st_size
            if not size or size + length <= self._rotateSize:
                return
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                # Another process is about to do it.
                return
            try:
                if self._isCurrent():
                    self._rename()
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self.reopen()
        except OSError as error:
            # The next time that it is opened it may be possible.
            self._rotates = False
            self._log.error(
                "Can not rotate the log {path}: {reason}; it grows on",
                path=os.fsdecode(self.path),
                reason=reason(error),
            )

    def _isCurrent(self) -> bool:
        """
        Whether the file still has its name.
        """
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False

    def _rename(self) -> None:
        path = os.fsdecode(self.path)
        for number in range(self._rotateCount - 1, 0, -1):
            if os.path.exists(f"{path}.{number}"):
                os.replace(f"{path}.{number}", f"{path}.{number + 1}")
        os.replace(path, f"{path}.1")
