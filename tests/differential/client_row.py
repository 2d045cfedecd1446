"""
What a row of the comparison of clients is, and what it is made of.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from tests.differential.client_compare import Parting
from tests.differential.client_seen import Seen, see

__all__ = [
    "ALL",
    "ClientRow",
    "body",
    "goes_on",
    "is_bodiless",
    "is_coded_too",
    "looks",
    "odd_framing",
    "once",
    "repeats_length",
    "status",
]

# The kinds of a difference where we close.
ALL = "loose patient waits reads closes"


class ClientRow(NamedTuple):
    """
    One kind of difference.

    @ivar title: the kind of answer.
    @ivar reading: who makes what of it.
    @ivar peers: whom it is about, or all.
    @ivar kinds: of L{Parting}, without what is different in a response.
    @ivar fits: whether a difference is of this row.
    @ivar why: the reason.
    @ivar forgiven: the words of C{docs/client.rst} that say that it is forgiven.
    """

    title: str
    reading: str
    peers: str
    kinds: str
    fits: Callable[[Parting], object]
    why: str
    forgiven: str = ""


def looks(seems: Callable[[Seen], object]) -> Callable[[Parting], object]:
    """
    Whether an answer looks so.
    """
    return lambda it: seems(see(it.answer.data))


def once(seems: Callable[[Seen], object]) -> Callable[[Parting], object]:
    """
    Whether an answer looks so, and we do not use the connection again.
    """
    return lambda it: it.ours.then != "again" and seems(see(it.answer.data))


def status(pattern: bytes) -> Callable[[Seen], object]:
    """
    Whether the last status line begins so.
    """
    match = re.compile(pattern).match
    return lambda seen: seen.lines and match(seen.lines[-1])


def body(pattern: bytes) -> Callable[[Seen], object]:
    """
    Whether there is this in a chunked body.
    """
    search = re.compile(pattern).search
    return lambda seen: seen.values(b"transfer-encoding") and search(seen.body)


def is_bodiless(it: Parting) -> bool:
    """
    Whether the response has no body, whatever it says.
    """
    return it.answer.method == "HEAD" or it.ours.status in (204, 304)


def odd_framing(seen: Seen) -> object:
    """
    Whether what should frame a body is malformed, or differs, in an interim response,
    too.
    """
    return _is_odd(seen) or _is_odd(seen._replace(fields=seen.interim))


def _is_odd(seen: Seen) -> object:
    lengths = seen.values(b"content-length")
    codings = seen.values(b"transfer-encoding")
    isOdd = not all(re.fullmatch(rb"[0-9]{1,19}", length) for length in lengths)
    odd = len(set(lengths)) > 1 or isOdd
    return odd or codings not in ([], [b"chunked"])


# In one head: there is no empty line between.
repeats_length = re.compile(
    rb"(?i)content-length:[^\n]*(?:,|\n(?:[^\r\n][^\n]*\n)*?content-length:)"
).search


def is_coded_too(head: bytes) -> bool:
    """
    Whether there is a length and a coding.
    """
    names = {line.partition(b":")[0].lower() for line in head.split(b"\n")}
    return {b"content-length", b"transfer-encoding"} <= names


def goes_on(it: Parting) -> bool:
    """
    Whether our response ends before the answer does.
    """
    seen = see(it.answer.data)
    if it.ours.end != "done" or it.ours.then == "again":
        return False
    if is_bodiless(it):
        return bool(seen.body)
    if seen.values(b"transfer-encoding"):
        return bool(seen.rest)
    return len(seen.body) > len(it.ours.body)
