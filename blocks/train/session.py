"""One call of training: updates from windows of batches, and what is noted of them and of the epochs.

What it leaves stands in the model's `Training` after every update, so that a file saved then is enough to go on from
there to the same bits.
"""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import BlocksError, FeedError, NonFiniteError, warn
from ..files import ModelFileError
from ..graph import Shape
from .best import add_to_average, averaged, compare
from .checkpoint import checkpoint_of
from .evaluate import evaluated, numbers_over
from .history import History
from .inputs import Arrays
from .joint import Fed
from .masks import all_masked
from .optimizers import Optimizer, described
from .purposes import FINAL, LOSS, METRIC, WATCH, Purpose, measured, within
from .ranks import Alone
from .schedules import plateau
from .sources import BATCH_SIZE, Batch, Source
from .state import Call, Position, Training
from .terms import Tally, Totals, check_causal
from .trainable import Trainable
from .trials import DIVERGED, Number, TrialWarning, each
from .truncated import WINDOW, Window, carried_states, slice_time, windows
from .update import Update, check_plain


@dataclass(frozen=True)
class Settings:
    """How a call of `fit` trains; what they mean stands there."""

    batch_size: int | None
    clip: float | None
    tbptt: tuple[int, int] | None
    shuffle: bool | None
    carry: bool
    accumulate: int
    average: float | None
    patience: int | None
    saved: bool

    @property
    def chunk(self) -> int | None:
        """The steps of the pieces in which validation data is run."""
        return self.tbptt[0] if self.tbptt else None


