"""What can happen to wires: one function an operation or an idiom, each taking the pool and adding to it.

Safe by construction: a logarithm is taken of what is positive, kinks and comparisons meet a number drawn at
random, an attention mask admits something.
"""

from __future__ import annotations

import contextlib
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

import blocks as bk
from blocks.graph import Node, Shape

from .wires import FED, LARGEST, Pool

ORDERS = (bk.greater, bk.less, bk.greater_equal, bk.less_equal)
LIMIT = 6  # of integers that are computed
DTYPES = ("float64", "float32", "float16", "int8", "int16", "int32", "int64", "uint8", "bool")


def odd(pool: Pool) -> float:
    """A number that meets no other by chance."""
    return round(float(pool.world.rng.standard_normal() * 0.6), 4) or 0.1234


def positive(pool: Pool, x: Node) -> tuple[Node, float]:
    """x made positive, at least 0.4; and its bound."""
    b = pool.bound(x)
    how = pool.dice.pick(["square", "softplus", "exp"])
    if how == "square":
        return x * x + 0.5, b * b + 0.5
    if how == "softplus":
        return bk.softplus(x) + 0.4, b + 1.2
    return 0.4 + bk.exp(bk.tanh(x)), 3.2


def features(x: Node) -> bool:
    return bool(x.shape) and isinstance(x.shape[-1], int)


def numbered(x: Node) -> list[int]:
    """Axes whose length is a number."""
    return [i for i, d in enumerate(x.shape) if isinstance(d, int)]


def length(pool: Pool, d: Any) -> int:
    return pool.world.dims[d] if isinstance(d, str) else d


# --- elementwise ---------------------------------------------------------------------------------


def unary(pool: Pool) -> None:
    x = pool.any()
    b = pool.bound(x)
    kinds = ["tanh", "sigm", "negative", "softplus", "exp", "expm1", "log", "sqrt", "log_sigm", "square", "cube", "root",
             "two_to", "inverse", "scaled", "rescaled", "first", "none", "logarithm of σ", "sin", "cos",
             "silu", "gelu"]  # fmt: skip
    kinds += (
        ["relu", "abs", "sign", "stop", "truncated", "floor", "round", "mod", "clip"] if pool.world.kinks else []
    )  # what differences do not agree with
    kind = pool.dice.pick(kinds)
    if kind in ("tanh", "sigm", "sin", "cos"):
        pool.add(getattr(bk, kind)(x), 1.0)
    elif kind == "negative":
        pool.add(-x, b)
    elif kind == "softplus":
        pool.add(bk.softplus(x), b + 0.7)
    elif kind == "exp":
        pool.add(bk.exp(bk.tanh(x)) if b > 2 else bk.exp(x), math.e if b > 2 else math.exp(b))
    elif kind == "expm1":
        pool.add(bk.expm1(bk.tanh(x)) if b > 2 else bk.expm1(x), math.e - 1 if b > 2 else math.expm1(b))
    elif kind == "log":
        y, c = positive(pool, x)
        pool.add(bk.log(y), 1 + math.log(c + 1))
    elif kind == "sqrt":
        y, c = positive(pool, x)
        pool.add(bk.sqrt(y), math.sqrt(c))
    elif kind == "log_sigm":
        pool.add(bk.log_sigm(x), b + 0.7)
    elif kind == "square":
        pool.add(x**2, b * b)
    elif kind == "cube":
        pool.add(x**3, b**3)
    elif kind == "root":
        y, c = positive(pool, x)
        p = pool.dice.pick([0.5, -1, -0.5, 1.5, 0, 1])
        pool.add(y**p, max(c**p, 0.4**p))
    elif kind == "two_to":
        pool.add(2.0 ** bk.tanh(x), 2.0)
    elif kind == "inverse":
        pool.add(1.0 / positive(pool, x)[0], 2.5)
    elif kind == "scaled":
        pool.add(odd(pool) * x - odd(pool), 3 * b + 3)
    elif kind == "rescaled":
        pool.add((x - 0.3) / 1.7, b)
    elif kind == "first":
        pool.add(1.0 - x, b + 1)
    elif kind == "none":
        pool.add(x * 0.0 + 1.0 * x, b)
    elif kind == "logarithm of σ":
        pool.add(-bk.log(bk.sigm(x)) if b < 8 else -bk.log_sigm(x), b + 0.7)
    elif kind in ("silu", "gelu"):
        pool.add(getattr(bk, kind)(x), b)
    elif kind in ("floor", "round"):
        pool.add(getattr(bk, kind)(x * 2.0 - odd(pool)) * x, 2 * b * b + 4 * b)
    elif kind == "mod":
        pool.add((x - odd(pool)) % pool.dice.pick([0.7, -1.3, positive(pool, x)[0]]), b * b + 3)
    elif kind == "clip":
        low = odd(pool)
        pool.add(bk.clip(x, *pool.dice.pick([(low, low + 0.6), (low, None), (None, low)])), b + 3)
    elif kind == "truncated":
        pool.add(bk.cast(x * 2.0 - odd(pool), dtype="int"), 2 * b + 3)
    elif kind == "stop":
        pool.add(bk.stop_gradient(x), b)
    elif kind == "relu":
        pool.add(bk.relu(x + odd(pool)), b + 3)
    elif kind == "abs":
        pool.add(bk.abs(x - odd(pool)), b + 3)
    elif kind == "sign":
        pool.add(bk.sign(x - odd(pool)) * x, b)


