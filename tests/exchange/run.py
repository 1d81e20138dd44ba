"""Random networks: blocks against PyTorch.

    .ci/more exchange [NETWORKS] [--first N] [--processes P]      python -m tests.exchange.run 3000

Each network (tests/wide) is evaluated by PyTorch in float64, its gradients by autograd, and compared with `run`
of `bk.grad`, with `compile`, with checkpoints, as one of two trials, and after a round trip through JSON; one in
five also in the second derivative. A case that takes longer than its limit is a hang. Every failure is named by its number:

    python -m tests.exchange.run --case 17 [--shrink '']     the case alone, and a smaller one that fails alike
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

import blocks as bk
from blocks.exchange.walk import all_nodes
from blocks.graph import FED, OPS
from blocks.ops.elementwise import place_of_trials
from tests.exchange.reference import ROWS, evaluate, gradients
from tests.helpers import Hang, limit, poisoned, small_blocks
from tests.wide import Case, Dice, Replayed, case, network, shrink

SECONDS = 20  # and as many again for each NODES of a second derivative
NODES = 10_000
TOLERANCE = 1e-9  # relative to the largest number of each array
FLOOR = 1e-3  # of arrays of smaller numbers, which are what cancels
TOLD = 5  # of failures of one kind so many are told in full
VARIANTS = {
    "compile": lambda g: bk.compile(g),
    "checkpoint=sqrt": lambda g: bk.compile(g, checkpoint="sqrt"),
    "checkpoint=3": lambda g: bk.compile(g, checkpoint=3),
}


class Mismatch(Exception):
    """Numbers that differ."""


def compare(expected: dict[str, np.ndarray], got: dict[str, np.ndarray]) -> None:
    """Raises Mismatch naming the first array that differs."""
    if set(expected) != set(got):
        raise Mismatch(f"the outputs are {sorted(got)}, not {sorted(expected)}")
    for name, value in expected.items():
        other = np.asarray(got[name])
        if other.shape != value.shape or other.dtype.kind != value.dtype.kind:
            raise Mismatch(f"{name} is {other.shape} {other.dtype}, not {value.shape} {value.dtype}")
        if value.dtype.kind != "f":
            if not np.array_equal(value, other):
                raise Mismatch(f"{name} differs")
            continue
        if not np.isfinite(value).all():
            raise Mismatch(f"{name} is not finite in PyTorch")
        scale = max(FLOOR, float(np.abs(value).max(initial=0.0)))
        gap = float(np.abs(other - value).max(initial=0.0))
        if not gap <= TOLERANCE * scale:
            raise Mismatch(f"{name} is off by {gap:.2g}, of {scale:.2g}")


def check(c: Case, second: bool, seconds: float) -> Iterator[tuple[str, str]]:
    """What fails: (kind, text), kind being mismatch, error or hang. One failure does not hide the next."""
    failures: list[tuple[str, str]] = []
    told: set[str] = set()

    def failed(kind: str, label: str, text: str) -> None:
        if kind_of(text) not in told:  # what fails alike under other labels is told once
            failures.append((kind, f"{label}: {text}"))
        told.add(kind_of(text))

    def tried(label: str, what: Callable[[], Any], seconds: float = seconds) -> Any:
        try:
            with limit(seconds):
                return what()
        except Hang:
            failed("hang", label, f"does not end within {seconds:.0f} s")
        except Mismatch as error:
            failed("mismatch", label, str(error))
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            at = f"{os.path.basename(place.filename)}:{place.lineno}" if os.path.exists(place.filename) else "program"
            failed("error", label, f"{type(error).__name__}: {error!s:.300} [{at}]")
        return None

    expected = tried("PyTorch", lambda: by_torch(c.graph, c.feeds, c.wrt))
    if expected is None:
        yield from failures
        return
    forward = {name: expected[name] for name in c.graph.outputs}
    tried("run", lambda: compare(forward, bk.run(c.graph, c.feeds)))
    tried("compile without a gradient", lambda: compare(forward, after_others(bk.compile(c.graph), c.feeds)))
    gradient = tried("grad", lambda: c.gradient().verify())
    if gradient is not None:
        tried("run of the gradient", lambda: compare(expected, bk.run(gradient, c.feeds)))
        tried("JSON", lambda: compare(expected, bk.run(bk.from_json(bk.to_json(gradient)), c.feeds)))
        for label, make in VARIANTS.items():
            tried(label, lambda make=make: compare(expected, after_others(make(gradient), c.feeds)))
        if c.graph.params:
            tried("trials", lambda: side_by_side(c, gradient, expected))
        with small_blocks():
            tried("small blocks", lambda: compare(expected, after_others(bk.compile(gradient), c.feeds)))
    twice = tried("second derivative", c.second) if second and gradient is not None else None
    if twice is not None:
        number, longer = (
            bk.Graph({"loss": twice.outputs["loss"]}),
            seconds * (1 + sum(1 for _ in all_nodes(twice)) / NODES),
        )
        names = [n[5:] for n in twice.outputs if n.startswith("grad/")]
        fed = {name: value for name, value in c.feeds.items() if name in number.nodes}
        expected = tried("PyTorch of the gradient", lambda: by_torch(number, fed, names), longer)
        fed = {name: value for name, value in fed.items() if name in twice.nodes}
        if expected is not None:
            tried("second derivative", lambda: compare(expected, bk.run(twice, fed)), longer)
            tried("compiled second derivative", lambda: compare(expected, after_others(bk.compile(twice), fed)), longer)
    yield from failures


def side_by_side(c: Case, gradient: bk.Graph, expected: dict[str, np.ndarray]) -> None:
    """The network and one with other weights as two trials, each against PyTorch alone. Raises Mismatch."""
    params, draws = c.graph.params, c.graph.draws
    other = {**c.feeds, **{name: c.feeds[name] * 0.9 + 0.03 for name in params}}
    fed = {
        name: np.stack([value, other[name]], axis=place_of_trials({**params, **draws}[name]))
        if name in params or name in draws
        else value
        for name, value in c.feeds.items()
    }
    got = bk.compile(bk.trials(gradient))(fed)
    for r, wanted in enumerate((expected, by_torch(c.graph, other, c.wrt))):
        places = {name: place_of_trials(node.shape) for name, node in gradient.outputs.items()}
        compare(wanted, {name: np.take(value, r, axis=places[name]) for name, value in got.items()})


def after_others(program: bk.Program, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs of a program at its second call; the first, on other feeds, found NaN in all its buffers."""
    whole = {name for name, value in feeds.items() if value.dtype.kind != "f" or np.isin(value, (0.0, 1.0)).all()}
    with poisoned():
        other = {name: value if name in whole else value * 0.5 - 0.01 for name, value in feeds.items()}
        first = program(other)
    if any(np.isnan(value).any() for value in first.values() if value.dtype.kind == "f"):
        raise Mismatch("memory is read before it is written")
    return program(feeds)


