"""Recurrent layers that come back from where they were taken, and those that were made there: `.ci/more exchange`.

    python -m tests.exchange.imported

PyTorch → blocks → ONNX → onnxruntime; models → ONNX → models; files made with onnx alone, two directions in one
operator among them, as onnxruntime runs them; what `from_onnx` refuses, by name.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import blocks as bk

X = np.random.default_rng(0).normal(size=(2, 5, 3))


def session(made: Any) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        made if isinstance(made, bytes) else made.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def from_pytorch() -> Iterator[tuple[str, float, float]]:
    """Differences, and how large they may be."""
    import torch

    torch.manual_seed(0)
    for kind, options in (
        ("LSTM", {}),
        ("GRU", {"bias": False}),
        ("RNN", {"nonlinearity": "relu"}),
        ("LSTM", {"num_layers": 2, "bidirectional": True, "batch_first": True}),
        ("GRU", {"num_layers": 3, "dropout": 0.3, "bidirectional": True}),
    ):
        made = getattr(torch.nn, kind)(3, 4, **options).double().eval()
        given = torch.tensor(X) if options.get("batch_first") else torch.tensor(X).transpose(0, 1)
        y = made(given)[0].detach()
        want = (y if options.get("batch_first") else y.transpose(0, 1)).numpy()
        model = bk.from_torch(made)
        yield f"from PyTorch: {kind} {options}", float(abs(model.predict({"x": X}) - want).max()), 1e-12
        (found,) = session(bk.to_onnx(model)).run(["y"], {"x": X.astype(np.float32)})
        yield f"PyTorch → ONNX: {kind} {options}", float(abs(found - want).max()), 1e-5


def there_and_back() -> Iterator[tuple[str, float, float]]:
    rng, xs, cells = np.random.default_rng(1), bk.sequence("x", 3), bk.cells
    known = ("lstm", "lstm_peephole", "gru", "gru_reset_after", "srn", "irnn")
    wires = {name: bk.scan(getattr(cells, name)(3, 4), xs) for name in known}
    wires["backwards"] = bk.scan(cells.lstm(3, 4), xs, reverse=True)
    wires["two layers"] = bk.scan(cells.gru(4, 5, name="b"), bk.scan(cells.lstm(3, 4, name="a"), xs), reverse=True)
    below = bk.bidirectional(cells.lstm(3, 4), cells.lstm(3, 4), xs, name="one")
    wires["two directions"] = bk.bidirectional(cells.gru(8, 2), cells.gru(8, 2), below, name="two")
    for name, wire in wires.items():
        model = bk.Model(outputs=wire, dtype="float64")
        model.set_weights({n: rng.normal(0.0, 0.6, w.shape) for n, w in model.weights.items()})
        for states in ("zeros", "inputs"):
            again = bk.from_onnx(bk.to_onnx(model, dtype="float64", states=states))
            yield f"{name} and back", float(abs(again.predict({"x": X}) - model.predict({"x": X})).max()), 1e-12


def by_hand(kind: str, directions: int, dtype: type, **options: Any) -> Any:
    """One operator, as other converters write it."""
    from onnx import TensorProto, helper, numpy_helper

    rng, gates = np.random.default_rng(2), {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]
    arrays = {
        "W": rng.normal(0.0, 0.6, (directions, gates * 4, 3)),
        "R": rng.normal(0.0, 0.6, (directions, gates * 4, 4)),
        "B": rng.normal(0.0, 0.6, (directions, gates * 8)),
        "P": rng.normal(0.0, 0.6, (directions, 12)),
        "shape": np.array([0, 0, -1]),
        "one": np.array([1]),
    }
    inputs = ["x", "W", "R", "B"] + (["", "", "", "P"] if kind == "LSTM" else [])
    way = "bidirectional" if directions == 2 else "reverse"
    nodes = [helper.make_node(kind, inputs, ["Y"], kind, hidden_size=4, direction=way, **options)]
    if directions == 2:
        nodes.append(helper.make_node("Transpose", ["Y"], ["turned"], perm=[0, 2, 1, 3]))
        nodes.append(helper.make_node("Reshape", ["turned", "shape"], ["y"]))
    else:
        nodes.append(helper.make_node("Squeeze", ["Y", "one"], ["y"]))
    number = TensorProto.FLOAT if dtype is np.float32 else TensorProto.DOUBLE
    known = [numpy_helper.from_array(v.astype(dtype if v.dtype.kind == "f" else v.dtype), n) for n, v in arrays.items()]
    graph = helper.make_graph(
        nodes,
        "by hand",
        [helper.make_tensor_value_info("x", number, ["time", "batch", 3])],
        [helper.make_tensor_value_info("y", number, ["time", "batch", 4 * directions])],
        known,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def made_there() -> Iterator[tuple[str, float, float]]:
    for kind, options in (
        ("LSTM", {}),
        ("GRU", {"linear_before_reset": 0}),
        ("GRU", {"linear_before_reset": 1}),
        ("RNN", {}),
        ("RNN", {"activations": ["Relu"]}),
    ):
        for directions in (1, 2):
            own = {k: v * directions if k == "activations" else v for k, v in options.items()}
            made = by_hand(kind, directions, np.float32, **own)
            (want,) = session(made).run(None, {"x": X.astype(np.float32).transpose(1, 0, 2)})
            found = bk.from_onnx(made).predict({"x": X})
            yield f"made there: {kind} {own} {directions}", float(abs(found - want.transpose(1, 0, 2)).max()), 1e-5


def by_command() -> Iterator[tuple[str, float, float]]:
    """``blocks export --to onnx``."""
    model = bk.Model(outputs=bk.ADD(2, name="out")(bk.scan(bk.cells.mlstm(3, 4), bk.sequence("x", 3))))
    with tempfile.TemporaryDirectory() as place:
        model.save(f"{place}/model.safetensors")
        command = [sys.executable, "-m", "blocks", "export", "model.safetensors", "--to", "onnx", "-o", "model.onnx"]
        subprocess.run(command, cwd=place, check=True, capture_output=True)
        (found,) = session(Path(place, "model.onnx").read_bytes()).run(["y"], {"x": X.astype(np.float32)})
    yield "by command", float(abs(found - model.predict({"x": X})).max()), 1e-5


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "clip": ("LSTM", {"clip": 3.0}, "LSTM 'LSTM' has the option clip=3.0"),
    "layout": ("GRU", {"layout": 1}, "has the option layout=1"),
    "coupled gates": ("LSTM", {"input_forget": 1}, "has the option input_forget=1"),
    "activations": ("RNN", {"activations": ["Softsign"]}, "has the activations softsign"),
}


def refused() -> Iterator[tuple[str, float, float]]:
    for name, (kind, options, said) in REFUSED.items():
        try:
            bk.from_onnx(by_hand(kind, 1, np.float32, **options))
            yield f"{name} is taken", np.inf, 0.0
        except bk.BlocksError as error:
            yield f"{name}: {error}", 0.0 if said in str(error) else np.inf, 0.0
    model = bk.Model(outputs=bk.ADD(2, name="out")(bk.scan(bk.cells.lstm(3, 4), bk.sequence("x", 3))))
    try:
        bk.from_onnx(bk.to_onnx(model))
        yield "a product after the layer is taken", np.inf, 0.0
    except bk.BlocksError as error:
        yield f"a product: {error}", 0.0 if "Add 'out.add' is no recurrent layer" in str(error) else np.inf, 0.0


def main() -> int:
    for package in ("onnx", "onnxruntime", "torch"):
        try:
            __import__(package)
        except ImportError:
            print(f"imported: skipped, {package} is not installed (pip install {package})")
            return 0
    count = failed = 0
    for part in (from_pytorch, there_and_back, made_there, by_command, refused):
        for label, gap, most in part():
            count += 1
            if not gap <= most:
                failed += 1
                print(f"  {label}: off by {gap:.2g}", flush=True)
    print(f"imported: {count} layers, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
