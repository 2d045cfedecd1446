"""
The framers, which make the bytes of a response, with h11 or without.

Most requests are read by the fast path, and h11 is not given them: a L{FastFramer}
frames their responses, to the same bytes.  When h11's state machine is needed (for an
interim response, trailers, an unusual head) L{FastFramer.wake} replays the request and
the response so far into h11, and an L{H11Framer} goes on.

Both have the same methods: C{data} and C{end} for the response, C{received} for the
body of the request, C{isReusable} when both have ended.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import h11

from twisted_h11._events.sending import send_event
from twisted_h11._http.response_to_send import ResponseHead, reason_of
from twisted_h11._http.strict_requests import RequestHead
from twisted_h11._wire.files import FileRegion
from twisted_h11._wire.wire import Wire

__all__ = ["FastFramer", "Framer", "H11Framer"]

_content_length = re.compile(rb"(\ncontent-length:[ \t]*)[0-9]+", re.IGNORECASE)

Pairs = list[tuple[bytes, bytes]]


class _Placeholder:
    """
    Content that was sent already, to replay it into h11 by its length only.
    """

    def __init__(self, length: int) -> None:
        self._length = length

    def __len__(self) -> int:
        return self._length


class H11Framer:
    """
    Frames by h11, which is given both messages.  A connection has one, made on first
    need.

    @param wire: the wire to write to.
    @param conn: the connection's C{h11.Connection}.
    """

    __slots__ = ("_conn", "_wire")

    def __init__(self, wire: Wire, conn: h11.Connection) -> None:
        self._wire = wire
        self._conn = conn

    # -- the request ------------------------------------------------------------

    def head(self, raw: bytes, head: RequestHead) -> bool:
        """
        Give h11 a request head.

        @return: whether h11 parses it to the same values.
        """
        self._conn.receive_data(raw)
        event = self._conn.next_event()
        return (
            type(event) is h11.Request
            and event.method == head.method
            and event.target == head.target
        )

    def received(self, piece: bytes, last: bool) -> Iterable[bytes]:
        """
        Give h11 some of the request's body.

        @param piece: the bytes, with their framing.
        @param last: whether the body ends with them.
        @return: the content in them.
        """
        conn = self._conn
        if piece:
            conn.receive_data(piece)
        while True:
            event = conn.next_event()
            if type(event) is not h11.Data:
                return
            yield event.data

    @property
    def requestEnded(self) -> bool:
        """
        Whether h11 was given all of the request.
        """
        return self._conn.their_state not in (h11.IDLE, h11.SEND_BODY)

    def replay(self, raw: bytes, answer: ResponseHead | None, sent: int) -> None:
        """
        Replay into h11 what was received and sent without it.

        @param raw: the head of the request.
        @param answer: the response head, if one was sent.
        @param sent: how many bytes of content were sent.
        """
        conn = self._conn
        conn.receive_data(raw)
        while type(conn.next_event()) is h11.Request:
            pass
        if answer is None:
            return
        conn.send(
            h11.Response(
                status_code=answer.status, headers=answer.fields, reason=answer.reason
            )
        )
        if sent:
            content: Any = _Placeholder(sent)
            conn.send_with_data_passthrough(h11.Data(data=content))

    @property
    def trailing(self) -> bytes:
        """
        The bytes that h11 was given behind the request.
        """
        return bytes(self._conn.trailing_data[0])

    # -- the response -----------------------------------------------------------

    def respond(self, answer: ResponseHead, version: bytes | None = None) -> None:
        """
        Send a response head.

        @param version: its version, if not HTTP/1.1.
        """
        event = h11.Response(
            status_code=answer.status, headers=answer.fields, reason=answer.reason
        )
        send_event(self._wire, self._conn, event, version)

    def data(self, data: bytes | FileRegion, chunk: bytes | None = None) -> None:
        """
        Send content.
        """
        content: Any = data
        self._send(h11.Data(data=content))

    def end(self, trailers: Pairs) -> None:
        """
        Send the end of the response.
        """
        if self._conn.our_state is h11.SEND_BODY:
            self._send(h11.EndOfMessage(headers=trailers))

    def interim(self, status: int, pairs: Pairs) -> None:
        """
        Send an interim response.
        """
        self._send(
            h11.InformationalResponse(
                status_code=status, headers=pairs, reason=reason_of(status)
            )
        )

    def switch(self, status: int, pairs: Pairs) -> None:
        """
        Send the head of a 2xx response to CONNECT, behind which no HTTP follows.
        """
        self._send(
            h11.Response(status_code=status, headers=pairs, reason=reason_of(status))
        )

    @property
    def isReusable(self) -> bool:
        """
        Whether both messages have ended so that another cycle may begin.
        """
        return self._conn.our_state is h11.DONE

    def nextCycle(self) -> None:
        """
        Both messages have ended: reset h11 for another cycle.
        """
        self._conn.start_next_cycle()

    def wake(self, head: RequestHead, left: int) -> H11Framer:
        """
        @return: this object.
        """
        return self

    def _send(self, event: h11.Event) -> None:
        send_event(self._wire, self._conn, event)


class FastFramer:
    """
    Frames the response to a request that h11 was not given.

    @param wire: the wire to write to.
    @param unseenHead: the head of the request, as received.
    @param makeH11: returns the connection's L{H11Framer}.
    @ivar requestEnded: whether all of the request has arrived.
    @ivar isReusable: always C{True}: both messages end by their length or chunks.
    """

    __slots__ = (
        "_answer",
        "_length",
        "_makeH11",
        "_sent",
        "_unseenHead",
        "_wire",
        "requestEnded",
    )

    isReusable = True

    def __init__(
        self, wire: Wire, unseenHead: bytes, makeH11: Callable[[], H11Framer]
    ) -> None:
        self._wire = wire
        self._unseenHead = unseenHead
        self._makeH11 = makeH11
        self._answer: ResponseHead | None = None
        self._length: int | None = None
        self._sent = 0
        self.requestEnded = False

    def received(self, piece: bytes, last: bool) -> Iterable[bytes]:
        """
        Some of the body has arrived; its length is known.

        @param piece: the bytes.
        @param last: whether the body ends with them.
        @return: the content in them.
        """
        self.requestEnded = last
        return (piece,) if piece else ()

    def respond(self, answer: ResponseHead, data: bytes = b"") -> None:
        """
        Send a response head of the fast path.

        @param answer: the head, with its bytes.
        @param data: the first content, which is copied.
        """
        self._answer = answer
        self._length = answer.length
        if not data:
            self._wire.send(answer.raw)
            return
        self._sent = len(data)
        if answer.length is None:
            self._wire.send(b"%b%x\r\n%b\r\n" % (answer.raw, len(data), data))
        else:
            self._wire.send(answer.raw + data)

    def data(self, data: bytes, chunk: bytes | None = None) -> None:
        """
        Send content.

        @param chunk: the same content framed as a chunk, if the caller has it.
        """
        self._sent += len(data)
        if self._length is None:
            data = chunk or b"%x\r\n%b\r\n" % (len(data), data)
        self._wire.send(data)

    def end(self, trailers: Pairs) -> None:
        """
        Send the end of the response.

        @param trailers: empty; trailers need h11.
        """
        if self._length is None:
            self._wire.send(b"0\r\n\r\n")

    def nextCycle(self) -> None:
        """
        Nothing to do: h11 was not given the request.
        """

    def wake(self, head: RequestHead, left: int) -> H11Framer:
        """
        Replay the request and the response so far into h11.

        @param head: the head of the request.
        @param left: how many bytes of its body have not been received.  Only these
            count for the state of h11.
        @return: the framer to use from now on.
        """
        unseen = self._unseenHead
        if head.length:
            unseen = _content_length.sub(rb"\g<1>%d" % left, unseen, 1)
        framer = self._makeH11()
        framer.replay(unseen, self._answer, self._sent)
        return framer


Framer = FastFramer | H11Framer
