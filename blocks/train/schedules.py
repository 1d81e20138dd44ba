"""Learning-rate schedules: functions from the number of the update, from 0, to the learning rate.

``Adam(schedules.cosine(1e-3, steps=5000, warmup=200))``; any function of one number will do. These take the number of
the update as a wire too, and give the rate as one: so a `learner` has it in its graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import BlocksError
from ..graph import Node, Op
from ..ops.elementwise import cos, floor, less, minimum, where

Schedule = Callable[[Any], Any]


def _of(op: Op, *values: Any) -> Any:
    """An operation on wires; or on numbers, where none is one."""
    return op(*values) if any(isinstance(v, Node) for v in values) else op.forward(*values).item()


@dataclass(frozen=True)
class Decay:
    """What all of these are: a rate and its settings, called with the number of the update. They can be compared,
    copied and pickled."""

    lr: float

    def __post_init__(self) -> None:
        for name, value in self.__dict__.items():
            least = 1 if name in ("every", "steps") else 0
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


SCHEDULES: dict[str, type[Decay]] = {
    kind.__name__: kind for kind in (constant, step_decay, exponential, linear, cosine)
}
