"""
Links from docstrings to the documentation of Twisted and h11, which is made by others.

Where the pages are follows from the names, so that no list of them has to be fetched:
pydoctor gives each module and class of Twisted a page, and what is in it an anchor; all
of h11 is on one page.  A name that the installed package does not have is a warning.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

from docutils import nodes
from sphinx.util import logging
from zope.interface.interface import InterfaceClass

_TWISTED = "https://docs.twisted.org/en/stable/api/"
_H11 = "https://h11.readthedocs.io/en/latest/api.html"

_log = logging.getLogger(__name__)


def _found(name: str) -> tuple[ModuleType, list[str]]:
    """
    The module that a name is in, and the rest of the name.

    @raise ImportError: if there is no such module at all.
    """
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            return import_module(".".join(parts[:length])), parts[length:]
        except ImportError:
            continue
    raise ImportError(name)


def _has(owner: Any, name: str) -> bool:
    if isinstance(owner, InterfaceClass):
        return name in owner.names(all=True)
    # What only instances have is documented with the class all the same.
    return hasattr(owner, name) or isinstance(owner, type)


def url_of(name: str) -> str | None:
    """
    The address of a name of Twisted or h11.

    @param name: the full name.
    @return: the address, or C{None} if it is a name of somebody else.
    @raise LookupError: if the package has no such name.
    """
    package = name.partition(".")[0]
    if package not in ("twisted", "h11"):
        return None
    try:
        module, rest = _found(name)
    except ImportError:
        raise LookupError(name) from None
    owner: Any = module
    for part in rest:
        if not _has(owner, part):
            raise LookupError(name)
        owner = getattr(owner, part, None)
    if package == "h11":
        return f"{_H11}#{name}" if rest else _H11
    page = module.__name__
    if rest and isinstance(getattr(module, rest[0]), (type, InterfaceClass)):
        page += f".{rest.pop(0)}"
    return f"{_TWISTED}{page}.html" + (f"#{'.'.join(rest)}" if rest else "")


def _missing(app: Any, env: Any, node: Any, text: Any) -> nodes.Node | None:
    if node.get("refdomain") != "py":
        return None
    try:
        url = url_of(node["reftarget"])
    except LookupError:
        _log.warning("there is no %s", node["reftarget"], location=node)
        return None
    if url is None:
        return None
    return nodes.reference("", "", text, internal=False, refuri=url)


def setup(app: Any) -> dict[str, Any]:
    """
    See Sphinx.
    """
    app.connect("missing-reference", _missing)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
