"""
Whether somebody else has a log file open now.

C{copytruncate} of logrotate opens a log, copies it, and cuts it to nothing.  What is
appended between the end of the copy and the cut is gone, and the disk is asked to keep
the copy meanwhile, which takes its time.  Linux tells who opens and closes a file; so
lines wait until whoever has opened it has closed it, but not for longer than
L{PATIENCE}: who reads a log to its end and waits for more never does.

Between that look and the write another process may run, and do all of that.  So there
is another look after the write.  If the file was opened meanwhile, what was written is
gone if the file was cut, and was not read after the write; then it is written again.
"""

from __future__ import annotations

import os
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

# How much of a file that was just cut is looked at.
_MOST_READ = 1 << 24


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
        self._events: list[int] = []
        self._doubtful = b""
        self._least = 0
        self._path = path
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
        self._look()
        if not self._doubtful:
            self._events.clear()
        if self._open > self._tolerated and monotonic() - self._since > PATIENCE:
            self._tolerated = self._open
        return self._open > self._tolerated

    def _look(self) -> None:
        for _ in range(_MOST_READS):
            self._told = False
            self._notify.doRead()
            if not self._told:
                break

    @property
    def isInDoubt(self) -> bool:
        """
        Whether what was written last may be gone.
        """
        return bool(self._doubtful)

    def wrote(self, data: bytes, before: int) -> None:
        """
        Look whether the file was opened while it was written to, when nobody was to
        have it open.

        @param data: what was written.
        @param before: how long the file was.
        """
        self._look()
        if any(mask & inotify.IN_OPEN for mask in self._events):
            self._doubtful, self._least = data, before + len(data)
        else:
            self._events.clear()

    def gone(self) -> bytes:
        """
        What was written and is gone, once nobody has the file open.
        """
        data, self._doubtful = self._doubtful, b""
        if not data:
            return b""
        changed = [n for n, m in enumerate(self._events) if m & inotify.IN_MODIFY]
        since = self._events[changed[0] :] if changed else []
        self._events = []
        if any(mask & inotify.IN_ACCESS for mask in since):
            return b""
        try:
            with open(self._path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size >= self._least or data in file.read(_MOST_READ):
                    return b""
        except OSError:
            return b""
        finally:
            # That was us.
            self._look()
            self._events.clear()
        return data

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
