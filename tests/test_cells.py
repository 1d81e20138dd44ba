"""Every way to run a cell; the cells of the gallery stand in test_gallery.py."""

import pickle
import re

import numpy as np
import pytest

import blocks as bk
from blocks.equations import equations

RNG = np.random.default_rng(11)


def normal(*shape):
    return RNG.standard_normal(shape)


def make(name, inputs=3, units=4, **kw):
    return getattr(bk.cells, name)(units if name == "book_lstm" else inputs, units, **kw)


def weights_for(graph, scale=0.7):
    """Random weights, never those a cell starts with: zeros or ones hide faults."""
    return {n: normal(*s) * scale for n, s in graph.params.items()}


def test_book_lstm_is_the_books() -> None:
    """Equations 7.8 to 7.10, written out in plain NumPy."""
    n, T, batch = 3, 5, 2
    graph = bk.Graph({"y": bk.scan(bk.cells.book_lstm(n, n), bk.sequence("x", n))})
    assert list(graph.params) == ["f.W_1", "ff.W_1", "C*.W_1", "fff.W_1"]
    assert all((w == 0).all() for w in graph.init().values())
    feeds = {**weights_for(graph), "x": normal(T, batch, n)}

    def sigm(z):
        return 1 / (1 + np.exp(-z))

    w = {k.split(".")[0]: v for k, v in feeds.items() if k != "x"}
    h = C = np.zeros((batch, n))
    ys = []
    for x in feeds["x"]:
        f = sigm((x + h) @ w["f"])
        ff = sigm((x + h) @ w["ff"])
        candidate = np.tanh((x + h) @ w["C*"])
        i = ff * candidate
        C = f * C + i
        fff = sigm((x + h) @ w["fff"])
        h = fff * np.tanh(C)
        ys.append(h)
    np.testing.assert_allclose(bk.run(graph, feeds)["y"], np.stack(ys), rtol=1e-13)


def test_book_srn_is_the_books() -> None:
    graph = bk.Graph({"y": bk.scan(bk.cells.book_srn(3, 4), bk.sequence("x", 3))})
    feeds = {**weights_for(graph), "x": normal(5, 2, 3)}
    h, ys = np.zeros((2, 4)), []
    for x in feeds["x"]:
        h = 1 / (1 + np.exp(-(x @ feeds["f_h.W_x"] + h @ feeds["f_h.W_h"])))
        ys.append(h)
    np.testing.assert_allclose(bk.run(graph, feeds)["y"], np.stack(ys), rtol=1e-13)


def test_the_literal_gate_draws_and_trains() -> None:
    n = 3
    x, h = bk.input("x", n), bk.state("h", n)
    h1 = bk.SIGM(n, bias=False)(x + h)
    cell = bk.Cell(states={h: h1}, outputs=h1)
    assert list(cell.params) == ["sigm.W_1"]
    assert b"sigm" in cell.draw().render("svg")
    ys = bk.scan(cell, bk.sequence("x", n))
    model = bk.Model(loss=bk.losses.squared_error(ys, bk.sequence("t", n)), outputs=ys)
    X = RNG.uniform(0, 1, (16, 5, n))
    losses = model.fit({"x": X, "t": X[:, :, ::-1]}, epochs=30, batch_size=8, optimizer=bk.Adam(0.05)).loss
    assert losses[-1] < 0.8 * losses[0]


def test_first_weights() -> None:
    graph = bk.cells.lstm(3, 5).graph
    w = graph.init(seed=4, dtype="float64")
    assert (w["forget.b"] == 1).all() and (w["input.b"] == 0).all()
    np.testing.assert_allclose(w["output.W_h"] @ w["output.W_h"].T, np.eye(5), atol=1e-12)
    limit = np.sqrt(6 / 8)
    assert np.abs(w["input.W_x"]).max() < limit and np.abs(w["input.W_x"]).max() > limit / 2
    assert not np.allclose(w["input.W_h"], w["output.W_h"])
    again, other = graph.init(4, "float64"), graph.init(5, "float64")
    assert all((w[k] == again[k]).all() for k in w)
    assert not (w["input.W_x"] == other["input.W_x"]).all()
    mine = np.arange(6.0).reshape(3, 2)
    brick = bk.ADD(2, name="a", init={"W_x": mine, "b": -2.0})
    got = bk.Graph({"y": brick(bk.input("x", 3))}).init()
    np.testing.assert_array_equal(got["a.W_x"], mine)
    np.testing.assert_array_equal(got["a.b"], [-2.0, -2.0])


