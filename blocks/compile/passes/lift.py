"""Lift: one operation of a loop's body, over all steps at once.

    before      at each step: z = x W                 after      Z = X W          X, Z: (time, batch, n)

A table: operation → the rule that lifts it, or the reason why it stays in the loop. Elementwise operations have
one rule for all, by their kind, so a new one needs no row. A rule is given a node of the body, its operands
outside of the loop, and for each whether it is constant: what is not has the time axis in front.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...graph import Node, apply


@dataclass(frozen=True)
class Steps:
    """A node of a body whose steps are asked for: its operands outside, and which of them are constant."""

    node: Node
    operands: list[Node]
    constant: list[bool]
    time: str

    def shape(self) -> tuple[int | str, ...]:
        """The shape of the node over all steps."""
        return (self.time, *self.node.shape)


def always(node: Node, constant: list[bool]) -> bool:
    """Whether a rule fits a node, for rules that fit all."""
    return True


@dataclass(frozen=True)
class Rule:
    """How an operation is lifted, and when."""

    lift: Callable[[Steps], Node]
    fits: Callable[[Node, list[bool]], bool] = always


def liftable(node: Node, constant: list[bool]) -> bool:
    """Whether `lift` can compute a node for all steps at once; `constant` says so of each operand."""
    if node.op.kind == "elementwise":
        return True
    rule = RULES.get(node.op.name)
    return rule is not None and rule.fits(node, constant)


def lift(node: Node, operands: list[Node], constant: list[bool], time: str) -> Node:
    """A node over all steps: operands that are not constant have a time axis in front."""
    rule = _elementwise if node.op.kind == "elementwise" else RULES[node.op.name].lift
    return rule(Steps(node, operands, constant, time))


def _elementwise(s: Steps) -> Node:
    rank = len(s.node.shape)

    def padded(o: Node, constant: bool, inside: Node) -> Node:
        """An operand with dimensions of size 1 behind the time axis, so that it meets the others as it did inside."""
        if constant or (len(inside.shape) in (0, rank) and rank == len(o.shape) - 1):
            return o
        return apply("reshape", o, shape=(s.time, *(1,) * (rank - len(inside.shape)), *inside.shape))

    operands = [padded(*o) for o in zip(s.operands, s.constant, s.node.operands, strict=True)]
    return _to_shape(apply(s.node.op, *operands, **s.node.attrs), s.shape())


def _to_shape(node: Node, shape: tuple[int | str, ...]) -> Node:
    return node if node.shape == shape else apply("broadcast", node, shape=shape)


def _as_it_is(s: Steps) -> Node:
    return apply(s.node.op, *s.operands, **s.node.attrs)


def _next_axis(s: Steps) -> Node:
    """The axes that an operation names, counted behind the time axis."""
    axes = {key: s.node.attrs[key] for key in ("axis", "source", "destination") if key in s.node.attrs}
    moved = {key: tuple(a + 1 for a in axis) if isinstance(axis, tuple) else axis + 1 for key, axis in axes.items()}
    return apply(s.node.op, *s.operands, **{**s.node.attrs, **moved})


def _reshape(s: Steps) -> Node:
    return apply("reshape", s.operands[0], shape=s.shape())


def _broadcast(s: Steps) -> Node:
    inside = s.node.operands[0].shape
    x = apply("reshape", s.operands[0], shape=(s.time, *(1,) * (len(s.node.shape) - len(inside)), *inside))
    return apply("broadcast", x, shape=s.shape())


def _pad(s: Steps) -> Node:
    attrs = {**s.node.attrs, "axis": s.node.attrs["axis"] + 1, "shape": s.shape()}
    return apply("pad", s.operands[0], **attrs)


def _outer(s: Steps) -> Node:
    return _to_shape(apply("matmul", apply("transpose", s.operands[0]), s.operands[1]), s.shape())


def _products(node: Node, constant: list[bool]) -> bool:
    """One matrix for all steps, or a matrix for each row that has one inside."""
    x, w = node.operands
    return (constant[1] and len(w.shape) == 2) or len(x.shape) == len(w.shape)


def _none_constant(node: Node, constant: list[bool]) -> bool:
    return not any(constant)


RULES: dict[str, Rule] = {
    "transpose": Rule(_as_it_is),  # of the last two axes
    "reshape": Rule(_reshape),
    "broadcast": Rule(_broadcast),
    "moveaxis": Rule(_next_axis),
    "slice": Rule(_next_axis),
    "pad": Rule(_pad),
    "stop_gradient": Rule(_as_it_is),
    "concat": Rule(_next_axis, _none_constant),
    "sum": Rule(_next_axis),
    "mean": Rule(_next_axis),
    "max": Rule(_next_axis),
    "softmax": Rule(_next_axis),
    "log_softmax": Rule(_next_axis),
    "matmul": Rule(_as_it_is, _products),
    "outer": Rule(_outer, lambda node, constant: len(node.operands[0].shape) == 2),
    "gather": Rule(_as_it_is, lambda node, constant: constant[0]),  # one table for all steps
    "one_hot": Rule(_as_it_is),
    "cross_entropy": Rule(_as_it_is, _none_constant),
}

REFUSALS: dict[str, str] = {
    "hold": "it looks along the steps of one sequence, and its mask has no axis in front",
    "release": "as hold, whose gradient it is",
    "input": "what feeds it is known outside already",
    "parameter": "a body has no weights of its own: they are ports",
    "draw": "a body draws nothing: its draws are ports",
    "constant": "it does not depend on the step",
    "size": "it does not depend on the step",
    "loop": "an inner loop begins anew at each step, from values of that step",
    "pick": "it belongs to an inner loop, which stays",
    "scatter": "the rows of each step are added up by themselves",
    "mask": "whether it admits anything is asked at each step",
    "weighted_mean": "it is one number for each step, over all axes of that step",
}
