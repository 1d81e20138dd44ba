"""Freezing, weight decay, accumulation over batches, moving averages, plateaus and warm-ups."""

import numpy as np
import pytest

import blocks as bk

from .helpers import data

s = bk.schedules


def model(masked=False, seed=3, trials=None, loss=None, drop=False, dtype="float64") -> bk.Model:
    target, mask = bk.sequence("target", dtype="int"), bk.sequence("mask") if masked else None
    x = bk.sequence("x", 3)
    hs = bk.scan(bk.cells.gru(3, 4), bk.dropout(x, 0.4) if drop else x, mask=mask)
    y = bk.ADD(5, name="out")(hs)
    each = bk.losses.cross_entropy(y, target, mask)
    return bk.Model(
        loss=loss(y, hs, each, mask) if loss else each, outputs={"y": y}, seed=seed, trials=trials, dtype=dtype
    )


def unequal(samples=12, seed=0) -> dict:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 9, samples)
    x = [rng.standard_normal((n, 3)) for n in lengths]
    return {"x": x, "target": [rng.integers(0, 5, n) for n in lengths]}


def a_product(y, hs, each, mask):
    return each * each * bk.losses.huber(hs, 0.3 * hs, mask)


def a_sum(y, hs, each, mask):
    return 0.1 * bk.losses.squared_error(y, bk.tanh(y), mask, reduction="sum") + bk.exp(each)


def of_each_unit(y, hs, each, mask):
    return each + 0.2 * bk.mean(bk.sqrt(0.1 + bk.sum(hs * hs, axis=("time", "batch"))))  # a term of four numbers


# --- accumulation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("trials", [None, 2])
@pytest.mark.parametrize("loss", [None, a_product, a_sum, of_each_unit])
def test_batches_together_are_one_batch(loss, trials) -> None:
    """Of unequal sequences, and losses that are no single mean: to rounding, updates, records and epochs."""
    d, m = unequal(), bk.metrics
    together, cut = (model(masked=True, loss=loss, trials=trials) for _ in range(2))
    options = {"epochs": 2, "optimizer": bk.Adam(0.03), "clip": 0.5, "shuffle": False}
    found = []
    for one, how in ((together, {"batch_size": 6}), (cut, {"batch_size": 2, "accumulate": 3})):
        y, target, mask = one.graph.outputs["y"], bk.sequence("target", dtype="int"), bk.sequence("mask")
        one.fit(d, metrics={"perplexity": m.perplexity(y, target, mask)}, validation=d, **options, **how)
        found.append(one.history)
    np.testing.assert_allclose(cut.weights.all, together.weights.all, rtol=0, atol=1e-11)
    for mine, other in zip(found[0].steps + found[0].epochs, found[1].steps + found[1].epochs, strict=True):
        for key, value in mine.items():
            np.testing.assert_allclose(other[key], value, rtol=1e-9, err_msg=key)
    assert len(found[0].steps) == 4


def test_a_penalty_of_weights_counts_once() -> None:
    def penalty(y, hs, each, mask):
        weights = bk.Graph({"": each}).fed("parameter")["out.b"]
        return each + bk.sum((weights - 1.0) ** 2.0)

    d = data(12, 5)
    together, cut = model(loss=penalty), model(loss=penalty)
    together.fit(d, batch_size=6, shuffle=False, optimizer=bk.SGD(0.1))
    cut.fit(d, batch_size=3, accumulate=2, shuffle=False, optimizer=bk.SGD(0.1))
    np.testing.assert_allclose(cut.weights.all, together.weights.all, rtol=0, atol=1e-12)


