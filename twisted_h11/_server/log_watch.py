"""
Protection of log lines against the truncation of their file.

C{copytruncate} of logrotate opens a log, copies it, and truncates it.  Lines appended
between the end of the copy and the truncation are lost, and syncing the copy to disk in
between takes time.  Linux reports when a file is opened, read and closed (inotify).  So
lines wait while another process has the file open, up to L{PATIENCE}: a process that
follows the end of a log, as C{tail -f}, never closes it.

Some lines are written while the file is open: after that time, when too many wait, and
when another process opens the file between the check and the write.  They are in doubt.
A copying process reads up to the end of the file, so lines written before the last read
are in the copy; if the file is truncated, the later ones are lost, and are written
again.  The file was truncated if it is shorter than the end of our last line, or if our
next line begins before that end.  Other processes that write to it find out in the same
way, so none writes again before the others have had time to check.  Lines that are
copied while they are written may appear twice; none is missing.
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

__all__ = ["PATIENCE", "LogWatch", "watch_log"]

PATIENCE = 5.0
"""
How many seconds lines wait while another process has the file open.
"""

# The bound on reads from the kernel's queue, of some hundred events each.
_MOST_READS = 50

# For how many seconds after the file was opened lines are in doubt, and how many bytes
# of them are kept; the oldest are dropped.
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
        self._open = self._tolerated = 0
        # A process that opened the file before this may be copying it.
        self._since = self._begun = monotonic()
        self._told = False
        self._events: list[int] = []
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
        self._events.append(mask)
        if mask & inotify.IN_OPEN:
            self._open += 1
            self._since = monotonic()
        elif mask & inotify.IN_CLOSE:
            # It may have been opened before the watch began.
            self._open = max(self._open - 1, 0)
            self._tolerated = min(self._tolerated, self._open)

    def isBusy(self) -> bool:
        """
        Whether another process has opened the file within L{PATIENCE}, and not closed
        it.
        """
        self._settle()
        if self._open > self._tolerated and monotonic() - self._since > PATIENCE:
            self._tolerated = self._open
        return self._open > self._tolerated

    def _look(self) -> None:
        for _ in range(_MOST_READS):
            self._told = False
            self._notify.doRead()
            if not self._told:
                break

    def _mayBeCut(self) -> bool:
        now = monotonic()
        opened = self._open > 0 and now - self._since < _DOUBT
        return opened or now - self._begun < PATIENCE

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
        if end - len(data) < self._end:
            self._wasCut()
        self._end = end
        self._look()
        events = self._events
        written = events.index(inotify.IN_MODIFY) if inotify.IN_MODIFY in events else 0
        opened = inotify.IN_OPEN in events
        read = inotify.IN_ACCESS in events[written:]
        events.clear()
        if read:
            self._forget()
        elif opened or self._mayBeCut():
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
        if inotify.IN_ACCESS in self._events:
            self._forget()
        self._events.clear()
        self._decide()

    def _decide(self) -> None:
        """
        Check whether the file was truncated, and whether it still may be.
        """
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
