"""Hoist, the one rule: what does not depend on the loop-carried values leaves the loop.

    before it   the input projections of all steps in one product; in a backward loop, the factors that
                need forward values alone

                    loop: z = x W + h U         →        XW = X W;  loop: z = xw + h U

    after it    what the next states do not need: the read-out; and an accumulated gradient

                    loop: y = h V               →        loop: h ...;  Y = H V
                    loop: s = s + xᵗ d          →        loop: d ...;  s = s₀ + Xᵗ D, over time and batch

Each value is in one of three places: outside and the same at every step ("constant"), outside with a time
axis in front ("sequence"), or inside. Forward loops and backward loops are treated alike.
"""

from __future__ import annotations

from math import prod

from ...errors import fresh_name
from ...graph import Graph, Node, Shape, apply, rebuild, stamped
from ...ops.elementwise import already_aligned
from ...ops.loop import FINAL, NEXT, pick
from ..passes.lift import lift, liftable
from ..passes.sweep import Loop, build_in_order, levels, port, same, sweep
from ..passes.totals import accumulated, parts_of_total, total

STEPS = " of all steps"  # the end of the name of a value that was hoisted


def hoist(graph: Graph) -> Graph:
    """One sweep; the inner loops of a body first."""
    return _hoist(graph, frozenset())


def hoist_what_pays(graph: Graph) -> Graph:
    """The same where a loop costs nothing by itself: products and elementwise operations on what a step is given stay
    in it, so that their results for all steps need no memory."""
    return _hoist(graph, frozenset(("elementwise", "product", "view")))


def _hoist(graph: Graph, cheap: frozenset[str]) -> Graph:
    outputs: dict[Node, dict[str, Node]] = {}  # a loop → what stands in the place of each output

    def rule(node: Node, operands: tuple[Node, ...]) -> Node:
        if node.op.name == "loop":
            loop = Loop.of(node, operands)
            loop.body = _hoist(loop.body, cheap)
            with already_aligned():
                outputs[node] = _Hoisting(loop, cheap).result()
            return node  # only its picks matter from here on
        if node.op.name == "pick":
            return outputs[node.operands[0]][node.attrs["output"]]
        return same(node, operands)

    return sweep(graph, rule)


