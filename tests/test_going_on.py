"""A second `fit` goes on where the first one ended, in this process or after a file; batches come in any form."""

import itertools
import warnings

import numpy as np
import pytest

import blocks as bk

from .helpers import data, network

RNG = np.random.default_rng(11)


def model(seed=3, masked=False, drop=False, trials=None, dtype="float32", cell=bk.cells.lstm) -> bk.Model:
    """A classifier of every step, with dropout if asked for."""
    x, target = bk.sequence("x", 3), bk.sequence("target", dtype="int")
    mask = bk.sequence("mask") if masked else None
    hs = bk.scan(cell(3, 4), bk.dropout(x, 0.3) if drop else x, mask=mask)
    y = bk.ADD(5, name="out")(hs)
    loss = bk.losses.cross_entropy(y, target, mask)
    return bk.Model(loss=loss, outputs={"y": y}, seed=seed, dtype=dtype, trials=trials)


def same(one: bk.Model, other: bk.Model) -> None:
    """The same weights, history and slots, to the bit."""
    np.testing.assert_array_equal(one.weights.all, other.weights.all)
    assert len(one.history.steps) == len(other.history.steps)
    for mine, yours in zip(one.history.steps, other.history.steps, strict=True):
        assert list(mine) == list(yours)
        for key, value in mine.items():
            np.testing.assert_array_equal(value, yours[key], err_msg=key)
    np.testing.assert_array_equal(one.history.loss, other.history.loss)
    np.testing.assert_array_equal(one.history.validation, other.history.validation)
    assert one.training is not None and other.training is not None
    for slot, vector in one.training.slots.items():
        np.testing.assert_array_equal(vector.all, other.training.slots[slot].all)


def ragged(samples=9) -> dict:
    lengths = RNG.integers(2, 9, samples)
    x = [RNG.standard_normal((n, 3)) for n in lengths]
    return {"x": x, "target": [RNG.integers(0, 5, n) for n in lengths]}


def batches(many=5, samples=4, masked=False) -> list[dict]:
    return [ragged(samples) if masked else data(samples, 6, seed=s) for s in range(many)]


def made(rng, update) -> dict:
    n = 3 + update % 2  # sequences of another length each time
    return {"x": rng.standard_normal((4, n, 3)), "target": rng.integers(0, 5, (4, n))}


