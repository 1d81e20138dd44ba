"""How long the value of each node is needed, and in whose buffer it may be."""

from __future__ import annotations

from collections.abc import Iterator

from ...graph import Graph, Node


class Lives:
    """Of one graph: where each node stands in its order, and up to where its buffer is needed."""

    def __init__(self, graph: Graph):
        order = graph.order()
        self.at = {node: i for i, node in enumerate(order)}
        self.last = dict(self.at)
        self.base: dict[Node, Node] = {}  # the node whose buffer a view shows, if nothing has to move
        for i, node in enumerate(order):
            self.base[node] = self.base[node.operands[0]] if node.op.kind == "view" else node
            for o in node.operands:
                self.last[o] = max(self.last[o], i)
        for node in graph.outputs.values():
            self.last[node] = len(order)
        for node in reversed(order):
            if shows(node):
                self.last[node.operands[0]] = max(self.last[node.operands[0]], self.last[node])

    def alone(self, node: Node, user: Node) -> bool:
        """Whether no operand of `user` is a view of a node's buffer, but for the node itself."""
        return all(o is node or self.base[o] is not node for o in user.operands)

    def ends_with(self, before: Node, after: Node) -> bool:
        """Whether `after` takes `before` itself, once, and nothing needs it later."""
        once = sum(self.base[o] is before for o in after.operands) == 1 and before in after.operands
        return once and self.last[before] == self.at[after]


def shows(node: Node) -> bool:
    """Whether a node may show the buffer of its operand: a view, or the pick of what a loop made."""
    return node.op.kind == "view" or node.op.name == "pick"


def views_down(node: Node) -> Iterator[Node]:
    """A node, and below it, what it is a view of."""
    yield node
    while node.op.kind == "view":
        node = node.operands[0]
        yield node
