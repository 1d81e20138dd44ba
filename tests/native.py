"""Programs in C for tests: many in one call of the compiler, against the interpreter.

``python -m tests.native 1000`` does so with that many random networks, their gradients and gradients in blocks of steps,
in builds for several processors in turn; every fourth is a matrix memory. ``python -m tests.native 500 500`` does it with as
many from number 500 on.
"""

import contextlib
import ctypes
import shutil
import sys

import numpy as np

import blocks as bk
from blocks.compile import NATIVE
from blocks.compile.native import build, emit, nests, run
from blocks.compile.native.run import FLAGS
from blocks.compile.passes.checkpoint import checkpointing
from blocks.interpret import bind

from .helpers import poisoned, single
from .wide import case, memory

HERE = any(map(shutil.which, build.NAMES))


def function(graph, name, checkpoint=None, large=False):
    """A graph as a function of C that is not compiled yet; `large`: as if all its sizes were."""
    for change in (*([] if checkpoint is None else [checkpointing(checkpoint)]), *(p for _, p in NATIVE.passes)):
        graph = change(graph)
    before = nests.BROAD, emit.SHARED
    nests.BROAD, emit.SHARED = (2, 2) if large else before
    try:
        return emit.emit_native(graph, name)
    finally:
        nests.BROAD, emit.SHARED = before


def together(functions, *flags):
    """Have functions compiled as one text."""
    unit = '#include "blocks.h"\n' + "\n".join(f.source for f in functions)
    for f in functions:
        f.unit, f.flags = unit, (*FLAGS, *flags)


@contextlib.contextmanager
def threads(count):
    """Calls have so many threads, also for little work, on a smaller machine and on a busy one."""
    before = run.threads, run.WORTH, run.BETWEEN
    run.threads, run.WORTH, run.BETWEEN = lambda: count, 1, 0
    away = ctypes.c_int64.in_dll(run.crew(), "away")
    away.value, long = 0, away.value
    try:
        yield
    finally:
        run.threads, run.WORTH, run.BETWEEN = before
        away.value = long


def judged(function, graph, feeds, dtype="float64", count=1):
    """What a function gives, by one thread and by so many, in memory that starts as NaN; it must be what the interpreter
    gives, relative to the largest number of each array, and the same bits. In float32 it may be off by more where the
    interpreter is too, from what it gives in float64: four times as much."""
    given, exact = feeds, {}
    feeds = single(feeds) if dtype == "float32" else feeds
    tolerance = {"float64": 1e-10, "float32": 2e-4}[dtype]
    want = bk.run(graph, feeds)
    arrays, context = bind(graph, feeds)
    calls = []
    for each in (1, count):
        with poisoned(), threads(each):
            calls.append(function.allocate(context.dims, context.dtype))
    first, second = (call(arrays) for call in calls)
    assert list(first) == list(want), function.name
    for name, value in want.items():
        got, label = first[name], f"{function.name} {dtype}: {name}"
        assert got.shape == value.shape and got.dtype == value.dtype, label
        scale = max(1e-3, float(np.abs(value).max()))  # what cancels to less is noise
        allowed = tolerance * scale
        if dtype == "float32" and value.dtype.kind == "f" and np.abs(got - value).max() > allowed:
            exact = exact or bk.run(graph, given)
            allowed = max(allowed, 4 * float(np.abs(value - exact[name]).max()))
        np.testing.assert_allclose(got, value, rtol=0, atol=allowed, err_msg=label)
        np.testing.assert_array_equal(got, second[name], label)
        assert not any(np.shares_memory(got, other) for other in second.values()), label
    return first


BUILDS = ("-O1 -ftree-vectorize", "-O1 -ftree-vectorize -mno-avx512f", "-O1", "-O1 -march=x86-64")
BATCH = 10  # networks in one call of the compiler


def networks(numbers):
    """Random networks as (graph, feeds, function): each forwards, its gradient, and that in blocks of steps."""
    for number in numbers:
        network = memory(number) if number % 4 == 2 else case(number)
        kinds = [network.graph, None], [network.gradient(), None], [network.gradient(), (1, 2, 3, "sqrt")[number % 4]]
        for k, (graph, every) in enumerate(kinds):
            yield graph, network.feeds, function(graph, f"network_{number}_{'fgb'[k]}", every, number % 3 == 1)


def main(count=1000, begin=0):
    """Judge so many networks; returns how many differ."""
    build.SECONDS = 3600.0
    failed = 0
    for first in range(begin, begin + count, BATCH):
        made = list(networks(range(first, min(first + BATCH, begin + count))))
        flags = BUILDS[first // BATCH % len(BUILDS)]
        together([f for _, _, f in made], *flags.split())
        for graph, feeds, f in made:
            for dtype in ("float64", "float32"):
                try:
                    judged(f, graph, feeds, dtype, count=3)
                except AssertionError as error:
                    failed += 1
                    print(f"{flags}: {error}")
        print(f"{first - begin + len(made) // 3} networks, {failed} wrong", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(bool(main(*map(int, sys.argv[1:]))))
