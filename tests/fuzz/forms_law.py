"""
What must hold of forms, as functions that raise L{BrokenLaw}: of the reader that takes
one apart as it arrives, and of the one that has all of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers

from tests.fuzz.law import BrokenLaw, same
from twisted_h11._http.abnf import has_control
from twisted_h11._server import form_reader, forms

__all__ = ["LIMITS", "check_multipart", "check_query"]

LIMITS = form_reader.MultipartLimits(
    maxParts=4, maxHeaderLength=120, maxFieldLength=60, bufferLength=40
)

# Arguments that a query may have.
MOST = 6

# A form that all readers read alike has plain names, and nothing of this: a line end
# that is not CRLF; something behind the last boundary on its line, which for one reader
# is none then; a boundary right behind the fields, which for the other is none.
_SIMPLE = re.compile(rb'form-data; name=("?)[a-z]+\1(?:; filename="[a-z.]*")?')
_ODD = re.compile(rb"\r(?!\n)|(?<!\r)\n|(?<=[^\r\n])--(?!\r\n|\Z)|\r\n\r\n--")


class _Request:
    """
    Has a body, and is its own source of it.
    """

    def __init__(self, kind: bytes) -> None:
        self.requestHeaders = self.headers = Headers({b"Content-Type": [kind]})
        self.refused = False

    def bodySource(self) -> Any:
        return self

    def pauseProducing(self) -> None:
        """
        The pieces come all the same, as what the network has read already does.
        """

    resumeProducing = abortConnection = pauseProducing

    def loseConnection(self) -> None:
        self.refused = True


class _Taker(Protocol):
    """
    Takes one part.
    """

    def __init__(self, part: Any) -> None:
        fields = sorted((n, tuple(v)) for n, v in part.headers.getAllRawHeaders())
        self.told = (part.name, part.filename, fields)
        self.data = b""
        self.ends: list[Failure] = []

    def dataReceived(self, data: bytes) -> None:
        if self.ends:
            raise BrokenLaw("a part has data after its end")
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ends.append(reason)

    @property
    def complete(self) -> bool:
        return bool(self.ends) and bool(self.ends[0].check(ResponseDone))


def _read(kind: bytes, pieces: Sequence[bytes]) -> tuple[list[_Taker], int]:
    """
    The parts of a form, and the status with which it is refused, or 0.
    """
    request = _Request(kind)
    takers: list[_Taker] = []

    def receive(part: Any) -> None:
        takers.append(_Taker(part))
        part.deliverBody(takers[-1])

    try:
        reader = form_reader.FormReader(request, LIMITS, receive)
    except form_reader.MultipartError as error:
        return [], error.status
    for piece in pieces:
        reader.feed(piece)
        if len(reader._name) + len(reader._value) > LIMITS.maxHeaderLength:
            raise BrokenLaw("more of a part's fields is kept than may be")
    reader.end(Failure(ResponseDone()))
    ended = reader.ended
    reason = None if ended is None else ended.value
    same("refused", request.refused, not isinstance(reason, ResponseDone))
    if isinstance(reason, ResponseDone):
        return takers, 0
    if not isinstance(reason, form_reader.MultipartError):
        raise BrokenLaw(f"a form ended with {reason!r}")
    return takers, reason.status


def _within(takers: list[_Taker], status: int) -> None:
    """
    The bounds hold, and each part was told its end, once.
    """
    if len(takers) > LIMITS.maxParts:
        raise BrokenLaw(f"{len(takers)} parts")
    for number, taker in enumerate(takers):
        _, filename, fields = taker.told
        length = sum(len(value) for _, values in fields for value in values)
        if length > LIMITS.maxHeaderLength:
            raise BrokenLaw(f"{length} bytes of fields")
        most = LIMITS.maxFieldLength
        if filename is None and most is not None and len(taker.data) > most:
            raise BrokenLaw(f"{len(taker.data)} bytes of a field")
        same("ends of a part", len(taker.ends), 1)
        # Only the last one can be cut.
        if not taker.complete and (number + 1 < len(takers) or not status):
            raise BrokenLaw(f"the part {taker.told} was not complete")


def _by_name(takers: list[_Taker], body: bytes) -> dict[bytes, list[bytes]] | None:
    """
    The parts as C{request.args} has them; C{None} if the two readers need not agree.
    """
    if _ODD.search(body):
        return None
    found: dict[bytes, list[bytes]] = {}
    for taker in takers:
        fields = dict(taker.told[2])
        [disposition] = fields[b"Content-Disposition"]
        if b"Content-Transfer-Encoding" in fields or not _SIMPLE.fullmatch(disposition):
            return None
        found.setdefault(taker.told[0].encode(), []).append(taker.data)
    return found


def check_multipart(data: bytes) -> None:
    """
    A form has the same parts whole, byte by byte and in pieces; its limits hold; every
    part is told its end once; and where there is one way only to read it, the reader
    of whole forms has the same parts.  The first byte is the length of the pieces, the
    first line behind it the type of the body.
    """
    size, rest = (data[0] if data else 0), data[1:]
    kind, _, body = rest.partition(b"\n")
    if has_control(kind):
        return
    whole, status = _read(kind, [body])
    _within(whole, status)
    for step in {1, size or 1}:
        cut = [body[at : at + step] for at in range(0, len(body), step)]
        pieces, refused = _read(kind, cut)
        _within(pieces, refused)
        # Which of two faults is found first depends on where the bytes are cut.
        same(f"refused, by {step}", bool(refused), bool(status))
        told = [[(t.told, t.data) for t in f if t.complete] for f in (pieces, whole)]
        same(f"parts, by {step}", told[0], told[1])
    try:
        found = forms.parse_multipart(body, kind, LIMITS.maxParts)
    except forms.FormError as error:
        if error.status not in (400, 413):
            raise BrokenLaw(f"refused with {error.status}") from None
        return
    if sum(len(values) for values in found.values()) > LIMITS.maxParts:
        raise BrokenLaw(f"more than {LIMITS.maxParts} parts: {found}")
    expected = None if status else _by_name(whole, body)
    if expected is not None:
        same("parts of the whole form", found, expected)


def check_query(data: bytes) -> None:
    """
    The arguments of a query are those that L{twisted.web.http.parse_qs} finds, if there
    are not too many.
    """
    try:
        found = forms.parse_query(data, MOST)
    except forms.FormError:
        if data.count(b"&") + data.count(b";") < MOST and data.count(b"%") < 10_000:
            raise BrokenLaw(f"refused: {data!r}") from None
        return
    if sum(len(values) for values in found.values()) > MOST:
        raise BrokenLaw(f"more than {MOST} arguments: {found}")
    # It takes semicolons for nothing in some versions of Python.
    same("arguments", found, http.parse_qs(data.replace(b";", b"&"), True))
