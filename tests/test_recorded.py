"""Forward values and every gradient against arrays recorded from PyTorch (see record_torch.py)."""

from pathlib import Path

import numpy as np
import pytest

import blocks as bk

RECORDED = dict(np.load(Path(__file__).parent / "data" / "torch.npz"))
CASES = sorted({key.split("|")[0] for key in RECORDED})
N, H = 5, 4


def of_case(case: str, kind: str) -> dict[str, np.ndarray]:
    return {k.split("|")[2]: v for k, v in RECORDED.items() if k.startswith(f"{case}|{kind}|")}


def build(case: str) -> bk.Graph:
    """The network of a case, with the same number as its loss; states of layer k are called layerk/h."""
    make = getattr(bk.cells, case.split()[0])
    mask = bk.sequence("mask") if "masked" in case else None
    xs = bk.sequence("x", N)
    finals: dict[str, bk.Node] = {}

    def layer(wire, inputs, name=None, reverse=False):
        ys, last = bk.scan(make(inputs, H, name=name), wire, reverse=reverse, mask=mask, final=True)
        finals.update(last)
        return ys

    if "2 layers" in case:
        y = layer(layer(xs, N, "layer0"), H, "layer1")
    elif "2 directions" in case:
        y = bk.concat(layer(xs, N, "layer0"), layer(xs, N, "layer1", reverse=True))
    else:
        y = layer(xs, N)
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


def test_the_recorded_cases_cover_what_is_claimed() -> None:
    for cell in ("srn", "lstm", "gru_reset_after"):
        for kind in ("", " masked", " 2 layers", " 2 directions", " 2 directions masked"):
            assert cell + kind in CASES
    assert "gru" in CASES


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
