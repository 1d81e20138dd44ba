"""The axes of loops: how long each is, and how far apart its numbers are in each of some arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...graph import Shape
from ..plan.sizes import ONE, Size
from .text import factor


@dataclass(frozen=True)
class Axis:
    """An axis of a nest: how long it is, and how far apart its numbers are in each of some arrays."""

    extent: Size
    strides: tuple[Size, ...]
    row: Size | None = None  # of an axis that threads split: how much of it belongs to one row

    def bounds(self, write: Callable[[Size], str]) -> tuple[str, str]:
        """From where to where it goes, in one thread."""
        if self.row is None:
            return "0", write(self.extent)
        row = "" if self.row == ONE else f" * {factor(write(self.row))}"
        return f"low{row}", f"high{row}"


def axes_of(shape: Shape, strides: Sequence[Sequence[Size]], split: str | None = None) -> list[Axis]:
    """The axes of a shape over arrays of some strides: those of length 1 left out, and those that follow on each
    other in all arrays made one. Threads have each their rows of the dimension `split`."""
    axes: list[Axis] = []
    for i, d in enumerate(shape):
        if d == 1:
            continue
        now = Axis(Size.of(d), tuple(s[i] for s in strides), ONE if d == split else None)
        before = axes[-1] if axes and d != split else None
        if before is not None and all(a == b * d for a, b in zip(before.strides, now.strides, strict=True)):
            axes[-1] = Axis(before.extent * d, now.strides, None if before.row is None else before.row * d)
        else:
            axes.append(now)
    return axes