@pytest.mark.parametrize("reverse", [False, True])
def test_scan_equals_unroll(reverse: bool) -> None:
    cell = bk.cells.gru(3, 4)
    xs = bk.sequence("x", 3)
    scanned = bk.Graph({"y": bk.scan(cell, xs, reverse=reverse)})
    flat = bk.unroll(cell, 4).verify()
    assert set(flat.params) == set(cell.params)  # shared
    assert {n.step for n in flat.order() if n.op.name == "tanh"} == {1, 2, 3, 4}
    w, X, h = weights_for(scanned), normal(4, 2, 3), normal(2, 4)
    y = bk.run(scanned, {**w, "x": X, "h": h})["y"]
    order = X[::-1] if reverse else X
    steps = bk.run(flat, {**w, "h(0)": h, **{f"x({t + 1})": order[t] for t in range(4)}})
    expected = np.stack([steps[f"y({t + 1})"] for t in range(4)])
    np.testing.assert_allclose(y, expected[::-1] if reverse else expected, rtol=1e-13)


def test_mask_freezes_states_and_zeroes_outputs() -> None:
    cell = bk.cells.lstm(3, 4)
    ys, finals = bk.scan(cell, bk.sequence("x", 3), mask=bk.sequence("mask", dtype="bool"), final=True)
    graph = bk.Graph({"y": ys, **finals})
    w, X = weights_for(graph), normal(6, 2, 3)
    keep = np.arange(6)[:, None] < np.array([6, 3])
    out = bk.run(graph, {**w, "x": X, "mask": keep})
    short_ys, short_finals = bk.scan(cell, bk.sequence("x", 3), final=True)
    short = bk.run(bk.Graph({"y": short_ys, **short_finals}), {**w, "x": X[:3, 1:]})
    np.testing.assert_allclose(out["y"][:3, 1], short["y"][:, 0])
    assert (out["y"][3:, 1] == 0).all()
    np.testing.assert_allclose(out["C"][1], short["C"][0])


def test_several_inputs_outputs_and_a_constant_context() -> None:
    x, z, c = bk.input("x", 2), bk.input("z", 3), bk.input("c", 4)
    h = bk.state("h", 4)
    h1 = bk.TANH(4, name="a")(x, z, h) + 0.1 * c
    cell = bk.Cell(states={h: h1}, outputs={"new": h1, "old": h})
    wires = {"x": bk.sequence("x", 2), "z": bk.sequence("z", 3), "c": bk.input("context", 4)}
    out, finals = bk.scan(cell, wires, initial=bk.input("start", 4), final=True)
    graph = bk.Graph({**out, **finals})
    feeds = {**weights_for(graph), "x": normal(5, 2, 2), "z": normal(5, 2, 3)}
    feeds |= {"context": normal(2, 4), "start": normal(2, 4)}
    bk.check_grads(graph, feeds)
    got = bk.run(graph, feeds)
    np.testing.assert_allclose(got["old"][1:], got["new"][:-1])
    np.testing.assert_allclose(got["old"][0], feeds["start"])
    np.testing.assert_allclose(got["h"], got["new"][-1])


