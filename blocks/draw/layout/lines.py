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
PAGE, TIGHTER = 780.0, (0.9, 0.8, 0.7, 0.6)  # a width in which all can be read; gaps, tried in turn
NEAR = 8.0  # two things at heights that differ by less are at the same


class Room(NamedTuple):
    """How far an element and what belongs to it reach from its centre."""

    left: float
    right: float
    above: float
    below: float


class _Thing(NamedTuple):
    """An element on a line that goes upwards, or a piece of a wire: from where to where, and how far to its sides."""

    low: float
    high: float
    left: float = 0.0
    right: float = 0.0


def heights(routes: Routes, rooms: Mapping[str, Room], more: float) -> list[float]:
    """The height of each line that goes sideways, with so much `more` between two of them. Lines that no wire runs
    along take no room."""
    lines = routes.ys
    below, above = [0.0] * len(lines), [0.0] * len(lines)
    for key, (_, j) in routes.at.items():
        below[j], above[j] = max(below[j], rooms[key].below), max(above[j], rooms[key].above)
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


def places(routes: Routes, rooms: Mapping[str, Room], y: list[float], more: float) -> list[float]:
    """The place of each line that goes upwards, with so much `more` between two things at the same height: in the
    middle between where it is if all stand as far to the left as they can, and to the right."""
    found = _places(routes, rooms, y, 1.0, more)
    for part in TIGHTER:
        if found[-1] - found[0] <= PAGE:
            break
        found = _places(routes, rooms, y, part, more)
    return found


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
        room = rooms[key]
        things.setdefault(i, []).append(_Thing(y[j] - room.below, y[j] + room.above, room.left, room.right))
    for way in routes.ways.values():
        for a, b in pairwise(way):
            if a[0] == b[0]:
                things.setdefault(a[0], []).append(_Thing(*sorted((y[a[1]], y[b[1]]))))
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
                distances.append(reach + OUTSIDE + INSIDE + more)
            elif one.low - NEAR < other.high and other.low - NEAR < one.high:
                distances.append(reach + part * _gap(one.right > 0, other.left > 0) + more)
    return max(distances)


def _gap(one: bool, other: bool) -> float:
    """The gap between two lines, or things, each a column, or an element, or else a track, or a wire."""
    return WIDE if one and other else BESIDE if one or other else TRACK
