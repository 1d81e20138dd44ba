"""What one of several processes computes of an update: the graphs of its part of a batch.

A mean of means is not the mean, where masks or a last batch leave one part less than another. So a loss is taken apart
into its terms (see `terms`); what a part gives of a term weighs as much as it counts of all (α), and the gradients of
the parts add up to that of the one loss over all rows:

    L = rest(T₁, T₂, …),   Tᵢ = Σ_r αᵢ_r Tᵢ_r,   dL/dW = Σ_r Σᵢ ∂L/∂Tᵢ αᵢ_r ∂Tᵢ_r/∂W + ∂rest/∂W

∂L/∂Tᵢ, a seed, is a number that is known before, but where the loss is no weighted sum of its terms (the root of a mean
square): there the terms are computed first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ..compile import compile
from ..errors import BlocksError, made
from ..grad import grad
from ..graph import Graph, Node
from ..interpret import Run, bind, execute, run
from ..ops.leaves import make_input
from ..ops.shape import sum_
from .purposes import FINAL, LOSS, METRIC, WATCH, Purpose, forward_for, measured
from .terms import BATCH, Arrays
from .trials import Number

GRAD, VALUE, COUNT, TERM, SEED = "grad/", "value/", "count/", "term/", "seed/"
Runs = Callable[[Graph], Callable[[Mapping[str, Any]], Arrays]]


class Shared(Protocol):
    """What shares ask of a model."""

    graph: Graph
    target: str
    checkpoint: Any

    @property
    def weights(self) -> Mapping[str, np.ndarray]:
        """Name → array."""

    def time(self) -> str:
        """The name of the time dimension."""


class Shares:
    """The graphs of one purpose for a part of the rows.

    Attributes: whole, the graph that one process would run, without its gradient; graphs:

        counts     what each term counts, ``count/<i>``, those of metrics too
        values     the terms of the loss, ``value/<i>``
        seeds      ∂L/∂Tᵢ, ``grad/term/<i>``
        gradient   all terms, final states, what is watched, and by every weight the gradient of Σᵢ ``seed/<i>`` Tᵢ
        rest       the loss of the joined terms, ``term/<i>``, and its gradient by weights that stand beside them
        metrics    the metrics of theirs

    Raises BlocksError, naming the node, for a loss whose terms cannot be put together from parts of a batch.
    """

    def __init__(self, whole: Graph, weights: Mapping[str, np.ndarray], runs: Runs, frozen: tuple[str, ...] = ()):
        self.whole, self.weights = whole, weights
        self.known = {**whole.outputs, **whole.fed("input", "draw")}
        self.loss, self.metrics = measured(whole)
        for of in (self.loss, self.metrics):
            for node, join in zip(of.nodes, of.joins, strict=True):
                if join not in ("average", "add"):
                    raise BlocksError(
                        f"{made(node)} takes the batch away in one piece: train this model in one process"
                    )
        rest, beside = self.loss.rest, _kept(whole.outputs, FINAL, WATCH)
        assert rest is not None
        seeds = _with_gradient(rest, [f"{TERM}{i}" for i in range(len(self.loss.nodes))])
        pieces = {**self.loss.pieces, **self.metrics.pieces}
        graphs: dict[str, Mapping[str, Node]] = {
            "counts": {n: o for n, o in pieces.items() if COUNT in n},
            "values": _kept(pieces, VALUE),
            "seeds": _kept(seeds.outputs, GRAD),
            "gradient": _gradient(
                self.loss.nodes, {**{n: o for n, o in pieces.items() if VALUE in n}, **beside}, frozen
            ),
            "rest": _with_gradient(rest, [n for n in rest.params if n not in frozen]).outputs,
            "metrics": {} if self.metrics.rest is None else self.metrics.rest.outputs,
        }
        self.graphs = {name: Graph(outputs) for name, outputs in graphs.items() if outputs}
        self.runs = {name: runs(self.graphs[name]) for name in ("values", "gradient") if name in self.graphs}
        slopes = self.graphs.get("seeds")
        self.fixed = slopes is None or not any(name.startswith(TERM) for name in slopes.inputs)

    @classmethod
    def of(cls, model: Shared, purpose: Purpose) -> Shares:
        """Those of a model, run as it runs its own graphs."""
        whole = forward_for(model.graph, purpose, model.time() if purpose.name == "windowed" else None)

        def runs(graph: Graph) -> Callable[[Mapping[str, Any]], Arrays]:
            if model.target == "interpreter":
                return lambda feeds: run(graph, feeds)
            return compile(graph, target=model.target, checkpoint=model.checkpoint)

        return cls(whole, model.weights, runs, purpose.frozen)

    def bind(self, feeds: Mapping[str, Any], draw: tuple[int, Number]) -> tuple[Arrays, Run]:
        """All that is fed for all rows, states that begin with a number and random numbers too, and the sizes."""
        arrays, context = bind(self.whole, {**self._weights(self.whole), **self._known(self.whole, feeds)}, draw)
        return {name: a for name, a in arrays.items() if name not in self.whole.params}, context

    def run(self, name: str, feeds: Mapping[str, Any], context: Run) -> Arrays:
        """The outputs of one of the graphs, which takes of the feeds what it needs; none, where there is no such. What
        is no work is not compiled; it has the sizes of the context."""
        if name not in self.graphs:
            return {}
        graph = self.graphs[name]
        fed = {**self._weights(graph), **self._known(graph, feeds)}
        return self.runs[name](fed) if name in self.runs else execute(graph, fed, context)

    def _weights(self, graph: Graph) -> Arrays:
        return {name: self.weights[name] for name in graph.fed("parameter")}

    @staticmethod
    def _known(graph: Graph, feeds: Mapping[str, Any]) -> Arrays:
        known = graph.fed("input", "draw")
        return {name: np.asarray(a) for name, a in feeds.items() if name in known}

    def seeds(self, values: Mapping[str, Any], context: Run) -> Arrays:
        """``seed/<i>``, at the joined terms of the loss, ``value/<i>``."""
        fed = {TERM + n.removeprefix(VALUE): v for n, v in values.items()}
        return {SEED + n.removeprefix(GRAD + TERM): v for n, v in self.run("seeds", fed, context).items()}

    def numbers(self, values: Mapping[str, Any], feeds: Mapping[str, Any], context: Run) -> Arrays:
        """The loss and the metrics, from all joined terms, and the gradient by weights that stand beside terms."""
        found: Arrays = {}
        for name, of, lead in (("rest", self.loss, ""), ("metrics", self.metrics, METRIC)):
            prefix = of.prefix + VALUE
            terms = {TERM + n.removeprefix(prefix): v for n, v in values.items() if n.startswith(prefix)}
            found |= {lead + n: v for n, v in self.run(name, {**feeds, **terms}, context).items()}
        return found

    def portions(self, whole: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, float]:
        """How much a part weighs in each term, by the name of its value, from what all and the part count: α."""
        found: dict[str, float] = {}
        for of in (self.loss, self.metrics):
            for i, join in enumerate(of.joins):
                count = f"{of.prefix}{COUNT}{i}"
                share = 0.0 if not part else 1.0 if join == "add" else _share(part[count], whole[count])
                found[f"{of.prefix}{VALUE}{i}"] = share
        return found

    def axis(self, name: str) -> int | None:
        """Which axis of a feed or an output is the batch."""
        node = self.known.get(name)
        return node.shape.index(BATCH) if node is not None and BATCH in node.shape else None

    def typed(self, name: str, value: np.ndarray) -> np.ndarray:
        """An output in its own type, of what came as floating-point numbers: what is watched may be whole numbers."""
        node = self.whole.outputs.get(name)
        return (
            value
            if node is None or node.dtype == "float"
            else value.astype({"int": np.int64, "bool": bool}[node.dtype])
        )

    def shapes(self, name: str, context: Run) -> dict[str, tuple[int, ...]]:
        """The shapes of the outputs of one of the graphs."""
        outputs = self.graphs[name].outputs if name in self.graphs else {}
        return {n: context.shape(node.shape) for n, node in outputs.items()}


def portion(share: float, value: Any) -> Any:
    """A part's portion of a term; what counts nothing adds nothing, whatever it is."""
    return value * share if share else np.zeros_like(value)


