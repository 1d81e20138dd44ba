"""Recurrent layers that come from elsewhere, as a model of gallery cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..cell import Cell
from ..cells import gru, gru_reset_after, irnn, lstm, lstm_peephole, srn
from ..errors import BlocksError
from ..ops.random import dropout as dropped
from ..scan import scan
from ..train.model import Model
from ..wires import sequence
from ..wrappers import bidirectional

CELLS: dict[str, Callable[..., Cell]] = {
    "lstm": lstm,
    "lstm_peephole": lstm_peephole,
    "gru": gru,
    "gru_reset_after": gru_reset_after,
    "tanh": srn,
    "relu": irnn,
}


@dataclass(frozen=True)
class Direction:
    """One cell over a sequence: its name in `CELLS`, its weights by their names there, ``forget.W_x``, and whether it
    runs from the last step to the first."""

    cell: str
    weights: Mapping[str, np.ndarray]
    reverse: bool = False

    @property
    def sizes(self) -> tuple[int, int]:
        """Inputs, units."""
        w = next(w for name, w in self.weights.items() if name.endswith(".W_x"))
        return int(w.shape[0]), int(w.shape[1])


def model_of(layers: Sequence[Sequence[Direction]], dropout: float = 0.0) -> Model:
    """A model of layers, of one direction each or of two, forwards and backwards, whose outputs stand side by side.

    Takes x ``(batch, time, inputs)`` and gives y ``(batch, time, units)`` of the last layer. Weights of a single layer
    are called as in the gallery, ``forget.W_x``; of several ``layer2/forget.W_x``; of two directions
    ``forward/forget.W_x``. Between layers is `dropout`, which nothing but training draws.
    """
    ys = sequence("x", layers[0][0].sizes[0])
    found: dict[str, np.ndarray] = {}
    for i, directions in enumerate(layers, 1):
        if i > 1 and dropout:
            ys = dropped(ys, dropout)
        name = f"layer{i}" if len(layers) > 1 else None
        if len(directions) == 1:
            (one,) = directions
            ys = scan(_cell(one, name), ys, reverse=one.reverse)
            found |= _named(one, name)
        else:
            ahead, back = sorted(directions, key=lambda d: d.reverse)
            ys = bidirectional(_cell(ahead, "forward"), _cell(back, "backward"), ys, name=name)
            for one, side in ((ahead, "forward"), (back, "backward")):
                found |= _named(one, side if name is None else f"{name}/{side}")
    kinds = {w.dtype.name for w in found.values()}
    if not kinds <= {"float32", "float64"}:
        raise BlocksError(f"a model has weights of float32 or float64, not of {', '.join(sorted(kinds))}")
    model = Model(outputs=ys, dtype=max(kinds))
    model.set_weights(found)
    return model


def _cell(direction: Direction, name: str | None) -> Cell:
    return CELLS[direction.cell](*direction.sizes, name=name)


def _named(direction: Direction, scope: str | None) -> dict[str, np.ndarray]:
    return {f"{scope}/{name}" if scope else name: w for name, w in direction.weights.items()}


def gates(rows: Sequence[str], of: np.ndarray | None, last: str, axis: int = 0) -> dict[str, np.ndarray]:
    """Packed weights by gate, ``{"forget.W_x": ...}``; `rows`: the bricks in their order."""
    if of is None:
        return {}
    return {f"{brick}.{last}": part for brick, part in zip(rows, np.split(of, len(rows), axis), strict=True)}
