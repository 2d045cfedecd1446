"""
One request and its response.

A L{Cycle} is made when a request head is here, and is gone when both messages have
ended; nothing of it is used for the next one.  Three rules:

B{A response is complete or it visibly is not.}  C{answer} is the head that was sent,
C{left} what is missing of its content.  An application that sends too much, too
little, or fails in the middle, ends the connection: flushed and closed without a
last chunk where the client can tell, reset where the end of the connection would
look like the end of the response.

B{A framer frames,} see L{twisted_h11._server.framers}.  The cycle of a request that
came in by the fast path, and is answered in one piece, never has one.

B{A request frames nothing.}  twisted.web's own C{Request} writes chunks; their
framing is taken off again.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Any, Protocol

import h11
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers

from twisted_h11._boundary.guarded import guarded, log_failure
from twisted_h11._boundary.octets import as_bytes
from twisted_h11._boundary.twisted_private import raw_fields
from twisted_h11._http import fastpath
from twisted_h11._http.chunks import ChunkDecoder, TolerantRules
from twisted_h11._http.response_head import (
    BadResponse,
    ResponseHead,
    check_fields,
)
from twisted_h11._http.strict import RequestHead
from twisted_h11._server.framers import FastFramer, Framer, H11Framer, Pairs
from twisted_h11._server.interfaces import Served
from twisted_h11._server.slow_client import SlowClient
from twisted_h11._wire.closing import End
from twisted_h11._wire.files import FileRegion
from twisted_h11._wire.wire import Wire

__all__ = ["Cycle", "CycleOwner", "State", "send_region", "tell_lost"]


class State(Enum):
    """
    How far a response is.
    """

    PENDING = "nothing of it was sent"
    STREAMING = "its head was sent"
    COMPLETE = "all of it was sent"
    FAILED = "it will never be complete"


# As globals they are found faster, several times for each response.
_PENDING, _STREAMING = State.PENDING, State.STREAMING
_COMPLETE, _FAILED = State.COMPLETE, State.FAILED


_NO_TRAILERS: Pairs = []

# Content that is no longer is copied behind its head.
_LONG = 16 * 1024

# Bytes of a chunk line that a request writes; twisted.web's have no extension.
_LONGEST_CHUNK_LINE = 1024


class CycleOwner(Protocol):
    """
    What a cycle needs of its connection.

    @ivar site: the site.
    @ivar persistent: whether another request may follow.
    @ivar cycle: the current cycle.
    """

    site: Served | None
    persistent: Any
    cycle: Any

    def h11Framer(self) -> H11Framer:
        """
        What frames by h11 on this connection.
        """

    def bodyLeft(self) -> int:
        """
        How many bytes of the request's body have not been received, where its length
        is known.
        """

    def slowClient(self) -> SlowClient:
        """
        What watches a client that does not keep up.
        """

    def sendError(self, status: int, reason: str, method: bytes) -> int:
        """
        Send a response of our own, and close.
        """

    def abortConnection(self) -> None:
        """
        End the connection at once.
        """

    def endCycle(self) -> None:
        """
        The response has ended.
        """

    def awaitNext(self) -> None:
        """
        Both messages have ended, and h11 has seen neither.
        """


class Cycle:
    """
    One request and its response.

    @ivar head: the head of the request.
    @ivar request: what the application has; C{None} once it is answered or over.
    @ivar state: how far the response is.
    @ivar answer: the response head that was sent.
    @ivar left: how much of its content is missing; C{None} if no length was said.
    @ivar trailers: pairs of name and value for its trailer section.
    @ivar requestEnded: whether all of the request is here.
    @ivar clientWaits: whether the client waits for our 100 Continue.  h11 has a flag
        for that, too, but it knows only of the bytes that we have shown it.
    @ivar halfCloseTimeout: how long the request may run on when the client has closed
        its sending side, where that is not what the limits say.
    """

    __slots__ = (
        "_complained",
        "_foreignChunks",
        "_framer",
        "_owner",
        "_wire",
        "answer",
        "clientWaits",
        "halfCloseTimeout",
        "head",
        "left",
        "request",
        "requestEnded",
        "state",
        "trailers",
        "unseenHead",
    )

    _log = Logger()

    def __init__(
        self, owner: CycleOwner, wire: Wire, head: RequestHead, unseenHead: bytes | None
    ) -> None:
        """
        @param unseenHead: the head as it was received, if h11 has not seen it.
        """
        self._owner = owner
        self._wire = wire
        self.head = head
        self.unseenHead = unseenHead
        self.request: Any = None
        self.state = _PENDING
        self.answer: ResponseHead | None = None
        self.left: int | None = None
        self.trailers: Pairs = _NO_TRAILERS
        self.clientWaits = self.requestEnded = self._complained = False
        self.halfCloseTimeout: float | None = None
        self._framer: Framer | None = None
        self._foreignChunks: ChunkDecoder | None = None

    def __repr__(self) -> str:
        return f"<Cycle {self.state.name.lower()} {self.request!r}>"

    def serve(self, factory: Any) -> None:
        """
        Make a request that has no body, and have it answered.

        @param factory: a class that overrides nothing of what would be called else.
        """
        self.requestEnded = True
        try:
            self.request = request = factory(self._owner)
            request.serve(self.head)
        except KeyboardInterrupt:
            raise
        except BaseException:
            log_failure("A request")
            # Not if it was answered before it failed.
            if self._owner.cycle is self:
                self.applicationFailed()

    def takeRequest(self) -> Any:
        """
        The request, which is over for us.
        """
        request, self.request = self.request, None
        return request

    # -- its state --------------------------------------------------------------

    @property
    def framer(self) -> Framer:
        """
        What frames the response.
        """
        if self._framer is None:
            if self.unseenHead is None:
                self._framer = self._owner.h11Framer()
            else:
                self._framer = FastFramer(
                    self._wire, self.unseenHead, self._owner.h11Framer
                )
        return self._framer

    def wake(self) -> H11Framer:
        """
        Have h11 frame what follows.
        """
        self._framer = framer = self.framer.wake(self.head, self._owner.bodyLeft())
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
        Whether both messages have ended so that another cycle may begin.
        """
        if not self._owner.persistent:
            return False
        return self._framer is None or self._framer.isReusable

    def hasBegun(self, request: Any) -> bool:
        """
        Whether some of the response may be out: ours, or a raw one of C{request}.
        """
        return self.state is not _PENDING or bool(
            getattr(request, "startedWriting", False)
        )

    def isAnswering(self) -> bool:
        """
        Whether the application may still write to the response.
        """
        return (
            self._wire.transport is not None
            and self._wire.closing is None
            and self.request is not None
            and not self.isOver
        )

    def endsWithConnection(self) -> bool:
        """
        Whether the response has neither a length nor chunks, so that the end of the
        connection is its end; then only a reset tells that it is not whole.
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

    def respond(
        self,
        code: bytes,
        reason: bytes,
        headers: Headers | Iterable[tuple[bytes, bytes]],
    ) -> None:
        """
        Send a response head.  If it can not be sent, a 500 goes out instead.
        """
        wire, owner, head = self._wire, self._owner, self.head
        if wire.transport is None or wire.closing is not None:
            return
        if self.answer is not None:
            return
        extra = owner.site.extraHeaders if owner.site is not None else ()
        try:
            if isinstance(headers, Headers):
                framer = self.framer
                if (
                    type(framer) is FastFramer
                    # h11 puts the field elsewhere where only we want to close.
                    and (owner.persistent or not head.keepAlive)
                    and not extra
                    and head.method != b"HEAD"
                ):
                    answer = framer.respond(
                        int(code), reason, headers, not owner.persistent
                    )
                    if answer is not None:
                        self.answer = answer
                        self.left = answer.length
                        self.state = _STREAMING
                        return
                pairs = [(k, v) for k, vs in headers.getAllRawHeaders() for v in vs]
            else:
                pairs = list(headers)
            pairs += extra
            self._respondByH11(ResponseHead(int(code), reason, pairs, head.method))
        except (BadResponse, h11.LocalProtocolError, TypeError, ValueError) as error:
            # As it came from the application, it may be anything.
            self._respondFailed(error)

    def _respondByH11(self, answer: ResponseHead) -> None:
        owner = self._owner
        connects = self.head.method == b"CONNECT"
        if answer.close or (connects and answer.status >= 300) or self.clientWaits:
            # The last: nobody knows whether the client, which was not told to
            # go on, sends its body or its next request (so Go net/http, too).
            owner.persistent = False
        if not owner.persistent and not answer.close:
            answer.fields.append((b"Connection", b"close"))
        if connects and answer.status < 300:
            answer.removeLength()
        # Before it is the head that was sent.
        framer = self.wake()
        self.answer = answer
        self.left = answer.length if answer.hasContent else 0
        if connects and answer.status < 300:
            # RFC 9110 section 9.3.6: neither length nor coding; a tunnel begins.
            answer.hasContent = False
        self.state = _STREAMING
        framer.respond(answer)

    def _respondFailed(self, error: Exception) -> None:
        """
        The application's response head can not be sent.
        """
        request = self.request
        self._log.error(
            "{request} gave a response that can not be sent: {error}",
            request=request,
            error=str(error),
        )
        self.answer = None
        if request is not None:
            request.code = 500
        self._owner.sendError(500, "The server failed.", self.head.method)

    def start(self, code: bytes, reason: bytes, headers: Headers, data: bytes) -> bool:
        """
        Send a response head and its first content in one write.

        @return: whether the response has content on the wire.
        """
        self._wire.beginJoin()
        try:
            self.respond(code, reason, headers)
            self.send(data)
        finally:
            self._wire.endJoin()
        return self.answer is not None and self.answer.hasContent

    def answerWhole(
        self, status: int, reason: bytes, headers: Headers, content: bytes
    ) -> bool:
        """
        Send a common response, all of it, without h11.

        @return: whether it was common; if not, nothing was done.
        """
        wire, owner = self._wire, self._owner
        if (
            self.unseenHead is None
            or not self.requestEnded
            or self.answer is not None
            or wire.transport is None
            or wire.closing is not None
            or (owner.site is not None and owner.site.extraHeaders)
        ):
            return False
        head = fastpath.whole_head(
            status, reason, raw_fields(headers), len(content), not owner.persistent
        )
        if head is None:
            return False
        if len(content) > _LONG:
            wire.send(head)
            wire.send(content)
        else:
            wire.send(head + content)
        return True

    def wholeAnswered(self) -> None:
        """
        The response that L{answerWhole} has sent is over.
        """
        self.request = None
        if self._owner.persistent:
            self._owner.awaitNext()
        else:
            self.state = _COMPLETE
            self._wire.close(End.LINGER)

    def send(self, data: bytes) -> None:
        """
        Send content.

        @param data: content, not framed.  What is more than the response's
            C{Content-Length} is dropped.  Before a response head it is a raw
            response, and goes out as it is.
        """
        answer = self.answer
        if answer is None:
            self._sendRaw(data)
            return
        if not data or self.state is not _STREAMING or not answer.hasContent:
            return
        left = self.left
        if left is not None:
            if len(data) > left:
                self._tooLong()
                data = data[:left]
                if not data:
                    return
            self.left = left - len(data)
        wire = self._wire
        if not wire.hasRoom and wire.transport is not None:
            self._owner.slowClient().countUnsent(len(data))
        (self._framer or self.framer).data(data)

    def write(self, data: bytes) -> None:
        """
        Send content of a request that may frame its chunks by itself, as twisted.web's
        do; the framing is taken off.

        @raise TypeError: for anything but bytes.  Then the response will never be
            complete, whatever whoever wrote it makes of the error.
        """
        data = self._checked(data)
        request, answer = self.request, self.answer
        if answer is None:
            self._sendRaw(data)
            return
        if answer.status != 500 and getattr(request, "code", 0) == 500:
            # What twisted.web's own Request does when it fails after its head: it
            # writes an error page into the response that has begun.
            self.complain("{request} failed after its head", request=request)
            self.fail()
            return
        if getattr(request, "chunked", False) and not getattr(
            request, "leavesFraming", False
        ):
            chunks = self._foreignChunks
            if chunks is None:
                chunks = ChunkDecoder(TolerantRules(_LONGEST_CHUNK_LINE))
                self._foreignChunks = chunks
            data = chunks.feed(data)
            if chunks.error is not None:
                self.complain("a chunk of the body is malformed")
                self.fail()
                return
        self.send(data)

    def writeSequence(self, parts: Iterable[bytes]) -> None:
        """
        Send content; see L{write}.
        """
        self.write(b"".join([self._checked(part) for part in parts]))

    def _checked(self, data: bytes) -> bytes:
        try:
            return as_bytes(data)
        except TypeError:
            if self.answer is not None:
                self.fail()
            raise

    def _takesRaw(self) -> bool:
        """
        Whether the request may still write a response that it frames itself.
        """
        return self.answer is None and self.isAnswering()

    def _sendRaw(self, data: bytes) -> None:
        """
        Send some of a response whose head is not ours.
        """
        if data and self._takesRaw():
            if self._wire.full:
                self._owner.slowClient().countUnsent(len(data))
            self._wire.send(data)

    def sendRegion(self, region: FileRegion) -> None:
        """
        Send a region of a file as content.
        """
        answer = self.answer
        if answer is None and self._takesRaw() and len(region):
            self._wire.backPressure().sendRegion(region)
            return
        if (
            answer is None
            or self.isOver
            or self._wire.transport is None
            or self._wire.closing is not None
        ):
            region.end(ConnectionAborted("The response is over."))
            return
        if not answer.hasContent:
            region.end(None)
            return
        left = self.left
        if left is not None:
            if len(region) > left:
                self._tooLong()
                region = FileRegion(region.file, region.offset, left, region.ended)
            self.left = left - len(region)
        if not len(region):
            region.end(None)
            return
        self.wake().data(region)

    def _tooLong(self) -> None:
        self.complain(
            "{request} sent more than its Content-Length", request=self.request
        )
        self._owner.persistent = False

    def interim(self, status: int, pairs: Pairs) -> bool:
        """
        Send an interim response (RFC 9110 section 15.2).

        @return: whether it was sent; it is not to an HTTP/1.0 client, nor when
            the final response has begun.
        @raise ValueError: for fields that can not be sent.
        """
        pairs = check_fields(pairs)
        if (
            self._wire.transport is None
            or self._wire.closing is not None
            or self.answer is not None
            or self.head.version == b"HTTP/1.0"
        ):
            return False
        if status == 100:
            self.clientWaits = False
        self.wake().interim(status, pairs)
        return True

    def switch(self, status: int, pairs: Pairs) -> None:
        """
        Answer an upgrade or CONNECT; the request is over.

        @raise RuntimeError: if the response has begun, or the request not ended.
        """
        if self.answer is not None or not self.requestEnded:
            raise RuntimeError("It is too early or too late to switch protocols.")
        framer = self.wake()
        # What is joined goes out with what is next, or when the wire is given away.
        self._wire.joining += 1
        try:
            if status == 101:
                framer.interim(status, pairs)
            else:
                framer.switch(status, pairs)
        finally:
            self._wire.joining -= 1
        self.request = None

    # -- its end ----------------------------------------------------------------

    def done(self, request: Any) -> None:
        """
        The request has finished its response.
        """
        self.request = None
        if self._wire.transport is None or self._wire.closing is not None:
            return
        answer = self.answer
        if answer is None or self.isOver:
            # A raw response: only its writer knows how it is framed.
            self._wire.close(End.LINGER)
        elif answer.hasContent and self.left:
            self.complain(
                "{request} sent less than its Content-Length", request=request
            )
            self._over(_FAILED)
            self._wire.close(End.LINGER)
        elif not getattr(request, "chunked", True) and self._unchunked(request, answer):
            self.fail()
        else:
            self._end(answer)
            if self._wire.closing is None:
                self._owner.endCycle()

    def _unchunked(self, request: Any, answer: ResponseHead) -> bool:
        """
        Whether a request has set C{chunked = False} in a chunked response, which
        is how test servers leave the last chunk out.
        """
        return (
            answer.hasContent
            and answer.length is None
            and self.head.chunkedAllowed
            # Asked for last: it costs more than all the rest.
            and not getattr(request, "__dict__", {}).get("chunked", True)
        )

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
            self.complain(
                "{request} has trailers, but its response is not chunked; "
                "they are not sent",
                request=self.head,
            )
            trailers = []
        if trailers:
            self.wake()
        self.framer.end(trailers)

    def fail(self) -> None:
        """
        End the connection in the middle of the response, so that the client knows
        that it is not complete.
        """
        answered, byClose = self.isOver, self.endsWithConnection()
        self._owner.persistent = False
        if self._wire.transport is None or self._wire.closing is not None:
            self.state = _FAILED
            return
        # How a raw response is delimited only its writer knows.
        raw = self.answer is None and not answered
        self._over(_FAILED)
        if byClose or raw:
            self._owner.abortConnection()
        else:
            self._wire.close(End.LINGER)

    def _over(self, state: State) -> None:
        self.state = state
        if self._framer is not None:
            self._framer.failed()

    def replaced(self) -> None:
        """
        A response of our own is sent in the place of this one.
        """
        self._over(_COMPLETE)

    def applicationFailed(self) -> None:
        """
        The application raised: 500 if nothing was sent, else the end.
        """
        request, self.request = self.request, None
        if self.hasBegun(request):
            self.fail()
        else:
            self._owner.sendError(500, "The server failed.", self.head.method)
        tell_lost(request, "The request failed.")

    def complain(self, text: str, **kwargs: Any) -> None:
        """
        Log a fault of the application, once in a cycle.
        """
        if not self._complained:
            self._complained = True
            self._log.error(text, **kwargs)


def send_region(cycle: Cycle | None, region: FileRegion) -> None:
    """
    Send a region of a file as content of the response that is current.
    """
    if cycle is not None:
        cycle.sendRegion(region)
    else:
        region.end(ConnectionAborted("The response is over."))


def tell_lost(request: Any, reason: str) -> None:
    """
    Tell a request that nothing more of it will be sent.
    """
    if request is not None:
        lost = Failure(ConnectionDone(reason))
        guarded("A request's connectionLost", request.connectionLost, lost)
