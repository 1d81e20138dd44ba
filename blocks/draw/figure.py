"""A `Figure`: it shows itself in a notebook and saves by file ending."""

from __future__ import annotations

import os
from collections.abc import Callable, Container
from pathlib import Path
from typing import TYPE_CHECKING, Any

import graphviz

from ..errors import BlocksError
from ..files import write_whole
from .formats.dotfile import to_dot
from .formats.export import graphml, json_text, network
from .formats.mermaid import mermaid
from .formats.page import Page, page_of
from .formats.paint import Painting, paint, words_of
from .formats.pdf import pdf
from .formats.png import png
from .formats.svg import DRAWN, digest, svg
from .formats.tikz import document, tikz
from .notebook import chosen
from .scene import Scene
from .text import missing
from .themes import THEMES, Theme

if TYPE_CHECKING:
    import networkx

FORMATS = ("svg", "png", "pdf", "dot", "tex", "tikz", "mmd", "graphml", "json")


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
        """What tells this figure from another one, the same on every machine."""
        return digest(self._svg())

    def to_networkx(self) -> networkx.MultiDiGraph:
        """What is drawn, as a graph: shapes and wires with their labels, kinds and places."""
        return network(self.scene)

    def render(self, format: str, **page: Any) -> bytes:
        """The figure as bytes: "svg", "png", "pdf", "dot", "tex" (TikZ, a document of its own), "tikz"
        (the same for ``\\input``), "mmd" (Mermaid), "graphml" or "json" (networkx's node-link form).

        page: the options of `save`.

        Raises BlocksError for another format, for an option that it does not have, and for a letter that its fonts
        lack.
        """
        if format not in FORMATS:
            raise BlocksError(f"a figure can be {', '.join(FORMATS)}, not {format!r}")
        paper = page_of(format, **page)
        if format in ("png", "pdf"):
            return self._printed(format, paper)
        texts: dict[str, Callable[[], str]] = {
            "svg": lambda: self._svg(page=paper),
            "dot": lambda: self.dot.source,
            "tex": lambda: document(self._painted(), paper),
            "tikz": lambda: tikz(self._painted(), paper),
            "mmd": lambda: mermaid(self.scene, self._painted()),
            "graphml": lambda: graphml(self.to_networkx()),
            "json": lambda: json_text(self.to_networkx()),
        }
        return texts[format]().encode()

    def save(
        self,
        path: str | os.PathLike[str],
        width: float | str | None = None,
        font: str | os.PathLike[str] | None = None,
        dpi: float | None = None,
        transparent: bool = False,
    ) -> Path:
        """Write the figure in the format that the file's ending says; see `render`.

        Args:
            width: of the printed figure, in points or with a unit, "8.5cm"; by default as it is drawn. For .svg, .png,
                .pdf, .tex and .tikz.
            font: the file of a TrueType or OpenType font for words. For .svg, which names its family, .png and .pdf.
            dpi: pixels an inch of a .png, by default 144.
            transparent: leave out the ground. For .svg, .png, .pdf, .tex and .tikz.

        Raises BlocksError for another ending, for an option that the format does not have, and for a letter that its
        fonts lack.
        """
        target = Path(path)
        format = target.suffix.lower().lstrip(".")
        if format not in FORMATS:
            endings = ", ".join("." + f for f in FORMATS)
            raise BlocksError(f"{target.name!r}: a figure is saved as {endings}")
        if not target.parent.is_dir():
            raise BlocksError(f"there is no folder {os.fspath(target.parent)!r} for the figure")
        write_whole(target, self.render(format, width=width, font=font, dpi=dpi, transparent=transparent))
        return target

    def _painted(self, theme: Theme | None = None) -> Painting:
        return paint(self.scene, theme or self.theme)

    def _svg(self, nights: bool = True, page: Page = DRAWN) -> str:
        """The figure as SVG; `nights`: with the colours of a dark page, where the theme has any."""
        night = THEMES.get(self.theme.night) if nights else None
        return svg(self._painted(), self.title, self.description, self._painted(night) if night else None, page)

    def _printed(self, format: str, page: Page) -> bytes:
        """The figure as PNG or PDF, whose fonts are known."""
        painting = self._painted()
        if lacking := missing(words_of(painting), page.font):
            raise BlocksError(
                f"the fonts of the package, in which a {format.upper()} is set, have no "
                f"{', '.join(map(repr, lacking))}; give the file of a font that has, font='….ttf', or save the figure "
                "as .svg, which the reader's fonts show"
            )
        if format == "pdf":
            return pdf(painting, self.title, self.description, page)
        longest = max(painting.width, painting.height) * page.scale(painting.width)
        return png(self._svg(nights=False, page=page), longest, page.dpi, page.font)

    def _repr_svg_(self) -> str:
        return self._svg()

    def _repr_mimebundle_(
        self, include: Container[str] | None = None, exclude: Container[str] | None = None
    ) -> dict[str, str]:
        makers = {"text/html": self._svg, "image/svg+xml": self._svg, "text/plain": lambda: repr(self)}
        return chosen(makers, include, exclude)

    def __repr__(self) -> str:
        return f"<Figure of {len(self.scene.shapes)} shapes: {self.title}; .save('figure.svg')>"
