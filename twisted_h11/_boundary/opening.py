"""
Opening the files that users name, in options for example.  All of the package opens
them here.

A name may lead to anything.  Opening a named pipe waits for its other end, for ever if
there is none.  Opening a terminal may make it the controlling terminal of a server,
which is then ended by the terminal's signals.  A device such as C{/dev/zero} has no
end.  So nothing is waited for, no terminal is taken, and what a server reads is a
regular file: the opened file is checked, because the name may lead elsewhere meanwhile.

Only L{read_input}, for a command whose user waits, waits for the writer of a pipe.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import IO

__all__ = [
    "NotAFile",
    "Path",
    "TooLong",
    "open_file",
    "open_to_append",
    "open_to_write",
    "read_file",
    "read_input",
    "standard_stream",
]

Path = str | bytes | os.PathLike[str]

_CALM = os.O_CLOEXEC | os.O_NOCTTY

_STANDARD = {
    "/dev/stdout": 1,
    "/dev/stderr": 2,
    "/dev/fd/1": 1,
    "/dev/fd/2": 2,
    "/proc/self/fd/1": 1,
    "/proc/self/fd/2": 2,
}

# How many links one name may lead through.
_MOST_LINKS = 40


class NotAFile(OSError):
    """
    A name does not lead to a file that can be read.
    """


class TooLong(ValueError):
    """
    A file is longer than it may be.
    """


def open_file(path: Path) -> IO[bytes]:
    """
    Open a regular file to read it.

    @raise NotAFile: if it is not one.
    @raise OSError: if it can not be opened.
    """
    return _open_input(path, os.O_NONBLOCK)


def read_file(path: Path, most: int) -> bytes:
    """
    Read a regular file.

    @param most: how many bytes it may have.
    @raise TooLong: if it has more.
    @raise NotAFile: if it is not a regular file.
    @raise OSError: if it can not be read.
    """
    with open_file(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise TooLong(f"longer than {most} bytes")
    return content


def read_input(path: Path) -> bytes:
    """
    Read a file, or a pipe to its end: its writer is waited for.

    @raise OSError: if it can not be read.
    """
    with _open_input(path, 0) as file:
        return file.read()


def open_to_append(path: Path) -> int:
    """
    Open a file to append to it: a regular file, which is created if there is none, a
    device, or a pipe that has a reader.

    @return: its descriptor.
    @raise OSError: if it can not be opened.
    """
    return _open_output(path, os.O_APPEND)


def open_to_write(path: Path) -> int:
    """
    Open a file to overwrite it; which files, see L{open_to_append}.

    @return: its descriptor.
    @raise OSError: if it can not be opened.
    """
    return _open_output(path, os.O_TRUNC)


def _open_input(path: Path, flag: int) -> IO[bytes]:
    """
    @param flag: C{O_NONBLOCK}, and then the file must be a regular one.
    """
    descriptor = os.open(path, os.O_RDONLY | _CALM | flag)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise NotAFile(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if flag and not stat.S_ISREG(mode):
            raise NotAFile(errno.EINVAL, "not a file", path)
    except NotAFile:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def _open_output(path: Path, flag: int) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | _CALM | flag
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno == errno.ENXIO and stat.S_ISFIFO(os.stat(path).st_mode):
            raise OSError(errno.ENXIO, "nobody reads this pipe", path) from None
        raise
    os.set_blocking(descriptor, True)
    return descriptor


def standard_stream(path: Path) -> int | None:
    """
    The descriptor of the standard output or error, if a name leads there, by links too.
    Such a stream may be a socket, which can not be opened; a daemon has none; and its
    name must not be given to another file.

    @return: 1, 2 or C{None}.
    """
    name = os.fsdecode(path)
    for _ in range(_MOST_LINKS):
        name = os.path.normpath(name)
        if name in _STANDARD:
            return _STANDARD[name]
        try:
            name = os.path.join(os.path.dirname(name), os.readlink(name))
        except (OSError, ValueError):
            break
    return None
