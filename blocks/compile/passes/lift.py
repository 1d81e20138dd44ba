"""Lift: one operation with one dimension more, over all steps of a loop at once, or over all trials.

    before      at each step: z = x W                 after      Z = X W          X, Z: (time, batch, n)

A table: operation → the rule that lifts it, or the reason why it stays in the loop. Elementwise operations have
one rule for all, by their kind, so a new one needs no row. A rule is given a node, its lifted operands, and for each
whether it is constant: what is not has the new dimension. Over steps that stands in front; over trials (see
`trials`) behind the steps, where a rule can do that, else in front too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...graph import Node, Shape, apply


@dataclass(frozen=True)
class Steps:
    """A node of which all steps, or trials, are asked for: its operands with that dimension, and which of them are
    constant and do not have it; `at` is where it stands in the shape of the node."""

    node: Node
    operands: list[Node]
    constant: list[bool]
    dim: str
    at: int = 0

    def shape(self) -> Shape:
        """The shape of the node with the new dimension."""
        return (*self.node.shape[: self.at], self.dim, *self.node.shape[self.at :])


def always(node: Node, constant: list[bool]) -> bool:
    """Whether a rule fits a node, for rules that fit all."""
    return True


@dataclass(frozen=True)
class Rule:
    """How an operation is lifted, and when; `anywhere`, whether also where the new dimension stands behind others
    that it leaves as they are."""

    lift: Callable[[Steps], Node]
    fits: Callable[[Node, list[bool]], bool] = always
    anywhere: bool = False


def rule_of(node: Node) -> Rule | None:
    """The rule for a node, if there is one."""
    return ELEMENTWISE if node.op.kind == "elementwise" else RULES.get(node.op.name)


def liftable(node: Node, constant: list[bool]) -> bool:
    """Whether `lift` can compute a node for all steps at once; `constant` says so of each operand."""
    rule = rule_of(node)
    return rule is not None and rule.fits(node, constant)


def lift(node: Node, operands: list[Node], constant: list[bool], dim: str, at: int = 0) -> Node:
    """A node with a dimension more, at an axis: operands that are not constant have it."""
    rule = rule_of(node)
    assert rule is not None
    return rule.lift(Steps(node, operands, constant, dim, at))


def _met(s: Steps, o: Node, constant: bool, inside: Shape) -> Node:
    """An operand with dimensions of size 1 put in, so that it meets the node's shape as it did before."""
    more = len(s.node.shape) - len(inside)
    at = max(0, s.at - more)  # where the new dimension stands among the operand's own
    if constant and at == 0:
        return o
    if not constant and (now := o.shape.index(s.dim)) != at:
        o = apply("moveaxis", o, source=now, destination=at)
    new: Shape = (1,) if constant else (s.dim,)
    before, behind = (1,) * min(more, s.at), (1,) * max(0, more - s.at)
    return _shaped(o, (*before, *inside[:at], *new, *behind, *inside[at:]))


def _shaped(node: Node, shape: Shape) -> Node:
    return node if node.shape == shape else apply("reshape", node, shape=shape)


def _elementwise(s: Steps) -> Node:
    operands = [_met(s, o, c, i.shape) for o, c, i in zip(s.operands, s.constant, s.node.operands, strict=True)]
    return _to_shape(apply(s.node.op, *operands, **s.node.attrs), s.shape())


def _to_shape(node: Node, shape: Shape) -> Node:
    return node if node.shape == shape else apply("broadcast", node, shape=shape)


def _as_it_is(s: Steps) -> Node:
    return apply(s.node.op, *s.operands, **s.node.attrs)


def _next_axis(s: Steps) -> Node:
    """The axes that an operation names, counted behind the new one."""

    def moved(a: int) -> int:
        return a + (a >= s.at)

    axes = {key: s.node.attrs[key] for key in AXES if key in s.node.attrs}
    new = {key: tuple(map(moved, axis)) if isinstance(axis, tuple) else moved(axis) for key, axis in axes.items()}
    return apply(s.node.op, *s.operands, **{**s.node.attrs, **new})


def _reshape(s: Steps) -> Node:
    return apply("reshape", s.operands[0], shape=s.shape())


