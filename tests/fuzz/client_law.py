"""
The Law of the client's fast path, as functions that raise L{BrokenLaw}.

Wherever the client reads without h11, h11 in the client's role reads the same.
Property tests (C{tests/client/test_heads.py},
C{tests/http/test_chunks.py}) and the fuzz targets beside this module call
these functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import h11

from tests.fuzz.law import BrokenLaw, same
from twisted_h11._client.errors import MalformedResponse
from twisted_h11._http.abnf import find_head_end, has_bad_byte, has_control
from twisted_h11._http.chunks import ChunkDecoder, TolerantRules
from twisted_h11._http.response_received import (
    CHUNKED,
    UNTIL_CLOSE,
    ReceivedHead,
    read_event,
    read_response,
)

__all__ = ["Body", "body_by_h11", "check_chunks", "check_head"]

CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

# A longer body is not made up.
FEW = 64 * 1024


def _asked(method: bytes) -> h11.Connection:
    """
    An h11 connection that has sent a request.
    """
    conn = h11.Connection(h11.CLIENT)
    conn.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    conn.send(h11.EndOfMessage())
    return conn


# -- heads ------------------------------------------------------------------


def _head_by_h11(head: ReceivedHead, data: bytes, method: bytes) -> h11.Connection:
    """
    h11, and our rules on top of it, have the same head.

    @return: h11, which has nothing but the head behind it.
    """
    whole = _asked(method)
    whole.receive_data(data)
    try:
        event = whole.next_event()
        same("kind of event", type(event), h11.Response)
        assert isinstance(event, h11.Response)
        size = len(data) - len(whole.trailing_data[0])
        same("head", head, read_event(event, data[:size], method))
    except (h11.RemoteProtocolError, MalformedResponse) as error:
        raise BrokenLaw(f"it is refused: {error}") from None
    same("version", b"1.%d" % head.minor, event.http_version)
    same("raw names", head.fields, [*event.headers.raw_items()])
    # Where the client looks for the end of a head that it lets h11 read.
    found = find_head_end(data)
    same("end of head", head.size, found and found.end())
    conn = _asked(method)
    conn.receive_data(data[:size])
    conn.next_event()
    return conn


def _framed_by_h11(head: ReceivedHead, conn: h11.Connection, rest: bytes) -> None:
    """
    h11 ends the body where the head says.

    @param rest: what follows the head.
    """
    body, after = rest + b"more", b""
    if head.length == CHUNKED:
        # The body itself belongs to L{check_chunks}.
        rest, body, after = b"5\r\nhello\r\n0\r\n\r\nrest", b"hello", b"rest"
    elif head.length == UNTIL_CLOSE:
        rest = body
    else:
        if head.length > len(rest) + FEW:
            # Its length is in the event, which is the same.
            same("a long body", type(_next(conn, rest + b"x")), h11.Data)
            return
        # The rest of one that is not all here may be anything of its length.
        rest += bytes(max(head.length - len(rest), 0)) + b"rest"
        body, after = rest[: head.length], rest[head.length :]
    event = _next(conn, rest)
    found = bytearray()
    while isinstance(event, h11.Data):
        found += event.data
        event = conn.next_event()
    if head.length == UNTIL_CLOSE:
        same("before the close", event, h11.NEED_DATA)
        event = _next(conn, b"")
    same("end of body", type(event), h11.EndOfMessage)
    same("body", body, bytes(found))
    if head.length == UNTIL_CLOSE:
        same("keep-alive", head.persistent, False)
    else:
        same("what follows", after, conn.trailing_data[0])
        state = h11.DONE if head.persistent else h11.MUST_CLOSE
        same("h11's state of the server", state, conn.their_state)


def _next(conn: h11.Connection, data: bytes) -> object:
    conn.receive_data(data)
    return conn.next_event()


def check_head(data: bytes, method: bytes) -> ReceivedHead | None:
    """
    Hold the reading of one response head to the Law.

    @param data: what was received, with or without what follows the head.
    @param method: that of the request; not CONNECT, whose responses h11 reads.
    @return: the answer of the fast path.
    @raise BrokenLaw: naming the difference.
    """
    head = read_response(data, method == b"HEAD")
    if head is not None:
        conn = _head_by_h11(head, data, method)
        _framed_by_h11(head, conn, data[head.size :])
    return head


# -- chunked bodies ---------------------------------------------------------


# Bytes of a chunk line or trailer section; longer than any here.
LONGEST = 10_000


class Body(NamedTuple):
    """
    What became of a chunked body.

    @ivar end: C{"ended"}, C{"open"} (more is needed) or C{"refused"}.
    @ivar trailers: the fields behind it, if it ended.
    @ivar rest: what follows it, if it ended.
    """

    data: bytes
    end: str
    trailers: list[tuple[bytes, bytes]] | None = None
    rest: bytes | None = None


def body_by_h11(data: bytes) -> Body:
    """
    A chunked body, as h11 sees it.
    """
    conn = _asked(b"GET")
    conn.receive_data(CHUNKED_HEAD)
    conn.next_event()
    if data:
        # To h11 no bytes would be the end of them.
        conn.receive_data(data)
    body = b""
    while True:
        try:
            event = conn.next_event()
        except h11.RemoteProtocolError:
            return Body(body, "refused")
        if isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            fields = [(bytes(k), bytes(v)) for k, v in event.headers.raw_items()]
            return Body(body, "ended", fields, conn.trailing_data[0])
        else:
            same("kind of event", event, h11.NEED_DATA)
            return Body(body, "open")


def check_chunks(pieces: Sequence[bytes]) -> bool:
    """
    Hold one chunked body, in segments, to the Law.

    @return: whether all of it was read, and nothing had to be forgiven.
    @raise BrokenLaw: naming the difference.
    """
    reader = ChunkDecoder(TolerantRules(LONGEST))
    body = b""
    fed = 0
    for piece in pieces:
        fed += 1
        body += reader.feed(piece)
        if reader.ended or reader.error is not None:
            break
    later = b"".join(pieces[fed:]) if reader.ended else b""
    expected = body_by_h11(b"".join(pieces))
    if reader.ended:
        ours = Body(body, "ended", reader.trailers, reader.rest + later)
    elif reader.error is not None:
        ours = Body(body, "refused")
    else:
        ours = Body(body, "open")
    # A control character in an extension is refused, and h11 takes it; so is one in a
    # trailer field that could be about framing.
    error = reader.error or ""
    line = error.startswith("illegal chunk header")
    framing = "where the response ends" in error
    if (line and has_bad_byte(b"".join(pieces))) or (
        framing and any(has_control(v) for _, v in expected.trailers or ())
    ):
        pass
    elif reader.odd:
        # What h11 refuses may be forgiven, but is never taken for usual.
        if expected.end == "ended":
            # A field with a control character, which h11 takes, is left out.
            trailers = [f for f in expected.trailers or [] if not has_control(f[1])]
            same("chunked body", ours, expected._replace(trailers=trailers))
    elif reader.error is not None:
        # Where in a refused body the error is found may differ.
        same("chunked body", ours.end, expected.end)
    else:
        same("chunked body", ours, expected)
    return reader.ended and not reader.odd
