"""Whether two nodes compute the same: the same operations with the same options over the same leaves, by name."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ..errors import BlocksError
from ..graph import FED, Graph, Node, topological


class Signatures:
    """A number for each node, the same for nodes that compute the same. `scope`: what stands before all names."""

    def __init__(self, scope: str = "") -> None:
        self.scope = scope
        self.numbers: dict[Any, int] = {}
        self.known: dict[Node, int] = {}
        self.leaves: dict[Node, int] = {}  # of the body of a loop, those that it shares with what is around

    def of(self, node: Node) -> int:
        """The number of a node."""
        for one in topological([node], stop=self.known.__contains__):
            if one not in self.known:
                key = self._leaf(one) if one.op.name in FED else tuple(self.known[o] for o in one.operands)
                given = [] if one.op.name in ("draw", "loop") else sorted(one.attrs.items())
                attrs = tuple((k, value_key(v)) for k, v in given)
                key = self._loop(one) if one.op.name == "loop" else key
                whole = (one.op.name, key, attrs, one.shape, one.dtype)
                self.known[one] = self.numbers.setdefault(whole, len(self.numbers))
        return self.known[node]

    def same(self, a: Node, b: Node) -> bool:
        """Whether two nodes compute the same."""
        return self.of(a) == self.of(b)

    def _loop(self, loop: Node) -> Any:
        """A loop by its body, what is wired to the ports that this uses, and how it runs. Weights and draws are the
        same inside, whatever their ports are called there."""
        body, states = loop.attrs["body"], loop.attrs["states"]
        wires = {p: self.known[o] for p, o in zip(loop.attrs["ports"], loop.operands, strict=True)}
        inside, used = Signatures(self.scope), body.fed("input")
        inside.numbers = self.numbers
        inside.leaves = {n: wires[p] for p, n in used.items() if n.role in ("parameter", "draw")}
        ports = {p: number for p, number in wires.items() if p in states or used.get(p, loop) not in inside.leaves}
        ports = {p: number for p, number in ports.items() if p in used or p in states}
        outputs = sorted((n, inside.of(o)) for n, o in body.outputs.items())
        over = sorted(p for p in loop.attrs["sequences"] if p in ports)
        ways = [loop.attrs[k] for k in ("time", "reverse")], loop.attrs.get("every"), sorted(loop.attrs["stacked"])
        return repr((sorted(ports.items()), outputs, sorted(states), over, ways))

    def _leaf(self, node: Node) -> Any:
        if node in self.leaves:
            return self.leaves[node]
        name = str(node.name).removeprefix(self.scope)
        if node.op.name == "draw":  # numbers behind its name are given by the graph
            return re.sub(r"_\d+$", "", name), node.attrs["law"], node.attrs["of"]
        return name


def value_key(value: Any) -> Any:
    """An option as something that can be compared."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, Graph):
        raise BlocksError("a loop is compared by its body, not by a signature")
    return id(value) if callable(value) else value
