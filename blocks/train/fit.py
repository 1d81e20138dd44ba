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

from ..errors import BlocksError
from ..graph import Graph
from .data import Arrays, Data
from .files import ModelFileError, read_model
from .history import History
from .optimizers import Optimizer, clip_by_norm, optimizer_named
from .progress import bar
from .truncated import WINDOW, Window, all_masked, carried_states, parse_tbptt, slice_time, windows


class Trainable(Protocol):
    """What training asks of a model."""

    graph: Graph
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
            carried_states(model.graph)  # an error, if they cannot be
            self.purpose = "windowed" if self.tbptt[1] > self.tbptt[0] else "train"
        self.graph = model.graph_for(self.purpose)

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
        gradients = {name: results[f"grad/{name}"] for name in self.model.weights if f"grad/{name}" in results}
        idle = {name: np.zeros_like(w) for name, w in self.model.weights.items() if name not in gradients}
        gradients, norm = clip_by_norm({**gradients, **idle}, self.settings["clip"])
        weights, slots = self.optimizer.update(self.model.weights, gradients, self.slots, self.at.step)
        self.model.weights, self.slots = weights, slots
        if window:
            self.carried = {t: s for t, s in self.carried.items() if t >= window.start}
            self.carried[window.stop] = {k[6:]: v for k, v in results.items() if k.startswith("final/")}
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
            record["loss"] = float(np.mean(losses))
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
        history = self.model.history
        training = {"position": asdict(self.at), "settings": self.fingerprint(), "carried": list(self.carried)}
        self.model.write(path, arrays, {"training": {**training, "steps": history.steps, "epochs": history.epochs}})

    def fingerprint(self) -> dict[str, Any]:
        """What must be the same for a run to be resumed."""
        numbers = {k: v for k, v in self.optimizer.__dict__.items() if not callable(v)}
        tbptt = list(self.tbptt) if self.tbptt else None
        same = {k: self.settings[k] for k in ("batch_size", "clip", "shuffle")}
        same["optimizer"] = type(self.optimizer).__name__
        return {**same, "tbptt": tbptt, "samples": self.data.samples, **numbers}

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
                if then.get(key) != now.get(key):
                    raise ModelFileError(f"{name}: {key} was {then.get(key)!r}, now it is {now.get(key)!r}")
            at = Position(**{f.name: training["position"][f.name] for f in fields(Position)})
            slots = {k: arrays[f"//slot/{k}"] for k in self.slots}
            best = {k[7:]: v for k, v in arrays.items() if k.startswith("//best/")}
            carried = {
                int(t): {k[len(f"//state/{t}/") :]: v for k, v in arrays.items() if k.startswith(f"//state/{t}/")}
                for t in training["carried"]
            }
            history = History(list(training["steps"]), list(training["epochs"]))
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, BlocksError):
                raise
            raise ModelFileError(f"{name}: this checkpoint is broken ({error})") from None
        self.at, self.slots, self.best_weights, self.carried = at, slots, best, carried
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
    checkpoint: str | os.PathLike[str] | None = None,
    every: int = 100,
    resume: bool = False,
    progress: bool | None = None,
    callback: Callable[[dict[str, float]], Any] | None = None,
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
        checkpoint: a file to write every `every` updates, after each epoch, and at Ctrl-C.
        resume: go on from `checkpoint`, if it exists, to the same bits as an undisturbed run.
        progress: a progress bar; by default where there is a terminal or a notebook to show it.
        callback: called after each update with its record; if it returns True, training stops.

    Returns the model's `History`.

    Raises FeedError for data that does not fit, NonFiniteError naming the update and the first node if
    the loss or a gradient is not finite, BlocksError for options that make no sense, KeyboardInterrupt
    (after writing the checkpoint) at Ctrl-C. The weights are those after the last whole update.
    """
    for name, count in {"epochs": epochs, "batch_size": batch_size, "every": every}.items():
        if not isinstance(count, int | np.integer) or isinstance(count, bool) or count < 1:
            raise BlocksError(f"{name} must be a whole number from 1, not {count!r}")
    if clip is not None and not clip > 0:
        raise BlocksError(f"clip must be a positive number or None, not {clip!r}")
    if patience is not None and (validation is None or patience < 1):
        raise BlocksError("patience needs validation data, and is a number of epochs from 1")
    if checkpoint is not None and (not isinstance(checkpoint, str | os.PathLike) or checkpoint == "sqrt"):
        raise BlocksError(
            f"checkpoint of fit is the name of a file, not {checkpoint!r}; to keep few states in memory: "
            f"Model(..., checkpoint={checkpoint!r})"
        )
    if resume and checkpoint is None:
        raise BlocksError("resume needs the name of the checkpoint: checkpoint='run.safetensors'")
    chosen = optimizer_named(optimizer)
    settings = {"batch_size": int(batch_size), "clip": clip, "shuffle": bool(shuffle), "tbptt": tbptt}
    prepared = Data(model.graph_for("train"), data, model.dtype, others=tuple(model.graph.inputs))
    session = _Session(model, prepared, validation, chosen, {**settings, "patience": patience})
    if validation is not None:
        Data(model.graph_for("evaluate"), validation, model.dtype, others=tuple(model.graph.inputs))
    if checkpoint is not None:
        folder = Path(checkpoint).parent
        if not folder.is_dir():
            raise BlocksError(f"there is no folder {os.fspath(folder)!r} for the checkpoint")
        if resume and Path(checkpoint).exists():
            session.resume(checkpoint)
    if not (resume and session.at.step):
        model.history = History()

    with _stop_requested() as stop, bar(progress, session.updates_per_epoch() * epochs, session.at.step) as report:
        while session.at.epoch < epochs and not session.at.stopped:
            for loss in session.run_epoch():
                done = loss is not None and callback is not None and callback(model.history.steps[-1]) is True
                interrupted = bool(stop)
                if checkpoint is not None and (interrupted or session.at.step % every == 0):
                    session.save(checkpoint)
                if interrupted:
                    raise KeyboardInterrupt
                report(loss)
                if done:
                    return model.history
            session.end_epoch()
            if checkpoint is not None:
                session.save(checkpoint)
    if patience is not None and session.best_weights:
        model.weights = {k: v.astype(model.dtype, copy=False) for k, v in session.best_weights.items()}
    return model.history


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
