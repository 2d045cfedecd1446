"""
The parent's end of L{twisted_h11._command.notify}: it receives the workers' messages.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.protocol import DatagramProtocol

from twisted_h11._boundary.private import FOLDER, make_private

__all__ = ["NotifySockets"]


class _Lines(DatagramProtocol):
    """
    Receives datagrams of lines.
    """

    noisy = False

    def __init__(self, told: Callable[[str], object]) -> None:
        self._told = told

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """
        Pass each line on.
        """
        for line in datagram.decode("ascii", "replace").splitlines():
            self._told(line)


class NotifySockets:
    """
    A socket for each worker, in a directory that other users can not read.

    @param reactor: the reactor.
    @ivar directory: the directory, while there is one.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._ports: dict[str, Any] = {}
        self._heard: dict[str, Callable[[str], object]] = {}
        self._folders: list[str] = []
        self._paths: set[str] = set()
        self.directory: str | None = None

    def open(
        self, name: str, told: Callable[[str], object], later: bool = False
    ) -> str:
        """
        Open the socket for one worker.

        @param name: the name of the socket.
        @param told: called with each line.
        @param later: if the socket can not be opened, leave that to L{restore}.
        @return: the address for C{NOTIFY_SOCKET}.
        @raise CannotListenError: if it can not be opened.
        @raise OSError: if there can be no directory.
        """
        directory = self.makeDirectory()
        self._heard[name] = told
        try:
            self.restore(name)
        except (OSError, CannotListenError):
            if not later:
                raise
        return os.path.join(directory, name)

    def restore(self, name: str) -> bool:
        """
        Open the socket of a worker if there is none, because somebody has cleaned the
        directory for temporary files.  The directories are made again, too.

        @return: whether that was done.
        @raise CannotListenError: if it can not be opened.
        @raise OSError: if there can be no directory.
        """
        directory, told = self.directory, self._heard.get(name)
        if directory is None or told is None:
            return False
        for needed in (directory, *self._folders):
            make_private(needed)
        path = os.path.join(directory, name)
        if os.path.exists(path):
            return False
        self._closePort(name)
        self._paths.add(path)
        self._ports[name] = self._reactor.listenUNIXDatagram(path, _Lines(told))
        return True

    def makeFolder(self, name: str) -> str:
        """
        Make a folder in the directory, which is made again as the directory is.

        @return: its path.
        @raise OSError: if that is not possible.
        """
        folder = os.path.join(self.makeDirectory(), name)
        make_private(folder)
        self._folders.append(folder)
        return folder

    def makeDirectory(self) -> str:
        """
        Make the directory, unless it exists.
        """
        if self.directory is None:
            self.directory = tempfile.mkdtemp(prefix=FOLDER)
        return self.directory

    def close(self, name: str) -> None:
        """
        Close the socket of a worker.
        """
        self._heard.pop(name, None)
        self._closePort(name)

    def _closePort(self, name: str) -> None:
        port = self._ports.pop(name, None)
        if port is not None:
            port.stopListening()

    def end(self) -> None:
        """
        Close all sockets and remove the directory.
        """
        for name in list(self._ports):
            self.close(name)
        self.remove()

    def remove(self) -> None:
        """
        Remove the directory.  May be called in any thread.
        """
        directory, self.directory = self.directory, None
        if directory is None:
            return
        shutil.rmtree(directory, ignore_errors=True)
        if os.path.exists(directory):
            self._removeByName(directory)

    def _removeByName(self, directory: str) -> None:
        """
        Remove the directory without reading it, which needs a descriptor: too few of
        them may be why the program ends.
        """
        for path in self._paths:
            with suppress(OSError):
                os.unlink(path)
        for folder in (*self._folders, directory):
            with suppress(OSError):
                os.rmdir(folder)
