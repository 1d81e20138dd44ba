"""What is called while a model trains: functions, and objects with `on_update`, `on_epoch`, `on_end`.

model.fit(data, callbacks=lambda model, record: record["loss"] < 0.01)     # True stops
model.fit(data, callbacks=[SaveBest("best.safetensors"), Mine()])
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..errors import BlocksError, nearest
from .history import History
from .trainable import Trainable

Record = dict[str, Any]


class Callback:
    """What may be called while a model trains; each method does nothing, until a subclass says what.

    A record of an update is that of `History.steps`: "step", "epoch", "loss", "norm", "lr", each metric by its name;
    and "outputs", name → array ``(batch, time, ...)``, where `fit` watches some. That of an epoch is that of
    `History.epochs`: "epoch", "loss", each metric, "validation", and each metric of the validation data,
    "validation_accuracy".

    What a method returns decides whether training stops: True does, anything else does not. With trials an array of
    truth values, ``(trials,)``, ends those of which it is true, and the others go on.
    """

    def on_begin(self, model: Any, history: History) -> Any:
        """Before the first update; what it raises is raised before anything has changed."""

    def on_update(self, model: Any, record: Record) -> Any:
        """After an update."""

    def on_epoch(self, model: Any, record: Record) -> Any:
        """After an epoch and its validation."""

    def on_end(self, model: Any, history: History) -> Any:
        """After the last update of the call, however it ended."""


HOOKS = ("on_begin", "on_update", "on_epoch", "on_end")
Function = Callable[[Any, Record], Any]


class Callbacks:
    """All callbacks of a call, and a function of the record alone. Raises BlocksError for what is none."""

    def __init__(self, given: Any, alone: Callable[[Record], Any] | None = None):
        self.waiting = given is not None or alone is not None  # whether any may stop training
        several = given if isinstance(given, Iterable) and not hasattr(given, "on_update") else [given]
        self.hooks: dict[str, list[Callable[[Any, Any], Any]]] = {hook: [] for hook in HOOKS}
        for one in () if given is None else several:
            for hook, call in _hooks_of(one).items():
                self.hooks[hook].append(call)
        if alone is not None:
            if not callable(alone):
                raise BlocksError(f"callback is a function of a record, not {alone!r:.80}")
            self.hooks["on_update"].append(lambda model, record: alone(record))

    def silent(self) -> Callbacks:
        """None of them, in a process that waits for what they say in another."""
        none = Callbacks(None)
        none.waiting = self.waiting
        return none

    def __call__(self, hook: str, model: Trainable, record: Any) -> tuple[bool, list[int]]:
        """Call all, and say whether training stops, and which trials end, where it goes on. Raises BlocksError for an
        answer for another number of trials."""
        stop, ended = False, set[int]()
        for call in self.hooks[hook]:
            answer = call(model, record)
            if isinstance(answer, np.ndarray) and answer.dtype == bool and answer.ndim:
                if answer.shape != (model.trials or 0,):
                    raise BlocksError(f"a callback ends some of {len(answer)} trials; there are {model.trials or 0}")
                ended.update(np.flatnonzero(answer).tolist())
            elif isinstance(answer, bool | np.bool_):
                stop = stop or bool(answer)
        return stop, sorted(ended)


def _hooks_of(callback: Any) -> dict[str, Callable[[Any, Any], Any]]:
    if isinstance(callback, type):
        name = callback.__name__
        raise BlocksError(f"a callback is an object of a class, not the class {name}: give {name}()")
    found = {hook: getattr(callback, hook) for hook in HOOKS if callable(getattr(callback, hook, None))}
    if not found and callable(callback):
        found = {"on_update": callback}
    if not found:
        close = [n for n in dir(callback) if n.startswith("on")]
        hint = next(filter(None, (nearest(n, HOOKS) for n in close)), "")
        raise BlocksError(
            "a callback is a function (model, record), or an object with on_update, on_epoch or on_end; "
            f"{_called(callback)} is neither{hint}"
        )
    for name, call in found.items():
        try:
            inspect.signature(call).bind(None, None)
        except TypeError:
            second = "history" if name in ("on_begin", "on_end") else "record"
            raise BlocksError(f"a callback's {name} takes (model, {second}); {_called(call)} does not") from None
        except ValueError:  # a signature that cannot be known
            continue
    return found


def _called(thing: Any) -> str:
    """What is said of a callback that is none: the name of a function or of a method, what else it is."""
    plain = f"a {type(thing).__name__}" if type(thing).__repr__ is object.__repr__ else f"{thing!r:.80}"
    return str(getattr(thing, "__qualname__", plain))
