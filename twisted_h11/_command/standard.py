"""
The standard streams, which may be closed, full, or a pipe that nobody reads any more.
"""

from __future__ import annotations

import os
import sys
from typing import TextIO

from twisted_h11._boundary.explain import reason

__all__ = ["flush", "open_standard", "say"]


def open_standard() -> None:
    """
    Open the descriptors of closed standard streams, so that no socket gets their
    numbers.
    """
    place = os.open(os.devnull, os.O_RDWR)
    while place < 3:
        place = os.open(os.devnull, os.O_RDWR)
    os.close(place)


def flush(stream: TextIO | None) -> bool:
    """
    Flush a standard stream.

    @return: whether that was possible.  If not, the rest is discarded, so that Python
        does not try again at its exit and change the exit code.
    """
    if stream is None:
        return True
    try:
        stream.flush()
    except (OSError, ValueError):
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        except (OSError, ValueError):
            pass
        return False
    return True


def say(text: str) -> None:
    """
    Write the answer of C{twistd h11web} to a question, such as C{--help}, to the
    standard output.

    @raise SystemExit: with a status of 1 if that is not possible; with the reason,
        unless the reader of a pipe has seen enough.
    """
    try:
        print(text, flush=True)
    except OSError as error:
        flush(sys.stdout)
        if isinstance(error, BrokenPipeError):
            raise SystemExit(1) from None
        problem = f"can not write to the standard output: {reason(error)}"
        raise SystemExit(f"twistd h11web: {problem}") from None
