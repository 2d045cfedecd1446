"""
Sockets that somebody else has opened, as systemd does and the parent of several
workers, and that go on when this server ends.

Twisted adopts such a socket as if it were its own.  A UNIX socket it shuts down at
the end, for everybody who has it, and removes its path; at the beginning it lets
everybody connect to it, whatever the mode was.  Of all sockets it sets the length
of the queue to 50.  What the next server is to take over must be left as it is.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet import base, tcp, unix

from twisted_h11._command.endpoints import is_handed_over
from twisted_h11._command.passing import PassingReactor

__all__ = ["AdoptingReactor", "reactor_for"]


class _Adopted(base.BasePort):
    """
    A port whose socket listens already, and goes on when the port is closed.
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
        Close our descriptor of the socket, and nothing else.
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

        @param fileDescriptor: of the socket; it stays open.
        @param family: that the socket is said to be of.
        @return: a port.  When it is closed the socket goes on, if anybody else has it.
        @raise ValueError: if it is no socket of that family, or does not listen.
        """
        adopted = socket.socket(fileno=os.dup(fileDescriptor))
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
    The reactor in which an endpoint is to listen.

    @param description: of the endpoint.
    """
    from twisted.internet import reactor

    return AdoptingReactor(reactor) if is_handed_over(description) else reactor


def _check(adopted: socket.socket, family: int) -> None:
    """
    See that a socket is what it is said to be.

    @raise ValueError: if it is not.
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