def test_matrix_memory() -> None:
    """A state may have any shape: a memory that an outer product writes and a query reads."""
    n = 3
    x, C = bk.input("x", 2), bk.state("C", n, n)
    k, v, q = (bk.ADD(n, name=s)(x) for s in ("key", "value", "query"))
    outer = bk.reshape(v, shape=("batch", n, 1)) * bk.reshape(k, shape=("batch", 1, n))
    C1 = 0.9 * C + outer
    cell = bk.Cell(states={C: C1}, outputs=bk.matvec(C1, q))
    graph = bk.Graph({"y": bk.scan(cell, bk.sequence("x", 2))}).verify()
    feeds = {**weights_for(graph), "x": normal(4, 5, 2)}
    bk.check_grads(graph, feeds)
    bk.check_grads(graph, feeds, order=2, tolerance=1e-5)
    X, M, ys = feeds["x"], np.zeros((5, n, n)), []
    for t in range(4):
        kk, vv, qq = (X[t] @ feeds[f"{s}.W_x"] + feeds[f"{s}.b"] for s in ("key", "value", "query"))
        M = 0.9 * M + np.einsum("bi,bj->bij", vv, kk)
        ys.append(np.einsum("bij,bj->bi", M, qq))
    np.testing.assert_allclose(bk.run(graph, feeds)["y"], np.stack(ys), rtol=1e-12)


def test_a_cell_inside_a_cell() -> None:
    """Two LSTMs as one cell are the same as two scans on top of each other."""
    bottom, top = bk.cells.lstm(3, 4, name="bottom"), bk.cells.lstm(4, 5, name="top")
    y = top(bottom(bk.input("x", 3)))
    both = bk.Cell(states={}, outputs=y)
    assert set(both.states) == {"bottom/h", "bottom/C", "top/h", "top/C"}
    together = bk.Graph({"y": bk.scan(both, bk.sequence("x", 3))})
    stacked = bk.Graph({"y": bk.scan(top, bk.scan(bottom, bk.sequence("x", 3)))})
    assert together.params == stacked.params
    feeds = {**weights_for(together), "x": normal(5, 2, 3), "bottom/C": normal(2, 4)}
    np.testing.assert_allclose(bk.run(together, feeds)["y"], bk.run(stacked, feeds)["y"], rtol=1e-12)
    bk.check_grads(together, feeds)
    nested = bk.Cell(states={}, outputs=both(bk.input("x", 3)), name="outer")
    assert "outer/top/forget.W_x" in nested.params
    assert "outer/top/C" in nested.states


def test_sharing() -> None:
    twice = bk.TANH(3, name="twice")
    x, h = bk.input("x", 3), bk.state("h", 3)
    h1 = twice(twice(x))
    graph = bk.Graph({"y": h1})
    assert list(graph.params) == ["twice.W_x", "twice.b"]
    bk.check_grads(graph, {**weights_for(graph), "x": normal(2, 3)})
    cell = bk.cells.srn(3, 3)  # one cell over two sequences: one set of weights
    siamese = bk.Graph({"a": bk.scan(cell, bk.sequence("a", 3)), "b": bk.scan(cell, bk.sequence("b", 3))})
    assert len(siamese.params) == 3
    assert h is not x


def test_second_derivative_through_a_three_step_lstm() -> None:
    xs = bk.sequence("x", 2)
    loss = bk.losses.squared_error(bk.scan(bk.cells.lstm(2, 3), xs), bk.sequence("t", 3))
    graph = bk.Graph({"loss": loss})
    feeds = {**weights_for(graph), "x": normal(3, 2, 2), "t": normal(3, 2, 3)}
    bk.check_grads(graph, feeds, order=2, tolerance=1e-5)


def test_a_loop_in_a_loop() -> None:
    """A cell that scans another cell at each of its steps."""
    inner = bk.cells.srn(2, 3, name="inner")
    h = bk.state("h", 3)
    words = bk.input("letters", shape=("letter", "batch", 2))
    _, last = bk.scan(inner, words, initial=h, final=True)
    (end,) = last.values()
    h1 = bk.TANH(3, name="outer")(end, h)
    cell = bk.Cell(states={h: h1}, outputs=h1)
    seq = bk.input("letters", shape=("word", "letter", "batch", 2))
    graph = bk.Graph({"y": bk.scan(cell, seq)}).verify()
    feeds = {**weights_for(graph), "letters": normal(3, 2, 4, 2)}
    bk.check_grads(graph, feeds)
    bk.check_grads(graph, feeds, order=2, tolerance=1e-5)
    bk.check_grads(bk.from_json(bk.to_json(bk.grad(bk.Graph({"loss": bk.mean(graph.outputs["y"])})))), feeds)


