"""`Model(trials=R)`: every trial is a model of its own, with its own seed; all are trained at once."""

import json
import re
import warnings

import numpy as np
import pytest

import blocks as bk

SEED = 3
RNG = np.random.default_rng(5)


def build(
    trials=None, seed=SEED, masked=False, drop=False, dtype="float64", units=4, summed=True, **options
) -> bk.Model:
    """A classifier of every step, of a network with a masked cell and dropout, if asked for; its loss a mean, and a sum
    that counts also where a mask leaves nothing."""
    x, target = bk.sequence("x", 3), bk.sequence("target", dtype="int")
    mask = bk.sequence("mask") if masked else None
    hs = bk.scan(bk.cells.lstm(3, units), bk.dropout(x, 0.2) if drop else x, mask=mask)
    y = bk.ADD(5, name="out")(hs)
    loss = bk.losses.cross_entropy(y, target, mask)
    loss = loss + 0.01 * bk.sum(hs * hs) / 100.0 if summed else loss
    return bk.Model(loss=loss, outputs={"y": y}, seed=seed, dtype=dtype, trials=trials, **options)


def whole(samples=12, steps=7) -> dict:
    return {"x": RNG.standard_normal((samples, steps, 3)), "target": RNG.integers(0, 5, (samples, steps))}


def unequal(samples=7) -> dict:
    lengths = [9, 2, 5, 3, 9, 4, 1][:samples]
    x = [RNG.standard_normal((n, 3)) for n in lengths]
    return {"x": x, "target": [RNG.integers(0, 5, n) for n in lengths]}


def together_as_alone(trials: int, data: dict, options: dict, tolerance=1e-12, **network) -> bk.Model:
    """Train trials at once, and each as a model of its own; compare all that comes out."""
    several = build(trials, **network)
    several.fit(data, **options)
    for r in range(trials):
        one = build(seed=SEED + r, **network)
        one.fit(data, **options)
        for name, w in one.weights.items():
            np.testing.assert_allclose(several.weights[name][r], w, rtol=0, atol=tolerance, err_msg=name)
        for of_one, of_several in (
            (one.history.loss, several.history.loss),
            (one.history.validation, several.history.validation),
        ):
            mine = np.asarray(of_several)[r] if len(of_several) else np.array([])
            np.testing.assert_allclose(mine[: len(of_one)], of_one, rtol=tolerance)
            assert np.isnan(several.history.loss[r][len(one.history.loss) :]).all()
        for key in ("loss", "norm"):
            mine = np.array([s[key][r] for s in several.history.steps])
            np.testing.assert_allclose(mine[np.isfinite(mine)], [s[key] for s in one.history.steps], rtol=1e-9)
        assert several.history.ended.get(r) == one.history.ended.get(0)
        np.testing.assert_allclose(several.evaluate(data)[r], one.evaluate(data), rtol=1e-11)
        inputs = {k: v for k, v in data.items() if k != "target"}
        for mine, alone in zip(several.predict(inputs)[r], one.predict(inputs), strict=True):
            np.testing.assert_allclose(mine, alone, rtol=0, atol=1e-11)
    return several


@pytest.mark.parametrize("shuffle", [True, False])
def test_ten_trials_are_ten_single_runs(shuffle) -> None:
    """After 20 updates, with dropout and a limit of each gradient that not all reach."""
    options = {"epochs": 5, "batch_size": 3, "optimizer": bk.AdamW(0.02), "clip": 0.35, "shuffle": shuffle}
    model = together_as_alone(10, whole(), options, drop=True)
    norms = np.array([s["norm"] for s in model.history.steps])
    assert len(norms) == 20 and (norms > 0.35).any() and (norms < 0.35).any()
    assert model.weights["forget.W_x"].shape == (10, 3, 4) and model.evaluate(whole()).shape == (10,)
    assert model.history.loss.shape == (10, 5) and model.predict({"x": whole()["x"]}).shape == (10, 12, 7, 5)


@pytest.mark.parametrize(
    ("tbptt", "shuffle", "target"),
    [
        (None, True, "numpy"),
        (3, True, "numpy"),
        ((2, 5), False, "numpy"),
        ((4, 2), False, "numpy"),
        (4, True, "interpreter"),
    ],
)
def test_sequences_of_unequal_length(tbptt, shuffle, target) -> None:
    """Masks of each trial's own batch; windows that are over in some trials and not in others."""
    options = {"epochs": 2, "batch_size": 2, "optimizer": bk.Adam(0.02), "shuffle": shuffle, "tbptt": tbptt}
    together_as_alone(3, unequal(), options, masked=True, drop=True, target=target)


def test_a_batch_that_teaches_some_trials_nothing_is_passed_over_in_these() -> None:
    """So their updates have other numbers: for Adam, for what is drawn, and for the schedule of the learning rate."""
    data = whole(6) | {"mask": np.ones((6, 7))}
    data["mask"][[1, 4]] = 0.0
    options = {"epochs": 3, "batch_size": 1, "optimizer": bk.Adam(lambda n: 0.05 / (n + 1))}
    model = together_as_alone(4, data, options, masked=True, drop=True, summed=False)
    moved = np.isfinite([step["loss"] for step in model.history.steps]).sum(axis=0)
    assert (moved == 12).all() and len(model.history.steps) > 12  # not the same trials at each update


def test_each_trial_stops_where_it_would_alone() -> None:
    """In a run of 200 updates, and each goes back to its best weights."""
    training, validation = whole(16), whole(8)
    options = {"epochs": 50, "batch_size": 4, "optimizer": bk.Adam(0.03), "validation": validation, "patience": 2}
    model = together_as_alone(5, training, options, tolerance=1e-9)
    stops = {r: why for r, why in model.history.ended.items() if "no better validation loss" in why}
    assert len(set(stops.values())) > 1  # not all at the same one
    assert len(model.history.epochs) < 50


