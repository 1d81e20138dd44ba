"""The settings of the full run of vowels_seeds.py, chosen without the test split: one after the other, each value is
tried on five folds of the 270 training utterances with two seeds, and what has the least loss on the folds stays."""

import json
import tempfile
from pathlib import Path

from vowels_seeds import run, some

from blocks.tasks.vowels import japanese_vowels

GRID = {  # the first value is where the search begins
    "rate": (0.3, 0.1, 0.5),
    "average": (0.98, None, 0.9, 0.99),
    "lr": (6e-3, 3e-3, 1.2e-2),
    "decay": (0.0, 0.01, 0.1),
    "patience": (4, 8),
    "epochs": (40, 80),
    "units": (32, 16, 64),
}


def score(train, settings, folds=5, seeds=2):
    """Loss and share of the speakers found over all folds and seeds; in what is left, `run` holds out for itself."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for k in range(folds):
            rest, fold = some(train, lambda i, k=k: i % folds != k), some(train, lambda i, k=k: i % folds == k)
            found += [run(seed, rest, fold, Path(folder) / "best.safetensors", **settings) for seed in range(seeds)]
    return {name: sum(f[name] for f in found) / len(found) for name in ("loss", "right")}


def choose(train, grid):
    """The settings, and all that were tried, in order."""
    chosen, tried = {name: values[0] for name, values in grid.items()}, []
    for name, values in grid.items():
        row = []
        for settings in ({**chosen, name: value} for value in values):
            known = [t for t in tried if {k: t[k] for k in settings} == settings]
            row += known or [{**settings, **score(train, settings)}]
            tried += [] if known else row[-1:]
            print(json.dumps(row[-1]), flush=True)
        chosen[name] = min(row, key=lambda t: t["loss"])[name]
    return {"chosen": chosen, "tried": tried}


if __name__ == "__main__":
    found = choose(japanese_vowels()[0], GRID)
    Path(__file__).with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
