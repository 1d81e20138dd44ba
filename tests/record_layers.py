"""Write tests/data/layers.npz: what recurrent layers of PyTorch and Keras give, in float64, with their weights.

python -m tests.record_layers          needs PyTorch, and Keras on it
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

PLACE = Path(__file__).parent / "data" / "layers.npz"
OF_TORCH: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm": ("LSTM", {}),
    "gru": ("GRU", {}),
    "rnn": ("RNN", {}),
    "relu": ("RNN", {"nonlinearity": "relu"}),
    "two directions": ("LSTM", {"num_layers": 2, "bidirectional": True, "batch_first": True}),
    "without biases": ("GRU", {"num_layers": 3, "bias": False, "dropout": 0.3}),
}
OF_KERAS: dict[str, tuple[str, int, dict[str, Any]]] = {  # kind, layers, options of `from_keras`
    "lstm": ("lstm", 1, {}),
    "gru": ("gru", 1, {}),
    "reset before": ("gru", 1, {"reset_after": False}),
    "rnn": ("rnn", 1, {"activation": "relu"}),
    "two directions": ("lstm", 2, {"bidirectional": True}),
    "without biases": ("gru", 2, {"use_bias": False, "bidirectional": True}),
}
X = (2, 5, 3)  # of every layer


def of_torch(x: np.ndarray) -> dict[str, np.ndarray]:
    import torch

    torch.manual_seed(1)
    found: dict[str, np.ndarray] = {}
    for name, (kind, options) in OF_TORCH.items():
        module = getattr(torch.nn, kind)(3, 4, **options).double().eval()
        given = torch.tensor(x) if options.get("batch_first") else torch.tensor(x).transpose(0, 1)
        y = module(given)[0]
        y = y if options.get("batch_first") else y.transpose(0, 1)
        found[f"torch/{name}/y"] = y.detach().numpy()
        found |= {f"torch/{name}/w/{k}": v.detach().numpy() for k, v in module.state_dict().items()}
    return found


def of_keras(x: np.ndarray) -> dict[str, np.ndarray]:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    keras.backend.set_floatx("float64")
    rng = np.random.default_rng(5)
    found: dict[str, np.ndarray] = {}
    for name, (kind, count, options) in OF_KERAS.items():
        own = {k: v for k, v in options.items() if k != "bidirectional"}
        y, arrays = x, []
        for _ in range(count):
            made = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "rnn": keras.layers.SimpleRNN}[kind]
            layer = made(4, return_sequences=True, dtype="float64", **own)
            layer = keras.layers.Bidirectional(layer, dtype="float64") if options.get("bidirectional") else layer
            layer(y)
            layer.set_weights([rng.normal(0.0, 0.6, w.shape) for w in layer.get_weights()])
            y = np.asarray(keras.ops.convert_to_numpy(layer(y)))
            arrays += layer.get_weights()
        found[f"keras/{name}/y"] = y
        found |= {f"keras/{name}/w/{i}": w for i, w in enumerate(arrays)}
    return found


if __name__ == "__main__":
    x = np.random.default_rng(0).normal(size=X)
    np.savez_compressed(PLACE, x=x, **of_torch(x), **of_keras(x))
