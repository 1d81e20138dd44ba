"""Metrics are wires, as losses are; callbacks see each update, its outputs, and each epoch."""

import math

import numpy as np
import pytest

import blocks as bk

from .helpers import data

RNG = np.random.default_rng(4)
m = bk.metrics


def wires(masked=True, cell=bk.cells.gru):
    """A classifier of every step: y, target, mask or None, and the loss."""
    target = bk.sequence("target", dtype="int")
    mask = bk.sequence("mask") if masked else None
    y = bk.ADD(5, name="out")(bk.scan(cell(3, 4), bk.sequence("x", 3), mask=mask))
    return y, target, mask, bk.losses.cross_entropy(y, target, mask)


def ready(y, target, mask) -> dict[str, bk.Node]:
    return {
        "accuracy": m.accuracy(y, target, mask),
        "top 2": m.top_k(y, target, 2, mask),
        "perplexity": m.perplexity(y, target, mask),
        "bits": m.bits_per_character(y, target, mask),
        "mine": bk.losses.squared_error(y, bk.tanh(y), mask, reduction="sum"),
        "product": m.accuracy(y, target, mask) * bk.losses.huber(y, 0.5 * y, mask) + 1.0,
    }


def unequal(samples=9, seed=0) -> dict:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 8, samples)
    x = [rng.standard_normal((n, 3)) for n in lengths]
    return {"x": x, "target": [rng.integers(0, 5, n) for n in lengths]}


def by_hand(y: list[np.ndarray], target: list[np.ndarray]) -> dict[str, float]:
    z, t = np.concatenate(y).astype(float), np.concatenate(target)
    own = z[np.arange(len(t)), t]
    loss = (np.log(np.exp(z).sum(-1)) - own).mean()
    return {
        "accuracy": (z.argmax(-1) == t).mean(),
        "top 2": ((z > own[:, None]).sum(-1) < 2).mean(),
        "perplexity": math.exp(loss),
        "bits": loss / math.log(2),
    }


@pytest.mark.parametrize("trials", [None, 2])
@pytest.mark.parametrize("target_of", ["numpy", "interpreter"])
def test_they_are_what_they_are_by_hand_however_the_data_is_cut(trials, target_of) -> None:
    y, target, mask, loss = wires()
    model = bk.Model(loss=loss, outputs={"y": y}, dtype="float64", trials=trials, target=target_of)
    d = unequal()
    metrics = {k: v for k, v in ready(y, target, mask).items() if k not in ("mine", "product")}
    outputs = model.predict({"x": d["x"]})
    want = [by_hand(o, d["target"]) for o in ([outputs] if trials is None else outputs)]
    for options in ({}, {"batch_size": 2}, {"batch_size": 4, "chunk": 3}):
        got = model.evaluate(d, metrics=metrics, **options)
        np.testing.assert_allclose(got["loss"], model.evaluate(d), rtol=1e-12)
        for name in metrics:
            found = got[name] if trials is None else got[name].tolist()
            assert found == pytest.approx(want[0][name] if trials is None else [w[name] for w in want], rel=1e-12)
    rows = [{k: v[i : i + 2] for k, v in d.items()} for i in range(0, 9, 2)]
    np.testing.assert_allclose(model.evaluate(rows, metrics=metrics)["perplexity"], got["perplexity"], rtol=1e-12)


def test_ties_are_the_first_ones_and_both_sides_of_a_half() -> None:
    y, t = bk.input("y", 3), bk.input("t", dtype="int")
    z, s = bk.input("z", 2), bk.input("s", 2)
    graph = bk.Graph({"a": m.accuracy(y, t), "k": m.top_k(y, t, 1), "b": m.binary_accuracy(z, s)})
    feeds = {"y": np.array([[1.0, 1, 0], [1, 1, 0]]), "t": np.array([0, 1])}
    feeds |= {"z": np.array([[0.0, -1], [2, 3]]), "s": np.array([[1.0, 0], [0.4, 0.5]])}
    got = bk.run(graph, feeds)
    assert (got["a"], got["k"], got["b"]) == (0.5, 1.0, 0.75)


