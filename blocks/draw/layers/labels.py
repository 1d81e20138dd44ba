"""Small labels on wires: names, shapes, or numbers. Each stands beside a straight piece of its wire, where nothing
else is."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from math import ceil

from ..scene import Point, Scene, Wire
from ..text import LINE_HEIGHT, Line, Run, line

SIZE, OFF, GRID = 7.5, 1.75, 5
HEAD = 3.5  # half an arrowhead


Box = tuple[float, float, float, float]  # left, bottom, right, top


def with_words(scene: Scene, shapes: bool, names: bool = True, nets: Container[str] | None = None) -> Scene:
    """What its author calls each value, and its shape, on its wire, once for each value; of a gradient, where it
    arrives. nets: only these."""
    inner = {s.key for s in scene.shapes if s.form in ("sum", "ring")}

    def text(wire: Wire) -> Line | None:
        end = wire.target if wire.kind == "gradient" else wire.source
        if (nets is not None and wire.net not in nets) or end in inner or wire.kind == "kept":
            return None
        name = wire.called if names else None
        if not (shapes and wire.shape):
            return name
        return Line((*name.runs, Run(f" {wire.shape}")), SIZE) if name else line(wire.shape, SIZE)

    return with_labels(scene, text)


def with_labels(scene: Scene, text: Callable[[Wire], Line | None]) -> Scene:
    """The scene with a label for each value that has one. Where there is no room for it beside any piece of
    its wires, it is left to the tooltip."""
    lines = {w.key: label for w in scene.wires if (label := text(w))}
    where, _ = places(scene, lambda wire: labelled(lines[wire.key]) if wire.key in lines else None)
    wires = [replace(w, label=lines[w.key], label_at=where[w.key]) if w.key in where else w for w in scene.wires]
    return replace(scene, wires=tuple(wires))


def labelled(label: Line) -> tuple[float, float]:
    """The room of a label: its width and its height."""
    return label.width, label.size * LINE_HEIGHT


def places(scene: Scene, room: Callable[[Wire], tuple[float, float] | None]) -> tuple[dict[str, Point], set[str]]:
    """Where there is room for what belongs to some wires, once for each value, beside a piece of one of its wires, and
    apart from arrowheads where that can be: the key of that → the middle. And the nets of those that find none."""
    taken = [(s.left, s.bottom, s.right, s.top) for s in scene.shapes]
    taken += [box_of(w.mark, w.mark_at) for w in scene.wires if w.mark and w.mark_at]
    taken += [box_of(w.label, w.label_at) for w in scene.wires if w.label and w.label_at]
    lines = [around(a, b) for w in scene.wires for a, b in pairwise(w.points)]
    for f in scene.frames:
        ends = (f.x, f.y), (f.x + f.w, f.y), (f.x + f.w, f.y + f.h), (f.x, f.y + f.h)
        lines += [around(a, b) for a, b in pairwise((*ends, ends[0]))]
        taken += [box_of(title, f.label_at) for title in f.lines[:1]]
    arrows = [head for w in scene.wires for head in heads(w)]
    found: dict[str, Point] = {}
    nets: dict[str, bool] = {}
    for wire in scene.wires:
        size = room(wire) if not nets.get(wire.net) else None
        if size:
            at = _place(scene, wire, size, [*taken, *arrows], lines) or _place(scene, wire, size, taken, lines)
            nets[wire.net] = at is not None
            if at:
                found[wire.key] = at
                taken.append(_box(at, *size))
    return found, {net for net, placed in nets.items() if not placed}


def _place(scene: Scene, wire: Wire, size: tuple[float, float], taken: list[Box], lines: list[Box]) -> Point | None:
    w, h = size
    pieces = sorted(pairwise(wire.points), key=lambda p: (p[0][1] != p[1][1], -_length(*p)))
    for a, b in pieces:
        for t in (0.5, 0.35, 0.65, 0.2, 0.8):
            x, y = a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t
            if a[1] == b[1]:
                options = [(x, y + h / 2 + OFF), (x, y - h / 2 - OFF)]
            else:
                options = [(x + w / 2 + 2 * OFF, y), (x - w / 2 - 2 * OFF, y)]
            for at in options:
                box = _box(at, w, h)
                inside = box[0] >= 0 and box[1] >= 0 and box[2] <= scene.width and box[3] <= scene.height
                if inside and not any(meet(box, other) for other in (*taken, *lines)):
                    return at
    return None


def free_place(scene: Scene, label: Line, area: Box, others: Iterable[tuple[Line, Point]] = ()) -> Point | None:
    """Where in an area, inside of the first frame, a label lies on nothing, as far up and left as can be; None if
    nowhere."""
    taken = [(s.left, s.bottom, s.right, s.top) for s in scene.shapes]
    taken += [(f.x, f.y, f.x + f.w, f.y + f.h) for f in scene.frames[1:]]
    taken += [around(a, b) for w in scene.wires for a, b in pairwise(w.points)]
    taken += [box_of(w.label, w.label_at) for w in scene.wires if w.label and w.label_at]
    taken += [box_of(w.mark, w.mark_at) for w in scene.wires if w.mark and w.mark_at]
    taken += [box_of(other, at) for other, at in others]
    width, height = labelled(label)
    w, h = width / 2, height / 2
    y = area[3] - h
    while y - h >= area[1]:
        x = area[0] + w
        while x + w <= area[2]:
            box = _box((x, y), width, height)
            in_the_way = next((other for other in taken if meet(box, other)), None)
            if in_the_way is None:
                return x, y
            x += GRID * max(1, ceil((in_the_way[2] - box[0]) / GRID))
        y -= GRID
    return None


def box_of(label: Line, at: Point, height: float = 0.0) -> Box:
    """What a label covers; `height`: that of its ink, by default that of its line."""
    return _box(at, label.width, height or label.size * LINE_HEIGHT)


def _box(at: Point, w: float, h: float) -> Box:
    return (at[0] - w / 2, at[1] - h / 2, at[0] + w / 2, at[1] + h / 2)


def around(a: Point, b: Point, by: float = 1.0) -> Box:
    """What lies around a straight piece of a wire."""
    return (min(a[0], b[0]) - by, min(a[1], b[1]) - by, max(a[0], b[0]) + by, max(a[1], b[1]) + by)


def heading(points: Sequence[Point]) -> Point:
    """The direction in which a wire arrives."""
    (x0, y0), (x1, y1) = points[-2:]
    return ((x1 > x0) - (x1 < x0), (y1 > y0) - (y1 < y0))


def heads(wire: Wire) -> list[Box]:
    """What the arrowhead of a wire covers, if it has one."""
    (x, y), (dx, dy) = wire.points[-1], heading(wire.points)
    middle = (x - HEAD * dx, y - HEAD * dy)
    return [around(middle, middle, HEAD)] * wire.arrow


def meet(a: Box, b: Box) -> bool:
    """Whether two boxes overlap."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _length(a: Point, b: Point) -> float:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])
