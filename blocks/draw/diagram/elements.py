"""The parts of a diagram: elements, the links between them, and what can be read off a graph about them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import takewhile

from ...graph import Graph, Node, subgraphs
from ...ops.loop import NEXT
from ..text import Line
from ..typeset import Labels


@dataclass
class Element:
    """One thing to draw; `kind` and `form` as in `scene.Shape`. `entries` are what it takes its values from; `frame`
    is the frame that it stands in, if any."""

    key: str
    kind: str
    form: str
    name: str
    lines: tuple[Line, ...]
    tooltip: str
    nodes: list[Node] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    entries: list[Link] = field(default_factory=list)
    shared: bool = False
    frame: str = ""


@dataclass
class Link:
    """The value of `node`, from the element `source` to the one that has this entry. `mark` tells the entry from the
    others, where their order matters."""

    source: str
    node: Node
    mark: str = ""


@dataclass
class Box:
    """A frame around the body of a loop; `parent` is the frame that it stands in, if any."""

    key: str
    text: str
    parent: str


@dataclass
class Diagram:
    """Of a cell: elements by key, in an order in which sources stand before targets, the conveyors by state, and
    what its author calls things."""

    elements: dict[str, Element]
    conveyors: dict[str, list[str]]
    graph: Graph
    labels: Labels = field(default_factory=Labels)

    def users(self) -> dict[str, list[str]]:
        """For each element the keys of those that take its value, one for each entry."""
        found: dict[str, list[str]] = {key: [] for key in self.elements}
        for element in self.elements.values():
            for link in element.entries:
                found[link.source].append(element.key)
        return found


@dataclass
class Network:
    """Of any graph: elements by key, the frames of its loops, and all that was met on the way through it, in
    order: elements, links with their targets, and the ends of frames."""

    elements: dict[str, Element]
    frames: list[Box]
    met: list[Element | Box | tuple[Element, Link]]


def common_scope(names: Iterable[str]) -> str:
    """What stands before all of some names, up to a slash: ``encoder/`` of encoder/layer1/h and encoder/layer2/h."""
    levels = zip(*(name.split("/")[:-1] for name in names), strict=False)
    return "".join(f"{level[0]}/" for level in takewhile(lambda level: len({*level}) == 1, levels))


def is_cell(graph: Graph) -> bool:
    """Whether a graph is one step of a cell: it has next values of states, and no loop."""
    return any(name.startswith(NEXT) for name in graph.outputs) and not any(subgraphs(n) for n in graph.order())


def calls(graph: Graph) -> dict[Node, Node]:
    """Node of a brick → the last node of that call of the brick. Two calls share weights and nothing else:
    a product with weights takes its wire from outside."""
    inside: dict[Node, Node] = {}
    last: dict[Node, Node] = {}
    for node in graph.order():
        if not node.brick or not node.operands:
            continue
        matrix = f"{node.brick}.W"
        weighted = any(o.op.name == "parameter" and str(o.name).startswith(matrix) for o in node.operands)
        joined = [o for o in node.operands if o.brick == node.brick and o.operands and not weighted]
        roots = [_root(inside, o) for o in joined]
        inside[node] = node
        for root in roots:
            inside[root] = node
        last[node] = node
    return {node: _root(inside, node) for node in last}


def _root(inside: dict[Node, Node], node: Node) -> Node:
    while inside[node] is not node:
        node = inside[node]
    return node


def size(weights: Node) -> int:
    """How many numbers some weights have."""
    return math.prod(int(d) for d in weights.shape if not isinstance(d, str))


def owners(graph: Graph) -> dict[Node, str]:
    """Weights → the brick that they belong to: the one that made them, or whose name they have."""
    owners = {node: str(node.brick) for node in graph.order() if node.op.name == "parameter" and node.brick}
    for user in graph.order():
        for o in user.operands:
            if o.op.name == "parameter" and user.brick and str(o.name).startswith(f"{user.brick}."):
                owners.setdefault(o, user.brick)
    return owners


def conveyors(elements: dict[str, Element]) -> dict[str, list[str]]:
    """For each state that has one, the way from its old value to its new one through operations: the one
    with the fewest squashings, then the shortest. Two states share no element, so the better way is first."""
    found: dict[str, tuple[int, list[str]]] = {}
    for start in elements.values():
        if start.kind != "state":
            continue
        best: dict[str, tuple[int, list[str]]] = {start.key: (0, [start.key])}
        shape = start.nodes[0].shape
        for element in elements.values():
            fits = element.kind == "operation" and element.nodes[0].shape == shape
            if not fits and not (element.kind == "next" and element.name == start.name):
                continue
            ways = [best[link.source] for link in element.entries if link.source in best]
            if ways:
                cost, way = min(ways, key=lambda w: w[0])
                squashing = element.kind == "operation" and len(element.nodes[0].operands) == 1
                best[element.key] = (cost + 1 + 10 * squashing, [*way, element.key])
                if element.kind == "next":
                    found[start.name] = best[element.key]
    taken: set[str] = set()
    chosen: dict[str, list[str]] = {}
    for state, (_, way) in sorted(found.items(), key=lambda item: item[1][0]):
        if not taken & set(way):
            chosen[state] = way
            taken |= set(way)
    return {e.name: chosen[e.name] for e in elements.values() if e.kind == "state" and e.name in chosen}
