"""Operations that are no single expression: the table of what writes them.

Each writer is given a `Statement`: the writer of the program, the node, where its operands are and where its result
must stand.
"""

from __future__ import annotations

from collections.abc import Callable

from .along import along, cross_entropy, softmax
from .masked import hold
from .products import matmul, outer
from .reductions import reduction, weighted_mean
from .rows import gather, one_hot, scatter
from .statement import Statement

STATEMENTS: dict[str, Callable[[Statement], None]] = {
    "matmul": matmul,
    "outer": outer,
    "sum": reduction,
    "mean": reduction,
    "max": reduction,
    "weighted_mean": weighted_mean,
    "softmax": softmax,
    "log_softmax": softmax,
    "cumsum": along,
    "argmax": along,
    "cross_entropy": cross_entropy,
    "gather": gather,
    "scatter": scatter,
    "one_hot": one_hot,
    "hold": hold,
    "release": hold,
}
