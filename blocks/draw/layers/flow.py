"""Things side by side as words on a page: what does not fit into a row any more begins the next one."""

from __future__ import annotations

from collections.abc import Sequence


def flow(widths: Sequence[float], widest: float, apart: float) -> list[tuple[float, int]]:
    """For each thing how far from the beginning of its row it stands, and the number of the row, from 0. widest: of a
    row; apart: from each to the next."""
    places: list[tuple[float, int]] = []
    x, row = 0.0, 0
    for width in widths:
        if x and x + width > widest:
            x, row = 0.0, row + 1
        places.append((x, row))
        x += width + apart
    return places
