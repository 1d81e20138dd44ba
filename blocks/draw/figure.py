"""A `Figure`: it shows itself in a notebook and saves by file ending."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import graphviz

from ..graph import BlocksError
from ..train.files import write_whole

FORMATS = ("svg", "png", "pdf", "dot")


class Figure:
    """A drawing of a graph.

    Attributes: dot, a `graphviz.Digraph`, whose source any Graphviz tool reads.
    """

    def __init__(self, dot: graphviz.Digraph):
        self.dot = dot

    def render(self, format: str) -> bytes:
        """The figure as bytes: "svg", "png", "pdf" or "dot". Needs no Graphviz on the machine.

        Raises BlocksError for another format.
        """
        if format not in FORMATS:
            raise BlocksError(f"a figure can be {', '.join(FORMATS)}, not {format!r}")
        if format == "dot":
            return str(self.dot.source).encode()
        import pygraphviz

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Graphviz's remarks about fonts
            return bytes(pygraphviz.AGraph(string=self.dot.source).draw(format=format, prog="dot"))

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
        return f"<Figure of {len(self.dot.body)} parts; .save('figure.svg')>"
