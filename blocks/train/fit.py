"""The training loop: epochs of batches of windows, one update each; its options, and what is refused.

Everything that can be refused is refused before the first update.
"""

from __future__ import annotations

import fnmatch
import inspect
import os
import signal
import threading
import time as clock
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Never

from ..arguments import checked
from ..errors import BlocksError, nearest
from ..graph import Node
from .best import go_back
from .callbacks import Callback, Callbacks, Function
from .files import check_writable, json_value
from .history import History
from .inputs import is_number, is_whole
from .optimizers import Optimizer, optimizer_named
from .progress import bar
from .purposes import Purpose
from .ranks import ranks
from .schedules import plateau
from .session import Session, Settings
from .sources import BATCH_SIZE, datasets, is_listed, source_of
from .trainable import Trainable
from .truncated import parse_tbptt
from .update import check_clip


@checked
def fit(
    model: Trainable,
    data: Any,
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    optimizer: Optimizer | str | None = None,
    clip: float | None = None,
    tbptt: int | tuple[int, int] | None = None,
    validation: Any = None,
    patience: int | None = None,
    shuffle: bool | None = None,
    batches_per_epoch: int | None = None,
    carry: bool = False,
    accumulate: int = 1,
    average: float | None = None,
    freeze: str | Sequence[str] = (),
    restart: bool = False,
    autosave: str | os.PathLike[str] | None = None,
    autosave_every: int = 100,
    resume: bool = False,
    progress: bool | None = None,
    metrics: Mapping[str, Node] | None = None,
    watch: str | Sequence[str] | Mapping[str, Node] = (),
    callbacks: Callback | Function | Sequence[Any] | None = None,
    callback: Callable[[dict[str, Any]], Any] | None = None,
    **unknown: Never,
) -> History:
    """Train a model. A second call goes on where the first one ended: 4 calls of one epoch are one call of 4, to the
    last bit.

    Args:
        data: input name → array ``(samples, time, features)``, or a list of arrays ``(time, features)``
            for sequences of unequal length; what is mapped from a file (`numpy.memmap`) may be larger than the memory.
            Or a sequence of such dicts, each of them a batch. Or a function ``data(rng, update)`` that makes one, with
            a generator of its own for each (and for each trial); `update` is the number of the batch, from 0. Or
            any iterable of them, a DataLoader of PyTorch say.
        epochs: how often to go through the data, in this call; by default once, or with `resume` as often as that says.
        batch_size: samples per update, of arrays; 32.
        optimizer: an `Optimizer`, or "sgd", "rmsprop", "adam", "adamw"; by default that of the last call, else Adam.
        clip: the largest norm of all gradients together; None for no limit.
        tbptt: truncated backpropagation: a number of steps per chunk, or (k1, k2): an update every k1
            steps, errors back k2 steps. States are carried from chunk to chunk of a batch.
        validation: data to evaluate after each epoch, a dict or a sequence of dicts.
        patience: stop after so many epochs without a better validation loss, and go back to the best
            weights; both of this call.
        shuffle: a new order of the samples, or of a sequence's batches, in each epoch, drawn from the model's seed; so
            by default.
        batches_per_epoch: how many batches of a function, or of an iterable without an end, are an epoch.
        carry: the last states of each batch are the first ones of the next: the batches are pieces of long streams, and
            not shuffled. An epoch of a sequence begins with fresh states.
        accumulate: batches of one update: its gradient is that of all of them as one batch (to rounding).
        average: the share d of the moving average of the weights, a = d a + (1 - d) w after each update (Polyak and
            Juditsky 1992): 0.999 is usual. Validation, and the best weights of `patience`, are of it; `Model.averaged`
            gives a model that has it.
        freeze: weights that stay as they are, by name or pattern: "embed.*". No gradient is taken by them.
        restart: begin with the first update again: optimizer, history and order of the data, but with the weights as
            they are.
        autosave: a file to write every `autosave_every` updates, after each epoch, and at Ctrl-C.
        resume: finish the call that `autosave` holds, if it exists, with the same options, to the same bits as an
            undisturbed run; with a warning, if that ran on another target (see `compile`), where the last bits may
            differ.
        progress: a progress bar; by default where there is a terminal or a notebook to show it.
        metrics: name → wire of one number, as those of `metrics` are: measured in each update and, over all that they
            count, in each epoch and in the validation data; see `History`.
        watch: what a callback sees of each update: the names of the model's outputs and inputs, or name → wire.
        callbacks: a function (model, record), called after each update; an object with `on_update`, `on_epoch` or
            `on_end`, see `Callback`; or several of them. What returns True stops training.
        callback: the same, of the record alone, for what needs no model.

    Random numbers (`bernoulli`, `dropout`) are drawn anew for each update, from the model's seed and the number of the
    update; so for each chunk of `tbptt`. Losses over the validation data are without them, with their expectation. A
    draw that the data has under its name is what stands there.

    A batch in which the mask leaves nothing teaches nothing, and is passed over.

    Going on: an optimizer of the same kind keeps its slots (momentum, mean squares), whatever its settings; another one
    begins with fresh ones. A schedule is asked for the number of the update in all calls. Where the last call was
    interrupted in mid-epoch, this one begins the next epoch, with a warning.

    Trials (`Model(trials=)`) are trained at once, each as a model of its own with its own seed: with an order of the
    data (where `shuffle` draws one), a limit of its gradient, patience and best weights of its own. A trial whose loss
    or gradient is not finite keeps its last weights, with a TrialWarning; the others go on. `History.ended` says why
    a trial ended early.

    Returns the model's `History`.

    Raises FeedError for data that does not fit, NonFiniteError naming the update and the first node if
    the loss or a gradient is not finite, BlocksError for options that make no sense, all before the first
    update (but for batches that are not known before), KeyboardInterrupt
    (after writing the file of `autosave`) at Ctrl-C. The weights are those after the last whole update.
    """
    _check_names(unknown)
    counts = {"epochs": epochs, "batch_size": batch_size, "batches_per_epoch": batches_per_epoch}
    for name, count in {**counts, "autosave_every": autosave_every, "accumulate": accumulate}.items():
        if count is not None and (not is_whole(count) or count < 1):
            raise BlocksError(f"{name} must be a whole number from 1, not {count!r}")
    if patience is not None and (validation is None or not is_whole(patience) or patience < 1):
        raise BlocksError("patience needs validation data, and is a number of epochs from 1")
    limit, pair, times = check_clip(clip), parse_tbptt(tbptt), None if epochs is None else int(epochs)
    if carry and (isinstance(data, Mapping) or shuffle):
        what = "shuffle=True" if shuffle else "the samples of a dict of arrays"
        raise BlocksError(f"carry=True goes from batch to batch in their order; {what} would lose the states")
    if average is not None and not (is_number(average) and 0.0 < average < 1.0):
        raise BlocksError(f"average is a share between 0 and 1, 0.999 say, or None, not {average!r}")
    _check_accumulate(accumulate, pair, carry, watch)
    team = ranks()
    order = False if carry and shuffle is None and is_listed(data) else shuffle
    _check_files(model, autosave, resume, restart)
    called, purpose = Callbacks(callbacks, callback), _purpose(model, metrics, watch, freeze)
    if team.rank:  # one process shows, calls and writes
        called, progress = called.silent(), False
    chosen = _chosen(model, optimizer, restart)
    inputs = model.inputs_of(purpose.called("data"))
    first = 0 if model.training is None or restart else model.training.at.batches
    source = source_of(inputs, model.seed, data, batch_size, order, batches_per_epoch, times or 1, first)
    if autosave is not None and not source.again:
        raise BlocksError(
            f"autosave and resume need batches that can be had again: a sequence of them, or a function; a "
            f"{type(data).__name__} cannot go on where it was"
        )
    size = int(batch_size or BATCH_SIZE) if isinstance(data, Mapping) else None
    saved = autosave is not None
    settings = Settings(size, limit, pair, order, bool(carry), int(accumulate), average, patience, saved)
    _check_plateau(chosen, validation, metrics)
    session = Session(model, source, validation, chosen, settings, times, purpose, team)
    if validation is not None:
        _check_validation(session, size or BATCH_SIZE)
    called("on_begin", model, model.history)
    if autosave is not None and resume and _exists(session, Path(autosave)):
        session.resume(autosave)
    else:
        session.begin(restart)
    team.begin(model, session.training.slots)
    try:
        _train(session, autosave, autosave_every, progress, called)
        if patience is not None:
            go_back(session.training, model.weights)
    finally:
        called("on_end", model, model.history)
    return model.history


