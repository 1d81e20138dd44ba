"""One operation of a graph as one line of NumPy."""

from __future__ import annotations

from collections.abc import Callable

from ...graph import Node

UFUNCS = {
    "add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "negative", "exp", "log", "sqrt", "abs",
    "sign", "tanh", "greater", "equal",
}  # fmt: skip


def statement(node: Node, a: list[str], out: str, whole: bool, number: Callable[[float], str]) -> str:
    """One line that computes a node into `out`, which is a whole array, or a part of one; `a` are its operands, and
    `number` writes a number."""
    name = node.op.name
    if name in UFUNCS:
        return f"{name}({', '.join(a)}, out={out})"
    if name == "matmul":
        return _matmul(node, a, out, whole)
    if name == "outer":
        n, m = node.shape
        x, g = [a[i] if len(node.operands[i].shape) == 2 else f"{a[i]}.reshape(-1, {k})" for i, k in ((0, n), (1, m))]
        return _product(f"{x}.T", g, out, whole)
    if name in ("sum", "mean", "max"):
        return _reduction(node, a[0], out)
    if name == "relu":
        return f"maximum({a[0]}, {number(0.0)}, out={out})"
    if name == "cast":
        return f"np.copyto({out}, {a[0]})"
    if name == "where":
        return f"rt.where({', '.join(a)}, out={out})"
    extra = "".join(f", {key}={value!r}" for key, value in node.attrs.items())
    tail = ", run=sizes" if node.op.dynamic else ""
    return f"rt.call({name!r}, {', '.join(a)}{', ' if a else ''}out={out}{tail}{extra})"


def _matmul(node: Node, a: list[str], out: str, whole: bool) -> str:
    x, w = node.operands
    if len(w.shape) == 2 and len(x.shape) > 2:  # all rows in one product
        return _product(f"{a[0]}.reshape(-1, {x.shape[-1]})", a[1], f"{out}.reshape(-1, {w.shape[-1]})", whole)
    return _product(a[0], a[1], out, whole and len(x.shape) == len(w.shape) == 2)


def _reduction(node: Node, a: str, out: str) -> str:
    axis, keepdims, x = node.attrs["axis"], node.attrs["keepdims"], node.operands[0]
    if axis == tuple(range(len(x.shape) - 1)) and len(x.shape) > 2 and not keepdims and isinstance(x.shape[-1], int):
        a, axis = f"{a}.reshape(-1, {x.shape[-1]})", 0
    call = {"sum": "np.add.reduce", "max": "np.maximum.reduce", "mean": "rt.mean"}[node.op.name]
    return f"{call}({a}, axis={axis}, keepdims={keepdims}, out={out})"


def _product(x: str, w: str, out: str, whole: bool) -> str:
    """A product of matrices; ``dot`` takes half the time of ``matmul`` where they are small, and whole arrays only."""
    return f"{x}.dot({w}, out={out})" if whole else f"np.matmul({x}, {w}, out={out})"
