"""What several test files need: comparisons, limits, a small model and its data."""

import contextlib
import signal
from collections.abc import Iterator

import numpy as np

import blocks as bk
from blocks.ops import loop


def same(expected, got, tolerance, label=""):
    """The same names, shapes, types and numbers, the tolerance relative to the largest number of an array."""
    assert set(expected) == set(got), label
    for name, value in expected.items():
        scale = max(1.0, float(np.abs(value).max()))
        np.testing.assert_allclose(got[name], value, rtol=tolerance, atol=tolerance * scale, err_msg=f"{label}: {name}")
        assert got[name].shape == value.shape and got[name].dtype == value.dtype, (label, name)


def single(feeds):
    """Feeds in single precision."""
    return {k: v.astype(np.float32) if v.dtype.kind == "f" else v for k, v in feeds.items()}


def fed(graph, sizes, seed, dtype="float64"):
    """Weights and normal inputs of a graph, for sizes such as ``{"time": 5, "batch": 3}``."""
    rng = np.random.default_rng(seed)
    shapes = {name: tuple(sizes.get(d, d) for d in shape) for name, shape in {**graph.inputs, **graph.params}.items()}
    return {name: (rng.standard_normal(shape) * 0.8).astype(dtype) for name, shape in shapes.items()}


def network(masked=True, features=3, units=4, classes=5, cell=bk.cells.lstm):
    """A classifier of every step: the loss and the logits, over x, target and mask."""
    x, target = bk.sequence("x", features), bk.sequence("target", dtype="int")
    mask = bk.sequence("mask") if masked else None
    y = bk.ADD(classes, name="out")(bk.scan(cell(features, units), x, mask=mask))
    return bk.losses.cross_entropy(y, target, mask), y


def model(masked=False, dtype="float64", seed=1, **options):
    """`network` as a `Model`."""
    loss, y = network(masked, **options)
    return bk.Model(loss=loss, outputs={"y": y}, seed=seed, dtype=dtype)


def data(samples=12, steps=10, features=3, classes=5, seed=5):
    """Random sequences with a class for each step, samples first, as `fit` takes them."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((samples, steps, features))
    return {"x": x, "target": rng.integers(0, classes, (samples, steps))}


@contextlib.contextmanager
def poisoned() -> Iterator[None]:
    """New memory holds NaN inside, so that what is read before it is written shows."""
    plain = np.empty

    def empty(*arguments: object, **options: object) -> np.ndarray:
        array = plain(*arguments, **options)
        if array.dtype.kind == "f":
            array.fill(np.nan)
        elif array.dtype.kind in "iu":
            array.fill(77)
        return array

    np.empty = empty
    try:
        yield
    finally:
        np.empty = plain


@contextlib.contextmanager
def small_blocks() -> Iterator[None]:
    """Arrays of a few numbers are worked on in blocks of steps, as large ones are."""
    before = loop.WORTH_BLOCKS, loop.CACHED
    loop.WORTH_BLOCKS, loop.CACHED = 1, 7
    try:
        yield
    finally:
        loop.WORTH_BLOCKS, loop.CACHED = before


class Hang(Exception):
    """Something that does not end."""


@contextlib.contextmanager
def limit(seconds: float, label: object = "") -> Iterator[None]:
    """Raises Hang naming the case, when what is inside takes longer: seconds of this process, not of the clock,
    so that a busy machine hangs nothing."""

    def late(*_: object) -> None:
        raise Hang(f"{label or 'this'} does not end within {seconds} s")

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
