"""The layout of a cell: its diagram gets places, its wires ways, and both become lengths.

    graph ─▶ diagram ─▶ places (columns, rows) ─▶ routes (tracks) ─▶ scene (points)

Tracks that no wire uses vanish; columns and rows are as wide as what stands in them. So nothing overlaps, and
no wire passes through a shape: both follow from the grid.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

from ...graph import Node, show_shape
from ..diagram.elements import Diagram, Element
from ..scene import Dot, Frame, Point, Scene, Shape, Wire, fit
from ..text import END_ROOM, extent
from .marks import marked
from .place import INPUTS, LEFT, OUTPUTS, RIGHT, place
from .route import Net, Routes, Vertex, route

CIRCLE, RING = 24.0, 9.0
WIDE, BESIDE, TRACK = 22.0, 14.0, 10.0  # column to column, column to track, track to track
OUTSIDE, INSIDE = 16.0, 12.0  # from the labels of the states to the frame, and from the frame on


def layout(
    diagram: Diagram,
    room: float = 0.0,
    title: str = "cell",
    pins: Mapping[str, float] | None = None,
    lanes: Mapping[str, float] | None = None,
    frame: str = "cell",
    wider: float = 0.0,
    rooms: Mapping[str, Room] | None = None,
) -> Scene:
    """The scene of a cell.

    room: points more between any two wires, for labels; wider: the same from left to right alone. pins, lanes: as
    for `place.place`. frame: its kind. rooms: by element, where it needs more room than it fills.
    Raises `route.Unroutable` where a wire finds no way.
    """
    places = place(diagram, pins, lanes)
    routes = route(diagram, places)
    sizes = {key: _size(e) for key, e in diagram.elements.items()}
    kept = {**rooms_of(diagram), **(rooms or {})}
    x = _coordinates(routes.xs, routes, 0, {key: (r.side, r.side) for key, r in kept.items()}, room + wider)
    y = _coordinates(routes.ys, routes, 1, {key: (r.below, r.above) for key, r in kept.items()}, room)
    drawn: dict[str, Shape] = {}
    for key, element in diagram.elements.items():
        i, j = routes.at[key]
        drawn[key] = _shape(element, diagram, x[i], y[j], *sizes[key])
    on_lanes = {pair for way in diagram.conveyors.values() for pair in itertools.pairwise(way)}
    crossings = routes.crossings()
    wires: list[Wire] = []
    marks: dict[str, str] = {}
    for target in diagram.elements.values():
        for number, link in enumerate(target.entries):
            way = routes.ways[target.key, number]
            turns = _turns(way)
            points = [(x[i], y[j]) for i, j in turns]
            points[0] = _border(drawn[link.source], turns[0], turns[1])
            points[-1] = _border(drawn[target.key], turns[-1], turns[-2])
            source = diagram.elements[link.source]
            first = all(earlier.source != link.source for earlier in target.entries[:number])
            straight = first and (source.key, target.key) in on_lanes
            said = facts(diagram, source, target, link.node)
            wires.append(
                Wire(
                    key=f"{source.key}-{target.key}-{number}",
                    source=source.key,
                    target=target.key,
                    net=source.key,
                    points=tuple(points),
                    hops=tuple((x[i], y[j]) for i, j in _upright(way, crossings)),
                    **(said | {"kind": "conveyor"} if straight else said),
                )
            )
            marks[wires[-1].key] = link.mark
    dots = [Dot(x[i], y[j], net.source) for net in routes.nets.values() for i, j in _forks(net, routes)]
    ground = Frame("cell", frame, *_frame(x, y, routes, kept), tooltip=title)
    return fit(marked(Scene(0, 0, tuple(drawn.values()), tuple(wires), (ground,), tuple(dots), title), marks))


class Room(NamedTuple):
    """How far an element and what belongs to it reach from its centre."""

    side: float
    above: float
    below: float


def rooms_of(diagram: Diagram) -> dict[str, Room]:
    """The room that each element fills."""
    sizes = {key: _size(e) for key, e in diagram.elements.items()}
    return {key: Room(w / 2, h / 2, h / 2) for key, (w, h) in sizes.items()}


def facts(diagram: Diagram, source: Element, target: Element, node: Node) -> dict[str, Any]:
    """What is said of a wire that is no conveyor, besides its way."""
    return {
        "kind": "bus" if source.kind == "merge" or target.kind == "part" else "wire",
        "arrow": target.kind != "merge",
        "tooltip": f"{source.name or 'merged wires'} to {target.name or 'merged wires'}: {show_shape(node.shape)}",
        "shape": show_shape(node.shape),
        "holds": () if source.kind == "merge" or target.kind == "part" else (diagram.graph.name_of(node),),
        "called": source.called,
    }


def _size(element: Element) -> tuple[float, float]:
    w, h = extent(element.lines)
    if element.form == "ring":
        return RING, RING
    if element.form == "circle":
        return CIRCLE, CIRCLE
    if element.form == "pill":
        return max(w + 16, CIRCLE), CIRCLE - 2
    if element.form == "text":
        return w + END_ROOM, h + 2
    return max(w + 16, 46.0), max(h + 8, 30.0)


def _shape(element: Element, diagram: Diagram, x: float, y: float, w: float, h: float) -> Shape:
    known = set() if element.kind == "merge" else set(diagram.graph.order())
    names = tuple(diagram.graph.name_of(n) for n in dict.fromkeys(element.nodes) if n in known)
    return Shape(
        element.key, element.kind, element.form, element.name, x, y, w, h, element.lines, element.tooltip,
        names, shared=element.shared,
    )  # fmt: skip


def _coordinates(
    lines: list[tuple[str, float, int]],
    routes: Routes,
    axis: int,
    reach: Mapping[str, tuple[float, float]],
    more: float,
) -> list[float]:
    """Where each line of the grid is, from how far each element reaches before and behind its own. Lines that no wire
    runs along take no room."""
    before_line, behind_line = [0.0] * len(lines), [0.0] * len(lines)
    for key, vertex in routes.at.items():
        before_line[vertex[axis]] = max(before_line[vertex[axis]], reach[key][0])
        behind_line[vertex[axis]] = max(behind_line[vertex[axis]], reach[key][1])
    used = [kind == "column" for kind, _, _ in lines]
    for way in routes.ways.values():
        for a, b in itertools.pairwise(way):
            if a[axis] == b[axis]:
                used[a[axis]] = True
    first, last = (LEFT, RIGHT) if axis == 0 else (INPUTS, OUTPUTS)
    out: list[float] = []
    position, before = 0.0, -1
    for i, (kind, value, _) in enumerate(lines):
        if not used[i]:
            out.append(position)
            continue
        if before >= 0:
            kinds = {kind, lines[before][0]}
            gap = WIDE if kinds == {"column"} else TRACK if kinds == {"track"} else BESIDE
            if (lines[before][0] == "column" and lines[before][1] == first) or (kind == "column" and value == last):
                gap = OUTSIDE + INSIDE
            position += behind_line[before] + before_line[i] + gap + more
        out.append(position)
        before = i
    return out


def _border(shape: Shape, centre: Vertex, toward: Vertex) -> Point:
    (i, j), (k, m) = centre, toward
    if k != i:
        return (shape.right if k > i else shape.left, shape.y)
    return (shape.x, shape.top if m > j else shape.bottom)


def _turns(way: list[Vertex]) -> list[Vertex]:
    """The first and last point of a way, and those where it turns."""
    triples = zip(way, way[1:], way[2:], strict=False)
    inner = [b for a, b, c in triples if (b[0] - a[0], b[1] - a[1]) != (c[0] - b[0], c[1] - b[1])]
    return [way[0], *inner, way[-1]]


def _upright(way: list[Vertex], crossings: set[Vertex]) -> list[Vertex]:
    """The crossings that a wire passes upwards or downwards: there it hops."""
    triples = zip(way, way[1:], way[2:], strict=False)
    return [b for a, b, c in triples if b in crossings and a[0] == b[0] == c[0]]


def _forks(net: Net, routes: Routes) -> list[Vertex]:
    elements = set(routes.at.values())
    return [v for v, ways in net.branches.items() if ways > 1 and v not in elements]


def _frame(
    x: list[float], y: list[float], routes: Routes, rooms: Mapping[str, Room]
) -> tuple[float, float, float, float]:
    def ends(line_count: int, axis: int) -> tuple[float, float]:
        reach = {key: (room.side, max(room.above, room.below))[axis] for key, room in rooms.items()}
        first = max((reach[k] for k, v in routes.at.items() if v[axis] == 0), default=0.0)
        last = max((reach[k] for k, v in routes.at.items() if v[axis] == line_count - 1), default=0.0)
        return first, last

    (left, right), (low, high) = ends(len(x), 0), ends(len(y), 1)
    x0, x1 = x[0] + left + OUTSIDE, x[-1] - right - OUTSIDE
    y0, y1 = y[0] + low + OUTSIDE, y[-1] - high - OUTSIDE
    return x0, y0, x1 - x0, y1 - y0
