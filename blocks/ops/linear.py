"""Products: rows times a matrix, the transpose, and the outer product that is their gradient.

    y = matmul(x, W)      y[..., m] = Σₙ x[..., n] W[n, m]         every row of x times W
    W̄ = outer(x, ȳ)       W̄[n, m]   = Σ… x[..., n] ȳ[..., m]       summed over all those rows
    C = outer_each(v, k)  C[..., n, m] = v[..., n] k[..., m]       a matrix for each row

The first two are closed under differentiation. A matrix may have leading dimensions of its own, ``(trials,
n, m)`` or ``(batch, n, m)`` (a matrix memory); then both are stacks of matrices, as in NumPy.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

import numpy as np

from ..arguments import checked
from ..errors import misfit
from ..graph import Node, Op, Shape, Wire, apply, as_node, show_shape
from .elementwise import Prepared, align, broadcast_dims, split_named, to_float
from .shape import Axes, axis_numbers


def _infer_matmul(x: Node, w: Node) -> tuple[Shape, str]:
    """Shapes: ``(time, batch, n)`` and ``(n, m)`` → ``(time, batch, m)``; stacks ``(batch, k, n)``
    and ``(batch, n, m)`` → ``(batch, k, m)``, their leading dimensions meeting by name."""
    wanted = "wants rows (..., n) and a matrix (n, m), or stacks of matrices"
    if len(x.shape) < min(len(w.shape), 3) - 1 or not x.shape or len(w.shape) < 2:
        raise misfit(f"{wanted}; not {show_shape(x.shape)} and {show_shape(w.shape)}")
    if x.shape[-1] != w.shape[-2]:
        raise misfit(
            f"{show_shape(x.shape)} and {show_shape(w.shape)} do not fit: rows of {x.shape[-1]} meet a matrix "
            f"of {w.shape[-2]} rows; those two must be equal"
        )
    if len(w.shape) == 2:
        return (*x.shape[:-1], w.shape[-1]), "float"
    return (*broadcast_dims([x.shape[:-2], w.shape[:-2]]), x.shape[-2], w.shape[-1]), "float"


def _prepare_matmul(nodes: tuple[Node, ...], attrs: dict[str, Any]) -> Prepared:
    """Stacks of matrices meet by the names of their leading dimensions."""
    if len(nodes) != 2:
        raise misfit(f"takes 2 wires, not {len(nodes)}")
    x, w = to_float(nodes)
    if len(w.shape) > 2 and len(x.shape) > 2:
        x, w = align((x, w), tail=2)
    return (x, w), attrs


def _matmul_vjp(g: Node, y: Node, x: Node, w: Node) -> tuple[Node | None, ...]:
    if len(w.shape) == 2:
        return matmul_op(g, transpose(w)), outer(x, g)
    stack = (1,) * (len(g.shape) - len(w.shape)) + w.shape[:-2]
    each = tuple(i for i, d in enumerate(stack) if d != 1)
    rows = (1,) * (len(g.shape) - len(x.shape)) + x.shape
    x = x if x.shape == rows else apply("reshape", x, shape=rows)
    of_w = outer(x, g, each=each)
    return matmul_op(g, transpose(w)), of_w if of_w.shape == w.shape else apply("reshape", of_w, shape=w.shape)


def _infer_transpose(x: Node) -> tuple[Shape, str]:
    """Shapes: ``(batch, n, m)`` → ``(batch, m, n)``."""
    if len(x.shape) < 2:
        raise misfit(f"{show_shape(x.shape)} has fewer than two axes to swap")
    return (*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype


def _infer_outer(a: Node, b: Node, *, each: Axes = ()) -> tuple[Shape, str]:
    """Shapes: ``(time, batch, n)`` and ``(time, batch, m)`` → ``(n, m)``: it *sums* over time and batch. One product
    for each example is `outer_each`.
    each: the leading dimensions that it does not sum over but the one before the last axis, by name or number: of
    ``(time, trials, batch, n)`` and ``(time, trials, batch, m)`` with each="trials" → ``(trials, n, m)``; there one
    factor may have 1, and is the same for all."""
    rows_a, rows_b = a.shape[:-1], b.shape[:-1]
    kept = axis_numbers(each, max(rows_a, rows_b, key=len))
    pairs = enumerate(zip_longest(rows_a, rows_b))
    if not a.shape or any(p != q and not (i in kept and 1 in (p, q)) for i, (p, q) in pairs):
        raise misfit(
            f"{show_shape(a.shape)} and {show_shape(b.shape)} do not fit: all dimensions but the last must be equal"
        )
    if len(rows_a) - 1 in kept:
        raise misfit(f"each={each!r} of {show_shape(a.shape)} leaves no rows to sum over before the last axis")
    return (*(rows_b[i] if rows_a[i] == 1 else rows_a[i] for i in kept), a.shape[-1], b.shape[-1]), "float"


def adds_up(outer: Node) -> bool:
    """Whether an outer product is a sum, of more than one row."""
    each = outer.attrs.get("each", ())
    return any(d != 1 for o in outer.operands for i, d in enumerate(o.shape[:-1]) if i not in each)


def _prepare_outer(nodes: tuple[Node, ...], attrs: dict[str, Any]) -> Prepared:
    if len(nodes) != 2:
        raise misfit(f"takes 2 wires, not {len(nodes)}")
    each = attrs.get("each", ())
    shape = max((n.shape for n in nodes), key=lambda s: sum(isinstance(d, str) for d in s))
    return to_float(nodes), {"each": axis_numbers(each, shape[:-1])} if each != () else {}


def _forward_outer(a: np.ndarray, b: np.ndarray, *, each: tuple[int, ...] = ()) -> np.ndarray:
    front = tuple(range(len(each)))
    rows = [np.moveaxis(x, each, front) for x in (a, b)]
    x, y = (r.reshape(*r.shape[: len(each)], -1, r.shape[-1]) for r in rows)
    return np.matmul(np.swapaxes(x, -1, -2), y)


def _outer_vjp(g: Node, y: Node, a: Node, b: Node) -> tuple[Node | None, ...]:
    each = y.attrs.get("each", ())
    if each:  # a matrix for each row of a and b
        shape = tuple(y.shape[each.index(i)] if i in each else 1 for i in range(len(a.shape) - 2))
        g = apply("reshape", g, shape=(*shape, *y.shape[-2:]))
    return matmul_op(b, transpose(g)), matmul_op(a, g)


matmul_op: Op = Op(
    "matmul",
    "rows of x times the matrix W",
    _infer_matmul,
    np.matmul,
    _matmul_vjp,
    _prepare_matmul,
    kind="product",
    sign="·",
)
transpose: Op = Op(
    "transpose",
    "the last two axes swapped",
    _infer_transpose,
    lambda x: np.swapaxes(x, -1, -2),
    lambda g, y, x: (transpose(g),),
    kind="view",
    sign="ᵀ",
)
outer: Op = Op(
    "outer",
    "Σ aᵗ b, summed over all leading dimensions, batch and time too",
    _infer_outer,
    _forward_outer,
    _outer_vjp,
    _prepare_outer,
    kind="product",
    sign="⊗",
)


def _infer_outer_each(a: Node, b: Node) -> tuple[Shape, str]:
    """Shapes: ``(batch, n)`` and ``(batch, m)`` → ``(batch, n, m)``: a product for each example, where `outer` sums
    them. Leading dimensions meet by name."""
    if not a.shape or not b.shape:
        raise misfit(f"takes rows (..., n) and (..., m), not {show_shape(a.shape)} and {show_shape(b.shape)}")
    return (*broadcast_dims([a.shape[:-1], b.shape[:-1]]), a.shape[-1], b.shape[-1]), "float"


def _prepare_outer_each(nodes: tuple[Node, ...], attrs: dict[str, Any]) -> Prepared:
    if len(nodes) != 2:
        raise misfit(f"takes 2 wires, not {len(nodes)}")
    return (align(to_float(nodes), tail=1) if all(n.shape for n in nodes) else nodes), attrs


def _row(x: Node) -> Node:
    """Each row as a matrix of one row."""
    return apply("reshape", x, shape=(*x.shape[:-1], 1, *x.shape[-1:]), role="align")


def _column(x: Node) -> Node:
    """Each row as a matrix of one column."""
    return apply("reshape", x, shape=(*x.shape, 1), role="align")


def _without(x: Node, axis: int) -> Node:
    """A matrix of one row or column as what it is a matrix of."""
    at = len(x.shape) + axis
    return apply("reshape", x, shape=(*x.shape[:at], *x.shape[at + 1 :]), role="align")


outer_each: Op = Op(
    "outer_each",
    "aᵗ b, a matrix for each example",
    _infer_outer_each,
    lambda a, b: a[..., :, None] * b[..., None, :],
    lambda g, y, a, b: (matvec(g, b), _without(matmul_op(_row(a), g), -2)),
    _prepare_outer_each,
    kind="product",
    sign="⊗",
    expand=lambda a, b: _column(a) * _row(b),
)


@checked
def matmul(x: Wire, w: Wire) -> Node:
    """Rows times a matrix, ``x @ w``.

    ``(time, batch, n)`` and ``(n, m)`` → ``(time, batch, m)``. Matrices may stand in stacks, whose leading dimensions
    meet by name: ``(batch, k, n)`` and ``(batch, n, m)`` → ``(batch, k, m)``; of rows and a matrix for each,
    ``(batch, n)`` and ``(batch, n, m)`` → ``(batch, m)``, also of one row ``(n,)``. A vector ``(n,)`` on the right is a
    column, which leaves no axis, as in NumPy: ``(batch, n)`` → ``(batch,)``. A matrix for each times a vector is
    `matvec`.

    Raises WiringError for sizes that do not fit.
    """
    x, w = as_node(x), as_node(w)
    if len(w.shape) == 1:
        return _without(matmul_op(x, _column(w)), -1)
    each = len(x.shape) < 2 or x.shape[-2] in split_named(w.shape[:-2])[0]
    if len(w.shape) > 2 and x.shape and each:
        return _without(matmul_op(_row(x), w), -2)
    return matmul_op(x, w)


@checked
def matvec(matrix: Wire, vector: Wire) -> Node:
    """A matrix of each sample's own times a vector: ``(batch, n, m)``, ``(batch, m)`` → ``(batch, n)``.

    The read-out of a matrix memory. Raises WiringError if the sizes do not fit.
    """
    return _without(matmul_op(_row(as_node(vector)), transpose(matrix)), -2)
