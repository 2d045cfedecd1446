"""
Hold what the documentation has against what the package offers:

    python .ci/documented.py HTML

Every name in C{__all__} of a public module must have a place in the reference, and so
must every variable that the docstring of a class there names, every field of a
dataclass, and what C{Request} adds for applications to twisted.web's.  No page may
have markup of docstrings, nor the docstring of a type of Python's for a constant.  HTML
is a folder that sphinx-build has made.
"""

from __future__ import annotations

import re
import sys
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from sphinx.util.inventory import InventoryFile
from twisted.web import server

import twisted_h11
from twisted_h11.server import Request

# Names of Request for the channel, or for frameworks, not for applications.
HOOKS = {
    *("headReceived", "leavesFraming", "mayRouteEarly", "prepareEarly"),
    *("overridesWriting", "queued", "received_cookies", "renderEarly", "routed"),
    *("serve", "servesWhole", "takerFailed", "transport"),
}

# The fields of Limits have a page of their own.
SAME = {"limits": "server"}

MARKUP = re.compile(r"\b[LCIBU]\{[^}\n]*\}|@(?:param|ivar|cvar|return|raise|since)\b")


# The beginnings of docstrings of str, bytes, int, float and tuple.
BUILTIN = re.compile(
    r"str\(object=|bytes\(iterable|int\(\[x\]|Convert a string or number"
    r"|Built-in immutable"
)

VARIABLE = re.compile(r"^ *@[ic]var (\w+):", re.MULTILINE)


def variables(owner: Any) -> set[str]:
    """
    What a class says of its instances.
    """
    if not isinstance(owner, type) or not owner.__module__.startswith("twisted_h11"):
        return set()
    found = set(VARIABLE.findall(owner.__doc__ or ""))
    if is_dataclass(owner):
        found |= {field.name for field in fields(owner) if field.name[0] != "_"}
    return found


def offered() -> set[str]:
    """
    The names that have to be there.
    """
    names = set()
    for found in iter_modules(twisted_h11.__path__):
        if not found.name.startswith("_"):
            module = import_module(f"twisted_h11.{found.name}")
            place = SAME.get(found.name, found.name)
            for name in getattr(module, "__all__", ()):
                full = f"twisted_h11.{place}.{name}"
                names.add(full)
                names |= {f"{full}.{one}" for one in variables(getattr(module, name))}
    theirs = set(dir(server.Request))
    for name in set(dir(Request)) - theirs - HOOKS:
        if not name.startswith("_"):
            names.add(f"twisted_h11.server.Request.{name}")
    return names


def documented(html: Path) -> set[str]:
    """
    The names of Python's that the pages have.
    """
    with open(html / "objects.inv", "rb") as file:
        inventory: Any = InventoryFile.load(file, "", lambda uri, place: place)
    data = getattr(inventory, "data", inventory)
    return {name for kind in data if kind.startswith("py:") for name in data[kind]}


def leftovers(html: Path) -> list[str]:
    """
    Markup of docstrings on the pages, also of examples that they show.
    """
    return [
        f"{page.name}: {found}"
        for page in sorted(html.glob("**/*.html"))
        for pattern in (MARKUP, BUILTIN)
        for found in pattern.findall(page.read_text(encoding="utf-8"))
    ]


def main(arguments: list[str]) -> int:
    """
    Look at one build.
    """
    html = Path(arguments[0])
    wrong = [f"not documented: {name}" for name in sorted(offered() - documented(html))]
    wrong += [f"left of a docstring: {text}" for text in leftovers(html)]
    print("\n".join(wrong) or f"{len(offered())} names, all documented")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