def rows(axis: int | None, array: np.ndarray, first: int, end: int) -> np.ndarray:
    """Some rows of an array whose batch is that axis; all of one that has none."""
    return array if axis is None else array[(slice(None),) * axis + (slice(first, end),)]


def _share(part: Any, whole: Any) -> float:
    return float(part) / float(whole) if whole else 0.0


def _kept(outputs: Mapping[str, Node], *prefixes: str) -> dict[str, Node]:
    return {name: node for name, node in outputs.items() if name.startswith(prefixes)}


def _with_gradient(graph: Graph, wrt: list[str]) -> Graph:
    return grad(graph, of=LOSS, wrt=wrt) if wrt else graph


def _gradient(terms: Sequence[Node], outputs: Mapping[str, Node], frozen: tuple[str, ...]) -> Mapping[str, Node]:
    """The outputs, and the gradient of the terms, each times its seed, added up."""
    total: Any = None
    for i, term in enumerate(terms):
        if term.dtype == "float":
            product = make_input(f"{SEED}{i}", term.shape, "float", role="input") * term
            product = sum_(product) if term.shape else product
            total = product if total is None else total + product
    if total is None:
        return outputs
    learns = [name for name in Graph({LOSS: total}).params if name not in frozen]
    graph = _with_gradient(Graph({LOSS: total, **outputs}), learns)
    return {name: node for name, node in graph.outputs.items() if name != LOSS}
