"""What can be drawn of a graph: a cell, its steps side by side, its gradient, the inside of its bricks; or any graph,
with its loops as cells in frames.

Each option is a row of `OPTIONS`, which says what takes it, and most are a step of `drawing.STEPS`, done in that order
to the scene of a cell. An option that nothing takes is an error, raised before anything is drawn.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import wraps
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Never

from ..arguments import checked
from ..errors import BlocksError, WiringError, nearest
from ..graph import Graph, check_graph, subgraphs
from .diagram.elements import is_cell
from .diagram.network import network_of, network_of_error
from .drawing import LABEL_ROOM, LARGEST, ROOMS, Drawing, is_given
from .figure import Figure
from .layers.blocks import measure_of, with_bars, with_sizes
from .layers.emphasis import Wanted, emphasise_layers
from .layers.labels import places, with_words
from .layers.legend import with_legend
from .layout.boxes import Ways, drawn
from .layout.route import Unroutable
from .layout.written import Steps
from .scene import Point, Scene, Wire, fit
from .text import clip
from .themes import Theme
from .themes import theme as theme_of
from .typeset import Labels

if TYPE_CHECKING:
    from ..trace import Trace

SPACE = 60.0  # beside a figure, for the labels of its wires
CELL, LAYERS, LOOPS = "one step of a cell", "a graph of any kind", "a graph with a loop over time"
NEEDED_FOR = {"unroll": "the steps of a cell side by side", "values": "the colours of numbers"}


WORDS = {  # option → what it can be, besides None, and how that is said
    "scale": (("linear", "log"), "'linear' or 'log'"),
    "shapes": ((False, True, "blocks"), "True or 'blocks'"),
    "gradient": ((False, True, "beside"), "True or 'beside'"),
    "equations": ((False, True, "numbered"), "True or 'numbered'"),
}


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
    "unroll": Option((CELL, LOOPS)),
    "zoom": Option((CELL, LOOPS), needs="unroll"),
    "full": Option((CELL, LOOPS), needs="unroll"),
    "open": Option((CELL,)),
}


@checked
def draw(
    graph: Graph,
    highlight: Wanted = None,
    bricks: bool = True,
    shapes: bool | str = False,
    counts: bool = False,
    open: str | Iterable[str] | None = None,
    unroll: int | None = None,
    zoom: int | str | None = None,
    full: bool = False,
    gradient: bool | str | None = None,
    theme: str | Theme | Mapping[str, Any] = "classic",
    values: Mapping[str, Any] | Trace | None = None,
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
    """A `Figure` of a graph. One step of a cell is laid out as cells are, with its states on conveyors; any other graph
    in ranks from below upwards, each of its loops as a cell in a frame, with arrows from the new values of its states
    round to the old ones.

    Args:
        highlight: what to emphasise, the rest is faded: names of bricks, inputs, states, outputs, groups of
            bricks or cells inside the cell, or a predicate on nodes.
        bricks: fold the operations of each brick into one box; else draw every operation by itself.
        shapes: write the shape on each wire; "blocks" for bars and rectangles whose sides are as long as the sizes, of
            each value and of the weights of each brick.
        counts: write into each brick how many weights it has.
        open: bricks to show opened below the cell.
        unroll: how many steps to draw side by side, of a cell or of each loop over time. The middle of more than seven
            is left out unless `full`.
        zoom: the step to show open, from 1; "all" or "none". By default the middle one.
        gradient: True for the way of the gradient alone; "beside" for both, with the same places; what is wide, one
            below the other. Each operation says what it multiplies with; forward values that it needs come in on grey
            wires; the gradient of the weights hangs from each brick, and with `unroll` those of all steps are added.
        values: feeds of a run, name → array, whose values are to stand on the wires: four numbers written out, up to 16
            as a strip of bars, more as their root mean square, with a colour; with `gradient`, also the gradient that
            comes in, ``d/y`` or ``d/next/h``. With `unroll`, inputs and ``d/y`` have the steps as their first
            dimension. What they do not suffice for is drawn as not computed. Or a `Trace` of the cell, with `unroll` as
            many steps as it has.
        scale: "log" for colours by order of magnitude; "linear" otherwise.
        fold: cells inside the cell to draw as one box each, by name; True for all. In a figure of more than
            120 elements all are.
        theme: "classic", "monochrome" or "dark"; a `Theme`; or a dict of what differs, ``{"like": "dark", "brick":
            "#224466"}``, see `themes.theme`.
        title: the figure's title, also the name on closed steps.
        labels: name of a brick, input, state, output or wire (`named`) → what stands in its place, in the language of
            `typeset`, as TeX has it: ``{"forget": "f_t", "C": r"\\tilde{C}"}``.
        legend: say below the figure what its marks mean.
        equations: write the equations beside the figure, each in one with its part under the pointer; "numbered" with
            numbers. With `highlight`, those of what is emphasised.
        x: name → column, for what the user wants elsewhere; the bricks stand in the columns 1, 2, … then, as they were
            made, as with "made". By default in the order in which the fewest wires cross, of equal ones the author's.
        lane: state → the number of its lane, 1 at the top.

    Raises BlocksError for a name that the graph does not have, for an option that there is not, and, before
    anything is drawn, for one that what is drawn does not take.
    """
    if not (highlight is None or isinstance(highlight, str) or callable(highlight)):
        highlight = [*highlight]  # it is asked for more than once
    asked: dict[str, Any] = {
        "highlight": highlight, "bricks": bricks, "shapes": shapes, "counts": counts, "open": open, "unroll": unroll,
        "zoom": zoom, "full": full, "gradient": gradient, "theme": theme, "values": values, "scale": scale,
        "fold": fold, "title": title, "labels": labels, "legend": legend, "equations": equations,
        "x": x, "lane": lane,
    }  # fmt: skip
    check_graph(graph, "draw")
    for name in unknown:
        raise BlocksError(f"there is no option {name!r}{nearest(name, OPTIONS)}; there are {', '.join(OPTIONS)}")
    _check_values(asked)
    if values is not None and not isinstance(values, Mapping):
        asked["values"] = _of_trace(values, graph, unroll, is_given(gradient))
    colours, called = theme_of(theme), Labels(labels)
    given = [name for name, value in asked.items() if is_given(value)]
    obstacle = _obstacle(graph, bricks)
    loops = bricks and any(subgraphs(node) for node in graph.order())
    _check(given, obstacle, LOOPS if loops else LAYERS)
    if zoom == "none" and (hidden := [name for name in given if OPTIONS[name].inside]):
        raise BlocksError(f"{' and '.join(hidden)}: seen only in a step that is open, and with zoom='none' none is")
    if not obstacle:
        scene, obstacle = _as_a_cell(graph, asked, called)
        if scene:
            return Figure(scene, colours)
        _check(given, obstacle, LAYERS)
    return Figure(_in_ranks(graph, asked, called), colours)


def _as_a_cell(graph: Graph, asked: Mapping[str, Any], labels: Labels) -> tuple[Scene | None, str]:
    """The scene of one step of a cell; or None, and why there is none."""
    drawing = Drawing(graph, asked, labels)
    if (parts := len(drawing.diagram.elements)) > LARGEST:
        return None, f"it is too large: it has {parts} parts, of {LARGEST} at most"
    try:
        return drawing.drawn(), ""
    except Unroutable:
        return None, "it has so many wires that there is no way for all"


def _in_ranks(graph: Graph, asked: Mapping[str, Any], labels: Labels) -> Scene:
    """The scene of any graph, its loops in frames."""
    shapes, unroll = asked["shapes"], asked["unroll"]
    measure = measure_of(graph) if shapes == "blocks" else None
    steps = Steps(unroll, asked["zoom"], asked["full"]) if unroll else None
    ways = Ways(asked["bricks"], labels, LABEL_ROOM * bool(shapes), measure, steps)
    scene, elements = drawn(network_of(graph, asked["bricks"], labels), ways, asked["title"] or _named(graph))
    labels.check()
    scene = emphasise_layers(scene, elements, asked["highlight"])
    scene = fit(with_words(scene.with_space(SPACE), True)) if shapes is True else with_words(scene, False)
    scene = with_sizes(with_bars(scene, measure), measure) if measure else scene
    return with_legend(scene) if asked["legend"] else scene


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
        drawing = None if obstacle else Drawing(graph, asked, Labels(None), named=False)
        if drawing is not None and len(drawing.diagram.elements) > LARGEST:
            obstacle = f"it has {len(drawing.diagram.elements)} parts, of {LARGEST} at most"
        elif drawing is not None:
            scene = drawing.drawn_so()
            where, crowded = places(scene, size)
            for drawing.wider in ROOMS:
                if not crowded:
                    break
                scene = drawing.drawn_so()
                where, crowded = places(scene, size)
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
    scene, _ = drawn(network_of_error(error), Ways(room=LABEL_ROOM), "a wiring error")
    wrong = [w.net for w in scene.wires if w.kind == "wrong"]
    scene = fit(with_words(scene.with_space(SPACE), shapes=True, nets=wrong))
    return Figure(replace(scene, description=str(error)), theme_of(theme))


def _of_trace(trace: Trace, graph: Graph, unroll: int | None, gradient: bool) -> dict[str, Any]:
    """What a figure of a trace is fed. Raises BlocksError for another number of steps, and for what is no trace."""
    from ..trace import Trace  # which trains, and what trains draws

    if not isinstance(trace, Trace):
        raise BlocksError(f"values are name → array, or a Trace, not {type(trace).__name__}")
    if unroll != trace.steps:
        raise BlocksError(f"values: the trace has {trace.steps} steps; draw them all, unroll={trace.steps}")
    return trace.feeds_of(graph, gradient)


def _named(graph: Graph) -> str:
    return clip(f"graph with the outputs {', '.join(graph.outputs)}", 90)


# --- which options go together -------------------------------------------------------------------


def _check_values(asked: Mapping[str, Any]) -> None:
    """Raises BlocksError for an option that is none of its values, or not with another one's."""
    if isinstance(asked["x"], str) and asked["x"] != "made":
        raise BlocksError(f"x is 'made', or name → column, not {asked['x']!r}")
    for name, (values, said) in WORDS.items():
        if asked[name] not in (None, *values):
            raise BlocksError(f"{name} is {said}, not {asked[name]!r}")
    if asked["shapes"] == "blocks" and is_given(asked["gradient"]):
        raise BlocksError("shapes='blocks' hang where the gradient of weights would; leave out gradient, or shapes")


