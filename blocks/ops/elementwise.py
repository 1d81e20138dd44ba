"""Elementwise operations. A new one is a row: name, formula, NumPy, gradient.

The gradient rule is written in the same operations and receives the result y, so gradients can be
differentiated again: ``lambda g, y, x: (g * (1 - y * y),)`` for tanh. Rules ignore broadcasting;
`grad` sums a cotangent to the shape of its operand, in one place.

Operands of different shapes are aligned first: leading *named* dimensions meet by name, the features
behind them as in NumPy, from the right. So a mask ``(time, batch)`` multiplies ``(time, batch, 32)``. What the operands
leave open stands as (time, trials, batch): ``(time, batch, 32)`` and ``(trials, 32)`` → ``(time, trials, batch, 32)``.

Operands of different types become one type first: floating-point numbers, where one of them is, else integers. So
``n + 1`` counts, and ``n * 0.5`` is a floating-point number. Booleans alone are 0.0 and 1.0 in arithmetic. Integers
have 64 bits in every run, and no gradient.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from ..arguments import checked
from ..errors import BlocksError, misfit, nearest
from ..graph import DTYPES, Dim, Node, Op, Shape, apply, show_shape

Prepared = tuple[tuple[Node, ...], dict[str, Any]]
TRIALS, BATCH = "trials", "batch"
LAST = (TRIALS, BATCH)  # of the named dimensions: (time, trials, batch)


def split_named(shape: Shape) -> tuple[tuple[str, ...], Shape]:
    """Leading named dimensions, and the rest."""
    n = next((i for i, d in enumerate(shape) if not isinstance(d, str)), len(shape))
    return tuple(str(d) for d in shape[:n]), shape[n:]


def place_of_trials(shape: Shape) -> int:
    """Where a dimension of trials stands in a shape that gets one: before the batch, (time, trials, batch, 32); where
    there is none, behind the other named dimensions in front, (time, trials, 32)."""
    return shape.index(BATCH) if BATCH in shape else len(split_named(shape)[0])


def merge_named(prefixes: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The named dimensions of a result: all of them, in the operands' common order; what they leave open stands as
    (time, trials, batch)."""
    merged: list[str] = []
    waiting = list(dict.fromkeys(d for prefix in sorted(prefixes, key=len) for d in prefix))
    waiting.sort(key=lambda d: LAST.index(d) if d in LAST else -1)
    while waiting:
        behind = {d for prefix in prefixes for d in [p for p in prefix if p in waiting][1:]}
        first = next((d for d in waiting if d not in behind), None)
        if first is None:
            raise misfit(
                f"the named dimensions {' and '.join(show_shape(p) for p in prefixes if p)} stand in different "
                "orders; transpose one of them"
            )
        merged.append(first)
        waiting.remove(first)
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


