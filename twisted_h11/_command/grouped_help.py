"""
The help of C{twistd h11web}: its options under headings.

Each class of options has a heading, for the options that are defined in its body.
"""

from __future__ import annotations

from typing import Any

from twisted.python import usage

__all__ = ["describe_options", "grouped"]

_OTHERS = "Help"


def grouped(options: usage.Options) -> dict[str, list[str]]:
    """
    The long names of all options by heading, in the order of the classes, and sorted
    below each.
    """
    groups: dict[str, list[str]] = {}
    names = {name.rstrip("=") for name in options.longOpt}
    for cls in type(options).__mro__:
        own = sorted(names & _defined_in(cls))
        names -= set(own)
        if own:
            heading = vars(cls).get("heading", _OTHERS)
            groups.setdefault(heading, []).extend(own)
    return groups


def _defined_in(cls: type) -> set[str]:
    own = vars(cls)
    rows = [*own.get("optFlags", ()), *own.get("optParameters", ())]
    handlers = [name[4:] for name in own if name.startswith("opt_")]
    return {row[0] for row in rows} | {name.replace("_", "-") for name in handlers}


def describe_options(options: usage.Options, width: int) -> str:
    """
    The text of C{--help}: the options and what they are for.

    @param width: the width of the terminal in columns.
    """
    short = {
        name: key for key, name in options.synonyms.items() if len(key) == 1 < len(name)
    }
    rows: list[dict[str, Any]] = [
        {
            "long": spelled.rstrip("="),
            "short": short.get(spelled.rstrip("=")),
            "doc": options.docs[spelled.rstrip("=")],
            "optType": "parameter" if spelled.endswith("=") else "flag",
            "default": options.defaults.get(spelled.rstrip("=")),
        }
        for spelled in options.longOpt
        if len(spelled.rstrip("=")) > 1
    ]
    # docMakeChunks sorts the rows in place, in the order of the texts it returns.
    texts = usage.docMakeChunks(rows, width)
    by_name = {row["long"]: text for row, text in zip(rows, texts, strict=True)}
    return "\n".join(
        f"{heading}:\n" + "".join(by_name[name] for name in names)
        for heading, names in grouped(options).items()
    )
