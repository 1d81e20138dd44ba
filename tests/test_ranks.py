"""Several processes train one model: here threads, each a rank with a model of its own, joined by a barrier."""

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import blocks as bk
from blocks.train import fit as fitting
from blocks.train.ranks import Ranks
from blocks.train.trials import TrialWarning

RNG = np.random.default_rng(9)


class Rank:
    """A rank among threads: what `TorchGroup` is among processes."""

    def __init__(self, rank: int, count: int, room: dict, barrier: threading.Barrier):
        self.rank, self.count, self.room, self.barrier = rank, count, room, barrier

    def gathered(self, thing):
        self.room[self.rank] = thing
        try:
            self.barrier.wait(60)
            things = [self.room[r] for r in range(self.count)]
            self.barrier.wait(60)
        except threading.BrokenBarrierError:
            raise RuntimeError("connection closed by peer") from None
        return things

    def sum(self, array):
        array[...] = np.sum(self.gathered(array.copy()), axis=0)


def together(monkeypatch, count, train, module=fitting):
    """What ``train(rank)`` gives or raises in each rank; `module` asks for the ranks."""
    room, barrier, local = {}, threading.Barrier(count), threading.local()
    monkeypatch.setattr(module, "ranks", lambda patience=None: Ranks(Rank(local.rank, count, room, barrier)))

    def one(rank):
        local.rank = rank
        try:
            return train(rank)
        except Exception as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        results = list(pool.map(one, range(count)))
    monkeypatch.undo()
    return results


def odd(n, m):
    """A cell of many kinds: a gate, a product of states, a normalisation."""
    x, h, s = bk.input("x", n), bk.state("h", m), bk.state("s", m)
    gate = bk.SIGM(m, name="gate")(x, h)
    new = s * gate + bk.TANH(m, name="new")(x, bk.layernorm(h))
    return bk.Cell({h: bk.sin(new) * gate, s: new}, outputs=bk.sin(new) * gate)


CELLS = {"lstm": lambda: bk.cells.lstm(3, 4), "odd": lambda: odd(3, 4)}


def model(cell="lstm", loss="masked", drop=0.3, dtype="float64", **options):
    x, target = bk.sequence("x", 3), bk.sequence("target", dtype="int")
    mask = bk.sequence("mask") if loss not in ("plain", "steep") else None
    hs = bk.scan(CELLS[cell](), bk.dropout(x, drop) if drop else x, mask=mask)
    y = bk.ADD(5, name="out")(hs)
    each = bk.losses.cross_entropy(y, target, mask)
    if loss == "several":  # terms that count different things, and one that counts none
        each = each + 0.1 * bk.mean(hs * hs) + 0.01 * bk.sum(bk.parameter("beside", 3) ** 2)
        each = each + 0.03 * bk.sum(hs * hs, axis=("time", "batch"))[0]
        each = each * (1.0 + bk.uniform(name="scale", shape=()))  # a number for all rows
    if loss == "steep":
        each = each + bk.mean(bk.exp(x))
    if loss == "root":  # no weighted sum of its terms
        each = bk.sqrt(each + 0.5) * (1.0 + bk.mean(hs * hs, axis=("time", "batch"))[1])
    metrics = {"accuracy": bk.metrics.accuracy(y, target, mask)}
    return bk.Model(loss=each, outputs={"y": y}, dtype=dtype, seed=3, **options), metrics


def data(loss, samples=9):
    lengths = [9, 2, 2, 1, 7, 3, 9, 2, 1][:samples] if loss != "plain" else [6] * samples
    x = [RNG.standard_normal((n, 3)) for n in lengths]
    fed = {"x": x, "target": [RNG.integers(0, 5, n) for n in lengths]}
    return fed if loss != "plain" else {name: np.array(rows) for name, rows in fed.items()}


