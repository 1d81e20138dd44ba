"""Loops: the body of each in a frame, as a cell is drawn, with an arrow from each state's new value to its old one.

          ┌────────◀───────┐
          │ ┌────────────┐ │
    h ────┴▶│            │─┴──── last h
   first h ▶│            │
            └────────────┘

Time runs from left to right; a loop that runs from the last step to the first is the mirror image. A body that the
layout of cells does not take, one with a gradient or with a loop in it, stands in ranks.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from ...graph import subgraphs
from ...ops.loop import FINAL
from ..diagram.body import body_of
from ..diagram.cell import diagram_of
from ..diagram.elements import Box, Element, Network, common_scope
from ..diagram.network import network_of
from ..diagram.signs import is_cell_of_operations
from ..layers.blocks import Measure, rooms_with, widths_with, with_weights
from ..layers.groups import framed
from ..layers.labels import free_place
from ..scene import Scene, Shape, Wire, fit, mirrored
from ..text import Run, clip, line
from ..typeset import Labels, name_line
from .cell import RING, rooms_of
from .chains import ASIDE, PIN, Sides, chains_of, side_by_side, sides_of, with_chains
from .joints import spliced, with_joints
from .levels import columns, layout
from .network import Block, laid_out
from .route import Unroutable

NAME_ROOM = 9.0  # between two wires, where one has a name
STRIP = 16.0  # above a body without room for its name
LARGEST = 120  # elements of a body that is laid out as a cell
TURN, FAR, UP, OFF, OUT = (
    10.0,
    12.0,
    12.0,
    4.0,
    6.0,
)  # loop to loop; name to loop; frame to loop; first value beside the
# loop; out of everything


@dataclass(frozen=True)
class Ways:
    """How any graph is drawn: its bricks as one box each, what its author calls things, how much more room there is
    between two wires, for labels, and how long a size is, where shapes are blocks."""

    bricks: bool = True
    labels: Labels = field(default_factory=Labels)
    room: float = 0.0
    measure: Measure | None = None


def drawn(network: Network, ways: Ways, title: str = "") -> tuple[Scene, dict[str, Element]]:
    """The scene of a diagram and of all that is in its boxes; and its elements, by the keys of their shapes."""
    chains = chains_of(network)
    sides, home = sides_of(network, chains), {key: f"{c.key}-" for c in chains for key in c.boxes}
    scenes: dict[str, Scene] = {}
    elements = {key: e for key, e in network.elements.items() if not e.frame}
    for key, box in network.boxes.items():
        scenes[key], inside = scene_of(box, ways, sides.get(key, Sides()))
        elements |= {f"{home.get(key, '')}{key}-{inner}": e for inner, e in inside.items()}
    for chain in chains:
        back = bool(network.boxes[chain.boxes[0]].node.attrs["reverse"])
        scenes[chain.key] = side_by_side(chain, {key: scenes.pop(key) for key in chain.boxes}, network, back)
    whole = with_chains(network, chains)
    blocks = {key: _block(key, scene, whole) for key, scene in scenes.items()}
    named = any(e.called for e in network.elements.values())
    own = {key: e for key, e in network.elements.items() if not e.frame}
    aside = widths_with(own, ways.measure) if ways.measure else {}
    scene = laid_out(whole, blocks, title, max(ways.room, NAME_ROOM * named), aside)
    scene = with_weights(scene, own, ways.measure, beside=True) if ways.measure else scene
    return with_joints(spliced(scene, [s.key for s in scene.shapes if s.kind == "pin"])), elements


def scene_of(box: Box, ways: Ways, sides: Sides) -> tuple[Scene, dict[str, Element]]:
    """The scene of a loop, with pins in the places of what comes in from outside and goes there."""
    scene, elements = _body(box, ways)
    scene = _pinned(_looped(_captioned(scene, box), box, elements, sides), box, elements, sides)
    return fit(mirrored(scene) if box.node.attrs["reverse"] else scene), elements


def _block(key: str, scene: Scene, network: Network) -> Block:
    """The scene of what stands in the place of some loops, as a block."""
    at = {s.key.removeprefix(PIN): s.x for s in scene.shapes if s.kind == "pin"}
    own = [e for e in network.elements.values() if e.frame == key and e.key in at]
    taken = {link.source for e in network.elements.values() for link in e.entries}
    return Block(scene, {e.key: at[e.key] for e in own if e.entries}, {e.key: at[e.key] for e in own if e.key in taken})


def _body(box: Box, ways: Ways) -> tuple[Scene, dict[str, Element]]:
    """The scene of a loop's body: as that of a cell, or in ranks."""
    graph, name = body_of(box), f"{box.name}, one step"
    weights = [port for port, node in graph.fed("input").items() if port in box.ins and node.role == "parameter"]
    learns = any(node.role in ("gradient", "update") or subgraphs(node) for node in graph.order())
    if ways.bricks and not weights and not learns:
        diagram = diagram_of(graph, labels=ways.labels)
        if len(diagram.elements) <= LARGEST:
            with suppress(Unroutable):
                rooms = rooms_with(diagram.elements, rooms_of(diagram), ways.measure) if ways.measure else None
                scene = layout(diagram, ways.room, name, columns(diagram, {}), rooms=rooms)
                scene = with_weights(scene, diagram.elements, ways.measure) if ways.measure else scene
                return framed(scene, diagram.elements), diagram.elements
    return drawn(network_of(graph, ways.bricks, ways.labels, box), ways, name)


def _captioned(scene: Scene, box: Box) -> Scene:
    """The scene with the name of its cell in its frame, and the way of time where that is back."""
    scope, steps = _named(box), ("1", "T")
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


