"""
Reading a response: its heads, its body, and where they end.

The head alone decides where the body ends; data after that end is not read
(RFC 9112 section 9.2).

A head is parsed when it is complete.  A common one is parsed by the fast path, a pure
function, and a common chunked body by L{ChunkDecoder}; all others by an h11 connection
made for this response, which is given the request first.  A request without the fast
path (C{Agent(..., fastPath=False)}) has an h11 connection for its whole exchange: it
writes the head and the body of the request, and reads every head and every body.  Only
the bound of the head's length and the end of the connection are handled here in both
cases.
"""

from __future__ import annotations

from enum import Enum
from typing import Any
from typing import Protocol as Interface

import h11
from twisted.python.failure import Failure

from twisted_h11._client.errors import MalformedResponse, ResponseTooLarge, explain
from twisted_h11._client.request import ClientRequest
from twisted_h11._client.response import InterimResponse
from twisted_h11._http.abnf import find_head_end
from twisted_h11._http.chunks import ChunkDecoder, TolerantRules, frame
from twisted_h11._http.response_received import (
    CHUNKED,
    Fields,
    ReceivedHead,
    is_persistent,
    read_event,
    read_response,
)
from twisted_h11._http.tolerant_responses import EMPTY_LINES, forgive

__all__ = ["Reading", "ResponseReader", "ResponseUser"]


class Reading(Enum):
    """
    What is read next.
    """

    HEAD = "a head"
    LENGTH = "a body of known length"
    CHUNKS = "a chunked body"
    UNTIL_END = "a body that the end of the connection ends"
    EVENTS = "a body that is not chunked, by h11"
    SUCCESSOR = "what is for another protocol"
    NOTHING = "nothing"


# What the first head and those behind interim ones begin with, in any case.
_BEGINNING = b"HTTP/"

# Names of the module are looked up faster than members of an Enum, for each segment.
_HEAD, _LENGTH, _CHUNKS = Reading.HEAD, Reading.LENGTH, Reading.CHUNKS


class ResponseUser(Interface):
    """
    The owner of a L{ResponseReader}, called with the parts of the response.  Each of
    these calls may L{stop <ResponseReader.stop>} the reader.
    """

    def interimRead(self, response: InterimResponse) -> None:
        """
        An interim response was received.
        """

    def headRead(self, head: ReceivedHead, data: bytes) -> None:
        """
        The head of the final response was received.

        @param data: all received bytes from the head on.
        """

    def switchRead(self, head: ReceivedHead) -> None:
        """
        The server has switched protocols: the following data is for the successor.
        """

    def fail(self, reason: Failure) -> None:
        """
        The response is malformed, or too large.
        """


class BodyUser(Interface):
    """
    Called with the body of a response.  Each call may stop the reader, too.
    """

    def bodyRead(self, data: bytes) -> None:
        """
        A piece of the body was received.
        """

    def bodyEnded(self, trailers: Fields, clean: bool) -> None:
        """
        The body is complete.

        @param clean: whether no bytes were received after it.
        """


def read_whole_body(conn: h11.Connection, data: bytes) -> bytes:
    """
    Read a body with h11; C{data} contains all of it.
    """
    if data:
        # h11 reads b'' as end of file.
        conn.receive_data(data)
    pieces = []
    while isinstance(event := conn.next_event(), h11.Data):
        pieces.append(event.data)
    assert isinstance(event, h11.EndOfMessage), event
    return b"".join(pieces)


