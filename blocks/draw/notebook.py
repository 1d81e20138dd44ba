"""What a notebook shows: a figure in the page itself, as wide as the page at most; of a graph or a cell its figure; of
a model its figure and the table of its weights.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Container
from typing import TYPE_CHECKING

from ..errors import BlocksError
from ..train.summary import HEAD

if TYPE_CHECKING:
    from ..cell import Cell
    from ..graph import Graph
    from ..train.model import Model

Bundle = dict[str, str]


def figure_bundle(
    thing: Graph | Cell, include: Container[str] | None = None, exclude: Container[str] | None = None
) -> Bundle:
    """The figure of a graph or a cell, by MIME type; its text alone if there is none to be had, and why."""
    try:
        drawn = thing.draw().render("svg").decode()
    except BlocksError as error:
        said = f"{thing!r}, not drawn: {error}"
        return chosen({"text/plain": lambda: said}, include, exclude)
    makers = {"text/html": lambda: drawn, "image/svg+xml": lambda: drawn, "text/plain": lambda: repr(thing)}
    return chosen(makers, include, exclude)


def model_bundle(model: Model, include: Container[str] | None = None, exclude: Container[str] | None = None) -> Bundle:
    """A model's figure with the table of its weights, by MIME type."""

    def page() -> str:
        try:
            picture = model.graph.draw().render("svg").decode()
        except BlocksError as error:
            picture = f"<p>Not drawn: {html.escape(str(error))}</p>"
        return f"{picture}\n{_table(model)}"

    return chosen({"text/html": page, "text/plain": lambda: f"{model!r}\n{model.summary()}"}, include, exclude)


def chosen(
    makers: dict[str, Callable[[], str]], include: Container[str] | None = None, exclude: Container[str] | None = None
) -> Bundle:
    """What a front end asks for; all by default."""
    asked = (kind for kind in makers if (include is None or kind in include) and kind not in (exclude or ()))
    return {kind: makers[kind]() for kind in asked}


def _table(model: Model) -> str:
    """The bricks and their weights as a table."""
    rows = model.rows()
    cells = ([*map(html.escape, row[:4]), f"{row.number:,}"] for row in rows)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in cells)
    head = "<tr>" + "".join(f"<th>{name}</th>" for name in HEAD) + "</tr>"
    foot = f"<tr><th>total</th><td></td><td></td><td></td><th>{sum(row.number for row in rows):,}</th></tr>"
    return f"<table><thead>{head}</thead><tbody>{body}</tbody><tfoot>{foot}</tfoot></table>"
