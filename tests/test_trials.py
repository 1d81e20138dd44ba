"""Trials: independent networks side by side, with the dimensions in the order (time, trials, batch, …)."""

import numpy as np
import pytest

import blocks as bk
from blocks.ops.elementwise import merge_named, place_of_trials

from .helpers import same

R, T, B = 4, 5, 3
rng = np.random.default_rng(7)


def normal(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape)


@pytest.mark.parametrize(
    ("prefixes", "merged"),
    [
        ([("trials",), ("time", "batch")], ("time", "trials", "batch")),
        ([("time", "batch"), ("trials",)], ("time", "trials", "batch")),
        ([("time", "trials"), ("batch",)], ("time", "trials", "batch")),
        ([("trials", "batch"), ("time",)], ("time", "trials", "batch")),
        ([("batch",), ("time",)], ("time", "batch")),
        ([("trials", "time"), ("batch",)], ("trials", "time", "batch")),  # as the user put them
        ([("batch", "heads"), ("trials",)], ("trials", "batch", "heads")),
    ],
)
def test_the_order_of_dimensions(prefixes, merged) -> None:
    assert merge_named(prefixes) == merged


def test_orders_that_contradict_each_other_are_refused() -> None:
    wires = [bk.input(n, shape=s) for n, s in (("a", ("time", "trials")), ("b", ("trials", "time")))]
    with pytest.raises(bk.WiringError, match=r"\(time, trials\) and \(trials, time\) stand in different orders"):
        wires[0] + wires[1]


@pytest.mark.parametrize(
    ("shape", "place"),
    [((), 0), ((3,), 0), (("time", "batch", 3), 1), (("time", 3), 1), (("batch", "time"), 0), ((3, "time"), 0)],
)
def test_the_place_of_the_trials(shape, place) -> None:
    assert place_of_trials(shape) == place


@pytest.mark.parametrize(
    "build",
    [
        lambda: bk.input("x", shape=("time", "time", 3)),
        lambda: bk.input("x", 3) @ bk.transpose(bk.input("y", 3)),
        lambda: bk.broadcast(bk.input("x", 3), shape=("batch", "batch", 3)),
        lambda: bk.parameter("W", "trials", "trials"),
    ],
)
def test_a_dimension_that_stands_twice_is_refused(build) -> None:
    with pytest.raises(bk.WiringError, match=r"with the dimension '\w+' twice.*test_trials.py"):
        build()


def recurrent(masked: bool) -> bk.Graph:
    """A recurrent cell whose weights have trials, over another one."""
    mask = bk.sequence("mask") if masked else None

    def layer(name: str, x: bk.Node, width: int) -> bk.Node:
        h = bk.state(f"h{name}", shape=("trials", "batch", 2))
        inside = bk.input("x", shape=x.shape[1:])
        W, U, b = (bk.parameter(f"{n}{name}", "trials", *s) for n, s in (("W", (width, 2)), ("U", (2, 2)), ("b", (2,))))
        h1 = bk.tanh(inside @ W + h @ U + b)
        return bk.scan(bk.Cell(states={h: h1}, outputs=h1), x, mask=mask)

    ys = layer("2", layer("1", bk.sequence("x", 3), 3), 2)
    return bk.Graph({"loss": bk.sum(ys * ys), "y": ys})


@pytest.mark.parametrize("masked", [False, True])
def test_recurrent_cells_have_trials(masked) -> None:
    graph = recurrent(masked)
    assert graph.outputs["y"].shape == ("time", "trials", "batch", 2)
    weights = {n: normal(*(R if d == "trials" else d for d in s)) for n, s in graph.params.items()}
    data = {"x": normal(T, B, 3)}
    if masked:
        data["mask"] = np.arange(T)[:, None] < np.array([T, 2, 3])
        data["x"][data["mask"] == 0] = np.nan
        data["mask"] = data["mask"].astype(float)
    feeds = {**weights, **data}
    ys = bk.run(graph, feeds)["y"]
    for r in range(R):
        alone = bk.run(graph, {**{k: v[r : r + 1] for k, v in weights.items()}, **data})["y"]
        np.testing.assert_allclose(ys[:, r : r + 1], alone, rtol=1e-12, atol=1e-14)
    gradient = bk.grad(graph)
    same(bk.run(gradient, feeds), bk.compile(gradient)(feeds), 1e-10)
    if not masked:
        bk.check_grads(graph, feeds)
