"""
How often a socket is written to.
"""

from __future__ import annotations

from typing import Any

from twisted.protocols.policies import ProtocolWrapper

__all__ = ["CountedSocket", "count_sends"]


class CountedSocket:
    """
    A socket that notes what is sent.

    @ivar sent: for each call of the kernel that has sent something, its pieces as they
        were given, and how many bytes of them it has taken.
    """

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self.sent: list[tuple[list[Any], int]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def send(self, data: Any) -> int:
        """
        Send and note.
        """
        taken: int = self._socket.send(data)
        self.sent.append(([data], taken))
        return taken

    def sendmsg(self, pieces: Any, *args: Any) -> int:
        """
        Send and note.
        """
        taken: int = self._socket.sendmsg(pieces, *args)
        self.sent.append((list(pieces), taken))
        return taken


def count_sends(factory: Any) -> list[CountedSocket]:
    """
    Have the sockets of a factory's connections note what is sent.

    @return: what is filled with the sockets, in the order of their connections.
    """
    sockets: list[CountedSocket] = []
    build = factory.buildProtocol

    def buildProtocol(address: Any) -> Any:
        protocol = build(address)
        if protocol is None:
            return None
        make = protocol.makeConnection

        def makeConnection(transport: Any) -> None:
            bare = transport
            while isinstance(bare, ProtocolWrapper):
                # TLS; it shows the attributes of what is below.
                bare = bare.transport
            bare.socket = CountedSocket(bare.socket)
            sockets.append(bare.socket)
            make(transport)

        protocol.makeConnection = makeConnection
        return protocol

    factory.buildProtocol = buildProtocol
    return sockets
