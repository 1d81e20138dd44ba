"""Places as C: a pointer, and the numbers behind it.

Each array of the plan has one pointer for the whole function; the rows of a loop have one each, declared on top of its
body. Two accesses are compared by their geometry: they are the same numbers, share none, or cannot be told apart.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal as Word

from ...graph import Dim, Shape
from ..plan.geometry import Geometry
from ..plan.places import Place
from ..plan.sizes import ONE, ZERO, Size

Meeting = Word["same", "apart", "unknown"]
Kind = tuple[str, Shape, tuple[Size, ...], Size]


@dataclass(frozen=True)
class Access:
    """Some numbers: those of a geometry behind a pointer, or one number that is written out.

    `array` is what they are in, `row` which of its rows, if it is known, `rows` all of these rows, and `level` how many
    loops are around the pointer.
    """

    pointer: str
    geometry: Geometry
    dtype: str
    array: Place
    row: object = None
    rows: Geometry | None = None
    level: int = 0
    literal: bool = False

    @property
    def shape(self) -> Shape:
        return self.geometry.shape

    @property
    def key(self) -> tuple[object, ...]:
        """Two accesses of one key are the same numbers in the same order."""
        axes = zip(self.geometry.shape, self.geometry.strides, strict=True)
        strides = tuple(ZERO if d == 1 else s for d, s in axes)
        return self.pointer, self.geometry.offset, strides

    @functools.cached_property
    def kind(self) -> tuple[Kind, int]:
        """What two accesses have in common that stand so many numbers apart, and where it stands."""
        at = dict(self.geometry.offset.terms).get((), 0)
        return (self.pointer, self.geometry.shape, self.geometry.strides, self.geometry.offset + -at), at

    def repeated(self, shape: Shape) -> Access:
        """The same numbers, repeated to a larger shape."""
        return replace(self, geometry=self.geometry.repeated(shape))

    def seen(self, geometry: Geometry) -> Access:
        """Other numbers behind the same pointer."""
        return replace(self, geometry=geometry)

    def meets(self, other: Access) -> Meeting:
        """What two accesses have in common; each of their geometries is known for every size."""
        if self.literal or other.literal or self.array is not other.array:
            return "apart"
        if self.pointer != other.pointer:
            rows = self.row, other.row
            known = self.row is not None and other.row is not None
            if known and rows[0] != rows[1]:
                return "apart"
            beside = self.rows is not None and other.rows is not None and _parts(self.rows, other.rows)
            return "apart" if beside else "unknown"
        if self.shape == other.shape and self.key == other.key:
            return "same"
        return "apart" if _parts(self.geometry, other.geometry) else "unknown"


class Accesses:
    """Some of them, each once, found by what they are in; numbers that are written out are in nothing."""

    def __init__(self, accesses: Iterable[Access] = ()):
        self.all: dict[int, dict[Kind, dict[int, Access]]] = {}  # the id of the array → kind → where it stands
        self.known: dict[tuple[Kind, Kind], dict[int, Meeting]] = {}
        self.add(accesses)

    def add(self, accesses: Iterable[Access]) -> None:
        """Some more."""
        for a in accesses:
            if not a.literal:
                kind, at = a.kind
                self.all.setdefault(id(a.array), {}).setdefault(kind, {})[at] = a

    def __iter__(self) -> Iterator[Access]:
        return (a for kinds in self.all.values() for found in kinds.values() for a in found.values())

    def meetings(self, other: Access) -> set[Meeting]:
        """What another one has in common with those in the same array; of one kind only the distance matters."""
        if other.literal or id(other.array) not in self.all:
            return set()
        found, (other_kind, other_at) = set[Meeting](), other.kind
        for kind, some in self.all[id(other.array)].items():
            known = self.known.setdefault((kind, other_kind), {})
            for at, a in some.items():
                if other_at - at not in known:
                    known[other_at - at] = a.meets(other)
                found.add(known[other_at - at])
        return found

    def apart(self, others: Iterable[Access]) -> bool:
        """Whether they share no number with some others."""
        return all(self.meetings(o) <= {"apart"} for o in others)


def _parts(a: Geometry, b: Geometry) -> bool:
    """Whether two geometries share no number, for every size: beside each other as parts of one matrix, or of each of
    its rows. What is asked of sizes is asked of polynomials, see `never_negative`."""
    return _beside(replace(a, offset=ZERO), replace(b, offset=b.offset + a.offset * -1))


@functools.lru_cache(4096)  # of many gates few differ in more than how far they are apart
def _beside(a: Geometry, b: Geometry) -> bool:
    """See `_parts`."""
    common = [axis for axis in _axes(a) if axis in _axes(b)]
    for count in range(len(common) + 1):
        for rows in combinations(common, count):  # axes along which both repeat the same pattern
            low_a, high_a = a.offset, a.offset + _width(a, rows)
            low_b, high_b = b.offset, b.offset + _width(b, rows)
            inside = all(_at_most(high_a, low_b + s) and _at_most(high_b, low_a + s) for _, s in rows)
            if inside and (_at_most(high_a, low_b) or _at_most(high_b, low_a)):
                return True
    return False


def _axes(g: Geometry) -> list[tuple[Dim, Size]]:
    return [(d, s) for d, s in zip(g.shape, g.strides, strict=True) if d != 1 and s != ZERO]


def _width(g: Geometry, but: tuple[tuple[Dim, Size], ...]) -> Size:
    """How many numbers lie from the first to the last, along all axes but some."""
    width = ONE
    for d, s in _axes(g):
        if (d, s) not in but:
            width = width + s * d + s * -1
    return width


def _at_most(a: Size, b: Size) -> bool:
    return never_negative(b + a * -1)


def never_negative(size: Size) -> bool:
    """Whether a size is 0 or more for all dimensions of 1 or more: with each written as 1 + d no term is negative."""
    moved = ZERO
    for names, count in size.terms:
        term = Size.of(count)
        for name in names:
            term = term * (ONE + name)
        moved = moved + term
    return all(count > 0 for _, count in moved.terms)