def test_the_graph_does_not_grow_with_time() -> None:
    graph = bk.grad(bk.Graph({"loss": bk.mean(bk.scan(bk.cells.lstm(2, 3), bk.sequence("x", 2)))}))
    feeds = {**graph.init(), "x": normal(200, 1, 2)}
    assert len(graph.order()) < 120
    assert np.isfinite(bk.run(graph, feeds)["loss"])


def test_deep_graphs_need_no_recursion() -> None:
    wire = bk.input("x", 2)
    for _ in range(3000):
        wire = wire + 0.001
    graph = bk.Graph({"loss": bk.mean(wire)})
    gradient = bk.grad(graph, wrt=["x"])
    assert len(bk.from_json(bk.to_json(gradient)).order()) == len(gradient.order())
    np.testing.assert_allclose(bk.run(gradient, {"x": np.ones((1, 2))})["grad/x"], 0.5)


def counting(name="L"):
    """A cell whose states begin with what is learnt, with a number, and, one for all sequences, with an array."""
    x, h = bk.input("x", 3), bk.state("h", 4, init=bk.parameter("h0", 4, init="normal"))
    top, usual = bk.state("top", 4, init=-np.inf), bk.state("usual", shape=(4,), init=[1.0, 2.0, 3.0, 4.0])
    h1 = bk.TANH(4, name="hidden")(x, h)
    top1, usual1 = bk.maximum(top, h1), 0.9 * usual + bk.mean(h1, axis="batch")
    return bk.Cell(states={h: h1, top: top1, usual: usual1}, outputs=top1 * usual1, name=name)


def test_states_begin_with_what_they_say():
    rng = np.random.default_rng(3)
    cell = counting()
    graph = bk.Graph({"y": bk.scan(cell, bk.sequence("x", 3))})
    weights = graph.init(5, "float64")
    xs = rng.standard_normal((5, 2, 3))
    h, top, usual = np.tile(weights["L/h0"], (2, 1)), np.full((2, 4), -np.inf), np.arange(1.0, 5.0)
    want = []
    for x in xs:
        h = np.tanh(x @ weights["L/hidden.W_x"] + h @ weights["L/hidden.W_h"] + weights["L/hidden.b"])
        top, usual = np.maximum(top, h), 0.9 * usual + h.mean(axis=0)
        want.append(top * usual)
    feeds = {**weights, "x": xs}
    assert "L/h0" in cell.params and "L/h" not in graph.inputs
    for found in (bk.run(graph, feeds), bk.compile(graph)(feeds), bk.run(bk.from_json(bk.to_json(graph)), feeds)):
        np.testing.assert_allclose(found["y"], want, rtol=1e-12)
    steps = {f"x({t})": x for t, x in enumerate(xs, 1)}
    found = bk.run(bk.unroll(cell, 5), {**weights, **steps})
    np.testing.assert_allclose([found[f"y({t})"] for t in range(1, 6)], want, rtol=1e-12)
    fed = bk.run(graph, {**feeds, "L/usual": np.zeros(4), "L/top": np.full((2, 4), 9.0)})
    assert abs(fed["y"] - want).max() > 0.1


