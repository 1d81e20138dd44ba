"""What can be drawn of a graph: a cell, its steps side by side, its gradient, the inside of its bricks; or the
operations of any graph.

Each option is a row of `OPTIONS`, which says what takes it, and most are a step of `STEPS`, done in that order to
the scene of a cell. An option that nothing takes is an error, raised before anything is drawn.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, wraps
from types import MappingProxyType
from typing import Any, NamedTuple, Never

from ..equations import equations as lines_of
from ..errors import BlocksError, WiringError, nearest
from ..graph import Graph, subgraphs
from .diagram.backwards import backwards
from .diagram.cell import diagram_of
from .diagram.elements import Diagram, is_cell
from .diagram.groups import Folding, members
from .diagram.groups import fold as fold_groups
from .diagram.network import network_of, network_of_error
from .figure import Figure
from .layers.emphasis import Wanted, emphasise, emphasise_layers
from .layers.formulas import with_equations
from .layers.gradients import reversed_scene, with_backwards
from .layers.groups import framed
from .layers.labels import Crowded, places, with_shapes
from .layers.legend import with_legend
from .layers.opened import opened
from .layers.panels import panels
from .layers.runs import coming_in, computed, gradient_values, gradients_over_steps, named, over_steps
from .layers.unrolled import unrolled
from .layers.values import Scale, with_scales, with_values
from .layers.weights import HANG, NUMBERED, Weights, room_for, room_of_both, weights_of, with_shared, with_weights
from .layout.cell import Room, layout, rooms_of
from .layout.layered import layered
from .layout.orders import best_columns
from .layout.route import Unroutable
from .scene import Point, Scene, Wire
from .text import clip
from .themes import Theme
from .themes import theme as theme_of
from .typeset import Labels

LARGEST = 120  # elements; a larger graph is drawn in layers
LABEL_ROOM, SUM_ROOM = 9.0, 9.0
ROOMS = (0.0, 16.0, 24.0, 48.0)  # between the wires, until all places are found
WIDER, WIDEST = 16.0, 160.0  # room between the wires, step by step, until all values have a place

CELL, LAYERS = "one step of a cell", "a graph in layers"
NEEDED_FOR = {"unroll": "the steps of a cell side by side", "values": "the colours of numbers"}


class Option(NamedTuple):
    """What takes an option, the other option that it needs, and those that it does not go with, each with why."""

    taken_by: tuple[str, ...]
    needs: str = ""
    apart_from: Mapping[str, str] = MappingProxyType({})
    inside: bool = False  # whether it is seen in an open step alone


OPTIONS = {
    "highlight": Option((CELL, LAYERS), inside=True),
    "bricks": Option((CELL, LAYERS)),
    "shapes": Option((CELL, LAYERS)),
    "theme": Option((CELL, LAYERS)),
    "title": Option((CELL, LAYERS)),
    "labels": Option((CELL, LAYERS)),
    "legend": Option((CELL, LAYERS)),
    "equations": Option((CELL,), apart_from={"gradient": "say what is computed forwards"}),
    "counts": Option((CELL,), inside=True),
    "fold": Option((CELL,)),
    "x": Option((CELL,), inside=True),
    "lane": Option((CELL,)),
    "values": Option((CELL,), apart_from={"shapes": "stand where shapes would"}),
    "scale": Option((CELL,), needs="values"),
    "gradient": Option((CELL,)),
    "unroll": Option((CELL,)),
    "zoom": Option((CELL,), needs="unroll"),
    "full": Option((CELL,), needs="unroll"),
    "open": Option((CELL,)),
}


def draw(
    graph: Graph,
    highlight: Wanted = None,
    bricks: bool = True,
    shapes: bool = False,
    counts: bool = False,
    open: str | Iterable[str] | None = None,
    unroll: int | None = None,
    zoom: int | str | None = None,
    full: bool = False,
    gradient: bool | str | None = None,
    theme: str | Theme | Mapping[str, Any] = "classic",
    values: Mapping[str, Any] | None = None,
    scale: str | None = None,
    fold: bool | str | Iterable[str] = False,
    title: str | None = None,
    labels: Mapping[str, str] | None = None,
    legend: bool = False,
    equations: bool | str = False,
    x: Mapping[str, float] | str | None = None,
    lane: Mapping[str, float] | None = None,
    **unknown: Never,
) -> Figure:
    """A `Figure` of a graph. One step of a cell is laid out as cells are, with its states on conveyors; any
    other graph in layers.

    Args:
        highlight: what to emphasise, the rest is faded: names of bricks, inputs, states, outputs or groups of
            bricks, or a predicate on nodes.
        bricks: fold the operations of each brick into one box; else draw every operation, in layers.
        shapes: write the shape on each wire.
        counts: write into each brick how many weights it has.
        open: bricks to show opened below the cell.
        unroll: how many steps to draw side by side. The middle of more than seven is left out unless `full`.
        zoom: the step to show open, from 1; "all" or "none". By default the middle one.
        gradient: True for the way of the gradient alone; "beside" for both, with the same places. Each operation says
            what it multiplies with; forward values that it needs come in on grey wires; the gradient of the weights
            hangs from each brick, and with `unroll` those of all steps are added.
        values: feeds of a run, name → array, whose values are to stand on the wires: four numbers written out, up to 16
            as a strip of bars, more as their root mean square, with a colour; with `gradient`, also the gradient that
            comes in, ``d/y`` or ``d/next/h``. With `unroll`, inputs and ``d/y`` have the steps as their first
            dimension. What they do not suffice for is drawn as not computed.
        scale: "log" for colours by order of magnitude; "linear" otherwise.
        fold: cells inside the cell to draw as one box each, by name; True for all. In a figure of more than
            120 elements all are.
        theme: "classic", "monochrome" or "dark"; a `Theme`; or a dict of what differs, ``{"like": "dark", "brick":
            "#224466"}``, see `themes.theme`.
        title: the figure's title, also the name on closed steps.
        labels: name of a brick, input, state or output → what stands in its place, in the language of `typeset`, as TeX
            has it: ``{"forget": "f_t", "C": r"\\tilde{C}"}``.
        legend: say below the figure what its marks mean.
        equations: write the equations beside the figure, each in one with its part under the pointer; "numbered" with
            numbers. With `highlight`, those of what is emphasised.
        x: name → column, for what the user wants elsewhere; the bricks stand in the columns 1, 2, …. Or "search", for
            the order of the bricks in which the fewest wires cross; many bricks take seconds.
        lane: state → the number of its lane, 1 at the top.

    Raises BlocksError for a name that the graph does not have, for an option that there is not, and, before
    anything is drawn, for one that what is drawn does not take.
    """
    asked: dict[str, Any] = {
        "highlight": highlight, "bricks": bricks, "shapes": shapes, "counts": counts, "open": open, "unroll": unroll,
        "zoom": zoom, "full": full, "gradient": gradient, "theme": theme, "values": values, "scale": scale,
        "fold": fold, "title": title, "labels": labels, "legend": legend, "equations": equations,
        "x": x, "lane": lane,
    }  # fmt: skip
    for name in unknown:
        raise BlocksError(f"there is no option {name!r}{nearest(name, OPTIONS)}; there are {', '.join(OPTIONS)}")
    if isinstance(x, str) and x != "search":
        raise BlocksError(f"x is 'search', or name → column, not {x!r}")
    if scale not in (None, "linear", "log"):
        raise BlocksError(f"scale is 'linear' or 'log', not {scale!r}")
    if gradient not in (None, False, True, "beside"):
        raise BlocksError(f"gradient is True or 'beside', not {gradient!r}")
    if equations not in (False, True, "numbered"):
        raise BlocksError(f"equations is True or 'numbered', not {equations!r}")
    colours, called = theme_of(theme), Labels(labels)
    given = [name for name, value in asked.items() if _is_given(value)]
    obstacle = _obstacle(graph, bricks)
    _check(given, obstacle)
    if zoom == "none" and (hidden := [name for name in given if OPTIONS[name].inside]):
        raise BlocksError(f"{' and '.join(hidden)}: seen only in a step that is open, and with zoom='none' none is")
    if not obstacle:
        drawing = _Drawing(graph, asked, called)
        try:
            if len(drawing.diagram.elements) <= LARGEST:
                return Figure(drawing.drawn(), colours)
            obstacle = f"it is too large: it has {len(drawing.diagram.elements)} parts, of {LARGEST} at most"
        except Unroutable:
            obstacle = "it has so many wires that there is no way for all"
        _check(given, obstacle)
    network = network_of(graph, bricks, called)
    called.check()
    scene = layered(network, shapes, clip(f"graph with the outputs {', '.join(graph.outputs)}", 90))
    scene = emphasise_layers(scene, network, highlight)
    scene = with_legend(scene) if legend else scene
    return Figure(replace(scene, title=title or scene.title), colours)


def with_places(
    graph: Graph, steps: int | None, size: Callable[[Wire], tuple[float, float] | None]
) -> tuple[Scene, dict[str, Point]]:
    """The scene of a cell, of so many open steps side by side or of one, with room for something of a size on each of
    its values; and where: the key of a wire → the middle. What finds no room has no place.

    Raises BlocksError for what is not drawn as one step of a cell.
    """
    asked = {name: option.default for name, option in inspect.signature(draw).parameters.items()}
    asked |= {"unroll": steps, "zoom": "all" if steps else None, "full": True}
    obstacle = _obstacle(graph, True)
    try:
        drawing = None if obstacle else _Drawing(graph, asked, Labels(None))
        if drawing is not None and len(drawing.diagram.elements) > LARGEST:
            obstacle = f"it has {len(drawing.diagram.elements)} parts, of {LARGEST} at most"
        elif drawing is not None:
            for drawing.wider in ROOMS:
                scene = drawing.drawn_so()
                where, crowded = places(scene, size)
                if not crowded:
                    break
            return scene, where
    except Unroutable:
        obstacle = "it has so many wires that there is no way for all"
    raise BlocksError(f"this graph is not drawn as a cell: {obstacle}")


def of_its_graph(drawn: Callable[..., Figure]) -> Callable[..., Figure]:
    """A method of cells that does what one of their graphs does."""

    @wraps(drawn)
    def method(cell: Any, *given: Any, **options: Any) -> Figure:
        return drawn(cell.graph, *given, **options)

    return method


def draw_error(error: WiringError, theme: str | Theme | Mapping[str, Any] = "classic") -> Figure:
    """A `Figure` of a wiring error: the operands as far as they were built, and the operation that does not
    take them, with the wires between them marked and their shapes written on them."""
    scene = layered(network_of_error(error), title="a wiring error", description=str(error))
    return Figure(scene, theme_of(theme))


# --- which options go together -------------------------------------------------------------------


def _is_given(value: Any) -> bool:
    """Whether an option says anything: neither None nor False, nor an empty list or name."""
    return value is not None and value is not False and not (isinstance(value, list | tuple | str) and not value)


def _obstacle(graph: Graph, bricks: bool) -> str:
    """Why a graph is not drawn as one step of a cell; "" if it is."""
    if not bricks:
        return "with bricks=False each operation is drawn by itself"
    if any(subgraphs(node) for node in graph.order()):
        return "it has a loop over time in it; draw the cell itself, cell.draw()"
    if any(node.role == "gradient" for node in graph.order()):
        return "it has a gradient in it"
    return "" if is_cell(graph) else "it has no state that goes from step to step"


def _check(given: list[str], obstacle: str) -> None:
    """Raises BlocksError for options that what is drawn does not take."""
    drawn = LAYERS if obstacle else CELL
    wrong = [name for name in given if drawn not in OPTIONS[name].taken_by]
    if wrong:
        takers = " or ".join(dict.fromkeys(view for name in wrong for view in OPTIONS[name].taken_by))
        taken = ", ".join(name for name, option in OPTIONS.items() if drawn in option.taken_by)
        raise BlocksError(
            f"{' and '.join(wrong)}: only for {takers}, drawn with its bricks. This graph is drawn in layers, as "
            f"{obstacle}; such a figure takes {taken}"
        )
    for name in given:
        option = OPTIONS[name]
        if option.needs and option.needs not in given:
            raise BlocksError(f"{name}: only with {option.needs}, for {NEEDED_FOR[option.needs]}")
        for other, why in option.apart_from.items():
            if other in given:
                raise BlocksError(f"{name} {why}; leave out {other}, or {name}")


# --- a cell, step by step ------------------------------------------------------------------------


@dataclass
class _Drawing:
    """The figure of a cell in the making."""

    graph: Graph
    asked: Mapping[str, Any]
    labels: Labels
    folding: Folding | None = None  # what is folded
    wider: float = 0.0  # room between the wires from left to right, for values
    scales: list[Scale] = field(default_factory=list)  # what the colours of its wires mean

    def __post_init__(self) -> None:
        fold, self.title = self.asked["fold"], self.asked["title"] or "cell"
        wanted = [fold] if isinstance(fold, str) else None if fold is True or not fold else list(fold)
        folding = Folding(wanted, steps=_is_given(self.asked["unroll"]), counts=self.asked["counts"])
        self.folding = folding if _is_given(fold) else None
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
        return diagram_of(self.graph, self.asked["counts"], gradient=gradient, change=change, labels=self.labels)

    @cached_property
    def lanes(self) -> Mapping[str, float]:
        """The number of the lane of each state that the user has placed."""
        return _lanes(self.diagram, self.asked["lane"] or {})

    @cached_property
    def columns(self) -> dict[str, float]:
        """The column of each element that is not to stand where the layout puts it."""
        x = self.asked["x"]
        return best_columns(self.diagram, self.lanes) if x == "search" else _pins(self.diagram, x or {})

    def laid_out(self, diagram: Diagram, rooms: Mapping[str, Room]) -> Scene:
        """A diagram with places, before any step."""
        labelled = self.asked["shapes"] or self.asked["values"]
        room = max(LABEL_ROOM if labelled else 0.0, SUM_ROOM if self.asked["gradient"] else 0.0)
        placed = layout(
            diagram, room + self.wider / 2, self.title, self.columns, self.lanes, wider=self.wider, rooms=rooms
        )
        return emphasise(framed(placed, diagram.elements), diagram, self.asked["highlight"])

    def drawn(self) -> Scene:
        """The scene, with as much room as the values on its wires need."""
        try:
            return self.drawn_so()
        except Crowded:
            self.wider += WIDER
            return self.drawn()

    @property
    def roomy(self) -> bool:
        """Whether there cannot be more room: then a value without a place is left to its tooltip."""
        return self.wider >= WIDEST

    def drawn_so(self) -> Scene:
        """The scene, after all steps that are asked for."""
        self.scales = []
        scene = self.ways()
        for option, step in STEPS:
            if _is_given(self.asked[option]):
                scene = step(self, scene)
        return replace(scene, description=_described(scene.title, self.graph))

    def ways(self) -> Scene:
        """The way of the values forwards, or of the gradient backwards, or both with everything in the same places."""
        gradient = self.asked["gradient"]
        if not _is_given(gradient):
            return _Way(self, self.diagram).drawn()
        forwards, backwards = _Way(self, self.diagram), _Way(self, self.diagram_of(gradient=True), back=True)
        rooms = room_of_both(forwards.rooms(), backwards.rooms())
        if gradient is True:
            return backwards.drawn(rooms)
        scenes = [forwards.drawn(rooms), backwards.drawn(rooms)]
        return panels(scenes, ("forwards", "backwards"), self.title, below=_is_given(self.asked["unroll"]))


@dataclass
class _Way:
    """One way through a cell in the making: forwards, or back."""

    drawing: _Drawing
    diagram: Diagram
    back: bool = False

    def __post_init__(self) -> None:
        asked = self.drawing.asked
        self.asked = asked
        mark, moment = ("∂", _is_given(asked["unroll"])) if self.back else ("", False)
        self.weights: dict[str, Weights] = {}
        if _is_given(asked["gradient"]):
            self.through = backwards(self.diagram)
            found = weights_of(self.diagram, mark, moment)
            self.weights = {key: w for key, w in found.items() if not self.back or key in self.through.weighted}

    @property
    def hang(self) -> float:
        """How far its weights hang below the bricks."""
        return NUMBERED if _is_given(self.asked["values"]) else HANG

    def rooms(self) -> dict[str, Room]:
        """The room that each of its elements needs."""
        return room_for(self.weights, rooms_of(self.diagram), self.hang)

    def drawn(self, rooms: Mapping[str, Room] | None = None) -> Scene:
        """Its scene, after all steps that are asked for."""
        scene = self.drawing.laid_out(self.diagram, rooms or {})
        for option, step in WAY:
            if _is_given(self.asked[option]):
                scene = step(self, scene)
        return scene


def _weights(way: _Way, scene: Scene) -> Scene:
    return with_weights(with_backwards(scene, way.through), way.weights, way.hang)


def _unroll(way: _Way, scene: Scene) -> Scene:
    steps, zoom, full = (way.asked[name] for name in ("unroll", "zoom", "full"))
    joined = unrolled(way.diagram, scene, steps, zoom, full, way.drawing.title)
    return with_shared(joined, way.weights, way.back) if way.weights else joined


def _turned(way: _Way, scene: Scene) -> Scene:
    return reversed_scene(scene) if way.back else scene


def _shapes(way: _Way, scene: Scene) -> Scene:
    return with_shapes(scene)


def _values(way: _Way, scene: Scene) -> Scene:
    graph, feeds, drawing, steps = way.drawing.graph, way.asked["values"], way.drawing, way.asked["unroll"]
    if not way.back and _is_given(way.asked["gradient"]):
        feeds = {k: v for k, v in feeds.items() if k[:2] != "d/"}
    if way.back:
        found = gradients_over_steps(graph, feeds, steps) if steps else [gradient_values(graph, feeds)]
        known = {**named(graph, found, gradient=True), **coming_in(graph, feeds, steps)}
    else:
        known = named(graph, over_steps(graph, feeds, steps) if steps else [computed(graph, feeds)])
    logarithmic = way.asked["scale"] == "log"
    scene, scale = with_values(scene, known, way.back, logarithmic, all=not drawing.roomy)
    drawing.scales.append(scale)
    return scene


WAY: tuple[tuple[str, Callable[[_Way, Scene], Scene]], ...] = (
    ("gradient", _weights),
    ("unroll", _unroll),
    ("gradient", _turned),
    ("shapes", _shapes),
    ("values", _values),
)


def _scales(drawing: _Drawing, scene: Scene) -> Scene:
    return with_scales(scene, drawing.scales)


def _equations(drawing: _Drawing, scene: Scene) -> Scene:
    numbered, below = drawing.asked["equations"] == "numbered", _is_given(drawing.asked["unroll"])
    return with_equations(scene, drawing.graph, drawing.labels, numbered, below)


def _legend(drawing: _Drawing, scene: Scene) -> Scene:
    return with_legend(scene)


def _open(drawing: _Drawing, scene: Scene) -> Scene:
    bricks = drawing.asked["open"]
    inner = [opened(drawing.graph, name, drawing.labels) for name in ([bricks] if isinstance(bricks, str) else bricks)]
    return panels([scene, panels(inner, [s.title for s in inner])], title=scene.title, below=True)


STEPS: tuple[tuple[str, Callable[[_Drawing, Scene], Scene]], ...] = (
    ("values", _scales),
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
