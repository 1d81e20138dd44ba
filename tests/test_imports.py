"""Recurrent layers of PyTorch and Keras as models: against what they gave there (`record_layers`)."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import blocks as bk

from .record_layers import OF_KERAS, OF_TORCH

RECORDED = np.load(Path(__file__).parent / "data" / "layers.npz")
X = RECORDED["x"]


def arrays(prefix: str) -> dict[str, np.ndarray]:
    return {k.removeprefix(prefix): RECORDED[k] for k in RECORDED.files if k.startswith(prefix)}


def module(name: str, **changed) -> SimpleNamespace:
    """As much of a module of PyTorch as is asked for."""
    kind, options = OF_TORCH[name]
    weights = arrays(f"torch/{name}/w/")
    mode = f"RNN_{options.get('nonlinearity', 'tanh').upper()}" if kind == "RNN" else kind
    own = {"num_layers": 1, "bidirectional": False, "dropout": 0.0, "proj_size": 0, **options, "mode": mode}
    return SimpleNamespace(**{**own, "state_dict": lambda: weights, **changed})


def keras(name: str) -> list[np.ndarray]:
    found = arrays(f"keras/{name}/w/")
    return [found[str(i)] for i in range(len(found))]


@pytest.mark.parametrize("name", OF_TORCH)
def test_layers_of_pytorch_give_what_they_gave_there(name) -> None:
    model = bk.from_torch(module(name))
    np.testing.assert_allclose(model.predict({"x": X}), RECORDED[f"torch/{name}/y"], rtol=0, atol=1e-12)
    assert model.dtype == np.float64 and model.outputs == ("y",)


@pytest.mark.parametrize("name", OF_KERAS)
def test_layers_of_keras_give_what_they_gave_there(name) -> None:
    kind, _, options = OF_KERAS[name]
    model = bk.from_keras(keras(name), kind, **options)
    most = 1e-6 if name in BY_HAND else 1e-12  # there Keras itself rounds to single precision on the way
    np.testing.assert_allclose(model.predict({"x": X}), RECORDED[f"keras/{name}/y"], rtol=0, atol=most)


def _reset_before(x, h, kernel, recurrent, bias):
    z, r, _ = np.split(x @ kernel + h @ recurrent + bias, 3, axis=-1)
    z, r = 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(-r))
    candidate = np.tanh(x @ kernel[:, 8:] + (r * h) @ recurrent[:, 8:] + bias[8:])
    return z * h + (1 - z) * candidate


BY_HAND = {
    "reset before": _reset_before,
    "rnn": lambda x, h, kernel, recurrent, bias: np.maximum(x @ kernel + h @ recurrent + bias, 0),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_layers_of_keras_by_hand(name) -> None:
    """The formulas of Keras's documentation, step by step."""
    kind, _, options = OF_KERAS[name]
    ys = bk.from_keras(keras(name), kind, **options).predict({"x": X})
    h = np.zeros((2, 4))
    for t in range(X.shape[1]):
        h = BY_HAND[name](X[:, t], h, *keras(name))
        np.testing.assert_allclose(ys[:, t], h, rtol=0, atol=1e-12)


def test_names_say_layer_and_direction() -> None:
    assert set(bk.from_torch(module("gru")).weights) == set(bk.cells.gru_reset_after(3, 4).params)
    names = set(bk.from_torch(module("two directions")).weights)
    assert {"layer1/forward/forget.W_x", "layer2/backward/output.b"} < names
    assert bk.from_torch(module("two directions")).graph.params["layer2/forward/input.W_x"] == (8, 4)


def test_dropout_between_layers_is_drawn_in_training_alone() -> None:
    model = bk.from_torch(module("without biases"))
    assert len(model.graph.draws) == 2
    np.testing.assert_array_equal(model.predict({"x": X}), model.predict({"x": X}))


def test_a_model_has_weights_of_its_own() -> None:
    given = module("rnn")
    model = bk.from_torch(given)
    model.weights["hidden.b"][:] = 1.0
    assert not np.any(given.state_dict()["bias_ih_l0"] == 1.0)


def test_what_is_no_such_module_is_refused() -> None:
    with pytest.raises(bk.BlocksError, match="takes an nn.RNN, nn.LSTM or nn.GRU, not a SimpleNamespace"):
        bk.from_torch(module("lstm", mode="LSTMCell"))
    with pytest.raises(bk.BlocksError, match="proj_size=2"):
        bk.from_torch(module("lstm", proj_size=2))
    half = {k: v.astype(np.float16) for k, v in arrays("torch/lstm/w/").items()}
    with pytest.raises(bk.BlocksError, match="float32 or float64, not of float16"):
        bk.from_torch(module("lstm", state_dict=lambda: half))


def test_onnx_is_asked_for_by_name(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(bk.BlocksError, match="package onnx, which is not installed: pip install onnx"):
        bk.from_onnx("model.onnx")


@pytest.mark.parametrize(
    "name, kind, options, said",
    [
        ("lstm", "lst", {}, r"kind is lstm, gru, rnn, not 'lst' \(did you mean 'lstm'"),
        ("lstm", "lstm", {"recurrent_activation": "hard_sigmoid"}, "gates of the gallery's lstm are sigmoid, not 'hard_s"),
        ("gru", "gru", {"activation": "relu"}, "the activation of the gallery's gru is tanh, not 'relu'"),
        ("lstm", "lstm", {"use_bias": False}, "lstm layers without biases have 2 arrays each, but there are 3"),
        ("lstm", "lstm", {"bidirectional": True}, "Bidirectional lstm layers with biases have 6 arrays each"),
        ("gru", "gru", {"reset_after": False}, r"array 2 is the bias of a gru of 4 units, \(12,\); \(2, 12\) does not fit; reset_after"),
        ("lstm", "gru", {}, r"array 0 is the kernel of a gru of 4 units, \(3, 12\); \(3, 16\) does not fit"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(name, kind, options, said) -> None:
    with pytest.raises(bk.BlocksError, match=said):
        bk.from_keras(keras(name), kind, **options)
