"""What a function of C is fed: the pointer to the numbers of each feed."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np

LARGE = 2**16  # bytes


class Fed:
    """One feed of a function that is called many times, its type and its sizes.

    Weights, and what comes again, are read where they are. An input that is new at each call, a batch say, is copied
    into memory that lasts, where it is small: that takes less time than finding out where an array begins.
    """

    def __init__(self, number: int, name: str, kind: np.dtype, shape: tuple[int, ...], weight: bool):
        self.number, self.name, self.kind, self.shape = number, name, kind, shape
        self.small = not weight and math.prod(shape) * kind.itemsize <= LARGE
        self.known: Any = None  # the array that is pointed to, where it is the caller's
        self.before: Any = None  # that of the call before
        self.own: np.ndarray | None = None  # the copy that is pointed to
        self.kept: Any = None  # what must last as long as a call

    def point(self, at: Any, array: np.ndarray) -> None:
        """Let the pointer be to the numbers of an array; if that is `known`, it is already."""
        again, self.before, self.known = array is self.before, array, None
        if self.small and not again:
            if self.own is None:
                self.own = np.empty(self.shape, self.kind)
                at[self.number] = address(self.own)
            self.own[...] = array
            return
        self.own, self.kept = None, np.asarray(array, self.kind, order="C")
        at[self.number] = address(self.kept)
        self.known = array if self.kept is array else None


def address(array: Any) -> int:
    """Where the numbers of an array begin, which stand in order."""
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))
    except (TypeError, ValueError):  # nothing may be written there, or nothing is there
        return place_of(array)


def place_of(array: Any) -> int:
    """Where any array begins; it takes longer."""
    return int(array.__array_interface__["data"][0])
