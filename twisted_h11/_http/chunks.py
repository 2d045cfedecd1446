"""
Chunked bodies (RFC 9112 section 7.1): one decoder, and two sets of rules for it.

L{ChunkDecoder} is the state machine.  Its rules decide what is accepted as a chunk
line, as the line end behind the data, and as a trailer section: the server's rules are
strict, the client's are tolerant.  Each byte is examined a bounded number of times,
however the body is cut into segments.
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

__all__ = ["TOO_LONG", "ChunkDecoder", "StrictRules", "TolerantRules", "frame"]

TOO_LONG = "The request body is too long."

# So many bytes of a chunk line are free: the size, and a short extension.
SPARE = 16


class _State(Enum):
    SIZE = "the size of a chunk"
    DATA = "its data"
    ENDING = "the line end behind its data"
    TRAILERS = "the trailer section"
    ENDED = "nothing"


# Module globals: looking up members of an enumeration for each piece is slow.
_SIZE, _DATA, _ENDING = _State.SIZE, _State.DATA, _State.ENDING
_TRAILERS, _ENDED = _State.TRAILERS, _State.ENDED


class ChunkDecoder:
    """
    Reads one chunked body.

    Call L{scan} to check bytes that are kept elsewhere and passed on to h11.  Call
    L{feed} to get only the data of the body.

    @ivar most: bytes of data that are accepted; C{None} for any number.
    @ivar keeps: whether data is kept, for L{take}.
    @ivar received: bytes of data announced so far.
    @ivar ended: whether the trailer section was read.
    @ivar end: the last chunk with the trailer section, once the body has ended; pass it
        to h11 to end the body there (L{StrictRules} only).
    @ivar trailers: the fields of the trailer section.
    @ivar rest: what the last segment that L{feed} was given has behind the trailer
        section.
    @ivar error: what is malformed in the bytes that L{feed} was given; C{None} if
        nothing is.
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
        # The beginning of a line whose end feed() was not given yet.
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
        Whether the next byte for L{feed} begins a chunk line: then whole chunks need
        not be passed to it.
        """
        return self._state is _SIZE and not self._line and self.error is None

    def scan(self, data: Any, start: int) -> int:
        """
        Check what has been received.

        @param data: the bytes.
        @param start: the index to begin at.
        @return: the index up to which the bytes are valid and may be passed to h11;
            the next call begins there.
        @raise Refused: if the bytes are malformed, or too many (L{StrictRules}).
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
            raise Refused(413, TOO_LONG)

    def take(self) -> bytes:
        """
        The data that L{scan} has kept since the last call.
        """
        data = b"".join(self._kept)
        self._kept.clear()
        return data

    def feed(self, data: bytes) -> bytes:
        """
        Decode a segment.

        @return: its part of the body's data.  If the rest is malformed, C{error} says
            how.
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
    The rules of the server; see L{twisted_h11._http.strict_requests}.

    Each method of a set of rules returns C{start} if more bytes must arrive first;
    earlier calls have examined C{seen} bytes from there on.

    @param limits: bounds for extensions and trailers.
    @ivar odd: whether something was accepted that h11 would have refused.
    """

    odd = False

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._extensions = 0

    def ending(self, data: bytes, start: int) -> int:
        """
        Check what follows the data of a chunk, if that is not CR LF.

        @return: where the next chunk begins.
        """
        if data[start:] == b"\r":
            return start
        raise Refused(400, "A chunk is longer than its size.")

    def sizeLine(self, data: bytes, start: int, seen: int) -> tuple[int, int]:
        """
        Check a chunk line, usually one that has an extension.

        @return: where the data begins, and the size in bytes.
        """
        # One byte back: the last byte before may be a CR.
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
        Check the trailer section, or a line of it.  RFC 9112 section 7.1.2: field
        lines under the rules of a head, and an empty line.  h11 is given nothing
        before all of it has arrived.

        @return: the index behind it, and the fields if the section has ended.
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
    The rules of the client: those of h11, except that a bare LF may end a line; behind
    the data of a chunk only if a chunk line before it has ended in a bare LF, too.  The
    connection is not used again after a response with a bare LF.

    A sender could send many times the body in extensions (as in CVE-2023-39326), so
    they may not be much longer than the data: a line counts with what it has beyond
    L{SPARE} bytes and twice its chunk.

    @param limit: bytes of the longest chunk line, of the longest trailer section, and
        of what extensions may have too much.
    @ivar odd: whether something was accepted that h11 would have refused.
    @ivar bareLF: whether a bare LF was taken for the end of a chunk's line.
    @ivar section: the lines of the trailer section so far.
    """

    def __init__(self, limit: int) -> None:
        self.odd = self.bareLF = False
        self.section: list[bytes] = []
        self._limit = limit
        self._sectionLength = 0
        self._excess = 0

    def ending(self, data: bytes, start: int) -> int:
        """
        See L{StrictRules.ending}.
        """
        found = bytes(data[start : start + 2])
        # If the chunk line ended in CR LF, the size may be wrong by one.
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
        if match[2]:
            self.odd = True
        size = int(match[1], 16)
        self._excess = max(0, self._excess + len(line) - SPARE - 2 * size)
        if self._excess > self._limit:
            raise h11.RemoteProtocolError(
                "the chunk extensions are longer than the data, and than "
                f"{self._limit} bytes (maxHeadLength)"
            )
        return start + len(line), size

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
                    # h11 checks fields about framing even in a trailer section, and
                    # reads equal values of Content-Length as one.
                    try:
                        end = h11.EndOfMessage(headers=fields)
                    except h11.LocalProtocolError as error:
                        raise h11.RemoteProtocolError(str(error)) from None
                    fields = [(bytes(n), bytes(v)) for n, v in end.headers.raw_items()]
            else:
                self.section.append(line)
                self._sectionLength += len(line)
            self.odd = self.odd or odd
        return start + len(line), fields

    def _line(self, data: bytes, start: int, seen: int, what: str) -> bytes:
        """
        The line that begins at C{start}, or C{b""} if its end has not arrived.
        """
        end = data.find(b"\n", start + seen) + 1
        if (end or len(data)) - start + self._sectionLength > self._limit:
            raise h11.RemoteProtocolError(
                f"the {what} is longer than {self._limit} bytes (maxHeadLength)"
            )
        return bytes(data[start:end])


def frame(body: bytes, decoder: ChunkDecoder) -> bytes:
    """
    Frame decoded data as a chunk again, for an h11 connection.

    @param body: the data that C{decoder} has returned.
    @param decoder: if its body has ended, the last chunk and the trailer section
        follow.
    """
    framed = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    if decoder.ended:
        lines = [b"%b: %b\r\n" % field for field in decoder.trailers]
        framed += b"0\r\n%b\r\n" % b"".join(lines)
    return framed
