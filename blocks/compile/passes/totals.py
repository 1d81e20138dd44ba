"""Totals: a state that only adds up is one sum over all steps, after the loop.

    before      loop: s = s + xᵗ d          after      s₀ + Xᵗ D, over time and batch at once

That is what an accumulated gradient is. Nothing but the sum itself may read such a state while it grows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from ...graph import Node, apply, rebuild
from ...ops.loop import NEXT
from ..passes.sweep import Loop, users_of

OVER_ALL_STEPS = ("outer", "scatter", "sum")  # the sum over time of f(x) is f of all steps at once


def accumulated(loop: Loop) -> dict[str, Node]:
    """States that only add up: state → what is added at each step."""
    if loop.every is not None:
        return {}
    users, inputs = users_of(loop.body), loop.body.fed("input")
    times_kept = Counter(loop.body.outputs.values())
    sums = {}
    for state in loop.states:
        old, new = inputs.get(state), loop.body.outputs[NEXT + state]
        if old is None or new.op.name != "add" or users[old] != [new] or old in times_kept:
            continue
        added = [o for o in new.operands if o is not old]
        if len(added) == 1 and not users[new] and times_kept[new] == 1 and added[0].shape == new.shape == old.shape:
            sums[state] = added[0]
    return sums


def _through(node: Node) -> bool:
    """Whether the sum over time of f(x) is f of the sum."""
    return node.op.kind == "view" or node.op.name == "negative"


def parts_of_total(node: Node) -> list[Node]:
    """The values whose steps the sum over time of a node is made from."""
    while _through(node):
        node = node.operands[0]
    return list(node.operands) if node.op.name in OVER_ALL_STEPS else [node]


def total(node: Node, all_steps: Callable[[Node], Node]) -> Node:
    """Σ over time of a node's value; `all_steps` gives the values of all steps of the parts."""
    outer_views = []
    while _through(node):
        outer_views.append(node)
        node = node.operands[0]
    result = _total(node, all_steps)
    for view in reversed(outer_views):
        result = rebuild(view, (result,))
    return result


def _total(node: Node, all_steps: Callable[[Node], Node]) -> Node:
    if node.op.name not in OVER_ALL_STEPS:
        return apply("sum", all_steps(node), axis=(0,), keepdims=False)
    parts = [all_steps(o) for o in node.operands]
    if node.op.name == "outer" and "each" in node.attrs:
        return apply(node.op, *parts, each=tuple(i + 1 for i in node.attrs["each"]))
    if node.op.name != "sum":
        return apply(node.op, *parts, **node.attrs)
    axes = (0, *(a + 1 for a in node.attrs["axis"]))
    summed = apply("sum", parts[0], axis=axes, keepdims=False)
    return summed if summed.shape == node.shape else apply("reshape", summed, shape=node.shape)
