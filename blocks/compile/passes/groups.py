"""Groups: values of one form that are computed as one packed value, and the heights at which they stand.

A *group* is a row of values that are computed together. Packing makes no cycle, because the members of a group
stand at one height. A row of sums over time or batch (outer products, sums) has one *rank*, the number of such
sums on the longest way to it, itself included. Members of any other group depend on more than weights, and
agree in rank and in *depth*, the number of operations on the longest way to them.

Proof: give a row of sums the height (rank, -1), and all else (rank, depth), where what depends on weights alone
has depth 0. No operand stands higher than its user, and where members of groups are concerned each need stands
lower: a row of sums needs what is of smaller rank; any other member, of depth 1 or more, what is of no greater
rank and of smaller depth. So a way that leaves a group leads down, and never back to it; what stands at one
height without being in a group is ordered as the graph is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate

from ...graph import Graph, Node, apply
from ...ops.elementwise import TRIALS
from ..passes.sweep import users_of

SUMMING = ("outer", "sum")
OF_TRIALS = {1, TRIALS}  # the dimensions that weights may have in front


@dataclass
class Group:
    """Values that are computed as one: `build` makes the packed value from those that it needs."""

    members: list[Node]
    needs: list[Node]
    build: Callable[[dict[Node, Node]], Node]
    axis: int = -1
    packed: Node | None = None
    sources: list[Group] = field(default_factory=list)  # the groups that it is made from
    goes_on: bool = False  # whether another group continues all its members
    apart: bool = False  # whether its members stand in front, (members, batch, n), not side by side
    edges: list[int] = field(init=False)  # where each member begins, and the end

    def __post_init__(self) -> None:
        self.edges = list(accumulate((int(m.shape[self.axis]) for m in self.members), initial=0))

    def part(self, first: int, last: int) -> Node:
        """The packed value of the members first … last - 1."""
        assert self.packed is not None
        if (first, last) == (0, len(self.members)):
            return self.packed
        if self.apart:
            return apply("slice", self.packed, start=first, stop=last, axis=0)
        axis = len(self.packed.shape) + self.axis
        return apply("slice", self.packed, start=self.edges[first], stop=self.edges[last], axis=axis)

    def member(self, i: int) -> Node:
        """The value of one member."""
        part = self.part(i, i + 1)
        return apply("reshape", part, shape=self.members[i].shape) if self.apart else part


def in_front(value: Node, count: int, rank: int) -> Node:
    """A packed value (batch, members · n) with the members in front, (members, batch, n); a packed vector and a
    number so that they meet such a value of members of that rank."""
    if value.shape == ():
        return value
    *lead, width = value.shape
    lead = [*(1,) * (rank - 1 - len(lead)), *lead]
    parts = apply("reshape", value, shape=(*lead, count, int(width) // count))
    return apply("moveaxis", parts, source=len(lead), destination=0)


def side_by_side(values: list[Node]) -> Node:
    """Values along the last axis; neighbouring slices of one value are that value again."""
    return apply("concat", *values, axis=-1) if len(values) > 1 else values[0]


class Groups:
    """The groups found so far in one graph, and what is asked of its nodes to find them."""

    def __init__(self, graph: Graph, level: dict[Node, int]):
        self.graph, self.level = graph, level
        self.users = users_of(graph)
        self.kept = set(graph.outputs.values())
        self.all: list[Group] = []
        self.of: dict[Node, tuple[Group, int]] = {}  # member → its group, and its place there
        self.rank: dict[Node, int] = {}
        self.depth: dict[Node, int] = {}
        for node in graph.order():
            highest = max((self.rank[o] for o in node.operands), default=0)
            self.rank[node] = highest + (node.op.name in SUMMING)
            deepest = max((self.depth[o] for o in node.operands), default=0)
            self.depth[node] = deepest + 1 if level[node] else 0

    def add(self, group: Group) -> None:
        """Note one more group."""
        self.all.append(group)
        for i, member in enumerate(group.members):
            self.of[member] = (group, i)

    def height(self, node: Node) -> tuple[int, int]:
        """Rank and depth: what the members of a group agree in; see the module. (No network is known in which the
        depth decides: members whose operands stand in one group, or are weights, agree in it already.)"""
        return self.rank[node], self.depth[node]

    def is_weight(self, node: Node) -> bool:
        """Whether a node is a matrix that is the same at each step, or one of each trial."""
        return self.level[node] == 0 and len(node.shape) > 1 and {*node.shape[:-2]} <= OF_TRIALS

    def is_vector(self, node: Node, user: Node) -> bool:
        """Whether a node is a vector, the same at each step, along the features of its user; or one of each trial."""
        along = bool(node.shape) and node.shape[-1:] == user.shape[-1:] and isinstance(node.shape[-1], int)
        return (
            along and self.level[node] == 0 and {*node.shape[:-1]} <= OF_TRIALS and len(node.shape) <= len(user.shape)
        )

    def scaled(self, node: Node) -> tuple[Node, Node] | None:
        """The two factors of a node that is a value times a constant vector, else None."""
        if node.op.name != "multiply" or len(node.shape) < 2:
            return None
        vector, x = sorted(node.operands, key=lambda o: self.level[o])
        alone = x.shape == node.shape and x not in self.of
        return (x, vector) if alone and self.is_vector(vector, node) else None

    def shared(self, wanted: Callable[[Node], bool], place: Callable[[Node], tuple[str, int]]) -> list[list[Node]]:
        """Nodes of one kind and form that share the value that they multiply, two or more, in the order of their
        places."""
        rows: dict[tuple[object, ...], list[Node]] = {}
        for node in self.graph.order():
            weights_alone = self.level[node] == 0 and node.op.name not in SUMMING  # these have no depth; see above
            if wanted(node) and node not in self.of and not weights_alone:
                x, other = self.scaled(node) or node.operands
                form = x, self.rank[node], other.shape[:-1], node.attrs.get("each")
                rows.setdefault(form, []).append(node)
        return [sorted(row, key=place) for row in rows.values() if len(row) > 1]
