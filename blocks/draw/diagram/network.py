"""What the figure of any graph shows, before anything has a place; the bodies of its loops stand in frames.

With ``bricks=True`` the operations of a brick are one element, and those of its gradient another, ``∂ brick``;
else each operation is drawn.
"""

from __future__ import annotations

import textwrap
from collections.abc import Hashable, Iterable, Sequence

from ...errors import WiringError
from ...graph import Graph, Node, subgraphs
from ...notation import is_mark, is_silent
from ...ops.loop import FINAL, NEXT
from ..text import Line, clip, line
from ..typeset import Labels, name_line, value_at
from .build import Builder, Scope
from .elements import Box, Element, Link, Network
from .signs import draw_lines, label, symbol, symbol_of_brick


def network_of(graph: Graph, bricks: bool = True, labels: Labels | None = None) -> Network:
    """The diagram of any graph. labels: what things are called."""
    builder = _NetworkBuilder(bricks, labels or Labels())
    scope = Scope(graph)
    builder.walk(scope)
    builder.ends(scope)
    return Network(builder.elements, builder.frames, builder.met)


def network_of_error(error: WiringError) -> Network:
    """The diagram of a wiring error: its operands, as far as they were built, and what does not take them."""
    builder = _NetworkBuilder(True, Labels())
    graph = Graph({f"operand {i}": node for i, node in enumerate(error.operands, 1)}) if error.operands else None
    scope = Scope(graph) if graph else None
    if scope:
        builder.walk(scope)
    message = clip(str(error).split(" [")[0], 160)
    lines = (line(clip(error.op or "wiring"), 13), *(line(row, 8) for row in textwrap.wrap(message, 48)))
    wrong = Element(builder.key("wrong"), "wrong", "box", error.op, lines, str(error), names={error.op})
    builder.elements[wrong.key] = wrong
    builder.met.append(wrong)
    for node in error.operands:
        if scope and scope.home[node]:
            builder.connect(wrong, Link(scope.home[node], node))
    return Network(builder.elements, builder.frames, builder.met)


