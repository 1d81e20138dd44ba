"""The protocols of Hochreiter and Schmidhuber (1997), *Long short-term memory*, Neural Computation 9, 1735 to 1780.

Learning is online: one update for each sequence, plain gradient descent on E = ½ Σ (t - y)², and a state that begins
with zeros. Trial r has first weights, sequences and an order of its own, all settled by the seed and r.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..compile import AUTO
from ..compile.targets import NUMPY
from ..tasks import long_lags, reber
from ..train.optimizers import SGD
from . import nets
from .job import Job
from .online import Arrays, Online, Sides, rng_of, uniform
from .table import Trial
from .until import TEST, Judge, Streak, Tests, filled, learn_until

TESTED = 2560  # sequences on which the paper tests
TASKS: dict[str, Callable[..., Arrays]] = {
    "adding": long_lags.adding,
    "multiplication": long_lags.multiplication,
    "order": long_lags.temporal_order,
    "noise": long_lags.noisy,
    "distractors": long_lags.distractors,
}
WIDE = NUMPY.name  # with a hundred inputs and outputs the products count, and those of BLAS are three times as fast
SETS = 3000  # random numbers of the sets of strings


def at_end(
    job: Job,
    task: str,
    of_task: dict[str, int],
    blocks: int,
    size: int,
    lr: float,
    limit: int,
    streak: dict[str, Any],
    input_bias: list[float] | None = None,
    output_bias: list[float] | None = None,
    spread: float = 0.1,
    biases: str = "all",
    linear: bool = False,
    truncated: bool = True,
    counted: bool = True,
) -> list[Trial]:
    """Experiments 2c and 4 to 6: learn until a streak of correct answers, then test on 2,560 new sequences.

    streak: of `Streak`; counted: whether its sequences count.
    """
    draw = partial(_draw, TASKS[task], of_task)
    example = draw(rng_of(0), 1, 0)
    net = nets.lstm_at_end(
        example["x"].shape[-1], example["target"].shape[-1], blocks, size, biases, biases != "none", linear, truncated
    )
    fixed = {"input_b": input_bias, "output_b": output_bias}
    first = uniform(spread, **{k: v for k, v in fixed.items() if v is not None})
    learning = Online(net.loss, SGD(lr), first, [job.seed_of(t) for t in job.trials], net.errors())
    judge = Streak(len(job.trials), counted=counted, **streak)
    answers = Sides(net.answers())

    def finish(weights: Arrays, trial: int) -> dict[str, Any]:
        errors = _errors(answers, weights, [draw(rng_of(job.seed, trial, TEST), TESTED, trial)])
        wrong = errors.max(axis=-1) >= streak["tolerance"]
        return {"wrong": int(wrong.sum()), "mse": float((errors**2).mean())}

    return learn_until(job, learning, draw, judge, limit, finish=finish)


def _draw(task: Callable[..., Arrays], settings: dict[str, int], rng: np.random.Generator, n: int, _: int) -> Arrays:
    return task(rng, n, **settings)


def _errors(answers: Sides, weights: Arrays, data: list[Arrays]) -> np.ndarray:
    """How far the answers at the end are off, for sequences of each trial, ``(trials, sequence, outputs)``."""
    fed = {k: np.swapaxes(filled([d[k] for d in data]), 1, 2) for k in ("x", "mask")}
    return np.abs(answers({**weights, **fed})["answer"] - np.stack([d["target"] for d in data]))


def noise(job: Job, steps: int, informative: int, lr: float, limit: int) -> list[Trial]:
    """Experiment 3a. The criteria are tested after every 200 sequences on 256 of the trial's own: none is wrong by 0.2
    ("st1", the number of sequences until then), and the mean error is below 0.01 too, which ends it."""
    draw = partial(_draw, long_lags.noisy, {"steps": steps, "informative": informative})
    net = nets.lstm_at_end(1, 1, 3, output_bias=False)
    first = uniform(0.1, input_b=[-1.0, -3.0, -5.0], output_b=[-2.0, -4.0, -6.0])
    learning = Online(net.loss, SGD(lr), first, [job.seed_of(t) for t in job.trials])
    answers = Sides(net.answers())
    sets = {t: draw(rng_of(job.seed, t, SETS), 256, t) for t in job.trials}

    def passed(net: Online, trials: list[int]) -> np.ndarray:
        errors = _errors(answers, net.weights, [sets[t] for t in trials])[..., 0]
        right = (errors < 0.2).all(axis=1)
        return right.astype(np.int64) + (right & (errors.mean(axis=1) < 0.01))

    def finish(weights: Arrays, trial: int) -> dict[str, Any]:
        errors = _errors(answers, weights, [draw(rng_of(job.seed, trial, TEST), TESTED, trial)])
        return {"wrong": int((errors >= 0.2).sum())}

    judge: Judge = Tests(len(job.trials), passed, ("st1",))
    return learn_until(job, learning, draw, judge, limit, piece=200, finish=finish)


def strings(job: Job, lr: float, limit: int, net: str, blocks: int = 0, size: int = 1) -> list[Trial]:
    """Experiment 1: strings of the embedded Reber grammar, drawn from a set of 256. After every 100 it is tested
    whether the legal symbols are the most active outputs at each step of all of these and of 256 others.

    net: "text, truncated" and "text, full gradient", the paper's network; "gates to outputs", with wires that it has
    not, and the full gradient; "Elman".
    """
    made = (
        nets.elman_at_each_step(7, 7, 15)
        if net == "Elman"
        else nets.lstm_at_each_step(7, 7, blocks, size, net == "text, truncated", net == "gates to outputs")
    )
    biases = [-1.0, -2.0, -3.0, -4.0][:blocks]
    first = uniform(0.2, **({} if net == "Elman" else {"output_b": biases}))
    learning = Online(made.loss, SGD(lr), first, [job.seed_of(t) for t in job.trials])
    pairs = [reber.training_and_test(rng_of(job.seed, k, SETS), 256) for k in range(3)]
    train = [reber.as_data(texts) for texts, _ in pairs]
    tests = _tests([sorted({*texts, *others}) for texts, others in pairs])
    answers = Sides(made.answers())

    def draw(rng: np.random.Generator, n: int, trial: int) -> Arrays:
        data, which = train[trial % 3], rng.integers(0, 256, n)
        steps = int(data["mask"][which].sum(axis=1).max())
        return {k: data[k][which][:, :steps] for k in ("x", "target", "mask")}

    def right(weights: Arrays, which: list[int], every: int = 1) -> np.ndarray:
        """Of which trials all strings are, or so-manieth one of each set."""
        asked = {k: tests[k][which][:, :, ::every] for k in ("x", "mask", "legal")}
        y, legal = answers({**weights, "x": asked["x"], "mask": asked["mask"]})["answer"], asked["legal"] > 0
        least = np.where(legal, y, np.inf).min(axis=-1)
        most = np.where(legal, -np.inf, y).max(axis=-1)
        return ((least > most) | (asked["mask"] == 0)).all(axis=(1, 2))

    def passed(net: Online, trials: list[int]) -> np.ndarray:
        good = right(net.weights, [t % 3 for t in trials], 16)  # nearly all that fail do so here
        rows = np.flatnonzero(good)
        if len(rows):
            good[rows] = right({k: v[rows] for k, v in net.weights.items()}, [trials[r] % 3 for r in rows])
        return good.astype(np.int64)

    return learn_until(job, learning, draw, Tests(len(job.trials), passed), limit)


def _tests(sets: list[list[str]]) -> Arrays:
    """Sets of strings as arrays ``(set, time, string, ...)``, filled up to the longest and to as many strings."""
    most = max(len(texts) for texts in sets)
    joined = reber.as_data([text for texts in sets for text in [*texts, *texts[:1] * (most - len(texts))]])
    return {k: np.swapaxes(v.reshape(len(sets), most, *v.shape[1:]), 1, 2) for k, v in joined.items()}


def two_sequences(
    job: Job,
    lr: float,
    limit: int,
    hidden: str,
    p: int = 100,
    noise: bool = False,
    each_step: bool = False,
    low: float = 0.0,
) -> list[Trial]:
    """Experiments 2a and 2b. Of an LSTM, cell and gate are added once the error stops falling: when the mean loss of
    the last hundred sequences is no lower than that of the hundred before. After every 20 it is tested whether all
    errors are below 0.25: in 2a of all outputs at each step of the two sequences that there are; in 2b at the last step
    of 10,000 sequences.

    each_step: an update at each step, as soon as there is a cell, instead of one for each sequence; low: the least
    value of g.
    """
    draw = partial(_draw, long_lags.two_sequences, {"p": p, "noise": int(noise)})
    started = _without_cell(job, lr, draw, p) if hidden == "cell" else {}
    net = nets.predictor(p + 1, hidden, low)
    taught = nets.predictor_at_each_step(p + 1, low) if each_step else net
    target = AUTO if each_step else WIDE  # a step has no products of matrices
    learning = Online(taught.loss, SGD(lr), uniform(0.2), [job.seed_of(t) for t in job.trials], target=target)
    if started:
        learning.weights["out.W_x"] = np.concatenate([started[t][1]["out.W_x"] for t in job.trials])
    answers = Sides(net.answers(), WIDE)

    def right(weights: Arrays, data: Arrays) -> np.ndarray:
        """Which of these sequences each trial answers, ``(trials, sequences)``."""
        x, count = np.swapaxes(data["x"], 0, 1), len(next(iter(weights.values())))
        off = answers({**weights, "x": np.broadcast_to(x, (count, *x.shape))})["answer"] - np.swapaxes(
            data["target"], 0, 1
        )
        return (np.abs(off[:, -1:] if noise else off) < 0.25).all(axis=(1, 3))

    def passed(net: Online, trials: list[int]) -> np.ndarray:
        good = [bool(row.all()) for row in right(net.weights, few)]
        for row in (k for k, passes in enumerate(good) if passes and noise):
            weights = {k: v[row : row + 1] for k, v in net.weights.items()}
            pieces = (long_lags.two_sequences(rng_of(job.seed, k, TEST), 500, p, noise) for k in range(1, 21))
            good[row] = all(right(weights, piece).all() for piece in pieces)
        return np.array(good, np.int64)

    few = long_lags.two_sequences(rng_of(job.seed, 0, TEST), 20, p, noise)
    few = few if noise else _both(few)
    judge, shown = Tests(len(job.trials), passed), partial(_by_steps, draw) if each_step else draw
    found = learn_until(job, learning, shown, judge, limit, piece=20, updates=p if each_step else 1)
    for trial in found if started else ():
        trial["alone"] = started[trial["trial"]][0]
        trial["sequences"] += trial["alone"]
    return found


def _both(data: Arrays) -> Arrays:
    """One sequence of each kind."""
    _, which = np.unique(data["x"][:, 0].argmax(axis=-1), return_index=True)
    return {k: v[which] for k, v in data.items()}


def _by_steps(draw: Callable[..., Arrays], rng: np.random.Generator, n: int, trial: int) -> Arrays:
    """Sequences of one length one after the other, step by step, with "first", 1 where one begins."""
    data = draw(rng, n, trial)
    first = np.arange(data["x"].shape[1]) == 0
    return {k: v.reshape(-1, v.shape[-1]) for k, v in data.items()} | {"first": np.tile(first, n)[:, None] * 1.0}


def _without_cell(job: Job, lr: float, draw: Callable[..., Arrays], p: int) -> dict[int, tuple[int, Arrays]]:
    """The inputs and outputs alone, until the error stops falling: trial → sequences, and the weights."""
    net = nets.predictor(p + 1, "none")
    learning = Online(net.loss, SGD(lr), uniform(0.2), [job.seed_of(t) for t in job.trials], target=WIDE)
    found: dict[int, Arrays] = {}

    def keep(weights: Arrays, trial: int) -> dict[str, Any]:
        found[trial] = weights
        return {}

    quiet = Job(job.seed, job.trials, f"{job.label}, no cell yet", show=job.show)
    ended = learn_until(quiet, learning, draw, Plateau(len(job.trials)), 100_000, piece=20, finish=keep)
    return {e["trial"]: (e["sequences"], found[e["trial"]]) for e in ended}


class Plateau:
    """The loss stops falling: its mean over the last hundred updates is no lower than over the hundred before."""

    def __init__(self, trials: int):
        self.lead, self.state = 0, {"loss": np.empty((trials, 0))}

    def __call__(self, net: Online, seen: Arrays, done: int, trials: list[int]) -> np.ndarray:
        past = np.concatenate([self.state["loss"], seen["loss"]], axis=1)[:, -200:]
        self.state = {"loss": past}
        flat = (
            past[:, 100:].mean(axis=1) >= past[:, :100].mean(axis=1)
            if past.shape[1] == 200
            else np.zeros(len(trials), bool)
        )
        return np.where(flat, seen["loss"].shape[1], 0)

    def note(self, row: int) -> dict[str, Any]:
        return {}
