"""Truncated backpropagation through time, in the (k1, k2) form of Williams and Peng 1990.

Every k1 steps there is an update, from the losses of those k1 steps, and the error goes back k2 steps.
A `Window` says which steps one update sees and which of them count:

    k1 = k2 = 4      |0 1 2 3|4 5 6 7|8 9 …           states are handed from window to window
    k1 = 2, k2 = 4   |0 1|, |0 1 [2 3]|, |2 3 [4 5]|   [ ]: the losses that count
    k1 = 4, k2 = 2   0 1 [2 3], 4 5 [6 7]              steps 0, 1, 4, 5 are run for their states alone
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import BlocksError, made
from ..graph import Graph, Node, apply
from ..ops.leaves import make_input
from ..ops.loop import FINAL, loop_op, pick
from ..ops.masks import weighted_mean, weighted_sum
from ..ops.shape import mean, sum_
from .inputs import Arrays, is_whole

WINDOW = "steps that count"  # the input that weighs the losses of a window's steps


@dataclass(frozen=True)
class Window:
    """Steps start … stop - 1 are seen, those from `counts` on count in the loss."""

    start: int
    counts: int
    stop: int


def windows(steps: int, k1: int, k2: int) -> Iterator[Window]:
    """The windows over a sequence of some steps."""
    for begin in range(0, steps, k1):
        stop = min(begin + k1, steps)
        start = max(begin, stop - k2) if k2 <= k1 else max(0, begin + k1 - k2)
        yield Window(start, max(start, begin), stop)


def parse_tbptt(tbptt: int | tuple[int, int] | None) -> tuple[int, int] | None:
    """(k1, k2) from a number, a pair or None. Raises BlocksError for anything else."""
    if tbptt is None:
        return None
    pair = tuple(tbptt) if isinstance(tbptt, tuple | list) else (tbptt, tbptt)
    if len(pair) != 2 or any(not is_whole(k) or k < 1 for k in pair):
        raise BlocksError(f"tbptt is a number of steps or a pair (k1, k2) of them, 1 or more; not {tbptt!r}")
    return int(pair[0]), int(pair[1])


def carried_states(graph: Graph, strict: bool = False) -> dict[str, Node]:
    """The name of each initial state that may be fed → the wire of the same state after the last step.

    Raises BlocksError for a state that cannot be carried over: of a loop that runs backwards in time, or
    of a cell that is scanned twice; with `strict` also of one that begins with a wire of its own, which
    each chunk would begin with.
    """
    finals: dict[str, Node] = {}
    for node in graph.order():
        if node.op is not loop_op:
            continue
        wires = dict(zip(node.attrs["ports"], node.operands, strict=True))
        for state in node.attrs["states"]:
            wire = wires[state]
            if wire.role != "initial":
                if strict:
                    raise BlocksError(
                        f"the state {state!r} begins with {made(wire)}; so would every chunk: it cannot be carried over"
                    )
                continue
            if node.attrs["reverse"]:
                raise BlocksError(
                    f"the state {state!r} runs backwards in time; it cannot be carried from chunk to chunk"
                )
            if wire.name in finals:
                raise BlocksError(
                    f"the cell with the state {state!r} is scanned twice; which one to carry over is unclear"
                )
            finals[str(wire.name)] = pick(node, FINAL + state)
    return finals


def counted(graph: Graph, time: str) -> Graph:
    """The graph with one more input, ``(time,)`` weights of the steps, that its losses heed.

    Raises BlocksError if no loss of the graph is a mean over time made by `losses`.
    """
    weights = make_input(WINDOW, (time,), "float", role="input")
    mapping: dict[Node, Node] = {}
    for node in graph.order():
        per_step = node.operands[0] if node.operands else None
        if per_step is None or time not in per_step.shape:
            continue
        if node.op in (weighted_mean, weighted_sum):
            mapping[node] = apply(node.op, per_step, node.operands[1] * weights)
        elif node.op is mean and node.role == "loss" and node.shape == ():
            mapping[node] = apply("weighted_mean", per_step, weights)
        elif node.op is sum_ and node.role == "loss" and node.shape == ():
            mapping[node] = apply("weighted_sum", per_step, weights)
    if not mapping:
        raise BlocksError(
            "with k2 > k1 only the last k1 steps count, so the loss must come from blocks.losses, over time"
        )
    return graph.substitute(mapping)


def slice_time(graph: Graph, feeds: Mapping[str, np.ndarray], time: str, start: int, stop: int) -> Arrays:
    """The feeds of some steps: what has a time dimension is cut, the others stay."""
    known = graph.fed("input", "draw")
    out: Arrays = {}
    for name, array in feeds.items():
        if name in known and time in known[name].shape:
            axis = known[name].shape.index(time) + array.ndim - len(known[name].shape)  # behind trials
            out[name] = array[(slice(None),) * axis + (slice(start, stop),)]
        elif name in known:
            out[name] = array
    return out
