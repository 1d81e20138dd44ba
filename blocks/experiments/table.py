"""An experiment is a row of a table: what was published, how it is run, and what is drawn of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Trial = dict[str, Any]  # "trial", "solved" and what was measured: numbers, or curves as lists


@dataclass(frozen=True)
class Row:
    """One setting of an experiment.

    Attributes: settings, of its protocol; paper, the published numbers: "success", a share, and means of what each
    trial measures, by its name; quick, the settings that a quick run changes, or None where it leaves the row out;
    long, whether it is run only when asked for by its name; note, what a reader must know of it; expected, the minutes
    that all trials would take of a core if they needed the paper's mean, as told by their first sequences.
    """

    name: str
    settings: Mapping[str, Any]
    paper: Mapping[str, float] = field(default_factory=dict)
    quick: Mapping[str, Any] | None = None
    long: bool = False
    note: str = ""
    expected: float | None = None


@dataclass(frozen=True)
class Experiment:
    """A published experiment.

    Attributes: name; title; source, the paper; run, the protocol, a job and the settings of a row → its trials; rows;
    measured, what a trial measures and its unit, by name, in the order of the table; trials, as many as the paper ran;
    plot, draws results, a dict as `results` writes it, as a Matplotlib figure; findings, what running it showed.
    """

    name: str
    title: str
    source: str
    run: Callable[..., list[Trial]]
    rows: tuple[Row, ...]
    measured: Mapping[str, str]
    trials: int
    plot: Callable[[Mapping[str, Any]], Any]
    findings: str = ""
