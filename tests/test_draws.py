"""Random numbers: how they are distributed, where they are the same bits, what is made of them, and what is refused."""

import json
import pickle
import re
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import given

import blocks as bk
from blocks.equations import equations
from blocks.ops.random import draw_array
from blocks.wrappers import zoneout

from .helpers import data, limit, same, single
from .strategies import wide

MANY = 40_000


def drawn(node, draw, **dims):
    return draw_array(node, draw, {"batch": 1, **dims})


def numbers(graph, draw, **dims):
    """All draws of a graph, name → array."""
    return {name: draw_array(node, draw, dims) for name, node in graph.fed("draw").items()}


def sigm(z):
    return 1.0 / (1.0 + np.exp(-z))


# --- the numbers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("node", "mean", "std", "low", "high"),
    [
        (bk.uniform(MANY, low=-2.0, high=3.0), 0.5, 5 / 12**0.5, -2.0, 3.0),
        (bk.uniform(MANY), 0.5, 1 / 12**0.5, 0.0, 1.0),
        (bk.normal(MANY, mean=1.5, std=0.3), 1.5, 0.3, -1.0, 4.0),
        (bk.bernoulli(MANY, p=0.9), 0.9, 0.3, 0.0, 1.0),
        (bk.bernoulli(MANY, p=0.02), 0.02, 0.14, 0.0, 1.0),
    ],
)
def test_numbers_are_distributed_as_they_say(node, mean, std, low, high) -> None:
    x = drawn(node, (5, 17))
    assert x.shape == (1, MANY) and x.dtype == np.float64
    assert abs(x.mean() - mean) < 5 * std / MANY**0.5 and abs(x.std() / std - 1) < 0.05
    assert low <= x.min() and x.max() <= high
    np.testing.assert_allclose(drawn(node, None), mean, rtol=1e-15)
    if node.attrs["law"] == "bernoulli":
        assert set(np.unique(x)) == {0.0, 1.0}


def test_a_normal_draw_has_the_tails_of_one() -> None:
    x = np.abs(drawn(bk.normal(MANY), (0, 0)))
    for limit_, share in ((1.0, 0.31731), (2.0, 0.0455), (3.0, 0.0027)):
        assert abs((x > limit_).mean() - share) < 5 * (share / MANY) ** 0.5


def test_seeds_updates_and_names_give_numbers_that_have_nothing_to_do_with_each_other() -> None:
    one = lambda name, draw: drawn(bk.normal(MANY, name=name), draw).ravel()
    rows = [one(name, (s, u)) for name in ("a", "b", "layer/a") for s in (0, 1, 2**40) for u in (0, 1, 7)]
    weights = np.random.default_rng([0, 97]).standard_normal(MANY)  # what other uses of the seed begin with
    correlations = np.corrcoef([*rows, weights]) - np.eye(len(rows) + 1)
    assert np.abs(correlations).max() < 6 / MANY**0.5
    np.testing.assert_array_equal(one("a", (1, 7)), one("a", (1, 7)))


def test_the_first_steps_of_long_sequences_have_the_numbers_of_short_ones() -> None:
    for make in (bk.uniform, bk.normal, bk.bernoulli):
        node = make(name="n", shape=("time", "batch", 3))
        long, short = (draw_array(node, (4, 2), {"time": t, "batch": 5}) for t in (9, 4))
        np.testing.assert_array_equal(long[:4], short)


@pytest.mark.parametrize("shape", [("trials", "batch", 3), ("time", "trials", "batch", 3), ("trials",)])
def test_each_trial_has_the_numbers_of_a_single_one(shape) -> None:
    sizes = {"time": 4, "batch": 2, "trials": 5}
    axis = shape.index("trials")
    alone = tuple(d for d in shape if d != "trials")
    for make in (bk.uniform, bk.normal, bk.bernoulli):
        together = draw_array(make(name="n", shape=shape), (7, 3), sizes)
        for r in range(5):
            np.testing.assert_array_equal(
                together.take(r, axis), draw_array(make(name="n", shape=alone), (7 + r, 3), sizes)
            )
    graph = bk.Graph({"y": bk.input("x", shape=shape) * bk.normal(name="n", shape=shape)})
    feeds = {"x": np.ones([sizes[d] if isinstance(d, str) else d for d in shape])}
    for got in (bk.run(graph, feeds, draw=(7, 3)), bk.compile(graph)(feeds, (7, 3))):
        np.testing.assert_array_equal(got["y"], draw_array(bk.normal(name="n", shape=shape), (7, 3), sizes))


# --- the same bits everywhere --------------------------------------------------------------------


def noisy(units=4, name=None):
    """A cell that draws four times, two of them dropouts that nobody named."""
    x, h = bk.input("x", 3), bk.state("h", units)
    h1 = bk.TANH(units, name="hidden")(bk.dropout(x, 0.3), bk.dropout(h, 0.2), bk.uniform(2, low=-1.0, name="from"))
    return bk.Cell(states={h: h1}, outputs=bk.noise(h1, 0.1), name=name)


