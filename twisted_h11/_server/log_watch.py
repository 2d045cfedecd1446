"""
Whether somebody else has a log file open now.

C{copytruncate} of logrotate opens a log, copies it, and cuts it to nothing.  What is
appended between the end of the copy and the cut is gone, and the disk is asked to keep
the copy meanwhile, which takes its time.  Linux tells who opens and closes a file; so
lines wait until whoever has opened it has closed it, but not for longer than
L{PATIENCE}: who reads a log to its end and waits for more never does.
"""

from __future__ import annotations

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


class LogWatch:
    """
    Looks who opens a file.

    @param reactor: a reactor.
    @param path: the path of the file; it is the file that counts, not its name.
    """

    def __init__(self, reactor: Any, path: str | bytes) -> None:
        self._notify = inotify.INotify(reactor)
        self._open = self._tolerated = 0
        self._since = 0.0
        self._told = False
        try:
            self._notify.watch(
                FilePath(path),
                mask=inotify.IN_OPEN | inotify.IN_CLOSE,
                callbacks=[self._changed],
            )
        except BaseException:
            self.close()
            raise

    def _changed(self, _: object, path: object, mask: int) -> None:
        self._told = True
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
        for _ in range(_MOST_READS):
            self._told = False
            self._notify.doRead()
            if not self._told:
                break
        if self._open > self._tolerated and monotonic() - self._since > PATIENCE:
            self._tolerated = self._open
        return self._open > self._tolerated

    def close(self) -> None:
        """
        Look no more.
        """
        self._notify.connectionLost(Failure(ConnectionDone()))


def watch_log(reactor: Any, path: str | bytes) -> LogWatch | None:
    """
    Look who opens a file, if that is possible here.

    @param reactor: the reactor of the program, or anything else.
    """
    if inotify is None or not IReactorFDSet.providedBy(reactor):
        return None
    try:
        return LogWatch(reactor, path)
    except Exception:
        # There may be only so many: its error has no public name.
        return None
