"""The graphs that a model runs: one for each purpose, all made from the graph of its loss and outputs.

    predict             the outputs
    loss                the loss as it is, with what is measured: what data to evaluate must fit
    data                and with what is watched: what data to train with must fit
    train               the loss, its terms, and the gradient by every weight
    windowed            as train, with one more input, weights for the steps
    evaluate            the terms of the loss (see `terms`)
    evaluate in chunks  the same, for sequences that come in chunks of steps
    advance             final states alone

Those that can be carried over give final states too, as ``final/<state>``; metrics are ``metric/<name>``, and their
terms begin with ``metrics/``; wires that are watched are ``watch/<name>``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from ..errors import BlocksError, WiringError, made
from ..grad import grad
from ..graph import Graph, Node, apply, substitute, topological
from ..ops.masks import weighted_mean
from .terms import Terms
from .truncated import WINDOW, carried_states, counted

LOSS, FINAL, METRIC, METRICS, WATCH = "loss", "final/", "metric/", "metrics/", "watch/"
TRAINING = ("train", "windowed")
V = TypeVar("V")
Wires = tuple[tuple[str, Node], ...]


@dataclass(frozen=True)
class Purpose:
    """What a graph is for: its name, as above; what is measured along and what is watched, each a name and a wire; the
    weights that stay as they are, by which no gradient is taken."""

    name: str
    metrics: Wires = ()
    watch: Wires = ()
    frozen: tuple[str, ...] = ()

    def called(self, name: str) -> Purpose:
        """The same for another purpose: nothing but training watches or freezes."""
        watch = self.watch if name in (*TRAINING, "data") else ()
        return Purpose(name, self.metrics, watch, self.frozen if name in TRAINING else ())


def graph_for(model: Graph, purpose: Purpose, time: str | None = None) -> Graph:
    """The graph of one purpose; `time` is the dimension of steps, where the purpose needs one.

    Raises BlocksError for a model that has no loss, or no outputs, and for a loss that cannot be cut.
    """
    if purpose.name == "predict":
        outputs = {name: node for name, node in model.outputs.items() if name != LOSS}
        if not outputs:
            raise BlocksError("this model has no outputs to predict; name some: Model(loss=..., outputs={'y': y})")
        return with_finals(Graph(outputs))
    if purpose.name == "advance":
        alone = with_finals(Graph({LOSS: lenient({LOSS: loss_of(model)})[LOSS]}))
        return Graph({k: v for k, v in alone.outputs.items() if k != LOSS})
    if purpose.name in ("train", "windowed"):
        return _gradients(forward_for(model, purpose, time), purpose.frozen)
    whole = Graph(lenient({LOSS: loss_of(model), **along(model, purpose)}))
    if purpose.name in ("loss", "data"):
        return whole
    terms = measured(whole, time if purpose.name == "evaluate in chunks" else None)
    pieces = {name: node for of in terms for name, node in of.pieces.items()}
    finals = {k: v for k, v in with_finals(whole).outputs.items() if k.startswith(FINAL)}
    return Graph({**pieces, **finals} or whole.outputs)


def forward_for(model: Graph, purpose: Purpose, time: str | None = None) -> Graph:
    """What "train" or "windowed" runs but for the gradient."""
    whole = Graph({LOSS: loss_of(model), **along(model, purpose)})
    whole = Graph(lenient((_windowed(whole, str(time)) if purpose.name == "windowed" else whole).outputs))
    pieces = {name: node for of in measured(whole) for name, node in of.pieces.items()}
    return with_finals(Graph({**whole.outputs, **pieces}))


def measured(graph: Graph, time: str | None = None) -> tuple[Terms, Terms]:
    """The terms of the loss, and those of the metrics, of a graph that has them."""
    metrics = {k.removeprefix(METRIC): node for k, node in graph.outputs.items() if k.startswith(METRIC)}
    return Terms({LOSS: graph.outputs[LOSS]}, time), Terms(metrics, time, METRICS)


def along(model: Graph, purpose: Purpose) -> dict[str, Node]:
    """What is measured and watched, over the inputs and weights of a model: those of the same name, shape and type are
    the same, also where the wire was made of others (before the model was saved, say).

    Raises WiringError for a metric that is no single number, and for weights that the model does not have.
    """
    for name, node in purpose.metrics:
        if name == LOSS:
            raise WiringError(f"a metric cannot be called {LOSS!r}; that is the loss", "metrics")
        if not isinstance(node, Node) or node.shape != () or node.dtype != "float":
            got = made(node) if isinstance(node, Node) else type(node).__name__
            raise WiringError(f"the metric {name!r} is one number, not {got}; take the mean", "metrics")
    wires = {METRIC + name: node for name, node in purpose.metrics} | {
        WATCH + name: node for name, node in purpose.watch
    }
    known = model.fed("input", "parameter")
    same: dict[Node, Node] = {}
    for node in topological(wires.values()):
        mine = known.get(node.name) if node.op.name in ("input", "parameter") else None
        if mine is not None and (mine.op, mine.shape, mine.dtype) == (node.op, node.shape, node.dtype):
            same[node] = mine
        elif node.op.name == "parameter":
            raise WiringError(
                f"{made(node)} is no weight of the model: what is measured has none of its own", "metrics"
            )
    return substitute(wires, same)


def loss_of(model: Graph) -> Node:
    """The wire of the loss. Raises BlocksError if there is none."""
    if LOSS not in model.outputs:
        raise BlocksError("this model has no loss; give one: Model(loss=..., outputs=...)")
    return model.outputs[LOSS]


def lenient(outputs: Mapping[str, Node]) -> dict[str, Node]:
    """Numbers, with means over nothing that are 0, where a batch's mask admits nothing, instead of an error."""
    means = [n for n in topological(outputs.values()) if n.op is weighted_mean and n.attrs.get("empty") is None]
    changed: dict[Node, Node] = {}
    for node in means:  # operands before their users
        operands = substitute({str(i): o for i, o in enumerate(node.operands)}, changed)
        changed[node] = apply(weighted_mean, *operands.values(), empty=0.0)
    return substitute(outputs, changed)


def with_finals(graph: Graph) -> Graph:
    """The graph, with the final states that can be carried over; as it is, where none can."""
    try:
        finals = carried_states(graph)
    except BlocksError:
        return graph
    return Graph({**graph.outputs, **{FINAL + k: v for k, v in finals.items()}})


def within(results: Mapping[str, V], prefix: str) -> dict[str, V]:
    """The results behind a prefix."""
    return {name.removeprefix(prefix): value for name, value in results.items() if name.startswith(prefix)}


def _windowed(graph: Graph, time: str) -> Graph:
    """The graph with weights for its steps. Raises BlocksError for a metric that does not heed them."""
    new = counted(graph, time)
    for name, node in new.outputs.items():
        of_it = Graph({name: node})
        if name.startswith(METRIC) and WINDOW not in of_it.fed("input") and any(time in n.shape for n in of_it.order()):
            raise BlocksError(
                f"with k2 > k1 only the last k1 steps count, so {name.replace('/', ' ')} must come from "
                "blocks.metrics or blocks.losses, over time"
            )
    return new


def _gradients(graph: Graph, frozen: tuple[str, ...]) -> Graph:
    """The gradient of the loss by every weight that it depends on, but the frozen ones."""
    return grad(graph, of=LOSS, wrt=[n for n in Graph({LOSS: graph.outputs[LOSS]}).params if n not in frozen])
