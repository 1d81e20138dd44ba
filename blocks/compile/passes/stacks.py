"""Stacks: a stack of matrices whose rows stand on both sides of it takes all rows of one matrix in one product.

    before      y = x W             x: (time, trials, batch, n), W: (trials, n, m): a product for each step and trial

    after       y = (x' W)'         x': (trials, time, batch, n): a product for each trial

That is what hoisting makes of a product with weights of trials, or with a matrix for each example.
"""

from __future__ import annotations

from ...graph import Graph, Node, apply, stamped
from ...ops.elementwise import already_aligned
from ..passes.sweep import in_bodies, sweep


def stacks(graph: Graph) -> Graph:
    """One sweep over the graph and the bodies of its loops."""
    inside = in_bodies(stacks)

    def rule(node: Node, operands: tuple[Node, ...]) -> Node:
        at = stack_of(node)
        if at is None:
            return inside(node, operands)
        with already_aligned(), stamped(brick=node.brick, role=node.role):
            return _in_front(node, operands, at)

    return sweep(graph, rule)


def stack_of(node: Node) -> int | None:
    """The axis of a product along which its matrices differ, if there is one, and rows before it and behind it."""
    if node.op.name != "matmul":
        return None
    w, rank = node.operands[1].shape, len(node.shape)
    own = [rank - len(w) + i for i, d in enumerate(w[:-2]) if d != 1]
    return own[0] if len(own) == 1 and 0 < own[0] < rank - 2 else None


def _in_front(node: Node, operands: tuple[Node, ...], at: int) -> Node:
    """The product with that axis in front."""
    (x, w), rank = operands, len(node.shape)
    if len(x.shape) < rank:
        x = apply("reshape", x, shape=(*(1,) * (rank - len(x.shape)), *x.shape))
    x = apply("moveaxis", x, source=at, destination=0)
    matrices = apply("reshape", w, shape=(node.shape[at], *(1,) * (rank - 3), *w.shape[-2:]))
    return apply("moveaxis", apply("matmul", x, matrices), source=0, destination=at)
