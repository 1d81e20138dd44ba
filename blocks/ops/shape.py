"""Reductions over axes, and operations that move values without changing them.

An axis is a number or the name of a dimension: ``sum(x, axis="batch")``, ``mean(x, axis=("time", -1))``.
Reshaping is for feature axes: named dimensions stay, in their order, because their size is not known
before a run.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arguments import checked
from ..errors import WiringError, misfit, user_line
from ..graph import Node, Op, Shape, Wire, apply, as_node, show_shape
from .elementwise import Prepared, align, alike, cast_op, equal, exp, to_float, to_numbers
from .leaves import check_shape, constant, dims_of

Axes = int | str | tuple[int | str, ...] | None


def axis_number(axis: int | str, shape: Shape) -> int:
    """The position of an axis, from 0; raises WiringError naming those there are."""
    if isinstance(axis, str) and axis in shape:
        return shape.index(axis)
    if isinstance(axis, int | np.integer) and not isinstance(axis, bool) and -len(shape) <= axis < len(shape):
        return int(axis) % len(shape)
    raise misfit(
        f"{show_shape(shape)} has no axis {axis!r}; an axis is a number from {-len(shape)} or a dimension's name"
    )


def axis_numbers(axis: Axes, shape: Shape) -> tuple[int, ...]:
    """The positions of some axes, in order; of all, for None."""
    if axis is None:
        return tuple(range(len(shape)))
    given = axis if isinstance(axis, tuple | list) else (axis,)
    numbers = sorted(axis_number(a, shape) for a in given)
    if len(set(numbers)) < len(numbers):
        raise misfit(f"the axes {given} of {show_shape(shape)} name one twice")
    return tuple(numbers)


def kept_shape(shape: Shape, axes: tuple[int, ...]) -> Shape:
    """The shape after a reduction that keeps the reduced axes with length 1."""
    return tuple(1 if i in axes else d for i, d in enumerate(shape))


# --- reductions ----------------------------------------------------------------------------------


def _infer_reduction(x: Node, *, axis: Axes = None, keepdims: bool = False) -> tuple[Shape, str]:
    """Shapes: ``(time, batch, 32)`` over axis="time" → ``(batch, 32)``; with keepdims ``(1, batch, 32)``; over no named
    axis, ``()``. axis: a number, the name of a dimension, or several; all, by default."""
    axes = axis_numbers(axis, x.shape)
    if keepdims:
        return kept_shape(x.shape, axes), x.dtype
    return tuple(d for i, d in enumerate(x.shape) if i not in axes), x.dtype


def _prepare_reduction(nodes: tuple[Node, ...], attrs: dict[str, Any]) -> Prepared:
    (x,) = to_numbers(nodes)
    axis, keepdims = axis_numbers(attrs.get("axis"), x.shape), attrs.get("keepdims", False)
    if not isinstance(keepdims, bool | np.bool_):
        raise misfit(f"keepdims is True or False, not {keepdims!r:.40}")
    return (x,), {"axis": axis, "keepdims": bool(keepdims)}


def spread(g: Node, x: Node, axes: tuple[int, ...]) -> Node:
    """A reduced value back over the axes that were reduced."""
    return broadcast(reshape(g, shape=kept_shape(x.shape, axes)), shape=x.shape)


def _sum_vjp(g: Node, y: Node, x: Node) -> tuple[Node | None, ...]:
    return (spread(g, x, y.attrs["axis"]),)


def _mean_vjp(g: Node, y: Node, x: Node) -> tuple[Node | None, ...]:
    axes = y.attrs["axis"]
    return (spread(g / size(tuple(x.shape[i] for i in axes)), x, axes),)


def _max_vjp(g: Node, y: Node, x: Node) -> tuple[Node | None, ...]:
    axes = y.attrs["axis"]
    kept = kept_shape(x.shape, axes)
    winners = cast_op(equal(x, reshape(y, shape=kept)))
    share = reshape(g, shape=kept) / sum_(winners, axis=axes, keepdims=True)
    return (winners * share,)


def _prepare_mean(nodes: tuple[Node, ...], attrs: dict[str, Any]) -> Prepared:
    return _prepare_reduction(to_float(nodes), attrs)


def _reduction(
    name: str, formula: str, forward: Any, vjp: Any, sign: str | None = None, prepare: Any = _prepare_reduction
) -> Op:
    return Op(name, formula, _infer_reduction, forward, vjp, prepare, kind="reduction", sign=sign)


sum_: Op = _reduction("sum", "the sum over axes", lambda x, **a: np.sum(x, **a), _sum_vjp, "Σ")
mean: Op = _reduction("mean", "the mean over axes", lambda x, **a: np.mean(x, **a), _mean_vjp,
                        prepare=_prepare_mean)  # fmt: skip
max_: Op = _reduction("max", "the largest over axes; ties share the gradient", lambda x, **a: np.max(x, **a), _max_vjp)


def _infer_softmax(x: Node, *, axis: int | str = -1) -> tuple[Shape, str]:
    """Shapes: ``(batch, 32)`` → ``(batch, 32)``. axis: a number or the name of a dimension; the last, by default."""
    axis_number(axis, x.shape)
    return x.shape, "float"


def _prepare_softmax(nodes: tuple[Node, ...], attrs: dict[str, Any]) -> Prepared:
    (x,) = to_float(nodes)
    return (x,), {"axis": axis_number(attrs.get("axis", -1), x.shape)}


def _log_softmax(x: np.ndarray, *, axis: int) -> np.ndarray:
    shifted = x - x.max(axis=axis, keepdims=True)  # so that exp does not overflow
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


def _softmax(x: np.ndarray, *, axis: int) -> np.ndarray:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def _softmax_vjp(g: Node, y: Node, x: Node) -> tuple[Node | None, ...]:
    return (y * (g - sum_(g * y, axis=y.attrs["axis"], keepdims=True)),)


def _log_softmax_vjp(g: Node, y: Node, x: Node) -> tuple[Node | None, ...]:
    return (g - exp(y) * sum_(g, axis=y.attrs["axis"], keepdims=True),)


softmax: Op = Op(
    "softmax", "eˣ / Σ eˣ along an axis", _infer_softmax, _softmax, _softmax_vjp, _prepare_softmax, kind="other"
)
log_softmax: Op = Op(
    "log_softmax",
    "x - ln Σ eˣ along an axis",
    _infer_softmax,
    _log_softmax,
    _log_softmax_vjp,
    _prepare_softmax,
    kind="other",
)


# --- shapes --------------------------------------------------------------------------------------


def _infer_size(*, dims: Shape) -> tuple[Shape, str]:
    """Shapes: ``()``."""
    check_shape(dims, "a size")
    return (), "float"


size_op: Op = Op(
    "size",
    "the number of elements along some dimensions",
    _infer_size,
    lambda run, *, dims: np.asarray(math.prod(run.shape(dims)), dtype=run.dtype),
    dynamic=True,
    kind="leaf",
    sign="",
)


def size(dims: Shape) -> Node:
    """How many elements those dimensions hold: a constant, where all are numbers."""
    return apply(size_op, dims=dims) if dims_of(dims) else constant(value=float(math.prod(map(int, dims))))


def _check_wire_shape(shape: Any) -> Shape:
    return check_shape(shape, "the new shape")


def _infer_broadcast(x: Node, *, shape: Shape) -> tuple[Shape, str]:
    """Shapes: ``(32,)`` with shape=("batch", 32) → ``(batch, 32)``: NumPy's rule, from the right."""
    _check_wire_shape(shape)
    rank = len(shape)
    fits = len(x.shape) <= rank and all(a in (1, b) for a, b in zip(x.shape[::-1], shape[::-1], strict=False))
    if not fits:
        raise misfit(f"{show_shape(x.shape)} cannot be repeated to {show_shape(shape)}")
    return tuple(shape), x.dtype


