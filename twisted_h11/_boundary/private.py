"""
Directories of this user alone, in a directory for temporary files.

Such a directory may be removed while it is in use, by a program that cleans up; then
another user may make one of the same name.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress

__all__ = ["FOLDER", "make_private"]

FOLDER = "h11web-"
"""
How the names of our directories in one for temporary files begin.
"""

_ROOT = 0


def make_private(path: str) -> None:
    """
    Make a directory that other users can not read, unless there is one.

    @raise PermissionError: if what is there belongs to another user, except root.
    @raise OSError: if it can not be made.
    """
    with suppress(FileExistsError):
        os.mkdir(path, 0o700)
    if os.lstat(path).st_uid not in (_ROOT, os.geteuid()):
        raise PermissionError(errno.EPERM, "belongs to another user", path)
