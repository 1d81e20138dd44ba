"""Copies from the memory of a function into arrays, in few calls: what stands at equal distances on both sides, the
gates of a packed gradient in a vector say, is copied at once, as one array with a dimension more."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .fed import place_of

Pair = tuple[np.ndarray, np.ndarray]  # what is written, and what it is


def together(pairs: Iterable[tuple[Any, Pair]]) -> list[Pair]:
    """Copies, each with the array that it is of, as fewer of them."""
    groups: dict[Any, list[Pair]] = {}
    for whole, (to, of) in pairs:
        groups.setdefault((whole, of.shape, of.strides, to.strides, id(to.base)), []).append((to, of))
    return [one for group in groups.values() for one in _joined(group)]


def _joined(group: list[Pair]) -> list[Pair]:
    """Copies of the same shape and strides, as one, if they stand at equal distances."""
    begin = [[place_of(array) for array in side] for side in zip(*group, strict=True)]
    steps = [{b - a for a, b in pairwise(side)} for side in begin]
    if len(group) == 1 or any(len(distances) > 1 for distances in steps) or group[0][0].base is None:
        return group
    to, of = (
        as_strided(first, (len(group), *first.shape), (distances.pop(), *first.strides))
        for first, distances in zip(group[0], steps, strict=True)
    )
    return [(to, of)]
