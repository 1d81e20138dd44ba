"""The published experiments: their networks and updates against the papers' equations written out, their protocols
against a brute count, and what is made of the results."""

import inspect
import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import blocks as bk
from blocks.errors import BlocksError
from blocks.experiments import hochreiter, nets, online, plots, reproduce, results, rows_hochreiter, until
from blocks.experiments.job import Job
from blocks.experiments.page import write_page
from blocks.experiments.rows import EXPERIMENTS
from blocks.experiments.table import Experiment, Row
from blocks.tasks import long_lags, reber

from . import command
from .test_ranks import together

RNG = np.random.default_rng(17)


def learning(net: nets.Net, seeds=(0,), lr=0.3, outputs=True, first=None) -> online.Online:
    return online.Online(
        net.loss, bk.SGD(lr), first or online.uniform(0.5), list(seeds), net.errors() if outputs else None
    )


# --- the networks --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("net", "weights"),
    [
        (lambda: nets.lstm_at_each_step(7, 7, 4, 1), 264),
        (lambda: nets.lstm_at_each_step(7, 7, 3, 2), 276),
        (lambda: nets.lstm_at_end(2, 1, 2, 2), 93),
        (lambda: nets.lstm_at_end(1, 1, 3, output_bias=False), 102),
        (lambda: nets.lstm_at_end(8, 4, 2, 2), 156),
        (lambda: nets.lstm_at_end(8, 8, 3, 2), 308),
        (lambda: nets.lstm_at_end(54, 2, 2, 1, "none", False), 364),
        (lambda: nets.predictor(101, "cell"), 10_504),
        (lambda: nets.predictor(101, "unit"), 10_404),
    ],
)
def test_the_papers_count_of_weights(net, weights) -> None:
    assert sum(int(np.prod(s)) for s in bk.Graph({"loss": net().loss}).params.values()) == weights


def sigm(z):
    return 1 / (1 + np.exp(-z))


def written_out(w, x, target, size, at_end, linear=False):
    """The 1997 LSTM with the truncated gradient, as appendix A.1 has it: traces of the cells' and input gates' weights,
    added up over one sequence. The gradients of ½ Σ (t - y)², and the answers."""
    cells, gates = w["candidate.W_x"].shape[1], w["input.W_x"].shape[1]
    block = np.arange(cells) // size
    z, c = np.zeros(cells + 2 * gates), np.zeros(cells)
    total = {k: np.zeros_like(v) for k, v in w.items()}
    width = x.shape[1] + len(z) + 1
    trace_c, trace_i = np.zeros((width, cells)), np.zeros((width, cells))
    answers = []

    def net(name, s):
        b = w.get(f"{name}.b", 0.0)
        return s[: x.shape[1]] @ w[f"{name}.W_x"] + s[x.shape[1] : -1] @ w[f"{name}.W_z"] + b

    def add(name, gradient):
        total[f"{name}.W_x"] += gradient[: x.shape[1]]
        total[f"{name}.W_z"] += gradient[x.shape[1] : -1]
        if f"{name}.b" in total:
            total[f"{name}.b"] += gradient[-1]

    for t, row in enumerate(x):
        s = np.concatenate([row, z, [1.0]])
        i, o, a = sigm(net("input", s)), sigm(net("output", s)), net("candidate", s)
        g = 4 * sigm(a) - 2
        trace_c += s[:, None] * i[block] * 4 * sigm(a) * (1 - sigm(a))
        trace_i += s[:, None] * g * i[block] * (1 - i[block])
        c = c + i[block] * g
        squashed = 2 * sigm(c) - 1
        h = o[block] * squashed
        z = np.concatenate([h, i, o])
        wires = {"h": h, "i": i, "o": o}
        y = sum(wires[k[-1]] @ v for k, v in w.items() if k.startswith("out.W")) + w.get("out.b", 0.0)
        y = y if linear else sigm(y)
        answers.append(y)
        if at_end and t < len(x) - 1:
            continue
        d = (y - (target if at_end else target[t])) * (1.0 if linear else y * (1 - y))
        for k in (k for k in w if k.startswith("out.W")):
            total[k] += np.outer(wires[k[-1]], d)
        if "out.b" in w:
            total["out.b"] += d
        u = w["out.W_h"] @ d
        e = u * o[block] * 2 * sigm(c) * (1 - sigm(c))
        by_block = lambda v: np.add.reduceat(v, np.arange(0, cells, size), axis=-1)
        add("candidate", trace_c * e)
        into_i, into_o = by_block(trace_i * e), by_block(u * squashed)
        if "out.W_i" in w:
            into_i = into_i + np.outer(s, w["out.W_i"] @ d * i * (1 - i))
            into_o = into_o + w["out.W_o"] @ d
        add("input", into_i)
        add("output", np.outer(s, into_o * o * (1 - o)))
    return total, np.array(answers)


