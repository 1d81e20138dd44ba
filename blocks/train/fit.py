"""The training loop: epochs of batches of windows, one update each.

Everything that decides what comes next stands in `Position`, so that a checkpoint after any update is
enough to go on from there to the same bits. The order of the data is drawn from the seed and the epoch,
so no generator has a state to save.
"""

from __future__ import annotations

import os
import signal
import threading
import time as clock
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..errors import BlocksError, nearest
from ..graph import Graph
from .data import Arrays, Data, is_number, is_whole
from .files import ModelFileError, check_writable, json_value, read_model
from .history import History
from .masks import all_masked
from .optimizers import Optimizer, clip_by_norm, optimizer_named, plain
from .progress import bar
from .terms import Terms, Totals, check_causal
from .truncated import WINDOW, Window, carried_states, parse_tbptt, slice_time, windows


class Trainable(Protocol):
    """What training asks of a model."""

    graph: Graph
    info: dict[str, Any]
    weights: Arrays
    history: History
    seed: int
    dtype: np.dtype

    def graph_for(self, purpose: str) -> Graph:
        """The graph of one purpose, "train" say."""

    def execute(self, purpose: str, feeds: Mapping[str, Any], step: int | None = None) -> Arrays:
        """Run it."""

    def time(self) -> str:
        """The name of the time dimension."""

    def terms(self, time: str | None = None) -> Terms:
        """What the loss counts."""

    def loss_over(self, terms: Terms, totals: Totals, data: Data) -> float:
        """The loss, given its terms."""

    def evaluate(self, data: Mapping[str, Any], batch_size: int, chunk: int | None) -> float:
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
    best: float | None = None  # the best validation loss so far
    waited: int = 0  # epochs since then
    stopped: bool = False  # by early stopping


