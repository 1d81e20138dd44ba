"""Training: optimizers, schedules, batches, masks, truncated backpropagation, stopping, resuming."""

import math
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import blocks as bk
from blocks.train.data import Data
from blocks.train.inputs import Inputs
from blocks.train.truncated import Window, windows
from blocks.train.update import Update
from blocks.train.vector import Vector

RNG = np.random.default_rng(5)


def network(masked=True, features=3, units=4, classes=5, cell=bk.cells.lstm):
    mask = bk.sequence("mask") if masked else None
    hs = bk.scan(cell(features, units), bk.sequence("x", features), mask=mask)
    y = bk.ADD(classes, name="w_o")(hs)
    return bk.losses.cross_entropy(y, bk.sequence("target", dtype="int"), mask), y


def model(masked=False, dtype="float64", seed=1, **kw):
    loss, y = network(masked, **kw)
    return bk.Model(loss=loss, outputs={"y": y}, seed=seed, dtype=dtype)


def data(samples=12, steps=10, features=3, classes=5):
    X = RNG.standard_normal((samples, steps, features))
    return {"x": X, "target": np.argmax(X @ RNG.standard_normal((features, classes)), -1)}


# --- optimizers ----------------------------------------------------------------------------------


def reference(name, w, grads, lr):
    """The papers' formulas over a list of gradients, one number at a time."""
    v = s = m = 0.0
    for t, g in enumerate(grads, 1):
        if name == "sgd":
            v = 0.9 * v + g
            w -= lr * v
        elif name == "nesterov":
            v = 0.9 * v + g
            w -= lr * (g + 0.9 * v)
        elif name == "rmsprop":
            s = 0.9 * s + 0.1 * g * g
            w -= lr * g / (math.sqrt(s) + 1e-7)
        else:
            m, s = 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g * g
            decay = 0.1 * w if name == "adamw" else 0.0
            w -= lr * (m / (1 - 0.9**t) / (math.sqrt(s / (1 - 0.999**t)) + 1e-8) + decay)
    return w


@pytest.mark.parametrize(
    ("name", "optimizer"),
    [
        ("sgd", bk.SGD(0.05, momentum=0.9)),
        ("nesterov", bk.SGD(0.05, momentum=0.9, nesterov=True)),
        ("rmsprop", bk.RMSprop(0.05)),
        ("adam", bk.Adam(0.05)),
        ("adamw", bk.AdamW(0.05, decay=0.1)),
    ],
)
def test_optimizers_follow_their_papers(name, optimizer) -> None:
    grads = RNG.standard_normal((6, 2, 2))
    weights = {"w": RNG.standard_normal((2, 2))}
    expected = np.vectorize(lambda w, *g: reference(name, w, g, 0.05))(weights["w"], *grads)
    slots, before = optimizer.slots(weights), weights["w"].copy()
    first = weights["w"]
    for step, g in enumerate(grads):
        weights, slots = optimizer.update(weights, {"w": g}, slots, step)
    np.testing.assert_allclose(weights["w"], expected, rtol=1e-12)
    np.testing.assert_array_equal(first, before)  # the old weights are left alone


def test_weight_decay_spares_biases_and_gains() -> None:
    """A bias is known by its name: with trials in front it is one too, and a peephole has one axis."""
    sizes = {"W": (2, 2), "b": (2,), "layer/f.b": (4, 2), "norm.gain": (2,), "f.W_C": (2,), "f.W_x": (4, 2, 2)}
    weights = {k: np.ones(s) for k, s in sizes.items()}
    zero = {k: np.zeros_like(v) for k, v in weights.items()}
    optimizer = bk.AdamW(0.1, decay=0.5)
    new, _ = optimizer.update(weights, zero, optimizer.slots(weights), 0)
    for name, w in new.items():
        assert (w == (1 if name.endswith(("b", "gain")) else 0.95)).all(), name


