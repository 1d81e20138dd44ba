"""Where the lines of a grid are: as close to each other as what stands on them allows.

From below upwards each line is as far from the next one as the widest things on the two need. From left to right, in
which a cell grows, a line keeps its distance from those lines alone that have something at the same height:

    ┌───┐     ┌───┐                  ┌───┐ ┌───┐
    │ a │     │ b │                  │ a │ │ b │      a and b are at the same height, and c at another one
    └───┘     └───┘     becomes      └───┘ └───┘
            c                            c

The order of the lines stays, so no wire gets another way. What is wider than a page all the same has smaller gaps.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations, pairwise
from typing import NamedTuple

from .place import INPUTS, LEFT, OUTPUTS, RIGHT
from .route import Routes

WIDE, BESIDE, TRACK = 22.0, 14.0, 10.0  # column to column, column to track, track to track
OUTSIDE, INSIDE = 16.0, 12.0  # from the labels of the states to the frame, and from the frame on
PAGE, PARTS = 780.0, (1.0, 0.9, 0.8, 0.7, 0.6)  # a width in which all can be read; of the gaps, tried in turn
EXACT = 16.0  # lengths are such parts of a point: sums of them are exact, and what is in line, in line
NEAR = 8.0  # two things at heights that differ by less are at the same


class Hung(NamedTuple):
    """What hangs below an element, at its right: how far it reaches from the element's centre, to the right and
    downwards, from `top` on."""

    right: float
    top: float
    bottom: float


class Room(NamedTuple):
    """How far an element reaches from its centre; and what belongs to it and hangs below it."""

    left: float
    right: float
    above: float
    below: float
    hung: Hung | None = None

    @property
    def lowest(self) -> float:
        """How far the element, or what hangs below it, reaches downwards."""
        return self.hung.bottom if self.hung else self.below

    def or_more(self, other: Room) -> Room:
        """What has room for both."""
        (*one, mine), (*two, theirs) = self, other
        left, right, above, below = map(max, one, two)
        hung = Hung(*map(max, mine, theirs)) if mine and theirs else mine or theirs
        return Room(left, right, above, below, hung)


class _Thing(NamedTuple):
    """An element on a line that goes upwards, or a piece of a wire: from where to where, how far to its sides, and
    whether it stands in the frame."""

    low: float
    high: float
    left: float = 0.0
    right: float = 0.0
    framed: bool = True


def heights(routes: Routes, rooms: Mapping[str, Room], more: float) -> list[float]:
    """The height of each line that goes sideways, with so much `more` between two of them. Lines that no wire runs
    along take no room."""
    lines = routes.ys
    below, above = [0.0] * len(lines), [0.0] * len(lines)
    for key, (_, j) in routes.at.items():
        below[j], above[j] = max(below[j], rooms[key].lowest), max(above[j], rooms[key].above)
    used = [kind == "column" for kind, _, _ in lines]
    for way in routes.ways.values():
        for a, b in pairwise(way):
            used[a[1]] |= a[1] == b[1]
    out: list[float] = []
    height, before = 0.0, -1
    for j, (kind, value, _) in enumerate(lines):
        if used[j] and before >= 0:
            last, number, _ = lines[before]
            end = (last == "column" and number == INPUTS) or (kind == "column" and value == OUTPUTS)
            gap = OUTSIDE + INSIDE if end else _gap(last == "column", kind == "column")
            height += above[before] + below[j] + gap + more
        out.append(height)
        before = j if used[j] else before
    return out


def places(
    routes: Routes, rooms: Mapping[str, Room], y: list[float], more: float, most: float = 1.0
) -> tuple[list[float], float]:
    """The place of each line that goes upwards, with so much `more` between two things at the same height: in the
    middle between where it is if all stand as far to the left as they can, and to the right. And what part of the usual
    the gaps are, at most `most`, so that all fits on a page."""
    for part in PARTS[PARTS.index(most) :]:
        found = _places(routes, rooms, y, part, more)
        if found[-1] - found[0] <= PAGE:
            break
    return found, part


def _places(routes: Routes, rooms: Mapping[str, Room], y: list[float], part: float, more: float) -> list[float]:
    things = _things(routes, rooms, y)
    apart = {
        (a, b): d for a, b in combinations(sorted(things), 2) if (d := _apart(routes, things, a, b, part, more)) > 0
    }
    before: dict[int, list[tuple[int, float]]] = {i: [] for i in things}
    behind: dict[int, list[tuple[int, float]]] = {i: [] for i in things}
    for (a, b), distance in apart.items():
        before[b].append((a, distance))
        behind[a].append((b, distance))
    left: dict[int, float] = {}
    for i in sorted(things):
        left[i] = max([0.0, *left.values(), *(left[k] + distance for k, distance in before[i])])
    right: dict[int, float] = {}
    for i in sorted(things, reverse=True):
        right[i] = min([max(left.values()), *right.values(), *(right[k] - distance for k, distance in behind[i])])
    out: list[float] = []
    for i in range(len(routes.xs)):
        out.append((left[i] + right[i]) / 2 if i in things else out[-1])
    return out


def _things(routes: Routes, rooms: Mapping[str, Room], y: list[float]) -> dict[int, list[_Thing]]:
    """What stands on each line that goes upwards, if anything does; on the first and the last, something does."""
    things: dict[int, list[_Thing]] = {}
    for key, (i, j) in routes.at.items():
        room, framed = rooms[key], routes.ys[j][1] not in (INPUTS, OUTPUTS)
        things.setdefault(i, []).append(_Thing(y[j] - room.below, y[j] + room.above, room.left, room.right, framed))
        if room.hung:
            things[i].append(_Thing(y[j] - room.hung.bottom, y[j] - room.hung.top, 0.0, room.hung.right))
    for way in routes.ways.values():
        for a, b in pairwise(way):
            if a[0] == b[0]:
                low, high = sorted((y[a[1]], y[b[1]]))
                things.setdefault(a[0], []).append(_Thing(low, high))
    for end in (0, len(routes.xs) - 1):
        things.setdefault(end, [_Thing(0.0, 0.0)])  # no states, but a frame
    return {i: list(dict.fromkeys(own)) for i, own in things.items()}


def _apart(routes: Routes, things: Mapping[int, list[_Thing]], a: int, b: int, part: float, more: float) -> float:
    """How far two lines are apart at least; the ends of states, from all."""
    ends = {routes.xs[i][1] for i in (a, b) if routes.xs[i][0] == "column"} & {LEFT, RIGHT}
    distances = [0.0]
    for one in things[a]:
        for other in things[b]:
            reach = one.right + other.left
            if ends:
                distances.append(reach + smaller(OUTSIDE + INSIDE * (one.framed and other.framed), part) + more)
            elif one.low - NEAR < other.high and other.low - NEAR < one.high:
                distances.append(reach + smaller(_gap(one.right > 0, other.left > 0), part) + more)
    return max(distances)


def smaller(gap: float, part: float) -> float:
    """A part of a gap."""
    return round(EXACT * part * gap) / EXACT


def _gap(one: bool, other: bool) -> float:
    """The gap between two lines, or things, each a column, or an element, or else a track, or a wire."""
    return WIDE if one and other else BESIDE if one or other else TRACK