@pytest.mark.parametrize("trials", [None, 3])
@pytest.mark.parametrize("options", [{}, {"tbptt": 3}, {"tbptt": (2, 4)}])
def test_an_epoch_measures_all_that_it_counts(trials, options) -> None:
    """An epoch that changes nothing has the metrics of evaluate; so has validation, after each epoch."""
    y, target, mask, loss = wires()
    model = bk.Model(loss=loss, outputs={"y": y}, dtype="float64", trials=trials, seed=2)
    d, v = unequal(), unequal(4, seed=1)
    metrics = ready(y, target, mask)
    if options:
        metrics = {k: w for k, w in metrics.items() if k in ("accuracy", "top 2", "perplexity", "bits")}
    history = model.fit(d, batch_size=4, optimizer=bk.SGD(0.0), metrics=metrics, validation=v, **options)
    want, held_out = model.evaluate(d, metrics=metrics), model.evaluate(v, metrics=metrics)
    for name in metrics:
        np.testing.assert_allclose(history.epochs[0][name], want[name], rtol=1e-12, err_msg=name)
        np.testing.assert_allclose(history.epochs[0][f"validation_{name}"], held_out[name], rtol=1e-12, err_msg=name)
    np.testing.assert_allclose(np.ravel(history["perplexity"]), np.exp(np.ravel(history.loss)), rtol=1e-12)
    assert all(set(metrics) < set(step) for step in history.steps)
    with pytest.raises(bk.BlocksError, match="no epoch has 'acuracy' .did you mean 'accuracy'"):
        history["acuracy"]


def test_metrics_change_no_bit_of_training_and_are_resumed(tmp_path) -> None:
    path = tmp_path / "run.safetensors"
    d = unequal()

    def fresh() -> tuple[bk.Model, dict]:
        y, target, mask, loss = wires()
        return bk.Model(loss=loss, outputs={"y": y}, seed=2), ready(y, target, mask)

    plain, (measured, metrics), (cut, of_cut), (again, of_again) = fresh()[0], fresh(), fresh(), fresh()
    options = {"epochs": 3, "batch_size": 2, "optimizer": "adam"}
    plain.fit(d, **options)
    measured.fit(d, metrics=metrics, watch=("y", "target"), **options)
    np.testing.assert_array_equal(plain.weights.all, measured.weights.all)
    stop = {"callbacks": lambda model, record: record["step"] == 7}
    cut.fit(d, metrics=of_cut, autosave=path, autosave_every=1, **stop, **options)
    again.fit(d, metrics=of_again, autosave=path, resume=True, **options)
    assert again.history == measured.history
    with pytest.raises(bk.ModelFileError, match="metrics was"):
        fresh()[0].fit(d, autosave=path, resume=True, **options)


def test_a_loaded_model_is_measured_by_its_outputs(tmp_path) -> None:
    """Inputs of the same name are the same, weights too."""
    y, target, mask, loss = wires()
    model = bk.Model(loss=loss, outputs={"y": bk.dropout(y, 0.0)}, seed=2)
    model.save(tmp_path / "m.safetensors")
    loaded = bk.Model.load(tmp_path / "m.safetensors")
    again = m.accuracy(loaded.graph.outputs["y"], bk.sequence("target", dtype="int"), bk.sequence("mask"))
    d = unequal()
    assert loaded.evaluate(d, metrics={"a": again}) == model.evaluate(d, metrics={"a": m.accuracy(y, target, mask)})
    other = m.accuracy(wires()[0], target, mask)  # the same network, made again
    assert loaded.evaluate(d, metrics={"a": other}) == loaded.evaluate(d, metrics={"a": again})
    loaded.fit(d, metrics={"a": again}, epochs=2, batch_size=4)
    assert len(loaded.history["a"]) == 2


