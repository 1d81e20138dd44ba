"""What happened in training: the loss of every update, the losses of every epoch, and their plot."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any


@dataclass
class History:
    """A record of training.

    steps: for each update {"step", "epoch", "loss", "norm" (of the gradient, before clipping), "lr"}.
    epochs: for each epoch {"epoch", "loss", "validation" if there was any}; the loss is over all that the
        updates counted, as `Model.evaluate` counts.
    """

    steps: list[dict[str, float]] = field(default_factory=list)
    epochs: list[dict[str, float]] = field(default_factory=list)

    @property
    def loss(self) -> list[float]:
        """The loss of each epoch that had an update."""
        return [e["loss"] for e in self.epochs if "loss" in e]

    @property
    def validation(self) -> list[float]:
        """The validation loss of each epoch that has one."""
        return [e["validation"] for e in self.epochs if "validation" in e]

    def plot(self, path: str | os.PathLike[str] | None = None, label: str = "training", axes: Any = None) -> Any:
        """Draw the loss over updates, smoothed, with the validation losses; save it if `path` is given.

        Returns the matplotlib figure, which a notebook shows. With `axes` the curves are added to an existing plot.
        """
        import numpy as np

        from .plot import DPI, Plot

        figure = axes.figure if axes is not None else Plot(figsize=(6.4, 4.0), layout="constrained")
        ax = axes if axes is not None else figure.subplots()
        losses = np.array([s["loss"] for s in self.steps])
        width = max(1, len(losses) // 100)
        if len(losses):
            smooth = np.convolve(losses, np.ones(width) / width, mode="valid")
            at = np.array([s["step"] for s in self.steps])[width - 1 :]
            (line,) = ax.plot(at, smooth, label=label)
            ends = {e: s["step"] for s in self.steps for e in [s["epoch"]]}
            points = [
                (ends[e["epoch"]], e["validation"]) for e in self.epochs if "validation" in e and e["epoch"] in ends
            ]
            if points:
                ax.plot(*zip(*points, strict=True), "o--", color=line.get_color(), label=f"{label}, validation")
        ax.set_xlabel("update")
        ax.set_ylabel("loss")
        ax.grid(alpha=0.3)
        if len(losses):
            ax.legend()
        if path is not None:
            figure.savefig(os.fspath(path), dpi=DPI)
        return figure

    def __repr__(self) -> str:
        last = self.epochs[-1] if self.epochs else {}
        return f"<History of {len(self.steps)} updates, {len(self.epochs)} epochs: {last}>"
