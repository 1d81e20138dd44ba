"""A matplotlib figure that a notebook shows, whatever its settings."""

from __future__ import annotations

import io

from ..optional import needed

needed("matplotlib", "a plot")
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.ticker import MaxNLocator  # noqa: E402

DPI = 150


class Plot(Figure):
    """A matplotlib figure with a picture of its own for a notebook; matplotlib's needs a backend that shows it."""

    def _repr_png_(self) -> bytes:
        out = io.BytesIO()
        self.savefig(out, format="png", dpi=DPI)
        return out.getvalue()


def whole_numbers() -> MaxNLocator:
    """Ticks at whole numbers alone: there is no half an update."""
    return MaxNLocator("auto", integer=True, min_n_ticks=1)