broadcast: Op = Op(
    "broadcast",
    "x repeated to a larger shape",
    _infer_broadcast,
    lambda run, x, *, shape: np.broadcast_to(x, run.shape(shape)),
    lambda g, y, x: (g,),
    dynamic=True,
    kind="view",
    sign="",
)


def _infer_reshape(x: Node, *, shape: Shape) -> tuple[Shape, str]:
    """Shapes: ``(batch, 32)`` with shape=("batch", 4, 8) → ``(batch, 4, 8)``. Named dimensions stay, in their order,
    and the features in all, because the sizes of the named are known only at run time."""
    _check_wire_shape(shape)
    numbers = [math.prod(d for d in s if isinstance(d, int)) for s in (x.shape, shape)]
    if dims_of(x.shape) != dims_of(shape) or numbers[0] != numbers[1]:
        raise misfit(
            f"{show_shape(x.shape)} has {numbers[0]} features, {show_shape(shape)} has {numbers[1]}; the number "
            "must be the same, and named dimensions must stay in their order"
        )
    return tuple(shape), x.dtype


reshape: Op = Op(
    "reshape",
    "the same values in another shape",
    _infer_reshape,
    lambda run, x, *, shape: np.reshape(x, run.shape(shape)),
    lambda g, y, x: (reshape(g, shape=x.shape),),
    lambda nodes, attrs: (nodes, {"shape": _check_wire_shape(attrs["shape"])}),
    True,
    kind="view",
    sign="",
)