def same_as_one(monkeypatch, count, make, fed, **options):
    """Ranks are equal to the last bit, and equal one process to 1e-12."""
    alone, metrics = make()
    alone.fit(fed, metrics=metrics, **options)

    def train(rank):
        part, own = make()
        if rank:
            part.weights.all[...] = 0.0  # they become those of rank 0
        part.fit(fed, metrics=own, **options)
        return part

    ranks = together(monkeypatch, count, train)
    assert not [rank for rank in ranks if isinstance(rank, Exception)]
    for rank in ranks:
        np.testing.assert_array_equal(rank.weights.all, ranks[0].weights.all)
        np.testing.assert_allclose(rank.weights.all, alone.weights.all, rtol=0, atol=1e-12)
        for mine, his in zip(rank.history.steps, alone.history.steps, strict=True):
            for key in his:
                np.testing.assert_allclose(mine[key], his[key], rtol=0, atol=1e-12, err_msg=key)
        for key in ("loss", "accuracy"):
            got = [[epoch[key] for epoch in one.history.epochs] for one in (rank, alone)]
            np.testing.assert_allclose(*got, rtol=0, atol=1e-12)
    assert len(alone.history.steps) > 5


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("loss", ["plain", "masked", "several", "root"])
@pytest.mark.parametrize("cell", CELLS)
def test_ranks_train_as_one_process(monkeypatch, cell, loss, count) -> None:
    def make():
        return model(cell, loss, target="numpy")

    same_as_one(monkeypatch, count, make, data(loss), epochs=3, batch_size=4, clip=0.5, optimizer=bk.Adam(0.03))


@pytest.mark.parametrize(
    ("loss", "accumulate", "trials"), [("masked", 3, None), ("root", 3, None), ("masked", 1, 3), ("several", 3, 3)]
)
def test_ranks_share_batches_and_trials(monkeypatch, loss, accumulate, trials) -> None:
    """Each trial has an order, and draws, of its own; a group of the last batches is smaller than the others."""
    options = {"epochs": 3 if accumulate == 1 else 6, "batch_size": 3 if accumulate == 1 else 2}
    make = lambda: model("odd", loss, target="numpy", trials=trials)
    same_as_one(
        monkeypatch, 2, make, data(loss, 7), accumulate=accumulate, clip=0.5, optimizer=bk.Adam(0.03), **options
    )


def test_a_draw_in_the_data_is_shared_by_rows(monkeypatch) -> None:
    fed = data("plain")
    fed["keep"] = (RNG.random((9, 6, 3)) < 0.6).astype(float)
    same_as_one(monkeypatch, 3, lambda: model(loss="plain", target="numpy"), fed, epochs=3, batch_size=4)


@pytest.mark.parametrize(("tbptt", "trials"), [(3, None), ((3, 2), None), ((2, 4), None), (3, 2)])
def test_states_are_carried_by_rows(monkeypatch, tbptt, trials) -> None:
    make = lambda: model("lstm", "masked", target="numpy", trials=trials)
    same_as_one(monkeypatch, 2, make, data("masked"), epochs=2, batch_size=4, tbptt=tbptt)


def test_a_trial_that_diverges_ends_in_all_ranks(monkeypatch) -> None:
    """Told once, by the rank that has its rows; the others go on, as in one process."""
    fed = data("plain")
    fed["x"] = np.tanh(fed["x"])
    fed["x"][5] = 3.0

    def train(rank):
        x, target = bk.sequence("x", 3), bk.sequence("target", dtype="int")
        large = bk.parameter("large", 1, init=("uniform", 0.0, 1.0))
        y = bk.ADD(5, name="out")(x)
        loss = bk.losses.cross_entropy(y, target) + 0.1 * bk.mean(bk.exp(x[:, :, :1] * 400.0 * large))
        made = bk.Model(loss=loss, dtype="float64", seed=5, trials=4, target="numpy")
        made.fit(fed, batch_size=4, shuffle=False, clip=1.0, optimizer=bk.SGD(1e-9))
        return made

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        alone = train(0)
        ranks = together(monkeypatch, 2, train)
    ended = alone.history.ended
    assert 0 < len(ended) < 4 and len([w for w in told if w.category is TrialWarning]) == 2 * len(ended)
    for part in ranks:
        assert part.history.ended.keys() == ended.keys()
        assert all("exp" in why and "rank" in why for why in part.history.ended.values()), part.history.ended
        np.testing.assert_allclose(part.weights.all, alone.weights.all, rtol=0, atol=1e-12)


