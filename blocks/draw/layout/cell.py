"""The layout of a cell: its diagram gets places, its wires ways, and both become lengths.

    graph ─▶ diagram ─▶ places (columns, rows) ─▶ routes (tracks) ─▶ scene (points)

Tracks that no wire uses vanish; columns and rows are as far apart as what stands in them needs (`lines`). So nothing
overlaps, and no wire passes through a shape: both follow from the grid.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from ...graph import Node, show_shape
from ..diagram.elements import Diagram, Element
from ..scene import Dot, Frame, Point, Scene, Shape, Wire, fit
from ..text import END_ROOM, extent
from . import lines
from .lines import OUTSIDE, Room
from .marks import marked
from .place import Pins, place
from .route import Net, Routes, Vertex, route

CIRCLE, RING = 24.0, 9.0


def layout(
    diagram: Diagram,
    room: float = 0.0,
    title: str = "cell",
    pins: Pins | None = None,
    lanes: Mapping[str, float] | None = None,
    frame: str = "cell",
    wider: float = 0.0,
    rooms: Mapping[str, Room] | None = None,
    gaps: float = 1.0,
) -> Scene:
    """The scene of a cell.

    room: points more between any two wires, for labels; wider: the same from left to right alone. pins, lanes: as
    for `place.place`. frame: its kind. rooms: by element, where it needs more room than it fills. gaps: what part
    of the usual ones they are from left to right, at most; one of `lines.PARTS`.
    Raises `route.Unroutable` where a wire finds no way.
    """
    places = place(diagram, pins, lanes)
    routes = route(diagram, places)
    sizes = {key: _size(e) for key, e in diagram.elements.items()}
    kept = {**rooms_of(diagram), **(rooms or {})}
    y = lines.heights(routes, kept, room)
    x, part = lines.places(routes, kept, y, room + wider, gaps)
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
            if straight:
                said["kind"] = "conveyor"
            wires.append(
                Wire(
                    key=f"{source.key}-{target.key}-{number}",
                    source=source.key,
                    target=target.key,
                    net=source.key,
                    points=tuple(points),
                    hops=tuple((x[i], y[j]) for i, j in _upright(way, crossings)),
                    **said,
                )
            )
            marks[wires[-1].key] = link.mark
    dots = [Dot(x[i], y[j], net.source) for net in routes.nets.values() for i, j in _forks(net, routes)]
    ground = Frame("cell", frame, *_frame(x, y, routes, kept, lines.smaller(OUTSIDE, part)), tooltip=title)
    return fit(marked(Scene(0, 0, tuple(drawn.values()), tuple(wires), (ground,), tuple(dots), title), marks))


def rooms_of(diagram: Diagram) -> dict[str, Room]:
    """The room that each element fills."""
    sizes = {key: _size(e) for key, e in diagram.elements.items()}
    return {key: Room(w / 2, w / 2, h / 2, h / 2) for key, (w, h) in sizes.items()}


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
    x: list[float], y: list[float], routes: Routes, rooms: Mapping[str, Room], beside: float
) -> tuple[float, float, float, float]:
    def most(axis: int, line: int, side: str) -> float:
        return max((getattr(rooms[k], side) for k, v in routes.at.items() if v[axis] == line), default=0.0)

    x0, x1 = x[0] + most(0, 0, "right") + beside, x[-1] - most(0, len(x) - 1, "left") - beside
    y0, y1 = y[0] + most(1, 0, "above") + OUTSIDE, y[-1] - most(1, len(y) - 1, "below") - OUTSIDE
    return x0, y0, x1 - x0, y1 - y0
