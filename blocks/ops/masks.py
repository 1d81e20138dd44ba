"""Masks, and what heeds them: means and sums over what is admitted, the last admitted step, held steps.

A mask has the shape of the steps, ``(time, batch)``: 1 admits, 0 does not; in means and sums a number between is a
weight.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arguments import checked
from ..errors import misfit
from ..graph import Node, Op, Shape, Wire, apply, as_node, show_shape
from .elementwise import Prepared, align, equal, to_float, where
from .shape import ZERO, max_, reshape, slice_, spread, sum_


def _forward_mask(run: Any, m: np.ndarray) -> np.ndarray:
    return np.asarray(m).astype(run.dtype)


def _infer_mask(m: Node) -> tuple[Shape, str]:
    """Shapes: that of m, ``(time, batch)``."""
    return m.shape, "float"


mask_op = Op(
    "mask",
    "1 counts, 0 does not",
    _infer_mask,
    _forward_mask,
    lambda g, y, m: (g if m.dtype == "float" else None,),
    None,
    True,
    kind="other",
    sign="",
)


def as_mask(mask: Wire) -> Node:
    """The mask as numbers. It may admit nothing: what then has no value is said by what asks for one."""
    node = as_node(mask)
    return node if node.op is mask_op else mask_op(node)


def _infer_hold(x: Node, m: Node) -> tuple[Shape, str]:
    """Shapes: ``(time, batch, 32)`` and a mask ``(time, batch)`` → ``(time, batch, 32)``; with trials between the two,
    each of them by itself."""
    if len(m.shape) not in (2, 3) or x.shape[: len(m.shape)] != m.shape:
        raise misfit(f"the mask {show_shape(m.shape)} does not fit the sequences {show_shape(x.shape)}")
    return x.shape, x.dtype


def _held_from(m: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The step and the sequence whose value each step has: its own, if it is admitted; else the last admitted one
    before, or the first. None: all have their own."""
    admitted = m != 0
    if admitted.all() or not admitted.any():
        return None
    steps, sequences = np.arange(len(m))[:, None], np.broadcast_to(np.arange(m.shape[1]), m.shape)
    first = np.where(admitted.any(axis=0), admitted.argmax(axis=0), 0)
    source = np.maximum.accumulate(np.where(admitted, steps, first), axis=0)
    empty = ~admitted.any(axis=0)
    if empty.any():  # a sequence that is masked whole holds the steps of another one
        other = int(np.argmin(empty))
        source, sequences = np.where(empty, source[:, other : other + 1], source), np.where(empty, other, sequences)
    return source, sequences


def _forward_hold(x: np.ndarray, m: np.ndarray) -> np.ndarray:
    if m.ndim > 2:
        return np.stack([_forward_hold(x[:, r], m[:, r]) for r in range(m.shape[1])], axis=1)
    held_from = _held_from(m)
    return x if held_from is None else x[held_from]


def _forward_release(g: np.ndarray, m: np.ndarray) -> np.ndarray:
    if m.ndim > 2:
        return np.stack([_forward_release(g[:, r], m[:, r]) for r in range(m.shape[1])], axis=1)
    held_from = _held_from(m)
    if held_from is None:
        return g
    masked = m == 0
    out = g.copy()
    out[masked] = 0
    added = g[masked]
    if added.any():  # only where a masked step reaches other sequences: a cell that looks along the batch
        np.add.at(out, (held_from[0][masked], held_from[1][masked]), added)
    return out


hold: Op = Op(
    "hold",
    "x, each masked step with an admitted one's value",
    _infer_hold,
    _forward_hold,
    lambda g, y, x, m: (release(g, m) if x.dtype == "float" else None, None),
    kind="other",
)
release: Op = Op(
    "release",
    "masked steps added to the steps that they hold: what hold's gradient is",
    _infer_hold,
    _forward_release,
    lambda g, y, x, m: (hold(g, m), None),
    kind="other",
)


def _infer_weighted_mean(x: Node, w: Node, *, empty: float | None = None) -> tuple[Shape, str]:
    """Shapes: ``(time, batch)`` and weights of a shape that can be repeated to it → ``()``."""
    if len(x.shape) != len(w.shape) or any(b not in (a, 1) for a, b in zip(x.shape, w.shape, strict=True)):
        raise misfit(f"the weights {show_shape(w.shape)} do not fit the values {show_shape(x.shape)}")
    return (), "float"


def _prepare_weighted_mean(nodes: tuple[Node, ...], attrs: dict[str, Any]) -> Prepared:
    return align(to_float(nodes)), attrs


