"""
Ranges of files (RFC 9110 section 14).

L{twisted.web.static.File} does not check a C{Range} field: malformed values may raise,
thousands of overlapping parts make a response of gigabytes, and two parts may read a
whole file into memory.  So two things are done here.

B{The field is rewritten before a file is rendered} (L{settle_range}).  It then has a
few ranges within the file, in order and disjoint; or one behind its end, for a 416; or
it is removed, which RFC 9110 section 14.2 always allows, and the file is sent whole.

B{Several parts are read in pieces} (L{bounded}).
"""

from __future__ import annotations

import re
from math import ceil
from typing import Any

from twisted.internet.interfaces import IPullProducer
from twisted.web.http import REQUESTED_RANGE_NOT_SATISFIABLE, stringToDatetime
from twisted.web.resource import EncodingResourceWrapper
from twisted.web.static import File, MultipleRangeStaticProducer
from zope.interface import implementer

from twisted_h11._boundary.overrides import overrides
from twisted_h11._http.lists import members

__all__ = [
    "MAY_HAVE_RANGES",
    "MOST_RANGES",
    "bounded",
    "is_multiple",
    "is_range_failure",
    "render_ranged",
    "settle_range",
    "settled",
]

# The maximum number of ranges in a response.  Go has no bound, Apache 200; a viewer of
# documents requests a handful.
MOST_RANGES = 16

# The classes of resources for which a Range field is checked.
MAY_HAVE_RANGES = (File, EncodingResourceWrapper)

# The bound on members of a list, with empty ones.
_MOST_MEMBERS = 100

_spec = re.compile(rb"([0-9]*)-([0-9]*)")
_size_told = re.compile(rb"\r\nContent-range: bytes [0-9]+-[0-9]+/([0-9]+)\r\n")

# More digits than any length of a file has.
_MOST_DIGITS = 20


def settled(value: bytes, size: int) -> bytes | None:
    """
    Make a C{Range} field safe for L{File}.

    @param value: the field, as received.
    @param size: the length of the file, in bytes.
    @return: an equivalent value; C{None} to ignore the field, because it is malformed,
        has too many ranges, or ranges that overlap.
    """
    unit, _, listed = value.partition(b"=")
    if unit.strip(b" \t").lower() != b"bytes" or listed.count(b",") > _MOST_MEMBERS:
        return None
    specs = members([listed])
    if not 0 < len(specs) <= MOST_RANGES:
        return None
    ranges: list[tuple[int, int]] = []
    for spec in specs:
        match = _spec.fullmatch(spec)
        if match is None:
            return None
        first, last = (_number(digits) for digits in match.groups())
        if first is None:
            if last is None:
                return None
            # A suffix: the last bytes of the file, or all of it.
            if last and not size:
                return None
            first, last = (max(size - last, 0), size - 1) if last else (size, size)
        elif last is not None and last < first:
            return None
        if first < size:
            ranges.append((first, size - 1 if last is None else min(last, size - 1)))
    if not ranges:
        return b"bytes=%d-" % size
    end = -1
    for first, last in sorted(ranges):
        if first <= end:
            return None
        end = last
    return b"bytes=" + b",".join(b"%d-%d" % pair for pair in ranges)


def _number(digits: bytes) -> int | None:
    """
    A number, or a very large one if it has too many digits.
    """
    if not digits:
        return None
    digits = digits.lstrip(b"0")
    return int(
        b"1" + b"0" * _MOST_DIGITS if len(digits) > _MOST_DIGITS else b"0" + digits
    )


def settle_range(request: Any, resrc: Any) -> None:
    """
    Rewrite or remove the C{Range} field of a request, if it has one.

    @param request: a request, before it is rendered.
    @param resrc: the resource that renders it.  Only L{File} counts: other resources
        may give the field another meaning.
    """
    while isinstance(resrc, EncodingResourceWrapper):
        resrc = resrc.original
    headers = request.requestHeaders
    if not isinstance(resrc, File) or request.method != b"GET":
        return
    values = headers.getRawHeaders(b"Range")
    if values is None:
        return
    try:
        resrc.restat(False)
        if not resrc.isfile():
            return
        size = resrc.getFileSize()
    except Exception:
        # The same error is raised, and reported, when it is rendered.
        return
    value = None
    # A range of the encoded content is not a range of the file.
    encoder = getattr(request, "_encoder", None)
    if len(values) == 1 and (not encoder or getattr(encoder, "leavesRanges", False)):
        if _is_same(request, resrc):
            value = settled(values[0], size)
    if value is None:
        headers.removeHeader(b"Range")
    elif value != values[0]:
        headers.setRawHeaders(b"Range", [value])


