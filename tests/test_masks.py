"""Masks: what stands at a masked step, and what is padded there, changes nothing."""

import numpy as np
import pytest

import blocks as bk

ROWS = (2, 5, 3)


def directed(reverse=False):
    """A cell that divides by the norm of its input, over sequences; the sum of its squared last states."""
    x, h = bk.input("x", 3), bk.state("h", 4)
    h1 = bk.TANH(4, name="k")(x / bk.sqrt(bk.sum(x * x, axis=-1, keepdims=True)), h)
    cell = bk.Cell({h: h1}, outputs=h1)
    last = bk.scan(cell, bk.sequence("x", 3), mask=bk.sequence("mask"), final=True, reverse=reverse)[1]["h"]
    return bk.Graph({"loss": bk.sum(last**2)})


def padded(rows, side, fill):
    steps = max(map(len, rows)) + 1
    X, M = np.full((steps, len(rows) + 1, 3), fill), np.zeros((steps, len(rows) + 1))
    for i, r in enumerate(rows):
        part = slice(0, len(r)) if side == "right" else slice(steps - len(r), steps)
        X[part, i], M[part, i] = r, 1
    return X, M  # the last sequence is masked whole


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("fill", [0.0, np.nan, np.inf, 1e300])
@pytest.mark.parametrize("side", ["left", "right"])
def test_the_gradient_is_that_of_each_sequence_alone(side, fill, reverse) -> None:
    rng = np.random.default_rng(4)
    graph = bk.grad(directed(reverse))
    weights = graph.init(0, "float64")
    rows = [rng.standard_normal((n, 3)) for n in ROWS]
    X, M = padded(rows, side, fill)
    alone = [bk.run(graph, {**weights, "x": r[:, None], "mask": np.ones((len(r), 1))}) for r in rows]
    for f in (bk.run, lambda g, feeds: bk.compile(g)(feeds), lambda g, feeds: bk.compile(g, checkpoint=2)(feeds)):
        got = f(graph, {**weights, "x": X, "mask": M})
        for name in got:
            np.testing.assert_allclose(got[name], sum(a[name] for a in alone), rtol=1e-10, err_msg=name)
    finite = np.nan_to_num(X, nan=0.3, posinf=0.3) + 0.1
    bk.check_grads(directed(reverse), {**weights, "x": np.clip(finite, -9, 9), "mask": M})


def network():
    mask, xs, target = bk.sequence("mask"), bk.sequence("x", 3), bk.sequence("t", dtype="int")
    ids = bk.EMBED(6, 2, name="letters")(bk.sequence("ids", dtype="int"))
    y = bk.ADD(5, name="w_o")(bk.scan(bk.cells.gru(5, 4), bk.concat(xs, ids), mask=mask))
    return bk.Model(loss=bk.losses.cross_entropy(y, target, mask), outputs={"y": y}, dtype="float64")


def batch(junk):
    rng = np.random.default_rng(6)
    M = np.ones((4, 6))
    M[1, 3:], M[2, :2], M[3, 2:4] = 0, 0, 0
    X, T, ids = rng.standard_normal((4, 6, 3)), rng.integers(0, 5, (4, 6)), rng.integers(0, 6, (4, 6))
    if junk:
        X[M == 0], T[M == 0], ids[M == 0] = np.nan, -100, -1
    return {"x": X, "t": T, "ids": ids, "mask": M}


def test_junk_at_masked_steps_changes_nothing() -> None:
    clean, junk = network(), network()
    for data, model in ((batch(False), clean), (batch(True), junk)):
        model.fit(data, batch_size=2, epochs=2)
    for name in clean.weights:
        np.testing.assert_array_equal(clean.weights[name], junk.weights[name])
    in_chunks = clean.evaluate(batch(True), batch_size=1, chunk=4)
    assert clean.evaluate(batch(False)) == pytest.approx(in_chunks, rel=1e-12)
    feeds = {k: v for k, v in batch(True).items() if k != "t"}
    whole = clean.predict(feeds)
    for options in ({"batch_size": 1}, {"chunk": 4}, {"batch_size": 3, "chunk": 1}):
        np.testing.assert_allclose(clean.predict(feeds, **options), whole, rtol=1e-12)