def test_a_thousand_calls_keep_one_program() -> None:
    y, target, mask, loss = wires()
    model = bk.Model(loss=loss, outputs={"y": y})
    for _ in range(5):
        model.fit(unequal(4), metrics={"accuracy": m.accuracy(y, target, mask)}, progress=False)
    assert sum(purpose.name == "train" for purpose, _ in model._programs) == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda y, t: {"y": y}, r"the metric 'y' is one number, not .*\(time, batch, 5\).*take the mean"),
        (lambda y, t: {"y": 3}, "the metric 'y' is one number, not int"),
        (lambda y, t: {"loss": m.accuracy(y, t)}, "a metric cannot be called 'loss'"),
        (lambda y, t: {"validation_a": m.accuracy(y, t)}, "a metric cannot be called 'validation_a'"),
        (lambda y, t: m.accuracy(y, t), "metrics are a dict, name → wire of one number, not a Node"),
        (lambda y, t: {"a": bk.mean(bk.ADD(2, name="new")(y))}, r"new.W_out .* is no weight of the model"),
        (lambda y, t: {"a": bk.mean(y * bk.sequence("other", 5))}, "input 'other' .* has no data"),
        (lambda y, t: {"a": bk.mean(bk.cast(bk.argmax(y, axis="batch")))}, "argmax.*takes the batch away in one piece"),
    ],
)
def test_what_is_no_metric_is_refused_before_the_first_update(make, message) -> None:
    y, target, _, loss = wires(masked=False)
    model = bk.Model(loss=loss, outputs={"y": y})
    before = model.weights.all.copy()
    with pytest.raises(bk.BlocksError, match=message):
        model.fit(data(), batch_size=4, metrics=make(y, target))
    assert model.training is None and np.array_equal(before, model.weights.all)


def test_ready_metrics_say_what_does_not_fit() -> None:
    y, t = bk.sequence("y", 5), bk.sequence("t", dtype="int")
    for make, message in (
        (lambda: m.accuracy(y, bk.input("t", dtype="int")), r"class numbers \(time, batch\) int, not t \(batch\)"),
        (lambda: m.accuracy(y, bk.sequence("t", 5)), "class numbers"),
        (lambda: m.top_k(y, t, 6), "k is a whole number from 1 to the 5 classes, not 6"),
        (lambda: m.top_k(y, t, True), "k is a whole number"),
        (lambda: m.binary_accuracy(y, bk.sequence("t", 4)), "must have one shape"),
        (lambda: m.perplexity(y, bk.input("t", dtype="int")), r"class numbers must be \(time, batch\)"),
    ):
        with pytest.raises(bk.WiringError, match=message):
            make()


# --- callbacks ------------------------------------------------------------------------------------


class Notes(bk.Callback):
    def __init__(self) -> None:
        self.said: list[tuple] = []

    def on_begin(self, model, history) -> None:
        self.said.append(("begin", len(history.steps)))

    def on_update(self, model, record) -> None:
        self.said.append(("update", record["step"]))

    def on_epoch(self, model, record) -> None:
        self.said.append(("epoch", record["epoch"], record["validation"]))

    def on_end(self, model, history) -> None:
        self.said.append(("end", len(history.steps)))


def test_what_is_called_and_when() -> None:
    y, *_, loss = wires(masked=False)
    model = bk.Model(loss=loss, outputs={"y": y})
    notes, seen = Notes(), []
    model.fit(
        data(), epochs=2, batch_size=6, validation=data(4), callbacks=[notes, lambda _, r: seen.append(r["loss"])]
    )
    kinds = [s[0] for s in notes.said]
    assert kinds == ["begin", "update", "update", "epoch", "update", "update", "epoch", "end"]
    assert [s[2] for s in notes.said if s[0] == "epoch"] == model.history.validation and len(seen) == 4
    model.fit(data(), epochs=9, batch_size=6, callbacks=lambda _, record: record["step"] == 6)
    assert len(model.history.steps) == 7

    class Enough:
        def on_epoch(self, model, record) -> bool:
            return record["epoch"] >= 6

    ending = Notes()
    model.fit(data(), epochs=9, batch_size=6, validation=data(4), callbacks=(Enough(), ending))
    assert model.history.epochs[-1]["epoch"] == 6 and ending.said[-1][0] == "end"

    class Late(bk.Callback):
        def on_begin(self, model, history) -> None:
            raise bk.BlocksError("not like this")

    before = len(model.history.steps)
    with pytest.raises(bk.BlocksError, match="not like this"):
        model.fit(data(), callbacks=Late())
    assert len(model.history.steps) == before

    def breaks(model, record) -> None:
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        model.fit(data(), callbacks=[breaks, ending])
    assert ending.said[-1] == ("end", before + 1)


