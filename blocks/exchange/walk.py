"""The one walk over a graph that every exporter takes.

A *dialect* has rows: what it writes for each operation. A *writer* makes values of a language out of them, text or
nodes of another graph. `ready` refuses what a dialect cannot write, before any work, and makes the rest easy to write;
`walk` goes over what is left:

    writer.operation(node, operands)    one operation, over the values of its operands
    writer.loop(node, operands)         a loop; its body is a graph of its own, which the writer walks when it wants it

The graph is the user's, not the compiler's: names, bricks and steps stay as they were written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

import numpy as np

from ..compile.passes.expand import parts
from ..compile.passes.simplify import key_of, picked_outputs, trimmed
from ..compile.passes.sweep import Loop, same, sweep
from ..errors import BlocksError, made
from ..graph import FED, Graph, Node, apply, rebuild, stamped, subgraphs
from ..interpret import Run, evaluate
from ..ops.leaves import dims_of

V = TypeVar("V")
STRUCTURE = (*FED, "constant", "size", "loop", "pick")  # what a writer writes itself; all else has a row
Covers = Callable[[Node], bool]  # whether a dialect has a row for a node


class Writer(Protocol[V]):
    """What makes values of another language out of nodes."""

    def operation(self, node: Node, operands: list[V]) -> V:
        """The value of an operation, a constant or a size."""

    def loop(self, node: Node, operands: list[V]) -> Mapping[str, V]:
        """The values that a loop gives, by the names that they are picked by."""


def walk(graph: Graph, fed: Mapping[str, V], writer: Writer[V]) -> dict[Node, V]:
    """The value of each node that has one, operands first; `fed` has those of inputs, weights and draws by name."""
    values: dict[Node, V] = {}
    loops: dict[Node, Mapping[str, V]] = {}
    for node in graph.order():
        if node.op.name in FED:
            values[node] = fed[str(node.name)]
        elif node.op.name == "pick":
            values[node] = loops[node.operands[0]][node.attrs["output"]]
        elif node.op.name == "loop":
            loops[node] = writer.loop(node, [values[o] for o in node.operands])
        else:
            values[node] = writer.operation(node, [values[o] for o in node.operands])
    return values


def ready(graph: Graph, covers: Covers, language: str, key: str = "") -> Graph:
    """The graph as `walk` takes it: operations without a row written as their parts, constants of constants folded,
    and loops without the ports, states and outputs that no one asks for. `covers`: whether there is a row for a node;
    `language` and `key`: what an error calls the dialect, and how ``rows=`` does.

    Raises BlocksError naming the first operation that has neither a row nor parts, and where it was made; and for a
    loop over blocks of steps, which only the compiler makes.
    """
    _check(graph, covers, language, key or language.lower())
    return _prepared(graph, covers)


def _check(graph: Graph, covers: Covers, language: str, key: str) -> None:
    for node in all_nodes(graph):
        if node.op.name == "loop" and node.attrs.get("every") is not None:
            raise BlocksError(
                f"a loop over blocks of steps (every={node.attrs['every']!r}) is not written in {language}"
            )
        if node.op.name not in STRUCTURE and node.op.expand is None and not covers(node):
            raise BlocksError(
                f"the operation {node.op.name!r} has no row for {language}, asked for by {made(node)}; "
                f"give it one: rows={{{key!r}: ...}}"
            )


def all_nodes(graph: Graph) -> Iterator[Node]:
    """Every node, those in the bodies of loops too."""
    pending = [graph]
    while pending:
        for node in pending.pop().order():
            yield node
            pending.extend(subgraphs(node).values())


def _prepared(graph: Graph, covers: Covers) -> Graph:
    return _lean(_expanded(graph, covers), covers)


def _expanded(graph: Graph, covers: Covers) -> Graph:
    """Operations without a row as their parts; and these, where they have none."""

    def lacking(node: Node) -> bool:
        return node.op.expand is not None and not covers(node)

    def rule(node: Node, operands: tuple[Node, ...]) -> Node:
        return parts(node, operands) if lacking(node) else same(node, operands)

    while any(map(lacking, graph.order())):
        graph = sweep(graph, rule)
    return graph


def _lean(graph: Graph, covers: Covers) -> Graph:
    """Constants folded, what is the same within a brick made once, and what no one asks of a loop left out."""
    picked = picked_outputs(graph)
    same_values: dict[Any, Node] = {}

    def rule(node: Node, operands: tuple[Node, ...]) -> Node:
        if node.op.name == "loop":
            loop = trimmed(Loop.of(node, operands), picked.get(node, set()))
            return loop.node(_prepared(loop.body, covers))
        value = _value_of(node, operands) if operands else node
        if value is not None:
            return value
        key = None if node.name else key_of(node, operands)
        again = rebuild(node, operands)
        return again if key is None else same_values.setdefault((*key, node.brick), again)

    return sweep(graph, rule)


def _value_of(node: Node, operands: tuple[Node, ...]) -> Node | None:
    """The value of a node that is known, as a constant: 1, as a floating-point number. None, if it is not known, or
    larger than what it is made of."""
    known = all(o.op.name == "constant" for o in operands)
    if not known or dims_of(node.shape) or node.op.name == "stop_gradient":
        return None
    context = Run({}, np.dtype(np.float64))
    with np.errstate(all="ignore"):
        given = [evaluate(o, [], context) for o in operands]
        value = np.asarray(evaluate(node, given, context))
    if value.size > max(v.size for v in given):
        return None
    with stamped(brick=node.brick, role=node.role, step=node.step):
        return apply("constant", value=value, name=node.name)