def noisy_network(cells=("one", "two"), mask=None):
    y = bk.sequence("x", 3)
    for name in cells:
        y = bk.dropout(bk.ADD(3, name=f"{name} out")(bk.scan(noisy(name=name), y, mask=mask)), 0.5)
    fixed = bk.bernoulli(3, p=0.6, name="fixed")
    target = bk.sequence("target", dtype="int")
    return bk.losses.cross_entropy(y * fixed, target, mask), y


def noisy_model(seed=3, dtype="float64", **options):
    loss, y = noisy_network()
    return bk.Model(loss=loss, outputs={"y": y}, seed=seed, dtype=dtype, **options)


def noisy_data():
    return data(samples=6, steps=7, features=3, classes=3)


@given(wide(kinks=False))
def test_programs_draw_the_numbers_of_the_interpreter(made) -> None:
    """Those of a feed under the draw's name, too."""
    with limit(20, made):
        gradient = made.gradient()
        feeds = {k: v for k, v in made.feeds.items() if k not in gradient.draws}
        known = {d for n in (gradient.inputs | gradient.params) if n in feeds for d in gradient.nodes[n].shape}
        if not all({d for d in shape if isinstance(d, str)} <= known for shape in gradient.draws.values()):
            return  # a draw with a dimension that nothing else has is fed
        draw = (11, 5)
        expected = bk.run(gradient, feeds, draw=draw)
        for every in (None, 3):
            program = bk.compile(gradient, checkpoint=every)
            first = program(feeds, draw)
            same(expected, first, 1e-9, f"checkpoint={every}")
            same(first, program(feeds, draw), 0.0, "a second call")
        pairs = [p for k, v in feeds.items() for p in zip(gradient.nodes[k].shape, v.shape, strict=True)]
        dims = {d: n for d, n in pairs if isinstance(d, str)}
        same(expected, bk.run(gradient, {**feeds, **numbers(gradient, draw, **dims)}), 0.0, "fed by hand")


@pytest.mark.parametrize("checkpoint", [None, 3, "sqrt"])
@pytest.mark.parametrize("masked", [False, True])
def test_gradients_of_networks_that_draw(checkpoint, masked) -> None:
    loss, y = noisy_network(mask=bk.sequence("mask") if masked else None)
    graph = bk.Graph({"loss": loss, "y": y})
    rng = np.random.default_rng(1)
    feeds = {**graph.init(1, "float64"), "x": rng.standard_normal((5, 2, 3)), "target": rng.integers(0, 3, (5, 2))}
    feeds |= {"mask": np.array([[1.0, 1], [1, 1], [1, 0], [1, 0], [0, 0]])} if masked else {}
    bk.check_grads(graph, feeds, draw=(2, 5))
    gradient = bk.grad(graph, wrt=[*graph.params, *graph.draws])
    program = bk.compile(gradient, checkpoint=checkpoint)
    losses = set()
    for draw in (None, (2, 5), (2, 6), (3, 5), None, (2, 5)):
        want = bk.run(gradient, feeds, draw=draw)
        same(want, program(feeds, draw), 1e-10)
        same(bk.run(gradient, single(feeds), draw=draw), program(single(feeds), draw), 2e-4)
        losses.add(float(want["loss"]))
    assert len(losses) == 4


def test_second_derivatives_of_a_network_that_draws() -> None:
    hs = bk.scan(noisy(3), bk.sequence("x", 3))
    graph = bk.Graph({"loss": bk.mean(hs * hs)})
    feeds = {**graph.init(1, "float64"), "x": np.random.default_rng(0).standard_normal((3, 2, 3))}
    bk.check_grads(graph, feeds, order=2, draw=(0, 1))


def test_single_precision_has_the_numbers_of_double_rounded() -> None:
    wire, x = bk.input("x", 5), np.zeros((3, 5))
    graph = bk.Graph({"u": wire + bk.uniform(5), "n": wire + bk.normal(5)})
    double, half = bk.run(graph, {"x": x}, draw=(1, 1)), bk.run(graph, single({"x": x}), draw=(1, 1))
    for name, value in double.items():
        np.testing.assert_array_equal(half[name], value.astype(np.float32))


SCRIPT = """
    import hashlib, sys
    import blocks as bk
    sys.path.insert(0, {root!r})
    for _ in range({before}):  # what was made before does not matter
        bk.Graph({{"y": bk.dropout(bk.input("x", 3), 0.5)}})
    from tests.test_draws import noisy_data, noisy_model
    model = noisy_model()
    model.fit(noisy_data(), epochs=2, batch_size=3, shuffle=True)
    print(hashlib.sha256(b"".join(model.weights[k].tobytes() for k in sorted(model.weights))).hexdigest())
    print(sorted(model.graph.draws))
"""


def test_two_processes_with_other_hashes_and_another_past_train_to_the_same_bits(tmp_path) -> None:
    root = re.sub(r"/tests/[^/]*$", "", __file__)
    said = []
    for before, seed in ((0, "1"), (5, "2")):
        code = textwrap.dedent(SCRIPT.format(root=root, before=before))
        environment = {"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        ran = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
        )
        assert ran.returncode == 0, ran.stderr
        said.append(ran.stdout)
    assert said[0] == said[1] and "one/keep_2" in said[0]