def _named(box: Box) -> str:
    """The name of the cell that a loop runs: what stands before the names of its states or else of its bricks, or the
    name of all its operations."""
    made = [n for n in subgraphs(box.node)["body"].order() if n.operands]
    bricks = {n.brick for n in made}
    states = [str(n) for n in box.node.attrs["states"]]
    if not states and len(bricks) == 1 and is_cell_of_operations(made):
        return bricks.pop() or ""
    return common_scope(states or sorted(b for b in bricks if b))[:-1]


def _looped(scene: Scene, box: Box, elements: Mapping[str, Element], sides: Sides) -> Scene:
    """The scene with an arrow from the new value of each state round to the old one, and pins for the first values of
    states and the last, at the sides for those that come from another loop and go to one."""
    own = [s for s in scene.shapes if _own(s)]
    after = sorted((s for s in own if s.kind == "next"), key=lambda s: -s.y)
    before = {s.name: s for s in own if s.kind == "state"}
    aside = [s for s in before.values() if box.ins.get(s.name) in sides.ins]
    firsts = sorted((s for s in before.values() if s.name in box.ins and s not in aside), key=lambda s: s.y)
    if not after:
        return scene
    left = min([s.left for s in before.values()] or [scene.frames[0].x]) - FAR
    right, top = max(s.right for s in after) + FAR, max(f.y + f.h for f in scene.frames) + UP
    outer, high = left - TURN * len(firsts), top + len(after) * TURN
    beside = right + TURN * len(after)
    shapes, wires = list(scene.shapes), list(scene.wires)
    for number, end in enumerate(after):
        x, start = right + number * TURN, before.get(end.name)
        corner = ((end.right, end.y), (x, end.y))
        kind = next(w.kind for w in scene.wires if w.target == end.key)
        if start:
            over, back = top + number * TURN, outer - number * TURN
            entry = start.y + OFF * (start in firsts) + 2 * OFF * (start in aside)
            points = (*corner, (x, over), (back, over), (back, entry), (start.left, entry))
            tip = f"{end.name}, from each step to the next"
            wires.append(Wire(f"loop-{end.key}", kind, end.key, start.key, end.key, points, tooltip=tip))
        for pin in dict.fromkeys(box.outs[name] for n in elements[end.key].names if (name := FINAL + n) in box.outs):
            ways = [((x, high), pin)] if pin not in sides.outs or pin in sides.both else []
            ways += [((beside, end.y), f"{pin}{ASIDE}")] if pin in sides.outs else []
            for at, key in ways:
                shapes.append(_pin(key, *at, aside=key != pin))
                wires.append(Wire(f"last-{key}", kind, end.key, f"{PIN}{key}", end.key, (*corner, at), arrow=False))
    for number, start in enumerate(firsts):
        x, pin = left - number * TURN, f"{PIN}{box.ins[start.name]}"
        shapes.append(_pin(box.ins[start.name], x, 0.0))
        way = ((x, 0.0), (x, start.y - OFF), (start.left, start.y - OFF))
        wires.append(Wire(f"first-{start.key}", "wire", pin, start.key, pin, way))
    for start in aside:
        x, pin = outer - TURN * len(after), box.ins[start.name]
        shapes.append(_pin(pin, x, start.y, aside=True))
        level = ((x, start.y), (start.left, start.y))
        kind = next((w.kind for w in scene.wires if w.source == start.key and w.kind == "conveyor"), "wire")
        wires.append(Wire(f"first-{start.key}", kind, f"{PIN}{pin}", start.key, f"{PIN}{pin}", level))
    return replace(scene, shapes=tuple(shapes), wires=tuple(wires))


def _pinned(scene: Scene, box: Box, elements: Mapping[str, Element], sides: Sides) -> Scene:
    """The scene with pins, on its lower and upper border, in the place of what comes in from outside and goes there;
    those at its sides stand there."""
    scene = _merged(scene)
    pins = _pins_of(scene, box, elements)
    low, high = _borders(scene, pins)
    made: dict[str, Shape] = {}
    for s in scene.shapes:
        if s.kind == "pin" and s.name:
            made[s.key] = s
        elif s.kind == "pin":
            made[s.key] = replace(s, y=low if s.y == 0.0 else high)
        elif s.key in pins:
            at = next((w.points[-1][0] for w in scene.wires if w.target == s.key), s.x)
            made[s.key] = _pin(pins[s.key], at, low if s.kind == "input" else high)
        else:
            made[s.key] = s
    known = {s.key for s in made.values()}
    level = {*sides.ins, *(sides.outs - sides.both)}
    missing = [
        key for key in (*box.ins.values(), *box.outs.values()) if f"{PIN}{key}" not in known and key not in level
    ]
    for number, key in enumerate(missing):  # what no one takes inside
        made[f"{PIN}{key}"] = _pin(key, scene.frames[0].x + 2 * OUT * (number + 1), low)
    wires = tuple(_joined(w, made[w.source], made[w.target]) for w in scene.wires)
    return replace(scene, shapes=tuple(made.values()), wires=wires, dots=())


def _pins_of(scene: Scene, box: Box, elements: Mapping[str, Element]) -> dict[str, str]:
    """Shape → the pin that takes its place."""
    found = {}  # those that it may be
    for s in filter(_own, scene.shapes):
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
    points = [y for w in scene.wires for _, y in w.points if w.source not in pins and w.target not in pins]
    low = min([*(s.bottom for s in rest), *(f.y for f in scene.frames)])
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


def _own(s: Shape) -> bool:
    """Whether a shape stands in the body itself: what is in a box of it has the key of that before its own."""
    return "-" not in s.key


def _pin(key: str, x: float, y: float, aside: bool = False) -> Shape:
    return Shape(f"{PIN}{key}", "pin", "pin", "aside" * aside, x, y, 0.0, 0.0)
