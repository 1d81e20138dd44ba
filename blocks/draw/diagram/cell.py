"""What a cell's figure shows, before anything has a place: elements and the links between them.

    graph of a cell ──▶ elements: bricks, operations, inputs, states, outputs, merges
                        links: which value goes where
                        conveyors: the ways of states from old to new through operations without weights

The operations of a brick are one element for each call, an operation as well where they take no weights; steps
that only change a type or a layout are left out; a number is written into its operation (``1−``). Wires that go to
several bricks together are merged once, into a bus.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence

from ...equations import equations
from ...graph import Graph, Node, show_shape
from ...notation import is_silent, numeral
from ...ops.loop import NEXT
from ..text import Run, clip, line
from ..typeset import Labels, beside, formula_line, name_line, name_lines, value_at
from .backwards import flows
from .build import Builder, Scope
from .elements import Diagram, Element, Link, calls, common_scope, conveyors, owners, size, values_named
from .levels import alone
from .merges import merge, ordered
from .signs import (
    draw_lines,
    is_cell_of_operations,
    label,
    one_number,
    scalar,
    symbol,
    symbol_of_brick,
    takes_weights,
)
from .slopes import brick_lines, gradient_label


def diagram_of(
    graph: Graph,
    counts: bool = False,
    fold: bool = True,
    gradient: bool = False,
    change: Callable[[dict[str, Element]], dict[str, Element]] | None = None,
    labels: Labels | None = None,
    within: bool = True,
) -> Diagram:
    """The diagram of a cell's one-step graph.

    counts: write into each brick how many weights it has. fold: one element for each brick; else one for each
    operation and each of the weights. gradient: label everything as the gradient is, ``∂h``, ``⊙ (1 − y²)``. change:
    what is done to the elements before their wires are merged; `groups.fold` for one. labels: what things are called.
    within: call what is in a layer by its name there, where a frame says which layer that is.
    """
    labels = labels or Labels()
    builder = _CellBuilder(graph, counts, fold, gradient, labels)
    scope = Scope(graph)
    builder.walk(scope)
    builder.ends(scope)
    for key, node in values_named(graph, scope.home, builder.elements).items():
        builder.elements[key].called = beside(builder.short(str(node.name)), "t")
    if change:
        builder.elements = change(builder.elements)
    merge(builder.elements, lambda entries: builder.bar(scope, entries))
    elements = ordered(builder.elements)
    for key in alone(elements) if within else ():
        elements[key].lines = elements[key].within or elements[key].lines
    return Diagram(elements, conveyors(elements), graph, labels)


class _CellBuilder(Builder):
    def __init__(self, graph: Graph, counts: bool, fold: bool, gradient: bool, labels: Labels):
        super().__init__()
        self.counts, self.fold, self.gradient, self.labels = counts, fold, gradient, labels
        self.mark = "∂" if gradient else ""
        self.reached = flows(graph)[0] if gradient else set[Node]()
        self.made: Counter[str] = Counter()
        self.calls = calls(graph) if fold else {}
        self.owner = owners(graph)
        self.operations: dict[tuple[object, ...], str] = {}  # what is computed twice is drawn once
        called = {(last.brick, last) for last in self.calls.values()}
        self.uses = Counter(brick for brick, _ in called)
        self.formulas = {text.split(" = ", 1)[0]: text for text in equations(graph)}
        self.prefix = common_scope(n.brick for n in graph.order() if n.brick)

    def key(self, kind: str) -> str:
        self.made[kind] += 1
        return f"{kind}{self.made[kind]}"

    def short(self, name: str) -> str:
        return self.labels(name, clip(name.removeprefix(self.prefix)))

    def inner(self, name: str) -> str:
        """The name of a brick, or of a draw, in its own cell."""
        return self.labels(name, clip(name.rpartition("/")[2]))

    def brick_of(self, scope: Scope, node: Node) -> Hashable | None:
        return self.calls.get(node)

    def passes(self, scope: Scope, node: Node) -> bool:
        if node.op.name == "parameter":  # the box of its brick says it, where there is one
            return self.fold and self.owner.get(node) in self.uses
        return (node.op.name == "constant" and node.shape == ()) or (is_silent(node.op) and bool(node.operands))

    def loop(self, scope: Scope, node: Node, name: str) -> None:
        raise AssertionError("one step of a cell has no loop")

    def settle(
        self, scope: Scope, node: Node, name: str, element: Element, wires: Sequence[Node], marks: Sequence[str] = ()
    ) -> None:
        super().settle(scope, node, name, element, wires, marks)
        element.names.add(name)
        if node not in element.nodes or element.kind == "brick":
            element.nodes.append(node)

    def carry(self, scope: Scope, node: Node, name: str) -> None:
        super().carry(scope, node, name)
        self.elements[scope.home[node]].names.add(name)

    def brick(self, scope: Scope, brick: Hashable) -> Element:
        assert isinstance(brick, Node)  # the last node of its call
        name = str(brick.brick)
        weights = [node for node, owner in self.owner.items() if owner == name]
        number = sum(map(size, weights))
        parts = [node for node, last in self.calls.items() if last is brick]
        if is_cell_of_operations(parts):
            lines, names = [], [name_lines(text, 13, self.mark) for text in (self.short(name), self.inner(name))]
        else:
            lines = brick_lines(brick, parts) if self.gradient else [formula_line(symbol_of_brick(brick), 13)]
            names = [name_lines(text, 9) for text in (self.short(name), self.inner(name))]
        below = [line(f"{number:,} weights", 9)] * self.counts
        tooltip = f"{self.formulas.get(name, name)}; {show_shape(brick.shape)}; {number:,} weights"
        kind = "brick" if weights or takes_weights(parts) else "operation"
        element = self.add(scope, kind, "box", name, (*lines, *names[0], *below), brick, tooltip)
        element.within = (*lines, *names[1], *below)
        element.shared = self.uses[name] > 1 and bool(weights)
        element.nodes = [*weights]
        element.names |= {scope.graph.name_of(w) for w in weights}
        return element

    def single(self, scope: Scope, node: Node, name: str) -> tuple[Element, Sequence[Node]]:
        if node.op.name == "input":
            state = node.role == "state"
            text = value_at(self.short(name), "t−1" if state else "t", 14, self.mark)
            kind = "state" if state and self.fold else "input"
            return self.add(scope, kind, "text", name, (text,), node, _tip(name, node)), ()
        if node.op.name == "parameter":
            text = name_line(self.short(name), 10, self.mark)
            return self.add(scope, "parameter", "box", name, (text,), node, _tip(name, node)), ()
        if node.op.name == "draw":
            drawn = self.add(scope, "draw", "box", name, draw_lines(self.short(name), node), node, _tip(name, node))
            drawn.within = draw_lines(self.inner(name), node)
            return drawn, ()
        if node.op.name == "constant":
            text = line(f"constant {show_shape(node.shape)}", 9)
            return self.add(scope, "constant", "text", name, (text,), node), ()
        taken = [scope.home[o] if o in scope.home else scalar(o) for o in node.operands]
        same = (node.op.name, *taken)
        plain = not node.attrs and None not in taken
        if plain and same in self.operations:
            return self.elements[self.operations[same]], ()
        element = self.operation(scope, node, name)
        self.operations[same] = element.key
        return element, node.operands

    def operation(self, scope: Scope, node: Node, name: str) -> Element:
        form, text = label(symbol(node, one_number(node)))
        if node in self.reached:
            form, text = gradient_label(node)
        values = [self.elements[scope.home[o]].name if o in scope.home else scalar(o) for o in node.operands]
        wires = [v if isinstance(v, str) else numeral(f"{v:g}").plain for v in values if v is not None]
        tip = f"{name}: {node.op.formula} of {', '.join(wires)}; {show_shape(node.shape)}"
        return self.add(scope, "operation", form, name, (text,), node, tip)

    def ends(self, scope: Scope) -> None:
        """An element for the next value of each state, and for each output."""
        outputs = scope.graph.outputs
        after = {outputs[n]: n.removeprefix(NEXT) for n in outputs if n.startswith(NEXT)}
        for name, node in outputs.items():
            source = scope.home.get(node)
            if source is None:  # the output is a number of its own
                value = scalar(node)
                said = line(node.op.name, 9) if value is None else formula_line(numeral(f"{value:g}"), 9)
                source = self.add(scope, "constant", "text", name, (said,), node).key
                scope.home[node] = source
            state = name.removeprefix(NEXT) if name.startswith(NEXT) else None
            shown = state or (name if self.gradient else after.get(node, name))
            text = value_at(self.short(shown), "t", 14, self.mark)
            if self.gradient and state is None and f"{NEXT}{name}" in outputs:
                text = text._replace(runs=(*text.runs, Run(", out", sub=True)))
            tip = f"{name}: {show_shape(node.shape)}"
            kind = "output" if state is None else "next"
            element = self.add(scope, kind, "text", shown, (text,), node, tip)
            element.names |= {name, shown, after.get(node, name)}
            element.entries = [Link(source, node)]
            self.elements[source].names |= {name, shown} if self.elements[source].kind == "operation" else set()

    def bar(self, scope: Scope, entries: list[Link]) -> Element:
        """A merge of some wires."""
        both = " and ".join(dict.fromkeys(self.elements[link.source].name for link in entries))
        bar = self.add(scope, "merge", "ring", both, (), entries[0].node, f"{both}, side by side")
        bar.names, bar.entries = set(), entries
        return bar


def _tip(name: str, node: Node) -> str:
    return f"{name}: {node.role}, {show_shape(node.shape)}"