def test_a_diverging_trial_is_reported_and_the_others_go_on() -> None:
    data, options = whole(), {"epochs": 3, "batch_size": 4, "optimizer": bk.SGD(0.1), "shuffle": False}
    model = build(3)
    weights = {k: v.copy() for k, v in model.weights.items()}
    weights["out.b"][1] = [1.7e308, -1.7e308, 0.0, 0.0, 0.0]
    model.set_weights(weights)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", bk.TrialWarning)
        model.fit(data, **options)
    (said,) = [str(w.message) for w in caught]
    assert re.match(r"trial 1 diverged: the \w+ is not finite at update 0: the first such value is", said), said
    assert list(model.history.ended) == [1] and np.isnan(model.history.loss[1]).all()
    assert all((model.weights[k][1] == weights[k][1]).all() for k in weights)  # the last that were finite
    for r in (0, 2):
        one = build(seed=SEED + r)
        one.fit(data, **options)
        np.testing.assert_allclose(model.history.loss[r], one.history.loss, rtol=1e-12)
    with pytest.raises(bk.NonFiniteError, match="all trials diverged"), warnings.catch_warnings():
        warnings.simplefilter("ignore", bk.TrialWarning)
        again = build(2)
        again.set_weights({"out.b": np.tile([1.7e308, -1.7e308, 0.0, 0.0, 0.0], (2, 1))})
        again.fit(data, **options)


def test_saved_loaded_and_resumed(tmp_path) -> None:
    """The same bits as a run that was not interrupted; early stopping of some before."""
    path, data, validation = tmp_path / "run.safetensors", unequal(), unequal()
    options = {"batch_size": 2, "optimizer": bk.Adam(0.2), "validation": validation, "patience": 2, "tbptt": 3}
    through = build(3, masked=True, drop=True)
    through.fit(data, epochs=8, **options)

    def stop(_, record: dict) -> bool:
        return record["step"] == 17

    build(3, masked=True, drop=True).fit(data, epochs=8, autosave=path, autosave_every=3, callbacks=stop, **options)
    resumed = build(3, masked=True, drop=True)
    resumed.fit(data, epochs=8, autosave=path, resume=True, **options)
    assert resumed.history.ended == through.history.ended
    for name, w in through.weights.items():
        np.testing.assert_array_equal(resumed.weights[name], w)
    np.testing.assert_array_equal(resumed.history.loss, through.history.loss)
    assert json.dumps([s["step"] for s in resumed.history.steps]) == json.dumps(list(range(len(through.history.steps))))
    with pytest.raises(bk.BlocksError, match="another model"):
        build(2, masked=True, drop=True).fit(data, epochs=8, autosave=path, resume=True, **options)
    resumed.save(path)
    loaded = bk.Model.load(path)
    assert loaded.trials == 3 and "trials" in loaded.summary()
    np.testing.assert_array_equal(loaded.evaluate(data), resumed.evaluate(data))


def test_predictions_in_chunks_and_states_that_are_handed_in() -> None:
    x = whole(5, 8)["x"]
    model = build(3)
    y, states = model.predict({"x": x}, final=True)
    assert y.shape == (3, 5, 8, 5) and states["h"].shape == (3, 5, 4)
    np.testing.assert_allclose(model.predict({"x": x}, chunk=3, batch_size=2), y, atol=1e-12)
    first, between = model.predict({"x": x[:, :3]}, final=True)
    second, last = model.predict({"x": x[:, 3:], **between}, batch_size=2, final=True)
    np.testing.assert_allclose(np.concatenate([first, second], axis=2), y, atol=1e-12)
    np.testing.assert_allclose(last["C"], states["C"], atol=1e-12)
    same_for_all = model.predict({"x": x, "h": between["h"][0]})
    each = model.predict({"x": x, "h": np.stack([between["h"][0]] * 3)})
    np.testing.assert_array_equal(same_for_all, each)
    with pytest.raises(bk.FeedError, match="there are 3 trials"):
        model.predict({"x": x, "h": between["h"][:2]})


def test_first_weights_are_those_of_models_with_the_next_seeds() -> None:
    model = build(3, dtype="float32")
    for r in range(3):
        for name, w in build(seed=SEED + r, dtype="float32").weights.items():
            np.testing.assert_array_equal(model.weights[name][r], w)
            assert model.weights[name].dtype == np.float32


def test_what_makes_no_trials_is_refused() -> None:
    for trials in (0, -1, 2.0, True, "3"):
        with pytest.raises(bk.BlocksError, match="trials is a number of networks from 1"):
            build(trials)
    x = bk.input("x", 3)
    with pytest.raises(bk.BlocksError, match="no weights"):
        bk.Model(loss=bk.mean(x * x), trials=2)
    with pytest.raises(bk.FeedError, match="no mask"):  # each trial has sequences of its own at an update
        build(2).fit(unequal(), batch_size=1)


def test_windows_that_would_not_be_those_of_a_trial_alone_are_refused() -> None:
    with pytest.raises(bk.BlocksError, match=r"tbptt=\(4, 2\) counts from the ends of sequences.*shuffle=False"):
        build(2, masked=True).fit(unequal(), batch_size=2, tbptt=(4, 2))
    together_as_alone(2, whole(), {"batch_size": 4, "tbptt": (4, 2)}, drop=True)


def test_a_plot_of_trials(tmp_path) -> None:
    model = build(3)
    model.fit(whole(), epochs=3, batch_size=4, validation=whole())
    figure = model.history.plot(tmp_path / "plot.png")
    assert len(figure.axes[0].lines) == 6 and len(figure.axes[0].get_legend().get_texts()) == 2