@pytest.mark.parametrize("tbptt", [None, 3, (2, 4)])
def test_a_resumed_run_has_the_same_bits(tbptt, tmp_path) -> None:
    whole, cut = noisy_model(dtype="float32"), noisy_model(dtype="float32")
    options = {"batch_size": 2, "epochs": 2, "tbptt": tbptt, "autosave": str(tmp_path / "run.safetensors")}
    cut.fit(noisy_data(), **options, callbacks=lambda m, record: record["step"] == 3)
    again = noisy_model(dtype="float32")
    again.fit(noisy_data(), **options, resume=True)
    whole.fit(noisy_data(), **{**options, "autosave": None})
    for name, value in whole.weights.items():
        np.testing.assert_array_equal(again.weights[name], value)
    assert whole.history.steps == again.history.steps


@pytest.mark.parametrize("target", ["numpy", "interpreter"])
def test_fit_draws_from_the_seed_of_the_model_and_the_number_of_the_update(target) -> None:
    rows, model = noisy_data(), noisy_model(seed=8, target=target)
    gradient = bk.grad(bk.Graph({"loss": model.graph.outputs["loss"]}))
    weights, losses, carried = {k: w.copy() for k, w in model.weights.items()}, [], {}
    for step, chunk in enumerate([slice(0, 4), slice(4, 7)] * 2):  # tbptt=4: an update for each chunk of each epoch
        feeds = {k: np.moveaxis(v, 0, 1)[chunk] for k, v in rows.items()}
        states = carried if step % 2 else {}
        graph = bk.Graph({**gradient.outputs, **finals(model.graph)})
        out = bk.run(graph, {**weights, **feeds, **states}, draw=(8, step))
        carried = {k[6:]: v for k, v in out.items() if k.startswith("final/")}
        weights = {k: w - 0.1 * out[f"grad/{k}"] for k, w in weights.items()}
        losses.append(float(out["loss"]))
    model.fit(rows, epochs=2, batch_size=6, tbptt=4, shuffle=False, optimizer=bk.SGD(0.1))
    np.testing.assert_allclose([s["loss"] for s in model.history.steps], losses, rtol=1e-9)
    for name, value in weights.items():
        np.testing.assert_allclose(model.weights[name], value, rtol=1e-8, atol=1e-10)


def finals(graph):
    from blocks.train.truncated import carried_states

    return {f"final/{k}": v for k, v in carried_states(graph).items()}


def test_predict_and_evaluate_take_the_expectation() -> None:
    """Which for dropout is the network without it; and validation does not depend on the update."""

    def build(rate, std):
        x, h = bk.input("x", 3), bk.state("h", 4)
        h1 = bk.TANH(4, name="hidden", weights="dense")(bk.dropout(x, rate), bk.noise(h, std))
        ys = bk.dropout(bk.scan(bk.Cell({h: h1}, h1), bk.sequence("x", 3)), rate)
        y = bk.ADD(5, name="out")(ys)
        return bk.Model(bk.losses.cross_entropy(y, bk.sequence("target", dtype="int")), {"y": y}, dtype="float64")

    noisy_one, plain = build(0.4, 0.3), build(0.0, 0.0)
    rows = data()
    plain.set_weights(noisy_one.weights)
    np.testing.assert_allclose(noisy_one.predict({"x": rows["x"]}), plain.predict({"x": rows["x"]}), rtol=1e-13)
    np.testing.assert_allclose(noisy_one.evaluate(rows), plain.evaluate(rows), rtol=1e-13)
    np.testing.assert_allclose(noisy_one.evaluate(rows, chunk=3), plain.evaluate(rows), rtol=1e-13)
    history = noisy_one.fit(rows, epochs=3, optimizer=bk.SGD(1e-12), validation=rows)
    seen = [e["validation"] for e in history.epochs]
    np.testing.assert_allclose(seen, seen[0], rtol=1e-9)
    losses = [s["loss"] for s in history.steps]
    assert len(set(losses)) == 3 and np.std(losses) > 1e-3


def network_with(drawn_, masked, trials):
    """A model with three leaves that are drawn, or inputs of the same names: in a cell, before it, without a batch."""

    def leaf(make, name, *features, shape=None):
        return make(*features, name=name, shape=shape) if drawn_ else bk.input(name, *features, shape=shape)

    x, h = bk.input("x", 3), bk.state("h", 4)
    moved = bk.TANH(4, name="hidden")(x, h) + 0.3 * leaf(bk.normal, "push", 4)
    cell = bk.Cell({h: moved}, outputs=moved)
    xs, mask = bk.sequence("x", 3), bk.sequence("mask") if masked else None
    own = {} if drawn_ else {"push": bk.sequence("push", 4)}
    hs = bk.scan(cell, {"x": xs * leaf(bk.bernoulli, "fixed", 3), **own}, mask=mask)
    y = bk.ADD(5, name="out")(hs)
    loss = bk.losses.cross_entropy(y, bk.sequence("target", dtype="int"), mask)
    loss = loss * (1.0 + leaf(bk.uniform, "scale", shape=()))
    return bk.Model(loss=loss, outputs={"y": y}, seed=2, dtype="float64", trials=trials)


