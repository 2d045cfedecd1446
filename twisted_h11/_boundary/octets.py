"""
Bytes-like arguments.

A transport sends bytes, and a length is counted in bytes.  Text has no bytes before
it is encoded, and C{len} of an array of longer items, or of a memoryview with more
than one dimension, is not the number of its bytes: framing by one number and sending
the other breaks the connection.  So data is checked when the application passes it, not
when it is sent, where its origin would be lost.

Objects other than C{bytes} are copied, because they may change before they are sent.
"""

from __future__ import annotations

from typing import Any

__all__ = ["as_bytes"]


def as_bytes(data: Any, name: str = "data") -> bytes:
    """
    Convert an application's data to C{bytes}.

    @param data: C{bytes}, or another object with bytes as its items: a
        C{bytearray}, a C{memoryview}, an C{array} of bytes.
    @param name: the name of the argument, for the error.
    @raise TypeError: if C{data} is not bytes-like; the message has C{name} and the
        actual type.
    """
    if type(data) is bytes:
        return data
    if isinstance(data, str) and not data:
        # Some resources return "", which is empty in any encoding.
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
