"""
The mutants of a module: its syntax tree with one small change.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType

__all__ = ["Mutant", "mutants"]

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}

_ORDERED = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)

_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
}

# What is no behaviour: names that are exported, and where attributes are kept.
_DECLARATIONS = {"__all__", "__slots__"}

# What runs with types only, or for people who debug.
_UNSEEN = {"__repr__"}


@dataclass
class Mutant:
    """
    One change.

    @ivar kind: what kind of change it is.
    @ivar line: where.
    @ivar was: what stood there, as it is spelled by the C{ast} module.
    @ivar becomes: what stands there now.
    """

    kind: str
    line: int
    was: str
    becomes: str
    _change: Callable[[], Callable[[], None]]
    _tree: ast.Module

    def __str__(self) -> str:
        return f"{self.line}: {self.kind}: {self.was} -> {self.becomes}"

    def code(self, filename: str) -> CodeType:
        """
        Compile the module with this change, and with no other.
        """
        undo = self._change()
        try:
            tree = ast.fix_missing_locations(self._tree)
            code: CodeType = compile(tree, filename, "exec")
            return code
        finally:
            undo()


def mutants(source: str) -> list[Mutant]:
    """
    All mutants of a module, in the order of its text.
    """
    tree = ast.parse(source)
    finder = _Finder(tree)
    finder.block(tree.body)
    return sorted(finder.found, key=lambda mutant: mutant.line)


class _Finder:
    """
    Walks through a tree.
    """

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self.found: list[Mutant] = []

    def _add(
        self,
        kind: str,
        node: ast.expr | ast.stmt,
        holder: object,
        name: str,
        becomes: object,
        index: int | None = None,
    ) -> None:
        """
        Note a change: what C{holder} has as C{name} (and there at C{index}).
        """
        was = _text(node)

        def put(value: object) -> object:
            if index is None:
                old = getattr(holder, name)
                setattr(holder, name, value)
            else:
                items = getattr(holder, name)
                old, items[index] = items[index], value
            return old

        def change() -> Callable[[], None]:
            old = put(becomes)

            def undo() -> None:
                put(old)

            return undo

        if holder is node:
            # Its own operator: how it is spelled is found by doing it once.
            undo = change()
            text = _text(node)
            undo()
        else:
            assert isinstance(becomes, ast.AST)
            text = _text(becomes)
        self.found.append(Mutant(kind, node.lineno, was, text, change, self._tree))

    # -- statements ---------------------------------------------------------------

    def block(self, body: list[ast.stmt]) -> None:
        """
        Mutate each statement of a block.
        """
        for index, statement in enumerate(body):
            if _is_docstring(statement) or _is_declaration(statement):
                continue
            if _can_go(statement):
                gone = ast.copy_location(ast.Pass(), statement)
                owner = _Block(body)
                self._add("removed", statement, owner, "items", gone, index)
            self._statement(statement)

    def _statement(self, node: ast.stmt) -> None:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if node.name not in _UNSEEN:
                for default in ("defaults", "kw_defaults"):
                    values = getattr(node.args, default)
                    for index, value in enumerate(values):
                        if value is not None:
                            self._expression(value, node.args, default, index)
                self.block(node.body)
            return
        if isinstance(node, (ast.If, ast.While)):
            if _text(node.test) == "TYPE_CHECKING":
                return
            self._negate(node.test, node)
        if isinstance(node, ast.Assert):
            # It tells the types.
            return
        if isinstance(node, ast.Return) and node.value is not None:
            if not _is_no_value(node.value):
                none = ast.copy_location(ast.Constant(None), node.value)
                self._add("returned", node.value, node, "value", none)
        if isinstance(node, ast.AugAssign) and type(node.op) in _OPERATORS:
            other = _OPERATORS[type(node.op)]()
            self._add("operator", node, node, "op", other)
        if isinstance(node, ast.AnnAssign):
            if node.value is not None:
                self._expression(node.value, node, "value")
            return
        self._children(node)

    def _children(self, node: ast.AST) -> None:
        for name, value in ast.iter_fields(node):
            if isinstance(value, ast.expr):
                self._expression(value, node, name)
            elif isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                self.block(value)
            elif isinstance(value, list) and name != "decorator_list":
                for index, item in enumerate(value):
                    if isinstance(item, ast.expr):
                        self._expression(item, node, name, index)
                    elif isinstance(item, ast.AST):
                        self._children(item)

    # -- expressions --------------------------------------------------------------

    def _negate(self, test: ast.expr, node: ast.AST, name: str = "test") -> None:
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            return
        if isinstance(test, ast.Compare) and not isinstance(test.ops[0], _ORDERED):
            # The opposite comparison is the same mutant.
            return
        negated = ast.copy_location(ast.UnaryOp(ast.Not(), test), test)
        self._add("negated", test, node, name, negated)

    def _expression(
        self, node: ast.expr, holder: ast.AST, name: str, index: int | None = None
    ) -> None:
        if isinstance(node, ast.JoinedStr):
            return
        if isinstance(node, ast.Compare):
            for position, comparison in enumerate(node.ops):
                other = _COMPARISONS[type(comparison)]()
                self._add("comparison", node, node, "ops", other, position)
        elif isinstance(node, ast.BoolOp):
            either = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            self._add("boolean", node, node, "op", either)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            self._add("negated", node, holder, name, node.operand, index)
        elif isinstance(node, ast.IfExp):
            self._negate(node.test, node)
        elif isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            self._add("operator", node, node, "op", _OPERATORS[type(node.op)]())
        elif isinstance(node, ast.Constant):
            for value in _others(node.value):
                constant = ast.copy_location(ast.Constant(value), node)
                self._add("constant", node, holder, name, constant, index)
        self._children(node)


class _Block:
    """
    A block of statements, as something with an attribute.
    """

    def __init__(self, items: list[ast.stmt]) -> None:
        self.items = items


def _text(node: ast.AST) -> str:
    text = ast.unparse(node)
    first, _, more = text.partition("\n")
    return f"{first} ..." if more else first


def _others(value: object) -> Iterator[bool | int | float | bytes]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, (int, float)):
        yield value + 1
    elif isinstance(value, bytes):
        # In a pattern a question mark would often change nothing but the order.
        yield value + b"!"


def _is_no_value(node: ast.expr) -> bool:
    """
    Whether a function that returns this has nothing to lose: C{None} is as false as
    C{False}, and C{True} has a mutant as a constant.
    """
    return isinstance(node, ast.Constant) and (
        node.value is None or isinstance(node.value, bool)
    )


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_declaration(node: ast.stmt) -> bool:
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign):
        targets = [node.target]
    return any(isinstance(t, ast.Name) and t.id in _DECLARATIONS for t in targets)


def _can_go(node: ast.stmt) -> bool:
    """
    Whether a statement can be left out without a name being unknown then.
    """
    if isinstance(node, ast.Assign):
        return all(isinstance(target, ast.Attribute) for target in node.targets)
    return isinstance(
        node,
        (ast.Expr, ast.AugAssign, ast.Raise, ast.Delete, ast.Continue, ast.Break),
    )
