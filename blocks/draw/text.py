"""Labels: runs of text, some slanted, some lowered, and how wide they are.

A box is made for its label by the widths of the fonts that come with the package. Their sans-serif is the widest of the
usual ones; with Helvetica or Arial the same label is narrower. So it stays in its box in every browser.
"""

from __future__ import annotations

import itertools
import math
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from . import fonts

SUBSCRIPT = 0.7  # size of a lowered or raised run beside the others
SMALLEST = 9.0  # points: what is smaller cannot be read where a figure is as wide as a page
LINE_HEIGHT = 1.25
END_ROOM = 10.0  # room for a name at the end of a wire: its letters are wider in the serif fonts of some browsers
LOWERED, RAISED = 0.2, 0.36  # how far such a run lies below or above the baseline, beside the size of the others
MIDDLE = 0.346  # how far the middle of a line lies above its baseline: the same in DejaVu, Arial and Times to 0.01


class Run(NamedTuple):
    """A piece of text in one style: slanted or bold as a symbol of mathematics, lowered, raised. `time` is a time step,
    which changes from step to step."""

    text: str
    italic: bool = False
    sub: bool = False
    sup: bool = False
    bold: bool = False
    time: bool = False

    @property
    def rise(self) -> float:
        """How far it stands above the baseline of its line, beside the size of the line."""
        return RAISED * self.sup - LOWERED * self.sub


class Line(NamedTuple):
    """One line of a label, with the size of its font in points."""

    runs: tuple[Run, ...]
    size: float = 12.0

    @property
    def plain(self) -> str:
        """The text alone, a lowered run behind an underscore."""
        out, before = "", (False, False)
        for run in self.runs:
            now = (run.sub, run.sup)
            out += ("" if now == before else "_" if run.sub else "^" if run.sup else "") + run.text
            before = now
        return out

    @property
    def width(self) -> float:
        """Its width in the fonts of the package, in points."""
        return sum(width_of(r) * self.size_of(r) for r in self.runs)

    def size_of(self, run: Run) -> float:
        """The size of the font of one of its runs, in points."""
        script = min(self.size, max(SUBSCRIPT * self.size, SMALLEST))
        return script if run.sub or run.sup else self.size


def missing(lines: Iterable[Line], font: str | None = None) -> list[str]:
    """The characters of some lines that the fonts of the package lack, and another one too."""
    found = (
        character
        for text in lines
        for run in text.runs
        for words, face in pieces(run)
        for character in words
        if not fonts.has(face, character) and not (font and fonts.has(font, character))
    )
    return list(dict.fromkeys(found))


@lru_cache(4096)
def width_of(run: Run) -> float:
    """The width of a run, beside the size of its font."""
    return sum(width_in(face, text) for text, face in pieces(run))


def width_in(face: str, text: str) -> float:
    """The width of a text in one face, beside the size of its font."""
    return sum(fonts.advance(face, character) for character in text)


def pieces(run: Run) -> list[tuple[str, str]]:
    """A run as pieces of text, each with its face (see `fonts`): of what is slanted, letters are those of mathematics,
    slanted, and the rest stands upright."""
    if not run.italic and not run.bold:
        return [(run.text, "sans")]
    letters = "math-bold" if run.bold else "math-italic"
    return [
        ("".join(c for _, c in group), face)
        for face, group in itertools.groupby(_faced(run.text, letters), lambda p: p[0])
    ]


def _faced(text: str, letters: str) -> Iterator[tuple[str, str]]:
    face = "math"
    for character in text:
        if not unicodedata.combining(character):  # an accent goes with its letter
            styled = character.isalpha() and fonts.has(letters, character)
            face = letters if styled else "math" if fonts.has("math", character) else "sans"
        yield face, character


def baselines(lines: Sequence[Line], y: float) -> Iterator[tuple[Line, float]]:
    """Lines below each other with their middle at a height, each with the height of its baseline."""
    top = y + extent(lines)[1] / 2
    for text in lines:
        yield text, top - text.size * LINE_HEIGHT / 2 - _above_baseline(text, len(lines) == 1)
        top -= text.size * LINE_HEIGHT


def _above_baseline(text: Line, alone: bool) -> float:
    """How far above the baseline the middle of a line lies, in points; of a sign, and of a letter that stands alone,
    the middle of its ink."""
    sign = text.plain
    if len(sign) == 1 and (alone or not sign.isalnum()) and fonts.has("sans", sign):
        return fonts.middle("sans", sign) * text.size
    return MIDDLE * text.size


def line(text: str, size: float = 12.0, italic: bool = False) -> Line:
    """A line in one style."""
    return Line((Run(text, italic),), size)


def step_text(offset: int) -> str:
    """``t``, ``t+1``, ``t−1``: a step by its distance from t."""
    return "t" if offset == 0 else f"t{'+' if offset > 0 else '−'}{abs(offset)}"


def printable(text: str) -> str:
    """Text without the characters that have no form, and that XML does not have."""
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)


def clip(text: str, longest: int = 24) -> str:
    """A name from a user, made short enough for a box; its middle is left out."""
    shown = "".join(c if c.isprintable() else "�" for c in text)
    if len(shown) <= longest:
        return shown
    return shown[: longest - longest // 3 - 1] + "…" + shown[-(longest // 3) :]


def extent(lines: Sequence[Line]) -> tuple[float, float]:
    """Width and height of some lines below each other; the width in quarters of a point, so that sums of them, and with
    these the places of wires, are exact."""
    return math.ceil(4 * max((x.width for x in lines), default=0.0)) / 4, sum(x.size * LINE_HEIGHT for x in lines)
