"""Expand: an operation that says what it is made of becomes its parts, so no target needs a row for it.

    before      LN(x)               after      c / √(mean(c ⊙ c) + ε), c = x − mean(x)

The parts are hoisted, fused and computed in place, as if a user had written them.
"""

from __future__ import annotations

from ...graph import Graph, Node, stamped
from ...ops.elementwise import already_aligned
from ..passes.sweep import in_bodies, sweep


def expand(graph: Graph) -> Graph:
    """One sweep; see the module."""
    inside = in_bodies(expand)

    def rule(node: Node, operands: tuple[Node, ...]) -> Node:
        return inside(node, operands) if node.op.expand is None else parts(node, operands)

    return sweep(graph, rule)


def parts(node: Node, operands: tuple[Node, ...]) -> Node:
    """What a node that says so is made of, over other operands."""
    assert node.op.expand is not None
    with already_aligned(), stamped(brick=node.brick, role=node.role):
        return node.op.expand(*operands, **node.attrs)
