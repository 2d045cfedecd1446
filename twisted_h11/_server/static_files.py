"""
Files of L{twisted.web.static.File}, sent without passing through this process.

C{static.File} registers a pull producer that reads a piece and writes it.  If the
connection is a plain socket, the regions of the file are sent instead; then
C{stopProducing} of the producer is called, which closes its file.

This applies to files as C{open} returns them, and to producers and requests that
override no method that would be skipped (L{twisted_h11._boundary.overrides}).  In all
other cases the producer is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, Protocol

from twisted.web.http_headers import Headers
from twisted.web.static import (
    MultipleRangeStaticProducer,
    NoRangeStaticProducer,
    SingleRangeStaticProducer,
)

from twisted_h11._boundary.overrides import overrides
from twisted_h11._server.ranges import Parts
from twisted_h11._server.sending import send_region
from twisted_h11._wire.files import FileRegion, is_stored
from twisted_h11._wire.sockets import is_bare_socket

__all__ = ["send_static"]

# Content up to this length, in bytes, is read, and sent with the head in one write.
_SMALL = 64 * 1024

# Bytes, or a region of the producer's file: its offset and its length.
_Part = bytes | tuple[int, int]

_KINDS = (NoRangeStaticProducer, SingleRangeStaticProducer, MultipleRangeStaticProducer)

_PRODUCING = ("resumeProducing", "start", "stopProducing")


class Sending(Protocol):
    """
    The interface of a request that sends files.

    @ivar startedWriting: whether the response head was sent.
    @ivar sentLength: how many bytes of content were sent.
    """

    channel: Any
    responseHeaders: Headers
    startedWriting: int
    sentLength: int
    _encoder: Any

    def write(self, data: bytes) -> None:
        """
        Send content.
        """

    def finish(self) -> None:
        """
        End the response, which is complete.
        """

    def overridesWriting(self) -> bool:
        """
        Whether the request overrides a method for sending content.
        """


def send_static(request: Sending, producer: Any) -> bool:
    """
    Send the content of a static file's producer.

    @param request: the request, its response head not sent yet.
    @param producer: any producer.
    @return: whether it was sent; if not, nothing was done.
    """
    if type(producer) is Parts:
        producer = producer.producer
    if (
        type(producer) not in _KINDS
        or request.startedWriting
        or overrides(producer, type(producer), _PRODUCING)
        or request.overridesWriting()
        or not is_stored(producer.fileObject)
    ):
        return False
    parts = list(_parts_of(request, producer))
    if not parts:
        return False
    if sum(map(_length, parts)) <= _SMALL:
        return _sendSmall(request, producer, parts)
    channel: Any = request.channel
    if request._encoder or not is_bare_socket(channel.wire.transport):
        return False

    def ended(error: BaseException | None) -> None:
        producer.stopProducing()

    # Only for the last region: if one can not be sent, all are ended.
    last = [part for part in parts if type(part) is tuple][-1]
    for part in parts:
        if isinstance(part, bytes):
            request.write(part)
        else:
            request.write(b"")
            region = FileRegion(producer.fileObject, *part)
            region.ended = ended if part is last else None
            request.sentLength += send_region(channel.cycle, region)
    request.finish()
    return True


def _length(part: _Part) -> int:
    return len(part) if isinstance(part, bytes) else part[1]


def _sendSmall(request: Sending, producer: Any, parts: list[_Part]) -> bool:
    pieces = []
    for part in parts:
        piece = part
        if not isinstance(piece, bytes):
            piece = _read(producer.fileObject, *piece)
        if len(piece) != _length(part):
            return False
        pieces.append(piece)
    request.write(b"".join(pieces))
    producer.stopProducing()
    request.finish()
    return True


def _read(file: BinaryIO, offset: int, count: int) -> bytes:
    """
    Read a short region; the position of the file does not change.
    """
    place = file.tell()
    file.seek(offset)
    try:
        return file.read(count)
    finally:
        file.seek(place)


def _parts_of(request: Sending, producer: Any) -> Iterator[_Part]:
    """
    The parts that a producer of C{_KINDS} will write; none, if they are not known.
    """
    file = producer.fileObject
    kind = type(producer)
    if kind is NoRangeStaticProducer:
        length = request.responseHeaders.getRawHeaders(b"Content-Length")
        if length and length[0].isdigit():
            yield file.tell(), int(length[0])
    elif kind is SingleRangeStaticProducer:
        yield producer.offset, producer.size
    else:
        for separator, offset, size in producer.rangeInfo:
            yield separator
            if size:
                yield offset, size
