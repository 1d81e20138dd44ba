"""Bricks: operations that own weights. A brick is made once and called on wires.

    forget = SIGM(32, name="forget")        its weights are forget.W_x, forget.W_h and forget.b
    f = forget(x, h)                        f = σ(x W_x + h W_h + b)

Calling a brick again shares its weights; two bricks never share. The lower-case twin of a brick
(``sigm``, ``tanh``, ``+``, ``*``) has no weights.

Traps: which wire is called what decides the names of the weights, so it is settled at the first call.
And a weight that meets a state, as it is or through operations, is recurrent, so it starts orthogonal, the others
by Glorot's rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .arguments import checked
from .errors import WiringError, made, nearest, user_line
from .graph import Node, Shape, Wire, as_node, show_shape, stamped
from .ops.elementwise import cast_op, relu, sigm, stop_gradient, tanh
from .ops.leaves import check_name, make_parameter
from .ops.linear import matmul
from .ops.shape import gather, softmax

KINDS = ("dense", "diagonal", "scalar")


def wire_name(wire: Node, position: int) -> str:
    """What a wire is called in the name of a weight: after its input or state, else after the brick
    that made it, else by its position, from 1."""
    while wire.name is None and wire.brick is None and wire.op in (stop_gradient, cast_op):
        (wire,) = wire.operands
    label = wire.name or wire.brick or str(position)
    return label.rsplit("/", 1)[-1]


def is_recurrent(wire: Node) -> bool:
    """Whether a wire is a state, or made of one by operations that keep its features: not through a brick."""
    pending, seen = [wire], {wire}
    while pending:
        node = pending.pop()
        if node.role == "state":
            return True
        if node.brick is None and node.op.kind in ("elementwise", "view"):
            more = [o for o in node.operands if o not in seen and o.shape[-1:] == wire.shape[-1:]]
            pending += more
            seen.update(more)
    return False


class Brick:
    """What all bricks have in common: a name, weights for each wire, a bias.

    Args:
        units: the features of the result, ``(..., units)``.
        name: the brick's name, the first part of the names of its weights; by default its kind in
            lower case. Two bricks of one graph need two names.
        weights: "dense", a matrix ``(features, units)`` for each wire; "diagonal", a vector ``(units,)``
            (a peephole, for a wire of as many features as units); or "scalar", one number. A dict by wire
            gives each its own: ``{"C": "diagonal"}``, dense where nothing is said.
        bias: whether a vector ``(units,)`` is added.
        init: first weights, for all wires: "glorot", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform",
            "lecun_normal", "orthogonal", "identity", "zeros", "ones", "uniform" (±0.1), "normal" (0.1), a number, an
            array, ``("uniform", low, high)``, ``("normal", std)``, or a function ``(rng, shape)`` → array (a file
            then holds the weights, and says "given"); or a dict by weight: ``{"W_h": "identity", "b": 1.0}``. By
            default orthogonal where a square matrix meets a state, or what operations make of one, Glorot
            elsewhere, and bias 0.

    Raises WiringError for an unknown option.
    """

    default_bias = True

    @checked
    def __init__(
        self,
        units: int,
        name: str | None = None,
        weights: str | Mapping[str, str] = "dense",
        bias: bool | None = None,
        init: Any = None,
    ):
        kind = type(self).__name__
        self.name = check_name(name or kind.lower(), f"a {kind} brick")
        self.where = user_line()
        if isinstance(units, bool) or not isinstance(units, int | np.integer) or units < 1:
            raise WiringError(f"brick {self.name!r}: units must be a positive whole number, not {units!r}")
        for each in weights.values() if isinstance(weights, Mapping) else (weights,):
            if each not in KINDS:
                hint = nearest(str(each), KINDS)
                raise WiringError(f"brick {self.name!r}: weights are {', '.join(KINDS)}, not {each!r}{hint}")
        if not isinstance(bias, bool | None):
            raise WiringError(f"brick {self.name!r}: bias is True or False, not {bias!r}; its value goes into init")
        self.units, self.weights, self.init = int(units), weights, init
        self.bias = self.default_bias if bias is None else bias
        self._params: dict[str, Node] = {}
        self._slots: list[str] = []  # the names of the wires of the first call

    @checked
    def __call__(self, *wires: Wire) -> Node:
        """The brick on some wires, each ``(..., features)``. Raises WiringError if one does not fit."""
        nodes = [as_node(w) for w in wires]
        with stamped(brick=self.name):
            self._check(nodes)
            return self.squash(self.combine(nodes))

    def squash(self, net: Node) -> Node:
        """What happens to the net input; nothing, here."""
        return net

    def combine(self, wires: list[Node]) -> Node:
        """The net input: a W_a + b W_b + … + bias."""
        net = self.product(0, wires[0])
        for i, wire in enumerate(wires[1:], 1):
            net = net + self.product(i, wire)
        return net + self.param("b", (self.units,), 0.0) if self.bias else net

    def product(self, slot: int, wire: Node) -> Node:
        """A wire times its weights."""
        name = self._slots[slot]
        kind = self.weights.get(name, "dense") if isinstance(self.weights, Mapping) else self.weights
        if kind == "dense":
            square = wire.shape[-1] == self.units and is_recurrent(wire)
            weight = self.param(f"W_{name}", (wire.shape[-1], self.units), "orthogonal" if square else "glorot")
            return matmul(wire, weight)
        if wire.shape[-1] != self.units:
            raise WiringError(
                f"brick {self.name!r} made at {self.where}: {kind} weights need a wire of {self.units} features, "
                f"but {made(wire)} has {wire.shape[-1]}",
                type(self).__name__,
                (wire,),
            )
        shape = (self.units,) if kind == "diagonal" else ()
        return wire * self.param(f"W_{name}", shape, "glorot" if kind == "diagonal" else 1.0)

    def weights_of_wires(self) -> list[str]:
        """The names of all weights but the bias."""
        return [f"W_{name}" for name in self._slots]

    def param(self, short: str, shape: Shape, default: Any) -> Node:
        """One of the brick's weights, made at the first call and the same ever after."""
        if short not in self._params:
            init = self.init.get(short) if isinstance(self.init, Mapping) else None if short == "b" else self.init
            chosen = default if init is None else init
            self._params[short] = make_parameter(f"{self.name}.{short}", shape, chosen)
        known = self._params[short]
        if known.shape != shape:
            raise WiringError(
                f"brick {self.name!r} made at {self.where}: its weights {known.name} are {show_shape(known.shape)} "
                f"since its first call; this wire needs {show_shape(shape)}",
                type(self).__name__,
            )
        return known

    def _check(self, wires: list[Node]) -> None:
        here = f"brick {self.name!r} made at {self.where}"
        kind = type(self).__name__
        if not wires:
            raise WiringError(f"{here}: a brick is called on one wire or more, not on none", kind)
        if self._slots and len(self._slots) != len(wires):
            first = ", ".join(self._slots)
            raise WiringError(f"{here}: first called on {len(self._slots)} wires ({first}), now on {len(wires)}", kind)
        for wire in wires:
            if wire.dtype != "float":
                raise WiringError(
                    f"{here}: {made(wire)} is {wire.dtype}; a brick takes floating-point "
                    "wires (integer ids go through EMBED, or one_hot)",
                    kind,
                    tuple(wires),
                )
            if not wire.shape or isinstance(wire.shape[-1], str):
                raise WiringError(f"{here}: {made(wire)} has no features", kind, tuple(wires))
        if not self._slots:
            for position, wire in enumerate(wires, 1):
                name = wire_name(wire, position)
                self._slots.append(str(position) if name in self._slots else name)
            self._check_option_names()

    def _check_option_names(self) -> None:
        here = f"brick {self.name!r} made at {self.where}"
        if isinstance(self.weights, Mapping):
            for name in self.weights:
                if name not in self._slots:
                    raise WiringError(f"{here}: weights for {name!r}, but its wires are {', '.join(self._slots)}")
        if isinstance(self.init, Mapping):
            known = self.weights_of_wires() + (["b"] if self.bias else [])
            for name in self.init:
                if name not in known:
                    hint = nearest(str(name), known)
                    raise WiringError(f"{here}: init for {name!r}, but its weights are {', '.join(known)}{hint}")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self.units}) {self.name!r}>"