@pytest.mark.parametrize("outside", [False, True])
def test_first_values_are_learnt(outside):
    cell = pickle.loads(pickle.dumps(counting()))
    if outside:  # inside of another cell the states are that cell's
        cell = bk.Cell(states={}, outputs=2.0 * cell(bk.input("z", 3)), name="O")
    ys = bk.scan(cell, bk.sequence("x", 3))
    graph = bk.Graph({"loss": bk.mean(ys * ys)})
    feeds = {**graph.init(1, "float64"), "x": np.random.default_rng(4).standard_normal((6, 2, 3))}
    bk.check_grads(graph, feeds, order=2)
    gradient = bk.grad(graph)
    want = bk.run(gradient, feeds)
    assert any(name.endswith("h0") and np.abs(v).max() > 1e-6 for name, v in want.items())
    for checkpoint in (None, "sqrt", 3):
        found = bk.compile(gradient, checkpoint=checkpoint)(feeds)
        for name, value in want.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "options, said",
    [
        ({"init": [1.0, 2.0]}, "(batch, 4)"),
        ({"init": "zeros"}, "not with 'zeros'"),
        ({"init": 0.5, "dtype": "int"}, "is int, not float64"),
        ({"shape": ("batch", 4)}, "not in both"),
    ],
)
def test_a_first_value_that_does_not_fit(options, said):
    with pytest.raises(bk.WiringError, match=re.escape(said)):
        bk.state("s", 4, **options)


def test_a_first_value_that_is_no_weight():
    with pytest.raises(bk.WiringError, match="depends on q"):
        bk.state("s", 4, init=bk.input("q", 4))
    with pytest.raises(bk.WiringError, match="depends on normal"):
        bk.state("s", 4, init=bk.normal(4))
    with pytest.raises(bk.WiringError, match="can be repeated"):
        bk.state("s", 4, init=bk.parameter("w", 3))
    with pytest.raises(bk.WiringError, match="one for all sequences"):
        bk.scan(counting(), bk.sequence("x", 3), mask=bk.sequence("mask"))


def renaming(name=None):
    """A cell in which a new value is named as its state, another by itself, and a gradient is stopped."""
    x, h, C = bk.input("x", 3), bk.state("h", 4), bk.state("C", 4)
    C1 = bk.named("C", bk.SIGM(4, name="f")(x, bk.stop_gradient(h)) * C)
    u = bk.named("u", bk.SIGM(4, name="o", weights={"C": "diagonal"})(x, C1) * C1)
    return bk.Cell(states={h: bk.TANH(4, name="last")(u), C: C1}, outputs=u, name=name)


def test_a_named_wire_names_weights_and_lines():
    cell = renaming()
    assert {"f.W_h", "o.W_C", "last.W_u"} <= set(cell.params)
    assert "C = f ⊙ C'" in equations(cell.graph) and "u = o ⊙ C" in equations(cell.graph)
    assert {"C(1)", "C(2)", "u(2)"} <= set(bk.unroll(cell, 2).nodes)
    assert "candidate.W_h" in bk.cells.gru(3, 4).params
    outer = renaming("L")
    assert {"L/f.W_h", "L/o.W_C", "L/last.W_u"} <= set(outer.params) and "L/u" in outer.graph.nodes
    graph = bk.Graph({"y": bk.scan(outer, bk.sequence("x", 3))})
    feeds = {**graph.init(0, "float64"), "x": normal(4, 2, 3)}
    again = bk.from_json(bk.to_json(graph))
    assert "u" in bk.compile(graph).source
    np.testing.assert_allclose(bk.compile(again)(feeds)["y"], bk.run(graph, feeds)["y"], rtol=1e-12)


def test_weights_that_meet_what_is_made_of_a_state_start_orthogonal():
    x, h = bk.input("x", 3), bk.state("h", 4)
    gate = bk.SIGM(4, name="gate")(x, h)
    for wire, recurrent in (
        (h, True),
        (bk.named("kept", gate * h), True),
        (bk.dropout(h, 0.5), True),
        (bk.stop_gradient(h), True),
        (gate, False),
        (bk.TANH(4, name="mixed")(h), False),
        (bk.input("z", 4), False),
        (bk.mean(h, axis=-1, keepdims=True) * bk.input("z", 4), False),
    ):
        first = bk.Graph({"y": bk.ADD(4, name="a", bias=False)(wire)}).init(3, "float64")
        (weights,) = (w for name, w in first.items() if name.startswith("a."))
        assert np.allclose(weights @ weights.T, np.eye(4)) == recurrent, wire.describe()


