"""Forward values and every gradient against arrays recorded from PyTorch (see record_torch.py)."""

from pathlib import Path

import numpy as np
import pytest

import blocks as bk
from blocks.train.optimizers import OPTIMIZERS as OPTIMIZERS_BY_NAME

FOLDER = Path(__file__).parent / "data"
RECORDED = dict(np.load(FOLDER / "torch.npz"))
CASES = sorted({key.split("|")[0] for key in RECORDED})
N, H = 5, 4
LOSSES = {key.removeprefix("losses|"): v for key, v in np.load(FOLDER / "torch_losses.npz").items()}
UPDATES = dict(np.load(FOLDER / "torch_optimizers.npz"))
s = bk.schedules
OPTIMIZERS = {
    "sgd": bk.SGD(0.3),
    "momentum": bk.SGD(0.1, momentum=0.9),
    "nesterov": bk.SGD(0.1, momentum=0.9, nesterov=True),
    "rmsprop": bk.RMSprop(0.02),
    "adam": bk.Adam(0.05, 0.8, 0.99, 1e-6),
    "adamw": bk.AdamW(0.05, decay=0.2),
    "step_decay": bk.SGD(s.step_decay(0.3, 3, 0.7)),
    "exponential": bk.SGD(s.exponential(0.3, 30)),
    "linear": bk.SGD(s.linear(0.3, 16, final=0.075)),
    "cosine": bk.SGD(s.cosine(0.3, 20, final=0.02)),
    "momentum l2": bk.SGD(0.1, momentum=0.9, l2=0.3),
    "rmsprop l2": bk.RMSprop(0.02, l2=0.3),
    "adam l2": bk.Adam(0.05, l2=0.3),
    "adam decoupled": bk.Adam(0.05, decoupled=0.3),
    "warmup": bk.SGD(s.warmup(s.cosine(0.3, 15), 5)),
    "plateau": bk.SGD(s.plateau(2.5, 0.4, 2, of="loss", threshold=0.9, cooldown=1, least=0.3), momentum=0.5),
}
OPTIMIZERS |= {"momentum averaged": OPTIMIZERS["momentum"]}


def of_case(case: str, kind: str) -> dict[str, np.ndarray]:
    return {k.split("|")[2]: v for k, v in RECORDED.items() if k.startswith(f"{case}|{kind}|")}


def build(case: str) -> bk.Graph:
    """The network of a case, with the same number as its loss; states of layer k are called layerk/h."""
    if case in ("layernorm", "rmsnorm"):
        y = getattr(bk, case.upper())(N, name="norm", epsilon=1e-2)(bk.sequence("x", N))
        return bk.Graph({"loss": bk.sum(y * bk.sequence("probe y", N)), "y": y})
    make = getattr(bk.cells, case.split()[0])
    mask = bk.sequence("mask") if "masked" in case else None
    xs = bk.sequence("x", N)
    if "2 layers" in case:
        stack = bk.layers(make(N, H, name="layer0"), make(H, H, name="layer1"))
        y, finals = bk.scan(stack, xs, mask=mask, final=True)
    elif "2 directions" in case:
        y, finals = bk.bidirectional(make(N, H, name="layer0"), make(N, H, name="layer1"), xs, mask=mask, final=True)
    else:
        y, finals = bk.scan(make(N, H), xs, mask=mask, final=True)
    number = bk.sum(y * bk.sequence("probe y", y.shape[-1]))
    for name, wire in finals.items():
        number = number + bk.sum(wire * bk.input(f"probe {name}", H))
    return bk.Graph({"loss": number, "y": y, **finals})


def rows(case: str, kind: str) -> dict[str, np.ndarray]:
    """The recorded arrays with one entry per layer and direction for each state."""
    out = {}
    for name, value in of_case(case, kind).items():
        if name in ("h", "C"):
            out.update({name if len(value) == 1 else f"layer{k}/{name}": value[k] for k in range(len(value))})
        else:
            out[name] = value
    return out


@pytest.mark.parametrize("case", CASES)
def test_forward_and_every_gradient(case: str) -> None:
    graph = build(case)
    feeds = rows(case, "input") | {f"probe {k}": v for k, v in rows(case, "probe").items()}
    gradients = rows(case, "grad")
    assert set(graph.params) < set(gradients)
    results = bk.run(bk.grad(graph, wrt=list(gradients)), feeds)
    expected = rows(case, "output") | {f"grad/{k}": v for k, v in gradients.items()}
    for name, value in expected.items():
        np.testing.assert_allclose(results[name], value, rtol=1e-10, atol=1e-10, err_msg=f"{case}: {name}")


@pytest.mark.parametrize("case", [key.split("|")[1] for key in LOSSES if key.startswith("output|")])
def test_losses(case: str) -> None:
    """Means and sums of all losses, smoothed and weighted, and their gradients."""
    kind, *options, reduction = case.split()
    y = bk.sequence("y", N)
    if kind == "cross_entropy":
        target, smoothing, weighted = options
        t = bk.sequence("ids", dtype="int") if target == "ids" else bk.sequence("rows", N)
        weights = bk.input("weights", shape=(N,)) if weighted == "True" else None
        loss = bk.losses.cross_entropy(
            y, t, label_smoothing=float(smoothing), class_weights=weights, reduction=reduction
        )
    else:
        t = bk.sequence("share" if kind == "binary_cross_entropy" else "z", N)
        extra = {"delta": float(options[0])} if options else {}
        loss = getattr(bk.losses, kind)(y, t, reduction=reduction, **extra)
    graph = bk.grad(bk.Graph({"loss": loss}), wrt=["y"])
    got = bk.run(graph, {name: LOSSES[f"input|{name}"] for name in graph.inputs})
    np.testing.assert_allclose(got["loss"], LOSSES[f"output|{case}"], rtol=1e-12)
    np.testing.assert_allclose(got["grad/y"], LOSSES[f"grad|{case}"], rtol=1e-10, atol=1e-14)


