"""The training loop: epochs of batches of windows, one update each; its options, and what is refused.

Everything that can be refused is refused before the first update.
"""

from __future__ import annotations

import os
import signal
import threading
import time as clock
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import BlocksError, nearest
from .data import Data, is_whole
from .files import check_writable, json_value
from .history import History
from .optimizers import Optimizer, optimizer_named
from .progress import bar
from .session import Session, Trainable
from .update import check_clip


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
        resume: go on from `autosave`, if it exists, to the same bits as an undisturbed run; with a warning, if that
            ran on another target (see `compile`), where the last bits may differ.
        progress: a progress bar; by default where there is a terminal or a notebook to show it.
        callback: called after each update with its record; if it returns True, training stops.

    Random numbers (`bernoulli`, `dropout`) are drawn anew for each update, from the model's seed and the number of the
    update; so for each chunk of `tbptt`. Losses over the validation data are without them, with their expectation.

    A batch in which the mask leaves nothing teaches nothing, and is passed over.

    Trials (`Model(trials=)`) are trained at once, each as a model of its own with its own seed: with an order of the
    data (where `shuffle` draws one), a limit of its gradient, patience and best weights of its own. A trial whose loss
    or gradient is not finite keeps its last weights, with a TrialWarning; the others go on. `History.ended` says why
    a trial ended early.

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
    limit = check_clip(clip)
    if patience is not None and (validation is None or not is_whole(patience) or patience < 1):
        raise BlocksError("patience needs validation data, and is a number of epochs from 1")
    if resume and autosave is None:
        raise BlocksError("resume needs the name of the file: autosave='run.safetensors'")
    if autosave is not None:
        check_writable(autosave)
        json_value(model.info, "info")
    chosen = optimizer_named(optimizer)
    size, others = int(batch_size), tuple(model.graph.inputs)
    settings = {"batch_size": size, "clip": limit, "shuffle": bool(shuffle), "tbptt": tbptt}
    together = max(size, 2) if shuffle and model.trials is not None else size  # each trial has samples of its own
    prepared = Data(model.graph_for("loss"), data, model.dtype, others, together, model.trials).check_masks()
    session = Session(model, prepared, validation, chosen, {**settings, "patience": patience})
    if validation is not None:
        known = Data(model.graph_for("loss"), validation, model.dtype, others, size, model.trials).check_masks()
        model.terms(session.time or None).pieces_fit(known.samples > size)
    if autosave is not None and resume and Path(autosave).exists():
        session.resume(autosave)
    if not (resume and session.at.step):
        model.history = History()
    chosen.check_rates(session.at.step, epochs * session.updates_per_epoch())
    session.prepare()

    with _stop_requested() as stop, bar(progress, session.updates_per_epoch() * epochs, session.at.step) as report:
        done = False
        while session.at.epoch < epochs and not session.at.ended:
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
    if patience is not None:
        session.go_back()
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
            raise BlocksError(f"fit({name}={value!r}) is {RENAMED[name]}= now, the name of a file{hint}")
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
