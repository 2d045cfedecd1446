"""
What may be given to us as bytes.

A transport sends bytes, and a length is counted in bytes.  Text has no bytes before
it is encoded, and C{len} of an array of longer items, or of a memoryview with more
than one dimension, is another number than that of its bytes: if one of the two is
announced and the other is sent, the peer is out of step.  So whatever is to be sent
is looked at where it comes in, and not where it goes out, when it is too late to
say who gave it.

What is no C{bytes} is copied: it may change before it is sent.
"""

from __future__ import annotations

from typing import Any

__all__ = ["as_bytes"]


def as_bytes(data: Any, name: str = "data") -> bytes:
    """
    The bytes of what an application has given as bytes.

    @param data: C{bytes}, or anything else with bytes as its items: a
        C{bytearray}, a C{memoryview}, an C{array} of bytes.
    @param name: what it is, for the error.
    @raise TypeError: if it is not, which names C{name} and what was given.
    """
    if type(data) is bytes:
        return data
    if isinstance(data, str) and not data:
        # In any encoding; there are resources that return it.
        return b""
    try:
        view = memoryview(data)
    except TypeError:
        hint = ", encode it first" if isinstance(data, str) else ""
        raise TypeError(
            f"{name} must be bytes, not {type(data).__name__}{hint}"
        ) from None
    if view.ndim != 1 or view.itemsize != 1:
        raise TypeError(
            f"{name} must be bytes, not a {type(data).__name__} whose items are longer "
            "than a byte or in more than one dimension; "
            'memoryview(data).cast("B") has its bytes'
        )
    return view.tobytes()