def test_the_recorded_cases_cover_what_is_claimed() -> None:
    for cell in ("srn", "lstm", "gru_reset_after"):
        for kind in ("", " masked", " 2 layers", " 2 directions", " 2 directions masked"):
            assert cell + kind in CASES
    assert len([key for key in LOSSES if key.startswith("output|")]) == 2 * (2 * 2 * 2 + 5)
    assert {"gru", "layernorm", "rmsnorm", "lstm_layernorm"} <= {*CASES}


def difference(graph: bk.Graph, case: str) -> float:
    feeds = rows(case, "input") | {f"probe {k}": v for k, v in rows(case, "probe").items()}
    fed = {k: v for k, v in feeds.items() if k in graph.inputs or k in graph.params}
    return float(np.abs(bk.run(graph, fed)["y"] - rows(case, "output")["y"]).max())


@pytest.mark.parametrize("fault", ["none", "swapped gates", "zeroed gate", "dropped bias"])
def test_a_deliberate_fault_is_noticed(fault: str) -> None:
    """The LSTM with two gates swapped, one at zero, or one without bias is far from the recorded values."""
    x, h, C = bk.input("x", N), bk.state("h", H), bk.state("C", H)
    f = bk.SIGM(H, name="forget", bias=fault != "dropped bias")(x, h)
    i = bk.SIGM(H, name="input")(x, h)
    if fault == "swapped gates":
        f, i = i, f
    if fault == "zeroed gate":
        i = i * 0.0
    C1 = f * C + i * bk.TANH(H, name="candidate")(x, h)
    h1 = bk.SIGM(H, name="output")(x, h) * bk.tanh(C1)
    ys = bk.scan(bk.Cell(states={h: h1, C: C1}, outputs=h1), bk.sequence("x", N))
    gap = difference(bk.Graph({"y": ys}), "lstm")
    assert gap < 1e-12 if fault == "none" else gap > 1e-2


def taught(case: str) -> tuple[bk.Node, dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """What the optimizers were recorded on: the loss, first weights, data; and the weights and the loss of each
    update."""
    inputs = {k.split("|")[2]: v for k, v in UPDATES.items() if k.startswith(f"{case}|input|")}
    outputs = {k.split("|")[2]: v for k, v in UPDATES.items() if k.startswith(f"{case}|output|")}
    net = bk.input("x", N) @ bk.parameter("W", N, H) + bk.parameter("b", H)
    loss = bk.mean((bk.tanh(net) - bk.input("target", H)) ** 2)
    weights = {k: inputs.pop(k) for k in ("W", "b")}
    return loss, weights, inputs, outputs


@pytest.mark.parametrize("case", sorted({key.split("|")[0] for key in UPDATES}))
def test_fit_moves_weights_as_recorded(case: str) -> None:
    loss, weights, data, outputs = taught(case)
    model = bk.Model(loss=loss, dtype="float64")
    model.set_weights(weights)
    after: dict[str, list[np.ndarray]] = {name: [] for name in weights}

    def note(_, record) -> None:
        for name in after:
            after[name].append(model.weights[name].copy())

    clip = 0.05 if "clipped" in case else None
    average = 0.9 if "averaged" in case else None
    options = {"epochs": len(outputs["loss"]), "batch_size": len(data["x"]), "clip": clip, "callbacks": note}
    options |= {"average": average, "optimizer": OPTIMIZERS[case.removesuffix(" clipped")]}
    history = model.fit(data, shuffle=False, **options)
    np.testing.assert_allclose(history.loss, outputs["loss"], rtol=1e-12)
    for name in weights:
        np.testing.assert_allclose(after[name], outputs[name], rtol=1e-12, atol=1e-12)
    if average:
        for name, w in model.averaged().weights.items():
            np.testing.assert_allclose(w, UPDATES[f"{case}|average|{name}"], rtol=1e-12, atol=1e-12)
    if case == "plateau":  # it was reduced, and down to the least
        assert len({r["lr"] for r in history.steps}) == 4 and history.steps[-1]["lr"] == 0.3
    assert clip is None or max(r["norm"] for r in history.steps) > 1.2 * clip


def test_the_recorded_optimizers_are_all() -> None:
    cases = {key.split("|")[0].removesuffix(" clipped") for key in UPDATES}
    assert {type(OPTIMIZERS[case]) for case in cases} == set(OPTIMIZERS_BY_NAME.values())
    rates = {type(o.lr) for case, o in OPTIMIZERS.items() if case in cases and callable(o.lr)}
    known = {v for v in vars(s).values() if isinstance(v, type) and issubclass(v, s.Decay) and not v.__subclasses__()}
    assert rates == known - {s.constant}
