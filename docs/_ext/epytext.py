"""
Render Twisted's epytext docstrings with Sphinx.

Only what the docstrings of this project use: inline markup (C{L}, C{C}, C{I},
C{B}, C{U}), fields, lists, literal blocks and doctests.

Variables of a class (C{@ivar}, C{@cvar}) become attributes, so that each has an anchor.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection
from dataclasses import fields as fields_of
from dataclasses import is_dataclass
from types import FunctionType
from typing import Any

_OPEN = re.compile(r"([A-Z])\{")
_FIELD = re.compile(r"^@(\w+)(?: ([\w.*]+))?:[ ]?(.*)$")
_ITEM = re.compile(r"^(\s*)(?:-|\d+\.) ")
# Where reStructuredText sees the beginning and the end of markup.
_BEFORE = {"", *" \n'\"([{<-/:"}
_BEHIND = {"", *" \n'\")]}>-/\\:.,;!?"}
_NAME = re.compile(r"(?:[\w.]+ ?<[\w.]+>|[\w.]+)\Z")
_SPECIAL = re.compile(r"([\\*`|])|(\w)_(?!\w)")


def _escape(text: str) -> str:
    return _SPECIAL.sub(
        lambda m: "\\" + m.group(1) if m.group(1) else m.group(2) + "\\_", text
    )


def _closing(text: str, start: int) -> int:
    depth = 1
    for index in range(start, len(text)):
        if text[index] == "{":
            depth += 1
        elif text[index] == "}":
            depth -= 1
            if depth == 0:
                return index
    raise ValueError(f"a brace is not closed in a docstring: {text!r}")


def _plain(text: str) -> str:
    """
    The text without markup, for what goes inside of markup.
    """
    while (match := _OPEN.search(text)) is not None:
        end = _closing(text, match.end())
        text = text[: match.start()] + text[match.end() : end] + text[end + 1 :]
    return " ".join(text.split())


def inline(text: str) -> str:
    """
    Convert one paragraph's markup.
    """
    out = []
    position = 0
    while (match := _OPEN.search(text, position)) is not None:
        out.append(_escape(text[position : match.start()]))
        end = _closing(text, match.end())
        kind, content = match.group(1), _plain(text[match.end() : end])
        # What stands right behind markup needs a break that is not seen.
        tail = "" if text[end + 1 : end + 2] in _BEHIND else "\\ "
        if text[match.start() - 1 : match.start()] not in _BEFORE:
            out.append("\\ ")
        if kind == "L" and _NAME.match(content):
            # What is not documented anywhere stays a literal.
            out.append(f":py:obj:`{content}`{tail}")
        elif kind in "LC":
            out.append(f"``{content}``{tail}")
        elif kind in "BI":
            mark = "**" if kind == "B" else "*"
            out.append(f"{mark}{_escape(content)}{mark}{tail}")
        else:
            out.append(_escape(content))
        position = end + 1
    out.append(_escape(text[position:]))
    return "".join(out)


_NAMES = {
    "param": "param",
    "type": "type",
    "return": "return",
    "rtype": "rtype",
    "raise": "raises",
}


def _blocks(lines: list[str]) -> list[tuple[bool, list[str]]]:
    """
    Cut into paragraphs; the flag says that one is to be left as it is.
    """
    blocks: list[tuple[bool, list[str]]] = []
    literal: int | None = None
    fresh = True
    for line in lines:
        if not line.strip():
            fresh = True
            if literal is not None and blocks and blocks[-1][0]:
                blocks[-1][1].append("")
            continue
        indent = len(line) - len(line.lstrip())
        if literal is not None and indent <= literal:
            literal = None
            fresh = True
        verbatim = literal is not None
        starts = bool(_ITEM.match(line) or _FIELD.match(line.strip()))
        if verbatim and blocks and blocks[-1][0]:
            blocks[-1][1].append(line)
        elif fresh or (starts and not verbatim) or (blocks and blocks[-1][0]):
            blocks.append((verbatim or line.lstrip().startswith(">>>"), [line]))
        else:
            blocks[-1][1].append(line)
        fresh = False
        if not verbatim and line.rstrip().endswith("::"):
            first = blocks[-1][1][0]
            literal = len(first) - len(first.lstrip())
    return blocks


def attribute(name: str, text: str) -> list[str]:
    """
    The lines for an attribute of a class.

    @param text: what it is, in reStructuredText.
    """
    return ["", f".. py:attribute:: {name}", "", f"   {text}", ""]


def convert(lines: list[str], elsewhere: Collection[str] = ()) -> list[str]:
    """
    Convert a docstring.

    @param elsewhere: names of variables with a docstring of their own.
    """
    body: list[str] = []
    fields: list[str] = []
    attributes: list[str] = []
    target = body
    for verbatim, block in _blocks(lines):
        indent = block[0][: len(block[0]) - len(block[0].lstrip())]
        match = None if verbatim else _FIELD.match(block[0].strip())
        if verbatim:
            target.extend(["", *block, ""])
        elif match is not None:
            name, argument, first = match.groups()
            text = inline(" ".join([first, *(line.strip() for line in block[1:])]))
            if name == "since":
                body.extend(["", f".. versionadded:: {text.strip()}", ""])
                target = body
            elif name in ("note", "see"):
                body.extend(["", text.strip(), ""])
                target = body
            elif name in ("ivar", "cvar"):
                if argument not in elsewhere:
                    attributes += attribute(argument, text.strip())
            else:
                words = " ".join(filter(None, [_NAMES.get(name, name), argument]))
                fields.append(f":{words}: {text.strip()}")
                target = fields
        else:
            text = inline("\n".join(line.strip() for line in block)).split("\n")
            item = _ITEM.match(block[0])
            more = indent
            if item is not None:
                more += " " * (len(item.group(0)) - len(item.group(1)))
            if target is fields:
                indent = more = "    " + indent.removeprefix("    ")
            target.extend(["", indent + text[0], *(more + t for t in text[1:]), ""])
    return [*body, "", *fields, "", *attributes]


def _comment(name: str, value: Any) -> list[str]:
    """
    The docstring below a constant, in the module that it comes from.  Python itself
    knows only that of the constant's type.
    """
    from sphinx.pycode import ModuleAnalyzer

    short = name.rpartition(".")[2]
    for module, loaded in sorted(sys.modules.items()):
        if module.startswith("twisted_h11") and vars(loaded).get(short) is value:
            found = ModuleAnalyzer.for_module(module).find_attr_docs()
            if ("", short) in found:
                return found["", short]
    return []


def _documented(owner: Any) -> set[str]:
    """
    The names in a class that have a docstring of their own: not a function of Python's,
    such as a clock.
    """
    return {
        name
        for base in owner.__mro__
        for name, value in vars(base).items()
        if isinstance(
            getattr(value, "__func__", value), (FunctionType, classmethod, property)
        )
    }


def _settings(owner: Any) -> list[str]:
    """
    The fields of a dataclass that say in their metadata what they are.
    """
    out: list[str] = []
    for field in fields_of(owner) if is_dataclass(owner) else ():
        if "doc" in field.metadata:
            doc, unit = field.metadata["doc"], field.metadata["unit"]
            text = f"{doc[0].upper()}{doc[1:]}" + (f" ({unit})." if unit else ".")
            out += attribute(field.name, _escape(text))
    return out


def _process(
    app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    if what == "data":
        lines[:] = _comment(name, obj)
    elsewhere = _documented(obj) if isinstance(obj, type) else ()
    lines[:] = [*convert(list(lines), elsewhere), *_settings(obj)]


def _skip(
    app: Any, what: str, name: str, obj: Any, skip: bool, options: Any
) -> bool | None:
    """
    Leave the fields of named tuples to the docstrings of their classes.
    """
    doc = getattr(obj, "__doc__", None) or ""
    return True if doc.startswith("Alias for field number") else None


def setup(app: Any) -> dict[str, Any]:
    """
    See Sphinx.
    """
    app.connect("autodoc-process-docstring", _process)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
