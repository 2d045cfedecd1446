"""
The policy for the files of a directory.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FilePolicy"]


@dataclass(frozen=True, kw_only=True)
class FilePolicy:
    """
    Which files of a directory are served, and how.

    @ivar dotFiles: whether files whose names begin with a dot are served.
    @ivar outsideLinks: whether symbolic links may leave the root.
    @ivar listDirectories: whether a directory without an index is listed.
    @ivar precompressed: whether C{name.br} and C{name.gz} are sent instead of
        C{name} to clients that accept them.
    @ivar cacheControl: the value of the C{Cache-Control} field of files, if any.

    @since: 0.1
    """

    dotFiles: bool = False
    outsideLinks: bool = False
    listDirectories: bool = False
    precompressed: bool = False
    cacheControl: bytes | None = None

    def allows(self, name: str, inRoot: bool) -> bool:
        """
        Whether a file with this name may be served.

        @param name: a segment of the path.
        @param inRoot: whether the file is directly in the root directory.
        """
        if not name.startswith("."):
            return "\0" not in name
        if name in (".", "..") or "\0" in name:
            return False
        return self.dotFiles or (inRoot and name == ".well-known")