def clip(gradients, limit):
    """The clipped gradients and their norm: what one step of gradient descent at rate 1 takes from zeros."""
    zeros = {k: np.zeros_like(v) for k, v in gradients.items()}
    update = Update(bk.SGD(1.0), Vector.of(zeros), limit)
    update.take({f"grad/{k}": g for k, g in gradients.items()})
    norm = update.propose(0, 1.0)
    assert not update.weights.all.any()
    update.accept()
    return {k: 0.0 - v for k, v in update.weights.items()}, norm


def test_clipping() -> None:
    grads = {"a": np.array([3.0, 0.0]), "b": np.array([[4.0]])}
    clipped, norm = clip(grads, 1.0)
    assert norm == 5.0
    np.testing.assert_allclose(clipped["a"], [0.6, 0.0])
    for limit in (6.0, None):
        clipped, norm = clip(grads, limit)
        assert norm == 5.0 and all(np.array_equal(clipped[k], grads[k]) for k in grads)


@pytest.mark.parametrize("size", [1e25, 1e-30, 3.0, 0.0])
def test_clipping_neither_overflows_nor_vanishes(size) -> None:
    gradients = {"w": np.full(4, size, "float32"), "v": np.zeros((1, 2), "float32")}
    clipped, norm = clip(gradients, 1.0)
    assert norm == pytest.approx(2 * size, rel=1e-5)
    wanted = min(1.0, 2 * size)
    assert np.linalg.norm(clipped["w"].astype("float64")) == pytest.approx(wanted, rel=1e-5)
    alone, same = bk.clip_by_norm(gradients, 1.0)
    assert same == pytest.approx(norm) and all(np.array_equal(alone[k], clipped[k]) for k in gradients)
    assert all(alone[k].shape == gradients[k].shape and alone[k].dtype == "float32" for k in gradients)


@pytest.mark.parametrize("limit", [0.0, -1.0, None, "1", np.nan])
def test_a_limit_of_the_norm_is_a_positive_number(limit) -> None:
    with pytest.raises(bk.BlocksError, match="clip"):
        bk.clip_by_norm({"w": np.ones(3)}, limit)


def test_schedules() -> None:
    s = bk.schedules
    assert [s.step_decay(1.0, 2)(k) for k in range(5)] == [1, 1, 0.5, 0.5, 0.25]
    assert s.exponential(1.0, 10, 0.1)(20) == pytest.approx(0.01)
    cosine = s.cosine(1.0, 110, final=0.2, warmup=10)
    assert [cosine(4), cosine(9), cosine(60), cosine(110), cosine(500)] == pytest.approx([0.5, 1.0, 0.6, 0.2, 0.2])
    assert s.linear(1.0, 10)(5) == pytest.approx(0.5)
    m = model()
    history = m.fit(data(), epochs=2, batch_size=6, optimizer=bk.SGD(s.step_decay(0.1, 2)))
    assert [r["lr"] for r in history.steps] == [0.1, 0.1, 0.05, 0.05]


# --- batches and masks ---------------------------------------------------------------------------


def test_lists_of_unequal_sequences_are_padded_and_masked() -> None:
    loss, _ = network()
    lengths = [2, 5, 3, 4]
    rows = [RNG.standard_normal((n, 3)) for n in lengths]
    inputs = Inputs(bk.Graph({"loss": loss}), np.dtype("float64"))
    prepared = Data(inputs, {"x": rows, "target": [np.zeros(n, int) for n in lengths]})
    feeds = prepared.batch(np.array([3, 0, 2]))
    assert feeds["x"].shape == (4, 3, 3) and feeds["mask"].sum() == 9
    np.testing.assert_array_equal(feeds["x"][:2, 1], rows[0])
    assert (feeds["x"][2:, 1] == 0).all() and (feeds["mask"][2:, 1] == 0).all()


