"""Learning online, an update at every step: a compiled scan of `bk.learner` beside ``Model.fit(tbptt=1)``.

    python -m benchmarks.learner [UPDATES]

Each row is one cell, optimizer, batch and number of units; the time of `fit` over that of the scan, both for the same
updates, which must give the same weights. The best of three turns each.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

import blocks as bk

INPUTS, OUTPUTS = 4, 2
ROWS = [
    (cell, optimizer, batch, units)
    for cell in (bk.cells.srn, bk.cells.lstm)
    for optimizer in (bk.SGD(0.01), bk.Adam(1e-3))
    for batch, units in ((1, 8), (20, 32))
]


def loss_of(h: bk.Node, target: bk.Node) -> bk.Node:
    """The squared error of a read-out."""
    return bk.losses.squared_error(bk.ADD(OUTPUTS, name="out")(bk.named("read", h)), target)


def scanned(make: Callable[..., bk.Cell], units: int, optimizer: bk.SGD | bk.Adam) -> bk.Program:
    """All updates as one loop: the weights after the last."""
    loss = loss_of(make(INPUTS, units)(bk.input("x", INPUTS)), bk.input("target", OUTPUTS))
    learning = bk.learner(loss, optimizer)
    xs = {"x": bk.sequence("x", INPUTS), "target": bk.sequence("target", OUTPUTS)}
    _, last = bk.scan(learning, xs, final=True)
    return bk.compile(bk.Graph({name: last[name] for name in learning.firsts}))


def best(turn: Callable[[], object]) -> float:
    """Seconds of the fastest of three turns."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        turn()
        times.append(time.perf_counter() - start)
    return min(times)


def row(make: Callable[..., bk.Cell], optimizer: bk.SGD | bk.Adam, batch: int, units: int, updates: int) -> float:
    """How many times longer `fit` takes. Raises AssertionError if the weights differ."""
    rng = np.random.default_rng(0)
    x, target = rng.standard_normal((batch, updates, INPUTS)), rng.standard_normal((batch, updates, OUTPUTS))
    hs = bk.scan(make(INPUTS, units), bk.sequence("x", INPUTS))
    model = bk.Model(loss=loss_of(hs, bk.sequence("target", OUTPUTS)), dtype="float64")
    first = {name: w.copy() for name, w in model.weights.items()}
    program = scanned(make, units, optimizer)
    feeds = {**first, "x": np.moveaxis(x, 1, 0).copy(), "target": np.moveaxis(target, 1, 0).copy()}

    def fit() -> None:
        model.set_weights(first)
        data = {"x": x, "target": target}
        model.fit(data, batch_size=batch, tbptt=1, shuffle=False, optimizer=optimizer, progress=False)

    ratio = best(fit) / best(lambda: program(feeds))
    for name, w in program(feeds).items():
        np.testing.assert_allclose(w, model.weights[name], rtol=1e-9, atol=1e-12)
    return ratio


def main(updates: int) -> None:
    """Print the table."""
    print(f"{updates} updates; time of fit(tbptt=1) over that of the scanned learner\n")
    print(f"{'cell':6} {'optimizer':10} {'batch':>5} {'units':>5} {'ratio':>6}")
    for make, optimizer, batch, units in ROWS:
        ratio = row(make, optimizer, batch, units, updates)
        print(f"{make.__name__:6} {type(optimizer).__name__:10} {batch:5} {units:5} {ratio:6.1f}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
