"""The book's figures, and one for each cell of the gallery: what ``blocks figures`` writes.

7.3 shows the SRN and the LSTM, three steps each, the middle one open; 7.4 one LSTM, four times, with its cell
state and its three gates emphasised (Skansi 2018, *Introduction to Deep Learning*, section 7.5, after Olah's
*Understanding LSTM Networks*).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from .. import cells
from ..cells.table import FAMILIES, GALLERY
from ..errors import BlocksError
from ..files import write_whole
from .figure import FORMATS, Figure
from .layers.panels import panels
from .themes import theme as theme_of
from .views import draw

SIZE = 8  # features and units of the cells that are drawn
EMPHASIS = {"a": ["C"], "b": ["f"], "c": ["ff", "C*"], "d": ["fff"]}
TITLES = {
    "a": "The LSTM, its cell state emphasised",
    "b": "The LSTM, its forget gate emphasised",
    "c": "The LSTM, its input gate emphasised: ff, C* and their product",
    "d": "The LSTM, its output gate emphasised",
}


def figure_7_3(theme: str = "classic") -> Figure:
    """The SRN and below it the LSTM of the book: one line from step to step, and two."""
    scenes = [
        draw(cells.book_srn(SIZE, SIZE).graph, unroll=3, title="SRN", labels={"f_h": "h"}, theme=theme).scene,
        draw(cells.book_lstm(SIZE, SIZE).graph, unroll=3, title="LSTM", theme=theme).scene,
    ]
    title = "A simple recurrent network and an LSTM over three steps, the middle one open"
    captions = ("SRN: one line from step to step", "LSTM: two lines from step to step")
    return Figure(panels(scenes, captions, title, below=True), theme_of(theme))


def figure_7_4(part: str, theme: str = "classic") -> Figure:
    """The book's LSTM with one part emphasised: "a" the cell state, "b" the forget gate, "c" the input gate,
    "d" the output gate; beside it the equations of that part, and with the first a legend. Raises BlocksError for
    another part."""
    if part not in EMPHASIS:
        raise BlocksError(f"figure 7.4 has the parts {', '.join(EMPHASIS)}, not {part!r}")
    cell = cells.book_lstm(SIZE, SIZE)
    return draw(
        cell.graph, highlight=EMPHASIS[part], title=TITLES[part], theme=theme, equations=True, legend=part == "a"
    )


def figures(theme: str = "classic") -> Iterator[tuple[str, Figure]]:
    """Name and figure of all that ``blocks figures`` writes."""
    yield "fig-7.3", figure_7_3(theme)
    for part in EMPHASIS:
        yield f"fig-7.4{part}", figure_7_4(part, theme)
    for name, entry in GALLERY.items():
        yield f"cell-{name}", draw(entry.make(SIZE, SIZE).graph, title=f"One step of the cell {name}", theme=theme)


def gallery_page() -> str:
    """A page in Markdown that shows all figures."""
    command = "blocks figures -o examples/gallery --format svg --page"
    lines = ["# Figures", "", f"Drawn from the graphs that train, by `{command}`.", ""]
    lines += ["## The book's figures", "", "7.3: an SRN and an LSTM over three steps, the middle one open.", ""]
    lines += ["![Figure 7.3](fig-7.3.svg)", ""]
    for part, title in TITLES.items():
        lines += [f"7.4{part}: {title[0].lower() if title[1].islower() else title[0]}{title[1:]}.", ""]
        lines += [f"![Figure 7.4{part}](fig-7.4{part}.svg)", ""]
    for family, makers in FAMILIES.items():
        lines += [f"## Cells: {family}", ""]
        for make in makers:
            name, said = make.__name__, (make.__doc__ or "").strip().splitlines()[0]
            lines += [f"### `{name}`", "", said, "", f"![One step of the cell {name}](cell-{name}.svg)", ""]
    return "\n".join(lines)


def write_figures(
    folder: str | os.PathLike[str],
    formats: tuple[str, ...] = ("svg", "png"),
    theme: str = "classic",
    page: bool = False,
) -> list[Path]:
    """Write all figures into a folder, which is made if need be; and with `page` a README.md that shows them.
    Raises BlocksError for an unknown format."""
    for format in formats:
        if format not in FORMATS:
            raise BlocksError(f"a figure can be {', '.join(FORMATS)}, not {format!r}")
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    written = [figure.save(target / f"{name}.{format}") for name, figure in figures(theme) for format in formats]
    if page:
        write_whole(target / "README.md", gallery_page().encode())
    return written