@pytest.mark.parametrize(
    ("trials", "listed", "options"),
    [
        (None, False, {"batch_size": 4, "epochs": 2}),
        (None, True, {"batch_size": 4, "tbptt": (2, 3), "shuffle": False}),
        (3, False, {"batch_size": 5, "tbptt": 3}),
        (2, True, {"batch_size": 4}),
        (None, False, {"batch_size": 3, "accumulate": 2}),
    ],
)
def test_a_draw_that_the_data_has_is_an_input_of_that_name(trials, listed, options) -> None:
    """In all that a model does with data: to the bits of a model that has inputs instead."""
    rng = np.random.default_rng(4)
    rows = {**data(), "push": rng.standard_normal((12, 10, 4)), "fixed": rng.random((12, 3))}
    if listed:
        lengths = rng.integers(1, 11, 12)
        rows = {k: [r[:n] for r, n in zip(v, lengths, strict=True)] if k != "fixed" else v for k, v in rows.items()}
    rows["scale"] = np.array(0.7)
    models = [network_with(drawn_, listed, trials) for drawn_ in (True, False)]
    for m in models:
        m.fit(rows, optimizer=bk.SGD(0.3), validation=rows, **options)
    fed_, plain = models
    assert fed_.history.steps and not np.isnan(fed_.history.validation).any()
    np.testing.assert_array_equal(fed_.weights.all, plain.weights.all)
    np.testing.assert_array_equal(fed_.history.loss, plain.history.loss)
    np.testing.assert_array_equal(fed_.history.validation, plain.history.validation)
    for chunk in (None, 3):
        np.testing.assert_array_equal(fed_.evaluate(rows, 5, chunk), plain.evaluate(rows, 5, chunk))
        for mine, other in zip(fed_.predict(rows, 5, chunk), plain.predict(rows, 5, chunk), strict=True):
            for a, b in zip(mine, other, strict=True):
                np.testing.assert_array_equal(a, b)
    half = {k: v for k, v in rows.items() if k != "push"}  # the rest is drawn as ever
    assert np.all(fed_.evaluate(half) != fed_.evaluate(rows))
    zeros = {**rows, "push": [0 * r for r in rows["push"]] if listed else 0 * rows["push"]}
    np.testing.assert_allclose(fed_.evaluate(half), fed_.evaluate(zeros), rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"push": np.ones((12, 10, 3))}, "'push': (samples, time, 4) fits, not (12, 10, 3)"),
        ({"push": np.ones((12, 9, 4))}, "'push' has 9 steps where 'x' has 10; both are over 'time'"),
        ({"fixed": np.ones((11, 3))}, "fixed has 11"),
        ({"scale": np.nan}, "'scale' is nan"),
        ({"fixd": np.ones((12, 3))}, "the model has no input 'fixd' (did you mean 'fixed'?)"),
    ],
)
def test_a_draw_in_the_data_that_does_not_fit(change, said) -> None:
    m = network_with(True, False, None)
    for use in (m.evaluate, m.fit):
        with pytest.raises(bk.FeedError, match=re.escape(said)):
            use({**data(), **change})
    assert m.training is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dropout_without_a_draw_is_the_identity_to_the_last_bit(dtype) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((50, 3)).astype(dtype)
    for rate in [*rng.random(40), 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1e-9, 1 - 1e-9]:
        wire = bk.dropout(bk.input("x", 3), rate)
        graph = bk.Graph({"y": wire, "z": bk.tanh(wire)})
        for got in (bk.run(graph, {"x": x}), bk.compile(graph)({"x": x})):
            np.testing.assert_array_equal(got["y"], x)
            assert got["y"].dtype == x.dtype


# --- names ---------------------------------------------------------------------------------------


def test_draws_that_nobody_named_are_told_apart() -> None:
    assert set(noisy().graph.draws) == {"keep", "keep_2", "from", "noise"}
    loss, y = noisy_network()
    graph = bk.Graph({"loss": loss, "y": y})
    layers = {f"{c}/{d}" for c in ("one", "two") for d in ("keep", "keep_2", "from", "noise")}
    assert set(graph.draws) == layers | {"keep", "keep_2", "fixed"}
    made = numbers(graph, (0, 0), time=40, batch=9)
    rows = [made[n].ravel()[:1000] for n in sorted(layers) if n.endswith(("keep", "keep_2"))]
    assert np.abs(np.corrcoef(rows) - np.eye(4)).max() < 0.2
    for part in (bk.Graph({"y": graph.outputs["y"]}), bk.grad(graph), bk.from_json(bk.to_json(graph))):
        assert set(part.draws) <= set(graph.draws)
        for name, node in part.fed("draw").items():
            assert (node.shape, node.attrs) == (graph.nodes[name].shape, graph.nodes[name].attrs)


