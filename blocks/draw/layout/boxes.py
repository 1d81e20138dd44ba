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

from dataclasses import dataclass, field, replace

from ...errors import BlocksError
from ...graph import subgraphs
from ..diagram.body import body_of
from ..diagram.cell import diagram_of
from ..diagram.elements import Box, Diagram, Element, Network
from ..diagram.network import network_of
from ..layers.blocks import Measure, beside_with, rooms_with, with_weights
from ..layers.groups import framed
from ..layers.unrolled import at_time
from ..scene import PAGE, Scene, fit, mirrored
from ..typeset import Labels
from .cell import rooms_of
from .chains import PIN, Sides, chains_of, side_by_side, sides_of, with_chains
from .joints import spliced, with_joints
from .levels import columns, layout
from .lines import PARTS
from .loops import captioned, is_own, looped, pinned
from .network import Block, laid_out
from .route import Unroutable
from .written import Steps, written_out

NAME_ROOM = 9.0  # between two wires, where one has a name
LARGEST = 120  # elements of a body that is laid out as a cell


@dataclass(frozen=True)
class Ways:
    """How any graph is drawn: its bricks as one box each, what its author calls things, how much more room there is
    between two wires, for labels, how long a size is, where shapes are blocks, and which steps of loops are written
    out."""

    bricks: bool = True
    labels: Labels = field(default_factory=Labels)
    room: float = 0.0
    measure: Measure | None = None
    steps: Steps | None = None
    gaps: float = 1.0


def drawn(network: Network, ways: Ways, title: str = "") -> tuple[Scene, dict[str, Element]]:
    """The scene of a diagram and of all that is in its boxes; and its elements, by the keys of their shapes. If it is
    wider than a page, the gaps in its cells are small."""
    scene, elements = _drawn(network, ways, title)
    if network.boxes and scene.width > PAGE and ways.gaps > PARTS[-1]:
        return _drawn(network, replace(ways, gaps=PARTS[-1]), title)
    return scene, elements


def _drawn(network: Network, ways: Ways, title: str) -> tuple[Scene, dict[str, Element]]:
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
    aside = beside_with(own, ways.measure) if ways.measure else {}
    scene = laid_out(whole, blocks, title, max(ways.room, NAME_ROOM * named), aside)
    scene = with_weights(scene, own, ways.measure, beside=True) if ways.measure else scene
    return with_joints(spliced(scene, [s.key for s in scene.shapes if s.kind == "pin"])), elements


def scene_of(box: Box, ways: Ways, sides: Sides) -> tuple[Scene, dict[str, Element]]:
    """The scene of a loop, with pins in the places of what comes in from outside and goes there. Raises BlocksError for
    one whose steps cannot be written out."""
    reverse, cell = bool(box.node.attrs["reverse"]), _cell(box, ways)
    if ways.steps:
        if cell is None:
            raise BlocksError(
                f"unroll: a step of {box.name} is not drawn as a cell is: it learns, or has a loop in it, or is too "
                "large; leave out unroll"
            )
        scene, elements = written_out(*cell, box, ways.steps)
    else:
        scene, elements = (cell[0], cell[1].elements) if cell else _ranks(box, ways)
        scene = captioned(_timed(scene) if reverse else scene, box)
    scene = looped(scene, box, elements, sides, written=ways.steps is not None)
    scene = pinned(scene, box, elements, sides)
    return fit(mirrored(scene) if reverse else scene), elements


def _timed(scene: Scene) -> Scene:
    """The step of a loop from the last to the first: the states that it takes are those of the next time."""
    shapes = [
        replace(s, lines=tuple(at_time(text, "t+1") for text in s.lines)) if s.kind == "state" and is_own(s) else s
        for s in scene.shapes
    ]
    return replace(scene, shapes=tuple(shapes))


def _block(key: str, scene: Scene, network: Network) -> Block:
    """The scene of what stands in the place of some loops, as a block."""
    at = {s.key.removeprefix(PIN): s.x for s in scene.shapes if s.kind == "pin"}
    own = [e for e in network.elements.values() if e.frame == key and e.key in at]
    taken = {link.source for e in network.elements.values() for link in e.entries}
    return Block(scene, {e.key: at[e.key] for e in own if e.entries}, {e.key: at[e.key] for e in own if e.key in taken})


def _cell(box: Box, ways: Ways) -> tuple[Scene, Diagram] | None:
    """The scene of a loop's body as that of a cell, and its diagram; None where it is none."""
    graph = body_of(box)
    weights = [port for port, node in graph.fed("input").items() if port in box.ins and node.role == "parameter"]
    learns = any(node.role in ("gradient", "update") or subgraphs(node) for node in graph.order())
    diagram = diagram_of(graph, labels=ways.labels) if ways.bricks and not weights and not learns else None
    if diagram is None or len(diagram.elements) > LARGEST:
        return None
    rooms = rooms_with(diagram.elements, rooms_of(diagram), ways.measure) if ways.measure else None
    try:
        scene = layout(diagram, ways.room, f"{box.name}, one step", columns(diagram, {}), rooms=rooms, gaps=ways.gaps)
    except Unroutable:
        return None
    scene = with_weights(scene, diagram.elements, ways.measure) if ways.measure else scene
    return framed(scene, diagram.elements), diagram


def _ranks(box: Box, ways: Ways) -> tuple[Scene, dict[str, Element]]:
    """The scene of a loop's body in ranks."""
    return drawn(network_of(body_of(box), ways.bricks, ways.labels, box), ways, f"{box.name}, one step")