def test_the_interpreter_shares_too(monkeypatch) -> None:
    same_as_one(
        monkeypatch, 2, lambda: model("odd", "masked", target="interpreter"), data("masked"), epochs=3, batch_size=4
    )


def rank_of(build, fed, **options):
    def train(rank):
        part = build(rank)
        part.fit(fed(rank) if callable(fed) else fed, batch_size=4, **options)
        return part

    return train


def test_another_number_of_ranks_goes_on(monkeypatch, tmp_path) -> None:
    """Interrupted with 2 ranks in mid-batch, finished with 3: the numbers of one undisturbed process."""
    fed, file = data("masked"), tmp_path / "run.safetensors"
    options = {"epochs": 3, "tbptt": 3, "optimizer": bk.Adam(0.02)}
    alone = model(target="numpy")[0]
    alone.fit(fed, batch_size=4, **options)

    def stop(model, record):
        if record["step"] == 7:
            raise KeyboardInterrupt

    class Later(Exception):
        pass

    def first(rank):
        part = model(target="numpy")[0]
        try:
            part.fit(fed, batch_size=4, autosave=file, autosave_every=1, callbacks=stop, **options)
        except KeyboardInterrupt:
            raise Later from None

    one, other = together(monkeypatch, 2, lambda rank: ends(first, rank))
    assert isinstance(one, Later) and isinstance(other, bk.BlocksError)
    assert "rank 1 of 2 has lost another rank" in str(other)
    build = lambda rank: model(target="numpy")[0]
    for part in together(monkeypatch, 3, rank_of(build, fed, autosave=file, resume=True, **options)):
        np.testing.assert_allclose(part.weights.all, alone.weights.all, rtol=0, atol=1e-12)
        assert len(part.history.steps) == len(alone.history.steps)


def ends(call, rank):
    """A call in one rank; if it ends with an error, the others do not wait for it."""
    try:
        return call(rank)
    except Exception:
        fitting.ranks().group.barrier.abort()
        raise


def test_what_is_not_finite_in_one_rank_is_raised_in_all(monkeypatch) -> None:
    fed = data("plain")
    fed["x"][5] = 1000.0
    build = lambda rank: model(loss="steep", drop=0, target="numpy")[0]
    errors = together(monkeypatch, 3, rank_of(build, fed, shuffle=False))
    assert [type(error) for error in errors] == [bk.NonFiniteError] * 3, errors
    assert len({str(error) for error in errors}) == 1 and "rank 1" in str(errors[0])  # of 4 to 7 it has 5
    assert "exp" in str(errors[0])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda rank: model(target="numpy", trials=2 + rank)[0], "train models that differ in trials"),
        (lambda rank: model(target="numpy", drop=0.1 * rank)[0], "train models that differ in graph"),
        (lambda rank: model(target="numpy", dtype=["float32", "float64"][rank])[0], "differ in dtype"),
        (lambda rank: largest(), "max .* takes the batch away in one piece"),
    ],
)
def test_what_ranks_cannot_do_is_refused(monkeypatch, build, message) -> None:
    errors = together(monkeypatch, 2, rank_of(build, data("masked")))
    for error in errors:
        with pytest.raises(bk.BlocksError, match=message):
            raise error


def largest():
    x, target, mask = bk.sequence("x", 3), bk.sequence("target", dtype="int"), bk.sequence("mask")
    y = bk.ADD(5, name="out")(x)
    loss = bk.losses.cross_entropy(y, target, mask) + bk.max(y)
    return bk.Model(loss=loss, target="numpy")


def test_one_rank_shows_and_calls(monkeypatch) -> None:
    """Callbacks are called in the first, and what they decide holds for all."""
    called = []

    def stop(model, record):
        called.append(threading.get_ident())
        return record["step"] == 4

    build = lambda rank: model(target="numpy")[0]
    ranks = together(monkeypatch, 2, rank_of(build, data("masked"), epochs=9, callbacks=stop))
    assert [len(part.history.steps) for part in ranks] == [5, 5]
    assert len(called) == 5 and len(set(called)) == 1