class ADD(Brick):
    """``ADD(n)(a, b, …)`` = a W_a + b W_b + … + bias: the net input of everything. See `Brick`."""


class SIGM(Brick):
    """``SIGM(n)(a, b, …)`` = σ(a W_a + b W_b + … + bias), in (0, 1): a fuzzy yes or no. See `Brick`."""

    def squash(self, net: Node) -> Node:
        """σ of the net input."""
        return sigm(net)


class TANH(Brick):
    """``TANH(n)(a, b, …)`` = tanh(a W_a + b W_b + … + bias), in (-1, 1). See `Brick`."""

    def squash(self, net: Node) -> Node:
        """tanh of the net input."""
        return tanh(net)


class RELU(Brick):
    """``RELU(n)(a, b, …)`` = max(a W_a + b W_b + … + bias, 0). See `Brick`."""

    def squash(self, net: Node) -> Node:
        """The net input where it is positive, else 0."""
        return relu(net)


class SOFTMAX(Brick):
    """``SOFTMAX(n)(a, b, …)`` = softmax(a W_a + b W_b + … + bias): positive, with sum 1. See `Brick`.

    For training, `losses.cross_entropy` wants the net input itself: use ADD there.
    """

    def squash(self, net: Node) -> Node:
        """The softmax of the net input, along the units."""
        return softmax(net)


class MULTIPLY(Brick):
    """``MULTIPLY(n)(a, b, …)`` = (a W_a) ⊙ (b W_b) ⊙ …, plus a bias only if asked for. See `Brick`."""

    default_bias = False

    def combine(self, wires: list[Node]) -> Node:
        """The product of the weighted wires."""
        net = self.product(0, wires[0])
        for i, wire in enumerate(wires[1:], 1):
            net = net * self.product(i, wire)
        return net + self.param("b", (self.units,), 0.0) if self.bias else net


class EMBED:
    """``EMBED(rows, units)(ids)``: row `ids` of a table ``(rows, units)``; what ADD without bias does to
    one-hot wires, without making them.

    Args: rows: how many ids there are; units: features of the result; name: as for every brick, by default
    "embed"; init: first weights, by default "normal". Raises WiringError if the wire is not integer.
    """

    @checked
    def __init__(self, rows: int, units: int, name: str | None = None, init: Any = "normal"):
        self.name, self.where = check_name(name or "embed", "an EMBED brick"), user_line()
        self.rows, self.units = rows, units
        self.table = make_parameter(f"{self.name}.W", (rows, units), init)

    @checked
    def __call__(self, ids: Node) -> Node:
        """``(...)`` integers → ``(..., units)``."""
        with stamped(brick=self.name):
            return gather(self.table, ids)
