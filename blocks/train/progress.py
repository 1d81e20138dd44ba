"""How far training is: loss, updates per second, time left. A bar in a terminal or a notebook, elsewhere (in a file, a
pipe) one line every few seconds."""

from __future__ import annotations

import contextlib
import html
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

EVERY, OFTEN = 5.0, 0.2  # seconds between two lines, and between two pictures of a notebook
Report = Callable[[float | None], None]


@contextmanager
def bar(show: bool | None, total: int | None, label: str = "training") -> Iterator[Report]:
    """A function to call after each update with its loss, which may be one of each trial. `total`: how many there will
    be, if that is known. `show`: False for nothing at all; True and None for what suits the place."""
    if show is False:
        yield lambda loss: None
    elif _is_notebook() and not sys.stderr.isatty():
        with _in_notebook(total, label) as report:
            yield report
    elif sys.stderr.isatty():
        with _in_terminal(total, label) as report:
            yield report
    else:
        yield _lines(total, label)


class Pace:
    """How many updates there were, at what pace, and the last loss that was a number."""

    def __init__(self, total: int | None):
        self.total, self.done, self.loss, self.began = total, 0, "-", time.monotonic()

    def add(self, loss: float | None) -> None:
        """One update more."""
        self.done += 1
        if loss is not None:
            self.loss = f"{float(np.nanmean(loss)):.4f}"

    def __str__(self) -> str:
        seconds = max(time.monotonic() - self.began, 1e-9)
        of = "" if self.total is None else f" of {self.total:,}"
        left = "" if self.total is None else f", {_time((self.total - self.done) * seconds / max(self.done, 1))} left"
        return f"{self.done:,}{of}, loss {self.loss}, {self.done / seconds:.1f} steps/s{left}"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _lines(total: int | None, label: str) -> Report:
    """A line on stderr every few seconds; none, where all is done before."""
    pace = Pace(total)
    said = pace.began

    def report(loss: float | None) -> None:
        nonlocal said
        pace.add(loss)
        if time.monotonic() - said >= EVERY:
            said = time.monotonic()
            print(f"{label}: {pace}", file=sys.stderr, flush=True)

    return report


def _is_notebook() -> bool:
    """Whether a kernel shows in a page what is displayed; that its package was imported says nothing."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


@contextmanager
def _in_notebook(total: int | None, label: str) -> Iterator[Report]:
    """A bar of the page itself, which needs no widgets."""
    from IPython.display import HTML, display

    pace, shown = Pace(total), 0.0

    def page() -> Any:
        value = f' value="{pace.done}" max="{total}"' if total else ""
        return HTML(f"<progress{value} style='width:20em'></progress> {html.escape(f'{label}: {pace}')}")

    handle = display(page(), display_id=True)

    def report(loss: float | None) -> None:
        nonlocal shown
        pace.add(loss)
        if handle is not None and time.monotonic() - shown >= OFTEN:
            shown = time.monotonic()
            handle.update(page())

    try:
        yield report
    finally:
        if handle is not None:
            with contextlib.suppress(Exception):  # what stopped training is said, not this
                handle.update(page())


@contextmanager
def _in_terminal(total: int | None, label: str) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]}"),
        TextColumn("{task.fields[rate]} steps/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task, pace = progress.add_task(label, total=total, loss="-", rate="-"), Pace(total)

        def report(loss: float | None) -> None:
            pace.add(loss)
            speed = progress.tasks[0].speed
            progress.update(task, advance=1, loss=pace.loss, rate=f"{speed:.1f}" if speed else "-")

        yield report
