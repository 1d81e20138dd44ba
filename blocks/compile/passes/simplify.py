"""Simplify: constants, identities, common subexpressions, dead nodes, cancelling reshapes.

    before      d = multiply(broadcast(1.0, (batch, 4)), h)      after      d = h
                e = add(transpose(transpose(W)), 0.0)                       e = W
                f = tanh(a); g = tanh(a)                                    f = g = tanh(a)

Each holds for all numbers, infinite and denormal ones and NaN too (so 0 b stays what it is: it is NaN where b is
infinite), but for the sign of a zero, which a + 0 → a does not keep.

In loops also what no one asks for goes: outputs that are not picked, states that nothing depends on, and
ports without a user.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...graph import FED, Graph, Node, apply
from ...interpret import Run, evaluate
from ...ops.elementwise import already_aligned
from ...ops.linear import adds_up
from ...ops.loop import FINAL, NEXT
from ...ops.shape import ZERO
from ..passes.sweep import Loop, same, sweep


def simplify(graph: Graph) -> Graph:
    """One sweep; see the module."""
    known: dict[Any, Node] = {}
    picked = picked_outputs(graph)

    def rule(node: Node, operands: tuple[Node, ...]) -> Node:
        if node.op.name == "loop":
            loop = Loop.of(node, operands)
            loop.body = simplify(loop.body)
            return trimmed(loop, picked.get(node, set())).node()
        with already_aligned():
            better = _better(node, operands)
        if better is not None and better.shape == node.shape and better.dtype == node.dtype:
            node, operands = better, better.operands
        key = key_of(node, operands)
        if key is None:
            return same(node, operands)
        return known.setdefault(key, same(node, operands))

    return sweep(graph, rule)


def key_of(node: Node, operands: tuple[Node, ...]) -> Any:
    """What makes two nodes the same value; None for those that are never merged."""
    if node.op.name in FED:
        return node.serial
    parts = []
    for name, value in sorted(node.attrs.items()):
        if isinstance(value, Graph):
            return None
        parts.append(
            (name, (value.dtype.str, value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value)
        )
    return node.op.name, tuple(o.serial for o in operands), tuple(parts)


# --- identities ----------------------------------------------------------------------------------


def scalar(node: Node) -> float | None:
    """The value of a constant with one number in it, also of one that is repeated."""
    while node.op.name in ("broadcast", "reshape"):
        node = node.operands[0]
    if node.op.name == "constant" and node.dtype == "float" and node.attrs["value"].size == 1:
        return float(node.attrs["value"].ravel()[0])
    return None


def same_number(a: Node, b: Node) -> bool:
    """Whether two nodes are constants with one number in them, the same to the last bit: 0 is not -0."""
    x, y = scalar(a), scalar(b)
    return x is not None and y is not None and np.float64(x).tobytes() == np.float64(y).tobytes()


def filled(value: float, node: Node) -> Node:
    """One number in the shape and of the type of a node."""
    number = apply("constant", value={"float": np.float64, "int": np.int64, "bool": np.bool_}[node.dtype](value))
    return number if node.shape == () else apply("broadcast", number, shape=node.shape)


def _better(node: Node, operands: tuple[Node, ...]) -> Node | None:
    """A simpler node of the same value, or None."""
    name, x = node.op.name, operands[0] if operands else node
    if name in ("reshape", "broadcast") and x.shape == node.attrs["shape"]:
        return x
    if name == "reshape" and x.op.name == "reshape":
        return apply("reshape", x.operands[0], shape=node.attrs["shape"])
    if name == "moveaxis" and node.attrs["source"] == node.attrs["destination"]:
        return x
    if name == "moveaxis" and x.op.name == "moveaxis" and _ways(node) == _ways(x)[::-1]:
        return x.operands[0]
    if name == "transpose" and x.op.name == "transpose":
        return x.operands[0]
    if name == "transpose" and x.op.name == "outer" and not adds_up(x):
        return apply("outer", *x.operands[::-1], **x.attrs)
    if name == "negative" and x.op.name == "negative":
        return x.operands[0]
    if name in ("cast", "stop_gradient") and x.dtype == node.dtype:
        return x
    if name == "cast" and x.op.name == "constant" and x.shape == ():
        return filled(x.attrs["value"], node)
    if name == "slice":
        return _better_slice(node, x)
    if name == "concat":
        return _better_concat(node, operands)
    if node.op.kind == "elementwise":
        return _better_elementwise(node, operands)
    return None


def _ways(node: Node) -> tuple[int, int]:
    """From where to where an axis is moved."""
    return node.attrs["source"], node.attrs["destination"]


def _better_slice(node: Node, x: Node) -> Node | None:
    axis, start, stop = node.attrs["axis"], node.attrs["start"], node.attrs["stop"]
    length = x.shape[axis]
    if isinstance(length, str):
        return None
    start, stop, _ = slice(start, stop).indices(length)
    if (start, stop) == (0, length):
        return x
    if x.op.name == "slice" and x.attrs["axis"] == axis and isinstance(x.operands[0].shape[axis], int):
        first = slice(x.attrs["start"], x.attrs["stop"]).indices(int(x.operands[0].shape[axis]))[0]
        return apply("slice", x.operands[0], start=first + start, stop=first + stop, axis=axis)
    if x.op.name == "concat" and x.attrs["axis"] == axis:
        at = 0
        for part in x.operands:
            width = int(part.shape[axis])
            if at <= start and stop <= at + width:
                return (
                    part if width == stop - start else apply("slice", part, start=start - at, stop=stop - at, axis=axis)
                )
            at += width
    return None


def _better_concat(node: Node, operands: tuple[Node, ...]) -> Node | None:
    """Neighbouring slices of one value side by side are one slice, or the value."""
    axis, joined = node.attrs["axis"], list[Node]()
    for operand in operands:
        both = _neighbours(joined[-1], operand, axis) if joined else None
        if both is None:
            joined.append(operand)
        else:
            joined[-1] = both
    if len(joined) == 1:
        return joined[0]
    return apply("concat", *joined, axis=axis) if len(joined) < len(operands) else None


def _neighbours(a: Node, b: Node, axis: int) -> Node | None:
    """The slice that two slices make together, if the second begins where the first ends."""
    if not a.op.name == b.op.name == "slice" or a.operands[0] is not b.operands[0]:
        return None
    x = a.operands[0]
    length = x.shape[axis]
    if isinstance(length, str) or not a.attrs["axis"] == b.attrs["axis"] == axis:
        return None
    (start, middle, _), (again, stop, _) = (slice(n.attrs["start"], n.attrs["stop"]).indices(length) for n in (a, b))
    if middle != again:
        return None
    return x if (start, stop) == (0, length) else apply("slice", x, start=start, stop=stop, axis=axis)


def _better_elementwise(node: Node, operands: tuple[Node, ...]) -> Node | None:
    name = node.op.name
    values = [scalar(o) for o in operands]
    if operands and all(v is not None for v in values) and node.dtype == "float":
        return _folded(node, values)
    better = _identity(node, operands, values) if len(operands) == 2 else None
    if better is not None:
        return better
    if name == "where" and operands[0].dtype != "bool":  # a condition that is false or true, once and for all
        false = apply("equal", operands[0], ZERO[operands[0].dtype])
        return apply("where", false, operands[2], operands[1])
    return _less_repeated(node, operands)


def _folded(node: Node, values: Sequence[float | None]) -> Node | None:
    """What an operation makes of numbers, once and for all, if it is finite."""
    run = Run({}, np.dtype(np.float64))
    with np.errstate(all="ignore"):
        folded = float(evaluate(node, [np.float64(v) for v in values], run))
    return filled(folded, node) if math.isfinite(folded) else None


def _identity(node: Node, operands: tuple[Node, ...], values: Sequence[float | None]) -> Node | None:
    """What adds nothing and multiplies by one is not done; a sum with what is negated is a difference."""
    name, (a, b), (left, right) = node.op.name, operands, values
    identities: list[tuple[bool, Node]] = [
        (name in ("add", "subtract") and right == 0.0, a),  # a + 0, a - 0
        (name == "add" and left == 0.0, b),  # 0 + b
        (name in ("multiply", "divide", "power") and right == 1.0, a),  # a 1, a / 1, a¹
        (name == "multiply" and left == 1.0, b),  # 1 b
    ]
    for holds, result in identities:
        if holds and result.shape == node.shape:
            return result
    if name == "subtract" and left == 0.0 and b.shape == node.shape:
        return apply("negative", b)
    if name == "add" and b.op.name == "negative":  # a + -b
        return apply("subtract", a, b.operands[0])
    if name == "add" and a.op.name == "negative":
        return apply("subtract", b, a.operands[0])
    return None


def _less_repeated(node: Node, operands: tuple[Node, ...]) -> Node | None:
    """The operation on operands before they are repeated, but for one, where that gives the shape."""
    slim = tuple(_unrepeated(o) for o in operands)
    if slim == operands:
        return None
    again = apply(node.op, *slim, **node.attrs)
    if again.shape == node.shape:
        return again
    for i in range(len(operands)):
        mixed = (*slim[:i], operands[i], *slim[i + 1 :])
        again = apply(node.op, *mixed, **node.attrs)
        if again.shape == node.shape:
            return again if mixed != operands else None
    return None


def _unrepeated(node: Node) -> Node:
    """What an operand is before it is repeated: NumPy repeats it anyway."""
    while node.op.name == "broadcast":
        node = node.operands[0]
    if node.op.name == "reshape" and scalar(node) is not None:
        node = node.operands[0]
        while node.op.name in ("broadcast", "reshape"):
            node = node.operands[0]
    return node


# --- loops ---------------------------------------------------------------------------------------


def picked_outputs(graph: Graph) -> dict[Node, set[str]]:
    """Loop → the names of its outputs that are picked."""
    picked: dict[Node, set[str]] = {}
    for node in graph.order():
        if node.op.name == "pick":
            picked.setdefault(node.operands[0], set()).add(node.attrs["output"])
    return picked


def trimmed(loop: Loop, picked: set[str]) -> Loop:
    """The loop without outputs that are not picked, states that nothing depends on, and ports without a user."""
    loop.stacked = tuple(n for n in loop.stacked if n in picked)
    alive = {s for s in loop.states if FINAL + s in picked}
    reached = set[Node]()
    pending = [loop.body.outputs[n] for n in (*loop.stacked, *(NEXT + s for s in alive))]
    while pending:  # what the outputs need; and what the next values of states need that they need
        node = pending.pop()
        if node in reached:
            continue
        reached.add(node)
        pending.extend(node.operands)
        if node.op.name == "input" and node.name in loop.states and node.name not in alive:
            alive.add(node.name)
            pending.append(loop.body.outputs[NEXT + node.name])
    loop.states = tuple(s for s in loop.states if s in alive)
    loop.body = Graph(loop.outputs_of([*loop.stacked, *(NEXT + s for s in loop.states)]))
    return loop
