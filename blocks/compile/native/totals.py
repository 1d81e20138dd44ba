"""The loops of a nest, and the sums that are made in them, of what the nest computes number by number.

A sum along some axes is added up in double precision while its numbers are at hand: those of a row by `sum_of`, from a
few that stand beside each other; those of several rows in lanes.

    for (num i = low; i < high; i++) {
        double sums_total[16] = {0};
        for (num j = 0; j < 32; j++) {
            double sums_2_total = 0;
            real sums_2_terms[16];
            EACH (num k = 0; k < 16; k++) {
                const real product = c[i * 512 + j * 16 + k] * dc[i * 512 + j * 16 + k];
                sums_total[k] += (double)product;
                sums_2_terms[k] = product;
            }
            sums_2_total += sum_of(sums_2_terms, 1, 16);
            sums_2[i * 32 + j] = R(sums_2_total);
        }
        sums[i] = R(sum_of_lanes(sums_total, 16));
    }

Sums over all rows are made some columns at a time, of which each thread has its own:

    for (num first = 0; first < 512; first += 256) {
        const num after = least(512, first + 256);
        double sums_total[256] = {0};
        for (num i = 0; i < time * batch; i++)
            EACH (num j = first; j < after; j++) {
                const real product = c[i * 512 + j] * dz[i * 512 + j];
                sums_total[j - first] += (double)product;
            }
        for (num j = first; j < after; j++) sums[j] = R(sums_total[j - first]);
    }
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass

from ...graph import Shape
from ..plan.sizes import ONE, ZERO, Size
from .access import Access
from .axes import Axis, axes_of
from .text import INDICES, Body, index_text, of_part

LANES = 64  # numbers of a row at a time
COLUMNS = 256  # columns at a time, or fewer: sums of theirs in a fast cache
SUMS = 4096  # so many at most


@dataclass(frozen=True)
class Total:
    """What is added up: over which axes, and how far apart the sums are along each axis, 0 along those. A mean divides
    by a `count`. `across`: over all rows, by columns."""

    axes: tuple[int, ...]
    to: tuple[Size, ...]
    count: Size = ONE
    across: bool = False

    def beside(self, shape: Shape) -> tuple[Size, ...]:
        """How far apart the sums that are made at the same time are, along each axis."""
        strides, step = list[Size](), ONE
        for axis in reversed(range(len(shape))):
            one_each = axis > self.axes[0] and axis not in self.axes
            strides.append(step if one_each else ZERO)
            step = step * shape[axis] if one_each else step
        return tuple(reversed(strides))

    def at_once(self, shape: Shape) -> int | None:
        """How many sums are made at the same time; None, where that depends on sizes."""
        count = 1
        for axis in range(self.axes[0], len(shape)):
            d = 1 if axis in self.axes else shape[axis]
            if not isinstance(d, int):
                return None
            count *= d
        return count


@dataclass(frozen=True)
class Sum:
    """A sum in a nest: what it is of, where it goes, and the names of what it is added up in, and of terms of it."""

    total: Total
    out: Access
    name: str
    terms: str


class Loops:
    """The loops of a nest over arrays of some strides, and its sums. Threads have each their rows of the dimension
    `split`, or a share of the first axis, if it is `shared`.

    Once they are open, `axes`, `indices`, and `adding`, what is written around a number that is added to each sum, are
    known.
    """

    def __init__(
        self,
        body: Body,
        shape: Shape,
        strides: Sequence[Sequence[Size]],
        sums: Sequence[Sum],
        size: Callable[[Size], str],
        split: str | None = None,
        shared: bool = False,
    ):
        self.body, self.shape, self.sums, self.size, self.split, self.shared = body, shape, sums, size, split, shared
        self.first = len(strides)  # of the strides of sums
        self.strides = [*strides, *(s for one in sums for s in (one.total.to, one.total.beside(shape)))]
        self.axes: list[Axis] = []
        self.axes_from: dict[int, list[Axis]] = {}  # those from where a sum begins
        self.indices: list[str] = []
        self.adding: list[str] = []

    @contextmanager
    def open(self) -> Iterator[None]:
        """All of them."""
        with self.across() if any(one.total.across for one in self.sums) else self.rows():
            yield

    @contextmanager
    def rows(self) -> Iterator[None]:
        """Over all numbers, or a thread's rows of them."""
        starts = sorted({0, *(one.total.axes[0] for one in self.sums)})
        pieces = [self.along(a, b) for a, b in itertools.pairwise([*starts, len(self.shape)])]
        self.axes = [axis for piece in pieces for axis in piece]
        self.axes_from = {start: [a for piece in pieces[i:] for a in piece] for i, start in enumerate(starts)}
        with ExitStack() as around:
            if not self.axes:
                around.enter_context(self.body.braces(""))
            for start, piece in zip(starts, pieces, strict=True):
                for k, one in enumerate(self.sums):
                    if one.total.axes[0] == start:
                        self.body.say(f"double {one.name}{self.zeros(k)};")
                        around.callback(self.finish, k, len(self.indices))
                for axis in piece:
                    around.enter_context(self.innermost(axis) if axis is self.axes[-1] else self.over(axis))
            yield

    def zeros(self, k: int) -> str:
        """What a sum begins with."""
        count = self.lanes(k) or self.sums[k].total.at_once(self.shape)
        return " = 0" if count == 1 else f"[{count}] = {{0}}"

    def lanes(self, k: int) -> int:
        """How many parts a sum over several rows has, each of one number of a row, or of more; 0 for all others."""
        total, row = self.sums[k].total, self.size(self.axes[-1].extent)
        several = len(self.axes_from[total.axes[0]]) > 1
        return min(int(row), LANES) if several and total.at_once(self.shape) == 1 and row.isdigit() else 0

    def along(self, start: int, end: int) -> list[Axis]:
        """The axes of some dimensions."""
        return axes_of(self.shape[start:end], [s[start:end] for s in self.strides], self.split)

    @contextmanager
    def over(self, axis: Axis, each: bool = False, bounds: tuple[str, str] | None = None) -> Iterator[None]:
        """Over one axis, or a part of it."""
        bounds = bounds or axis.bounds(self.size)
        if self.shared and not self.indices:
            bounds = of_part("share", bounds[1])
        with self.body.loops([bounds], each, around=len(self.indices)) as index:
            self.indices += index
            yield
            self.indices.pop()

    @contextmanager
    def innermost(self, axis: Axis) -> Iterator[None]:
        """Over the last axis. What is added up along it is put down first, some numbers at a time."""
        along = [k for k in range(len(self.sums)) if self.beside(k, axis) == ZERO]
        terms = {k: self.sums[k].terms for k in along if not self.lanes(k)}
        count = self.size(axis.extent)
        whole = not along or (count.isdigit() and int(count) <= LANES)
        at = INDICES[len(self.indices)] + ("" if whole else " - first")
        some = nullcontext() if whole else self.body.braces(f"for (num first = 0; first < {count}; first += {LANES})")
        with some:
            if not whole:
                self.body.say(f"const num after = least({count}, first + {LANES});")
            for name in terms.values():
                self.body.say(f"real {name}[{count if whole else LANES}];")
            with self.over(axis, True, None if whole else ("first", "after")):
                for k, one in enumerate(self.sums):
                    name = f"{one.name}[{at}]" if k in along else self.sum(k)
                    self.adding.append(f"{terms[k]}[{at}] = {{}};" if k in terms else f"{name} += (double){{}};")
                yield
            for k, name in terms.items():
                self.body.say(f"{self.sum(k)} += sum_of({name}, 1, {count if whole else 'after - first'});")

    def finish(self, k: int, around: int) -> None:
        """Put a sum where it goes, inside of so many loops."""
        one = self.sums[k]
        beside = [axis for axis in self.axes[around:] if self.beside(k, axis) != ZERO]
        outer = self.indices[:around]
        with self.body.loops([axis.bounds(self.size) for axis in beside], around=around) as inner:
            strides = [self.to(k, axis) for axis in (*self.axes[:around], *beside)]
            at = index_text(self.size(one.out.geometry.offset), [*outer, *inner], strides, self.size)
            lanes = self.lanes(k)
            value = f"sum_of_lanes({one.name}, {lanes})" if lanes else self.sum(k, beside, inner)
            if one.total.count != ONE:
                value = f"{value} / (double)({self.size(one.total.count)})"
            self.body.say(f"{one.out.pointer}[{at}] = R({value});")

    def sum(self, k: int, axes: Sequence[Axis] | None = None, indices: Sequence[str] | None = None) -> str:
        """What is added up in, at the indices at hand."""
        axes, indices = axes or self.axes, self.indices if indices is None else indices
        strides = [self.beside(k, axis) for axis in axes[: len(indices)]]
        at = index_text("0", indices, strides, self.size)
        return self.sums[k].name if self.sums[k].total.at_once(self.shape) == 1 else f"{self.sums[k].name}[{at}]"

    def to(self, k: int, axis: Axis) -> Size:
        """How far apart the results of a sum are along an axis."""
        return axis.strides[self.first + 2 * k]

    def beside(self, k: int, axis: Axis) -> Size:
        """How far apart those are along it that are made at the same time."""
        return axis.strides[self.first + 2 * k + 1]

    @contextmanager
    def across(self) -> Iterator[None]:
        """Over a thread's columns, some at a time, and all rows of these."""
        rows = axes_of(self.shape[:-1], [s[:-1] for s in self.strides])
        columns = Axis(Size.of(self.shape[-1]), tuple(s[-1] for s in self.strides))
        self.axes = [*rows, columns]
        begin, end = of_part("panels", self.size(columns.extent))
        count = max(LANES, min(COLUMNS, SUMS // len(self.sums) // LANES * LANES))
        with self.body.braces(f"for (num first = {begin}; first < {end}; first += {count})"):
            self.body.say(f"const num after = least({end}, first + {count});")
            for one in self.sums:
                self.body.say(f"double {one.name}[{count}] = {{0}};")
            bounds = [*(axis.bounds(self.size) for axis in rows), ("first", "after")]
            with self.body.loops(bounds, each=True) as self.indices:
                j = self.indices[-1]
                self.adding = [f"{one.name}[{j} - first] += (double){{}};" for one in self.sums]
                yield
            with self.body.braces(f"for (num {j} = first; {j} < after; {j}++)"):
                for one in self.sums:
                    at = index_text(self.size(one.out.geometry.offset), [j], [ONE], self.size)
                    self.body.say(f"{one.out.pointer}[{at}] = R({one.name}[{j} - first]);")
