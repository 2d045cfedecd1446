"""
Hold what coverage.py has measured against the list of what need not run:

    python .ci/uncovered.py coverage.json 99.7

The list is C{.ci/uncovered}: a reason at the margin, and below it, indented, the
places that it holds for, each

    module.py  function: first line of what does not run
    module.py  function: line -> line that it never goes to

Lines are known by their text, so that the list outlives a change elsewhere in the
module.  With the statement that is named goes the rest of its block, which is reached
only through it.  C{->} is followed by C{exit} where the function would end.  What is
not in a function is in C{-}.

What does not run and is not in the list is told.  The status is 1 if less has run
than the second argument says, in percent, or if a place of the list is no longer in
the code.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parent.parent
PACKAGE = "twisted_h11"


@dataclass
class Place:
    """
    A place of the list.

    @ivar target: where a branch does not go to, or C{None} if lines are meant.
    """

    reason: str
    module: str
    function: str
    line: str
    target: str | None


def read_list(text: str) -> list[Place]:
    """
    Read the list.

    @raise ValueError: for a line that cannot be understood.
    """
    places: list[Place] = []
    reason = ""
    joining = False
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            joining = False
        elif not line.startswith(" "):
            reason = f"{reason} {line}" if joining else line
            joining = True
        else:
            joining = False
            module, _, rest = line.strip().partition("  ")
            function, separator, what = rest.strip().partition(": ")
            if not (reason and separator):
                raise ValueError(f"not understood: {line}")
            start, arrow, target = what.partition(" -> ")
            places.append(
                Place(reason, module, function, start, target if arrow else None)
            )
    return places


@dataclass
class Module:
    """
    The source of a module, and what of it did not run.
    """

    name: str
    lines: list[str]
    missing: set[int]
    branches: set[tuple[int, int]]
    functions: dict[int, str] = field(default_factory=dict)
    blocks: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        tree = ast.parse("\n".join(self.lines))
        self._name(tree, "")
        for node in ast.walk(tree):
            for name in ("body", "orelse", "finalbody"):
                block = getattr(node, name, None)
                if isinstance(block, list) and block:
                    for one in block:
                        self.blocks[one.lineno] = block[-1].end_lineno
            if isinstance(node, ast.ExceptHandler):
                self.blocks[node.lineno] = node.end_lineno or node.lineno

    def _name(self, node: ast.AST, outer: str) -> None:
        for child in ast.iter_child_nodes(node):
            named = isinstance(
                child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
            )
            name = f"{outer}.{child.name}".lstrip(".") if named else outer
            if named:
                for line in range(child.lineno, (child.end_lineno or 0) + 1):
                    self.functions[line] = name
            self._name(child, name)

    def text(self, line: int) -> str:
        """
        What stands in a line; C{exit} for the end of a function.
        """
        return self.lines[line - 1].strip() if line > 0 else "exit"

    def spell(self, line: int, target: int | None = None) -> str:
        """
        A place as the list would have it.
        """
        arrow = "" if target is None else f" -> {self.text(target)}"
        where = self.functions.get(line, "-")
        return f"{self.name}  {where}: {self.text(line)}{arrow}"

    def allow(self, place: Place) -> bool:
        """
        Take a place of the list out of what did not run.

        @return: whether the place is still in the code.
        """
        found = False
        for number in range(1, len(self.lines) + 1):
            if (
                self.text(number) != place.line
                or self.functions.get(number, "-") != place.function
            ):
                continue
            found = True
            if place.target is None:
                end = self.blocks.get(number, number)
                self.missing -= set(range(number, end + 1))
            else:
                self.branches -= {
                    (start, target)
                    for start, target in self.branches
                    if start == number and self.text(target) == place.target
                }
        return found

    def left(self) -> Iterator[tuple[int, str]]:
        """
        The first lines of what is left, and the branches.
        """
        end = 0
        for line in sorted(self.missing):
            if line > end:
                yield line, self.spell(line)
                end = self.blocks.get(line, line)
        for start, target in sorted(self.branches):
            yield start, self.spell(start, target)


def read_modules(measured: dict[str, Any], top: Path) -> Iterator[Module]:
    """
    The modules that were measured.  A branch to or from a line that did not run is
    that line's.
    """
    for path, found in sorted(measured["files"].items()):
        missing = set(found["missing_lines"])
        branches = {
            (start, target)
            for start, target in found["missing_branches"]
            if start not in missing and target not in missing
        }
        name = Path(path).as_posix().partition(f"{PACKAGE}/")[2]
        source = (top / PACKAGE / name).read_text(encoding="utf-8")
        yield Module(name, source.splitlines(), missing, branches)


def _unmeasured(name: str, top: Path) -> Module | None:
    """
    A module that was left out of the measurement; C{None} if there is none.
    """
    path = top / PACKAGE / name
    if not path.is_file():
        return None
    return Module(name, path.read_text(encoding="utf-8").splitlines(), set(), set())


def check(
    measured: dict[str, Any], places: list[Place], top: Path
) -> tuple[list[str], list[str]]:
    """
    Hold one against the other.

    @return: what is in the list, but no longer in the code; and what does not run.
    """
    gone = []
    left = []
    modules = {module.name: module for module in read_modules(measured, top)}
    for place in places:
        module = modules.get(place.module) or _unmeasured(place.module, top)
        if module is None or not module.allow(place):
            gone.append(f"in the list, but not in the code: {place}")
    for module in modules.values():
        left += [f"does not run: {line}: {what}" for line, what in module.left()]
    return gone, left


def figures(measured: dict[str, Any]) -> str:
    """
    How much has run, in one line.
    """
    total = measured["totals"]
    return (
        f"{total['covered_lines']} of {total['num_statements']} lines,"
        f" {total['covered_branches']} of {total['num_branches']} branches,"
        f" {total['percent_covered']:.2f} %"
    )


def main(arguments: list[str]) -> int:
    """
    Check one report.
    """
    measured = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    places = read_list((TOP / ".ci" / "uncovered").read_text(encoding="utf-8"))
    gone, left = check(measured, places, TOP)
    print("\n".join([*left, *gone]))
    print(figures(measured))
    print(f"{len(places)} places need not run; what else does not: {len(left)}")
    tooLittle = measured["totals"]["percent_covered"] < float(arguments[1])
    if tooLittle:
        print(f"that is less than {arguments[1]} %")
    return 1 if gone or tooLittle else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
