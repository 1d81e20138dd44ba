"""Normalisation of rows: to mean 0 and variance 1, or to root mean square 1.

    layernorm   c / √(mean(c²) + ε), c = x − mean(x)         Ba, Kiros and Hinton 2016, "Layer normalization", eq. 4
    rmsnorm     x / √(mean(x²) + ε)                          Zhang and Sennrich 2019, "Root mean square layer
                                                             normalization", eq. 4

So layernorm is rmsnorm of what is centred. They have no weights; the bricks `LAYERNORM` and `RMSNORM` have. Each is
one operation to whoever reads a graph; the compiler computes its parts (`Op.expand`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import misfit
from ..graph import Node, Op, Shape
from .elementwise import Prepared, sqrt, to_float
from .shape import axis_number, mean

EPSILON = 1e-5  # the usual one: PyTorch's and ONNX's


def _infer_norm(x: Node, *, axis: int | str = -1, epsilon: float = EPSILON) -> tuple[Shape, str]:
    """Shapes: ``(batch, 32)`` → ``(batch, 32)``. axis: the number or name of the dimension whose numbers are normalised
    together; the last, by default. epsilon: is added to the mean of squares; a positive number."""
    axis_number(axis, x.shape)
    return x.shape, "float"


def _prepare_norm(nodes: tuple[Node, ...], attrs: dict[str, Any]) -> Prepared:
    (x,) = to_float(nodes)
    axis = axis_number(attrs.get("axis", -1), x.shape)
    return (x,), {"axis": axis, "epsilon": check_epsilon(attrs.get("epsilon", EPSILON))}


def check_epsilon(epsilon: Any) -> float:
    """A number that may stand under the root. Raises WiringError for any other value."""
    if isinstance(epsilon, bool) or not isinstance(epsilon, int | float | np.number) or not 0.0 < epsilon < np.inf:
        raise misfit(f"epsilon is a positive number, not {epsilon!r:.40}")
    return float(epsilon)


def _mean(x: np.ndarray, axis: int) -> np.ndarray:
    out: np.ndarray = x.mean(axis=axis, keepdims=True)
    return out


def _forward_rmsnorm(x: np.ndarray, *, axis: int, epsilon: float) -> np.ndarray:
    out: np.ndarray = x / np.sqrt(_mean(x * x, axis) + epsilon)
    return out


def _forward_layernorm(x: np.ndarray, *, axis: int, epsilon: float) -> np.ndarray:
    return _forward_rmsnorm(x - _mean(x, axis), axis=axis, epsilon=epsilon)


def _average(x: Node, axis: int) -> Node:
    return mean(x, axis=axis, keepdims=True)


def _length(x: Node, axis: int, epsilon: float) -> Node:
    return sqrt(_average(x * x, axis) + epsilon)


def _expand_rmsnorm(x: Node, *, axis: int, epsilon: float) -> Node:
    return x / _length(x, axis, epsilon)


def _expand_layernorm(x: Node, *, axis: int, epsilon: float) -> Node:
    return _expand_rmsnorm(x - _average(x, axis), axis=axis, epsilon=epsilon)


def _rmsnorm_vjp(g: Node, y: Node, x: Node) -> tuple[Node | None, ...]:
    axis = y.attrs["axis"]
    return ((g - y * _average(g * y, axis)) / _length(x, **y.attrs),)


def _layernorm_vjp(g: Node, y: Node, x: Node) -> tuple[Node | None, ...]:
    axis = y.attrs["axis"]
    centred = g - _average(g, axis)
    return ((centred - y * _average(g * y, axis)) / _length(x - _average(x, axis), **y.attrs),)


layernorm: Op = Op(
    "layernorm",
    "(x - mean) / √(variance + ε) along an axis",
    _infer_norm,
    _forward_layernorm,
    _layernorm_vjp,
    _prepare_norm,
    kind="other",
    sign="LN",
    expand=_expand_layernorm,
)
rmsnorm: Op = Op(
    "rmsnorm",
    "x / √(mean x² + ε) along an axis",
    _infer_norm,
    _forward_rmsnorm,
    _rmsnorm_vjp,
    _prepare_norm,
    kind="other",
    sign="RMSNorm",
    expand=_expand_rmsnorm,
)