def _infer_moveaxis(x: Node, *, source: int, destination: int) -> tuple[Shape, str]:
    """Shapes: ``(batch, 4, 8)`` with source=1, destination=-1 → ``(batch, 8, 4)``. Axes are numbers, or names."""
    for axis in (source, destination):
        axis_number(axis, x.shape)
    left = [d for i, d in enumerate(x.shape) if i != source]
    return (*left[:destination], x.shape[source], *left[destination:]), x.dtype


def _prepare_moveaxis(nodes: tuple[Node, ...], attrs: dict[str, Any]) -> Prepared:
    return nodes, {key: axis_number(attrs[key], nodes[0].shape) for key in ("source", "destination")}


moveaxis: Op = Op(
    "moveaxis",
    "x with one axis moved to another place",
    _infer_moveaxis,
    lambda x, *, source, destination: np.moveaxis(x, source, destination),
    lambda g, y, x: (moveaxis(g, source=y.attrs["destination"], destination=y.attrs["source"]),),
    _prepare_moveaxis,
    kind="view",
    sign="",
)


def _prepare_axis(nodes: tuple[Node, ...], attrs: dict[str, Any]) -> Prepared:
    nodes = alike(nodes)
    axis = axis_number(attrs.get("axis", -1), nodes[0].shape) if nodes else 0
    return nodes, {**attrs, "axis": axis}


def _infer_concat(*xs: Node, axis: int = -1) -> tuple[Shape, str]:
    """Shapes: ``(batch, 3)`` and ``(batch, 5)`` → ``(batch, 8)``. axis: the last, by default; not a named one."""
    if not xs:
        raise misfit("takes at least 1 wire, not 0")
    rest = [s[:axis] + s[axis + 1 :] for s in (x.shape for x in xs)]
    lengths = [x.shape[axis] for x in xs if axis < len(x.shape)]
    if any(r != rest[0] for r in rest) or any(len(x.shape) != len(xs[0].shape) for x in xs):
        shapes = ", ".join(show_shape(x.shape) for x in xs)
        raise misfit(f"{shapes} do not fit: all axes but axis {axis} must be equal")
    total = builtins.sum(d for d in lengths if isinstance(d, int))
    if len(xs) > 1 and any(isinstance(d, str) for d in lengths):
        raise misfit(f"the named dimension {xs[0].shape[axis]!r} cannot be joined: its size would have no name")
    return (*xs[0].shape[:axis], total or lengths[0], *xs[0].shape[axis + 1 :]), xs[0].dtype