@pytest.mark.parametrize("trials", [None, 3])
def test_the_outputs_of_each_update_are_seen(trials) -> None:
    """Those before it: with a learning rate of 0, those of predict; batches in the order of the update."""
    y, target, _, loss = wires(masked=False)
    model = bk.Model(loss=loss, outputs={"y": y}, trials=trials, dtype="float64")
    d = data(8, 5)
    seen: list[dict] = []
    options = {"optimizer": bk.SGD(0.0), "batch_size": 4, "shuffle": False}
    wrong = bk.cast(bk.not_equal(bk.argmax(y), target))
    model.fit(
        d,
        watch={"y": None, "target": None, "wrong": wrong},
        callbacks=lambda _, r: seen.append(r["outputs"]),
        **options,
    )
    want = model.predict({"x": d["x"]})
    axis = 0 if trials is None else 1
    np.testing.assert_allclose(np.concatenate([s["y"] for s in seen], axis), want, rtol=1e-12)
    share = (want.argmax(-1) != d["target"]).astype(float)
    np.testing.assert_array_equal(np.concatenate([s["wrong"] for s in seen], axis), share)
    assert all("outputs" not in step for step in model.history.steps)
    again: list[dict] = []
    model.fit(d, watch="y", tbptt=2, callbacks=lambda _, r: again.append(r["outputs"]), **options)
    assert [s["y"].shape[axis + 1] for s in again] == [2, 2, 1, 2, 2, 1]


def test_each_trial_stops_by_itself() -> None:
    """When its last numbers were right: then it keeps its weights, and the others go on."""
    x, t = bk.input("x", 2), bk.input("t", 1)
    y = bk.ADD(1, name="out")(x)
    loss = bk.losses.squared_error(y, t)
    w = np.array([[1.0], [-0.5]])

    def make(rng, update) -> dict:
        x = rng.standard_normal((1, 2))
        return {"x": x, "t": x @ w}

    class Right:
        """Stops a trial when its last ten errors were small."""

        def __init__(self, trials: int | None):
            self.last = [[] for _ in range(trials or 1)]

        def on_update(self, model, record):
            error = np.abs(record["outputs"]["y"] - record["outputs"]["t"]).reshape(len(self.last), -1).max(axis=1)
            for r, e in enumerate(error):
                self.last[r].append(e < 0.2)
            stops = np.array([len(last) >= 10 and all(last[-10:]) for last in self.last])
            return stops if model.trials else bool(stops[0])

    options = {"epochs": 40, "batches_per_epoch": 50, "optimizer": bk.SGD(0.02), "watch": ("y", "t")}
    together = bk.Model(loss=loss, outputs={"y": y}, trials=4, dtype="float64", seed=5)
    together.fit(make, callbacks=Right(4), **options)
    ends = []
    for r in range(4):
        alone = bk.Model(loss=loss, outputs={"y": y}, dtype="float64", seed=5 + r)
        alone.fit(make, callbacks=Right(None), **options)
        np.testing.assert_allclose(together.weights["out.W_x"][r], alone.weights["out.W_x"], rtol=1e-12)
        ends.append(len(alone.history.steps))
        assert together.history.ended[r] == f"stopped by a callback after update {ends[-1] - 1}"
    assert len(set(ends)) > 1 and len(together.history.steps) == max(ends)


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        (3, "a callback is a function .*; 3 is neither"),
        (bk.Callback, r"an object of a class, not the class Callback: give Callback\(\)"),
        ([lambda record: None], r"a callback's on_update takes \(model, record\); <lambda> does not"),
        (type("Mine", (), {"on_updates": lambda self, m, r: None})(), "; a Mine is neither .did you mean 'on_update'"),
    ],
)
def test_what_is_no_callback_is_refused(callbacks, message) -> None:
    y, *_, loss = wires(masked=False)
    model = bk.Model(loss=loss, outputs={"y": y})
    with pytest.raises(bk.BlocksError, match=message):
        model.fit(data(), callbacks=callbacks)
    with pytest.raises(bk.BlocksError, match="callback is a function of a record"):
        model.fit(data(), callback=3)
    with pytest.raises(bk.BlocksError, match="no output or input 'z'|no output or input 'yy' .did you mean 'y'"):
        model.fit(data(), watch="yy")
    assert model.training is None


def test_a_callback_may_take_the_record_alone() -> None:
    y, *_, loss = wires(masked=False)
    seen = []
    model = bk.Model(loss=loss, outputs={"y": y})
    model.fit(data(), epochs=9, callback=lambda record: seen.append(record) or len(seen) == 3)
    assert seen == model.history.steps and len(seen) == 3
