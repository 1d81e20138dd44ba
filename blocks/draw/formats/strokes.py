"""The pen's way along a wire: straight pieces, rounded corners and hops, as Bézier curves.

DOT, SVG and TikZ all draw cubic curves, so one list of them serves all.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from ..scene import Point, Scene, Wire

CORNER, HOP = 6.0, 4.0
_ROUND = 0.5523  # how far the handles of a quarter circle reach


def strokes(scene: Scene) -> list[tuple[Wire, list[Point]]]:
    """Each wire with the part of its way that no other wire has drawn before it: wires that carry one value
    share their first part, and it belongs to one that is emphasised, if any is. Faded wires come first. A corner is
    sharp where the wire forks, but for a fork that is faded on a wire that is not."""
    done: dict[str, list[Wire]] = {}
    out: list[tuple[Wire, list[Point]]] = []
    for wire in sorted(scene.wires, key=lambda w: (w.kind != "conveyor", not w.lit)):
        before = done.setdefault(wire.net, [])
        ways = [_after_fork(wire.points, other.points) for other in before]
        way = min(ways, key=_length, default=list(wire.points))
        before.append(wire)
        forks = {(d.x, d.y) for d in scene.dots if d.net == wire.net and (d.lit or not wire.lit)}
        out.append((wire, curves(way, wire.hops, forks)))
    return sorted(out, key=lambda piece: piece[0].lit)


def curves(points: list[Point], hops: Iterable[Point] = (), sharp: Iterable[Point] = ()) -> list[Point]:
    """Points of the curve along a way: the start, then two handles and an end for each piece. Corners are
    round, but for those that are `sharp`."""
    sharp = set(sharp)
    out = [points[0]]
    for i, (start, end) in enumerate(itertools.pairwise(points)):
        before = _radius(points, i, sharp)
        after = _radius(points, i + 1, sharp)
        a = _toward(start, end, before)
        b = _toward(end, start, after)
        _straight(out, a, b, [h for h in hops if _within(h, a, b)])
        if i + 2 < len(points) and after:
            c = _toward(end, points[i + 2], after)
            out += [_mix(b, end, _ROUND), _mix(c, end, _ROUND), c]
    return out


def shortened(way: list[Point], by: float) -> list[Point]:
    """The same curve without its last `by` points, for an arrowhead; its last piece becomes straight there."""
    start, end = way[-4], way[-1]
    straight = start[0] == way[-2][0] == end[0] or start[1] == way[-2][1] == end[1]
    before = start if straight or way[-2] == end else way[-2]
    cut = _toward(end, before, min(by, 0.9 * _distance(before, end)))
    if start[0] == end[0] or start[1] == end[1]:
        return [*way[:-3], _mix(start, cut, 1 / 3), _mix(start, cut, 2 / 3), cut]
    return [*way[:-1], cut]


def _after_fork(way: tuple[Point, ...], other: tuple[Point, ...]) -> list[Point]:
    """What is left of a way from the point on where another one, from the same start, goes elsewhere."""
    here, mine, theirs = way[0], list(way[1:]), list(other[1:])
    if other[0] != here:
        return list(way)
    while mine and theirs and _heading(here, mine[0]) == _heading(here, theirs[0]):
        here = min(mine[0], theirs[0], key=lambda p: _distance(here, p))
        mine = mine[1:] if mine[0] == here else mine
        theirs = theirs[1:] if theirs[0] == here else theirs
    return [here, *mine] if mine else list(way[-2:])


def _heading(a: Point, b: Point) -> tuple[bool, bool, bool, bool]:
    return (b[0] > a[0], b[0] < a[0], b[1] > a[1], b[1] < a[1])


def _length(points: list[Point]) -> float:
    return sum(_distance(a, b) for a, b in itertools.pairwise(points))


def _radius(points: list[Point], i: int, sharp: set[Point]) -> float:
    if not 0 < i < len(points) - 1 or points[i] in sharp:
        return 0.0
    pieces = (_distance(points[i - 1], points[i]), _distance(points[i], points[i + 1]))
    return min(CORNER, *(p / 2 for p in pieces))


def _straight(out: list[Point], a: Point, b: Point, hops: list[Point]) -> None:
    for hop in sorted(hops, key=lambda h: _distance(a, h)):
        here, there = _toward(hop, a, HOP), _toward(hop, b, HOP)
        side = (
            -abs(here[1] - there[1]) / 2,
            (there[0] - here[0]) / 2,
        )  # always to the left, whichever way the wire runs
        top = _add(hop, side)
        _line(out, here)
        out += [_mix(here, _add(here, side), _ROUND), _mix(top, _add(here, side), _ROUND), top]
        out += [_mix(top, _add(there, side), _ROUND), _mix(there, _add(there, side), _ROUND), there]
    _line(out, b)


def _line(out: list[Point], end: Point) -> None:
    if out[-1] != end:
        out += [_mix(out[-1], end, 1 / 3), _mix(out[-1], end, 2 / 3), end]


def _within(p: Point, a: Point, b: Point) -> bool:
    return (a[0] == b[0] == p[0] and min(a[1], b[1]) < p[1] < max(a[1], b[1])) or (
        a[1] == b[1] == p[1] and min(a[0], b[0]) < p[0] < max(a[0], b[0])
    )


def _distance(a: Point, b: Point) -> float:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def _toward(a: Point, b: Point, by: float) -> Point:
    length = _distance(a, b)
    return a if not length or not by else _mix(a, b, by / length)


def _mix(a: Point, b: Point, t: float) -> Point:
    return (a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t)


def _add(a: Point, b: Point) -> Point:
    return (a[0] + b[0], a[1] + b[1])
