"""Fuse: products that share an operand become one product, and what follows them stays together.

    before      f = tanh(x W_f + b_f); i = tanh(x W_i + b_i)        after      z = tanh(x [W_f W_i] + [b_f b_i])
                                                                               f = z[:, :n]; i = z[:, n:]
    before      d = p U + q V                                       after      d = [p q] [U; V]
    before      A = outer(x, p); B = outer(x, q)                    after      [A B] = outer(x, [p q])

    before      z = tanh(a); f = z[:, :n]; i = z[:, n:]             after      z = tanh(a, members in front); f = z[0]

A *group* is a row of values of one form that are computed as one packed value. Groups start at products
and grow along elementwise operations for as long as every member is treated alike: with the same number,
with members of another group in the same order, or with constant vectors, which are packed too. Weights
are packed where they are constant, so hoisting takes that out of the loop. Where a group is taken apart
again, its last packed value in a loop is computed with the members in front, so that each is a whole array.

Packing makes no cycle, because the members of a group stand at one height. A row of sums over time or batch
(outer products, sums) has one *rank*, the number of such sums on the longest way to it, itself included: what
it needs is of smaller rank. Members of any other group agree in rank and in *depth*, the number of operations:
what they need is of no greater rank, and of smaller depth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from ...graph import Graph, Node, apply, stamped
from ...ops.elementwise import already_aligned
from ..passes.simplify import ELEMENTWISE, scalar
from ..passes.sweep import Loop, levels, same, sweep, users_of

SUMMING = ("outer", "sum")
MEETING = 16  # so many nodes are looked at to find where the uses of a value meet again
GROWING = ELEMENTWISE - {"where", "greater", "equal", "cast", "stop_gradient", "sign"}


def fuse(graph: Graph) -> Graph:
    """One sweep: the bodies of loops, then the graph around them."""
    graph = sweep(graph, _fuse_body)
    level: dict[Node, int] = {}  # outside of loops: 0 is what depends on weights alone
    for node in graph.order():
        leaf = 1 if node.op.name == "input" else 0
        level[node] = max([leaf, *(level[o] for o in node.operands)])
    return _Fusing(graph, level, in_loop=False).result()


def _fuse_body(node: Node, operands: tuple[Node, ...]) -> Node:
    if node.op.name != "loop":
        return same(node, operands)
    loop = Loop.of(node, operands)
    loop.body = sweep(loop.body, _fuse_body)
    return loop.node(_Fusing(loop.body, levels(loop), in_loop=True).result())


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

    def part(self, first: int, last: int) -> Node:
        """The packed value of the members first … last - 1."""
        assert self.packed is not None
        if self.apart:
            whole = (first, last) == (0, len(self.members))
            return self.packed if whole else apply("slice", self.packed, start=first, stop=last, axis=0)
        widths = [int(m.shape[self.axis]) for m in self.members]
        start, stop = sum(widths[:first]), sum(widths[:last])
        if (first, last) == (0, len(self.members)):
            return self.packed
        return apply("slice", self.packed, start=start, stop=stop, axis=len(self.packed.shape) + self.axis)

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
    lead = lead or [1] * (rank - 1)
    parts = apply("reshape", value, shape=(*lead, count, int(width) // count))
    return apply("moveaxis", parts, source=len(lead), destination=0)


class _Fusing:
    def __init__(self, graph: Graph, level: dict[Node, int], in_loop: bool):
        self.graph, self.level, self.in_loop = graph, level, in_loop
        self.users = users_of(graph)
        self.rank: dict[Node, int] = {}
        self.depth: dict[Node, int] = {}
        for node in graph.order():
            highest = max((self.rank[o] for o in node.operands), default=0)
            self.rank[node] = highest + (node.op.name in SUMMING)
            deepest = max((self.depth[o] for o in node.operands), default=0)
            self.depth[node] = deepest + 1 if level[node] else 0
        self.kept = set(graph.outputs.values())
        self.group_of: dict[Node, tuple[Group, int]] = {}
        self.groups: list[Group] = []
        self.rows: list[list[Node]] = []  # values that outer products need side by side

    def result(self) -> Graph:
        """The graph with every group computed as one."""
        for products in self.shared(lambda n: n.op.name == "matmul" and self.is_weight(n.operands[1])):
            self.add_products(products)
        if self.in_loop:
            for products in self.shared(lambda n: self.scaled(n) is not None):
                self.add_scaled(products)
        for group in self.groups:  # grows while it is walked
            self.grow(group)
        for group in self.groups:
            group.apart = self.stands_apart(group)
        self.sums_of_products = self.find_sums() if self.in_loop else {}
        for outers in self.shared(lambda n: n.op.name == "outer"):
            self.add_outers(outers)
        self.add_sums()
        return self.rebuilt()

    # -- finding groups

    def is_weight(self, node: Node) -> bool:
        return self.level[node] == 0 and len(node.shape) == 2

    def scaled(self, node: Node) -> tuple[Node, Node] | None:
        """The two factors of a node that is a value times a constant vector, else None."""
        if node.op.name != "multiply" or len(node.shape) < 2:
            return None
        vector, x = sorted(node.operands, key=lambda o: self.level[o])
        alone = x.shape == node.shape and x not in self.group_of
        return (x, vector) if alone and self.is_vector(vector, node) else None

    def is_vector(self, node: Node, user: Node) -> bool:
        return self.level[node] == 0 and node.shape == user.shape[-1:] and isinstance(node.shape[-1], int)

    def shared(self, wanted: Callable[[Node], bool]) -> list[list[Node]]:
        """Nodes of one kind that share the value that they multiply, two or more, in the order of their roots."""
        rows: dict[tuple[Node, int], list[Node]] = {}
        for node in self.graph.order():
            if wanted(node) and node not in self.group_of:
                x, _ = self.scaled(node) or node.operands
                rows.setdefault((x, self.rank[node]), []).append(node)
        return [sorted(row, key=self.place) for row in rows.values() if len(row) > 1]

    def place(self, node: Node) -> tuple[str, int]:
        """Where a product stands in its group: beside those that are treated alike later on.

        Its root is what the net input that it is a part of goes into, so the parts of one net input stand at the
        same place in their groups.
        """
        while node.op.name in ("matmul", "add", "multiply") and (user := self.meeting(node)) is not None:
            node = user
        root, treatment = node, []
        while node.op.name in GROWING and (
            len(node.operands) == 1 or any(scalar(o) is not None for o in node.operands)
        ):
            treatment.append(node.op.name)
            if len(self.users[node]) != 1 or node in self.kept:
                break
            node = self.users[node][0]
        return " ".join(treatment), root.serial

    def meeting(self, node: Node) -> Node | None:
        """The one node that all that is made from a node goes into."""
        front = set(self.users[node])
        for _ in range(MEETING):
            if len(front) < 2 or self.kept & (front | {node}):
                break
            first = min(front, key=lambda n: n.serial)
            front = (front - {first}) | set(self.users[first])
        return front.pop() if len(front) == 1 and node not in self.kept else None

    def add(self, group: Group) -> None:
        self.groups.append(group)
        for i, member in enumerate(group.members):
            self.group_of[member] = (group, i)

    def add_products(self, products: list[Node]) -> None:
        x, weights = products[0].operands[0], [p.operands[1] for p in products]

        def build(new: dict[Node, Node]) -> Node:
            return apply("matmul", new[x], apply("concat", *(new[w] for w in weights), axis=1))

        self.add(Group(products, [x, *weights], build))

    def add_scaled(self, products: list[Node]) -> None:
        """A value times several vectors, in front of each other from the start."""
        pairs = [pair for p in products if (pair := self.scaled(p))]
        x, vectors = pairs[0][0], [vector for _, vector in pairs]
        count, rank = len(products), len(x.shape)

        def build(new: dict[Node, Node]) -> Node:
            return apply("multiply", new[x], in_front(apply("concat", *(new[v] for v in vectors), axis=0), count, rank))

        self.add(Group(products, [x, *vectors], build, apart=True))

    def add_outers(self, outers: list[Node]) -> None:
        outers = sorted(outers, key=lambda n: n.operands[1].serial)
        x, others = outers[0].operands[0], [n.operands[1] for n in outers]
        if len({o.shape[:-1] for o in others}) > 1:
            return

        def build(new: dict[Node, Node]) -> Node:
            return apply("outer", new[x], side_by_side([new[o] for o in others]))

        self.rows.append(others)
        self.add(Group(outers, [x, *others], build))

    def add_sums(self) -> None:
        """Sums over leading axes of values that stand side by side anyway."""
        for row in self.rows:
            by_axis: dict[tuple[int, ...], list[Node]] = {}
            for node in (u for o in row for u in self.users[o] if u.op.name == "sum" and u not in self.group_of):
                if not node.attrs["keepdims"] and len(node.operands[0].shape) - 1 not in node.attrs["axis"]:
                    by_axis.setdefault(node.attrs["axis"], []).append(node)
            for axis, sums in by_axis.items():
                if [n.operands[0] for n in sums] == row and len({self.rank[n] for n in sums}) == 1:
                    self.add(Group(sums, row, self.sum_of(row, axis)))

    def sum_of(self, row: list[Node], axis: tuple[int, ...]) -> Callable[[dict[Node, Node]], Node]:
        return lambda new: apply("sum", side_by_side([new[o] for o in row]), axis=axis, keepdims=False)

    # -- growing a group along elementwise operations

    def grow(self, group: Group) -> None:
        kinds = {u.op.name for m in group.members for u in self.users[m]} & GROWING
        for kind in sorted(kinds):
            users = [self.users_of_kind(m, kind) for m in group.members]
            for row in zip_longest(*users):
                self.grow_along(row)

    def grow_along(self, row: Sequence[Node | None]) -> None:
        """Groups from the stretches of a row of nodes that are treated alike."""
        first = 0
        while first < len(row):
            last = first
            while last < len(row) and self.alike(row, first, last):
                last += 1
            if last - first > 1:
                self.add_next([n for n in row[first:last] if n is not None])
            first = max(last, first + 1)

    def users_of_kind(self, member: Node, kind: str) -> list[Node]:
        """The nodes of one kind that a member goes into and that are in no group yet, by what else they need and
        go into."""

        def form(node: Node) -> tuple[object, ...]:
            needs = sorted(self.level[o] for o in node.operands)
            return needs, self.depth[node], sorted(u.op.name for u in self.users[node]), node.serial

        found = {u for u in self.users[member] if u.op.name == kind and u.shape == member.shape}
        return sorted((u for u in found - self.group_of.keys() if len(u.operands) <= 2), key=form)

    def alike(self, row: Sequence[Node | None], first: int, last: int) -> bool:
        """Whether the user of member `last` is treated as that of member `first`."""
        a, b = row[first], row[last]
        if a is None or b is None or self.height(a) != self.height(b):
            return False
        for slot in range(len(a.operands)):
            p, q = a.operands[slot], b.operands[slot]
            if p in self.group_of:
                group, at = self.group_of[p]
                if self.group_of.get(q) != (group, at + last - first):
                    return False
                continue
            if scalar(p) is not None and scalar(p) == scalar(q) and p.shape == q.shape == ():
                continue
            if self.is_vector(p, a) and self.is_vector(q, b):
                continue
            return False
        return True

    def height(self, node: Node) -> tuple[int, int]:
        return self.rank[node], self.depth[node]

    def add_next(self, row: list[Node]) -> None:
        count, op = len(row), row[0].op
        columns = [[n.operands[slot] for n in row] for slot in range(len(row[0].operands))]

        group = Group(row, [o for column in columns for o in column], lambda new: apply(op, *operands(new)))
        for column in columns:
            if column[0] in self.group_of:
                source, _ = self.group_of[column[0]]
                source.goes_on |= count == len(source.members)
                group.sources.append(source)

        def operands(new: dict[Node, Node]) -> Iterator[Node]:
            for column in columns:
                source, at = self.group_of.get(column[0], (None, 0))
                if source is not None:
                    value = source.part(at, at + count)
                elif scalar(column[0]) is not None:
                    value = new[column[0]]
                else:
                    value = apply("concat", *(new[c] for c in column), axis=0)
                turn = group.apart and not (source is not None and source.apart)
                yield in_front(value, count, len(row[0].shape)) if turn else value

        self.add(group)

    def stands_apart(self, group: Group) -> bool:
        """Whether members stand in front: in a loop, from where they are no longer treated as one."""
        alike = len({m.shape for m in group.members}) == 1 and len(group.members[0].shape) > 1
        if not self.in_loop or not alike or not group.sources:
            return group.apart
        return not group.goes_on or any(source.apart for source in group.sources)

    # -- sums of products

    def find_sums(self) -> dict[Node, list[Node]]:
        """Sum → its terms, where two or more of them are products of values inside the loop with weights."""
        found: dict[Node, list[Node]] = {}
        links = set()
        for node in self.graph.order():
            if node.op.name != "add" or node in self.group_of:
                continue
            terms: list[Node] = []
            for o in node.operands:
                inner = o in found and len(self.users[o]) == 1 and o not in self.kept
                terms += found[o] if inner else [o]
                links |= {o} if inner else set()
            found[node] = terms
        sums = {}
        for node, terms in found.items():
            products = [t for t in terms if self.is_own_product(t)]
            if node not in links and len(products) > 1 and all(t.shape == node.shape for t in terms):
                sums[node] = terms
        return sums

    def is_own_product(self, node: Node) -> bool:
        once = len(self.users[node]) == 1 and node not in self.kept and node not in self.group_of
        return (
            node.op.name == "matmul" and once and self.level[node.operands[0]] == 2 and self.is_weight(node.operands[1])
        )

    def one_product(self, node: Node, new: dict[Node, Node]) -> Node:
        terms = self.sums_of_products[node]
        products = sorted((t for t in terms if self.is_own_product(t)), key=lambda t: t.operands[0].serial)
        values = side_by_side([new[t.operands[0]] for t in products])
        total = apply("matmul", values, apply("concat", *(new[t.operands[1]] for t in products), axis=0))
        for term in terms:
            if term not in products:
                total = apply("add", new[term], total)
        return total

    # -- building

    def needs(self, node: Node) -> list[Node]:
        if node in self.group_of:
            return self.group_of[node][0].needs
        if node in self.sums_of_products:
            return [o for t in self.sums_of_products[node] for o in (t.operands if self.is_own_product(t) else (t,))]
        return list(node.operands)

    def rebuilt(self) -> Graph:
        new: dict[Node, Node] = {}
        pending = list(self.graph.outputs.values())
        with already_aligned():
            while pending:
                node = pending[-1]
                missing = [o for o in self.needs(node) if o not in new] if node not in new else []
                if missing:
                    pending.extend(missing)
                    continue
                pending.pop()
                if node not in new:
                    with stamped(brick=node.brick, role=node.role):
                        new[node] = self.make(node, new)
        return Graph({name: new[node] for name, node in self.graph.outputs.items()})

    def make(self, node: Node, new: dict[Node, Node]) -> Node:
        if node in self.group_of:
            group, i = self.group_of[node]
            if group.packed is None:
                with stamped(brick=_bricks(group.members)):
                    group.packed = group.build(new)
            return group.member(i)
        if node in self.sums_of_products:
            products = [t for t in self.sums_of_products[node] if self.is_own_product(t)]
            with stamped(brick=_bricks(products)):
                return self.one_product(node, new)
        return same(node, tuple(new[o] for o in node.operands))


def _bricks(nodes: list[Node]) -> str | None:
    """The bricks of some nodes, as the label of what is computed for all of them."""
    return ", ".join(dict.fromkeys(b for n in nodes if (b := n.brick))) or None


def side_by_side(values: list[Node]) -> Node:
    """Values along the last axis; neighbouring slices of one value are that value again."""
    return apply("concat", *values, axis=-1) if len(values) > 1 else values[0]
