"""Trials: independent networks side by side, with the dimensions in the order (time, trials, batch, …)."""

import numpy as np
import pytest
from hypothesis import given

import blocks as bk
from blocks.compile.passes.lift import RULES
from blocks.compile.passes.trials import OWN, with_trials
from blocks.graph import OPS
from blocks.ops.elementwise import merge_named, place_of_trials

from .helpers import limit, poisoned, same
from .strategies import examples, wide

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
    ],
)
def test_a_dimension_that_stands_twice_is_refused(build) -> None:
    with pytest.raises(bk.WiringError, match=r"with the dimension '\w+' twice.*test_trials.py"):
        build()


def wire(name: str, *shape: int | str, dtype: str = "float") -> bk.Node:
    return bk.input(name, shape=shape, dtype=dtype)


E, F, G, K = normal(T, R, B, 3), normal(T, 1, B, 2), normal(R, T, B, 2), normal(3, 4, 2)
IDS = np.array([[2, 0, 2]] * T)
e, f, g = (
    wire("e", "time", "trials", "batch", 3),
    wire("f", "time", 1, "batch", 2),
    wire("g", "trials", "time", "batch", 2),
)
q = wire("q", "a", "c", "trials", 3)
k, ids = wire("k", 3, 4, 2), wire("ids", "time", "batch", dtype="int")


@pytest.mark.parametrize(
    ("built", "expected"),
    [
        (bk.outer(e, f, each="trials"), lambda: np.einsum("trbn,tbm->rnm", E, F[:, 0])),
        (bk.outer(f, e, each=("trials",)), lambda: np.einsum("trbn,tbm->rmn", E, F[:, 0])),
        (bk.outer(g, g, each=0), lambda: np.einsum("rtbn,rtbm->rnm", G, G)),
        (bk.outer(e, e, each=(0, 1)), lambda: np.einsum("trbn,trbm->trnm", E, E)),
        (bk.outer(q, bk.tanh(q), each="c"), None),
        (bk.gather(k, ids), lambda: K[IDS]),
        (f @ wire("w", "trials", 2, 4), None),
        (wire("x", "batch", 2) @ wire("w", "trials", 2, 4), None),
    ],
    ids=range(8),
)  # fmt: skip
def test_products_and_rows_for_each(built, expected) -> None:
    feeds = {"e": E, "f": F, "g": G, "k": K, "ids": IDS, "q": E, "w": normal(R, 2, 4), "x": normal(B, 2)}
    graph = bk.Graph({"y": built})
    feeds = {n: v for n, v in feeds.items() if n in graph.inputs}
    got = bk.run(graph.verify(), feeds)["y"]
    if expected is not None:
        np.testing.assert_allclose(got, expected(), rtol=1e-12)
    bk.check_grads(graph, feeds, order=2)
    gradient = bk.grad(bk.Graph({"y": bk.sum(built * built)}), of="y", wrt=[n for n in feeds if n != "ids"])
    same(bk.run(gradient, feeds), bk.compile(gradient)(feeds), 1e-10)
    assert bk.from_json(bk.to_json(gradient)).dump() == gradient.dump()


def test_what_outer_cannot_keep_apart_is_refused() -> None:
    for each, error in (("batch", "leaves no rows"), ("time", "has no axis 'time'")):
        with pytest.raises(bk.WiringError, match=error):
            bk.outer(bk.input("a", 3), bk.input("b", 2), each=each)
    with pytest.raises(bk.WiringError, match="must be equal"):
        bk.outer(e, f)


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


# --- any network, side by side -------------------------------------------------------------------


def apart(arrays: dict[str, np.ndarray], graph: bk.Graph, r: int) -> dict[str, np.ndarray]:
    """What one trial has of the outputs of a graph of one trial."""
    return {k: np.take(v, r, axis=place_of_trials(graph.outputs[k].shape)) for k, v in arrays.items()}


def several(made) -> tuple[dict, dict, list[str]]:
    """What each of R trials has of its own: weights, those draws that are fed and half of the inputs; and the others."""
    noise, graph = np.random.default_rng(3), made.graph
    inputs = graph.fed("input")
    vary = [k for k, n in inputs.items() if k in made.feeds and n.dtype == "float" and "mask" not in k][::2]
    own = {}
    for k, shape in {**graph.params, **graph.draws, **{k: graph.inputs[k] for k in vary}}.items():
        if k in made.feeds:
            rows = [made.feeds[k] + 0.1 * r * noise.standard_normal(np.shape(made.feeds[k])) for r in range(R)]
            own[k] = np.stack(rows, axis=place_of_trials(shape))
    return own, {k: v for k, v in made.feeds.items() if k not in own}, vary


@examples(10)
@given(wide(kinks=False))
def test_any_network_and_its_gradient_have_trials(made) -> None:
    """Each trial has the numbers of a network of its own, in the interpreter and compiled, draws too."""
    own, data, vary = several(made)
    gradient = made.gradient()
    if not gradient.params:
        return
    leaves = bk.Graph({k: n for op in ("parameter", "draw", "input") for k, n in gradient.fed(op).items()})
    with limit(20, made):
        side_by_side = bk.trials(gradient, vary).verify()
        got = bk.run(side_by_side, {**own, **data}, draw=(5, 2))
        for name, node in side_by_side.outputs.items():
            assert node.shape == with_trials(gradient.outputs[name].shape)
        for r in range(R):
            feeds = {**apart(own, leaves, r), **data}
            same(apart(got, gradient, r), bk.run(gradient, feeds, draw=(5 + r, 2)), 1e-9)
        for every in (None, 3):
            with poisoned():
                same(got, bk.compile(side_by_side, checkpoint=every)({**own, **data}, draw=(5, 2)), 1e-9)


