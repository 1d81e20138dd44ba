"""A page of all results in a folder: a table and a plot for each experiment, and what was found out."""

from __future__ import annotations

from pathlib import Path

from ..errors import BlocksError
from ..files import write_whole
from . import results as files
from .job import duration
from .rows import EXPERIMENTS
from .table import Experiment

HEAD = """# The published experiments, run again

`blocks reproduce NAME -o {folder}` makes each part of this page: the results as JSON, a trial a line, the plot, and
this text; `blocks reproduce --page -o {folder}` writes plots and text anew.

In brackets stands what the paper prints. After "±" stands half the interval of 95 % of a mean, by Student's t; after
the number of trials that succeeded, Wilson's interval for their share. Means of sequences, and what is tested after
them, are over the trials that succeeded. Rows that were not run say so, and how long all trials of the paper would take
if they needed its sequences. Time is that of one core that others used too.
"""


def write_page(folder: Path) -> Path:
    """Write README.md into a folder of results, Markdown, and the plots that it shows.

    Raises BlocksError for a file that holds no results, and for a folder without any.
    """
    if not any(files.path_of(folder, name).is_file() for name in EXPERIMENTS):
        raise BlocksError(f"{folder} holds no results; blocks reproduce NAME -o {folder} makes some")
    from matplotlib import rc_context

    parts = [HEAD.format(folder=folder.name if folder.is_absolute() else folder.as_posix())]
    for e in EXPERIMENTS.values():
        results = files.read(folder, e) or files.empty(e, 0, False)
        if results["rows"]:
            with rc_context({"svg.hashsalt": e.name}):  # the same bytes each time
                e.plot(results).savefig(folder / f"{e.name}.svg", metadata={"Date": None})
        parts.append(_part(e, results))
    path = folder / "README.md"
    write_whole(path, "\n".join(parts).encode())
    return path


def _part(e: Experiment, results: files.Results) -> str:
    head, *lines = files.lines(e, results)
    rows = [f"| {' | '.join(head)} |", f"| {' | '.join('---' for _ in head)} |"]
    rows += [f"| {' | '.join(line)} |" for line in lines]
    total = duration(sum(row["seconds"] for row in results["rows"].values()))
    ran = f"Seed {results['seed']}; {total} in all." if results["rows"] else "Not run."
    quick = " **A quick run, smaller than the paper's.**" if results["quick"] else ""
    text = [f"## {e.name}: {e.title}", f"{e.source}. {ran}{quick}", "\n".join(rows)]
    text += [f"- {row.name}: {row.note}" for row in e.rows if row.note and row.name in results["rows"]]
    text += [line for line in [_outside(e, results), e.findings] if line]
    text += [f"![{e.title}]({e.name}.svg)"] if results["rows"] else []
    return "\n\n".join(text) + "\n"


def _outside(e: Experiment, results: files.Results) -> str:
    """Which rows' means are more than a factor of two from the paper's."""
    found = {row.name: files.ratio(row, results["rows"][row.name]) for row in e.rows if row.name in results["rows"]}
    far = [f"{name} ({r:.2f})" for name, r in found.items() if r is not None and not 0.5 <= r <= 2.0]
    return f"Means outside a factor of two of the paper's: {', '.join(far)}." if far and not results["quick"] else ""
