"""
Protection of log lines against the truncation of their file.

C{copytruncate} of logrotate opens a log, copies it, and truncates it.  Lines appended
between the end of the copy and the truncation are lost, and syncing the copy to disk in
between takes time.  Linux reports when a file is opened, read and closed (inotify).  So
lines wait while another process has the file open, up to L{PATIENCE}: a process that
follows the end of a log, as C{tail -f}, never closes it.

How many have it open is a guess: Linux reports equal events that follow each other as
one, and does not say whose they are.  So those that seem to have it open yet when one
has closed it are waited for L{BRIEFLY} only, and so are those that have read nothing:
they do not copy it, but write to it as we do.

Some lines are written while the file may be open: after that time, when too many wait,
and when another process opens the file between the check and the write.  They are in
doubt.  A copying process reads up to the end of the file, so lines written before the
last read are in the copy; if the file is truncated, the later ones are lost, and are
written again.  The file was truncated if it is shorter than the end of our last line,
or if our next line begins before that end.  Other processes that write to it find out
in the same way, so none writes again before the others have had time to check.  Lines
that are copied while they are written may appear twice; none is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorFDSet
from twisted.python.failure import Failure
from twisted.python.filepath import FilePath

try:
    from twisted.internet import inotify
except ImportError:
    # Not Linux.
    inotify = None  # type: ignore[assignment]

__all__ = ["BRIEFLY", "PATIENCE", "LogWatch", "watch_log"]

PATIENCE = 5.0
"""
How many seconds lines wait while another process has the file open.
"""

BRIEFLY = 1.0
"""
How many seconds they wait if nobody reads it, or if somebody else has closed it.
"""

# Whoever copies the file reads from it within so many seconds, usually: if the next one
# opens it later, reads are those of the next.
_READS = 0.05

# The bound on reads from the kernel's queue, of some hundred events each.
_MOST_READS = 50

# For how many seconds after the file was opened lines are in doubt, unless it seems to
# be closed, and how many bytes of them are kept; the oldest are dropped.
_DOUBT = 60.0
_MOST_KEPT = 1 << 25

# How many seconds after the truncation lines are written again: other processes check
# several times meanwhile.
_OTHERS_LOOK = 0.25


class LogWatch:
    """
    Watches the opening, reading and closing of a file.

    @param reactor: a reactor.
    @param path: the path of the file; the watch follows the file if it is renamed.
    @param size: returns the length of the file that is written to, in bytes.
    """

    def __init__(
        self, reactor: Any, path: str | bytes, size: Callable[[], int]
    ) -> None:
        self._notify = inotify.INotify(reactor)
        # How many have opened the file since one closed it, when the last did, and
        # whether it was read since.
        self._opened = 0
        # A process that opened the file before this may be copying it.
        self._since = monotonic()
        self._isRead = False
        # How many had it open when one closed it, until when they are waited for, and
        # since when lines wait.
        self._left = 0
        self._until = self._begun = 0.0
        # How many may have it open, whether they are waited for or not.
        self._open = 0
        self._told = False
        # The last of "R" and "M", read and modified, since the last look.
        self._events = ""
        # Written lines that may not have been read, their length, and the offset of
        # their end in the file.
        self._unread: list[bytes] = []
        self._kept = 0
        self._end = 0
        self._gone: list[bytes] = []
        self._cutAt = 0.0
        self._size = size
        try:
            self._notify.watch(
                FilePath(path),
                mask=inotify.IN_OPEN
                | inotify.IN_CLOSE
                | inotify.IN_ACCESS
                | inotify.IN_MODIFY,
                callbacks=[self._changed],
            )
        except BaseException:
            self.close()
            raise

    def _changed(self, _: object, path: object, mask: int) -> None:
        self._told = True
        if mask & inotify.IN_OPEN:
            now = monotonic()
            if not self._isRead and now - self._since > _READS:
                self._opened = 0
            if not self._waits(now):
                self._begun = now
            self._isRead = self._isRead and self._opened > 0
            self._since = now
            self._opened += 1
            self._open += 1
        elif mask & inotify.IN_CLOSE:
            self._closed()
        else:
            event = "R" if mask & inotify.IN_ACCESS else "M"
            self._isRead = self._isRead or event == "R"
            if not self._events.endswith(event):
                self._events = self._events[-2:] + event

    def _closed(self) -> None:
        # It may have been opened before the watch began.
        self._open = max(self._open - 1, 0)
        if self._opened:
            self._opened -= 1
        elif self._left:
            self._left -= 1
        if self._opened or self._left:
            self._left += self._opened
            self._opened = 0
            self._until = min(monotonic() + BRIEFLY, self._begun + PATIENCE)

    def _waits(self, now: float) -> bool:
        if now - self._since > (PATIENCE if self._isRead else BRIEFLY):
            self._opened = 0
        if now > self._until:
            self._left = 0
        return self._opened > 0 or self._left > 0

    def isBusy(self) -> bool:
        """
        Whether another process may be about to truncate the file: it has opened it
        within L{PATIENCE}, and seems not to have closed it.
        """
        self._settle()
        return self._waits(monotonic())

    def _look(self) -> None:
        for _ in range(_MOST_READS):
            self._told = False
            self._notify.doRead()
            if not self._told:
                break

    def _mayBeCut(self) -> bool:
        # One that has closed the file may have opened it together with another.
        return monotonic() - self._since < (_DOUBT if self._open else PATIENCE)

    # -- lines in doubt -------------------------------------------------------------

    @property
    def isInDoubt(self) -> bool:
        """
        Whether written lines may be lost, or are.
        """
        return bool(self._unread or self._gone)

    def wrote(self, data: bytes, end: int) -> None:
        """
        Note what was written to the file.

        @param data: the lines.
        @param end: the offset of their end in the file, in bytes.
        """
        self._look()
        start = end - len(data)
        if "RM" in self._events:
            # Whoever has read the file, even if it was truncated then, has the lines
            # that were in doubt.
            self._forget()
        if start < self._end:
            self._wasCut()
        # The first change is our own if nobody else has written.
        read = "MR" in self._events if start == self._end else self._events[-1:] == "R"
        self._end = end
        if read:
            self._forget()
        elif self._mayBeCut():
            self._keep(data)
        self._decide()

    def gone(self, atOnce: bool = False) -> bytes:
        """
        Take the lost lines, which must be written again.

        @param atOnce: whether to take them before other processes had time to check.
        """
        self._settle()
        if not atOnce and monotonic() - self._cutAt < _OTHERS_LOOK:
            return b""
        data = b"".join(self._gone)
        self._gone.clear()
        return data

    def _settle(self) -> None:
        self._look()
        if "R" in self._events:
            self._forget()
        self._decide()

    def _decide(self) -> None:
        """
        Check whether the file was truncated, and whether it still may be.
        """
        self._events = ""
        if self._unread:
            if self._size() < self._end:
                self._wasCut()
            elif not self._mayBeCut():
                self._forget()

    def _keep(self, data: bytes) -> None:
        self._unread.append(data)
        self._kept += len(data)
        while self._kept > _MOST_KEPT:
            self._kept -= len(self._unread.pop(0))

    def _wasCut(self) -> None:
        if self._unread:
            self._gone += self._unread
            self._cutAt = monotonic()
        self._forget()

    def _forget(self) -> None:
        self._unread.clear()
        self._kept = 0

    def close(self) -> None:
        """
        Stop watching.
        """
        self._notify.connectionLost(Failure(ConnectionDone()))


def watch_log(
    reactor: Any, path: str | bytes, size: Callable[[], int]
) -> LogWatch | None:
    """
    Watch a file, if the system and the reactor can.

    @param reactor: the reactor of the program, or a clock.
    @param path: the path of the file.
    @param size: returns the length of the file that is written to, in bytes.
    @return: the watch, or C{None}.
    """
    if inotify is None or not IReactorFDSet.providedBy(reactor):
        return None
    try:
        return LogWatch(reactor, path, size)
    except Exception:
        # The limit of watches is reached; the error has no public name.
        return None
