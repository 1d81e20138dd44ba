"""The plan: what is computed when, and in which buffer. It knows nothing of the language it becomes.

Buffers are shared by values that do not live at the same time; an elementwise operation may write over an
operand that nobody needs any more; the operands of a concatenation are computed where they will stand; a
state, and every value that is kept for all steps, is computed in its row at once.
"""

from __future__ import annotations

from collections import Counter

from ...graph import FED, Graph, Node, Shape
from ...ops.loop import FINAL, NEXT, blocks_of, in_block
from ..passes.hoist import STEPS
from ..passes.simplify import ELEMENTWISE, scalar
from ..plan.places import (
    Buffer,
    Compute,
    Constant,
    Copy,
    Feed,
    ForEach,
    Instruction,
    Last,
    Literal,
    Part,
    Place,
    Plan,
    Row,
    Rows,
    View,
)

VIEWS = ("slice", "reshape", "transpose", "moveaxis", "broadcast", "stop_gradient")
NOUNS = {
    "add": "total", "subtract": "difference", "multiply": "product", "divide": "ratio", "matmul": "net",
    "concat": "packed", "outer": "outer_product", "sum": "sums",
}  # fmt: skip
IN_PLACE = ELEMENTWISE - {"where", "cast", "greater", "equal", "stop_gradient", "softplus", "sigm"}


def make_plan(graph: Graph) -> Plan:
    """The plan of a graph."""
    plan = Plan()
    held = {_base(node) for node in graph.outputs.values()}
    scope = _Scope(graph, {}, {}, held)
    plan.instructions = scope.instructions
    for name, node in graph.outputs.items():
        plan.outputs[name] = scope.output(node)
    return plan


def _base(node: Node) -> Node:
    """The node whose buffer a view shows."""
    while node.op.name in VIEWS:
        node = node.operands[0]
    return node


def label_of(node: Node) -> str:
    """What to call the value of a node: after its brick and operation; packed, if of several bricks."""
    if node.name:
        return node.name
    if node.op.name == "pick":
        return str(node.attrs["output"]).removeprefix(FINAL).removeprefix(NEXT)
    kind = NOUNS.get(node.op.name, node.op.name)
    if not node.brick:
        return {"tanh": "squashed"}.get(kind, kind)
    if ", " not in node.brick:
        return f"{node.brick}_{kind}"
    return "packed" if kind == "packed" else f"packed_{kind}"


def only_part(node: Node) -> int | None:
    """The axis that a reshape takes away from a slice of one, or None."""
    cut = node.operands[0] if node.op.name == "reshape" else node
    if cut.op.name != "slice" or cut is node or cut.shape[(axis := cut.attrs["axis"])] != 1:
        return None
    return axis if node.shape == (*cut.shape[:axis], *cut.shape[axis + 1 :]) else None


def computed(node: Node) -> bool:
    """Whether a node is an operation that writes a value somewhere."""
    return node.op.name not in (*VIEWS, *FED, "constant", "pick", "loop")


def last_uses(graph: Graph) -> dict[Node, int]:
    """For each node, the last place in the order of its graph where its buffer is needed."""
    order = graph.order()
    last = {node: i for i, node in enumerate(order)}
    for i, node in enumerate(order):
        for o in node.operands:
            last[o] = max(last[o], i)
    for node in graph.outputs.values():
        last[node] = len(order)
    for node in reversed(order):
        if node.op.name in (*VIEWS, "pick"):
            last[node.operands[0]] = max(last[node.operands[0]], last[node])
    return last


def adds_on(body: Graph, before: Node, after: Node) -> bool:
    """Whether a state may change in place: it is an operand of the operation that makes its next value, and nothing
    needs it later."""
    once = sum(_base(o) is before for o in after.operands) == 1 and before in after.operands
    return once and after.op.name in IN_PLACE and last_uses(body)[before] == body.order().index(after)


def buffer_for(node: Node, fresh: bool = False) -> Buffer:
    """A new buffer for the value of a node."""
    return Buffer(label_of(node), node.shape, node.dtype, fresh)


