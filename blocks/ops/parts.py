"""Parts of a wire, as NumPy writes them: ``h[-1]``, ``h[:, 2:5]``, ``h[..., None]``; all of them are views.

A named dimension has no known length, so a part of it is counted from one end: ``xs[-1]`` is the last step, ``xs[:3]``
are the first three.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from types import EllipsisType
from typing import Any

import numpy as np

from ..arguments import checked
from ..errors import WiringError, made, misfit, user_line
from ..graph import Node, Shape, Wire, as_node, show_shape
from .shape import axis_number, reshape, slice_

Key = int | slice | EllipsisType | None


def part(x: Node, key: Key | tuple[Key, ...]) -> Node:
    """``x[key]``: a number takes one and drops the axis, a slice takes a range, None puts in an axis of length 1, and
    ``...`` stands for all axes that are not said.

    Raises WiringError for what lies outside, for a step other than 1, for more numbers and slices than axes, for a part
    of a named dimension whose length is not known, and for a key of another type.
    """
    return _named("a part", x, lambda: _part(x, key if isinstance(key, tuple) else (key,)))


@checked
def split(x: Wire, parts: int | Sequence[int], axis: int | str = -1) -> list[Node]:
    """A wire in parts along an axis: ``split(x, 4)`` in 4 equal ones, ``split(x, [3, 5])`` in one of 3 and one of 5.

    Raises WiringError where the parts are not the whole, and for a named dimension, whose length is not known.
    """
    node = as_node(x)
    return _named("split", node, lambda: _split(node, parts, axis))


@checked
def expand_dims(x: Wire, axis: int | Sequence[int]) -> Node:
    """A wire with an axis of length 1 more, or several: ``(batch, 8)`` with axis=1 → ``(batch, 1, 8)``. `axis` counts
    in the new shape, as in NumPy. Raises WiringError for an axis outside of it, or twice."""
    node = as_node(x)
    return _named("expand_dims", node, lambda: _expand_dims(node, axis))


def _named(what: str, x: Node, make: Callable[[], Any]) -> Any:
    """What `make` makes. Raises WiringError, naming the wire and the user's line, where that does."""
    try:
        return make()
    except WiringError as error:
        if error.operands:  # it is named already
            raise
        raise WiringError(f"{what} of {made(x)}: {error} [{user_line()}]", what, (x,)) from None


def _part(x: Node, keys: tuple[Any, ...]) -> Node:
    for key in keys:
        _check_key(key)
    taken = [key for key in keys if key is not None and key is not ...]
    if len(taken) > len(x.shape) or sum(key is ... for key in keys) > 1:
        raise misfit(f"{show_shape(x.shape)} has {len(x.shape)} axes; it takes so many numbers and slices, and one ...")
    at = next((i for i, key in enumerate(keys) if key is ...), len(keys))
    keys = (*keys[:at], *[slice(None)] * (len(x.shape) - len(taken)), *keys[at + 1 :])
    axis, new = 0, list[int]()  # the axis at hand; where axes are put in
    for key in keys:
        if key is None:
            new.append(axis + len(new))
        elif isinstance(key, slice):
            if (key.start or 0, key.stop) != (0, None):
                x = slice_(x, start=0 if key.start is None else key.start, stop=key.stop, axis=axis)
            axis += 1
        else:
            x = _one(x, int(key), axis)
    return _expand_dims(x, new) if new else x


def _check_key(key: Any) -> None:
    if isinstance(key, slice):
        if key.step not in (None, 1):
            raise misfit(f"a slice goes in steps of 1, not of {key.step!r:.40}")
    elif isinstance(key, bool) or not (key is None or key is ... or isinstance(key, int | np.integer)):
        kind = "a wire" if isinstance(key, Node) else f"{key!r:.40}"
        raise misfit(
            f"{kind} takes no part; numbers, slices, ... and None do. Rows by number are gather(table, ids), a choice "
            "by condition is where(condition, a, b)"
        )


def _one(x: Node, at: int, axis: int) -> Node:
    """One along an axis, which is dropped."""
    length = x.shape[axis]
    if isinstance(length, int) and not -length <= at < length:
        raise misfit(f"{at} is outside of axis {axis} of {show_shape(x.shape)}")
    one = slice_(x, start=at, stop=None if at == -1 else at + 1, axis=axis)
    return reshape(one, shape=(*x.shape[:axis], *x.shape[axis + 1 :]))


def _split(x: Node, parts: Any, axis: int | str) -> list[Node]:
    at = axis_number(axis, x.shape)
    length = x.shape[at]
    if isinstance(length, str):
        raise misfit(f"the length of {length!r} is not known")
    listed = isinstance(parts, Sequence | np.ndarray) and not isinstance(parts, str)
    sizes = list(parts) if listed else [parts]
    if any(isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1 for n in sizes):
        raise misfit(f"parts are a number of equal ones or a list of their sizes, not {parts!r:.40}")
    if not listed:
        sizes = [length // int(parts)] * int(parts)
    if sum(sizes) != length:
        given = f"parts of {', '.join(map(str, sizes))}" if listed else f"{parts} equal parts"
        raise misfit(f"axis {at} of {show_shape(x.shape)} is not {given}")
    ends = np.cumsum([0, *sizes]).tolist()
    return [slice_(x, start=start, stop=stop, axis=at) for start, stop in pairwise(ends)]


def _expand_dims(x: Node, axis: int | Sequence[int]) -> Node:
    given = list(axis) if isinstance(axis, Sequence) and not isinstance(axis, str) else [axis]
    rank = len(x.shape) + len(given)
    new = {axis_number(a, (1,) * rank) for a in given}
    if len(new) < len(given):
        raise misfit(f"axis={axis!r:.40} names one twice")
    old = iter(x.shape)
    shape: Shape = tuple(1 if i in new else next(old) for i in range(rank))
    return reshape(x, shape=shape)
