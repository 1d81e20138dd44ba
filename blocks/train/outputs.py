"""What comes out of a model's runs: pieces put together for a user, and where numbers stop to be finite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..graph import Graph, Node, Shape
from ..interpret import run
from ..ops.random import Draw
from .data import Data


def joined(arrays: list[np.ndarray], axis: int) -> np.ndarray:
    """Arrays one after the other along an axis; an only one as it is."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=axis)


def batch_first(batches: list[list[np.ndarray]], shape: Shape, time: str, data: Data) -> Any:
    """An output of all batches with the batch first; a list, where sequences have lengths of their own."""
    at = shape.index("batch") if "batch" in shape else None
    whole = [joined(parts, shape.index(time)) if time in shape else parts[-1] for parts in batches]
    if at is None:
        return whole[-1]
    whole = [np.moveaxis(part, at, 0) for part in whole]
    lengths = data.lengths.get(str(shape[0])) if at == 1 else None
    if lengths is not None:
        rows = [row for part in whole for row in part]
        return [row[:n] for row, n in zip(rows, lengths, strict=True)]
    return np.ascontiguousarray(joined(whole, 0))


def first_not_finite(graph: Graph, feeds: Mapping[str, Any], draw: Draw) -> str:
    """Which node of a run is the first whose value is not finite."""
    found: list[str] = []

    class Found(Exception):
        pass

    def watch(node: Node, value: Any, steps: tuple[int, ...]) -> None:
        if isinstance(value, np.ndarray | np.generic) and value.dtype.kind == "f" and not np.isfinite(value).all():
            inside = f", at step {steps[-1]} of the loop" if steps else ""
            made = f", made at {node.where}" if node.where else ""
            kind = "NaN" if np.isnan(value).any() else "infinite"
            found.append(f"the first such value is {node.describe()} ({node.op.name}{made}){inside}: it is {kind}")
            raise Found

    try:
        run(graph, feeds, watch, draw)
    except Found:
        return found[0]
    return "it came and went: no value of a second run is"
