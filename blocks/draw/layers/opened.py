"""A brick opened: the products with its weights, their sum, and the squashing."""

from __future__ import annotations

from ...errors import BlocksError, nearest
from ...graph import Graph, Node, substitute
from ...ops.leaves import make_input
from ..diagram.cell import diagram_of
from ..diagram.elements import calls
from ..layout.cell import layout
from ..scene import Scene
from ..typeset import Labels


def opened(graph: Graph, brick: str, labels: Labels | None = None) -> Scene:
    """The scene of what is inside of a brick of a graph. Raises BlocksError if it has no such brick."""
    inner = inside(graph, brick)
    return layout(diagram_of(inner, fold=False, labels=labels), title=f"the brick {brick}, opened", frame="open")


def inside(graph: Graph, brick: str) -> Graph:
    """The operations of the first call of a brick as a graph of their own; what it takes from elsewhere is
    an input."""
    ends = calls(graph)
    known = sorted({str(node.brick) for node in ends})
    if brick not in known:
        raise BlocksError(
            f"there is no brick {brick!r} to open{nearest(str(brick), known)}; there are {', '.join(known)}"
        )
    last = next(ends[node] for node in ends if node.brick == brick)
    members = {node for node in ends if ends[node] is last}
    outside: dict[Node, Node] = {}
    for node in graph.order():
        for o in node.operands if node in members else ():
            if o not in members and o.op.kind != "leaf":
                name = graph.name_of(o) if o not in ends else str(o.brick)
                outside.setdefault(o, make_input(name, o.shape, o.dtype, role="input"))
    return Graph(substitute({brick: last}, outside))
