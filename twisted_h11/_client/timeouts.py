"""
The time-outs of an exchange of the client.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from twisted.python.failure import Failure

from twisted_h11._client.errors import TimedOut
from twisted_h11._wire.progress import bytes_taken

__all__ = ["Wait", "set_deadline", "time_out", "wire_full", "wire_writable"]


class Wait(Enum):
    """
    What a connection waits for.  A value has the name of the time-out in
    L{ClientSettings} and the beginning of its error message.
    """

    CONTINUE = "continueTimeout", ""
    WRITE = "writeTimeout", "The server read nothing of the request for"
    HEAD = "headTimeout", "No response head came within"
    CLAIM = "claimTimeout", "The application did not ask for the response body for"
    READ = "readTimeout", "Nothing of the response body arrived for"
    REQUEST = "idleTimeout", ""


def set_deadline(exchange: Any) -> None:
    """
    Set the deadline for the event that the exchange waits for now.
    """
    if exchange.isOver:
        return
    wire = exchange.connection.wire
    settings = exchange.request.settings
    sender = exchange.sender
    source = exchange.source
    if wire.full and (sender is not None or source is None):
        exchange.taken = bytes_taken(wire.transport)
        wire.arm(settings.writeTimeout, Wait.WRITE)
    elif source is not None:
        if not source.switched:
            source.wait()
    elif sender is None:
        wire.arm(settings.headTimeout, Wait.HEAD)
    else:
        wire.disarm()


def wire_full(exchange: Any) -> None:
    """
    The transport's buffer is full: the server does not read.
    """
    connection = exchange.connection
    exchange.fullSince = connection.clock.seconds()
    # A body that waits for a 100 begins all the same when its time is over.
    if connection.wire.waiting not in (Wait.WRITE, Wait.CONTINUE):
        set_deadline(exchange)


def wire_writable(exchange: Any) -> None:
    """
    The transport's buffer has room again.
    """
    # A fast upload calls this for each write, so the deadline is not moved here:
    # time_out compares the clock.
    if exchange.source is not None or exchange.sender is None:
        set_deadline(exchange)


def time_out(exchange: Any, wait: Wait) -> None:
    """
    A deadline has passed: send the body that waited for a 100, or fail the exchange.
    """
    if wait is Wait.CONTINUE:
        exchange.startBody()
        return
    wire = exchange.connection.wire
    since = None
    if wait is Wait.WRITE:
        if not wire.full:
            # The server reads again; the next pause has its own deadline.
            return
        taken = bytes_taken(wire.transport)
        if taken is not None and taken != exchange.taken:
            # It is reading, but slowly: the transport was full all the time.
            exchange.taken = taken
            exchange.fullSince = exchange.connection.clock.seconds()
        since = exchange.fullSince
    elif wait is Wait.READ and exchange.source is not None:
        # The deadline was not moved with each piece; see how old the last one is.
        since = exchange.source.lastPiece
    name, text = wait.value
    seconds = getattr(exchange.request.settings, name)
    if since is not None and seconds is not None:
        left = since + seconds - exchange.connection.clock.seconds()
        if left > 0:
            wire.arm(left, wait)
            return
    exchange.fail(Failure(TimedOut(f"{text} {seconds:g} s")))
