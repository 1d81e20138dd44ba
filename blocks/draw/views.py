"""What can be drawn of a graph: a cell, or the operations of any graph."""

from __future__ import annotations

from ..graph import Graph
from .diagram import diagram_of, is_cell
from .emphasis import Wanted, emphasise
from .figure import Figure
from .layered import layered
from .layout import layout
from .route import Unroutable
from .themes import theme as theme_of

LARGEST = 120  # elements; a larger graph is drawn in layers


def draw(
    graph: Graph,
    highlight: Wanted = None,
    bricks: bool = True,
    shapes: bool = False,
    theme: str = "classic",
) -> Figure:
    """A `Figure` of a graph."""
    colours = theme_of(theme)
    if bricks and is_cell(graph):
        try:
            diagram = diagram_of(graph)
            if len(diagram.elements) <= LARGEST:
                scene = emphasise(layout(diagram, shapes), diagram, highlight)
                return Figure(scene, colours)
        except Unroutable:
            pass
    return Figure(layered(graph, highlight, bricks, shapes), colours)
