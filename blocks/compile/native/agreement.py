"""Whether machine code does what its graph says: one small call of it against the interpreter, before it is kept.

A compiler can be wrong, and a program that is cannot be told from one that is not by its looks.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...errors import BlocksError
from ...graph import Graph, Node, subgraphs
from ...interpret import Run, bind, execute

Arrays = dict[str, np.ndarray]
Allocate = Callable[[dict[str, int]], Callable[[Arrays], Arrays]]  # sizes → what computes with them
SIZE = 2  # of each dimension
TOLERANCE = {"float32": 1e-3, "float64": 1e-7}  # of the largest number of an array; a compiler's mistake is larger


def disagreement(graph: Graph, dtype: np.dtype, allocate: Allocate) -> str:
    """What a program gets wrong for some feeds, as its graph says; nothing, if all is as it should be, or the graph
    refuses the feeds."""
    rng = np.random.default_rng(0)
    leaves = graph.fed("parameter", "input")
    feeds = {name: _some(node, dtype, rng) for name, node in leaves.items()}
    try:
        arrays, known = bind(graph, feeds)
        context = Run({**dict.fromkeys(_dimensions(graph), SIZE), **known.dims}, dtype)
        with np.errstate(all="ignore"):
            expected = execute(graph, arrays, context)
    except BlocksError:
        return ""
    try:
        got = allocate(context.dims)(arrays)
    except BlocksError:
        return "it refuses what the interpreter computes"
    for name, value in expected.items():
        known = np.isfinite(value)
        largest = float(np.abs(value, where=known, out=np.zeros(value.shape)).max(initial=0.0))
        with np.errstate(invalid="ignore"):
            near = np.abs(got[name].astype(float) - value) <= TOLERANCE[dtype.name] * max(largest, 1e-3)
        if not near[known].all():
            return f"{name} differs from what the interpreter computes"
    return ""


def _dimensions(graph: Graph) -> set[str]:
    """The dimensions of a graph and its loops; a loop may go over one that nothing has that is fed."""
    found, todo = set[str](), [graph]
    while todo:
        for node in todo.pop().order():
            found |= {d for d in (*node.shape, node.attrs.get("time")) if isinstance(d, str)}
            todo += subgraphs(node).values()
    return found


def _some(node: Node, dtype: np.dtype, rng: np.random.Generator) -> np.ndarray:
    """A value for a leaf that most graphs take: whole numbers are 0 or 1."""
    shape = [d if isinstance(d, int) else SIZE for d in node.shape]
    if node.dtype == "float":
        return rng.standard_normal(shape).astype(dtype)
    return rng.integers(0, 2, shape).astype(bool if node.dtype == "bool" else np.int64)