@pytest.mark.parametrize(
    ("blocks", "size", "at_end", "linear", "bias", "gates"),
    [
        (2, 2, True, True, "all", False),
        (3, 1, True, False, "all", False),
        (2, 1, True, False, "none", False),
        (3, 2, False, False, "gates", False),
        (4, 1, False, False, "gates", True),
    ],
)
def test_updates_are_those_of_the_appendix(blocks, size, at_end, linear, bias, gates) -> None:
    """Three sequences of lengths of their own, one update after each; two trials."""
    net = (
        nets.lstm_at_end(3, 2, blocks, size, bias, bias != "none", linear)
        if at_end
        else nets.lstm_at_each_step(3, 2, blocks, size, gates_seen=gates)
    )
    learn = learning(net, (5, 6), 0.3, outputs=at_end)
    want = [{k: v[r].copy() for k, v in learn.weights.items()} for r in range(2)]
    lengths = RNG.integers(2, 9, (2, 3))
    x = RNG.standard_normal((2, 3, 9, 3))
    target = RNG.random((2, 3, 2) if at_end else (2, 3, 9, 2))
    mask = (np.arange(9) < lengths[..., None]).astype(float)
    data = {"x": x[..., None, :], "target": target[..., None, :], "mask": mask[..., None]}
    seen = learn.learn(data)
    for r in range(2):
        for u in range(3):
            n = lengths[r, u]
            goal = target[r, u] if at_end else target[r, u, :n]
            gradient, answers = written_out(want[r], x[r, u, :n], goal, size, at_end, linear)
            off = (answers[-1] if at_end else answers) - goal
            np.testing.assert_allclose(seen["loss"][r, u], 0.5 * (off**2).sum(), rtol=1e-9)
            if at_end:
                np.testing.assert_allclose(seen["wrong"][r, u], np.abs(off).max(), rtol=1e-9)
                np.testing.assert_allclose(seen["error"][r, u], np.abs(off).mean(), rtol=1e-9)
            want[r] = {k: w - 0.3 * gradient[k] for k, w in want[r].items()}
        for k, w in want[r].items():
            np.testing.assert_allclose(learn.weights[k][r], w, rtol=1e-8, atol=1e-11, err_msg=k)


def test_the_full_gradient_is_another() -> None:
    data = {
        "x": RNG.standard_normal((1, 4, 6, 1, 3)),
        "target": RNG.random((1, 4, 1, 2)),
        "mask": np.ones((1, 4, 6, 1)),
    }
    ends = []
    for truncated in (True, False):
        learn = learning(nets.lstm_at_end(3, 2, 2, 2, truncated=truncated))
        learn.learn(data)
        ends.append(learn.weights["input.W_z"])
    assert np.abs(ends[0] - ends[1]).max() > 1e-5


def test_elmans_updates() -> None:
    """A stream, an update at each step, the context a copy: no gradient through it. Two calls go on where one ended."""
    learn = learning(nets.elman_online(3, 3, 4), (1, 2), 0.4)
    want = [{k: v[r].copy() for k, v in learn.weights.items()} for r in range(2)]
    x, target = RNG.random((2, 2, 9, 3))
    for part in (slice(0, 5), slice(5, 9)):
        learn.learn({"x": x[:, part, None], "target": target[:, part, None]})
    for r, w in enumerate(want):
        h = np.zeros(4)
        for row, goal in zip(x[r], target[r], strict=True):
            old, h = h, sigm(row @ w["hidden.W_x"] + h @ w["hidden.W_h"] + w["hidden.b"])
            y = sigm(h @ w["out.W_h"] + w["out.b"])
            d = (y - goal) * y * (1 - y)
            e = w["out.W_h"] @ d * h * (1 - h)
            change = {
                "out.W_h": np.outer(h, d),
                "out.b": d,
                "hidden.W_x": np.outer(row, e),
                "hidden.W_h": np.outer(old, e),
            }
            w |= {k: w[k] - 0.4 * change.get(k, e) for k in w}
        for k in w:
            np.testing.assert_allclose(learn.weights[k][r], w[k], rtol=1e-8, atol=1e-11, err_msg=k)


