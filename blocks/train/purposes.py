"""The graphs that a model runs: one for each purpose, all made from the graph of its loss and outputs.

    predict             the outputs
    loss                the loss as it is: what data must fit
    train               the loss, its terms, and the gradient by every weight
    windowed            the same, with one more input, weights for the steps
    evaluate            the terms of the loss (see `terms`)
    evaluate in chunks  the same, for sequences that come in chunks of steps
    advance             final states alone

Those that can be carried over give final states too, as ``final/<state>``.
"""

from __future__ import annotations

from ..errors import BlocksError
from ..grad import grad
from ..graph import Graph, Node, apply
from ..ops.masks import weighted_mean
from .terms import Terms
from .truncated import carried_states, counted

LOSS, FINAL = "loss", "final/"


def graph_for(model: Graph, purpose: str, time: str | None = None) -> Graph:
    """The graph of one purpose; `time` is the dimension of steps, where the purpose needs one.

    Raises BlocksError for a model that has no loss, or no outputs, and for a loss that cannot be cut.
    """
    if purpose == "predict":
        outputs = {name: node for name, node in model.outputs.items() if name != LOSS}
        if not outputs:
            raise BlocksError("this model has no outputs to predict; name some: Model(loss=..., outputs={'y': y})")
        return with_finals(Graph(outputs))
    loss = lenient(loss_of(model))
    whole = Graph({LOSS: loss})
    if purpose == "loss":
        return whole
    if purpose == "advance":
        return Graph({k: v for k, v in with_finals(whole).outputs.items() if k != LOSS})
    if purpose == "windowed":
        whole = counted(whole, str(time))
    if purpose in ("train", "windowed"):
        return _gradients(with_finals(Graph({**whole.outputs, **Terms(whole.outputs[LOSS]).pieces})))
    pieces = Terms(loss, time if purpose == "evaluate in chunks" else None).pieces
    finals = {k: v for k, v in with_finals(whole).outputs.items() if k != LOSS}
    return Graph({**pieces, **finals} or whole.outputs)


def loss_of(model: Graph) -> Node:
    """The wire of the loss. Raises BlocksError if there is none."""
    if LOSS not in model.outputs:
        raise BlocksError("this model has no loss; give one: Model(loss=..., outputs=...)")
    return model.outputs[LOSS]


def lenient(loss: Node) -> Node:
    """The loss, with means over nothing that are 0, where a batch's mask admits nothing, instead of an error."""
    means = [n for n in Graph({LOSS: loss}).order() if n.op is weighted_mean and n.attrs.get("empty") is None]
    for node in reversed(means):  # the last first: one may stand in the operands of another
        loss = Graph({LOSS: loss}).substitute({node: apply(weighted_mean, *node.operands, empty=0.0)}).outputs[LOSS]
    return loss


def with_finals(graph: Graph) -> Graph:
    """The graph, with the final states that can be carried over; as it is, where none can."""
    try:
        finals = carried_states(graph)
    except BlocksError:
        return graph
    return Graph({**graph.outputs, **{FINAL + k: v for k, v in finals.items()}})


def _gradients(graph: Graph) -> Graph:
    """The gradient of the loss by every weight that it depends on."""
    return grad(graph, of=LOSS, wrt=list(Graph({LOSS: graph.outputs[LOSS]}).params))
