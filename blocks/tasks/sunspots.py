"""Yearly sunspot activity, 1700 to 2008: the next year is to be forecast.

years, activity = sunspots()
error = ((forecast - activity[...]) ** 2).mean() / VARIANCE

Usually 1700 to 1920 are trained on and 1921 to 1955 forecast, each year from those before (Weigend, Huberman and
Rumelhart 1990, *Predicting the future: a connectionist approach*), and errors are given relative to the variance of
the record. Where the numbers are from, and their licence, stands in data/README.md.
"""

from __future__ import annotations

from importlib.resources import files

import numpy as np

from ..errors import BlocksError

VARIANCE = 1535.0  # of 1700 to 1979, as that paper divides by it


def sunspots() -> tuple[np.ndarray, np.ndarray]:
    """The years, and the mean number of sunspots in each, ``(309,)``."""
    text = (files(__package__) / "data" / "sunspots.csv").read_text(encoding="ascii")
    table = np.array([line.split(",") for line in text.splitlines()[1:]], np.float64)
    return table[:, 0].astype(np.int64), table[:, 1]


def autoregression(series: np.ndarray, known: int, order: int) -> np.ndarray:
    """Forecasts of ``series[known:]``, each from the `order` numbers before it and a constant: linear, by least squares
    over the first `known` numbers.

    Raises BlocksError for an order that these do not settle.
    """
    if not 0 < order < known // 2:
        raise BlocksError(f"an autoregression of {known} numbers is of order 1 to {known // 2 - 1}, not {order}")
    rows = np.lib.stride_tricks.sliding_window_view(series, order)[:-1]
    before = np.column_stack([rows, np.ones(len(rows))])
    weights = np.linalg.lstsq(before[: known - order], series[order:known])[0]
    return np.asarray(before[known - order :] @ weights)
