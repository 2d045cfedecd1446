"""
Sockets that a parent opens and its workers serve.

They are passed as systemd passes sockets: as the descriptors from 3 on, counted by
C{LISTEN_FDS}.  First come the sockets that were passed to the parent, with the same
numbers and names, so that C{systemd:} endpoints mean the same in a worker; then those
that the parent has opened, in the order in which its endpoints listen.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet.protocol import Factory

from twisted_h11._command.adopted import AdoptingReactor
from twisted_h11._command.passing import ListeningReactor
from twisted_h11._command.unix_ports import LockingReactor

__all__ = ["FIRST", "InheritingReactor", "OpeningReactor"]

FIRST = 3
"""
The number of the first descriptor that is passed to a process.
"""


# Factory is not generic in Twisted 24.7.
class _Nobody(Factory):
    """
    A factory of the parent's ports, which accept no connections: the workers do.
    """

    noisy = False

    def buildProtocol(self, addr: Any) -> None:
        """
        Make no protocol.
        """


class OpeningReactor(ListeningReactor):
    """
    The reactor of a parent: the ports of endpoints are opened, but accept nothing.

    @ivar opened: the ports that were opened.
    @ivar adopted: by descriptor, the ports of sockets that were passed to this process.
    """

    def __init__(self, reactor: Any) -> None:
        super().__init__(reactor)
        self.opened: list[Any] = []
        self.adopted: dict[int, Any] = {}

    def listenTCP(self, port: int, factory: Any, *args: Any, **kwargs: Any) -> Any:
        """
        See L{IReactorTCP<twisted.internet.interfaces.IReactorTCP>}.
        """
        made = self._reactor.listenTCP(port, _Nobody(), *args, **kwargs)
        made.stopReading()
        self.opened.append(made)
        return made

    def listenUNIX(self, address: Any, factory: Any, *args: Any, **kwargs: Any) -> Any:
        """
        See L{IReactorUNIX<twisted.internet.interfaces.IReactorUNIX>}.
        """
        locking = LockingReactor(self._reactor)
        made = locking.listenUNIX(address, _Nobody(), *args, **kwargs)
        made.stopReading()
        self.opened.append(made)
        return made

    def adoptStreamPort(self, fileDescriptor: int, family: int, factory: Any) -> Any:
        """
        See L{IReactorSocket<twisted.internet.interfaces.IReactorSocket>}.
        """
        adopting = AdoptingReactor(self._reactor)
        made = adopting.adoptStreamPort(fileDescriptor, family, _Nobody())
        made.stopReading()
        self.adopted[fileDescriptor] = made
        return made

    def descriptors(self, handed: int) -> list[int]:
        """
        The descriptors to pass to a worker, in order.

        @param handed: how many sockets were passed to this process.
        """
        first: list[int] = []
        for number in range(FIRST, FIRST + handed):
            port = self.adopted.get(number)
            # A socket that no endpoint uses is passed on, too.
            first.append(number if port is None else port.fileno())
        return first + [port.fileno() for port in self.opened]

    def names(self, environ: Mapping[str, str]) -> list[str]:
        """
        The names of the sockets that were passed to this process, if it uses any.

        @param environ: the environment.  Twisted has removed the number of sockets from
            it, and ignores sockets without names.
        """
        if not self.adopted:
            return []
        return environ.get("LISTEN_FDNAMES", "").split(":")


class InheritingReactor(ListeningReactor):
    """
    The reactor of a worker: endpoints listen on the sockets that its parent has opened.

    @param descriptors: the descriptors of the sockets, in the order of the endpoints.
    """

    def __init__(self, reactor: Any, descriptors: Sequence[int]) -> None:
        super().__init__(reactor)
        self._left = list(descriptors)
        for number in self._left:
            # Programs that a worker starts must not inherit them.
            os.set_inheritable(number, False)

    def listenTCP(self, port: int, factory: Any, *args: Any, **kwargs: Any) -> Any:
        """
        See L{IReactorTCP<twisted.internet.interfaces.IReactorTCP>}.
        """
        return self._adopt(factory)

    def listenUNIX(self, address: Any, factory: Any, *args: Any, **kwargs: Any) -> Any:
        """
        See L{IReactorUNIX<twisted.internet.interfaces.IReactorUNIX>}.
        """
        return self._adopt(factory)

    def adoptStreamPort(self, fileDescriptor: int, family: int, factory: Any) -> Any:
        """
        See L{IReactorSocket<twisted.internet.interfaces.IReactorSocket>}.
        """
        adopting = AdoptingReactor(self._reactor)
        return adopting.adoptStreamPort(fileDescriptor, family, factory)

    def _adopt(self, factory: Any) -> Any:
        if not self._left:
            raise ValueError("the parent has not opened a socket for it")
        number = self._left.pop(0)
        with socket.socket(fileno=os.dup(number)) as looked:
            family = looked.family
        try:
            return self.adoptStreamPort(number, family, factory)
        finally:
            os.close(number)
