"""Japanese Vowels: which of nine speakers says the vowels a and e (Kudo, Toyama and Shimbo 1999).

train, test = japanese_vowels()
model.fit(train, ...)
right = (model.predict({"x": test["x"]}).argmax(axis=-1) == test["speaker"]).mean()

270 utterances to train on, 370 to test, the split of the data set; 7 to 29 steps of 12 numbers. Where the files are
from, and their licence, stands in data/README.md.
"""

from __future__ import annotations

import gzip
from importlib.resources import files
from typing import Any

import numpy as np

CHANNELS, SPEAKERS = 12, 9


def japanese_vowels() -> tuple[dict[str, Any], dict[str, Any]]:
    """The utterances to train on, and those to test on, as `Model.fit` takes them: "x", a list of arrays
    ``(steps, 12)``, float32, and "speaker", their numbers, 0 to 8. Each channel has mean 0 and standard deviation 1
    over all steps of the training utterances."""
    train, test = (_utterances(f"japanese_vowels_{part}.ts.gz") for part in ("train", "test"))
    steps = np.concatenate(train["x"])
    mean, std = steps.mean(axis=0), steps.std(axis=0)
    for part in (train, test):
        part["x"] = [((x - mean) / std).astype(np.float32) for x in part["x"]]
    return train, test


def _utterances(name: str) -> dict[str, Any]:
    """Those of a file: a case a line, its channels and at last its class divided by colons; @ and # lines are none."""
    text = gzip.decompress((files(__package__) / "data" / name).read_bytes()).decode("ascii")
    cases = [line.split(":") for line in text.splitlines() if line and line[0] not in "#@"]
    x = [np.array([channel.split(",") for channel in case[:-1]], np.float64).T for case in cases]
    return {"x": x, "speaker": np.array([int(case[-1]) - 1 for case in cases])}
