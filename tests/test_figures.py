"""The book's figures by their command, and the gallery page that shows them."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import blocks as bk
from blocks.cells.table import GALLERY as GALLERY_CELLS
from blocks.draw.figure import Figure
from blocks.draw.figures import EMPHASIS, figure_7_3, figure_7_4, figures, gallery_page, write_figures

from .command import blocks
from .viewers.pictures import translation

GALLERY = Path(__file__).parent.parent / "examples" / "gallery"


def test_figure_7_3() -> None:
    """One line from step to step for the SRN, two for the LSTM; the middle step of each is open."""
    scene = figure_7_3().scene
    for panel, lines in (("panel1-", 1), ("panel2-", 2)):
        frame = next(f for f in scene.frames if f.key.startswith(panel))
        closed = [s for s in scene.shapes if s.kind == "step" and s.key.startswith(panel)]
        assert len(closed) == 2
        for border in (frame.x, frame.x + frame.w):
            crossing = {
                w.points[0][1] if w.points[0][1] == w.points[-1][1] else round(y, 3)
                for w in scene.wires
                if w.key.startswith(panel)
                for (x0, y), (x1, y1) in pairwise(w.points)
                if y == y1 and min(x0, x1) < border < max(x0, x1)
            }
            assert len(crossing) == lines


def test_figure_7_4() -> None:
    """As Olah draws it: a straight cell state on top, four bricks in a row, tanh above the output gate."""
    for part, names in {"a": {"C"}, "b": {"f"}, "c": {"ff", "C*"}, "d": {"fff"}}.items():
        scene = figure_7_4(part).scene
        lit = {s.name for s in scene.shapes if s.lit and not s.sample}
        assert names <= lit
        bricks = {s.name for s in scene.shapes if s.kind == "brick" and not s.sample}
        assert [n.line.plain for n in scene.notes]
        assert lit & bricks == names & bricks
    by_name = {s.name: s for s in scene.shapes}
    bricks = [by_name[name] for name in ("f", "ff", "C*", "fff")]
    assert len({s.y for s in bricks}) == 1
    assert [s.x for s in bricks] == sorted(s.x for s in bricks)
    state = next(s for s in scene.shapes if s.kind == "state" and s.name == "C")
    assert state.y > max(s.y for s in scene.shapes if s.kind not in ("state", "next", "output") and s.y != state.y)
    assert by_name["tanh"].x == by_name["fff"].x and by_name["tanh"].y > by_name["fff"].y
    ends = [s for s in scene.shapes if s.name == "h" and s.kind in ("next", "output")]
    assert {s.kind for s in ends} == {"next", "output"}
    last = max(s.x for s in scene.shapes if s.kind == "operation")
    for end in ends:
        assert end.x > last and (end.kind == "next" or end.y > state.y)
    with pytest.raises(bk.BlocksError, match="has the parts a, b, c, d, not 'e'"):
        figure_7_4("e")


def test_another_format(tmp_path: Path) -> None:
    with pytest.raises(bk.BlocksError, match="not 'gif'"):
        write_figures(tmp_path, ("gif",))


def test_command(tmp_path: Path) -> None:
    done = blocks("figures", "-o", tmp_path / "f", "--format", "svg", "--theme", "monochrome")
    assert done.returncode == 0, done.stderr
    names = ["fig-7.3", *(f"fig-7.4{part}" for part in "abcd"), *(f"cell-{name}" for name in GALLERY_CELLS)]
    assert {p.name for p in (tmp_path / "f").iterdir()} == {f"{name}.svg" for name in names}
    assert "Warning" not in done.stderr
    figure = tmp_path / "c.tex"
    options = ["--unroll", 3, "--zoom", 2, "--highlight", "C", "--counts", "--theme", "dark"]
    done = blocks("draw", "lstm", "-o", figure, *options)
    assert done.returncode == 0, done.stderr
    assert figure.read_text(encoding="utf-8").startswith("\\documentclass")
    for option in (
        ["--open", "forget"],
        ["--gradient"],
        ["--shapes"],
        ["--blocks"],
        ["--operations"],
        ["--unroll", 30, "--full"],
    ):
        done = blocks("draw", "gru" if option[0] == "--unroll" else "lstm", "-o", tmp_path / "c.svg", *option)
        assert done.returncode == 0, done.stderr
    done = blocks("draw", "lstm", "-o", tmp_path / "c.svg", "--theme", "drak")
    assert done.returncode == 2 and "did you mean 'dark'" in done.stderr


def test_the_gallery_is_current() -> None:
    """examples/gallery is what `blocks figures -o examples/gallery --format svg --page` writes, to the byte."""
    fresh = {f"{name}.svg": figure.render("svg") for name, figure in figures()}
    stored = {path.name: path.read_bytes() for path in GALLERY.glob("*.svg")}
    assert sorted(stored) == sorted(fresh)
    stale = [name for name in fresh if fresh[name] != stored[name]]
    assert not stale, f"{stale}: run blocks figures -o examples/gallery --format svg --page"
    assert (GALLERY / "README.md").read_text(encoding="utf-8") == gallery_page()


@pytest.mark.parametrize(
    "name", ["fig-7.3", *(f"fig-7.4{part}" for part in EMPHASIS), *map("cell-{}".format, GALLERY_CELLS)]
)
def test_a_figure_is_legible_on_a_page(name: str) -> None:
    """No letter is under 9 pixels where a page is 830 wide, lowered ones neither."""
    assert smallest((GALLERY / f"{name}.svg").read_text(encoding="utf-8")) >= 9


def smallest(text: str) -> float:
    """The pixels of the smallest letters of an SVG on a page that is 830 wide."""
    width = float(re.search(r'viewBox="0 0 ([\d.]+)', text)[1])  # type: ignore[index]
    sizes = [float(size) for size in re.findall(r'font-size="([\d.]+)"', text)]
    assert len(sizes) > 5
    return min(sizes) * min(4 / 3, 830 / width)  # a point is 4/3 pixels


OTHERS: dict[str, Callable[[bk.Cell], Figure]] = {  # as the pages, the notebooks and the command line have them
    "gradient over steps": lambda cell: cell.draw(gradient=True, unroll=3),
    "both ways over steps": lambda cell: cell.draw(gradient="beside", unroll=3),
    "left out steps": lambda cell: cell.draw(unroll=9),
    "two steps": lambda cell: cell.draw(unroll=2, zoom="all"),
    "operations": lambda cell: cell.draw(bricks=False),
    "equations": lambda cell: cell.draw(equations="numbered", legend=True),
    "shapes": lambda cell: cell.draw(shapes=True),
    "values": lambda cell: cell.draw(values={**cell.graph.init(0), **{n: np.ones((2, 16)) for n in ("h", "C")},
                                             "x": np.ones((2, 8))}),
    "panels": lambda cell: bk.panels([cell.draw(highlight=name) for name in ("forget", "input")], letters=True),
    "encoder and decoder": lambda cell: translation().draw(),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_a_figure_of_an_lstm_is_legible_on_a_page(name: str) -> None:
    assert smallest(OTHERS[name](bk.cells.lstm(8, 16)).render("svg").decode()) >= 9


def test_the_picture_of_the_readme_is_current() -> None:
    """It is what `bk.cells.lstm(8, 32).draw(gradient=True).save("examples/readme/gradient.svg")` writes."""
    stored = (GALLERY.parent / "readme" / "gradient.svg").read_bytes()
    assert stored == bk.cells.lstm(8, 32).draw(gradient=True).render("svg")
