"""
The sending half of a server connection: one response after the other.

An L{Answering} is given a response by a request in pieces, by the methods that
twisted.web's C{HTTPChannel} has for that, and by a few of its own for our
L{Request<twisted_h11._server.request.Request>}.  Three rules:

B{A response is complete or it visibly is not.}  C{_answer} is the head that was
sent, C{_answerLeft} what is missing of its content.  An application that sends
too much, too little, or fails in the middle, ends the connection: flushed and
closed without a last chunk where the client can tell, reset where the end of
the connection would look like the end of the response.

B{h11 frames}, or L{twisted_h11._http.fastpath} does, to the same bytes.  While a
request came in by the fast path, C{_missed} has its bytes; h11 has not seen
them.  The first thing that needs the state machine calls C{_wake}, which
replays into h11 what it has missed, the request and the answer so far.

B{A request frames nothing.}  twisted.web's own C{Request} writes chunks; their
framing is taken off again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import h11
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IProtocol
from twisted.web.http_headers import Headers

from twisted_h11._boundary.octets import as_bytes
from twisted_h11._boundary.twisted_private import raw_fields
from twisted_h11._http import fastpath
from twisted_h11._http.response_head import (
    BadResponse,
    ResponseHead,
    Unchunker,
    check_fields,
    reason_of,
)
from twisted_h11._http.strict import RequestHead
from twisted_h11._server.failures import Failing
from twisted_h11._server.states import Reading
from twisted_h11._wire.files import FileRegion

__all__ = ["Answering"]


_NOTHING = Reading.NOTHING

# Content that is no longer is copied behind its head.
_LONG = 16 * 1024

_content_length = re.compile(rb"(\ncontent-length:[ \t]*)[0-9]+", re.IGNORECASE)


class _Placeholder:
    """
    Stands for content that is out already, when h11 is told about it.
    """

    def __init__(self, length: int) -> None:
        self._length = length

    def __len__(self) -> int:
        return self._length


class Answering(Failing):
    """
    One connection, seen from its responses.

    @ivar answerTrailers: pairs of name and value for the trailer section of the
        current response.
    """

    answerTrailers: list[tuple[bytes, bytes]] = []  # noqa: RUF012 (never changed)

    _fastAnswer = False
    _fastLength: int | None = None
    _sent = 0
    _unchunker: Unchunker | None = None
    _reading = Reading.HEAD
    _bodyLeft: int | None = 0
    # Whether the cycle before has left nothing behind.
    _clean = True
    # Whether the client waits for our 100 Continue.  h11 has a flag for that, too,
    # but it knows only of the bytes that we have shown it.
    _clientWaits = False

    # -- h11, when it is needed after all ---------------------------------------

    def sendEvent(self, event: h11.Event) -> None:
        """
        Send an event; see L{H11Protocol.sendEvent<twisted_h11.protocol>}.
        """
        if self._missed is not None:
            self._wake()
        super().sendEvent(event)

    def _wake(self) -> None:
        """
        Tell h11 what passed it by: the request, and the answer so far.
        """
        missed, self._missed = self._missed, None
        if missed is None:
            return
        conn = self.h11Connection
        head = self._head
        if head is not None and head.length:
            # What was received of the body is neither here any more nor of any
            # consequence: what is still to come decides about the states.
            missed = _content_length.sub(rb"\g<1>%d" % (self._bodyLeft or 0), missed, 1)
        conn.receive_data(missed)
        while type(conn.next_event()) is h11.Request:
            pass
        answer = self._answer
        if answer is None or not self._fastAnswer:
            return
        self._fastAnswer = False
        conn.send(
            h11.Response(
                status_code=answer.status, headers=answer.fields, reason=answer.reason
            )
        )
        if self._sent:
            content: Any = _Placeholder(self._sent)
            conn.send_with_data_passthrough(h11.Data(data=content))

    def _reusable(self) -> bool:
        """
        Whether both messages have ended so that another cycle may begin.
        """
        if not self.persistent:
            return False
        return self._missed is not None or self.h11Connection.our_state is h11.DONE

    # -- the response, as a request writes it -----------------------------------

    def writeHeaders(
        self,
        version: bytes,
        code: bytes,
        reason: bytes,
        headers: Headers | Iterable[tuple[bytes, bytes]],
    ) -> None:
        """
        Send a response head.  If it can not be sent, a 500 goes out instead.

        @param version: not used; the client's version is known here.
        @param code: the status, for example C{b"200"}.
        @param reason: the reason phrase.
        @param headers: the fields.
        """
        head = self._head
        if (
            self._wire.transport is None
            or self._wire.closing is not None
            or head is None
            or self._answer is not None
        ):
            return
        extra = self.site.extraHeaders if self.site is not None else ()
        try:
            if isinstance(headers, Headers):
                if (
                    self._missed is not None
                    # h11 puts the field elsewhere where only we want to close.
                    and (self.persistent or not head.keepAlive)
                    and not extra
                    and head.method != b"HEAD"
                    and self._answerFast(int(code), reason, headers)
                ):
                    return
                pairs = [(k, v) for k, vs in headers.getAllRawHeaders() for v in vs]
            else:
                pairs = list(headers)
            pairs += extra
            answer = ResponseHead(int(code), reason, pairs, head.method)
            self._answerSlowly(head, answer)
        except (BadResponse, h11.LocalProtocolError, TypeError, ValueError) as error:
            # As it came from the application, it may be anything.
            self._answerFailed(error)

    def _answerFast(self, status: int, reason: bytes, headers: Headers) -> bool:
        """
        Send a common response head without h11.

        @return: whether it was common.
        """
        fast = fastpath.response_head(status, reason, headers.getAllRawHeaders())
        if fast is None:
            return False
        data, length = fast
        if length is None:
            data += b"Transfer-Encoding: chunked\r\n"
        data += b"\r\n" if self.persistent else b"Connection: close\r\n\r\n"
        self._answer = ResponseHead.sent(status, reason, data, length)
        self._answerLeft = self._fastLength = length
        self._fastAnswer = True
        self._sent = 0
        self._wire.send(data)
        return True

    def _answerSlowly(self, head: RequestHead, answer: ResponseHead) -> None:
        connects = head.method == b"CONNECT"
        if answer.close or (connects and answer.status >= 300) or self._clientWaits:
            # The last: nobody knows whether the client, which was not told to
            # go on, sends its body or its next request (so Go net/http, too).
            self.persistent = False
        if not self.persistent and not answer.close:
            answer.fields.append((b"Connection", b"close"))
        if connects and answer.status < 300:
            answer.removeLength()
        event = h11.Response(
            status_code=answer.status, headers=answer.fields, reason=answer.reason
        )
        self._answer = answer
        self._answerLeft = answer.length if answer.hasContent else 0
        if connects and answer.status < 300:
            # RFC 9110 section 9.3.6: neither length nor coding; a tunnel begins.
            answer.hasContent = False
        self.sendEvent(event)

    def answerWhole(
        self, status: int, reason: bytes, headers: Headers, content: bytes
    ) -> bool:
        """
        Send a common response, all of it, without h11.

        @return: whether it was common; if not, nothing was done.
        """
        wire = self._wire
        if (
            self._missed is None
            or self._reading is not _NOTHING
            or self._answer is not None
            or wire.transport is None
            or wire.closing is not None
            or (self.site is not None and self.site.extraHeaders)
        ):
            return False
        head = fastpath.whole_head(
            status, reason, raw_fields(headers), len(content), not self.persistent
        )
        if head is None:
            return False
        if len(content) > _LONG:
            wire.send(head)
            wire.send(content)
        else:
            wire.send(head + content)
        return True

    def startResponse(
        self, code: bytes, reason: bytes, headers: Headers, data: bytes
    ) -> bool:
        """
        Send a response head and its first content in one write.

        @return: whether the response has content on the wire.
        """
        self._wire.beginJoin()
        try:
            self.writeHeaders(b"HTTP/1.1", code, reason, headers)
            self.sendContent(data)
        finally:
            self._wire.endJoin()
        return self._answer is not None and self._answer.hasContent

    def write(self, data: bytes) -> None:
        """
        Send content of a response.  For a request that frames its chunks by
        itself, as twisted.web's do, the framing is taken off.  Before a
        response head it is a raw response, and goes out as it is.
        """
        request = self._request
        answer = self._answer
        data = self._checked(data)
        if answer is None:
            self._sendRaw(data)
            return
        if answer.status != 500 and getattr(request, "code", 0) == 500:
            # What twisted.web's own Request does when it fails after its head: it
            # writes an error page into the response that has begun.
            self._complain("{request} failed after its head", request=request)
            self.failResponse()
            return
        if getattr(request, "chunked", False) and not getattr(
            request, "leavesFraming", False
        ):
            if self._unchunker is None:
                self._unchunker = Unchunker()
            try:
                data = self._unchunker.unframe(data)
            except BadResponse as error:
                self._complain("{error}", error=error)
                self.failResponse()
                return
        self.sendContent(data)

    def writeSequence(self, parts: Iterable[bytes]) -> None:
        """
        Send content of a response; see L{write}.

        @raise TypeError: for anything but bytes.
        """
        self.write(b"".join([self._checked(part) for part in parts]))

    def _checked(self, data: bytes) -> bytes:
        """
        @raise TypeError: for anything but bytes.  Then the response will never be
            complete, whatever whoever wrote it makes of the error.
        """
        try:
            return as_bytes(data)
        except TypeError:
            if self._answer is not None:
                self.failResponse()
            raise

    def sendContent(self, data: bytes) -> None:
        """
        Send content of the current response.

        @param data: content, not framed.  What is more than the response's
            C{Content-Length} is dropped.  Before a response head it is a raw
            response, and goes out as it is.
        """
        answer = self._answer
        if not data or answer is None or self._answerOver or not answer.hasContent:
            if answer is None:
                self._sendRaw(data)
            return
        left = self._answerLeft
        if left is not None:
            if len(data) > left:
                data = self._dropExcess(data, left)
                if not data:
                    return
            self._answerLeft = left - len(data)
        if self._wire.full or self._wire.queue is not None:
            self._countUnsent(len(data))
        if self._fastAnswer:
            self._sent += len(data)
            if self._fastLength is None:
                data = b"%x\r\n%b\r\n" % (len(data), data)
            self._wire.send(data)
        else:
            self.sendEvent(h11.Data(data=data))

    def _takesRaw(self) -> bool:
        """
        Whether the request may still write a response that it frames itself.
        """
        return (
            self._answer is None
            and self._request is not None
            and not self._answerOver
            and self._wire.transport is not None
            and self._wire.closing is None
        )

    def _sendRaw(self, data: bytes) -> None:
        """
        Send some of a response whose head is not ours.
        """
        if data and self._takesRaw():
            if self._wire.full:
                self._countUnsent(len(data))
            self._wire.send(data)

    def sendRegion(self, region: FileRegion) -> None:
        """
        Send a region of a file as content of the current response.
        """
        answer = self._answer
        if answer is None and self._takesRaw() and len(region):
            self._wire.sendRegion(region)
            return
        if (
            answer is None
            or self._answerOver
            or self._wire.transport is None
            or self._wire.closing is not None
        ):
            region.end(ConnectionAborted("The response is over."))
            return
        if not answer.hasContent:
            region.end(None)
            return
        left = self._answerLeft
        if left is not None:
            if len(region) > left:
                self._dropExcess(b"", left)
                region = FileRegion(region.file, region.offset, left, region.ended)
            self._answerLeft = left - len(region)
        if not len(region):
            region.end(None)
            return
        content: Any = region
        self.sendEvent(h11.Data(data=content))

    def _dropExcess(self, data: bytes, left: int) -> bytes:
        self._complain(
            "{request} sent more than its Content-Length", request=self._request
        )
        self.persistent = False
        return data[:left]

    def requestDone(self, request: Any) -> None:
        """
        The request's response has ended.

        @raise TypeError: if it is not the current request.
        """
        if request is not self._request:
            # Given away (switchCycle), aborted, or closing.
            if self._wire.transport is None or self._wire.closing is not None:
                return
            raise TypeError(f"{request!r} is not the request that is answered now")
        self._request = None
        if self._wire.transport is None or self._wire.closing is not None:
            return
        answer = self._answer
        if answer is None or self._answerOver:
            # A raw response: only its writer knows how it is framed.
            self._closeInStages()
        elif answer.hasContent and self._answerLeft:
            self._complain(
                "{request} sent less than its Content-Length", request=request
            )
            self._answerOver = True
            self._failState()
            self._closeInStages()
        elif not getattr(request, "chunked", True) and self._unchunked(request, answer):
            self.failResponse()
        else:
            self._endAnswer(answer)
            if self._wire.closing is None:
                self._endCycle()

    def _unchunked(self, request: Any, answer: ResponseHead) -> bool:
        """
        Whether a request has set C{chunked = False} in a chunked response, which
        is how test servers leave the last chunk out.
        """
        return (
            answer.hasContent
            and answer.length is None
            and self._head is not None
            and self._head.chunkedAllowed
            # Asked for last: it costs more than all the rest.
            and not getattr(request, "__dict__", {}).get("chunked", True)
        )

    def _endAnswer(self, answer: ResponseHead) -> None:
        trailers, self.answerTrailers = self.answerTrailers, []
        try:
            trailers = check_fields(trailers)
        except (BadResponse, TypeError, ValueError) as error:
            self._complain("{error}", error=error)
            self.failResponse()
            return
        self._answerOver = True
        chunked = answer.hasContent and answer.length is None
        head = self._head
        if trailers and not (chunked and head is not None and head.chunkedAllowed):
            self._complain(
                "{request} has trailers, but its response is not chunked; "
                "they are not sent",
                request=head,
            )
            trailers = []
        if trailers:
            self._wake()
        if self._fastAnswer:
            if self._fastLength is None:
                self._wire.send(b"0\r\n\r\n")
        elif self.h11Connection.our_state is h11.SEND_BODY:
            self.sendEvent(h11.EndOfMessage(headers=trailers))

    def sendInterim(self, status: int, pairs: list[tuple[bytes, bytes]]) -> bool:
        """
        Send an interim response (RFC 9110 section 15.2).

        @return: whether it was sent; it is not to an HTTP/1.0 client, nor when
            the final response has begun.
        @raise ValueError: for fields that can not be sent.
        """
        pairs = check_fields(pairs)
        head = self._head
        if (
            head is None
            or self._wire.transport is None
            or self._wire.closing is not None
            or self._answer is not None
            or head.version == b"HTTP/1.0"
        ):
            return False
        if status == 100:
            self._clientWaits = False
        self.sendEvent(
            h11.InformationalResponse(
                status_code=status,
                headers=pairs,
                reason=reason_of(status),
            )
        )
        return True

    def switchCycle(
        self, status: int, pairs: list[tuple[bytes, bytes]], protocol: IProtocol
    ) -> None:
        """
        Answer an upgrade or CONNECT, and give the transport away.

        @raise RuntimeError: if the response has begun, or the request not ended.
        """
        if self._answer is not None or self._reading is not Reading.NOTHING:
            raise RuntimeError("It is too early or too late to switch protocols.")
        self._wake()
        reason = reason_of(status)
        kind = h11.InformationalResponse if status == 101 else h11.Response
        # What is joined goes out with what is next, or when the wire is given away.
        self._wire.joining += 1
        try:
            self.sendEvent(kind(status_code=status, headers=pairs, reason=reason))
        finally:
            self._wire.joining -= 1
        self._request = None
        self.switchProtocol(protocol)

    def _endCycle(self) -> None:
        """
        The response has ended: the next request, or the end.
        """
        raise NotImplementedError
