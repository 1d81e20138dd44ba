"""How a figure is printed: how wide, in which font, how fine, on which ground. What a format cannot do is refused."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import BlocksError, nearest

UNITS = {"cm": 72 / 2.54, "mm": 72 / 25.4, "in": 72.0, "pt": 1.0, "px": 0.75}  # in points
DPI = 144.0
TAKES = {
    "width": ("svg", "png", "pdf", "tex", "tikz"),
    "font": ("svg", "png", "pdf"),
    "dpi": ("png",),
    "transparent": ("svg", "png", "pdf", "tex", "tikz"),
}


@dataclass(frozen=True)
class Page:
    """width: in points, None for the figure's own; font: the file of a font for words, None for the package's."""

    width: float | None = None
    font: str | None = None
    dpi: float = DPI
    transparent: bool = False

    def scale(self, width: float) -> float:
        """How much larger than drawn a figure of some width is printed."""
        return 1.0 if self.width is None else self.width / width


def page_of(format: str, **asked: Any) -> Page:
    """The page that was asked for. Raises BlocksError for what the format cannot do, and for what makes no sense."""
    given = {name: value for name, value in asked.items() if value is not None and value is not False}
    for name in given:
        if name not in TAKES:
            raise BlocksError(f"a figure is saved with no {name!r}{nearest(name, TAKES)}; there are {', '.join(TAKES)}")
        if format not in TAKES[name]:
            formats = ", ".join(f".{f}" for f in TAKES[name])
            raise BlocksError(f"{name} is for {formats}; .{format} has no {name} of its own")
    dpi = given.get("dpi", DPI)
    if isinstance(dpi, bool) or not isinstance(dpi, int | float) or not 1 <= dpi <= 10_000:
        raise BlocksError(f"dpi is a number of dots an inch from 1 to 10000, not {dpi!r}")
    width = points(given["width"]) if "width" in given else None
    font = _font(given["font"]) if "font" in given else None
    return Page(width, font, float(dpi), bool(given.get("transparent", False)))


def points(width: float | str) -> float:
    """A width in points: a number of them, or a text with a unit, ``8.5cm``. Raises BlocksError for another one."""
    number, unit = width, "pt"
    if isinstance(width, str):
        found = re.fullmatch(rf" *([\d.]+) *({'|'.join(UNITS)}) *", width)
        number, unit = found.groups() if found else ("", "pt")
    try:
        size = float(number) * UNITS[unit]
    except (TypeError, ValueError):
        size = math.nan
    if isinstance(width, bool) or not 1 <= size <= 100_000:
        raise BlocksError(f"a width is a number of points, or has a unit, '8.5cm' ({', '.join(UNITS)}), not {width!r}")
    return size


def _font(font: str | os.PathLike[str]) -> str:
    from fontTools.ttLib import TTFont, TTLibError

    try:
        with Path(font).open("rb") as file:
            TTFont(file, lazy=True)
    except (OSError, TTLibError) as error:
        raise BlocksError(f"font is the file of a TrueType or OpenType font; {os.fspath(font)!r}: {error}") from None
    return os.fspath(font)