def _train(
    session: Session,
    autosave: str | os.PathLike[str] | None,
    every: int,
    progress: bool | None,
    called: Callbacks,
) -> None:
    """The epochs of a call, from where it stands."""
    model, at, team = session.model, session.at, session.ranks
    left, each = session.training.call.last - at.epoch, session.updates_per_epoch()
    session.optimizer.check_rates(at.step, at.step + left * (each or 100))
    session.prepare()
    with _stop_requested() as team.stopping, bar(progress, each and each * left, label="training") as report:
        while at.epoch < session.training.call.last and not at.ended:
            for loss in session.run_epoch():
                done = loss is not None and session.stopped(*called("on_update", model, session.record()))
                done, stop = called.waiting and team.any(done), team.stops()
                if autosave is not None and team.rank == 0 and (stop or at.step % every == 0):
                    model.save(autosave)
                if stop:
                    raise KeyboardInterrupt
                report(loss)
                if done:
                    session.training.leave_epoch(keep=True)
                    return
            session.end_epoch()
            done = session.stopped(*called("on_epoch", model, model.history.epochs[-1]))
            done = called.waiting and team.any(done)
            if autosave is not None and team.rank == 0:
                model.save(autosave)
            if done:
                return


def _exists(session: Session, autosave: Path) -> bool:
    """Whether there is a file to go on from. Raises BlocksError where only another rank has it."""
    here = autosave.exists()
    if session.ranks.any(here) and not here:
        raise BlocksError(f"{autosave} is not there for rank {session.ranks.rank}; all ranks read the same file")
    return here