class _Scope:
    """A graph being planned: the outermost one, or the body of a loop."""

    def __init__(self, graph: Graph, bound: dict[str, Place], targets: dict[Node, Place], held: set[Node]):
        self.graph, self.bound, self.held = graph, bound, held
        self.targets = targets
        self.instructions: list[Instruction] = []
        self.place: dict[Node, Place] = {}
        self.loops: dict[Node, dict[str, Place]] = {}
        self.free: dict[tuple[Shape, str], list[Buffer]] = {}
        self.owner: dict[Node, Buffer] = {}  # a node in a shared buffer
        self.passing: set[Node] = set()
        self.last = last_uses(graph)
        self.claim_parts()
        self.pass_targets_on()
        for index, node in enumerate(graph.order()):
            self.visit(index, node)

    def claim_parts(self) -> None:
        """Operands of a concatenation are computed in their part of it, where they can be."""
        for node in reversed(self.graph.order()):
            if node.op.name != "concat":
                continue
            if node not in self.targets:
                self.targets[node] = buffer_for(node, node in self.held)
            axis, at = node.attrs["axis"], 0
            for o in node.operands:
                width = int(o.shape[axis])
                flat = o.op.name in ("matmul", "outer") and len(o.shape) > 2
                mine = computed(o) or (o.op.name == "pick" and not o.attrs["output"].startswith(FINAL))
                if mine and o not in self.targets and o not in self.held and not flat and o.dtype == node.dtype:
                    self.targets[o] = Part(self.targets[node], axis, at, at + width, label_of(o))
                at += width

    def pass_targets_on(self) -> None:
        """What an elementwise operation alone needs is computed where its result will stand, and changed there."""
        uses = Counter(o for n in self.graph.order() for o in n.operands)
        uses.update(self.graph.outputs.values())
        for node in reversed(self.graph.order()):
            if node not in self.targets or node.op.name not in IN_PLACE:
                continue
            if any(self.targets[node] is place for place in self.bound.values()):  # a state that changes in place
                continue
            for o in node.operands:
                own = computed(o) and o.op.name in ELEMENTWISE and uses[o] == 1 and o not in self.targets
                if own and (o.shape, o.dtype) == (node.shape, node.dtype):
                    self.targets[o] = self.targets[node]
                    self.passing.add(o)
                    break

    # -- nodes in order

    def visit(self, index: int, node: Node) -> None:
        name = node.op.name
        if name in FED:
            self.place[node] = self.bound.get(str(node.name)) or Feed(str(node.name))
        elif name == "constant":
            number = scalar(node) if node.shape == () else None
            self.place[node] = Literal(number) if number is not None else Constant(node)
        elif name in VIEWS:
            base = self.place[node.operands[0]]
            if only_part(node) is not None:  # x[:, 2:3].reshape(…) is x[:, 2]
                base = self.place[node.operands[0].operands[0]]
            self.place[node] = base if name == "stop_gradient" else View(base, node)
        elif name == "loop":
            self.loops[node] = self.plan_loop(node)
        elif name == "pick":
            self.place[node] = self.loops[node.operands[0]][node.attrs["output"]]
        elif name == "concat":
            self.place[node] = self.targets[node]
            self.fill_parts(node)
        else:
            operands = [self.place[o] for o in node.operands]
            self.place[node] = out = self.targets.get(node) or self.scratch(index, node)
            self.instructions.append(Compute(node, operands, out, node in self.passing))
        self.release(index, node)

    def fill_parts(self, node: Node) -> None:
        axis, at = node.attrs["axis"], 0
        for o in node.operands:
            width, place = int(o.shape[axis]), self.place[o]
            in_place = isinstance(place, Part) and place.base is self.targets[node] and place.start == at
            if not in_place:
                self.instructions.append(Copy(place, Part(self.targets[node], axis, at, at + width, label_of(o))))
            at += width

    def scratch(self, index: int, node: Node) -> Buffer:
        """A buffer for a node: that of a dying operand, a free one, or a new one."""
        if node in self.held:
            return buffer_for(node, True)
        key = (node.shape, node.dtype)
        if node.op.name in IN_PLACE:
            for o in node.operands:
                mine = self.owner.get(o)
                if mine is not None and self.last[o] == index and (o.shape, o.dtype) == key and self.alone(o, index):
                    del self.owner[o]
                    self.owner[node] = mine
                    return mine
        spare = self.free.get(key)
        self.owner[node] = spare.pop() if spare else buffer_for(node)
        return self.owner[node]

    def alone(self, node: Node, index: int) -> bool:
        """Whether no other operand of the operation at `index` is a view of a node's buffer."""
        user = self.graph.order()[index]
        return sum(_base(o) is node for o in user.operands) == sum(o is node for o in user.operands)

    def release(self, index: int, node: Node) -> None:
        """Free the buffers whose last use this was."""
        for o in dict.fromkeys((node, *map(_base, node.operands))):  # in one order in every process
            if o in self.owner and self.last[o] <= index:
                mine = self.owner.pop(o)
                self.free.setdefault((mine.shape, mine.dtype), []).append(mine)

    def output(self, node: Node) -> Place:
        """The place of an output that a caller may hold: never a feed, a constant or a shared buffer."""
        base = _base(node)
        made = self.place.get(base)
        owned = isinstance(made, Buffer) and made.fresh
        if owned or (isinstance(made, Rows | View | Last) and self.is_fresh(made)):
            return self.place[node]
        copy = buffer_for(node, True)
        self.instructions.append(Copy(self.place[node], copy))
        return copy

    def is_fresh(self, place: Place) -> bool:
        while True:
            if isinstance(place, Buffer):
                return place.fresh
            if isinstance(place, View | Part):
                place = place.base
            elif isinstance(place, Last):
                place = place.rows
            elif isinstance(place, Rows):
                place = place.source if isinstance(place.source, Place) else place.source[0]
            else:
                return False

    # -- loops

    def plan_loop(self, node: Node) -> dict[str, Place]:
        """Plan a loop; returns the place of each of its outputs."""
        a = node.attrs
        body: Graph = a["body"]
        reverse, every = a["reverse"], a.get("every")
        time = a["time"] if every is None else blocks_of(a["time"])
        wires = dict(zip(a["ports"], node.operands, strict=True))
        inputs = body.fed("input")
        stacked = {n: body.outputs[n] for n in a["stacked"]}
        bound: dict[str, Place] = {}
        targets: dict[Node, Place] = {}
        rows: list[Rows] = []
        results: dict[str, Place] = {}
        claimed = {
            p.attrs["output"]: place
            for p, place in self.targets.items()
            if p.op.name == "pick" and p.operands[0] is node
        }
        held = {p.attrs["output"] for p in self.held if p.op.name == "pick" and p.operands[0] is node}

        def rows_of(label: str, source: Place | tuple[Buffer, Buffer], offset: int = 0, cut: bool = False) -> Rows:
            made = Rows(label, source, time, offset, cut)
            rows.append(made)
            return made

        def is_cut(inside: Node) -> bool:
            return every is not None and inside.shape[:1] == (in_block(a["time"]),)

        for port, wire in wires.items():
            if port in a["sequences"]:
                inside = inputs[port]
                label = port if inside.name == port and not port.endswith(STEPS) else label_of(wire)
                bound[port] = Row(rows_of(label.removeprefix("kept/"), self.place[wire], cut=is_cut(inside)))
            elif port not in a["states"]:
                bound[port] = self.place[wire]

        copies: list[tuple[Node, Place]] = []
        old, new = (1, 0) if reverse else (0, 1)
        for state in a["states"]:
            after, before = body.outputs[NEXT + state], inputs.get(state)
            claims = computed(after) and after not in targets
            kept = [n for n, v in stacked.items() if v is before or (claims and v is after)]
            shape = wires[state].shape
            if claims and not kept and before is not None and adds_on(body, before, after):
                own = Buffer(state, shape, after.dtype, FINAL + state in held)
                self.instructions.append(Copy(self.place[wires[state]], own))
                bound[state] = targets[after] = results[FINAL + state] = own
                continue
            source: Place | tuple[Buffer, Buffer]
            if kept:
                fresh = bool(held & {*kept, FINAL + state})
                source = Buffer(f"{state}_of_all_steps", (time, *shape), after.dtype, fresh, extra=1)
            else:
                fresh = FINAL + state in held
                pair = tuple(Buffer(f"{state}_{k}", shape, after.dtype, fresh) for k in ("even", "odd"))
                source = (pair[0], pair[1])
            before_rows, after_rows = rows_of(state, source, old), rows_of(f"{state}_next", source, new)
            bound[state] = Row(before_rows)
            self.instructions.append(Copy(self.place[wires[state]], Last(before_rows, not reverse)))
            results[FINAL + state] = Last(after_rows, reverse)
            if claims:
                targets[after] = Row(after_rows)
            else:
                copies.append((after, Row(after_rows)))
            for name in kept:
                results[name] = before_rows if stacked[name] is before else after_rows
        for name, value in stacked.items():
            if name in results:
                continue
            twin = next((results[n] for n, v in stacked.items() if v is value and n in results), None)
            if twin is not None and name not in held:
                results[name] = twin
                continue
            label = label_of(value)
            shape = (a["time"], *value.shape[1:]) if is_cut(value) else (time, *value.shape)
            array: Place = claimed.get(name) or Buffer(f"{label}_of_all_steps", shape, value.dtype, name in held)
            target = Row(rows_of(label, array, cut=is_cut(value)))
            if computed(value) and value not in targets:
                targets[value] = target
            else:
                copies.append((value, target))
            results[name] = array
        scope = _Scope(body, bound, targets, set())
        for value, row in copies:
            scope.instructions.append(Copy(scope.place[value], row))
        uses = [p for p in bound.values() if not isinstance(p, Row)]
        self.instructions.append(ForEach(node, rows, uses, scope.instructions))
        return results
