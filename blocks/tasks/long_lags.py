"""The tasks with long time lags of Hochreiter and Schmidhuber (1997), *Long short-term memory*, Neural Computation 9,
1735 to 1780, experiments 2 to 6.

    data = adding(rng, 1000, steps=100)
    model.fit(data, ...)

Each function gives so many sequences as arrays with the sequences first: "x", ``(count, time, features)``; "target";
and, where they differ in length, "mask", ``(count, time)``, 1 at their steps, which stand first. Symbols are one-hot.
The least error is 0 where a target stands at the end alone: it follows from what was seen.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import BlocksError

ORDER = "abcdEBXY"


def two_sequences(rng: np.random.Generator, count: int, p: int = 100, noise: bool = False) -> dict[str, Any]:
    """Tasks 2a and, with `noise`, 2b: the symbols (y, a₁ … a₍p₋₁₎, y) or (x, a₁ … a₍p₋₁₎, x), half of the time each;
    in 2b those between are random. "x" and "target", the next symbol, ``(count, p, p + 1)``: the last x or y is known
    from the first.

    Features: a₁ to a₍p₋₁₎, x, y. The least squared error of a step is 0; where a random symbol follows, 1 - 1/(p - 1).
    """
    _at_least("p", p, 2)
    ids = np.empty((count, p + 1), np.int64)
    ids[:, 0] = ids[:, -1] = p - 1 + rng.integers(0, 2, count)
    ids[:, 1:-1] = rng.integers(0, p - 1, (count, p - 1)) if noise else np.arange(p - 1)
    symbols = np.eye(p + 1)[ids]
    return {"x": symbols[:, :-1], "target": symbols[:, 1:]}


def distractors(rng: np.random.Generator, count: int, p: int = 50, q: int = 50) -> dict[str, Any]:
    """Task 2c: (b, y, q and more of a₁ … aₚ, e, y) or the same with x; after q of them each further symbol is the
    trigger e with probability 1/10. "x" ``(count, time, p + 4)``, all but the last symbol; "target" ``(count, 2)``, at
    the end: 1 for x, 1 for y; "mask".

    Features: a₁ to aₚ, e, b, x, y.
    """
    _at_least("p", p, 1)
    more = rng.geometric(0.1, count) - 1
    lengths = q + more + 3  # b, the class, the distractors, e
    steps = int(lengths.max())
    ids = rng.integers(0, p, (count, steps))
    which = rng.integers(0, 2, count)
    ids[:, 0], ids[:, 1] = p + 1, p + 2 + which
    ids[np.arange(count), lengths - 1] = p
    mask = _mask(lengths)
    return {"x": np.eye(p + 4)[ids] * mask[..., None], "target": np.eye(2)[which], "mask": mask}


def noisy(rng: np.random.Generator, count: int, steps: int = 100, informative: int = 3) -> dict[str, Any]:
    """Task 3a (Bengio et al. 1994): the first `informative` numbers are all 1 or all -1, the others normal, of variance
    0.2. "x" ``(count, time, 1)``, of length `steps` to a tenth more; "target" ``(count, 1)``, at the end, 1 or 0; and
    "mask"."""
    mask = _mask(_lengths(rng, count, steps))
    which = rng.integers(0, 2, count)
    x = rng.normal(0.0, np.sqrt(0.2), mask.shape)
    x[:, :informative] = (2.0 * which - 1.0)[:, None]
    return {"x": (x * mask)[..., None], "target": which[:, None].astype(np.float64), "mask": mask}


def adding(rng: np.random.Generator, count: int, steps: int = 100) -> dict[str, Any]:
    """Task 4: the sum of the two numbers that are marked. "x" ``(count, time, 2)``, a number in [-1, 1] and a marker,
    of length `steps` to a tenth more; "target" ``(count, 1)``, at the end: 0.5 + (X₁ + X₂) / 4; "mask".

    The marker is -1 at the first and last pair, 1 at two others: one of the first ten, then one of the first
    steps / 2 - 1 that is still unmarked. Either may be the first pair, whose number is then 0. A predictor that ignores
    the numbers has a mean squared error of 0.039 (100 steps).
    """
    x, mask, first, second = _pairs(rng, count, steps, -1.0, of_first=0.0)
    return {"x": x, "target": 0.5 + (first + second)[:, None] / 4.0, "mask": mask}


def multiplication(rng: np.random.Generator, count: int, steps: int = 100) -> dict[str, Any]:
    """Task 5: as `adding`, but the product X₁ X₂ of numbers in [0, 1]; that of the first pair is 1 if it is marked. A
    predictor that ignores the numbers has a mean squared error of 0.059 (100 steps)."""
    x, mask, first, second = _pairs(rng, count, steps, 0.0, of_first=1.0)
    return {"x": x, "target": (first * second)[:, None], "mask": mask}


def temporal_order(rng: np.random.Generator, count: int, steps: int = 100, relevant: int = 2) -> dict[str, Any]:
    """Tasks 6a and, with three `relevant` symbols, 6b: E, symbols of a, b, c, d, and B, and among them X or Y two or
    three times; in which order is the class. "x" ``(count, time, 8)``, of length `steps` to a tenth more; "target"
    ``(count, 4 or 8)``, at the end, one-hot; "mask".

    Features: a, b, c, d, E, B, X, Y. Of 100 steps X or Y stand at 10 to 20 and 50 to 60; or at 10 to 20, 33 to 43 and
    66 to 76; of more or fewer, at the same parts of them.
    """
    if relevant not in (2, 3):
        raise BlocksError(f"temporal_order has 2 or 3 relevant symbols, not {relevant!r}")
    _at_least("steps", steps, 10)
    lengths = _lengths(rng, count, steps)
    ids = rng.integers(0, 4, (count, int(lengths.max())))
    rows = np.arange(count)
    ids[:, 0], ids[rows, lengths - 1] = ORDER.index("E"), ORDER.index("B")
    which = np.zeros(count, np.int64)
    for start in (10, 50) if relevant == 2 else (10, 33, 66):
        at = rng.integers(start * steps // 100, (start + 10) * steps // 100 + 1, count)
        drawn = rng.integers(0, 2, count)
        ids[rows, at] = ORDER.index("X") + drawn
        which = 2 * which + drawn
    mask = _mask(lengths)
    return {"x": np.eye(8)[ids] * mask[..., None], "target": np.eye(2**relevant)[which], "mask": mask}


def _pairs(
    rng: np.random.Generator, count: int, steps: int, low: float, of_first: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Numbers in [low, 1] and their markers, the mask, and the two numbers that are marked."""
    _at_least("steps", steps, 10)
    lengths = _lengths(rng, count, steps)
    mask, rows = _mask(lengths), np.arange(count)
    numbers, markers = rng.uniform(low, 1.0, mask.shape), np.zeros(mask.shape)
    first = rng.integers(0, min(10, steps // 2), count)
    second = rng.integers(0, steps // 2 - 2, count)
    second += second >= first  # one of the first steps/2 - 1, but not that which is marked already
    markers[:, 0] = markers[rows, lengths - 1] = -1.0
    markers[rows, first] = markers[rows, second] = 1.0
    numbers[markers[:, 0] == 1.0, 0] = of_first
    x = np.stack([numbers, markers], axis=-1) * mask[..., None]
    return x, mask, numbers[rows, first], numbers[rows, second]


def _lengths(rng: np.random.Generator, count: int, steps: int) -> np.ndarray:
    """Lengths from `steps` to a tenth more."""
    return rng.integers(steps, steps + steps // 10 + 1, count)


def _mask(lengths: np.ndarray) -> np.ndarray:
    """1 at the steps of sequences of such lengths."""
    return (np.arange(int(lengths.max())) < lengths[:, None]).astype(np.float64)


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise BlocksError(f"{name} is a whole number from {least}, not {value!r}")
