"""What is exported: a graph, a cell or a model, as one graph with weights, and how its arrays stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from ..cell import Cell
from ..errors import BlocksError, nearest
from ..graph import Graph, Node, show_shape
from ..ops.loop import FINAL
from ..train.model import Model

Weights = Mapping[str, Any]


@dataclass(frozen=True)
class Given:
    """A graph, its weights by name, and whether its arrays are those of a model: batch first, one output alone, and
    final states for who asks for them."""

    graph: Graph
    weights: dict[str, np.ndarray]
    model: bool
    title: str

    @property
    def outputs(self) -> dict[str, Node]:
        """The outputs, without the final states of a model."""
        return {k: node for k, node in self.graph.outputs.items() if not (self.model and k.startswith(FINAL))}

    @property
    def finals(self) -> dict[str, Node]:
        """The final states of a model, by state."""
        return {k.removeprefix(FINAL): n for k, n in self.graph.outputs.items() if self.model and k.startswith(FINAL)}

    def batch_at(self, node: Node) -> int:
        """The axis of the batch, where it is another one than the first for who calls a model; else 0."""
        return node.shape.index("batch") if self.model and "batch" in node.shape else 0

    @property
    def leaves(self) -> MappingProxyType[str, Node]:
        """What may be fed by name: inputs, and draws."""
        return self.graph.fed("input", "draw")


def given(source: Graph | Cell | Model, weights: Weights | None = None) -> Given:
    """What to export. `weights`: name → array; by default those of a model, and the first ones (seed 0) of a graph or
    a cell.

    Raises BlocksError for anything but a graph, a cell or a model, for a model with trials, and for weights that are
    missing, unknown or of another shape.
    """
    if isinstance(source, Model):
        if source.trials is not None:
            raise BlocksError(
                f"this model has {source.trials} trials, which are not exported as a model; a graph with trials is: "
                "to_torch(bk.trials(model.graph), weights=model.weights)"
            )
        graph = source.graph_for("predict")
        known = source.weights if weights is None else weights
        return Given(graph, _checked(graph, known, strict=False), True, "a model")
    if isinstance(source, Cell):
        graph, title = source.graph, f"the cell {source.name}" if source.name else "a cell"
    elif isinstance(source, Graph):
        graph, title = source, "a graph"
    else:
        raise BlocksError(f"a Graph, a Cell or a Model is exported, not a {type(source).__name__}")
    return Given(graph, _checked(graph, graph.init() if weights is None else weights, strict=True), False, title)


def _checked(graph: Graph, weights: Weights, strict: bool) -> dict[str, np.ndarray]:
    for name in weights:
        if strict and name not in graph.params:
            raise BlocksError(f"weights for {name!r}, which the graph does not have{nearest(str(name), graph.params)}")
    found: dict[str, np.ndarray] = {}
    for name, shape in graph.params.items():
        if name not in weights:
            raise BlocksError(f"no weights for {name!r} {show_shape(shape)}{nearest(name, weights)}")
        array = np.asarray(weights[name])
        fits = array.ndim == len(shape) and all(
            isinstance(d, str) or d == n for d, n in zip(shape, array.shape, strict=False)
        )
        if not fits or array.dtype.kind != "f":
            raise BlocksError(f"{name!r} is {show_shape(shape)}; {array.dtype} of shape {array.shape} does not fit")
        found[name] = array
    return found
