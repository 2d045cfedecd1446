"""
Chunked bodies without the state machine.

L{ChunkReader} takes the framing off the usual chunked body: sizes without
extensions, and nothing behind the last chunk.  Where anything else begins
(an extension, a trailer field, what is not a size at all) it stops, at the
beginning of a chunk, and h11 goes on from there.
"""

from __future__ import annotations

import re

__all__ = ["ChunkReader"]

_match_size = re.compile(rb"([0-9A-Fa-f]{1,16})\r\n").match

# No size that is read here, with its line end, is longer than this.
_LONGEST = 18


class ChunkReader:
    """
    Reads one chunked body.

    @ivar ended: whether the last chunk was read.
    @ivar rest: what follows it; or what h11 must read, from the beginning of
        a chunk on, if C{ended} is false.  C{None} while all is usual.
    @ivar broken: what stands where a chunk's line end must be, if it does not.
    """

    def __init__(self) -> None:
        self.ended = False
        self.rest: bytes | None = None
        self.broken: bytes | None = None
        # How much of the chunk is still to come, with the line end behind it.
        self._left = 0
        self._tail = b""

    def feed(self, data: bytes) -> bytes:
        """
        Take a segment.

        @return: the part of the body that is in it.
        """
        if self._tail:
            data = self._tail + data
            self._tail = b""
        pieces: list[bytes] = []
        length = len(data)
        position = 0
        left = self._left
        while True:
            if left > 2:
                piece = data[position : position + left - 2]
                position += len(piece)
                left -= len(piece)
                pieces.append(piece)
            if left > 2 or position == length:
                break
            if left:
                # The line end may come in two segments.
                ending = data[position : position + left]
                if ending != b"\r\n"[2 - left : 2 - left + len(ending)]:
                    self.broken = data[position : position + 2]
                    break
                position += len(ending)
                left -= len(ending)
                if left or position == length:
                    break
            match = _match_size(data, position)
            if match is None:
                if length - position < _LONGEST and b"\n" not in data[position:]:
                    self._tail = data[position:]
                else:
                    self.rest = data[position:]
                break
            size = int(match[1], 16)
            if size:
                position = match.end()
                left = size + 2
                continue
            ending = data[match.end() : match.end() + 2]
            if ending == b"\r\n":
                self.ended = True
                self.rest = data[match.end() + 2 :]
            elif ending == b"\r\n"[: len(ending)]:
                self._tail = data[position:]
            else:
                self.rest = data[position:]
            break
        self._left = left
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
