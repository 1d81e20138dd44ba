"""The geometry of a figure: shapes, wires and frames with exact places, and nothing about how to paint them.

Every output (DOT, TikZ, JSON, …) is written from a `Scene`, so all of them show the same figure. Lengths are
points (1/72 inch); x grows to the right and y upwards, as in Graphviz and TikZ.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from .text import Line, extent

Point = tuple[float, float]
MARGIN, PAGE = 8.0, 830.0  # around a figure; how wide it may be without getting smaller on most pages


def corners(points: Iterable[Point]) -> tuple[Point, ...]:
    """The same way without the points in the middle of its straight pieces."""
    out: list[Point] = []
    for p in points:
        if out and p == out[-1]:
            continue
        if len(out) > 1 and (out[-2][0] == out[-1][0] == p[0] or out[-2][1] == out[-1][1] == p[1]):
            out[-1] = p
        else:
            out.append(p)
    return tuple(out)


class Shade(NamedTuple):
    """A place on a scale of colours, which a theme paints: `part` is 0 for zero and 1 for the largest of what it is
    `of`, "values" or "gradients"; what is not finite has no place there and is painted as what is wrong."""

    of: str
    part: float


@dataclass(frozen=True)
class Shape:
    """Something that wires begin and end at.

    `kind` says what it is (brick, operation, input, state, next, output, parameter, constant, merge, step,
    gap, scale); `form` how it looks (box, pill, circle, ring, cell, text); `paint` fills it with a shade of
    its own. x and y are its centre. `nodes` are the nodes of the graph that it stands for.
    """

    key: str
    kind: str
    form: str
    name: str
    x: float
    y: float
    w: float
    h: float
    lines: tuple[Line, ...] = ()
    tooltip: str = ""
    nodes: tuple[str, ...] = ()
    lit: bool = True
    shared: bool = False
    paint: Shade | None = None
    sample: bool = False

    @property
    def left(self) -> float:
        """The smallest x."""
        return self.x - self.w / 2

    @property
    def right(self) -> float:
        """The largest x."""
        return self.x + self.w / 2

    @property
    def bottom(self) -> float:
        """The smallest y."""
        return self.y - self.h / 2

    @property
    def top(self) -> float:
        """The largest y."""
        return self.y + self.h / 2


@dataclass(frozen=True)
class Wire:
    """A value on its way from one shape to another, along horizontal and vertical pieces.

    `kind` is wire, bus (several values side by side), conveyor (a state along its lane) or gradient. `net` is the same
    for all wires that carry one value. `hops` are the points where it jumps over another wire. `mark` is what stands at
    an entry whose order matters, beside the end of the wire there. `carries` says that its value has a gradient, which
    comes back on its way; `kept`, that the gradient of its target needs its value. `holds` are the names of the nodes
    that it carries, at that `step`; of weights that all steps share, at step 0. A `sample` says what others mean.
    `called` is what its author calls the value.
    """

    key: str
    kind: str
    source: str
    target: str
    net: str
    points: tuple[Point, ...]
    arrow: bool = True
    hops: tuple[Point, ...] = ()
    tooltip: str = ""
    label: Line | None = None
    label_at: Point | None = None
    mark: Line | None = None
    mark_at: Point | None = None
    shape: str = ""
    lit: bool = True
    paint: Shade | None = None
    dashed: bool = False
    carries: bool = False
    kept: bool = False
    sample: bool = False
    holds: tuple[str, ...] = ()
    step: int = 1
    called: Line | None = None


@dataclass(frozen=True)
class Frame:
    """A rectangle behind the shapes of a cell, a step, an opened brick or a group. Its label stands at `at`, or
    in its upper left corner."""

    key: str
    kind: str
    x: float
    y: float
    w: float
    h: float
    lines: tuple[Line, ...] = ()
    tooltip: str = ""
    at: Point | None = None
    lit: bool = True

    def holds(self, x: float, y: float) -> bool:
        """Whether a point is inside."""
        return self.x < x < self.x + self.w and self.y < y < self.y + self.h

    @property
    def label_at(self) -> Point:
        """The middle of its label."""
        w, h = extent(self.lines)
        return self.at or (self.x + 10 + w / 2, self.y + self.h - 4 - h / 2)


@dataclass(frozen=True)
class Dot:
    """The point where a wire forks."""

    x: float
    y: float
    net: str
    lit: bool = True


@dataclass(frozen=True)
class Note:
    """A line beside the figure, an equation say, which belongs to the shape `owner`, if to any. x is its left end, y
    its middle."""

    key: str
    line: Line
    x: float
    y: float
    owner: str = ""


@dataclass(frozen=True)
class Scene:
    """A whole figure. It reaches from (0, 0) to (width, height)."""

    width: float
    height: float
    shapes: tuple[Shape, ...]
    wires: tuple[Wire, ...]
    frames: tuple[Frame, ...] = ()
    dots: tuple[Dot, ...] = ()
    title: str = "figure"
    description: str = ""
    notes: tuple[Note, ...] = ()

    def with_frames(self, frames: Iterable[Frame]) -> Scene:
        """The same scene with more frames, in front of those it has."""
        return replace(self, frames=(*self.frames, *frames))

    def with_space(self, by: float) -> Scene:
        """The same scene with more room on its left and its right."""
        return replace(self.moved(by, 0.0), width=self.width + 2 * by)

    def moved(self, dx: float, dy: float, prefix: str = "") -> Scene:
        """The same scene elsewhere, `prefix` before all its keys."""

        def at(p: Point) -> Point:
            return (p[0] + dx, p[1] + dy)

        wires = [
            replace(
                w,
                key=prefix + w.key,
                source=prefix + w.source,
                target=prefix + w.target,
                net=prefix + w.net,
                points=tuple(map(at, w.points)),
                hops=tuple(map(at, w.hops)),
                label_at=at(w.label_at) if w.label_at else None,
                mark_at=at(w.mark_at) if w.mark_at else None,
            )
            for w in self.wires
        ]
        return replace(
            self,
            shapes=tuple(replace(s, key=prefix + s.key, x=s.x + dx, y=s.y + dy) for s in self.shapes),
            wires=tuple(wires),
            frames=tuple(
                replace(f, key=prefix + f.key, x=f.x + dx, y=f.y + dy, at=at(f.at) if f.at else None)
                for f in self.frames
            ),
            dots=tuple(replace(d, x=d.x + dx, y=d.y + dy, net=prefix + d.net) for d in self.dots),
            notes=tuple(
                replace(n, key=prefix + n.key, x=n.x + dx, y=n.y + dy, owner=n.owner and prefix + n.owner)
                for n in self.notes
            ),
        )


def on_piece(p: Point, a: Point, b: Point) -> bool:
    """Whether a point lies on a straight piece of a wire."""
    return min(a[0], b[0]) <= p[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= p[1] <= max(a[1], b[1])


def ways_from(point: Point, wires: Iterable[Wire]) -> set[tuple[bool, bool, bool, bool]]:
    """The directions in which wires go on from a point."""
    found = set()
    for w in wires:
        for a, b in zip(w.points, w.points[1:], strict=False):
            if on_piece(point, a, b) and point != b:
                found.add((b[0] > point[0], b[0] < point[0], b[1] > point[1], b[1] < point[1]))
    return found


def fit(scene: Scene) -> Scene:
    """The scene moved so that its smallest corner is at (0, 0), with a margin all around."""
    points = [p for s in scene.shapes for p in ((s.left, s.bottom), (s.right, s.top))]
    points += [p for f in scene.frames for p in ((f.x, f.y), (f.x + f.w, f.y + f.h))]
    points += [p for w in scene.wires for p in w.points]
    points += [p for n in scene.notes for p in ((n.x, n.y - n.line.size), (n.x + n.line.width, n.y + n.line.size))]
    for w in scene.wires:
        for words, at in ((w.label, w.label_at), (w.mark, w.mark_at)):
            if words and at:
                half = words.width / 2
                points += [(at[0] - half, at[1] - 6), (at[0] + half, at[1] + 6)]
    x0, y0 = min(x for x, _ in points), min(y for _, y in points)
    x1, y1 = max(x for x, _ in points), max(y for _, y in points)
    moved = scene.moved(MARGIN - x0, MARGIN - y0)
    return replace(moved, width=x1 - x0 + 2 * MARGIN, height=y1 - y0 + 2 * MARGIN)


def mirrored(scene: Scene) -> Scene:
    """The scene with left and right exchanged, its letters as they were."""

    def at(p: Point) -> Point:
        return (-p[0], p[1])

    wires = [
        replace(
            w,
            points=tuple(map(at, w.points)),
            hops=tuple(map(at, w.hops)),
            label_at=at(w.label_at) if w.label_at else None,
            mark_at=at(w.mark_at) if w.mark_at else None,
        )
        for w in scene.wires
    ]
    return replace(
        scene,
        shapes=tuple(replace(s, x=-s.x) for s in scene.shapes),
        wires=tuple(wires),
        frames=tuple(replace(f, x=-f.x - f.w, at=at(f.at) if f.at else None) for f in scene.frames),
        dots=tuple(replace(d, x=-d.x) for d in scene.dots),
    )
