"""What happened in training: the loss of every update, the losses of every epoch, and their plot."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import BlocksError, nearest
from ..files import write_whole


@dataclass
class History:
    """A record of training.

    steps: for each update {"step", "epoch", "loss", "norm" (of the gradient, before clipping), "lr"}, and each metric
        by its name.
    epochs: for each epoch {"epoch", "loss", "validation" if there was any}; the loss is over all that the
        updates counted, as `Model.evaluate` counts. So is each metric, ``"accuracy"``; that of the validation data is
        ``"validation_accuracy"``.
    ended: trial → why it trained no more, before the last epoch; 0 is the only one of a model without trials.

    With trials, losses and norms are arrays ``(trials,)``, NaN where a trial had no update.
    """

    steps: list[dict[str, Any]] = field(default_factory=list)
    epochs: list[dict[str, Any]] = field(default_factory=list)
    ended: dict[int, str] = field(default_factory=dict)

    @property
    def loss(self) -> Any:
        """The loss of each epoch that had an update, a list; with trials an array ``(trials, epochs)``."""
        return _by_trial([e["loss"] for e in self.epochs if "loss" in e])

    @property
    def validation(self) -> Any:
        """The validation loss of each epoch that has one, as `loss`."""
        return _by_trial([e["validation"] for e in self.epochs if "validation" in e])

    def __getitem__(self, name: str) -> Any:
        """What the epochs have under a name, "validation_accuracy" say, as `loss`. Raises BlocksError where none has
        it."""
        known = {key: None for epoch in self.epochs for key in epoch}
        if name not in known:
            raise BlocksError(f"no epoch has {name!r}{nearest(name, known)}; they have {', '.join(known) or 'nothing'}")
        return _by_trial([e[name] for e in self.epochs if name in e])

    def plot(self, path: str | os.PathLike[str] | None = None, label: str = "training", axes: Any = None) -> Any:
        """Draw the loss over updates, smoothed, with the validation losses; save it if `path` is given.

        Returns the matplotlib figure, which a notebook shows. With `axes` the curves are added to an existing plot.
        """
        from .plot import DPI, Plot, whole_numbers

        figure = axes.figure if axes is not None else Plot(figsize=(6.4, 4.0), layout="constrained")
        ax = axes if axes is not None else figure.subplots()
        losses = np.array([s["loss"] for s in self.steps])
        width = max(1, len(losses) // 100)
        if len(losses):
            at = np.array([s["step"] for s in self.steps])[width - 1 :]
            ends = {e: s["step"] for s in self.steps for e in [s["epoch"]]}
            points = [
                (ends[e["epoch"]], e["validation"]) for e in self.epochs if "validation" in e and e["epoch"] in ends
            ]
            for r, curve in enumerate(losses.reshape(len(losses), -1).T):  # of each trial
                smooth = np.convolve(curve, np.ones(width) / width, mode="valid")
                (line,) = ax.plot(at, smooth, label="_" if r else label, alpha=0.5 if losses.ndim > 1 else 1.0)
                if points:
                    dots = [(step, np.ravel(value)[r]) for step, value in points]
                    name = "_" if r else f"{label}, validation"
                    ax.plot(*zip(*dots, strict=True), "o--", color=line.get_color(), label=name)
        ax.set_xlabel("update")
        ax.xaxis.set_major_locator(whole_numbers())
        ax.set_ylabel("loss")
        ax.grid(alpha=0.3)
        if len(losses):
            ax.legend()
        if path is not None:
            figure.savefig(os.fspath(path), dpi=DPI)
        return figure

    def to_csv(self, path: str | os.PathLike[str], of: str = "epochs") -> None:
        """Write a table: a row for each epoch, or for each update (``of="updates"``); a column for each name, with
        trials for each of them, ``loss[3]``. What a record does not have is empty; NaN stays. Raises BlocksError for
        another `of`."""
        tables = {"epochs": self.epochs, "updates": self.steps}
        if of not in tables:
            raise BlocksError(f"a history has epochs and updates, no {of!r}{nearest(str(of), tables)}")
        trials = max((np.size(v) for r in tables[of] for v in r.values() if np.ndim(v)), default=0)
        several = {k: None for r in tables[of] for k, v in r.items() if np.ndim(v)}
        rows = [dict(_cells(record, several, trials)) for record in tables[of]]
        columns = list({name: None for row in rows for name in row})
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns)
        writer.writeheader()
        writer.writerows(rows)
        write_whole(path, text.getvalue().encode())

    def read(self, steps: Iterable[Mapping[str, Any]], epochs: Iterable[Mapping[str, Any]]) -> None:
        """Take records as a file holds them, where the arrays of trials are lists."""
        self.steps, self.epochs = (
            [{k: np.array(v) if isinstance(v, list) else v for k, v in record.items()} for record in records]
            for records in (steps, epochs)
        )

    def __repr__(self) -> str:
        last = self.epochs[-1] if self.epochs else {}
        return f"<History of {len(self.steps)} updates, {len(self.epochs)} epochs: {last}>"


def _cells(record: Mapping[str, Any], several: Mapping[str, None], trials: int) -> Iterator[tuple[str, Any]]:
    """The cells of a record; those of `several` are one for each trial."""
    for name, value in record.items():
        if name in several:
            yield from ((f"{name}[{r}]", v) for r, v in enumerate(np.broadcast_to(value, trials).tolist()))
        else:
            yield name, value


def _by_trial(values: list[Any]) -> Any:
    """Values one after the other; those of trials with the trials in front."""
    return np.stack(values, axis=-1) if values and np.ndim(values[0]) else values
