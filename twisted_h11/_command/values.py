"""
What is typed behind an option, read: on or off, whole numbers, sizes, seconds.

Each function takes text and raises L{ValueError} with a message that goes behind the
option and its value; L{read_option} puts these before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from twisted.python import usage

__all__ = [
    "SUFFIXES",
    "is_number",
    "parse_seconds",
    "parse_size",
    "parse_switch",
    "parse_whole",
    "read_option",
]

SUFFIXES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
"""
What a letter behind a size stands for.
"""

_SIZE = re.compile(r"([0-9]+)([kmg]?)", re.IGNORECASE | re.ASCII)

_SECONDS = re.compile(r"[0-9.]+(e[+-]?[0-9]+)?", re.IGNORECASE | re.ASCII)

# What a signed integer of 64 bits holds, and thirty years.
_LARGEST = (1 << 63) - 1
_MOST_DIGITS = 19
_LONGEST = 1e9

_T = TypeVar("_T")


def read_option(options: usage.Options, name: str, parse: Callable[[str], _T]) -> _T:
    """
    Read the value of an option.

    @param parse: makes something of its text.
    @raise usage.UsageError: if that raises L{ValueError}, naming the option.
    """
    try:
        return parse(options[name])
    except ValueError as error:
        raise usage.UsageError(f"--{name} {options[name]}: {error}") from None


def is_number(text: str) -> bool:
    """
    Whether text is a whole number, however large, and nothing else.
    """
    return text.isascii() and text.isdecimal()


def parse_switch(text: str) -> bool:
    """
    Read C{on} or C{off}.

    @raise ValueError: for what is neither.
    """
    if text.lower() not in ("on", "off"):
        raise ValueError("must be on or off")
    return text.lower() == "on"


def parse_whole(text: str, least: int, most: int, what: str | None = None) -> int:
    """
    Read a whole number.

    @param what: what is expected, for the message.
    @raise ValueError: for what is none, or out of bounds.
    """
    # Python reads no number of more than 4300 digits.
    if is_number(text) and len(text) <= _MOST_DIGITS and least <= int(text) <= most:
        return int(text)
    raise ValueError(f"must be {what or f'a whole number from {least} to {most}'}")


def parse_size(
    text: str, unit: str = "bytes", suffixes: bool = True, hint: str = ""
) -> int:
    """
    Read a size, such as C{100M}, or another count without bound.

    @param unit: of what.
    @param suffixes: whether it may be in kibibytes and so on.
    @param hint: what to say to those who want more than there can be.
    @raise ValueError: for what is none.
    """
    match = _SIZE.fullmatch(text)
    if match is None or (match[2] and not suffixes):
        expected = "16k, 10M or 1G" if suffixes else "a whole number"
        raise ValueError(f"not a number of {unit}: expected {expected}")
    digits = match[1].lstrip("0") or "0"
    value = int(digits[: _MOST_DIGITS + 1]) * SUFFIXES[match[2].lower()]
    if value > _LARGEST:
        raise ValueError(f"more {unit} than there can be{hint}")
    return value


def parse_seconds(text: str) -> float:
    """
    Read a duration.

    @raise ValueError: for what is no number, negative, or longer than a lifetime.
    """
    try:
        value = float(text) if _SECONDS.fullmatch(text) else -1.0
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ValueError("not a number of seconds")
    if value > _LONGEST:
        raise ValueError("more seconds than anybody waits")
    return value
