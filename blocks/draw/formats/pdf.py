"""A painting as PDF, by matplotlib's writer: a page of the figure's size, with the package's own fonts embedded, so
that its text can be found and copied."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from ...optional import needed
from ..fonts import file_of, has
from ..text import Line, baselines, pieces, width_in
from .page import Page
from .paint import BOLD, EDGE, ROUND, Area, Painting, Stroke

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DASHES = (4.0, 3.0)


def pdf(painting: Painting, title: str, description: str, paper: Page) -> bytes:
    """The painting as PDF."""
    matplotlib = needed("matplotlib", "a figure as PDF")
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.figure import Figure

    scale, ground = paper.scale(painting.width), "none" if paper.transparent else painting.ground
    page = Figure(figsize=(painting.width * scale / 72, painting.height * scale / 72))
    FigureCanvasPdf(page)
    _Pen(page, scale, paper.font).paint(painting)
    out = io.BytesIO()
    said = {"Title": title, "Subject": description, "Creator": "blocks", "CreationDate": None}
    with matplotlib.rc_context({"pdf.fonttype": 42}):  # TrueType, which printers and journals ask for
        page.savefig(out, format="pdf", metadata=said, facecolor=ground)
    return out.getvalue()


class _Pen:
    """Puts a painting onto a page, in points from the lower left corner. font: the file of another font for words."""

    def __init__(self, page: Figure, scale: float, font: str | None):
        from matplotlib.transforms import Affine2D

        self.page, self.scale, self.font = page, scale, font
        self.transform = Affine2D().scale(scale / 72) + page.dpi_scale_trans

    def paint(self, painting: Painting) -> None:
        for area, caption in painting.frames:
            self.area(area)
            if caption:
                self.lines(caption.lines, caption.x, caption.y, caption.ink)
        for stroke in painting.strokes:
            self.stroke(stroke)
        for fork in painting.forks:
            self.add(self.round(fork), facecolor=fork.fill, linewidth=0)
        for area in painting.shapes:
            self.area(area)
        for words in (*painting.labels, *painting.notes):
            self.lines(words.lines, words.x, words.y, words.ink)

    def add(self, path: Any, **pen: Any) -> None:
        from matplotlib.patches import PathPatch

        pen["linewidth"] *= self.scale
        self.page.add_artist(PathPatch(path, transform=self.transform, clip_on=False, **pen))

    def area(self, area: Area) -> None:
        pen = {"facecolor": area.fill, "edgecolor": area.edge, "linewidth": BOLD if area.bold else EDGE}
        if area.form in ("circle", "ring", "sum"):
            self.add(self.round(area), **pen)
        elif area.form != "text":
            self.add(_rounded(area), **pen)
        if area.lines:
            self.lines(area.lines, area.x, area.y, area.ink)

    def round(self, area: Area) -> Any:
        from matplotlib.path import Path

        return Path.circle((area.x, area.y), area.w / 2)

    def stroke(self, stroke: Stroke) -> None:
        from matplotlib.path import Path

        dashes: Any = (0, DASHES) if stroke.dashed else "solid"
        path = Path(stroke.body, [Path.MOVETO, *[Path.CURVE4] * (len(stroke.body) - 1)])
        self.add(path, fill=False, edgecolor=stroke.ink, linewidth=stroke.width, linestyle=dashes, capstyle="butt")
        if stroke.arrow:
            self.add(Path([*stroke.head, stroke.head[0]], closed=True), facecolor=stroke.ink, linewidth=0)

    def lines(self, lines: Sequence[Line], x: float, y: float, ink: str) -> None:
        for text, baseline in baselines(lines, y):
            self.line(text, x, baseline, ink)

    def line(self, text: Line, x: float, baseline: float, ink: str) -> None:
        placed: list[tuple[str, str, float, float]] = []  # words, their face, their size, their baseline
        for run in text.runs:
            for words, plain in pieces(run):
                own = self.font and plain == "sans" and all(has(self.font, c) for c in words)
                face = self.font if self.font and own else plain
                placed.append((words, face, text.size_of(run), baseline + text.size * run.rise))
        left = x - sum(width_in(face, words) * size for words, face, size, _ in placed) / 2
        for words, face, size, y in placed:
            style = {"fontproperties": _face(face), "fontsize": size * self.scale, "color": ink}
            self.page.text(left, y, words, va="baseline", transform=self.transform, parse_math=False, **style)
            left += width_in(face, words) * size


@cache
def _face(face: str) -> Any:
    from matplotlib.font_manager import FontProperties

    return FontProperties(fname=str(file_of(face)))


def _rounded(area: Area) -> Any:
    """A rectangle with round corners."""
    from matplotlib.patches import BoxStyle
    from matplotlib.path import Path

    radius = min(ROUND.get(area.form, 0.0), area.w / 2, area.h / 2)
    left, bottom, right, top = area.x - area.w / 2, area.y - area.h / 2, area.x + area.w / 2, area.y + area.h / 2
    if not radius:
        return Path([(left, bottom), (right, bottom), (right, top), (left, top), (left, bottom)], closed=True)
    style: Any = BoxStyle("Round", pad=0, rounding_size=radius)
    return style(left, bottom, area.w, area.h, 1)
