"""
Error messages for the user who has caused the error.
"""

from __future__ import annotations

import os

from twisted.internet.error import CannotListenError

__all__ = ["explain", "one_line", "printable", "reason"]

_PLAIN = (ImportError, OSError, OverflowError, ValueError)
"""
Exceptions whose message is clear without the name of the class.
"""


def one_line(text: str) -> str:
    """
    A message as one line that is safe for a terminal: unprintable characters, such as
    control characters of a user's value, are escaped as in C{repr}.
    """
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """
    A text that is safe for a terminal: what is not printable is escaped as in C{repr}.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def explain(error: BaseException) -> str:
    """
    Describe an error for the user, in one line.
    """
    if isinstance(error, CannotListenError):
        error = error.socketError
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
        # With two file names, as for a link, the second is the new file.
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
    Describe an error without the file's name, for a message that has it already.
    """
    return getattr(error, "strerror", None) or str(error)
