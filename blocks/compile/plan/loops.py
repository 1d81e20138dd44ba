"""The places of a loop: where its states, its sequences and what it keeps are, inside and outside.

A state is in one of three places: two buffers in turn; where its values of all steps are kept, an array with one row
more than steps; or, where its next value is an operation on the state itself that may write over it, one buffer.
"""

from __future__ import annotations

from collections.abc import Callable

from ...graph import FED, Graph, Node, Op
from ...ops.loop import FINAL, NEXT, blocks_of, in_block
from ..passes.hoist import STEPS
from .labels import label_of
from .lives import Lives
from .places import Buffer, Copy, ForEach, Instruction, Last, Place, Row, Rows


def computed(node: Node) -> bool:
    """Whether a node is an operation that writes a value somewhere (a size is a leaf, and yet computed)."""
    return node.op.kind not in ("view", "loop") and node.op.name not in (*FED, "constant")


class LoopPlaces:
    """A loop being planned. What comes out: the instructions `before` it, for its body the places `bound` to the
    inputs and the `targets` of some nodes, and the `results`, the place of each output."""

    def __init__(
        self,
        node: Node,
        operands: list[Place],
        claimed: dict[str, Place],
        held: set[str],
        in_place: Callable[[Op], bool],
    ):
        a = node.attrs
        self.node, self.claimed, self.held, self.in_place = node, claimed, held, in_place
        self.body: Graph = a["body"]
        self.lives = Lives(self.body)
        self.inputs = self.body.fed("input")
        self.wires = dict(zip(a["ports"], node.operands, strict=True))
        self.fed = dict(zip(a["ports"], operands, strict=True))
        self.time = a["time"] if a.get("every") is None else blocks_of(a["time"])
        self.block = None if a.get("every") is None else in_block(a["time"])
        self.stacked = {name: self.body.outputs[name] for name in a["stacked"]}
        self.kept: dict[Node, list[str]] = {}  # a value → the outputs that it is, of all steps
        for name, value in self.stacked.items():
            self.kept.setdefault(value, []).append(name)
        self.rows: list[Rows] = []
        self.before: list[Instruction] = []
        self.copies: list[tuple[Node, Place]] = []  # at the end of each step
        self.bound: dict[str, Place] = {}
        self.targets: dict[Node, Place] = {}
        self.results: dict[str, Place] = {}
        self.bind_wires()
        for state in a["states"]:
            self.place_state(state)
        for name, value in self.stacked.items():
            if name not in self.results:
                self.place_kept(name, value)

    def around(self, body: list[Instruction], place: dict[Node, Place]) -> ForEach:
        """The loop over a planned body, in which nodes are at some places."""
        ends = [Copy(place[value], row) for value, row in self.copies]
        uses = [p for p in self.bound.values() if not isinstance(p, Row)]
        return ForEach(self.node, self.rows, uses, [*body, *ends])

    def rows_of(self, label: str, source: Place | tuple[Buffer, Buffer], offset: int = 0, cut: bool = False) -> Rows:
        """Rows that the loop runs over."""
        self.rows.append(Rows(label, source, self.time, offset, self.block if cut else None))
        return self.rows[-1]

    def is_cut(self, inside: Node) -> bool:
        """Whether a value inside has all steps of a block."""
        return self.block is not None and inside.shape[:1] == (self.block,)

    def bind_wires(self) -> None:
        """The places of sequences and of what is the same at every step."""
        for port, wire in self.wires.items():
            if port in self.node.attrs["sequences"]:
                inside = self.inputs[port]
                label = port if inside.name == port and not port.endswith(STEPS) else label_of(wire)
                rows = self.rows_of(label.removeprefix("kept/"), self.fed[port], cut=self.is_cut(inside))
                self.bound[port] = Row(rows)
            elif port not in self.node.attrs["states"]:
                self.bound[port] = self.fed[port]

    def place_state(self, state: str) -> None:
        """Where a state is before and after each step."""
        after, before, shape = self.body.outputs[NEXT + state], self.inputs.get(state), self.wires[state].shape
        claims = computed(after) and after not in self.targets
        kept = [
            *(self.kept.get(before, []) if before is not None else []),
            *(self.kept.get(after, []) if claims else []),
        ]
        if (
            claims
            and not kept
            and before is not None
            and self.in_place(after.op)
            and self.lives.ends_with(before, after)
        ):
            own = Buffer(state, shape, after.dtype, FINAL + state in self.held)
            self.before.append(Copy(self.fed[state], own))
            self.bound[state] = self.targets[after] = self.results[FINAL + state] = own
            return
        old, new = (1, 0) if self.node.attrs["reverse"] else (0, 1)
        fresh = bool(self.held & {*kept, FINAL + state})
        source: Place | tuple[Buffer, Buffer]
        if kept:
            source = Buffer(f"{state}_of_all_steps", (self.time, *shape), after.dtype, fresh, extra=1)
        else:
            even, odd = (Buffer(f"{state}_{k}", shape, after.dtype, fresh) for k in ("even", "odd"))
            source = even, odd
        before_rows, after_rows = self.rows_of(state, source, old), self.rows_of(f"{state}_next", source, new)
        self.bound[state] = Row(before_rows)
        self.before.append(Copy(self.fed[state], Last(before_rows, not self.node.attrs["reverse"])))
        self.results[FINAL + state] = Last(after_rows, self.node.attrs["reverse"])
        self.put(after, Row(after_rows), claims)
        for name in kept:
            self.results[name] = before_rows if self.stacked[name] is before else after_rows

    def place_kept(self, name: str, value: Node) -> None:
        """Where a value of all steps is: in an array of its own, or in that of an output that is the same."""
        twin = next((self.results[n] for n in self.kept[value] if n in self.results), None)
        if twin is not None and name not in self.held:
            self.results[name] = twin
            return
        label, cut = label_of(value), self.is_cut(value)
        shape = (self.node.attrs["time"], *value.shape[1:]) if cut else (self.time, *value.shape)
        own = Buffer(f"{label}_of_all_steps", shape, value.dtype, name in self.held)
        self.results[name] = self.claimed.get(name) or own
        row = Row(self.rows_of(label, self.results[name], cut=cut))
        self.put(value, row, computed(value) and value not in self.targets)

    def put(self, value: Node, row: Row, at_once: bool) -> None:
        """Have a value computed in its row, or copied there at the end of the step."""
        if at_once:
            self.targets[value] = row
        else:
            self.copies.append((value, row))
