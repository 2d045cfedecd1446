"""
Whether somebody else has a log file open now.

C{copytruncate} of logrotate opens a log, copies it, and cuts it to nothing.  What is
appended between the end of the copy and the cut is gone, and the disk is asked to keep
the copy meanwhile, which takes its time.  Linux tells who opens, reads and closes a
file; so lines wait until whoever has opened it has closed it, but not for longer than
L{PATIENCE}: who reads a log to its end and waits for more never does.

Lines are written while the file is open, all the same: after that time, when too many
wait, and when another process opens the file between the look and the write.  They are
in doubt.  Who copies a file reads until there is no more, so what was written before
the last read is in the copy; if the file is cut, the rest is gone, and is written
again.  The file was cut if it is shorter than where our last line ended, or if our
next line begins before that.  Other processes that write to it find out in the same
way, so nobody writes again before the others have had the time to look.  What is copied
while it is being written may be there twice; nothing is missing.
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
    # Not on Linux.
    inotify = None  # type: ignore[assignment]

__all__ = ["PATIENCE", "LogWatch", "watch_log"]

PATIENCE = 5.0
"""
Seconds that lines wait for somebody who has the file open.
"""

# Reads from the kernel's queue, of some hundred events each.
_MOST_READS = 50

# For how many seconds after the file was opened lines may be in doubt, and how many
# bytes of them are kept: the oldest are given up.
_DOUBT = 60.0
_MOST_KEPT = 1 << 25

# How long after the cut they are written again: some looks of other processes later.
_OTHERS_LOOK = 0.25


class LogWatch:
    """
    Looks who opens a file.

    @param reactor: a reactor.
    @param path: the path of the file; it is the file that counts, not its name.
    @param size: tells how long the file is that is written to.
    """

    def __init__(
        self, reactor: Any, path: str | bytes, size: Callable[[], int]
    ) -> None:
        self._notify = inotify.INotify(reactor)
        self._open = self._tolerated = 0
        # Whoever opened the file before we look may be copying it.
        self._since = self._begun = monotonic()
        self._told = False
        self._events: list[int] = []
        # What nobody may have read: written, of what length, and where it ended.
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
            # It may have been opened before we looked.
            self._open = max(self._open - 1, 0)
            self._tolerated = min(self._tolerated, self._open)

    def isBusy(self) -> bool:
        """
        Whether somebody has opened the file and not closed it, not long ago.
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

    # -- what was written while somebody had the file open --------------------------

    @property
    def isInDoubt(self) -> bool:
        """
        Whether lines that were written may be gone, or are.
        """
        return bool(self._unread or self._gone)

    def wrote(self, data: bytes, end: int) -> None:
        """
        Note what was written to the file.

        @param data: the lines.
        @param end: where in the file they end.
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
        Take what was written and is gone.

        @param atOnce: whether other processes can not be given the time to look.
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
        See whether the file was cut, and whether it still may be.
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
        Look no more.
        """
        self._notify.connectionLost(Failure(ConnectionDone()))


def watch_log(
    reactor: Any, path: str | bytes, size: Callable[[], int]
) -> LogWatch | None:
    """
    Look who opens a file, if that is possible here.

    @param reactor: the reactor of the program, or anything else.
    @param path: the path of the file.
    @param size: tells how long the file is that is written to.
    """
    if inotify is None or not IReactorFDSet.providedBy(reactor):
        return None
    try:
        return LogWatch(reactor, path, size)
    except Exception:
        # There may be only so many: its error has no public name.
        return None