def test_a_part_of_a_graph_keeps_the_names() -> None:
    x = bk.input("x", 3)
    a, b, c = (bk.dropout(x, rate) for rate in (0.1, 0.2, 0.3))
    assert list(bk.Graph({"c": c}).draws) == ["keep"]  # alone it is the first
    whole = bk.Graph({"c": c, "b": b, "a": a})
    rates = {name: node.attrs["of"] for name, node in whole.fed("draw").items()}
    assert rates == {"keep": (0.9,), "keep_2": (0.8,), "keep_3": (0.7,)}
    assert list(bk.Graph({"c": whole.outputs["c"]}).draws) == ["keep_3"]
    both = bk.Graph({**whole.outputs, "again": c})  # a wire is one value, whichever graph gave it
    assert both.draws == whole.draws
    feeds = {"x": np.ones((4, 3))}
    out = bk.run(both, feeds, draw=(0, 0))
    np.testing.assert_array_equal(out["c"], out["again"])


def test_a_name_that_the_user_gave_is_not_changed() -> None:
    x = bk.input("keep", 3)
    graph = bk.Graph({"y": bk.dropout(x, 0.5) * bk.bernoulli(3, name="keep_2")})
    assert set(graph.draws) == {"keep_2", "keep_3"} and set(graph.inputs) == {"keep"}
    with pytest.raises(bk.WiringError, match="two wires are called 'mine'"):
        bk.Graph({"y": bk.dropout(x, 0.5, name="mine") * bk.bernoulli(3, name="mine")})


def test_weights_have_the_names_that_they_have_without() -> None:
    x, h = bk.input("x", 3), bk.state("h", 4)
    first = bk.TANH(4, name="first")(bk.dropout(x, 0.5), bk.noise(h, 0.1))
    second = bk.TANH(4, name="second")(bk.noise(bk.dropout(first, 0.5), 0.1), x)
    assert set(bk.Cell({h: second}, second).params) == {
        "first.W_x", "first.W_h", "first.b", "second.W_first", "second.W_x", "second.b"
    }  # fmt: skip


def test_a_cell_that_is_scanned_twice_shares_the_draws_that_have_a_name() -> None:
    x, h = bk.input("x", 3), bk.state("h", 3)
    h1 = bk.TANH(3, name="hidden")(x, h)
    cell = bk.Cell({h: h1}, {"mine": bk.dropout(h1, 0.5, name="mine"), "other": bk.dropout(h1, 0.5)})
    xs = bk.sequence("x", 3)
    one, two = bk.scan(cell, xs), bk.scan(cell, xs)
    graph = bk.Graph({f"{k}{i}": out[k] for i, out in enumerate((one, two)) for k in out})
    assert set(graph.draws) == {"mine", "keep", "keep_2"}
    feeds = {**graph.init(0, "float64"), "x": np.random.default_rng(0).standard_normal((6, 5, 3))}
    out = bk.run(graph, feeds, draw=(0, 0))
    np.testing.assert_array_equal(out["mine0"], out["mine1"])
    assert not np.array_equal(out["other0"], out["other1"])


def test_a_draw_in_a_cell_in_a_scan_in_a_cell_has_all_steps() -> None:
    memory = bk.input("memory", shape=("steps", "batch", 3))
    q, h = bk.input("q", 3), bk.state("h", 3)
    found = bk.scan(noisy(3, name="inner"), memory, final=True)[1]["inner/h"]
    outer = bk.Cell({h: bk.TANH(3, name="outer")(q, h, found)}, h)
    ys = bk.scan(outer, {"q": bk.sequence("q", 3), "memory": bk.input("memory", shape=("steps", "batch", 3))})
    graph = bk.Graph({"loss": bk.mean(ys * ys)})
    assert graph.draws["inner/keep"] == ("time", "steps", "batch", 3)
    rng = np.random.default_rng(0)
    feeds = {**graph.init(0, "float64"), "q": rng.standard_normal((4, 2, 3)), "memory": rng.standard_normal((5, 2, 3))}
    bk.check_grads(graph, feeds, draw=(0, 3))
    gradient = bk.grad(graph)
    same(bk.run(gradient, feeds, draw=(0, 3)), bk.compile(gradient)(feeds, (0, 3)), 1e-10)


def test_unrolled_each_step_draws() -> None:
    flat = bk.unroll(noisy(), 3)
    assert {f"{n}({t})" for n in ("keep", "keep_2", "from", "noise") for t in (1, 2, 3)} == set(flat.draws)
    hs = bk.Graph({"y": bk.scan(noisy(), bk.sequence("x", 3))})
    rng = np.random.default_rng(0)
    weights, xs = hs.init(0, "float64"), rng.standard_normal((3, 2, 3))
    made = numbers(hs, (4, 4), time=3, batch=2)
    steps = {f"{k}({t + 1})": v[t] for k, v in {**made, "x": xs}.items() for t in range(3)}
    out = bk.run(flat, {**weights, **steps})
    want = bk.run(hs, {**weights, "x": xs}, draw=(4, 4))["y"]
    for t in range(3):
        np.testing.assert_allclose(out[f"y({t + 1})"], want[t], rtol=1e-13)


