"""Tasks with a lag: what they ask follows from what they show."""

import numpy as np
import pytest

import blocks as bk
from blocks.tasks.lags import TASKS, adding, echo, recall, task_named


@pytest.mark.parametrize("name", TASKS)
def test_shapes_and_seeds(name) -> None:
    task = TASKS[name]
    data = task.make(np.random.default_rng(3), 7, 9)
    assert data["x"].shape == (7, 9, task.inputs) and data["target"].shape == (7, 9, task.outputs)
    assert data["mask"].shape == (7, 9) and set(np.unique(data["mask"])) <= {0.0, 1.0}
    again = task.make(np.random.default_rng(3), 7, 9)
    assert all(np.array_equal(data[k], again[k]) for k in data)
    other = task.make(np.random.default_rng(4), 7, 9)
    assert not np.array_equal(data["x"], other["x"])


def test_recall_asks_for_the_first_bit() -> None:
    data = recall(np.random.default_rng(0), 50, 6, noise=0.1)
    assert np.array_equal(data["target"][:, -1, 0], data["x"][:, 0, 0])
    assert set(data["x"][:, 0, 0]) == {-1.0, 1.0}
    assert np.array_equal(np.argwhere(data["mask"])[:, 1], np.full(50, 5))
    assert np.abs(data["x"][:, 1:, 0]).max() < 0.6 and np.array_equal(data["x"][..., 1], data["mask"])


def test_echo_asks_for_what_was() -> None:
    data = echo(np.random.default_rng(0), 4, 9, lag=3)
    assert np.array_equal(data["target"][:, 3:], data["x"][:, :6])
    assert data["mask"][:, :3].sum() == 0 and data["mask"][:, 3:].all()


def test_adding_asks_for_the_sum_of_two() -> None:
    data = adding(np.random.default_rng(0), 200, 7)
    marked = data["x"][..., 1]
    assert (marked[:, :3].sum(1) == 1).all() and (marked[:, 3:].sum(1) == 1).all()
    want = 0.5 + (data["x"][..., 0] * marked).sum(1) / 4
    np.testing.assert_allclose(data["target"][:, -1, 0], want)
    assert len(np.unique(np.argwhere(marked)[:, 1])) == 7


@pytest.mark.parametrize(
    "wrong, said",
    [
        (lambda rng: recall(rng, 3, 1), "recall: steps is 2 or more, not 1"),
        (lambda rng: echo(rng, 3, 4, lag=4), "steps is 5 or more"),
        (lambda rng: echo(rng, 3, 4, lag=0), "the lag is 1 step or more"),
        (lambda rng: adding(rng, 0, 4), "count is 1 or more"),
        (lambda rng: task_named("recal"), "did you mean 'recall'"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, said) -> None:
    with pytest.raises(bk.BlocksError, match=said):
        wrong(np.random.default_rng(0))


def test_a_model_learns_to_echo() -> None:
    x, target, mask = bk.sequence("x", 1), bk.sequence("target", 1), bk.sequence("mask")
    y = bk.ADD(1, name="out")(bk.scan(bk.cells.gru(1, 8), x))
    model = bk.Model(bk.losses.squared_error(y, target, mask), {"y": y}, seed=0)
    data = echo(np.random.default_rng(0), 64, 10)
    first = model.evaluate(data)
    model.fit(data, epochs=60, batch_size=32, optimizer=bk.Adam(2e-2), progress=False)
    assert model.evaluate(data) < 0.2 * first
