"""Experiments 2a and 2b: the update at each step against traces written out, and how its sequences are counted."""

import numpy as np
import pytest

import blocks as bk
from blocks.experiments import hochreiter, nets, online, until
from blocks.experiments.job import Job
from blocks.tasks import long_lags


def sigm(z):
    return 1 / (1 + np.exp(-z))


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_an_update_at_each_step_follows_the_traces(low) -> None:
    """Two trials, three sequences of five steps with random symbols; the derivatives of C go on with the weights as they
    were, and begin again with each sequence."""
    p, lr = 5, 0.4
    net = nets.predictor_at_each_step(p + 1, low)
    learn = online.Online(net.loss, bk.SGD(lr), online.uniform(0.9), [3, 4], {"answer": net.answer})
    draw = lambda rng, n, trial: long_lags.two_sequences(rng, n, p, noise=True)
    drawn = [hochreiter._by_steps(draw, np.random.default_rng(k), 3, k) for k in range(2)]
    assert [d["first"][:, 0].tolist() for d in drawn] == [[1.0, 0.0, 0.0, 0.0, 0.0] * 3] * 2
    want = [{k: v[r].copy() for k, v in learn.weights.items()} for r in range(2)]
    seen = learn.learn(until.batched(drawn, learn.graph.inputs))
    for r, w in enumerate(want):
        c = by_gate = by_candidate = np.zeros(1)
        for n, (x, target, first) in enumerate(zip(*(drawn[r][k] for k in ("x", "target", "first")), strict=True)):
            if first:
                c, by_gate, by_candidate = np.zeros(1), np.zeros((p + 1, 1)), np.zeros((p + 1, 1))
            i, s = sigm(x @ w["input.W_x"]), sigm(x @ w["candidate.W_x"])
            g, slope = low + (1 - low) * s, (1 - low) * s * (1 - s)
            c = c + i * g
            by_gate = by_gate + x[:, None] * (g * i * (1 - i))
            by_candidate = by_candidate + x[:, None] * (i * slope)
            y = sigm(x @ w["out.W_x"] + c @ w["out.W_h"])
            np.testing.assert_allclose(seen["answer"][r, n].ravel(), y, rtol=1e-9)
            d = (y - target) * y * (1 - y)
            e = w["out.W_h"] @ d
            w["out.W_x"] = w["out.W_x"] - lr * np.outer(x, d)
            w["out.W_h"] = w["out.W_h"] - lr * np.outer(c, d)
            w["input.W_x"] = w["input.W_x"] - lr * by_gate * e
            w["candidate.W_x"] = w["candidate.W_x"] - lr * by_candidate * e
        for k in w:
            np.testing.assert_allclose(learn.weights[k][r], w[k], rtol=1e-8, atol=1e-11, err_msg=k)


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_its_network_is_the_predictor(low) -> None:
    """With the same weights both answer the same."""
    rng, p = np.random.default_rng(0), 6
    stepping, whole = nets.predictor_at_each_step(p + 1, low), nets.predictor(p + 1, "cell", low)
    weights = {k: rng.normal(size=tuple(map(int, s))) for k, s in whole.answers().params.items()}
    assert stepping.answers().params == whole.answers().params
    data = long_lags.two_sequences(rng, 1, p, noise=True)
    cell = bk.learner(stepping.loss, bk.SGD(0.0), outputs={"answer": stepping.answer})
    steps = {k: bk.input(k, shape=("update", "batch", p + 1)) for k in ("x", "target")}
    seen = bk.scan(cell, {**steps, "first": bk.input("first", shape=("update", "batch", 1))})
    first = np.eye(p)[0][:, None, None]
    fed = {k: np.swapaxes(data[k], 0, 1) for k in ("x", "target")}
    got = bk.run(bk.Graph({"answer": seen["answer"]}), {**weights, **fed, "first": first})["answer"]
    want = bk.run(whole.answers(), {**weights, "x": fed["x"]})["answer"]
    np.testing.assert_allclose(got, want, rtol=1e-12)


def test_sequences_are_counted_not_their_steps() -> None:
    """A criterion met at an update within a sequence counts with that sequence."""
    p = 5
    net = nets.predictor_at_each_step(p + 1)
    learn = online.Online(net.loss, bk.SGD(0.1), online.uniform(0.2), [0, 1, 2])

    class Judge:
        lead, state = 0, {"at": np.array([0, 7, 10])}

        def __call__(self, net, seen, done, trials):
            assert seen["loss"].shape[1] == 4 * p
            return self.state["at"] if done == 8 else np.zeros(len(trials), int)

        def note(self, row):
            return {}

    draw = lambda rng, n, trial: hochreiter._by_steps(
        lambda rng, n, trial: long_lags.two_sequences(rng, n, p, noise=True), rng, n, trial
    )
    found = until.learn_until(Job(0, [0, 1, 2], show=False), learn, draw, Judge(), 12, piece=4, updates=p)
    assert [(t["solved"], t["sequences"]) for t in found] == [(False, 12), (True, 4 + 2), (True, 4 + 2)]


@pytest.mark.parametrize("options", [{"each_step": True}, {"low": -1.0}])
def test_two_sequences_are_told_apart(options) -> None:
    """A lag of eight; and the cell comes when the error has stopped falling."""
    found = hochreiter.two_sequences(Job(0, [0, 1], show=False), 1.0, 6000, "cell", p=8, **options)
    assert all(t["solved"] and 200 <= t["alone"] < t["sequences"] < 12_000 for t in found), found


def test_the_criterion_of_2a_is_tested_on_both_sequences(monkeypatch) -> None:
    """Whichever are drawn; a net that is right on one of them has not met it."""
    monkeypatch.setattr(
        hochreiter, "learn_until", lambda job, net, draw, judge, limit, **_: judge.passed(net, job.trials)
    )
    monkeypatch.setattr(hochreiter, "_without_cell", lambda *_: {})
    asked = []

    class Answers:
        """The right ones, but for the second sequence of the second trial."""

        def __init__(self, graph, *_):
            self.target = None

        def __call__(self, fed):
            ids = fed["x"].argmax(axis=-1)  # (trials, time, sequence)
            asked.append(ids[:, 0])
            y = np.eye(6)[np.concatenate([ids[:, 1:], ids[:, :1]], axis=1)]
            y[1:, -1, 1] = 0.0
            return {"answer": y}

    monkeypatch.setattr(hochreiter, "Sides", Answers)
    got = hochreiter.two_sequences(Job(0, [0, 1], show=False), 1.0, 100, "cell", p=5)
    assert got.tolist() == [1, 0] and asked[0].tolist() == [[4, 5]] * 2
