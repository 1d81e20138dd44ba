"""What emitted source calls besides NumPy: operations that are no single function of it."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from ...graph import OPS
from ...interpret import Run
from ...ops.loop import steps_in_block

__all__ = [
    "Run", "blas_for", "blocks", "call", "lengths", "mean", "scratch", "steps_in_block", "where",
]  # fmt: skip


TINY = 2**18  # multiplications; for a product of fewer OpenBLAS takes one thread by itself
SMALL = 2**21  # multiplications; a product of fewer is faster on one thread (measured, two cores, OpenBLAS 0.3.31)
_blas: list[Any] | None = None
_counting = threading.Lock()
_before: list[list[int]] = []  # for each loop that has BLAS on one thread now, in any Python thread: what it found


def blas() -> list[Any]:
    """The BLAS libraries of this process."""
    global _blas
    if _blas is None:
        _blas = [pool for pool in ThreadpoolController().lib_controllers if pool.user_api == "blas"]
    return _blas


@contextmanager
def blas_for(multiplications: int) -> Iterator[None]:
    """BLAS on one thread, where a loop's largest product is so small that a second one costs more than it
    gives; as it is, elsewhere. The threads are of the whole process: the last of several loops that run at once gives
    them back."""
    if not TINY < multiplications <= SMALL:
        yield
        return
    with _counting:
        _before.append([pool.get_num_threads() for pool in blas()])
        if len(_before) == 1:
            for pool in blas():
                pool.set_num_threads(1)
    try:
        yield
    finally:
        with _counting:
            last = _before.pop()  # all but the first found one thread each
            if not _before:
                for pool, threads in zip(blas(), last, strict=True):
                    pool.set_num_threads(threads)


def lengths(steps: int, most: int) -> list[int]:
    """How many steps each block has."""
    return [min(most, steps - start) for start in range(0, steps, most)]


def blocks(x: np.ndarray, most: int) -> list[np.ndarray]:
    """An array in blocks of so many rows."""
    return [x[start : start + most] for start in range(0, len(x), most)]


def scratch(lengths: list[int], shape: tuple[int, ...], dtype: Any, extra: int = 0, axis: int = 0) -> list[np.ndarray]:
    """A buffer for one block at a time, of the shape of the longest, for each block as an array of its length along
    an axis, with `extra` rows more."""
    numbers = np.empty(math.prod(shape) // shape[axis] * (shape[axis] + extra), dtype)
    sizes = [(*shape[:axis], n + extra, *shape[axis + 1 :]) for n in lengths]
    made = {size: numbers[: math.prod(size)].reshape(size) for size in sizes}
    return [made[size] for size in sizes]


def where(condition: Any, a: Any, b: Any, out: np.ndarray) -> None:
    """``a`` where the condition holds, else ``b``; `out` may be `b`, not `a`."""
    if out is not b:
        np.copyto(out, b)
    np.copyto(out, a, where=condition)


def mean(x: np.ndarray, axis: int | tuple[int, ...], keepdims: bool, out: np.ndarray) -> None:
    """The mean over axes, without the layer of Python in ``np.mean``."""
    if x.dtype == np.float16:  # sums beyond 65504 are summed in float32
        out[...] = np.mean(x, axis=axis, keepdims=keepdims)
        return
    np.add.reduce(x, axis=axis, keepdims=keepdims, out=out)
    np.divide(out, x.size / out.size, out=out)


def call(name: str, *operands: Any, out: np.ndarray, run: Run | None = None, **attrs: Any) -> None:
    """Any operation of the table, as the interpreter does it."""
    with np.errstate(all="ignore"):
        np.copyto(out, OPS[name].forward(*(() if run is None else (run,)), *operands, **attrs))
