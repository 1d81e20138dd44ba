"""One call of training: updates from windows of batches, and what is noted of them and of the epochs.

What it leaves stands in the model's `Training` after every update, so that a file saved then is enough to go on from
there to the same bits.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..compile import INTERPRETER, NUMPY
from ..compile.choice import choose
from ..errors import warn
from ..files import ModelFileError
from ..graph import Shape
from .best import averaged, compare
from .carry import Carry
from .checkpoint import checkpoint_of
from .evaluate import evaluated, numbers_over
from .history import History
from .inputs import Arrays
from .joint import Fed
from .moves import Moves, TrialMoves
from .optimizers import Optimizer, described
from .purposes import LOSS, WATCH, Purpose, measured
from .ranks import Alone
from .sources import BATCH_SIZE, Batch, Source
from .state import Call, Position, Training
from .terms import Tally, Totals
from .trainable import Trainable
from .trials import Number, each
from .truncated import Window, windows
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

    moves: Moves
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
        self.carry = Carry(model, self.purpose, self.tbptt, settings.carry)
        self.time = self.carry.time
        self.graph = model.graph_for(self.purpose)
        shared = self.ranks.count > 1 or settings.accumulate > 1
        self.shares = model.shares_for(self.purpose) if shared else None
        if self.shares and settings.accumulate > 1:
            self.shares.several()
        loss, metrics = measured(self.graph)
        metrics.pieces_fit(source.count != 1)
        self.tallies = Tally(loss, model.run_once), Tally(metrics, model.run_once)
        self.watched = {k.removeprefix(WATCH): k for k in self.graph.outputs if k.startswith(WATCH)}
        self.seen: Arrays = {}  # what is watched, in the last update
        self.alike = [name for name, node in source.inputs.nodes.items() if "batch" not in node.shape]
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
        self.at, self.carry.training = self.training.at, self.training
        self._ready_totals()
        model, settings, purpose = self.model, self.settings, self.purpose
        gradient = None if self.shares else model.gradient_for(purpose)
        slots, frozen = self.training.slots, purpose.frozen
        target = NUMPY if model.target == INTERPRETER else choose(self.graph, model.target)[0]
        rule = Update(self.optimizer, model.weights, settings.clip, slots, frozen, gradient, target.name)
        kind = Moves if model.trials is None else TrialMoves
        self.moves = kind(model, purpose, self.training, rule, settings.average, self.tallies, self.ranks)

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
        self.moves.rule.program.prepare(self.model.dtype)
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

    def update(self, feeds: Arrays, window: Window | None) -> Any:
        """One update; its loss, or None if the mask leaves nothing to learn from. With trials an array, with NaN for
        those that are not updated."""
        numbers, seen = self.moves.numbers(), True
        if self.carry.needed:
            feeds, seen = self.carry.before(feeds, window, numbers)
            if seen is False:
                return None
        results = self.results([(feeds, numbers)])
        loss = self.move(results, numbers, seen)
        if self.carry.needed:
            self.carry.after(results, window)
        return loss

    def update_of_all(self, batches: Sequence[Batch]) -> Any:
        """One update from several batches, as `update`. The numbers that a batch draws are its own."""
        numbers, many = self.moves.numbers(), self.settings.accumulate
        fed: list[Fed] = []
        for k, batch in enumerate(batches):
            own = numbers * many + k if isinstance(numbers, int) else tuple(n * many + k for n in numbers)
            fed.append((batch.feeds, own))
        return self.move(self.results(fed), numbers, True)

    def results(self, batches: Sequence[Fed]) -> Arrays:
        """What the graph of an update gives over all rows of some batches; its gradients stand in `moves.rule`."""
        results = self.ranks.results(self.model, self.shares, self.purpose, batches)
        if self.shares:
            self.moves.rule.take(results)
        return results

    def move(self, results: Arrays, numbers: Number, seen: Any) -> Any:
        """Move the weights by what the graph has given; see `Moves.move`."""
        loss = self.moves.move(results, numbers, seen)
        if loss is not None:
            self.seen = {name: results[key] for name, key in self.watched.items()}
            self.training.target = self.training.target or self.runs_on()
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

    def stopped(self, stop: bool, ended: Sequence[int]) -> bool:
        """Whether training stops, as callbacks say; those trials end that they say."""
        for r in ended:
            if not self.at.courses[r].ended:
                self.moves.end(r, f"stopped by a callback after update {self.at.courses[r].updates - 1}")
        return stop

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
            self.keep_fixed(batch)
            todo = self.carry.windows_of(batch)
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
        for name in self.alike:
            if name in batch.feeds:
                self.fixed[name] = batch.feeds[name]

    def end_batch(self, batch: Batch) -> None:
        """Note that a batch is done."""
        self.carry.end_batch(batch, self.moves.numbers())
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
            compare(self.training, self.model.weights, losses_now, self.settings.patience, self.moves.end)
        history.epochs.append(record)
        self.moves.rescale()
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