class _Hoisting:
    """A loop taken apart and put together again."""

    def __init__(self, loop: Loop, cheap: frozenset[str]):
        self.loop, self.cheap = loop, cheap  # kinds of operations that stay where the loop needs them
        self.body = loop.body
        self.inputs = self.body.fed("input")
        self.level = levels(loop)
        self.sums = accumulated(loop)
        self.wires = dict(loop.wires)
        self.states = [s for s in loop.states if s not in self.sums]
        self.inside = self.must_stay()
        self.outside: dict[Node, Node] = {}  # body node → its value outside of the loop
        self.part_of: dict[Node, Node] = {}  # a value that is handed out as a part of another one → that slice
        self.new_loop: Node | None = None

    # -- where each node belongs

    def is_constant(self, node: Node) -> bool:
        return self.level[node] == 0

    def can_leave(self, node: Node) -> bool:
        if self.is_constant(node):
            return True
        if self.loop.every is not None:  # blocks are there to save memory: what belongs to one stays in it
            return False
        return liftable(node, [self.is_constant(o) for o in node.operands])

    def may_leave(self, node: Node) -> bool:
        """Whether a value that the loop does not need had better be made outside. Not where a loop costs nothing and it
        is smaller than what it is made of, of which all steps would have to be kept."""
        if not (self.cheap and self.states and (node.op.kind == "reduction" or node.op.name == "matmul")):
            return True
        parts = [o.shape for o in node.operands if not self.is_constant(o)]
        smaller = any(_names(s) == _names(node.shape) and _size(s) > _size(node.shape) for s in parts)
        return len(parts) < len(node.operands) or not smaller

    def leaves_before(self) -> dict[Node, bool]:
        """For each node, whether it and all that it needs can be computed before the loop."""
        before: dict[Node, bool] = {}
        for node in self.body.order():
            free = self.level[node] < 2 and all(before[o] for o in node.operands)
            pays = self.is_constant(node) or node.op.kind not in self.cheap
            before[node] = free and (node.op.name == "input" or (pays and self.can_leave(node)))
        return before

    def must_stay(self) -> set[Node]:
        """What the next states need and what cannot be computed outside, with all that it needs."""
        before, stay = self.leaves_before(), set[Node]()
        inside = {self.body.outputs[NEXT + s] for s in self.states}
        outside = {self.body.outputs[n] for n in self.loop.stacked}
        outside.update(part for added in self.sums.values() for part in parts_of_total(added))
        for node in reversed(self.body.order()):
            if node.op.name == "input" or before[node]:
                continue
            if node in inside or (node in outside and not (self.can_leave(node) and self.may_leave(node))):
                stay.add(node)
                inside.update(node.operands)
            elif node in outside:
                outside.update(node.operands)
        return stay

    # -- values outside

    def value(self, node: Node) -> Node:
        """The value of a body node outside of the loop, with what it needs."""
        build_in_order([node], self.needs_outside, self.outside_of, self.outside)
        return self.outside[node]

    def needs_outside(self, node: Node) -> tuple[Node, ...]:
        """What must stand outside of the loop before a node can."""
        if node not in self.part_of and (node.op.name == "input" or self.comes_from_loop(node)):
            return ()
        return self.part_of.get(node, node).operands

    def outside_of(self, node: Node) -> Node:
        """What stands in the place of a body node outside: a loop's output, a wire, or the node over all steps."""
        source = self.part_of.get(node, node)
        if source is node and self.comes_from_loop(node):
            assert self.new_loop is not None
            return pick(self.new_loop, self.kept[node])
        if node.op.name == "input":
            return self.wires[str(node.name)]
        operands = [self.outside[o] for o in source.operands]
        constant = [self.is_constant(o) for o in source.operands]
        with stamped(brick=node.brick, role=node.role):
            if all(constant):
                return rebuild(source, tuple(operands))
            return lift(source, operands, constant, self.loop.time)

    def comes_from_loop(self, node: Node) -> bool:
        """Whether the loop must hand a value out; a part of one is cut from the whole outside, and what is larger than
        what it is made of is made again."""
        if node.op.name == "input":
            return node.name in self.states
        return node in self.inside and not ((node.op.kind == "view" or _grows(node)) and self.can_leave(node))

    def asked_of_loop(self, nodes: list[Node]) -> list[Node]:
        """Which nodes inside, or states, some values outside are made from."""
        found: dict[Node, None] = {}
        pending, seen = list(nodes), set()
        while pending:
            node = pending.pop()
            if node in seen:
                continue
            seen.add(node)
            if self.comes_from_loop(node):
                found[node] = None
            elif not self.is_constant(node):
                pending.extend(node.operands)
        for node in self.body.order():
            if node.op.name == "concat" and node in self.inside and self.loop.every is None:
                self.hand_out_whole(node, found)
        return sorted(found, key=lambda n: n.serial)

    def hand_out_whole(self, concat: Node, found: dict[Node, None]) -> None:
        """Values that stand side by side in the loop anyway leave it as one, and are cut apart outside."""
        parts, axis, at = concat.operands, concat.attrs["axis"], 0
        if concat not in found and not all(o in found for o in parts):
            return
        found[concat] = None
        for o in parts:
            width = int(o.shape[axis])
            if o in found and o.op.name != "input":
                self.part_of[o] = apply("slice", concat, start=at, stop=at + width, axis=axis)
                del found[o]
            at += width

    # -- putting it together

    def result(self) -> dict[str, Node]:
        """What stands in the place of each output of the loop."""
        outputs, names = self.body.outputs, self.loop.stacked
        wanted = [outputs[n] for n in names]
        wanted += [part for added in self.sums.values() for part in parts_of_total(added)]
        if self.states or self.inside:
            self.build(self.asked_of_loop(wanted))
        results = {n: self.stacked(outputs[n]) for n in names}
        for state in self.states:
            results[FINAL + state] = pick(self.new_loop, FINAL + state)  # type: ignore[arg-type]
        for state, added in self.sums.items():
            results[FINAL + state] = apply("add", self.wires[state], total(added, self.stacked))
        return results

    def stacked(self, node: Node) -> Node:
        value = self.value(node)
        return apply("broadcast", value, shape=(self.loop.time, *node.shape)) if self.is_constant(node) else value

    def build(self, kept: list[Node]) -> None:
        """The loop that is left: states, what must stay, and the values that it takes from outside."""
        loop = self.loop
        border: dict[Node, Node] = {}  # node outside → the port that brings it in
        ports: dict[str, Node] = {}
        sequences: list[str] = []
        needed = [o for n in self.body.order() if n in self.inside for o in n.operands]
        needed += [self.body.outputs[NEXT + s] for s in self.states]
        for node in needed:
            if node in border or node in self.inside or (node.op.name == "input" and node.name in self.states):
                continue
            if node.op.name == "constant":
                border[node] = node
                continue
            if (made := self.made_inside(node)) is not None:
                inner, wires = made
                border[node] = inner
                ports |= wires
                sequences += wires
                continue
            name = str(node.name) if node.op.name == "input" else self.fresh(node, ports)
            border[node] = node if node.op.name == "input" else port(name, node.shape, node.dtype)
            ports[name] = self.value(node)
            if not self.is_constant(node):
                sequences.append(name)
        new: dict[Node, Node] = {n: n for n in self.inputs.values()} | border
        for node in self.body.order():
            if node in self.inside:
                new[node] = same(node, tuple(new[o] for o in node.operands))
        names = {self.body.outputs[n]: n for n in reversed(loop.stacked)}
        self.kept = {n: names.get(n, f"all/{self.body.name_of(n)}") for n in kept}
        outputs = {NEXT + s: new[self.body.outputs[NEXT + s]] for s in self.states}
        outputs |= {name: new[n] for n, name in self.kept.items()}
        loop.states, loop.stacked = tuple(self.states), tuple(self.kept.values())
        loop.sequences = tuple(dict.fromkeys(sequences))
        loop.wires = {**ports, **{s: self.wires[s] for s in self.states}}
        self.new_loop = loop.node(Graph(outputs))

    def made_inside(self, node: Node) -> tuple[Node, dict[str, Node]] | None:
        """A sequence that is larger than what it is made of, as made of these in the loop: the value there, and wires
        for ports."""
        if not self.cheap or node.op.name != "input" or self.is_constant(node):
            return None
        whole = self.wires[str(node.name)]
        steps = all(o.shape[:1] == whole.shape[:1] and len(o.shape) == len(whole.shape) for o in whole.operands)
        if not _grows(whole) or not steps or node.shape != whole.shape[1:]:
            return None
        known = {self.wires[name]: name for name in self.loop.sequences}
        inside, wires = dict[Node, Node](), dict[str, Node]()
        for o in whole.operands:
            name = known.setdefault(o, fresh_name(f"{node.name}/of", wires, self.inputs))
            wires[name] = o
            if o not in inside:
                inside[o] = self.inputs[name] if name in self.inputs else port(name, o.shape[1:], o.dtype)
        with already_aligned():
            return apply(whole.op, *[inside[o] for o in whole.operands], **whole.attrs), wires

    def fresh(self, node: Node, ports: dict[str, Node]) -> str:
        name = self.body.name_of(node) + ("" if self.is_constant(node) else STEPS)
        return fresh_name(name, ports, self.inputs)


def _grows(node: Node) -> bool:
    """Whether a value of all steps takes more memory than what it is made of, by one operation on each number."""
    if node.op.name not in ("add", "subtract", "multiply"):
        return False
    parts = [o.shape for o in node.operands]
    return all(_names(s) <= _names(node.shape) for s in parts) and sum(map(_size, parts)) < _size(node.shape)


def _names(shape: Shape) -> set[str]:
    """The named dimensions of a shape."""
    return {d for d in shape if isinstance(d, str)}


def _size(shape: Shape) -> int:
    """How many numbers a shape has, of those that differ in named dimensions alone."""
    return prod(d for d in shape if isinstance(d, int))