def _concat_vjp(g: Node, y: Node, *xs: Node) -> tuple[Node | None, ...]:
    axis, start, out = y.attrs["axis"], 0, []
    if len(xs) == 1:
        return (g,)
    for x in xs:
        stop = start + int(x.shape[axis])
        out.append(slice_(g, start=start, stop=stop, axis=axis))
        start = stop
    return tuple(out)


concat_op: Op = Op(
    "concat",
    "wires side by side along an axis",
    _infer_concat,
    lambda *xs, axis: np.concatenate(xs, axis=axis),
    _concat_vjp,
    _prepare_axis,
    kind="other",
)


def _infer_slice(x: Node, *, start: int = 0, stop: int | None = None, axis: int = -1) -> tuple[Shape, str]:
    """Shapes: ``(batch, 8)`` with start=2, stop=5 → ``(batch, 3)``. axis: the last, by default. Of a named axis count
    both ends from one side: start=-1 is its last element."""
    axis_number(axis, x.shape)
    _check_range(start, stop)
    length = x.shape[axis]
    if isinstance(length, str):  # counted from one end, so that the width is known: [0:3], [-1:None]
        if (stop is None and start >= 0) or (stop is not None and (start < 0) != (stop < 0)):
            raise misfit(f"[{start}:{stop}] of {length!r} has no known length; count both ends from one side")
        width = -start if stop is None else stop - start
    else:
        start, stop, _ = slice(start, stop).indices(length)
        width = stop - start
    if width <= 0:
        raise misfit(f"[{start}:{stop}] of axis {axis} of {show_shape(x.shape)} is empty")
    return (*x.shape[:axis], width, *x.shape[axis + 1 :]), x.dtype


def _check_range(start: Any, stop: Any) -> None:
    for end in (start, 0 if stop is None else stop):
        if isinstance(end, bool) or not isinstance(end, int | np.integer):
            raise misfit(f"a slice goes from a whole number to a whole number or None, not from {start!r} to {stop!r}")


def _cut(rank: int, axis: int, start: int, stop: int | None) -> tuple[slice, ...]:
    return tuple(slice(start, stop) if i == axis else slice(None) for i in range(rank))


def _forward_slice(x: np.ndarray, *, start: int, stop: int | None, axis: int) -> np.ndarray:
    need = max(abs(start), abs(stop or 0))
    if need > x.shape[axis]:
        raise misfit(f"[{start}:{stop}] reaches beyond the {x.shape[axis]} elements of axis {axis}")
    return x[_cut(x.ndim, axis, start, stop)]


def _infer_pad(g: Node, *, start: int, stop: int | None, axis: int, shape: Shape) -> tuple[Shape, str]:
    """Shapes: ``(batch, 3)`` with start=2, stop=5, axis=1, shape=("batch", 8) → ``(batch, 8)``."""
    _check_wire_shape(shape)
    axis = axis_number(axis, tuple(shape))
    _check_range(start, stop)
    length = shape[axis]
    if isinstance(length, str):
        width = (0 if stop is None else stop) - start
    else:
        width = len(range(*slice(start, stop).indices(length)))
    if len(g.shape) != len(shape) or g.shape[axis] != width:
        raise misfit(f"{show_shape(g.shape)} is not what [{start}:{stop}] of axis {axis} of {show_shape(shape)} is")
    if g.shape[:axis] != tuple(shape[:axis]) or g.shape[axis + 1 :] != tuple(shape[axis + 1 :]):
        raise misfit(f"{show_shape(g.shape)} does not fit into {show_shape(shape)} along axis {axis}")
    return tuple(shape), g.dtype


