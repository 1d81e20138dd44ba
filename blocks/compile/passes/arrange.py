"""Arrange sums and products, so that what can leave a loop stands together.

    before      (x W + h U) + b                       after      (x W + b) + h U
    before      ((dC C') f) (1 - f)                   after      dC (C' f (1 - f))

Terms are ordered by what they depend on: constants first, then sequences, then states.
"""

from __future__ import annotations

from ...graph import Graph, Node, apply, stamped
from ...ops.elementwise import already_aligned
from ..passes.sweep import Loop, levels, same, sweep, terms_of, users_of

CHAINS = ("add", "multiply")


def arrange(graph: Graph) -> Graph:
    """Order the terms of sums and the factors of products in every loop's body by what they depend on."""

    def rule(node: Node, operands: tuple[Node, ...]) -> Node:
        if node.op.name != "loop":
            return same(node, operands)
        loop = Loop.of(node, operands)
        loop.body = arrange(loop.body)
        return loop.node(_arranged(loop))

    return sweep(graph, rule)


def _arranged(loop: Loop) -> Graph:
    body, level = loop.body, levels(loop)
    users = users_of(body)
    kept = set(body.outputs.values())
    new: dict[Node, Node] = {}

    def inner(node: Node, user: Node) -> bool:
        """Whether a node is a link of its user's chain and nothing else."""
        return node.op.name == user.op.name and len(users[node]) == 1 and node not in kept and node.shape == user.shape

    links = {o for n in body.order() if n.op.name in CHAINS for o in n.operands if inner(o, n)}
    with already_aligned():
        for node in body.order():
            if node in links:
                continue  # part of a longer chain
            terms = terms_of(node, links) if node.op.name in CHAINS else []
            if len(terms) < 3:
                new[node] = same(node, tuple(new[o] for o in node.operands))
                continue
            with stamped(brick=node.brick, role=node.role):
                new[node] = _in_groups(node, [(level[t], new[t]) for t in terms])
    return Graph({name: new[node] for name, node in body.outputs.items()})


def _in_groups(node: Node, terms: list[tuple[int, Node]]) -> Node:
    """The terms of one level first made one, then the levels in order."""
    groups: dict[int, Node] = {}
    for level, term in terms:
        groups[level] = apply(node.op, groups[level], term) if level in groups else term
    first, *rest = (groups[level] for level in sorted(groups))
    for group in rest:
        first = apply(node.op, first, group)
    return first
