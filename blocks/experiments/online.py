"""Trials that learn online, side by side: one update after each sequence, or at each step, as it was done in the 1990s.

Online learning knows no batches, but the trials of an experiment are independent: they share one compiled scan of
`learner`, in which each has weights, data and an order of its own. Arrays lead with the trials.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ..compile import AUTO, compile, trials
from ..graph import Graph, Node
from ..scan import scan
from ..train.learner import learner
from ..train.optimizers import Optimizer
from ..train.trials import inside, leading
from ..wires import input

Arrays = dict[str, np.ndarray]
First = Callable[[str, tuple[int, ...], np.random.Generator], np.ndarray]  # a weight's name and shape → first numbers
UPDATE = "update"


class Sides:
    """A graph for several trials, each with feeds of its own: arrays go in and come out as those of the graph, with the
    trials in front."""

    def __init__(self, graph: Graph, target: str = AUTO):
        self.graph = graph
        self.vary = tuple(graph.fed("input"))
        self._sides = trials(graph, self.vary)
        self._program = compile(self._sides, target=target)

    def __call__(self, feeds: Mapping[str, np.ndarray]) -> Arrays:
        """The outputs for these feeds; there may be more of them than the graph has inputs."""
        known = {**self.graph.params, **self.graph.inputs}
        fed = {k: v for k, v in feeds.items() if k in known}
        count = len(next(iter(fed.values())))
        return leading(self._program(inside(self.graph, fed, self.vary, count)), self._sides)


class Online:
    """Networks that learn online.

    Args:
        loss: of one update: of a whole sequence, where it scans, or of one step.
        optimizer: its rule.
        first: gives the first numbers of each weight.
        seeds: one for each trial.
        outputs: wires to see at each update, as they are before it, by name.
        states: state → its next value, what is carried from update to update besides.
        target: what computes, as for `compile`.

    Attributes: weights, name → array ``(trials, ...)``; states, what else is carried.
    """

    def __init__(
        self,
        loss: Node,
        optimizer: Optimizer,
        first: First,
        seeds: list[int],
        outputs: Mapping[str, Node] | None = None,
        states: Mapping[Node, Node] | None = None,
        target: str = AUTO,
    ):
        cell = learner(loss, optimizer, states=states, outputs=outputs)
        fed = cell.graph.fed("input")
        xs = {name: input(name, dtype=fed[name].dtype, shape=(UPDATE, *fed[name].shape)) for name in cell.inputs}
        seen, last = scan(cell, xs, final=True)
        self.outputs = tuple(seen) if isinstance(seen, dict) else ("loss",)
        self.graph = Graph({**(seen if isinstance(seen, dict) else {"loss": seen}), **last})
        self.params = {name: tuple(int(d) for d in shape) for name, shape in cell.params.items()}
        self._learn = Sides(self.graph, target)
        self.weights = {
            name: np.stack([first(name, shape, rng_of(seed, k)) for seed in seeds])
            for k, (name, shape) in enumerate(self.params.items())
        }
        self.states: Arrays = {}

    @property
    def count(self) -> int:
        """How many numbers each network learns."""
        return sum(int(np.prod(shape)) for shape in self.params.values())

    def learn(self, data: Mapping[str, np.ndarray]) -> Arrays:
        """Updates on ``(trials, update, ...)``; what was seen at each, ``(trials, update, ...)``."""
        results = self._learn({**self.weights, **self.states, **data})
        self.weights = {name: results[name] for name in self.weights}
        self.states = {k: v for k, v in results.items() if k not in self.weights and k not in self.outputs}
        return {name: results[name] for name in self.outputs}

    def weights_after(self, data: Mapping[str, np.ndarray], before: Arrays, trial: int, updates: int) -> Arrays:
        """The weights of one trial after so many updates of what was learnt last, ``(1, ...)``; `before` are the
        weights and states of all before it."""
        of_one = {k: v[trial : trial + 1] for k, v in before.items()}
        results = self._learn({**of_one, **{k: v[trial : trial + 1, :updates] for k, v in data.items()}})
        return {name: results[name] for name in self.weights}

    def keep(self, which: np.ndarray) -> None:
        """Go on with some of the trials."""
        self.weights = {k: v[which] for k, v in self.weights.items()}
        self.states = {k: v[which] for k, v in self.states.items()}


def rng_of(*numbers: int) -> np.random.Generator:
    """The random numbers of a place in an experiment: of a seed, a trial, a piece of its data."""
    return np.random.default_rng(numbers)


def uniform(limit: float, **fixed: list[float] | float) -> First:
    """First numbers in [-limit, limit]; `fixed` gives some weights theirs, ``input_b=[-1, -2]`` for input.b."""
    named = {name.replace("_", ".", 1): value for name, value in fixed.items()}

    def first(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        if name in named:
            return np.broadcast_to(np.asarray(named[name], np.float64), shape).copy()
        return rng.uniform(-limit, limit, shape)

    return first