class _Session:
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
        self.at = Position()
        self.slots = optimizer.slots(model.weights)
        self.carried: dict[int, Arrays] = {}  # step in the sequences → the states before it
        self.best_weights: Arrays = {}
        self.purpose = "train"
        self.time = ""
        if self.tbptt:
            self.time = model.time()
            carried_states(model.graph_for("loss"), strict=True)  # an error, if they cannot be
            check_causal(model.graph_for("loss"), self.time)
            self.purpose = "windowed" if self.tbptt[1] > self.tbptt[0] else "train"
        self.graph = model.graph_for(self.purpose)
        self.terms = Terms(self.graph.outputs["loss"])
        self.totals = Totals(self.terms.joins)  # of this epoch's updates

    # -- one update -------------------------------------------------------------------------------

    def windows_of(self, index: np.ndarray) -> list[Window | None]:
        """What the updates of a batch see; None: everything."""
        if not self.tbptt:
            return [None]
        return list(windows(self.data.steps_of(index, self.time), *self.tbptt))

    def update(self, feeds: Arrays, window: Window | None) -> float | None:
        """One update; returns the loss, or None where the mask leaves nothing to learn from."""
        if window:
            counted = slice_time(self.graph, feeds, self.time, window.counts, window.stop)
            if all_masked(self.graph, counted):
                return None
            states = self.states_before(window.start, feeds)
            feeds = {**slice_time(self.graph, feeds, self.time, window.start, window.stop), **states}
            if self.purpose == "windowed":
                counts = np.arange(window.start, window.stop) >= window.counts
                feeds[WINDOW] = counts.astype(self.model.dtype)
        results = self.model.execute(self.purpose, feeds, self.at.step)
        if window:
            self.carried = {t: s for t, s in self.carried.items() if t >= window.start}
            self.carried[window.stop] = {k[6:]: v for k, v in results.items() if k.startswith("final/")}
        if not any(np.any(v) for k, v in results.items() if k.startswith("count/")) and self.terms.nodes:
            return None
        self.totals.add(results)
        gradients = {name: results[f"grad/{name}"] for name in self.model.weights if f"grad/{name}" in results}
        idle = {name: np.zeros_like(w) for name, w in self.model.weights.items() if name not in gradients}
        gradients, norm = clip_by_norm({**gradients, **idle}, self.settings["clip"])
        weights, slots = self.optimizer.update(self.model.weights, gradients, self.slots, self.at.step)
        self.model.weights, self.slots = weights, slots
        loss = float(results["loss"])
        lr = self.optimizer.rate(self.at.step)
        record = {"step": self.at.step, "epoch": self.at.epoch, "loss": loss, "norm": norm, "lr": lr}
        self.model.history.steps.append(record)
        self.at.step += 1
        return loss

    def states_before(self, start: int, feeds: Arrays) -> Arrays:
        """The states before step `start`: as carried over, or run up to there from the last ones known."""
        if start == 0:
            return {}
        if start not in self.carried:
            known = max((t for t in self.carried if t <= start), default=0)
            graph = self.model.graph_for("advance")
            part = slice_time(graph, feeds, self.time, known, start)
            states = self.carried.get(known, {})
            if not all_masked(graph, part):
                results = self.model.execute("advance", {**part, **states})
                states = {k[6:]: v for k, v in results.items()}
            self.carried[start] = states
        return self.carried[start]

    # -- epochs -----------------------------------------------------------------------------------

    def order(self) -> np.ndarray:
        """The order of the samples in this epoch."""
        if not self.settings["shuffle"]:
            return np.arange(self.data.samples)
        return np.random.default_rng([self.model.seed, self.at.epoch]).permutation(self.data.samples)

    def updates_per_epoch(self) -> int:
        """How many updates an epoch has (exactly, where sequences have one length)."""
        size = self.settings["batch_size"]
        order = self.order()
        groups = [order[i : i + size] for i in range(0, len(order), size)]
        return sum(len(self.windows_of(g)) for g in groups)

    def run_epoch(self) -> Iterator[float | None]:
        """The rest of the epoch, from where training stands; yields after each update."""
        size, order = self.settings["batch_size"], self.order()
        while self.at.batch * size < len(order):
            index = order[self.at.batch * size : (self.at.batch + 1) * size]
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
        record: dict[str, float] = {"epoch": self.at.epoch}
        if losses:
            cut = None not in self.terms.joins
            mean = self.model.loss_over(self.terms, self.totals, self.data) if cut else float(np.mean(losses))
            record["loss"] = mean
        self.totals = Totals(self.terms.joins)
        if self.validation is not None:
            chunk = self.tbptt[0] if self.tbptt else None
            record["validation"] = self.model.evaluate(self.validation, self.settings["batch_size"], chunk)
            if self.at.best is None or record["validation"] < self.at.best:
                self.at.best, self.at.waited = record["validation"], 0
                self.best_weights = dict(self.model.weights)
            else:
                self.at.waited += 1
                self.at.stopped = self.settings["patience"] is not None and self.at.waited >= self.settings["patience"]
        history.epochs.append(record)
        self.at.epoch, self.at.batch, self.at.window = self.at.epoch + 1, 0, 0

    # -- checkpoints ------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write weights, slots, carried states and position to one file, whole or not at all."""
        arrays = {f"//slot/{k}": v for k, v in self.slots.items()}
        arrays |= {f"//best/{k}": v for k, v in self.best_weights.items()}
        arrays |= {f"//state/{t}/{k}": v for t, states in self.carried.items() for k, v in states.items()}
        arrays |= self.totals.arrays("//epoch/")
        history = self.model.history
        training = {"position": asdict(self.at), "settings": self.fingerprint(), "carried": list(self.carried)}
        self.model.write(path, arrays, {"training": {**training, "steps": history.steps, "epochs": history.epochs}})

    def fingerprint(self) -> dict[str, Any]:
        """What must be the same for a run to be resumed."""
        settings = {k: plain(v) for k, v in self.optimizer.__dict__.items()}
        tbptt = list(self.tbptt) if self.tbptt else None
        same = {k: self.settings[k] for k in ("batch_size", "clip", "shuffle")}
        same["optimizer"] = type(self.optimizer).__name__
        return {**same, "tbptt": tbptt, "samples": self.data.samples, **settings, "data": self.data.digest()}

    def resume(self, path: str | os.PathLike[str]) -> None:
        """Take weights, slots and position from a checkpoint.

        Raises ModelFileError if the file is no checkpoint of this model and these settings.
        """
        graph, arrays, meta = read_model(path)
        name, training = os.fspath(path), meta.get("training")
        if not isinstance(training, dict):
            raise ModelFileError(f"{name}: this is a model, but no checkpoint: it does not say where training stood")
        if graph.params != self.model.graph.params or meta.get("seed") != self.model.seed:
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
            slots = {k: arrays[f"//slot/{k}"] for k in self.slots}
            best = {k[7:]: v for k, v in arrays.items() if k.startswith("//best/")}
            carried = {
                int(t): {k[len(f"//state/{t}/") :]: v for k, v in arrays.items() if k.startswith(f"//state/{t}/")}
                for t in training["carried"]
            }
            totals = Totals(self.terms.joins)
            totals.restore(arrays, "//epoch/")
            history = History(list(training["steps"]), list(training["epochs"]))
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, BlocksError):
                raise
            raise ModelFileError(f"{name}: this checkpoint is broken ({error})") from None
        self.at, self.slots, self.best_weights, self.carried = at, slots, best, carried
        self.totals = totals
        self.model.weights = {k: arrays[k] for k in self.model.weights}
        self.model.history = history


