"""The geometry of a place: where in memory each of its numbers is.

Number (i, j, …) of a place is number ``offset + i strides[0] + j strides[1] + …`` of the array that the place is
in (or of the row, for what is inside of the row of a loop). All three are symbolic in the sizes of named
dimensions, so that a plan holds for every size, and a target that knows pointers alone can write them down.

The question "is this reshape (slice, transpose, …) a view, for every size?" is answered here and nowhere else:
`view_of` gives the geometry of the view, or None where the numbers must move.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ...graph import Node, Shape
from .sizes import ONE, ZERO, Size


@dataclass(frozen=True)
class Geometry:
    """Which numbers of an array a place has; strides and offset count numbers, not bytes."""

    shape: Shape
    strides: tuple[Size, ...]
    offset: Size = ZERO

    @property
    def contiguous(self) -> bool:
        """Whether its numbers stand one after the other, in order."""
        return all(s == w for d, s, w in zip(self.shape, self.strides, row_major(self.shape), strict=True) if d != 1)

    @property
    def joined(self) -> bool:
        """Whether all axes but the last can be taken for one, each row so far behind the one before."""
        axes = [(d, s) for d, s in zip(self.shape[:-1], self.strides[:-1], strict=True) if d != 1]
        return all(s == after * d for (_, s), (d, after) in pairwise(axes))

    @property
    def repeats(self) -> bool:
        """Whether one number stands in several of its places."""
        return any(s == ZERO for d, s in zip(self.shape, self.strides, strict=True) if d != 1)

    def row(self) -> Geometry:
        """The first row, counted from its own start."""
        return Geometry(self.shape[1:], self.strides[1:])

    def part(self, axis: int, start: int, stop: int | None) -> Geometry:
        """A range along an axis; negative numbers count from its end."""
        n = self.shape[axis]
        first = start if start >= 0 else Size.of(n) + start
        if isinstance(n, int):
            first, end, _ = slice(start, stop).indices(n)
            width = end - first
        else:
            width = -start if stop is None else stop - start
        shape = (*self.shape[:axis], width, *self.shape[axis + 1 :])
        return Geometry(shape, self.strides, self.offset + self.strides[axis] * first)

    def reshaped(self, shape: Shape) -> Geometry | None:
        """The same numbers in another shape, or None if they do not stand as that shape needs them.

        Old and new axes are cut where the products of the sizes before are equal; within such a group the old axes
        must follow on each other in memory, and are one.
        """
        old = [(d, s) for d, s in zip(self.shape, self.strides, strict=True) if d != 1]
        ends = {size: i + 1 for i, size in enumerate(_products(tuple(d for d, _ in old)))}
        strides: list[Size] = []
        begin, group = 0, Shape()
        for d, size in zip(shape, _products(shape), strict=True):
            group = (*group, d)
            end = ends.get(size, 0 if size == ONE else None)
            if end is None:
                continue
            axes = old[begin:end]
            if any(s != old[begin + i + 1][1] * old[begin + i + 1][0] for i, (_, s) in enumerate(axes[:-1])):
                return None
            last = axes[-1][1] if axes else ZERO
            strides += [ZERO if n == 1 else s * last for n, s in zip(group, row_major(group), strict=True)]
            begin, group = end, ()
        return Geometry(shape, tuple(strides), self.offset)

    def moved(self, axes: Sequence[int]) -> Geometry:
        """Its axes in another order."""
        return Geometry(tuple(self.shape[a] for a in axes), tuple(self.strides[a] for a in axes), self.offset)

    def repeated(self, shape: Shape) -> Geometry:
        """Its numbers repeated to a larger shape."""
        more = len(shape) - len(self.shape)
        own = zip(self.shape, self.strides, shape[more:], strict=True)
        strides = (*[ZERO] * more, *(s if d == n else ZERO for d, s, n in own))
        return Geometry(shape, strides, self.offset)


def row_major(shape: Shape) -> tuple[Size, ...]:
    """The strides of an array whose numbers stand one after the other."""
    return tuple(reversed([ONE, *_products(shape[:0:-1])])) if shape else ()


def whole(shape: Shape) -> Geometry:
    """The geometry of an array of its own."""
    return Geometry(shape, row_major(shape))


def _products(shape: Shape) -> list[Size]:
    """The products of the first size, the first two, …"""
    products, size = [], ONE
    for d in shape:
        size = size * d
        products.append(size)
    return products


def _moveaxis(node: Node, x: Geometry) -> Geometry:
    source, destination = node.attrs["source"], node.attrs["destination"]
    axes = [a for a in range(len(x.shape)) if a != source]
    return x.moved([*axes[:destination], source, *axes[destination:]])


def _transpose(node: Node, x: Geometry) -> Geometry:
    *axes, n, m = range(len(x.shape))
    return x.moved([*axes, m, n])


RULES: dict[str, Callable[[Node, Geometry], Geometry | None]] = {
    "slice": lambda node, x: x.part(node.attrs["axis"], node.attrs["start"], node.attrs["stop"]),
    "reshape": lambda node, x: x.reshaped(node.shape),
    "transpose": _transpose,
    "moveaxis": _moveaxis,
    "broadcast": lambda node, x: x.repeated(node.shape),
    "stop_gradient": lambda node, x: x,
}


def view_of(node: Node, operand: Geometry) -> Geometry | None:
    """Where the numbers of a node are, if they are those of its operand; None, if they must move."""
    rule = RULES.get(node.op.name) if node.op.kind == "view" else None
    return rule(node, operand) if rule else None


def only_part(node: Node) -> int | None:
    """The axis that a reshape takes away from a slice of one, or None: ``x[:, 2:3].reshape(…)`` is ``x[:, 2]``."""
    cut = node.operands[0] if node.op.name == "reshape" else node
    if cut.op.name != "slice" or cut is node or cut.shape[(axis := cut.attrs["axis"])] != 1:
        return None
    return axis if node.shape == (*cut.shape[:axis], *cut.shape[axis + 1 :]) else None
