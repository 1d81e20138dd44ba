"""A `Figure`: it shows itself in a notebook and saves by file ending."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import graphviz

from ..errors import BlocksError
from ..files import write_whole
from .formats.dotfile import to_dot
from .formats.export import graphml, json_text, network
from .formats.mermaid import mermaid
from .formats.paint import paint
from .formats.svg import described, rendered
from .formats.tikz import tikz
from .scene import Scene
from .themes import Theme

if TYPE_CHECKING:
    import networkx

FORMATS = ("svg", "png", "pdf", "dot", "tex", "mmd", "graphml", "json")


class Figure:
    """A drawing of a graph.

    Attributes: scene, the geometry; theme, the colours; title and description, for readers of the screen.
    """

    def __init__(self, scene: Scene, colours: Theme):
        self.scene, self.theme = scene, colours
        self.title, self.description = scene.title, scene.description or scene.title

    @property
    def dot(self) -> graphviz.Digraph:
        """The figure as a `graphviz.Digraph` with every position given (engine ``nop2``)."""
        return to_dot(paint(self.scene, self.theme))

    @property
    def digest(self) -> str:
        """What tells this figure from another one: the same on every machine, whatever its fonts."""
        return hashlib.sha256(self.dot.source.encode()).hexdigest()[:16]

    def to_networkx(self) -> networkx.MultiDiGraph:
        """What is drawn, as a graph: shapes and wires with their labels, kinds and places."""
        return network(self.scene)

    def render(self, format: str) -> bytes:
        """The figure as bytes: "svg", "png", "pdf", "dot", "tex" (TikZ, a document of its own), "mmd"
        (Mermaid), "graphml" or "json" (networkx's node-link form). Needs no Graphviz on the machine.

        Raises BlocksError for another format.
        """
        if format not in FORMATS:
            raise BlocksError(f"a figure can be {', '.join(FORMATS)}, not {format!r}")
        if format in ("svg", "png", "pdf"):
            image = rendered(self.dot, format, max(self.scene.width, self.scene.height))
            return described(image, self.title, self.description, self.digest) if format == "svg" else image
        texts: dict[str, Callable[[], str]] = {
            "dot": lambda: self.dot.source,
            "tex": lambda: tikz(paint(self.scene, self.theme)),
            "mmd": lambda: mermaid(self.to_networkx()),
            "graphml": lambda: graphml(self.to_networkx()),
            "json": lambda: json_text(self.to_networkx()),
        }
        return texts[format]().encode()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the figure in the format that the file's ending says. Raises BlocksError for another one."""
        target = Path(path)
        format = target.suffix.lower().lstrip(".")
        if format not in FORMATS:
            endings = ", ".join("." + f for f in FORMATS)
            raise BlocksError(f"{target.name!r}: a figure is saved as {endings}")
        if not target.parent.is_dir():
            raise BlocksError(f"there is no folder {os.fspath(target.parent)!r} for the figure")
        write_whole(target, self.render(format))
        return target

    def _repr_svg_(self) -> str:
        return self.render("svg").decode()

    def __repr__(self) -> str:
        return f"<Figure of {len(self.scene.shapes)} shapes: {self.title}; .save('figure.svg')>"
