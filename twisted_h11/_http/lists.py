"""
Fields whose values are lists (RFC 9110 section 5.6.1).  The members in several field
lines count as one list.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["has_member", "members", "with_member"]


def members(values: Iterable[bytes]) -> list[bytes]:
    """
    The members of a list, without empty ones.

    @param values: the values of the field's lines.
    """
    return [
        member
        for value in values
        for one in value.split(b",")
        if (member := one.strip(b" \t"))
    ]


def has_member(values: Iterable[bytes], member: bytes) -> bool:
    """
    Whether a list has a member, in any case.

    @param member: the member, in lower case.
    """
    return member in [one.lower() for one in members(values)]


def with_member(values: Sequence[bytes], member: bytes) -> list[bytes]:
    """
    Append a member to a list, unless the list has it already, or has C{*}.

    @return: the new values, for one field line each.
    """
    if has_member(values, member.lower()) or has_member(values, b"*"):
        return list(values)
    return [b", ".join([*values, member])]