@pytest.mark.parametrize("op", [op for op in OPS.values() if op.kind not in ("leaf", "loop")], ids=lambda op: op.name)
def test_every_operation_has_trials(op) -> None:
    """By the rule for all elementwise ones, by that which lifts it over steps, by one of its own, or by its parts."""
    assert op.kind == "elementwise" or op.name in RULES or op.name in OWN or op.expand is not None


def products(graph: bk.Graph, depth: int = 0) -> list[tuple[str, int]]:
    """The products of a graph, each with the number of loops that it is in."""
    found = []
    for node in graph.order():
        if node.op.kind == "product":
            found.append((node.op.name, depth))
        if node.op.name == "loop":
            found += products(node.attrs["body"], depth + 1)
    return sorted(found)


@pytest.mark.parametrize("cell", [bk.cells.srn, bk.cells.lstm, bk.cells.gru, bk.cells.lstm_layernorm])
def test_stacks_of_products_are_packed_and_hoisted_as_single_ones(cell) -> None:
    """The gradient of trials and trials of the gradient have the products of one network, in the loop and outside."""
    xs, ids = bk.sequence("x", 3), bk.sequence("target", dtype="int")
    y = bk.ADD(5, name="out")(bk.scan(cell(3, 4), xs))
    graph = bk.Graph({"loss": bk.losses.cross_entropy(y, ids)})
    one = bk.compile(bk.grad(graph))
    sides = bk.trials(graph)
    for several in (bk.trials(bk.grad(graph)), bk.grad(bk.Graph({"loss": bk.sum(sides.outputs["loss"])}))):
        program = bk.compile(several)
        assert products(program.lowered) == products(one.lowered)
        feeds = {**sides.init(0, "float64", trials=R), "x": normal(T, B, 3), "target": rng.integers(0, 5, (T, B))}
        same(bk.run(several, feeds), program(feeds), 1e-10)


def test_first_weights_of_trials() -> None:
    x = bk.input("x", 3)
    y = bk.TANH(4, name="f")(x) + bk.parameter("c", 4, init=np.arange(4.0))
    graph = bk.trials(bk.Graph({"y": y}))
    weights = graph.init(10, "float64", trials=R)
    assert {k: v.shape for k, v in weights.items()} == {"f.W_x": (R, 3, 4), "f.b": (R, 4), "c": (R, 4)}
    for r in range(R):
        same({k: v[r] for k, v in weights.items()}, bk.Graph({"y": y}).init(10 + r, "float64"), 0.0)
    again = bk.from_json(bk.to_json(graph))
    same(again.init(10, "float64", trials=2), {k: v[:2] for k, v in weights.items()}, 0.0)


def test_what_cannot_have_trials_is_refused() -> None:
    x = bk.input("x", 3)
    graph = bk.Graph({"y": bk.TANH(4)(x)})
    with pytest.raises(bk.BlocksError, match="has no input 'y'"):
        bk.trials(graph, vary=["y"])
    with pytest.raises(bk.BlocksError, match="names of inputs"):
        bk.trials(graph, vary="x")
    with pytest.raises(bk.BlocksError, match="has trials already"):
        bk.trials(bk.trials(graph))
    with pytest.raises(bk.WiringError, match="the trials of weights stand in front"):
        bk.parameter("W", 3, "trials")


def test_masks_that_differ_among_the_trials() -> None:
    """Made of weights, fed to each, or the same for all: each trial holds the steps of its own sequences."""
    xs, fed = bk.sequence("x", 3), bk.sequence("mask")
    made = bk.greater(bk.sum(xs * bk.parameter("w", 3), axis=-1), 0.0)
    for mask, vary in ((made, []), (made, ["x"]), (fed, ["mask"]), (fed, ["x", "mask"]), (fed, ["x"])):
        ys = bk.scan(bk.cells.srn(3, 4), xs, mask=mask)
        ys = bk.scan(bk.cells.srn(4, 2, name="upper"), ys, mask=mask) if mask is made else ys
        graph = bk.grad(bk.Graph({"loss": bk.losses.squared_error(ys, ys * 0.5, mask)}))
        own = bk.trials(graph).init(3, "float64", trials=R)
        data = {"x": normal(T, R, B, 3), "mask": (rng.random((T, R, B)) < 0.6).astype(float)}
        data = {k: v if k in vary else v[:, 0] for k, v in data.items() if k in graph.inputs}
        got = bk.run(bk.trials(graph, vary).verify(), {**own, **data})
        for r in range(R):
            one = {k: v[:, r] if k in vary else v for k, v in data.items()} | {k: v[r] for k, v in own.items()}
            same(apart(got, graph, r), bk.run(graph, one), 1e-10)
        same(got, bk.compile(bk.trials(graph, vary))({**own, **data}), 1e-10)


def test_rows_that_differ_among_the_trials() -> None:
    """A table and the numbers of its rows, each the same or not: a row by number, and its gradient."""
    table, ids = bk.parameter("table", 5, 3), bk.sequence("ids", dtype="int")
    graph = bk.grad(bk.Graph({"loss": bk.sum(bk.tanh(bk.gather(table, ids)))}))
    W, numbers = normal(R, 5, 3), rng.integers(0, 5, (T, R, B))
    got = bk.run(bk.trials(graph, ["ids"]), {"table": W, "ids": numbers})
    for r in range(R):
        same(apart(got, graph, r), bk.run(graph, {"table": W[r], "ids": numbers[:, r]}), 1e-12)
    same(got, bk.compile(bk.trials(graph, ["ids"]))({"table": W, "ids": numbers}), 1e-12)
