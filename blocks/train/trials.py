"""Several trials at once: where their dimension stands in arrays, and how the training of each goes.

At the border of a model the arrays of trials lead with them, ``(trials, time, batch, 32)``; inside of a graph they
stand behind the steps, ``(time, trials, batch, 32)`` (see `compile.passes.trials`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import BlocksError
from ..graph import Graph, Shape
from ..ops.elementwise import TRIALS, place_of_trials
from .inputs import Arrays, is_whole

Number = int | tuple[int, ...]  # of an update; of each trial its own
DIVERGED = "diverged"  # how the reason begins for which a trial ended that will not go on


class TrialWarning(UserWarning):
    """A trial trains no more, because its numbers are not finite; the others go on."""


@dataclass
class Course:
    """How the training of one trial goes."""

    updates: int = 0
    since: int = 0  # the update before which the optimizer's slots were fresh
    best: float | None = None  # the best validation loss so far
    waited: int = 0  # epochs since then
    ended: str = ""  # why it trains no more

    def begin(self) -> None:
        """Begin another call of `fit`: what had stopped goes on, what had diverged does not."""
        self.best, self.waited = None, 0
        if not self.ended.startswith(DIVERGED):
            self.ended = ""


def check_trials(trials: Any, graph: Graph) -> int | None:
    """A number of trials, or None. Raises BlocksError for anything else, and for a graph in which none differs."""
    if trials is None:
        return None
    if not is_whole(trials) or trials < 1:
        raise BlocksError(f"trials is a number of networks from 1, or None, not {trials!r}")
    if not graph.params:
        raise BlocksError("this model has no weights, so its trials would not differ")
    return int(trials)


def differing(graph: Graph, feeds: Mapping[str, Any]) -> tuple[str, ...]:
    """The inputs that have a value for each trial: those that are fed with a dimension more, and all initial states."""
    inputs = graph.fed("input")
    return tuple(
        name
        for name, node in inputs.items()
        if node.role == "initial" or (name in feeds and np.ndim(feeds[name]) > len(node.shape))
    )


def inside(graph: Graph, feeds: Mapping[str, Any], vary: tuple[str, ...], trials: int) -> dict[str, Any]:
    """Feeds as the graph with trials takes them; `graph` is that of one. What is the same for all is repeated, where
    it may differ: so a draw that is fed."""
    known, fed = graph.fed("input", "draw"), dict(feeds)
    for name in (*vary, *graph.fed("draw")):
        if name in fed:
            shape, array = known[name].shape, np.asarray(fed[name])
            if array.ndim == len(shape):
                array = np.broadcast_to(array, (trials, *array.shape))
            fed[name] = np.moveaxis(array, 0, place_of_trials(shape))
    return fed


def leading(results: Mapping[str, np.ndarray], graph: Graph) -> Arrays:
    """Results of a graph with trials, with the trials in front."""
    places = {k: graph.outputs[k].shape.index(TRIALS) for k in results}
    return {k: np.moveaxis(v, places[k], 0) if places[k] else v for k, v in results.items()}


def of_one(feeds: Mapping[str, Any], shapes: Mapping[str, Shape], trial: int) -> dict[str, Any]:
    """The feeds of one trial; `shapes` are those of one."""
    return {k: v[trial] if np.ndim(v) > len(shapes[k]) else v for k, v in feeds.items()}


def each(condition: Any, a: Any, b: Any) -> np.ndarray:
    """`a` for the trials of which a condition holds, ``(trials,)``, else `b`; the same for one condition, ``()``."""
    condition = np.asarray(condition)
    rank = max(np.ndim(a), np.ndim(b))
    return np.where(condition.reshape(condition.shape + (1,) * (rank - condition.ndim)), a, b)
