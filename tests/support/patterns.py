"""
Regular expressions: which ones a package has, and what could make them slow.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import signal
import string
import sys
import time
from collections.abc import Iterator
from functools import cache
from types import FunctionType, ModuleType
from typing import Any

if sys.version_info >= (3, 11):
    from re import _constants as sre
    from re import _parser as sre_parse
else:
    import sre_constants as sre
    import sre_parse

__all__ = ["Found", "attacks", "compiled_late", "cost", "patterns_of"]

# Everything that scans with a pattern.
METHODS = ("match", "fullmatch", "search", "findall", "finditer", "sub", "split")


class Found:
    """
    A pattern.

    @ivar where: the modules and names it was found under.
    @ivar methods: the methods that the package calls on it.
    """

    def __init__(self, pattern: re.Pattern[Any]) -> None:
        self.pattern = pattern
        self.where: set[str] = set()
        self.methods: set[str] = set()


def modules_of(package: ModuleType) -> Iterator[ModuleType]:
    """
    A package and all modules in it and in its folders.
    """
    yield package
    for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not info.name.endswith("__main__"):
            yield importlib.import_module(info.name)


@cache
def patterns_of(package: ModuleType) -> list[Found]:
    """
    Every compiled pattern that a package can reach: in attributes of modules and
    classes, in containers, in defaults and closures of functions, and those that
    are written as literals in calls of C{re}'s functions.
    """
    found: dict[tuple[Any, int], Found] = {}
    called: dict[str, set[str]] = {}
    modules = list(modules_of(package))
    literals: list[tuple[str, str, Any]] = []
    for module in modules:
        tree = ast.parse(inspect.getsource(module))
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in METHODS:
                if isinstance(node.value, ast.Name):
                    called.setdefault(node.value.id, set()).add(node.attr)
                elif isinstance(node.value, ast.Attribute):
                    called.setdefault(node.value.attr, set()).add(node.attr)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                function = node.func
                if (
                    isinstance(function.value, ast.Name)
                    and function.value.id == "re"
                    and function.attr in METHODS
                    and node.args
                    and isinstance(node.args[0], ast.Constant)
                ):
                    where = f"{module.__name__}:{node.lineno}"
                    literals.append((where, function.attr, node.args[0].value))

    def add(pattern: re.Pattern[Any], where: str, methods: set[str]) -> None:
        one = found.setdefault((pattern.pattern, pattern.flags), Found(pattern))
        one.where.add(where)
        one.methods |= methods

    def look(value: Any, where: str, name: str, seen: set[int], depth: int) -> None:
        if depth > 5 or id(value) in seen:
            return
        seen.add(id(value))
        if isinstance(value, re.Pattern):
            add(value, where, called.get(name, set()))
            return
        owner = getattr(value, "__self__", None)
        if isinstance(owner, re.Pattern):
            add(owner, where, {value.__name__} & set(METHODS))
            return
        inside: list[tuple[str, Any]] = []
        if isinstance(value, dict):
            inside = [(str(k), v) for k, v in list(value.items())[:1000]]
        elif isinstance(value, (list, tuple, set, frozenset)):
            inside = [(name, v) for v in list(value)[:1000]]
        elif isinstance(value, (staticmethod, classmethod)):
            inside = [(name, value.__func__)]
        elif isinstance(value, property):
            inside = [(name, value.fget), (name, value.fset)]
        elif isinstance(value, FunctionType):
            inside = [(name, v) for v in value.__defaults__ or ()]
            inside += list((value.__kwdefaults__ or {}).items())
            inside += [(name, cell.cell_contents) for cell in filled_cells(value)]
        elif isinstance(value, type):
            if value.__module__.split(".")[0] == package.__name__.split(".")[0]:
                inside = list(vars(value).items())
        for inner, v in inside:
            look(v, f"{where}.{inner}", inner, seen, depth + 1)

    for module in modules:
        seen: set[int] = set()
        for name, value in list(vars(module).items()):
            if not name.startswith("__"):
                look(value, f"{module.__name__}.{name}", name, seen, 0)
    for where, method, value in literals:
        add(re.compile(value), where, {method})
    return list(found.values())


def compiled_late(package: ModuleType) -> list[str]:
    """
    Where a package calls C{re.compile} within a function, so that the pattern can
    not be found.
    """
    return [
        f"{module.__name__}:{node.lineno}"
        for module in modules_of(package)
        for function in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute)
        and node.attr == "compile"
        and isinstance(node.value, ast.Name)
        and node.value.id == "re"
    ]


def filled_cells(function: FunctionType) -> list[Any]:
    """
    The cells of a closure that have a value.
    """
    cells = []
    for cell in function.__closure__ or ():
        try:
            cell.cell_contents  # noqa: B018
        except ValueError:
            continue
        cells.append(cell)
    return cells


# -- what could make a pattern slow ------------------------------------------------

# The characters that are tried wherever a pattern allows them.
_TRIED = b' \ta0:;="\\/\r\n'


def _members(node: Any, flags: int) -> bytes:
    """
    The tried characters that one item of a parsed pattern matches.
    """
    found = bytearray()
    kind, value = node
    everything = bytes(_TRIED) + string.ascii_letters.encode() + bytes(range(0, 256, 5))
    for char in dict.fromkeys(everything):
        if kind is sre.LITERAL:
            good = value == char
            if not good and flags & re.IGNORECASE and value < 128:
                good = chr(value).lower() == chr(char).lower()
        elif kind is sre.NOT_LITERAL:
            good = value != char
        elif kind is sre.ANY:
            good = char != 10 or bool(flags & re.DOTALL)
        else:
            good = _in_set(value, char)
        if good:
            found.append(char)
    if kind is sre.LITERAL and not found:
        found.append(value & 0xFF)
    if kind is sre.IN and not found:
        for what, value in node[1]:
            if what is sre.LITERAL:
                found.append(value & 0xFF)
            elif what is sre.RANGE:
                found.append(value[0] & 0xFF)
    return bytes(found)


_CATEGORIES = {
    sre.CATEGORY_DIGIT: string.digits,
    sre.CATEGORY_SPACE: string.whitespace,
    sre.CATEGORY_WORD: string.ascii_letters + string.digits + "_",
}


def _in_set(items: Any, char: int) -> bool:
    negated = False
    good = False
    for what, value in items:
        if what is sre.NEGATE:
            negated = True
        elif what is sre.LITERAL:
            good = good or value == char
        elif what is sre.RANGE:
            good = good or value[0] <= char <= value[1]
        elif what is sre.CATEGORY:
            good = good or chr(char) in _CATEGORIES.get(value, "")
    return good != negated


def _sample(items: Any, flags: int, choice: int) -> bytes:
    """
    A text that a part of a parsed pattern matches, as far as that is simple.
    """
    text = b""
    for node in items:
        kind, value = node
        if kind in (sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN):
            members = _members(node, flags)
            if members:
                text += members[choice % len(members)].to_bytes(1, "big")
        elif kind in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            least, most, inner = value
            text += _sample(inner, flags, choice) * max(least, 1 if most else 0)
        elif kind is sre.SUBPATTERN:
            text += _sample(value[3], flags, choice)
        elif kind is sre.BRANCH:
            branches = value[1]
            text += _sample(branches[choice % len(branches)], flags, choice)
    return text


def _points(items: Any, flags: int, before: bytes) -> Iterator[tuple[bytes, Any]]:
    """
    Every repetition in a parsed pattern, with a text that leads there.
    """
    for node in items:
        kind, value = node
        if kind in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            inner = value[2]
            if value[1] > 20:
                yield before, inner
                yield before + _sample(inner, flags, 2), inner
            yield from _points(inner, flags, before)
        elif kind is sre.SUBPATTERN:
            yield from _points(value[3], flags, before)
        elif kind is sre.BRANCH:
            for branch in value[1]:
                yield from _points(branch, flags, before)
        before += _sample([node], flags, 0)


def attacks(pattern: re.Pattern[Any]) -> Iterator[tuple[bytes, bytes, bytes]]:
    """
    Texts that could make a pattern slow: what leads to a repetition, what is
    repeated there, and what then does not fit.
    """
    tree = sre_parse.parse(pattern.pattern, pattern.flags & ~re.DEBUG)
    yielded: set[tuple[bytes, bytes]] = set()
    everywhere = [bytes((char,)) for char in _TRIED]
    for before, inner in [(b"", []), *_points(tree, pattern.flags, b"")]:
        pumps = [_sample(inner, pattern.flags, choice) for choice in range(6)]
        pumps += [pump + b" " for pump in pumps[:2]]
        pumps += [b"\r\n".join((pump, b"")) for pump in pumps[:1]]
        for pump in [*pumps, *everywhere]:
            if pump and (before, pump) not in yielded:
                yielded.add((before, pump))
                for after in (b"", b"\0", b"b\0", b"\nb"):
                    yield before, pump, after


class TooSlow(Exception):
    """
    A call took longer than it may.
    """


def cost(found: Found, method: str, text: bytes, most: float) -> float:
    """
    The seconds that one call takes, the better of two.

    @param most: seconds; a call that takes longer is ended (C{re} looks at
        signals while it works), and this much is its cost.
    """
    subject: Any = text
    if isinstance(found.pattern.pattern, str):
        subject = text.decode("latin-1")
    arguments: tuple[Any, ...] = (subject,)
    if method == "sub":
        arguments = (subject[:0], subject)

    def late(*_: object) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGVTALRM, late)
    best = most
    try:
        for _ in range(2):
            begun = time.process_time()
            signal.setitimer(signal.ITIMER_VIRTUAL, most)
            result = getattr(found.pattern, method)(*arguments)
            if method == "finditer":
                for _each in result:
                    pass
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            best = min(best, time.process_time() - begun)
            if best < most / 8:
                break
    except TooSlow:
        pass
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    return best
