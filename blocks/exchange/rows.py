"""Rows: what a dialect writes for an operation, as a template that becomes a Python expression.

    "{0} @ {1}"                 operands by their place
    "torch.maximum({0}, {1})"   an operand of a function is an array; with {1:n} a number may stand there as it is
    "{0}.reshape({sizes})"      the sizes of the result; of an option that is a shape, by its name: {shape}
    "{0}.to({dtype})"           the type of the result

A row is a template, or a function of the node that gives one, None where the operation is to be written as its parts.
What an operation itself says (``rows={"torch": "torch.sinh({0})"}``) goes before the dialect's table. Expressions are
syntax trees, so parentheses stand where they are needed and nowhere else, and no name becomes source by itself.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import BlocksError
from ..graph import Node

Row = str | Callable[[Node], str | None]
_HOLE = re.compile(r"\{(\w+)(:n)?\}")
_MARK = "hole__"


@dataclass(frozen=True)
class Dialect:
    """A language: its name in ``rows=``, how errors call it, its table, and the functions that its rows may call."""

    key: str
    title: str
    rows: Mapping[str, Row]

    def row(self, node: Node) -> str | None:
        """The template of a node; None, if there is none."""
        row = node.op.rows.get(self.key) or self.rows.get(node.op.name)
        return row(node) if callable(row) else row

    def covers(self, node: Node) -> bool:
        """Whether there is a row for a node."""
        return self.row(node) is not None


def parsed(row: str, node: Node) -> ast.expr:
    """The expression of a template, with a name `hole` for each of its holes.

    Raises BlocksError for a row that is no expression.
    """
    text = _HOLE.sub(lambda m: f"{_MARK}{m[1]}{'__n' if m[2] else ''}", row)
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise BlocksError(f"the row {row!r} of operation {node.op.name!r} is no expression: {error.msg}") from None


def hole(name: str) -> tuple[str, bool] | None:
    """What a name in a template stands for, and whether a number may stand there; None: for itself."""
    if not name.startswith(_MARK):
        return None
    key = name.removeprefix(_MARK)
    return (key.removesuffix("__n"), True) if key.endswith("__n") else (key, False)


def holes(row: str) -> list[str]:
    """The holes of a template, as often as they stand there."""
    return [m[1] for m in _HOLE.finditer(row)]


class Filled(ast.NodeTransformer):
    """A template with its holes filled."""

    def __init__(self, fill: Callable[[str, bool], ast.expr], word: Callable[[str], object]):
        self.fill, self.word = fill, word

    def visit_Name(self, found: ast.Name) -> ast.expr:
        """What stands in the place of a name."""
        here = hole(found.id)
        if here is None:
            self.word(found.id)
            return found
        return self.fill(*here)

    def visit_Call(self, found: ast.Call) -> ast.expr:
        """``x.reshape(batch, 3)``: sizes stand in a call by themselves."""
        self.generic_visit(found)
        sizes = isinstance(found.func, ast.Attribute) and found.func.attr in ("reshape", "expand")
        if sizes and isinstance(found.args[0], ast.Tuple) and found.args[0].elts:
            found.args = found.args[0].elts
        return found


# --- pieces of expressions -----------------------------------------------------------------------


def name(identifier: str) -> ast.Name:
    """A variable."""
    return ast.Name(identifier, ast.Load())


def code(text: str) -> ast.expr:
    """The expression that a text is; for texts of our own."""
    return ast.parse(text, mode="eval").body


def literal(value: Any) -> ast.expr:
    """A number, text, None or a tuple of them."""
    if isinstance(value, tuple):
        return ast.Tuple([literal(v) for v in value], ast.Load())
    if isinstance(value, float) and not math.isfinite(value):
        return code(f"float('{value}')")
    return code(repr(value))  # −1 is an operation on 1, as the parentheses of a power know


def is_zero(expression: ast.expr) -> bool:
    """Whether an expression is 0, or False."""
    return isinstance(expression, ast.Constant) and not expression.value


def call(function: str, *arguments: ast.expr, **options: ast.expr) -> ast.Call:
    """A call of a function that has a dotted name."""
    return ast.Call(code(function), list(arguments), [ast.keyword(k, v) for k, v in options.items()])


def atom(expression: ast.expr) -> bool:
    """Whether an expression costs nothing to be written twice: a name, a number, an attribute of a name."""
    while isinstance(expression, ast.Attribute | ast.Subscript):
        if isinstance(expression, ast.Subscript) and not isinstance(expression.slice, ast.Constant):
            return False
        expression = expression.value
    return isinstance(expression, ast.Name | ast.Constant) or (
        isinstance(expression, ast.UnaryOp) and isinstance(expression.operand, ast.Constant)
    )


text = ast.unparse
