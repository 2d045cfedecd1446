"""
Whether a method that a fast path skips was overridden.

Some fast paths skip methods of Twisted's interfaces: a file is sent by the kernel
instead of being read and written by this process; a response is sent in one piece
instead of by C{write} and C{finish}.  They may be used only if none of the skipped
methods was overridden: in a subclass, in the class itself, or in a single object.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["overrides"]


def overrides(thing: Any, cls: type, names: Iterable[str]) -> bool:
    """
    Whether an object overrides one of the methods C{names} of C{cls}.

    @param thing: an instance of C{cls} or of a subclass.  A method of the instance with
        the attribute C{passesOn} was added by this package, and does not count.
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