def binary(pool: Pool) -> None:
    x = pool.any()
    y = pool.partner(x)
    a, b = pool.bound(x), pool.bound(y)
    kinds = ["add", "multiply", "subtract", "blend", "divide", "power", "swapped"]
    kinds += ["maximum", "minimum", "where", "floor_divide"] if pool.world.kinks else []
    kind = pool.dice.pick(kinds)
    if kind == "add":
        pool.add(x + y, a + b)
    elif kind == "subtract":
        pool.add(x - y, a + b)
    elif kind == "swapped":
        pool.add(y - x, a + b)
    elif kind == "multiply":
        pool.add(x * y, a * b)
    elif kind == "blend":
        gate = bk.sigm(pool.partner(x))
        pool.add(gate * x + (1.0 - gate) * y, a + b)
    elif kind == "divide":
        pool.add(x / positive(pool, y)[0], a * 2.5)
    elif kind == "power":
        base, c = positive(pool, x)
        base = base if c < 20 else bk.sigm(x) + 0.4
        pool.add(base ** bk.tanh(y), 20.0 if c < 20 else 2.5)
    elif kind == "floor_divide":
        pool.add((x - odd(pool)) // positive(pool, y)[0] * y, (a + 3) * 2.5 * b + b)
    elif kind in ("maximum", "minimum"):
        pool.add(getattr(bk, kind)(x, y + odd(pool)), a + b + 3)
    elif kind == "where":
        pool.add(bk.where(pool.dice.pick(ORDERS)(x, odd(pool)), y, bk.tanh(x)), b + 1)


def infinite(pool: Pool) -> None:
    """±∞ as a constant: the bounds that bound nothing, and the attention mask."""
    x = pool.any()
    b = pool.bound(x)
    kind = pool.dice.pick(["maximum", "minimum", "attention", "where"])
    if kind == "maximum":
        pool.add(bk.maximum(x, -np.inf), b)
    elif kind == "minimum":
        pool.add(bk.minimum(np.inf, x), b)
    elif kind == "where":
        pool.add(bk.where(False, bk.constant(value=np.inf), x), b)
    elif features(x):
        n = int(x.shape[-1])
        admitted = pool.world.rng.random(n) < 0.6
        admitted[pool.world.rng.integers(n)] = True
        pool.add(bk.softmax(bk.where(admitted, x, -np.inf)), 1.0)


def by_whole_numbers(pool: Pool) -> None:
    """Integers and booleans: embedded, compared, as numbers, as a condition."""
    if not pool.whole:
        return
    node = pool.dice.pick(pool.whole)
    kinds = ["where", "cast", "where of constants", "arithmetic", "compared", "as another type"]
    kinds += ["embed", "one_hot", "equal", "greater", "total"] if node.dtype == "int" else ["not", "logical"]
    kind = pool.dice.pick(kinds)
    x = pool.any()
    if kind == "where":
        y = pool.partner(x)
        pool.add(bk.where(node, x, y), pool.bound(x) + pool.bound(y))
    elif kind == "where of constants":
        pool.add(bk.where(node, 0.7, -0.3) * x, pool.bound(x))
    elif kind == "cast":
        pool.add(node * 0.2 + 0.1, 2.0)
    elif kind == "equal":
        pool.add(bk.equal(node, pool.dice.integer(0, 2)), 0)
    elif kind == "greater":
        pool.add(pool.dice.pick(ORDERS)(node, pool.dice.integer(0, 2)), 0)
    elif kind == "not":
        pool.add(bk.equal(node, False), 0)
    elif kind == "logical":
        other = pool.dice.pick([node, *(n for n in pool.whole if n.dtype == "bool"), x > odd(pool)])
        pool.add(pool.dice.pick([~node, node & other, other | node, node & ~other, True & node]), 0)
    elif kind == "arithmetic":
        pool.add(whole_number(pool, node), FED)
    elif kind == "compared":
        z = x + odd(pool)
        pool.add(pool.dice.pick([node < z, z >= node, bk.not_equal(node, 1), node <= pool.dice.pick(pool.whole)]), 0)
    elif kind == "as another type":
        pool.add(
            bk.cast(pool.dice.pick([node, x * 2.0 - odd(pool)]), dtype=pool.dice.pick(["int", "bool", "float"])),
            2 * LARGEST,
        )
    elif kind == "total":
        pool.add(bk.sum(node, axis=0) if node.shape else bk.max(node), 1)
    elif node in pool.classes and kind == "one_hot":
        pool.add(bk.one_hot(node, classes=pool.classes[node]), 1.0)
    elif node in pool.classes:
        n, name = pool.dice.integer(1, 4), pool.world.fresh("embed")
        if pool.dice.chance(30):
            table = pool.any(lambda t: len(t.shape) == 2 and t.shape[0] == pool.classes[node] and features(t))
            if table is not None and not isinstance(table.shape[0], str):
                pool.add(bk.gather(table, node), pool.bound(table))
                return
        pool.add(bk.EMBED(pool.classes[node], n, name=name)(node), FED)


def whole_number(pool: Pool, node: Node) -> Node:
    """An integer of an integer or a boolean and another one, or a number, from -LIMIT to LIMIT; two booleans make a
    floating-point number."""
    other = pool.dice.pick([pool.dice.integer(-2, 3), pool.dice.pick(pool.whole)])
    how = pool.dice.pick([bk.add, bk.subtract, bk.multiply, bk.minimum, bk.maximum, bk.subtract])
    if pool.dice.chance(25):
        other = bk.abs(other) + 1 if isinstance(other, Node) else other or 1
        return pool.dice.pick([operator.mod, operator.floordiv])(node, other)
    y = how(node, other) if not pool.dice.chance(20) else how(other, -bk.abs(node))
    return bk.maximum(bk.minimum(y, LIMIT), -LIMIT)


def constant_array(pool: Pool) -> None:
    """A wire meets an array of any type, of the shape of its features or a part of it."""
    x = pool.any()
    shape = [d if isinstance(d, int) else 1 for d in x.shape]
    keep = pool.dice.integer(0, len(shape))
    size = shape[len(shape) - keep :]
    dtype = np.dtype(pool.dice.pick(DTYPES))
    values = pool.world.normal(*size) * (1.0 if dtype.kind == "f" else 2.0)
    values = np.abs(values) if dtype.kind == "u" else values
    value = (values > 0) if dtype.kind == "b" else values.astype(dtype)
    kind = pool.dice.pick(["multiply", "add", "where", "rows", "weights"])
    if kind == "multiply":
        pool.add(x * value, pool.bound(x) * 4)
    elif kind == "add":
        pool.add(bk.constant(value=value) + x, pool.bound(x) + 4)
    elif kind == "where":
        pool.add(bk.where(value, x, 0.5), pool.bound(x) + 1)
    elif kind == "weights" and features(x):
        n, m = int(x.shape[-1]), pool.dice.integer(1, 4)
        pool.add(x @ pool.world.normal(n, m).astype(pool.dice.pick(["float64", "float32"])), pool.bound(x) * n * 2)
    elif pool.whole:
        node = pool.dice.pick(pool.whole)
        if node in pool.classes:
            table = pool.world.normal(pool.classes[node], pool.dice.integer(1, 3))
            pool.add(bk.gather(table.astype("float32"), node), FED)


# --- reductions ----------------------------------------------------------------------------------


def reduction(pool: Pool) -> None:
    x = pool.any(lambda n: bool(n.shape))
    if x is None:
        return
    kind = pool.dice.pick(["sum", "mean"] + (["max"] if pool.world.kinks else []))
    rank = len(x.shape)
    axes = pool.dice.some(range(rank), 1, 2)
    named = [x.shape[a] if isinstance(x.shape[a], str) and pool.dice.chance(50) else a - rank for a in axes]
    axis = None if pool.dice.chance(8) else named[0] if len(named) == 1 else tuple(named)
    keepdims = pool.dice.chance(50)
    over = math.prod(length(pool, x.shape[a]) for a in (range(rank) if axis is None else axes))
    y = getattr(bk, kind)(x, axis=axis, keepdims=keepdims)
    if kind == "max" and numbered(x) and pool.dice.chance(40):  # where it is; no two are equal
        at = pool.dice.pick(numbered(x))
        apart = pool.world.normal(*(int(d) if i == at else 1 for i, d in enumerate(x.shape)))
        pool.add(bk.argmax(x + apart, axis=at, keepdims=pool.dice.chance(50)), 0)
    pool.add(y, pool.bound(x) * (over if kind == "sum" else 1))
    if keepdims and pool.dice.chance(50):
        pool.add(x - bk.tanh(y), pool.bound(x) + 1)


def along(pool: Pool) -> None:
    """softmax and its logarithm, running sums."""
    x = pool.any(lambda n: bool(n.shape))
    if x is None:
        return
    axis = pool.dice.pick([-1, *range(len(x.shape))])
    if pool.dice.chance(30):
        axis = x.shape[axis] if isinstance(x.shape[axis], str) and pool.dice.chance(50) else axis
        pool.add(bk.cumsum(x, axis=axis, reverse=pool.dice.chance(40)), pool.bound(x) * 6)
        return
    if pool.dice.chance(40):
        pool.add(bk.log_softmax(x, axis=axis), 2 * pool.bound(x) + 2)
    else:
        pool.add(bk.softmax(x, axis=axis), 1.0)


def normalised(pool: Pool) -> None:
    """Layer normalisation: a brick, an operation, or written out; over features, sometimes over another axis."""
    x = pool.any(features)
    if x is None:
        return
    axis = -1 if not pool.dice.chance(15) else pool.dice.integer(0, len(x.shape) - 1)
    n = int(x.shape[-1])
    if pool.dice.chance(60):
        epsilon = pool.dice.pick([0.05, 0.3])
        if pool.dice.chance(50):
            kind = pool.dice.pick([bk.LAYERNORM, bk.RMSNORM])
            made = kind(n, name=pool.world.fresh("norm"), bias=pool.dice.chance(50), epsilon=epsilon)
            pool.add(made(x) if pool.dice.chance(80) else made(x) + made(-x), 8.0)
        else:
            pool.add(pool.dice.pick([bk.layernorm, bk.rmsnorm])(x, axis=axis, epsilon=epsilon), 2.5)
        return
    mean = bk.mean(x, axis=axis, keepdims=True)
    how = pool.dice.pick(["usual", "centred", "length"])
    if how == "usual":
        y = (x - mean) / bk.sqrt(bk.mean((x - mean) ** 2, axis=axis, keepdims=True) + 0.05)
    elif how == "centred":
        centred = x - mean
        y = centred / bk.sqrt(bk.mean(centred * centred, axis=axis, keepdims=True) + 0.05)
    else:
        y = x / bk.sqrt(bk.sum(x * x, axis=axis, keepdims=True) + 0.3)
    if pool.dice.chance(50):
        name = pool.world.fresh("norm")
        y = y * bk.parameter(f"{name}.gain", n, init=1.0) + bk.parameter(f"{name}.shift", n, init=0.0)
    pool.add(y, 8.0)


# --- shapes --------------------------------------------------------------------------------------


def cut(pool: Pool) -> None:
    """A part along an axis; a named one is counted from one end."""
    x = pool.any(lambda n: bool(n.shape))
    if x is None:
        return
    axis = pool.dice.integer(-len(x.shape), -1)
    d = x.shape[axis]
    if isinstance(d, int):
        start = pool.dice.integer(0, d - 1)
        stop = pool.dice.integer(start + 1, d)
        y = bk.slice(x, start=start, stop=stop, axis=axis)
        before, behind = pool.dice.pick([(slice(None),), (...,)]), (slice(None),) * (-axis - 1)
        before = before * (len(x.shape) + axis) if before == (slice(None),) else before
        key = pool.dice.pick([slice(start, stop), slice(start - d, stop), start, start - d, start])
        more = (None,) * pool.dice.chance(20)
        if pool.dice.chance(60):
            y = x[(*before, key, *more, *behind)]
        elif pool.dice.chance(30) and d > 1:
            first, second = bk.split(x, [stop, d - stop] if stop < d else [1, d - 1], axis=axis)
            pool.add(second, pool.bound(x))
            y = first
    else:
        width = pool.dice.integer(1, min(2, length(pool, d)))
        start, stop = pool.dice.pick([(-width, None), (0, width)])
        y = bk.slice(x, start=start, stop=stop, axis=d if pool.dice.chance(50) else axis)
        if axis == -len(x.shape) and pool.dice.chance(40):
            pool.add(x[pool.dice.pick([-1, 0, slice(start, stop)])], pool.bound(x))
        if width == 1 and pool.dice.chance(60):
            y = bk.reshape(y, shape=tuple(e for i, e in enumerate(x.shape) if i != axis + len(x.shape)))
    pool.add(y, pool.bound(x))


def other_shape(pool: Pool) -> None:
    """The features in another form: split in two, joined, a 1 put in or taken out; mostly after the names."""
    x = pool.any(lambda n: bool(numbered(n)))
    if x is None:
        return
    named = [d for d in x.shape if isinstance(d, str)]
    count = math.prod(d for d in x.shape if isinstance(d, int))
    kinds: list[Shape] = [(count,), (count, 1), (1, count)]
    kinds += [(count // k, k) for k in (2, 3, 4, 5) if count % k == 0]
    kinds += [(k, 1, count // k) for k in (2, 3) if count % k == 0]
    kinds += [()] if count == 1 else []
    if pool.dice.chance(15):
        pool.add(bk.expand_dims(x, pool.dice.pick([-1, -2, len(named)])), pool.bound(x))
        return
    shape = pool.dice.pick(kinds)
    at = pool.dice.integer(0, len(named)) if pool.dice.chance(10) else len(named)
    pool.add(bk.reshape(x, shape=(*named[:at], *shape, *named[at:])), pool.bound(x))


def turned(pool: Pool) -> None:
    """Axes in another order."""
    x = pool.any(lambda n: len(n.shape) > 1)
    if x is None:
        return
    if len(numbered(x)) > 1 and pool.dice.chance(50):
        x = pool.any(lambda n: len(n.shape) > 2 and len(numbered(n)) > 1, x)
        pool.add(bk.transpose(x), pool.bound(x))
        return
    rank = len(x.shape)
    source, destination = pool.dice.integer(0, rank - 1), pool.dice.integer(0, rank - 1)
    pool.add(bk.moveaxis(x, source=source, destination=destination), pool.bound(x))


def repeated(pool: Pool) -> None:
    """A wire repeated along an axis of length 1, a new one of features, or a named one."""
    x = pool.any()
    n = pool.dice.integer(2, 4)
    named = sum(isinstance(d, str) for d in x.shape)
    wide = pool.dice.pick(["features", "one", "named"])
    if wide == "features":
        y = bk.reshape(x, shape=(*x.shape, 1))
        pool.add(bk.broadcast(y, shape=(*x.shape, n)), pool.bound(x))
    elif wide == "one" and 1 in x.shape:
        at = x.shape.index(1)
        pool.add(bk.broadcast(x, shape=(*x.shape[:at], n, *x.shape[at + 1 :])), pool.bound(x))
    elif wide == "named" and named == 0 and len(x.shape) < 3:
        lead = ("batch",) if pool.inside else pool.dice.pick([("batch",), ("time", "batch")])
        pool.add(bk.broadcast(x, shape=(*lead, *x.shape)), pool.bound(x))
    elif wide == "named" and x.shape[:1] == ("batch",) and not pool.inside:
        pool.add(bk.broadcast(x, shape=("time", *x.shape)), pool.bound(x))


def joined(pool: Pool) -> None:
    """Wires side by side, or along a new axis."""
    x = pool.any(lambda n: bool(numbered(n)))
    if x is None:
        return
    axis = pool.dice.pick(numbered(x)[::-1])
    rest = (*x.shape[:axis], *x.shape[axis + 1 :])

    def fits(n: Node) -> bool:
        return len(n.shape) == len(x.shape) and (*n.shape[:axis], *n.shape[axis + 1 :]) == rest and axis in numbered(n)

    others = [pool.any(fits, x) for _ in range(pool.dice.integer(0, 2))]
    bound = max(map(pool.bound, [x, *others]))
    wires = ([x, *others],) if pool.dice.chance(40) else (x, *others)
    if all(o.shape == x.shape for o in others) and pool.dice.chance(30):
        pool.add(bk.stack(*wires, axis=pool.dice.pick([-1, axis])), bound)
    else:
        pool.add(bk.concat(*wires, axis=axis), bound)


# --- products ------------------------------------------------------------------------------------


def product(pool: Pool) -> None:
    kind = pool.dice.pick(["weights", "stacks", "matvec", "outer", "memory", "rows", "outer_each", "column"])
    x = pool.any(features)
    if x is None:
        return
    b, n = pool.bound(x), int(x.shape[-1])
    if kind == "weights":
        w = bk.parameter(pool.world.fresh("w"), n, pool.dice.integer(1, 4))
        pool.add(x @ w, b * n * FED)
    elif kind == "outer":
        y = pool.any(lambda o: o.shape[:-1] == x.shape[:-1] and features(o))
        over = math.prod(length(pool, d) for d in x.shape[:-1])
        pool.add(bk.outer(x, y), b * pool.bound(y) * over)
    elif kind == "column":
        pool.add(x @ bk.parameter(pool.world.fresh("w"), n), b * n * FED)
    elif kind == "outer_each":
        y = pool.any(lambda o: (o.shape[:-1] == x.shape[:-1] or o.shape[:1] == ("batch",)) and features(o))
        pool.add(bk.outer_each(*pool.dice.pick([(x, y), (y, x)])), b * pool.bound(y))
    elif kind == "memory":  # the outer product of each sample's own vectors
        y = pool.any(lambda o: o.shape[:-1] == x.shape[:-1] and features(o))
        column, row = bk.reshape(x, shape=(*x.shape, 1)), bk.reshape(y, shape=(*y.shape[:-1], 1, y.shape[-1]))
        pool.add(column * row, b * pool.bound(y))
    else:
        m = pool.any(
            lambda o: (
                len(numbered(o)) > 1 and len(o.shape) > 2 and {*numbered(o)} >= {len(o.shape) - 1, len(o.shape) - 2}
            )
        )
        if m is None:
            return
        c, columns = pool.bound(m), int(m.shape[-1])
        if kind == "rows" and isinstance(m.shape[-3], str):
            rows = int(m.shape[-2])
            v = pool.dice.pick([pool.fitted((*m.shape[:-2], rows)), bk.parameter(pool.world.fresh("w"), rows)])
            pool.add(v @ m, c * pool.bound(v) * rows)
        elif kind == "matvec":
            v = pool.fitted((*m.shape[:-2], columns))
            pool.add(bk.matvec(m, v), c * pool.bound(v) * columns)
        else:
            other = pool.any(lambda o: len(o.shape) > 2 and o.shape[:-2] == m.shape[:-2] and o.shape[-2] == columns)
            other = bk.transpose(m) if other is None else other
            pool.add(m @ other, c * pool.bounds.get(other, c) * columns)


def brick(pool: Pool) -> None:
    """A brick on one to three wires; sometimes called again, on others, or on its own output."""
    x = pool.any(features)
    if x is None:
        return
    lead = x.shape[:-1]
    dice = pool.dice
    wires = [x, *(pool.any(lambda n: n.shape[:-1] == lead and features(n)) for _ in range(dice.integer(0, 2)))]
    kind = dice.pick([bk.TANH, bk.ADD, bk.SIGM, bk.MULTIPLY, bk.RELU if pool.world.kinks else bk.ADD, bk.SOFTMAX])
    units = int(x.shape[-1]) if dice.chance(50) else dice.integer(1, 5)
    equal = all(w.shape[-1] == units for w in wires)
    weights = dice.pick(["dense", "diagonal", "scalar"]) if equal else "dense"
    made = kind(units, name=pool.world.fresh("brick"), weights=weights, bias=dice.chance(60))
    y = made(*wires)
    total = 1.0
    if kind in (bk.ADD, bk.RELU):
        total = sum(pool.bound(w) * int(w.shape[-1]) * 2 for w in wires) + 2
    elif kind is bk.MULTIPLY:
        total = math.prod(pool.bound(w) * int(w.shape[-1]) * 2 for w in wires) + 2
    y = pool.add(y, total)
    if y is not None and dice.chance(30):
        again = [y if equal and dice.chance(60) else pool.any(lambda n, w=w: n.shape == w.shape) for w in wires]
        pool.add(made(*again), total)


def attention(pool: Pool) -> None:
    """A weighted mean over a named dimension: softmax of scores, masked with -∞ or not."""
    x = pool.any(lambda n: len(n.shape) == 3 and isinstance(n.shape[0], str) and n.shape[1] == "batch" and features(n))
    if x is None:
        return
    q = pool.any(lambda n: n.shape == ("batch", x.shape[-1]))
    scores = bk.sum(x * q, axis=-1) if q is not None else bk.sum(bk.tanh(x), axis=-1)
    flags = [n for n in pool.whole if n.dtype == "bool" and n.shape == scores.shape[:2]]
    if flags and pool.dice.chance(50):
        scores = bk.where(pool.dice.pick(flags), scores, -4.0)
    share = bk.softmax(bk.tanh(scores) * 2.0, axis=0)
    pool.add(bk.sum(share * x, axis=0), pool.bound(x))


def chances(pool: Pool) -> None:
    """Random numbers: of a shape of their own, dropped from a wire or added to it; named or not."""
    dice, x = pool.dice, pool.any()
    name = pool.world.fresh("draw") if dice.chance(40) else None
    kind = dice.pick(["dropout", "noise", "bernoulli", "uniform", "normal", "the same at each step"])
    if kind == "dropout":
        rate = dice.pick([0.5, 0.1, 0.0, 0.3])
        pool.add(bk.dropout(x, rate, name=name), pool.bound(x) / (1.0 - rate))
    elif kind == "the same at each step" and x.shape[:1] == ("time",):
        pool.add(bk.dropout(x, 0.4, name=name, shape=x.shape[1:]), pool.bound(x) / 0.6)
    elif kind == "noise":
        pool.add(bk.noise(x, 0.2, name=name), pool.bound(x) + 1.0)
    elif kind == "bernoulli":
        pool.add(bk.bernoulli(dice.integer(1, 5), p=0.7, name=name), 1.0)
    else:
        low = odd(pool)
        both = {"uniform": lambda s: bk.uniform(low=low, high=low + 1.3, name=name, shape=s),
                "normal": lambda s: bk.normal(mean=low, std=0.4, name=name, shape=s)}  # fmt: skip
        pool.add(both.get(kind, both["normal"])(x.shape), FED)


MOVES = (chances, unary, binary, brick, unary, binary, brick, reduction, cut, other_shape, turned, repeated, joined, along, normalised, product, product, constant_array, constant_array, by_whole_numbers, by_whole_numbers, infinite, attention)  # fmt: skip


def move(pool: Pool, what: Callable[[Pool], None] | None = None) -> None:
    """Something happens to some wires, `what` or anything; or nothing, where it does not fit."""
    with contextlib.suppress(bk.WiringError):  # two wires that do not fit
        (what or pool.dice.pick(MOVES))(pool)
