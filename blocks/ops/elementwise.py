"""Elementwise operations. A new one is a row: name, formula, NumPy, gradient.

The gradient rule is written in the same operations and receives the result y, so gradients can be
differentiated again: ``lambda g, y, x: (g * (1 - y * y),)`` for tanh. Rules ignore broadcasting;
`grad` sums a cotangent to the shape of its operand, in one place.

Operands of different shapes are aligned first: leading *named* dimensions meet by name, the features
behind them as in NumPy, from the right. So a mask ``(time, batch)`` multiplies ``(time, batch, 32)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from ..errors import misfit
from ..graph import Dim, Node, Op, Shape, apply, show_shape

Prepared = tuple[tuple[Node, ...], dict[str, Any]]


def split_named(shape: Shape) -> tuple[tuple[str, ...], Shape]:
    """Leading named dimensions, and the rest."""
    n = next((i for i, d in enumerate(shape) if not isinstance(d, str)), len(shape))
    return tuple(str(d) for d in shape[:n]), shape[n:]


def merge_named(prefixes: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The named dimensions of a result: all of them, in the operands' common order."""
    merged: list[str] = []
    for prefix in sorted(prefixes, key=len, reverse=True):
        merged = [d for d in prefix if d not in merged] + merged
    merged.sort(key=lambda d: d != "trials")  # independent trials stand before everything
    for prefix in prefixes:
        if [d for d in merged if d in prefix] != list(prefix):
            raise misfit(
                f"the named dimensions {' and '.join(show_shape(p) for p in prefixes if p)} stand in different "
                "orders; transpose one of them"
            )
    return tuple(merged)


def broadcast_dims(shapes: Sequence[Shape]) -> Shape:
    """NumPy's rule, for shapes with named dimensions: from the right, equal or 1."""
    rank = max((len(s) for s in shapes), default=0)
    out: list[Dim] = []
    for axis in range(-rank, 0):
        here = {s[axis] for s in shapes if len(s) >= -axis} - {1}
        if len(here) > 1:
            a, b = sorted(map(str, here))[:2]
            raise misfit(
                f"{' and '.join(show_shape(s) for s in shapes)} do not fit: {a} is not {b}; "
                "a dimension fits one of the same size, or 1"
            )
        out.append(here.pop() if here else 1)
    return tuple(out)


_aligned: ContextVar[bool] = ContextVar("aligned", default=False)


@contextmanager
def already_aligned() -> Iterator[None]:
    """Inside, operands meet by NumPy's rule alone: for the rules of gradients, whose operands were
    aligned when the user wired them, and for graphs from files."""
    token = _aligned.set(True)
    try:
        yield
    finally:
        _aligned.reset(token)


def _fit_by_rank(shapes: Sequence[Shape]) -> bool:
    ranks = {len(s) for s in shapes}
    return len(ranks) == 1 and max(ranks) > 1 and all(len({*column} - {1}) <= 1 for column in zip(*shapes, strict=True))


def align(nodes: tuple[Node, ...], tail: int = 0) -> tuple[Node, ...]:
    """The operands with dimensions of size 1 put in, so that NumPy's rule does what the names say.

    The last `tail` dimensions take no part in it. Operands of one rank that fit stay as they are: a
    reduction that keeps its axes meets what it reduced.
    """
    heads = [n.shape[: len(n.shape) - tail] for n in nodes]
    if _aligned.get() or len(set(heads)) == 1 or _fit_by_rank(heads):
        return nodes
    split = [split_named(head) for head in heads]
    names = merge_named([prefix for prefix, _ in split])
    rank = max(len(features) for _, features in split)
    out = []
    for node, (prefix, features) in zip(nodes, split, strict=True):
        shape = tuple(d if d in prefix else 1 for d in names) + (1,) * (rank - len(features)) + features
        shape += node.shape[len(node.shape) - tail :]
        while shape and shape[0] == 1 and len(shape) > len(node.shape):
            shape = shape[1:]
        fits = not prefix or shape == node.shape
        out.append(node if fits else apply("reshape", node, shape=shape, role="align"))
    return tuple(out)