def test_padding_changes_nothing() -> None:
    """A padded batch has the loss and gradients of its sequences one by one, weighted by length."""
    m = model(masked=True)
    lengths = [2, 5, 3]
    rows = [RNG.standard_normal((n, 3)) for n in lengths]
    targets = [RNG.integers(0, 5, n) for n in lengths]
    together = m.evaluate({"x": rows, "target": targets})
    alone = [m.evaluate({"x": [x], "target": [t]}) for x, t in zip(rows, targets, strict=True)]
    assert together == pytest.approx(np.average(alone, weights=lengths), rel=1e-12)
    assert together == pytest.approx(m.evaluate({"x": rows, "target": targets}, batch_size=1, chunk=2), rel=1e-12)
    whole = m.predict({"x": rows})
    assert [len(y) for y in whole] == lengths
    np.testing.assert_allclose(whole[2], m.predict({"x": [rows[2]]})[0], rtol=1e-12)


def test_many_to_one() -> None:
    xs, label = bk.sequence("x", 2), bk.input("label", dtype="int")
    _, last = bk.scan(bk.cells.gru(2, 8), xs, mask=bk.sequence("mask"), final=True)
    scores = bk.ADD(2, name="scores")(last["h"])
    m = bk.Model(loss=bk.losses.cross_entropy(scores, label), outputs={"scores": scores})
    rows = [RNG.standard_normal((int(n), 2)) for n in RNG.integers(3, 8, 80)]
    labels = np.array([int(r[0, 0] > 0) for r in rows])  # the first step decides
    m.fit({"x": rows, "label": labels}, epochs=40, batch_size=16, optimizer=bk.Adam(0.02))
    right = (m.predict({"x": rows}).argmax(-1) == labels).mean()
    assert right > 0.9 and m.predict({"x": rows}).shape == (80, 2)


def test_predict_in_chunks_with_states() -> None:
    m = model()
    X = data(samples=5, steps=11)["x"]
    whole, last = m.predict({"x": X}, final=True)
    pieces, states = m.predict({"x": X}, batch_size=2, chunk=4, final=True)
    np.testing.assert_allclose(pieces, whole, rtol=1e-12)
    first, middle = m.predict({"x": X[:, :6]}, final=True)
    second, end = m.predict({"x": X[:, 6:], **middle}, final=True)
    np.testing.assert_allclose(np.concatenate([first, second], 1), whole, rtol=1e-12)
    for s in ("h", "C"):
        np.testing.assert_allclose(end[s], last[s], rtol=1e-12)
        np.testing.assert_allclose(states[s], last[s], rtol=1e-12)


OWN = ("first", "last", "value/0", "grad/out.b", "h")


@pytest.mark.parametrize("name", OWN)
def test_what_outputs_and_inputs_are_called_does_not_matter(name) -> None:
    """Names that training uses itself, and that runs of a model use, change nothing."""

    def build(called, fed_):
        x = bk.sequence(fed_, 3)
        hs = bk.scan(bk.cells.lstm(3, 4), {"x": x})
        y = bk.ADD(5, name="out")(hs)
        loss = bk.losses.cross_entropy(y, bk.sequence("target", dtype="int"))
        return bk.Model(loss, {called: y, "other": hs}, seed=1, dtype="float64", target="interpreter")

    rows = data()
    plain, own = build("y", "x"), build(name, name if name != "h" else "x")
    mine = {name if name != "h" and k == "x" else k: v for k, v in rows.items()}
    for m, fed_ in ((plain, rows), (own, mine)):
        m.fit(fed_, epochs=1, batch_size=6, validation=fed_, tbptt=5)
    assert own.history.steps == plain.history.steps and own.history.epochs == plain.history.epochs
    assert own.evaluate(mine, chunk=3) == plain.evaluate(rows, chunk=3)
    for chunk in (None, 3):
        (got, states), (expected, known) = (
            m.predict(fed_, 5, chunk, final=True) for m, fed_ in ((own, mine), (plain, rows))
        )
        np.testing.assert_array_equal(got[name], expected["y"])
        np.testing.assert_array_equal(got["other"], expected["other"])
        assert set(states) == set(known) == {"h", "C"}
        np.testing.assert_array_equal(states["C"], known["C"])


