"""Where the marks of entries stand: + and − of a difference, 1 and 2 of what else has an order, each beside the end of
its wire, on nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

from ..layers.labels import Box, around, box_of, heading, heads, meet
from ..scene import Point, Scene, Shape, Wire
from ..text import line

SIZE, INK, CLEAR = 9.0, 7.0, 1.25  # of the font, the height of a digit, from a mark to the next wire
BACK, ASIDE = (
    (4.0, 7.0, 10.0, 13.0, 18.0, 24.0),
    4.0,
)  # from the border of the shape backwards, and from the wire to its side


def marked(scene: Scene, marks: Mapping[str, str], turned: bool = False) -> Scene:
    """The scene with a mark at the end of each wire that has one, by the wire's key; at the start of those that are
    turned round, whose entry is an exit now."""
    taken = [box for s in scene.shapes for box in _covered(s)]
    for f in scene.frames:
        ends = (f.x, f.y), (f.x + f.w, f.y), (f.x + f.w, f.y + f.h), (f.x, f.y + f.h)
        taken += [around(a, b) for a, b in zip(ends, (*ends[1:], ends[0]), strict=True)]
        taken += [box_of(words, f.label_at) for words in f.lines[:1]]
    for w in scene.wires:
        taken += [around(a, b) for a, b in pairwise(w.points)]
        taken += heads(w)
    out: list[Wire] = []
    for wire in scene.wires:
        if mark := marks.get(wire.key):
            text = line(mark, SIZE)
            places = list(_places(wire, text.width, turned))
            free = (p for p in places if not any(meet(box_of(text, p, INK), other) for other in taken))
            at = next(free, places[0])
            taken.append(box_of(text, at))
            wire = replace(wire, mark=text, mark_at=at)
        out.append(wire)
    return replace(scene, wires=tuple(out))


def room_beside(mark: str) -> float:
    """How far the next wire on its side is to be from an upright wire with a mark."""
    return ASIDE + line(mark, SIZE).width + CLEAR


def _covered(s: Shape) -> list[Box]:
    """What a shape covers; a circle leaves the corners of its square free."""
    parts = ((0.5, 0.2), (0.2, 0.5), (0.36, 0.36)) if s.form == "circle" else ((0.5, 0.5),)
    return [(s.x - s.w * a, s.y - s.h * b, s.x + s.w * a, s.y + s.h * b) for a, b in parts]


def _places(wire: Wire, width: float, turned: bool) -> Iterator[Point]:
    """Where a mark may stand: on the one side of the wire's end, or on the other, then farther from the shape."""
    points = wire.points[::-1] if turned and wire.kind == "gradient" else wire.points
    (x, y), (dx, dy) = points[-1], heading(points)
    for back in BACK:
        for side in (1, -1):
            if dx:
                yield x - dx * (back + width / 2 - 3), y + side * (ASIDE + INK / 2)
            else:
                yield x - side * (ASIDE + width / 2), y - dy * back
