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

from twisted_h11._command.values import SUFFIXES, parse_seconds, parse_size

__all__ = [
    "bound_name",
    "describe_bound",
    "format_bound",
    "parse_bound",
]

_ZERO = re.compile(r"(0+(\.0*)?|\.0+)([kmg]|e[+-]?[0-9]+)?", re.IGNORECASE | re.ASCII)


def bound_name(bound: Field[Any]) -> str:
    """
    The name of a field as an option: C{maxHeadLength} is C{max-head-length}.
    """
    return re.sub("([A-Z])", r"-\1", bound.name).lower()


def describe_bound(bound: Field[Any]) -> str:
    """
    The help of the option of a field.
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
            factor = SUFFIXES[suffix.lower()]
            if value and value % factor == 0:
                return f"{value // factor}{suffix}"
    return repr(value)


def parse_bound(bound: Field[Any], text: str) -> float | None:
    """
    Read the value of a field.

    @raise ValueError: with a message that says what is expected instead.
    """
    unit, optional = bound.metadata["unit"], bound.metadata["optional"]
    hint = "; none: no bound" if optional else ""
    positive = bound.metadata.get("positive")
    nothing = ValueError(f"must be more than 0 {unit}{hint}")
    if positive and _is_zero(text):
        raise nothing
    if text.lower() == "none":
        if optional:
            return None
        raise ValueError("this bound always applies, it can not be none")
    if unit == "seconds":
        seconds = parse_seconds(text)
        if positive and not seconds:
            # A number that is too small to be any other.
            raise nothing
        return seconds
    return parse_size(text, unit, _is_size(bound), hint)


def _is_zero(text: str) -> bool:
    """
    Whether a value is zero, in any spelling.
    """
    return _ZERO.fullmatch(text) is not None


def _is_size(bound: Field[Any]) -> bool:
    """
    Whether the unit is bytes, or bytes per second.
    """
    return str(bound.metadata["unit"]).startswith("bytes")