def test_first_weights() -> None:
    first = online.uniform(0.2, output_b=[-1.0, -2.0, -3.0])
    learn = learning(nets.lstm_at_each_step(7, 7, 3, 2), (3, 4, 3), outputs=False, first=first)
    np.testing.assert_array_equal(learn.weights["output.b"], [[-1, -2, -3]] * 3)
    for name, w in learn.weights.items():
        np.testing.assert_array_equal(w[0], w[2])  # the same seed
        assert name == "output.b" or (np.abs(w).max() <= 0.2 and np.abs(w[0] - w[1]).max() > 0.01)


# --- the protocol --------------------------------------------------------------------------------


def brute(errors, means, window, tolerance, mean, wrong):
    """The first update at whose end a window meets the criterion; 0 if none does."""
    for t in range(window, len(errors) + 1):
        e, m = errors[t - window : t], means[t - window : t]
        if (e >= tolerance).sum() <= wrong and m.mean() < mean:
            return t
    return 0


@pytest.mark.parametrize("piece", [1, 3, 10, 60])
@pytest.mark.parametrize(("window", "wrong", "mean"), [(5, 0, np.inf), (7, 1, 0.5), (20, 4, 0.45), (50, 17, np.inf)])
def test_a_streak_is_found_where_it_ends(piece, window, wrong, mean) -> None:
    rng = np.random.default_rng([piece, window])
    errors, means = rng.random((2, 40, 60))
    judge = until.Streak(40, window, 0.6, mean, wrong)
    found = np.zeros(40, int)
    for start in range(0, 60, piece):
        part = {"wrong": errors[:, start : start + piece], "error": means[:, start : start + piece]}
        at = judge(None, part, start + piece, list(range(40)))
        found = np.where((found == 0) & (at > 0), start + at, found)
    want = [brute(e, m, window, 0.6, mean, wrong) for e, m in zip(errors, means, strict=True)]
    np.testing.assert_array_equal(found, want)
    assert len(set(want)) > 1


EASY = {
    "task": "noise",
    "of_task": {"steps": 10, "informative": 3},
    "blocks": 2,
    "size": 1,
    "lr": 0.3,
    "limit": 3000,
    "streak": {"window": 60, "tolerance": 0.3},
}


def easy(trials, **options):
    return hochreiter.at_end(Job(0, trials, show=False, **options), **EASY)


def test_trials_side_by_side_are_those_alone() -> None:
    """And each ends where it would by itself, whatever the others do."""
    together = easy([0, 1, 2])
    for one, other in zip(together, [*easy([0]), *easy([1, 2])], strict=True):
        assert one == {**other, "mse": pytest.approx(other["mse"])}
    assert all(t["solved"] and 0 < t["sequences"] < 3000 for t in together)
    assert len({t["sequences"] for t in together}) > 1
    assert all(t["wrong"] < 0.05 * hochreiter.TESTED for t in together)


def test_the_weights_are_those_of_the_end() -> None:
    net = nets.lstm_at_end(1, 1, 2)
    learn = learning(net, (0, 1, 2))
    data = until.batched([long_lags.noisy(np.random.default_rng(k), 8, 12) for k in range(3)], learn.graph.inputs)
    before = dict(learn.weights)
    learn.learn(data)
    part = learn.weights_after(data, before, 1, 5)
    alone = learning(net, (1,))
    alone.learn({k: v[1:2, :5] for k, v in data.items()})
    for k, w in alone.weights.items():
        np.testing.assert_allclose(part[k], w, rtol=1e-12)
        assert np.abs(part[k] - learn.weights[k][1:2]).max() > 1e-6


