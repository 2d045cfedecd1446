"""
A channel whose transport may be shared, or given to a successor; see
L{twisted_h11._server.handover}.

What was received with a handshake belongs to the successor, and h11 may have it; so
the L{H11Framer} is kept here.
"""

from __future__ import annotations

import h11
from twisted.internet.interfaces import IProtocol

from twisted_h11._server.contract import HTTPChannelNames
from twisted_h11._server.framers import H11Framer
from twisted_h11._server.handover import HandOver

__all__ = ["SharedChannel"]


class SharedChannel(HTTPChannelNames):
    """
    A connection whose transport may be shared, and given away.

    @ivar handOver: the way to a successor; C{None} while only this channel has the
        transport.
    """

    _h11Framer: H11Framer | None = None
    handOver: HandOver | None = None

    def h11Framer(self) -> H11Framer:
        """
        The connection's L{H11Framer}; made on first need.
        """
        if self._h11Framer is None:
            conn = h11.Connection(
                h11.SERVER, max_incomplete_event_size=self.limits.maxHeadLength
            )
            self._h11Framer = H11Framer(self.wire, conn)
        return self._h11Framer

    def _shared(self) -> HandOver:
        if self.handOver is None:
            self.handOver = HandOver(self, self.wire.transport)
        return self.handOver

    def wireShared(self) -> bool:
        """See L{WireUser}."""
        return self.wire.transport is None or self._shared().isOrdered

    def wireClosing(self) -> None:
        """See L{WireUser}."""
        if self.handOver is not None:
            self.handOver.restore()

    def lookForSuccessor(self) -> None:
        """
        If the transport has another protocol now, detach from it, and deliver what was
        received for that protocol.
        """
        if self.handOver is not None and self.handOver.look(self):
            self.handOver = None

    def _protocolUpgradeForWebsockets(self, protocol: IProtocol) -> None:
        """
        Called by L{twisted.web.websocket.WebSocketResource}, before it writes
        its own 101 response to the transport.
        """
        self._shared().keep(protocol, self._takeTrailingData()[0])
        self._h11Framer = None
        self.switchProtocol(protocol)
        if not self.reader.isAdvancing:
            self.callLater(0, self.lookForSuccessor)

    def _transportTaken(self) -> None:
        self._shared().isTaken = True
        super()._transportTaken()
        if not self.reader.isAdvancing:
            # Otherwise the reader calls it after the current segment.
            self.callLater(0, self.lookForSuccessor)

    def _takeTrailingData(self) -> tuple[bytes, bool]:
        trailing = b"" if self._h11Framer is None else self._h11Framer.trailing
        return trailing + self.reader.takeUnread(), self.wire.eof

    def switchProtocol(self, protocol: IProtocol) -> None:
        """
        Give the transport to another protocol, for good.

        @raise h11.LocalProtocolError: if the connection is closed.
        """
        if not self.wire.isOpen:
            raise h11.LocalProtocolError("The connection is closed")
        self._giveTo(protocol)
