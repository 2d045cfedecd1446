"""
Events out: h11 turns them into bytes and regions of files, which a wire sends.
"""

from __future__ import annotations

from typing import Any

import h11
from twisted.internet.error import ConnectionAborted

from twisted_h11._boundary.octets import as_bytes
from twisted_h11._wire.files import FileRegion
from twisted_h11._wire.wire import Wire

__all__ = ["send_event"]


def send_event(
    wire: Wire, conn: h11.Connection, event: h11.Event, version: bytes | None = None
) -> bool:
    """
    Send an event.  On a connection that is gone or closing nothing is written, and
    h11's state becomes C{ERROR}.

    @param event: L{h11.Data} may have a L{FileRegion} as its data.
    @param version: the version of a response head, instead of h11's C{HTTP/1.1}; of the
        same length.
    @return: whether it was sent; L{h11.ConnectionClosed} has no bytes.
    @raise h11.LocalProtocolError: if the event is not allowed now.
    @raise TypeError: for data that is not bytes; the state is unchanged then.
    """
    region: Any = None
    if type(event) is h11.Data and type(event.data) is not bytes:
        region = event.data
        if not isinstance(region, FileRegion):
            region = None
            event = h11.Data(
                data=as_bytes(event.data, "Data.data"),
                chunk_start=event.chunk_start,
                chunk_end=event.chunk_end,
            )
    if wire.transport is None or (wire.closing is not None and wire.queue is None):
        conn.send_failed()
        if region is not None:
            region.end(ConnectionAborted("The connection is closed."))
        return True
    try:
        parts: list[Any] | None = conn.send_with_data_passthrough(event)
    except AttributeError as error:
        # h11 0.16 fails to say so of a second response that switches, and of a request
        # behind the beginning of a response.
        name = type(event).__name__
        raise h11.LocalProtocolError(f"can't handle event type {name} now") from error
    if parts is None:
        return False
    if version is not None and parts:
        parts[0] = version + parts[0][len(version) :]
    if not parts and region is not None:
        # A chunk of no length is not sent.
        region.end(None)
    wire.beginJoin()
    try:
        for place, part in enumerate(parts):
            if isinstance(part, FileRegion):
                behind = [bytes(rest) for rest in parts[place + 1 :]]
                wire.backPressure().sendRegion(part, behind)
                break
            wire.send(bytes(part) if type(part) is not bytes else part)
    finally:
        wire.endJoin()
    return True
