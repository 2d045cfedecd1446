"""
Giving a server connection to another protocol: Upgrade, CONNECT, WebSocket.

Three ways lead here.  Our own C{switchProtocol}; Twisted's
C{WebSocketResource}, which calls C{_protocolUpgradeForWebsockets} and then
writes its 101 to the transport; and autobahn's and daphne's, which take the
transport away (C{channel.transport = None}) and make their own protocol the
transport's.  In each case bytes may have come together with the handshake.
They belong to the new protocol, and reach it after the response has gone out.
"""

from __future__ import annotations

from twisted.internet.interfaces import IProtocol

from twisted_h11.protocol import H11Protocol

__all__ = ["HandingOver"]


class HandingOver(H11Protocol):
    """
    A connection that reads from a buffer of its own, and can be given away.
    """

    _buffer = b""
    _start = 0
    _advancing = False
    _missed: bytes | None = None
    _handOver: tuple[IProtocol, bytes] | None = None

    def _takeTrailingData(self) -> tuple[bytes, bool]:
        trailing = b"" if self._h11 is None else self._h11.trailing_data[0]
        trailing += self._buffer[self._start :]
        self._buffer = b""
        self._start = 0
        return trailing, self._eof

    def _protocolUpgradeForWebsockets(self, protocol: IProtocol) -> None:
        """
        Called by L{twisted.web.websocket.WebSocketResource}, before it writes
        its own 101 response to the transport.
        """
        trailing = self._takeTrailingData()[0]
        self._h11 = None
        self.switchProtocol(protocol)
        if trailing:
            self._handOver = (protocol, trailing)
            if not self._advancing:
                self.callLater(0, self._deliverHandOver)

    def _deliverHandOver(self) -> None:
        if self._handOver is not None:
            protocol, trailing = self._handOver
            self._handOver = None
            protocol.dataReceived(trailing)

    def _deliverToSuccessor(self) -> None:
        """
        Somebody took the transport: what came with the handshake belongs to
        the protocol that is there now.
        """
        taken, self._taken = self._taken, None
        if taken is None:
            return
        trailing = self._takeTrailingData()[0]
        for name in ("wrappedProtocol", "protocol"):
            successor = getattr(taken, name, None)
            if trailing and successor is not None and successor is not self:
                successor.dataReceived(trailing)
                return