def test_batches_of_an_update_draw_numbers_of_their_own_and_are_resumed(tmp_path) -> None:
    path, d = tmp_path / "run.safetensors", data(7, 5)
    same = {k: np.concatenate([v[:1]] * 4) for k, v in d.items()}
    once, twice = (model(drop=True, dtype="float32") for _ in range(2))
    once.fit({k: v[:1] for k, v in same.items()}, batch_size=1, optimizer=bk.SGD(0.1))
    twice.fit({k: v[:2] for k, v in same.items()}, batch_size=1, accumulate=2, optimizer=bk.SGD(0.1))
    assert not np.allclose(once.weights.all, twice.weights.all)  # the same sample twice, dropped otherwise
    options = {"epochs": 2, "batch_size": 2, "accumulate": 3, "average": 0.8, "freeze": "out.b"}  # 4 batches: 3 and 1
    whole, cut, again = (model(drop=True, dtype="float32") for _ in range(3))
    whole.fit(d, **options)
    cut.fit(d, autosave=path, autosave_every=1, callbacks=lambda _, r: r["step"] == 2, **options)
    again.fit(d, autosave=path, resume=True, **options)
    assert len(whole.history.steps) == 4
    np.testing.assert_array_equal(whole.weights.all, again.weights.all)
    np.testing.assert_array_equal(whole.averaged().weights.all, again.averaged().weights.all)


# --- freezing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("trials", [None, 2])
@pytest.mark.parametrize("optimizer", [bk.Adam(0.1, l2=0.1), bk.SGD(0.1, momentum=0.9, decoupled=0.2)])
def test_frozen_weights_stay_and_the_others_move(optimizer, trials) -> None:
    d = data()
    m, hand = model(trials=trials), model(trials=trials)
    m.fit(d, batch_size=4, optimizer=optimizer, clip=0.1)
    before = {k: w.copy() for k, w in m.weights.items()}
    m.fit(d, epochs=2, batch_size=4, clip=0.1, freeze=["update.*", "out.b"])
    for name, w in m.weights.items():
        stays = name.startswith("update.") or name == "out.b"
        assert np.array_equal(w, before[name]) == stays, name
    gradients = [n for n in m.graph_for(next(p for p in m._graphs if p.frozen)).outputs if n.startswith("grad/")]
    assert len(gradients) == len(m.weights) - 4
    hand.fit(d, batch_size=4, optimizer=optimizer, clip=0.1)
    hand.fit(d, epochs=2, batch_size=4, clip=0.1)
    assert not np.allclose(hand.weights["reset.W_x"], m.weights["reset.W_x"])  # the limit is of those that move


def test_decay_is_by_hand() -> None:
    """The gradient's way and the decoupled one, of rates that change; biases stay."""
    x = bk.input("x", 2)
    y = bk.ADD(1, name="a")(x)
    loss = bk.mean(y * 0.0)
    for optimizer, factor in (
        (bk.SGD(0.1, l2=0.5), 0.95),
        (bk.SGD(0.1, decoupled=0.5), 0.95),
        (bk.AdamW(0.1, decay=0.5), 0.95),
    ):
        m = bk.Model(loss=loss, dtype="float64", seed=1)
        m.weights["a.b"] = [3.0]
        before = m.weights["a.W_x"].copy()
        m.fit({"x": np.ones((4, 2))}, epochs=3, optimizer=optimizer)
        np.testing.assert_allclose(m.weights["a.W_x"], before * factor**3, rtol=1e-12)
        assert m.weights["a.b"] == [3.0]
    w = bk.Model(loss=loss, dtype="float64", seed=1)
    w.fit({"x": np.ones((4, 2))}, optimizer=bk.Adam(0.1, l2=0.5))
    assert not np.allclose(w.weights["a.W_x"], before * 0.95)


def test_a_learner_decays_too() -> None:
    x, t = bk.input("x", 3), bk.input("t", 2)
    loss = bk.losses.squared_error(bk.ADD(2, name="a")(x), t)
    learning = bk.learner(loss, bk.Adam(0.05, l2=0.2, decoupled=0.1))
    rng = np.random.default_rng(0)
    X, T = rng.standard_normal((6, 1, 3)), rng.standard_normal((6, 1, 2))
    _, final = bk.scan(learning, {"x": bk.sequence("x", 3), "t": bk.sequence("t", 2)}, final=True)
    graph = bk.Graph({"w": final["a.W_x"]})
    m = bk.Model(loss=loss, dtype="float64", seed=2)
    end = bk.run(graph, {**m.weights, "x": X, "t": T})["w"]
    m.fit({"x": X[:, 0], "t": T[:, 0]}, batch_size=1, shuffle=False, optimizer=bk.Adam(0.05, l2=0.2, decoupled=0.1))
    np.testing.assert_allclose(m.weights["a.W_x"], end, rtol=1e-12)
    with pytest.raises(bk.BlocksError, match="a plateau watches the epochs of fit; a learner has none"):
        bk.learner(loss, bk.SGD(s.plateau(0.1)))


