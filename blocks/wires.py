"""Wires that a user makes by name: what is fed, what a cell remembers, and weights without a brick.

The class of each is the same, a `Node`; its role says what may be done with it. A value that is computed has a
name too, if it is given one (`named`).
"""

from __future__ import annotations

from typing import Any

from .arguments import checked
from .errors import WiringError, made, user_line
from .graph import FED, Node, Shape, Wire, as_node, rebuild, topological
from .ops.leaves import check_name, make_input, make_parameter, parameter_op, sizes_of
from .ops.shape import broadcast


@checked
def input(name: str, *features: int, dtype: str = "float", shape: Shape | None = None) -> Node:
    """A wire that is fed: ``input("x", 8)`` is ``(batch, 8)``, ``input("class", dtype="int")`` is
    ``(batch,)``; `shape` gives all dimensions instead. dtype: "float", "int" or "bool"."""
    return make_input(name, sizes_of(name, features, ("batch",), shape), dtype, role="input")


@checked
def sequence(name: str, *features: int, dtype: str = "float", time: str = "time") -> Node:
    """A fed wire with a value for every step: ``sequence("x", 8)`` is ``(time, batch, 8)``.

    `time` names the dimension: sequences of lengths of their own need names of their own.
    """
    return make_input(name, sizes_of(name, features, (time, "batch"), None), dtype, role="sequence")


@checked
def state(name: str, *features: int, dtype: str = "float", shape: Shape | None = None, init: Any = 0.0) -> Node:
    """A wire of a cell that carries the value of the step before: ``state("h", 32)`` is ``(batch, 32)``.

    A state may have any shape: ``state("C", 8, 8)`` is a matrix memory, ``state("last", dtype="int")`` is a whole
    number for each sequence, and `shape` gives all dimensions: ``state("mean", shape=(8,))`` is one for the whole
    batch.

    Args:
        name, dtype ("float", "int" or "bool"), features or shape: as for `input`.
        init: its value before the first step, if no other is given or fed there: a number, an array that can be
            repeated to the shape, or a wire of the dtype that depends on weights alone, repeated too: ``init=
            parameter("h0", 32)`` is learnt. Such a state is not fed.

    Raises WiringError for a first value that does not fit, naming both.
    """
    sizes = sizes_of(name, features, ("batch",), shape)
    learnt = init if isinstance(init, Node) else None
    try:
        if isinstance(init, str):
            raise WiringError(f"{name!r}: it begins with a number, an array or a wire, not with {init!r}")
        node = make_input(name, sizes, dtype, role="state", default=0 if learnt is not None else init)
    except WiringError as error:
        raise WiringError(f"the state {error}", "state") from None
    if learnt is None:
        return node
    _check_learnt(node, learnt)
    return rebuild(node, first=learnt)


def _check_learnt(node: Node, first: Node) -> None:
    """Raises WiringError unless a state may begin with a wire."""
    here = f"the state {node.describe()} {node.dtype} made at {node.where} begins with {made(first)} {first.dtype}"
    try:
        fits = first.dtype == node.dtype and broadcast(first, shape=node.shape).shape == node.shape
    except WiringError:
        fits = False
    if not fits:
        raise WiringError(
            f"{here}; a value fits that has its shape and type, or can be repeated to it", "state", (first,)
        )
    for leaf in topological([first]):
        if leaf.op.name in FED and leaf.op is not parameter_op:
            raise WiringError(
                f"{here}, which depends on {made(leaf)}; such a value is given where the cell is run: "
                f"scan(cell, xs, initial={{{node.name!r}: wire}})",
                "state",
                (first, leaf),
            )


@checked
def parameter(name: str, *sizes: int, init: Any = "glorot") -> Node:
    """Weights without a brick, ``parameter("scale", 32, init=1.0)``; `init` as for bricks."""
    return make_parameter(name, sizes_of(name, sizes, (), None), init)


@checked
def named(name: str, wire: Wire) -> Node:
    """The same value under a name: what it is called in the names of weights that meet it, in equations, in source and,
    beside its wire, in figures.

    ``rh = named("h", r * h)`` gives a brick on it the weights ``W_h``. Use the wire that is returned: the one given
    keeps the name that it had. Inside of a named cell it is ``layer1/h``, as its bricks are.

    Raises WiringError for a name that is none, and for an input, a state, weights or a draw, which have names.
    """
    check_name(name, "a wire")
    node = as_node(wire)
    if node.op.name in FED:
        raise WiringError(
            f"{made(node)} is named where it is made; it cannot be called {name!r} [{user_line()}]", "named"
        )
    return rebuild(node, name=name)
