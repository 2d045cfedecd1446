"""
Log files, opened to append, whose failures do not reach the caller.

A line is written by one call to C{write(2)}, on a descriptor that appends.  So several
processes can write whole lines to one file, and writing to a truncated file
(C{copytruncate} of logrotate) goes on at its beginning.  Writes of up to C{PIPE_BUF}
bytes to a pipe are atomic, so it gets no more at once.

If a write fails, on a full disk for instance, lines are dropped and counted; the
program's log gets one line when that begins, and one when it ends.  The rest of a line
that was written in part is kept, and written first.
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
from twisted_h11._boundary.opening import open_to_append, standard_stream

__all__ = ["LogFile", "LogFileError", "check_rotation"]

# How long to wait for the reader of a full pipe or terminal, in milliseconds.
_PATIENCE = 1000

_LF = 10


class LogFileError(OSError):
    """
    A log file can not be opened: the site's C{logPath}.

    @since: 0.1
    """


def _open(path: str | bytes) -> int:
    """
    Open a file to append to it.

    The descriptor of C{/dev/stdout} is duplicated: it may be a socket, which can not
    be opened by its name.

    @return: the descriptor.
    @raise LogFileError: if the file can not be opened.
    """
    try:
        standard = standard_stream(path)
        return open_to_append(path) if standard is None else os.dup(standard)
    except OSError as error:
        raise LogFileError(error.errno, error.strerror, path) from error


def check_rotation(size: int | None, count: int) -> None:
    """
    Check the arguments for rotation.

    @param size: how many bytes a file may have; C{None} for any number.
    @param count: how many old files are kept.
    @raise ValueError: for a number below one.
    """
    if size is not None and size < 1:
        raise ValueError(f"a log file must have at least one byte, not {size}")
    if count < 1:
        raise ValueError(f"at least one old log file must be kept, not {count}")


class Losses:
    """
    Counts the lines of a log that could not be written.

    @ivar count: how many lines were dropped.

    @param name: the name of the log, for messages.
    """

    _log = Logger()

    def __init__(self, name: str) -> None:
        self._name = name
        self.count = 0
        self._before: int | None = None

    def lost(self, lines: int, error: OSError) -> None:
        """
        Count dropped lines; log the first one of several failures.
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
        A write has succeeded: log the end of a failure.
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
    A text file to append lines to.  It may be renamed or truncated meanwhile, and
    several processes may write to it.

    L{write} does not raise: lines that can not be written are dropped and counted, and
    the program's log gets one line when that begins, and one when it ends.

    All methods may be called in any thread.

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
        @param path: the path of the file, which may be a named pipe that has a reader,
            or C{/dev/stdout}, or a link to it, which is not rotated.
        @param rotateSize: how many bytes the file may have.  Before it would have more
            it is renamed to its name and C{.1}, a file of that name to C{.2}, and so
            on.  By default it is not renamed, so that logrotate may do it.
        @param rotateCount: how many renamed files are kept, at least one.  The oldest
            is removed.
        @raise LogFileError: if the file can not be opened.
        @raise TypeError: for an argument of a wrong type.
        @raise ValueError: for a size or a count that is less than one.
        """
        check_rotation(rotateSize, rotateCount)
        self.path = os.fspath(path)
        self.closed = False
        self._rotateSize = rotateSize
        self._rotateCount = rotateCount
        self._losses = Losses(f"the log {os.fsdecode(path)}")
        # Re-entrant: the message about a failure may be written to this file.
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
        self._rotates = (
            self._rotateSize is not None
            and stat.S_ISREG(mode)
            and standard_stream(self.path) is None
        )

    @property
    def dropped(self) -> int:
        """
        How many lines could not be written.
        """
        return self._losses.count

    @property
    def mayBeCut(self) -> bool:
        """
        Whether the file is a regular one, which may be copied and truncated.
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

        @param text: the lines, with their line ends.  Characters that UTF-8 does not
            have are escaped.
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
        Write as much as the kernel writes atomically.
        """
        end = len(data)
        if self._atOnce is not None and end - start > self._atOnce:
            # Whole lines; a line that is too long is written alone.
            end = data.rfind(b"\n", start, start + self._atOnce) + 1
            if not end:
                end = data.find(b"\n", start) + 1 or len(data)
        piece = data[start:end]
        try:
            return os.write(self._descriptor, piece)
        except BlockingIOError:
            # Another process has made the pipe or terminal non-blocking.
            poll = select.poll()
            poll.register(self._descriptor, select.POLLOUT)
            if not poll.poll(_PATIENCE):
                raise
            return os.write(self._descriptor, piece)

    def flush(self) -> None:
        """
        Nothing to do: L{write} does not buffer.
        """

    def isatty(self) -> bool:
        """
        Whether the file is a terminal.
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
        Close a descriptor, after writing the rest of an incomplete line.
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
        Open the path again, and close the old file, for example after it was renamed.
        The standard output is not opened again.

        @raise LogFileError: if the path can not be opened; the old file stays in use.
        """
        with self._lock:
            if self.closed or standard_stream(self.path) is not None:
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
                # Another process is renaming it.
                return
            try:
                if self._isCurrent():
                    self._rename()
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self.reopen()
        except OSError as error:
            # Do not try again before the file is reopened.
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