class Session:
    """One call of `fit`. Nothing of the model changes before `begin` or `resume`."""

    rule: Update
    at: Position

    def __init__(
        self,
        model: Trainable,
        source: Source,
        validation: Any,
        optimizer: Optimizer,
        settings: Settings,
        epochs: int | None,
        purpose: Purpose,
        ranks: Alone | None = None,
    ):
        self.ranks = ranks or Alone()
        self.model, self.source, self.validation, self.optimizer = model, source, validation, optimizer
        self.settings, self.epochs, self.tbptt = settings, epochs, settings.tbptt
        windowed = self.tbptt is not None and self.tbptt[1] > self.tbptt[0]
        self.purpose = purpose.called("windowed" if windowed else "train")
        self.time = model.time() if self.tbptt or settings.carry else ""
        if self.time:
            carried_states(model.graph_for("loss"), strict=True)  # an error, if they cannot be
            check_causal(model.graph_for("loss"), self.time)
        self.graph = model.graph_for(self.purpose)
        shared = self.ranks.count > 1 or settings.accumulate > 1
        self.shares = model.shares_for(self.purpose) if shared else None
        if self.shares and settings.accumulate > 1:
            self.shares.several()
        loss, metrics = measured(self.graph)
        metrics.pieces_fit(source.count != 1)
        self.tallies = Tally(loss, model.run_once), Tally(metrics, model.run_once)
        self.seen: Arrays = {}  # what is watched, in the last update
        self.counts = [name for name in self.graph.outputs if name.startswith("count/")]
        self.watched = ["loss", *(name for name in self.graph.outputs if name.startswith("value/"))]
        self.fixed: Arrays = {}  # what the batches feed that has no batch
        self.training = Training.new(model.trials)
        check_plain(optimizer)

    # -- where it begins --------------------------------------------------------------------------

    def begin(self, restart: bool) -> None:
        """Go on where the last call ended, or start over. Warns where that was in mid-epoch."""
        model = self.model
        if restart or model.training is None:
            model.training, model.history = Training.new(model.trials), History()
        self.training = training = model.training
        if training.within:
            warn(
                f"training was interrupted in epoch {training.at.epoch}, after {training.at.batch} batches: this call "
                "begins the next epoch; to finish the interrupted call: resume=True"
            )
        training.leave_epoch(keep=self.settings.carry and self.source.endless)
        training.begin(self.optimizer, model.weights, self.settings.average is not None)
        training.call = Call(self.epochs or 1, training.at.epoch, self.fingerprint())
        model.history.ended = {r: c.ended for r, c in enumerate(training.at.courses) if c.ended}
        self._ready()

    def resume(self, path: str | os.PathLike[str]) -> None:
        """Take weights, history and where training stands from a file, to finish its call. Warns if another target
        wrote it: what follows may differ in the last bits from an undisturbed run.

        Raises ModelFileError if the file is no checkpoint of this model and this call.
        """
        name, model = os.fspath(path), self.model
        training, history, weights = checkpoint_of(model, path)
        then, now = training.call.settings, self.fingerprint()
        for key in {**now, **then}:
            if key == "data" and key not in then:  # it was saved, but not by autosave
                continue
            if then.get(key) != now.get(key) and key == "data":
                raise ModelFileError(f"{name}: the data is another than when this file was written")
            if then.get(key) != now.get(key):
                raise ModelFileError(f"{name}: {key} was {then.get(key)!r}, now it is {now.get(key)!r}")
        if self.epochs not in (None, training.call.epochs):
            raise ModelFileError(
                f"{name}: epochs was {training.call.epochs}, now it is {self.epochs}; resume=True finishes that call, "
                "and then fit without it trains on"
            )
        runs = self.runs_on()
        if training.target not in ("", runs):
            warn(
                f"{name} was written by a run on {training.target}, this one is on {runs}: "
                "numbers may differ in the last bits"
            )
        training.optimizer, training.target = self.optimizer, ""
        model.training, model.history, self.training = training, history, training
        model.weights.take(weights)
        self._ready()

    def _ready(self) -> None:
        self.at = self.training.at
        self._ready_totals()
        slots, frozen = self.training.slots, self.purpose.frozen
        self.rule = Update(self.optimizer, self.model.weights, self.settings.clip, slots, frozen)
        self.rescale()

    def _ready_totals(self) -> None:
        for tally, totals in zip(self.tallies, (self.training.totals, self.training.measured), strict=True):
            totals.joins, totals.prefix = tally.terms.joins, tally.terms.prefix
            tally.totals = totals

    def fingerprint(self) -> dict[str, Any]:
        """What must be the same for a call to be finished later."""
        settings = self.settings
        same: dict[str, Any] = {
            "clip": settings.clip,
            "shuffle": settings.shuffle is not False,
            "carry": settings.carry,
        }
        same |= {
            "metrics": [name for name, _ in self.purpose.metrics],
            "batch_size": settings.batch_size,
            "accumulate": settings.accumulate,
            "average": settings.average,
            "freeze": list(self.purpose.frozen),
            "tbptt": list(self.tbptt) if self.tbptt else None,
        }
        optimizer = described(self.optimizer) or {}
        data = {"data": self.source.digest()} if self.settings.saved else {}
        return {**same, "optimizer": optimizer["optimizer"], **optimizer["settings"], **data}

    def prepare(self) -> None:
        """Have compiled what will run."""
        if self.shares:
            self.shares.prepare()
        else:
            self.model.prepare(self.purpose)
        if self.validation is not None:
            self.model.prepare(self.purpose.called("evaluate in chunks" if self.tbptt else "evaluate"))

    def runs_on(self) -> str:
        """What computes the updates: "native", "numpy" or "interpreter"."""
        return self.shares.runs_on() if self.shares else self.model.runs_on(self.purpose)

    # -- one update -------------------------------------------------------------------------------

    def windows_of(self, batch: Batch) -> list[Window | None]:
        """The windows of a batch; None for all of its steps at once."""
        if not self.tbptt:
            return [None]
        self.check_ends(batch)
        return list(windows(batch.steps(self.time), *self.tbptt))

    def check_ends(self, batch: Batch) -> None:
        """Raises BlocksError for sequences of unequal length, of which each trial has others: the last k2 of k1 steps
        are counted from the end of a batch, which then is not where it is for a trial alone."""
        unequal = len(set(batch.data.lengths.get(self.time, np.empty(0)).tolist())) > 1
        if unequal and batch.index.ndim > 1 and self.tbptt and self.tbptt[1] < self.tbptt[0]:
            raise BlocksError(
                f"tbptt={self.tbptt} counts from the ends of sequences, which differ among the trials' batches: "
                "take k2 from k1 on, or shuffle=False"
            )

    def update(self, feeds: Arrays, window: Window | None) -> Any:
        """One update; its loss, or None if the mask leaves nothing to learn from. With trials an array, with NaN for
        those that are not updated."""
        idle, states = np.zeros((), bool), dict[str, Any]()
        if window:
            counted = slice_time(self.graph, feeds, self.time, window.counts, window.stop)
            idle = all_masked(self.graph, counted)
            if idle.all():
                return None
            states = self.states_before(window.start, feeds)
            feeds = slice_time(self.graph, feeds, self.time, window.start, window.stop)
            if self.purpose.name == "windowed":
                counts = np.arange(window.start, window.stop) >= window.counts
                feeds[WINDOW] = counts.astype(self.model.dtype)
        elif self.settings.carry:
            states = self.states_before(0, feeds)
        numbers = self.numbers()
        results = self.results([({**feeds, **states}, numbers)])
        loss = self.move(results, numbers, ~idle)
        if window or self.settings.carry:
            finals = within(results, FINAL)
            start, stop = (window.start, window.stop) if window else (1, 0)
            self.training.carried = {t: s for t, s in self.training.carried.items() if t >= start} | {stop: finals}
        return loss

    def update_of_all(self, batches: Sequence[Batch]) -> Any:
        """One update from several batches, as `update`. The numbers that a batch draws are its own."""
        numbers, many = self.numbers(), self.settings.accumulate
        fed: list[Fed] = []
        for k, batch in enumerate(batches):
            own = numbers * many + k if isinstance(numbers, int) else tuple(n * many + k for n in numbers)
            fed.append((batch.feeds, own))
        return self.move(self.results(fed), numbers, np.ones((), bool))

    def results(self, batches: Sequence[Fed]) -> Arrays:
        """What the graph of an update gives over all rows of some batches."""
        return self.ranks.results(self.model, self.shares, self.purpose, batches)

    def move(self, results: Arrays, numbers: Number, seen: np.ndarray) -> Any:
        """Move the weights by what a graph has given, and note it; the loss as that of `update`."""
        lr = self.rates(numbers)
        norm = self.rule.propose(results, self.ages(), lr)
        moving = self.moving(results, norm, numbers, seen)
        if not moving.any():
            return None
        for tally in self.tallies:
            tally.totals.add(results, moving)
        self.rule.accept(moving)
        if self.settings.average is not None:
            add_to_average(self.training, self.model.weights, self.settings.average, moving)
        numbers_now = {LOSS: results[LOSS], "norm": norm, **within(results, METRIC)}
        now: dict[str, Any]
        if self.model.trials is None:
            now = {name: float(value) for name, value in numbers_now.items()}
        else:
            now = {name: each(moving, value, np.nan) for name, value in numbers_now.items()}
        loss, norms = now.pop(LOSS), now.pop("norm")
        record = {"step": self.at.step, "epoch": self.at.epoch, "loss": loss, "norm": norms, "lr": lr, **now}
        self.model.history.steps.append(record)
        self.seen = within(results, WATCH)
        self.at.step += 1
        self.training.target = self.training.target or self.runs_on()
        for course, moves in zip(self.at.courses, np.atleast_1d(moving).tolist(), strict=True):
            course.updates += moves
        return loss

    def record(self) -> dict[str, Any]:
        """The record of the last update, with what is watched: ``(batch, time, ...)``, behind trials."""
        record = self.model.history.steps[-1]
        if not self.purpose.watch:
            return record
        shapes = {name: self.graph.outputs[WATCH + name].shape for name in self.seen}
        return {**record, "outputs": {name: self._batch_first(v, shapes[name]) for name, v in self.seen.items()}}

    def _batch_first(self, array: np.ndarray, shape: Shape) -> np.ndarray:
        if "batch" not in shape:
            return array
        front = array.ndim - len(shape)
        return np.moveaxis(array, front + shape.index("batch"), front)

    def stopped(self, stop: bool, ended: np.ndarray) -> bool:
        """Whether training stops, as callbacks say; those trials end that they say."""
        for r in np.flatnonzero(ended):
            if not self.at.courses[r].ended:
                self.end(int(r), f"stopped by a callback after update {self.at.courses[r].updates - 1}")
        return stop

    def ages(self) -> Any:
        """How many updates the optimizer has made before the next one, as `numbers`."""
        if self.model.trials is None:
            return self.at.courses[0].updates - self.at.courses[0].since
        return np.array([c.updates - c.since for c in self.at.courses])

    def numbers(self) -> Number:
        """The number of the next update; of each trial, where they differ because the mask left nothing to some."""
        if self.model.trials is None:
            return self.at.courses[0].updates
        numbers = tuple(c.updates for c in self.at.courses)
        running = {c.updates for c in self.at.courses if not c.ended}
        return running.pop() if len(running) == 1 else numbers

    def rates(self, numbers: Number) -> Any:
        """The learning rates of some updates."""
        if isinstance(numbers, int) and len(set(self.scales)) == 1:
            return self.optimizer.rate(numbers, self.scales[0])
        of_each = numbers if isinstance(numbers, tuple) else (numbers,) * len(self.scales)
        return np.array([self.optimizer.rate(n, scale) for n, scale in zip(of_each, self.scales, strict=True)])

    def rescale(self) -> None:
        """What a plateau makes of the learning rate of each trial, after the epochs so far."""
        lr, epochs = self.optimizer.lr, self.model.history.epochs
        self.scales = [1.0] * len(self.at.courses)
        if isinstance(lr, plateau):
            seen = [np.atleast_1d(e[lr.of]) for e in epochs if lr.of in e]
            self.scales = [lr.scale([float(values[r]) for values in seen]) for r in range(len(self.scales))]

    def moving(self, results: Arrays, norm: np.ndarray, numbers: Number, seen: np.ndarray) -> np.ndarray:
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
                raise NonFiniteError(self.ranks.why_not_finite(self.model, self.purpose, numbers))
            return moving
        moving = moving & [not c.ended for c in self.at.courses]
        for r in np.flatnonzero(moving & ~finite):
            why = self.ranks.why_not_finite(self.model, self.purpose, numbers, int(r))
            self.end(int(r), f"diverged: {why}")
        return moving & finite

    def end(self, trial: int, why: str) -> None:
        """Note that a trial trains no more. Raises NonFiniteError, if all have diverged."""
        self.at.courses[trial].ended = self.model.history.ended[trial] = why
        if why.startswith(DIVERGED):
            if all(c.ended.startswith(DIVERGED) for c in self.at.courses):
                raise NonFiniteError(f"all trials diverged, the last of them, trial {trial}: {why}")
            if self.ranks.rank == 0:
                warnings.warn(f"trial {trial} {why}; the others go on", TrialWarning, stacklevel=2)

    def states_before(self, start: int, feeds: Arrays) -> Arrays:
        """The states before step `start`: as carried over, or run up to there from the last ones known."""
        carried = self.training.carried
        if start == 0:
            return carried.get(0, {})
        if start not in carried:
            known = max((t for t in carried if t <= start), default=0)
            graph = self.model.graph_for("advance")
            part = slice_time(graph, feeds, self.time, known, start)
            states = carried.get(known, {})
            if not all_masked(graph, part).all():
                results = self.model.execute("advance", {**part, **states}, self.numbers())
                states = within(results, FINAL)
            carried[start] = states
        return carried[start]

    # -- epochs -----------------------------------------------------------------------------------

    def updates_per_epoch(self) -> int | None:
        """How many updates an epoch has (exactly, where sequences have one length), if that is known before."""
        if not self.tbptt:
            return self.source.count and -(-self.source.count // self.settings.accumulate)
        steps = self.source.steps(self.at, self.time)
        return None if steps is None else sum(len(list(windows(n, *self.tbptt))) for n in steps)

    def run_epoch(self) -> Iterator[Any]:
        """The rest of the epoch, from where training stands; yields after each update."""
        if self.settings.accumulate > 1:
            yield from self.run_groups()
            return
        for batch in self.source.batches(self.at):
            if self.at.ended:
                return
            self.check_carried(batch)
            self.keep_fixed(batch)
            todo = self.windows_of(batch)
            while self.at.window < len(todo):
                loss = self.update(batch.feeds, todo[self.at.window])
                self.at.window += 1
                if self.at.window == len(todo):
                    self.end_batch(batch)
                    yield loss
                    break
                yield loss

    def run_groups(self) -> Iterator[Any]:
        """As `run_epoch`, with an update from several batches."""
        batches = self.source.batches(self.at)
        while (group := list(itertools.islice(batches, self.settings.accumulate))) and not self.at.ended:
            for batch in group:
                self.keep_fixed(batch)
            loss = self.update_of_all(group)
            for batch in group:
                self.end_batch(batch)
            yield loss

    def keep_fixed(self, batch: Batch) -> None:
        """Keep what a batch feeds that has no batch: the loss of the epoch may need it."""
        self.fixed |= {k: v for k, v in batch.feeds.items() if "batch" not in self.source.inputs.nodes[k].shape}

    def check_carried(self, batch: Batch) -> None:
        """Raises FeedError for a batch that has not as many sequences as the states that are carried to it."""
        for name, state in self.training.carried.get(0, {}).items():
            shape = self.model.graph.inputs.get(name, ())
            many = state.shape[shape.index("batch") + (self.model.trials is not None)] if "batch" in shape else 0
            if many and many != batch.index.shape[-1]:
                raise FeedError(
                    f"carry=True: the batch {self.at.batches} has {batch.index.shape[-1]} sequences, that before it "
                    f"{many}; states are carried from sequence to sequence"
                )

    def end_batch(self, batch: Batch) -> None:
        """Note that a batch is done."""
        carried: dict[int, Arrays] = {}
        if self.settings.carry:
            end = batch.steps(self.time) if self.tbptt else 0
            carried = {0: self.states_before(end, batch.feeds)}
        self.training.carried = carried
        self.at.batch, self.at.window, self.at.batches = self.at.batch + 1, 0, self.at.batches + 1

    def end_epoch(self) -> None:
        """Note the epoch's losses; decide on early stopping."""
        history = self.model.history
        losses = [s["loss"] for s in history.steps if s["epoch"] == self.at.epoch]
        record: dict[str, Any] = {"epoch": self.at.epoch}
        if losses:
            numbers = numbers_over(self.model, *self.tallies, self.fixed)
            if None in self.tallies[0].terms.joins:
                numbers[LOSS] = _mean(losses)
            one = self.model.trials is None
            record |= {name: n if one else each(_any(losses), n, np.nan) for name, n in numbers.items()}
        self.training.totals, self.training.measured = Totals([]), Totals([])
        self._ready_totals()
        if self.validation is not None:
            size = self.settings.batch_size or BATCH_SIZE
            with averaged(self.training, self.model.weights):
                found = evaluated(self.model, self.validation, size, self.settings.chunk, self.purpose)
            record["validation"] = found.pop(LOSS)
            record |= {f"validation_{name}": value for name, value in found.items()}
            losses_now = np.atleast_1d(record["validation"])
            compare(self.training, self.model.weights, losses_now, self.settings.patience, self.end)
        history.epochs.append(record)
        self.rescale()
        self.at.next_epoch()
        if not self.source.endless:
            self.training.carried = {}


def _any(losses: list[Any]) -> np.ndarray:
    """Which trials have a loss among some, ``(updates, trials)``."""
    return np.asarray(np.isfinite(losses).any(axis=0))


def _mean(losses: list[Any]) -> Any:
    """The mean of some losses; of each trial, over those that it has."""
    if np.ndim(losses) < 2:
        return float(np.mean(losses))
    seen = np.isfinite(losses)
    return np.where(seen, losses, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
