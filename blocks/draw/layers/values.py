"""Numbers on the wires: written out where there are few, a strip of bars where there are some, colour and root mean
square where there are many.

A value that the run did not compute, because something it needs was not fed, is drawn as a dashed wire with a
question mark: not computed is not zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ...notation import Formula, Run, numeral
from ..scene import MARGIN, Scene, Shade, Shape, Wire, fit
from ..text import Line, extent, line
from ..typeset import formula_line, unicode_line
from .flow import flow
from .labels import SIZE, labelled, places
from .runs import Known

FEW, SOME = 4, 16  # numbers that are written out, or shown by a bar for each
BAR, CELL = 9, 9.0  # cells of a bar of colours, and their size
LINE, SPACE, NARROWEST = 18.0, 20.0, 260.0  # of what they mean: row to row, between two things, the narrowest row
PITCH, HIGH, ROW, ROWS = 5.0, 5.0, 8, 2  # of a strip: from bar to bar, the longest bar, bars in a row, rows
TEXT = 10.0  # the size of what they mean
FAINTEST = 1e-6  # of the largest: the smallest that a logarithmic scale tells from zero


@dataclass(frozen=True)
class Scale:
    """What the colours of some wires mean: the size of a value, from `low` on, 0 but on a logarithmic scale, to `top`,
    the largest; None where there are no colours."""

    of: str
    top: float | None
    low: float = 0.0

    def at(self, size: float) -> Shade:
        """The shade of a size."""
        return Shade(self.of, self.part(size))

    def part(self, size: float) -> float:
        """How far along the scale a size lies, from 0 to 1."""
        if not self.top or not math.isfinite(size):
            return size
        if not self.low:
            return size / self.top
        if size <= self.low or self.low == self.top:
            return float(size >= self.top)
        return math.log(size / self.low) / math.log(self.top / self.low)

    def size(self, part: float) -> float:
        """The size at a place on the scale."""
        assert self.top is not None
        return self.low * (self.top / self.low) ** part if self.low else self.top * part


def scale_of(of: str, sizes: Sequence[float], logarithmic: bool) -> Scale:
    """The scale of some sizes."""
    known = [s for s in sizes if math.isfinite(s)]
    top = max(known, default=None)
    if not logarithmic or not top:
        return Scale(of, top)
    return Scale(of, top, max(min(s for s in known if s > 0), top * FAINTEST))


class Told(NamedTuple):
    """What a figure tells of a value: its numbers, "numbers"; a bar for each, "strip"; its root mean square, "size"; or
    that it was not computed, "?"."""

    how: str
    value: np.ndarray

    @property
    def sizes(self) -> list[float]:
        """The sizes that are painted."""
        if self.how == "strip":
            return [abs(float(v)) for v in self.value.ravel()]
        return [size(self.value)] if self.how == "size" else []

    @property
    def label(self) -> Line:
        """What is written."""
        if self.how == "?":
            return line("?", SIZE)
        return formula_line(numbers(self.value) if self.how == "numbers" else number(size(self.value)), SIZE)

    @property
    def room(self) -> tuple[float, float]:
        """The width and the height of what is drawn."""
        return _strip_size(self.value) if self.how == "strip" else labelled(self.label)


def with_values(scene: Scene, known: Known, gradient: bool, logarithmic: bool) -> tuple[Scene, Scale, int]:
    """The scene with what is known of its wires, the scale of their colours, and how many values find no place."""
    told = {w.key: _told(w, known) for w in scene.wires if w.lit and w.holds}
    sizes = [s for each in told.values() for s in each.sizes]
    scale = scale_of("gradients" if gradient else "values", sizes, logarithmic)
    wires = tuple(_painted(w, told[w.key], scale) if w.key in told else w for w in scene.wires)
    where, missing = places(scene, lambda wire: told[wire.key].room if wire.key in told else None)
    strips: list[Shape] = []
    labels: list[Wire] = []
    for w in wires:
        if w.key in where and told[w.key].how == "strip":
            strips += _strip(w, told[w.key].value, where[w.key], scale)
        elif w.key in where:
            w = replace(w, label=told[w.key].label, label_at=where[w.key])
        labels.append(w)
    return replace(scene, wires=tuple(labels), shapes=(*scene.shapes, *strips)), scale, len(missing)


def _told(wire: Wire, known: Known) -> Told:
    """What is told of what a wire carries; of several things, how large they are together."""
    parts = [known.get((wire.step, name)) for name in wire.holds]
    arrays = [np.asarray(part, dtype=float) for part in parts if part is not None]
    if len(arrays) < len(parts):
        return Told("?", np.zeros(0))
    if len(arrays) > 1:
        return Told("size", np.concatenate([a.ravel() for a in arrays]))
    (value,) = arrays
    some = value.size <= SOME and len(_rows(value)) <= ROWS
    return Told("numbers" if value.size <= FEW else "strip" if some else "size", value)


def _painted(wire: Wire, told: Told, scale: Scale) -> Wire:
    if told.how == "?":
        return replace(wire, dashed=True, paint=Shade(scale.of, 0.0), tooltip=f"{wire.tooltip}: not computed")
    shade = scale.at(size(told.value)) if told.sizes else None
    return replace(wire, paint=shade, tooltip=f"{wire.tooltip}: {summary(told.value)}")


def _rows(value: np.ndarray) -> list[np.ndarray]:
    """The numbers of a strip by row: each example of a batch begins one of its own."""
    examples = value.reshape(-1, value.shape[-1]) if value.ndim > 1 else value.reshape(1, -1)
    return [row[i : i + ROW] for row in examples for i in range(0, len(row), ROW)]


def _strip_size(value: np.ndarray) -> tuple[float, float]:
    rows = _rows(value)
    return max(map(len, rows)) * PITCH, len(rows) * (2 * HIGH + 1)


def _strip(wire: Wire, value: np.ndarray, at: tuple[float, float], scale: Scale) -> list[Shape]:
    """A bar for each number, as long as it is beside the largest of the strip, upwards from the middle of its row, or
    downwards where it is negative."""
    width, height = _strip_size(value)
    largest = max((abs(v) for v in map(float, value.ravel()) if math.isfinite(v)), default=0.0) or 1.0
    out = []
    for row, numbers_of_row in enumerate(_rows(value)):
        middle = at[1] + height / 2 - (row + 0.5) * (2 * HIGH + 1)
        for i, v in enumerate(map(float, numbers_of_row)):
            long = max(0.6, HIGH * abs(v) / largest if math.isfinite(v) else HIGH)
            x, y = at[0] - width / 2 + (i + 0.5) * PITCH, middle + (-long if v < 0 else long) / 2
            key, tip = f"strip-{wire.key}-{row}-{i}", f"{wire.tooltip.split(':')[0]}, unit {i + 1}: {number(v).plain}"
            out.append(
                Shape(key, "scale", "cell", "", x, y, PITCH - 1, long, tooltip=tip, paint=scale.at(abs(v)), sample=True)
            )
    return out


def with_scales(scene: Scene, scales: Sequence[Scale]) -> Scene:
    """The scene with what its numbers and colours mean above it: a bar of colours for each scale."""
    told = [_bar_of(scale) for scale in scales if scale.top is not None]
    if any("strip-" in s.key for s in scene.shapes):
        text = "a bar is one unit, beside the largest of its strip, downwards if negative"
        told.append(_words("strips", line(text, TEXT)))
    told.append(_words("not-computed", line("a dashed wire was not computed", TEXT)))
    widths = [max(s.right for s in each) for each in told]
    places = flow(widths, max(scene.width - 2 * MARGIN, NARROWEST), SPACE)
    top = scene.height + 10.0 + LINE * places[-1][1]
    moved = [
        replace(s, x=s.x + MARGIN + left, y=top - LINE * row)
        for each, (left, row) in zip(told, places, strict=True)
        for s in each
    ]
    return fit(replace(scene, shapes=(*scene.shapes, *moved)))


def _words(key: str, text: Line, left: float = 0.0) -> list[Shape]:
    """Some words, from a place on."""
    width, _ = extent((text,))
    return [Shape(key, "caption", "text", unicode_line(text), left + width / 2, 0.0, width, 14.0, (text,))]


def _bar_of(scale: Scale) -> list[Shape]:
    """The colours of a scale, with its ends."""
    start = Formula((Run(f"{scale.of}, root mean square: "), *number(scale.low).runs))
    shapes = _words(f"{scale.of}-from", formula_line(start, TEXT))
    x = shapes[0].right + 6
    for i in range(BAR):
        here = scale.size(i / (BAR - 1))
        key, tip = f"{scale.of}-{i}", f"{scale.of} of root mean square {number(here).plain}"
        middle, paint = x + CELL * (i + 0.5), scale.at(here)
        shapes.append(
            Shape(key, "scale", "cell", "", middle, 0.0, CELL, CELL * 0.8, tooltip=tip, paint=paint, sample=True)
        )
    return shapes + _words(f"{scale.of}-to", formula_line(number(scale.size(1.0)), TEXT), x + CELL * BAR + 6)


def size(value: np.ndarray) -> float:
    """The root mean square of a value: 0 for zeros alone."""
    largest = float(np.abs(value).max())
    if not largest or not np.isfinite(largest):
        return largest
    return largest * float(np.sqrt(np.mean((value / largest) ** 2)))


def number(value: float) -> Formula:
    """A number in two digits."""
    return numeral(f"{value:.2g}")


def numbers(value: np.ndarray) -> Formula:
    """A few numbers."""
    return Formula(tuple(run for v in value.ravel() for run in (Run(", "), *number(float(v)).runs))[1:])


def summary(value: np.ndarray) -> str:
    """A value in words: its numbers, or their range."""
    if value.size <= FEW:
        return numbers(value).plain
    least, most, mean = (number(float(v)).plain for v in (value.min(), value.max(), value.mean()))
    return f"from {least} to {most}, mean {mean}, root mean square {number(size(value)).plain}"
