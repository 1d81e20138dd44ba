"""PyTorch's recurrent modules as models. They are read by their attributes, so PyTorch is not imported.

Rows of ``weight_ih_l0 (gates · units, inputs)`` stand as i f g o of an LSTM, and r z n of a GRU, whose reset comes
after the product: h̃ = tanh(x W + b_in + r ⊙ (h U + b_hn)), h = z ⊙ h' + (1 − z) ⊙ h̃. Elsewhere b = b_ih + b_hh.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arguments import checked
from ..errors import BlocksError
from ..train.model import Model
from .layers import Direction, gates, model_of

GATES = {
    "LSTM": ("lstm", ("input", "forget", "candidate", "output")),
    "GRU": ("gru_reset_after", ("reset", "update", "candidate")),
    "RNN_TANH": ("tanh", ("hidden",)),
    "RNN_RELU": ("relu", ("hidden",)),
}


@checked
def from_torch(module: Any) -> Model:
    """An `nn.RNN`, `nn.LSTM` or `nn.GRU` as a `Model` without a loss: x ``(batch, time, inputs)`` → y ``(batch, time,
    units)``, units of both directions side by side.

    Layers, both directions, ``bias=False``, ``nonlinearity="relu"`` and dropout between layers are kept. The model
    takes batch first, whatever `batch_first` is. Its weights are copies, of the module's type. First states are those
    of `predict`, zero unless they are fed by name.

    The cells are `cells.lstm`, `cells.gru_reset_after`, `cells.srn` and `cells.irnn`; weights are called as theirs are,
    ``forget.W_x``; of several layers ``layer2/forget.W_x``, of two directions ``layer2/backward/forget.W_x``. Where
    PyTorch has two biases that are added, theirs is the sum.

    Raises BlocksError for any other module, a projection (`proj_size`), and weights that are not float32 or float64.
    """
    mode = getattr(module, "mode", None)
    if mode not in GATES or not hasattr(module, "state_dict"):
        raise BlocksError(
            f"from_torch takes an nn.RNN, nn.LSTM or nn.GRU, not a {type(module).__name__}; of a network hand in the "
            "recurrent part of it"
        )
    if getattr(module, "proj_size", 0):
        raise BlocksError(
            f"from_torch: this LSTM has proj_size={module.proj_size}, whose cell is none of the gallery (that of "
            "lstm_projected has peepholes)"
        )
    arrays = {name: _array(name, value) for name, value in module.state_dict().items()}
    sides = ("", "_reverse") if module.bidirectional else ("",)
    layers = [
        [_direction(mode, arrays, f"_l{i}{side}", reverse=bool(side)) for side in sides]
        for i in range(module.num_layers)
    ]
    return model_of(layers, float(module.dropout))


def _array(name: str, value: Any) -> np.ndarray:
    value = value.detach().cpu() if hasattr(value, "detach") else value
    try:
        return np.asarray(value)
    except TypeError:
        raise BlocksError(f"from_torch: {name} is {value.dtype}; float32 and float64 can be taken") from None


def _direction(mode: str, arrays: dict[str, np.ndarray], tail: str, reverse: bool) -> Direction:
    cell, bricks = GATES[mode]
    of_x, of_h = (np.ascontiguousarray(arrays[f"weight_{k}{tail}"].T) for k in ("ih", "hh"))
    first, second = (arrays.get(f"bias_{k}{tail}", np.zeros(of_x.shape[1], of_x.dtype)) for k in ("ih", "hh"))
    weights = gates(bricks, of_x, "W_x", 1) | gates(bricks, of_h, "W_h", 1) | gates(bricks, first + second, "b")
    if cell == "gru_reset_after":
        weights["recurrent.W_h"] = weights.pop("candidate.W_h")
        weights["candidate.b"], weights["recurrent.b"] = np.split(first, 3)[2], np.split(second, 3)[2]
    return Direction(cell, weights, reverse)
