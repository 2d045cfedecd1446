"""
What two clients made of the same answer, compared.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.differential.client_answers import Answer
from tests.differential.client_asking import Response

__all__ = ["Parting", "compare_responses", "is_laxer"]


class Parting(NamedTuple):
    """
    Where a client and ours part.

    @ivar peer: the name of the client.
    @ivar answer: the answer.
    @ivar kind: C{strict}, we fail where it has a response; C{loose}, it fails where we
        have one; C{patient}, it fails where we wait for more; C{waits}, one of the two
        waits where the other has a response; C{reads}, followed by what is different
        in the response; C{reuses}, we use the connection again and it does not;
        C{closes}, it does and we do not.
    @ivar ours: what ours made of it.
    @ivar theirs: what the other made of it.
    """

    peer: str
    answer: Answer
    kind: str
    ours: Response
    theirs: Response


def _kind(ours: Response, theirs: Response) -> str:
    if ours.end == theirs.end != "done":
        return ""
    if ours.end == "failed":
        return "strict" if theirs.end == "done" else ""
    if theirs.end == "failed":
        return "loose" if ours.end == "done" else "patient"
    if ours.end != theirs.end:
        return "waits"
    names = ("status", "body", "fields")
    found = [name for name in names if getattr(ours, name) != getattr(theirs, name)]
    if found:
        return " ".join(["reads", *found])
    if (ours.then in ("", "fresh")) == (theirs.then in ("", "fresh")):
        return ""
    return "closes" if ours.then == "fresh" else "reuses"


def compare_responses(
    peer: str, answer: Answer, ours: Response, theirs: Response
) -> Parting | None:
    """
    Compare what two clients made of an answer.

    @return: C{None} if it is the same.
    """
    kind = _kind(ours, theirs)
    return Parting(peer, answer, kind, ours, theirs) if kind else None


def is_laxer(ours: Response, theirs: Response) -> bool:
    """
    Whether we take what the other refuses, or trust a connection that it does not.
    """
    if ours.end != "done":
        return False
    return theirs.end == "failed" or (ours.then == "again" and theirs.then == "fresh")