def _obstacle(graph: Graph, bricks: bool) -> str:
    """Why a graph is not drawn as one step of a cell; "" if it is."""
    if not bricks:
        return "with bricks=False each operation is drawn by itself"
    if any(subgraphs(node) for node in graph.order()):
        return "it has a loop over time in it; draw the cell itself, cell.draw()"
    if any(node.role == "gradient" for node in graph.order()):
        return "it has a gradient in it"
    return "" if is_cell(graph) else "it has no state that goes from step to step"


def _check(given: list[str], obstacle: str, other: str) -> None:
    """Raises BlocksError for options that what is drawn does not take; `other`: what that is if it is no cell."""
    drawn = {other, LAYERS} if obstacle else {CELL}
    wrong = [name for name in given if not drawn & {*OPTIONS[name].taken_by}]
    if wrong:
        takers = " or ".join(dict.fromkeys(view for name in wrong for view in OPTIONS[name].taken_by))
        taken = ", ".join(name for name, option in OPTIONS.items() if drawn & {*option.taken_by})
        raise BlocksError(
            f"{' and '.join(wrong)}: only for {takers}, drawn with its bricks. That is not so here: "
            f"{obstacle}; such a figure takes {taken}"
        )
    for name in given:
        option = OPTIONS[name]
        if option.needs and option.needs not in given:
            raise BlocksError(f"{name}: only with {option.needs}, for {NEEDED_FOR[option.needs]}")
        for other, why in option.apart_from.items():
            if other in given:
                raise BlocksError(f"{name} {why}; leave out {other}, or {name}")
