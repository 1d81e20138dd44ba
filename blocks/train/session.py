"""One run of training: updates from windows of batches, and where it stands between two of them.

Everything that decides what comes next stands in `Position`, so that a file saved after any update is
enough to go on from there to the same bits. The order of the data is drawn from the seed and the epoch,
so no generator has a state to save.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Protocol

import numpy as np

from ..errors import BlocksError, NonFiniteError, warn
from ..graph import Graph
from .data import Arrays, Data
from .files import ModelFileError, read_model
from .history import History
from .masks import all_masked
from .optimizers import Optimizer, plain
from .terms import Terms, Totals, check_causal
from .trials import Course, Number, TrialWarning, each
from .truncated import WINDOW, Window, carried_states, parse_tbptt, slice_time, windows
from .update import Update
from .vector import Vector

DIVERGED = "diverged"
SLOT, BEST = "//slot/", "//best/"


class Trainable(Protocol):
    """What training asks of a model."""

    graph: Graph
    info: dict[str, Any]
    history: History
    seed: int
    dtype: np.dtype
    trials: int | None

    @property
    def weights(self) -> Vector:
        """Name → array."""

    def graph_for(self, purpose: str) -> Graph:
        """The graph of one purpose, "train" say."""

    def execute(self, purpose: str, feeds: Mapping[str, Any], step: Number | None = None) -> Arrays:
        """Run it, and see that all is finite."""

    def results(self, purpose: str, feeds: Mapping[str, Any], step: Number | None = None) -> Arrays:
        """Run it."""

    def why_not_finite(
        self,
        purpose: str,
        feeds: Mapping[str, Any],
        results: Arrays,
        step: Number | None = None,
        trial: int | None = None,
    ) -> str:
        """What is not, and where."""

    def runs_on(self, purpose: str) -> str:
        """The target of that graph."""

    def prepare(self, purpose: str) -> None:
        """Compile what runs it."""

    def time(self) -> str:
        """The name of the time dimension."""

    def terms(self, time: str | None = None) -> Terms:
        """What the loss counts."""

    def loss_over(self, terms: Terms, totals: Totals, data: Data) -> Any:
        """The loss, given its terms."""

    def evaluate(self, data: Mapping[str, Any], batch_size: int, chunk: int | None) -> Any:
        """The loss of some data."""

    def write(self, path: str | os.PathLike[str], arrays: Arrays, meta: Mapping[str, Any]) -> None:
        """Write the model to a file, with more arrays and JSON values along."""


@dataclass
class Position:
    """Where training stands, between two updates."""

    epoch: int = 0
    batch: int = 0  # in the epoch
    window: int = 0  # in the batch
    step: int = 0  # updates so far
    courses: list[Course] = field(default_factory=list)  # of each trial; of the only one

    @property
    def ended(self) -> bool:
        """Whether no trial trains any more."""
        return all(course.ended for course in self.courses)


class Session:
    """One call of `fit`."""

    def __init__(
        self,
        model: Trainable,
        data: Data,
        validation: Mapping[str, Any] | None,
        optimizer: Optimizer,
        settings: dict[str, Any],
    ):
        self.model, self.data, self.validation, self.optimizer = model, data, validation, optimizer
        self.settings = settings
        self.tbptt = parse_tbptt(settings["tbptt"])
        self.at = Position(courses=[Course() for _ in range(model.trials or 1)])
        self.rule = Update(optimizer, model.weights, settings["clip"])
        self.carried: dict[int, Arrays] = {}  # step in the sequences → the states before it
        self.best_weights = np.empty(0)  # as one vector; empty, before there are any
        self.purpose = "train"
        self.time = ""
        if self.tbptt:
            self.time = model.time()
            carried_states(model.graph_for("loss"), strict=True)  # an error, if they cannot be
            check_causal(model.graph_for("loss"), self.time)
            self.purpose = "windowed" if self.tbptt[1] > self.tbptt[0] else "train"
            if settings["shuffle"] and model.trials is not None and self.tbptt[1] < self.tbptt[0]:
                self.check_ends()
        self.graph = model.graph_for(self.purpose)
        self.terms = Terms(self.graph.outputs["loss"])
        self.totals = Totals(self.terms.joins)  # of this epoch's updates
        self.counts = [name for name in self.graph.outputs if name.startswith("count/")]
        self.watched = ["loss", *(name for name in self.graph.outputs if name.startswith("value/"))]

    def check_ends(self) -> None:
        """Raises BlocksError for sequences of unequal length, of which each trial has others: the last k2 of k1 steps
        are counted from the end of a batch, which then is not where it is for a trial alone."""
        lengths = self.data.lengths.get(self.time)
        if lengths is not None and len(set(lengths.tolist())) > 1:
            raise BlocksError(
                f"tbptt={self.tbptt} counts from the ends of sequences, which differ among the trials' batches: "
                "take k2 from k1 on, or shuffle=False"
            )

    # -- one update -------------------------------------------------------------------------------

    def windows_of(self, index: np.ndarray) -> list[Window | None]:
        """What the updates of a batch see; None: everything."""
        if not self.tbptt:
            return [None]
        return list(windows(self.data.steps_of(index, self.time), *self.tbptt))

    def update(self, feeds: Arrays, window: Window | None) -> Any:
        """One update; returns the loss, or None where the mask leaves nothing to learn from. A trial whose loss or
        gradient is not finite ends before it. Raises NonFiniteError, if that is so of all trials."""
        idle = np.zeros((), bool)
        if window:
            counted = slice_time(self.graph, feeds, self.time, window.counts, window.stop)
            idle = all_masked(self.graph, counted)
            if idle.all():
                return None
            states = self.states_before(window.start, feeds)
            feeds = {**slice_time(self.graph, feeds, self.time, window.start, window.stop), **states}
            if self.purpose == "windowed":
                counts = np.arange(window.start, window.stop) >= window.counts
                feeds[WINDOW] = counts.astype(self.model.dtype)
        numbers = self.numbers()
        results = self.model.results(self.purpose, feeds, numbers)
        lr = self.rates(numbers)
        norm = self.rule.propose(results, numbers, lr)
        moving = self.moving(results, norm, feeds, numbers, ~idle)
        if window:
            self.carried = {t: s for t, s in self.carried.items() if t >= window.start}
            self.carried[window.stop] = {k[6:]: v for k, v in results.items() if k.startswith("final/")}
        if not moving.any():
            return None
        self.totals.add(results, moving)
        self.rule.accept(moving)
        one = self.model.trials is None
        loss: Any = float(results["loss"]) if one else each(moving, results["loss"], np.nan)
        norms = float(norm) if one else each(moving, norm, np.nan)
        record = {"step": self.at.step, "epoch": self.at.epoch, "loss": loss, "norm": norms, "lr": lr}
        self.model.history.steps.append(record)
        self.at.step += 1
        for course, moves in zip(self.at.courses, np.atleast_1d(moving).tolist(), strict=True):
            course.updates += moves
        return loss

    def numbers(self) -> Number:
        """The number of the next update; of each trial, where they differ because the mask left nothing to some."""
        if self.model.trials is None:
            return self.at.courses[0].updates
        numbers = tuple(c.updates for c in self.at.courses)
        running = {c.updates for c in self.at.courses if not c.ended}
        return running.pop() if len(running) == 1 else numbers

    def rates(self, numbers: Number) -> Any:
        """The learning rates of some updates."""
        if isinstance(numbers, int):
            return self.optimizer.rate(numbers)
        return np.array([self.optimizer.rate(n) for n in numbers])

    def moving(self, results: Arrays, norm: np.ndarray, feeds: Arrays, numbers: Number, seen: np.ndarray) -> np.ndarray:
        """Which trials an update moves, ``(trials,)``, or whether it moves the only one, ``()``: those that have not
        ended, that the mask leaves something (of what is `seen`), and whose loss and gradient are finite. A gradient is
        so where its norm is. Raises NonFiniteError where the only one is not."""
        learns = np.not_equal(results[self.counts[0]], 0) if self.counts else np.ones(norm.shape, bool)
        for name in self.counts[1:]:
            learns = learns | np.not_equal(results[name], 0)
        moving = learns & seen
        finite = np.isfinite(norm)
        for name in self.watched:
            here = np.isfinite(results[name])
            finite = finite & (here if here.ndim == finite.ndim else here.reshape(*finite.shape, -1).all(axis=-1))
        if self.model.trials is None:
            if moving and not finite:
                raise NonFiniteError(self.model.why_not_finite(self.purpose, feeds, results, numbers))
            return moving
        moving = moving & [not c.ended for c in self.at.courses]
        for r in np.flatnonzero(moving & ~finite):
            why = self.model.why_not_finite(self.purpose, feeds, results, numbers, int(r))
            self.end(int(r), f"diverged: {why}")
        return moving & finite

    def end(self, trial: int, why: str) -> None:
        """Note that a trial trains no more. Raises NonFiniteError, if all have diverged."""
        self.at.courses[trial].ended = self.model.history.ended[trial] = why
        if why.startswith(DIVERGED):
            if all(c.ended.startswith(DIVERGED) for c in self.at.courses):
                raise NonFiniteError(f"all trials diverged, the last of them, trial {trial}: {why}")
            warnings.warn(f"trial {trial} {why}; the others go on", TrialWarning, stacklevel=2)

    def states_before(self, start: int, feeds: Arrays) -> Arrays:
        """The states before step `start`: as carried over, or run up to there from the last ones known."""
        if start == 0:
            return {}
        if start not in self.carried:
            known = max((t for t in self.carried if t <= start), default=0)
            graph = self.model.graph_for("advance")
            part = slice_time(graph, feeds, self.time, known, start)
            states = self.carried.get(known, {})
            if not all_masked(graph, part).all():
                results = self.model.execute("advance", {**part, **states}, self.numbers())
                states = {k[6:]: v for k, v in results.items()}
            self.carried[start] = states
        return self.carried[start]

    # -- epochs -----------------------------------------------------------------------------------

    def order(self) -> np.ndarray:
        """The order of the samples in this epoch; of each trial, ``(trials, samples)``, where it is drawn."""
        if not self.settings["shuffle"]:
            return np.arange(self.data.samples)
        seeds = [self.model.seed + r for r in range(self.model.trials or 1)]
        orders = [np.random.default_rng([seed, self.at.epoch]).permutation(self.data.samples) for seed in seeds]
        return orders[0] if self.model.trials is None else np.stack(orders)

    def updates_per_epoch(self) -> int:
        """How many updates an epoch has (exactly, where sequences have one length)."""
        size = self.settings["batch_size"]
        order = self.order()
        groups = [order[..., i : i + size] for i in range(0, self.data.samples, size)]
        return sum(len(self.windows_of(g)) for g in groups)

    def run_epoch(self) -> Iterator[Any]:
        """The rest of the epoch, from where training stands; yields after each update."""
        size, order = self.settings["batch_size"], self.order()
        while self.at.batch * size < self.data.samples and not self.at.ended:
            index = order[..., self.at.batch * size : (self.at.batch + 1) * size]
            feeds, todo = self.data.batch(index), self.windows_of(index)
            while self.at.window < len(todo):
                loss = self.update(feeds, todo[self.at.window])
                self.at.window += 1
                if self.at.window == len(todo):
                    self.at.batch, self.at.window, self.carried = self.at.batch + 1, 0, {}
                    yield loss
                    break
                yield loss

    def end_epoch(self) -> None:
        """Note the epoch's losses; decide on early stopping."""
        history = self.model.history
        losses = [s["loss"] for s in history.steps if s["epoch"] == self.at.epoch]
        record: dict[str, Any] = {"epoch": self.at.epoch}
        if losses:
            cut = None not in self.terms.joins
            mean = self.model.loss_over(self.terms, self.totals, self.data) if cut else _mean(losses)
            record["loss"] = mean if self.model.trials is None else each(_any(losses), mean, np.nan)
        self.totals = Totals(self.terms.joins)
        if self.validation is not None:
            chunk = self.tbptt[0] if self.tbptt else None
            record["validation"] = self.model.evaluate(self.validation, self.settings["batch_size"], chunk)
            self.compare(np.atleast_1d(record["validation"]))
        history.epochs.append(record)
        self.at.epoch, self.at.batch, self.at.window = self.at.epoch + 1, 0, 0

    def compare(self, losses: np.ndarray) -> None:
        """Keep the weights of each trial whose validation loss is the best so far; early stopping of each."""
        better = np.zeros(len(losses), bool)
        for r, (course, loss) in enumerate(zip(self.at.courses, losses.tolist(), strict=True)):
            if course.ended:
                continue
            if not np.isfinite(loss):
                self.end(r, f"diverged: its validation loss is {loss} after epoch {self.at.epoch}")
            elif course.best is None or loss < course.best:
                course.best, course.waited, better[r] = loss, 0, True
            else:
                course.waited += 1
                if self.settings["patience"] is not None and course.waited >= self.settings["patience"]:
                    self.end(r, f"stopped after epoch {self.at.epoch}: no better validation loss for {course.waited}")
        if better.any():
            self.best_weights = self.chosen(better, self.best_weights)

    def go_back(self) -> None:
        """Take the weights with the best validation loss; those as they are, where there is none."""
        if self.best_weights.size:
            known = np.array([c.best is not None for c in self.at.courses])
            np.copyto(self.model.weights.all, self.chosen(~known, self.best_weights))

    def chosen(self, now: np.ndarray, best: np.ndarray) -> np.ndarray:
        """The weights as they are, as one vector, for some trials; else those that were the best."""
        weights = self.model.weights.all
        if not best.size:
            return weights.copy()
        return np.where(now if self.model.trials is None else now[:, None], weights, best)

    def prepare(self) -> None:
        """Have compiled what will run."""
        self.model.prepare(self.purpose)
        if self.validation is not None:
            self.model.prepare("evaluate in chunks" if self.tbptt else "evaluate")

    # -- checkpoints ------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write weights, slots, carried states and position to one file, whole or not at all."""
        arrays = {f"{SLOT}{slot}/{k}": v for slot, vector in self.rule.slots.items() for k, v in vector.items()}
        if self.best_weights.size:
            arrays |= {f"{BEST}{k}": v for k, v in self.model.weights.like(self.best_weights).items()}
        arrays |= {f"//state/{t}/{k}": v for t, states in self.carried.items() for k, v in states.items()}
        arrays |= self.totals.arrays("//epoch/")
        history = self.model.history
        training = {"position": asdict(self.at), "settings": self.fingerprint(), "carried": list(self.carried)}
        training["target"] = self.model.runs_on(self.purpose)
        self.model.write(path, arrays, {"training": {**training, "steps": history.steps, "epochs": history.epochs}})

    def fingerprint(self) -> dict[str, Any]:
        """What must be the same for a run to be resumed."""
        settings = {k: plain(v) for k, v in self.optimizer.__dict__.items()}
        tbptt = list(self.tbptt) if self.tbptt else None
        same = {k: self.settings[k] for k in ("batch_size", "clip", "shuffle")}
        same["optimizer"] = type(self.optimizer).__name__
        return {**same, "tbptt": tbptt, "samples": self.data.samples, **settings, "data": self.data.digest()}

    def resume(self, path: str | os.PathLike[str]) -> None:
        """Take weights, slots and position from a checkpoint. Warns if another target wrote it: what follows may
        differ in the last bits from an undisturbed run.

        Raises ModelFileError if the file is no checkpoint of this model and these settings.
        """
        graph, arrays, meta = read_model(path)
        name, training = os.fspath(path), meta.get("training")
        if not isinstance(training, dict):
            raise ModelFileError(f"{name}: this is a model, but no checkpoint: it does not say where training stood")
        same = meta.get("seed") == self.model.seed and meta.get("trials") == self.model.trials
        if graph.params != self.model.graph.params or not same:
            raise ModelFileError(f"{name}: this is a checkpoint of another model")
        if str(meta.get("dtype")) != str(self.model.dtype):
            raise ModelFileError(f"{name}: this checkpoint is {meta.get('dtype')}, the model {self.model.dtype}")
        try:
            then, now = dict(training["settings"]), self.fingerprint()
            for key in {**now, **then}:
                if then.get(key) != now.get(key) and key == "data":
                    raise ModelFileError(f"{name}: the data is another than when this file was written")
                if then.get(key) != now.get(key):
                    raise ModelFileError(f"{name}: {key} was {then.get(key)!r}, now it is {now.get(key)!r}")
            at = Position(**{f.name: training["position"][f.name] for f in fields(Position)})
            at.courses = [Course(**course) for course in training["position"]["courses"]]
            slots = {slot: vector.like() for slot, vector in self.rule.slots.items()}
            for slot, vector in slots.items():
                vector.take({name: arrays[f"{SLOT}{slot}/{name}"] for name in vector})
            best = self.model.weights.like()
            best.take(arrays, BEST)
            carried = {
                int(t): {k[len(f"//state/{t}/") :]: v for k, v in arrays.items() if k.startswith(f"//state/{t}/")}
                for t in training["carried"]
            }
            totals = Totals(self.terms.joins)
            totals.restore(arrays, "//epoch/")
            history = History(ended={r: c.ended for r, c in enumerate(at.courses) if c.ended})
            history.read(training["steps"], training["epochs"])
        except ModelFileError:
            raise
        except (BlocksError, KeyError, TypeError, ValueError) as error:
            raise ModelFileError(f"{name}: this checkpoint is broken ({error})") from None
        wrote, runs = training.get("target"), self.model.runs_on(self.purpose)
        if wrote not in (None, runs):
            warn(f"{name} was written by a run on {wrote}, this one is on {runs}: numbers may differ in the last bits")
        self.at, self.carried, self.totals = at, carried, totals
        if any(name.startswith(BEST) for name in arrays):
            self.best_weights = best.all
        for slot, vector in slots.items():
            self.rule.slots[slot].take(vector)
        self.model.weights.take({k: arrays[k] for k in self.model.weights})
        self.model.history = history


def _any(losses: list[Any]) -> np.ndarray:
    """Which trials have a loss among some, ``(updates, trials)``."""
    return np.asarray(np.isfinite(losses).any(axis=0))


def _mean(losses: list[Any]) -> Any:
    """The mean of some losses; of each trial, over those that it has."""
    if np.ndim(losses) < 2:
        return float(np.mean(losses))
    seen = np.isfinite(losses)
    return np.where(seen, losses, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
