"""The parts of a diagram: elements, the links between them, and what can be read off a graph about them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import takewhile

from ...graph import FED, Graph, Node, subgraphs
from ...ops.loop import NEXT
from ..text import Line
from ..typeset import Labels
from .signs import is_cell_of_operations


@dataclass
class Element:
    """One thing to draw; `kind` and `form` as in `scene.Shape`. `entries` are what it takes its values from; a pin, a
    place where a value goes into the frame of a loop or comes out of it, belongs to the box `frame`. `called` is what
    its author calls a value, where that stands on its wires. `within` is its label in a frame that says which cell
    inside the cell it belongs to, if that differs."""

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
    called: Line | None = None
    within: tuple[Line, ...] = ()

    @property
    def folded(self) -> bool:
        """Whether it stands for several operations: a brick, or a box of operations without weights."""
        return self.kind == "brick" or (self.kind == "operation" and self.form == "box")


@dataclass
class Link:
    """The value of `node`, from the element `source` to the one that has this entry. `mark` tells the entry from the
    others, where their order matters."""

    source: str
    node: Node
    mark: str = ""


@dataclass
class Box:
    """A loop, which is drawn as a frame around its body; `ins` and `outs` are its pins by port and by output. Weights
    of one brick that are states, and begin with what is not drawn, have one pin."""

    key: str
    name: str
    node: Node
    ins: dict[str, str] = field(default_factory=dict)
    outs: dict[str, str] = field(default_factory=dict)

    @property
    def groups(self) -> dict[str, str]:
        """State → what it is drawn as."""
        return grouped(s for s in self.node.attrs["states"] if s not in self.ins)


def grouped(states: Iterable[str]) -> dict[str, str]:
    """State → what it is drawn as: itself, or, of several weights of one brick, their brick."""
    names = list(states)
    stems = [name.rpartition(".")[0] for name in names]
    return {n: stem if stem and stems.count(stem) > 1 else n for n, stem in zip(names, stems, strict=True)}


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
    """Of any graph: elements by key, sources before targets, and its loops by key. `stepped`: it is one step of a cell,
    with states that come in and go out."""

    elements: dict[str, Element]
    boxes: dict[str, Box]
    stepped: bool = False

    def home(self, key: str) -> str:
        """What stands in a rank for an element: itself, or the box that it is a pin of."""
        return self.elements[key].frame or key


def common_scope(names: Iterable[str]) -> str:
    """What stands before all of some names, up to a slash: ``encoder/`` of encoder/layer1/h and encoder/layer2/h."""
    levels = zip(*(name.split("/")[:-1] for name in names), strict=False)
    return "".join(f"{level[0]}/" for level in takewhile(lambda level: len({*level}) == 1, levels))


def is_cell(graph: Graph) -> bool:
    """Whether a graph is one step of a cell: it has next values of states, and no loop."""
    return any(name.startswith(NEXT) for name in graph.outputs) and not any(subgraphs(n) for n in graph.order())


def calls(graph: Graph) -> dict[Node, Node]:
    """Node of a brick → the last node of that call of the brick. Two calls share weights and nothing else:
    a product with weights takes its wire from outside. What a gradient or an update does for a brick is no call; nor
    is the cell of operations alone that a graph is as a whole."""
    inside: dict[Node, Node] = {}
    last: dict[Node, Node] = {}
    made = [n for n in graph.order() if n.operands and n.role not in ("gradient", "update")]
    alone = len({n.brick for n in made}) == 1 and is_cell_of_operations(made)
    for node in made:
        if not node.brick or alone:
            continue
        matrix = f"{node.brick}.W"
        weighted = any(o.role == "parameter" and str(o.name).startswith(matrix) for o in node.operands)
        joined = [o for o in node.operands if o.brick == node.brick and o in inside and not weighted]
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


def values_named(graph: Graph, home: Mapping[Node, str], elements: Mapping[str, Element]) -> dict[str, Node]:
    """For each element whose value has a name that stands nowhere else in the figure (see `wires.named`), the node that
    has it. What goes out of the graph has the name of where it goes."""
    standing = {e.name for e in elements.values() if e.kind not in ("operation", "merge")}
    going_out = {home.get(node) for node in graph.outputs.values()}
    found: dict[str, Node] = {}
    for node in graph.order():
        key, given = home.get(node, ""), node.name and node.op.name not in FED and node.role != "gradient"
        if given and key and key not in going_out and node.name not in standing:
            found.setdefault(key, node)
    return found


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
            fits = element.kind == "operation" and element.nodes[-1].shape == shape
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
