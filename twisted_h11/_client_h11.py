"""
h11's part of an exchange on the client's side.

An h11 connection lives for one exchange, or for the rest of one, and is first
shown the request: what a response means depends on it.
"""

from __future__ import annotations

import h11

from twisted_h11._client_request import ClientRequest

__all__ = ["begin_exchange", "begin_in_chunks", "read_whole_body"]

# What h11 is told when it has to go on in the middle of a chunked body.
CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def begin_exchange(request: ClientRequest) -> h11.Connection:
    """
    An h11 connection that has sent the head of C{request}.
    """
    conn = h11.Connection(
        h11.CLIENT, max_incomplete_event_size=request.settings.maxHeadLength
    )
    conn.send(request.event())
    return conn


def begin_in_chunks(request: ClientRequest) -> h11.Connection:
    """
    An h11 connection that expects a chunk of the response to C{request}.
    """
    conn = begin_exchange(request)
    conn.receive_data(CHUNKED_HEAD)
    conn.next_event()
    return conn


def read_whole_body(conn: h11.Connection, data: bytes) -> bytes:
    """
    Let h11 read a body that is all in C{data}.
    """
    if data:
        # To h11 no bytes would be the end of them.
        conn.receive_data(data)
    pieces = []
    while isinstance(event := conn.next_event(), h11.Data):
        pieces.append(event.data)
    assert isinstance(event, h11.EndOfMessage), event
    return b"".join(pieces)
