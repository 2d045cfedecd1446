"""
Sockets that were opened by another process (systemd, or the parent of several workers)
and that stay open when this server ends.

Twisted adopts such a socket as if it were its own.  At the end it shuts a UNIX socket
down, for all processes that have it, and removes its path; at the beginning it changes
the mode of the path, so that every user may connect.  It sets the backlog of every
socket to 50.  The ports here leave the socket as it is, for the next server.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet import base, tcp, unix

from twisted_h11._command.endpoints import is_handed_over, is_unix
from twisted_h11._command.passing import PassingReactor
from twisted_h11._command.unix_ports import LockingReactor

__all__ = ["AdoptingReactor", "reactor_for"]


class _Adopted(base.BasePort):
    """
    A port whose socket listens already, and stays open when the port is closed.
    """

    factory: Any
    adopted: socket.socket

    def startListening(self) -> None:
        """
        Accept connections.
        """
        self.factory.doStart()
        self.socket = self.adopted
        self.fileno = self.socket.fileno  # type: ignore[method-assign]
        self.connected = True
        self.numberAccepts = 100
        self.startReading()

    def connectionLost(self, reason: Any) -> None:
        """
        Close this process' descriptor of the socket, and nothing else.
        """
        base.BasePort.connectionLost(self, reason)
        self.connected = False
        self.socket.close()
        del self.socket
        del self.fileno
        try:
            self.factory.doStop()
        finally:
            self.disconnecting = False


class _TCPPort(_Adopted, tcp.Port):
    """
    A TCP socket.
    """


class _UNIXPort(_Adopted, unix.Port):
    """
    A UNIX socket.
    """


class AdoptingReactor(PassingReactor):
    """
    A reactor for endpoints that adopt sockets.
    """

    def adoptStreamPort(self, fileDescriptor: int, family: int, factory: Any) -> Any:
        """
        Listen on a socket.

        @param fileDescriptor: the descriptor of the socket; it stays open.
        @param family: the expected address family.
        @return: a port.  Closing it leaves the socket open in other processes.
        @raise ValueError: if it is not a socket of that family, or does not listen.
        """
        try:
            copied = os.dup(fileDescriptor)
        except OSError:
            raise ValueError(
                "the socket that was handed over is closed, or another endpoint has "
                "taken it"
            ) from None
        adopted = socket.socket(fileno=copied)
        try:
            _check(adopted, family)
            adopted.setblocking(False)
        except BaseException:
            adopted.close()
            raise
        made: Any
        name = adopted.getsockname()
        if family == socket.AF_UNIX:
            made = _UNIXPort(name, factory, reactor=self._reactor)
        else:
            made = _TCPPort(name[1], factory, interface=name[0], reactor=self._reactor)
        made.adopted = adopted
        made.startListening()
        return made


def reactor_for(description: str) -> Any:
    """
    The reactor with which an endpoint is to listen.

    @param description: the endpoint description.
    """
    from twisted.internet import reactor

    if is_handed_over(description):
        return AdoptingReactor(reactor)
    return LockingReactor(reactor) if is_unix(description) else reactor


def _check(adopted: socket.socket, family: int) -> None:
    """
    Check that a socket has the expected family, and listens.

    @raise ValueError: if not.
    """
    if adopted.family != family:
        names = [
            socket.AddressFamily(one).name.removeprefix("AF_")
            for one in (adopted.family, family)
        ]
        raise ValueError(
            "the socket that was handed over is of the domain {}, not {}".format(*names)
        )
    if adopted.type != socket.SOCK_STREAM or not adopted.getsockopt(
        socket.SOL_SOCKET, socket.SO_ACCEPTCONN
    ):
        raise ValueError(
            "the socket that was handed over does not listen for connections "
            "(ListenStream= and Accept=no)"
        )
