"""
What two servers made of the same bytes, compared.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.differential.asking import Outcome

__all__ = ["Difference", "compare"]


class Difference(NamedTuple):
    """
    The first request of an input at which a peer and we part.

    @ivar peer: the name of the peer.
    @ivar data: the input.
    @ivar kind: C{strict}, we refuse where it understood a request; C{loose}, it refuses
        where we did; C{ends}, we have closed without a refusal where it went on;
        C{stops}, it has; C{waits}, one of the two waits for more; or C{reads},
        followed by what of the request is different.
    @ivar ours: what we made of the input.
    @ivar theirs: what the peer made of it.
    @ivar at: the index of the request.
    @ivar agreeing: how many other peers understood all the requests that we did;
        L{None} where too few were asked for that to mean something.
    """

    peer: str
    data: bytes
    kind: str
    ours: Outcome
    theirs: Outcome
    at: int
    agreeing: int | None = None


def _ended(outcome: Outcome, refused: str, closed: str) -> str:
    if outcome.refusal:
        return refused
    return closed if outcome.closed else "waits"


def compare(
    peer: str, data: bytes, ours: Outcome, theirs: Outcome
) -> Difference | None:
    """
    Compare two outcomes of an input, request by request.

    @return: C{None} if both understood the same requests.
    """
    mine = [one[:3] for one in ours.requests]
    other = [one[:3] for one in theirs.requests]
    at = 0
    while at < min(len(mine), len(other)) and mine[at] == other[at]:
        at += 1
    if at == len(mine) == len(other):
        return None
    if at == len(other):
        kind = _ended(theirs, "loose", "stops")
    elif at == len(mine):
        kind = _ended(ours, "strict", "ends")
    else:
        words = zip(("method", "target", "body"), mine[at], other[at], strict=True)
        kind = " ".join(["reads", *(word for word, a, b in words if a != b)])
    return Difference(peer, data, kind, ours, theirs, at)
