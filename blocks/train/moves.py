"""What an update makes of the results of a graph: weights that move, and what is noted of it; of one network, and of
several trials, each as if it were alone."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import NonFiniteError
from .best import add_to_average
from .inputs import Arrays
from .purposes import LOSS, METRIC, Purpose
from .ranks import Alone
from .schedules import plateau
from .state import Training
from .terms import Tally
from .trainable import Trainable
from .trials import DIVERGED, Number, TrialWarning, each
from .update import Update


class Moves:
    """The updates of one network, whose training stands somewhere.

    `rule` moves the weights, by the optimizer that `training` has; `average` is the share of their moving average, or
    None; `tallies` are those of the loss and the metrics of the epoch. `scales`: what a plateau makes of the learning
    rate of each trial.
    """

    scales: list[float]

    def __init__(
        self,
        model: Trainable,
        purpose: Purpose,
        training: Training,
        rule: Update,
        average: float | None,
        tallies: Sequence[Tally],
        ranks: Alone,
    ):
        self.model, self.purpose, self.training, self.at = model, purpose, training, training.at
        self.rule, self.average, self.tallies, self.ranks = rule, average, tallies, ranks
        outputs = model.graph_for(purpose).outputs
        self.counts = [name for name in outputs if name.startswith("count/")]
        self.watched = [LOSS, *(name for name in outputs if name.startswith("value/"))]
        self.metrics = {name.removeprefix(METRIC): name for name in outputs if name.startswith(METRIC)}
        self.optimizer: Any = training.optimizer
        self.rescale()

    def move(self, results: Arrays, numbers: Number, seen: Any) -> Any:
        """Move the weights by the gradient that `rule` has, of what a graph has given, and note it; the loss, or None
        where the mask leaves nothing to learn from. With trials an array, with NaN for those that are not updated.
        `seen`: whether the mask leaves something of the steps that count."""
        lr = self.rates(numbers)
        norm = self.rule.propose(self.ages(), lr)
        moving = self.moving(results, norm, numbers, seen)
        if moving is None:
            return None
        for tally in self.tallies:
            tally.totals.add(results, moving)
        self.rule.accept(moving)
        if self.average is not None:
            add_to_average(self.training, self.model.weights, self.average, moving)
        loss, at = self.noted(moving, results[LOSS]), self.at
        record = {"step": at.step, "epoch": at.epoch, "loss": loss, "norm": self.noted(moving, norm), "lr": lr}
        for metric, name in self.metrics.items():
            record[metric] = self.noted(moving, results[name])
        self.model.history.steps.append(record)
        at.step += 1
        self.count(moving)
        return loss

    def rescale(self) -> None:
        """What a plateau makes of the learning rate of each trial, after the epochs so far."""
        lr, epochs = self.optimizer.lr, self.model.history.epochs
        self.scales = [1.0] * len(self.at.courses)
        if isinstance(lr, plateau):
            seen = [np.atleast_1d(e[lr.of]) for e in epochs if lr.of in e]
            self.scales = [lr.scale([float(values[r]) for values in seen]) for r in range(len(self.scales))]

    def end(self, trial: int, why: str) -> None:
        """Note that a trial trains no more. Raises NonFiniteError, if all have diverged."""
        self.at.courses[trial].ended = self.model.history.ended[trial] = why
        if why.startswith(DIVERGED):
            if all(c.ended.startswith(DIVERGED) for c in self.at.courses):
                raise NonFiniteError(f"all trials diverged, the last of them, trial {trial}: {why}")
            if self.ranks.rank == 0:
                warnings.warn(f"trial {trial} {why}; the others go on", TrialWarning, stacklevel=2)

    # -- of one network

    def numbers(self) -> Number:
        """The number of the next update; of each trial, where they differ because the mask left nothing to some."""
        return self.at.courses[0].updates

    def ages(self) -> Any:
        """How many updates the optimizer has made before the next one, as `numbers`."""
        course = self.at.courses[0]
        return course.updates - course.since

    def rates(self, numbers: Any) -> Any:
        """The learning rate of an update; of each trial, where they differ."""
        return self.optimizer.rate(numbers, self.scales[0])

    def moving(self, results: Arrays, norm: np.ndarray, numbers: Number, seen: Any) -> Any:
        """Whether an update moves the weights, or which trials it moves, ``(trials,)``; None, where it moves none:
        those that have not ended, that the mask leaves something (of what is `seen`), and whose loss and gradient are
        finite. A gradient is so where its norm is. Raises NonFiniteError where the only one is not."""
        if not seen or (self.counts and not any([results[name] for name in self.counts])):  # noqa: C419 (faster)
            return None
        if not all(map(_finite, (norm, *[results[name] for name in self.watched]))):
            raise NonFiniteError(self.ranks.why_not_finite(self.model, self.purpose, numbers))
        return True

    def noted(self, moving: Any, value: Any) -> Any:
        """A number as it is noted; of those trials that move, NaN of the others."""
        return float(value)

    def count(self, moving: Any) -> None:
        """Count an update; of those trials that move."""
        self.at.courses[0].updates += 1


class TrialMoves(Moves):
    """Those of several trials."""

    def numbers(self) -> Number:
        """See `Moves`."""
        numbers = tuple(c.updates for c in self.at.courses)
        running = {c.updates for c in self.at.courses if not c.ended}
        return running.pop() if len(running) == 1 else numbers

    def ages(self) -> Any:
        """See `Moves`."""
        return np.array([c.updates - c.since for c in self.at.courses])

    def rates(self, numbers: Any) -> Any:
        """See `Moves`."""
        if isinstance(numbers, int) and len(set(self.scales)) == 1:
            return super().rates(numbers)
        of_each = numbers if isinstance(numbers, tuple) else (numbers,) * len(self.scales)
        return np.array([self.optimizer.rate(n, scale) for n, scale in zip(of_each, self.scales, strict=True)])

    def moving(self, results: Arrays, norm: np.ndarray, numbers: Number, seen: Any) -> Any:
        """See `Moves`."""
        learns = np.array([not c.ended for c in self.at.courses]) & seen
        if self.counts:
            learns = learns & np.any([np.not_equal(results[name], 0) for name in self.counts], axis=0)
        finite = np.isfinite(norm)
        for name in self.watched:
            here = np.isfinite(results[name])
            finite = finite & (here if here.ndim == finite.ndim else here.reshape(*finite.shape, -1).all(axis=-1))
        for r in np.flatnonzero(learns & ~finite):
            why = self.ranks.why_not_finite(self.model, self.purpose, numbers, int(r))
            self.end(int(r), f"diverged: {why}")
        moving = learns & finite
        return moving if moving.any() else None

    def noted(self, moving: Any, value: Any) -> Any:
        """See `Moves`."""
        return each(moving, value, np.nan)

    def count(self, moving: Any) -> None:
        """See `Moves`."""
        for course, moves in zip(self.at.courses, moving.tolist(), strict=True):
            course.updates += moves


def _finite(value: Any) -> bool:
    """Whether a number is finite, or all of some."""
    return bool(np.isfinite(value).all()) if value.ndim else math.isfinite(value)
