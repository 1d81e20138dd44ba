"""Losses: one number, the mean or the sum over steps and sequences; with a mask, over those that it admits.

Every loss takes ``y`` from the graph, ``target`` from the data, and two options:

- `mask`, of the shape of the steps, ``(time, batch)``: 1 counts, 0 does not (a number between is a weight). A mean
  over nothing has no value: an error when it is run alone; training passes such a batch over.
- `reduction`: "mean" of all that counts; "sum" of it, features too; or "none", each number's own loss (times the mask),
  to go on with. Over the batches and chunks of an epoch means are weighed by what they count, and sums are added up.

Of the last step alone is the loss of ``last(y, mask)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..arguments import checked
from ..errors import WiringError, misfit, user_line
from ..graph import Node, Op, Shape, Wire, apply, show_shape, stamped
from .elementwise import Prepared, abs_, equal, minimum, softplus, to_float, where
from .leaves import constant
from .masks import as_mask, weighted_mean, weighted_sum
from .shape import check_ids, mean, one_hot, softmax, sum_

REDUCTIONS = ("mean", "sum", "none")


def reduced(each: Node, mask: Wire | None, reduction: str) -> Node:
    """One number from the losses of all steps, or each of them; `mask` weighs them. Raises WiringError for a reduction
    that there is not."""
    if reduction not in REDUCTIONS:
        raise _refused(f"a loss has the reduction {', '.join(REDUCTIONS)}, not {reduction!r:.40}")
    weights = None if mask is None else as_mask(mask)
    if reduction == "none":
        return each if weights is None else each * weights
    if reduction == "sum":
        return sum_(each) if weights is None else weighted_sum(each, weights)
    each = _over_features(each)
    return mean(each) if weights is None else weighted_mean(each, weights)


def _refused(message: str) -> WiringError:
    return WiringError(f"{message} [{user_line()}]", "loss")


def _over_features(x: Node) -> Node:
    """The mean over the axes that have no name."""
    axes = tuple(i for i, d in enumerate(x.shape) if not isinstance(d, str))
    return mean(x, axis=axes) if axes else x


def _same_shape(y: Node, target: Node) -> None:
    if y.shape != target.shape:
        raise _refused(f"{y.describe()} and its target {target.describe()} must have one shape")


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


@checked
def cross_entropy(
    logits: Node,
    target: Node,
    mask: Wire | None = None,
    *,
    label_smoothing: float = 0.0,
    class_weights: Any = None,
    reduction: str = "mean",
) -> Node:
    """The mean of -ln p(target), in nats, with p = softmax(logits).

    Args:
        logits: ``(..., classes)``. Exact for logits of any size.
        target: class numbers ``(...)`` of dtype "int"; or one-hot rows or probabilities ``(..., classes)``.
        mask, reduction: see the module; "none" gives the loss of each step, ``(...)``.
        label_smoothing: s, from 0 to 1: the target is (1 - s) target + s / classes (Szegedy et al. 2016, section 7).
        class_weights: a weight for each class, ``(classes,)``: numbers, or a wire; or a dict, class number → weight,
            where the others have 1. The mean of class numbers divides by the weights of the targets, Σ w l / Σ w.

    Raises WiringError if shapes do not fit, and for options that it does not have; at run time BlocksError for a class
    number out of range.
    """
    with stamped(role="loss"):
        if class_weights is None and _share(label_smoothing) == 0.0:
            return reduced(cross_entropy_op(logits, target), mask, reduction)
        _infer_cross_entropy(logits, target)
        classes = int(logits.shape[-1])
        rows = one_hot(target, classes=classes) if target.dtype == "int" else target
        smoothed = rows * (1.0 - label_smoothing) + label_smoothing / classes if label_smoothing else rows
        if class_weights is None:
            return reduced(cross_entropy_op(logits, smoothed), mask, reduction)
        weights = _class_weights(class_weights, classes)
        losses = cross_entropy_op(logits, smoothed * weights)
        if reduction != "mean" or target.dtype != "int":
            return reduced(losses, mask, reduction)
        total = reduced(sum_(rows * weights, axis=-1), mask, reduction)
        return reduced(losses, mask, reduction) / where(equal(total, 0.0), 1.0, total)


def _share(smoothing: Any) -> float:
    """How much of a target is shared among all classes. Raises WiringError for what is no number from 0 to 1."""
    good = isinstance(smoothing, int | float | np.number) and not isinstance(smoothing, bool)
    if not good or not 0.0 <= smoothing <= 1.0:
        raise _refused(f"label_smoothing is a number from 0 to 1, not {smoothing!r:.40}")
    return float(smoothing)


def _class_weights(given: Any, classes: int) -> Node:
    """The weights of all classes, as a wire. Raises WiringError for what does not fit."""
    if isinstance(given, Mapping):
        numbers = [k for k in given if isinstance(k, int | np.integer) and not isinstance(k, bool) and 0 <= k < classes]
        if len(numbers) != len(given):
            raise _refused(f"class_weights name the classes 0 to {classes - 1}, not {', '.join(map(repr, given))}")
        given = [given.get(k, 1.0) for k in range(classes)]
    if not isinstance(given, Node):
        array = np.asarray(given)
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all() or (array < 0).any():
            raise _refused(f"class_weights are numbers from 0 on, not {given!r:.60}")
        given = constant(value=array.astype(np.float64))
    if given.shape != (classes,) or given.dtype != "float":
        got = f"{show_shape(given.shape)} {given.dtype}"
        raise _refused(f"class_weights of {classes} classes are ({classes},) float, not {got}")
    return given


@checked
def binary_cross_entropy(
    logits: Node,
    target: Node,
    mask: Wire | None = None,
    *,
    label_smoothing: float = 0.0,
    class_weights: Any = None,
    reduction: str = "mean",
) -> Node:
    """The mean of -t ln σ(z) - (1 - t) ln(1 - σ(z)) = softplus(z) - t z, in nats.

    Args:
        logits, target: z and t (0, 1 or between), of one shape. Exact for z of any size.
        mask, reduction: see the module.
        label_smoothing: s, from 0 to 1: t is (1 - s) t + s / 2.
        class_weights: of 0 and of 1, ``(2,)``: numbers, a wire, or a dict, class → weight, where the other has 1:
            -w₁ t ln σ(z) - w₀ (1 - t) ln(1 - σ(z)). The mean does not divide by them.

    Raises WiringError if the shapes differ, and for options that it does not have.
    """
    with stamped(role="loss"):
        _same_shape(logits, target)
        share = _share(label_smoothing)
        t = target * (1.0 - share) + share / 2.0 if share else target
        if class_weights is None:
            return reduced(softplus(logits) - t * logits, mask, reduction)
        weights = _class_weights(class_weights, 2)
        of_0, of_1 = (sum_(weights * constant(value=one)) for one in np.eye(2))
        return reduced(of_1 * t * softplus(-logits) + of_0 * (1.0 - t) * softplus(logits), mask, reduction)


# --- differences ---------------------------------------------------------------------------------


@checked
def squared_error(y: Node, target: Node, mask: Wire | None = None, *, reduction: str = "mean") -> Node:
    """The mean of (y - target)², over features, steps and sequences.

    `y` and `target` of one shape ``(..., features)``. mask, reduction: see the module. Raises WiringError if the
    shapes differ, and for a reduction that there is not.
    """
    with stamped(role="loss"):
        _same_shape(y, target)
        return reduced((y - target) ** 2.0, mask, reduction)


@checked
def absolute_error(y: Node, target: Node, mask: Wire | None = None, *, reduction: str = "mean") -> Node:
    """The mean of abs(y - target), over features, steps and sequences; as `squared_error`."""
    with stamped(role="loss"):
        _same_shape(y, target)
        return reduced(abs_(y - target), mask, reduction)


@checked
def huber(y: Node, target: Node, mask: Wire | None = None, *, delta: float = 1.0, reduction: str = "mean") -> Node:
    """The mean of ½ d² where d = abs(y - target) is at most δ, of δ (d - ½ δ) beyond: less is made of what lies far
    off (Huber 1964). As `squared_error`; delta: δ, a positive number."""
    if isinstance(delta, bool) or not isinstance(delta, int | float | np.number) or not 0.0 < delta < np.inf:
        raise _refused(f"huber: delta is a positive number, not {delta!r:.40}")
    with stamped(role="loss"):
        _same_shape(y, target)
        distance = abs_(y - target)
        near = minimum(distance, float(delta))
        return reduced(near * (distance - 0.5 * near), mask, reduction)
