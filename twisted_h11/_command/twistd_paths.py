"""
The paths, the user and the mask among the options of twistd itself.

twistd uses them after it has read the options of C{h11web}, without a check: a wrong
one is a traceback, in the log of a daemon, and a named pipe is waited for.  So they are
checked with the other options.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from twisted.python import usage

from twisted_h11._boundary.opening import read_file

# The longest file of users that is read, in bytes.
_LONGEST = 1 << 24

__all__ = [
    "check_log",
    "check_paths",
    "from_start",
    "leaves_nothing",
    "start_directory",
]


def check_paths(command: Any) -> None:
    """
    Check C{--chroot}, C{--rundir}, C{--pidfile}, C{--logfile}, C{--uid} and C{--umask}.

    @param command: twistd's options; C{None} if this is not a command of twistd.
    @raise usage.UsageError: for one that can not be used.
    """
    if command is None:
        return
    chroot, rundir = command.get("chroot"), command.get("rundir")
    if chroot and not os.path.isdir(chroot):
        raise usage.UsageError(f"twistd --chroot {chroot}: no such directory")
    if rundir and not chroot and not os.path.isdir(rundir):
        raise usage.UsageError(f"twistd --rundir {rundir}: no such directory")
    _check_user(command.get("uid"), chroot)
    umask = command.get("umask")
    if umask is not None and not 0 <= umask <= 0o777:
        raise usage.UsageError("twistd --umask: must be from 0 to 777")
    pidfile = command.get("pidfile")
    if chroot:
        _check_other_root(chroot, rundir, pidfile)
        if not (command.get("nodaemon") or command.get("debug")):
            _check_null(chroot)
    if pidfile and not chroot:
        # twistd makes it absolute before it changes the directory.
        _check_output("twistd --pidfile", pidfile)
        if os.path.exists(pidfile) and not os.path.isfile(pidfile):
            raise usage.UsageError(f"twistd --pidfile {pidfile}: not a file")
        if not os.statvfs(os.path.dirname(os.path.abspath(pidfile))).f_bfree:
            # twistd would print a traceback.
            raise usage.UsageError(f"twistd --pidfile {pidfile}: no space left")
        _remove_own(pidfile)
    logfile = command.get("logfile")
    if logfile == "-" or command.get("syslog") or command.get("logger"):
        return
    if logfile or not (command.get("nodaemon") or command.get("debug")):
        _check_output("twistd --logfile", logfile or "twistd.log")


def check_log(command: Any, option: str, path: str) -> None:
    """
    Check that a log file can be written, without creating it.

    @param command: twistd's options, or C{None}.
    @param option: the option that names the file.
    @raise usage.UsageError: if not.
    """
    if command is None or not command.get("chroot"):
        # After a change of the root the name leads elsewhere.
        _check_output(option, path)


def from_start(command: Any, path: str) -> str:
    """
    The path of a file that is opened later, when twistd may have changed the directory.

    @param command: twistd's options, or C{None}.
    @param path: a path from the directory that twistd was started in.
    """
    if command is not None and command.get("chroot"):
        return path
    return os.path.abspath(path)


def start_directory(command: Any) -> str | None:
    """
    The directory that twistd was started in, if it will change to another one in the
    same root.

    @param command: twistd's options, or C{None}.
    """
    if command is None or command.get("chroot") or command.get("rundir") in (None, "."):
        return None
    return os.getcwd()


@contextmanager
def leaves_nothing(path: str | bytes | None) -> Iterator[None]:
    """
    Remove a file that is made meanwhile, if nothing was written to it: a check of the
    options, by another user perhaps, must not leave a log file to the server.

    @param path: the path of the file, or C{None}.
    """
    isNew = path is not None and not os.path.exists(path)
    try:
        yield
    finally:
        if path is not None and isNew:
            real = os.path.realpath(path)
            with suppress(OSError):
                if not os.path.getsize(real):
                    os.unlink(real)


def _remove_own(pidfile: str) -> None:
    """
    Remove a pid file with the id of this process, which has written none yet: a server
    that was killed has left it, and the id is used again, as in a container.  twistd
    would say that another server is running.
    """
    with suppress(OSError, ValueError):
        if int(read_file(pidfile, 20)) == os.getpid():
            os.unlink(pidfile)


def _check_user(uid: int | None, chroot: str | None) -> None:
    """
    Check that a user has an entry: twistd needs its groups, also with C{--gid}.
    """
    if uid is None:
        return
    if not chroot:
        try:
            pwd.getpwuid(uid)
        except (KeyError, OverflowError):
            raise usage.UsageError(
                f"twistd --uid {uid}: there is no such user"
            ) from None
        return
    place = _in_root(chroot, "/etc/passwd")
    if place is None:
        return
    try:
        lines = read_file(place, _LONGEST).splitlines()
    except (OSError, ValueError):
        lines = []
    if not any(line.split(b":")[2:3] == [b"%d" % uid] for line in lines):
        raise usage.UsageError(f"twistd --uid {uid}: there is no such user in {place}")


def _check_other_root(chroot: str, rundir: str | None, pidfile: str | None) -> None:
    """
    Check paths that twistd uses after C{--chroot}.
    """
    folder = _in_root(chroot, rundir) if rundir and os.path.isabs(rundir) else None
    if folder is not None and not os.path.isdir(folder):
        raise usage.UsageError(f"twistd --rundir {rundir}: no such directory: {folder}")
    place = _in_root(chroot, os.path.abspath(pidfile)) if pidfile else None
    if place is not None:
        _check_output(f"twistd --chroot {chroot} --pidfile", place)


def _check_null(chroot: str) -> None:
    """
    Check that a daemon can have its standard streams: without them, twistd would wait
    for it without an end.
    """
    place = _in_root(chroot, os.devnull)
    if place is not None and not os.path.exists(place):
        raise usage.UsageError(f"twistd --chroot {chroot}: a daemon needs {place}")


def _in_root(chroot: str, path: str) -> str | None:
    """
    The path, from here, of an absolute path in another root; C{None} if it has links,
    which may lead elsewhere there.
    """
    place = os.path.normpath(os.path.realpath(chroot) + path)
    return place if os.path.realpath(place) == place else None


def _check_output(option: str, path: str) -> None:
    path = os.path.abspath(path)
    directory = os.path.dirname(path)
    problem = None
    if not os.path.isdir(directory):
        problem = f"no such directory: {directory}"
    elif os.path.isdir(path):
        problem = "is a directory"
    elif not os.access(path if os.path.exists(path) else directory, os.W_OK):
        problem = "Permission denied"
    if problem is not None:
        raise usage.UsageError(f"{option} {path}: {problem}")