def by_torch(graph: bk.Graph, feeds: dict[str, np.ndarray], wrt: list[str]) -> dict[str, np.ndarray]:
    """The outputs of a graph and the gradients of its loss, by PyTorch."""
    outputs, leaves = evaluate(graph, feeds, wrt)
    values = {name: value.detach().numpy() for name, value in outputs.items()}
    return values | {f"grad/{name}": g for name, g in gradients(outputs, leaves).items()}


def outcome(make: Callable[[], Case], second: bool, seconds: float = SECONDS) -> list[tuple[str, str]]:
    """The failures of a case; none, where it is right."""
    try:
        with limit(seconds):
            made = make()
    except (Hang, Exception) as error:
        return [("error", f"generator: {type(error).__name__}: {error!s:.300}")]
    return list(check(made, second, seconds))


def one(number: int) -> tuple[int, list[tuple[str, str]], float]:
    torch.set_num_threads(1)
    threadpool_limits(1)
    start = time.perf_counter()
    return number, outcome(lambda: case(number), number % 5 == 0), time.perf_counter() - start


def kind_of(text: str) -> str:
    """A failure without the numbers and names of its case: failures of one kind have one."""
    text = re.sub(r"'[^']*'", "''", text)
    return re.sub(r"\([^)]*\)", "()", re.sub(r"[^:]* is off by .*", " is off", re.sub(r"\d+", "#", text)))[:110]


def many(first: int, count: int, processes: int) -> int:
    """Run them all; returns how many failed."""
    if missing := OPS.keys() - ROWS.keys() - set(FED):
        print(f"exchange: tests/exchange/reference.py has no row for {', '.join(sorted(missing))}")
    start, found, slow, failed = time.time(), collections.Counter(), (0.0, -1), 0
    examples: dict[str, list[int]] = {}
    last = start
    with concurrent.futures.ProcessPoolExecutor(processes) as pool:
        for done, (number, failures, took) in enumerate(pool.map(one, range(first, first + count)), 1):
            slow, failed = max(slow, (took, number)), failed + bool(failures)
            found.update({kind for kind, _ in failures})
            for kind, text in failures:
                alike = examples.setdefault(f"{kind}: {kind_of(text)}", [])
                alike.append(number)
                if len(alike) <= TOLD:
                    print(f"  {number}: {kind}: {text}", flush=True)
            if time.time() - last > 30:
                last = time.time()
                print(f"... {done} of {count}, {failed} failed, {last - start:.0f} s", flush=True)
    if examples:
        print("\nkinds of failure, with the first numbers of each:")
        for text, numbers in sorted(examples.items(), key=lambda item: -len(item[1])):
            print(f"  {len(numbers):4} × {text}   {numbers[:6]}")
    print(
        f"exchange: {count} networks, {found['mismatch']} mismatches, {found['error']} errors, {found['hang']} hangs "
        f"({time.time() - start:.0f} s; the slowest, {slow[1]}, {slow[0]:.1f} s)"
    )
    return failed


def alone(number: int, smaller: str | None) -> int:
    """One case, told in full; and a smaller one with a failure whose text has `smaller` in it."""
    dice = Dice(number)
    failures = outcome(lambda: network(dice), number % 5 == 0)
    for kind, text in failures:
        print(f"case {number}: {kind}: {text}")
    if not failures:
        print(f"case {number}: right")
    alike = [(kind, text) for kind, text in failures if smaller is not None and smaller in f"{kind}: {text}"]
    if not alike:
        return bool(failures)
    wanted = alike[0][0], kind_of(alike[0][1])

    def fails(choices: Sequence[int]) -> bool:
        found = outcome(lambda: network(Replayed(choices)), "second" in wanted[1], 3)
        return any((kind, kind_of(text)) == wanted for kind, text in found)

    best = shrink(dice.said, fails, tries=int(os.environ.get("TRIES", "600")))
    small = network(Replayed(best))
    print(small.graph.dump())
    print({name: value.shape for name, value in small.feeds.items()}, "by", small.wrt)
    for kind, text in outcome(lambda: network(Replayed(best)), "second" in wanted[1], 5):
        print(f"{kind}: {text}")
    return 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", type=int, nargs="?", default=300)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--case", type=int)
    parser.add_argument("--shrink", metavar="TEXT", help="a smaller case, with a failure that says so; '' for any")
    options = parser.parse_args()
    if options.case is not None:
        sys.exit(alone(options.case, options.shrink))
    sys.exit(1 if many(options.first, options.networks, options.processes) else 0)