def _forward_pad(run: Any, g: np.ndarray, *, start: int, stop: int | None, axis: int, shape: Shape) -> np.ndarray:
    out = np.zeros(run.shape(shape), g.dtype)
    out[_cut(out.ndim, axis, start, stop)] = g
    return out


def _prepare_slice(nodes: tuple[Node, ...], attrs: dict[str, Any]) -> Prepared:
    given = {"start": 0, "stop": None, **attrs}
    _check_range(given["start"], given["stop"])
    (x,), attrs = _prepare_axis(nodes, given)
    length = x.shape[attrs["axis"]]
    for key, end in (("start", attrs["start"]), ("stop", attrs["stop"])):
        if end is not None:  # beyond a known length is its end, as in NumPy
            attrs[key] = int(end) if isinstance(length, str) else builtins.min(builtins.max(int(end), -length), length)
    return (x,), attrs


slice_: Op = Op(
    "slice",
    "x[start:stop] along an axis",
    _infer_slice,
    _forward_slice,
    lambda g, y, x: (pad(g, **y.attrs, shape=x.shape),),
    _prepare_slice,
    kind="view",
)
pad: Op = Op(
    "pad",
    "zeros around x: what slicing undoes",
    _infer_pad,
    _forward_pad,
    lambda g, y, x: (slice_(g, **{k: v for k, v in y.attrs.items() if k != "shape"}),),
    dynamic=True,
    kind="other",
)


def _listed(wires: tuple[Any, ...]) -> Sequence[Any]:
    """Wires, whether they are given one by one or in one list."""
    return wires[0] if len(wires) == 1 and isinstance(wires[0], list | tuple) else wires


@checked
def concat(*wires: Wire | Sequence[Wire], axis: int = -1) -> Node:
    """Wires side by side along an axis, the last by default: ``concat(a, b)`` or ``concat([a, b])`` of ``(batch, 3)``
    and ``(batch, 5)`` is ``(batch, 8)``.

    Raises WiringError if they differ along another axis, for none, and along a named dimension.
    """
    return concat_op(*_listed(wires), axis=axis)


@checked
def stack(*wires: Wire | Sequence[Wire], axis: int = -1) -> Node:
    """Wires of one shape along a new feature axis: ``stack(a, b)`` or ``stack([a, b])`` of two ``(batch, 32)`` is
    ``(batch, 32, 2)``.

    Raises WiringError if the shapes differ or the new axis would stand before a named dimension.
    """
    nodes = [as_node(w) for w in _listed(wires)]
    rank = len(nodes[0].shape) + 1 if nodes else 1
    at = axis % rank
    columns = [reshape(n, shape=(*n.shape[:at], 1, *n.shape[at:])) for n in align(tuple(nodes))]
    return concat(*columns, axis=at)


ZERO = {"float": 0.0, "int": 0, "bool": False}


@checked
def zeros(shape: Shape, dtype: str = "float") -> Node:
    """All zeros, in a shape that may have named dimensions; dtype: "float", "int" or "bool" (False).

    Raises WiringError for another dtype, and for what is no shape.
    """
    if dtype not in ZERO:
        raise WiringError(f"zeros: unknown dtype {dtype!r:.40}; known are {', '.join(ZERO)} [{user_line()}]", "zeros")
    return broadcast(ZERO[dtype], shape=shape)


# --- rows by number ------------------------------------------------------------------------------


def _need_ids(ids: Node) -> None:
    if ids.dtype != "int":
        raise misfit(f"{ids.describe()} is {ids.dtype}; ids are integers (dtype='int')")


def _check_count(count: Any, what: str) -> int:
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
        raise misfit(f"{what} must be a positive whole number, not {count!r:.40}")
    return int(count)


def check_ids(ids: np.ndarray, count: int) -> np.ndarray:
    """Raises BlocksError naming the first id outside of 0 … count - 1."""
    if ids.size and (ids.min() < 0 or ids.max() >= count):
        place = tuple(int(i) for i in np.argwhere((ids < 0) | (ids >= count))[0])
        raise misfit(f"the id {ids[place]} at {place} is outside of 0 to {count - 1}")
    return ids


