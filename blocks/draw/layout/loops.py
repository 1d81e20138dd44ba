"""The frame of a loop: what its body is called, the arrows from the new values of its states round to the old ones, and
pins, in the places of what comes in from outside and goes there.

          ┌────────◀───────┐
          │ ┌────────────┐ │
    h ────┴▶│            │─┴──── last h
   first h ▶│            │
            └────────────┘
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ...graph import subgraphs
from ...ops.loop import FINAL
from ..diagram.elements import Box, Element, common_scope
from ..diagram.signs import is_cell_of_operations
from ..layers.labels import free_place
from ..scene import Point, Scene, Shape, Wire
from ..text import Run, clip, line
from ..typeset import name_line
from .cell import RING
from .chains import ASIDE, PIN, Sides

STRIP = 16.0  # above a body without room for its name
ENDS = ("before-", "after-")  # before the keys of the first values of states, and the last, of steps written out
TURN, FAR, UP = 9.0, 10.0, 12.0  # loop to loop; name to loop; frame to loop
OFF, OUT = 4.0, 6.0  # first value beside the loop; out of everything


def captioned(scene: Scene, box: Box) -> Scene:
    """The scene with the name of its cell in its frame, and the way of time."""
    scope, steps = name_of(box), ("1", "T")
    frame, (first, last) = scene.frames[0], reversed(steps) if box.node.attrs["reverse"] else steps
    text = name_line(clip(scope, 30), 10) if scope else line("", 10)
    ends = [Run(step, italic=step == "T") for step in (first, last)]
    said = Run(": " if scope else ""), Run("t", italic=True), Run(" = "), ends[0], Run(" … "), ends[1]
    text = text._replace(runs=(*text.runs, *said))
    tip = f"{box.name}: each step, {'backwards' if box.node.attrs['reverse'] else 'forwards'} in time"
    at = free_place(scene, text, (frame.x + 8, frame.y + 4, frame.x + frame.w - 8, frame.y + frame.h - 4))
    if at is None:  # a strip above all else
        frame = replace(frame, h=frame.h + STRIP)
        top = frame.y + frame.h
        at = free_place(scene, text, (frame.x + 8, top - STRIP, frame.x + frame.w - 8, top - 2))
    named = replace(frame, lines=(text,) if at else (), at=at, tooltip=tip)
    return replace(scene, frames=(named, *scene.frames[1:]))


def name_of(box: Box) -> str:
    """The name of the cell that a loop runs: what stands before the names of its states or else of its bricks, or the
    name of all its operations."""
    made = [n for n in subgraphs(box.node)["body"].order() if n.operands]
    bricks = {n.brick for n in made}
    states = [str(n) for n in box.node.attrs["states"]]
    if not states and len(bricks) == 1 and is_cell_of_operations(made):
        return bricks.pop() or ""
    return common_scope(states or sorted(b for b in bricks if b))[:-1]


def looped(scene: Scene, box: Box, elements: Mapping[str, Element], sides: Sides, written: bool = False) -> Scene:
    """The scene with an arrow from the new value of each state round to the old one, and pins for the first values of
    states and the last, at the sides for those that come from another loop and go to one. written: the scene is one of
    steps written out, and nothing goes round."""
    own = [s for s in scene.shapes if (s.key.startswith(ENDS) if written else is_own(s))]
    after = sorted((s for s in own if s.kind == "next"), key=lambda s: -s.y)
    if not after:
        return scene
    ends = _Ends(scene, box, sides, after, {s.name: s for s in own if s.kind == "state"})
    wires: list[Wire] = []
    pins: list[Shape] = []
    for number, end in enumerate(after):
        if end.name in ends.before and not written:
            wires.append(ends.round(number, end))
        for pin in dict.fromkeys(box.outs[name] for n in elements[end.key].names if (name := FINAL + n) in box.outs):
            for shape, wire in ends.last(number, end, pin):
                pins.append(shape)
                wires.append(wire)
    firsts = [ends.first(number, start) for number, start in enumerate(ends.firsts)]
    firsts += [ends.level(start) for start in ends.aside]
    for shape, wire in firsts:
        pins.append(shape)
        wires.append(wire)
    return replace(scene, shapes=(*scene.shapes, *pins), wires=(*scene.wires, *wires))


class _Ends:
    """The ends of the states of a loop, from above downwards `after` a step, and by name `before` it, and the ways that
    lead past its frame: loops, one round the other, and to the left of them those of first values."""

    def __init__(self, scene: Scene, box: Box, sides: Sides, after: list[Shape], before: Mapping[str, Shape]):
        self.scene, self.box, self.sides, self.after, self.before = scene, box, sides, after, before
        self.aside = [s for s in before.values() if box.ins.get(s.name) in sides.ins]
        below = (s for s in before.values() if s.name in box.ins and s not in self.aside)
        self.firsts = sorted(below, key=lambda s: s.y)
        frames = scene.frames
        self.left = min([s.left for s in before.values()] or [f.x for f in frames]) - FAR
        self.right = max(s.right for s in after) + FAR
        self.top = max([s.top for s in after] + [f.y + f.h for f in frames]) + UP
        self.outer = self.left - TURN * len(self.firsts)
        self.high, self.beside = self.top + TURN * len(after), self.right + TURN * len(after)

    def kind(self, end: Shape) -> str:
        """Of the wires of a new value."""
        return next(w.kind for w in self.scene.wires if w.target == end.key)

    def out(self, number: int, end: Shape) -> tuple[Point, Point]:
        """The way of a new value to where it turns."""
        return (end.right, end.y), (self.right + number * TURN, end.y)

    def round(self, number: int, end: Shape) -> Wire:
        """The arrow from a new value over the frame to the old one."""
        start = self.before[end.name]
        corner, (over, back) = self.out(number, end), (self.top + number * TURN, self.outer - number * TURN)
        entry = start.y + OFF * (start in self.firsts) + 2 * OFF * (start in self.aside)
        points = (*corner, (corner[1][0], over), (back, over), (back, entry), (start.left, entry))
        tip = f"{end.name}, from each step to the next"
        return Wire(f"loop-{end.key}", self.kind(end), end.key, start.key, end.key, points, tooltip=tip)

    def last(self, number: int, end: Shape, pin: str) -> Iterator[tuple[Shape, Wire]]:
        """A pin for the last value of a state, above all else, or at the side, or both, with the way there."""
        corner, beside = self.out(number, end), pin in self.sides.outs
        ways = [((corner[1][0], self.high), pin)] if not beside or pin in self.sides.both else []
        ways += [((self.beside, end.y), f"{pin}{ASIDE}")] if beside else []
        for at, key in ways:
            wire = Wire(f"last-{key}", self.kind(end), end.key, f"{PIN}{key}", end.key, (*corner, at), arrow=False)
            yield pin_at(key, *at, aside=key != pin), wire

    def first(self, number: int, start: Shape) -> tuple[Shape, Wire]:
        """A pin for the first value of a state, below, with the way up to it."""
        x, pin = self.left - number * TURN, self.box.ins[start.name]
        way = ((x, 0.0), (x, start.y - OFF), (start.left, start.y - OFF))
        return pin_at(pin, x, 0.0), Wire(f"first-{start.key}", "wire", f"{PIN}{pin}", start.key, f"{PIN}{pin}", way)

    def level(self, start: Shape) -> tuple[Shape, Wire]:
        """A pin for a first value that comes in from the side, at its height."""
        x, pin = self.outer - TURN * len(self.after), self.box.ins[start.name]
        way = ((x, start.y), (start.left, start.y))
        found = (w.kind for w in self.scene.wires if w.source == start.key and w.kind == "conveyor")
        wire = Wire(f"first-{start.key}", next(found, "wire"), f"{PIN}{pin}", start.key, f"{PIN}{pin}", way)
        return pin_at(pin, x, start.y, aside=True), wire


def pinned(scene: Scene, box: Box, elements: Mapping[str, Element], sides: Sides) -> Scene:
    """The scene with pins, on its lower and upper border, in the place of what comes in from outside and goes there;
    those at its sides stand there."""
    scene = _merged(scene)
    pins = pins_of(scene, box, elements)
    low, high = _borders(scene, pins)
    made: dict[str, Shape] = {}
    for s in scene.shapes:
        if s.kind == "pin" and s.name:
            made[s.key] = s
        elif s.kind == "pin":
            made[s.key] = replace(s, y=low if s.y == 0.0 else high)
        elif s.key in pins:
            at = next((w.points[-1][0] for w in scene.wires if w.target == s.key), s.x)
            made[s.key] = pin_at(pins[s.key], at, low if s.kind == "input" else high)
        else:
            made[s.key] = s
    known = {s.key for s in made.values()}
    level = {*sides.ins, *(sides.outs - sides.both)}
    missing = [
        key for key in (*box.ins.values(), *box.outs.values()) if f"{PIN}{key}" not in known and key not in level
    ]
    for number, key in enumerate(missing):  # what no one takes inside
        made[f"{PIN}{key}"] = pin_at(key, scene.frames[0].x + 2 * OUT * (number + 1), low)
    wires = tuple(_joined(w, made[w.source], made[w.target]) for w in scene.wires)
    return replace(scene, shapes=tuple(made.values()), wires=wires, dots=())


def pins_of(scene: Scene, box: Box, elements: Mapping[str, Element]) -> dict[str, str]:
    """Shape of the body → the pin that takes its place."""
    found = {}  # those that it may be
    for s in filter(is_own, scene.shapes):
        ports = box.ins if s.kind == "input" else box.outs if s.kind == "output" else {}
        names = elements[s.key].names if s.key in elements else set()
        found[s.key] = [pin for name, pin in ports.items() if name in names]
    pins: dict[str, str] = {}
    for key, own in sorted(found.items(), key=lambda item: len(item[1])):  # what can be one alone has the first say
        free = [pin for pin in own if pin not in pins.values()]
        if free:
            pins[key] = free[0]
    return pins


def _borders(scene: Scene, pins: Mapping[str, str]) -> tuple[float, float]:
    """The heights of the pins below and above all else."""
    rest = [s for s in scene.shapes if s.key not in pins and s.kind != "pin"]
    ends = {*pins, *(s.key for s in scene.shapes if s.kind == "pin")}
    points = [y for w in scene.wires for _, y in w.points[w.source in ends : len(w.points) - (w.target in ends)]]
    low = min([*(s.bottom for s in rest), *(f.y for f in scene.frames), *points])
    high = max([*(s.top for s in rest), *(f.y + f.h for f in scene.frames), *points])
    return low - OUT, high + OUT


def _joined(wire: Wire, start: Shape, end: Shape) -> Wire:
    """A wire between these shapes; at a pin it has no arrow, and ends in the middle."""
    points = list(wire.points)
    if start.kind == "pin":
        wire = replace(wire, net=start.key)
        points[0] = (start.x, start.y)
    if end.kind == "pin":
        wire = replace(wire, arrow=False)
        points[-1] = (end.x, end.y)
    return replace(wire, source=start.key, target=end.key, points=tuple(points))


def _merged(scene: Scene) -> Scene:
    """The scene with a merge before each output that takes several values."""
    shapes, wires = list(scene.shapes), list(scene.wires)
    for s in scene.shapes:
        into = sorted((w for w in scene.wires if w.target == s.key), key=lambda w: w.points[-1][0])
        if s.kind != "output" or len(into) < 2:
            continue
        ring = Shape(f"{s.key}m", "merge", "ring", s.name, into[len(into) // 2].points[-1][0], s.y, RING, RING)
        shapes.append(ring)
        for number, w in enumerate(into):
            x, side = w.points[-1][0], number - len(into) // 2
            end = ((x, s.y), (ring.left if side < 0 else ring.right, s.y)) if side else ((x, ring.bottom),)
            wires[wires.index(w)] = replace(w, target=ring.key, points=(*w.points[:-1], *end), arrow=False)
        up = ((ring.x, ring.top), (ring.x, s.top))
        wires.append(Wire(f"{ring.key}-{s.key}", "bus", ring.key, s.key, ring.key, up, tooltip=s.name))
    return replace(scene, shapes=tuple(shapes), wires=tuple(wires))


def is_own(s: Shape) -> bool:
    """Whether a shape stands in the body itself: what is in a box of it has the key of that before its own."""
    return "-" not in s.key


def pin_at(key: str, x: float, y: float, aside: bool = False) -> Shape:
    """A pin; those below have the height 0 until all else stands. aside: at the left or the right."""
    return Shape(f"{PIN}{key}", "pin", "pin", "aside" * aside, x, y, 0.0, 0.0)
