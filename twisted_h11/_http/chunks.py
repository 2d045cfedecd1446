"""
Chunked bodies, as the client reads them (RFC 9112 section 7.1).

L{ChunkReader} takes the framing off by itself, whether or not h11 reads the
response: each byte is looked at a bounded number of times, however the body was
cut.  What is accepted is what h11 accepts, and in addition a bare LF where a line
should end in CR LF; after that the connection is not to be trusted with another
response (C{odd}).
"""

from __future__ import annotations

from enum import Enum

import h11

from twisted_h11._http.abnf import is_tolerant_chunk_line, match_chunk_size_line
from twisted_h11._http.received_head import Fields
from twisted_h11._http.tolerance import read_fields

__all__ = ["ChunkReader"]


class _State(Enum):
    SIZE = "the size of a chunk"
    DATA = "its data"
    ENDING = "the line end behind its data"
    TRAILERS = "the trailer section"
    ENDED = "nothing"


class ChunkReader:
    """
    Reads one chunked body.

    @param limit: bytes of the longest chunk line, and of the longest trailer
        section.
    @ivar ended: whether the trailer section was read.
    @ivar trailers: its fields.
    @ivar rest: what was received behind it.
    @ivar bareLF: whether a bare LF was taken for the end of a chunk's line.
    @ivar section: the lines of the trailer section so far.
    @ivar error: what was wrong, if the body is malformed.
    """

    def __init__(self, limit: int) -> None:
        self.trailers: Fields = []
        self.rest = b""
        self.bareLF = False
        self.section: list[bytes] = []
        self.error: str | None = None
        self._limit = limit
        self._state = _State.SIZE
        self._left = 0
        # The beginning of a line whose end is still to come.
        self._line = bytearray()
        self._oddTrailers = False
        self._sectionLength = 0

    @property
    def ended(self) -> bool:
        """
        Whether the body is complete.
        """
        return self._state is _State.ENDED

    @property
    def odd(self) -> bool:
        """
        Whether something was accepted that h11 would have refused.
        """
        return self.bareLF or self._oddTrailers

    def feed(self, data: bytes) -> bytes:
        """
        Take a segment.

        @return: the part of the body that is in it.
        """
        pieces: list[bytes] = []
        length = len(data)
        position = 0
        while position < length and self.error is None:
            state = self._state
            if state is _State.DATA:
                piece = data[position : position + self._left]
                position += len(piece)
                self._left -= len(piece)
                pieces.append(piece)
                if not self._left:
                    self._state = _State.ENDING
            elif state is _State.SIZE and not self._line:
                match = match_chunk_size_line(data, position)
                if match is not None:
                    position = match.end()
                    self._sizeRead(int(match[1], 16))
                else:
                    position = self._readLine(data, position)
            elif state is _State.ENDING and data[position : position + 2] == b"\r\n":
                position += 2
                self._state = _State.SIZE
            elif state is _State.ENDED:
                self.rest = data[position:]
                break
            else:
                position = self._readLine(data, position)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _readLine(self, data: bytes, position: int) -> int:
        """
        Take the rest of a line, or as much of it as is here.

        @return: where the next one begins.
        """
        line = self._line
        end = data.find(b"\n", position) + 1
        line += data[position : end or len(data)]
        if self._state is _State.ENDING and not b"\r\n".startswith(line):
            if line[:1] != b"\n":
                self.error = f"malformed chunk footer: {bytes(line[:2])!r}"
                return position
            end = position + 1
            del line[1:]
        if len(line) + self._sectionLength > self._limit:
            what = "trailer section" if self._state is _State.TRAILERS else "chunk line"
            self.error = (
                f"the {what} is longer than {self._limit} bytes (maxHeadLength)"
            )
        elif line.endswith(b"\n"):
            whole = bytes(line)
            line.clear()
            self._lineRead(whole)
        return end or len(data)

    def _lineRead(self, line: bytes) -> None:
        bare = not line.endswith(b"\r\n")
        if self._state is _State.SIZE:
            self.bareLF = self.bareLF or bare
            match = is_tolerant_chunk_line(line)
            if match is None:
                self.error = f"illegal chunk header: {line[:100]!r}"
            else:
                self._sizeRead(int(match[1], 16))
        elif self._state is _State.ENDING:
            self.bareLF = self.bareLF or bare
            self._state = _State.SIZE
        else:
            self._oddTrailers = self._oddTrailers or bare
            if line in (b"\r\n", b"\n"):
                self._sectionRead()
            else:
                self.section.append(line)
                self._sectionLength += len(line)

    def _sectionRead(self) -> None:
        try:
            self.trailers, odd = read_fields(self.section)
        except h11.RemoteProtocolError as error:
            self.error = str(error)
            return
        self._oddTrailers = self._oddTrailers or odd
        self._state = _State.ENDED

    def _sizeRead(self, size: int) -> None:
        self._left = size
        self._state = _State.DATA if size else _State.TRAILERS


def frame(body: bytes, reader: ChunkReader) -> bytes:
    """
    The same framed anew, for an h11 connection that is to follow.
    """
    framed = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    if reader.ended:
        lines = [b"%b: %b\r\n" % field for field in reader.trailers]
        framed += b"0\r\n%b\r\n" % b"".join(lines)
    return framed
