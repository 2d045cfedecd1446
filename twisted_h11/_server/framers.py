"""
What makes bytes of a response, and knows whether h11 has seen its request.

Most requests come in by the fast path, and h11 never hears of them: a L{FastFramer}
frames their responses, to the same bytes.  As soon as something needs h11's state
machine (an interim response, trailers, an unusual head) L{FastFramer.wake} tells h11
what it has missed, the request and the response so far, and an L{H11Framer} goes on.

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
    Stands for content that is out already, when h11 is told about it.
    """

    def __init__(self, length: int) -> None:
        self._length = length

    def __len__(self) -> int:
        return self._length


class H11Framer:
    """
    Frames by h11, which sees both messages.  There is one for a connection, made when
    it is first needed.

    @param wire: where the bytes go.
    @param conn: the connection's h11.
    """

    __slots__ = ("_conn", "_wire")

    def __init__(self, wire: Wire, conn: h11.Connection) -> None:
        self._wire = wire
        self._conn = conn

    # -- the request ------------------------------------------------------------

    def head(self, raw: bytes, head: RequestHead) -> bool:
        """
        Show h11 a request head.

        @return: whether it understands it as we do.
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
        Show h11 some of the body.

        @return: the content in it.
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
        Whether all of the request was seen.
        """
        return self._conn.their_state not in (h11.IDLE, h11.SEND_BODY)

    def replay(self, raw: bytes, answer: ResponseHead | None, sent: int) -> None:
        """
        Tell h11 what has passed it by.

        @param raw: the request.
        @param answer: the response head, if one was sent.
        @param sent: how much content was sent.
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
        What h11 was given beyond the message.
        """
        return bytes(self._conn.trailing_data[0])

    # -- the response -----------------------------------------------------------

    def respond(self, answer: ResponseHead) -> None:
        """
        Send a response head.
        """
        self._send(
            h11.Response(
                status_code=answer.status, headers=answer.fields, reason=answer.reason
            )
        )

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
        Send the response to CONNECT, behind which no HTTP follows.
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
        Both messages have ended: another cycle begins.
        """
        self._conn.start_next_cycle()

    def failed(self) -> None:
        """
        The response will never be complete.
        """
        self._conn.send_failed()

    def wake(self, head: RequestHead, left: int) -> H11Framer:
        """
        @return: this one, which need not be woken.
        """
        return self

    def _send(self, event: h11.Event) -> None:
        send_event(self._wire, self._conn, event)


class FastFramer:
    """
    Frames the response to a request that h11 has not seen.

    @param wire: where the bytes go.
    @param unseenHead: the head of the request, as it was received.
    @param makeH11: what makes the connection's L{H11Framer}.
    @ivar requestEnded: whether all of the request was seen.
    @ivar isReusable: both messages end where they say so.
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
        Some of the body is here; its length is known.

        @param last: whether that is all.
        @return: the content in it.
        """
        self.requestEnded = last
        return (piece,) if piece else ()

    def respond(self, answer: ResponseHead, data: bytes = b"") -> None:
        """
        Send a response head that is a common one.

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

        @param chunk: the same as a chunk, where that is known.
        """
        self._sent += len(data)
        if self._length is None:
            data = chunk or b"%x\r\n%b\r\n" % (len(data), data)
        self._wire.send(data)

    def end(self, trailers: Pairs) -> None:
        """
        Send the end of the response; it has no trailers.
        """
        if self._length is None:
            self._wire.send(b"0\r\n\r\n")

    def nextCycle(self) -> None:
        """
        h11 knows of nothing that it should forget.
        """

    def failed(self) -> None:
        """
        h11 knows of nothing that could fail.
        """

    def wake(self, head: RequestHead, left: int) -> H11Framer:
        """
        Tell h11 what it has missed.

        @param head: the head of the request.
        @param left: how many bytes of its body have not been received.  What has
            been is neither here any more nor of any consequence: what is still to
            come decides about h11's states.
        @return: what frames from now on.
        """
        unseen = self._unseenHead
        if head.length:
            unseen = _content_length.sub(rb"\g<1>%d" % left, unseen, 1)
        framer = self._makeH11()
        framer.replay(unseen, self._answer, self._sent)
        return framer


Framer = FastFramer | H11Framer
