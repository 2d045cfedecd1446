"""
The states of a client connection.
"""

from __future__ import annotations

from enum import Enum

from twisted_h11._client.exchange import Exchange
from twisted_h11._wire.wire import Wire

__all__ = ["State", "state_of"]


class State(Enum):
    """
    What a connection is doing.
    """

    CONNECTING = "connecting"
    HANDSHAKING = "handshaking"
    IDLE = "idle"
    SENDING = "sending"
    WAITING = "waiting"
    SENDING_AND_RECEIVING = "sending and receiving"
    RECEIVING = "receiving"
    SWITCHING = "switching"
    SWITCHED = "switched"
    CLOSING = "closing"
    CLOSED = "closed"


def state_of(wire: Wire, wasConnected: bool, exchange: Exchange | None) -> State:
    """
    What a connection is doing that has its transport for itself, and no handshake to
    wait for.

    @param wasConnected: whether it ever had a transport.
    @param exchange: the current exchange, if there is one.
    """
    if wire.transport is None:
        return State.CLOSED if wasConnected else State.CONNECTING
    if wire.closing is not None:
        return State.CLOSING
    if exchange is None:
        return State.IDLE
    source = exchange.source
    if source is None:
        return State.WAITING if exchange.sender is None else State.SENDING
    if source.switched:
        return State.SWITCHING
    if exchange.sender is None:
        return State.RECEIVING
    return State.SENDING_AND_RECEIVING
