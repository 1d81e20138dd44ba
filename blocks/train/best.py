"""What training keeps beside the weights: their moving average, and those of the best validation loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .state import Training
from .vector import Vector


def add_to_average(training: Training, weights: Vector, share: float, moving: np.ndarray) -> None:
    """Take the weights into their average: a += (1 - d) (w - a), from the first ones on; of the trials that move."""
    known = training.average
    if not known.size:
        training.average = weights.all.copy()
        return
    where: Any = True if weights.trials is None else moving[:, None]
    np.copyto(known, known + (1.0 - share) * (weights.all - known), where=where)


@contextmanager
def averaged(training: Training, weights: Vector) -> Iterator[None]:
    """The weights are their moving average inside, where there is one."""
    if not training.average.size:
        yield
        return
    now = weights.all.copy()
    weights.all[...] = training.average
    try:
        yield
    finally:
        weights.all[...] = now


def compare(
    training: Training, weights: Vector, losses: np.ndarray, patience: int | None, end: Callable[[int, str], None]
) -> None:
    """Keep the weights of each trial whose validation loss is the best so far; early stopping of each."""
    better, epoch = np.zeros(len(losses), bool), training.at.epoch
    for r, (course, loss) in enumerate(zip(training.at.courses, losses.tolist(), strict=True)):
        if course.ended:
            continue
        if not np.isfinite(loss):
            end(r, f"diverged: its validation loss is {loss} after epoch {epoch}")
        elif course.best is None or loss < course.best:
            course.best, course.waited, better[r] = loss, 0, True
        else:
            course.waited += 1
            if patience is not None and course.waited >= patience:
                end(r, f"stopped after epoch {epoch}: no better validation loss for {course.waited}")
    if better.any():
        training.best = _chosen(training, weights, better)


def go_back(training: Training, weights: Vector) -> None:
    """Take the weights with the best validation loss; those as they are, where there is none."""
    if training.best.size:
        known = np.array([c.best is not None for c in training.at.courses])
        np.copyto(weights.all, _chosen(training, weights, ~known))


def _chosen(training: Training, weights: Vector, now: np.ndarray) -> np.ndarray:
    """The weights as they are evaluated, as one vector, for some trials; else those that were the best."""
    current = training.average if training.average.size else weights.all
    if not training.best.size:
        return current.copy()
    return np.where(now if weights.trials is None else now[:, None], current, training.best)
