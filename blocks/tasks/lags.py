"""Tasks with a lag: what comes in early decides what is asked late. Sequences come from a numpy Generator alone.

    recall   the first step shows a bit, noise follows, the last step asks for the bit
    echo     at each step, the input of some steps before
    adding   two of many numbers are marked; the last step asks for their sum (Hochreiter and Schmidhuber 1997, 5.4)

Each gives what `Model.fit` takes: ``{"x": (count, steps, features), "target": (count, steps, 1), "mask": (count,
steps)}``. The mask is 1 where something is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import BlocksError, nearest

Sequences = dict[str, np.ndarray]


def recall(rng: np.random.Generator, count: int, steps: int, noise: float = 0.2) -> Sequences:
    """Remember a bit, +1 or −1, until the last step.

    x has two features: the bit, at the first step, and normal noise of the standard deviation `noise` from then on; and
    a mark, 1 at the last step. The target there is the bit. Raises BlocksError for fewer than 2 steps.
    """
    _check(count, steps, 2, "recall")
    bit = rng.choice([-1.0, 1.0], size=count)
    x = np.zeros((count, steps, 2))
    x[:, 0, 0] = bit
    x[:, 1:, 0] = noise * rng.standard_normal((count, steps - 1))
    x[:, -1, 1] = 1.0
    return _asked_at_last(x, bit)


def echo(rng: np.random.Generator, count: int, steps: int, lag: int = 2) -> Sequences:
    """Say the bit, +1 or −1, of `lag` steps before.

    x has one feature. The first `lag` steps ask for nothing. Raises BlocksError where that is all of them.
    """
    if isinstance(lag, bool) or not isinstance(lag, int) or lag < 1:
        raise BlocksError(f"echo: the lag is 1 step or more, not {lag!r}")
    _check(count, steps, lag + 1, f"echo with a lag of {lag}")
    x = rng.choice([-1.0, 1.0], size=(count, steps, 1))
    target, mask = np.zeros_like(x), np.zeros((count, steps))
    target[:, lag:], mask[:, lag:] = x[:, :-lag], 1.0
    return {"x": x, "target": target, "mask": mask}


def adding(rng: np.random.Generator, count: int, steps: int) -> Sequences:
    """Add two marked numbers.

    x has two features: numbers between −1 and 1, and marks, 1 at two steps, one in each half. The target at the last
    step is ½ + (a + b) / 4, between 0 and 1. Raises BlocksError for fewer than 2 steps.
    """
    _check(count, steps, 2, "adding")
    x = np.zeros((count, steps, 2))
    x[..., 0] = rng.uniform(-1.0, 1.0, (count, steps))
    rows, half = np.arange(count), steps // 2
    first, second = rng.integers(0, half, count), rng.integers(half, steps, count)
    x[rows, first, 1] = x[rows, second, 1] = 1.0
    return _asked_at_last(x, 0.5 + (x[rows, first, 0] + x[rows, second, 0]) / 4.0)


def _asked_at_last(x: np.ndarray, answer: np.ndarray) -> Sequences:
    target, mask = np.zeros((*x.shape[:2], 1)), np.zeros(x.shape[:2])
    target[:, -1, 0], mask[:, -1] = answer, 1.0
    return {"x": x, "target": target, "mask": mask}


def _check(count: int, steps: int, least: int, what: str) -> None:
    """Raises BlocksError unless there are so many sequences and steps."""
    for name, value, low in (("count", count, 1), ("steps", steps, least)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < low:
            raise BlocksError(f"{what}: {name} is {low} or more, not {value!r}")


@dataclass(frozen=True)
class Task:
    """A task: what makes its sequences, how many features x and the target have, and what it asks, in a sentence."""

    make: Callable[..., Sequences]
    inputs: int
    outputs: int
    asks: str


TASKS = {
    "recall": Task(recall, 2, 1, "Remember the bit of the first step until the last."),
    "echo": Task(echo, 1, 1, "Say the bit of two steps before."),
    "adding": Task(adding, 2, 1, "Add the two marked numbers."),
}


def task_named(name: str) -> Task:
    """The task of that name. Raises BlocksError, with the nearest one, if there is none."""
    if name not in TASKS:
        raise BlocksError(f"there is no task {name!r}{nearest(str(name), TASKS)}; there are {', '.join(TASKS)}")
    return TASKS[name]
