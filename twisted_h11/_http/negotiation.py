"""
The fields C{Accept-Encoding} and C{If-None-Match}, as functions of their values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = ["SAME_CODINGS", "choose_coding", "none_match"]

# RFC 9110 section 12.4.2.  A weight has at most three digits behind the point.
_CODING = re.compile(
    rb"[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)"
    rb"(?:[ \t]*;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?[ \t]*"
)

# RFC 9110 section 8.8.3
_TAG = re.compile(rb'[ \t]*(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?:,|$)')

# A bound on the work for one request; real lists are far shorter.
_MOST_MEMBERS = 100

# Other names of codings (RFC 9110 section 8.4.1.3).
SAME_CODINGS = {b"x-gzip": b"gzip"}


def choose_coding(values: Iterable[bytes], offered: Sequence[bytes]) -> bytes | None:
    """
    The content coding for a response (RFC 9110 section 12.5.3).

    @param values: the values of the request's C{Accept-Encoding} fields.  Malformed
        members are ignored.
    @param offered: the codings that the server has, the best first.
    @return: the coding with the highest weight, the first one of equals; C{None} for
        no coding.
    """
    weights: dict[bytes, float] = {}
    for member in b",".join(values).split(b",", _MOST_MEMBERS)[:_MOST_MEMBERS]:
        match = _CODING.fullmatch(member)
        if match is not None:
            coding = match[1].lower()
            weights[SAME_CODINGS.get(coding, coding)] = float(match[2] or 1)
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
    Whether C{If-None-Match} fields match an entity tag by weak comparison (RFC 9110
    sections 8.8.3.2 and 13.1.2), or are C{*}.

    @param values: the values of the fields.  What follows a malformed member is
        ignored.
    @param etag: the tag, with its quotes.
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