def render_ranged(resource: Any, request: Any) -> Any:
    """
    Render a resource of L{MAY_HAVE_RANGES}, with a safe C{Range} field.
    """
    settle_range(request, resource)
    return resource.render(request)


def _is_same(request: Any, file: File) -> bool:
    """
    Whether C{If-Range} (RFC 9110 section 13.1.5) lets the range apply.
    """
    value = request.requestHeaders.getRawHeaders(b"If-Range")
    if value is None:
        return True
    if value[0][:1] in (b'"', b"W"):
        etag = getattr(request, "etag", None)
        if etag is None and hasattr(file, "entityTag"):
            etag = file.entityTag()
        return etag is not None and etag == value[0] and etag[:1] == b'"'
    try:
        return bool(stringToDatetime(value[0]) == ceil(file.getModificationTime()))
    except Exception:
        # Twisted does not document what it raises for an invalid date.
        return False


def is_range_failure(request: Any, error: BaseException) -> bool:
    """
    Whether L{twisted.web.static} has raised for a C{Range} field.  This happens when a
    resource calls the C{render} of a L{File} by itself, so that L{settle_range} was not
    called.

    @param request: a request of this package.
    @param error: the exception.
    """
    if request.method != b"GET" or not request.requestHeaders.hasHeader(b"Range"):
        return False
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_globals.get("__name__") == File.__module__:
            return True
        traceback = traceback.tb_next
    return False


def bounded(producer: Any) -> Any:
    """
    Replace L{File}'s producer for several ranges, which may read all into memory.

    @param producer: any producer.
    @return: the producer to register: C{producer} itself if it is another one.
    """
    if not is_multiple(producer):
        return producer
    end = -1
    for offset, size in sorted((o, s) for _, o, s in producer.rangeInfo if s):
        if offset < end or len(producer.rangeInfo) > MOST_RANGES + 1:
            return _Refusing(producer)
        end = offset + size
    return Parts(producer)


def is_multiple(producer: Any) -> bool:
    """
    Whether a producer is L{File}'s for several ranges.
    """
    return isinstance(producer, MultipleRangeStaticProducer) and not overrides(
        producer, MultipleRangeStaticProducer, ("resumeProducing", "stopProducing")
    )


@implementer(IPullProducer)
class Parts:
    """
    Produces several ranges of a file in pieces.

    @ivar producer: L{File}'s producer for the ranges; it was started.
    """

    def __init__(self, producer: Any) -> None:
        self.producer = producer
        self._parts = iter(producer.rangeInfo)
        self._left = 0

    def stopProducing(self) -> None:
        """
        Close the file.
        """
        self.producer.stopProducing()

    def resumeProducing(self) -> None:
        """
        Write another piece.
        """
        producer = self.producer
        request = producer.request
        if not self._left:
            part = next(self._parts, None)
            if part is None:
                request.unregisterProducer()
                request.finish()
                producer.stopProducing()
                return
            separator, offset, self._left = part
            producer.fileObject.seek(offset)
            request.write(separator)
            return
        piece = producer.fileObject.read(min(self._left, producer.bufferSize))
        if not piece:
            raise EOFError(f"the file ends {self._left} bytes before its range")
        self._left -= len(piece)
        request.write(piece)


@implementer(IPullProducer)
class _Refusing:
    """
    Sends a 416 instead of ranges that are too many, or overlap.

    @param producer: L{File}'s producer for the ranges.
    """

    def __init__(self, producer: Any) -> None:
        self._producer = producer

    def stopProducing(self) -> None:
        """
        Close the file.
        """
        self._producer.stopProducing()

    def resumeProducing(self) -> None:
        """
        Send the 416.
        """
        producer = self._producer
        request = producer.request
        request.setResponseCode(REQUESTED_RANGE_NOT_SATISFIABLE)
        request.responseHeaders.removeHeader(b"Content-Type")
        request.setHeader(b"Content-Length", b"0")
        told = _size_told.search(producer.rangeInfo[0][0])
        if told is not None:
            request.setHeader(b"Content-Range", b"bytes */" + told[1])
        request.unregisterProducer()
        request.finish()
        producer.stopProducing()
