"""How an operation is written: where its sign stands, how strongly it binds, and its attributes.

The sign itself stands on the operation's row (`Op.sign`). A sign of `BETWEEN` stands between two operands, one
of a few others before, behind, above or around its operand, and any other before its operands in parentheses, as
the name of a function does: ``σ(x W_x + b)``. An operation whose sign is empty passes its operand on unwritten.
Along which axes an operation goes is lowered behind its sign, ``Σ_batch(x)``; a part of a value is ``x[0:3]``.

What is written are *runs*: pieces of text, each plain, lowered, raised, or an accent. Text is one way to set
them (`plain`); a figure or TeX sets them in others. A number is set as a journal sets it (`numeral`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from .graph import Graph, Node, Op, Shape

OR, AND, COMPARISON, SUM, DOT, PRODUCT, UNARY, ATOM = range(8)  # how strongly a formula holds together

# sign → how strongly it binds, and how strongly what stands on its left and on its right must
BETWEEN = {
    "+": (SUM, SUM, SUM),
    "−": (SUM, SUM, DOT),
    "⊙": (PRODUCT, PRODUCT, PRODUCT),
    **dict.fromkeys(("/", "//", "mod"), (PRODUCT, PRODUCT, UNARY)),
    "∨": (OR, OR, OR),
    "∧": (AND, AND, AND),
    **dict.fromkeys((">", "≥", "<", "≤", "=", "≠"), (COMPARISON, SUM, SUM)),
}
OVER = {"Σ⊙": ("Σ", "⊙")}  # the sign before what stands between two operands
AROUND = {"|": ("|", "|"), "⌊": ("⌊", "⌋")}
BEFORE = {"−": (SUM, UNARY), "√": (UNARY, ATOM), "¬": (UNARY, ATOM)}  # the same for a sign before its only operand
RAISED = dict(zip("0123456789−T", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻ᵀ", strict=True))  # what has a raised character of its own
_EXPONENT = re.compile(r"\w+|[-−]?[\d.]+")  # what is read as one behind a ^
_WRITTEN = {"axis", "keepdims", "start", "stop", "shape", "dims", "dtype"}  # attributes that have a form of their own


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
    """Runs as text: ``W_x``, ``Σ_(time, batch)``, ``x²``, ``x^0.5``, ``x^(b + 1)``, ``Wᵀ``."""
    marks = {"sub": lambda text: f"_{text}" if _is_word(text) else f"_({text})", "super": _raised}
    return "".join(marks[run.mark](run.text) if run.mark in marks else run.text for run in runs)


def _raised(text: str) -> str:
    if all(c in RAISED for c in text):
        return "".join(RAISED[c] for c in text)
    return f"^{text}" if _EXPONENT.fullmatch(text) else f"^({text})"


def _is_word(text: str) -> bool:
    return text.replace("_", "").isalnum()


def name(text: str, before: bool = False) -> Formula:
    """A name: what stands behind the underscore of ``W_x`` is lowered. `before`: the value of the step before,
    which has a prime."""
    letter, underscore, below = text.partition("_")
    lowered = len(letter) == 1 and bool(underscore) and _is_word(below)
    runs = (Run(letter), Run(below, "sub")) if lowered else (Run(text),)
    return Formula((*runs, Run("'", "accent")) if before else runs)


def numeral(printed: str) -> Formula:
    """A number that Python has printed: ``1e-06`` as ``10⁻⁶``, ``-2.5e-05`` as ``−2.5·10⁻⁵``, ``-inf`` as ``−∞``."""
    text, _, exponent = printed.replace("-", "−").replace("inf", "∞").partition("e")
    if exponent:
        text = {"1": "10", "−1": "−10"}.get(text, f"{text}·10")
    strength = SUM if text[0] == "−" else PRODUCT if "·" in text else UNARY if exponent else ATOM
    power = [Run(exponent[0].strip("+") + exponent[1:].lstrip("0"), "super")] if exponent else []
    return Formula((Run(text), *power), strength)


def sign_of(op: Op) -> str:
    """What stands for an operation: its sign, or its name."""
    return op.sign or op.name


def is_silent(op: Op) -> bool:
    """Whether an operation passes its operand on unwritten: it changes the type or the layout, not the value."""
    return op.sign == ""


def root(node: Node) -> Node:
    """The value that a node passes on, if it passes one on unwritten."""
    while is_silent(node.op) and node.operands:
        node = node.operands[0]
    return node


def is_mark(op: Op) -> bool:
    """Whether an operation is a mark on its operand, as the T of a transposed matrix is."""
    return op.sign == RAISED["T"]


def write(node: Node, operands: Sequence[Formula], dots: bool = False) -> Formula:
    """The formula of a node over those of its operands. `dots`: a dot stands between the factors of a product,
    for names that are words; else they stand side by side, ``x W_x``."""
    sign = sign_of(node.op)
    if is_silent(node.op) and operands:
        return operands[0] if _in_place(node) else _call(node, node.op.name, operands)
    if "value" in node.attrs and not operands:
        value = node.attrs["value"]
        return numeral(f"{float(value):g}") if value.ndim == 0 else Formula((Run(f"constant{list(value.shape)}"),))
    if "law" in node.attrs:
        return Formula((Run(node.attrs["law"]), *_listed(numeral(f"{v:g}").runs for v in node.attrs["of"])))
    if node.op.kind == "product" and len(operands) == 2:
        return _product(node, operands[0], operands[1], dots)
    if sign in BETWEEN and len(operands) == 2:
        strength, left, right = BETWEEN[sign]
        return Formula((*operands[0].held(left), Run(f" {sign} "), *operands[1].held(right)), strength)
    if sign in OVER and len(operands) == 2:
        before, between = OVER[sign]
        _, left, right = BETWEEN[between]
        inner = (*operands[0].held(left), Run(f" {between} "), *operands[1].held(right))
        return Formula((Run(f"{before}("), *inner, Run(")")))
    if sign == "^":
        return Formula((*operands[0].held(ATOM), Run(operands[1].plain, "super")), UNARY)
    return _of_one(node, sign, operands[0]) if len(operands) == 1 else _call(node, sign, operands)


def _in_place(node: Node) -> bool:
    """Whether a node that is silent leaves each number where it was along its dimensions: of ``(batch, 6)``, as
    ``(batch, 6, 1)`` it does, as ``(batch, 3, 2)`` it does not; nor with its axes in another order."""
    if node.op.kind != "view" or "shape" not in node.attrs:
        return node.op.kind != "view"
    rest = iter(d for d in node.shape if d != 1)
    return all(d in rest for d in node.operands[0].shape if d != 1)


def _is_stack(node: Node) -> bool:
    """Whether a node joins its operands along an axis that each was given for it."""
    axis = node.attrs.get("axis")
    return len(node.operands) > 1 and isinstance(axis, int) and all(_has_new(o, axis) for o in node.operands)


def _has_new(node: Node, axis: int) -> bool:
    """Whether an axis of a node, of one number, was put in by a silent view."""
    shape = node.shape
    return is_silent(node.op) and bool(node.operands) and node.operands[0].shape == (*shape[:axis], *shape[axis + 1 :])


def _of_one(node: Node, sign: str, a: Formula) -> Formula:
    """An operation on one operand, whose sign may stand before, behind, above or around it."""
    if sign in BEFORE:
        strength, needed = BEFORE[sign]
        return Formula((Run(sign), *a.held(needed)), strength)
    if is_mark(node.op):
        return Formula((*a.held(ATOM), Run("T", "super")))
    if sign in AROUND:
        left, right = AROUND[sign]
        return Formula((Run(left), *a.runs, Run(right)))
    if node.op.kind == "view" and "start" in node.attrs:
        return Formula((*a.held(ATOM), Run(f"[{_part(node)}]")))
    return _call(node, sign, [a])


def _product(node: Node, a: Formula, b: Formula, dots: bool) -> Formula:
    """Rows times a matrix; or, where the sign is ⊗, columns times rows, summed along all axes but the last, or not."""
    least, between = (ATOM, " · ") if dots else (UNARY, " ")
    if sign_of(node.op) != "⊗":
        return Formula((*a.held(least), Run(between), *b.held(least)), DOT if dots else PRODUCT)
    factors = (*a.held(ATOM), Run("T", "super"), Run(between), *b.held(least))
    each = range(len(node.shape)) if node.op.name == "outer_each" else node.attrs.get("each", ())
    summed = (i for i in range(len(node.operands[0].shape) - 1) if i not in each)
    axes = _axes(tuple(summed), node.operands[0].shape)
    if dots or not axes:
        return Formula(factors, DOT if dots else PRODUCT)
    return Formula((Run("Σ"), Run(axes, "sub"), Run(" "), *factors), SUM)


def _call(node: Node, sign: str, operands: Sequence[Formula]) -> Formula:
    """A sign before its operands and other attributes, the axes that it goes along lowered behind it."""
    axes = _along(node)
    sign = "stack" if _is_stack(node) else sign
    listed = _listed([operand.runs for operand in operands] + _others(node))
    return Formula((Run(sign), *([Run(axes, "sub")] if axes else []), *listed))


def _listed(parts: Iterable[tuple[Run, ...]]) -> tuple[Run, ...]:
    """Runs behind each other in parentheses, with commas."""
    inner: list[Run] = []
    for runs in parts:
        inner += [Run(", "), *runs] if inner else runs
    return (Run("("), *inner, Run(")"))


def _along(node: Node) -> str:
    """The axes that an operation goes along; "" for all of them, and for the last where one is usual."""
    axis = node.attrs.get("axis")
    if axis is None or not node.operands or "start" in node.attrs:
        return ""
    shape = node.operands[0].shape
    if isinstance(axis, tuple):
        return "" if len(axis) == len(shape) else _axes(axis, shape)
    return "" if axis % len(shape) == len(shape) - 1 else _axes((axis,), shape)


def _axes(axes: tuple[int, ...], shape: Shape) -> str:
    """Axes by name: that of their dimension, ``features`` for the only one without, else their number."""
    unnamed = [i for i, d in enumerate(shape) if not isinstance(d, str)]
    return ", ".join("features" if unnamed == [i] else str(i) if i in unnamed else str(shape[i]) for i in axes)


def _part(node: Node) -> str:
    """The part of an axis that an operation takes: ``0:3``, ``time 0:3``."""
    start, stop, axis = (node.attrs[key] for key in ("start", "stop", "axis"))
    shape = node.attrs.get("shape") or node.operands[0].shape
    along = "" if axis % len(shape) == len(shape) - 1 else _axes((axis,), shape) + " "
    return f"{along}{start}:{'' if stop is None else stop}".replace("-", "−")


def _others(node: Node) -> list[tuple[Run, ...]]:
    """The attributes that are written among the operands."""
    attrs: dict[str, Any] = dict(node.attrs)
    if any(isinstance(value, Graph) for value in attrs.values()):  # a loop: what it runs is drawn, not written
        return [(Run("backwards"),)] if attrs.get("reverse") else []
    said = [_part(node)] if "start" in attrs else []
    said += [str(d) for d in attrs.get("dims", ())]
    if is_silent(node.op) and "shape" in attrs:
        said += [" × ".join(str(d) for d in node.shape if not isinstance(d, str)) or "one number"]
    settings = [_setting(key, value) for key, value in attrs.items() if key not in _WRITTEN]
    return [(Run(text),) for text in said] + [runs for runs in settings if runs]


def _setting(key: str, value: Any) -> tuple[Run, ...]:
    """An attribute: ``classes=7``, ``epsilon=10⁻⁵``, ``reverse`` where it is on; none where it is off."""
    if value is None or isinstance(value, bool):
        return (Run(key),) if value else ()
    if isinstance(value, int | float):
        return (Run(f"{key}="), *numeral(f"{value:g}" if isinstance(value, float) else str(value)).runs)
    return (Run(f"{key}={value}"),)


def write_text(node: Node, operands: Sequence[tuple[str, int]], dots: bool = True) -> tuple[str, int]:
    """`write`, from text and strength to text and strength."""
    formula = write(node, [Formula((Run(text),), strength) for text, strength in operands], dots)
    return formula.plain, formula.strength
