"""The plots of the experiments, of results as `results` writes them: those of the papers, where these have one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..optional import needed
from .results import COMMAND

Results = Mapping[str, Any]
OURS, PAPER, FAINT = "#3b6fb6", "#c8553d", "#9db6d8"


def _axes(height: float = 3.2, width: float = 8.0) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _curves(results: Results) -> list[dict[str, Any]]:
    """The curves of the first row that has some."""
    return next((t for t in ([t["curves"] for t in row["trials"]] for row in results["rows"].values()) if t), [])


def xor(results: Results) -> Any:
    """The error over twelve steps, which drops at every third (figure 3 of the paper)."""
    figure, axes = _axes()
    errors = np.array([c["error"] for c in _curves(results)])
    steps = np.arange(1, errors.shape[1] + 1)
    axes.plot(steps, errors.T, color=FAINT, lw=0.8)
    axes.plot(steps, errors.mean(axis=0), color=OURS, marker="o", label="mean of the trials")
    axes.axhline(0.5, color="0.5", lw=0.9, ls="--", label="best possible at the first two bits")
    axes.set(xticks=steps, xlabel="step", ylabel="RMS error", ylim=(0, None))
    axes.legend(frameon=False)
    return figure


def letters(results: Results) -> Any:
    """The error at each letter, high at consonants, and that of the first bit, which is none (figures 4 and 5)."""
    curves = _curves(results)[0]
    figure, axes = _axes()
    steps = np.arange(len(curves["text"]))
    axes.plot(steps, curves["error"], color=OURS, marker="o", ms=3, label="all six bits")
    axes.plot(steps, curves["first_bit"], color=PAPER, lw=1, label="the first bit: a consonant comes")
    axes.set_xticks(steps, list(curves["text"]))
    axes.set(ylabel="RMS error", ylim=(0, None))
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2)
    return figure


def words(results: Results) -> Any:
    """The error at each letter; it rises where a word begins (figure 6)."""
    curves = _curves(results)[0]
    figure, axes = _axes()
    steps, error, onset = np.arange(len(curves["text"])), np.array(curves["error"]), np.array(curves["onset"])
    axes.plot(steps, error, color=OURS, lw=1.2)
    axes.plot(steps[onset], error[onset], "o", color=PAPER, ms=5, label="a word begins")
    axes.set_xticks(steps, list(curves["text"]))
    axes.set(ylabel="RMS error", ylim=(0, None))
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2)
    return figure


def classes(results: Results) -> Any:
    """The tree of the words' mean hidden vectors (figure 7)."""
    dendrogram = needed("scipy.cluster.hierarchy", COMMAND).dendrogram
    curves = _curves(results)[0]
    figure, axes = _axes(6.0, 6.5)
    dendrogram(np.array(curves["tree"]), labels=curves["labels"], orientation="left", ax=axes, color_threshold=0.0,
               above_threshold_color=OURS, leaf_font_size=9)  # fmt: skip
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("distance")
    return figure


def _thousands(axis: Any) -> None:
    """The labels of a logarithmic axis as 20,000, at those ticks that have one."""
    from matplotlib.ticker import LogFormatter

    class Thousands(LogFormatter):
        def __call__(self, x: float, pos: int | None = None) -> str:
            return f"{x:,.0f}" if super().__call__(x, pos) else ""

    axis.set_major_formatter(Thousands())
    axis.set_minor_formatter(Thousands(labelOnlyBase=False, minor_thresholds=(1.5, 0.4)))
    axis.set_tick_params(which="both", labelsize=8)


def until(results: Results) -> Any:
    """The sequences that each trial took, or was given in vain, and the mean that the paper prints."""
    from .rows import EXPERIMENTS

    rows = [r for r in EXPERIMENTS[results["experiment"]].rows if r.name in results["rows"]]
    figure, axes = _axes(0.9 + 0.42 * len(rows))
    label = {"ours": "a trial", "mean": "their mean", "vain": "in vain", "paper": "the paper's mean"}
    for y, row in enumerate(rows):
        trials = results["rows"][row.name]["trials"]
        solved = [t["sequences"] for t in trials if t["solved"]]
        axes.plot(solved, [y] * len(solved), "o", color=FAINT, ms=5, label=label.pop("ours", None) if solved else None)
        vain = [t["sequences"] for t in trials if not t["solved"]]
        axes.plot(vain, [y] * len(vain), "x", color="0.6", ms=5, label=label.pop("vain", None) if vain else None)
        if solved:
            axes.plot(np.mean(solved), y, "o", color=OURS, ms=8, label=label.pop("mean", None))
        if "sequences" in row.paper and not results["quick"]:
            axes.plot(
                row.paper["sequences"], y, "D", color=PAPER, ms=6, mfc="none", mew=1.5, label=label.pop("paper", None)
            )
        text = f"{len(solved)} of {len(trials)}"
        axes.annotate(text, (1.0, y), xycoords=("axes fraction", "data"), va="center", fontsize=8, color="0.3")
    axes.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=8)
    axes.set(xscale="log", xlabel="sequences", ylim=(len(rows) - 0.5, -0.5))
    _thousands(axes.xaxis)
    axes.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
    return figure


def speed(results: Results) -> Any:
    """What each cell comes to, trial by trial, over the time that it was trained: an axis for each task."""
    from matplotlib.figure import Figure

    rows = [row for row in results["rows"].values() if row["trials"]]
    tasks = {"text": ("bits", "bits per new character"), "adding": ("right", "share of new sums right")}
    there = [task for task in tasks if any(row["settings"]["task"] == task for row in rows)]
    figure = Figure(figsize=(8.0, 3.4), layout="constrained")
    for axes, task in zip(figure.subplots(1, len(there), squeeze=False)[0], there, strict=True):
        name, label = tasks[task]
        for row in (row for row in rows if row["settings"]["task"] == task):
            cell = row["settings"]["cell"]
            for k, curves in enumerate(t["curves"] for t in row["trials"]):
                axes.plot(curves["seconds"], curves[name], color=PAPER if cell == "srn" else OURS, lw=1.2, marker="o",
                          ms=3, label=None if k else cell.upper())  # fmt: skip
        axes.set(xlabel="seconds of the processor", ylabel=label, xlim=(0, None))
        if name == "right":
            axes.set_ylim(0, 1.03)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    return figure


def next_word(results: Results) -> Any:
    """The share of words that each trial predicts, of those it learnt from and of new ones, beside the commonest's."""
    rows = results["rows"]
    figure, axes = _axes(0.9 + 0.42 * len(rows))
    for y, row in enumerate(rows.values()):
        for name, colour, label in (
            ("learnt", FAINT, "words it learns from"), ("right", OURS, "the words that follow"),
        ):  # fmt: skip
            shares = [t[name] for t in row["trials"]]
            axes.plot(shares, [y] * len(shares), "o", color=colour, ms=6, label=None if y else label)
    axes.axvline(_curves(results)[0]["commonest"], color="0.5", lw=0.9, ls="--", label="the commonest word")
    axes.set_yticks(range(len(rows)), list(rows), fontsize=8)
    axes.set(xlabel="share predicted", ylim=(len(rows) - 0.5, -0.5), xlim=(-0.02, None))
    axes.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return figure
