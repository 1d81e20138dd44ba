"""Losses: one number, the mean over steps and sequences; with a mask, over those that it admits.

Every loss takes ``y`` from the graph and ``target`` from the data, and an optional ``mask`` of the
shape of the steps, ``(time, batch)``: 1 counts, 0 does not (a weight between is a weight). A loss whose
mask masks everything has no value: an error when it is run alone; training passes such a batch over.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import misfit
from ..graph import Node, Op, Shape, Wire, apply, as_node, show_shape, stamped
from .elementwise import Prepared, align, equal, softplus, to_float, where
from .shape import check_ids, mean, one_hot, softmax, spread, sum_

# --- masks ---------------------------------------------------------------------------------------


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


def mean_over_steps(per_step: Node, mask: Wire | None) -> Node:
    """One number from the losses of all steps; `mask` weighs them."""
    if mask is None:
        return mean(per_step)
    return weighted_mean(per_step, as_mask(mask))


# --- cross-entropy -------------------------------------------------------------------------------


def _infer_cross_entropy(logits: Node, target: Node) -> tuple[Shape, str]:
    """Shapes: logits ``(time, batch, classes)`` and class numbers ``(time, batch)``, or probabilities of their own
    shape → ``(time, batch)``."""
    wanted = logits.shape[:-1] if target.dtype == "int" else logits.shape
    kind = "class numbers" if target.dtype == "int" else "probabilities"
    if not logits.shape or isinstance(logits.shape[-1], str) or target.shape != wanted:
        raise misfit(
            f"logits {show_shape(logits.shape)} and targets {show_shape(target.shape)} do not fit: "
            f"{kind} must be {show_shape(wanted)}, and the last axis of the logits the classes"
        )
    return logits.shape[:-1], "float"


def _prepare_cross_entropy(nodes: tuple[Node, ...], attrs: dict[str, Any]) -> Prepared:
    logits, target = nodes
    return (*to_float((logits,)), *((target,) if target.dtype == "int" else to_float((target,)))), attrs


def _forward_cross_entropy(logits: np.ndarray, target: np.ndarray) -> np.ndarray:
    top = logits.max(axis=-1, keepdims=True)
    logsum = np.log(np.exp(logits - top).sum(axis=-1)) + top[..., 0]
    if target.ndim < logits.ndim:
        chosen = np.take_along_axis(logits, check_ids(target, logits.shape[-1])[..., None], axis=-1)
        return logsum - chosen[..., 0]
    return (target * (logsum[..., None] - logits)).sum(axis=-1)


def _cross_entropy_vjp(g: Node, y: Node, logits: Node, target: Node) -> tuple[Node | None, ...]:
    rows = apply("reshape", g, shape=(*g.shape, 1))
    if target.dtype == "int":
        return rows * (softmax(logits) - one_hot(target, classes=logits.shape[-1])), None
    mass = sum_(target, axis=-1, keepdims=True)
    return rows * (softmax(logits) * mass - target), rows * -apply("log_softmax", logits)


cross_entropy_op = Op(
    "cross_entropy",
    "ln Σ eᶻ - z[target] of every row",
    _infer_cross_entropy,
    _forward_cross_entropy,
    _cross_entropy_vjp,
    _prepare_cross_entropy,
    kind="other",
)


def cross_entropy(logits: Node, target: Node, mask: Wire | None = None) -> Node:
    """The mean of -ln p(target), in nats, with p = softmax(logits).

    `logits` ``(..., classes)``; `target` either class numbers ``(...)`` of dtype "int", or one-hot rows
    or probabilities ``(..., classes)``. Exact for logits of any size. Raises WiringError if the shapes
    do not fit, and at run time BlocksError for a class number out of range.
    """
    with stamped(role="loss"):
        return mean_over_steps(cross_entropy_op(logits, target), mask)


def squared_error(y: Node, target: Node, mask: Wire | None = None) -> Node:
    """The mean of (y - target)², over features, steps and sequences.

    `y` and `target` of one shape ``(..., features)``. Raises WiringError if the shapes differ.
    """
    with stamped(role="loss"):
        _same_shape(y, target)
        squares = (y - target) ** 2.0
        return mean_over_steps(_over_features(squares), mask)


def binary_cross_entropy(logits: Node, target: Node, mask: Wire | None = None) -> Node:
    """The mean of -t ln σ(z) - (1 - t) ln(1 - σ(z)) = softplus(z) - t z, in nats.

    `logits` z and `target` t (0, 1 or between) of one shape. Exact for z of any size. Raises
    WiringError if the shapes differ.
    """
    with stamped(role="loss"):
        _same_shape(logits, target)
        return mean_over_steps(_over_features(softplus(logits) - target * logits), mask)


def _over_features(x: Node) -> Node:
    """The mean over the axes that have no name."""
    axes = tuple(i for i, d in enumerate(x.shape) if not isinstance(d, str))
    return mean(x, axis=axes) if axes else x


def _same_shape(y: Node, target: Node) -> None:
    if y.shape != target.shape:
        raise misfit(f"{y.describe()} and its target {target.describe()} must have one shape")
