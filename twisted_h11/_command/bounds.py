"""
L{Limits<twisted_h11.limits.Limits>} as text: how each field is spelled as an
option, and how its values are written and read.

All is derived from the metadata of the fields, so that a new field needs
nothing here.
"""

from __future__ import annotations

import re
from dataclasses import Field
from typing import Any

__all__ = [
    "bound_name",
    "describe_bound",
    "format_bound",
    "parse_bound",
    "parse_seconds",
    "parse_size",
]

_SUFFIXES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}

_SECONDS = re.compile(r"[0-9.]+(e[+-]?[0-9]+)?", re.IGNORECASE | re.ASCII)

_ZERO = re.compile(r"(0+(\.0*)?|\.0+)([kmg]|e[+-]?[0-9]+)?", re.IGNORECASE | re.ASCII)

# What a signed integer of 64 bits holds, and thirty years.
_LARGEST = (1 << 63) - 1
_MOST_DIGITS = 19
_LONGEST = 1e9

_SIZE = re.compile(r"([0-9]+)([kmg]?)", re.IGNORECASE | re.ASCII)


def bound_name(bound: Field[Any]) -> str:
    """
    The name of a field as an option: C{maxHeadLength} is C{max-head-length}.
    """
    return re.sub("([A-Z])", r"-\1", bound.name).lower()


def describe_bound(bound: Field[Any]) -> str:
    """
    What a field bounds, as the help of its option.
    """
    doc, unit = bound.metadata["doc"], bound.metadata["unit"]
    text = doc[:1].upper() + doc[1:]
    if unit == "seconds" or (_is_size(bound) and not doc.startswith(unit)):
        text += f", in {unit}"
    if bound.metadata["optional"]:
        text += "; none: no bound"
    return f"{text}."


def format_bound(bound: Field[Any]) -> str:
    """
    The default of a field, as L{parse_bound} reads it.
    """
    value: Any = bound.default
    if value is None:
        return "none"
    if _is_size(bound):
        for suffix in "GMk":
            factor = _SUFFIXES[suffix.lower()]
            if value and value % factor == 0:
                return f"{value // factor}{suffix}"
    return repr(value)


def parse_bound(bound: Field[Any], text: str) -> float | None:
    """
    Read the value of a field.

    @raise ValueError: with a message that says what is expected instead.
    """
    unit = bound.metadata["unit"]
    if bound.metadata.get("positive") and _is_zero(text):
        hint = "; none: no bound" if bound.metadata["optional"] else ""
        raise ValueError(f"nobody could be served with 0 {unit}{hint}")
    if text.lower() == "none":
        if bound.metadata["optional"]:
            return None
        raise ValueError("this bound always applies, it can not be none")
    if unit == "seconds":
        return parse_seconds(text)
    match = _SIZE.fullmatch(text)
    if match is None or (match[2] and not _is_size(bound)):
        expected = "16k, 10M or 1G" if _is_size(bound) else "a whole number"
        raise ValueError(f"not a number of {unit}: expected {expected}")
    digits = match[1].lstrip("0") or "0"
    value = int(digits[: _MOST_DIGITS + 1]) * _SUFFIXES[match[2].lower()]
    if value > _LARGEST:
        hint = "; none: no bound" if bound.metadata["optional"] else ""
        raise ValueError(f"more {unit} than there can be{hint}")
    return value


def parse_size(text: str) -> int:
    """
    Read a number of bytes, such as C{100M}.

    @raise ValueError: for what is none.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError("not a number of bytes: expected 16k, 10M or 1G")
    digits = match[1].lstrip("0") or "0"
    value = int(digits[: _MOST_DIGITS + 1]) * _SUFFIXES[match[2].lower()]
    if value > _LARGEST:
        raise ValueError("more bytes than there can be")
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


def _is_zero(text: str) -> bool:
    """
    Whether a value is nothing, in whatever spelling.
    """
    return _ZERO.fullmatch(text) is not None


def _is_size(bound: Field[Any]) -> bool:
    """
    Whether the unit is bytes, or bytes per second.
    """
    return str(bound.metadata["unit"]).startswith("bytes")
