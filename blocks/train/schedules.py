"""Learning-rate schedules: functions from the number of the update, from 0, to the learning rate.

``Adam(schedules.cosine(1e-3, steps=5000, warmup=200))``; any function of one number will do.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..errors import BlocksError

Schedule = Callable[[int], float]


def constant(lr: float) -> Schedule:
    """The same rate for ever."""
    return lambda step: lr


def step_decay(lr: float, every: int, factor: float = 0.5) -> Schedule:
    """lr · factorᵏ after k times `every` updates."""
    _positive(every=every)
    return lambda step: lr * factor ** (step // every)


def exponential(lr: float, steps: int, factor: float = 0.1) -> Schedule:
    """lr · factor^(step / steps): smoothly down to `factor` of it after `steps` updates, and on."""
    _positive(steps=steps)
    return lambda step: lr * factor ** (step / steps)


def linear(lr: float, steps: int, final: float = 0.0, warmup: int = 0) -> Schedule:
    """Up from 0 over `warmup` updates, then in a straight line to `final` at update `steps`."""
    _positive(steps=steps)
    return _warmed(warmup, lr, lambda part: lr + (final - lr) * part, steps)


def cosine(lr: float, steps: int, final: float = 0.0, warmup: int = 0) -> Schedule:
    """Up from 0 over `warmup` updates, then down half a cosine to `final` at update `steps` (Loshchilov
    and Hutter 2017, eq. 5)."""
    _positive(steps=steps)
    return _warmed(warmup, lr, lambda part: final + (lr - final) * (1 + math.cos(math.pi * part)) / 2, steps)


def _warmed(warmup: int, lr: float, shape: Callable[[float], float], steps: int) -> Schedule:
    def rate(step: int) -> float:
        if step < warmup:
            return lr * (step + 1) / warmup
        return shape(min(1.0, (step - warmup) / max(1, steps - warmup)))

    return rate


def _positive(**counts: int) -> None:
    for name, value in counts.items():
        if value < 1:
            raise BlocksError(f"{name} must be 1 or more, not {value!r}")
