"""Learning-rate schedules: functions from the number of the update, from 0, to the learning rate.

``Adam(schedules.cosine(1e-3, steps=5000, warmup=200))``; any function of one number will do. These take the number of
the update as a wire too, and give the rate as one: so a `learner` has it in its graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..errors import BlocksError, nearest
from ..graph import Node, Op
from ..ops.elementwise import cos, floor, less, maximum, minimum, where

Schedule = Callable[[Any], Any]


def _of(op: Op, *values: Any) -> Any:
    """An operation on wires; or on numbers, where none is one."""
    return op(*values) if any(isinstance(v, Node) for v in values) else op.forward(*values).item()


@dataclass(frozen=True)
class Decay:
    """What all of these are: a rate and its settings, called with the number of the update. They can be compared,
    copied and pickled."""

    lr: float
    around: ClassVar[bool] = False  # whether lr may be a schedule itself

    def __post_init__(self) -> None:
        for name, value in self.__dict__.items():
            least = 1 if name in ("every", "steps") else 0
            if (name == "lr" and self.around and callable(value)) or isinstance(value, str):
                continue
            if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not value >= least:
                raise BlocksError(f"{name} must be {least} or more, not {value!r}")
            object.__setattr__(self, name, value.item() if isinstance(value, np.number) else value)

    def __call__(self, step: Any) -> Any:
        """The rate at an update, a number or a wire that counts them from 0."""
        return self.lr


class constant(Decay):
    """The same rate for ever."""


@dataclass(frozen=True)
class step_decay(Decay):
    """lr · factorᵏ after k times `every` updates."""

    every: int
    factor: float = 0.5

    def __call__(self, step: Any) -> Any:
        """The rate at an update, a number or a wire that counts them from 0."""
        return self.lr * self.factor ** _of(floor, step / self.every)


@dataclass(frozen=True)
class exponential(Decay):
    """lr · factor^(step / steps): smoothly down to `factor` of it after `steps` updates, and on."""

    steps: int
    factor: float = 0.1

    def __call__(self, step: Any) -> Any:
        """The rate at an update, a number or a wire that counts them from 0."""
        return self.lr * self.factor ** (step / self.steps)


@dataclass(frozen=True)
class Warmed(Decay):
    """Up from 0 over `warmup` updates, then down to `final` at update `steps`."""

    steps: int
    final: float = 0.0
    warmup: int = 0

    def __call__(self, step: Any) -> Any:
        """The rate at an update, a number or a wire that counts them from 0."""
        part = _of(minimum, 1.0, (step - self.warmup) / max(1, self.steps - self.warmup))
        rising = self.lr * (step + 1) / max(1, self.warmup)
        return _of(where, _of(less, step, self.warmup), rising, self.shape(part)) if self.warmup else self.shape(part)

    def shape(self, part: Any) -> Any:
        """The rate when a part of the way down, 0 to 1, is done."""
        return self.lr


class linear(Warmed):
    """Up from 0 over `warmup` updates, then in a straight line to `final` at update `steps`."""

    def shape(self, part: Any) -> Any:
        """The rate when a part of the way down, 0 to 1, is done."""
        return self.lr + (self.final - self.lr) * part


class cosine(Warmed):
    """Up from 0 over `warmup` updates, then down half a cosine to `final` at update `steps` (Loshchilov
    and Hutter 2017, eq. 5)."""

    def shape(self, part: Any) -> Any:
        """The rate when a part of the way down, 0 to 1, is done."""
        return self.final + (self.lr - self.final) * (1 + _of(cos, math.pi * part)) / 2


@dataclass(frozen=True)
class warmup(Decay):
    """Up over `steps` updates to where another schedule, or a rate, begins, which follows: lr(0) · (k + 1) / steps,
    then lr(k - steps) (Goyal et al. 2017, section 2.2)."""

    lr: Any
    steps: int = 100
    around: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.lr, plateau):
            raise BlocksError("a plateau goes around a warm-up: plateau(warmup(0.1, 50))")

    def __call__(self, step: Any) -> Any:
        """The rate at an update, a number or a wire that counts them from 0."""
        then = _rate(self.lr, _of(maximum, step - self.steps, 0))
        rising = _rate(self.lr, 0) * (step + 1) / self.steps
        return _of(where, _of(less, step, self.steps), rising, then)


@dataclass(frozen=True)
class plateau(Decay):
    """A rate, or another schedule, that is multiplied by `factor` when something has not become better for more than
    `patience` epochs.

    of: what it watches in the epochs of `History`: "validation", "loss", or a metric, "validation_accuracy".
    mode: "min", less is better, or "max".
    threshold: by which share better is better.
    cooldown: epochs after a reduction that do not count.
    least: it does not go below.

    It begins with each `fit(restart=True)`, and sees the epochs of all calls since.
    """

    lr: Any
    factor: float = 0.1
    patience: int = 10
    of: str = "validation"
    mode: str = "min"
    threshold: float = 1e-4
    cooldown: int = 0
    least: float = 0.0
    around: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mode not in ("min", "max"):
            raise BlocksError(
                f"the mode of a plateau is min or max, not {self.mode!r}{nearest(self.mode, ('min', 'max'))}"
            )
        if not self.factor < 1.0:
            raise BlocksError(f"the factor of a plateau is below 1, not {self.factor!r}")

    def __call__(self, step: Any) -> Any:
        """The rate at an update, a number that counts them from 0, before anything was watched."""
        return _rate(self.lr, step)

    def scale(self, seen: Sequence[float]) -> float:
        """What the rate is multiplied by after epochs with these values."""
        sign = 1.0 if self.mode == "min" else -1.0
        scale, best, bad, resting = 1.0, math.inf, 0, 0
        for value in seen:
            bar = best - self.threshold * abs(best) if math.isfinite(best) else best
            if sign * value < bar:
                best, bad = sign * value, 0
            else:
                bad += 1
            if resting:
                resting, bad = resting - 1, 0
            if bad > self.patience:
                scale, resting, bad = scale * self.factor, self.cooldown, 0
        return scale


def _rate(lr: Any, step: Any) -> Any:
    return lr(step) if callable(lr) else lr


KINDS = (constant, step_decay, exponential, linear, cosine, warmup, plateau)
SCHEDULES: dict[str, type[Decay]] = {kind.__name__: kind for kind in KINDS}
