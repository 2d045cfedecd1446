"""
Whether somebody has overridden what a short way would pass by.

Some things are done by a shorter way than the one that Twisted describes: a file is
sent by the kernel, and not read and written by this process; a response leaves in
one piece, and not by C{write} and C{finish}.  That is right as long as nobody has
overridden a step of the longer way: in a subclass, in the class itself, or in a
single object.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["overrides"]


def overrides(thing: Any, cls: type, names: Iterable[str]) -> bool:
    """
    Whether an object does anything else under one of the C{names} than the
    instances of C{cls}.

    @param thing: an instance of C{cls} or of a subclass.  A method of its own that
        C{passesOn} is one that we have put before the class's.
    """
    kind = type(thing)
    if kind is not cls:
        if kind.__getattribute__ is not cls.__getattribute__:
            return True
        if any(getattr(kind, name, None) is not getattr(cls, name) for name in names):
            return True
    own: dict[str, Any] = getattr(thing, "__dict__", {})
    return bool(own) and any(
        name in own and not getattr(own[name], "passesOn", False) for name in names
    )
