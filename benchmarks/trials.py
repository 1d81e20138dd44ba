"""What trials save: the time of R networks trained one by one, over that of `Model(trials=R)`.

    python -m benchmarks.trials
    python -m benchmarks.trials --cell lstm --steps 17 105 --trials 10 30 --batch 16 --units 8

Each contestant trains the same number of updates with `fit`; all take turns (`benchmarks.turns`), and the median over
rounds of the ratios counts. Without `--shuffle` all trials see the same batches; with it each has an order of its own.
"""

import argparse
import statistics
from functools import partial

import numpy as np

import blocks as bk
from benchmarks.turns import positive, ratio, rounds

INPUTS, CLASSES, UPDATES = 5, 5, 40


def model(cell, units, trials=None):
    """A classifier of every step."""
    x, target = bk.sequence("x", INPUTS), bk.sequence("target", dtype="int")
    y = bk.ADD(CLASSES, name="out")(bk.scan(getattr(bk.cells, cell)(INPUTS, units), x))
    return bk.Model(loss=bk.losses.cross_entropy(y, target), outputs={"y": y}, trials=trials)


def data(steps, batch):
    """Random sequences for so many updates."""
    rng, samples = np.random.default_rng(0), UPDATES * batch
    x = rng.standard_normal((samples, steps, INPUTS))
    return {"x": x, "target": rng.integers(0, CLASSES, (samples, steps))}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cell", nargs="+", default=["srn", "lstm"])
    parser.add_argument("--steps", type=positive, nargs="+", default=[17, 105])
    parser.add_argument("--trials", type=positive, nargs="+", default=[10, 30])
    parser.add_argument("--batch", type=positive, default=1)
    parser.add_argument("--units", type=positive, default=8)
    parser.add_argument("--shuffle", action="store_true")
    parser.add_argument("--rounds", type=positive, default=5)
    options = parser.parse_args()
    print(f"batch {options.batch}, {options.units} units{', shuffled' if options.shuffle else ''}")
    print(f"{'cell':>6}{'steps':>7}{'trials':>8}{'ms for one':>12}{'ms for all':>12}{'saved':>8}")
    for cell in options.cell:
        for steps in options.steps:
            given = data(steps, options.batch)
            kinds = {trials: model(cell, options.units, trials) for trials in (None, *options.trials)}
            settings = {"batch_size": options.batch, "shuffle": options.shuffle, "progress": False}
            times = rounds({k: partial(m.fit, given, **settings) for k, m in kinds.items()}, options.rounds)
            for trials in options.trials:
                one, every = (1000 * statistics.median(times[k]) / UPDATES for k in (None, trials))
                saved = trials * ratio(times[None], times[trials])
                print(f"{cell:>6}{steps:>7}{trials:>8}{one:>12.2f}{every:>12.2f}{saved:>7.1f}x", flush=True)


if __name__ == "__main__":
    main()