def test_an_interrupted_run_goes_on(tmp_path, monkeypatch) -> None:
    whole = easy([0, 1])
    monkeypatch.setattr("blocks.experiments.job.SECONDS", 0.0)
    calls = [0]
    before = online.Online.learn

    def stops(self, data):
        calls[0] += 1
        if calls[0] == 4:
            raise KeyboardInterrupt
        return before(self, data)

    monkeypatch.setattr(online.Online, "learn", stops)
    said: list[str] = []
    options = {"snapshot": tmp_path / "part", "key": "a", "say": said.append}
    with pytest.raises(KeyboardInterrupt):
        easy([0, 1], **options)
    assert (tmp_path / "part").is_file()
    job = Job(0, [0, 1], show=False, **options)
    job.restore()
    assert job.seconds > 0.01 > Job(0, [0, 1]).seconds  # the time of the first part counts
    said.clear()
    monkeypatch.setattr(online.Online, "learn", before)
    assert easy([0, 1], **options) == whole and any("going on" in line for line in said)
    said.clear()
    assert easy([0, 1], **{**options, "key": "b"}) == whole and not said  # that of another row is none


def test_what_diverges_ends() -> None:
    found = hochreiter.at_end(Job(0, [0], show=False), **{**EASY, "lr": 1e200, "linear": True})
    assert found[0]["solved"] is False and found[0]["sequences"] <= 200


def test_reber_is_taught_in_strings() -> None:
    job = Job(0, [0, 4], show=False)
    seen = {}

    def judged(job, net, draw, judge, limit):
        data = until.batched([draw(online.rng_of(k), 3, t) for k, t in enumerate(job.trials)], net.graph.inputs)
        net.learn(data)
        seen.update(passes=judge.passed(net, job.trials), data=data)
        return []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hochreiter, "learn_until", judged)
        hochreiter.strings(job, lr=0.1, limit=100, net="text, truncated", blocks=3, size=2)
    assert seen["passes"].tolist() == [0, 0]  # hardly taught
    lengths = seen["data"]["mask"].sum(axis=(2, 3))
    assert lengths.min() >= 8 and seen["data"]["x"].shape[-2:] == (1, 7)
    tests = hochreiter._tests([sorted({"BTBTXSETE", "BPBPVVEPE"}), ["BTBTSSXSETE"]])
    assert tests["x"].shape == (2, 10, 2, 7)  # two sets of two strings, ten steps


def test_the_criterion_of_reber_is_met_by_the_legal_symbols(monkeypatch) -> None:
    class Oracle:
        """Answers from the legal symbols, but for one string of the second trial, where all are asked."""

        def __init__(self, graph, *_):
            self.spoilt = False

        def __call__(self, fed):
            ids = fed["x"].argmax(axis=-1)
            y = np.zeros(fed["x"].shape)
            for r, s in np.ndindex(ids.shape[0], ids.shape[2]):
                n = int(fed["mask"][r, :, s].sum())
                text = "".join(reber.SYMBOLS[k] for k in ids[r, :n, s]) + "E"
                for t, options in enumerate(reber.legal(text)):
                    y[r, t, s, [reber.SYMBOLS.index(c) for c in options]] = 1.0
                if r == 1 and s == 3 and ids.shape[2] > 100:
                    y[r, n - 2, s] = y[r, n - 2, s, ::-1]  # the last symbol but one
            return {"answer": y}

    monkeypatch.setattr(hochreiter, "Sides", Oracle)
    monkeypatch.setattr(hochreiter, "learn_until", lambda job, net, draw, judge, limit: judge.passed(net, job.trials))
    got = hochreiter.strings(Job(0, [0, 1, 2], show=False), 0.1, 100, "text, truncated", 4, 1)
    assert got.tolist() == [1, 0, 1]


# --- the table and the results -------------------------------------------------------------------


@pytest.mark.parametrize("e", EXPERIMENTS.values(), ids=lambda e: e.name)
def test_settings_are_those_of_the_protocol(e: Experiment) -> None:
    assert len({row.name for row in e.rows}) == len(e.rows) and any(row.quick is not None for row in e.rows)
    for row in e.rows:
        inspect.signature(e.run).bind(None, **{**row.settings, **(row.quick or {})})
        assert set(row.quick or {}) <= set(inspect.signature(e.run).parameters)
        assert set(row.paper) <= {"success", *e.measured}
        assert json.loads(json.dumps(dict(row.settings))) == dict(row.settings)


