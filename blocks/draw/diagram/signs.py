"""How a figure writes the sign of an operation: as a formula does, but for a few that are drawn otherwise."""

from __future__ import annotations

from collections.abc import Iterable

from ...graph import Node
from ...notation import AROUND, BETWEEN, SUM, Formula, Run, is_silent, name, numeral, root, sign_of, write
from ..text import Line, clip, line
from ..typeset import formula_line

PRODUCT = "•"  # which lies at one height in all fonts, as · does not
_DRAWN = {"·": PRODUCT, "⊙": "×", "/": "÷", "ᵀ": "T"}
_AROUND_X = {"^", *AROUND}  # what is said with an x: x², 2ˣ, |x|
_ENTRIES = {"−": ("+", "−"), "/": ("×", "÷")}


def symbol(node: Node, value: float | None = None) -> Formula:
    """The sign of a node's operation, as it stands in a circle or a box: ``×``, ``|x|``. value: a number that the
    operation takes, which stands on its side: ``1−``, ``−1``, ``×0.5``, ``x²``."""
    sign = sign_of(node.op)
    if node.op.kind == "view" and "start" in node.attrs:
        return write(node, [Formula(())])  # which part
    if sign in _AROUND_X:
        letters = iter("xy")
        fixed = [value is not None and scalar(o) is not None for o in node.operands]
        return write(node, [short(value) if value is not None and f else name(next(letters)) for f in fixed])
    drawn = _DRAWN.get(sign, sign)
    return Formula((Run(drawn),)) if value is None else _beside(sign, drawn, node, short(value))


def _beside(sign: str, drawn: str, node: Node, value: Formula) -> Formula:
    """A sign with a number on the side on which the operation takes it."""
    if sign not in BETWEEN or BETWEEN[sign][0] < SUM:
        return Formula((Run(f"{drawn} "), *value.runs))
    gap = " " if sign.isalpha() else ""
    if scalar(node.operands[0]) is not None:
        return Formula((*value.runs, Run(gap + drawn)))
    return Formula((Run(drawn + gap), *value.runs))


def symbol_of_brick(last: Node) -> Formula:
    """The sign of what a brick does."""
    core = core_of_brick(last)
    return symbol(core, one_number(core))


def core_of_brick(last: Node) -> Node:
    """What a brick does: its last operation, but for a gain and a bias behind it."""
    node = last
    while (inner := _inside(node)) and weights_of(node) and (_inside(inner[0]) or not weights_of(inner[0])):
        node = inner[0]
    return node


def _inside(node: Node) -> list[Node]:
    """The operands of a node that its brick has made."""
    return [o for o in node.operands if o.operands and o.brick == node.brick and o.role != "align"]


def weights_of(node: Node) -> list[str]:
    """The weights that an operation takes, as they are or aligned, without the name of their brick."""
    given = [o.operands[0] if o.role == "align" else o for o in node.operands]
    return [str(o.name).removeprefix(f"{node.brick}.") for o in given if o.role == "parameter"]


def is_cell_of_operations(nodes: Iterable[Node]) -> bool:
    """Whether the nodes of a brick are a whole cell, which has no states and no bricks inside: its weights have names
    as ``norm/gain``, if it has any, not as ``forget.W_x``."""
    taken = [(node.brick, root(o)) for node in nodes for o in node.operands]
    return not any(o.role == "parameter" and str(o.name).startswith(f"{brick}.") for brick, o in taken)


def takes_weights(nodes: Iterable[Node]) -> bool:
    """Whether one of the operations takes weights, or is weights."""
    return any(root(n).role == "parameter" for node in nodes for n in (node, *node.operands))


def short(value: float) -> Formula:
    """A number of more than five digits in three, unless these are another whole number, as 1 for 0.99995."""
    full, rounded = f"{value:g}", f"{value:.3g}"
    return numeral(full if len(full) <= 6 or float(rounded).is_integer() else rounded)


def entry_marks(node: Node) -> tuple[str, ...]:
    """What tells the entries of an operation apart: + and − for a difference, × and ÷ for a quotient, as block
    diagrams have it, else numbers; nothing where the operands may change places, or one of them is a matrix of weights
    in its place, behind the rows."""
    weighted = node.op.kind == "product" and node.operands[-1].op.name == "parameter"
    if len(node.operands) < 2 or node.op.commutative or weighted:
        return ()
    return _ENTRIES.get(sign_of(node.op)) or tuple(str(i) for i, _ in enumerate(node.operands, 1))


def label(said: Formula) -> tuple[str, Line]:
    """The form and the label of an operation: a circle for a sign, a pill for a word."""
    text = "".join(run.text for run in said.runs)
    small = len(text) > 1 or text == PRODUCT
    return "circle" if len(text) <= 2 else "pill", formula_line(said, 11 if small else 16, longest=16)


def draw_lines(called: str, node: Node) -> tuple[Line, Line]:
    """The label of a draw: its name, and how it is distributed."""
    return line(clip(called), 10), formula_line(Formula((Run("∼ "), *write(node, ()).runs)), 9)


def scalar(node: Node) -> float | None:
    """The number that a node is, if it is one."""
    while is_silent(node.op) and len(node.operands) == 1:
        node = node.operands[0]
    return float(node.attrs["value"]) if node.op.name == "constant" and node.shape == () else None


def one_number(node: Node) -> float | None:
    """The number in an operation on one wire and one number."""
    if len(node.operands) != 2:
        return None
    numbers = [value for o in node.operands if (value := scalar(o)) is not None]
    return numbers[0] if len(numbers) == 1 else None
