"""What an update costs beside the program that it runs: `Model.fit`, its program alone, and the loop of PyTorch.

    python -m benchmarks.loop [--rounds 5] [--optimizer adam]

A row is one size, (steps, batch, units) of an LSTM with a read-out and a squared error, float32, clipped; ragged: of
sequences of unequal length, as a list of arrays, under a mask. Microseconds of an update, the median over updates and
then over rounds; and by how much `fit` exceeds 0.3 of the program's call, which is at most 60 µs. All take turns, each
after a pause (`benchmarks.turns`). Compare columns of one run, never two runs.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import blocks as bk
from benchmarks import turns

SIZES = [(10, 1, 8), (20, 1, 32), (50, 32, 64)]
INPUTS, OUTPUTS, CLIP = 8, 4, 1.0
UPDATES = 60  # in a turn
OPTIMIZERS = {"sgd": bk.SGD(0.01), "momentum": bk.SGD(0.01, momentum=0.9), "adam": bk.Adam(1e-3)}
Turn = Callable[[], list[float]]  # seconds of each update


def samples(steps: int, batch: int, ragged: bool) -> dict[str, Any]:
    """Data for all updates of a turn."""
    rng = np.random.default_rng(0)
    count = UPDATES * batch
    lengths = rng.integers(steps // 2, steps + 1, count) if ragged else np.full(count, steps)
    data = {k: [rng.standard_normal((n, width)).astype("float32") for n in lengths]
            for k, width in (("x", INPUTS), ("target", OUTPUTS))}  # fmt: skip
    return data if ragged else {k: np.stack(v) for k, v in data.items()}


def model(units: int, ragged: bool) -> bk.Model:
    """The network."""
    mask = bk.sequence("mask") if ragged else None
    hs = bk.scan(bk.cells.lstm(INPUTS, units), bk.sequence("x", INPUTS), mask=mask)
    y = bk.ADD(OUTPUTS, name="out")(hs)
    return bk.Model(loss=bk.losses.squared_error(y, bk.sequence("target", OUTPUTS), mask))


def by_fit(network: bk.Model, data: dict[str, Any], batch: int, optimizer: str) -> Turn:
    """An epoch of `fit`: from one update to the next."""

    def run() -> list[float]:
        at: list[float] = []
        options = {"batch_size": batch, "clip": CLIP, "optimizer": OPTIMIZERS[optimizer], "progress": False}
        network.fit(data, callbacks=lambda m, record: at.append(time.perf_counter()), **options)
        return [b - a for a, b in itertools.pairwise(at)]

    return run


def by_program(network: bk.Model, data: dict[str, Any], batch: int) -> Turn:
    """The program that `fit` calls, on the same batches."""
    from blocks.train.data import Data
    from blocks.train.inputs import Inputs

    prepared = Data(Inputs(network.graph_for("loss"), network.dtype), data, batch)
    program = network.program_for("train")
    fed = [{**network.weights, **feeds} for _, feeds in prepared.batches(batch)]
    return lambda: timed(lambda feeds: program(feeds), fed)


def by_torch(data: dict[str, Any], batch: int, units: int, optimizer: str, ragged: bool) -> Turn:
    """The usual loop of PyTorch, with nn.LSTM."""
    import torch

    torch.manual_seed(0)
    lstm, out = torch.nn.LSTM(INPUTS, units), torch.nn.Linear(units, OUTPUTS)
    weights = [*lstm.parameters(), *out.parameters()]
    rule = {
        "sgd": lambda: torch.optim.SGD(weights, 0.01),
        "momentum": lambda: torch.optim.SGD(weights, 0.01, momentum=0.9),
        "adam": lambda: torch.optim.Adam(weights, 1e-3),
    }[optimizer]()
    names = ("x", "target")
    batches = [tuple([torch.tensor(s) for s in data[k][i : i + batch]] for k in names)
               for i in range(0, len(data["x"]), batch)]  # fmt: skip

    def update(pair: tuple[list[Any], list[Any]]) -> None:
        x, target = (torch.nn.utils.rnn.pad_sequence(part) for part in pair)
        hs, _ = lstm(x)
        error = (out(hs) - target) ** 2
        if ragged:
            lengths = torch.tensor([len(s) for s in pair[0]])
            mask = (torch.arange(len(x))[:, None] < lengths).float()
            loss = (error.mean(-1) * mask).sum() / mask.sum()
        else:
            loss = error.mean()
        rule.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, CLIP)
        rule.step()

    return lambda: timed(update, batches)


def timed(call: Callable[[Any], object], arguments: list[Any]) -> list[float]:
    """Seconds of each call."""
    times = []
    for argument in arguments:
        began = time.perf_counter()
        call(argument)
        times.append(time.perf_counter() - began)
    return times


def row(steps: int, batch: int, units: int, ragged: bool, optimizer: str, rounds: int) -> dict[str, float]:
    """Name → microseconds of an update."""
    data, network = samples(steps, batch, ragged), model(units, ragged)
    contestants = {
        "program": by_program(network, data, batch),
        "fit": by_fit(network, data, batch, optimizer),
    }
    if importlib.util.find_spec("torch"):
        contestants["PyTorch"] = by_torch(data, batch, units, optimizer, ragged)
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 1):  # the first round does not count
        for name, run in contestants.items():
            turns.rest()
            seconds = statistics.median(run())
            times[name] += [seconds] if number else []
    return {name: 1e6 * statistics.median(seconds) for name, seconds in times.items()}


def rows(optimizer: str, rounds: int) -> Iterator[tuple[tuple[int, int, int], bool, dict[str, float]]]:
    """All sizes, ragged and not."""
    for size in SIZES:
        for ragged in (False, True):
            yield size, ragged, row(*size, ragged, optimizer, rounds)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=turns.positive, default=5)
    parser.add_argument("--optimizer", choices=OPTIMIZERS, default="adam")
    options = parser.parse_args()
    print(f"{options.optimizer}: microseconds of an update\n")
    print(f"{'size':14} {'ragged':6} {'program':>9} {'fit':>9} {'PyTorch':>9} {'fit − 1.3 program':>18}")
    for size, ragged, times in rows(options.optimizer, options.rounds):
        over = times["fit"] - 1.3 * times["program"]
        theirs = f"{times['PyTorch']:9.0f}" if "PyTorch" in times else f"{'–':>9}"
        named = f"{size!s:14} {'yes' if ragged else 'no':6}"
        print(f"{named} {times['program']:9.0f} {times['fit']:9.0f} {theirs} {over:18.0f}", flush=True)


if __name__ == "__main__":
    main()
