"""One operation of a graph as one line of NumPy.

In this order: what its row says (``rows={"numpy": "maximum({0}, zero, out={out})"}``, with the names of NumPy's
functions and of a few numbers); the function of NumPy that it is, ``tanh(x, out=y)``; the table below; and what is none
of these is computed as the interpreter does it, by ``rt.call``.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import BlocksError
from ...graph import OPS, Node, Op
from ..plan.geometry import Geometry
from ..plan.places import Compute

Word = Callable[[str], str]  # a function of NumPy or a number, by name → how run writes it
Value = Callable[[Any], str]  # the value of an option → how run writes it
RESERVED = {"np", "rt", "feeds", "dims", "dtype", "sizes", "constants", "allocate", "run"}
RESERVED |= {*keyword.kwlist, *dir(builtins)}
NUMBERS = {"zero": 0.0, "half": 0.5, "one": 1.0, "two": 2.0}


def ufunc(op: Op) -> str | None:
    """The name under which NumPy has the function that goes number by number as an operation does, or None."""
    if op.kind != "elementwise" or not isinstance(op.forward, np.ufunc):
        return None
    return next((n for n in (op.name, op.forward.__name__) if getattr(np, n, None) is op.forward), None)


def reserved() -> set[str]:
    """The names that no variable of a program has."""
    return RESERVED | {name for op in OPS.values() if (name := ufunc(op))}


def in_place(op: Op) -> bool:
    """Whether an operation may write over an operand: one function of NumPy that goes number by number."""
    if row := op.rows.get("numpy") if op.kind == "elementwise" else None:
        call = re.fullmatch(r"(\w+)\([^()]*, out=\{out\}\)", row)
        return call is not None and isinstance(getattr(np, call[1], None), np.ufunc)
    return ufunc(op) is not None


def statement(step: Compute, a: list[str], out: str, word: Word, value: Value, sizes: str) -> str:
    """The line that computes a node into `out`, over the expressions of its operands; `sizes` is what knows sizes."""
    node = step.node
    if row := node.op.rows.get("numpy"):
        return _from_row(node.op, row, a, out, word)
    if name := ufunc(node.op):
        return f"{word(name)}({', '.join(a)}, out={out})"
    if write := STATEMENTS.get(node.op.name):
        return write(node, a, out, step.out.geometry)
    extra = "".join(f", {key}={value(option)}" for key, option in node.attrs.items())
    tail = f", run={sizes}" if node.op.dynamic else ""
    return f"rt.call({node.op.name!r}, {', '.join(a)}{', ' if a else ''}out={out}{tail}{extra})"


def _from_row(op: Op, row: str, a: list[str], out: str, word: Word) -> str:
    """The text of a row, its operands and names put in. Raises BlocksError for a name that it cannot have."""

    def put(found: re.Match[str]) -> str:
        braced, name = found.groups()
        if braced is not None:
            if braced == "out" or (braced.isdigit() and int(braced) < len(a)):
                return out if braced == "out" else a[int(braced)]
            raise BlocksError(f"the row {row!r} of operation {op.name!r} has no operand {{{braced}}}")
        if name in ("np", "rt"):
            return str(name)
        if name in NUMBERS or isinstance(getattr(np, name, None), np.ufunc):
            return word(name)
        known = f"np, {', '.join(NUMBERS)} and NumPy's elementwise functions"
        raise BlocksError(f"the row {row!r} of operation {op.name!r} has the name {name!r}; it may have {known}")

    return re.sub(r"\{(\w*)\}|(?<![\w.])([A-Za-z_]\w*)(?!\w*\s*=[^=])", put, row)


# --- operations that are no single function of NumPy ---------------------------------------------


def _matmul(node: Node, a: list[str], out: str, place: Geometry) -> str:
    x, w = node.operands
    flat = len(w.shape) == 2 and len(x.shape) > 2
    if flat and place.joined:  # all rows in one product
        rows = f"{a[0]}.reshape(-1, {x.shape[-1]})"
        return _product(rows, a[1], f"{out}.reshape(-1, {w.shape[-1]})", place.contiguous)
    if place.contiguous and 4 <= len(w.shape) == len(node.shape) and w.shape[0] != 1 and {*w.shape[1:-2]} == {1}:
        first = "-1" if len(x.shape) < len(w.shape) else f"len({a[0]}), -1"  # all rows of one matrix in one product
        rows, matrices = f"{a[0]}.reshape({first}, {x.shape[-1]})", f"{a[1]}.reshape(-1, {x.shape[-1]}, {w.shape[-1]})"
        return f"np.matmul({rows}, {matrices}, out={out}.reshape(len({a[1]}), -1, {w.shape[-1]}))"
    return _product(a[0], a[1], out, place.contiguous and len(x.shape) == len(w.shape) == 2)


def _outer(node: Node, a: list[str], out: str, place: Geometry) -> str:
    each, operands = node.attrs.get("each", ()), node.operands
    if len(each) == 1:  # all rows of each in one product; one factor may be the same for all
        (k,) = each
        front = (
            ""
            if k == 0
            else f".swapaxes(0, {k})"
            if k == 1
            else f".transpose({k}, *range({k}), *range({k + 1}, {len(operands[0].shape)}))"
        )
        x, g = [
            a[i] if (k, len(o.shape)) == (0, 3) else f"{a[i]}{front}.reshape({a[i]}.shape[{k}], -1, {o.shape[-1]})"
            for i, o in enumerate(operands)
        ]
        return f"np.matmul({x}.swapaxes(1, 2), {g}, out={out})"
    if each:
        return f"rt.call('outer', {a[0]}, {a[1]}, out={out}, each={each})"
    x, g = [a[i] if len(o.shape) == 2 else f"{a[i]}.reshape(-1, {o.shape[-1]})" for i, o in enumerate(operands)]
    return _product(f"{x}.T", g, out, place.contiguous)


def _product(x: str, w: str, out: str, contiguous: bool) -> str:
    """A product of matrices; ``dot`` takes half the time of ``matmul`` where they are small, and whole arrays only."""
    return f"{x}.dot({w}, out={out})" if contiguous else f"np.matmul({x}, {w}, out={out})"


def _reduction(node: Node, a: list[str], out: str, place: Geometry) -> str:
    axis, keepdims, x, (value,) = node.attrs["axis"], node.attrs["keepdims"], node.operands[0], a
    if axis == tuple(range(len(x.shape) - 1)) and len(x.shape) > 2 and not keepdims and isinstance(x.shape[-1], int):
        value, axis = f"{value}.reshape(-1, {x.shape[-1]})", 0
    call = {"sum": "np.add.reduce", "max": "np.maximum.reduce", "mean": "rt.mean"}[node.op.name]
    return f"{call}({value}, axis={axis}, keepdims={keepdims}, out={out})"


def _cumsum(node: Node, a: list[str], out: str, place: Geometry) -> str:
    axis = node.attrs["axis"]
    x, y = (f"np.flip({v}, {axis})" if node.attrs["reverse"] else v for v in (a[0], out))
    return f"np.add.accumulate({x}, axis={axis}, out={y})"


STATEMENTS: dict[str, Callable[[Node, list[str], str, Geometry], str]] = {
    "matmul": _matmul,
    "outer": _outer,
    "sum": _reduction,
    "mean": _reduction,
    "max": _reduction,
    "cumsum": _cumsum,
    "reshape": lambda node, a, out, place: f"np.copyto({out}, {a[0]}.reshape({out}.shape))",  # one that is no view
    "cast": lambda node, a, out, place: f"np.copyto({out}, {a[0]})",
    "truncate": lambda node, a, out, place: f"np.copyto({out}, {a[0]}, casting='unsafe')",
    "where": lambda node, a, out, place: f"rt.where({', '.join(a)}, out={out})",
}
