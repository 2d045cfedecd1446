"""
Imports run downwards only: the folders of the package are floors of a house.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import twisted_h11

PACKAGE = Path(twisted_h11.__file__).parent

# What each floor may import of ours.  The public modules are floors of their own.
BELOW: dict[str, set[str]] = {
    "": set(),
    "_boundary": set(),
    "interfaces": set(),
    "forwarding": {"_boundary"},
    "limits": {"_boundary"},
    "_tls": {"_boundary"},
    "tls": {"_tls"},
    "_wire": {"_boundary", "limits"},
    "_http": {"limits"},
    "_events": {"_boundary", "_http", "_wire"},
    "protocol": {"_boundary", "_events", "_http", "_wire", "limits"},
    "_server": {
        *("", "_boundary", "_events", "_http", "_wire"),
        *("forwarding", "interfaces", "limits"),
    },
    "_client": {"_boundary", "_http", "_wire", "forwarding", "limits"},
    "_wsgi": {"_boundary", "_http", "_server"},
    "_resources": {"_boundary", "_http", "_server", "interfaces"},
    "resources": {"_resources"},
    "_metrics": {"_boundary"},
    "metrics": {"_metrics"},
    "server": {"_server", "limits"},
    "service": {"_boundary"},
    "client": {"_client"},
    "wsgi": {"_boundary", "_server", "_wsgi", "interfaces", "limits"},
    "multipart": {"_boundary", "_server", "_wire"},
    "_testing": {"_boundary", "client", "server"},
    "testing": {"_testing"},
    "_command": {
        *("", "_boundary", "_http", "_tls"),
        *(
            "client",
            "limits",
            "metrics",
            "resources",
            "server",
            "service",
            "tls",
            "wsgi",
        ),
    },
    "tap": {"_command"},
    "__main__": {"_command"},
}

Imports = dict[str, set[str]]


def modules() -> dict[str, Path]:
    """
    The modules of the package by their names, without that of the package.
    """
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        found[".".join(parts)] = path
    return found


def imported(source: str, known: set[str], name: str) -> Iterator[str]:
    """
    The modules of ours that one of them imports: at its top, in functions, and for
    types only.

    @param known: the names of all modules.
    @param name: that of the module, without that of the package.
    """

    def ours(dotted: str) -> str | None:
        if dotted == "twisted_h11":
            return ""
        if dotted.startswith("twisted_h11."):
            return dotted[len("twisted_h11.") :]
        return None

    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                module = ours(alias.name)
                if module is not None:
                    yield module
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise AssertionError(f"{name} has a relative import")
            module = ours(node.module or "")
            if module is None:
                continue
            for alias in node.names:
                inner = f"{module}.{alias.name}".lstrip(".")
                yield inner if inner in known else module


def graph() -> Imports:
    """
    What each module imports of ours.
    """
    found = modules()
    known = set(found)
    return {
        name: set(imported(path.read_text("utf-8"), known, name)) - {name}
        for name, path in found.items()
    }


def floor(module: str) -> str:
    """
    The floor that a module stands on.
    """
    return module.partition(".")[0]


def upwards(imports: Imports) -> list[str]:
    """
    The imports that are not allowed.
    """
    return [
        f"{name} imports {other}"
        for name, others in sorted(imports.items())
        for other in sorted(others)
        if floor(other) != floor(name) and floor(other) not in BELOW[floor(name)]
    ]


def circles(imports: Imports) -> list[list[str]]:
    """
    The groups of modules that import each other, directly or not.
    """
    reached: dict[str, set[str]] = {}
    for start in imports:
        seen: set[str] = set()
        waiting = list(imports[start])
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting.extend(imports.get(name, ()))
        reached[start] = seen
    groups = {
        tuple(sorted({n for n in reached[name] if name in reached[n]}))
        for name in imports
        if name in reached[name]
    }
    return [list(group) for group in sorted(groups)]


class ImportTests(SynchronousTestCase):
    """
    The imports of the package.
    """

    def test_downwards(self) -> None:
        """
        No module imports one of a higher floor, nor the server the client.
        """
        self.assertEqual([], upwards(graph()))

    def test_noCircle(self) -> None:
        """
        No modules import each other, not for types either.
        """
        self.assertEqual([], circles(graph()))

    def test_noUnusedArrow(self) -> None:
        """
        No floor may import what it does not.
        """
        used: Imports = {name: set() for name in BELOW}
        for name, others in graph().items():
            used[floor(name)] |= {floor(other) for other in others} - {floor(name)}
        unused = {name: below - used[name] for name, below in BELOW.items()}
        self.assertEqual({}, {name: below for name, below in unused.items() if below})

    def test_everyFloor(self) -> None:
        """
        Every folder and module at the top has its place in the house, and says what
        it is for.
        """
        found = modules()
        self.assertEqual(set(BELOW), {floor(name) for name in found})
        for name, path in found.items():
            docstring = ast.get_docstring(ast.parse(path.read_text("utf-8")))
            self.assertTrue(docstring, name)

    def test_nothingGoesUp(self) -> None:
        """
        The table of floors has no circle itself.
        """
        self.assertEqual([], circles(dict(BELOW)))


class ReaderTests(SynchronousTestCase):
    """
    What reads the imports sees them.
    """

    KNOWN = frozenset({"", "limits", "_wire", "_wire.wire", "_server.site"})

    def read(self, source: str) -> set[str]:
        """
        What a module with this source imports.
        """
        return set(imported(source, set(self.KNOWN), "_wire.wire"))

    def test_everyWay(self) -> None:
        """
        Imports of modules and of names, in functions and for types are seen.
        """
        for source, expected in (
            ("import twisted_h11._server.site", "_server.site"),
            ("from twisted_h11._server import site", "_server.site"),
            ("from twisted_h11._server.site import Site", "_server.site"),
            ("from twisted_h11 import limits", "limits"),
            ("from twisted_h11 import __version__", ""),
            ("def f():\n    from twisted_h11 import limits", "limits"),
            ("if TYPE_CHECKING:\n    from twisted_h11.limits import Limits", "limits"),
        ):
            self.assertEqual({expected}, self.read(source), source)

    def test_others(self) -> None:
        """
        Modules of others are not ours.
        """
        self.assertEqual(set(), self.read("import h11, twisted_h11x\nimport twisted"))

    def test_map(self) -> None:
        """
        Each module that CONTRIBUTING's map names is there, and each test.
        """
        text = (PACKAGE.parent / "CONTRIBUTING.rst").read_text()
        modules = re.findall(r"``(_\w+/\w+)``", text)
        tests = re.findall(r"``(tests/[\w/]+\.py)``", text)
        self.assertGreater(len(modules), 20)
        self.assertGreater(len(tests), 5)
        paths = [PACKAGE / f"{module}.py" for module in modules]
        paths += [PACKAGE.parent / test for test in tests]
        self.assertEqual([], [str(path) for path in paths if not path.exists()])

    def test_picture(self) -> None:
        """
        The picture of the map shows each floor.
        """
        text = (PACKAGE.parent / "CONTRIBUTING.rst").read_text()
        after = text.partition("\nRooms\n")[2].partition("::\n\n")[2]
        picture = re.split(r"\n\n(?=\S)", after)[0]
        shown = set(re.findall(r"\w+", picture))
        self.assertEqual(set(), set(BELOW) - shown - {""})

    def test_upwards(self) -> None:
        """
        An import of a higher floor is told.
        """
        found = upwards({"_wire.wire": {"limits", "_server.site"}})
        self.assertEqual(["_wire.wire imports _server.site"], found)

    def test_circles(self) -> None:
        """
        A circle is found, however long it is, and nothing that only leads to it.
        """
        imports = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"a"}}
        self.assertEqual([["a", "b", "c"]], circles(imports))


class SizeTests(SynchronousTestCase):
    """
    A class is small enough to be read at once.
    """

    def test_classes(self) -> None:
        """
        No class has more than 300 lines.
        """
        found = {
            f"{path.name}: {node.name}": (node.end_lineno or 0) - node.lineno + 1
            for path in PACKAGE.rglob("*.py")
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ClassDef)
        }
        self.assertIn("wire.py: Wire", found)
        self.assertEqual({}, {name: n for name, n in found.items() if n > 300})
