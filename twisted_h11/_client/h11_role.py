"""
h11 for one exchange of a client.

h11 is shown the request first, because what a response means depends on it.
"""

from __future__ import annotations

import h11

from twisted_h11._client.request import ClientRequest

__all__ = ["begin_exchange", "read_whole_body"]


def begin_exchange(request: ClientRequest) -> h11.Connection:
    """
    An h11 connection that has sent the head of C{request}.
    """
    conn = h11.Connection(
        h11.CLIENT, max_incomplete_event_size=request.settings.maxHeadLength
    )
    conn.send(request.event())
    return conn


def read_whole_body(conn: h11.Connection, data: bytes) -> bytes:
    """
    Let h11 read a body that is all in C{data}.
    """
    if data:
        # h11 reads b'' as end of file.
        conn.receive_data(data)
    pieces = []
    while isinstance(event := conn.next_event(), h11.Data):
        pieces.append(event.data)
    assert isinstance(event, h11.EndOfMessage), event
    return b"".join(pieces)
