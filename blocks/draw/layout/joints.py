"""Where wires meet: those that are put together at pins, the points where a value forks, those where one wire hops over
another one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from ..scene import Dot, Point, Scene, Wire, corners, ways_from


def spliced(scene: Scene, pins: Iterable[str]) -> Scene:
    """The scene without some shapes, the wires that come to each of them and leave it put together. A wire that ends
    or begins at one, and has nothing to go on with, goes."""
    wires = list(scene.wires)
    taken = set(pins)
    while through := next((w for w in wires if w.target in taken and w.source not in taken), None):
        pin = through.target
        coming = [w for w in wires if w.target == pin]
        after = [w for w in wires if w.source == pin]
        others = [w for w in wires if pin not in (w.source, w.target)]
        bare = [replace(w, mark=None, mark_at=None) for w in after]  # a mark stands once at an entry
        wires = [*others, *(_joined(w, other) for w in coming for other in (after if w is coming[0] else bare))]
    kept = [w for w in wires if w.source not in taken]
    return replace(scene, shapes=tuple(s for s in scene.shapes if s.key not in taken), wires=tuple(kept))


def _joined(before: Wire, after: Wire) -> Wire:
    """Two wires as one, which carries what the first does."""
    points = corners([*before.points, *after.points])
    key, kind = f"{before.key}+{after.key}", "gradient" if before.kind == "gradient" else after.kind
    kind = before.kind if after.kind == "gradient" and before.kind == "wire" else kind
    return replace(after, key=key, kind=kind, source=before.source, net=before.net, points=points)


def with_joints(scene: Scene) -> Scene:
    """The scene with a dot wherever a value forks, and a hop wherever a wire crosses one of another value upright."""
    level: list[tuple[float, float, float, str]] = []  # height, from where to where, net
    for w in scene.wires:
        for (x, y), (x1, y1) in pairwise(w.points):
            if y == y1:
                level.append((y, min(x, x1), max(x, x1), w.net))
    wires = [replace(w, hops=_hops(w, level)) for w in scene.wires]
    return replace(scene, wires=tuple(wires), dots=tuple(forks(wires)))


def _hops(wire: Wire, level: Sequence[tuple[float, float, float, str]]) -> tuple[Point, ...]:
    found = []
    for (x, y), (x1, y1) in pairwise(wire.points):
        if x == x1:
            low, high = min(y, y1), max(y, y1)
            found += [(x, h) for h, a, b, net in level if net != wire.net and low < h < high and a < x < b]
    return tuple(dict.fromkeys(found))


def forks(wires: Sequence[Wire]) -> list[Dot]:
    """The points where the ways of one value part."""
    nets: dict[str, list[Wire]] = {}
    for w in wires:
        nets.setdefault(w.net, []).append(w)
    dots = []
    for net, own in nets.items():
        if len(own) > 1:
            points = dict.fromkeys(p for w in own for p in w.points[1:-1])
            dots += [Dot(*p, net) for p in points if len(ways_from(p, own)) > 1]
    return dots
