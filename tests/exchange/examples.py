"""The graphs whose texts are recorded in tests/data/exported, one file a language.

python -m tests.exchange.examples        writes them anew; then `.ci/more exchange` runs them
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import blocks as bk

FOLDER = Path(__file__).parent.parent / "data" / "exported"


def lstm() -> bk.Model:
    """A model: its arrays are batch first, its last states are there for who asks."""
    xs = bk.sequence("x", 8)
    return bk.Model(outputs=bk.ADD(3, name="read_out")(bk.scan(bk.cells.lstm(8, 5), xs)))


def odd() -> bk.Graph:
    """Several states, one of them a matrix, one an integer; a mask, a loop backwards, a constant, a draw, a loss."""
    x, key = bk.input("x", 3), bk.input("key", shape=(4,))
    h, memory, count = bk.state("h", 4), bk.state("memory", 4, 4, init=0.5), bk.state("count", dtype="int")
    q = bk.SOFTMAX(4, name="query")(x, bk.stop_gradient(h))
    new = 0.9 * memory + bk.outer_each(q, bk.TANH(4, name="value")(x))
    h1 = bk.maximum(bk.matvec(new, q * key), bk.ADD(4, name="peep", weights="diagonal", bias=False)(h))
    cell = bk.Cell(states={h: h1, memory: new, count: count + 1}, outputs={"y": h1, "count": count}, name="odd")
    xs, mask = bk.sequence("x", 3), bk.sequence("mask", dtype="bool")
    out, last = bk.scan(cell, {"x": xs, "key": np.array([1.0, -0.5, 2.0, 0.25])}, mask=mask, final=True)
    back = bk.scan(bk.cells.gru(4, 2, name="back"), bk.dropout(out["y"], 0.2), mask=mask, reverse=True)
    target = bk.sequence("target", dtype="int")
    loss = bk.losses.cross_entropy(bk.ADD(5, name="scores")(back), target, mask)
    return bk.Graph({"loss": loss, "end": last["odd/memory"], "steps": out["count"]})


def gradient() -> bk.Graph:
    """The gradient of a graph, as a graph."""
    mask = bk.sequence("mask")
    y = bk.scan(bk.cells.srn(2, 3), bk.sequence("x", 2), mask=mask)
    return bk.grad(bk.Graph({"loss": bk.losses.squared_error(y, bk.sequence("target", 3), mask)}))


EXAMPLES: dict[str, Any] = {"lstm": lstm, "odd": odd, "gradient": gradient}

if __name__ == "__main__":
    from tests.test_exchange import WRITERS, written

    FOLDER.mkdir(exist_ok=True)
    for name, make in EXAMPLES.items():
        for language in WRITERS:
            (FOLDER / f"{name}.{language}.txt").write_text(written(language, make()), encoding="utf-8")
