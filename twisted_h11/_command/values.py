"""
Parsing the values of options: on or off, whole numbers, sizes, seconds.

Each function takes text and raises L{ValueError} with a message to which
L{read_option} prefixes the option and its value.
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
The suffixes of sizes, and their factors.
"""

_SIZE = re.compile(r"([0-9]+)([kmg]?)", re.IGNORECASE | re.ASCII)

_SECONDS = re.compile(r"[0-9.]+(e[+-]?[0-9]+)?", re.IGNORECASE | re.ASCII)

# The largest signed integer of 64 bits, and thirty years in seconds.
_LARGEST = (1 << 63) - 1
_MOST_DIGITS = 19
_LONGEST = 1e9

_T = TypeVar("_T")


def read_option(options: usage.Options, name: str, parse: Callable[[str], _T]) -> _T:
    """
    Parse the value of an option.

    @param parse: converts the text.
    @raise usage.UsageError: if C{parse} raises L{ValueError}; the message has the
        option's name.
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
    Parse C{on} or C{off}.

    @raise ValueError: for any other text.
    """
    if text.lower() not in ("on", "off"):
        raise ValueError("must be on or off")
    return text.lower() == "on"


def parse_whole(text: str, least: int, most: int, what: str | None = None) -> int:
    """
    Parse a whole number.

    @param what: the expected value, for the message.
    @raise ValueError: for other text, or a number out of bounds.
    """
    # int() raises for more than 4300 digits.
    if is_number(text) and len(text) <= _MOST_DIGITS and least <= int(text) <= most:
        return int(text)
    raise ValueError(f"must be {what or f'a whole number from {least} to {most}'}")


def parse_size(
    text: str, unit: str = "bytes", suffixes: bool = True, hint: str = ""
) -> int:
    """
    Parse a size, such as C{100M}, or another count.

    @param unit: the unit, for messages.
    @param suffixes: whether the suffixes k, M and G are allowed.
    @param hint: added to the message for a number that is too large.
    @raise ValueError: for other text, or a number that is too large.
    """
    match = _SIZE.fullmatch(text)
    if match is None or (match[2] and not suffixes):
        expected = "16k, 10M or 1G" if suffixes else "a whole number"
        raise ValueError(f"not a number of {unit}: expected {expected}")
    digits = match[1].lstrip("0") or "0"
    value = int(digits[: _MOST_DIGITS + 1]) * SUFFIXES[match[2].lower()]
    if value > _LARGEST:
        raise ValueError(f"too many {unit}: must be less than 2**63{hint}")
    return value


def parse_seconds(text: str) -> float:
    """
    Parse a duration in seconds.

    @raise ValueError: for other text, or a number that is negative or too large.
    """
    try:
        value = float(text) if _SECONDS.fullmatch(text) else -1.0
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ValueError("not a number of seconds")
    if value > _LONGEST:
        raise ValueError(f"too many seconds: must be at most {_LONGEST:.0f}")
    return value
