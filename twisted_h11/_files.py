"""
Files of L{twisted.web.static.File}, sent without passing through this process.

C{static.File} answers with a pull producer that reads a piece and writes it.
Where the connection is a plain socket, the region that the producer stands for
is sent instead; the producer itself is told to stop when that is done, which is
how it closes its file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.web.static import NoRangeStaticProducer, SingleRangeStaticProducer

from twisted_h11._flow import is_bare_socket
from twisted_h11._regions import FileRegion

if TYPE_CHECKING:
    from twisted_h11._request import Request

__all__ = ["send_static"]

# A file that is no longer is read, and goes out with the head in one write.
_SMALL = 64 * 1024


def send_static(request: Request, producer: Any) -> bool:
    """
    Send what a static file's producer stands for.

    @param request: the request, its response head not sent yet.
    @param producer: any producer.
    @return: whether it was one that could be sent.
    """
    region = _region_of(request, producer)
    channel: Any = request.channel
    if region is None or request._encoder or request.startedWriting:
        return False
    if len(region) <= _SMALL:
        region.file.seek(region.offset)
        data = region.file.read(len(region))
        if len(data) != len(region):
            region.file.seek(region.offset)
            return False
        request.write(data)
        producer.stopProducing()
        request.finish()
        return True
    if not is_bare_socket(channel._wire):
        return False

    def ended(error: BaseException | None) -> None:
        producer.stopProducing()

    region.ended = ended
    request.write(b"")
    request.sentLength += len(region)
    channel.sendRegion(region)
    request.finish()
    return True


def _region_of(request: Request, producer: Any) -> FileRegion | None:
    kind = type(producer)
    if kind is NoRangeStaticProducer:
        length = request.responseHeaders.getRawHeaders(b"Content-Length")
        if not length or not length[0].isdigit():
            return None
        offset, count = producer.fileObject.tell(), int(length[0])
    elif kind is SingleRangeStaticProducer:
        offset, count = producer.offset, producer.size
    else:
        return None
    try:
        producer.fileObject.fileno()
    except (AttributeError, OSError, ValueError):
        return None
    return FileRegion(producer.fileObject, offset, count)
