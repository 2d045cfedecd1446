"""
The beginning of a connection of the server: is there a place for it, and for how long
does it wait for a first byte?
"""

from __future__ import annotations

from typing import Any

from twisted_h11._server.admission import Verdict, close_now
from twisted_h11._server.states import Reading, Wait

__all__ = ["arrive", "finish_handshake", "first_bytes"]


def arrive(channel: Any) -> None:
    """
    The connection is made: ask for a place, and wait for the handshake, if there is
    one, or for the first byte.
    """
    if channel.connections is not None:
        transport = channel.wire.transport
        verdict = channel.connections.made(channel, transport, channel.limits)
        if verdict is Verdict.LATE:
            channel.reader.state = Reading.FIRST
        elif verdict is not Verdict.TAKEN:
            _turn_away(channel, verdict)
            return
    if channel.isSecure():
        channel.wire.arm(channel.limits.handshakeTimeout, Wait.HANDSHAKE)
    else:
        _wait_for_first_byte(channel)


def finish_handshake(channel: Any) -> None:
    """
    The TLS handshake is over: wait for the first byte.
    """
    waiting = channel.wire.waiting
    if waiting in (None, Wait.HANDSHAKE) and channel.wire.closing is None:
        _wait_for_first_byte(channel)


def first_bytes(channel: Any) -> bool:
    """
    The first bytes are here, and with them, however it was learnt, the address of the
    peer.

    @return: whether there is still a place.
    """
    verdict = channel.connections.known(channel, channel.limits)
    if verdict is Verdict.TAKEN:
        return True
    _turn_away(channel, verdict)
    return False


def _wait_for_first_byte(channel: Any) -> None:
    timeout = channel.limits.firstByteTimeout
    if timeout is not None and channel.timeOut is not None:
        timeout = min(timeout, channel.timeOut)
    channel.wire.arm(None if channel.timeOut is None else timeout, Wait.IDLE)


def _turn_away(channel: Any, verdict: Verdict) -> None:
    """
    There are too many connections: say so, or end this one at once.
    """
    if verdict is Verdict.REFUSED:
        channel.refuse(503, "There are too many connections.")
        return
    transport = channel.wire.transport
    channel.abortConnection()
    close_now(transport)
