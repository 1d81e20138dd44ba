"""Trials: independent networks side by side, each with weights and draws of its own.

    before      y = tanh(x W + b)       x, y: (time, batch, n), W: (n, m)

    after       y = tanh(x W + b)       W: (trials, n, m), y: (time, trials, batch, m)

Weights and draws get a dimension more, and all that depends on them does too: behind the steps and before the batch.
Most operations are lifted over trials by the rule that lifts them over steps (see `lift`); those whose rule wants the
new dimension in front get it there. What stands in `OWN` leaves no loop, but has trials.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from ...arguments import checked
from ...errors import BlocksError, made, nearest
from ...graph import Graph, Node, Shape, apply, check_graph, rebuild, stamped
from ...ops.elementwise import TRIALS, already_aligned, place_of_trials
from ..passes.expand import parts
from ..passes.sweep import same, sweep
from .lift import AXES, RULES, Rule, Steps, rule_of


@checked
def trials(graph: Graph, vary: Collection[str] = ()) -> Graph:
    """Independent networks of one kind side by side, as one graph.

    Every weight gets a leading dimension, ``(trials, 8, 32)``, and so does every draw, and all that depends on them;
    in sequences it stands behind the steps, ``(time, trials, batch, 32)``. All outputs have it. Inputs are the same for
    all trials, but those named in `vary`, which have it too. ``graph.init(seed, dtype, trials=R)`` gives trial r the
    first weights that one network has with the seed + r, and so does a run its draws.

    Raises BlocksError for a graph that has trials already, and for a name in `vary` that is no input.
    """
    check_graph(graph, "trials")
    inputs = graph.fed("input")
    if isinstance(vary, str) or not isinstance(vary, Collection):
        raise BlocksError(f"trials are given by the names of inputs that differ among them, ['x'], not {vary!r}")
    for name in vary:
        if name not in inputs:
            raise BlocksError(
                f"the graph has no input {name!r}{nearest(str(name), inputs)}; it has {', '.join(inputs)}"
            )
    for node in graph.order():
        if TRIALS in node.shape:
            raise BlocksError(f"{made(node)} has trials already")
    return _side_by_side(graph, frozenset(vary))


def with_trials(shape: Shape) -> Shape:
    """A shape with trials, at their place."""
    at = place_of_trials(shape)
    return (*shape[:at], TRIALS, *shape[at:])


def _side_by_side(graph: Graph, vary: Collection[str]) -> Graph:
    """The graph with trials; of its inputs those named in `vary` have them. All outputs do."""
    new: dict[Node, Node] = {}
    graph = sweep(graph, _known)
    for node in graph.order():
        operands = [new[o] for o in node.operands]
        varies = [o in new and new[o] is not o for o in node.operands]
        if node.op.name in ("parameter", "draw") or (node.op.name == "input" and node.name in vary):
            new[node] = _leaf(node)
        elif not any(varies):
            new[node] = node
        else:
            with already_aligned(), stamped(brick=node.brick, role=node.role):
                new[node] = rebuild(_lifted(node, operands, varies), **vars(node.stamp))
    with already_aligned():
        return Graph({name: new[n] if new[n] is not n else _repeated(n, n.shape) for name, n in graph.outputs.items()})


def _known(node: Node, operands: tuple[Node, ...]) -> Node:
    """The node over new operands; or its parts, where they alone are known to have trials."""
    known = node.op.expand is None or node.op.name in OWN or rule_of(node) is not None
    return same(node, operands) if known else parts(node, operands)


def _leaf(node: Node) -> Node:
    """A weight, a draw or an input with trials."""
    shape, attrs = with_trials(node.shape), dict(node.attrs)
    default = attrs.get("default")
    if isinstance(default, np.ndarray):
        behind = len(node.shape) - place_of_trials(node.shape)
        attrs["default"] = np.expand_dims(default, default.ndim - behind) if default.ndim > behind else default
    return Node(node.op, (), {**attrs, "shape": shape}, node.stamp, node.origin)


def _repeated(node: Node, shape: Shape) -> Node:
    """A value that is the same in all trials, with trials; `shape` is its shape without."""
    at = place_of_trials(shape)
    if at:
        node = apply("reshape", node, shape=(*shape[:at], 1, *shape[at:]))
    return apply("broadcast", node, shape=with_trials(shape))


def _settled(node: Node, at: int) -> Node:
    """A value with its trials at an axis."""
    now = node.shape.index(TRIALS)
    return node if now == at else apply("moveaxis", node, source=now, destination=at)


def _lifted(node: Node, operands: list[Node], varies: list[bool]) -> Node:
    """A node over operands of which some have trials."""
    if node.op.name == "loop":
        return _loop(node, operands, varies)
    if node.op.name == "pick":
        return _settled(apply("pick", *operands, **node.attrs), place_of_trials(node.shape))
    rule, constant = OWN.get(node.op.name) or rule_of(node), [not v for v in varies]
    if rule is None:
        raise BlocksError(f"{made(node)}: {node.op.name} is not known to have trials")
    if not rule.fits(node, constant):
        pairs = zip(operands, node.operands, varies, strict=True)
        operands = [o if v else _repeated(o, inside.shape) for o, inside, v in pairs]
        constant = [False] * len(operands)
    at = place_of_trials(node.shape)
    if not (rule.anywhere and (node.op.kind == "elementwise" or _behind(node, varies, at))):
        at = 0
        operands = [o if c else _settled(o, 0) for o, c in zip(operands, constant, strict=True)]
    return _settled(rule.lift(Steps(node, operands, constant, TRIALS, at)), place_of_trials(node.shape))


def _behind(node: Node, varies: list[bool], at: int) -> bool:
    """Whether an operation leaves the axes as they are that stand before the trials."""
    named = [a for key in AXES if key in node.attrs for a in np.ravel(node.attrs[key])]
    inside = [o.shape for o, v in zip(node.operands, varies, strict=True) if v]
    same = all(place_of_trials(s) == at and s[:at] == node.shape[:at] for s in inside)
    return same and all(a >= at for a in named) and all(len(s) > at or not at for s in inside)


# --- loops ---------------------------------------------------------------------------------------


def _loop(node: Node, operands: list[Node], varies: list[bool]) -> Node:
    """A loop whose states and outputs all have trials."""
    attrs: dict[str, Any] = dict(node.attrs)
    body, states = attrs["body"], attrs["states"]
    vary = {p for p, v in zip(attrs["ports"], varies, strict=True) if v} | set(states)
    inside = body.fed("input")
    attrs["body"] = new = _side_by_side(body, vary & set(inside))
    wires = []
    for port, wire, v, old in zip(attrs["ports"], operands, varies, node.operands, strict=True):
        if port in states and not v:
            wire = _repeated(wire, old.shape)
        elif v and port in inside:
            steps = len(old.shape) - len(inside[port].shape)  # a time axis in front, or none
            wire = _settled(wire, steps + new.fed("input")[port].shape.index(TRIALS))
        wires.append(wire)
    return Node(node.op, tuple(wires), attrs, node.stamp)


# --- operations with a rule for trials alone, who have them in front -----------------------------


def _one_number_each(s: Steps) -> Node:
    """`weighted_mean` of each trial; where a mask leaves nothing in a trial and nothing is said, it is NaN there."""
    x, w = s.operands
    shape = (TRIALS, *s.node.operands[0].shape)
    weights = apply("broadcast", w, shape=shape if not s.constant[1] else shape[1:])
    axes = tuple(range(1, len(shape)))
    total = apply("sum", weights, axis=axes if not s.constant[1] else None)
    sums = apply("sum", apply("multiply", weights, x), axis=axes)
    empty = s.node.attrs.get("empty")
    if empty is None:
        return apply("divide", sums, total)
    nothing = apply("equal", total, 0.0)
    return apply("where", nothing, float(empty), apply("divide", sums, apply("where", nothing, 1.0, total)))


def _with_mask(s: Steps) -> Node:
    """`hold` and `release`: trials behind the steps, or where the mask is the same for all, behind the batch."""
    x, mask = s.operands
    at = 2 if s.constant[1] else 1
    mask = mask if s.constant[1] else _settled(mask, 1)
    return _settled(apply(s.node.op, _settled(x, at), mask), 0)


def _rows(s: Steps) -> Node:
    """`gather` and `scatter`: trials behind the rows of the table, or a table for each."""
    values, ids = s.operands
    if s.constant[0] or not s.constant[1]:
        return apply(s.node.op, values, ids, **{**s.node.attrs, "each": 0 if s.constant[0] else 1})
    to = 1 if s.node.op.name == "gather" else len(ids.shape)
    return _settled(apply(s.node.op, _settled(values, to), ids, **s.node.attrs), 0)


def _own_values(node: Node, constant: list[bool]) -> bool:
    """Whether values have trials where what chooses among them does."""
    return constant[1] or not constant[0]


OWN: dict[str, Rule] = {
    "weighted_mean": Rule(_one_number_each),
    "mask": Rule(lambda s: apply("mask", *s.operands)),
    "hold": Rule(_with_mask, _own_values),
    "release": Rule(_with_mask, _own_values),
    "gather": Rule(_rows),
    "scatter": Rule(_rows, _own_values),
    "matmul": Rule(RULES["matmul"].lift),
}
