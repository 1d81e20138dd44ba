"""Which inputs of a graph are masks, and which other inputs they cover.

An input is *covered* by a mask if no value of it at a masked step can reach an output: every way from it
leads through a scan or a loss that heeds the mask. What is fed there does not matter, NaN included.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..graph import Graph, Node
from ..ops.elementwise import cast_op, multiply
from ..ops.leaves import input_op
from ..ops.masks import hold, last_op, mask_op, weighted_mean, weighted_sum

HEEDING = (weighted_mean, weighted_sum, hold, last_op)  # what stands where their mask is 0 does not matter


def mask_inputs(graph: Graph) -> set[str]:
    """The inputs that the graph uses as masks."""
    return {str(n.operands[0].name) for n in graph.order() if n.op is mask_op and n.operands[0].op is input_op}


def all_masked(graph: Graph, feeds: Mapping[str, np.ndarray]) -> np.ndarray:
    """Whether a mask of these feeds lets nothing through: then there is nothing to do. Where they lead with trials, of
    each trial, ``(trials,)``."""
    nothing, inputs = np.zeros((), bool), graph.fed("input")
    for name in mask_inputs(graph):
        if name in feeds:
            steps = len(inputs[name].shape)
            nothing = nothing | ~np.any(feeds[name], axis=tuple(range(-steps, 0)))
    return nothing


def _factors(weights: Node) -> set[str]:
    """The masks that weights are a product of."""
    found: set[str] = set()
    pending = [weights]
    while pending:
        node = pending.pop()
        if node.op is mask_op and node.operands[0].op is input_op:
            found.add(str(node.operands[0].name))
        elif node.op is multiply or node.op is cast_op or node.op.kind == "view":
            pending.extend(node.operands)
    return found


def covered_inputs(graph: Graph) -> dict[str, str]:
    """Each covered input → a mask that covers it."""
    covered: dict[str, str] = {}
    order = graph.order()
    for mask in sorted(mask_inputs(graph)):
        exposed = set(graph.outputs.values())
        for node in reversed(order):
            if node not in exposed:
                continue
            heeds = node.op in HEEDING and mask in _factors(node.operands[1])
            exposed.update(node.operands[1:] if heeds else node.operands)
        shape = graph.fed("input")[mask].shape
        for name, node in graph.fed("input", "draw").items():
            if node not in exposed and len(shape) == 2 and node.shape[:2] == shape:
                covered.setdefault(name, mask)
    return covered
