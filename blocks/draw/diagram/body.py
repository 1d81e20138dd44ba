"""The body of a loop as a graph of its own, as far as it is drawn."""

from __future__ import annotations

from ...graph import Graph, Node, stamped, subgraphs, substitute
from ...notation import root
from ...ops.leaves import make_parameter
from ...ops.loop import NEXT
from ...ops.random import make_draw
from .elements import Box


def body_of(box: Box) -> Graph:
    """What of the body of a loop is drawn: the next values of its states, and the outputs that anyone takes; its
    weights and draws are its own, but those that come in from outside."""
    body, states = subgraphs(box.node)["body"], box.node.attrs["states"]
    taken = {*box.outs, *(NEXT + state for state in states)}
    outputs = {name: node for name, node in body.outputs.items() if name in taken}
    fed = {str(node.name): node for node in body.order() if node.op.name == "input"}
    inside: dict[Node, Node] = {}
    for port, operand in zip(box.node.attrs["ports"], box.node.operands, strict=True):
        node, origin = fed.get(port), root(operand)
        if node is None or port in box.ins:
            continue
        with stamped(brick=node.brick):
            if node.role == "parameter" and origin.op.name == "parameter":
                inside[node] = make_parameter(port, node.shape, "zeros")
            elif node.role == "draw" and origin.op.name == "draw":
                law = {key: origin.attrs[key] for key in ("law", "of")}
                inside[node] = make_draw(port, **law, shape=node.shape, named=True)
    return Graph(substitute(outputs, inside))
