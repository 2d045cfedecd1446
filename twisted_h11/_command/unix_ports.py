"""
UNIX sockets that a server opens, with a path and a lock that may be left behind, and
may be gone or protected when the server ends.

Twisted's lock is a link to the process id of its owner.  A process id is used again: in
a container the next server often has that of the last one, which was killed, and could
never start.  So a lock is kept only if somebody listens on the socket.

Twisted neither closes the socket nor tells the factory if it can not remove the path.
"""

from __future__ import annotations

import atexit
import errno
import os
import socket
import stat
from contextlib import suppress
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.error import CannotListenError
from twisted.internet.posixbase import PosixReactorBase
from twisted.logger import Logger

from twisted_h11._boundary.explain import explain
from twisted_h11._command.passing import PassingReactor

__all__ = ["LockingReactor", "remove_sockets"]


class _Port(unix.Port):
    """
    A UNIX socket with a path.

    @param path: the path.
    """

    _log = Logger()

    def __init__(self, path: Any, factory: Any, *args: Any) -> None:
        super().__init__(path, factory, *args)
        self._path = os.fsdecode(path)

    def startListening(self) -> None:
        """
        Listen.

        @raise CannotListenError: if that is not possible.
        """
        lock = self._path + ".lock"
        owner = _owner(lock) if self.wantPID else None
        if owner is not None and not _is_served(self._path):
            _unlink(self._path, lock)
            self._log.warn(
                "Removed {path}, on which no process listened, and its lock, of "
                "process {owner}",
                path=self._path,
                owner=owner,
            )
        try:
            super().startListening()
        except CannotListenError as error:
            self._unlock()
            if isinstance(error.socketError, OSError) or owner is None:
                raise
            problem = f"process {owner} listens there, according to {lock}"
            raise CannotListenError(
                None, self._path, OSError(errno.EADDRINUSE, problem)
            ) from None
        except BaseException:
            # The factory could not be started, or the reactor can not take the socket.
            if self.connected:
                _unlink(self._path)
            self._unlock()
            raise
        self._process = os.getpid()
        _open.add(self)

    def _unlock(self) -> None:
        """
        Remove the lock, if this port has made it.
        """
        if self.lockFile is not None and self.lockFile.locked:
            with suppress(OSError, ValueError):
                self.lockFile.unlock()

    def remove(self) -> None:
        """
        Remove the path and the lock, unless they are those of another process.
        """
        lock = self._path + ".lock"
        mine = _owner(lock) if self.wantPID else self._process
        if self._process == mine == os.getpid():
            _unlink(self._path)
            if self.wantPID:
                _unlink(lock)

    def connectionLost(self, reason: Any) -> None:
        """
        Close the socket, whether or not its path can be removed.
        """
        _open.discard(self)
        try:
            super().connectionLost(reason)
        except (OSError, ValueError) as error:
            if not self.connected:
                # The socket is closed: it is the factory's error.
                raise
            if not isinstance(error, FileNotFoundError):
                self._log.warn(
                    "Can not remove a UNIX socket: {reason}", reason=explain(error)
                )
            self._unlock()
            tcp.Port.connectionLost(self, reason)


# The ports that are open.
_open: set[_Port] = set()


def remove_sockets() -> None:
    """
    Remove the paths and locks of all open ports, before this process ends without
    closing them.  May be called in any thread.
    """
    for port in list(_open):
        port.remove()


# twistd may end after the ports were opened, and before the reactor runs.
atexit.register(remove_sockets)


class LockingReactor(PassingReactor):
    """
    A reactor for endpoints that open UNIX sockets.
    """

    def listenUNIX(
        self,
        address: Any,
        factory: Any,
        backlog: int = 50,
        mode: int = 0o666,
        wantPID: int = 0,
    ) -> Any:
        """
        See L{IReactorUNIX<twisted.internet.interfaces.IReactorUNIX>}.
        """
        if not isinstance(self._reactor, PosixReactorBase):
            return self._reactor.listenUNIX(address, factory, backlog, mode, wantPID)
        made = _Port(address, factory, backlog, mode, self._reactor, wantPID)
        made.startListening()
        return made


def _unlink(*paths: str) -> None:
    for path in paths:
        with suppress(OSError):
            os.unlink(path)


def _owner(lock: str) -> int | None:
    """
    The process that made a lock; C{None} if there is none.
    """
    try:
        return int(os.readlink(lock))
    except (OSError, ValueError):
        return None


def _is_served(path: str) -> bool:
    """
    Whether a process listens on a socket, or may be about to: there is no socket yet,
    or it can not be told.
    """
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return True
        with socket.socket(socket.AF_UNIX) as client:
            # A full queue is an error, too.
            client.setblocking(False)
            client.connect(path)
    except ConnectionRefusedError:
        return False
    except OSError:
        pass
    return True
