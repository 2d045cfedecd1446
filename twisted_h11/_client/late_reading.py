"""
Reading a response that has arrived when the connection is lost.

A server may answer before it has read all of the request, and close.  Its kernel then
resets the connection.  A client that is writing finds out by that, and Twisted closes
the socket although the response is in it.
"""

from __future__ import annotations

from twisted_h11._boundary.guarded import guarded
from twisted_h11._client.exchange import Exchange
from twisted_h11._wire.protocol import WireProtocol
from twisted_h11._wire.sockets import read_left

__all__ = ["LateReading"]


class LateReading(WireProtocol):
    """
    A protocol that reads what has arrived before its transport closes the socket.
    """

    _exchange: Exchange | None = None

    def stopProducing(self) -> None:
        """
        The transport is about to be lost, perhaps because it can not write.
        """
        wire = self.wire
        if self._exchange is not None and wire.isOpen:
            guarded("Reading a response", read_left, wire.transport, self._reads)
        super().stopProducing()

    def _reads(self) -> bool:
        return self._exchange is not None and not self.wire.holds
