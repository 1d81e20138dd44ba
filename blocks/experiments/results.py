"""Results: a JSON file for each experiment, and what its trials come to beside the paper's numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BlocksError
from ..files import write_whole
from ..optional import needed
from .job import duration
from .table import Experiment, Row, Trial

COMMAND = "blocks reproduce"
Results = dict[str, Any]


def path_of(folder: Path, name: str) -> Path:
    """Where the results of an experiment stand."""
    return folder / f"{name}.json"


def empty(e: Experiment, seed: int, quick: bool) -> Results:
    """Results without any row."""
    return {"experiment": e.name, "seed": seed, "quick": quick, "rows": {}}


def read(folder: Path, e: Experiment) -> Results | None:
    """The results that a folder has, if it has any. Raises BlocksError for a file that is none."""
    path = path_of(folder, e.name)
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        good = found["experiment"] == e.name and {"seed", "quick"} <= set(found)
        _ = {name: (row["settings"], row["trials"], row["seconds"]) for name, row in found["rows"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        good = False
    if not good:
        raise BlocksError(f"{path} holds no results of {e.name}; move it away to start anew")
    return dict(found)


def load(folder: Path, e: Experiment, seed: int, quick: bool) -> Results:
    """What there is already, or nothing. Raises BlocksError for results of another seed, or of another kind of run."""
    found = read(folder, e) or empty(e, seed, quick)
    if (found["seed"], found["quick"]) != (seed, quick):
        kind = "a quick run" if found["quick"] else "a run"
        raise BlocksError(
            f"{path_of(folder, e.name)} holds {kind} with seed {found['seed']}; write into another folder, with -o"
        )
    return found


def save(folder: Path, results: Results) -> Path:
    """Write the file; a trial a line."""
    rows = []
    for name, row in results["rows"].items():
        trials = ",\n".join("   " + json.dumps(t, ensure_ascii=False) for t in row["trials"])
        rest = {k: v for k, v in row.items() if k != "trials"}
        head = json.dumps(rest, ensure_ascii=False)[1:-1]
        rows.append(f'  {json.dumps(name, ensure_ascii=False)}: {{{head}, "trials": [\n{trials}\n  ]}}')
    top = json.dumps({k: v for k, v in results.items() if k != "rows"})[:-1]
    text = f'{top}, "rows": {{\n' + ",\n".join(rows) + "\n}}\n"
    path = path_of(folder, results["experiment"])
    write_whole(path, text.encode())
    return path


def success(trials: list[Trial]) -> tuple[int, float, float]:
    """How many trials succeeded, and Wilson's interval of 95 % for their share."""
    solved = sum(t["solved"] for t in trials)
    share = needed("scipy.stats", COMMAND).binomtest(solved, len(trials)).proportion_ci(0.95, "wilson")
    return solved, share.low, share.high


def values(trials: list[Trial], name: str) -> np.ndarray:
    """What was measured, of the trials that succeeded for what counts until success, else of all that have it."""
    only = name in ("sequences", "alone", "wrong", "mse")
    found = [t[name] for t in trials if t.get(name) is not None and (t["solved"] or not only)]
    return np.array(found, np.float64)


def interval(sample: np.ndarray) -> tuple[float, float]:
    """A mean, and half of its interval of 95 % by Student's t: NaN for fewer than two numbers."""
    if len(sample) < 2:
        return (float(sample.mean()) if len(sample) else math.nan), math.nan
    quantile = float(needed("scipy.stats", COMMAND).t.ppf(0.975, len(sample) - 1))
    return float(sample.mean()), quantile * float(sample.std(ddof=1)) / math.sqrt(len(sample))


def lines(e: Experiment, results: Mapping[str, Any]) -> list[list[str]]:
    """A table, its heading first: each row of the experiment, ours and, in brackets, the paper's; of a quick run, which
    is another experiment, the rows that were run, and no number of the paper's."""
    head = ["row", "trials", "succeeded", *e.measured.values(), "time"]
    found, quick = results["rows"], results["quick"]
    rows = [row for row in e.rows if not quick or row.name in found]
    return [head, *(_line(e, row, {} if quick else row.paper, found.get(row.name)) for row in rows)]


def _line(e: Experiment, row: Row, paper: Mapping[str, float], found: Mapping[str, Any] | None) -> list[str]:
    printed = {name: _share(v) if name == "success" else _number(v) for name, v in paper.items()}
    names = ["success", *e.measured]
    if found is None:
        expected = "" if row.expected is None else f"about {duration(60 * row.expected)}"
        return [row.name, "not run", *(f"({printed[n]})" if n in printed else "" for n in names), expected]
    trials = found["trials"]
    k, low, high = success(trials)
    ours = [f"{k} of {len(trials)}, {_share(low)} to {_share(high)}"]
    for name in e.measured:
        mean, half = interval(values(trials, name))
        told = "–" if math.isnan(mean) else _number(mean)
        ours.append(told + ("" if math.isnan(half) else f" ± {_number(half)}"))
    cells = [f"{cell} ({printed[n]})" if n in printed else cell for n, cell in zip(names, ours, strict=True)]
    return [row.name, str(len(trials)), *cells, duration(found["seconds"])]


def ratio(row: Row, found: Mapping[str, Any]) -> float | None:
    """Our mean number of sequences over the paper's, where both have one."""
    sample = values(found["trials"], "sequences")
    return float(sample.mean()) / row.paper["sequences"] if len(sample) and "sequences" in row.paper else None


def _share(x: float) -> str:
    return f"{100 * x:.0f} %"


def _number(x: float) -> str:
    return f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.3g}"
