"""
Chunked bodies (RFC 9112 section 7.1): one decoder, and two sets of rules for it.

L{ChunkDecoder} knows the grammar and where it stands.  What is accepted as a chunk
line, as the line end behind the data, and as a trailer section, its rules say: the
server's are strict, the client's are tolerant.  Each byte is looked at a bounded
number of times, however the body is cut.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import h11

from twisted_h11._http.abnf import (
    has_bad_byte,
    has_break,
    is_chunk_line,
    is_tolerant_chunk_line,
    match_chunk_size,
    match_chunk_size_line,
)
from twisted_h11._http.response_received import Fields
from twisted_h11._http.strict_requests import (
    Refused,
    check_field_lines,
    describe_bad_byte,
)
from twisted_h11._http.tolerant_responses import read_fields
from twisted_h11.limits import Limits

__all__ = ["ChunkDecoder", "StrictRules", "TolerantRules", "frame"]


class _State(Enum):
    SIZE = "the size of a chunk"
    DATA = "its data"
    ENDING = "the line end behind its data"
    TRAILERS = "the trailer section"
    ENDED = "nothing"


# They are looked up for each piece.
_SIZE, _DATA, _ENDING = _State.SIZE, _State.DATA, _State.ENDING
_TRAILERS, _ENDED = _State.TRAILERS, _State.ENDED


class ChunkDecoder:
    """
    Reads one chunked body.

    Whoever has the bytes anyway, and passes them on, calls L{scan}; whoever wants
    the body only calls L{feed}.

    @ivar most: bytes of data that are accepted; C{None} for any number.
    @ivar keeps: whether data is kept, for L{take}.
    @ivar received: bytes of data announced so far.
    @ivar ended: whether the trailer section was read.
    @ivar end: the last chunk with the trailer section, once it has ended: what h11
        must see to know that the body has ended (L{StrictRules} only).
    @ivar trailers: the fields of the trailer section.
    @ivar rest: what L{feed} was given behind it.
    @ivar error: what was wrong with what L{feed} was given.
    """

    most: int | None = None
    ended = False
    end = b""
    rest = b""
    error: str | None = None

    def __init__(self, rules: StrictRules | TolerantRules, keeps: bool = True) -> None:
        self.keeps = keeps
        self.received = 0
        self.trailers: Fields = []
        self._rules = rules
        self._state = _SIZE
        self._left = 0
        self._seen = 0
        self._kept: list[bytes] = []
        # The beginning of a line whose end L{feed} was not given yet.
        self._line = bytearray()

    @property
    def odd(self) -> bool:
        """
        Whether something was accepted that h11 would have refused.
        """
        return self._rules.odd

    @property
    def isBetween(self) -> bool:
        """
        Whether the next byte that L{feed} is given begins a chunk line, so that whole
        chunks may pass it by.
        """
        return self._state is _SIZE and not self._line and self.error is None

    def scan(self, data: Any, start: int) -> int:
        """
        Look at what has been received.

        @param data: the bytes.
        @param start: where to begin; what lies before was passed earlier.
        @return: up to where the bytes are in order and complete enough for
            h11; the next call begins there.
        @raise Refused: for anything else (L{StrictRules}).
        @raise h11.RemoteProtocolError: likewise (L{TolerantRules}).
        """
        end = len(data)
        while start < end:
            state = self._state
            if state is _DATA:
                after = min(start + self._left, end)
                if self.keeps:
                    self._kept.append(data[start:after])
                self._left -= after - start
                if not self._left:
                    self._state = _ENDING
            elif state is _SIZE:
                match = match_chunk_size_line(data, start)
                if match is not None:
                    after, size = match.end(), int(match[1], 16)
                else:
                    after, size = self._rules.sizeLine(data, start, self._seen)
                if after > start:
                    self._begin(size)
            elif state is _ENDING:
                if data.startswith(b"\r\n", start):
                    after = start + 2
                else:
                    after = self._rules.ending(data, start)
                if after > start:
                    self._state = _SIZE
            elif state is _TRAILERS:
                after, fields = self._rules.trailers(data, start, self._seen)
                if fields is not None:
                    self.trailers = fields
                    self.end = b"0\r\n" + data[start:after]
                    self.ended = True
                    self._state = _ENDED
            else:
                break
            if after == start:
                self._seen = end - start
                break
            self._seen = 0
            start = after
        return start

    def _begin(self, size: int) -> None:
        self._left = size
        self._state = _DATA if size else _TRAILERS
        self.received += size
        if self.most is not None and self.received > self.most:
            raise Refused(413, "The request body is too long.")

    def take(self) -> bytes:
        """
        The data that L{scan} has kept since this was called the last time.
        """
        data = b"".join(self._kept)
        self._kept.clear()
        return data

    def feed(self, data: bytes) -> bytes:
        """
        Take a segment.

        @return: the part of the body that is in it; what is wrong with the rest is
            in C{error}.
        """
        if self.error is not None or not data:
            return b""
        line = self._line
        known: Any = data
        if line:
            line += data
            known = line
        try:
            at = self.scan(known, 0)
        except h11.RemoteProtocolError as error:
            self.error = str(error)
        else:
            if self.ended:
                self.rest = bytes(known[at:])
                line.clear()
            elif known is line:
                del line[:at]
            else:
                line += data[at:]
        return self.take()


class StrictRules:
    """
    What the server accepts; see L{twisted_h11._http.strict_requests}.

    Each method of a set of rules returns C{start} if more bytes must come first;
    C{seen} bytes from there on have been looked at by an earlier call.

    @param limits: bounds for extensions and trailers.
    @ivar odd: whether something was accepted that h11 would have refused.
    """

    odd = False

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._extensions = 0

    def ending(self, data: bytes, start: int) -> int:
        """
        Look at what follows the data of a chunk, and is not CR LF.

        @return: where the next chunk begins.
        """
        if data[start:] == b"\r":
            return start
        raise Refused(400, "A chunk is longer than its size.")

    def sizeLine(self, data: bytes, start: int, seen: int) -> tuple[int, int]:
        """
        Look at a chunk line, usually one that has an extension.

        @return: where the data begins, and the size.
        """
        # One byte back, for a CR that was the last one then.
        fresh = max(start, start + seen - 1)
        lineEnd = data.find(b"\r\n", fresh)
        size = match_chunk_size(data, start)
        if size is None:
            raise Refused(400, "A chunk line is malformed.")
        end = len(data) - data.endswith(b"\r") if lineEnd < 0 else lineEnd
        extensions = self._extensions + end - size.end()
        if extensions > self._limits.maxChunkExtensionLength:
            raise Refused(400, "The chunk extensions are too long.")
        if lineEnd < 0:
            if has_break(data, fresh) is not None:
                raise Refused(400, "A chunk line is malformed.")
            return start, 0
        match = is_chunk_line(data, start, lineEnd)
        if match is None:
            raise Refused(400, "A chunk line is malformed.")
        self._extensions = extensions
        return lineEnd + 2, int(match.group(1), 16)

    def trailers(self, data: bytes, start: int, seen: int) -> tuple[int, Fields | None]:
        """
        Look at the trailer section, or at a line of it.  RFC 9112 section 7.1.2: field
        lines under the rules of a head, and an empty line.  h11 is given nothing
        before all of it is here.

        @return: where what follows begins, and the fields if the section has ended.
        """
        if data.startswith(b"\r\n", start):
            return start + 2, []
        found = data.find(b"\r\n\r\n", max(start, start + seen - 3))
        end = len(data) if found < 0 else found + 4
        bad = has_bad_byte(data, max(start, start + seen - 1), end)
        if bad is not None:
            raise Refused(400, describe_bad_byte(bad.group()))
        if end - start > self._limits.maxTrailerLength:
            raise Refused(431, "The trailer section is too long.")
        if found < 0:
            return start, None
        lines = data[start:found].split(b"\r\n")
        most = self._limits.maxFieldCount
        return end, check_field_lines(lines, 0, most, "trailer")


class TolerantRules:
    """
    What the client accepts: what h11 does, and in addition a bare LF where a line
    should end in CR LF; behind the data of a chunk only if a chunk line before it has
    ended so, too.  After that the connection is not to be trusted with another
    response.

    @param limit: bytes of the longest chunk line, and of the longest trailer
        section.
    @ivar odd: whether something was accepted that h11 would have refused.
    @ivar bareLF: whether a bare LF was taken for the end of a chunk's line.
    @ivar section: the lines of the trailer section so far.
    """

    def __init__(self, limit: int) -> None:
        self.odd = self.bareLF = False
        self.section: list[bytes] = []
        self._limit = limit
        self._sectionLength = 0

    def ending(self, data: bytes, start: int) -> int:
        """
        See L{StrictRules.ending}.
        """
        found = bytes(data[start : start + 2])
        # Behind a line that ended in CR LF it may be that the size is wrong by one.
        if found[:1] == b"\n" and self.bareLF:
            return start + 1
        if found == b"\r":
            return start
        raise h11.RemoteProtocolError(f"malformed chunk footer: {found!r}")

    def sizeLine(self, data: bytes, start: int, seen: int) -> tuple[int, int]:
        """
        See L{StrictRules.sizeLine}.
        """
        line = self._line(data, start, seen, "chunk line")
        if not line:
            return start, 0
        if not line.endswith(b"\r\n"):
            self.odd = self.bareLF = True
        match = is_tolerant_chunk_line(line)
        if match is None:
            raise h11.RemoteProtocolError(f"illegal chunk header: {line[:100]!r}")
        return start + len(line), int(match[1], 16)

    def trailers(self, data: bytes, start: int, seen: int) -> tuple[int, Fields | None]:
        """
        See L{StrictRules.trailers}.
        """
        line = self._line(data, start, seen, "trailer section")
        fields = None
        if line:
            odd = not line.endswith(b"\r\n")
            if line in (b"\r\n", b"\n"):
                fields, left = read_fields(self.section)
                odd = odd or left
                if fields:
                    # h11 looks at those about framing, although they say nothing.
                    try:
                        h11.EndOfMessage(headers=fields)
                    except h11.LocalProtocolError as error:
                        raise h11.RemoteProtocolError(str(error)) from None
            else:
                self.section.append(line)
                self._sectionLength += len(line)
            self.odd = self.odd or odd
        return start + len(line), fields

    def _line(self, data: bytes, start: int, seen: int, what: str) -> bytes:
        """
        The line that begins at C{start}, or nothing if its end is not here.
        """
        end = data.find(b"\n", start + seen) + 1
        if (end or len(data)) - start + self._sectionLength > self._limit:
            raise h11.RemoteProtocolError(
                f"the {what} is longer than {self._limit} bytes (maxHeadLength)"
            )
        return bytes(data[start:end])


def frame(body: bytes, decoder: ChunkDecoder) -> bytes:
    """
    The same framed anew, for an h11 connection that is to follow.
    """
    framed = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    if decoder.ended:
        lines = [b"%b: %b\r\n" % field for field in decoder.trailers]
        framed += b"0\r\n%b\r\n" % b"".join(lines)
    return framed
