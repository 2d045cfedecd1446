"""
Fields whose values are lists (RFC 9110 section 5.6.1): in however many lines they came,
their members count as if they stood in one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["has_member", "members", "with_member"]


def members(values: Iterable[bytes]) -> list[bytes]:
    """
    The members of a list; empty ones do not count.

    @param values: those of the field's lines.
    """
    return [
        member
        for value in values
        for one in value.split(b",")
        if (member := one.strip(b" \t"))
    ]


def has_member(values: Iterable[bytes], member: bytes) -> bool:
    """
    Whether a list has a member, whatever its case.

    @param member: the member, in lower case.
    """
    return member in [one.lower() for one in members(values)]


def with_member(values: Sequence[bytes], member: bytes) -> list[bytes]:
    """
    The values of a list with one more member; they as they are, where it is listed or
    all is (C{*}).
    """
    if has_member(values, member.lower()) or has_member(values, b"*"):
        return list(values)
    return [b", ".join([*values, member])]
