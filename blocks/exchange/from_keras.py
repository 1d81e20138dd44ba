"""Keras's recurrent layers as models, from what ``get_weights()`` gives; Keras is not needed.

A kernel is ``(inputs, gates · units)``, with i f c o of an LSTM and z r h of a GRU. A GRU with ``reset_after=True``,
which is Keras's default, has two biases, ``(2, 3 · units)``: of the input, then of the state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arguments import checked
from ..errors import BlocksError, nearest
from ..train.model import Model
from .layers import Direction, gates, model_of

GATES = {
    "lstm": ("input", "forget", "candidate", "output"),
    "gru": ("update", "reset", "candidate"),
    "rnn": ("hidden",),
}
ACTIVATIONS = {"lstm": ("tanh",), "gru": ("tanh",), "rnn": ("tanh", "relu")}


@checked
def from_keras(
    weights: Sequence[Any],
    kind: str,
    *,
    bidirectional: bool = False,
    use_bias: bool = True,
    reset_after: bool = True,
    activation: str = "tanh",
    recurrent_activation: str = "sigmoid",
) -> Model:
    """The weights of Keras's `LSTM`, `GRU` or `SimpleRNN` as a `Model` without a loss: x ``(batch, time, inputs)`` → y
    ``(batch, time, units)``.

        model = bk.from_keras(layer.get_weights(), kind="lstm")

    Args:
        weights: what ``get_weights()`` gives of a layer, or of several of one kind on top of each other, one after the
            other: a kernel, a recurrent kernel and a bias for each.
        kind: "lstm", "gru" or "rnn" (`SimpleRNN`).
        bidirectional: whether each layer stands in a `Bidirectional`, whose outputs are side by side (merge_mode
            "concat").
        use_bias, reset_after, activation, recurrent_activation: as the layer was made; an RNN may have "relu".

    The cells are `cells.lstm`, `cells.gru_reset_after` or `cells.gru`, `cells.srn` or `cells.irnn`. Names of the
    weights are as of `from_torch`.

    Raises BlocksError for another kind or activation (of old files `hard_sigmoid`), and for arrays that do not fit,
    saying which one and what would.
    """
    if kind not in GATES:
        raise BlocksError(f"from_keras: kind is {', '.join(GATES)}, not {kind!r:.40}{nearest(str(kind), GATES)}")
    if activation not in ACTIVATIONS[kind]:
        known = " or ".join(ACTIVATIONS[kind])
        raise BlocksError(f"from_keras: the activation of the gallery's {kind} is {known}, not {activation!r:.40}")
    if recurrent_activation != "sigmoid":
        raise BlocksError(
            f"from_keras: the gates of the gallery's {kind} are sigmoid, not {recurrent_activation!r:.40}; a cell of "
            "your own may have others"
        )
    arrays = [np.asarray(w) for w in weights]
    each = (3 if use_bias else 2) * (2 if bidirectional else 1)
    if not arrays or len(arrays) % each:
        raise BlocksError(
            f"from_keras: {'Bidirectional ' if bidirectional else ''}{kind} layers {'with' if use_bias else 'without'} "
            f"biases have {each} arrays each, but there are {len(arrays)}"
        )
    cell = {"rnn": activation, "gru": "gru_reset_after" if reset_after else "gru"}.get(kind, kind)
    one = each // 2 if bidirectional else each
    layers: list[list[Direction]] = []
    for start in range(0, len(arrays), each):
        width = None if not layers else sum(d.sizes[1] for d in layers[-1])
        sides = [(start, False), (start + one, True)][: 2 if bidirectional else 1]
        layers.append([_direction(cell, kind, arrays, at, one, width, reverse) for at, reverse in sides])
    return model_of(layers)


def _direction(
    cell: str, kind: str, arrays: list[np.ndarray], at: int, count: int, width: int | None, reverse: bool
) -> Direction:
    bricks = GATES[kind]
    kernel, recurrent = arrays[at], arrays[at + 1]
    units = recurrent.shape[0] if recurrent.ndim else 0
    inputs = width if width is not None else (kernel.shape[0] if kernel.ndim else 0)
    wide = len(bricks) * units
    wanted: list[tuple[str, tuple[int, ...]]] = [("kernel", (inputs, wide)), ("recurrent kernel", (units, wide))]
    wanted += [("bias", (2, wide) if cell == "gru_reset_after" else (wide,))] if count == 3 else []
    for i, (what, shape) in enumerate(wanted, at):
        if arrays[i].shape != shape:
            hint = "; reset_after says which GRU it is" if what == "bias" and kind == "gru" else ""
            raise BlocksError(
                f"from_keras: array {i} is the {what} of a {kind} of {units} units, {shape}; {arrays[i].shape} does "
                f"not fit{hint}"
            )
    bias = arrays[at + 2] if count == 3 else np.zeros((2, wide) if cell == "gru_reset_after" else wide, kernel.dtype)
    first, second = bias if bias.ndim == 2 else (bias, None)
    weights = gates(bricks, kernel, "W_x", 1) | gates(bricks, recurrent, "W_h", 1) | gates(bricks, first, "b")
    if second is not None:
        for brick in ("update", "reset"):
            weights[f"{brick}.b"] = weights[f"{brick}.b"] + gates(bricks, second, "b")[f"{brick}.b"]
        weights["recurrent.W_h"] = weights.pop("candidate.W_h")
        weights["recurrent.b"] = gates(bricks, second, "b")["candidate.b"]
    return Direction(cell, weights, reverse)
