"""What to measure beside the loss: ``bk.metrics.accuracy(y, target, mask=None)`` and its kin, wires of one number.

    accuracy = bk.metrics.accuracy(y, target)
    model.fit(data, metrics={"accuracy": accuracy}, validation=held_out)
    model.evaluate(data, metrics={"accuracy": accuracy})    # {"loss": …, "accuracy": …}

Any wire of one number is a metric, a loss too. Over the batches and chunks of an epoch its means are weighed by what
they count, as those of a loss are. A mask, of the shape of the steps, says what counts, as in `losses`.
"""

from __future__ import annotations

import math

import numpy as np

from .arguments import checked
from .errors import WiringError, user_line
from .graph import Node, Wire, show_shape, stamped
from .ops.along import argmax
from .ops.composed import cast
from .ops.elementwise import equal, exp, greater, greater_equal, less, to_float
from .ops.loss import cross_entropy, reduced
from .ops.shape import one_hot, sum_

__all__ = ["accuracy", "binary_accuracy", "bits_per_character", "perplexity", "top_k"]


@checked
def accuracy(y: Node, target: Node, mask: Wire | None = None) -> Node:
    """The share of steps in which the largest of y, ``(..., classes)``, is that of the target class, ``(...)`` of dtype
    "int"; of equal ones the first. Raises WiringError if shapes do not fit."""
    _classes(y, target, "accuracy")
    return _share(equal(argmax(y), target), mask)


@checked
def top_k(y: Node, target: Node, k: int = 5, mask: Wire | None = None) -> Node:
    """The share of steps in which fewer than `k` of y, ``(..., classes)``, are larger than that of the target class.
    Raises WiringError if shapes do not fit, and for a `k` that is no whole number from 1 to the number of classes."""
    classes = _classes(y, target, "top_k")
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= classes:
        raise WiringError(f"top_k: k is a whole number from 1 to the {classes} classes, not {k!r:.40} [{user_line()}]")
    with stamped(role="loss"):
        own = sum_(y * one_hot(target, classes=classes), axis=-1, keepdims=True)
        return _share(less(sum_(cast(greater(y, own)), axis=-1), float(k)), mask)


@checked
def binary_accuracy(logits: Node, target: Node, mask: Wire | None = None) -> Node:
    """The share of numbers in which the logit z is on the side of its target, ``z ≥ 0`` where ``t ≥ ½``; both of one
    shape. Raises WiringError if the shapes differ."""
    if logits.shape != target.shape:
        raise WiringError(
            f"binary_accuracy: {logits.describe()} and its target {target.describe()} must have one shape "
            f"[{user_line()}]"
        )
    return _share(equal(greater_equal(logits, 0.0), greater_equal(target, 0.5)), mask)


@checked
def perplexity(logits: Node, target: Node, mask: Wire | None = None) -> Node:
    """e to the mean cross-entropy: among how many equally likely classes one would hesitate as much. As
    `losses.cross_entropy`; over an epoch it is that of the mean over all of it."""
    with stamped(role="loss"):
        return exp(cross_entropy(logits, target, mask))


@checked
def bits_per_character(logits: Node, target: Node, mask: Wire | None = None) -> Node:
    """The mean cross-entropy in bits, not nats: divided by ln 2. As `losses.cross_entropy`."""
    with stamped(role="loss"):
        return cross_entropy(logits, target, mask) / math.log(2.0)


def _share(right: Node, mask: Wire | None) -> Node:
    """The share of what is true."""
    with stamped(role="loss"):
        return reduced(to_float((right,))[0], mask, "mean")


def _classes(y: Node, target: Node, name: str) -> int:
    """How many classes y has. Raises WiringError if the target does not fit."""
    if not y.shape or isinstance(y.shape[-1], str) or target.dtype != "int" or target.shape != y.shape[:-1]:
        wanted = show_shape(y.shape[:-1])
        raise WiringError(
            f"{name}: the target of {y.describe()} is class numbers {wanted} int, not {target.describe()} "
            f"{target.dtype} [{user_line()}]"
        )
    return int(y.shape[-1])
