"""What the figure of any graph shows, before anything has a place. A loop is a box, whose body is another diagram.

With ``bricks=True`` the operations of each call of a brick are one element, and those of its gradient another,
``∂ brick``; else each operation is drawn.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

from ...errors import WiringError
from ...graph import Graph, Node, show_shape
from ...notation import is_mark, is_silent, numeral, root
from ...ops.loop import FINAL, NEXT
from ..text import Line, clip, line
from ..typeset import Labels, beside, formula_line, name_line, value_at
from .build import Builder, Scope
from .elements import Box, Element, Link, Network, calls, common_scope, grouped, owners, values_named
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

LEAVES = {"gradient": "gradient", "state": "update"}  # what else stands in a brick's box: sums, and optimizers' slots
DRAWN_INSIDE = ("parameter", "draw")  # what a loop hands on to its body, and stands there


def network_of(graph: Graph, bricks: bool = True, labels: Labels | None = None, box: Box | None = None) -> Network:
    """The diagram of any graph. labels: what things are called. box: of the body of a loop, that loop."""
    builder = _NetworkBuilder(graph, bricks, labels or Labels(), box)
    scope = Scope(graph)
    builder.walk(scope)
    builder.ends(scope)
    for key, node in values_named(graph, scope.home, builder.elements).items():
        builder.elements[key].called = beside(builder.called(str(node.name)), builder.time_of(node))
    return Network(builder.elements, builder.boxes, builder.stepped)


def network_of_error(error: WiringError) -> Network:
    """The diagram of a wiring error: its operands, as far as they were built, and what does not take them."""
    message = clip(str(error).split(" [")[0], 160)
    lines = (line(clip(error.op or "wiring"), 13), *(line(row, 9) for row in textwrap.wrap(message, 48)))
    wrong = Element("wrong", "wrong", "box", error.op, lines, str(error), names={error.op})
    if not error.operands:
        return Network({wrong.key: wrong}, {})
    graph = Graph({f"operand {i}": node for i, node in enumerate(error.operands, 1)})
    builder, scope = _NetworkBuilder(graph, True, Labels(), None), Scope(graph)
    builder.walk(scope)
    for node in error.operands:
        if scope.home.get(node):
            builder.connect(wrong, Link(scope.home[node], node))
    return Network({**builder.elements, wrong.key: wrong}, builder.boxes)


class _NetworkBuilder(Builder):
    def __init__(self, graph: Graph, bricks: bool, labels: Labels, box: Box | None):
        super().__init__()
        self.bricks, self.labels, self.box = bricks, labels, box
        self.count = 0
        self.boxes: dict[str, Box] = {}
        self.loops: dict[Node, Box] = {}
        states = [n.removeprefix(NEXT) for n in graph.outputs if n.startswith(NEXT)]
        together = {} if not bricks else box.groups if box else grouped(states)
        self.states = {s: s for s in states} | together
        self.together: dict[str, Element] = {}  # states of one brick → their element
        self.stepped = bool(states) or box is not None
        self.times = {n.shape[0] for n in graph.order() if n.role == "sequence"}
        self.times |= {n.attrs["time"] for n in graph.order() if n.dtype == "loop"}
        self.owner = owners(graph)
        self.numbers = _alone(graph)
        self.prefix = common_scope(n.brick for n in graph.order() if n.brick) if self.stepped else ""
        self.hidden = _hidden(graph)
        self.groups = _groups(graph, calls(graph)) if bricks else {}
        self.last = {group: node for node, group in self.groups.items()}

    def key(self, kind: str) -> str:
        self.count += 1
        return f"n{self.count}"

    def called(self, name: str) -> str:
        return self.labels(name, clip(name.removeprefix(self.prefix)))

    def brick_of(self, scope: Scope, node: Node) -> Hashable | None:
        return self.groups.get(node)

    def passes(self, scope: Scope, node: Node) -> bool:
        if node in self.hidden:
            return True
        if not self.bricks:
            return False
        constant = node.op.name == "constant" and (node.role == "gradient" or node.shape != ())
        number = node.op.name == "constant" and node.shape == () and node not in self.numbers
        outside = self.box is not None and node.name in self.box.ins
        weights = node.role == "parameter" and (node in self.owner or node.brick is not None) and not outside
        return is_silent(node.op) or is_mark(node.op) or constant or number or weights

    def add(
        self, scope: Scope, kind: str, form: str, name: str, lines: Iterable[Line], node: Node, tooltip: str = ""
    ) -> Element:
        element = super().add(scope, kind, form, name, lines, node, tooltip)
        element.names |= {node.brick} if node.brick else set()
        return element

    def connect(self, element: Element, link: Link) -> None:
        """One more wire into an element; what comes from one source is drawn once, with all its marks."""
        drawn = next((other for other in element.entries if other.source == link.source), None)
        if drawn is None:
            super().connect(element, link)
        elif link.mark:
            drawn.mark += f", {link.mark}"

    def brick(self, scope: Scope, brick: Hashable) -> Element:
        assert isinstance(brick, tuple)
        node = self.last[brick]
        gradient, name = node.role == "gradient", str(node.brick)
        said = name + ("" if node.step is None else f"({node.step})")
        nodes = [n for n, group in self.groups.items() if group == brick]
        text: tuple[Line, ...] = (
            line("∂", 13) if gradient else formula_line(symbol_of_brick(node), 13),
            name_line(self.called(said), 9),
        )
        if not gradient and is_cell_of_operations(nodes):
            text = (name_line(self.called(said), 13),)
        kind, shown = ("gradient", f"∂ {said}") if gradient else ("brick", said)
        weighted = takes_weights(nodes) or node.brick in self.owner.values()
        kind = "operation" if node.role == "update" or (kind == "brick" and not weighted) else kind
        element = self.add(scope, kind, "box", shown, text, node)
        element.nodes = nodes
        calls_of = [n for (called, *_), n in self.last.items() if called == node.brick and n.role != "gradient"]
        element.shared = kind == "brick" and len(calls_of) > 1
        return element

    def single(self, scope: Scope, node: Node, name: str) -> tuple[Element, Sequence[Node]]:
        gradient = node.role == "gradient"
        if node.op.name == "constant" and node.shape == ():
            text = formula_line(numeral(f"{float(node.attrs['value']):g}"), 10)
            return self.add(scope, "constant", "text", name, (text,), node), ()
        if node.op.name == "input":
            return self.input(scope, node, name), ()
        if node.op.name == "parameter":
            return self.add(scope, "parameter", "box", name, (name_line(self.called(name), 10),), node), ()
        if node.op.name == "draw":
            return self.add(scope, "draw", "box", name, draw_lines(self.called(name), node), node), ()
        form, text = label(symbol(node, one_number(node) if self.bricks else None))
        return self.add(scope, "gradient" if gradient else "operation", form, name, (text,), node), node.operands

    def input(self, scope: Scope, node: Node, name: str) -> Element:
        """What is fed: a state of a cell, or an input, of one step or of all."""
        group = self.states.get(name)
        if group in self.together:
            self.together[group].names.add(name)
            self.together[group].tooltip += f"; {name}, {show_shape(node.shape)}"
            return self.together[group]
        timed = node.role == "sequence" or (self.stepped and node.role in ("state", "input"))
        text = self.said(group or name, 13, ("t−1" if group else "t") if timed else "")
        element = self.add(scope, "state" if group else "input", "text", group or name, (text,), node)
        if group:
            self.together[group] = element
            element.names.add(name)
        return element

    def said(self, name: str, size: float, time: str = "") -> Line:
        """The name of a value, of a gradient with ∂ before it."""
        plain = name.removeprefix("grad/").removeprefix("d/").removeprefix(NEXT)
        mark = "∂" * (plain != name)
        if time and "(" not in name:
            return value_at(self.called(plain), time, size + 1, mark)
        return name_line(self.called(plain), size, mark)

    def time_of(self, node: Node) -> str:
        """The time that stands behind the name of a value, if it has one at each step."""
        return "t" if self.stepped or node.shape[:1] in [(time,) for time in self.times] else ""

    def loop(self, scope: Scope, node: Node, name: str) -> None:
        """A box with a pin for what comes in from outside; a pick is a pin where it goes out."""
        if node.dtype != "loop":
            box, output = self.loops[node.operands[0]], node.attrs["output"]
            state = output.removeprefix(FINAL)
            group = FINAL + box.groups[state] if self.bricks and state != output and state in box.groups else output
            known = [pin for other, pin in box.outs.items() if self.elements[pin].name == group]
            box.outs[output] = scope.home[node] = known[0] if known else self.pin(scope, box, group, node)
            return
        box = Box(self.key("box"), name, node)
        self.boxes[box.key] = self.loops[node] = box
        for port, operand in zip(node.attrs["ports"], node.operands, strict=True):
            source = scope.home.get(operand)
            if source and root(operand) not in self.hidden:
                box.ins[port] = self.pin(scope, box, port, operand)
                self.connect(self.elements[box.ins[port]], Link(source, operand))

    def pin(self, scope: Scope, box: Box, name: str, node: Node) -> str:
        """A new pin of a box."""
        element = self.add(scope, "pin", "pin", name, (), node)
        element.frame = box.key
        return element.key

    def ends(self, scope: Scope) -> None:
        """An element for each output and each next value of a state; of a state inside of a brick none, but where its
        last value is taken."""
        inside = {name for name, node in scope.graph.fed("input").items() if self.brick_of(scope, node) is not None}
        drawn: dict[str, Element] = {}
        for name, node in scope.graph.outputs.items():
            source, state = scope.home.get(node, ""), name.removeprefix(NEXT)
            following = name.startswith(NEXT)
            shown = self.states[state] if following else name
            names = {name, shown, state}
            if following and state in inside:
                last = self.box.outs.get(FINAL + state) if self.box else None
                if not last:
                    continue
                following, shown, names = False, f"last {last}", {FINAL + state}
            if not source:
                continue
            if name.startswith("grad/") and self.bricks and not self.box:
                shown = name.rsplit(".", 1)[0]  # one for all weights of a brick
            if (key := f"{following} {shown}") not in drawn:
                text = self.said(shown, 13, "t" if following else self.time_of(node))
                drawn[key] = self.add(scope, "next" if following else "output", "text", shown, (text,), node)
            drawn[key].names |= names
            self.connect(drawn[key], Link(source, node))


def _hidden(graph: Graph) -> set[Node]:
    """Leaves that loops alone take, and draw inside, or begin with where nothing is wired."""
    users: dict[Node, list[Node]] = {}
    for node in graph.order():
        for operand in node.operands:
            users.setdefault(operand, []).append(node)
    found = set()
    for node, taken in users.items():
        leaf = node.op.name in DRAWN_INSIDE or node.role == "initial"
        if leaf and node not in graph.outputs.values() and all(user.op.kind == "loop" for user in taken):
            found.add(node)
    return found


def _alone(graph: Graph) -> set[Node]:
    """Numbers that stand by themselves: those that no operation has written into it."""
    found = {root(node) for node in graph.outputs.values()}
    for node in graph.order():
        if not is_silent(node.op) and one_number(node) is None:
            found |= {root(o) for o in node.operands if scalar(o) is not None}
    return found


def _groups(graph: Graph, called: dict[Node, Node]) -> dict[Node, tuple[Hashable, ...]]:
    """Node → what it is drawn as a part of: a call of a brick at a step, or the gradient or the update of a brick; in
    several pieces where one would take what is made of itself."""
    found: dict[Node, tuple[Hashable, ...]] = {}
    after: dict[Hashable, set[Hashable]] = {}  # a group, or a node of none → those that take its value
    pieces: Counter[Hashable] = Counter()
    for node in graph.order():
        group: tuple[Hashable, ...] | None = None
        before = {found.get(o, o) for o in node.operands}
        of_brick = node.brick and (node in called or node.role in (*LEAVES, "update"))
        if of_brick and node.op.kind != "loop" and (node.operands or node.role in LEAVES):
            own = called.get(node) if node.role not in (*LEAVES, "update") else LEAVES.get(node.role, node.role)
            name = (node.brick, node.step, own)
            group = (*name, pieces[name])
            if any(_leads(after, group, source) for source in before - {group}):
                pieces[name] += 1
                group = (*name, pieces[name])
            found[node] = group
        for source in before - {group}:
            after.setdefault(source, set()).add(group or node)
    return found


def _leads(after: dict[Hashable, set[Hashable]], start: Hashable, end: Hashable) -> bool:
    """Whether something goes into something else, directly or not."""
    pending, seen = [start], set[Hashable]()
    while pending:
        for following in after.get(pending.pop(), ()):
            if following == end:
                return True
            if following not in seen:
                seen.add(following)
                pending.append(following)
    return False
