"""Reber's grammar, and the embedded one, in which the last symbol but one is the second (Reber 1967; Hochreiter and
Schmidhuber 1997, figures 3 and 4).

              ┌─S─┐                            ┌──▶ Reber ──▶ E ─ T ─┐
          ┌T─▶ 1 ─┴─X──▶ 3 ──S──▶ end      B ─ T                     ├─▶ E
    B ─▶ 0             X│▲P                B ─ P                     │
          └P─▶ 2 ─┬─V──▶▼4 ──V──▶ end          └──▶ Reber ──▶ E ─ P ─┘
              └─T─┘  (X leads from 3 to 2)

    data = as_data([embedded_reber(rng) for _ in range(256)])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

SYMBOLS = "BTPSXVE"
END = 5
ARROWS = ({"T": 1, "P": 2}, {"S": 1, "X": 3}, {"T": 2, "V": 4}, {"X": 2, "S": END}, {"P": 3, "V": END})


def reber(rng: np.random.Generator) -> str:
    """A string of the grammar, as ``BTSXSE``; each arrow is taken with probability ½."""
    text, node = "B", 0
    while node != END:
        symbol = list(ARROWS[node])[rng.integers(2)]
        text, node = text + symbol, ARROWS[node][symbol]
    return text + "E"


def embedded_reber(rng: np.random.Generator) -> str:
    """A string of the embedded grammar, as ``BTBPVVETE``: what comes last but one is known since the second step."""
    branch = "TP"[rng.integers(2)]
    return f"B{branch}{reber(rng)}{branch}E"


def legal(text: str) -> list[str]:
    """The symbols that may follow each but the last of a string, of either grammar."""
    if text[2:3] != "B":
        return _legal_inside(text)
    return ["TP", "B", *_legal_inside(text[2:-2]), text[1], "E"]


def _legal_inside(text: str) -> list[str]:
    node, found = 0, []
    for symbol in text[1:-1]:
        found.append("".join(ARROWS[node]))
        node = ARROWS[node][symbol]
    return [*found, "E"]


def training_and_test(rng: np.random.Generator, count: int) -> tuple[list[str], list[str]]:
    """So many embedded strings to train on, repeats and all, and as many to test on that are none of these."""
    train = [embedded_reber(rng) for _ in range(count)]
    known, test = set(train), list[str]()
    while len(test) < count:
        text = embedded_reber(rng)
        if text not in known:
            test.append(text)
    return train, test


def as_data(texts: Sequence[str]) -> dict[str, Any]:
    """Strings as arrays ``(strings, time, 7)``: "x", one-hot; "target", the next symbol; "legal", 1 for each symbol
    that may come; and "mask", ``(strings, time)``, 1 where a string has a step."""
    steps = max(len(text) for text in texts) - 1
    shape = (len(texts), steps, len(SYMBOLS))
    x, target, may = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    mask = np.zeros(shape[:2])
    one = np.eye(len(SYMBOLS))
    for i, text in enumerate(texts):
        n, ids = len(text) - 1, [SYMBOLS.index(c) for c in text]
        x[i, :n], target[i, :n], mask[i, :n] = one[ids[:-1]], one[ids[1:]], 1.0
        may[i, :n] = [[c in options for c in SYMBOLS] for options in legal(text)]
    return {"x": x, "target": target, "legal": may, "mask": mask}


def best() -> dict[str, float]:
    """What the best predictor of the next symbol of embedded strings comes to: "squared", the mean over steps of the
    sum of squared errors, and "nats", the mean cross-entropy. It knows the node, and that both arrows are as likely.

    The mean number of visits v of the nodes solves v = start + v A, where A has ½ for each arrow between two.
    """
    arrows = np.zeros((END, END))
    for node, options in enumerate(ARROWS):
        for after in options.values():
            if after != END:
                arrows[node, after] += 0.5
    inside = float(np.linalg.solve(np.eye(END) - arrows.T, np.eye(END)[0]).sum())
    choices, steps = (
        inside + 1.0,
        inside + 5.0,
    )  # the branch is a choice too; certain are the inner B, its E, the branch again and E
    return {"squared": 0.5 * choices / steps, "nats": float(np.log(2.0)) * choices / steps}
