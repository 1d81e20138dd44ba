"""The figure of a cell, step by step: its diagram, its layout, and all that is laid over it.

Each option that is asked for is a step from scene to scene: those of `WAY` are done for the way of the values forwards
and for that of the gradient backwards, those of `STEPS` once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from ..equations import equations as lines_of
from ..errors import BlocksError, nearest
from ..graph import Graph
from .diagram.backwards import backwards
from .diagram.cell import diagram_of
from .diagram.elements import Diagram
from .diagram.groups import Folding, members
from .diagram.groups import fold as fold_groups
from .layers.blocks import Measure, measure_of, rooms_with, with_bars, with_sizes
from .layers.blocks import with_weights as with_pile
from .layers.emphasis import emphasise
from .layers.formulas import with_equations
from .layers.gradients import reversed_scene, with_backwards
from .layers.groups import framed
from .layers.labels import with_words
from .layers.legend import with_legend
from .layers.opened import opened
from .layers.panels import panels
from .layers.runs import coming_in, computed, gradient_values, gradients_over_steps, named, over_steps
from .layers.unrolled import unrolled
from .layers.values import Scale, with_scales, with_values
from .layers.weights import HANG, NUMBERED, Weights, room_for, room_of_both, weights_of, with_shared, with_weights
from .layout.cell import Room, rooms_of
from .layout.levels import columns, layout
from .scene import PAGE, Scene
from .typeset import Labels

LARGEST = 120  # elements of a cell; what has more is drawn in ranks
LABEL_ROOM, SUM_ROOM = 9.0, 9.0
ROOMS = (16.0, 24.0, 48.0)  # more between the wires, until all places are found
WIDER, WIDEST = 16.0, 160.0  # room between the wires, step by step, until all values have a place


def is_given(value: Any) -> bool:
    """Whether an option says anything: neither None nor False, nor an empty list or name."""
    return value is not None and value is not False and not (isinstance(value, list | tuple | str) and not value)


@dataclass
class Drawing:
    """The figure of a cell in the making."""

    graph: Graph
    asked: Mapping[str, Any]
    labels: Labels
    folding: Folding | None = None  # what is folded
    named: bool = True  # whether values have their names on their wires
    wider: float = 0.0  # room between the wires from left to right, for values
    missing: int = 0  # values that have no place on it
    scales: list[Scale] = field(default_factory=list)  # what the colours of its wires mean

    def __post_init__(self) -> None:
        fold, self.title = self.asked["fold"], self.asked["title"] or "cell"
        wanted = [fold] if isinstance(fold, str) else None if fold is True or not fold else list(fold)
        folding = Folding(wanted, steps=is_given(self.asked["unroll"]), counts=self.asked["counts"])
        self.folding = folding if is_given(fold) else None
        self.diagram = self.diagram_of()
        if len(self.diagram.elements) > LARGEST and not self.folding and members(self.diagram.elements):
            self.folding = folding
            self.diagram = self.diagram_of()
        if len(self.diagram.elements) <= LARGEST:
            self.labels.check()

    def diagram_of(self, gradient: bool = False) -> Diagram:
        """The diagram of the cell, or of its gradient."""
        change = None
        if self.folding:
            folding = replace(self.folding, mark="∂" if gradient else "")
            change = lambda elements: fold_groups(elements, folding)
        within = not self.asked["lane"]  # with which layers may stand as they like
        return diagram_of(
            self.graph, self.asked["counts"], gradient=gradient, change=change, labels=self.labels, within=within
        )

    @cached_property
    def lanes(self) -> Mapping[str, float]:
        """The number of the lane of each state that the user has placed."""
        return _lanes(self.diagram, self.asked["lane"] or {})

    @cached_property
    def columns(self) -> Mapping[str, float | None]:
        """The column of each element that is not to stand where the layout puts it."""
        x = self.asked["x"]
        if not x:
            return columns(self.diagram, self.lanes)
        return {} if x == "made" else _pins(self.diagram, x)

    @cached_property
    def measure(self) -> Measure | None:
        """How long a size is, where shapes are blocks."""
        return measure_of(self.graph) if self.asked["shapes"] == "blocks" else None

    def laid_out(self, diagram: Diagram, rooms: Mapping[str, Room]) -> Scene:
        """A diagram with places, before any step."""
        labelled = self.asked["shapes"] or self.asked["values"]
        room = max(LABEL_ROOM if labelled else 0.0, SUM_ROOM if self.asked["gradient"] else 0.0)
        if self.measure:
            rooms = rooms_with(diagram.elements, rooms or rooms_of(diagram), self.measure)
        placed = layout(
            diagram, room + self.wider / 2, self.title, self.columns, self.lanes, wider=self.wider, rooms=rooms
        )
        grouped = framed(placed, diagram.elements, is_given(self.asked["gradient"]))
        scene = emphasise(grouped, diagram, self.asked["highlight"])
        return with_pile(scene, diagram.elements, self.measure) if self.measure else scene

    def drawn(self) -> Scene:
        """The scene, with as much room as the values on its wires need; where there is never enough, with as much as
        brings the most. What has no place then is left to its tooltip."""
        found: list[tuple[int, float, Scene]] = []
        while not found or (found[-1][0] and self.wider < WIDEST):
            self.wider = len(found) * WIDER
            scene = self.drawn_so()
            found.append((self.missing, self.wider, scene))
        return min(found, key=lambda drawn: drawn[:2])[2]

    def drawn_so(self) -> Scene:
        """The scene, after all steps that are asked for."""
        self.scales, self.missing = [], 0
        scene = self.ways()
        for option, step in STEPS:
            if is_given(self.asked[option]):
                scene = step(self, scene)
        return replace(scene, description=_described(scene.title, self.graph))

    def ways(self) -> Scene:
        """The way of the values forwards, or of the gradient backwards, or both with everything in the same places."""
        gradient = self.asked["gradient"]
        if not is_given(gradient):
            return Way(self, self.diagram).drawn()
        forwards, backwards = Way(self, self.diagram), Way(self, self.diagram_of(gradient=True), back=True)
        rooms = room_of_both(forwards.rooms(), backwards.rooms())
        if gradient is True:
            return backwards.drawn(rooms)
        scenes = [forwards.drawn(rooms), backwards.drawn(rooms)]
        below = is_given(self.asked["unroll"]) or sum(scene.width for scene in scenes) > PAGE
        return panels(scenes, ("forwards", "backwards"), self.title, below=below)


@dataclass
class Way:
    """One way through a cell in the making: forwards, or back."""

    drawing: Drawing
    diagram: Diagram
    back: bool = False
    kept: Mapping[str, Room] = field(init=False)  # the room that its elements have

    def __post_init__(self) -> None:
        asked = self.drawing.asked
        self.asked = asked
        mark, moment = ("∂", is_given(asked["unroll"])) if self.back else ("", False)
        self.weights: dict[str, Weights] = {}
        if is_given(asked["gradient"]):
            self.through = backwards(self.diagram)
            found = weights_of(self.diagram, mark, moment)
            self.weights = {key: w for key, w in found.items() if not self.back or key in self.through.weighted}

    @property
    def hang(self) -> float:
        """How far its weights hang below the bricks."""
        return NUMBERED if is_given(self.asked["values"]) else HANG

    def rooms(self) -> dict[str, Room]:
        """The room that each of its elements needs."""
        return room_for(self.weights, rooms_of(self.diagram), self.hang)

    def drawn(self, rooms: Mapping[str, Room] | None = None) -> Scene:
        """Its scene, after all steps that are asked for."""
        self.kept = rooms or {}
        scene = self.drawing.laid_out(self.diagram, self.kept)
        for option, step in WAY:
            if is_given(self.asked[option]):
                scene = step(self, scene)
        named = self.drawing.named and not self.back  # on the way back a wire has a part of a gradient
        if is_given(self.asked["values"]):
            return scene
        scene = with_words(scene, self.asked["shapes"] is True, named)
        return with_bars(scene, self.drawing.measure) if self.drawing.measure else scene


def _weights(way: Way, scene: Scene) -> Scene:
    return with_weights(with_backwards(scene, way.through), way.weights, way.kept)


def _unroll(way: Way, scene: Scene) -> Scene:
    steps, zoom, full = (way.asked[name] for name in ("unroll", "zoom", "full"))
    joined = unrolled(way.diagram, scene, steps, zoom, full, way.drawing.title, room=way.drawing.wider)
    return with_shared(joined, way.weights, way.back) if way.weights else joined


def _turned(way: Way, scene: Scene) -> Scene:
    return reversed_scene(scene) if way.back else scene


def _values(way: Way, scene: Scene) -> Scene:
    graph, feeds, drawing, steps = way.drawing.graph, way.asked["values"], way.drawing, way.asked["unroll"]
    if not way.back and is_given(way.asked["gradient"]):
        feeds = {k: v for k, v in feeds.items() if k[:2] != "d/"}
    if way.back:
        found = gradients_over_steps(graph, feeds, steps) if steps else [gradient_values(graph, feeds)]
        known = {**named(graph, found, gradient=True), **coming_in(graph, feeds, steps)}
    else:
        known = named(graph, over_steps(graph, feeds, steps) if steps else [computed(graph, feeds)])
    logarithmic = way.asked["scale"] == "log"
    scene, scale, missing = with_values(scene, known, way.back, logarithmic)
    drawing.scales.append(scale)
    drawing.missing += missing
    return scene


WAY: tuple[tuple[str, Callable[[Way, Scene], Scene]], ...] = (
    ("gradient", _weights),
    ("unroll", _unroll),
    ("gradient", _turned),
    ("values", _values),
)


def _scales(drawing: Drawing, scene: Scene) -> Scene:
    return with_scales(scene, drawing.scales)


def _sizes(drawing: Drawing, scene: Scene) -> Scene:
    return with_sizes(scene, drawing.measure) if drawing.measure else scene


def _equations(drawing: Drawing, scene: Scene) -> Scene:
    numbered, below = drawing.asked["equations"] == "numbered", is_given(drawing.asked["unroll"])
    return with_equations(scene, drawing.graph, drawing.labels, numbered, below)


def _legend(drawing: Drawing, scene: Scene) -> Scene:
    return with_legend(scene)


def _open(drawing: Drawing, scene: Scene) -> Scene:
    asked = drawing.asked["open"]
    bricks = [asked] if isinstance(asked, str) else list(asked)
    if not bricks:
        raise BlocksError("open names the bricks to open, one at least")
    inner = [opened(drawing.graph, name, drawing.labels) for name in bricks]
    return panels([scene, panels(inner, [s.title for s in inner])], title=scene.title, below=True)


STEPS: tuple[tuple[str, Callable[[Drawing, Scene], Scene]], ...] = (
    ("values", _scales),
    ("shapes", _sizes),
    ("open", _open),
    ("equations", _equations),
    ("legend", _legend),
)


def _described(title: str, graph: Graph) -> str:
    """A figure in words: what comes in, and the equations."""
    shown = [name for name in graph.inputs if len(name) <= 40]
    said = "; ".join(text for text in lines_of(graph) if len(text) <= 200)
    return f"{title}. From {', '.join(shown) or 'nothing'}: {said}. A prime marks the step before."


def _pins(diagram: Diagram, wanted: Mapping[str, float]) -> dict[str, float]:
    """Columns by element, from columns by name."""
    pins: dict[str, float] = {}
    for name, column in wanted.items():
        keys = [e.key for e in diagram.elements.values() if e.name == name and e.kind not in ("state", "next", "merge")]
        if not keys:
            known = sorted({e.name for e in diagram.elements.values() if e.kind not in ("state", "next", "merge")})
            hint = nearest(name, known)
            raise BlocksError(f"there is nothing called {name!r} to place{hint}; there are {', '.join(known)}")
        pins |= {key: float(column) for key in keys}
    return pins


def _lanes(diagram: Diagram, wanted: Mapping[str, float]) -> Mapping[str, float]:
    for state in wanted:
        if state not in diagram.conveyors:
            known = ", ".join(diagram.conveyors) or "none"
            raise BlocksError(f"there is no conveyor {state!r}; there are: {known}")
    return wanted
