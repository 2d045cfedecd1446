"""
The heads of HTTP/2 frames: nine bytes with the length, the type and the stream of a
frame (RFC 9113 section 4.1).
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import NamedTuple, Protocol

__all__ = [
    "Frame",
    "FrameOwner",
    "FrameReader",
    "errors_in",
    "frames_in",
    "goaway",
    "window_settings",
    "with_code",
    "without_resets",
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

    @ivar length: the length of the payload, in bytes.
    @ivar number: the number of the stream; 0 for the connection.
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
    The numbers of streams that sent frames reset because of an error of the client.
    RST_STREAM without an error code does not count.
    """
    at = 0
    for frame in frames_in(data):
        at += HEAD_LENGTH + frame.length
        if frame.kind == RST_STREAM and any(data[at - frame.length : at]):
            yield frame.number


def with_code(data: bytes, numbers: Container[int], code: int) -> bytes:
    """
    Sent frames, with an error code in those resets of some streams that have none.

    @param numbers: the numbers of these streams.
    """
    changed = None
    at = 0
    for frame in frames_in(data):
        at += HEAD_LENGTH + frame.length
        if frame.kind == RST_STREAM and frame.number in numbers:
            if not any(data[at - frame.length : at]):
                changed = bytearray(data) if changed is None else changed
                changed[at - frame.length : at] = code.to_bytes(4, "big")
    return data if changed is None else bytes(changed)


def without_resets(data: bytes, last: int) -> bytes:
    """
    Sent frames without the resets of streams whose numbers are higher than C{last}.
    """
    kept = []
    at = 0
    for frame in frames_in(data):
        end = at + HEAD_LENGTH + frame.length
        if frame.kind != RST_STREAM or frame.number <= last:
            kept.append(data[at:end])
        at = end
    return b"".join(kept)


def window_settings(payload: bytes) -> Iterator[int]:
    """
    The values of SETTINGS_INITIAL_WINDOW_SIZE in a SETTINGS frame.
    """
    for at in range(0, len(payload) - 5, 6):
        if int.from_bytes(payload[at : at + 2], "big") == INITIAL_WINDOW_SIZE:
            yield int.from_bytes(payload[at + 2 : at + 6], "big")


def goaway(last: int, code: int) -> bytes:
    """
    A GOAWAY frame.

    @param last: the number of the last stream that is served.
    @param code: the error code.
    """
    payload = last.to_bytes(4, "big") + code.to_bytes(4, "big")
    return len(payload).to_bytes(3, "big") + bytes((GOAWAY, 0)) + bytes(4) + payload


class FrameOwner(Protocol):
    """
    The receiver of frames from a L{FrameReader}.
    """

    def frameCame(self, frame: Frame) -> bool:
        """
        The head of a frame has arrived.

        @return: whether to pass the frame on.
        """

    def windowCame(self, frame: Frame, payload: bytes) -> None:
        """
        A whole WINDOW_UPDATE, or a SETTINGS that is not an acknowledgement, has
        arrived.
        """

    def passOn(self, data: bytes) -> None:
        """
        Take some bytes of a frame that is passed on.
        """


class FrameReader:
    """
    Reads the heads of received frames, however the bytes are cut into segments.
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
        Whether no frame and no header block is incomplete.
        """
        return not (self._left or self._begun or self._block)

    @property
    def isInBody(self) -> bool:
        """
        Whether only the rest of a DATA frame is missing.
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

        Each frame is passed on by itself.  Of several frames at once, h2 applies all
        before Twisted handles the first event, and Twisted fails if a later frame has
        undone that event.

        @param owner: the receiver.
        @param data: the received bytes.
        @param at: the index to begin at.
        @return: the index behind the taken bytes.
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
        # Drop PRIORITY frames, but not within a header block, where they are an error.
        isLeftOut = frame.kind == PRIORITY and not self._block
        self._passes = owner.frameCame(frame) and not isLeftOut

    def blockCame(self, frame: Frame) -> None:
        """
        Note a HEADERS or CONTINUATION frame, which may begin or end a header block.
        """
        if frame.flags & END_HEADERS:
            self._block = 0
        elif frame.kind == HEADERS:
            self._block = frame.number