# --- what papers make of them --------------------------------------------------------------------


def lstm_by_hand(weights, xs, change):
    """An LSTM in plain NumPy; `change(t, C', h', g, C, h)` → the candidate as it is used, the next C and h."""
    C = h = np.zeros((xs.shape[1], weights["forget.b"].size))
    out = []
    for t, x in enumerate(xs):
        f, i, o, g = (
            x @ weights[f"{n}.W_x"] + h @ weights[f"{n}.W_h"] + weights[f"{n}.b"]
            for n in ("forget", "input", "output", "candidate")
        )
        g = change(t, "candidate", np.tanh(g), None)
        new = sigm(f) * C + sigm(i) * g
        h = change(t, "h", sigm(o) * np.tanh(new), h)
        C = change(t, "C", new, C)
        out.append(h)
    return np.stack(out)


def lstm_with(dropped):
    x, h, C = bk.input("x", 3), bk.state("h", 4), bk.state("C", 4)
    f, i, o = (bk.SIGM(4, name=n)(x, h) for n in ("forget", "input", "output"))
    C1 = f * C + i * dropped(bk.TANH(4, name="candidate")(x, h))
    h1 = o * bk.tanh(C1)
    return bk.Cell({h: h1, C: C1}, h1)


def lstm_feeds(graph, seed=0):
    rng = np.random.default_rng(seed)
    weights = {k: rng.standard_normal(v.shape) * 0.7 for k, v in graph.init(0, "float64").items()}
    return weights, rng.standard_normal((6, 5, 3))


def test_recurrent_dropout() -> None:
    """Semeniuta et al. 2016, "Recurrent Dropout without Memory Loss": of what is added to the memory."""
    cell = lstm_with(lambda g: bk.dropout(g, 0.25))
    graph = bk.Graph({"y": bk.scan(cell, bk.sequence("x", 3))})
    weights, xs = lstm_feeds(graph)
    keep = numbers(graph, (1, 9), time=6, batch=5)["keep"]

    def change(t, name, new, old):
        return new * keep[t] / 0.75 if name == "candidate" else new

    for got in (bk.run(graph, {**weights, "x": xs}, draw=(1, 9)), bk.compile(graph)({**weights, "x": xs}, (1, 9))):
        np.testing.assert_allclose(got["y"], lstm_by_hand(weights, xs, change), rtol=1e-11)


def test_variational_dropout() -> None:
    """Gal and Ghahramani 2016: the masks of inputs and states are drawn once, and the same at each step."""
    x, h, on_x, on_h = bk.input("x", 3), bk.state("h", 4), bk.input("on_x", 3), bk.input("on_h", 4)
    h1 = bk.TANH(4, name="hidden")(x * on_x, h * on_h)
    masks = {"on_x": bk.bernoulli(3, p=0.7) / 0.7, "on_h": bk.bernoulli(4, p=0.6) / 0.6}
    graph = bk.Graph({"y": bk.scan(bk.Cell({h: h1}, h1), {"x": bk.sequence("x", 3), **masks})})
    weights, xs = lstm_feeds(graph)
    made = numbers(graph, (2, 0), batch=5)
    assert {k: v.shape for k, v in made.items()} == {"bernoulli": (5, 3), "bernoulli_2": (5, 4)}
    state, want = np.zeros((5, 4)), []
    names = ("hidden.W_1", "hidden.W_2")
    for row in xs:
        net = row * made["bernoulli"] / 0.7 @ weights[names[0]] + state * made["bernoulli_2"] / 0.6 @ weights[names[1]]
        state = np.tanh(net + weights["hidden.b"])
        want.append(state)
    got = bk.compile(graph)({**weights, "x": xs}, (2, 0))["y"]
    np.testing.assert_allclose(got, want, rtol=1e-11)
    once = bk.Graph({"y": bk.dropout(bk.sequence("x", 3), 0.5, shape=("batch", 3))})
    dropped = bk.run(once, {"x": np.ones((6, 40, 3))}, draw=(0, 0))["y"]
    assert np.all(dropped == dropped[0]) and set(np.unique(dropped)) == {0.0, 2.0}


@pytest.mark.parametrize("draw", [(3, 1), None])
@pytest.mark.parametrize("name", [None, "layer"])
def test_zoneout(draw, name) -> None:
    """Krueger et al. 2017, section 3; the mix, where nothing is drawn."""
    cell = zoneout(bk.cells.lstm(3, 4, name=name), {"C": 0.5, "h": 0.1})
    prefix = f"{name}/" if name else ""
    graph = bk.Graph({"y": bk.scan(cell, bk.sequence("x", 3))})
    plain = bk.Graph({"y": bk.scan(bk.cells.lstm(3, 4, name=name), bk.sequence("x", 3))})
    assert graph.params == plain.params and set(cell.states) == {f"{prefix}C", f"{prefix}h"} and cell.inputs == ("x",)
    weights, xs = lstm_feeds(graph)
    made = numbers(graph, draw, time=6, batch=5)
    assert set(made) == {f"{prefix}zoneout.C", f"{prefix}zoneout.h"}

    def change(t, what, new, old):
        d = made.get(f"{prefix}zoneout.{what}")
        return new if d is None else d[t] * old + (1 - d[t]) * new

    want = lstm_by_hand({k.removeprefix(prefix): v for k, v in weights.items()}, xs, change)
    for got in (bk.run(graph, {**weights, "x": xs}, draw=draw), bk.compile(graph)({**weights, "x": xs}, draw)):
        np.testing.assert_allclose(got["y"], want, rtol=1e-11)