def _forward_weighted_mean(x: np.ndarray, w: np.ndarray, *, empty: float | None = None) -> np.ndarray:
    w = np.broadcast_to(w, x.shape)
    total = w.sum()
    if total == 0 and not w.any():
        if empty is None:
            raise misfit("the mask masks everything: nothing is left to learn from")
        return np.asarray(empty, x.dtype)
    return (x * w).sum() / total


def _weighted_mean_vjp(g: Node, y: Node, x: Node, w: Node) -> tuple[Node | None, ...]:
    every = tuple(range(len(x.shape)))
    total = sum_(apply("broadcast", w, shape=x.shape))
    if y.attrs.get("empty") is not None:  # then all weights are 0, and so is the gradient
        total = where(equal(total, 0.0), 1.0, total)
    return w * spread(g / total, x, every), (x - y) * spread(g / total, x, every)


weighted_mean = Op(
    "weighted_mean",
    "Σ w x / Σ w; where all w are 0: `empty`, or an error",
    _infer_weighted_mean,
    _forward_weighted_mean,
    _weighted_mean_vjp,
    _prepare_weighted_mean,
    kind="reduction",
)


def _infer_weighted_sum(x: Node, w: Node) -> tuple[Shape, str]:
    """Shapes: ``(time, batch)`` and weights of a shape that can be repeated to it → ``()``."""
    return _infer_weighted_mean(x, w)


def _forward_weighted_sum(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    out: np.ndarray = (x * w).sum()
    return out


def _weighted_sum_vjp(g: Node, y: Node, x: Node, w: Node) -> tuple[Node | None, ...]:
    every = tuple(range(len(x.shape)))
    return w * spread(g, x, every), x * spread(g, x, every)


weighted_sum = Op(
    "weighted_sum",
    "Σ w x",
    _infer_weighted_sum,
    _forward_weighted_sum,
    _weighted_sum_vjp,
    _prepare_weighted_mean,
    kind="reduction",
    sign="Σ⊙",
    expand=lambda x, w: sum_(x * w),
)


# --- the last step -------------------------------------------------------------------------------


def _infer_last(x: Node, m: Node) -> tuple[Shape, str]:
    """Shapes: ``(time, batch, 32)`` and a mask ``(time, batch)`` → ``(batch, 32)``: of each sequence the value at its
    last admitted step; 0, where there is none."""
    shape, dtype = _infer_hold(x, m)
    return shape[1:], dtype


def _forward_last(x: np.ndarray, m: np.ndarray) -> np.ndarray:
    admitted = (m != 0).reshape(m.shape + (1,) * (x.ndim - m.ndim))
    at = len(m) - 1 - np.argmax(admitted[::-1], axis=0)
    values = np.take_along_axis(x, at[None], axis=0)[0]
    return np.where(admitted.any(axis=0), values, x.dtype.type(0))


def _any_admitted(x: Node, m: Node) -> Node:
    """Whether a sequence has a step, for each of its values."""
    return reshape(max_(m, axis=0), shape=(*m.shape[1:], *(1,) * (len(x.shape) - len(m.shape))))


def _last_step(x: Node) -> Node:
    return reshape(slice_(x, start=-1, stop=None, axis=0), shape=x.shape[1:])


def _last_vjp(g: Node, y: Node, x: Node, m: Node) -> tuple[Node | None, ...]:
    if x.dtype != "float":
        return None, None
    given = reshape(where(_any_admitted(x, m), g, 0.0), shape=(1, *g.shape))
    return release(apply("pad", given, start=-1, stop=None, axis=0, shape=x.shape), m), None


def _expand_last(x: Node, m: Node) -> Node:
    return where(_any_admitted(x, m), _last_step(hold(x, m)), ZERO[x.dtype])


last_op = Op(
    "last",
    "the value at each sequence's last admitted step",
    _infer_last,
    _forward_last,
    _last_vjp,
    kind="other",
    expand=_expand_last,
)


@checked
def last(x: Wire, mask: Wire | None = None) -> Node:
    """The value of each sequence at its last step, ``(time, batch, 32)`` → ``(batch, 32)``; with a `mask`
    ``(time, batch)``, at the last step that it admits, and 0 where it admits none.

    So a loss is taken of the last step alone: ``losses.cross_entropy(last(y, mask), label)``. Raises WiringError for
    a wire without steps, and for a mask that does not fit.
    """
    node = as_node(x)
    if not node.shape or not isinstance(node.shape[0], str):
        raise misfit(f"last: {node.describe()} has no steps; a sequence is (time, batch, ...)")
    return _last_step(node) if mask is None else last_op(node, as_mask(mask))
