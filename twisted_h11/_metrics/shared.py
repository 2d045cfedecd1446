"""
The numbers of several processes, in files of one directory.

Each process has a file, named by its process id.  A total is made by reading all files.
The numbers of a process that has ended are added to the file C{gone}, under a lock,
and the file of the process is removed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from array import array
from collections.abc import Iterator

from twisted_h11._boundary.private import make_private
from twisted_h11._metrics.numbers import FIRST_GAUGE, PLACES, Numbers, total

__all__ = ["Shared"]

_GONE = "gone"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_LENGTH = 8 * len(PLACES)


class Shared:
    """
    A directory with the numbers of several processes.

    @param directory: an existing directory; nothing else may write in it.
    """

    def __init__(self, directory: str) -> None:
        self._directory = os.path.abspath(directory)
        self._own = self._path(str(os.getpid()))

    def begin(self) -> Numbers:
        """
        Make the numbers of this process.  On a full disk they are in memory at first.

        @raise OSError: if the file can not be made.
        """
        try:
            with self._locked():
                # A file of an earlier process with the same id.
                self._retire(os.path.basename(self._own))
            return Numbers(self._own)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            # In memory, until keep() can make the file.
            return Numbers()

    def keep(self, numbers: Numbers) -> bool:
        """
        Give the numbers of this process another file, if theirs was removed because
        somebody has cleaned the directory for temporary files.  The numbers of
        processes that have ended are lost then.

        @return: whether that was done.
        @raise OSError: if that is not possible.
        """
        if os.path.exists(self._own):
            return False
        make_private(os.path.dirname(self._directory))
        make_private(self._directory)
        numbers.moveTo(self._own)
        return True

    def total(self) -> tuple[list[int], int]:
        """
        The sums of the numbers of all processes, and the number of processes.
        """
        with self._locked():
            names = sorted(n for n in os.listdir(self._directory) if n.isdecimal())
            alive = [name for name in names if _is_alive(int(name))]
            for name in set(names) - set(alive):
                # On a full disk the file stays, and is counted as it is.
                with contextlib.suppress(OSError):
                    self._retire(name)
            ended = [self._read(name)[:FIRST_GAUGE] for name in set(names) - set(alive)]
            parts = [self._read(name) for name in [_GONE, *alive]] + ended
        return total(parts), len(alive)

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, name)

    def _read(self, name: str) -> array[int]:
        numbers = array("q")
        with contextlib.suppress(FileNotFoundError), open(self._path(name), "rb") as f:
            data = f.read(_LENGTH)
            if len(data) == _LENGTH:
                numbers.frombytes(data)
        return numbers

    def _retire(self, name: str) -> None:
        numbers = self._read(name)
        if numbers:
            for place in range(FIRST_GAUGE, len(PLACES)):
                numbers[place] = 0
            sums = array("q", total([self._read(_GONE), numbers]))
            temporary = self._path(_GONE + ".new")
            with open(temporary, "wb") as file:
                file.write(sums.tobytes())
            os.replace(temporary, self._path(_GONE))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(name))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self._path("lock"), flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
