"""Labels: runs of text, some slanted, some lowered, and how wide they are.

A box is made for its label by the widths of DejaVu Sans, the widest of the usual sans-serif fonts; with
Helvetica or Arial the same label is narrower. So it stays in its box on another machine.
"""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

# Widths of the printable ASCII characters of DejaVu Sans, in thousandths of the font size.
_WIDTHS = dict(
    zip(
        map(chr, range(32, 127)),
        [
            318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337, 636, 636, 636, 636, 636,
            636, 636, 636, 636, 636, 337, 337, 838, 838, 838, 531, 1000, 684, 686, 698, 770, 632, 575, 775, 752, 295,
            295, 656, 557, 863, 748, 787, 603, 787, 695, 635, 611, 732, 684, 989, 685, 611, 685, 390, 337, 390, 838,
            500, 500, 613, 635, 550, 635, 615, 352, 635, 634, 278, 278, 579, 278, 974, 634, 612, 635, 635, 411, 521,
            392, 634, 592, 818, 592, 592, 525, 636, 337, 636, 838,
        ],
        strict=True,
    )
)  # fmt: skip
SUBSCRIPT = 0.7  # size of a lowered run beside the others
LINE_HEIGHT = 1.25


class Run(NamedTuple):
    """A piece of text in one style."""

    text: str
    italic: bool = False
    sub: bool = False


class Line(NamedTuple):
    """One line of a label, with the size of its font in points."""

    runs: tuple[Run, ...]
    size: float = 12.0

    @property
    def plain(self) -> str:
        """The text alone, a lowered run behind an underscore."""
        return "".join(f"_{r.text}" if r.sub else r.text for r in self.runs)

    @property
    def width(self) -> float:
        """An upper bound of its width in the usual fonts, in points."""
        return sum(_width(r.text) * (SUBSCRIPT if r.sub else 1.0) for r in self.runs) * self.size


def _width(text: str) -> float:
    total = 0
    for character in text:
        if character in _WIDTHS:
            total += _WIDTHS[character]
        elif not unicodedata.combining(character):
            total += 1050 if unicodedata.east_asian_width(character) in "WF" or ord(character) > 0xFFFF else 840
    return total / 1000


def line(text: str, size: float = 12.0, italic: bool = False) -> Line:
    """A line in one style."""
    return Line((Run(text, italic),), size)


def value_at(name: str, time: str, size: float = 12.0, mark: str = "") -> Line:
    """A value at a time step, the time lowered: h with t−1 below. Long names stand upright."""
    short = clip(name)
    return Line(
        (*([Run(mark)] if mark else []), Run(short, italic=len(short) <= 2), Run(time, italic=True, sub=True)), size
    )


def step_text(offset: int) -> str:
    """``t``, ``t+1``, ``t−1``: a step by its distance from t."""
    return "t" if offset == 0 else f"t{'+' if offset > 0 else '−'}{abs(offset)}"


def clip(text: str, longest: int = 24) -> str:
    """A name from a user, made short enough for a box; its middle is left out."""
    shown = "".join(c if c.isprintable() else "�" for c in text)
    if len(shown) <= longest:
        return shown
    return shown[: longest - longest // 3 - 1] + "…" + shown[-(longest // 3) :]


def extent(lines: tuple[Line, ...]) -> tuple[float, float]:
    """Width and height of some lines below each other."""
    return max((x.width for x in lines), default=0.0), sum(x.size * LINE_HEIGHT for x in lines)