class _NetworkBuilder(Builder):
    def __init__(self, bricks: bool, labels: Labels):
        super().__init__()
        self.bricks, self.labels = bricks, labels
        self.count = 0
        self.frames: list[Box] = []
        self.met: list[Element | Box | tuple[Element, Link]] = []
        self.last: dict[Graph, dict[str, Node]] = {}  # for each graph: brick → its last node

    def key(self, kind: str) -> str:
        self.count += 1
        return f"frame{self.count}" if kind == "frame" else f"n{self.count}"

    def walk(self, scope: Scope) -> None:
        named = [(self.name_of_brick(node), node) for node in scope.graph.order() if node.operands]
        self.last[scope.graph] = {name: node for name, node in named if name}
        super().walk(scope)

    def name_of_brick(self, node: Node) -> str | None:
        """What a node is drawn as a part of: its brick at its step, or that brick's gradient."""
        if not self.bricks or not node.brick or node.op.kind == "loop":
            return None
        name = node.brick + ("" if node.step is None else f"({node.step})")
        return f"∂ {name}" if node.role == "gradient" else name

    def brick_of(self, scope: Scope, node: Node) -> Hashable | None:
        name = self.name_of_brick(node)
        return name if name in self.last[scope.graph] else None

    def passes(self, scope: Scope, node: Node) -> bool:
        if not self.bricks:
            return False
        constant = node.op.name == "constant" and (node.role == "gradient" or node.shape != ())
        weights = node.role == "parameter" and node.brick is not None
        return is_silent(node.op) or is_mark(node.op) or constant or weights

    def add(
        self, scope: Scope, kind: str, form: str, name: str, lines: Iterable[Line], node: Node, tooltip: str = ""
    ) -> Element:
        element = super().add(scope, kind, form, name, lines, node, tooltip)
        element.names |= {node.brick} if node.brick else set()
        self.met.append(element)
        return element

    def settle(
        self, scope: Scope, node: Node, name: str, element: Element, wires: Sequence[Node], marks: Sequence[str] = ()
    ) -> None:
        super().settle(scope, node, name, element, wires, marks)
        source = (scope.outside or {}).get(name) if node.op.name == "input" else None
        if source and source != element.key:
            self.connect(element, Link(source, node))

    def connect(self, element: Element, link: Link) -> None:
        """One more wire into an element; what comes from one source is drawn once, with all its marks."""
        drawn = next((other for other in element.entries if other.source == link.source), None)
        if drawn is None:
            super().connect(element, link)
            self.met.append((element, link))
        elif link.mark:
            drawn.mark += f", {link.mark}"

    def called(self, name: str) -> str:
        return self.labels(name, clip(name))

    def brick(self, scope: Scope, brick: Hashable) -> Element:
        node, name = self.last[scope.graph][str(brick)], str(brick)
        gradient = node.role == "gradient"
        lines = (
            line("∂" if gradient else symbol_of_brick(node), 13),
            name_line(self.called(name.removeprefix("∂ ")), 9),
        )
        return self.add(scope, "gradient" if gradient else "brick", "box", name, lines, node)

    def single(self, scope: Scope, node: Node, name: str) -> tuple[Element, Sequence[Node]]:
        gradient = node.role == "gradient"
        if node.op.name == "constant" and node.shape == ():
            text = line(f"{float(node.attrs['value']):g}".replace("-", "−"), 10)
            return self.add(scope, "constant", "text", name, (text,), node), ()
        if node.op.name == "input":
            if node.role == "draw":  # of one step, inside of a loop
                return self.add(scope, "draw", "box", name, (line(clip(name), 10),), node), ()
            kind = node.role if node.role in ("state", "gradient") else "input"
            before = kind == "state" and node.step is None and "(" not in name
            text = value_at(self.called(name), "t−1", 13) if before else name_line(self.called(name), 12)
            return self.add(scope, kind, "box" if gradient else "text", name, (text,), node), ()
        if node.op.name == "parameter":
            return self.add(scope, "parameter", "box", name, (name_line(self.called(name), 10),), node), ()
        if node.op.name == "draw":
            return self.add(scope, "draw", "box", name, draw_lines(name, node), node), ()
        form, text = label(clip(symbol(node), 16))
        return self.add(scope, "gradient" if gradient else "operation", form, name, (text,), node), node.operands

    def loop(self, scope: Scope, node: Node, name: str) -> None:
        """The body of a loop in a frame; a pick of it comes from where the body makes it."""
        if node.dtype != "loop":
            scope.home[node] = scope.loops[node.operands[0]][node.attrs["output"]]
            return
        ports = zip(node.attrs["ports"], node.operands, strict=True)
        outside = {p: scope.home.get(o, "") for p, o in ports}  # nothing, of the weights of a brick
        way = "backwards in time" if node.attrs["reverse"] else "forwards in time"
        way += ", block by block" if node.attrs.get("every") is not None else ""
        frame = Box(self.key("frame"), f"{name}: {way}", scope.frame)
        self.frames.append(frame)
        body = Scope(subgraphs(node)["body"], frame.key, outside=outside)
        self.walk(body)
        ends = self.ends(body)
        self.met.append(frame)
        scope.loops[node] = {**ends, **{FINAL + s: ends[NEXT + s] for s in node.attrs["states"]}}

    def ends(self, scope: Scope) -> dict[str, str]:
        """An element for each output and each next value of a state; of a loop's outputs none, as they go on
        outside, and of a state inside of a brick none. Returns what each output comes from."""
        folded = {NEXT + scope.graph.name_of(node) for node in scope.graph.order() if node.op.name == "input"
                  and self.brick_of(scope, node) is not None}  # fmt: skip
        drawn: dict[str, Element] = {}
        out: dict[str, str] = {}
        for name, node in scope.graph.outputs.items():
            source = scope.home.get(node, "")
            following = name.startswith(NEXT)
            if (scope.outside is not None and not following) or name in folded or not source:
                out[name] = source
                continue
            shown = f"{name.removeprefix(NEXT)}(t)" if following else name
            if name.startswith("grad/") and self.bricks:
                shown = name.rsplit(".", 1)[0]  # one for all weights of a brick
            if shown not in drawn:
                text = (
                    value_at(self.called(name.removeprefix(NEXT)), "t", 13)
                    if following
                    else name_line(self.called(shown), 11)
                )
                drawn[shown] = self.add(scope, "next" if following else "output", "text", shown, (text,), node)
            element = drawn[shown]
            element.names.add(name)
            self.connect(element, Link(source, node))
            out[name] = element.key
        return out
