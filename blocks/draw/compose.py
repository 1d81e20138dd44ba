"""Several figures in one, in rows, with letters (a), (b), … as papers have them."""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..arguments import checked
from ..errors import BlocksError
from .figure import Figure
from .layers.panels import panels as joined


@checked
def panels(figures: Sequence[Figure], rows: int = 1, letters: bool = False, title: str = "") -> Figure:
    """A figure of several, from left to right and from above downwards; all have the theme of the first.

    Args:
        rows: how many rows they stand in, the first ones as full as any.
        letters: write (a), (b), … above them.
        title: of the whole; by default the titles of all.

    Raises BlocksError for no figures, for more rows than figures, and for what is no figure.
    """
    figures = list(figures) if isinstance(figures, Iterable) else [figures]
    for figure in figures:
        if not isinstance(figure, Figure):
            raise BlocksError(f"panels are made of figures, of draw(), not of {type(figure).__name__}")
    if isinstance(rows, bool) or not isinstance(rows, int) or not 1 <= rows <= len(figures):
        raise BlocksError(f"{len(figures)} figures stand in 1 to {len(figures)} rows, not in {rows!r}")
    each = -(-len(figures) // rows)
    names = [f"({_letter(i)})" if letters else "" for i in range(len(figures))]
    said = title or "; ".join(f"{n} {f.title}".strip() for n, f in zip(names, figures, strict=True))
    lines = [
        joined([figure.scene for figure in figures[i : i + each]], names[i : i + each], said)
        for i in range(0, len(figures), each)
    ]
    scene = lines[0] if len(lines) == 1 else joined(lines, title=said, below=True)
    words = ". ".join(f"{n} {f.description}".strip() for n, f in zip(names, figures, strict=True))
    return Figure(replace(scene, title=said, description=words), figures[0].theme)


def _letter(number: int) -> str:
    """a, b, …, z, aa, ab, …"""
    rest, letter = divmod(number, 26)
    return (_letter(rest - 1) if rest else "") + string.ascii_lowercase[letter]
