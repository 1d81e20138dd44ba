"""Grow: what follows the members of a group is a group too, for as long as every member is treated alike.

    before      f = tanh(z[0] + b); i = tanh(z[1] + c)              after      [f i] = tanh(z + [b c])

Alike is: the same elementwise operation, with the same number, with members of another group in the same order,
or with constant vectors, which are packed too. Where a group is taken apart again, its last packed value in a
loop is computed with the members in front, so that each is a whole array.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from ...graph import Node, apply
from ..passes.groups import Group, Groups, in_front
from ..passes.simplify import same_number, scalar

MEETING = 16  # so many nodes are looked at to find where the uses of a value meet again


def _grows(node: Node) -> bool:
    """Whether a node can be a member: an elementwise operation on floating-point numbers that learning goes through."""
    return node.op.kind == "elementwise" and node.dtype == "float" and node.op.vjp is not None


# --- the order in a group ------------------------------------------------------------------------


class Places:
    """Where each product stands in its group: beside those that are treated alike later on.

    Its root is what the net input that it is a part of goes into, so the parts of one net input stand at the
    same place in their groups.
    """

    def __init__(self, groups: Groups):
        self.groups = groups
        self.roots: dict[Node, Node] = {}
        self.treatments: dict[Node, str] = {}

    def __call__(self, node: Node) -> tuple[str, int]:
        root = self.root(node)
        if root not in self.treatments:
            self.treatments[root] = " ".join(self.treatment(root))
        return self.treatments[root], root.serial

    def root(self, node: Node) -> Node:
        """What all that is made from a node by products, sums and factors goes into."""
        way = []
        while node not in self.roots and node.op.name in ("matmul", "add", "multiply"):
            user = self.meeting(node)
            if user is None:
                break
            way.append(node)
            node = user
        root = self.roots.get(node, node)
        self.roots |= dict.fromkeys(way, root)
        return root

    def treatment(self, root: Node) -> Iterator[str]:
        """The names of the operations that a root goes through alone."""
        users, kept = self.groups.users, self.groups.kept
        node = root
        while _grows(node) and (len(node.operands) == 1 or any(scalar(o) is not None for o in node.operands)):
            yield node.op.name
            if len(users[node]) != 1 or node in kept:
                break
            node = users[node][0]

    def meeting(self, node: Node) -> Node | None:
        """The one node that all that is made from a node goes into."""
        users, kept = self.groups.users, self.groups.kept
        front = set(users[node])
        for _ in range(MEETING):
            if len(front) < 2 or kept & (front | {node}):
                break
            first = min(front, key=lambda n: n.serial)
            front = (front - {first}) | set(users[first])
        return front.pop() if len(front) == 1 and node not in kept else None


# --- growing -------------------------------------------------------------------------------------


def grow(groups: Groups, group: Group) -> None:
    """Add the groups that continue a group, or stretches of it."""
    found = {u.op.name for m in group.members for u in groups.users[m] if _grows(u)}
    for name in sorted(found):
        users = [_users_called(groups, m, name) for m in group.members]
        for row in zip_longest(*users):
            _grow_along(groups, row)


def _grow_along(groups: Groups, row: Sequence[Node | None]) -> None:
    """Groups from the stretches of a row of nodes that are treated alike."""
    first = 0
    while first < len(row):
        last = first
        while last < len(row) and _alike(groups, row, first, last):
            last += 1
        if last - first > 1:
            groups.add(_next_group(groups, [n for n in row[first:last] if n is not None]))
        first = max(last, first + 1)


def _users_called(groups: Groups, member: Node, name: str) -> list[Node]:
    """The nodes of one operation that a member goes into and that are in no group yet, by what else they need and
    go into."""

    def form(node: Node) -> tuple[object, ...]:
        needs = sorted(groups.level[o] for o in node.operands)
        return needs, groups.depth[node], sorted(u.op.name for u in groups.users[node]), node.serial

    found = {u for u in groups.users[member] if u.op.name == name and _grows(u) and u.shape == member.shape}
    return sorted((u for u in found - groups.of.keys() if len(u.operands) <= 2), key=form)


def _alike(groups: Groups, row: Sequence[Node | None], first: int, last: int) -> bool:
    """Whether the user of member `last` is treated as that of member `first`."""
    a, b = row[first], row[last]
    if a is None or b is None or groups.height(a) != groups.height(b):
        return False
    for p, q in zip(a.operands, b.operands, strict=True):
        if p in groups.of:
            group, at = groups.of[p]
            if groups.of.get(q) != (group, at + last - first):
                return False
            continue
        if same_number(p, q) and p.shape == q.shape == ():
            continue
        if not (groups.is_vector(p, a) and groups.is_vector(q, b) and p.shape[:-1] == q.shape[:-1]):
            return False
    return True


def _next_group(groups: Groups, row: list[Node]) -> Group:
    """The group of a row of operations that are treated alike."""
    count, op, rank = len(row), row[0].op, len(row[0].shape)
    columns = [[n.operands[slot] for n in row] for slot in range(len(row[0].operands))]
    group = Group(row, [o for column in columns for o in column], lambda new: apply(op, *operands(new)))
    for column in columns:
        if column[0] in groups.of:
            source, _ = groups.of[column[0]]
            source.goes_on |= count == len(source.members)
            group.sources.append(source)

    def operands(new: dict[Node, Node]) -> Iterator[Node]:
        for column in columns:
            source, at = groups.of.get(column[0], (None, 0))
            if source is not None:
                value = source.part(at, at + count)
            elif scalar(column[0]) is not None:
                value = new[column[0]]
            else:
                value = apply("concat", *(new[c] for c in column), axis=-1)
            turn = group.apart and not (source is not None and source.apart)
            yield in_front(value, count, rank) if turn else value

    return group


def stands_apart(group: Group, in_loop: bool) -> bool:
    """Whether members stand in front: in a loop, from where they are no longer treated as one."""
    alike = len({m.shape for m in group.members}) == 1 and len(group.members[0].shape) > 1
    if not in_loop or not alike or not group.sources:
        return group.apart
    return not group.goes_on or any(source.apart for source in group.sources)
