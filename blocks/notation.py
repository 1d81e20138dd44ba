"""How an operation is written: where its sign stands, and how strongly it binds.

The sign itself stands on the operation's row (`Op.sign`). A sign of `BETWEEN` stands between two operands, one
of a few others before, behind or above its operand, and any other before its operands in parentheses, as the
name of a function does: ``σ(x W_x + b)``. An operation whose sign is empty passes its operand on unwritten.

What is written are *runs*: pieces of text, each plain, lowered, raised, or an accent. Text is one way to set
them (`plain`); a figure or TeX sets them in others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .graph import Node, Op

SUM, DOT, PRODUCT, UNARY, ATOM = range(1, 6)  # how strongly a formula holds together

# sign → how strongly it binds, and how strongly what stands on its left and on its right must
BETWEEN = {
    "+": (SUM, SUM, SUM),
    "−": (SUM, SUM, DOT),
    "⊙": (PRODUCT, PRODUCT, PRODUCT),
    "/": (PRODUCT, PRODUCT, UNARY),
}
_RAISED = {"T": "ᵀ"}  # what has a raised character of its own


class Run(NamedTuple):
    """A piece of text; `mark` is "" for plain text, or "sub", "super" or "accent"."""

    text: str
    mark: str = ""


class Formula(NamedTuple):
    """Runs, and how strongly they hold together: whether they need parentheses inside of another formula."""

    runs: tuple[Run, ...]
    strength: int = ATOM

    def held(self, at_least: int) -> tuple[Run, ...]:
        """The runs, in parentheses if they hold together less than that."""
        return self.runs if self.strength >= at_least else (Run("("), *self.runs, Run(")"))

    @property
    def plain(self) -> str:
        """The formula as text."""
        return plain(self.runs)


def plain(runs: Sequence[Run]) -> str:
    """Runs as text: ``W_x``, ``x^2``, ``Wᵀ``."""
    marks = {"sub": lambda text: f"_{text}", "super": lambda text: _RAISED.get(text, f"^{text}")}
    return "".join(marks[run.mark](run.text) if run.mark in marks else run.text for run in runs)


def name(text: str, before: bool = False) -> Formula:
    """A name: what stands behind the underscore of ``W_x`` is lowered. `before`: the value of the step before,
    which has a prime."""
    letter, underscore, below = text.partition("_")
    lowered = len(letter) == 1 and bool(underscore and below)
    runs = (Run(letter), Run(below, "sub")) if lowered else (Run(text),)
    return Formula((*runs, Run("'", "accent")) if before else runs)


def sign_of(op: Op) -> str:
    """What stands for an operation: its sign, or its name."""
    return op.sign or op.name


def is_silent(op: Op) -> bool:
    """Whether an operation passes its operand on unwritten: it changes the type or the layout, not the value."""
    return op.sign == ""


def is_mark(op: Op) -> bool:
    """Whether an operation is a mark on its operand, as the T of a transposed matrix is."""
    return op.sign in _RAISED.values()


def write(node: Node, operands: Sequence[Formula], dots: bool = False) -> Formula:
    """The formula of a node over those of its operands. `dots`: a dot stands between the factors of a product,
    for names that are words; else they stand side by side, ``x W_x``."""
    sign = sign_of(node.op)
    if is_silent(node.op) and operands:
        return operands[0]
    if "value" in node.attrs and not operands:
        value = node.attrs["value"]
        return Formula((Run(f"{float(value):g}" if value.ndim == 0 else f"constant{list(value.shape)}"),))
    if sign in BETWEEN and len(operands) == 2:
        strength, left, right = BETWEEN[sign]
        return Formula((*operands[0].held(left), Run(f" {sign} "), *operands[1].held(right)), strength)
    if sign == "−" and len(operands) == 1:
        return Formula((Run("−"), *operands[0].held(UNARY)), SUM)
    if is_mark(node.op):
        return Formula((*operands[0].held(ATOM), Run("T", "super")))
    if sign == "^":
        return Formula((*operands[0].held(ATOM), Run(plain(operands[1].held(ATOM)), "super")), UNARY)
    if sign == "·":
        return _product(operands[0], operands[1], dots)
    listed: list[Run] = []
    for operand in operands:
        listed += [Run(", "), *operand.runs] if listed else operand.runs
    return Formula((Run(f"{sign}("), *listed, Run(")")))


def _product(a: Formula, b: Formula, dots: bool) -> Formula:
    if dots:
        return Formula((*a.held(ATOM), Run(" · "), *b.held(ATOM)), DOT)
    return Formula((*a.held(UNARY), Run(" "), *b.held(UNARY)), PRODUCT)


def write_text(node: Node, operands: Sequence[tuple[str, int]], dots: bool = True) -> tuple[str, int]:
    """`write`, from text and strength to text and strength."""
    formula = write(node, [Formula((Run(text),), strength) for text, strength in operands], dots)
    return formula.plain, formula.strength
