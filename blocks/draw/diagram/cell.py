"""What a cell's figure shows, before anything has a place: elements and the links between them.

    graph of a cell ──▶ elements: bricks, operations, inputs, states, outputs, merges
                        links: which value goes where
                        conveyors: the ways of states from old to new through operations without weights

The operations of a brick are one element for each call; steps that only change a type or a layout are left
out; a number is written into its operation (``1−``). Wires that go to several bricks together are merged
once, into a bus.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from ...equations import equations
from ...errors import BlocksError
from ...graph import Graph, Node, show_shape
from ...ops.loop import NEXT
from ..text import Line, Run, clip, line, value_at
from .elements import INFIX, SILENT, SYMBOLS, Diagram, Element, Link, calls, conveyors, owners

MOST_ENTRIES = 3  # a shape has four sides, and one of them is its exit


def diagram_of(
    graph: Graph,
    counts: bool = False,
    fold: bool = True,
    mark: str = "",
    change: Callable[[dict[str, Element]], dict[str, Element]] | None = None,
) -> Diagram:
    """The diagram of a cell's one-step graph.

    counts: write into each brick how many weights it has. fold: one element for each brick; else one for each
    operation and each of the weights. mark: what stands before the names of values and bricks, ``∂``. change:
    what is done to the elements before their wires are merged; `groups.fold` for one.
    """
    builder = _Builder(graph, counts, fold, mark)
    builder.nodes()
    builder.ends()
    if change:
        builder.elements = change(builder.elements)
    builder.merge()
    elements = {e.key: e for e in builder.ordered()}
    return Diagram(elements, conveyors(elements), graph)


class _Builder:
    def __init__(self, graph: Graph, counts: bool, fold: bool, mark: str):
        self.graph, self.counts, self.fold, self.mark = graph, counts, fold, mark
        self.elements: dict[str, Element] = {}
        self.home: dict[Node, str] = {}  # node → key of the element its value comes from
        self.calls = calls(graph) if fold else {}
        self.owner = owners(graph)
        self.formulas = {text.split(" = ", 1)[0]: text for text in equations(graph)}
        prefixes = {str(n.brick).rpartition("/")[0] for n in graph.order() if n.brick}
        self.prefix = prefixes.pop() + "/" if len(prefixes) == 1 and prefixes != {""} else ""

    def short(self, name: str) -> str:
        return clip(name.removeprefix(self.prefix))

    def add(self, kind: str, form: str, name: str, lines: Iterable[Line], node: Node, tooltip: str = "") -> Element:
        key = f"{kind}{sum(e.kind == kind for e in self.elements.values()) + 1}"
        tip = tooltip or f"{name}: {node.op.formula}, {show_shape(node.shape)}"
        element = Element(key, kind, form, name, tuple(lines), tip, [node], {name})
        self.elements[key] = element
        return element

    def nodes(self) -> None:
        """An element for each brick call, operation, input, free parameter and array constant."""
        operations: dict[tuple[object, ...], str] = {}
        called: dict[Node, str] = {}
        uses = {b: len({c for c in self.calls.values() if c.brick == b}) for b in {n.brick for n in self.calls}}
        for node in self.graph.order():
            name = self.graph.name_of(node)
            if node in self.calls:
                last = self.calls[node]
                if last not in called:
                    called[last] = self.brick(last, uses[last.brick] > 1).key
                element = self.elements[called[last]]
                element.nodes.append(node)
                self.connect(element, [o for o in node.operands if self.calls.get(o) is not last])
            elif node.op.name == "input":
                state = node.role == "state"
                text = value_at(self.short(name), "t−1" if state else "t", 14, self.mark)
                kind = "state" if state and self.fold else "input"
                element = self.add(kind, "text", name, (text,), node, _tip(name, node))
            elif node.op.name == "parameter":
                if node in self.owner and self.fold:
                    continue
                element = self.add("parameter", "box", name, (line(self.short(name), 10),), node, _tip(name, node))
            elif node.op.name == "constant":
                if node.shape == ():
                    continue
                shape = show_shape(node.shape)
                element = self.add("constant", "text", name, (line(f"constant {shape}", 9),), node)
            elif node.op.name in SILENT and node.operands:
                if node.operands[0] in self.home:
                    self.home[node] = self.home[node.operands[0]]
                    self.elements[self.home[node]].names.add(name)
                continue
            else:
                wires = [o for o in node.operands if o in self.home]
                key = (node.op.name, _number(node), tuple(self.home[o] for o in wires))
                plain = not node.attrs and len(wires) + (_number(node) is not None) == len(node.operands)
                if plain and key in operations:
                    element = self.elements[operations[key]]
                    element.nodes.append(node)
                else:
                    element = self.operation(node, name)
                    operations[key] = element.key
                    self.connect(element, wires)
            element.names.add(name)
            self.home[node] = element.key

    def connect(self, element: Element, wires: Iterable[Node]) -> None:
        element.entries += [Link(self.home[o], o) for o in wires if o in self.home]

    def brick(self, last: Node, shared: bool) -> Element:
        brick = str(last.brick)
        symbol = SYMBOLS.get(last.op.name, last.op.name)
        lines = [line(symbol, 13), line(self.mark + self.short(brick), 9)]
        weights = [node for node, owner in self.owner.items() if owner == brick]
        number = sum(math.prod(int(d) for d in w.shape if not isinstance(d, str)) for w in weights)
        if self.counts:
            lines.append(line(f"{number:,} weights", 8))
        formula = self.formulas.get(brick, brick)
        tooltip = f"{formula}; {show_shape(last.shape)}; {number:,} weights"
        element = self.add("brick", "box", brick, lines, last, tooltip)
        element.shared = shared
        element.nodes = [*weights]
        element.names |= {self.graph.name_of(w) for w in weights}
        return element

    def operation(self, node: Node, name: str) -> Element:
        symbol, number = SYMBOLS.get(node.op.name, node.op.name), _number(node)
        if number is not None:
            first = _scalar(node.operands[0]) is not None
            value, sign = f"{number:g}".replace("-", "−"), INFIX.get(node.op.name)
            symbol = f"{symbol} {value}" if sign is None else f"{value}{sign}" if first else f"{sign}{value}"
        form = "circle" if len(symbol) <= 2 else "pill"
        text = Line((Run(clip(symbol, 16)),), 16 if len(symbol) == 1 else 11)
        values = [(self.elements[self.home[o]].name if o in self.home else _scalar(o)) for o in node.operands]
        wires = [v if isinstance(v, str) else f"{v:g}" for v in values if v is not None]
        tip = f"{name}: {node.op.formula} of {', '.join(wires)}; {show_shape(node.shape)}"
        return self.add("operation", form, name, (text,), node, tip)

    def ends(self) -> None:
        """An element for the next value of each state, and for each output."""
        after = {self.graph.outputs[n]: n.removeprefix(NEXT) for n in self.graph.outputs if n.startswith(NEXT)}
        for name, node in self.graph.outputs.items():
            source = self.home.get(node)
            if source is None:  # the output is a number of its own
                value = _scalar(node)
                said = node.op.name if value is None else f"{value:g}"
                element = self.add("constant", "text", name, (line(said, 9),), node)
                source = self.home[node] = element.key
            state = name.removeprefix(NEXT) if name.startswith(NEXT) else None
            shown = state or after.get(node, name)
            text = value_at(self.short(shown), "t", 14, self.mark)
            tip = f"{name}: {show_shape(node.shape)}"
            element = self.add("output" if state is None else "next", "text", shown, (text,), node, tip)
            element.names |= {name, shown}
            element.entries = [Link(source, node)]
            self.elements[source].names |= {name, shown} if self.elements[source].kind == "operation" else set()

    def merge(self) -> None:
        """Put a merge before each set of wires that go to bricks together, the most useful set first."""
        for element in self.elements.values():
            if element.kind == "brick":
                element.entries = list({link.source: link for link in reversed(element.entries)}.values())[::-1]
        while True:
            loose = {
                e.key: frozenset(link.source for link in e.entries)
                for e in self.elements.values()
                if (e.kind == "brick" or len(e.entries) > MOST_ENTRIES)
                and len({link.source for link in e.entries}) > 1
                and e.kind != "merge"
            }
            sets = sorted({a & b for a in loose.values() for b in loose.values() if len(a & b) > 1}, key=sorted)
            if not sets:
                break
            gain = {s: (len(s) - 1) * sum(s <= wires for wires in loose.values()) for s in sets}
            self.merge_one(max(sets, key=lambda s: (gain[s], -len(s))), loose)
        for element in list(self.elements.values()):  # a bar, too, has few sides
            while element.kind == "merge" and len(element.entries) > MOST_ENTRIES:
                bar = self.bar(element.entries[:MOST_ENTRIES])
                element.entries = [Link(bar.key, element.entries[0].node), *element.entries[MOST_ENTRIES:]]
        for element in list(self.elements.values()):
            if element.kind != "merge" and len(element.entries) > MOST_ENTRIES:
                bar = self.bar(element.entries[1:])
                element.entries = [element.entries[0], Link(bar.key, element.entries[1].node)]

    def merge_one(self, sources: frozenset[str], loose: dict[str, frozenset[str]]) -> None:
        users = [self.elements[key] for key, wires in loose.items() if sources <= wires]
        first: dict[str, Link] = {}
        for link in users[0].entries:
            if link.source in sources:
                first.setdefault(link.source, link)
        bar = self.bar(list(first.values()))
        for element in users:
            rest = [link for link in element.entries if link.source not in sources]
            element.entries = [Link(bar.key, bar.nodes[0]), *rest]

    def bar(self, entries: list[Link]) -> Element:
        names = [self.elements[link.source].name for link in entries]
        both = " and ".join(dict.fromkeys(names))
        bar = self.add("merge", "ring", both, (), entries[0].node, f"{both}, side by side")
        bar.names, bar.entries = set(), entries
        return bar

    def ordered(self) -> list[Element]:
        """Sources before targets; else in the order in which they were made."""
        waiting = {key: {link.source for link in e.entries} for key, e in self.elements.items()}
        users: dict[str, list[str]] = {key: [] for key in self.elements}
        for key, sources in waiting.items():
            for source in sources:
                users[source].append(key)
        rank = {key: i for i, key in enumerate(self.elements)}
        ready = sorted((k for k, sources in waiting.items() if not sources), key=rank.__getitem__)
        out: list[Element] = []
        while ready:
            key = ready.pop(0)
            out.append(self.elements[key])
            for user in users[key]:
                waiting[user].discard(key)
                if not waiting[user]:
                    ready.append(user)
            ready.sort(key=rank.__getitem__)
        if len(out) < len(self.elements):
            raise BlocksError("a group takes a value that is made from its own; it cannot be folded into one box")
        return out


def _tip(name: str, node: Node) -> str:
    return f"{name}: {node.role}, {show_shape(node.shape)}"


def _number(node: Node) -> float | None:
    """The number in an operation on one wire and one number."""
    if len(node.operands) != 2:
        return None
    numbers = [value for o in node.operands if (value := _scalar(o)) is not None]
    return numbers[0] if len(numbers) == 1 else None


def _scalar(node: Node) -> float | None:
    while node.op.name in SILENT and len(node.operands) == 1:
        node = node.operands[0]
    return float(node.attrs["value"]) if node.op.name == "constant" and node.shape == () else None
