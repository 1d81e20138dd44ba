"""The weights of a cell's bricks, each in a box below its brick; and over several steps the one set of weights that
all of them share.

              ┌───────┐                     ┌───────┐   ┌───────┐
              │ brick │                     │ step  │   │ step  │
              └──┬──┬─┘                     └───┬───┘   └───┬───┘
                 │ ┌┴──┐                    ┌───┴───────────┴───┐
                 │ │ W │            W ──────┤ the same weights  │
                 │ └───┘                    └───────────────────┘

Forwards they come into the brick. The gradient has the same wires, turned round: from each brick hangs its ∂W, and
where all steps take the same weights, their ∂W are added.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from ..diagram.elements import Diagram
from ..layout.lines import Hung, Room
from ..scene import Frame, Point, Scene, Shape, Wire, fit
from ..text import Line, Run, clip, extent, line
from ..typeset import Label, name_line, symbol
from .flow import flow

SIZE, NAME = 12.0, 10.0  # of the font of symbols, and of names
ASIDE, RAIL, CLEAR = 8.0, 8.0, 4.0  # from the brick's wire; lengths of wires
HANG, NUMBERED = 9.0, 16.0  # from a brick to its weights, and where a number stands there
OUT, BELOW, BAR, AWAY = 12.0, 16.0, 22.0, 16.0  # from the frame to the way down, on to the bar; its height; its label
LETTER, LONGEST = 2, 14  # letters of a symbol, and of a name


class Weights(NamedTuple):
    """The weights of one call of a brick: their names, and a label for each kind of them, ``W`` and ``b``; the label
    of what they have in common with other calls."""

    names: tuple[str, ...]
    lines: tuple[Line, ...]
    shared: Line


def weights_of(diagram: Diagram, mark: str = "", moment: bool = False) -> dict[str, Weights]:
    """Element → its weights, for all that has some. mark: what stands before their names, ``∂``; moment: say that
    they are of one step."""
    owners = [e for e in diagram.elements.values() if e.kind in ("brick", "parameter")]
    calls: dict[str, int] = {}
    found: dict[str, Weights] = {}
    for e in owners:
        own = [node for node in e.nodes if node.op.name == "parameter"]
        calls[e.name] = calls.get(e.name, 0) + 1
        number = f", {calls[e.name]}" * (sum(o.name == e.name for o in owners) > 1)
        called = diagram.labels(e.name, e.name)
        brick = e.kind == "brick"
        kinds = dict.fromkeys(_kind(str(node.name)) if brick else _runs(called) for node in own)
        named = [_marked(mark, kind) for kind in kinds]
        end = [Run("(", sub=True), Run("t", italic=True, sub=True, time=True), Run(")", sub=True)] * moment
        stem = (*(_short(called) if brick else ()), Run(number))
        below = [run._replace(sub=True, sup=False) for run in stem if run.text]
        lines = tuple(Line((*runs, *below, *end), SIZE if brick else NAME) for runs in named)
        both = [run for i, runs in enumerate(named) for run in ([Run(", "), *runs] if i else runs)]
        both = [*name_line(called, NAME).runs, Run(": "), *both] if brick else both
        if own:
            found[e.key] = Weights(tuple(diagram.graph.name_of(n) for n in own), lines, Line(tuple(both), NAME))
    return found


def _short(brick: str) -> tuple[Run, ...]:
    """The name of a brick as it stands below a letter, where nothing can be lower still; ``f_t`` without its time."""
    runs = _runs(brick if isinstance(brick, Label) else brick.rpartition("/")[2])
    return runs[:-1] if len(runs) > 1 and runs[-1].sub and runs[-1].text == "t" else runs


def _runs(name: str) -> tuple[Run, ...]:
    """A name that is not longer than there is room for."""
    runs, text = symbol(name), clip(name, LONGEST)
    fits = runs and sum(len(run.text) for run in runs) <= LONGEST
    return runs if runs and fits else (Run(text, italic=len(text) <= LETTER),)


def _marked(mark: str, runs: tuple[Run, ...]) -> list[Run]:
    """Runs with a mark before them."""
    first, *others = runs
    return [first._replace(text=mark + first.text), *others]


def _kind(name: str) -> tuple[Run, ...]:
    """``W`` of forget.W_x, ``b`` of forget.b, ``gain`` of norm/gain."""
    return _runs(name.rpartition("/")[2].rpartition(".")[2].partition("_")[0])


def room_for(weights: Mapping[str, Weights], rooms: Mapping[str, Room], hang: float) -> dict[str, Room]:
    """The room of each element with that of its weights, which hang that far below it."""
    found = dict(rooms)
    for key, (_, lines, _) in weights.items():
        w, h = _size(lines)
        room = rooms[key]
        top = room.below + hang
        found[key] = room._replace(hung=Hung(ASIDE + w + CLEAR, top, top + h + RAIL + CLEAR))
    return found


def room_of_both(one: Mapping[str, Room], other: Mapping[str, Room]) -> dict[str, Room]:
    """For each element the room that two figures of it need."""
    return {key: room.or_more(other[key]) for key, room in one.items()}


def _size(lines: tuple[Line, ...]) -> tuple[float, float]:
    w, h = extent(lines)
    return w + 8, h + 4


def with_weights(scene: Scene, weights: Mapping[str, Weights], rooms: Mapping[str, Room]) -> Scene:
    """The scene with the weights of each brick below it, where there is room for them; what stands for its own weights
    says so."""
    shapes: list[Shape] = []
    wires: list[Wire] = []
    for owner in scene.shapes:
        own = weights.get(owner.key)
        if own is None or owner.kind == "parameter":
            shapes.append(replace(owner, lines=own.lines) if own else owner)
            continue
        w, h = _size(own.lines)
        hung = rooms[owner.key].hung
        assert hung
        x, top = owner.x + ASIDE + w / 2, owner.y - hung.top
        down = min(x, owner.right - 2 * CLEAR)
        key, name = f"weights-{owner.key}", f"weights of {owner.name}"
        shapes += [
            owner, Shape(key, "parameter", "box", name, x, top - h / 2, w, h, own.lines, name, own.names, owner.lit)
        ]  # fmt: skip
        way = ((down, top), (down, owner.bottom))
        wires.append(
            Wire(
                f"{key}-{owner.key}",
                "wire",
                key,
                owner.key,
                key,
                way,
                tooltip=name,
                lit=owner.lit,
                carries=True,
                holds=own.names,
            )
        )
    return replace(scene, shapes=tuple(shapes), wires=(*scene.wires, *wires))


def with_shared(scene: Scene, weights: Mapping[str, Weights], gradient: bool) -> Scene:
    """The scene of some steps with the weights that all of them share, in a bar below them."""
    steps = [s for s in scene.shapes if s.kind in ("step", "gap")]
    frames = [f for f in scene.frames if f.kind == "cell"]
    left = min([s.left for s in steps] + [f.x for f in frames])
    right = max([s.right for s in steps] + [f.x + f.w + OUT for f in frames]) + CLEAR
    top = min([s.bottom for s in scene.shapes] + [f.y for f in frames]) - BELOW
    text = "Σ over the steps" if gradient else "the same weights at every step"
    bar = Shape(
        "shared", "parameter", "box", text, (left + right) / 2, top - BAR / 2, right - left, BAR, (line(text, 11),),
        text,
    )  # fmt: skip
    lines = _in_rows(list(dict.fromkeys(w.shared for w in weights.values())), bar.w)
    w, h = extent(lines)
    names = tuple(dict.fromkeys(n for own in weights.values() for n in own.names))
    tip = "the weights of all steps"
    y = bar.bottom - AWAY - h / 2 - 1
    end = Shape("all", "parameter", "text", "weights", bar.x, y, w + 6, h + 2, lines, tip, names)
    wires = [replace(_wire(end, bar, ((bar.x, end.top), (bar.x, bar.bottom))), holds=names, step=0)]
    for step in steps:
        x = step.right - 2 * CLEAR
        wires.append(_wire(bar, step, ((x, top), (x, step.bottom))))
    for frame in frames:
        start = frame.key.removesuffix("cell")
        keys = {start + prefix + key for key in weights for prefix in ("", "weights-")}
        own = [s for s in scene.shapes if s.kind == "parameter" and s.key in keys]
        for row in _rows(own):
            wires += _rail(scene, frame, row, bar)
    return fit(replace(scene, shapes=(*scene.shapes, bar, end), wires=(*scene.wires, *wires)))


def _in_rows(lines: Sequence[Line], widest: float) -> tuple[Line, ...]:
    """Lines of words, as many in one as there is room for."""
    between = Line((Run("; "),), NAME)
    rows: dict[int, list[Line]] = {}
    for text, (_, row) in zip(lines, flow([text.width for text in lines], widest, between.width), strict=True):
        rows.setdefault(row, []).append(text)
    return tuple(
        Line(tuple(run for i, text in enumerate(row) for run in (between.runs * bool(i) + text.runs)), NAME)
        for row in rows.values()
    )


def _wire(source: Shape, target: Shape, points: tuple[Point, ...]) -> Wire:
    return Wire(f"{source.key}-{target.key}", "wire", source.key, target.key, source.key, points, tooltip="weights",
                carries=True)  # fmt: skip


def _rows(own: list[Shape]) -> Iterator[list[Shape]]:
    """Shapes that stand beside each other, of one level each."""
    rows: list[list[Shape]] = []
    for s in sorted(own, key=lambda s: s.bottom):
        if not rows or s.bottom > max(other.top for other in rows[-1]):
            rows.append([])
        rows[-1].append(s)
    for row in rows:
        yield [s for s in own if s in row]


def _rail(scene: Scene, frame: Frame, own: list[Shape], bar: Shape) -> list[Wire]:
    """The wires from the bar to some weights of one step, which stand side by side: up beside its frame, along below
    its bricks."""
    wires = []
    y = min(s.bottom for s in own) - RAIL
    x = frame.x + frame.w + OUT
    for s in own:
        way = ((x, bar.top), (x, y), (s.x, y), (s.x, s.bottom))
        hops = tuple(p for a, b in pairwise(way) for w in scene.wires if (p := _crossing(a, b, w)))
        wire = _wire(bar, s, way)
        wires.append(replace(wire, net=f"shared-{frame.key}", hops=hops))
    return wires


def _crossing(a: Point, b: Point, wire: Wire) -> Point | None:
    """Where a wire crosses a straight piece of another one."""
    for c, d in pairwise(wire.points):
        for i, j in ((0, 1), (1, 0)):  # the one upright and the other level, or the other way round
            inside = min(c[i], d[i]) < a[i] < max(c[i], d[i]) and min(a[j], b[j]) < c[j] < max(a[j], b[j])
            if a[i] == b[i] and c[j] == d[j] and inside:
                return (a[0], c[1]) if i == 0 else (c[0], a[1])
    return None
