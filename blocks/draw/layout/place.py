"""Where the elements of a cell stand: a column and a row for each, not yet a length.

    outputs       ·  ·  ·  ·  ·  y
    lanes      C ─×─────+──────────── C     one for each conveyor, its operations on it
    operations    │     ×    tanh           rows 2 to 8, placed by search, and with them bricks that rise
    bricks       [f] [i] [~] [o]            a row of their own, in the order in which they were made
    bus        h ─┴───┴───┴───┴─            merges, and the states without a conveyor
    inputs        x

Operations are put, one after the other, where their wires are short and straight, and then moved as long as
that makes the whole better. The search is a few sweeps over a handful of candidates, the same every time.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Iterable, Iterator, Mapping

from ..diagram.elements import Diagram, Element

Place = tuple[float, float]
Piece = tuple[Place, Place]
Pins = Mapping[str, float | None]
Lines = dict[float, list[tuple[float, float]]]  # a column or a row → pieces along it, from where to where

INPUTS, BUS, UNDER, BRICKS, FIRST, LAST, LANES, OUTPUTS = -100.0, 0.0, 0.5, 1.0, 2, 8, 100.0, 1000.0
LEFT, RIGHT = -1000.0, 1000.0
BEND, BLOCKED, BACKWARDS, DOWNWARDS, COLUMN, CROSSING = 2.0, 4.0, 6.0, 0.8, 1.5, 1.0
SWEEPS, FINALISTS = 3, 6


def place(diagram: Diagram, pins: Pins | None = None, lanes: Mapping[str, float] | None = None) -> dict[str, Place]:
    """Element → (column, row).

    pins: element → its column, where bricks without one stand in the columns 1, 2, …, and a brick with `None`, one of
    `rising.rising`, rises to where it does best. lanes: state → the number of its lane, 1 at the top; by default in the
    order in which the cell uses the states.
    """
    return _Search(diagram, pins or {}, lanes or {}).run()


def estimate(diagram: Diagram, pins: Pins, lanes: Mapping[str, float]) -> tuple[int, float]:
    """How many wires are likely to cross, and what all are likely to cost, where each element is put once and none is
    moved: what tells a good order of the bricks from a bad one, in a fraction of the time of a layout."""
    return _Search(diagram, pins, lanes).estimate()


def by_age(diagram: Diagram) -> list[Element]:
    """The elements in the order in which they were made."""
    return sorted(diagram.elements.values(), key=lambda e: e.nodes[0].serial if e.kind != "merge" else 0)


def weighted(diagram: Diagram) -> list[str]:
    """What stands in the row of the bricks, in the order in which it was made: bricks, and weights without one; but
    inside of a brick weights stand where they meet."""
    kinds = ("brick", "parameter") if any(e.kind == "state" for e in diagram.elements.values()) else ("brick",)
    return [e.key for e in by_age(diagram) if e.kind in kinds]


class _Search:
    def __init__(self, diagram: Diagram, pins: Pins, lanes: Mapping[str, float]):
        self.diagram, self.pins = diagram, {key: column for key, column in pins.items() if column is not None}
        self.risen = {key for key, column in pins.items() if column is None and key in diagram.elements}
        self.elements = diagram.elements
        self.users = {k: list(dict.fromkeys(v)) for k, v in diagram.users().items()}
        self.sources = {k: list(dict.fromkeys(link.source for link in e.entries)) for k, e in self.elements.items()}
        merges = {s for key in self.risen for s in self.sources[key] if self.elements[s].kind == "merge"}
        self.risen |= {key for key in merges if self.risen.issuperset(self.users[key])}
        self.at: dict[str, Place] = {}
        self.upright: Lines = {}  # the straight wires that what is being placed has no part in
        self.flat: Lines = {}
        self.taken: dict[Place, str] = {}
        self.columns: dict[float, dict[float, str]] = {}
        self.rows: dict[float, dict[float, str]] = {}
        self.lane_of: dict[str, tuple[float, list[str]]] = {}
        order = {state: lanes.get(state, number) for number, state in enumerate(diagram.conveyors, 1)}
        for i, state in enumerate(sorted(order, key=order.__getitem__, reverse=True)):
            for key in diagram.conveyors[state]:
                self.lane_of[key] = (LANES + i, diagram.conveyors[state])

    def put(self, key: str, place: Place) -> None:
        if key in self.at:
            old = self.at.pop(key)
            del self.taken[old], self.columns[old[0]][old[1]], self.rows[old[1]][old[0]]
            if not self.columns[old[0]]:
                del self.columns[old[0]]
        self.at[key] = place
        self.taken[place] = key
        self.columns.setdefault(place[0], {})[place[1]] = key
        self.rows.setdefault(place[1], {})[place[0]] = key

    def rough(self) -> list[str]:
        """Put each element where it does best, one after the other; returns those that may be moved."""
        self.fixed()
        movable = [key for key, e in self.elements.items() if key not in self.at and e.kind not in ("output", "input")]
        for key in movable:
            self.put(key, self.best(key))
        return movable

    def estimate(self) -> tuple[int, float]:
        """See `estimate`."""
        self.rough()
        self.inputs()
        self.outputs()
        guesses = [self.guess(a, self.at[a], b, self.at[b]) for a, b in self.wires()]
        pieces = [piece for _, own in guesses for piece in own]
        flat = _straight(pieces)[1]
        crossings = sum(_crossed(piece, {}, flat) for piece in pieces if piece[0][0] == piece[1][0])
        return crossings, sum(cost for cost, _ in guesses)

    def run(self) -> dict[str, Place]:
        movable = self.rough()
        for _ in range(SWEEPS):
            changed = False
            for key in movable:
                place = self.best(key)
                if place != self.at[key]:
                    self.put(key, place)
                    changed = True
            if not changed:
                break
        self.inputs()
        self.outputs()
        return self.at

    def fixed(self) -> None:
        """Bricks, the ends of states, and the bus that only inputs and states come in on."""
        in_row = [key for key in weighted(self.diagram) if key not in self.risen]
        for column, key in enumerate(in_row, 1):
            self.put(key, self.free(self.pins.get(key, float(column)), BRICKS))
        rows: dict[str, float] = {}
        for element in self.by_age():
            if element.kind in ("state", "next"):
                lane = self.lane_of.get(element.key)
                if lane is None and element.name not in rows:
                    rows[element.name] = BUS - 0.1 * len(rows)
                row = lane[0] if lane else rows[element.name]
                self.put(element.key, (LEFT if element.kind == "state" else RIGHT, row))
        buses = 0
        for element in self.by_age():
            buses = self.bus(element, buses)

    def bus(self, element: Element, buses: int) -> int:
        """Place what is part of the bus: a merge for one brick under it, what many need to the left. Returns how
        many parts the bus has then."""
        before = {self.elements[s].kind for s in self.sources[element.key]}
        after = {self.elements[u].kind for u in self.users[element.key]}
        merge, users = element.kind == "merge", self.users[element.key]
        if element.key in self.risen:
            return buses
        if merge and len(users) == 1 and after == {"brick"}:
            row = BUS if before <= {"input", "state"} and not buses else UNDER
            below = (self.at[users[0]][0], row)
            self.put(element.key, below if below not in self.taken else (below[0] - 0.2, row))
            return buses + (row == BUS)
        early = before and before <= {"input", "state", "merge"} and element.key not in self.lane_of
        joins = len(users) != 1 if merge else element.kind == "operation" and after <= {"brick", "merge"}
        if early and joins:
            self.put(element.key, (0.3 * buses, BUS + 0.05 * buses))
            return buses + 1
        return buses

    def by_age(self) -> list[Element]:
        return by_age(self.diagram)

    def inputs(self) -> None:
        """Inputs come from below, each under what takes it first."""
        for element in self.by_age():
            if element.kind == "input" and element.key not in self.at:
                known = [self.at[u] for u in self.users[element.key] if u in self.at]
                column = min(known, key=lambda p: (p[1] != BUS, p[0]))[0] if known else 0.0
                column = self.pins.get(element.key, 0.0 if abs(column) >= RIGHT else column)
                self.put(element.key, self.free(column, INPUTS))

    def outputs(self) -> None:
        """Outputs leave upwards: straight, where nothing else needs the value and nothing is in the way; else to the
        right of everything."""
        last = max((c for c in self.columns if c < RIGHT), default=0.0)
        for element in self.elements.values():
            if element.kind == "output" and element.key not in self.at:
                (source,) = self.sources[element.key]
                column, row = self.at[source]
                above = any(r > row for r in self.columns[column]) if _inside(column) else True
                if above or len(self.users[source]) > 1:
                    column = last = last + 1.0
                self.put(element.key, self.free(self.pins.get(element.key, column), OUTPUTS))

    def free(self, column: float, row: float) -> Place:
        """That place, or the next one to its left where it is taken."""
        while (column, row) in self.taken:
            column -= 0.01
        return column, row

    # --- the search ------------------------------------------------------------------------------

    def best(self, key: str) -> Place:
        """The place with the lowest cost. Crossings are counted for the few best only."""
        here = self.at.get(key)
        others = [(a, self.at[a], b, self.at[b]) for a, b in self.wires() if key not in (a, b)]
        self.upright, self.flat = _straight((start, end) for _, start, _, end in others)
        ranked: list[tuple[float, Place]] = []
        for p in self.candidates(key):
            bias = 0 if p == here else 1e-6
            cost = self.cost(key, p, ranked[-1][0] - bias if len(ranked) == FINALISTS else math.inf)
            if cost is not None:
                insort(ranked, (cost + bias, p))
                del ranked[FINALISTS:]
        if not ranked:  # a pin that its lane does not allow
            del self.pins[key]
            return self.best(key)
        if len(ranked) == 1:
            return ranked[0][1]
        upright, flat = _straight(piece for wire in others for piece in self.guess(*wire)[1])
        finalists = [(cost + CROSSING * self.crossings(key, p, upright, flat), p) for cost, p in ranked]
        return min(finalists)[1]

    def candidates(self, key: str) -> Iterator[Place]:
        """Free places that are worth trying: near what it is linked to, in columns that are there and between
        two of them."""
        lane = self.lane_of.get(key)
        bounds = self.bounds(key, lane[1]) if lane else (LEFT, RIGHT)
        columns = {self.pins[key]} if key in self.pins else self.columns_for(key, bounds, bool(lane))
        for x in columns:
            if bounds[0] < x < bounds[1] or not lane:
                for y in self.rows_for(self.elements[key], lane):
                    if self.taken.get((x, y), key) == key:
                        yield x, y

    def columns_for(self, key: str, bounds: tuple[float, float], on_lane: bool) -> set[float]:
        """The columns to try for an element: those near what it is linked to, and halfway to the next ones."""
        own = self.at.get(key)
        alone = own[0] if own and len(self.columns[own[0]]) == 1 else None
        used = sorted(c for c in self.columns if _inside(c) and c != alone) or [0.0]
        near = {self.at[n][0] for n in (*self.sources[key], *self.users[key]) if n in self.at}
        near = set(filter(_inside, near)) or {used[0]}
        found = {own[0]} if own else set()
        if on_lane:
            near |= {bounds[0] if _inside(bounds[0]) else used[0], used[-1]}
            found |= _beside(bounds, used)
        edges = [used[0] - 2, *used, used[-1] + 2]
        for c in near:
            found |= {c, (c + _after(edges, c)) / 2, (_before(edges, c) + c) / 2}
            found |= {u for u in used if abs(u - c) <= 2}
        return found

    def bounds(self, key: str, way: list[str]) -> tuple[float, float]:
        """The columns on a lane that an operation must stay between."""
        i = way.index(key)
        before = max((self.at[k][0] for k in way[:i] if k in self.at), default=LEFT)
        after = min((self.at[k][0] for k in way[i + 1 :] if k in self.at), default=RIGHT)
        return before, after

    def rows_for(self, element: Element, lane: tuple[float, list[str]] | None) -> list[float]:
        if lane:
            return [lane[0]]
        if element.kind == "merge" and element.key not in self.risen:
            return [UNDER] if len(self.users[element.key]) == 1 else [UNDER, BUS - 0.05]
        return [float(r) for r in range(FIRST, LAST)]

    def cost(self, key: str, place: Place, most: float) -> float | None:
        """What a place costs; None if that is more than `most`."""
        total = 0.0 if place[0] in self.columns and set(self.columns[place[0]].values()) - {key} else COLUMN
        total += 0.05 * min(place[1], LAST)
        for source in self.sources[key]:
            if source in self.at and self.elements[source].kind != "input":
                total += self.guess(source, self.at[source], key, place)[0]
                if total > most:
                    return None
        for user in self.users[key]:
            if user in self.at:
                total += self.guess(key, place, user, self.at[user])[0]
                if total > most:
                    return None
        return total + BLOCKED * self.passes(place)

    def wires(self) -> Iterator[tuple[str, str]]:
        for key, sources in self.sources.items():
            if key in self.at:
                for source in sources:
                    if source in self.at and self.at[source][0] > LEFT:
                        yield source, key

    def passes(self, place: Place) -> int:
        """How many straight wires between others would be interrupted by something at this place."""
        x, y = place
        return _within(self.upright, x, y) + _within(self.flat, y, x)

    def guess(self, source: str, start: Place, target: str, end: Place) -> tuple[float, list[Piece]]:
        """What a wire will cost, and its likely pieces."""
        (a, b), (c, d) = start, end
        skip = {source, target}
        if start[0] == LEFT:  # the states' own ends: a fork off the lane comes down in the target's column
            if b < LANES:
                return 0.1 * abs(c), []
            return 0.1 * max(c, 0) + BLOCKED * self.between(c, b, d, skip), [((c, b), (c, d))]
        if end[0] == RIGHT:
            on_lane = d == b
            return 0.0 if on_lane else BEND / 2 + 0.5 * BLOCKED * self.along(b, a, RIGHT, skip), []
        upright = ((a, b), (a, d)), ((a, d), (c, d))
        flat = ((a, b), (c, b)), ((c, b), (c, d))
        length = 0.4 * abs(a - c) + 0.2 * min(abs(b - d), LAST)
        length += BACKWARDS + 2 * (a - c) if c < a else 0
        length += DOWNWARDS if d < b and self.elements[source].kind == "operation" else 0
        brick = self.elements[source].kind == "brick"
        into = self.elements[target].kind in ("brick", "merge") and target not in self.risen
        lane = source in self.lane_of
        if self.elements[target].kind == "brick" and not into and (a != c or b > d):
            return length + (3 * BEND if b >= d else BEND), []
        if into:  # from above, round the side, and in from below
            return length + (2 * BEND if c > a else 3 * BEND), []
        if lane and target in self.lane_of and b == d:
            return 0.02 * abs(a - c), []
        if a == c:
            worse = BEND * 2 if lane or (brick and d < b) else 0
            return length + worse + BLOCKED * self.between(a, b, d, skip), [(start, end)]
        if b == d and not brick:
            return length + BLOCKED * self.along(b, a, c, skip), [(start, end)]
        up = BLOCKED * (self.between(a, b, d, skip) + self.along(d, a, c, skip)) + (BEND * 2 if lane else 0)
        over = BLOCKED * (self.along(b, a, c, skip) + self.between(c, b, d, skip)) + (BEND * 2 if brick else 0)
        return length + BEND + min(up, over), list(upright if up <= over else flat)

    def between(self, column: float, b: float, d: float, skip: set[str]) -> int:
        low, high, count = min(b, d), max(b, d), 0
        for r, k in self.columns.get(column, {}).items():
            if low <= r <= high and k not in skip:
                count += 1
        return count

    def along(self, row: float, a: float, c: float, skip: set[str]) -> int:
        low, high, count = min(a, c), max(a, c), 0
        for x, k in self.rows.get(row, {}).items():
            if low < x <= high and x < RIGHT and k not in skip:
                count += 1
        return count

    def crossings(self, key: str, place: Place, upright: Lines, flat: Lines) -> int:
        """How many pieces of other wires the wires of this one would cross."""
        own: list[Piece] = []
        for source in self.sources[key]:
            if source in self.at:
                own += self.guess(source, self.at[source], key, place)[1]
        for user in self.users[key]:
            if user in self.at:
                own += self.guess(key, place, user, self.at[user])[1]
        return sum(_crossed(piece, upright, flat) for piece in own)


def _straight(pieces: Iterable[Piece]) -> tuple[Lines, Lines]:
    """Pieces that go straight upwards, by their column, and those that go sideways, by their row."""
    upright: Lines = {}
    flat: Lines = {}
    for (a, b), (c, d) in pieces:
        if a == c:
            upright.setdefault(a, []).append((min(b, d), max(b, d)))
        elif b == d:
            flat.setdefault(b, []).append((min(a, c), max(a, c)))
    return upright, flat


def _within(lines: Lines, line: float, at: float) -> int:
    """How many pieces along a line go through a point of it."""
    count = 0
    for low, high in lines.get(line, ()):
        if low < at < high:
            count += 1
    return count


def _crossed(piece: Piece, upright: Lines, flat: Lines) -> int:
    """How many pieces another one crosses."""
    (a, b), (c, d) = piece
    if a == c:
        return sum(_within(flat, y, a) for y in flat if min(b, d) < y < max(b, d))
    return sum(_within(upright, x, b) for x in upright if min(a, c) < x < max(a, c))


def _inside(column: float) -> bool:
    """Whether a column lies between those of the states' ends."""
    return LEFT < column < RIGHT


def _beside(bounds: tuple[float, float], used: list[float]) -> set[float]:
    """The columns to the right of the bounds on a lane, and the one in their middle."""
    inner = [b for b in bounds if _inside(b)]
    edges = [*used, used[-1] + 2]
    found = {(b + next((e for e in edges if e > b), b + 2)) / 2 for b in inner}
    return found | ({(inner[0] + inner[1]) / 2} if len(inner) == 2 else set())


def _after(columns: list[float], c: float) -> float:
    """The next column to the right."""
    return next(e for e in columns if e > c)


def _before(columns: list[float], c: float) -> float:
    """The next column to the left."""
    return next(e for e in reversed(columns) if e < c)
