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

    def of(self, node: Node) -> int:
        """The number of a node."""
        for one in topological([node], stop=self.known.__contains__):
            if one not in self.known:
                key = self._leaf(one) if one.op.name in FED else tuple(self.known[o] for o in one.operands)
                attrs = () if one.op.name == "draw" else tuple((k, value_key(v)) for k, v in sorted(one.attrs.items()))
                whole = (one.op.name, key, attrs, one.shape, one.dtype)
                self.known[one] = self.numbers.setdefault(whole, len(self.numbers))
        return self.known[node]

    def same(self, a: Node, b: Node) -> bool:
        """Whether two nodes compute the same."""
        return self.of(a) == self.of(b)

    def _leaf(self, node: Node) -> Any:
        name = str(node.name).removeprefix(self.scope)
        if node.op.name == "draw":  # numbers behind its name are given by the graph
            stem = name if node.attrs["named"] else re.sub(r"_\d+$", "", name)
            return stem, node.attrs["law"], node.attrs["of"]
        return name


def value_key(value: Any) -> Any:
    """An option as something that can be compared."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, Graph):
        raise BlocksError("a loop is compared by its body, not by a signature")
    return id(value) if callable(value) else value
