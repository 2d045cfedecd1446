"""
Python objects named on the command line: C{package.module:name} as in Gunicorn and
Uvicorn, or C{package.module.name} as in Twisted.

The current directory is searched first, as they do: a user with C{wapp.py} there
expects that C{wapp:app} is found.  An invalid name is always a L{ValueError} that says
where was searched.
"""

from __future__ import annotations

import os
import pkgutil
import re
import sys
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

__all__ = ["find_object"]

_SPELLED = re.compile(r"(?P<module>\w+(\.\w+)*)(:(?P<name>\w+(\.\w+)*))?")


def find_object(name: str, example: str = "wapp:app") -> Any:
    """
    Import an object by its name.

    @param name: the name.
    @param example: an example of a name, for messages.
    @raise ValueError: if there is no such object, or if it can not be imported
        because another module is missing.
    @raise Exception: any exception that the module raises while it is imported.
    """
    match = _SPELLED.fullmatch(name)
    if match is None or name.endswith(".py"):
        raise ValueError(
            f"expected the name of a module and of an object in it, such as {example}"
        )
    if "." not in name and ":" not in name:
        raise ValueError(
            "Empty module name: expected the names of a module and of an object in "
            f"it, such as {example}"
        )
    _search_here()
    module, attributes = match["module"], match["name"]
    if attributes is not None:
        found: Any = _import(module)
        rest = attributes.split(".")
    else:
        found, rest = _import_longest(module.split("."))
    for attribute in rest:
        found = _attribute(found, attribute)
    return found


def _search_here() -> None:
    """
    Put the current directory first in C{sys.path}, for later imports, too: modules
    also import others while they run.
    """
    try:
        here = os.getcwd()
    except FileNotFoundError:
        # The current directory was removed.
        return
    if here not in sys.path:
        sys.path.insert(0, here)


def _import_longest(parts: list[str]) -> tuple[Any, list[str]]:
    """
    Import as many parts of a dotted name as are packages and modules.

    @return: the module, and the remaining parts of the name.
    """
    name = parts[0]
    found = _import(name)
    rest = parts[1:]
    while rest and hasattr(found, "__path__"):
        longer = f"{name}.{rest[0]}"
        if find_spec(longer) is None:
            break
        name = longer
        found = _import(name)
        del rest[0]
    return found, rest


def _import(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise ValueError(_not_found(name, error)) from error
    except SystemExit as error:
        raise ValueError(
            f"{name} ends the process when it is imported (SystemExit: {error.code})"
        ) from error


def _not_found(name: str, error: ModuleNotFoundError) -> str:
    """
    Which module is missing, and where it was searched.
    """
    missing = error.name or ""
    text = str(error)
    if name == missing or name.startswith(f"{missing}."):
        near = get_close_matches(missing, _modules_here(), 1)
        if near:
            text += f"; is it {near[0]!r}?"
    else:
        text += f", which {name} imports"
    return f"{text} (modules are looked for in {_here()}, then along PYTHONPATH)"


def _here() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return "the current directory, which no longer exists"


def _modules_here() -> list[str]:
    return [module.name for module in pkgutil.iter_modules([_here()])]


def _attribute(found: Any, name: str) -> Any:
    try:
        return getattr(found, name)
    except AttributeError:
        pass
    if isinstance(found, ModuleType):
        file = getattr(found, "__file__", None)
        what = f"module {found.__name__!r}" + (f" ({file})" if file else "")
    else:
        what = repr(found)
    text = f"{what} has no attribute {name!r}"
    names = [other for other in dir(found) if other[:1] != "_"]
    near = get_close_matches(name, names, 1)
    near += [other for other in names if other.startswith(name)]
    if near:
        text += f"; is it {near[0]!r}?"
    raise ValueError(text)
