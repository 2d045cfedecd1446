"""
Errors in the words of who has caused them.
"""

from __future__ import annotations

import os

from twisted.internet.error import CannotListenError

__all__ = ["explain", "one_line", "reason"]

_PLAIN = (ImportError, OSError, OverflowError, ValueError)
"""
Exceptions whose message says enough without their name.
"""


def one_line(text: str) -> str:
    """
    A message as one line that a terminal only shows: what it can not print, such as
    control characters of a value that somebody gave, is written as in C{repr}.
    """
    line = " ".join(text.split())
    if line.isprintable():
        return line
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in line)


def explain(error: BaseException) -> str:
    """
    What went wrong, for the user, in one line.
    """
    if isinstance(error, CannotListenError):
        error = error.socketError
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
        # Of a link, the second name is the new one.
        name = error.filename2 or error.filename
        if name is not None:
            text = f"{os.fsdecode(name)}: {text}"
    elif type(error).__module__.startswith("OpenSSL") and error.args:
        # [("PEM routines", "", "no start line"), ...]
        reasons = [part[-1] for part in error.args[0] if isinstance(part, tuple)]
        text = f"can not load the certificate or key: {', '.join(reasons) or error}"
    elif isinstance(error, _PLAIN) and str(error):
        text = str(error)
    else:
        text = f"{type(error).__name__}: {error}" if str(error) else repr(error)
    return one_line(text)


def reason(error: BaseException) -> str:
    """
    What went wrong, for a message that names the file itself.
    """
    return getattr(error, "strerror", None) or str(error)