# --- the moving average ---------------------------------------------------------------------------


@pytest.mark.parametrize("trials", [None, 2])
def test_the_average_is_evaluated_and_kept_beside(trials, tmp_path) -> None:
    d, v = data(), data(5, seed=8)
    plain, m = model(trials=trials), model(trials=trials)
    weights: list[np.ndarray] = []
    options = {"epochs": 3, "batch_size": 4, "optimizer": bk.Adam(0.05), "validation": v}
    plain.fit(d, **options)
    m.fit(d, average=0.7, callbacks=lambda model, _: weights.append(model.weights.all.copy()), **options)
    np.testing.assert_array_equal(plain.weights.all, m.weights.all)  # training itself does not see it
    want = weights[0]
    for w in weights[1:]:
        want = 0.7 * want + 0.3 * w
    averaged = m.averaged()
    np.testing.assert_allclose(averaged.weights.all, want, rtol=1e-12)
    np.testing.assert_allclose(m.history.epochs[-1]["validation"], averaged.evaluate(v), rtol=1e-12)
    assert not np.allclose(m.history.epochs[-1]["validation"], plain.history.epochs[-1]["validation"])
    m.save(tmp_path / "m.safetensors")
    loaded = bk.Model.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(loaded.averaged().weights.all, averaged.weights.all)
    averaged.weights.all[...] = 0.0
    assert m.weights.all.any() and m.averaged().weights.all.any() and averaged.training is None
    m.fit(d, average=0.7, **{**options, "epochs": 1})
    again = model(trials=trials)
    again.fit(d, average=0.7, **{**options, "epochs": 4})
    np.testing.assert_array_equal(m.averaged().weights.all, again.averaged().weights.all)
    m.fit(d, **{**options, "epochs": 1})
    with pytest.raises(bk.BlocksError, match="there is no average of these weights"):
        m.averaged()


def test_patience_goes_back_to_the_best_average() -> None:
    d, other = data(24), data(24, seed=77)
    m = model()
    history = m.fit(d, epochs=40, average=0.6, batch_size=8, optimizer=bk.Adam(0.1), validation=other, patience=2)
    assert m.evaluate(other) == pytest.approx(min(history.validation), rel=1e-12)


# --- schedules ------------------------------------------------------------------------------------


def test_a_plateau_by_hand() -> None:
    p = s.plateau(1.0, factor=0.5, patience=1)
    assert p.scale([]) == 1.0
    assert p.scale([3, 2, 2, 2]) == 0.5  # two epochs no better
    assert p.scale([3, 2, 2, 2, 2, 2]) == 0.25
    assert p.scale([3, 2, 2, 2, 1, 1]) == 0.5
    assert s.plateau(1.0, 0.5, 1, mode="max").scale([1, 2, 2, 2]) == 0.5
    assert s.plateau(1.0, 0.5, 1, mode="max").scale([1, 2, 3, 4]) == 1.0
    assert s.plateau(1.0, 0.5, 0, threshold=0.1).scale([1.0, 0.95]) == 0.5
    assert s.plateau(1.0, 0.5, 0, cooldown=2).scale([1, 1, 1, 1, 1]) == 0.25
    assert s.plateau(1.0, 0.5, 0).scale([-1.0, -2.0, -3.0]) == 1.0


