"""Some steps of a cell side by side, joined by their states; one of them (or all) open, the others closed.

         y           y            y
         │   ┌───────│───────┐    │
    C ──[ ]──┤ ─×────+────── ├──[ ]── C
    h ──[ ]──┤ …             ├──[ ]── h
         │   └───────│───────┘    │
         x           x            x

A state passes all frames at one height, so a conveyor is one straight line through all steps. Each step is the
same cell: its bricks are marked as shared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ...errors import BlocksError
from ..diagram.elements import Diagram
from ..scene import Frame, Point, Scene, Shape, Wire, corners, fit
from ..text import END_ROOM, Line, clip, extent, line, step_text

CLOSED, GAP, BETWEEN, OUT = 52.0, 40.0, 20.0, 18.0  # widths of a closed step and of a gap; the ways between and out
CORNER = 12.0  # from a label to the corner of a closed step, at least
MOST = 7  # steps that are drawn without being asked to draw all
ENDS = ("state", "next", "input", "output")


@dataclass
class _Block:
    """One step: its scene without the ends of its states, the wires that come from and go to its neighbours."""

    scene: Scene
    width: float
    step: int = 1
    incoming: dict[str, list[Wire]] = field(default_factory=dict)
    outgoing: dict[str, list[Wire]] = field(default_factory=dict)
    ends: dict[str, Shape] = field(default_factory=dict)  # the labels of its states, by key


def unrolled(
    diagram: Diagram,
    cell: Scene,
    steps: int,
    zoom: int | str | None = None,
    full: bool = False,
    title: str = "cell",
    times: Callable[[int], tuple[str, str]] | None = None,
    room: float = 0.0,
) -> Scene:
    """The scene of some steps of a cell.

    Args:
        diagram, cell: the cell's diagram and its scene, at step t.
        zoom: the step to show open, from 1; "all"; or "none". By default the middle one.
        full: draw every step, however many; else the middle of more than seven is folded into a gap.
        times: number of a step → what stands below its values, and below those of the step before.
        room: points more between two steps, for labels.

    Raises BlocksError for a number of steps or a step that does not make sense.
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise BlocksError(f"a cell is unrolled over 1 step or more, not {steps!r}")
    folded = steps > MOST and not full
    listed: list[int | None] = [*range(1, steps + 1)] if not folded else [1, 2, 3, None, steps - 1, steps]
    open_steps = _open_steps(zoom, steps, 2 if folded else (steps + 1) // 2)
    centre = 0 if steps > 5 or len(open_steps) != 1 else min(open_steps)
    blocks: list[_Block] = []
    for number in listed:
        if number is None:
            blocks.append(replace(_gap(diagram, cell, steps - 5), step=steps - 2))
            continue
        now, before = times(number) if times else _times(number, centre)
        step = _retimed(cell, now, before)
        opened = number in open_steps
        block = _open(step) if opened else _closed(step, diagram, title, now)
        blocks.append(replace(block, step=number))
    return _join(blocks, f"{title}, {steps} steps", cell.height, room)


def _open_steps(zoom: int | str | None, steps: int, default: int) -> set[int]:
    if zoom is None or zoom == "middle":
        return {default}
    if zoom in ("all", "none"):
        return set(range(1, steps + 1)) if zoom == "all" else set()
    if isinstance(zoom, str) and zoom.isdecimal():
        zoom = int(zoom)
    if isinstance(zoom, bool) or not isinstance(zoom, int) or not 1 <= zoom <= steps:
        raise BlocksError(f"zoom is a step from 1 to {steps}, 'middle', 'all' or 'none', not {zoom!r}")
    return {zoom}


def _times(number: int, centre: int) -> tuple[str, str]:
    """What stands below the values of a step, and of the step before: t−1 around one open step, else numbers."""
    if centre:
        return step_text(number - centre), step_text(number - centre - 1)
    return str(number), str(number - 1)


def _retimed(cell: Scene, now: str, before: str) -> Scene:
    """The cell at another step: its labels say so, and its weights are shared."""

    def shape(s: Shape) -> Shape:
        if s.kind not in (*ENDS, "parameter"):
            return replace(s, shared=s.kind == "brick" or s.shared)
        lines = tuple(at_time(x, before if s.kind == "state" else now) for x in s.lines)
        return replace(s, lines=lines, w=max(s.w, extent(lines)[0] + END_ROOM) if s.kind in ENDS else s.w)

    wires = tuple(replace(w, called=at_time(w.called, now)) if w.called else w for w in cell.wires)
    return replace(cell, shapes=tuple(shape(s) for s in cell.shapes), wires=wires)


def at_time(name: Line, time: str) -> Line:
    """The name of a value at another time."""
    return Line(tuple(r._replace(text=time) if r.time else r for r in name.runs), name.size)


def _open(cell: Scene) -> _Block:
    """The step as it is, cut at its frame."""
    frame = cell.frames[0]
    kept = tuple(s for s in cell.shapes if s.kind not in ("state", "next"))
    ends = _ends(cell)
    block = _Block(cell, frame.w, ends=ends)
    inner = []
    for wire in cell.wires:
        if wire.source in ends:
            block.incoming.setdefault(ends[wire.source].name, []).append(wire)
        elif wire.target in ends:
            block.outgoing.setdefault(ends[wire.target].name, []).append(wire)
        else:
            inner.append(wire)
    block.scene = replace(cell, shapes=kept, wires=tuple(inner)).moved(-frame.x, 0)
    block.incoming = {s: [_shift(w, -frame.x) for w in ws] for s, ws in block.incoming.items()}
    block.outgoing = {s: [_shift(w, -frame.x) for w in ws] for s, ws in block.outgoing.items()}
    return block


def _closed(cell: Scene, diagram: Diagram, title: str, now: str) -> _Block:
    """The step as one box with the same heights."""
    frame = cell.frames[0]
    lines = (line(clip(title, 10), 13), line("same", 9), line("weights", 9))
    rows = [[s.w for s in cell.shapes if s.kind == kind] for kind in ("input", "output")]
    width = max([CLOSED, extent(lines)[0] + 12, *(_side_by_side(row) for row in rows if row)])
    box = Shape(
        "step", "step", "box", title, width / 2, frame.y + frame.h / 2, width, frame.h, lines,
        f"{title} at step {now}: the same weights as at every step", shared=True,
    )  # fmt: skip
    shapes, wires = [box], []
    for kind, border in (("input", box.bottom), ("output", box.top)):
        ends = [s for s in cell.shapes if s.kind == kind]
        for i, s in enumerate(ends, 1):
            x = width * i / (len(ends) + 1)
            moved = replace(s, x=x)
            shapes.append(moved)
            points = ((x, moved.top), (x, border)) if kind == "input" else ((x, border), (x, moved.bottom))
            source, target = (s.key, "step") if kind == "input" else ("step", s.key)
            net = s.key if kind == "input" else f"step-{s.key}"
            wire = Wire(f"{source}-{target}", "wire", source, target, net, points, lit=s.lit)
            wires.append(_like(wire, cell, s))
    block = _Block(Scene(width, cell.height, tuple(shapes), tuple(wires)), width)
    return _passing(block, cell, diagram, "step", width)


def _side_by_side(widths: list[float]) -> float:
    """How wide a box is at whose border so many labels have the same distance from each other and from its corners."""
    apart = max(widths) + 8 if len(widths) > 1 else 0.0
    return (len(widths) + 1) * max(apart, max(widths) / 2 + CORNER)


def _gap(diagram: Diagram, cell: Scene, hidden: int) -> _Block:
    """What stands for the steps that are left out."""
    frame = cell.frames[0]
    lines = (line("⋯", 16), line(f"{hidden}", 9), line("steps", 9))
    box = Shape(
        "gap", "gap", "box", f"{hidden} steps", GAP / 2, frame.y + frame.h / 2, GAP, frame.h, lines,
        f"{hidden} steps with the same weights", shared=True,
    )  # fmt: skip
    return _passing(_Block(Scene(GAP, cell.height, (box,), ()), GAP), cell, diagram, "gap", GAP)


def _passing(block: _Block, cell: Scene, diagram: Diagram, key: str, width: float) -> _Block:
    """Wires of all states into a box on its left and out of it on its right."""
    block.ends = _ends(cell)
    for s in cell.shapes:
        kind = "conveyor" if s.name in diagram.conveyors else "wire"
        if s.kind == "state":
            wire = Wire(f"{s.name}-{key}", kind, s.key, key, s.key, ((-BETWEEN, s.y), (0.0, s.y)), lit=s.lit)
            block.incoming[s.name] = [_like(wire, cell, s)]
        elif s.kind == "next":
            ends = ((width, s.y), (width + BETWEEN, s.y))
            wire = Wire(f"{key}-{s.name}", kind, key, s.key, f"{key}-{s.key}", ends, lit=s.lit)
            block.outgoing[s.name] = [_like(wire, cell, s)]
    return block


def _like(wire: Wire, cell: Scene, end: Shape) -> Wire:
    """A wire that carries what goes to or from an end of the open cell."""
    same = [w for w in cell.wires if end.key in (w.source, w.target)]
    shape, holds = (same[0].shape, same[0].holds) if same else ("", ())
    return replace(wire, tooltip=end.tooltip, carries=any(w.carries for w in same), shape=shape, holds=holds)


def _ends(cell: Scene) -> dict[str, Shape]:
    return {s.key: s for s in cell.shapes if s.kind in ("state", "next")}


def _shift(wire: Wire, dx: float, prefix: str = "") -> Wire:
    return Scene(0, 0, (), (wire,)).moved(dx, 0, prefix).wires[0]


def _join(blocks: list[_Block], title: str, height: float, room: float) -> Scene:
    """The blocks side by side. What leaves one is carried on to where the next ones take it."""
    shapes: list[Shape] = []
    wires: list[Wire] = []
    frames: list[Frame] = []
    scenes: list[Scene] = []
    live: dict[str, Wire] = {}  # state → the wire on its way from the step before
    left = right = 0.0
    apart = room + max([BETWEEN, *(OUT + s.w + OUT / 2 for b in blocks for s in _unread(b, blocks))])
    for number, block in enumerate(blocks, 1):
        prefix = f"step{number}-"
        scene = block.scene.moved(left, 0, prefix)
        scene = replace(scene, wires=tuple(replace(w, step=block.step) for w in scene.wires))
        right = left + block.width
        if number == 1:
            live = _first(blocks[0], BETWEEN + room, shapes)
        else:  # what no step takes
            unread = [state for state in live if state not in block.incoming]
            ends = {s.name: s for s in blocks[number - 2].ends.values() if s.kind == "next"}
            for state in unread:
                _end(
                    replace(live[state], carries=False),
                    ends[state],
                    f"step{number - 1}-{state}",
                    left - apart + OUT,
                    shapes,
                    wires,
                )
        nets: dict[str, str] = {}
        after: dict[str, Wire] = {}
        for state, incoming in block.incoming.items():
            if state not in live:
                continue
            for wire in incoming:
                nets[prefix + wire.net] = live[state].net
                joined = _joined(live[state], _shift(wire, left, prefix))
                if wire.target not in block.ends:
                    wires.append(joined)
                else:
                    after[block.ends[wire.target].name] = replace(joined, points=_cut(joined.points, right))
        for state, (wire,) in block.outgoing.items():
            moved = replace(_shift(wire, left, prefix), step=block.step)
            after[state] = replace(moved, points=_cut(moved.points, right))
        live = after
        scene = replace(scene, dots=tuple(replace(d, net=nets.get(d.net, d.net)) for d in scene.dots))
        scenes.append(scene)
        frames += scene.frames
        shapes += scene.shapes
        wires += scene.wires
        left += block.width + apart
    _last(blocks[-1], live, left, shapes, wires)
    dots = tuple(d for s in scenes for d in s.dots)
    return fit(Scene(0, height, tuple(shapes), tuple(wires), tuple(frames), dots, title, title))


def _first(block: _Block, apart: float, shapes: list[Shape]) -> dict[str, Wire]:
    """The states before the first step, each at its label."""
    live: dict[str, Wire] = {}
    for name, wires in block.incoming.items():
        label = replace(block.ends[wires[0].source], key=f"before-{name}")
        label = replace(label, x=-apart - label.w / 2)
        shapes.append(label)
        start = (label.right, label.y)
        live[name] = replace(wires[0], source=label.key, net=label.key, points=(start, (0.0, label.y)), hops=())
        live[name] = replace(live[name], carries=any(w.carries for w in wires))
    return live


def _unread(block: _Block, blocks: list[_Block]) -> list[Shape]:
    """The labels of a step's states that the steps do not take when they are open."""
    taken = set.intersection(*(set(b.incoming) for b in blocks))
    return [s for s in block.ends.values() if s.kind == "next" and s.name not in taken]


def _last(block: _Block, live: dict[str, Wire], left: float, shapes: list[Shape], wires: list[Wire]) -> None:
    """The states after the last step, each at its label."""
    for key, end in block.ends.items():
        if end.kind == "next" and end.name in live:
            _end(live[end.name], end, f"after-{key}", left, shapes, wires)


def _end(wire: Wire, label: Shape, key: str, left: float, shapes: list[Shape], wires: list[Wire]) -> None:
    """The label of a state at the end of its wire."""
    shapes.append(replace(label, key=key, x=left + label.w / 2))
    points = corners([*wire.points, (left, label.y)])
    wires.append(replace(wire, key=f"{wire.key}-end", target=key, points=points, arrow=True))


def _joined(before: Wire, after: Wire) -> Wire:
    """A wire of one step and one of the next, as one."""
    kind = "conveyor" if before.kind == after.kind == "conveyor" else "wire" if after.kind == "conveyor" else after.kind
    return replace(
        after,
        key=f"{before.key}-{after.key}",
        kind=kind,
        source=before.source,
        net=before.net,
        points=corners([*before.points, *after.points[1:]]),
        hops=(*before.hops, *after.hops),
        lit=before.lit and after.lit,
        carries=before.carries and after.carries,
        kept=after.kept,
        holds=before.holds,
        step=before.step,
    )


def _cut(points: tuple[Point, ...], x: float) -> tuple[Point, ...]:
    """A way that ends where it leaves its step."""
    return (*points[:-1], (x, points[-1][1]))