def alike(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """The operands as values of one type: floating-point numbers, where one of them is; else integers, where one is."""
    kinds = {n.dtype for n in nodes}
    if len(kinds) < 2 or "float" in kinds:
        return nodes if len(kinds) < 2 else to_float(nodes)
    return tuple(n if n.dtype == "int" else apply("cast", n, dtype="int") for n in nodes)


def to_numbers(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """The operands as numbers of one type: integers stay integers, booleans alone become floating-point numbers."""
    nodes = alike(nodes)
    return nodes if any(n.dtype == "int" for n in nodes) else to_float(nodes)


def _prepare_floats(nodes: tuple[Node, ...], attrs: dict[str, Any]) -> Prepared:
    return align(to_float(nodes)), attrs


def _prepare_numbers(nodes: tuple[Node, ...], attrs: dict[str, Any]) -> Prepared:
    return align(to_numbers(nodes)), attrs


def _prepare_comparison(nodes: tuple[Node, ...], attrs: dict[str, Any]) -> Prepared:
    return align(alike(nodes)), attrs


def _prepare_logical(nodes: tuple[Node, ...], attrs: dict[str, Any]) -> Prepared:
    for node in nodes:
        if node.dtype != "bool":
            raise misfit(f"takes booleans, not {node.dtype}: compare first, as not_equal(x, 0) does")
    return align(nodes), attrs


def _prepare_where(nodes: tuple[Node, ...], attrs: dict[str, Any]) -> Prepared:
    return align((*nodes[:1], *alike(nodes[1:]))), attrs


WRITTEN = (
    "numpy",
    "native",
    "np",
    "torch",
    "jax",
    "onnx",
    "python",
    "javascript",
)  # what a user's rows are written for


@checked
def elementwise(
    name: str,
    formula: str,
    forward: Callable[..., Any],
    vjp: Callable[..., tuple[Node | None, ...]] | None,
    arity: int = 1,
    dtype: str = "float",
    *,
    sign: str | None = None,
    commutative: bool = False,
    rows: Mapping[str, str] | None = None,
    expand: Callable[..., Node] | None = None,
    prepare: Callable[..., Prepared] | None = None,
) -> Op:
    """Define an elementwise operation; returns it, ready to be called on wires and numbers.

        sinh = elementwise("sinh", "sinh x", np.sinh, lambda g, y, x: (g * cosh(x),))
        cosh = elementwise("cosh", "cosh x", np.cosh, lambda g, y, x: (g * sinh(x),))

    It is a full citizen at once: run, differentiated, compiled into the step loop, drawn, printed, saved; a file
    that holds it loads where it is defined.

    Args:
        name: what it is called, an identifier that no other operation has.
        formula: what it does, in a few words; its documentation.
        forward: arrays → array, of the shape that they have together. A NumPy ufunc is compiled as one statement
            that writes in place; anything else is called.
        vjp: ``(g, y, *operands) -> (cotangent or None, ...)``, in the package's own operations: g is the cotangent
            of the result y. Broadcasting is undone elsewhere. None: no gradient.
        arity: how many wires it takes.
        dtype: of the result, "float", "int" or "bool"; where it is empty, that of the operands: `forward` then has
            integers to do with too.
        sign: what figures and formulas write for it; its name, by default.
        commutative: whether its operands may change places; if not, a figure marks its entries.
        rows: target → how that target writes it, ``{"native": "sin_({0})"}``, with its operands in braces. Targets:
            "native" (C) and "numpy"; "np", "torch", "jax", "onnx" and "python", for what is exported; "javascript".
        expand: ``(*operands) -> node``, the same made of other operations: what the compiler works on.
        prepare: ``(operands, attrs) -> (operands, attrs)`` before the node is made; by default operands are aligned
            and become floating-point numbers, or, where `dtype` is empty, numbers of one type.

    Raises BlocksError for a name that is taken or no identifier, and for a rule that does not take `arity` wires.
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise BlocksError(f"the name of an operation is an identifier, not {name!r}")
    if dtype not in ("", *DTYPES):
        raise BlocksError(f"operation {name!r}: its dtype is {', '.join(DTYPES)} or '', not {dtype!r}")
    if wrong := [target for target in rows or () if target not in WRITTEN]:
        hint = nearest(str(wrong[0]), WRITTEN)
        raise BlocksError(f"operation {name!r}: nothing writes rows for {wrong[0]!r}{hint}; {', '.join(WRITTEN)} do")
    for rule, what in ((forward, "forward"), (vjp, "vjp")):
        if not callable(rule) and (rule is not None or what == "forward"):
            raise BlocksError(f"operation {name!r}: its {what} is a function, not {rule!r:.40}")
    if vjp is not None and len(inspect.signature(vjp).parameters) != arity + 2:
        raise BlocksError(f"operation {name!r} takes {arity} wires, so its vjp takes g, y and {arity} operands")

    def infer(*operands: Node) -> tuple[Shape, str]:
        """Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
        ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``."""
        if len(operands) != arity:
            raise misfit(f"takes {arity} wires, not {len(operands)}")
        return broadcast_dims([o.shape for o in operands]), dtype or operands[-1].dtype

    prepare = prepare or (_prepare_floats if dtype else _prepare_numbers)
    names = [*inspect.signature(vjp).parameters][2:] if vjp is not None else "abc"[:arity]
    ports = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_ONLY) for n in names]
    infer.__signature__ = inspect.Signature(ports)  # type: ignore[attr-defined]
    return Op(
        name, formula, infer, forward, vjp, prepare,
        kind="elementwise", sign=sign, commutative=commutative, rows=rows or {}, expand=expand,
    )  # fmt: skip


def _comparison(name: str, formula: str, forward: np.ufunc, sign: str, commutative: bool = False) -> Op:
    return elementwise(
        name, formula, forward, None, 2, "bool", sign=sign, commutative=commutative, prepare=_prepare_comparison
    )


def _logical(name: str, formula: str, forward: np.ufunc, sign: str, arity: int = 2) -> Op:
    return elementwise(
        name, formula, forward, None, arity, "bool", sign=sign, commutative=arity == 2, prepare=_prepare_logical
    )


def _logistic(x: Any) -> Any:
    e = np.exp(-np.abs(x))  # never overflows
    return np.where(x >= 0, 1.0, e) / (1.0 + e)


def _softplus(x: Any) -> Any:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _silu_vjp(g: Node, y: Node, x: Node) -> tuple[Node | None, ...]:
    s = sigm(x)
    return (g * (s + y * (1.0 - s)),)


TWICE, CUBIC = 2.0 * math.sqrt(2.0 / math.pi), 0.044715  # the Gaussian error linear unit of Hendrycks and Gimpel 2016


def _inner(x: Node, power: int = 1) -> Node:
    """2 z / x, of z as in the formula; or the slope of 2 z, where `power` is 3."""
    return TWICE + power * CUBIC * TWICE * (x * x)


def _gelu(x: Any) -> Any:
    return x * _logistic(TWICE * (x + CUBIC * x**3))


def _gelu_vjp(g: Node, y: Node, x: Node) -> tuple[Node | None, ...]:
    s = sigm(x * _inner(x))
    return (g * (s + y * (1.0 - s) * _inner(x, 3)),)


def _rectified(x: Any) -> Any:
    return np.maximum(x, 0)


def _half_step(a: Node, b: Node) -> Node:
    """1 where a > b, 0 where a < b, ½ where they are equal."""
    return 0.5 + 0.5 * sign(a - b)


def _power_vjp(g: Node, y: Node, x: Node, p: Node) -> tuple[Node | None, ...]:
    """p xᵖ⁻¹, and y ln x. At x = 0 the first is 0 for p = 0, where 0 · 0⁻¹ would be NaN, and so is the second."""
    if p.op.name == "constant" and p.shape == ():
        known = float(p.attrs["value"])
        if known in (0.0, 1.0):
            return (g if known else None), None
        return g * (2.0 * x if known == 2.0 else known * power(x, known - 1.0)), None
    less = where(equal(p, 0.0), 1.0, p - 1.0)
    return g * p * power(x, less), g * y * log(where(equal(x, 0.0), 1.0, x))


# fmt: off
add: Op      = elementwise("add",      "a + b",   np.add,      lambda g, y, a, b: (g, g), 2, "", sign="+",
                       commutative=True)
subtract: Op = elementwise("subtract", "a - b",   np.subtract, lambda g, y, a, b: (g, -g), 2, "", sign="−")
multiply: Op = elementwise("multiply", "a * b",   np.multiply, lambda g, y, a, b: (g * b, g * a), 2, "", sign="⊙",
                       commutative=True)
divide: Op   = elementwise("divide",   "a / b",   np.divide,   lambda g, y, a, b: (g / b, -g * y / b), 2, sign="/")
power: Op    = elementwise("power",    "a ** b",  np.power,    _power_vjp, 2, sign="^")
maximum: Op  = elementwise("maximum",  "the larger of a and b; at a tie both get half the gradient", np.maximum,
                       lambda g, y, a, b: (g * _half_step(a, b), g * _half_step(b, a)), 2, "", sign="max",
                       commutative=True)
minimum: Op  = elementwise("minimum",  "the smaller of a and b; at a tie both get half the gradient", np.minimum,
                       lambda g, y, a, b: (g * _half_step(b, a), g * _half_step(a, b)), 2, "", sign="min",
                       commutative=True)
floor_divide: Op = elementwise("floor_divide", "a / b rounded down; of integers, 0 where b is 0", np.floor_divide,
                       None, 2, "", sign="//")
mod: Op      = elementwise("mod",      "a - b (a // b), of the sign of b; of integers, 0 where b is 0", np.mod,
                       lambda g, y, a, b: (g, -g * floor_divide(a, b)), 2, "")

negative: Op = elementwise("negative", "-x",      np.negative, lambda g, y, x: (-g,), dtype="", sign="−")
exp: Op      = elementwise("exp",      "eˣ",      np.exp,      lambda g, y, x: (g * y,))
expm1: Op    = elementwise("expm1",    "eˣ - 1, exact for small x", np.expm1, lambda g, y, x: (g * (y + 1.0),))
log: Op      = elementwise("log",      "ln x",    np.log,      lambda g, y, x: (g / x,), sign="ln")
sqrt: Op     = elementwise("sqrt",     "√x",      np.sqrt,     lambda g, y, x: (g * 0.5 / y,), sign="√")
sin: Op      = elementwise("sin",      "sin x",   np.sin,      lambda g, y, x: (g * cos(x),))
cos: Op      = elementwise("cos",      "cos x",   np.cos,      lambda g, y, x: (-g * sin(x),))
floor: Op    = elementwise("floor",    "x rounded down to a whole number; no gradient", np.floor, None, sign="⌊")
round_: Op   = elementwise("round",    "the nearest whole number, of two the even one; no gradient", np.rint, None)
abs_: Op     = elementwise("abs",      "|x|; slope 0 at 0", np.abs,  lambda g, y, x: (g * sign(x),), dtype="",
                       sign="|")
sign: Op     = elementwise("sign",     "-1, 0 or 1", np.sign,  None, dtype="")
sigm: Op     = elementwise("sigm",     "1 / (1 + e⁻ˣ)", _logistic,   lambda g, y, x: (g * y * (1.0 - y),), sign="σ")
tanh: Op     = elementwise("tanh",     "(eˣ - e⁻ˣ) / (eˣ + e⁻ˣ)", np.tanh, lambda g, y, x: (g * (1.0 - y * y),))
relu: Op     = elementwise("relu",     "max(x, 0); slope 0 at 0", _rectified, lambda g, y, x: (g * sign(y),),
                       rows={"numpy": "maximum({0}, zero, out={out})"})
softplus: Op = elementwise("softplus", "ln(1 + eˣ)", _softplus, lambda g, y, x: (g * sigm(x),))
silu: Op     = elementwise("silu",     "x σ(x), or swish (Elfwing et al. 2018)", lambda x: x * _logistic(x), _silu_vjp,
                       expand=lambda x: x * sigm(x))
gelu: Op     = elementwise("gelu",     "x σ(2 z), z = √(2/π) (x + 0.044715 x³): with tanh, not erf", _gelu, _gelu_vjp,
                       expand=lambda x: x * sigm(x * _inner(x)))

greater: Op  = _comparison("greater",  "a > b",   np.greater, ">")
greater_equal: Op = _comparison("greater_equal", "a ≥ b", np.greater_equal, "≥")
less: Op     = _comparison("less",     "a < b",   np.less, "<")
less_equal: Op = _comparison("less_equal", "a ≤ b", np.less_equal, "≤")
equal: Op    = _comparison("equal",    "a = b",   np.equal, "=", commutative=True)
not_equal: Op = _comparison("not_equal", "a ≠ b", np.not_equal, "≠", commutative=True)
logical_and: Op = _logical("logical_and", "whether a and b are true, of booleans: a & b", np.logical_and, "∧")
logical_or: Op = _logical("logical_or", "whether a or b is true, of booleans: a | b", np.logical_or, "∨")
logical_not: Op = _logical("logical_not", "whether x is false, of booleans: ~x", np.logical_not, "¬", 1)
where: Op    = elementwise("where",    "a where the condition holds (is not 0), else b",
                       lambda c, a, b: np.where(np.not_equal(c, 0), a, b),
                       lambda g, y, c, a, b: (None, where(c, g, 0.0), where(c, 0.0, g)), 3, "", prepare=_prepare_where)
# fmt: on


def _infer_same(x: Node) -> tuple[Shape, str]:
    """Shapes: that of x."""
    return x.shape, x.dtype


def _infer_cast(x: Node, *, dtype: str = "float") -> tuple[Shape, str]:
    """Shapes: that of x. dtype: "float", by default, or "int"; never what cannot hold every value of x."""
    known = isinstance(dtype, str) and {dtype, x.dtype} <= set(DTYPES)
    if not known or DTYPES.index(dtype) > DTYPES.index(x.dtype):
        raise misfit(f"{x.describe()} is {x.dtype}; that does not pass for {dtype!r:.40}")
    return x.shape, dtype


stop_gradient: Op = Op(
    "stop_gradient",
    "x forwards, nothing backwards",
    _infer_same,
    lambda x: x,
    None,
    lambda nodes, attrs: (to_float(nodes), attrs),
    kind="view",
    sign="stop",
)

cast_op: Op = Op(
    "cast",
    "booleans as integers, both as floating-point numbers",
    _infer_cast,
    lambda run, x, *, dtype: np.asarray(x).astype(run.type_of(dtype)),
    lambda g, y, x: (g if x.dtype == "float" else None,),
    lambda nodes, attrs: (nodes, {"dtype": attrs.get("dtype", "float")}),
    True,
    kind="elementwise",
    sign="",
)
truncate: Op = elementwise("truncate", "x without its fraction, an integer", lambda x: np.trunc(x).astype(np.int64),
                           None, dtype="int", sign="int")  # fmt: skip