def _infer_gather(table: Node, ids: Node, *, each: int = 0) -> tuple[Shape, str]:
    """Shapes: a table ``(rows, 32)`` and integers ``(time, batch)`` → ``(time, batch, 32)``; a row may have any
    shape. each=1: a table of its own for each, ``(trials, 100, 32)`` and ``(trials, batch)`` →
    ``(trials, batch, 32)``."""
    _need_ids(ids)
    _check_each(each, table, ids)
    if len(table.shape) < 2 + each or isinstance(table.shape[each], str):
        raise misfit(f"takes rows from a matrix (rows, features), not {show_shape(table.shape)}")
    return (*ids.shape, *table.shape[1 + each :]), "float"


def _check_each(each: int, values: Node, ids: Node) -> None:
    if each not in (0, 1) or values.shape[:each] != ids.shape[:each] or len(ids.shape) < each:
        raise misfit(
            f"each={each!r} of {show_shape(values.shape)} and {show_shape(ids.shape)}: it is 0, or 1 where both have "
            "the same dimension in front"
        )


def _infer_scatter(g: Node, ids: Node, *, rows: int, each: int = 0) -> tuple[Shape, str]:
    """Shapes: ``(time, batch, 32)`` and integers ``(time, batch)`` with rows=100 → ``(100, 32)``; with each=1, see
    `gather`, ``(trials, batch, 32)`` → ``(trials, 100, 32)``."""
    _need_ids(ids)
    _check_each(each, g, ids)
    if len(g.shape) <= len(ids.shape) or g.shape[: len(ids.shape)] != ids.shape:
        raise misfit(f"{show_shape(g.shape)} has no row for each of {show_shape(ids.shape)}")
    _check_count(rows, "rows")
    return (*ids.shape[:each], rows, *g.shape[len(ids.shape) :]), "float"


def _forward_gather(table: np.ndarray, ids: np.ndarray, *, each: int = 0) -> np.ndarray:
    if each:
        return np.stack([_forward_gather(t, i) for t, i in zip(table, ids, strict=True)])
    return table[check_ids(ids, len(table))]


def _forward_scatter(g: np.ndarray, ids: np.ndarray, *, rows: int, each: int = 0) -> np.ndarray:
    if each:
        return np.stack([_forward_scatter(v, i, rows=rows) for v, i in zip(g, ids, strict=True)])
    row = g.shape[ids.ndim :]
    out = np.zeros((rows, *row), g.dtype)
    np.add.at(out, check_ids(ids, rows).reshape(-1), g.reshape(-1, *row))
    return out


def _infer_one_hot(ids: Node, *, classes: int) -> tuple[Shape, str]:
    """Shapes: integers ``(time, batch)`` with classes=10 → ``(time, batch, 10)``."""
    _need_ids(ids)
    return (*ids.shape, _check_count(classes, "classes")), "float"


def _forward_one_hot(run: Any, ids: np.ndarray, *, classes: int) -> np.ndarray:
    return (check_ids(ids, classes)[..., None] == np.arange(classes)).astype(run.dtype)


gather: Op = Op(
    "gather",
    "row ids[...] of a table: an embedding",
    _infer_gather,
    _forward_gather,
    lambda g, y, table, ids: (scatter(g, ids, rows=table.shape[y.attrs.get("each", 0)], **y.attrs), None),
    kind="other",
    sign="row",
)
scatter: Op = Op(
    "scatter",
    "Σ of the rows that have one id: what gather's gradient is",
    _infer_scatter,
    _forward_scatter,
    lambda g, y, x, ids: (gather(g, ids, **{k: v for k, v in y.attrs.items() if k == "each"}), None),
    kind="other",
)
one_hot: Op = Op("one_hot", "1 at the id, else 0", _infer_one_hot, _forward_one_hot, dynamic=True, kind="other")
