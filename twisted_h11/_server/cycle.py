"""
One request and its response.

A L{Cycle} is made when a request head has arrived, and is dropped when both messages
have ended; the next request has a new one.  Three rules:

B{The client can tell an incomplete response.}  C{answer} is the head that was sent,
C{left} the missing part of its content.  If an application sends too much, too little,
or fails in the middle, the connection ends: it is flushed and closed without a last
chunk where the client can tell, and reset where the end of the connection would look
like the end of the response.

B{A framer frames,} see L{twisted_h11._server.framers}.  For a request of the fast path
whose response is written in one piece no framer is made.

B{A request does not frame.}  twisted.web's own C{Request} writes chunks; their framing
is removed.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_h11._boundary.guarded import guarded
from twisted_h11._http.chunks import ChunkDecoder
from twisted_h11._http.response_to_send import (
    BadResponse,
    ResponseHead,
    check_fields,
)
from twisted_h11._http.strict_requests import RequestHead
from twisted_h11._server.framers import FastFramer, Framer, H11Framer, Pairs
from twisted_h11._server.interfaces import CycleOwner
from twisted_h11._wire.closing import End
from twisted_h11._wire.wire import Wire

__all__ = ["NO_TRAILERS", "Cycle", "State", "tell_lost"]

# What the log says of trailers that are left out.
NO_TRAILERS = (
    "{request} has trailers, but its response is not chunked; they are not sent"
)


class State(Enum):
    """
    The progress of a response.
    """

    PENDING = "nothing of it was sent"
    STREAMING = "its head was sent"
    COMPLETE = "all of it was sent"
    FAILED = "it will never be complete"


# Globals are faster than members of an enumeration; each response reads these often.
_PENDING, _STREAMING = State.PENDING, State.STREAMING
_COMPLETE, _FAILED = State.COMPLETE, State.FAILED


_NO_TRAILERS: Pairs = []


class Cycle:
    """
    One request and its response.

    @ivar head: the head of the request.
    @ivar request: the application's request object; C{None} once the response has
        ended, or the request is over.
    @ivar state: the progress of the response.
    @ivar answer: the response head that was sent.
    @ivar left: how many bytes of content are missing; C{None} without a length.
    @ivar trailers: pairs of name and value for the response's trailer section.
    @ivar requestEnded: whether all of the request has arrived.
    @ivar clientWaits: whether the client waits for 100 Continue.  h11's own flag
        depends on the bytes that h11 was given.
    @ivar halfCloseTimeout: how many seconds the request may run on when the client has
        closed its sending side, if that differs from the limits.
    """

    __slots__ = (
        "_complained",
        "_framer",
        "answer",
        "clientWaits",
        "foreignChunks",
        "halfCloseTimeout",
        "head",
        "left",
        "owner",
        "request",
        "requestEnded",
        "state",
        "trailers",
        "unseenHead",
        "wire",
    )

    _log = Logger()

    def __init__(
        self, owner: CycleOwner, wire: Wire, head: RequestHead, unseenHead: bytes | None
    ) -> None:
        """
        @param unseenHead: the head as received, if h11 was not given it.
        """
        self.owner = owner
        self.wire = wire
        self.head = head
        self.unseenHead = unseenHead
        self.request: Any = None
        self.state = _PENDING
        self.answer: ResponseHead | None = None
        self.left: int | None = None
        self.trailers: Pairs = _NO_TRAILERS
        self.clientWaits = self.requestEnded = self._complained = False
        self.halfCloseTimeout: float | None = None
        self.foreignChunks: ChunkDecoder | None = None
        self._framer: Framer | None = None

    def __repr__(self) -> str:
        return f"<Cycle {self.state.name.lower()} {self.request!r}>"

    def takeRequest(self) -> Any:
        """
        Drop the reference to the request, and return it.
        """
        request, self.request = self.request, None
        return request

    # -- its state --------------------------------------------------------------

    @property
    def framer(self) -> Framer:
        """
        The framer of the response; made on first need.
        """
        if self._framer is None:
            if self.unseenHead is None:
                self._framer = self.owner.h11Framer()
            else:
                self._framer = FastFramer(
                    self.wire, self.unseenHead, self.owner.h11Framer
                )
        return self._framer

    def wake(self) -> H11Framer:
        """
        Have h11 frame what follows.
        """
        self._framer = framer = self.framer.wake(self.head, self.owner.bodyLeft())
        self.unseenHead = None
        return framer

    @property
    def isOver(self) -> bool:
        """
        Whether nothing can be added to the response.
        """
        return self.state is _COMPLETE or self.state is _FAILED

    @property
    def isReusable(self) -> bool:
        """
        Whether another cycle may begin on the connection, when both messages have
        ended.
        """
        if not self.owner.persistent:
            return False
        return self._framer is None or self._framer.isReusable

    def hasBegun(self, request: Any) -> bool:
        """
        Whether some of the response may have been sent, framed or raw.
        """
        return self.state is not _PENDING or bool(
            getattr(request, "startedWriting", False)
        )

    def isAnswering(self) -> bool:
        """
        Whether the application may still write to the response.
        """
        return self.wire.isOpen and self.request is not None and not self.isOver

    def endsWithConnection(self) -> bool:
        """
        Whether the response has neither a length nor chunks, so that the end of the
        connection is its end; then only a reset shows that it is not complete.
        """
        answer = self.answer
        return (
            self.state is _STREAMING
            and answer is not None
            and answer.hasContent
            and self.left is None
            and not self.head.chunkedAllowed
        )

    # -- the response -----------------------------------------------------------

    def wholeAnswered(self) -> None:
        """
        A response that was sent whole is over.
        """
        self.request = None
        if self.owner.persistent:
            self.owner.awaitNext()
        else:
            self.state = _COMPLETE
            self.owner.endAfterResponse()

    def send(self, data: bytes, chunk: bytes | None = None) -> None:
        """
        Send content.

        @param data: content, not framed.  What exceeds the response's
            C{Content-Length} is dropped.  Before a response head it is a raw
            response, and is sent unchanged.
        @param chunk: the same content framed as a chunk, if the caller has it.
        """
        answer, wire = self.answer, self.wire
        if answer is None:
            if data and self.isAnswering():
                if wire.full:
                    self.owner.slowClient().countUnsent(len(data))
                wire.send(data)
            return
        if not data or not answer.hasContent:
            return
        if self.state is not _STREAMING or wire.closing is not None:
            self._dropped(len(data))
            return
        left = self.left
        if left is not None:
            if len(data) > left:
                self.tooLong(len(data) - left)
                data = data[:left]
                if not data:
                    return
            self.left = left - len(data)
        if not wire.hasRoom and wire.transport is not None:
            self.owner.slowClient().countUnsent(len(data))
        # Whoever has set the answer has made it.
        framer: Any = self._framer
        framer.data(data, chunk)

    def tooLong(self, excess: int) -> None:
        """
        The application has sent more than its C{Content-Length}: log that, and allow
        no further request.

        @param excess: how many bytes are dropped that the request has counted as sent.
        """
        self._dropped(excess)
        self.complain(
            "{request} sent more than its Content-Length", request=self.request
        )
        self.owner.persistent = False

    def _dropped(self, length: int) -> None:
        """Some content is not sent, though the request has counted it."""
        if hasattr(self.request, "sentLength"):
            self.request.sentLength -= length

    # -- its end ----------------------------------------------------------------

    def done(self, request: Any) -> None:
        """
        The request has finished its response: end it, and begin the next cycle, or
        drop what still comes of the request.
        """
        self.request = None
        if self.wire.isOpen:
            self._finish(request)
        if not self.wire.isOpen:
            self.owner.dropBody()

    def _finish(self, request: Any) -> None:
        answer = self.answer
        if answer is None and self.state is _COMPLETE:
            self.wholeAnswered()
        elif answer is None or self.isOver:
            # A raw response, with unknown framing.
            self.wire.close(End.LINGER)
        elif answer.hasContent and self.left:
            if not self.owner.takesNothing:
                self.complain(
                    "{request} sent less than its Content-Length", request=request
                )
            self.state = _FAILED
            self.wire.close(End.LINGER)
        else:
            self._end(answer)
            if self.wire.closing is None:
                self.owner.endCycle()

    def _end(self, answer: ResponseHead) -> None:
        trailers = self.trailers
        if trailers:
            try:
                trailers = check_fields(trailers)
            except (BadResponse, TypeError, ValueError) as error:
                self.complain("{error}", error=error)
                self.fail()
                return
        self.state = _COMPLETE
        chunked = answer.hasContent and answer.length is None
        if trailers and not (chunked and self.head.chunkedAllowed):
            self.complain(NO_TRAILERS, request=self.head)
            trailers = []
        if trailers:
            self.wake()
        self.framer.end(trailers)

    def fail(self) -> None:
        """
        End the connection in the middle of the response, so that the client can tell
        that it is not complete.
        """
        answered, byClose = self.isOver, self.endsWithConnection()
        self.state = _FAILED
        if not self.wire.isOpen:
            return
        # The framing of a raw response is not known.  One that was sent whole, by the
        # fast path, has no head here either.
        raw = self.answer is None and not answered
        if byClose or raw:
            self.owner.abortConnection()
        else:
            self.wire.close(End.LINGER)

    def applicationFailed(self) -> None:
        """
        The application raised: send a 500 if nothing was sent, else end the connection.
        """
        request = self.takeRequest()
        if self.hasBegun(request):
            self.fail()
        else:
            self.owner.sendError(500, "The server failed.", self.head.method)
        tell_lost(request, "The request failed.")

    def complain(self, text: str, **kwargs: Any) -> None:
        """
        Log a fault of the application, once in a cycle.
        """
        if not self._complained:
            self._complained = True
            self._log.error(text, **kwargs)


def tell_lost(request: Any, reason: str) -> None:
    """
    Call C{connectionLost} of a request: its response will not be sent.
    """
    if request is not None:
        lost = Failure(ConnectionDone(reason))
        guarded("A request's connectionLost", request.connectionLost, lost)
