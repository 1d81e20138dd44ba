"""A function of C as a program: memory for some sizes, and the call.

Arrays that last, for one set of sizes, lie in one block of memory; what a caller will hold is made anew at each call.
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...errors import FeedError
from ...graph import Dim, Graph
from ...ops.loop import Every, blocks_of, in_block, steps_in_block
from ..plan.places import Buffer, Constant, Feed, Last, Part, Place, Plan, Row, View, array_of
from ..plan.sizes import Size
from . import build
from .agreement import disagreement
from .copies import together
from .expressions import Unsupported
from .fed import LARGE, Fed, address
from .pointers import Pointers, Scratch, most_of
from .team import Team

Arrays = dict[str, np.ndarray]
ALIGNED = 64  # bytes
WORTH = 2**20  # multiplications or the like, for which one more thread is worth its while
BETWEEN = 2**16  # so many between two meetings
CREW = Path(__file__).with_name("crew.c")
FLAGS = ("-fwrapv", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math")
REFUSED = "an operation refuses a value: an id out of range, or a mask that masks everything"


def kind_of(dtype: str, real: np.dtype) -> np.dtype:
    """The type of numbers in memory."""
    return {"float": real, "int": np.dtype(np.int64), "bool": np.dtype(np.bool_)}[dtype]


def threads() -> int:
    """How many threads a call may have: as many as there are processors for this process, or the environment says in
    OMP_NUM_THREADS."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(here, int(said))) if said.isdigit() else here


@functools.cache
def crew() -> Any:
    """The threads that compute. Raises build.Unavailable."""
    library: Any = build.load(CREW.read_text())
    library.work.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)
    library.work.restype = ctypes.c_int
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=library.forget)
    return library


