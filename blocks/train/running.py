"""One of the graphs of a model as a function of what is fed: its weights stay where they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from ..compile import INTERPRETER, Program
from ..compile import trials as side_by_side
from ..graph import Graph
from ..interpret import run
from .inputs import Arrays
from .purposes import Purpose
from .trials import Number, differing, inside, leading

Call = Callable[..., Arrays]


class Runnable(Protocol):
    """What a run asks of a model."""

    seed: int
    target: str
    trials: int | None

    @property
    def weights(self) -> Mapping[str, np.ndarray]:
        """Name → array."""

    def graph_for(self, purpose: Purpose | str) -> Graph:
        """The graph of one purpose."""

    def program_for(self, purpose: Purpose | str, vary: tuple[str, ...] = ()) -> Program:
        """Its program; `vary`: the inputs that differ among trials."""


class Running:
    """What is found out once of the graph of one purpose, to run it on feeds that have time first, or trials."""

    def __init__(self, model: Runnable, purpose: Purpose):
        self.purpose, self.graph = purpose, model.graph_for(purpose)
        self.known, self.draws = frozenset(self.graph.fed("input", "draw")), bool(self.graph.fed("draw"))
        self.weights = {name: model.weights[name] for name in self.graph.fed("parameter")}
        self.calls: dict[tuple[str, ...], tuple[Graph, Call]] = {}  # the inputs that differ among trials → what runs

    def __call__(self, model: Runnable, feeds: Mapping[str, Any], step: Number | None = None) -> Arrays:
        """The outputs, those of several trials with these in front. Random numbers are those of an update of that
        number; without one, their expectation. What is fed besides is passed over."""
        fed = {k: v for k, v in feeds.items() if k in self.known}
        draw = (model.seed, step) if self.draws and step is not None else None
        if model.trials is None:
            return self.call(model)[1](fed, draw=draw)
        vary = differing(self.graph, fed)
        graph, call = self.call(model, vary)
        return leading(call(inside(self.graph, fed, vary, model.trials), draw=draw), graph)

    def call(self, model: Runnable, vary: tuple[str, ...] = ()) -> tuple[Graph, Call]:
        """What runs, where some inputs differ among trials, and its graph."""
        if vary not in self.calls:
            self.calls[vary] = self._made(model, vary)
        return self.calls[vary]

    def _made(self, model: Runnable, vary: tuple[str, ...]) -> tuple[Graph, Call]:
        weights = self.weights
        if model.target != INTERPRETER:
            program = model.program_for(self.purpose, vary)
            return program.graph, program.bound(weights)
        graph = self.graph if model.trials is None else side_by_side(self.graph, vary)
        return graph, lambda feeds, draw: run(graph, {**weights, **feeds}, draw=draw)
