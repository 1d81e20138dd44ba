"""The walk from a graph to a diagram: what each node becomes, and which wires it takes.

    a node of a brick            ─▶  one element for the brick
    a loop                       ─▶  a box, in which its body is drawn
    what is not drawn            ─▶  nothing: its users take their wire from where it takes its own
    any other node               ─▶  an element of its own

`diagram.cell` and `diagram.network` say, each for its figures, what is one brick, what is not drawn, and how an
element is labelled.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat

from ...graph import Graph, Node, show_shape
from ..text import Line
from .elements import Element, Link
from .signs import entry_marks


@dataclass
class Scope:
    """A graph that is walked."""

    graph: Graph
    home: dict[Node, str] = field(default_factory=dict)  # node → the element that its value comes from
    boxes: dict[Hashable, str] = field(default_factory=dict)  # brick → its element


class Builder(ABC):
    """Makes the elements of a diagram, and the links between them."""

    def __init__(self) -> None:
        self.elements: dict[str, Element] = {}

    def walk(self, scope: Scope) -> None:
        """Make the elements of a graph, operands first."""
        for node in scope.graph.order():
            name = scope.graph.name_of(node)
            brick = self.brick_of(scope, node)
            if node.op.kind == "loop":
                self.loop(scope, node, name)
            elif brick is not None:
                if brick not in scope.boxes:
                    scope.boxes[brick] = self.brick(scope, brick).key
                self.settle(scope, node, name, self.elements[scope.boxes[brick]], node.operands)
            elif self.passes(scope, node):
                if node.operands and node.operands[0] in scope.home:
                    self.carry(scope, node, name)
            else:
                self.settle(scope, node, name, *self.single(scope, node, name), entry_marks(node))

    def add(
        self, scope: Scope, kind: str, form: str, name: str, lines: Iterable[Line], node: Node, tooltip: str = ""
    ) -> Element:
        """A new element."""
        tip = tooltip or f"{name}: {node.op.formula}, {show_shape(node.shape)}"
        element = Element(self.key(kind), kind, form, name, tuple(lines), tip, [node], {name})
        self.elements[element.key] = element
        return element

    def settle(
        self, scope: Scope, node: Node, name: str, element: Element, wires: Sequence[Node], marks: Sequence[str] = ()
    ) -> None:
        """Note that a node's value comes from an element, and link the element to the wires it takes for it, with
        the marks of its entries."""
        scope.home[node] = element.key
        ways = zip(wires, marks or repeat(""), strict=False)
        links = [Link(scope.home.get(o, ""), o, mark) for o, mark in ways]
        links = [link for link in links if link.source not in ("", element.key)]
        for link in links:
            self.connect(element, link if len(links) > 1 else replace(link, mark=""))

    def carry(self, scope: Scope, node: Node, name: str) -> None:
        """Note that a node's value comes from where its operand's does."""
        scope.home[node] = scope.home[node.operands[0]]

    def connect(self, element: Element, link: Link) -> None:
        """One more wire into an element."""
        element.entries.append(link)

    @abstractmethod
    def key(self, kind: str) -> str:
        """The key of the next element."""

    @abstractmethod
    def brick_of(self, scope: Scope, node: Node) -> Hashable | None:
        """The brick, or its call, that a node is drawn as a part of."""

    @abstractmethod
    def passes(self, scope: Scope, node: Node) -> bool:
        """Whether a node is not drawn."""

    @abstractmethod
    def brick(self, scope: Scope, brick: Hashable) -> Element:
        """A new element for a brick."""

    @abstractmethod
    def single(self, scope: Scope, node: Node, name: str) -> tuple[Element, Sequence[Node]]:
        """The element of a node that stands by itself, and the wires that it is still to be linked to."""

    @abstractmethod
    def loop(self, scope: Scope, node: Node, name: str) -> None:
        """A loop; or a pick of what it gives."""
