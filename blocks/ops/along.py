"""Operations along one axis that are no sum over it: running sums, and where the largest number is."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import misfit
from ..graph import Node, Op, Shape
from .elementwise import Prepared, to_numbers
from .shape import axis_number, kept_shape


def _infer_cumsum(x: Node, *, axis: int | str = -1, reverse: bool = False) -> tuple[Shape, str]:
    """Shapes: ``(time, batch, 32)`` → ``(time, batch, 32)``. axis: a number or the name of a dimension; the last, by
    default. reverse: from the last number to the first. Integers stay integers."""
    axis_number(axis, x.shape)
    return x.shape, x.dtype


def _prepare_cumsum(nodes: tuple[Node, ...], attrs: dict[str, Any]) -> Prepared:
    (x,), reverse = to_numbers(nodes), attrs.get("reverse", False)
    if not isinstance(reverse, bool | np.bool_):
        raise misfit(f"reverse is True or False, not {reverse!r:.40}")
    return (x,), {"axis": axis_number(attrs.get("axis", -1), x.shape), "reverse": bool(reverse)}


def _forward_cumsum(x: np.ndarray, *, axis: int, reverse: bool) -> np.ndarray:
    return np.flip(np.cumsum(np.flip(x, axis), axis), axis) if reverse else np.cumsum(x, axis)


cumsum: Op = Op(
    "cumsum",
    "the sum of all numbers up to each, along an axis",
    _infer_cumsum,
    _forward_cumsum,
    lambda g, y, x: (cumsum(g, axis=y.attrs["axis"], reverse=not y.attrs["reverse"]),),
    _prepare_cumsum,
    kind="other",
)


def _infer_argmax(x: Node, *, axis: int | str = -1, keepdims: bool = False) -> tuple[Shape, str]:
    """Shapes: ``(batch, 32)`` → integers ``(batch,)``; with keepdims ``(batch, 1)``. axis: a number or the name of a
    dimension; the last, by default."""
    at = axis_number(axis, x.shape)
    return kept_shape(x.shape, (at,)) if keepdims else (*x.shape[:at], *x.shape[at + 1 :]), "int"


def _prepare_argmax(nodes: tuple[Node, ...], attrs: dict[str, Any]) -> Prepared:
    axis, keepdims = attrs.get("axis", -1), attrs.get("keepdims", False)
    if not isinstance(keepdims, bool | np.bool_):
        raise misfit(f"keepdims is True or False, not {keepdims!r:.40}")
    if axis is None or isinstance(axis, tuple | list):
        raise misfit(f"goes along one axis, not {axis!r:.40}; join several by reshape")
    return nodes, {"axis": axis_number(axis, nodes[0].shape), "keepdims": bool(keepdims)}


argmax: Op = Op(
    "argmax",
    "the place of the largest number along an axis, the first of equal ones",
    _infer_argmax,
    lambda x, *, axis, keepdims: np.argmax(x, axis=axis, keepdims=keepdims),
    None,
    _prepare_argmax,
    kind="other",
)