def test_junk_that_could_reach_an_output_is_refused() -> None:
    """At a step that counts; and where the input goes round the mask."""
    model, data = network(), batch(True)
    data["t"][0, 2] = -100
    with pytest.raises(bk.FeedError, match="'t', sample 0: the class -100"):
        model.fit(data)
    mask, xs = bk.sequence("mask"), bk.sequence("x", 3)
    around = bk.Model(outputs={"y": bk.scan(bk.cells.gru(3, 3), xs, mask=mask) + xs})
    with pytest.raises(bk.FeedError, match="'x' is nan at .1, 3, 0.; put a number there"):
        around.predict({"x": batch(True)["x"], "mask": data["mask"]})
    assert not model.history.steps


def test_a_list_beside_a_padded_array() -> None:
    rng = np.random.default_rng(3)
    xs, mask, t = bk.sequence("x", 3), bk.sequence("mask"), bk.sequence("t", dtype="int")
    y = bk.ADD(2, name="o")(bk.scan(bk.cells.srn(3, 4), xs, mask=mask))
    rows = [rng.standard_normal((n, 3)) for n in (5, 12, 4, 11)]
    T = rng.integers(0, 2, (4, 12))
    made = [bk.Model(loss=bk.losses.cross_entropy(y, t, mask)) for _ in range(2)]
    made[0].fit({"x": rows, "t": T}, batch_size=2, shuffle=False)
    made[1].fit({"x": rows, "t": [row[: len(r)] for row, r in zip(T, rows, strict=True)]}, batch_size=2, shuffle=False)
    for name in made[0].weights:
        np.testing.assert_array_equal(made[0].weights[name], made[1].weights[name])
    with pytest.raises(bk.FeedError, match="'[xt]' has 1[12] steps where '[xt]' has 1[12]"):
        made[0].fit({"x": rows, "t": T[:, :11]}, batch_size=2)


def test_kinds_of_sequences() -> None:
    """Arrays of objects are lists; masked arrays are refused; one sequence at a time needs no mask."""
    rng = np.random.default_rng(2)
    rows = [rng.standard_normal((n, 3)) for n in (4, 2, 7)]
    ragged = np.empty(3, object)
    ragged[:] = rows
    hs = bk.scan(bk.cells.srn(3, 4), bk.sequence("x", 3), reverse=True)
    plain = bk.Model(outputs={"y": hs}, loss=bk.mean(hs * hs))
    alone = [plain.predict({"x": r[None]})[0] for r in rows]
    for x in (rows, ragged, tuple(rows)):
        for got, want in zip(plain.predict({"x": x}, batch_size=1), alone, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-6)
    assert len(plain.fit({"x": ragged}, batch_size=1).steps) == 3
    with pytest.raises(bk.FeedError, match="no mask over 'time'"):
        plain.predict({"x": rows}, batch_size=2)
    hidden = np.ma.masked_array(rows[0][None], mask=rows[0][None] > 0.5)
    with pytest.raises(bk.FeedError, match=r"'x' has masked values: fill them"):
        plain.predict({"x": hidden})


def test_a_mask_in_the_loss_alone() -> None:
    rng = np.random.default_rng(1)
    xs, mask, t = bk.sequence("x", 2), bk.sequence("mask"), bk.sequence("t", 2)
    y = bk.scan(bk.cells.srn(2, 2), xs)
    model = bk.Model(loss=bk.losses.squared_error(y, t, mask), outputs={"y": y}, dtype="float64")
    rows = [rng.standard_normal((n, 2)) for n in (1, 9, 2)]
    model.fit({"x": rows, "t": rows})
    for got, row in zip(model.predict({"x": rows}), rows, strict=True):
        np.testing.assert_allclose(got, model.predict({"x": row[None]})[0], rtol=1e-12)
    with pytest.raises(bk.FeedError, match="no mask"):  # last states would be those of the padding
        model.predict({"x": rows}, final=True)
