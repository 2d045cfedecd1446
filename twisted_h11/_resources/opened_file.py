"""
A file that is opened first, and described afterwards.

L{static.File} looks at the path for the length and the time of a file, and then opens
it.  If another file takes its place in between, as when a site is updated, the response
has the length, the time and the entity tag of one file and the content of the other: it
looks whole, and caches keep it.  Here all of them are those of the opened file.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.web import static

__all__ = ["OpenedFile"]


class OpenedFile(static.File):
    """
    A file that can be held open while it is described and rendered.
    """

    _held: Any = None
    _holds = False
    # The status of the opened file, while it is held and described.
    _openedStatus: os.stat_result | None = None

    # The suffix of the entity tag of an encoded file.
    _tagSuffix = b""

    def hold(self) -> None:
        """
        Open the file, for the next L{takeHeld}.  Call L{letGo} afterwards.

        @raise OSError: if it can not be opened.
        """
        self._holds = True
        try:
            self._held = self.openForReading()
        finally:
            self._holds = False

    def noteOpened(self, status: os.stat_result) -> None:
        """
        Note the status of the file that C{openForReading} has opened, if it is held.
        """
        if self._holds:
            self._openedStatus = status

    def takeHeld(self) -> Any:
        """
        The file that is held, which the caller has to close; C{None} if none is.
        """
        held, self._held = self._held, None
        return held

    def letGo(self) -> None:
        """
        Close the file that is held, unless it was taken, and forget its status.
        """
        self._openedStatus = None
        held = self.takeHeld()
        if held is not None:
            held.close()

    def getsize(self) -> Any:
        """
        The length of the opened file, in bytes, or of the one at the path.
        """
        status = self._openedStatus
        return super().getsize() if status is None else status.st_size

    def getModificationTime(self) -> float:
        """
        When the opened file was changed, or the one at the path.
        """
        status = self._openedStatus
        if status is None:
            return super().getModificationTime()
        return float(status.st_mtime)

    def entityTag(self) -> bytes:
        """
        A strong validator for the file (RFC 9110 section 8.8.3).

        @raise OSError: if there is no file.
        """
        status = self._openedStatus or os.stat(self.path)
        parts = (status.st_mtime_ns, status.st_size, self._tagSuffix)
        return b'"%x-%x%b"' % parts