def test_intervals() -> None:
    from scipy import stats

    sample = RNG.normal(5.0, 2.0, 7)
    mean, half = results.interval(sample)
    low, high = stats.bootstrap((sample,), np.mean, method="basic", rng=0).confidence_interval
    assert mean == pytest.approx(sample.mean()) and 0.4 * (high - low) < half < (high - low)
    assert stats.ttest_1samp(sample, mean - half).pvalue == pytest.approx(0.05, abs=1e-6)
    assert np.isnan(results.interval(sample[:1])[1])
    k, low, high = results.success([{"solved": s} for s in (True, True, False, True)])
    z = 1.959964
    assert k == 3 and all(abs(p - 0.75) == pytest.approx(z * np.sqrt(p * (1 - p) / 4), rel=1e-5) for p in (low, high))


TINY = Experiment(
    "tiny",
    "A tiny one",
    "nobody (1900)",
    hochreiter.at_end,
    (
        Row("first", EASY, {"success": 1.0, "sequences": 50.0}, {"limit": 900}),
        Row("second", {**EASY, "lr": 1e-6, "limit": 200}, {"success": 0.5}, note="it does not learn"),
        Row("never", EASY, {"sequences": 7.0}, long=True, expected=150),
    ),
    rows_hochreiter.WRONG,
    3,
    plots.until,
)


@pytest.fixture
def tiny():
    """Two experiments instead of all, whose order is that of the page."""
    every = dict(EXPERIMENTS)
    EXPERIMENTS.clear()
    EXPERIMENTS.update({"tiny": TINY, "hs-2a": every["hs-2a"]})
    yield TINY
    EXPERIMENTS.clear()
    EXPERIMENTS.update(every)


def test_an_experiment_is_run_once(tiny, tmp_path) -> None:
    said: list[str] = []
    run = partial(reproduce.reproduce, "tiny", tmp_path, show=False, say=said.append)
    (first,) = run(trials=2)
    assert [len(row["trials"]) for row in first["rows"].values()] == [2, 2] and "never" not in first["rows"]
    stored = (tmp_path / "tiny.json").read_text()
    assert json.loads(stored) == first and run(trials=2) == [first] and (tmp_path / "tiny.json").read_text() == stored
    (more,) = run()
    assert [t["trial"] for t in more["rows"]["first"]["trials"]] == [0, 1, 2]
    assert more["rows"]["first"]["trials"][:2] == first["rows"]["first"]["trials"]
    text = "\n".join(reproduce.table(more))
    assert "3 of 3" in text and "0 of 3" in text and "not run" in text and "(7)" in text and "about 2.5 h" in text
    page = (tmp_path / "README.md").read_text()
    assert "outside a factor of two" in page and "it does not learn" in page and "Not run" in page
    assert (tmp_path / "tiny.svg").read_text().count("<svg") == 1 and not list(tmp_path.glob(".tiny*"))
    for other in ({"seed": 5}, {"quick": True}):
        with pytest.raises(BlocksError, match="holds a run with seed 0; write into another folder"):
            run(trials=1, **other)
    assert json.loads((tmp_path / "tiny.json").read_text()) == more


@pytest.mark.parametrize("solved", [0, 1, 3])
def test_a_plot_shows_what_was_in_vain(solved) -> None:
    """Also where no trial has succeeded, in a quick run, which has no number of the paper."""
    trials = [{"trial": k, "solved": k < solved, "sequences": 40 + k} for k in range(3)]
    for quick in (False, True):
        found = {"experiment": "hs-2a", "quick": quick, "rows": {rows_hochreiter.TWO.rows[0].name: {"trials": trials}}}
        figure = plots.until(found)
        figure.canvas.draw()
        (axes,) = figure.axes
        shown = {line.get_marker(): line.get_xdata().tolist() for line in axes.lines if len(line.get_xdata()) > 1}
        want = {"o": list(range(40, 40 + solved)), "x": list(range(40 + solved, 43))}
        assert shown == {marker: xs for marker, xs in want.items() if len(xs) > 1}


