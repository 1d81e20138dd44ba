"""All published experiments, in the order of the page."""

from __future__ import annotations

from ..errors import BlocksError, nearest
from .rows_book import NEXT_WORD, SPEED
from .rows_elman import CLASSES, LETTERS, WORDS, XOR
from .rows_hochreiter import ADDING, DISTRACTORS, MULTIPLICATION, NOISE, ORDER, REBER, TWO, TWO_B
from .table import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    e.name: e
    for e in (
        XOR, LETTERS, WORDS, CLASSES, REBER, TWO, TWO_B, DISTRACTORS, NOISE, ADDING, MULTIPLICATION, ORDER, SPEED,
        NEXT_WORD,
    )
}  # fmt: skip


def experiment(name: str) -> Experiment:
    """An experiment by its name. Raises BlocksError naming those that there are."""
    if name not in EXPERIMENTS:
        known = ", ".join(EXPERIMENTS)
        raise BlocksError(f"no experiment {name!r}{nearest(name, EXPERIMENTS)}; there are {known}, and all")
    return EXPERIMENTS[name]
