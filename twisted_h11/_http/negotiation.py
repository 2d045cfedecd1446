"""
What a client will take, and what it has: the fields C{Accept-Encoding} and
C{If-None-Match}, as functions of their values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = ["choose_coding", "none_match"]

# RFC 9110 section 12.4.2.  Three digits are all that a weight may have.
_CODING = re.compile(
    rb"[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)"
    rb"(?:[ \t]*;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?[ \t]*"
)

# RFC 9110 section 8.8.3
_TAG = re.compile(rb'[ \t]*(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?:,|$)')

# Nobody has more to say.
_MOST_MEMBERS = 100

_SAME = {b"x-gzip": b"gzip"}


def choose_coding(values: Iterable[bytes], offered: Sequence[bytes]) -> bytes | None:
    """
    The content coding for a response (RFC 9110 section 12.5.3).

    @param values: those of the request's C{Accept-Encoding} fields.
    @param offered: what there is, the best first.
    @return: the one with the highest weight, of equal ones the first; C{None} for the
        content as it is.  A member that is malformed is passed over.
    """
    weights: dict[bytes, float] = {}
    for member in b",".join(values).split(b",", _MOST_MEMBERS)[:_MOST_MEMBERS]:
        match = _CODING.fullmatch(member)
        if match is not None:
            coding = match[1].lower()
            weights[_SAME.get(coding, coding)] = float(match[2] or 1)
    any_ = weights.get(b"*", 0.0)
    chosen: bytes | None = None
    best = 0.0
    for coding in offered:
        weight = weights.get(coding, any_)
        if weight > best:
            chosen, best = coding, weight
    identity = weights.get(b"identity", 0.0)
    return None if identity > best else chosen


def none_match(values: Iterable[bytes], etag: bytes) -> bool:
    """
    Whether C{If-None-Match} fields name an entity tag, weakly compared (RFC 9110
    sections 8.8.3.2 and 13.1.2), or any.

    @param values: those of the fields.
    @param etag: the tag, with its quotes.
    @return: whether it is one of those before anything that is malformed.
    """
    field = b",".join(values).strip(b" \t")
    if field == b"*":
        return True
    opaque = etag[2:] if etag.startswith(b"W/") else etag
    place = 0
    while (match := _TAG.match(field, place)) is not None:
        if match[1] == opaque:
            return True
        place = match.end()
    return False
