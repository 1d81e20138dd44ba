"""The plan: what is computed when, and in which buffer. It knows nothing of the language it becomes.

Buffers are shared by values that do not live at the same time; an elementwise operation may write over an
operand that nobody needs any more; the operands of a concatenation are computed where they will stand; a
state, and every value that is kept for all steps, is computed in its row at once.

Two things are settled before the nodes are visited in order: how long each is needed (`Lives`), and the *targets*,
the places in which some must be computed. Whether a view moves numbers is asked when it is visited, of the place
that its operand then has; one that does is computed like any other operation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from ...graph import FED, Graph, Node, Op, Shape
from ...ops.loop import FINAL
from ..passes.simplify import scalar
from .geometry import only_part, view_of
from .labels import label_of
from .lives import Lives, views_down
from .loops import LoopPlaces, computed
from .outputs import hand_out
from .places import Buffer, Compute, Constant, Copy, Feed, Instruction, Literal, Part, Place, Plan, View, buffer_for

InPlace = Callable[[Op], bool]


def make_plan(graph: Graph, in_place: InPlace) -> Plan:
    """The plan of a graph, for a target in which the operations of which `in_place` holds may write over an operand."""
    held = {node for output in graph.outputs.values() for node in views_down(output)}
    scope = Scope(graph, in_place, {}, {}, held)
    outputs = {name: (node, scope.place[node]) for name, node in graph.outputs.items()}
    return Plan(scope.instructions, hand_out(outputs, scope.instructions))


class Scope:
    """A graph being planned: the outermost one, or the body of a loop.

    `bound` has the places of its inputs, `targets` those in which some nodes must be computed, and `held` the nodes
    that a caller will hold. What comes out: `instructions`, and the `place` of each node.
    """

    def __init__(
        self,
        graph: Graph,
        in_place: InPlace,
        bound: dict[str, Place],
        targets: dict[Node, Place],
        held: set[Node],
        lives: Lives | None = None,
    ):
        self.graph, self.in_place, self.bound, self.targets, self.held = graph, in_place, bound, targets, held
        self.lives = lives or Lives(graph)
        self.instructions: list[Instruction] = []
        self.place: dict[Node, Place] = {}
        self.loops: dict[Node, dict[str, Place]] = {}
        self.free: dict[tuple[Shape, str], list[Buffer]] = {}
        self.owner: dict[Node, Buffer] = {}  # a node in a shared buffer
        self.shown: dict[Node, Node] = {}  # the node whose buffer a node's value is in
        self.passing: set[Node] = set()
        self.picks: dict[Node, list[Node]] = {}
        for node in graph.order():
            if node.op.name == "pick":
                self.picks.setdefault(node.operands[0], []).append(node)
        self.claim_parts()
        self.pass_targets_on()
        for node in graph.order():
            self.visit(node)
            self.release(node)

    # -- targets

    def claim_parts(self) -> None:
        """Operands of a concatenation are computed in their part of it, where they can be."""
        for node in reversed(self.graph.order()):
            if node.op.name != "concat":
                continue
            if node not in self.targets:
                self.targets[node] = buffer_for(node, node in self.held)
            for o, part in self.parts(node):
                flat = o.op.kind == "product" and len(o.shape) > 2
                mine = computed(o) or (o.op.name == "pick" and not o.attrs["output"].startswith(FINAL))
                if mine and o not in self.targets and o not in self.held and not flat and o.dtype == node.dtype:
                    self.targets[o] = part

    def parts(self, node: Node) -> list[tuple[Node, Part]]:
        """The operands of a concatenation, each with its part of the place of the whole."""
        axis, at, parts = node.attrs["axis"], 0, []
        for o in node.operands:
            width = int(o.shape[axis])
            parts.append((o, Part(self.targets[node], axis, at, at + width, label_of(o))))
            at += width
        return parts

    def pass_targets_on(self) -> None:
        """What an elementwise operation alone needs is computed where its result will stand, and changed there."""
        uses = Counter(o for n in self.graph.order() for o in n.operands)
        uses.update(self.graph.outputs.values())
        changing = {id(place) for place in self.bound.values()}  # the places of states that change in place
        for node in reversed(self.graph.order()):
            if node not in self.targets or not self.in_place(node.op) or id(self.targets[node]) in changing:
                continue
            for o in node.operands:
                own = o.op.kind == "elementwise" and uses[o] == 1 and o not in self.targets
                if own and (o.shape, o.dtype) == (node.shape, node.dtype):
                    self.targets[o] = self.targets[node]
                    self.passing.add(o)
                    break

    # -- nodes in order

    def visit(self, node: Node) -> None:
        """Find the place of a node, and the instructions that its value takes."""
        self.shown[node] = node
        if node.op.name in FED:
            self.place[node] = self.bound.get(str(node.name)) or Feed(str(node.name), node.shape)
        elif node.op.name == "constant":
            number = scalar(node) if node.shape == () else None
            self.place[node] = Literal(number) if number is not None else Constant(node)
        elif node.op.name == "loop":
            self.loops[node] = self.loop(node)
        elif node.op.name == "pick":
            self.place[node] = self.loops[node.operands[0]][node.attrs["output"]]
        elif node.op.name == "concat":
            self.place[node] = self.targets[node]
            self.fill_parts(node)
        elif node.op.kind != "view" or not self.view(node):
            operands = [self.place[o] for o in node.operands]
            self.place[node] = out = self.targets.get(node) or self.scratch(node)
            self.instructions.append(Compute(node, operands, out, node in self.passing))

    def view(self, node: Node) -> bool:
        """Take a node for a view of its operand's place, if it is one."""
        (operand,) = node.operands
        base = self.place[operand]
        geometry = view_of(node, base.geometry)
        if geometry is None:
            return False
        if only_part(node) is not None and isinstance(base, View) and base.node is operand:
            base = base.base  # x[:, 2:3].reshape(…) is x[:, 2]
        self.place[node] = base if node.op.name == "stop_gradient" else View(base, node, geometry)
        self.shown[node] = self.shown[operand]
        return True

    def fill_parts(self, node: Node) -> None:
        """Copy those operands of a concatenation that were not computed in their part."""
        for o, part in self.parts(node):
            place = self.place[o]
            in_place = isinstance(place, Part) and place.base is part.base and place.start == part.start
            if not in_place:
                self.instructions.append(Copy(place, part))

    def loop(self, node: Node) -> dict[str, Place]:
        """Plan a loop; returns the place of each of its outputs."""
        picks = self.picks.get(node, [])
        claimed = {p.attrs["output"]: self.targets[p] for p in picks if p in self.targets}
        held = {p.attrs["output"] for p in picks if p in self.held}
        places = LoopPlaces(node, [self.place[o] for o in node.operands], claimed, held, self.in_place)
        self.instructions += places.before
        inside = Scope(places.body, self.in_place, places.bound, places.targets, set(), places.lives)
        self.instructions.append(places.around(inside.instructions, inside.place))
        return places.results

    # -- buffers

    def scratch(self, node: Node) -> Buffer:
        """A buffer for a node: that of a dying operand, a free one, or a new one. What a reduction makes is small,
        and has a new one: else the next would have to wait until this one was read."""
        if node in self.held:
            return buffer_for(node, True)
        key = (node.shape, node.dtype)
        if self.in_place(node.op):
            for o in node.operands:
                mine = self.owner.get(o)
                dying = mine is not None and self.lives.last[o] == self.lives.at[node]
                if mine is not None and dying and (o.shape, o.dtype) == key and self.alone(o, node):
                    del self.owner[o]
                    self.owner[node] = mine
                    return mine
        spare = self.free.get(key) if node.op.kind != "reduction" else None
        self.owner[node] = spare.pop() if spare else buffer_for(node)
        return self.owner[node]

    def alone(self, node: Node, user: Node) -> bool:
        """Whether no other operand of `user` is a view of a node's buffer."""
        return all(o is node or self.shown[o] is not node for o in user.operands)

    def release(self, node: Node) -> None:
        """Free the buffers whose last use this was."""
        for o in dict.fromkeys((node, *(self.shown[o] for o in node.operands))):  # in one order in every process
            if o in self.owner and self.lives.last[o] <= self.lives.at[node]:
                mine = self.owner.pop(o)
                self.free.setdefault((mine.shape, mine.dtype), []).append(mine)
