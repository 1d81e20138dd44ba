"""Bricks that normalise a wire, with a gain and a bias of their own.

    normed = LAYERNORM(32, name="norm")     its weights are norm.gain and norm.b
    y = normed(x)                           y = LN(x) ⊙ gain + b

What is normalised stands alone: a net input without a bias (``ADD(32, bias=False)``), or a state. The lower-case twins
`layernorm` and `rmsnorm` have no weights.
"""

from __future__ import annotations

from typing import Any

from .arguments import checked
from .bricks import Brick
from .errors import WiringError, made
from .graph import Node, Op
from .ops.norm import EPSILON, check_epsilon, layernorm, rmsnorm


class LAYERNORM(Brick):
    """``LAYERNORM(n)(x)`` = (x − mean) / √(variance + ε) ⊙ gain + b, over the n features of each row (Ba, Kiros and
    Hinton 2016, "Layer normalization", eq. 4).

    Args:
        units: the features of the wire, ``(..., units)``, and of the result.
        name: as for every brick, by default "layernorm".
        bias: whether the vector ``b`` ``(units,)`` is added.
        epsilon: ε, is added to the variance; a positive number.
        init: first values of ``gain`` ``(units,)``, 1 by default; or a dict by weight, ``{"gain": 0.1, "b": 1.0}``.

    Raises WiringError for an unknown option, for several wires, and for a wire of other features.
    """

    operation: Op = layernorm

    @checked
    def __init__(
        self,
        units: int,
        name: str | None = None,
        bias: bool | None = None,
        epsilon: float = EPSILON,
        init: Any = None,
    ):
        super().__init__(units, name, bias=bias, init=init)
        try:
            self.epsilon = check_epsilon(epsilon)
        except WiringError as error:
            raise WiringError(f"brick {self.name!r}: {error}") from None

    def combine(self, wires: list[Node]) -> Node:
        """The normalised wire times the gain, and the bias."""
        y = self.operation(wires[0], epsilon=self.epsilon) * self.param("gain", (self.units,), 1.0)
        return y + self.param("b", (self.units,), 0.0) if self.bias else y

    def weights_of_wires(self) -> list[str]:
        """The gain."""
        return ["gain"]

    def _check(self, wires: list[Node]) -> None:
        super()._check(wires)
        if len(wires) != 1 or wires[0].shape[-1] != self.units:
            raise WiringError(
                f"brick {self.name!r} made at {self.where}: it normalises one wire of {self.units} features, not "
                f"{' and '.join(made(wire) for wire in wires)}",
                type(self).__name__,
                tuple(wires),
            )


class RMSNORM(LAYERNORM):
    """``RMSNORM(n)(x)`` = x / √(mean(x²) + ε) ⊙ gain, over the n features of each row (Zhang and Sennrich 2019, "Root
    mean square layer normalization", eq. 4). Its options are those of `LAYERNORM`; a bias, only if asked for."""

    default_bias = False
    operation = rmsnorm
