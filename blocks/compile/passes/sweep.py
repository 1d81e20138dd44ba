"""What the passes have in common: one sweep over a graph, building in order, and the loop as data.

A pass is a pure function Graph → Graph. It visits every node once, operands first, and builds what stands
in its place; the bodies of loops go through the same pass before the loop itself is looked at. A pass that
computes some nodes together asks for what they all need first (`build_in_order`): no order of nodes is given
then, so it is found, and a pass that makes a cycle is told so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import BlocksError
from ...graph import Graph, Node, Shape, apply, rebuild
from ...ops.loop import Every, in_block

Pass = Callable[[Graph], Graph]


def sweep(graph: Graph, rule: Callable[[Node, tuple[Node, ...]], Node]) -> Graph:
    """The graph with every node replaced by ``rule(node, new operands)``."""
    new: dict[Node, Node] = {}
    for node in graph.order():
        new[node] = rule(node, tuple(new[o] for o in node.operands))
    return Graph({name: new[node] for name, node in graph.outputs.items()})


def same(node: Node, operands: tuple[Node, ...]) -> Node:
    """The node itself on other operands."""
    unchanged = all(a is b for a, b in zip(operands, node.operands, strict=True))
    return node if unchanged else rebuild(node, operands)


def build_in_order(
    wanted: Iterable[Node],
    needs: Callable[[Node], Sequence[Node]],
    build: Callable[[Node], Node],
    new: dict[Node, Node],
) -> None:
    """Fill `new`, node → what stands in its place, for all wanted nodes: ``build(node)`` once all of
    ``needs(node)`` are in it.

    `build` may fill in more than its own node: all that is computed together. Raises BlocksError, naming the
    nodes, if one of them needs itself: a mistake in a pass is an error, not a hang.
    """
    pending = list(wanted)
    begun: dict[Node, None] = {}  # the way to the node at hand: each needs the next
    while pending:
        node = pending[-1]
        if node in begun or node in new:
            missing: list[Node] = []
        else:
            begun[node] = None
            missing = [n for n in needs(node) if n not in new]
        if missing:
            for n in missing:
                if n in begun:
                    raise BlocksError(f"passes that make a cycle: {_cycle(list(begun), n)}")
            pending.extend(missing)
            continue
        if node not in new:
            new[node] = build(node)
        begun.pop(node, None)
        pending.pop()


CYCLE_SHOWN = 6  # so many nodes of a cycle are named


def _cycle(way: list[Node], again: Node) -> str:
    names = [node.describe() for node in [*way[way.index(again) :], again]]
    if len(names) > CYCLE_SHOWN:
        names[CYCLE_SHOWN // 2 : -CYCLE_SHOWN // 2] = [f"({len(names) - CYCLE_SHOWN} more)"]
    return " needs ".join(names)


def in_bodies(change: Pass) -> Callable[[Node, tuple[Node, ...]], Node]:
    """A rule that applies a pass to the body of each loop and leaves the rest."""

    def rule(node: Node, operands: tuple[Node, ...]) -> Node:
        if node.op.name != "loop":
            return same(node, operands)
        loop = Loop.of(node, operands)
        return loop.node(change(loop.body))

    return rule


@dataclass
class Loop:
    """The parts of a loop node, open to change."""

    body: Graph
    wires: dict[str, Node]  # port → what feeds it
    states: tuple[str, ...]
    sequences: tuple[str, ...]
    stacked: tuple[str, ...]
    time: str
    reverse: bool
    template: Node
    every: Every = None

    @classmethod
    def of(cls, node: Node, operands: tuple[Node, ...]) -> Loop:
        """The loop of a node, over new operands."""
        a = node.attrs
        wires = dict(zip(a["ports"], operands, strict=True))
        ways = a["time"], a["reverse"], node, a.get("every")
        return cls(a["body"], wires, a["states"], a["sequences"], a["stacked"], *ways)

    def node(self, body: Graph | None = None) -> Node:
        """The node of this loop, with only the ports that its body and states need."""
        body = body or self.body
        asked = body.fed("input")
        wires = {p: w for p, w in self.wires.items() if p in asked or p in self.states}
        sequences = tuple(s for s in self.sequences if s in wires)
        ways: dict[str, Any] = {} if self.every is None else {"every": self.every}
        return apply(
            "loop",
            *wires.values(),
            role=self.template.role,
            body=body,
            ports=tuple(wires),
            states=self.states,
            sequences=sequences,
            stacked=self.stacked,
            time=self.time,
            reverse=self.reverse,
            **ways,
        )

    def outputs_of(self, names: Iterable[str]) -> dict[str, Node]:
        """Some of the body's outputs."""
        return {n: self.body.outputs[n] for n in names}


def port(name: str, shape: Shape, dtype: str) -> Node:
    """An input of a loop's body that a pass makes. Its name is not a user's, so it may be as long as it comes."""
    return apply("input", name=name, role="input", shape=shape, dtype=dtype, default=None)


def users_of(graph: Graph) -> dict[Node, list[Node]]:
    """Node → the nodes that use it, once for each operand."""
    users: dict[Node, list[Node]] = {node: [] for node in graph.order()}
    for node in graph.order():
        for operand in node.operands:
            users[operand].append(node)
    return users


def terms_of(node: Node, links: set[Node]) -> list[Node]:
    """The operands of a chain of sums (or of products) that ends at a node, from left to right; `links` are the
    operations inside of chains."""
    terms: list[Node] = []
    pending = list(reversed(node.operands))
    while pending:
        o = pending.pop()
        if o in links:
            pending.extend(reversed(o.operands))
        else:
            terms.append(o)
    return terms


def levels(loop: Loop) -> dict[Node, int]:
    """For each node of a body: 0 if it depends on constants alone, 1 on sequences, 2 on states.

    What has the steps of one block as a dimension depends on the block.
    """
    level: dict[Node, int] = {}
    block = None if loop.every is None else in_block(loop.time)
    for node in loop.body.order():
        if node.op.name == "input":
            level[node] = 2 if node.name in loop.states else 1 if node.name in loop.sequences else 0
        else:
            level[node] = max((level[o] for o in node.operands), default=0)
        level[node] = max(level[node], int(block in node.shape))
    return level