@pytest.mark.parametrize("trials", [None, 3])
def test_a_plateau_watches_epochs_of_each_trial_and_goes_on(trials, tmp_path) -> None:
    d, other = data(24), data(24, seed=77)
    y, target = model().graph.outputs["y"], bk.sequence("target", dtype="int")
    rate = s.plateau(s.warmup(0.1, 4), 0.5, 1, of="validation_accuracy", mode="max", least=0.01)
    options = {"batch_size": 8, "optimizer": bk.Adam(rate), "validation": other, "autosave": tmp_path / "m.safetensors"}
    options["metrics"] = {"accuracy": bk.metrics.accuracy(y, target)}
    once, often = model(trials=trials), model(trials=trials)
    once.fit(d, epochs=8, **options)
    for _ in range(4):
        often.fit(d, epochs=2, **options)
        often = bk.Model.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(once.weights.all, often.weights.all)
    assert often.training.optimizer == bk.Adam(rate)
    rates = np.array([np.broadcast_to(r["lr"], trials or 1) for r in once.history.steps])
    values = np.array([np.atleast_1d(v) for v in once.history["validation_accuracy"]]).reshape(trials or 1, -1)
    np.testing.assert_allclose(rates[:4], [[0.025], [0.05], [0.075], [0.1]] * np.ones(trials or 1))
    for r in range(trials or 1):
        assert rates[-1, r] == max(0.1 * rate.scale(values[r, :7].tolist()), 0.01) and rates[-1, r] < 0.1
    assert trials is None or len(set(rates[:, 0] - rates[:, 1])) > 1 or len(set(rates[:, 0] - rates[:, 2])) > 1


def test_a_warm_up_of_any_schedule_and_of_wires() -> None:
    rate = s.warmup(s.step_decay(0.8, 3), 4)
    assert [rate(k) for k in range(9)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8, 0.8, 0.4, 0.4])
    step = bk.input("step", shape=())
    graph = bk.Graph({"lr": s.warmup(s.cosine(0.8, 9), 4)(step)})
    for k in range(12):
        assert bk.run(graph, {"step": float(k)})["lr"] == pytest.approx(s.warmup(s.cosine(0.8, 9), 4)(k), abs=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"freeze": "embed.*"}, "no weights are called 'embed.*'; there are reset.W_x"),
        ({"freeze": "outt.b"}, "no weights are called 'outt.b' .did you mean 'out.b'"),
        ({"freeze": "*"}, "leaves no weights to learn"),
        ({"freeze": [3]}, "no weights are called 3"),
        ({"accumulate": 0}, "accumulate must be a whole number from 1"),
        ({"accumulate": 2, "tbptt": 3}, "accumulate=2 makes one update of several batches; tbptt= updates within"),
        ({"accumulate": 2, "watch": "y"}, "watch= shows one batch"),
        ({"average": 1.0}, "average is a share between 0 and 1"),
        ({"average": True}, "average is a share between 0 and 1"),
        ({"optimizer": bk.SGD(s.plateau(0.1))}, "a plateau of 'validation', but the epochs have loss; give validation="),
        ({"optimizer": bk.SGD(s.plateau(0.1, of="los"))}, "a plateau of 'los', but .* .did you mean 'loss'"),
    ],
)  # fmt: skip
def test_refused_before_the_first_update(options, message) -> None:
    m = model()
    before = m.weights.all.copy()
    with pytest.raises(bk.BlocksError, match=message):
        m.fit(data(), **options)
    assert m.training is None and np.array_equal(before, m.weights.all)


def test_refused_when_it_is_made() -> None:
    for make, message in (
        (lambda: bk.AdamW(0.1, decoupled=0.1), "AdamW: its decoupled decay is decay=0.1"),
        (lambda: bk.SGD(0.1, l2=-1.0), "l2 must be a number from 0"),
        (lambda: s.plateau(0.1, mode="mni"), "min or max, not 'mni' .did you mean 'min'"),
        (lambda: s.plateau(0.1, factor=1.0), "factor of a plateau is below 1"),
        (lambda: s.warmup(s.plateau(0.1), 5), "a plateau goes around a warm-up"),
        (lambda: s.warmup(0.1, 0), "steps must be 1 or more"),
    ):
        with pytest.raises(bk.BlocksError, match=message):
            make()
    loss = lambda y, hs, each, mask: each + bk.mean(bk.sum(y, axis="batch") ** 2.0)
    with pytest.raises(bk.BlocksError, match="accumulate= adds up means and sums over batches.*its size may differ"):
        model(loss=loss).fit(data(), accumulate=2)
