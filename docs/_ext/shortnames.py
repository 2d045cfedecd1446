"""
Links from the short names in a docstring, as L{Deferred}: such a name is one that the
docstring's module has imported or defined, and the link needs the full one.
"""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import twisted_h11

_SHORT = re.compile(r":py:obj:`([A-Za-z]\w*)((?:\.\w+)*)`")


def _public() -> dict[int, str]:
    """
    The full names of what the reference has, by the identity of the object.
    """
    names = {}
    for found in iter_modules(twisted_h11.__path__):
        # What limits has is documented with the server.
        if not found.name.startswith("_") and found.name != "limits":
            module = import_module(f"twisted_h11.{found.name}")
            for name in module.__all__:
                names[id(getattr(module, name))] = f"{module.__name__}.{name}"
    return names


_PUBLIC = _public()


def full_name(module: str, short: str) -> str | None:
    """
    The name under which the reference, or Twisted's, has what a module calls C{short}.

    @return: C{None} if neither has it.
    """
    meant = vars(sys.modules[module]).get(short) if module in sys.modules else None
    if id(meant) in _PUBLIC:
        return _PUBLIC[id(meant)]
    home = getattr(meant, "__module__", None)
    full = f"{home}.{short}" if home else getattr(meant, "__name__", "")
    return full if full.startswith("twisted.") and "._" not in full else None


def _process(
    app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    module = getattr(getattr(obj, "fget", obj), "__module__", None) or ""

    def link(match: re.Match[str]) -> str:
        short, rest = match.groups()
        full = full_name(module, short)
        return f":py:obj:`{short}{rest}<{full}{rest}>`" if full else match[0]

    lines[:] = [_SHORT.sub(link, line) for line in lines]


def setup(app: Any) -> dict[str, Any]:
    """
    See Sphinx.
    """
    # After the docstring was converted.
    app.connect("autodoc-process-docstring", _process, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
