"""Wires: from element to element along columns, rows and the tracks between them.

The grid has a line through each column and each row, and tracks in the channels between two of them. An
element is one point of it, its four neighbours are its entries and exits, and no wire may pass a point that
an element has; so no wire runs through anything, wherever elements stand. Two wires may cross, never share a
piece of the way, unless they carry the same value: such wires are one tree that forks.

Each wire takes the cheapest way (Dijkstra's algorithm, with a direction): length, bends and crossings cost.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ...errors import BlocksError
from ..diagram.elements import Diagram
from .place import INPUTS, LEFT, OUTPUTS, RIGHT, Place

Vertex = tuple[int, int]
STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))  # right, up, left, down
EAST, NORTH, WEST, SOUTH = range(4)
DOOR = 6.0  # to pass before an entry of others
BEND, CROSSING, COLUMN_STEP, TRACK_STEP = 12.0, 25.0, 40.0, 3.0
TRACKS = (3, 6, 10)  # tried in turn
RETRIES = 4  # with another order of the wires

# What it costs to leave and to enter a shape in each direction; a direction that is not named is not allowed.
LEAVE: dict[str, dict[int, float]] = {
    "state": {EAST: 0},
    "input": {NORTH: 0},
    "brick": {NORTH: 0},
    "step": {EAST: 0},
    "merge": {EAST: 0, NORTH: 2, SOUTH: 8, WEST: 30},
    "operation": {EAST: 0, NORTH: 0, SOUTH: 3, WEST: 25},
    "part": {EAST: 0, NORTH: 0, SOUTH: 3, WEST: 25},
    "parameter": {NORTH: 0, EAST: 0, SOUTH: 2, WEST: 10},
    "draw": {NORTH: 0, EAST: 0, SOUTH: 2, WEST: 10},
    "constant": {NORTH: 0, EAST: 0, SOUTH: 2, WEST: 10},
}
ENTER: dict[str, dict[int, float]] = {
    "next": {EAST: 0},
    "output": {NORTH: 0},
    "brick": {NORTH: 0},
    "merge": {EAST: 0, NORTH: 0, SOUTH: 0, WEST: 4},
    "operation": {EAST: 0, NORTH: 0, SOUTH: 1, WEST: 8},
    "part": {EAST: 0, NORTH: 0, SOUTH: 1, WEST: 8},
}


class Unroutable(BlocksError):
    """There is no way left for a wire."""


@dataclass
class Net:
    """All wires that carry the value of one element: a tree of grid points."""

    source: str
    before: dict[Vertex, Vertex] = field(default_factory=dict)  # a point → the one nearer to the source
    branches: dict[Vertex, int] = field(default_factory=dict)  # a point → how many ways leave it


@dataclass
class Routes:
    """The ways of all wires as grid points, in the order (target, number of its entry)."""

    xs: list[tuple[str, float, int]]  # grid lines: ("column", which, 0) or ("track", column before it, number)
    ys: list[tuple[str, float, int]]
    at: dict[str, Vertex]
    nets: dict[str, Net]
    ways: dict[tuple[str, int], list[Vertex]]

    def crossings(self) -> set[Vertex]:
        """The points where two nets cross."""
        seen: set[Vertex] = set()
        twice: set[Vertex] = set()
        for net in self.nets.values():
            points = set(net.before) - set(self.at.values())
            twice |= seen & points
            seen |= points
        return twice


def route(diagram: Diagram, places: Mapping[str, Place]) -> Routes:
    """The ways of all wires. A wire that finds none is given precedence, then more tracks are laid. Raises
    Unroutable if that does not help either."""
    urgent: list[tuple[str, str, int]] = []
    for tracks in TRACKS:
        for _ in range(RETRIES):
            router = _Router(diagram, places, tracks)
            stuck = router.run(urgent)
            if stuck is None:
                return router.routes
            urgent = [stuck, *(wire for wire in urgent if wire != stuck)]
    raise Unroutable("the wires of this cell find no way")


def _lines(values: Iterable[float], ends: tuple[float, float], tracks: int) -> list[tuple[str, float, int]]:
    lines: list[tuple[str, float, int]] = []
    for value in sorted({*values, *ends}):
        if lines:
            lines += [("track", lines[-1][1], i) for i in range(tracks)]
        lines.append(("column", value, 0))
    return lines


class _Router:
    def __init__(self, diagram: Diagram, places: Mapping[str, Place], tracks: int):
        self.diagram = diagram
        xs = _lines((p[0] for p in places.values()), (LEFT, RIGHT), tracks)
        ys = _lines((p[1] for p in places.values()), (INPUTS, OUTPUTS), tracks)
        column = {value: i for i, (kind, value, _) in enumerate(xs) if kind == "column"}
        row = {value: i for i, (kind, value, _) in enumerate(ys) if kind == "column"}
        at = {key: (column[x], row[y]) for key, (x, y) in places.items()}
        self.routes = Routes(xs, ys, at, {}, {})
        self.x, self.y = _distances(xs), _distances(ys)
        self.elements = {v: key for key, v in at.items()}
        self.doors = self._doors()
        self.conveyors = [
            (source, target, [link.source for link in diagram.elements[target].entries].index(source))
            for way in diagram.conveyors.values()
            for source, target in itertools.pairwise(way)
        ]
        self.edges: dict[tuple[Vertex, Vertex], str] = {}
        self.uses: dict[Vertex, dict[str, int]] = {}  # a point → the nets there, 1 along x, 2 along y, 3 both

    def _doors(self) -> dict[Vertex, set[tuple[str, int]]]:
        """The points before the entries and exits of elements, with the axis that must stay free for these:
        a wire of others may cross there, nothing else."""
        doors: dict[Vertex, set[tuple[str, int]]] = {}
        for key, (i, j) in self.routes.at.items():
            kind = self.diagram.elements[key].kind
            ways = {*LEAVE.get(kind, {}), *((way + 2) % 4 for way in ENTER.get(kind, {}))}
            for way in ways:
                dx, dy = STEPS[way]
                doors.setdefault((i + dx, j + dy), set()).add((key, 1 if dx else 2))
        return doors

    def barred(self, vertex: Vertex, axis: int, own: set[str]) -> bool:
        """Whether a wire along this axis would block somebody's door."""
        return any(key not in own and axis == door for key, door in self.doors.get(vertex, ()))

    def run(self, urgent: list[tuple[str, str, int]]) -> tuple[str, str, int] | None:
        """Find all ways, the urgent wires' first; returns a wire that has none."""
        first = [wire for wire in urgent if wire not in self.conveyors]
        order = [*self.conveyors, *first, *(w for w in self.order() if w not in first and w not in self.conveyors)]
        return next((wire for wire in order if not self.wire(*wire)), None)

    def order(self) -> list[tuple[str, str, int]]:
        """Straight wires first, then the bus, then by length."""
        at, elements = self.routes.at, self.diagram.elements
        ranked: list[tuple[int, float, int, str, str, int]] = []
        for target in elements.values():
            for number, link in enumerate(target.entries):
                (a, b), (c, d) = at[link.source], at[target.key]
                kind = elements[link.source].kind
                straight = (a == c and kind != "merge") or (b == d and kind not in ("brick", "merge"))
                early = 0 if straight else 1 if kind in ("merge", "state", "input") else 2
                length = abs(self.x[a] - self.x[c]) + abs(self.y[b] - self.y[d])
                ranked.append((early, length, len(ranked), link.source, target.key, number))
        return [(source, target, number) for *_, source, target, number in sorted(ranked)]

    def wire(self, source: str, target: str, number: int) -> bool:
        """Add one wire to its net, by the cheapest way from any point of it."""
        net = self.routes.nets.setdefault(source, Net(source))
        here, goal = self.routes.at[source], self.routes.at[target]
        leave, enter = LEAVE[self.diagram.elements[source].kind], ENTER[self.diagram.elements[target].kind]
        queue: list[tuple[float, float, Vertex, int]] = []
        cost: dict[tuple[Vertex, int], float] = {}
        came: dict[tuple[Vertex, int], tuple[Vertex, int]] = {}

        def reach(vertex: Vertex, way: int, paid: float, origin: tuple[Vertex, int]) -> None:
            if paid < cost.get((vertex, way), float("inf")):
                cost[vertex, way] = paid
                came[vertex, way] = origin
                left = abs(self.x[vertex[0]] - self.x[goal[0]]) + abs(self.y[vertex[1]] - self.y[goal[1]])
                heapq.heappush(queue, (paid + left, paid, vertex, way))

        own = {source, target}
        starts: list[Vertex] = list(net.before) or [here]
        for depth, start in enumerate(starts):
            at_source = start == here
            if (start in self.elements and not at_source) or len(self.uses.get(start, {})) > 1:
                continue
            if at_source and net.before:
                continue  # one exit; forks come after it
            for way in range(4):
                extra = leave.get(way) if at_source else BEND * 0.75 + 0.02 * depth
                after = self.step(start, way, source, goal, enter, own)
                if after is not None and extra is not None:
                    reach(after[0], way, extra + after[1], (start, -1))
        while queue:
            _, paid, vertex, way = heapq.heappop(queue)
            if paid > cost[vertex, way]:
                continue
            if vertex == goal:
                self.commit(net, came, (vertex, way), number, target)
                return True
            crossing = vertex in self.uses
            for turn in range(4):
                if (turn + 2) % 4 == way or (crossing and turn != way):
                    continue
                if turn != way and self.barred(vertex, 1 + turn % 2, own):
                    continue
                after = self.step(vertex, turn, source, goal, enter, own)
                if after is not None:
                    reach(after[0], turn, paid + after[1] + BEND * (turn != way), (vertex, way))
        return False

    def step(
        self, vertex: Vertex, way: int, net: str, goal: Vertex, enter: dict[int, float], own: set[str]
    ) -> tuple[Vertex, float] | None:
        """The next point in a direction and what it costs to go there; None where that is not allowed."""
        dx, dy = STEPS[way]
        after = (vertex[0] + dx, vertex[1] + dy)
        i, j = after
        if not (0 <= i < len(self.x) and 0 <= j < len(self.y)):
            return None
        if (dy and i in (0, len(self.x) - 1)) or (dx and j in (0, len(self.y) - 1)):
            return None  # labels stand there
        if (vertex, after) in self.edges:
            return None
        length = abs(self.x[i] - self.x[vertex[0]]) + abs(self.y[j] - self.y[vertex[1]])
        if after == goal:
            extra = enter.get(way)
            return None if extra is None else (after, length + extra)
        if after in self.elements:
            return None
        if self.barred(after, 1 if dx else 2, own):
            return None
        if after in self.doors:
            length += DOOR * any(key not in own for key, _ in self.doors[after])
        there = self.uses.get(after)
        if there:
            if net in there or len(there) > 1 or next(iter(there.values())) != (2 if dx else 1):
                return None
            length += CROSSING
        return after, length

    def commit(
        self,
        net: Net,
        came: dict[tuple[Vertex, int], tuple[Vertex, int]],
        end: tuple[Vertex, int],
        number: int,
        target: str,
    ) -> None:
        way = [end[0]]
        state = end
        while state[1] != -1:
            state = came[state]
            way.append(state[0])
        way.reverse()
        if not net.before:
            net.before[way[0]] = way[0]
        for a, b in itertools.pairwise(way):
            self.edges[a, b] = self.edges[b, a] = net.source
            axis = 1 if a[1] == b[1] else 2
            for v in (a, b):
                if v not in self.elements:
                    there = self.uses.setdefault(v, {})
                    there[net.source] = there.get(net.source, 0) | axis
            if b not in self.elements:
                net.before[b] = a
            net.branches[a] = net.branches.get(a, 0) + 1
        full = [way[0]]
        while net.before[full[0]] != full[0]:
            full.insert(0, net.before[full[0]])
        self.routes.ways[target, number] = full[:-1] + way


def _distances(lines: list[tuple[str, float, int]]) -> list[float]:
    out = [0.0]
    for kind, _, _ in lines[1:]:
        out.append(out[-1] + (COLUMN_STEP if kind == "column" else TRACK_STEP))
    return out
