"""
Whether a file is inside a directory, when its path may contain symbolic links.
"""

from __future__ import annotations

import os
from stat import S_ISLNK

__all__ = ["inner_status"]

# Segments of a path that are not the name of a file.
_NO_NAMES = ("", os.curdir, os.pardir)


def inner_status(root: str, path: str) -> os.stat_result:
    """
    The status of the file to which a path leads, links followed.

    @param root: the absolute path of a directory, or of a file.  It may be a link,
        which may change with the next release of a site.
    @param path: C{root}, or an absolute path below it.
    @raise PermissionError: if the file is outside C{root}.
    @raise OSError: if there is no such file.
    """
    if path == root:
        return os.stat(path)
    status = _without_links(root, path)
    if status is not None:
        return status
    realRoot = os.path.realpath(root)
    real = os.path.realpath(path)
    if real == realRoot or real.startswith(os.path.join(realRoot, "")):
        return os.lstat(real)
    raise PermissionError(13, "a link leads out of the root", path)


def _without_links(root: str, path: str) -> os.stat_result | None:
    """
    The status of a path that has no link behind C{root}, or C{None}.

    Nearly all paths have none, and to look at a few segments costs a tenth of what
    finding two real paths does.
    """
    here = root if root.endswith(os.sep) else root + os.sep
    if not path.startswith(here):
        return None
    status = None
    for segment in path[len(here) :].split(os.sep):
        if segment in _NO_NAMES:
            return None
        here += segment
        status = os.lstat(here)
        # A mount point of Windows is a reparse point, but no link.
        if S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", False):
            return None
        here += os.sep
    return status
