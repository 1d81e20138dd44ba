"""A painting as PDF, by matplotlib's writer: a page of the figure's size, with the package's own fonts embedded, so
that its text can be found and copied."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from ..fonts import file_of
from ..text import Line, baselines, pieces, width_in
from .paint import BOLD, EDGE, ROUND, Area, Painting, Stroke

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DASHES = (4.0, 3.0)


def pdf(painting: Painting, title: str, description: str) -> bytes:
    """The painting as PDF."""
    import matplotlib
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.figure import Figure

    page = Figure(figsize=(painting.width / 72, painting.height / 72), facecolor=painting.ground)
    FigureCanvasPdf(page)
    _Pen(page, painting)
    out = io.BytesIO()
    said = {"Title": title, "Subject": description, "Creator": "blocks", "CreationDate": None}
    with matplotlib.rc_context({"pdf.fonttype": 42}):  # TrueType, which printers and journals ask for
        page.savefig(out, format="pdf", metadata=said, facecolor=painting.ground)
    return out.getvalue()


class _Pen:
    """Puts a painting onto a page, in points from the lower left corner."""

    def __init__(self, page: Figure, painting: Painting):
        from matplotlib.transforms import Affine2D

        self.page = page
        self.transform = Affine2D().scale(1 / 72) + page.dpi_scale_trans
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
        for words in painting.labels:
            self.lines(words.lines, words.x, words.y, words.ink)

    def add(self, path: Any, **pen: Any) -> None:
        from matplotlib.patches import PathPatch

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
            self.line(text, x - text.width / 2, baseline, ink)

    def line(self, text: Line, left: float, baseline: float, ink: str) -> None:
        for run in text.runs:
            size, y = text.size * run.scale, baseline + text.size * run.rise
            for words, face in pieces(run):
                style = {"fontproperties": _face(face), "fontsize": size, "color": ink, "parse_math": False}
                self.page.text(left, y, words, va="baseline", transform=self.transform, **style)
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
    return BoxStyle.Round(pad=0, rounding_size=radius)(left, bottom, area.w, area.h, 1)
