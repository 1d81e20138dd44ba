"""What one part of an update is computed by: the graphs for some rows of a batch, or for one of several batches.

A mean of means is not the mean, where masks or a last batch leave one part less than another. So a loss is taken apart
into its terms (see `terms`); what a part gives of a term weighs as much as it counts of all (α), and the gradients of
the parts add up to that of the one loss over all of them:

    L = rest(T₁, T₂, …),   Tᵢ = Σ_p αᵢ_p Tᵢ_p,   dL/dW = Σ_p Σᵢ ∂L/∂Tᵢ αᵢ_p ∂Tᵢ_p/∂W + ∂rest/∂W

∂L/∂Tᵢ, a seed, is a number that is known before, but where the loss is no weighted sum of its terms (the root of a mean
square): there the terms are computed first. How the parts are put together stands in `joint`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ..compile import INTERPRETER, Program, compile
from ..compile import trials as side_by_side
from ..errors import BlocksError, made
from ..grad import grad
from ..graph import Graph, Node
from ..interpret import Run, bind, execute
from ..ops.elementwise import place_of_trials
from ..ops.leaves import make_input
from ..ops.shape import sum_
from .purposes import FINAL, LOSS, METRIC, WATCH, Purpose, forward_for, measured
from .terms import BATCH, Arrays
from .trials import Number, differing, each, inside, leading
from .vector import Vector

GRAD, VALUE, COUNT, TERM, SEED = "grad/", "value/", "count/", "term/", "seed/"
WHOLE, HEAVY = "whole", ("values", "gradient")  # HEAVY: what is compiled
Runs = Callable[[Mapping[str, Any]], Arrays]


class Shared(Protocol):
    """What shares ask of a model."""

    graph: Graph
    target: str
    checkpoint: Any
    trials: int | None
    seed: int
    dtype: np.dtype

    @property
    def weights(self) -> Vector:
        """Name → array."""

    def time(self) -> str:
        """The name of the time dimension."""


class Shares:
    """The graphs of one purpose for a part of an update.

    Attributes: model; whole, the graph that would run all at once, without its gradient; graphs:

        counts     what each term counts, ``count/<i>``, those of metrics too
        values     the terms of the loss, ``value/<i>``
        seeds      ∂L/∂Tᵢ, ``grad/term/<i>``
        gradient   all terms, final states, what is watched, and by every weight the gradient of Σᵢ ``seed/<i>`` Tᵢ
        rest       the loss of the joined terms, ``term/<i>``, and its gradient by weights that stand beside them
        metrics    the metrics of theirs

    They are of one trial; those of several run side by side. What is fed has its trials inside, as `bind` gives it,
    what comes out leads with them.

    Raises BlocksError, naming the node, for a loss whose terms cannot be put together from parts of a batch.
    """

    def __init__(self, model: Shared, purpose: Purpose):
        whole = forward_for(model.graph, purpose, model.time() if purpose.name == "windowed" else None)
        self.model, self.whole, frozen = model, whole, purpose.frozen
        self.known = {**whole.outputs, **whole.fed("input", "draw")}
        self.loss, self.metrics = measured(whole)
        for of in (self.loss, self.metrics):
            for node, join in zip(of.nodes, of.joins, strict=True):
                if join not in ("average", "add"):
                    raise BlocksError(
                        f"{made(node)} takes the batch away in one piece: means and sums are put together from parts; "
                        "train this model in one process, on one batch at a time"
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
        self.graphs = {WHOLE: whole, **{name: Graph(outputs) for name, outputs in graphs.items() if outputs}}
        slopes = self.graphs.get("seeds")
        self.fixed = slopes is None or not any(name.startswith(TERM) for name in slopes.inputs)
        self._made: dict[tuple[str, tuple[str, ...]], tuple[Graph, Runs | None]] = {}

    def several(self) -> None:
        """Raises BlocksError, naming the node, for a term that has no value over batches of several lengths."""
        for node in self.loss.nodes:
            if any(isinstance(d, str) for d in node.shape):
                raise BlocksError(
                    f"accumulate= adds up means and sums over batches; {made(node)} is neither: its size may differ "
                    "among them"
                )

    def _side(self, name: str, vary: tuple[str, ...] = ()) -> tuple[Graph, Runs | None]:
        """One of the graphs, with trials if the model has them, and the program that runs it, if it is compiled."""
        if (name, vary) not in self._made:
            graph, model = self.graphs[name], self.model
            graph = graph if model.trials is None else side_by_side(graph, vary)
            compiled = name in HEAVY and model.target != INTERPRETER
            program = compile(graph, target=model.target, checkpoint=model.checkpoint) if compiled else None
            self._made[name, vary] = graph, program
        return self._made[name, vary]

    def runs_on(self) -> str:
        """What computes the gradient: "native", "numpy" or "interpreter"."""
        made_ = [run for (name, _), (_, run) in self._made.items() if name == "gradient"]
        program = (made_ or [self._side("gradient")[1]])[0]
        return program.target if isinstance(program, Program) else INTERPRETER

    def prepare(self) -> None:
        """Compile now what would be at a first call. With trials it depends on what that call is fed."""
        for name in HEAVY if self.model.trials is None else ():
            program = self._side(name)[1] if name in self.graphs else None
            if isinstance(program, Program):
                program.prepare(self.model.dtype)

    def bind(self, feeds: Mapping[str, Any], step: Number) -> tuple[Arrays, Run]:
        """All that is fed for all rows in an update of that number, states that begin with a number and random numbers
        too, and the sizes."""
        graph, trials = self.whole, self.model.trials
        fed = {**self._weights(graph), **self._known(graph, feeds)}
        if trials is not None:
            vary = differing(graph, fed)
            fed, graph = inside(graph, fed, vary, trials), self._side(WHOLE, vary)[0]
        arrays, sizes = bind(graph, fed, (self.model.seed, step))
        return {name: a for name, a in arrays.items() if name not in graph.params}, sizes

    def run(self, name: str, feeds: Mapping[str, Any], sizes: Run) -> Arrays:
        """The outputs of one of the graphs, which takes of the feeds what it needs; none, where there is no such. What
        is no work is not compiled; it has the sizes that are given."""
        if name not in self.graphs:
            return {}
        graph = self.graphs[name]
        fed = {**self._weights(graph), **self._known(graph, feeds)}
        vary = () if self.model.trials is None else differing(graph, fed)
        side, program = self._side(name, vary)
        with np.errstate(all="ignore"):  # NaN and infinity are found by name, not by warning
            results = execute(side, fed, sizes) if program is None else program(fed)
        return results if self.model.trials is None else leading(results, side)

    def _weights(self, graph: Graph) -> Arrays:
        return {name: self.model.weights[name] for name in graph.fed("parameter")}

    @staticmethod
    def _known(graph: Graph, feeds: Mapping[str, Any]) -> Arrays:
        known = graph.fed("input", "draw")
        return {name: np.asarray(a) for name, a in feeds.items() if name in known}

    def _inside(self, name: str, terms: Arrays) -> Arrays:
        """What stands for terms in one of the graphs, as that takes it."""
        trials, graph = self.model.trials, self.graphs.get(name)
        if trials is None or graph is None:
            return terms
        return inside(graph, terms, tuple(n for n in graph.fed("input") if n in terms), trials)

    def seeds(self, values: Mapping[str, Any], feeds: Arrays, sizes: Run) -> Arrays:
        """``seed/<i>``, at the joined terms of the loss, ``value/<i>``, and what is fed that has no batch."""
        terms = self._inside("seeds", {TERM + n.removeprefix(VALUE): v for n, v in values.items()})
        return {SEED + n.removeprefix(GRAD + TERM): v for n, v in self.run("seeds", {**feeds, **terms}, sizes).items()}

    def gradient(self, feeds: Arrays, seeds: Arrays, portions: Mapping[str, Any], sizes: Run) -> Arrays:
        """What a part gives, of its portions of the terms."""
        own = {n: portion(portions[VALUE + n.removeprefix(SEED)], seed) for n, seed in seeds.items()}
        fed = self._inside("gradient", {n: np.asarray(seed, self.model.dtype) for n, seed in own.items()})
        return self.run("gradient", {**feeds, **fed}, sizes)

    def numbers(self, values: Mapping[str, Any], feeds: Mapping[str, Any], sizes: Run) -> Arrays:
        """The loss and the metrics, from all joined terms, and the gradient by weights that stand beside terms."""
        found: Arrays = {}
        for name, of, lead in (("rest", self.loss, ""), ("metrics", self.metrics, METRIC)):
            prefix = of.prefix + VALUE
            terms = {TERM + n.removeprefix(prefix): v for n, v in values.items() if n.startswith(prefix)}
            fed = {**feeds, **self._inside(name, terms)}
            found |= {lead + n: v for n, v in self.run(name, fed, sizes).items()}
        return found

    def portions(self, whole: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
        """How much a part weighs in each term, by the name of its value, from what all and the part count: α; with
        trials, in that of each."""
        found: dict[str, Any] = {}
        for of in (self.loss, self.metrics):
            for i, join in enumerate(of.joins):
                count = f"{of.prefix}{COUNT}{i}"
                share = 0.0 if not part else 1.0 if join == "add" else _share(part[count], whole[count])
                found[f"{of.prefix}{VALUE}{i}"] = share
        return found

    def rows(self, name: str, array: np.ndarray, first: int, end: int) -> np.ndarray:
        """Some rows of a feed or an output; all of one that has no batch."""
        node = self.known.get(name)
        if node is None or BATCH not in node.shape:
            return array
        axis = node.shape.index(BATCH) + array.ndim - len(node.shape)  # behind trials
        return array[(slice(None),) * axis + (slice(first, end),)]

    def has_rows(self, name: str) -> bool:
        """Whether a feed or an output has a batch."""
        return name in self.known and BATCH in self.known[name].shape

    def of_one(self, feeds: Arrays, trial: int | None) -> Arrays:
        """The feeds of one trial."""
        if trial is None:
            return feeds
        shapes = {name: self.known[name].shape for name in feeds}
        return {
            k: v.take(trial, place_of_trials(shapes[k])) if v.ndim > len(shapes[k]) else v for k, v in feeds.items()
        }

    def typed(self, name: str, value: np.ndarray) -> np.ndarray:
        """An output in its own type, of what came as floating-point numbers: what is watched may be whole numbers."""
        node = self.whole.outputs.get(name)
        return (
            value
            if node is None or node.dtype == "float"
            else value.astype({"int": np.int64, "bool": bool}[node.dtype])
        )

    def empty(self, name: str, sizes: Run, but: tuple[str, ...] = (), **more: tuple[int, ...]) -> Vector:
        """Zeros for the outputs of one of the graphs, but those whose names begin so, and for what more is named."""
        outputs = self.graphs[name].outputs if name in self.graphs else {}
        shapes = {n: sizes.shape(node.shape) for n, node in outputs.items() if not n.startswith(but)}
        return Vector({**shapes, **more}, self.model.dtype, self.model.trials)


def portion(share: Any, value: Any) -> Any:
    """A part's portion of a term; what counts nothing adds nothing, whatever it is."""
    if np.ndim(share):
        behind = np.reshape(share, np.shape(share) + (1,) * (np.ndim(value) - np.ndim(share)))
        return each(share, value * behind, np.zeros_like(value))
    return value * share if share else np.zeros_like(value)


def _share(part: Any, whole: Any) -> Any:
    if np.ndim(whole):
        return np.where(whole, part, 0.0) / np.where(whole, whole, 1.0)
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
