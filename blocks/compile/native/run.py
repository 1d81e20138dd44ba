"""A function of C as a program: memory for some sizes, and the call.

Arrays that last, for one set of sizes, lie in one block of memory; what a caller will hold is made anew at each call.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import FeedError
from ...graph import Dim, Graph
from ...ops.loop import Every, blocks_of, in_block, steps_in_block
from ..plan.places import Buffer, Constant, Feed, Last, Place, Plan, Row, array_of
from ..plan.sizes import Size
from . import build
from .agreement import disagreement
from .expressions import Unsupported
from .pointers import Pointers, Scratch, most_of

Arrays = dict[str, np.ndarray]
ALIGNED = 64  # bytes
FLAGS = ("-O3", "-fwrapv", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math")
REFUSED = "an operation refuses a value: an id out of range, or a mask that masks everything"


def kind_of(dtype: str, real: np.dtype) -> np.dtype:
    """The type of numbers in memory."""
    return {"float": real, "int": np.dtype(np.int64), "bool": np.dtype(np.bool_)}[dtype]


class Function:
    """A function of C, what it is given, and the graph that it computes."""

    def __init__(self, source: str, plan: Plan, places: Pointers, graph: Graph, name: str = "program"):
        self.source, self.plan, self.graph, self.name = source, plan, graph, name
        self.unit, self.flags = f'#include "blocks.h"\n\n{source}', FLAGS  # what is compiled, and how
        self.roots, self.dims, self.every = list(places.roots), list(places.dims), dict(places.every)
        self.feeds = places.feeds

    def library(self, dtype: np.dtype) -> ctypes.CDLL:
        """The function for one type of numbers, compiled and, if it is new, compared with the interpreter. Raises
        Unsupported for another type, and build.Unavailable."""
        if dtype not in (np.float32, np.float64):
            raise Unsupported(f"a program in C computes in float32 or float64, not in {dtype}")

        def check(new: ctypes.CDLL) -> str:
            return disagreement(self.graph, dtype, lambda dims: Call(self, sizes(dims, self.every), dtype, new))

        return build.library(self.unit, flags=(f"-DREAL={dtype.itemsize * 8}", *self.flags), check=check)

    def allocate(self, dims: dict[str, int], dtype: np.dtype) -> Callable[[Arrays], Arrays]:
        """Memory for some sizes; what computes with it."""
        return Call(self, sizes(dims, self.every), dtype, self.library(dtype))


def sizes(dims: dict[str, int], every: dict[str, Every]) -> dict[str, int]:
    """The sizes of dimensions, those of blocks too."""
    known = dict(dims)
    for time, k in every.items():
        most = steps_in_block(k, dims[time], 1)
        known[most_of(in_block(time))] = known[in_block(time)] = most
        known[blocks_of(time)] = -(-dims[time] // most)
    return known


class Call:
    """A function with its memory, for one set of sizes."""

    def __init__(self, function: Function, dims: dict[str, int], dtype: np.dtype, library: ctypes.CDLL):
        self.function, self.dims, self.dtype = function, dims, dtype
        self.call: Any = getattr(library, function.name)
        self.call.argtypes, self.call.restype = (ctypes.c_void_p, ctypes.c_void_p), ctypes.c_int
        self.at = (ctypes.c_void_p * max(1, len(function.roots)))()
        self.n = (ctypes.c_int64 * max(1, len(function.dims)))(*[dims[d] for d in function.dims])
        self.fed: list[tuple[int, str, np.dtype]] = []
        self.fresh: list[tuple[int, Buffer, tuple[int, ...], np.dtype]] = []
        self.held: list[np.ndarray] = []  # memory that lasts
        self.place()
        self.results = [(name, *self.result(place)) for name, place in function.plan.outputs.items()]

    def size(self, size: Size | Dim) -> int:
        """A size as a number."""
        return evaluate(Size.of(size), self.dims)

    def place(self) -> None:
        """Give each array its memory."""
        lasting: list[tuple[int, int]] = []
        total = 0
        for i, root in enumerate(self.function.roots):
            if isinstance(root, Feed):
                self.fed.append((i, root.name, kind_of(self.function.feeds[root.name], self.dtype)))
            elif isinstance(root, Constant):
                value = root.node.attrs["value"]
                self.held.append(np.ascontiguousarray(value, kind_of(root.node.dtype, self.dtype)))
                self.at[i] = self.held[-1].ctypes.data
            elif isinstance(root, Buffer) and root.fresh:
                shape = tuple(self.size(d) for d in root.shape)
                shape = (shape[0] + root.extra, *shape[1:]) if root.extra else shape
                self.fresh.append((i, root, shape, kind_of(root.dtype, self.dtype)))
            else:
                assert isinstance(root, Buffer | Scratch)
                lasting.append((i, total))
                count = self.size(root.size) if isinstance(root, Scratch) else self.numbers(root)
                total += -(-count * kind_of(root.dtype, self.dtype).itemsize // ALIGNED) * ALIGNED
        memory = np.empty(total + ALIGNED, np.uint8)
        self.held.append(memory)
        start = memory.ctypes.data + -memory.ctypes.data % ALIGNED
        for i, offset in lasting:
            self.at[i] = start + offset

    def numbers(self, buffer: Buffer) -> int:
        """How many numbers an array has."""
        count = 1
        for k, d in enumerate(buffer.shape):
            count *= self.size(d) + (buffer.extra if k == 0 else 0)
        return count

    def result(self, place: Place) -> tuple[Buffer, tuple[int, ...], int, tuple[int, ...] | None]:
        """Which array an output is in; its shape, where it begins, and how far apart its numbers are, in bytes; None if
        it is that array."""
        array, geometry = array_of(place), place.geometry
        offset = geometry.offset
        base = place
        while not isinstance(base, Row | Last | Buffer):
            base = base.base if hasattr(base, "base") else base.source  # type: ignore[attr-defined]
        if isinstance(base, Last):
            step = 0 if base.reverse else self.dims[base.rows.time]
            if isinstance(base.rows.source, tuple):
                array = base.rows.source[step % 2]
            else:
                assert isinstance(base.rows.source, Buffer)
                offset = offset + base.rows.source.geometry.strides[0] * step
        assert isinstance(array, Buffer)
        shape = tuple(self.size(d) for d in geometry.shape)
        width = kind_of(array.dtype, self.dtype).itemsize
        if geometry.contiguous and not array.extra and offset == Size() and array.shape == geometry.shape:
            return array, shape, 0, None
        return array, shape, self.size(offset) * width, tuple(self.size(s) * width for s in geometry.strides)

    def __call__(self, feeds: Arrays) -> Arrays:
        """The outputs for some feeds."""
        at, held = self.at, []
        for i, name, kind in self.fed:
            value = np.ascontiguousarray(feeds[name], kind)
            held.append(value)
            at[i] = value.ctypes.data
        made: dict[Buffer, np.ndarray] = {}
        for i, root, shape, kind in self.fresh:
            made[root] = array = np.empty(shape, kind)
            at[i] = array.ctypes.data
        if self.call(at, self.n):
            raise FeedError(REFUSED)
        return {
            name: made[array] if strides is None else np.ndarray(shape, made[array].dtype, made[array], offset, strides)
            for name, array, shape, offset, strides in self.results
        }


def evaluate(size: Size, dims: dict[str, int]) -> int:
    """A size for some dimensions."""
    total = 0
    for names, count in size.terms:
        for name in names:
            count *= dims[name]
        total += count
    return total
