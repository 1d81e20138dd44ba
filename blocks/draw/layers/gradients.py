"""The way back: a cell's figure, or that of some steps, with every wire that carries gradient turned round.

    ──▶(×)──▶        ◀──(×)◀──          the places are those of the forward figure
        ▲                ▼ ▲
        f               ∂f f            what the gradient needs of the forward values comes in faintly, beside

Where a value forks on its way forwards, its gradients are added on the way back: a fork becomes a sum, and where all
steps share their weights, so do the gradients of these. Which wires carry gradient, and which values are kept for it,
is asked of the rules of the operations (`diagram.backwards`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import replace

from ..diagram.backwards import Backwards
from ..layout.marks import marked
from ..scene import Dot, Point, Scene, Shape, Wire, on_piece, ways_from
from ..text import line

SUM, RING, LANE = 9.0, 5.0, 7.5  # sizes of a sum, and of a merge of kept values; how far these run beside
NARROWEST = 2 * LANE + 4


def with_backwards(scene: Scene, back: Backwards) -> Scene:
    """The scene with a note on each wire of whether it carries gradient, and whether its value is kept for it."""
    wires = []
    for w in scene.wires:
        entry = (w.target, int(w.key.rpartition("-")[2]))
        wires.append(replace(w, carries=entry in back.carried, kept=entry in back.kept))
    return replace(scene, wires=tuple(wires))


def reversed_scene(scene: Scene) -> Scene:
    """The scene of the gradient, from that of the values (laid out with room for the sums)."""
    reached = {w.target for w in scene.wires if w.carries}
    shapes = [s if s.kind == "operation" and s.key not in reached else _turned(s) for s in scene.shapes]
    by_key = {s.key: s for s in scene.shapes}
    wires: list[Wire] = []
    for net in dict.fromkeys(w.net for w in scene.wires):
        sums, turned = _net(scene, net, by_key)
        shapes += sums
        wires += turned
    there = [w for w in scene.wires if w.kept or not w.carries]
    lanes, rings, dots = _lanes(scene, there, {s.key: s for s in shapes})
    marks = {w.key: w.mark.plain for w in wires if w.mark}
    bare = [replace(w, mark=None, mark_at=None) for w in wires]
    title = f"{scene.title}: the gradient"
    drawn = replace(scene, shapes=(*shapes, *rings), wires=(*lanes, *bare), dots=tuple(dots), title=title)
    return marked(replace(drawn, description=title), marks, turned=True)


def _net(scene: Scene, net: str, shapes: Mapping[str, Shape]) -> tuple[list[Shape], list[Wire]]:
    """All wires of one value turned round, cut at the sums that stand for its forks, and these."""
    back = [w for w in scene.wires if w.net == net and w.carries]
    forks = [d for d in scene.dots if d.net == net]
    beside = not forks or any(shapes[w.target].kind == "part" for w in back)  # side by side, and not added
    added = [] if beside else [(d.x, d.y) for d in forks if len(ways_from((d.x, d.y), back)) > 1]
    sums = {d: _sum(f"sum-{net}-{number}", net, d, back) for number, d in enumerate(dict.fromkeys(added), 1)}
    keys = {d: s.key for d, s in sums.items()}
    pieces = [p for w in back for p in _pieces(w, keys, "beside" if beside else "", _coming(shapes[w.target]))]
    return list(sums.values()), list({(p.source, p.target, p.points): p for p in reversed(pieces)}.values())


def _sum(key: str, net: str, at: Point, back: Iterable[Wire]) -> Shape:
    """The sum of the gradients that come together where a value forks; lit, if one of them is."""
    lit = any(w.lit and any(on_piece(at, a, b) for a, b in itertools.pairwise(w.points)) for w in back)
    tip = f"the gradients of {net} are added"
    return Shape(key, "gradient", "sum", "sum", *at, SUM, SUM, (line("+", 9),), tip, lit=lit)


def _turned(s: Shape) -> Shape:
    """A shape as it stands for its gradient."""
    kind = "gradient" if s.kind in ("brick", "operation", "parameter", "part") else s.kind
    w = max(s.w, NARROWEST) if s.form == "text" else s.w
    return replace(s, kind=kind, w=w, tooltip=f"gradient of {s.tooltip}")


def _coming(end: Shape) -> tuple[str, ...]:
    """The name of the gradient that comes in at an end of a cell."""
    return (
        ({"next": f"d/next/{end.name}", "output": f"d/{end.name}"}[end.kind],) if end.kind in ("next", "output") else ()
    )


def _pieces(wire: Wire, sums: dict[Point, str], net: str, coming: tuple[str, ...]) -> list[Wire]:
    """A wire turned round and cut at the sums on its way. net: the first part of the names of its pieces' nets, if not
    what they come from; coming: the name of what comes in on the first of them."""
    points = list(reversed(wire.points))
    here, source = [points[0]], wire.target
    out: list[Wire] = []

    def finish(target: str, end: Point) -> None:
        way = [*here, end]
        if source in sums.values():
            way[0] = _off(way[0], way[1], SUM)
        if target in sums.values():
            way[-1] = _off(way[-1], way[-2], SUM)
        hops = tuple(h for h in wire.hops if any(on_piece(h, a, b) for a, b in itertools.pairwise(way)))
        out.append(
            replace(
                wire, key=f"{source}-{target}-{wire.key}", kind="gradient", source=source, target=target,
                net=f"{net or source}-{wire.net}", points=tuple(way), hops=hops, arrow=True,
                tooltip=f"gradient of {wire.tooltip}", mark=None if out else wire.mark,
                holds=wire.holds if target == wire.source else () if out else coming,
            )
        )  # fmt: skip

    for a, b in itertools.pairwise(points):
        between = sorted((p for p in sums if on_piece(p, a, b)), key=lambda p: abs(p[0] - a[0]) + abs(p[1] - a[1]))
        for p in between:
            if p == here[0]:
                continue
            finish(sums[p], p)
            here, source = [p], sums[p]
        if b != here[-1]:
            here.append(b)
    end = here.pop()
    finish(wire.source, end)
    return out


def _off(point: Point, toward: Point, size: float) -> Point:
    """The border of something small, in the direction of the next point."""
    dx, dy = toward[0] - point[0], toward[1] - point[1]
    if dx:
        return (point[0] + size / 2 * (1 if dx > 0 else -1), point[1])
    return (point[0], point[1] + size / 2 * (1 if dy > 0 else -1))


def _lanes(scene: Scene, wires: Iterable[Wire], shapes: dict[str, Shape]) -> tuple[list[Wire], list[Shape], list[Dot]]:
    """The wires of forward values, each beside its own way, with a small ring beside each merge, and their forks."""
    rings = {
        key: replace(shapes[key], key=f"{key}-kept", x=shapes[key].x - LANE, y=shapes[key].y + LANE, w=RING, h=RING)
        for w in wires for key in (w.source, w.target) if shapes[key].form == "ring"
    }  # fmt: skip
    lanes = []
    for w in wires:
        points = [(x - LANE, y + LANE) for x, y in w.points]
        points[0] = _end(rings.get(w.source, shapes[w.source]), points[0], points[1])
        points[-1] = _end(rings.get(w.target, shapes[w.target]), points[-1], points[-2])
        source, target = (rings[key].key if key in rings else key for key in (w.source, w.target))
        lanes.append(
            replace(
                w, key=f"{w.key}-kept", kind="kept", source=source, target=target, net=f"{w.net}-kept",
                points=tuple(points), hops=(), holds=(), label=None, mark=None, carries=False,
            )
        )  # fmt: skip
    places = {(d.x - LANE, d.y + LANE, f"{d.net}-kept") for d in scene.dots}
    forks = [
        Dot(x, y, net, lit=False)
        for x, y, net in sorted(places)
        if len(ways_from((x, y), [w for w in lanes if w.net == net])) > 1
    ]
    return lanes, list(rings.values()), forks


def _end(s: Shape, point: Point, toward: Point) -> Point:
    """Where a wire beside its own way meets the border of a shape."""
    (x, y), level = point, point[1] == toward[1]
    reach = (s.w if level else s.h) / 2
    if s.form == "circle":
        aside = y - s.y if level else x - s.x
        reach = (reach**2 - aside**2) ** 0.5
    if level:
        return (s.x + (reach if toward[0] > s.x else -reach), y)
    return (x, s.y + (reach if toward[1] > s.y else -reach))