def _check_files(model: Trainable, autosave: Any, resume: bool, restart: bool) -> None:
    """Raises BlocksError for what cannot be saved, or gone on with."""
    if resume and autosave is None:
        raise BlocksError("resume needs the name of the file: autosave='run.safetensors'")
    if resume and restart:
        raise BlocksError("resume=True goes on, restart=True starts over; take one of them")
    if autosave is not None:
        check_writable(autosave)
        json_value(model.info, "info")


def _chosen(model: Trainable, optimizer: Optimizer | str | None, restart: bool) -> Optimizer:
    """The optimizer of a call: that which is asked for, else that of the last call. Raises BlocksError where that came
    from a file that could not hold it."""
    last = None if model.training is None or restart else model.training.optimizer
    if optimizer is None and isinstance(last, dict):
        raise BlocksError(
            f"the model was trained with {last['optimizer']}, of which a file cannot hold all: give the optimizer again"
        )
    return optimizer_named(optimizer or (last if isinstance(last, Optimizer) else "adam"))


def _check_validation(session: Session, size: int) -> None:
    """Raises BlocksError for data that cannot be evaluated."""
    purpose, several = session.purpose.called("loss"), is_listed(session.validation)
    for known in datasets(session.model.inputs_of(purpose), session.validation, size):
        for terms in session.model.terms(session.time or None, purpose):
            terms.pieces_fit(several or known.check_masks().samples > size)


def _check_accumulate(accumulate: int, tbptt: Any, carry: bool, watch: Any) -> None:
    """Raises BlocksError for what does not go with one update from several batches."""
    others = {"tbptt": (tbptt, "updates within a batch"), "carry": (carry, "needs the states of each batch in turn")}
    others["watch"] = (watch, "shows one batch")
    for name, (given, why) in others.items():
        if accumulate > 1 and given:
            raise BlocksError(f"accumulate={accumulate} makes one update of several batches; {name}= {why}")


def _check_plateau(optimizer: Optimizer, validation: Any, metrics: Mapping[str, Node] | None) -> None:
    """Raises BlocksError for a plateau of what the epochs will not have."""
    known = ["loss", *(metrics or {})]
    known += [] if validation is None else ["validation", *(f"validation_{name}" for name in metrics or {})]
    if isinstance(optimizer.lr, plateau) and optimizer.lr.of not in known:
        of = optimizer.lr.of
        hint = "; give validation=" if of.startswith("validation") and validation is None else nearest(of, known)
        raise BlocksError(f"a plateau of {of!r}, but the epochs have {', '.join(known)}{hint}")


def _frozen(model: Trainable, freeze: str | Sequence[str]) -> tuple[str, ...]:
    """The names of the weights that stay. Raises BlocksError for a pattern that fits none, and where none are left."""
    found: set[str] = set()
    for pattern in [freeze] if isinstance(freeze, str) else freeze:
        fits = fnmatch.filter(model.weights, pattern) if isinstance(pattern, str) else []
        if not fits:
            hint = nearest(str(pattern), model.weights)
            raise BlocksError(f"freeze: no weights are called {pattern!r}{hint}; there are {', '.join(model.weights)}")
        found.update(fits)
    if found and found == set(model.weights):
        raise BlocksError(f"freeze={freeze!r} leaves no weights to learn")
    return tuple(name for name in model.weights if name in found)


def _purpose(model: Trainable, metrics: Mapping[str, Node] | None, watch: Any, freeze: Any) -> Purpose:
    """What is measured and watched in training. Raises BlocksError for what cannot be."""
    if metrics is not None and not isinstance(metrics, Mapping):
        raise BlocksError(f"metrics are a dict, name → wire of one number, not a {type(metrics).__name__}")
    for name in metrics or {}:
        if not isinstance(name, str) or not name or name in TAKEN or name.startswith("validation_"):
            raise BlocksError(f"a metric cannot be called {name!r}; records have {', '.join(TAKEN)} of their own")
    wires = watch if isinstance(watch, Mapping) else dict.fromkeys([watch] if isinstance(watch, str) else watch)
    known = {**model.graph.fed("input"), **model.graph.outputs}
    for name, wire in wires.items():
        if wire is None and name not in known:
            raise BlocksError(f"the model has no output or input {name!r}{nearest(str(name), known)} to watch")
        if wire is not None and not isinstance(wire, Node):
            raise BlocksError(f"watch: {name!r} is no wire, but a {type(wire).__name__}")
    watched = tuple((name, known[name] if wire is None else wire) for name, wire in wires.items())
    return Purpose("train", tuple((metrics or {}).items()), watched, _frozen(model, freeze))


TAKEN = ("step", "epoch", "loss", "norm", "lr", "outputs", "validation")  # of the names in records
RENAMED = {"checkpoint": "autosave", "every": "autosave_every"}
OPTIONS = tuple(k for k, p in inspect.signature(fit).parameters.items() if p.kind is p.KEYWORD_ONLY)


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
