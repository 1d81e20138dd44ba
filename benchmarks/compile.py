"""How long `grad` and `compile` take, for graphs of more and more nodes: chains of elementwise operations, and bricks.

    python -m benchmarks.compile [MOST]

Each row has ten times the nodes of the one before, so a time that is linear in them grows tenfold. The passes are
timed apart from what follows them, the plan and the source.
"""

from __future__ import annotations

import sys
import time

import blocks as bk
from blocks.compile import PASSES


def chain(count: int) -> bk.Graph:
    """`count` elementwise operations one after the other, and the gradient."""
    y = bk.input("x", 4)
    for _ in range(count):
        y = bk.tanh(y)
    return bk.grad(bk.Graph({"loss": bk.mean(y)}), wrt=["x"])


def bricks_in_a_chain(count: int) -> bk.Graph:
    """A cell of `count` bricks, each on the one before it and the state, over time, and the gradient."""
    x, h = bk.input("x", 4), bk.state("h", 4)
    y = x
    for k in range(count):
        y = bk.TANH(4, name=f"b{k}")(y, h)
    return trained(bk.Cell({h: y}, outputs=y))


def bricks_side_by_side(count: int) -> bk.Graph:
    """A cell whose next state is the sum of `count` bricks, over time, and the gradient."""
    x, h = bk.input("x", 4), bk.state("h", 4)
    y = x
    for k in range(count):
        y = y + bk.TANH(4, name=f"b{k}")(x, h)
    return trained(bk.Cell({h: y}, outputs=y))


def trained(cell: bk.Cell) -> bk.Graph:
    """The gradient of a loss over all steps."""
    hs = bk.scan(cell, bk.sequence("x", 4))
    return bk.grad(bk.Graph({"loss": bk.mean(hs * hs)}))


def main(most: int = 10_000) -> None:
    """Print a row for each kind and count."""
    kinds = {
        "elementwise, in a chain": (chain, (100, 1_000, 10_000)),
        "bricks, in a chain": (bricks_in_a_chain, (10, 100, 1_000)),
        "bricks, side by side": (bricks_side_by_side, (10, 100, 1_000)),
    }
    print(f"{'':26}{'count':>8}{'grad':>10}{'passes':>10}{'compile':>10}   seconds")
    for kind, (make, counts) in kinds.items():
        for count in (c for c in counts if c <= most):
            start = time.perf_counter()
            lowered = graph = make(count)
            made = time.perf_counter()
            for _, change in PASSES:
                lowered = change(lowered)
            passed = time.perf_counter()
            bk.compile(graph)
            end = time.perf_counter()
            print(f"{kind:26}{count:8}{made - start:10.3f}{passed - made:10.3f}{end - passed:10.3f}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
