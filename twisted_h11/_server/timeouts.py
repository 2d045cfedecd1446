"""
The time-outs of a connection of the server, and their consequences.

The deadline of the wire has a member of L{Wait}; L{time_out} maps it to an action.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from twisted.logger import Logger

from twisted_h11._server.cycle import Cycle, tell_lost
from twisted_h11._server.states import Reading, Wait

__all__ = ["await_response", "set_half_close", "set_timeout", "time_out"]

_log = Logger()


def time_out(channel: Any, wait: Enum) -> None:
    """
    Act on a time-out: what was waited for has not happened in time.
    """
    _OVER[wait](channel)


def _abort(channel: Any) -> None:
    channel.abortConnection()


def _idle(channel: Any) -> None:
    _log.debug("Timing out idle client {peer}", peer=channel.getPeer())
    channel.loseConnection()


def _head_missing(channel: Any) -> None:
    channel.refuse(408, "The request head did not arrive in time.")


def _body_window_over(channel: Any) -> None:
    incoming = channel.reader.incoming
    if incoming.isTooSlow(channel.limits):
        channel.refuse(408, "The request body did not arrive in time.")
    else:
        channel.wire.arm(channel.limits.rateWindow, Wait.BODY)


def _request_unanswered(channel: Any) -> None:
    _log.info("Timing out client: {peer}", peer=channel.getPeer())
    channel.loseConnection()


def _response_not_taken(channel: Any) -> None:
    _log.info(
        "{peer} does not take its response; the connection is dropped",
        peer=channel.getPeer(),
    )
    channel.abortConnection()


def _client_left(channel: Any) -> None:
    cycle: Cycle | None = channel.cycle
    request = cycle.takeRequest() if cycle is not None else None
    channel.abortConnection()
    tell_lost(request, "The client has closed the connection.")


_OVER: dict[Enum, Callable[[Any], None]] = {
    Wait.HANDSHAKE: _abort,
    Wait.IDLE: _idle,
    Wait.HEAD: _head_missing,
    Wait.BODY: _body_window_over,
    Wait.REQUEST: _request_unanswered,
    Wait.RESPONSE: _response_not_taken,
    Wait.CLIENT: _client_left,
}


def await_response(channel: Any, cycle: Cycle) -> None:
    """
    The client has closed its sending side, and may be gone: start the time-out for the
    response, C{halfCloseTimeout}.
    """
    seconds = cycle.halfCloseTimeout
    if seconds is None:
        seconds = channel.limits.halfCloseTimeout
    channel.wire.arm(seconds, Wait.CLIENT)


def set_timeout(channel: Any, period: float | None) -> float | None:
    """
    See L{Channel.setTimeout<twisted_h11._server.channel.Channel.setTimeout>}.
    """
    before: float | None = channel.timeOut
    cycle: Cycle | None = channel.cycle
    wire = channel.wire
    if cycle is None or cycle.request is None:
        channel.timeOut = period
        if wire.waiting is Wait.IDLE:
            wire.arm(period, Wait.IDLE)
    elif not channel.wire.eof:
        # After end of file only halfCloseTimeout applies.
        wire.arm(period, Wait.REQUEST)
        if period is None and channel.reader.state is Reading.BODY:
            # While the body arrives, the least rate applies again.
            channel.reader.incoming.beginWindow()
    return before


def set_half_close(channel: Any, seconds: float) -> None:
    """
    See L{Channel.setHalfCloseTimeout
    <twisted_h11._server.channel.Channel.setHalfCloseTimeout>}.
    """
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, (int, float))
        or not 0 <= seconds < float("inf")
    ):
        raise ValueError(
            f"halfCloseTimeout must be a number of seconds, not {seconds!r}"
        )
    cycle: Cycle | None = channel.cycle
    if cycle is not None:
        cycle.halfCloseTimeout = seconds
        if channel.wire.eof and cycle.request is not None:
            if channel.wire.closing is None:
                await_response(channel, cycle)
