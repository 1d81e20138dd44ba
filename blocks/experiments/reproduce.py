"""``blocks reproduce``: run published experiments, and put ours beside the paper's.

Trials are independent, so several processes (see `ranks`) share them: each runs every so-manieth of a row, and the
first one collects and writes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from ..errors import BlocksError, nearest
from ..optional import needed
from ..train.ranks import Alone, ranks
from . import results as files
from .job import Job, duration
from .page import write_page
from .rows import EXPERIMENTS, experiment
from .table import Experiment, Row

QUICK = "a quick run, smaller than the paper's: its numbers are not to be held against the paper's"
QUICK_TRIALS = 3
PATIENCE = timedelta(days=30)  # for which a process waits for those whose trials take longer


def reproduce(
    name: str,
    folder: Path,
    trials: int | None = None,
    seed: int = 0,
    quick: bool = False,
    rows: tuple[str, ...] = (),
    show: bool | None = None,
    say: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Run an experiment, or all; the results of each, as they stand in its file. Of several processes each runs a share
    of the trials; all get the results, the first one writes and says.

    Args:
        name: of an experiment, or "all".
        folder: where results, plots and a page of both are written, row by row; what is there is not run again, and a
            row that was interrupted goes on, if it is by as many processes.
        trials: as many as the paper ran unless told; of a quick run, 3.
        seed: trial r of all that is random is settled by it and r.
        quick: a small version of those rows that differ in more than size.
        rows: those to run, by name, or a part of it; all but the long ones unless told.
        show, say: as for `Job`.

    Raises BlocksError for an unknown experiment or row, and for a file that holds no results.
    """
    chosen = [experiment(name)] if name != "all" else list(EXPERIMENTS.values())
    if rows and name == "all":
        raise BlocksError("rows are those of one experiment; name it")
    for module in ("scipy.stats", "matplotlib"):
        needed(module, files.COMMAND)
    picked = {e.name: _picked(e, rows, quick) for e in chosen}
    folder.mkdir(parents=True, exist_ok=True)
    team = ranks(PATIENCE)
    if team.rank:
        show, say = False, _silent
    with one_thread():
        return [_run(e, picked[e.name], folder, trials, seed, quick, show, say, team) for e in chosen]


def _silent(line: str) -> None:
    """What a process says that is not the first one."""


def _picked(e: Experiment, rows: tuple[str, ...], quick: bool) -> list[Row]:
    """The rows to run. Raises BlocksError for a name that none has."""
    for part in rows:
        if not any(part in row.name for row in e.rows):
            names = [row.name for row in e.rows]
            raise BlocksError(f"{e.name} has no row {part!r}{nearest(part, names)}; it has {'; '.join(names)}")
    if rows:
        return [row for row in e.rows if any(part in row.name for part in rows)]
    return [row for row in e.rows if (row.quick is not None if quick else not row.long)]


def _run(
    e: Experiment, rows: list[Row], folder: Path, trials: int | None, seed: int, quick: bool, show: bool | None,
    say: Callable[[str], None], team: Alone,
) -> dict[str, Any]:  # fmt: skip
    """One experiment: the rows that are not there yet, and of each the trials that are missing."""
    results = team.gathered(files.load(folder, e, seed, quick) if team.rank == 0 else None)[0]
    count = trials or (min(QUICK_TRIALS, e.trials) if quick else e.trials)
    say(f"{e.name}: {e.title}. {e.source}" + (f"\n({QUICK})" if quick else ""))
    for row in rows:
        changed = dict(row.quick or {}) if quick else {}
        settings = {**row.settings, **changed}
        known = results["rows"].get(row.name, {"settings": settings, "trials": [], "seconds": 0.0})
        if known["settings"] != json.loads(json.dumps(settings)):
            known = {"settings": settings, "trials": [], "seconds": 0.0}
        done = {t["trial"] for t in known["trials"]}
        missing = [t for t in range(count) if t not in done]
        if not missing:
            continue
        if changed:
            say(f"  {row.name}, but with {', '.join(f'{k}={v}' for k, v in changed.items())}")
        job = Job(
            seed,
            missing[team.rank :: team.count],
            row.name,
            expected=None if quick else row.paper.get("sequences"),
            snapshot=folder / f".{e.name}.part{team.rank or ''}",
            key=json.dumps([e.name, row.name, settings], sort_keys=True),
            show=show,
            say=say,
        )
        found = e.run(job, **settings) if job.trials else []
        parts = team.gathered((found, job.seconds))
        known = {
            "settings": settings,
            "seconds": round(known["seconds"] + max(seconds for _, seconds in parts), 1),
            "trials": sorted([*known["trials"], *(t for part, _ in parts for t in part)], key=lambda t: t["trial"]),
        }
        names = [r.name for r in e.rows]
        every = {**results["rows"], row.name: known}
        results["rows"] = {n: every[n] for n in sorted(every, key=lambda n: names.index(n) if n in names else -1)}
        if team.rank == 0:
            files.save(folder, results)
            write_page(folder)
        job.done()
        solved = files.success(known["trials"])[0]
        say(f"  {row.name}: {solved} of {len(known['trials'])}, {duration(known['seconds'])}")
    return results


def table(results: dict[str, Any]) -> Iterator[str]:
    """The results as lines of text, ours and in brackets the paper's."""
    grid = files.lines(EXPERIMENTS[results["experiment"]], results)
    widths = [max(len(line[k]) for line in grid) for k in range(len(grid[0]))]
    for line in grid:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def listing() -> Iterator[str]:
    """The experiments and their rows."""
    for e in EXPERIMENTS.values():
        yield f"{e.name}: {e.title}; {e.trials} trials"
        for row in e.rows:
            printed = ", ".join(f"{k} {v:,g}" for k, v in row.paper.items())
            yield f"    {row.name}{' (long)' if row.long else ''}" + (f"    paper: {printed}" if printed else "")


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread, unless the environment says otherwise: small networks' would wait for each other at every step."""
    given = os.environ.get("OMP_NUM_THREADS")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        yield
    finally:
        if given is None:
            del os.environ["OMP_NUM_THREADS"]