def test_what_has_a_name_gets_no_other():
    for wire in (bk.input("x", 3), bk.state("h", 3), bk.parameter("w", 3), bk.normal(3)):
        with pytest.raises(bk.WiringError, match="is named where it is made"):
            bk.named("other", wire)
    with pytest.raises(bk.WiringError, match="printable"):
        bk.named("", bk.tanh(bk.input("x", 3)))


FANS = {"inputs": 200, "units": 50}


@pytest.mark.parametrize(
    "init, mean, std",
    [
        ("glorot", 0, (2 / 250) ** 0.5),
        ("glorot_normal", 0, (2 / 250) ** 0.5),
        ("he_uniform", 0, (2 / 200) ** 0.5),
        ("he_normal", 0, (2 / 200) ** 0.5),
        ("lecun_uniform", 0, (1 / 200) ** 0.5),
        ("lecun_normal", 0, (1 / 200) ** 0.5),
        (("uniform", -1, 3), 1, 4 / 12**0.5),
        (("normal", np.float32(0.25)), 0, 0.25),
        (lambda rng, shape: rng.exponential(0.5, shape), 0.5, 0.5),
    ],
)
def test_first_weights_have_their_spread(init, mean, std):
    brick = bk.ADD(FANS["units"], name="a", init=init)
    graph = bk.Graph({"y": brick(bk.input("x", FANS["inputs"]))})
    W, other = graph.init(3, "float64")["a.W_x"], graph.init(4, "float64")["a.W_x"]
    assert abs(W.std() / std - 1) < 0.03 and abs(W.mean() - mean) < 0.05 * std and not np.array_equal(W, other)
    if not callable(init):
        assert np.array_equal(bk.from_json(bk.to_json(graph)).init(3, "float64")["a.W_x"], W)


def test_first_weights_of_a_function_stand_in_the_file(tmp_path):
    y = bk.ADD(2, name="a", init=lambda rng, shape: np.full(shape, 7))(bk.input("x", 3))
    model = bk.Model(loss=bk.mean(y * y), outputs={"y": y}, seed=0)
    model.save(tmp_path / "model.safetensors")
    again = bk.Model.load(tmp_path / "model.safetensors")
    assert (again.weights["a.W_x"] == 7).all() and (again.weights["a.b"] == 0).all()
    assert again.graph.fed("parameter")["a.W_x"].attrs["init"] == "given"
    with pytest.raises(bk.BlocksError, match=r"'a.W_x': a function made"):
        again.graph.init()
    copy = pickle.loads(pickle.dumps(model))
    assert (copy.weights["a.W_x"] == 7).all()


@pytest.mark.parametrize(
    "init, said",
    [
        ("glorott", "did you mean 'glorot'"),
        (("unifrom", 0, 1), "did you mean 'uniform'"),
        (("uniform", 1), "('uniform', low, high)"),
        (("uniform", 2, 1), "low below high"),
        (("normal", 0), "std above 0"),
        (("normal", "wide"), "finite numbers"),
        ([["a"]], "not [['a']]"),
        (True, "a function (rng, shape), not True"),
        ([1.0, 2.0], "that of the first weights (2)"),
    ],
)
def test_first_weights_that_cannot_be(init, said):
    with pytest.raises(bk.WiringError, match=re.escape(said)) as error:
        bk.ADD(2, init=init)(bk.input("x", 3))
    assert "'add.W_x'" in str(error.value) and "test_cells.py" in str(error.value)


def test_a_function_that_makes_other_weights():
    y = bk.ADD(2, init=lambda rng, shape: np.ones(5))(bk.input("x", 3))
    with pytest.raises(bk.WiringError, match=r"'add.W_x' made at test_cells.py.* of shape \(5\), not .*\(3, 2\)"):
        bk.Graph({"y": y}).init()
