"""
Suggestions for unknown options.

getopt, which L{twisted.python.usage} uses, only reports that an option is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

__all__ = ["with_suggestion"]

_UNKNOWN = re.compile(r"option (--?)(\S+) not recognized")
_AMBIGUOUS = re.compile(r"option --(\S+) not a unique prefix")

_MOST_LISTED = 6

_GONE = {
    "privkey": "--private-key",
    "notracebacks": "nothing: there are none without --display-tracebacks",
}
"""
Options that C{twistd web} deprecates, and their replacements.
"""


def with_suggestion(line: str, options: Any) -> str:
    """
    Add a suggestion to a message of getopt.

    @param line: the message.
    @param options: the L{usage.Options} that made it; their parent, if there is
        one, is that of twistd.
    """
    ambiguous = _AMBIGUOUS.search(line)
    if ambiguous is not None:
        fits = [n for n in _names(options.longOpt) if n.startswith(ambiguous[1])]
        more = ", ..." if len(fits) > _MOST_LISTED else ""
        listed = ", ".join(f"--{name}" for name in fits[:_MOST_LISTED])
        return f"{line}: it may be {listed}{more}"
    unknown = _UNKNOWN.search(line)
    if unknown is None:
        return line
    dashes, name = unknown.groups()
    parent = options.parent
    if parent is not None and name in parent.synonyms:
        return f"{line}: as an option of twistd it goes before h11web"
    if dashes == "-":
        return line
    if name in _GONE:
        return f"{line}: use {_GONE[name]}"
    spelled = name.lower().replace("_", "-")
    near = get_close_matches(spelled, _names(options.longOpt), 1)
    return f"{line}: did you mean --{near[0]}?" if near else line


def _names(longOpt: Iterable[str]) -> list[str]:
    """
    Names of options in getopt's form, without the C{=} for a value.
    """
    names = {name.rstrip("=") for name in longOpt}
    return sorted(name for name in names if len(name) > 1)
