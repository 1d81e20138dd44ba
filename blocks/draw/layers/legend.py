"""What the marks of a figure mean, below it: those that it uses, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from ..scene import MARGIN, Dot, Scene, Shape, Wire, fit
from ..text import line
from .flow import flow

SIZE, ROW, SAMPLE, APART = 9.5, 20.0, 24.0, 20.0  # of the words; between rows; width of a sample; between two marks
NARROWEST = 300.0  # of a row

SHAPES = {  # kind → what it means
    "brick": "weights of its own",
    "operation": "operation without weights",
    "gradient": "step of the gradient",
    "parameter": "weights",
    "part": "one of the values of a box",
    "constant": "constant",
    "draw": "random numbers",
    "step": "a step, closed",
    "merge": "concatenation",
}
WIRES = {
    "wire": "value",
    "bus": "concatenated values",
    "conveyor": "state, from step to step",
    "gradient": "gradient",
    "kept": "value of the way forwards",
    "wrong": "does not fit",
}
SUM, FORK, SHARED, FADED = "sum of gradients", "copy", "the same weights", "not emphasised"
SEVERAL = "several operations without weights"
_SIZES = {"circle": (13.0, 13.0), "ring": (9.0, 9.0), "sum": (9.0, 9.0)}


class Mark(NamedTuple):
    """A sample of a mark, drawn around (0, 0), and what it means."""

    means: str
    shapes: tuple[Shape, ...] = ()
    wires: tuple[Wire, ...] = ()
    dots: tuple[Dot, ...] = ()


def with_legend(scene: Scene) -> Scene:
    """The scene with its legend."""
    shapes, wires, dots = list(scene.shapes), list(scene.wires), list(scene.dots)
    marks = [(mark, line(mark.means, SIZE)) for mark in marks_of(scene)]
    widths = [SAMPLE + 6 + words.width for _, words in marks]
    places = flow(widths, max(scene.width - MARGIN, NARROWEST) - MARGIN, APART)
    for number, ((mark, words), (left, row)) in enumerate(zip(marks, places, strict=True), 1):
        x, y = MARGIN + left, -ROW / 2 - ROW * row
        sample = Scene(0, 0, mark.shapes, mark.wires, (), mark.dots).moved(x + SAMPLE / 2, y, f"legend{number}-")
        at = x + SAMPLE + 6 + words.width / 2
        key = f"legend{number}"
        said = Shape(key, "caption", "text", mark.means, at, y, words.width + 6, 14.0, (words,), sample=True)
        shapes += [*sample.shapes, said]
        wires += sample.wires
        dots += sample.dots
    return fit(replace(scene, shapes=tuple(shapes), wires=tuple(wires), dots=tuple(dots)))


def marks_of(scene: Scene) -> Iterator[Mark]:
    """The marks that a scene uses, each once."""
    seen = [s for s in scene.shapes if not s.sample]
    for kind, means in SHAPES.items():
        own = [s for s in seen if s.kind == kind and s.lit and s.form not in ("text", "sum")]
        firsts: dict[str, Shape] = {}
        for s in own:
            shared, several = s.shared and kind == "brick", s.form == "box" and kind == "operation"
            firsts.setdefault(SHARED if shared else SEVERAL if several else means, s)
        for said in (means, SHARED, SEVERAL):
            if said in firsts:
                yield Mark(said, (_sample(firsts[said]),))
    sums = [s for s in seen if s.form == "sum"]
    if sums:
        yield Mark(SUM, (replace(_sample(sums[0]), lines=(line("+", 9),)),))
    for kind, means in WIRES.items():
        if any(w.kind == kind and w.lit for w in scene.wires):
            yield Mark(means, (), (_wire(kind, (-SAMPLE / 2, 0.0), (SAMPLE / 2, 0.0)),))
    if any(d.lit for d in scene.dots):
        ways = _wire("wire", (-SAMPLE / 2, -3.0), (SAMPLE / 2, -3.0)), _wire("wire", (0.0, -3.0), (0.0, 6.0), "up")
        yield Mark(FORK, (), tuple(replace(w, net="copy", arrow=False) for w in ways), (Dot(0.0, -3.0, "copy"),))
    if any(not s.lit for s in seen):
        box = Shape("faded", "brick", "box", "", 0.0, 0.0, 20.0, 13.0, lit=False, sample=True)
        yield Mark(FADED, (box,))


def _sample(shape: Shape) -> Shape:
    """A small shape of the same kind."""
    w, h = _SIZES.get(shape.form, (20.0, 13.0))
    shared = shape.shared and shape.kind == "brick"
    return Shape("mark", shape.kind, shape.form, "", 0.0, 0.0, w, h, shared=shared, sample=True)


def _wire(kind: str, start: tuple[float, float], end: tuple[float, float], key: str = "mark") -> Wire:
    return Wire(key, kind, "", "", key, (start, end), sample=True)