OPTIONS = [
    {"optimizer": "sgd"},
    {"optimizer": bk.Adam(bk.schedules.cosine(0.05, 30, warmup=4)), "clip": 0.3},
    {"optimizer": bk.SGD(0.1, momentum=0.9), "tbptt": 3},
    {"optimizer": bk.RMSprop(0.01), "tbptt": (2, 4), "shuffle": False},
    {"optimizer": bk.AdamW(0.02)},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("trials", [None, 3])
def test_four_calls_of_an_epoch_are_one_call_of_four(options, trials) -> None:
    d, v = data(10, 7), data(4, 7, seed=9)
    once, often = model(drop=True, trials=trials), model(drop=True, trials=trials)
    once.fit(d, epochs=4, batch_size=4, validation=v, **options)
    for k in range(4):  # the optimizer need be said once
        given = options if k < 2 else {key: o for key, o in options.items() if key != "optimizer"}
        often.fit(d, batch_size=4, validation=v, **given)
    same(once, often)
    assert [e["epoch"] for e in often.history.epochs] == [0, 1, 2, 3]


@pytest.mark.parametrize("form", ["arrays", "ragged", "sequence", "ragged sequence", "function"])
@pytest.mark.parametrize("trials", [None, 2])
def test_any_form_goes_on_and_is_resumed_to_the_same_bits(form, trials, tmp_path) -> None:
    masked = "ragged" in form
    d = {
        "arrays": lambda: data(10, 6),
        "ragged": ragged,
        "sequence": batches,
        "ragged sequence": lambda: batches(masked=True),
        "function": lambda: made,
    }[form]()
    more = {"batch_size": 3} if form in ("arrays", "ragged") else {}
    more |= {"batches_per_epoch": 4} if form == "function" else {}
    options = {"optimizer": bk.Adam(0.02), "validation": ragged(3) if masked else data(4, 7, seed=9), **more}
    if form in ("arrays", "ragged"):
        options["tbptt"] = 4
    path = tmp_path / "run.safetensors"

    def fresh() -> bk.Model:
        return model(masked=masked, drop=True, trials=trials)

    whole = fresh()
    whole.fit(d, epochs=3, **options)
    loaded = fresh()
    for k in range(3):
        loaded.fit(d, **options)
        loaded.save(path)
        loaded = bk.Model.load(path)
        assert len(loaded.history.epochs) == k + 1
    same(whole, loaded)
    for stop in (0, 3, 6):
        cut = fresh()
        cut.fit(
            d, epochs=3, autosave=path, autosave_every=1, callbacks=lambda m, r, stop=stop: r["step"] == stop, **options
        )
        again = fresh()
        again.fit(d, epochs=3, autosave=path, resume=True, **options)
        same(whole, again)
        path.unlink()


def test_what_a_file_cannot_hold_must_be_given_again(tmp_path) -> None:
    path, d = tmp_path / "m.safetensors", data()
    for optimizer in (bk.SGD(lambda step: 0.1 / (1 + step), momentum=0.5), bk.Adam(bk.schedules.linear(0.1, 9, 0.01))):
        m = model()
        m.fit(d, batch_size=4, optimizer=optimizer)
        m.save(path)
        again = bk.Model.load(path)
        if isinstance(optimizer, bk.SGD):
            with pytest.raises(bk.BlocksError, match="trained with SGD, of which a file cannot hold all"):
                again.fit(d, batch_size=4)
            again.fit(d, batch_size=4, optimizer=optimizer)
        else:
            again.fit(d, batch_size=4)
        m.fit(d, batch_size=4)
        same(m, again)


def test_another_optimizer_has_fresh_slots_and_counts_its_own_updates() -> None:
    d = data()
    m = model(dtype="float64")
    m.fit(d, epochs=2, batch_size=4, optimizer=bk.SGD(0.1, momentum=0.9))
    alone = model(dtype="float64")
    alone.set_weights({k: w.copy() for k, w in m.weights.items()})
    m.fit(d, batch_size=4, optimizer=bk.Adam(0.01), shuffle=False)
    alone.fit(d, batch_size=4, optimizer=bk.Adam(0.01), shuffle=False)
    np.testing.assert_array_equal(m.weights.all, alone.weights.all)
    assert [s["step"] for s in m.history.steps] == list(range(9))
    again = model(dtype="float64")  # the same kind at another rate keeps them
    again.fit(d, batch_size=4, optimizer=bk.Adam(0.01))
    kept = {k: v.copy() for k, v in again.training.slots["mean"].items()}
    again.fit(d, batch_size=4, optimizer=bk.Adam(0.0))
    assert any((kept[k] != again.training.slots["mean"][k]).any() for k in kept)
    assert again.training.at.courses[0].since == 0


def test_restart_begins_with_the_first_update_but_the_weights() -> None:
    d = data()
    m, fresh = model(), model()
    m.fit(d, epochs=2, batch_size=4)
    fresh.set_weights({k: w.copy() for k, w in m.weights.items()})
    m.fit(d, epochs=2, batch_size=4, restart=True)
    fresh.fit(d, epochs=2, batch_size=4)
    same(m, fresh)


def test_after_an_interruption_the_next_epoch_begins_and_says_so(tmp_path) -> None:
    path, d = tmp_path / "run.safetensors", data()
    model().fit(d, epochs=3, batch_size=4, autosave=path, autosave_every=1, callbacks=lambda m, r: r["step"] == 4)
    loaded = bk.Model.load(path)
    assert len(loaded.history.steps) == 5 and loaded.training.interrupted
    with pytest.warns(UserWarning, match="interrupted in epoch 1, after 2 batches: this call begins the next epoch"):
        loaded.fit(d, batch_size=4)
    assert [s["epoch"] for s in loaded.history.steps] == [0, 0, 0, 1, 1, 2, 2, 2]
    stopped = model()
    stopped.fit(d, epochs=3, batch_size=4, callbacks=lambda m, r: r["step"] == 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stopped.fit(d, batch_size=4)  # who stops it himself is told nothing
    same(loaded, stopped)


def test_each_call_looks_for_the_best_weights_anew() -> None:
    d, other = data(24), data(24, seed=77)
    m = model(dtype="float64")
    options = {"validation": other, "batch_size": 8, "optimizer": bk.Adam(0.05), "patience": 2}
    m.fit(d, epochs=40, **options)
    ended = len(m.history.epochs)
    assert ended < 40 and 0 in m.history.ended
    m.fit(d, epochs=1, **options)
    assert len(m.history.epochs) == ended + 1 and not m.history.ended


def test_a_finished_call_is_not_run_again_and_other_epochs_are_refused(tmp_path) -> None:
    path, d = tmp_path / "run.safetensors", data()
    m = model()
    m.fit(d, epochs=2, autosave=path)
    again = model()
    again.fit(d, epochs=2, autosave=path, resume=True)
    same(m, again)
    with pytest.raises(bk.ModelFileError, match="epochs was 2, now it is 5; resume=True finishes that call"):
        model().fit(d, epochs=5, autosave=path, resume=True)
    again.fit(d, epochs=3, autosave=path)
    assert len(bk.Model.load(path).history.epochs) == 5
    model().save(path, training=False)
    assert bk.Model.load(path).training is None
    weights_alone = path.stat().st_size
    m.save(path, training=False)
    assert path.stat().st_size == weights_alone


def test_a_broken_state_of_training_is_refused(tmp_path) -> None:
    import json

    from safetensors import safe_open
    from safetensors.numpy import save_file

    path = tmp_path / "m.safetensors"
    m = model()
    m.fit(data())
    m.save(path)
    with safe_open(path, framework="np") as file:
        document = json.loads(file.metadata()["blocks"])
        arrays = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    for key, value in (
        ("position", {"epoch": 1}),
        ("position", {**document["training"]["position"], "epoch": -1}),
        ("position", {**document["training"]["position"], "courses": []}),
        ("position", {**document["training"]["position"], "epoch": "x"}),
        ("optimizer", 3),
        ("slots", ["mean", "nothing"]),
        ("carried", ["x"]),
        ("call", {"epochs": 1, "first": "0", "settings": {}}),
        ("steps", 3),
    ):
        broken = {**document, "training": {**document["training"], key: value}}
        save_file(arrays, path, metadata={"blocks": json.dumps(broken)})
        with pytest.raises(bk.ModelFileError, match="this checkpoint is broken"):
            bk.Model.load(path)


# --- forms of data --------------------------------------------------------------------------------


def test_batches_in_any_form_are_the_same_updates() -> None:
    rows = batches()
    listed, streamed, by_function, by_arrays = (model(drop=True) for _ in range(4))
    options = {"epochs": 2, "optimizer": bk.Adam(0.02)}
    listed.fit(rows, shuffle=False, **options)

    class Loader:
        def __iter__(self):
            return iter(rows)

    streamed.fit(Loader(), **options)
    same(listed, streamed)
    by_function.fit(lambda rng, update: rows[update % 5], batches_per_epoch=5, **options)
    same(listed, by_function)
    whole = {k: np.concatenate([row[k] for row in rows]) for k in rows[0]}
    by_arrays.fit(whole, batch_size=4, shuffle=False, **options)
    same(listed, by_arrays)
    endless = model(drop=True)
    endless.fit(itertools.cycle(rows), batches_per_epoch=5, **options)
    same(listed, endless)
    assert model().evaluate(rows) == pytest.approx(model().evaluate(whole), rel=1e-6)


def test_a_sequence_of_batches_is_shuffled_by_the_seed_and_the_epoch() -> None:
    seen: list[int] = []

    class Rows(list):
        def __getitem__(self, k):
            seen.append(k)
            return super().__getitem__(k)

    m = model()
    m.fit(Rows(batches()), epochs=2)
    first, second = seen[-10:-5], seen[-5:]
    assert sorted(first) == sorted(second) == [0, 1, 2, 3, 4] and first != second
    order = np.random.default_rng([3, 1]).permutation(5)
    assert second == order.tolist()


def test_a_data_loader_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    d = data(8, 6)
    rows = [{"x": torch.tensor(x), "target": torch.tensor(t)} for x, t in zip(d["x"], d["target"], strict=True)]
    loader = torch.utils.data.DataLoader(rows, batch_size=4)
    m, arrays = model(), model()
    m.fit(loader, epochs=2)
    arrays.fit(d, batch_size=4, epochs=2, shuffle=False)
    same(m, arrays)
    tracked = [{"x": torch.zeros((2, 3, 3), requires_grad=True), "target": torch.zeros((2, 3), dtype=torch.int64)}]
    with pytest.raises(bk.FeedError, match="batch 0: 'x': this Tensor is no array"):
        model().fit(tracked)


def test_each_trial_has_batches_of_its_own() -> None:
    """Made with its own seed, and of its own lengths, it learns what a model of its own learns."""

    def unequal(rng, update) -> dict:
        n = int(rng.integers(2, 7))
        return {"x": list(rng.standard_normal((2, n, 3))), "target": list(rng.integers(0, 5, (2, n)))}

    options = {"epochs": 2, "batches_per_epoch": 6, "optimizer": bk.Adam(0.05)}
    together = model(masked=True, trials=3, dtype="float64")
    together.fit(unequal, **options)
    listed = model(masked=True, trials=3, dtype="float64")
    listed.fit(batches(masked=True), epochs=2, optimizer=bk.Adam(0.05))
    for r in range(3):
        alone = model(seed=3 + r, masked=True, dtype="float64")
        alone.fit(unequal, **options)
        np.testing.assert_allclose(together.weights.all[r], alone.weights.all, atol=1e-12)
        np.testing.assert_allclose(together.history.loss[r], alone.history.loss, rtol=1e-12)
    assert not np.allclose(together.weights.all[0], together.weights.all[1])
    assert np.isfinite(listed.weights.all).all()
    with pytest.raises(bk.FeedError, match="'x' has other lengths in other trials: give lists of sequences, or a mask"):
        model(masked=True, trials=3).fit(lambda r, k: {k: np.array(v) for k, v in unequal(r, k).items()}, **options)


def test_streams_are_carried_from_batch_to_batch() -> None:
    """Pieces of a stream, one after the other, are the windows of the whole."""
    d = data(4, 12)
    pieces = [{k: v[:, t : t + 3] for k, v in d.items()} for t in range(0, 12, 3)]
    whole, cut, losing, windows = (model(drop=True, dtype="float64") for _ in range(4))
    options = {"epochs": 2, "optimizer": bk.SGD(0.1)}
    whole.fit(d, batch_size=4, tbptt=3, shuffle=False, **options)
    cut.fit(pieces, carry=True, **options)
    np.testing.assert_array_equal(whole.weights.all, cut.weights.all)
    losing.fit(pieces, shuffle=False, **options)
    assert not np.allclose(losing.weights.all, cut.weights.all)
    longer = [{k: v[:, t : t + 6] for k, v in d.items()} for t in (0, 6)]
    windows.fit(longer, carry=True, tbptt=3, **options)
    np.testing.assert_array_equal(whole.weights.all, windows.weights.all)
    forever = model(dtype="float64")
    forever.fit(lambda rng, k: pieces[k % 4], batches_per_epoch=2, epochs=2, carry=True)
    assert 0 in forever.training.carried  # an epoch of an endless stream ends nothing
    with pytest.raises(bk.FeedError, match="batch 1 has 3 sequences, that before it 4"):
        model().fit([pieces[0], {k: v[:3] for k, v in pieces[1].items()}], carry=True)
    with pytest.raises(bk.BlocksError, match="carry=True goes from batch to batch.*dict of arrays"):
        model().fit(d, carry=True)
    with pytest.raises(bk.BlocksError, match="shuffle=True would lose the states"):
        model().fit(pieces, carry=True, shuffle=True)


def test_carried_states_are_resumed(tmp_path) -> None:
    path = tmp_path / "run.safetensors"
    d = data(4, 12)
    pieces = [{k: v[:, t : t + 3] for k, v in d.items()} for t in range(0, 12, 3)]
    options = {"epochs": 2, "carry": True, "batches_per_epoch": 4}
    whole, cut, again = (model(trials=2) for _ in range(3))
    whole.fit(lambda rng, k: pieces[k % 4], **options)
    cut.fit(made_of(pieces), autosave=path, autosave_every=1, callbacks=lambda m, r: r["step"] == 5, **options)
    again.fit(made_of(pieces), autosave=path, resume=True, **options)
    same(whole, again)


def made_of(pieces):
    def make(rng, update):
        return pieces[update % len(pieces)]

    return make


def test_arrays_mapped_from_files(tmp_path, monkeypatch) -> None:
    """Read in blocks to be checked, batch by batch to be used, and never whole."""
    from blocks.train import data as module

    d = data(40, 6)
    d["mask"] = (RNG.random((40, 6)) > 0.3).astype(float)
    d["mask"][:, 0] = 1.0
    d["x"][d["mask"] == 0] = np.nan  # what is masked does not matter
    d["target"][d["mask"] == 0] = 99
    mapped = {}
    for name, value in d.items():
        file = np.memmap(tmp_path / name, value.dtype, "w+", shape=value.shape)
        file[...] = value
        mapped[name] = file
    monkeypatch.setattr(module, "BLOCK", 500)
    sizes = []
    real = np.isfinite
    monkeypatch.setattr(module.np, "isfinite", lambda a: (sizes.append(np.size(a)), real(a))[1])
    one, other = model(masked=True, drop=True), model(masked=True, drop=True)
    one.fit(mapped, batch_size=7, epochs=2)
    assert 0 < max(sizes) <= 7 * 6 * 3
    monkeypatch.setattr(module.np, "isfinite", real)
    other.fit(d, batch_size=7, epochs=2)
    same(one, other)
    path = tmp_path / "run.safetensors"
    trials = model(masked=True, trials=2)
    trials.fit(mapped, batch_size=7, autosave=path)
    mapped["x"][11, 0, 1] = np.inf
    with pytest.raises(bk.FeedError, match=r"'x' is inf at \(11, 0, 1\)"):
        model(masked=True).fit(mapped)
    mapped["x"][11, 0, 1], mapped["target"][23, 0] = 0.0, 5
    with pytest.raises(bk.FeedError, match="'target', sample 23: the class 5 is outside of 0 to 4"):
        model(masked=True).fit(mapped)
    mapped["target"][23, 0] = 2
    with pytest.raises(bk.ModelFileError, match="the data is another"):
        model(masked=True, trials=2).fit(mapped, batch_size=7, autosave=path, resume=True)


@pytest.mark.parametrize(
    ("give", "options", "message"),
    [
        (batches, {"batch_size": 4}, "batch_size=4 is for a dict of arrays; a sequence of batches has its own"),
        (lambda: made, {}, "how many batches of a function make an epoch"),
        (lambda: made, {"batches_per_epoch": 3, "batch_size": 4}, "batch_size=4 is for a dict of arrays"),
        (lambda: made, {"batches_per_epoch": 3, "shuffle": True}, "shuffle=True is for"),
        (lambda: made, {"batches_per_epoch": 0}, "batches_per_epoch must be a whole number"),
        (batches, {"batches_per_epoch": 3}, "batches_per_epoch=3 is for data without an end"),
        (lambda: iter(batches()), {"epochs": 2}, "can be gone through once, not 2 times"),
        (lambda: iter([]), {}, "there is no batch"),
        (list, {}, "there is no batch"),
        (lambda: [(np.zeros((2, 3, 3)), 1)], {}, "batch 0: a batch is a dict by input.*not a tuple"),
        (lambda: [{"x": np.zeros((2, 3, 3))}], {}, "batch 0: the model's input 'target'"),
        (lambda: lambda rng, k: {"x": np.zeros((2, 3, 4))}, {"batches_per_epoch": 1}, "the batch 0 that .*<lambda> makes: 'x'"),
        (lambda: iter(batches()), {"autosave": "x.safetensors"}, "autosave and resume need batches that can be had again"),
        (lambda: 3, {}, "data is a dict by input.*not a int"),
        (lambda: np.zeros(3), {}, "data is a dict by input.*not a ndarray"),
        (data, {"resume": True, "restart": True, "autosave": "x.safetensors"}, "take one of them"),
        (lambda: iter(batches()), {"carry": True, "shuffle": True}, "shuffle=True would lose the states"),
    ],
)  # fmt: skip
def test_refused_before_the_first_update(give, options, message, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    m = model()
    before = m.weights.all.copy()
    with pytest.raises(bk.BlocksError, match=message):
        m.fit(give(), **options)
    assert m.training is None and not m.history.steps and np.array_equal(m.weights.all, before)
    assert not list(tmp_path.iterdir())


def test_an_iterable_that_ends_too_early_says_so() -> None:
    with pytest.raises(bk.FeedError, match="the data ends with batch 1 of epoch 1"):
        model().fit(iter(batches()), epochs=2, batches_per_epoch=4)


def test_a_network_of_the_house_takes_all_forms() -> None:
    loss, y = network(masked=True)
    m = bk.Model(loss=loss, outputs={"y": y})
    m.fit(batches(masked=True), epochs=1)
    assert np.isfinite(m.evaluate(ragged()))