class Function:
    """A function of C, what it is given, and the graph that it computes."""

    def __init__(self, source: str, plan: Plan, places: Pointers, team: Team, graph: Graph, name: str):
        self.source, self.plan, self.graph, self.name = source, plan, graph, name
        self.unit, self.flags = f'#include "blocks.h"\n\n{source}', FLAGS  # what is compiled, and how
        self.roots, self.dims, self.every = list(places.roots), list(places.dims), dict(places.every)
        self.feeds = places.feeds
        self.split, self.weight, self.waits = team.dim, team.weight, team.waits

    def parts(self, dims: dict[str, int]) -> int:
        """How many threads share the work, for some sizes: each has enough to do in all, and until they meet."""
        if self.split is None:
            return 1
        worth = max(WORTH, BETWEEN * evaluate(self.waits, dims))
        return min(threads(), dims[self.split], 1 + evaluate(self.weight, dims) // worth)

    def loaded(self, dtype: np.dtype) -> ctypes.CDLL:
        """The function for one type of numbers, compiled and, if it is new, compared with the interpreter. Raises
        Unsupported for another type, and build.Unavailable."""
        if dtype not in (np.float32, np.float64):
            raise Unsupported(f"a program in C computes in float32 or float64, not in {dtype}")

        def check(new: ctypes.CDLL) -> str:
            return disagreement(self.graph, dtype, lambda dims: Call(self, sizes(dims, self.every), dtype, new))

        return build.load(self.unit, flags=(f"-DREAL={dtype.itemsize * 8}", *self.flags), check=check)

    def allocate(self, dims: dict[str, int], dtype: np.dtype, out: Arrays | None = None) -> Callable[[Arrays], Arrays]:
        """Memory for some sizes; what computes with it, and writes some outputs into arrays."""
        return Call(self, sizes(dims, self.every), dtype, self.loaded(dtype), out)


def sizes(dims: dict[str, int], every: dict[str, Every]) -> dict[str, int]:
    """The sizes of dimensions, those of blocks too."""
    known = dict(dims)
    for time, k in every.items():
        most = steps_in_block(k, dims[time], 1)
        known[most_of(in_block(time))] = known[in_block(time)] = most
        known[blocks_of(time)] = -(-dims[time] // most)
    return known


class Result(NamedTuple):
    """Where an output is: the array, its own shape and type, and its first byte and its strides in bytes there."""

    array: Buffer
    shape: tuple[int, ...]
    kind: np.dtype
    begin: int
    strides: tuple[int, ...] | None

    def of(self, memory: np.ndarray, first: int) -> np.ndarray:
        """The output, where its array begins at a byte of some memory."""
        return np.ndarray(self.shape, self.kind, memory, first + self.begin, self.strides)


class Call:
    """A function with its memory, for one set of sizes."""

    def __init__(
        self, function: Function, dims: dict[str, int], dtype: np.dtype, library: ctypes.CDLL, out: Arrays | None = None
    ):
        self.function, self.dims, self.dtype, self.out = function, dims, dtype, out or {}
        task: Any = getattr(library, function.name)
        self.task, self.work = ctypes.cast(task, ctypes.c_void_p), crew().work
        self.parts = function.parts(dims)
        self.at = (ctypes.c_void_p * max(1, len(function.roots)))()
        self.n = (ctypes.c_int64 * max(1, len(function.dims)))(*[dims[d] for d in function.dims])
        self.fed: list[Fed] = []
        self.held: list[np.ndarray] = []  # memory that lasts
        # what is made anew at each call: which array, and where in one block, or how many bytes by itself
        self.small: dict[Buffer, tuple[int, int]] = {}
        self.large: dict[Buffer, tuple[int, int]] = {}
        self.block = 0
        found = {name: self.result(place) for name, place in function.plan.outputs.items()}
        fresh = {found[name].array for name in found if name not in self.out}
        again = {found[name].array for name in self.out} - fresh  # what nobody has behind a call is not made anew
        memory, places = self.place(again)
        written = {name: found[name] for name in self.out if found[name].array in again}
        self.copies = together((r.array, (self.out[n], r.of(memory, places[r.array]))) for n, r in written.items())
        self.results = [
            (name, r.array if r.array in self.large else None, r.begin + self.small.get(r.array, (0, 0))[1], r)
            for name, r in found.items()
            if r.array not in again
        ]
        self.shared = [name for name in self.out if found[name].array in fresh]

    def size(self, size: Size | Dim) -> int:
        """A size as a number."""
        return evaluate(Size.of(size), self.dims)

    def place(self, again: set[Buffer]) -> tuple[np.ndarray, dict[Place, int]]:
        """Give each array its memory: that which lasts, and where in it arrays begin; so do those outputs that are
        written into `again`."""
        lasting: dict[Place, tuple[int, int]] = {}
        total = 0
        for i, root in enumerate(self.function.roots):
            if isinstance(root, Feed):
                shape, weight = tuple(self.size(d) for d in root.shape), root.name in self.function.graph.params
                kind = kind_of(self.function.feeds[root.name], self.dtype)
                self.fed.append(Fed(i, root.name, kind, shape, weight))
                continue
            if isinstance(root, Constant):
                value = root.node.attrs["value"]
                self.held.append(np.ascontiguousarray(value, kind_of(root.node.dtype, self.dtype)))
                self.at[i] = address(self.held[-1])
                continue
            assert isinstance(root, Buffer | Scratch)
            count = self.size(root.size) if isinstance(root, Scratch) else self.numbers(root)
            size = -(-count * kind_of(root.dtype, self.dtype).itemsize // ALIGNED) * ALIGNED
            if not (isinstance(root, Buffer) and root.fresh and root not in again):
                lasting[root] = i, total
                total += size
            elif size > LARGE:  # smaller ones share one block of memory, which lasts as long as any of them
                self.large[root] = i, size
            else:
                self.small[root] = i, self.block
                self.block += size
        memory = np.empty(total + ALIGNED, np.uint8)
        self.held.append(memory)
        first = -address(memory) % ALIGNED
        for i, offset in lasting.values():
            self.at[i] = address(memory) + first + offset
        return memory, {root: first + offset for root, (_, offset) in lasting.items()}

    def numbers(self, buffer: Buffer) -> int:
        """How many numbers an array has."""
        count = 1
        for k, d in enumerate(buffer.shape):
            count *= self.size(d) + (buffer.extra if k == 0 else 0)
        return count

    def result(self, place: Place) -> Result:
        """Where an output is."""
        array, geometry = array_of(place), place.geometry
        offset = geometry.offset
        base = place
        while not isinstance(base, Row | Last | Buffer):
            base = base.base if isinstance(base, View | Part) else base.source  # type: ignore[attr-defined]
        if isinstance(base, Last):
            step = 0 if base.reverse else self.dims[base.rows.time]
            if isinstance(base.rows.source, tuple):
                array = base.rows.source[step % 2]
            else:
                assert isinstance(base.rows.source, Buffer)
                offset = offset + base.rows.source.geometry.strides[0] * step
        assert isinstance(array, Buffer)
        kind = kind_of(array.dtype, self.dtype)
        shape = tuple(self.size(d) for d in geometry.shape)
        strides = None if geometry.contiguous else tuple(self.size(s) * kind.itemsize for s in geometry.strides)
        return Result(array, shape, kind, self.size(offset) * kind.itemsize, strides)

    def __call__(self, feeds: Arrays) -> Arrays:
        """The outputs for some feeds."""
        at = self.at
        for fed in self.fed:
            if (array := feeds[fed.name]) is not fed.known:
                fed.point(at, array)
        made: dict[Buffer | None, np.ndarray] = {None: np.empty(self.block, np.uint8)}
        start = address(made[None])
        for i, offset in self.small.values():
            at[i] = start + offset
        for root, (i, size) in self.large.items():
            made[root] = array = np.empty(size, np.uint8)
            at[i] = address(array)
        if self.work(self.task, at, self.n, self.parts):
            raise FeedError(REFUSED)
        results = {name: np.ndarray(r.shape, r.kind, made[a], begin, r.strides) for name, a, begin, r in self.results}
        for array, source in self.copies:
            array[...] = source
        for name in self.shared:
            self.out[name][...] = results[name]
        return {**results, **self.out}


def evaluate(size: Size, dims: dict[str, int]) -> int:
    """A size for some dimensions."""
    total = 0
    for names, count in size.terms:
        for name in names:
            count *= dims[name]
        total += count
    return total