def test_an_output_may_be_anything() -> None:
    """NaN in what is predicted is no loss that is not finite, whatever it is called."""
    x = bk.input("x", 2)
    m = bk.Model(outputs={"grad/x": bk.log(x), "losses": x})
    with np.errstate(all="ignore"):
        assert np.isnan(m.predict({"x": np.array([[-1.0, 1.0]])})["grad/x"][0, 0])


def test_names_that_a_run_needs_are_refused() -> None:
    x = bk.input("x", 2)
    for name, why in (("loss", "that is the loss"), ("final/h", "that is what the last state of a run is called")):
        with pytest.raises(bk.WiringError, match=f"an output cannot be called '{name}'; {why}"):
            bk.Model(outputs={name: x})
    m = bk.Model(loss=bk.mean(x * x), outputs={"y": x})
    with pytest.raises(bk.WiringError, match="a metric cannot be called 'loss'"):
        m.evaluate({"x": np.ones((3, 2))}, metrics={"loss": bk.mean(x)})


def test_training_is_reproducible_and_depends_on_the_seed() -> None:
    d = data()
    runs = []
    for seed in (1, 1, 2):
        m = model(seed=seed, dtype="float32")
        m.fit(d, epochs=2, batch_size=5)
        runs.append(m.weights)
    assert all((runs[0][k] == runs[1][k]).all() for k in runs[0])
    assert not all((runs[0][k] == runs[2][k]).all() for k in runs[0])


# --- truncated backpropagation -------------------------------------------------------------------


def test_windows() -> None:
    assert list(windows(5, 2, 2)) == [Window(0, 0, 2), Window(2, 2, 4), Window(4, 4, 5)]
    assert list(windows(6, 2, 4)) == [Window(0, 0, 2), Window(0, 2, 4), Window(2, 4, 6)]
    assert list(windows(8, 4, 2)) == [Window(2, 2, 4), Window(6, 6, 8)]


@pytest.mark.parametrize("pair", [(3, 3), (2, 5), (4, 3)])
def test_truncated_backpropagation_by_hand(pair) -> None:
    """The same updates with the graph run by hand: states carried, only the window's last losses counted."""
    k1, k2 = pair
    d = data(samples=3, steps=10)
    m = model()
    m.fit(d, batch_size=3, tbptt=pair, optimizer=bk.SGD(0.3), shuffle=False)

    by_hand = model()
    xs, target, weight = bk.sequence("x", 3), bk.sequence("target", dtype="int"), bk.sequence("weight")
    hs, finals = bk.scan(bk.cells.lstm(3, 4), xs, final=True)
    loss = bk.losses.cross_entropy(bk.ADD(5, name="w_o")(hs), target, weight)
    graph = bk.grad(bk.Graph({"loss": loss, **finals}))
    forward = bk.Graph(finals)
    X, Y = np.moveaxis(d["x"], 0, 1), d["target"].T
    w = by_hand.weights
    known = {0: {"h": np.zeros((3, 4)), "C": np.zeros((3, 4))}}
    for window in windows(10, k1, k2):
        if window.start not in known:
            at = max(t for t in known if t <= window.start)
            known[window.start] = bk.run(
                forward, {**{k: w[k] for k in forward.params}, "x": X[at : window.start], **known[at]}
            )
        part = slice(window.start, window.stop)
        counts = (np.arange(window.start, window.stop) >= window.counts).astype(float)[:, None] * np.ones((1, 3))
        out = bk.run(graph, {**w, "x": X[part], "target": Y[part], "weight": counts, **known[window.start]})
        known = {t: s for t, s in known.items() if t >= window.start}
        known[window.stop] = {s: out[s] for s in ("h", "C")}
        w = {k: v - 0.3 * out[f"grad/{k}"] for k, v in w.items()}
    for k in w:
        np.testing.assert_allclose(m.weights[k], w[k], rtol=1e-12, err_msg=k)


