"""The bricks of a model: what each gives, and its weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from ..graph import Graph, Node, Shape, show_shape, subgraphs

HEAD = ("brick", "gives", "weights", "shape", "number")


class Row(NamedTuple):
    """One weight of a model; `brick` and `gives` stand at the first one of each brick."""

    brick: str
    gives: str
    weights: str
    shape: str
    number: int


def rows(graph: Graph, shapes: Mapping[str, Shape], weights: Mapping[str, np.ndarray]) -> list[Row]:
    """A row for each weight, in the order of the graph, the weights of a brick together. What a brick in a cell gives
    is that of one step."""
    given = {node.brick: node.shape for node in _nodes(graph) if node.brick and node.op.kind != "leaf"}
    bricks: dict[str, list[str]] = {}
    for name in shapes:
        bricks.setdefault(name.rpartition(".")[0], []).append(name)
    found = []
    for brick, names in bricks.items():
        for i, name in enumerate(names):
            first = i == 0
            gives = show_shape(given[brick]) if first and brick in given else ""
            own = name.removeprefix(f"{brick}.") if brick else name
            label = (brick if first else "") if brick else "—"  # a weight of no brick is not that of the one above
            found.append(Row(label, gives, own, show_shape(shapes[name]), weights[name].size))
    return found


def table(found: list[Row]) -> str:
    """The rows as text, and the number of all weights."""
    lines = [HEAD, *((*row[:4], f"{row.number:,}") for row in found)]
    lines.append(("total", "", "", "", f"{sum(row.number for row in found):,}"))
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    left = "  ".join(f"{{:<{w}}}" for w in widths[:4])
    return "\n".join(f"{left}  {{:>{widths[4]}}}".format(*line) for line in lines)


def _nodes(graph: Graph) -> Iterator[Node]:
    """All nodes, those of a loop's body before it."""
    for node in graph.order():
        for body in subgraphs(node).values():
            yield from _nodes(body)
        yield node
