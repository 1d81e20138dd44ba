"""The protocol of Hochreiter and Schmidhuber (1997): learn sequence after sequence until a criterion is met, and count
them. All trials go on side by side, each until its own end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import numpy as np

from .job import Job
from .online import Arrays, Online, rng_of

DATA, TEST = 1000, 2000  # what random numbers are for, beside the first weights
Draw = Callable[[np.random.Generator, int, int], Arrays]  # random numbers, how many sequences, the trial → arrays
Finish = Callable[[Arrays, int], dict[str, Any]]  # the weights at the end, (1, ...), and the trial → what to note


class Judge(Protocol):
    """Says when a trial ends. `state` is what it remembers, arrays that lead with the trials; `lead`, how many of the
    sequences up to then do not count."""

    state: Arrays
    lead: int

    def __call__(self, net: Online, seen: Arrays, done: int, trials: list[int]) -> np.ndarray:
        """After how many of the updates just seen, ``(trials, update)``, each trial has met the criterion; 0: not yet.
        `done` is the number of updates up to now."""

    def note(self, row: int) -> dict[str, Any]:
        """What to note of a trial at its end."""


class Streak:
    """The criterion of experiments 2c and 4 to 6: of the last `window` sequences at most `wrong` have an error of
    `tolerance` or more, as measured before each update, and the mean error of all is below `mean`. counted: whether
    these sequences count among those that it took."""

    def __init__(
        self, trials: int, window: int, tolerance: float, mean: float = np.inf, wrong: int = 0, counted: bool = True
    ):
        self.window, self.tolerance, self.mean, self.wrong = window, tolerance, mean, wrong
        self.lead = 0 if counted else window
        self.state: Arrays = {"wrong": np.empty((trials, 0)), "error": np.empty((trials, 0))}

    def __call__(self, net: Online, seen: Arrays, done: int, trials: list[int]) -> np.ndarray:
        fresh = {"wrong": (seen["wrong"] >= self.tolerance).astype(np.float64), "error": seen["error"]}
        updates = fresh["wrong"].shape[1]
        past = {k: np.concatenate([self.state[k], fresh[k]], axis=1) for k in fresh}
        self.state = {k: v[:, -self.window :] for k, v in past.items()}
        sums = {k: np.pad(v.cumsum(axis=1), ((0, 0), (1, 0))) for k, v in past.items()}
        if past["wrong"].shape[1] < self.window:
            return np.zeros(len(trials), np.int64)
        last = {k: v[:, self.window :] - v[:, : -self.window] for k, v in sums.items()}  # one for each window's end
        met = (last["wrong"] <= self.wrong) & (last["error"] < self.mean * self.window)
        met = met[:, -updates:]
        offset = updates - met.shape[1]
        return np.where(met.any(axis=1), met.argmax(axis=1) + offset + 1, 0)

    def note(self, row: int) -> dict[str, Any]:
        return {}


class Tests:
    """A criterion that is tested after every piece: `passed` gives for each trial how many of its marks it passes, in
    order; at the last it ends. What was passed earlier is noted under the names of the marks."""

    def __init__(self, trials: int, passed: Callable[[Online, list[int]], np.ndarray], marks: tuple[str, ...] = ()):
        self.passed, self.marks, self.lead = passed, marks, 0
        self.state: Arrays = {name: np.zeros(trials) for name in marks}

    def __call__(self, net: Online, seen: Arrays, done: int, trials: list[int]) -> np.ndarray:
        level = self.passed(net, trials)
        for k, name in enumerate(self.marks):
            new = (level > k) & (self.state[name] == 0)
            self.state[name] = np.where(new, done, self.state[name])
        return np.where(level > len(self.marks), next(iter(seen.values())).shape[1], 0)

    def note(self, row: int) -> dict[str, Any]:
        return {name: int(self.state[name][row]) or None for name in self.marks}


def learn_until(
    job: Job, net: Online, draw: Draw, judge: Judge, limit: int, piece: int = 100, finish: Finish | None = None,
    updates: int = 1,
) -> list[dict[str, Any]]:  # fmt: skip
    """Let the trials of a job learn until the judge says so, or for `limit` sequences.

    `piece` sequences are learnt at once, each by so many `updates`. A criterion that is met within a piece counts as of
    there, and the weights are those of then. A trial whose weights are no longer finite has ended unsolved. Returns a
    dict for each trial:
    "trial"; "solved"; "sequences", how many it took; and what the judge and `finish` note.
    """
    trials, done = list(job.trials), 0
    ended: list[dict[str, Any]] = []
    if (saved := job.restore()) is not None:
        meta, arrays = saved
        trials, done, ended = meta["trials"], meta["done"], meta["ended"]
        net.weights = {k: arrays[f"weight/{k}"] for k in net.weights}
        judge.state = {k: arrays[f"judge/{k}"] for k in judge.state}
    with job.progress(-(-limit // piece), done // piece, piece) as report:
        while trials and done < limit:
            drawn = [draw(rng_of(job.seed, t, DATA, done), piece, t) for t in trials]
            data = batched(drawn, net.graph.inputs)
            before = {**net.weights, **net.states}
            seen = net.learn(data)
            at = judge(net, seen, done + piece, trials)
            finite = np.all([np.isfinite(w).reshape(len(trials), -1).all(axis=1) for w in net.weights.values()], axis=0)
            stays = (at == 0) & finite
            for row in map(int, np.flatnonzero(~stays)):
                learnt = int(at[row]) or piece * updates
                weights = net.weights_after(data, before, row, learnt)
                note = {**judge.note(row), **(finish(weights, trials[row]) if finish and finite[row] else {})}
                solved = bool(finite[row] and at[row])
                count = done - (-learnt // updates) - (judge.lead if solved else 0)
                ended.append({"trial": trials[row], "solved": solved, "sequences": count, **note})
            done += piece
            if not stays.all():
                trials = [t for t, stay in zip(trials, stays, strict=True) if stay]
                net.keep(stays)
                judge.state = {k: v[stays] for k, v in judge.state.items()}
            report(float(np.mean(seen["loss"])) if trials else None)
            job.save(partial(_snapshot, trials, done, ended, net, judge))
    for row, trial in enumerate(trials):
        ended.append({"trial": trial, "solved": False, "sequences": done, **judge.note(row)})
    return sorted(ended, key=lambda e: e["trial"])


def _snapshot(
    trials: list[int], done: int, ended: list[dict[str, Any]], net: Online, judge: Judge
) -> tuple[dict[str, Any], Arrays]:
    """All that a later run goes on from."""
    arrays = {f"weight/{k}": v for k, v in net.weights.items()} | {f"judge/{k}": v for k, v in judge.state.items()}
    return {"trials": trials, "done": done, "ended": ended}, arrays


def batched(drawn: list[Arrays], shapes: Mapping[str, Any]) -> Arrays:
    """What was drawn for each trial, ``(sequence, time, ...)``, as arrays ``(trials, sequence, time, one, ...)``: each
    sequence is a batch of its own. What is no input of the graph, by `shapes`, is left out."""
    return {
        name: np.expand_dims(filled([d[name] for d in drawn]), shapes[name].index("batch") + 1)
        for name in drawn[0]
        if name in shapes
    }


def filled(arrays: list[np.ndarray]) -> np.ndarray:
    """Arrays of several trials as one; their second axis, the steps, is filled up with zeros to the longest."""
    steps = max(a.shape[1] for a in arrays)
    return np.stack([np.pad(a, [(0, 0), (0, steps - a.shape[1]), *[(0, 0)] * (a.ndim - 2)]) for a in arrays])
