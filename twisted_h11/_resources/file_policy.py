"""
What of a directory may be served, and how.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FilePolicy"]


@dataclass(frozen=True, kw_only=True)
class FilePolicy:
    """
    What may be served.

    @ivar dotFiles: whether names that begin with a dot are.
    @ivar outsideLinks: whether symbolic links may leave the root.
    @ivar listDirectories: whether a directory without an index is listed.
    @ivar precompressed: whether C{name.br} and C{name.gz} are sent in the place of
        C{name} to clients that take them.
    @ivar cacheControl: the value of the C{Cache-Control} field of files, if any.
    """

    dotFiles: bool = False
    outsideLinks: bool = False
    listDirectories: bool = False
    precompressed: bool = False
    cacheControl: bytes | None = None

    def allows(self, name: str, inRoot: bool) -> bool:
        """
        Whether a name may be asked for.

        @param inRoot: whether it is one of the root directory.
        """
        if not name.startswith("."):
            return "\0" not in name
        if name in (".", "..") or "\0" in name:
            return False
        return self.dotFiles or (inRoot and name == ".well-known")
