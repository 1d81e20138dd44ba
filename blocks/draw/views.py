"""What can be drawn of a graph: a cell, its steps side by side, its gradient, the inside of its bricks; or the
operations of any graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ..equations import equations
from ..errors import BlocksError, WiringError, nearest
from ..graph import Graph, Node
from .diagram.cell import diagram_of
from .diagram.elements import Diagram, is_cell
from .diagram.groups import fold as fold_groups
from .diagram.groups import members
from .figure import Figure
from .layers.emphasis import Wanted, emphasise
from .layers.gradients import reversed_scene
from .layers.groups import framed
from .layers.labels import with_shapes
from .layers.opened import opened
from .layers.panels import panels
from .layers.unrolled import unrolled
from .layers.values import computed, gradient_values, legend, with_values
from .layout.cell import layout
from .layout.layered import layered, wrong_wires
from .layout.route import Unroutable
from .scene import Scene
from .themes import theme as theme_of

LARGEST = 120  # elements; a larger graph is drawn in layers
LABEL_ROOM, SUM_ROOM = 9.0, 9.0


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
    theme: str = "classic",
    values: Mapping[str, Any] | None = None,
    fold: bool | str | Iterable[str] = False,
    title: str | None = None,
    x: Mapping[str, float] | None = None,
    lane: Mapping[str, float] | None = None,
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
        gradient: True for the way of the gradient alone; "beside" for both.
        values: feeds of a run, name → array, whose values are to stand on the wires; with `gradient`, also the
            gradient that comes in, ``d/y`` or ``d/next/h``. What they do not suffice for is drawn as not computed.
        fold: cells inside the cell to draw as one box each, by name; True for all. In a figure of more than
            120 elements all are.
        theme: "classic", "monochrome" or "dark".
        title: the figure's title, also the name on closed steps.
        x: name → column, for what the user wants elsewhere; the bricks stand in the columns 1, 2, ….
        lane: state → the number of its lane, 1 at the top.

    Raises BlocksError for a name that the graph does not have, and for options that do not fit it.
    """
    colours = theme_of(theme)
    if gradient not in (None, False, True, "beside"):
        raise BlocksError(f"gradient is True or 'beside', not {gradient!r}")
    if values is not None and unroll is not None:
        raise BlocksError("values stand on the wires of one step; leave out unroll, or values")
    if bricks and is_cell(graph):
        wanted_groups = [fold] if isinstance(fold, str) else None if isinstance(fold, bool) else list(fold)
        change = (lambda elements: fold_groups(elements, wanted_groups)) if fold else None
        diagram = diagram_of(graph, counts, change=change)
        if len(diagram.elements) > LARGEST and not fold and members(diagram.elements):
            change = fold_groups
            diagram = diagram_of(graph, counts, change=change)
        if len(diagram.elements) <= LARGEST:
            try:
                room = max(LABEL_ROOM if shapes or values else 0.0, SUM_ROOM if gradient else 0.0)
                pins, lanes = _pins(diagram, x or {}), _lanes(diagram, lane or {})

                def laid_out(of: Diagram) -> Scene:
                    scene = framed(layout(of, room, title or "cell", pins, lanes), of.elements)
                    return emphasise(scene, of, highlight)

                scene = laid_out(diagram)
                if shapes:
                    scene = with_shapes(scene)
                said: dict[Node, Any] = {}
                if values is not None and gradient is not True:
                    said = computed(graph, {k: v for k, v in values.items() if not gradient or k[:2] != "d/"})
                    scene = with_values(scene, diagram, said, colours)
                if gradient:
                    marked = diagram_of(graph, counts, mark="∂", change=change)
                    back = reversed_scene(marked, laid_out(marked))
                    if values is not None:
                        slopes = gradient_values(graph, values)
                        back = with_values(back, marked, slopes, colours)
                        said = {**slopes, **said}
                    both = ("forwards", "backwards")
                    scene = back if gradient is True else panels([scene, back], both, title or "cell")
                if said:
                    scene = panels([scene], (legend(said),), title or "cell")
                if unroll is not None:
                    scene = unrolled(diagram, scene, unroll, zoom, full, title or "cell")
                names = [open] if isinstance(open, str) else list(open or [])
                if names:
                    inner = [opened(graph, name) for name in names]
                    scene = panels([scene, panels(inner, [s.title for s in inner])], title=scene.title, below=True)
                return Figure(replace(scene, description=_described(scene.title, graph)), colours)
            except Unroutable:
                pass
    wanted = [
        name
        for name, value in (("unroll", unroll), ("gradient", gradient), ("open", open), ("values", values))
        if value
    ]
    if wanted:
        raise BlocksError(f"{' and '.join(wanted)}: only for one step of a cell, drawn with its bricks")
    scene = layered(graph, highlight, bricks, shapes)
    return Figure(replace(scene, title=title or scene.title), colours)


def draw_error(error: WiringError, theme: str = "classic") -> Figure:
    """A `Figure` of a wiring error: the operands as far as they were built, and the operation that does not
    take them, with the wires between them marked and their shapes written on them."""
    return Figure(wrong_wires(error), theme_of(theme))


def _described(title: str, graph: Graph) -> str:
    """A figure in words: what comes in, and the equations."""
    shown = [name for name in graph.inputs if len(name) <= 40]
    said = "; ".join(text for text in equations(graph) if len(text) <= 200)
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
