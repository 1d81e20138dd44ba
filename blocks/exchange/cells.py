"""The cells that a graph scans, taken out of its loops: so a model in a file has cells again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..cell import Cell
from ..graph import Graph, Node, rebuild, substitute, topological
from ..notation import root
from ..ops.leaves import make_input
from ..ops.loop import NEXT
from ..ops.masks import mask_op
from ..ops.random import make_draw


def cells_of(graph: Graph) -> Iterator[Cell]:
    """The cell of each loop, in order; a cell that is scanned twice comes twice. A loop without states has none."""
    for node in graph.order():
        if node.op.name == "loop" and node.attrs["states"]:
            yield cell_of(node)


def mask_of(loop: Node) -> str | None:
    """The port of a loop's mask."""
    wires = dict(zip(loop.attrs["ports"], loop.operands, strict=True))
    return next((p for p, wire in wires.items() if wire.op is mask_op and p in loop.attrs["sequences"]), None)


def cell_of(loop: Node, own: Callable[[str], str] = str) -> Cell:
    """The cell that a loop runs: its weights are weights again, its draws those of one step, and what a mask put around
    next values and outputs is gone. `own` says what weights are called in it."""
    body: Graph = loop.attrs["body"]
    wires = dict(zip(loop.attrs["ports"], loop.operands, strict=True))
    mask = mask_of(loop)
    states, stacked = loop.attrs["states"], loop.attrs["stacked"]
    unmasked = {k: _unmasked(n, mask) for k, n in body.outputs.items() if k in stacked or k.startswith(NEXT)}
    new: dict[Node, Node] = {}
    for port, node in body.fed("input").items():
        wire = wires[port]
        if node.role == "parameter" and wire.op.name == "parameter":
            new[node] = _called(wire, own)
        elif node.role == "draw" and wire.op.name == "draw":
            label = own(str(wire.name))
            called = label if label.endswith(f"/{port}") else port
            new[node] = make_draw(called, wire.attrs["law"], wire.attrs["of"], node.shape, wire.attrs["named"])
        elif port in states and _of_weights(wire):
            learnt = Graph({"": _unrepeated(wire)})
            weights = {w: _called(w, own) for w in learnt.fed("parameter").values()}
            new[node] = rebuild(node, first=substitute(learnt.outputs, weights)[""])
        elif port in states and node.first is not None:  # it was told to begin otherwise
            new[node] = make_input(port, node.shape, node.dtype, "state", node.attrs["default"])
    before = {own(str(new[n].name)).removesuffix(p) for p, n in body.fed("input").items() if n.role == "parameter"}
    scope = before.pop() if len(before) == 1 else ""

    def relabel(node: Node) -> dict[str, str]:
        return {"brick": scope + node.brick} if scope and node.brick else {}

    outputs = substitute(unmasked, new, relabel)
    ports = body.fed("input")
    pairs = {new.get(ports[s], ports[s]): outputs[NEXT + s] for s in states if s in ports}
    for s in (s for s in states if s not in ports):  # a state whose old value the cell does not use
        pairs[_state(s, wires[s], outputs[NEXT + s])] = outputs[NEXT + s]
    cell = Cell(states=pairs, outputs={k: outputs[k] for k in stacked})
    scopes = {n.rpartition("/")[0] for n in [*cell.params, *states, *cell.graph.draws]}
    first = min(scopes, key=len, default="")
    if first and all(n == first or n.startswith(f"{first}/") for n in scopes):
        cell.name = first
    return cell


def _called(weights: Node, own: Callable[[str], str]) -> Node:
    """Weights under another name; themselves, where it is none."""
    label = own(str(weights.name))
    return (
        weights if label == weights.name else rebuild(weights, name=label, brick=weights.brick and own(weights.brick))
    )


def _state(name: str, wire: Node, after: Node) -> Node:
    """A state with this wire before the first step, and this next value."""
    default = wire.attrs["default"] if wire.op.name == "input" else "zeros"
    node = make_input(name, after.shape, after.dtype, "state", default)
    return rebuild(node, first=_unrepeated(wire)) if _of_weights(wire) else node


def _unrepeated(wire: Node) -> Node:
    """What is repeated for each sequence."""
    return wire.operands[0] if wire.op.name == "broadcast" else wire


def _of_weights(wire: Node) -> bool:
    """Whether a wire is made of weights alone: what a state begins with, where that is learnt."""
    leaves = [n for n in topological([wire]) if not n.operands]
    return (
        wire.op.name != "input"
        and all(n.op.name in ("parameter", "constant") for n in leaves)
        and any(n.op.name == "parameter" for n in leaves)
    )


def _unmasked(node: Node, mask: str | None) -> Node:
    """A value of a step, without the choice that a mask makes."""
    chosen = mask is not None and node.op.name == "where" and root(node.operands[0]).name == mask
    return node.operands[1] if chosen else node
