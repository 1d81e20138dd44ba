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

from collections import Counter

from ...graph import Graph, Node, apply, rebuild, stamped
from ...ops.elementwise import already_aligned
from ...ops.leaves import make_input
from ...ops.loop import FINAL, NEXT, pick
from ..passes.simplify import ELEMENTWISE
from ..passes.sweep import Loop, levels, same, sweep, users_of


def hoist(graph: Graph) -> Graph:
    """One sweep; the inner loops of a body first."""
    outputs: dict[Node, dict[str, Node]] = {}  # a loop → what stands in the place of each output

    def rule(node: Node, operands: tuple[Node, ...]) -> Node:
        if node.op.name == "loop":
            loop = Loop.of(node, operands)
            loop.body = hoist(loop.body)
            with already_aligned():
                outputs[node] = _Hoisting(loop).result()
            return node  # only its picks matter from here on
        if node.op.name == "pick":
            return outputs[node.operands[0]][node.attrs["output"]]
        return same(node, operands)

    return sweep(graph, rule)


# --- the same operation over all steps at once ---------------------------------------------------

STEPS = " of all steps"  # the end of the name of a value that was hoisted
VIEWS = ("slice", "reshape", "transpose", "moveaxis")
SHIFTED = {"sum": "axis", "mean": "axis", "max": "axis", "softmax": "axis", "log_softmax": "axis"}


def liftable(node: Node, constant: list[bool]) -> bool:
    """Whether `lift` can compute a node for all steps at once; `constant` says so of each operand."""
    name, shapes = node.op.name, [o.shape for o in node.operands]
    if name in ELEMENTWISE or name in SHIFTED or name in (*VIEWS, "broadcast", "one_hot"):
        return True
    if name == "concat":
        return not any(constant)
    if name == "matmul":
        return (constant[1] and len(shapes[1]) == 2) or len(shapes[0]) == len(shapes[1])
    if name == "gather":
        return constant[0]
    if name == "outer":
        return len(shapes[0]) == 2
    return name == "cross_entropy" and not any(constant)


def lift(node: Node, operands: list[Node], constant: list[bool], time: str) -> Node:
    """A node over all steps: operands that are not constant have a time axis in front."""
    name, rank = node.op.name, len(node.shape)
    if name in ELEMENTWISE:
        padded = [
            o if c or (len(inside.shape) in (0, rank) and rank == len(o.shape) - 1)
            else apply("reshape", o, shape=(time, *(1,) * (rank - len(inside.shape)), *inside.shape))
            for o, c, inside in zip(operands, constant, node.operands, strict=True)
        ]  # fmt: skip
        return _to_shape(apply(node.op, *padded, **node.attrs), (time, *node.shape))
    x = operands[0]
    if name in SHIFTED:
        axis = node.attrs["axis"]
        shifted = tuple(a + 1 for a in axis) if isinstance(axis, tuple) else axis + 1
        return apply(node.op, x, **{**node.attrs, "axis": shifted})
    if name == "reshape":
        return apply("reshape", x, shape=(time, *node.shape))
    if name == "broadcast":
        inside = node.operands[0].shape
        x = apply("reshape", x, shape=(time, *(1,) * (rank - len(inside)), *inside))
        return apply("broadcast", x, shape=(time, *node.shape))
    if name == "moveaxis":
        return apply("moveaxis", x, **{key: axis + 1 for key, axis in node.attrs.items()})
    if name in ("slice", "concat"):
        return apply(node.op, *operands, **{**node.attrs, "axis": node.attrs["axis"] + 1})
    if name == "outer":
        return _to_shape(apply("matmul", apply("transpose", x), operands[1]), (time, *node.shape))
    return apply(node.op, *operands, **node.attrs)


def _to_shape(node: Node, shape: tuple[int | str, ...]) -> Node:
    return node if node.shape == shape else apply("broadcast", node, shape=shape)


# --- one loop ------------------------------------------------------------------------------------