def guessed(job: Job, **settings) -> list[dict]:
    """A protocol whose trials learn nothing."""
    draws = [np.random.default_rng(job.seed_of(trial)) for trial in job.trials]
    return [
        {"trial": trial, "solved": bool(rng.random() < 0.5), "sequences": int(rng.integers(9, 99)), "mse": rng.random()}
        for trial, rng in zip(job.trials, draws, strict=True)
    ]


def test_processes_share_the_trials(tiny, tmp_path, monkeypatch) -> None:
    """The results of one, also where a process has no trial; the first one writes, and says; what is there stays."""
    EXPERIMENTS["tiny"] = replace(TINY, run=guessed)
    run = partial(reproduce.reproduce, "tiny", show=False, seed=3)
    (alone,) = run(tmp_path / "alone", 4, say=lambda line: None)
    said: list[int] = []
    for trials in (2, 4, 4):
        share = lambda rank, n=trials: run(tmp_path / "shared", n, say=lambda line, rank=rank: said.append(rank))
        found = together(monkeypatch, 3, share, reproduce)
    for (mine,) in found:
        assert {n: row["trials"] for n, row in mine["rows"].items()} == {
            n: row["trials"] for n, row in alone["rows"].items()
        }
    assert set(said) == {0} and len(said) == 2 * 3 + 1
    assert {p.name for p in (tmp_path / "shared").iterdir()} == {"tiny.json", "tiny.svg", "README.md"}
    assert json.loads((tmp_path / "shared" / "tiny.json").read_text()) == found[0][0]


def test_quick_says_that_it_is(tiny, tmp_path) -> None:
    said: list[str] = []
    (found,) = reproduce.reproduce("tiny", tmp_path, 1, quick=True, show=False, say=said.append)
    assert any("smaller than the paper's" in line for line in said) and found["quick"]
    assert "quick run" in (tmp_path / "README.md").read_text()
    assert found["rows"]["first"]["settings"]["limit"] == 900
    text = "\n".join(reproduce.table(found))
    assert "(50)" not in text and "never" not in text and any("limit=900" in line for line in said)


def test_what_is_no_results_is_left_alone(tiny, tmp_path) -> None:
    (tmp_path / "tiny.json").write_text('{"mine": 1}')
    with pytest.raises(BlocksError, match="holds no results of tiny"):
        reproduce.reproduce("tiny", tmp_path, show=False, say=lambda line: None)
    assert (tmp_path / "tiny.json").read_text() == '{"mine": 1}'
    with pytest.raises(BlocksError, match="no experiment 'tny'.*did you mean 'tiny'"):
        reproduce.reproduce("tny", tmp_path)
    with pytest.raises(BlocksError, match="no row 'thrid'.*first; second; never"):
        reproduce.reproduce("tiny", tmp_path, rows=("thrid",))


COMMITTED = Path(__file__).parents[1] / "examples" / "experiments"


def test_the_committed_page_is_that_of_the_results(tmp_path, monkeypatch) -> None:
    """And the results are of the protocols as they are now."""
    monkeypatch.chdir(tmp_path)
    folder = Path("examples") / "experiments"
    shutil.copytree(COMMITTED, folder)
    write_page(folder)
    assert (folder / "README.md").read_text() == (COMMITTED / "README.md").read_text()
    for path in folder.glob("*.json"):
        found = json.loads(path.read_text())
        known = {row.name: json.loads(json.dumps(dict(row.settings))) for row in EXPERIMENTS[path.stem].rows}
        assert not found["quick"] and {n: row["settings"] for n, row in found["rows"].items()}.items() <= known.items()
    with pytest.raises(BlocksError, match="holds no results; blocks reproduce"):
        write_page(tmp_path)


def test_the_command(tmp_path) -> None:
    blocks = partial(command.blocks, "reproduce", cwd=tmp_path)

    listed = blocks("--list").stdout
    assert blocks().stdout == listed
    assert all(name in listed for name in EXPERIMENTS) and "sequences 74,000" in listed and "(long)" in listed
    done = blocks("elman-words", "--quick", "--trials", "1", "--json", "-o", "out")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (row,) = found["rows"].values()
    assert row["trials"][0]["onset"] > row["trials"][0]["later"] > 0.05
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"elman-words.json", "elman-words.svg", "README.md"}
    assert "no experiment" in blocks("elman-word").stderr and blocks("elman-word").returncode == 2
    assert "Example: blocks reproduce" in blocks("--help").stdout
