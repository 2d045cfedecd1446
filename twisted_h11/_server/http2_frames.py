"""
The heads of HTTP/2 frames: nine bytes that say how long a frame is, of which kind,
and of which stream (RFC 9113 section 4.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

__all__ = [
    "Frame",
    "FrameReader",
    "errors_in",
    "frames_in",
    "goaway",
    "window_settings",
]

# RFC 9113 sections 3.4, 4.1 and 6.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_LENGTH = 9
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
GOAWAY, WINDOW_UPDATE, CONTINUATION = 7, 8, 9
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4
INITIAL_WINDOW_SIZE = 4

# h2 refuses settings and window updates that are longer.
_MOST_KEPT = 1 << 14


class Frame(NamedTuple):
    """
    The head of a frame.

    @ivar length: how many bytes follow it.
    @ivar number: that of the stream; 0 for the connection.
    """

    length: int
    kind: int
    flags: int
    number: int

    @classmethod
    def read(cls, data: bytes, at: int = 0) -> Frame:
        """
        Read the head that begins at C{at}.
        """
        return cls(
            int.from_bytes(data[at : at + 3], "big"),
            data[at + 3],
            data[at + 4],
            int.from_bytes(data[at + 5 : at + 9], "big") & 0x7FFFFFFF,
        )

    @property
    def endsStream(self) -> bool:
        """
        Whether its sender sends nothing more on the stream.
        """
        return self.kind in (DATA, HEADERS) and bool(self.flags & END_STREAM)


def frames_in(data: bytes) -> Iterator[Frame]:
    """
    The heads of whole frames.
    """
    at = 0
    while at + HEAD_LENGTH <= len(data):
        frame = Frame.read(data, at)
        at += HEAD_LENGTH + frame.length
        yield frame


def errors_in(data: bytes) -> Iterator[int]:
    """
    The streams that frames of ours reset because of what the client has sent, and
    not because nobody wants to go on with them, which has no error code.
    """
    at = 0
    for frame in frames_in(data):
        at += HEAD_LENGTH + frame.length
        if frame.kind == RST_STREAM and any(data[at - frame.length : at]):
            yield frame.number


def window_settings(payload: bytes) -> Iterator[int]:
    """
    The values that a SETTINGS frame has for the first window of streams.
    """
    for at in range(0, len(payload) - 5, 6):
        if int.from_bytes(payload[at : at + 2], "big") == INITIAL_WINDOW_SIZE:
            yield int.from_bytes(payload[at + 2 : at + 6], "big")


def goaway(last: int, code: int) -> bytes:
    """
    A GOAWAY frame.

    @param last: the last stream that is served.
    @param code: the error code.
    """
    payload = last.to_bytes(4, "big") + code.to_bytes(4, "big")
    return len(payload).to_bytes(3, "big") + bytes((GOAWAY, 0)) + bytes(4) + payload


class FrameOwner(Protocol):
    """
    Who is told of the frames that arrive.
    """

    def frameCame(self, frame: Frame) -> bool:
        """
        The head of a frame is here.

        @return: whether the frame is to be passed on.
        """

    def windowCame(self, frame: Frame, payload: bytes) -> None:
        """
        A whole WINDOW_UPDATE, or SETTINGS that is no acknowledgement, is here.
        """

    def passOn(self, data: bytes) -> None:
        """
        Some of a frame that is passed on.
        """


class FrameReader:
    """
    Reads the heads of the frames that arrive, in whatever pieces.
    """

    def __init__(self) -> None:
        self._begun = b""
        self._frame: Frame | None = None
        self._payload: bytes | None = None
        self._left = len(PREFACE)
        self._passes = True
        # The stream whose header block is not complete.
        self._block = 0

    @property
    def isBetween(self) -> bool:
        """
        Whether nothing of a frame, nor of a header block, is here that is not
        complete.
        """
        return not (self._left or self._begun or self._block)

    @property
    def isInBody(self) -> bool:
        """
        Whether the rest of a piece of a body is missing, and nothing else.
        """
        return (
            bool(self._left)
            and self._frame is not None
            and self._frame.kind == DATA
            and not (self._begun or self._block)
        )

    def take(self, owner: FrameOwner, data: bytes, at: int) -> int:
        """
        Take the rest of a frame, or the head of the next one.

        A frame is passed on by itself: Twisted looks at what all that it is given at
        once has done before it looks at the first frame, and is confused when that
        was taken back by a later one.

        @param owner: who is told.
        @return: how far that goes.
        """
        if not self._left:
            piece = data[at : at + HEAD_LENGTH - len(self._begun)]
            self._begun += piece
            if len(self._begun) == HEAD_LENGTH:
                head, self._begun = self._begun, b""
                self._headCame(owner, Frame.read(head))
                if self._passes:
                    owner.passOn(head)
        else:
            piece = data[at : at + self._left]
            self._left -= len(piece)
            if self._payload is not None and self._frame is not None:
                self._payload += piece
                if not self._left:
                    payload, self._payload = self._payload, None
                    owner.windowCame(self._frame, payload)
            if self._passes:
                owner.passOn(piece)
        return at + len(piece)

    def _headCame(self, owner: FrameOwner, frame: Frame) -> None:
        self._frame = frame
        self._left = frame.length
        tells = frame.kind == WINDOW_UPDATE or (
            frame.kind == SETTINGS and not frame.flags & ACK
        )
        self._payload = b"" if tells and frame.length <= _MOST_KEPT else None
        # Priorities are left out, but not between the pieces of a header block.
        isLeftOut = frame.kind == PRIORITY and not self._block
        self._passes = owner.frameCame(frame) and not isLeftOut

    def blockCame(self, frame: Frame) -> None:
        """
        A HEADERS or CONTINUATION frame is taken.
        """
        if frame.flags & END_HEADERS:
            self._block = 0
        elif frame.kind == HEADERS:
            self._block = frame.number