def test_zoneout_of_one_rate_of_states_that_share_or_change_places() -> None:
    x, a, b, c = bk.input("x", 4), *(bk.state(n, 4) for n in "abc")
    new = bk.TANH(4, name="hidden")(x, a)
    cell = zoneout(bk.Cell({a: new, b: new, c: b}, {"y": new, "old": b, "read": bk.ADD(2, name="out")(new)}), 0.4)
    assert set(cell.graph.draws) == {"zoneout.a", "zoneout.b", "zoneout.c"}
    rng = np.random.default_rng(0)
    feeds = {n: rng.standard_normal((3, 4)) for n in "xabc"} | cell.graph.init(0, "float64")
    out = bk.run(cell.graph, feeds, draw=(0, 0))
    d = numbers(cell.graph, (0, 0), batch=3)
    plain = np.tanh(feeds["x"] @ feeds["hidden.W_x"] + feeds["a"] @ feeds["hidden.W_a"] + feeds["hidden.b"])
    for n, following in (("a", plain), ("b", plain), ("c", feeds["b"])):
        k = d[f"zoneout.{n}"]
        np.testing.assert_allclose(out[f"next/{n}"], k * feeds[n] + (1 - k) * following, rtol=1e-12)
    np.testing.assert_array_equal(out["old"], feeds["b"])
    np.testing.assert_array_equal(out["y"], out["next/a"])
    np.testing.assert_allclose(out["read"], out["next/a"] @ feeds["out.W_hidden"] + feeds["out.b"])


# --- files, pickles, figures ---------------------------------------------------------------------


def test_files_and_pickles_hold_draws(tmp_path) -> None:
    model = noisy_model(dtype="float32")
    graph = bk.grad(bk.Graph({"loss": model.graph.outputs["loss"]}))
    rows = noisy_data()
    feeds = {**model.weights, "x": np.moveaxis(rows["x"], 0, 1).astype("float32"), "target": rows["target"].T}
    want = bk.run(graph, feeds, draw=(1, 2))
    for again in (bk.from_json(bk.to_json(graph)), pickle.loads(pickle.dumps(graph))):
        assert again.dump() == graph.dump()
        same(want, bk.run(again, feeds, draw=(1, 2)), 0.0)
    same(bk.compile(graph)(feeds, (1, 2)), pickle.loads(pickle.dumps(bk.compile(graph)))(feeds, (1, 2)), 0.0)
    model.save(tmp_path / "m.safetensors")
    loaded = bk.Model.load(tmp_path / "m.safetensors")
    for one in (model, loaded):
        one.fit(rows, epochs=1, batch_size=2)
    for name, value in model.weights.items():
        np.testing.assert_array_equal(loaded.weights[name], value)


@pytest.mark.parametrize(
    ("key", "value"),
    [("law", "cauchy"), ("law", 3), ("law", [1]), ("of", [1.5]), ("of", []), ("of", [0.1, 0.2]), ("of", 0.5), ("of", ["a"]),
     ("of", [True]), ("of", [float("nan")]), ("of", [None]), ("shape", [0]), ("shape", "batch"), ("shape", [10**9, 10**9]),
     ("named", None), ("named", 1), ("odd", 1)],
)  # fmt: skip
def test_hostile_files(key, value) -> None:
    document = json.loads(bk.to_json(bk.Graph({"y": bk.bernoulli(3, p=0.5, name="keep")})))
    document["nodes"][0]["attrs"][key] = value
    with pytest.raises(bk.ModelFileError, match=r"node 0 \(draw\)"):
        bk.from_json(json.dumps(document))
    del document["nodes"][0]["name"], document["nodes"][0]["attrs"][key]
    with pytest.raises(bk.ModelFileError):
        bk.from_json(json.dumps(document))


