"""What emitted source calls besides NumPy: operations that are no single function of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..graph import OPS
from ..interpret import Run

__all__ = ["Run", "call", "where"]


def where(condition: Any, a: Any, b: Any, out: np.ndarray) -> None:
    """``a`` where the condition holds, else ``b``; `out` may be `b`, not `a`."""
    if out is not b:
        np.copyto(out, b)
    np.copyto(out, a, where=condition)


def call(name: str, *operands: Any, out: np.ndarray, run: Run | None = None, **attrs: Any) -> None:
    """Any operation of the table, as the interpreter does it."""
    np.copyto(out, OPS[name].forward(*(() if run is None else (run,)), *operands, **attrs))