def fit(
    model: Trainable,
    data: Mapping[str, Any],
    *,
    epochs: int = 1,
    batch_size: int = 32,
    optimizer: Optimizer | str = "adam",
    clip: float | None = None,
    tbptt: int | tuple[int, int] | None = None,
    validation: Mapping[str, Any] | None = None,
    patience: int | None = None,
    shuffle: bool = True,
    autosave: str | os.PathLike[str] | None = None,
    autosave_every: int = 100,
    resume: bool = False,
    progress: bool | None = None,
    callback: Callable[[dict[str, float]], Any] | None = None,
    **unknown: Any,
) -> History:
    """Train a model.

    Args:
        data: input name → array ``(samples, time, features)``, or a list of arrays ``(time, features)``
            for sequences of unequal length.
        epochs: how often to go through the data.
        batch_size: samples per update.
        optimizer: an `Optimizer`, or "sgd", "rmsprop", "adam", "adamw".
        clip: the largest norm of all gradients together; None for no limit.
        tbptt: truncated backpropagation: a number of steps per chunk, or (k1, k2): an update every k1
            steps, errors back k2 steps. States are carried from chunk to chunk of a batch.
        validation: data to evaluate after each epoch.
        patience: stop after so many epochs without a better validation loss, and go back to the best
            weights.
        shuffle: a new order of the samples in each epoch, drawn from the model's seed.
        autosave: a file to write every `autosave_every` updates, after each epoch, and at Ctrl-C.
        resume: go on from `autosave`, if it exists, to the same bits as an undisturbed run.
        progress: a progress bar; by default where there is a terminal or a notebook to show it.
        callback: called after each update with its record; if it returns True, training stops.

    A batch in which the mask leaves nothing teaches nothing, and is passed over.

    Returns the model's `History`.

    Raises FeedError for data that does not fit, NonFiniteError naming the update and the first node if
    the loss or a gradient is not finite, BlocksError for options that make no sense, all before the first
    update, KeyboardInterrupt
    (after writing the file of `autosave`) at Ctrl-C. The weights are those after the last whole update.
    """
    _check_names(unknown)
    for name, count in {"epochs": epochs, "batch_size": batch_size, "autosave_every": autosave_every}.items():
        if not is_whole(count) or count < 1:
            raise BlocksError(f"{name} must be a whole number from 1, not {count!r}")
    if clip is not None and not (is_number(clip) and clip > 0):
        raise BlocksError(f"clip must be a positive number or None, not {clip!r}")
    if patience is not None and (validation is None or not is_whole(patience) or patience < 1):
        raise BlocksError("patience needs validation data, and is a number of epochs from 1")
    if resume and autosave is None:
        raise BlocksError("resume needs the name of the file: autosave='run.safetensors'")
    if autosave is not None:
        check_writable(autosave)
        json_value(model.info, "info")
    chosen = optimizer_named(optimizer)
    size, others = int(batch_size), tuple(model.graph.inputs)
    limit = None if clip is None else float(clip)
    settings = {"batch_size": size, "clip": limit, "shuffle": bool(shuffle), "tbptt": tbptt}
    prepared = Data(model.graph_for("loss"), data, model.dtype, others, size).check_masks()
    session = _Session(model, prepared, validation, chosen, {**settings, "patience": patience})
    if validation is not None:
        known = Data(model.graph_for("loss"), validation, model.dtype, others, size).check_masks()
        model.terms(session.time or None).pieces_fit(known.samples > size)
    if autosave is not None and resume and Path(autosave).exists():
        session.resume(autosave)
    if not (resume and session.at.step):
        model.history = History()
    chosen.check_rates(session.at.step, epochs * session.updates_per_epoch())

    with _stop_requested() as stop, bar(progress, session.updates_per_epoch() * epochs, session.at.step) as report:
        done = False
        while session.at.epoch < epochs and not session.at.stopped:
            for loss in session.run_epoch():
                done = loss is not None and callback is not None and callback(model.history.steps[-1]) is True
                interrupted = bool(stop)
                if autosave is not None and (interrupted or session.at.step % autosave_every == 0):
                    session.save(autosave)
                if interrupted:
                    raise KeyboardInterrupt
                report(loss)
                if done:
                    break
            else:
                session.end_epoch()
            if autosave is not None and not done:
                session.save(autosave)
            if done:
                break
    if patience is not None and session.best_weights:
        model.weights = {k: v.astype(model.dtype, copy=False) for k, v in session.best_weights.items()}
    return model.history


RENAMED = {"checkpoint": "autosave", "every": "autosave_every"}
OPTIONS = (
    "epochs", "batch_size", "optimizer", "clip", "tbptt", "validation", "patience", "shuffle", "autosave",
    "autosave_every", "resume", "progress", "callback",
)  # fmt: skip


def _check_names(unknown: Mapping[str, Any]) -> None:
    """Raises BlocksError for options that `fit` does not have, or has under another name now."""
    for name, value in unknown.items():
        if name in RENAMED:
            hint = "" if name == "every" else "; to keep few states in memory: Model(..., checkpoint='sqrt')"
            raise BlocksError(f"fit({name}={value!r}) is {RENAMED[name]}= now, the file of a run{hint}")
        raise BlocksError(f"fit has no option {name!r}{nearest(name, OPTIONS)}; it has {', '.join(OPTIONS)}")


@contextmanager
def _stop_requested() -> Iterator[list[float]]:
    """A list that is not empty once Ctrl-C was pressed; a second Ctrl-C interrupts at once."""
    pressed: list[float] = []
    if threading.current_thread() is not threading.main_thread():
        yield pressed
        return

    def note(number: int, frame: Any) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(clock.monotonic())

    before = signal.signal(signal.SIGINT, note)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)