def _broadcast(s: Steps) -> Node:
    return apply("broadcast", _met(s, s.operands[0], False, s.node.operands[0].shape), shape=s.shape())


def _pad(s: Steps) -> Node:
    axis = s.node.attrs["axis"]
    return apply("pad", s.operands[0], **{**s.node.attrs, "axis": axis + (axis >= s.at), "shape": s.shape()})


def _matmul(s: Steps) -> Node:
    """Stacks of matrices: what has no dimension for the other's gets one of size 1 behind the new one."""
    x, w = s.node.operands
    if s.constant[1] and len(w.shape) == 2:
        return _as_it_is(s)
    rank = max(len(x.shape), len(w.shape), 2)

    def stacked(o: Node, constant: bool, inside: Shape) -> Node:
        matrix = (1, *inside) if len(inside) == 1 else inside
        return _shaped(o, matrix if constant else (s.dim, *(1,) * (rank - len(matrix)), *matrix))

    operands = [stacked(o, c, i.shape) for o, c, i in zip(s.operands, s.constant, (x, w), strict=True)]
    return _shaped(apply("matmul", *operands), s.shape())


def _outer(s: Steps) -> Node:
    """A product for each, not summed over."""

    def rows(o: Node, constant: bool, inside: Shape) -> Node:
        return _shaped(o, (1 if constant else s.dim, *(inside if len(inside) > 1 else (1, *inside))))

    operands = [rows(o, c, i.shape) for o, c, i in zip(s.operands, s.constant, s.node.operands, strict=True)]
    return apply("outer", *operands, each=(0, *(i + 1 for i in s.node.attrs.get("each", ()))))


def _outer_each(s: Steps) -> Node:
    """Rows with the new dimension in front, and dimensions of size 1 behind it, where the other factor has more."""
    rank = len(s.node.shape) - 1

    def rows(o: Node, constant: bool, inside: Shape) -> Node:
        return o if constant else _shaped(o, (s.dim, *(1,) * (rank - len(inside)), *inside))

    operands = [rows(o, c, i.shape) for o, c, i in zip(s.operands, s.constant, s.node.operands, strict=True)]
    return apply("outer_each", *operands)


def _products(node: Node, constant: list[bool]) -> bool:
    """Matrices that are the same at all steps, or a matrix for each row that has one inside."""
    x, w = node.operands
    return constant[1] or len(x.shape) == len(w.shape)


def _none_constant(node: Node, constant: list[bool]) -> bool:
    return not any(constant)


AXES = ("axis", "source", "destination")  # the options that name axes
ELEMENTWISE = Rule(_elementwise, anywhere=True)

RULES: dict[str, Rule] = {
    "transpose": Rule(_as_it_is, anywhere=True),  # of the last two axes
    "reshape": Rule(_reshape, anywhere=True),
    "broadcast": Rule(_broadcast, anywhere=True),
    "moveaxis": Rule(_next_axis, anywhere=True),
    "slice": Rule(_next_axis, anywhere=True),
    "pad": Rule(_pad, anywhere=True),
    "stop_gradient": Rule(_as_it_is, anywhere=True),
    "concat": Rule(_next_axis, _none_constant, anywhere=True),
    "sum": Rule(_next_axis, anywhere=True),
    "mean": Rule(_next_axis, anywhere=True),
    "max": Rule(_next_axis, anywhere=True),
    "softmax": Rule(_next_axis, anywhere=True),
    "log_softmax": Rule(_next_axis, anywhere=True),
    "cumsum": Rule(_next_axis, anywhere=True),
    "argmax": Rule(_next_axis, anywhere=True),
    "layernorm": Rule(_next_axis, anywhere=True),
    "rmsnorm": Rule(_next_axis, anywhere=True),
    "matmul": Rule(_matmul, _products),
    "outer": Rule(_outer),
    "outer_each": Rule(_outer_each),
    "gather": Rule(_as_it_is, lambda node, constant: constant[0]),  # one table for all steps
    "one_hot": Rule(_as_it_is, anywhere=True),
    "cross_entropy": Rule(_as_it_is, _none_constant, anywhere=True),
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
    "weighted_sum": "its parts are lifted: it is expanded before",
    "last": "it takes the steps of a sequence away, and its mask has no axis in front",
    "weighted_mean": "it is one number for each step, over all axes of that step",
}