def to_float(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """The operands as floating-point numbers."""
    return tuple(n if n.dtype == "float" else apply("cast", n) for n in nodes)


def _prepare_arithmetic(nodes: tuple[Node, ...], attrs: dict[str, Any]) -> Prepared:
    return align(to_float(nodes)), attrs


def _prepare_comparison(nodes: tuple[Node, ...], attrs: dict[str, Any]) -> Prepared:
    return align(nodes), attrs


def _prepare_where(nodes: tuple[Node, ...], attrs: dict[str, Any]) -> Prepared:
    if len(nodes) != 3:
        return nodes, attrs
    same = nodes[1].dtype == nodes[2].dtype
    return align((nodes[0], *(nodes[1:] if same else to_float(nodes[1:])))), attrs


def elementwise(
    name: str,
    formula: str,
    forward: Callable[..., Any],
    vjp: Callable[..., tuple[Node | None, ...]] | None,
    arity: int = 1,
    dtype: str = "float",
    *,
    sign: str | None = None,
    rows: Mapping[str, str] | None = None,
    prepare: Callable[..., Prepared] = _prepare_arithmetic,
) -> Op:
    """Define an elementwise operation; returns it, ready to be called on wires and numbers.

    `dtype` is that of the result; where it is empty, that of the last operand.
    """

    def infer(*operands: Node) -> tuple[Shape, str]:
        if len(operands) != arity:
            raise misfit(f"takes {arity} wires, not {len(operands)}")
        return broadcast_dims([o.shape for o in operands]), dtype or operands[-1].dtype

    return Op(name, formula, infer, forward, vjp, prepare, kind="elementwise", sign=sign, rows=rows or {})


def _logistic(x: Any) -> Any:
    e = np.exp(-np.abs(x))  # never overflows
    return np.where(x >= 0, 1.0, e) / (1.0 + e)


def _softplus(x: Any) -> Any:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _rectified(x: Any) -> Any:
    return np.maximum(x, 0)


def _half_step(a: Node, b: Node) -> Node:
    """1 where a > b, 0 where a < b, ½ where they are equal."""
    return 0.5 + 0.5 * sign(a - b)


def _power_vjp(g: Node, y: Node, x: Node, p: Node) -> tuple[Node | None, ...]:
    if p.op.name == "constant" and p.shape == ():
        p_value = float(p.attrs["value"])
        slope = 2.0 * x if p_value == 2.0 else p_value * power(x, p_value - 1.0)
        return g * slope, None
    return g * p * power(x, p - 1.0), g * y * log(x)


# fmt: off
add: Op      = elementwise("add",      "a + b",   np.add,      lambda g, y, a, b: (g, g), 2)
subtract: Op = elementwise("subtract", "a - b",   np.subtract, lambda g, y, a, b: (g, -g), 2)
multiply: Op = elementwise("multiply", "a * b",   np.multiply, lambda g, y, a, b: (g * b, g * a), 2)
divide: Op   = elementwise("divide",   "a / b",   np.divide,   lambda g, y, a, b: (g / b, -g * y / b), 2)
power: Op    = elementwise("power",    "a ** b",  np.power,    _power_vjp, 2)
maximum: Op  = elementwise("maximum",  "the larger of a and b; at a tie both get half the gradient", np.maximum,
                       lambda g, y, a, b: (g * _half_step(a, b), g * _half_step(b, a)), 2)
minimum: Op  = elementwise("minimum",  "the smaller of a and b; at a tie both get half the gradient", np.minimum,
                       lambda g, y, a, b: (g * _half_step(b, a), g * _half_step(a, b)), 2)

negative: Op = elementwise("negative", "-x",      np.negative, lambda g, y, x: (-g,))
exp: Op      = elementwise("exp",      "eˣ",      np.exp,      lambda g, y, x: (g * y,))
log: Op      = elementwise("log",      "ln x",    np.log,      lambda g, y, x: (g / x,))
sqrt: Op     = elementwise("sqrt",     "√x",      np.sqrt,     lambda g, y, x: (g * 0.5 / y,))
abs_: Op     = elementwise("abs",      "|x|; slope 0 at 0", np.abs,  lambda g, y, x: (g * sign(x),))
sign: Op     = elementwise("sign",     "-1, 0 or 1", np.sign,  lambda g, y, x: (None,))
sigm: Op     = elementwise("sigm",     "1 / (1 + e⁻ˣ)", _logistic,   lambda g, y, x: (g * y * (1.0 - y),))
tanh: Op     = elementwise("tanh",     "(eˣ - e⁻ˣ) / (eˣ + e⁻ˣ)", np.tanh, lambda g, y, x: (g * (1.0 - y * y),))
relu: Op     = elementwise("relu",     "max(x, 0); slope 0 at 0", _rectified, lambda g, y, x: (g * sign(y),),
                       rows={"numpy": "maximum({0}, zero, out={out})"})
softplus: Op = elementwise("softplus", "ln(1 + eˣ)", _softplus, lambda g, y, x: (g * sigm(x),))

greater: Op  = elementwise("greater",  "a > b",   np.greater,  None, 2, "bool", prepare=_prepare_comparison)
equal: Op    = elementwise("equal",    "a = b",   np.equal,    None, 2, "bool", prepare=_prepare_comparison)
where: Op    = elementwise("where",    "a where the condition holds (is not 0), else b",
                       lambda c, a, b: np.where(np.not_equal(c, 0), a, b),
                       lambda g, y, c, a, b: (None, where(c, g, 0.0), where(c, 0.0, g)), 3, "", prepare=_prepare_where)
# fmt: on

stop_gradient: Op = Op(
    "stop_gradient",
    "x forwards, nothing backwards",
    lambda x: (x.shape, x.dtype),
    lambda x: x,
    lambda g, y, x: (None,),
    lambda nodes, attrs: (to_float(nodes), attrs),
    kind="view",
)

cast: Op = Op(
    "cast",
    "integers or booleans as floating-point numbers",
    lambda x: (x.shape, "float"),
    lambda run, x: np.asarray(x).astype(run.dtype),
    lambda g, y, x: (g if x.dtype == "float" else None,),
    None,
    True,
    kind="elementwise",
)


def log_sigm(x: Node) -> Node:
    """ln σ(x) = -softplus(-x): exact for large |x|, where ln(sigm(x)) is not."""
    return -softplus(-x)