def test_truncation_skips_what_is_masked() -> None:
    m = model(masked=True)
    rows = [RNG.standard_normal((n, 3)) for n in (9, 2, 3)]
    d = {"x": rows, "target": [np.zeros(len(r), int) for r in rows]}
    history = m.fit(d, batch_size=1, tbptt=(2, 4), shuffle=False)
    assert len(history.steps) == 5 + 1 + 2
    padded = {"x": np.zeros((1, 8, 3)), "target": np.zeros((1, 8), int), "mask": np.array([[1, 1, 0, 0, 0, 0, 0, 0]])}
    assert len(m.fit(padded, tbptt=2, restart=True).steps) == 1


def test_states_that_cannot_be_carried() -> None:
    xs = bk.sequence("x", 3)
    both = bk.concat(bk.scan(bk.cells.srn(3, 2, "f"), xs), bk.scan(bk.cells.srn(3, 2, "b"), xs, reverse=True))
    m = bk.Model(loss=bk.losses.squared_error(both, bk.sequence("t", 4)))
    with pytest.raises(bk.BlocksError, match="'b/h' runs backwards in time"):
        m.fit({"x": np.zeros((2, 4, 3)), "t": np.zeros((2, 4, 4))}, tbptt=2)


# --- validation, stopping, resuming --------------------------------------------------------------


def test_early_stopping_goes_back_to_the_best_weights(tmp_path) -> None:
    d, other = data(24), data(24)  # the other data has another rule: validation gets worse
    m = model()
    history = m.fit(d, epochs=60, batch_size=8, validation=other, patience=3, optimizer=bk.Adam(0.05))
    best = min(history.validation)
    assert len(history.epochs) < 60
    assert history.validation.index(best) == len(history.epochs) - 4
    assert m.evaluate(other) == pytest.approx(best, rel=1e-12)
    assert history.plot(tmp_path / "loss.png") and (tmp_path / "loss.png").stat().st_size > 5000


@pytest.mark.parametrize("updates", [1, 2, 3, 5, 9, 200, 12345])
def test_the_ticks_of_a_plot_are_whole_updates(updates: int) -> None:
    steps = [{"step": i + 1, "epoch": 1, "loss": 1.0 / (i + 1)} for i in range(updates)]
    (axes,) = bk.History(steps=steps).plot().axes
    low, high = axes.get_xlim()
    ticks = [t for t in axes.get_xticks() if low <= t <= high]
    assert ticks and all(t == int(t) for t in ticks) and len(ticks) < 12


def test_weights_can_be_set_by_name() -> None:
    m, other = model(seed=1), model(seed=2)
    X = data()["x"]
    m.set_weights(other.weights)
    np.testing.assert_array_equal(m.predict({"x": X}), other.predict({"x": X}))
    before = {k: w.copy() for k, w in m.weights.items()}
    with pytest.raises(bk.FeedError, match="no weights 'forget.W_hh'.*did you mean 'forget.W_h'"):
        m.set_weights({"forget.b": np.zeros(4), "forget.W_hh": np.zeros((4, 4))})
    with pytest.raises(bk.FeedError, match=r"'forget.b' are \(4,\), not \(5,\)"):
        m.set_weights({"forget.b": np.zeros(5)})
    assert all(np.array_equal(m.weights[k], before[k]) for k in before)


def test_a_callback_can_stop() -> None:
    m = model()
    assert len(m.fit(data(), epochs=9, batch_size=4, callbacks=lambda m, record: record["step"] == 4).steps) == 5


OPTIONS = {"epochs": 3, "batch_size": 4, "tbptt": (2, 4), "clip": 0.5, "optimizer": bk.Adam(0.01)}


@pytest.mark.parametrize("stop_at", [0, 3, 7, 16, 31])
def test_a_resumed_run_has_the_same_bits(tmp_path, stop_at) -> None:
    d, v = data(), data()
    whole = model(dtype="float32")
    whole.fit(d, validation=v, patience=50, **OPTIONS)
    path = tmp_path / "run.safetensors"
    stopped = model(dtype="float32")
    stopped.fit(
        d,
        validation=v,
        patience=50,
        **OPTIONS,
        autosave=path,
        autosave_every=1,
        callbacks=lambda m, r: r["step"] == stop_at,
    )
    again = model(dtype="float32")
    again.fit(d, validation=v, patience=50, **OPTIONS, autosave=path, resume=True)
    assert again.history == whole.history
    for name in whole.weights:
        np.testing.assert_array_equal(again.weights[name], whole.weights[name])


