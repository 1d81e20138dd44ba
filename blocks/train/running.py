"""One of the graphs of a model as a function of what is fed: its weights stay where they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from ..compile import INTERPRETER, Program
from ..compile import trials as side_by_side
from ..compile.bound import into
from ..graph import Graph
from ..interpret import run
from ..ops.elementwise import TRIALS
from .inputs import Arrays
from .purposes import Purpose
from .trials import Number, differing, inside, leading
from .update import GRAD
from .vector import Vector

Call = Callable[..., Arrays]


class Runnable(Protocol):
    """What a run asks of a model."""

    seed: int
    target: str
    trials: int | None

    @property
    def weights(self) -> Vector:
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
        self.gradient: Vector | None = None  # where gradients are written
        self.calls: dict[tuple[str, ...], tuple[Graph, Call]] = {}  # the inputs that differ among trials → what runs

    def into(self, gradient: Vector) -> Vector:
        """Have the gradients of all calls written into a vector from here on, the first that is asked for."""
        if self.gradient is None:
            self.gradient, self.calls = gradient, {}
        return self.gradient

    def __call__(self, model: Runnable, feeds: Mapping[str, Any], step: Number | None = None) -> Arrays:
        """The outputs, those of several trials with these in front. Random numbers are those of an update of that
        number; without one, their expectation. What is fed besides is passed over."""
        fed = feeds if feeds.keys() <= self.known else {k: v for k, v in feeds.items() if k in self.known}
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
            return program.graph, program.bound(weights, self._out(program.graph))
        graph = self.graph if model.trials is None else side_by_side(self.graph, vary)
        return graph, into(lambda feeds, draw: run(graph, {**weights, **feeds}, draw=draw), self._out(graph))

    def _out(self, graph: Graph) -> Arrays:
        """Where the outputs of a graph are written that are gradients; with trials where that has them."""
        named = {} if self.gradient is None else {GRAD + name: view for name, view in self.gradient.items()}
        shapes = {name: node.shape for name, node in graph.outputs.items() if name in named}
        return {k: np.moveaxis(named[k], 0, s.index(TRIALS)) if TRIALS in s else named[k] for k, s in shapes.items()}