def test_equations_and_figures_say_what_is_drawn() -> None:
    cell = lstm_with(lambda g: bk.noise(bk.dropout(g, 0.1), 0.5))
    lines = equations(cell.graph)
    assert "keep ∼ bernoulli(0.9)" in lines and "noise ∼ normal(0, 0.5)" in lines
    assert "C = forget ⊙ C' + input ⊙ (candidate ⊙ keep / 0.9 + noise)" in lines
    shapes = {s.name: s for s in cell.draw().scene.shapes if s.kind == "draw"}
    assert {n: [row.plain for row in s.lines] for n, s in shapes.items()} == {
        "keep": ["keep", "∼ bernoulli(0.9)"], "noise": ["noise", "∼ normal(0, 0.5)"]
    }  # fmt: skip
    back = [(w.source, w.target) for w in cell.draw(gradient=True).scene.wires if w.kind == "gradient"]
    assert back and not any(shapes[n].key in pair for pair in back for n in shapes)  # a draw is given
    graph = bk.Graph({"y": bk.scan(cell, bk.sequence("x", 3))})
    assert [s.kind for s in graph.draw().scene.shapes if s.name == "keep"] == ["draw"]  # once, in the frame
    assert " draw " in graph.dump() and graph.to_networkx().nodes["keep"]["op"] == "draw"
    feeds = {"x": np.ones((1, 3)), "h": np.zeros((1, 4)), "C": np.zeros((1, 4)), **cell.graph.init(0)}
    drawn_with = [cell.draw(values={**feeds, **extra})._repr_svg_() for extra in ({}, {"keep": np.zeros((1, 4))})]
    assert drawn_with[0] != drawn_with[1]


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: bk.bernoulli(3, p=1.5), r"'bernoulli': .*0 ≤ p ≤ 1, not of 1.5"),
        (lambda: bk.bernoulli(3, p="half", name="k"), r"'k': .*not of 'half'"),
        (lambda: bk.bernoulli(3, p=True), "not of True"),
        (lambda: bk.bernoulli(3, p=bk.input("p")), "not of <input"),
        (lambda: bk.uniform(3, low=2.0, high=1.0), "low ≤ high, not of 2.0, 1.0"),
        (lambda: bk.uniform(3, low=-1.7e308, high=1.7e308), "low ≤ high"),
        (lambda: bk.normal(3, std=-1.0), "std ≥ 0"),
        (lambda: bk.normal(3, mean=float("inf")), "finite numbers mean, std"),
        (lambda: bk.normal(0), "has the dimension 0"),
        (lambda: bk.normal(3, shape=("batch", 3)), "not in both"),
        (lambda: bk.normal(shape=3), "must be a tuple"),
        (lambda: bk.normal(3, name=""), "the name of a draw"),
        (lambda: bk.dropout(bk.input("x", 3), 1.0), "0 up to, but not, 1; not 1.0"),
        (lambda: bk.dropout(bk.input("x", 3), -0.1), "not -0.1"),
        (lambda: bk.dropout(bk.input("x", 3), None), "not None"),
        (lambda: bk.dropout(bk.input("i", dtype="int"), 0.5), "is int; dropout is of floating-point"),
        (lambda: bk.dropout(bk.input("x", 3), 0.5, shape=("time", "batch", 3)), "has no dimensions"),
        (lambda: bk.dropout(bk.input("x", 3), 0.5, shape=("batch", 4)), "x .*3"),
        (lambda: bk.noise(bk.input("x", 3), -0.5), "std ≥ 0"),
        (lambda: bk.noise(bk.input("i", dtype="int"), 0.5), "is int; noise is of floating-point"),
        (lambda: zoneout(bk.cells.lstm, 0.1), "is a function, not a Cell"),
        (lambda: zoneout(bk.cells.lstm(3, 4), 1.0), "zoneout is a number"),
        (lambda: zoneout(bk.cells.lstm(3, 4), {"c": 0.1}), r"has no state 'c'.*it has (C, h|h, C)"),
        (lambda: zoneout(counter(), 0.1), "'n' is int, of which there is no mix"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(make, said) -> None:
    with pytest.raises(bk.WiringError, match=said):
        make()


def counter():
    x, n = bk.input("x", dtype="int"), bk.state("n", dtype="int")
    return bk.Cell({n: bk.where(bk.greater(x, n), x, n)}, n)


def test_runs_say_what_is_wrong() -> None:
    graph = bk.Graph({"y": bk.dropout(bk.input("x", 3), 0.5, name="keep") * bk.normal(shape=("odd", 1, 3))})
    x = np.ones((2, 3))
    for run in (bk.run, lambda g, f, **o: bk.compile(g)(f, **o)):
        with pytest.raises(bk.FeedError, match="size of 'odd' is unknown"):
            run(graph, {"x": x}, draw=(0, 0))
        with pytest.raises(bk.FeedError, match=r"no input 'kep' \(did you mean 'keep'"):
            run(graph, {"x": x, "kep": x})
        with pytest.raises(bk.FeedError, match="'keep' wants"):
            run(graph, {"x": x, "keep": np.ones((2, 4))})
        for odd in (3, (1,), (0, -1), (0.5, 1), (True, 1), "ab"):
            with pytest.raises(bk.BlocksError, match=r"draw is a pair \(seed, update\)"):
                run(bk.Graph({"y": bk.dropout(bk.input("x", 3), 0.5)}), {"x": x}, draw=odd)


def test_a_body_of_a_loop_does_not_draw() -> None:
    from blocks.ops.loop import loop

    body = bk.Graph({"y": bk.dropout(bk.input("x", 3), 0.5)})
    with pytest.raises(bk.WiringError, match="draws keep; draws must be ports"):
        loop(body, {}, {}, {"x": bk.sequence("x", 3)}, ("y",), "time")
