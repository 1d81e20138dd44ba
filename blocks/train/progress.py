"""The progress bar of training: loss, updates per second, time left. It appears where someone can see it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


@contextmanager
def bar(show: bool | None, total: int | None, label: str = "training") -> Iterator[Callable[[float | None], None]]:
    """A function to call after each update with its loss. `show`: None for where there is a terminal or a
    notebook."""
    visible = (sys.stderr.isatty() or "ipykernel" in sys.modules) if show is None else show
    if not visible:
        yield lambda loss: None
        return
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
        task = progress.add_task(label, total=total, loss="-", rate="-")

        def report(loss: float | None) -> None:
            speed = progress.tasks[0].speed
            fields: dict[str, Any] = {"rate": f"{speed:.1f}" if speed else "-"}
            loss = None if loss is None else float(np.nanmean(loss))  # over trials
            if loss is not None:
                fields["loss"] = f"{loss:.4f}"
            progress.update(task, advance=1, **fields)

        yield report