def test_a_checkpoint_of_another_run_is_refused(tmp_path) -> None:
    d, path = data(), tmp_path / "run.safetensors"
    model().fit(d, autosave=path)
    with pytest.raises(bk.ModelFileError, match="batch_size was 32, now it is 4"):
        model().fit(d, batch_size=4, autosave=path, resume=True)
    with pytest.raises(bk.ModelFileError, match="another model"):
        model(units=6).fit(d, autosave=path, resume=True)
    with pytest.raises(bk.ModelFileError, match="optimizer was 'Adam', now it is 'SGD'|momentum|lr was"):
        model().fit(d, autosave=path, resume=True, optimizer="sgd")
    model().save(path)
    with pytest.raises(bk.ModelFileError, match="no checkpoint"):
        model().fit(d, autosave=path, resume=True)


SCRIPT = """
import sys, numpy as np, blocks as bk
rng = np.random.default_rng(0)
X = rng.standard_normal((16, 12, 3))
D = {"x": X, "target": (X.sum(-1) > 0).astype(int)}
hs = bk.scan(bk.cells.lstm(3, 6), bk.sequence("x", 3))
y = bk.ADD(2, name="w_o")(hs)
m = bk.Model(loss=bk.losses.cross_entropy(y, bk.sequence("target", dtype="int")), outputs={"y": y}, seed=2)
m.fit(D, epochs=12, batch_size=4, tbptt=4, optimizer="adam", autosave=sys.argv[1], autosave_every=1, resume=True)
print("done", flush=True)
"""


def start(path):
    code = textwrap.dedent(SCRIPT)
    return subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_killed_twenty_times(tmp_path) -> None:
    """kill -9 at random moments: the checkpoint always loads, and the end has the same bits."""
    calm, wild = tmp_path / "calm.safetensors", tmp_path / "wild.safetensors"
    began = time.monotonic()
    first = start(calm)
    out, err = first.communicate()
    assert first.returncode == 0 and b"done" in out, err.decode()
    usual = time.monotonic() - began
    kills = loaded = 0
    rng = np.random.default_rng(1)
    while kills < 20:
        process = start(wild)
        if not wild.exists() or loaded < 12:  # mostly while it trains, some while it starts
            while not wild.exists() and process.poll() is None:
                time.sleep(0.005)
            before = wild.stat().st_mtime_ns
            while process.poll() is None and wild.stat().st_mtime_ns == before:
                time.sleep(0.001)
            time.sleep(float(rng.uniform(0, 0.02)))
        else:
            time.sleep(float(rng.uniform(0, usual / 3)))
        process.kill()
        process.communicate()
        kills += 1
        if wild.exists():
            bk.Model.load(wild)
            loaded += 1
    process = start(wild)
    out, err = process.communicate()
    assert b"done" in out, err.decode()
    assert loaded >= 15
    a, b = bk.Model.load(calm), bk.Model.load(wild)
    for name in a.weights:
        np.testing.assert_array_equal(a.weights[name], b.weights[name])
    assert calm.read_bytes() == wild.read_bytes()


def test_ctrl_c_leaves_a_usable_checkpoint(tmp_path) -> None:
    path = tmp_path / "run.safetensors"
    code = SCRIPT.replace("epochs=12", "epochs=100000").replace("autosave_every=1,", "autosave_every=1000000,")
    code = code.replace(
        "resume=True)", "resume=True, callbacks=lambda m, r: r['step'] == 3 and print('go', flush=True))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"go\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert b"KeyboardInterrupt" in err
    assert bk.Model.load(path).weights
