"""Arrays by name that are views of one vector: weights, their gradients, and the slots of an optimizer.

    all    ─────────────────────────────────────────────
           │ hidden.W_x │ hidden.W_h │ hidden.b │ out.W_1 │ …
           └────────────┴────────────┴──────────┴─────────

What goes number by number is one call for all of them; what has a name is the same memory. Of several trials each is a
row: ``(trials, weights)``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..errors import FeedError, nearest

Shapes = Mapping[str, tuple[int, ...]]


class Vector(Mapping[str, np.ndarray]):
    """Name → array, all of which are views of `all` and stay so: what is assigned is written into them.

    Args:
        shapes: name → shape, that of one trial.
        dtype: of all.
        trials: how many stand in front, or None.
        all: the memory; zeros, if it is not given.
    """

    def __init__(self, shapes: Shapes, dtype: Any, trials: int | None = None, all: np.ndarray | None = None):
        self.shapes, self.trials = dict(shapes), trials
        lead = () if trials is None else (trials,)
        sizes = [math.prod(shape) for shape in self.shapes.values()]
        self.all = np.zeros((*lead, sum(sizes)), dtype) if all is None else all
        self.views: dict[str, np.ndarray] = {}
        end = 0
        for (name, shape), size in zip(self.shapes.items(), sizes, strict=True):
            self.views[name] = self.all[..., end : (end := end + size)].reshape((*lead, *shape))

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], trials: int | None = None) -> Vector:
        """Arrays, copied into one vector; with trials they lead with them."""
        shapes = {name: a.shape[trials is not None :] for name, a in arrays.items()}
        vector = cls(shapes, np.result_type(*arrays.values()) if arrays else np.float64, trials)
        vector.take(arrays)
        return vector

    def like(self, all: np.ndarray | None = None) -> Vector:
        """Of the same names and shapes: zeros, or other numbers."""
        return Vector(self.shapes, self.all.dtype, self.trials, all)

    def take(self, arrays: Mapping[str, Any], prefix: str = "") -> None:
        """Write arrays into those of their name, which may stand behind a prefix; the others stay as they are. Raises
        FeedError for a name that there is not, or a shape that does not fit; then none is written."""
        new = {name.removeprefix(prefix): np.asarray(a) for name, a in arrays.items() if name.startswith(prefix)}
        for name, array in new.items():
            if name not in self.views:
                raise FeedError(f"the model has no weights {name!r}{nearest(str(name), self.views)}")
            if array.shape != self.views[name].shape:
                raise FeedError(f"the weights {name!r} are {self.views[name].shape}, not {array.shape}")
        for name, array in new.items():
            np.copyto(self.views[name], array, casting="same_kind")

    def __getitem__(self, name: str) -> np.ndarray:
        return self.views[name]

    def __setitem__(self, name: str, array: Any) -> None:
        self.take({name: array})

    def __iter__(self) -> Iterator[str]:
        return iter(self.views)

    def __len__(self) -> int:
        return len(self.views)

    def __reduce__(self) -> tuple[Any, ...]:
        return Vector, (self.shapes, self.all.dtype, self.trials, self.all)

    def __repr__(self) -> str:
        return f"<{self.all.shape[-1]:,} numbers: {', '.join(self.views)}>"
