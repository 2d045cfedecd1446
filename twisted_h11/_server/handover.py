"""
Giving a server connection to another protocol: Upgrade, CONNECT, WebSocket.

Three ways lead here.  Our own C{switchProtocol}; Twisted's
C{WebSocketResource}, which calls C{_protocolUpgradeForWebsockets} and then
writes its 101 to the transport; and autobahn's and daphne's, which take the
transport away (C{channel.transport = None}) and make their own protocol the
transport's.  In each case bytes may have come together with the handshake.
They belong to the new protocol, and reach it after the response has gone out.

Whoever has the transport may also close it.  A transport does not close while
it waits for its producer, which is us: TLS for ever, a socket once it was full.
So C{loseConnection} of a transport that we have shown is ours, and means the
same as the channel's.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet.interfaces import IProtocol

from twisted_h11.protocol import H11Protocol

__all__ = ["HandingOver"]

# Where a transport has its protocol: a wrapper, and a socket.
_PROTOCOLS = ("wrappedProtocol", "protocol")


class _Shown:
    """
    A transport that others have, too.

    @param wire: the transport.
    @param lose: what its C{loseConnection} calls from now on.
    """

    def __init__(self, wire: Any, lose: Callable[[], None]) -> None:
        self._wire = wire
        self._protocols = self._served()
        self._before = getattr(wire, "__dict__", {}).get("loseConnection")
        self._lose = lose
        # One that takes no attributes keeps its own.
        with suppress(AttributeError):
            wire.loseConnection = lose

    def _served(self) -> list[Any]:
        return [getattr(self._wire, name, None) for name in _PROTOCOLS]

    def taken(self) -> bool:
        """
        Whether it serves another protocol than it did.
        """
        return self._served() != self._protocols

    def restore(self) -> None:
        """
        Leave it as it was, unless somebody else has changed it since.
        """
        wire = self._wire
        if getattr(wire, "__dict__", {}).get("loseConnection") == self._lose:
            del wire.loseConnection
            if self._before is not None:
                wire.loseConnection = self._before


class HandingOver(H11Protocol):
    """
    A connection that reads from a buffer of its own, and can be given away.
    """

    _buffer = b""
    _looksFirst = False
    _start = 0
    _advancing = False
    _handOver: tuple[IProtocol, bytes] | None = None
    _shown: _Shown | None = None

    # -- somebody else has the transport, too -----------------------------------

    def wireShared(self) -> None:
        """
        Called by the wire: others may write to the transport, and close it.
        """
        if self._wire.transport is not None:
            self._shown = _Shown(self._wire.transport, self.loseConnection)

    def _unshare(self) -> None:
        """
        The transport's C{loseConnection} is its own again.
        """
        shown, self._shown = self._shown, None
        if shown is not None:
            shown.restore()

    def _lookForSuccessor(self) -> None:
        """
        If the transport has got another protocol, then let go of it.
        """
        if self._shown is not None and self._shown.taken():
            self.transport = None
            if not self._advancing:
                self._deliverToSuccessor()

    def wireClosing(self) -> None:
        """
        Called by the wire: nothing of ours stays with the transport.
        """
        self._unshare()

    def wireEnded(self) -> None:
        """
        Called by the wire: nothing of ours stays with the transport.
        """
        self._unshare()

    # -- the bytes that are not ours ----------------------------------------------

    def _takeTrailingData(self) -> tuple[bytes, bool]:
        trailing = b"" if self._h11 is None else self._h11.trailing_data[0]
        trailing += self._buffer[self._start :]
        self._buffer = b""
        self._start = 0
        return trailing, self._wire.eof

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
            protocol: Any
            protocol, trailing = self._handOver
            self._handOver = None
            self._handTrailing(protocol, protocol.transport, trailing)

    def _deliverToSuccessor(self) -> None:
        """
        Somebody took the transport: what came with the handshake belongs to
        the protocol that is there now.
        """
        taken, self._taken = self._taken, None
        if taken is None:
            return
        trailing = self._takeTrailingData()[0]
        for name in _PROTOCOLS:
            successor = getattr(taken, name, None)
            if trailing and successor is not None and successor is not self:
                self._handTrailing(successor, taken, trailing)
                return