class ResponseReader:
    """
    Reads the response to one request.

    @param user: called with the parts of the response.
    @ivar state: what is read next.
    @ivar left: how many bytes are left of a body of known length; below 0 for other
        bodies, see L{ReceivedHead.length}.
    @ivar persistent: whether the response was so well formed that the connection may
        be used for another request.
    @ivar h11: the h11 connection of a request without the fast path, or C{None}.
    @ivar rest: the data received for the successor.
    """

    __slots__ = (
        "_body",
        "_buffer",
        "_chunks",
        "_emptyLines",
        "_request",
        "_searched",
        "_user",
        "h11",
        "left",
        "persistent",
        "state",
    )

    def __init__(self, user: ResponseUser, request: ClientRequest) -> None:
        self._user = user
        # Set by beginBody.
        self._body: Any = None
        self._request = request
        self._buffer: bytearray | None = None
        self._searched = 0
        self._emptyLines = 0
        self._chunks: ChunkDecoder | None = None
        self.h11 = None if request.fast else request.sentByH11()
        self.left = 0
        self.persistent = True
        self.state = _HEAD

    def __repr__(self) -> str:
        return f"<{type(self).__name__} reads {self.state.value}>"

    def stop(self) -> None:
        """
        Stop reading.
        """
        self.state = Reading.NOTHING
        self.h11 = self._body = self._buffer = self._chunks = None
        # This breaks the reference cycle between the reader and its user.
        del self._user

    def dataReceived(self, data: bytes) -> None:
        """
        Read data from the server.
        """
        state = self.state
        if state is _LENGTH:
            left = self.left - len(data)
            if left > 0:
                self.left = left
                self._body.bodyRead(data)
            else:
                self._readLast(data, left)
        elif state is _HEAD:
            self._readHead(data)
        elif state is _CHUNKS:
            self._readChunks(data)
        elif state is Reading.UNTIL_END:
            self._body.bodyRead(data)
        elif state is Reading.EVENTS:
            self._readEvents(data)
        elif state is Reading.SUCCESSOR:
            assert self._buffer is not None
            self._buffer += data

    # -- heads --------------------------------------------------------------

    def _readHead(self, data: bytes) -> None:
        """
        Read heads, up to the final one.  The outcome must not depend on how the bytes
        are split into segments.
        """
        request = self._request
        limit = request.settings.maxHeadLength
        buffer = self._buffer
        while True:
            if not buffer:
                if data[:1] in b"\r\n":
                    data = self._skipEmptyLines(data)
                    if not data:
                        return
                # In most cases the whole head is in one segment.
                if request.fast and request.method != b"CONNECT":
                    head = read_response(data, request.method == b"HEAD")
                    if head is not None and head.size <= limit:
                        self._user.headRead(head, data)
                        return
                if buffer is None:
                    buffer = self._buffer = bytearray()
            isNew = len(buffer) < len(_BEGINNING)
            buffer += data
            if isNew:
                begins = bytes(buffer[: len(_BEGINNING)])
                if not _BEGINNING.startswith(begins.upper()):
                    self._refuseBeginning(buffer)
                    return
            found = find_head_end(buffer, self._searched)
            end = len(buffer) if found is None else found.end()
            if end > limit:
                text = f"The response head is longer than {limit} bytes (maxHeadLength)"
                self._user.fail(Failure(ResponseTooLarge(text)))
                return
            if found is None:
                self._searched = max(0, end - 2)
                return
            raw, data = bytes(buffer[:end]), bytes(buffer[end:])
            buffer.clear()
            self._searched = 0
            if not self._readUnusualHead(request, raw, data) or not data:
                return

    def _skipEmptyLines(self, data: bytes) -> bytes:
        """
        Remove line ends before the status line.
        """
        rest = data.lstrip(b"\r\n")
        self._emptyLines += len(data) - len(rest)
        self.persistent = False
        if self._emptyLines > EMPTY_LINES:
            self._refuseBeginning(data)
            return b""
        return rest

    def _refuseBeginning(self, data: bytes | bytearray) -> None:
        begins = bytes(data[:20])
        self._refuse(f"The answer is not HTTP: it begins with {begins!r}")

    def _readUnusualHead(self, request: ClientRequest, raw: bytes, rest: bytes) -> bool:
        """
        Read a head with h11.

        @return: whether it was interim, so that another head follows.
        """
        try:
            head, odd = forgive(raw, request.method)
            if odd:
                self.persistent = False
            conn = request.sentByH11() if self.h11 is None else self.h11
            conn.receive_data(head)
            event = conn.next_event()
            if isinstance(event, h11.InformationalResponse):
                return self._readInterim(event, rest)
            assert isinstance(event, h11.Response), event
            answer = read_event(event, raw, request.method)
        except h11.RemoteProtocolError as error:
            self._user.fail(Failure(explain(error, raw)))
        else:
            if request.method == b"CONNECT" and 200 <= answer.code < 300:
                self._switched(answer, rest)
            else:
                self._user.headRead(answer, raw + rest)
        return False

    def _readInterim(self, event: h11.InformationalResponse, rest: bytes) -> bool:
        fields = [
            (bytes(name), bytes(value)) for name, value in event.headers.raw_items()
        ]
        code, reason = event.status_code, bytes(event.reason)
        if code == 101:
            self._switched(ReceivedHead(1, code, reason, fields, 0, False, 0), rest)
            return False
        if not is_persistent(event.http_version, fields):
            # The server will close the connection, although only the final response
            # has to say so; and HTTP/1.0 has no interim responses.
            self.persistent = False
        self._user.interimRead(InterimResponse(code, reason, fields))
        return self.state is _HEAD

    def _switched(self, head: ReceivedHead, rest: bytes) -> None:
        self.state = Reading.SUCCESSOR
        self.h11 = None
        self._buffer = bytearray(rest)
        self._user.switchRead(head)

    def takeRest(self) -> bytes:
        """
        Remove and return the data that was received for the successor.
        """
        rest, self._buffer = self._buffer, None
        return bytes(rest or b"")

    # -- bodies -------------------------------------------------------------

    def wholeBody(self, head: ReceivedHead, data: bytes) -> bytes | None:
        """
        Take the body of a response, if all of it was received with the head.

        @param data: all received bytes from the head on.
        @return: the body; or C{None}, then L{beginBody} is to be called.
        """
        length, start = head.length, head.size
        if not 0 <= length <= len(data) - start:
            return None
        if self.h11 is not None:
            return read_whole_body(self.h11, data[start:])
        return data[start : start + length] if length else b""

    def beginBody(self, length: int, user: BodyUser) -> None:
        """
        Begin to read a body.

        @param length: see L{ReceivedHead.length}.
        """
        self._body = user
        self.left = length
        if length == CHUNKED:
            self.state = _CHUNKS
            self._chunks = ChunkDecoder(
                TolerantRules(self._request.settings.maxHeadLength)
            )
        elif self.h11 is not None:
            self.state = Reading.EVENTS
        elif length >= 0:
            self.state = _LENGTH
        else:
            self.state = Reading.UNTIL_END

    def _readLast(self, data: bytes, left: int) -> None:
        """
        Read the last piece of a body; C{data} may have more behind it.
        """
        self.left = 0
        self._body.bodyRead(data if left == 0 else data[:left])
        if self.state is _LENGTH:
            self._body.bodyEnded([], left == 0)

    def _readChunks(self, data: bytes) -> None:
        chunks = self._chunks
        assert chunks is not None
        body = chunks.feed(data)
        if chunks.ended and (chunks.rest or chunks.odd):
            self.persistent = False
        if self.h11 is not None:
            # h11 is to read along: give it the same chunks, framed again.
            self._readEvents(frame(body, chunks))
        else:
            if body:
                self._body.bodyRead(body)
            if chunks.ended and self.state is _CHUNKS:
                self._body.bodyEnded(chunks.trailers, True)
        if chunks.error is not None and self.state is not Reading.NOTHING:
            self._refuse(chunks.error)

    def _readEvents(self, data: bytes) -> None:
        """
        Read a piece of a body with h11.
        """
        conn = self.h11
        assert conn is not None
        if not data:
            # h11 reads b"" as end of file.
            return
        conn.receive_data(data)
        while self.state is not Reading.NOTHING:
            # It refuses nothing: the framing of what it is given is valid.
            event = conn.next_event()
            if isinstance(event, h11.Data):
                if self.left > 0:
                    self.left -= len(event.data)
                self._body.bodyRead(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                trailers = [
                    (bytes(name), bytes(value))
                    for name, value in event.headers.raw_items()
                ]
                self._body.bodyEnded(trailers, not conn.trailing_data[0])
            else:
                return

    def _refuse(self, text: str) -> None:
        self._user.fail(Failure(MalformedResponse(text[:500])))
