"""Cells on top of each other: where a cell is made of layers, each is laid out by itself, and they stand one above the
other.

What goes from one level to the next leaves it upwards, as an output does, and comes in from below, as an input does;
between two levels is a channel. What goes further passes the levels between in the same way. States stand in line at
the left and at the right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain

from ..diagram.elements import Diagram, Element, Link
from ..diagram.levels import Level, levels_of
from ..scene import Frame, Scene, Wire, corners, fit
from . import cell
from .cell import OUTSIDE, Room, facts
from .channels import Piece, assign, through
from .joints import spliced, with_joints
from .orders import best_columns
from .place import Pins

TRACK, MARGIN, PADDED = 10.0, 8.0, 12.0  # way to way in a channel; channel to level; level to the frame of a layer


def layout(
    diagram: Diagram,
    room: float = 0.0,
    title: str = "cell",
    pins: Pins | None = None,
    lanes: Mapping[str, float] | None = None,
    wider: float = 0.0,
    rooms: Mapping[str, Room] | None = None,
    gaps: float = 1.0,
) -> Scene:
    """The scene of a cell, in levels if it is made of layers; what is given and what is raised as for `cell.layout`.
    With lanes that would have a state of a lower level above one of a higher it is laid out as one."""
    levels = _levels(diagram, lanes or {})
    if not levels:
        return cell.layout(diagram, room, title, pins, lanes, wider=wider, rooms=rooms, gaps=gaps)
    parts = [_part(diagram, level) for level in levels]
    scenes = [
        cell.layout(part, room, title, pins, _own(lanes or {}, part), wider=wider, rooms=rooms, gaps=gaps)
        for part in parts
    ]
    return _stacked(diagram, levels, scenes, room, title)


def columns(diagram: Diagram, lanes: Mapping[str, float]) -> dict[str, float | None]:
    """Brick → its column, as `best_columns` has it; of a cell in levels, in its level."""
    parts = [_part(diagram, level) for level in _levels(diagram, lanes)] or [diagram]
    return {key: column for part in parts for key, column in best_columns(part, _own(lanes, part)).items()}


def _levels(diagram: Diagram, lanes: Mapping[str, float]) -> list[Level]:
    """The levels of a cell; none, where its lanes are asked for in another order."""
    levels = levels_of(diagram.elements)
    ways = diagram.conveyors.items()
    height = {s: n for n, level in enumerate(levels) for s, way in ways if way[0] in level.elements}
    lane = {s: float(n) for n, s in enumerate(sorted(height, key=lambda s: -height[s]), 1)} | dict(lanes)
    asked = sorted(height, key=lambda s: (lane[s], s not in lanes, -height[s]))
    return levels if asked == sorted(asked, key=lambda s: -height[s]) else []


def _own(lanes: Mapping[str, float], part: Diagram) -> dict[str, float]:
    return {state: lane for state, lane in lanes.items() if state in part.conveyors}


def _part(diagram: Diagram, level: Level) -> Diagram:
    """A level as a diagram of its own, with an input for what comes in from below, and an output for what leaves
    upwards."""
    nodes = {link.source: link.node for e in diagram.elements.values() for link in e.entries}

    def end(key: str, kind: str, source: str) -> Element:
        of = diagram.elements[source]
        return Element(key, kind, "pin", of.name, (), of.tooltip, [nodes[source]], called=of.called)

    elements = {key: end(key, "input", source) for source, key in level.ins.items()}
    for key, e in level.elements.items():
        entries = [replace(link, source=level.ins.get(link.source, link.source)) for link in e.entries]
        elements[key] = replace(e, entries=entries)
    for source, key in level.outs.items():
        elements[key] = end(key, "output", source)
        elements[key].entries = [Link(level.ins.get(source, source), nodes[source])]
    conveyors = {state: way for state, way in diagram.conveyors.items() if way[0] in elements}
    return Diagram(elements, conveyors, diagram.graph, diagram.labels)


def _stacked(diagram: Diagram, levels: Sequence[Level], scenes: Sequence[Scene], room: float, title: str) -> Scene:
    """The scenes of the levels above each other, joined."""
    placed: list[Scene] = []
    wires: list[Wire] = []
    top = 0.0
    for number, (level, scene) in enumerate(zip(levels, scenes, strict=True)):
        scene, height = _cut(scene, level)
        bottom = 0.0
        if placed:
            below = levels[number - 1].outs
            ends = {s.key: s.x for s in (*placed[-1].shapes, *scene.shapes)}
            ways = [Piece(source, ends[key], [ends[level.ins[source]]]) for source, key in below.items()]
            steps = assign(ways)
            heights = {step: top + MARGIN + (TRACK + room) * step for step in range(steps)}
            bottom = top + (2 * MARGIN + (TRACK + room) * (steps - 1) if steps else MARGIN + room)
            for way in ways:
                start, end = below[way.net], level.ins[way.net]
                points = ((ends[start], top), *through(way, ends[end], heights), (ends[end], bottom))
                wires.append(Wire(f"{start}-{end}", "wire", start, end, start, corners(points)))
        placed.append(scene.moved(0.0, bottom))
        top = bottom + height
    first, last = (scene.frames[0] for scene in (placed[0], placed[-1]))
    half = max(scene.frames[0].w for scene in scenes) / 2
    frame = Frame("cell", "cell", -half, first.y, 2 * half, last.y + last.h - first.y, tooltip=title)
    names = max((s.w for scene in scenes for s in scene.shapes if s.kind in ("state", "next")), default=0.0)
    placed = [_widened(scene, half, names) for scene in placed]
    shapes, own = (
        tuple(chain.from_iterable(parts)) for parts in zip(*((s.shapes, s.wires) for s in placed), strict=True)
    )
    scene = Scene(0, 0, shapes, (*own, *wires), (frame,), (), title)
    scene = spliced(scene, {key for level in levels for key in (*level.ins.values(), *level.outs.values())})
    return fit(with_joints(_said(scene, diagram)))


def _cut(scene: Scene, level: Level) -> tuple[Scene, float]:
    """A level with the middle of its frame at 0, its lower border too, and what goes on ending at its borders; and its
    height."""
    stubs = {*level.ins.values(), *level.outs.values()}
    loose = {s.key for s in scene.shapes if s.kind in ("input", "output")}
    inside = [s for s in scene.shapes if s.key not in loose]
    points = [p[1] for w in scene.wires for p in w.points[w.source in loose : len(w.points) - (w.target in loose)]]
    low = min([*(s.bottom for s in inside), *points]) - PADDED
    high = max([*(s.top for s in inside), *points]) + PADDED
    frame = scene.frames[0]
    ends = {s.key: low if s.kind == "input" else high for s in scene.shapes if s.key in stubs}
    shapes = [replace(s, y=ends[s.key], w=0.0, h=0.0) if s.key in ends else s for s in scene.shapes]
    wires = []
    for w in scene.wires:
        points_of = list(w.points)
        for key, i in ((w.source, 0), (w.target, -1)):
            if key in ends:
                points_of[i] = (points_of[i][0], ends[key])
        wires.append(replace(w, points=corners(points_of)))
    cut = replace(scene, shapes=tuple(shapes), wires=tuple(wires))
    return cut.moved(-frame.x - frame.w / 2, -low), high - low


def _widened(scene: Scene, half: float, room: float) -> Scene:
    """A level in a frame of another width, with room for the names of its states on both sides."""
    places = {"state": -half - OUTSIDE - room / 2, "next": half + OUTSIDE + room / 2}
    shapes = {s.key: replace(s, x=places.get(s.kind, s.x)) for s in scene.shapes}
    wires = []
    for w in scene.wires:
        (_, y), (_, y1) = w.points[0], w.points[-1]
        source, target = shapes[w.source], shapes[w.target]
        start = (source.right, y) if source.kind == "state" else w.points[0]
        end = (target.left, y1) if target.kind == "next" else w.points[-1]
        wires.append(replace(w, points=(start, *w.points[1:-1], end)))
    return replace(scene, shapes=tuple(shapes.values()), wires=tuple(wires))


def _said(scene: Scene, diagram: Diagram) -> Scene:
    """The scene with its wires in the order of the diagram, those between levels with all that is said of a wire."""
    found = {(w.target, int(w.key.rpartition("-")[2])): w for w in scene.wires}
    wires = []
    for target in diagram.elements.values():
        for number, link in enumerate(target.entries):
            wire, source = found[target.key, number], diagram.elements[link.source]
            key = f"{source.key}-{target.key}-{number}"
            wires.append(
                wire if wire.key == key else replace(wire, key=key, **facts(diagram, source, target, link.node))
            )
    return replace(scene, wires=tuple(wires))