class _Hoisting:
    """A loop taken apart and put together again."""

    def __init__(self, loop: Loop):
        self.loop = loop
        self.body = loop.body
        self.inputs = self.body.fed("input")
        self.level = levels(loop)
        self.sums = self.accumulated()
        self.wires = dict(loop.wires)
        self.states = [s for s in loop.states if s not in self.sums]
        self.inside = self.must_stay()
        self.outside: dict[Node, Node] = {}  # body node → its value outside of the loop
        self.part_of: dict[Node, Node] = {}  # a value that is handed out as a part of another one → that slice
        self.new_loop: Node | None = None

    # -- where each node belongs

    def accumulated(self) -> dict[str, Node]:
        """States that only add up: state → what is added at each step."""
        if self.loop.every is not None:
            return {}
        users = users_of(self.body)
        times_kept = Counter(self.body.outputs.values())
        sums = {}
        for state in self.loop.states:
            old, new = self.inputs.get(state), self.body.outputs[NEXT + state]
            if old is None or new.op.name != "add" or users[old] != [new] or old in times_kept:
                continue
            added = [o for o in new.operands if o is not old]
            if len(added) == 1 and not users[new] and times_kept[new] == 1 and added[0].shape == new.shape == old.shape:
                sums[state] = added[0]
        return sums

    def is_constant(self, node: Node) -> bool:
        return self.level[node] == 0

    def can_leave(self, node: Node) -> bool:
        if self.is_constant(node):
            return True
        if self.loop.every is not None:  # blocks are there to save memory: what belongs to one stays in it
            return False
        return liftable(node, [self.is_constant(o) for o in node.operands])

    def leaves_before(self) -> dict[Node, bool]:
        """For each node, whether it and all that it needs can be computed before the loop."""
        before: dict[Node, bool] = {}
        for node in self.body.order():
            free = self.level[node] < 2 and all(before[o] for o in node.operands)
            before[node] = free and (node.op.name == "input" or self.can_leave(node))
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
            if node in inside or (node in outside and not self.can_leave(node)):
                stay.add(node)
                inside.update(node.operands)
            elif node in outside:
                outside.update(node.operands)
        return stay

    # -- values outside

    def value(self, node: Node) -> Node:
        """The value of a body node outside of the loop, with what it needs."""
        pending = [node]
        while pending:
            top = pending[-1]
            if top in self.outside:
                pending.pop()
                continue
            source = self.part_of.get(top, top)
            if source is top and self.comes_from_loop(top):
                assert self.new_loop is not None
                self.outside[top] = pick(self.new_loop, self.kept[top])
            elif top.op.name == "input":
                self.outside[top] = self.wires[str(top.name)]
            else:
                todo = [o for o in source.operands if o not in self.outside]
                if todo:
                    pending.extend(todo)
                    continue
                operands = [self.outside[o] for o in source.operands]
                constant = [self.is_constant(o) for o in source.operands]
                with stamped(brick=top.brick, role=top.role):
                    self.outside[top] = (
                        rebuild(source, tuple(operands))
                        if all(constant)
                        else lift(source, operands, constant, self.loop.time)
                    )
            pending.pop()
        return self.outside[node]

    def comes_from_loop(self, node: Node) -> bool:
        """Whether the loop must hand a value out; a part of one is cut from the whole outside."""
        if node.op.name == "input":
            return node.name in self.states
        return node in self.inside and not (node.op.name in VIEWS and self.can_leave(node))

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
            results[FINAL + state] = apply("add", self.wires[state], self.total(added))
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
            port = str(node.name) if node.op.name == "input" else self.fresh(node, ports)
            border[node] = node if node.op.name == "input" else make_input(port, node.shape, node.dtype, role="input")
            ports[port] = self.value(node)
            if not self.is_constant(node):
                sequences.append(port)
        new: dict[Node, Node] = {n: n for n in self.inputs.values()} | border
        for node in self.body.order():
            if node in self.inside:
                new[node] = same(node, tuple(new[o] for o in node.operands))
        names = {self.body.outputs[n]: n for n in reversed(loop.stacked)}
        self.kept = {n: names.get(n, f"all/{self.body.name_of(n)}") for n in kept}
        outputs = {NEXT + s: new[self.body.outputs[NEXT + s]] for s in self.states}
        outputs |= {name: new[n] for n, name in self.kept.items()}
        loop.states, loop.sequences, loop.stacked = tuple(self.states), tuple(sequences), tuple(self.kept.values())
        loop.wires = {**ports, **{s: self.wires[s] for s in self.states}}
        self.new_loop = loop.node(Graph(outputs))

    def fresh(self, node: Node, ports: dict[str, Node]) -> str:
        name = self.body.name_of(node) + ("" if self.is_constant(node) else STEPS)
        while name in ports or name in self.inputs:
            name += "'"
        return name

    def total(self, node: Node) -> Node:
        """Σ over time of a node's value."""
        if node.op.name in THROUGH_TOTAL:
            return rebuild(node, (self.total(node.operands[0]),))
        if node.op.name not in OVER_ALL_STEPS:
            return apply("sum", self.stacked(node), axis=(0,), keepdims=False)
        parts = [self.stacked(o) for o in node.operands]
        if node.op.name != "sum":
            return apply(node.op, *parts, **node.attrs)
        axes = (0, *(a + 1 for a in node.attrs["axis"]))
        total = apply("sum", parts[0], axis=axes, keepdims=False)
        return total if total.shape == node.shape else apply("reshape", total, shape=node.shape)


THROUGH_TOTAL = ("slice", "transpose", "negative", "reshape")  # the sum over time of f(x) is f of the sum
OVER_ALL_STEPS = ("outer", "scatter", "sum")  # the sum over time of f(x) is f of all steps at once


def parts_of_total(node: Node) -> list[Node]:
    """The values whose steps the sum over time of a node is made from."""
    while node.op.name in THROUGH_TOTAL:
        node = node.operands[0]
    return list(node.operands) if node.op.name in OVER_ALL_STEPS else [node]
