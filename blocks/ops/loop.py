"""The one loop, closed under differentiation.

    (constants, initial states, sequences)  →  (final states, stacked outputs)

Its body is a `Graph` with an input for each of the first and an output for each of the second. At step
t it sees the constants, the states of the step before, and slice t of each sequence. With `reverse` it
runs from the last step to the first; stacked outputs always stand in the order of time.

With ``every=k`` a loop runs over blocks of k steps, of which the last may be shorter: for a sequence ``(time,
...)`` its body sees ``(time_in_block, ...)``. A body's output with that dimension in front is put together
along time; of others there is one for each block, ``(time_blocks, ...)``, and sequences of that shape give
one slice to each block. k is a number, "sqrt" (of the number of steps) or "cache" (so many that the widest
sequence's block stays in the processor's cache, or all, if that is little). The compiler makes such loops;
they have no gradient.

A loop gives several values, so its node has no shape of its own; ``pick(loop, output="final/h")`` is
one of them. The size of the graph does not depend on the number of steps.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import misfit
from ..graph import Graph, Node, Op, Shape, apply, show_shape
from .elementwise import Prepared

NEXT, FINAL = "next/", "final/"  # body output of a state; loop output of a state
WORTH_BLOCKS = 2**18  # elements; arrays of fewer are not cut up
CACHED = 2**16  # elements of a block: those of several arrays stay in cache (measured: saves large cells 2 to 8 %)
Every = int | str | None


def in_block(time: str) -> str:
    """The dimension of the steps of one block."""
    return f"{time}_in_block"


def blocks_of(time: str) -> str:
    """The dimension of the blocks."""
    return f"{time}_blocks"


def steps_in_block(every: Every, steps: int, width: int) -> int:
    """How many steps a block has, if there are so many in all and `width` elements in one."""
    if every == "sqrt":
        return math.isqrt(steps - 1) + 1
    if every == "cache":
        if steps * width < WORTH_BLOCKS:
            return steps
        return max(1, CACHED // width)
    return min(int(every or 1), steps)


def _outside(time: str, every: Every, inside: Shape) -> Shape:
    """The shape outside of a loop of what has a shape inside."""
    if every is None:
        return (time, *inside)
    return (time, *inside[1:]) if inside[:1] == (in_block(time),) else (blocks_of(time), *inside)


def _infer_loop(
    *operands: Node,
    body: Graph,
    ports: tuple[str, ...],
    states: tuple[str, ...],
    sequences: tuple[str, ...],
    stacked: tuple[str, ...],
    time: str,
    reverse: bool,
    every: Every = None,
) -> tuple[Shape, str]:
    """Shapes: those of the body, with time in front of sequences and stacked outputs; see `loop`."""
    inputs = body.fed("input")
    wires = dict(zip(ports, operands, strict=False))
    if len(operands) != len(ports) or len(wires) != len(ports):
        raise misfit(f"a loop with the ports {', '.join(ports)} cannot take {len(operands)} wires")
    if body.params:
        raise misfit(f"the body of a loop has weights of its own: {', '.join(body.params)}; they must be ports")
    if body.draws:
        raise misfit(f"the body of a loop draws {', '.join(body.draws)}; draws must be ports")
    loose = [name for name in inputs if name not in wires]
    if loose:
        raise misfit(f"the body of the loop asks for {', '.join(map(repr, loose))}, which nothing is wired to")
    if not isinstance(time, str) or not time.isidentifier():
        raise misfit(f"a loop runs over a named dimension, not {time!r}")
    timed = set(sequences)
    for port, operand in wires.items():
        if port not in inputs:  # a port that the body does not use
            continue
        inside = inputs[port]
        wanted = _outside(time, every, inside.shape) if port in timed else inside.shape
        if operand.shape != wanted or operand.dtype != inside.dtype:
            raise misfit(
                f"{port!r} wants {show_shape(wanted)} {inside.dtype}, but {operand.describe()} is {operand.dtype}"
            )
    for state in states:
        after = body.outputs.get(NEXT + state)
        before = wires.get(state)
        if after is None or before is None or after.shape != before.shape or after.dtype != before.dtype:
            got = "nothing" if after is None else f"{show_shape(after.shape)} {after.dtype}"
            want = "no such port" if before is None else f"{show_shape(before.shape)} {before.dtype}"
            raise misfit(f"the next value of state {state!r} is {got}, the state itself {want}")
    for name in [n for n in stacked if n not in body.outputs] + [n for n in (*sequences, *states) if n not in wires]:
        raise misfit(f"the body of the loop has no {name!r}")
    return (), "loop"


def _prepare_loop(nodes: tuple[Node, ...], attrs: dict[str, Any]) -> Prepared:
    return nodes, {k: tuple(v) if isinstance(v, list) else v for k, v in attrs.items()}


def _forward_loop(
    run: Any,
    *arrays: np.ndarray,
    body: Graph,
    ports: tuple[str, ...],
    states: tuple[str, ...],
    sequences: tuple[str, ...],
    stacked: tuple[str, ...],
    time: str,
    reverse: bool,
    every: Every = None,
) -> dict[str, np.ndarray]:
    fed = dict(zip(ports, arrays, strict=True))
    steps = run.dims[time]
    if every is not None:
        return _forward_blocks(run, fed, body, states, sequences, stacked, time, reverse, every)
    out: dict[str, np.ndarray] = {}
    for t in reversed(range(steps)) if reverse else range(steps):
        now = {name: value[t] if name in sequences else value for name, value in fed.items()}
        results = run.step(body, now, t)
        for name in stacked:
            if name not in out:
                out[name] = np.empty((steps, *results[name].shape), results[name].dtype)
            out[name][t] = results[name]
        fed |= {state: results[NEXT + state] for state in states}
    return out | {FINAL + state: fed[state] for state in states}


def _forward_blocks(
    run: Any,
    fed: dict[str, np.ndarray],
    body: Graph,
    states: tuple[str, ...],
    sequences: tuple[str, ...],
    stacked: tuple[str, ...],
    time: str,
    reverse: bool,
    every: Every,
) -> dict[str, np.ndarray]:
    steps, inputs = run.dims[time], body.fed("input")
    cut = {s for s in sequences if s in inputs and inputs[s].shape[:1] == (in_block(time),)}
    k = steps_in_block(every, steps, max([fed[s][0].size for s in cut], default=1))
    parts: dict[str, list[np.ndarray]] = {name: [] for name in stacked}
    count = -(-steps // k)
    for b in reversed(range(count)) if reverse else range(count):
        now = {n: v[b * k : (b + 1) * k] if n in cut else v[b] if n in sequences else v for n, v in fed.items()}
        results = run.step(body, now, b, {in_block(time): min(k, steps - b * k)})
        for name in stacked:
            whole = body.outputs[name].shape[:1] == (in_block(time),)
            parts[name].append(results[name] if whole else results[name][None])
        fed |= {state: results[NEXT + state] for state in states}
    out = {name: np.concatenate(p[::-1] if reverse else p) for name, p in parts.items()}
    return out | {FINAL + state: fed[state] for state in states}


def _infer_pick(loop: Node, *, output: str) -> tuple[Shape, str]:
    """Shapes: of a stacked output ``(time, ...)``, of a final state that of the state."""
    if loop.dtype != "loop":
        raise misfit(f"{loop.describe()} is no loop, it gives one value")
    body: Graph = loop.attrs["body"]
    if output in loop.attrs["stacked"]:
        inside = body.outputs[output]
        return _outside(loop.attrs["time"], loop.attrs.get("every"), inside.shape), inside.dtype
    if output.startswith(FINAL) and output[len(FINAL) :] in loop.attrs["states"]:
        inside = body.outputs[NEXT + output[len(FINAL) :]]
        return inside.shape, inside.dtype
    known = (*loop.attrs["stacked"], *(FINAL + s for s in loop.attrs["states"]))
    raise misfit(f"the loop has no output {output!r}; it has {', '.join(known)}")


loop_op = Op(
    "loop",
    "(constants, initial states, sequences) → (final states, stacked outputs)",
    _infer_loop,
    _forward_loop,
    None,
    _prepare_loop,
    True,
    kind="loop",
)
pick_op = Op("pick", "one output of a loop", _infer_pick, lambda values, *, output: values[output], kind="loop")


def loop(
    body: Graph,
    constants: dict[str, Node],
    initial: dict[str, Node],
    sequences: dict[str, Node],
    stacked: tuple[str, ...],
    time: str,
    reverse: bool = False,
    every: Every = None,
) -> Node:
    """A loop over `body`: wires by the name of the body's input that they feed.

    `initial` has one wire per state, whose next value is the body's output ``next/<state>``; `stacked`
    names the body's outputs to keep for every step; `every` makes it a loop over blocks. Raises WiringError
    naming the port that does not fit.
    """
    wires = {**constants, **initial, **sequences}
    attrs: dict[str, Any] = {"states": tuple(initial), "sequences": tuple(sequences), "stacked": tuple(stacked)}
    ports: dict[str, Any] = {"ports": tuple(wires), "time": time, "reverse": reverse}
    ports |= {} if every is None else {"every": every}
    return apply("loop", *wires.values(), body=body, **ports, **attrs)


def pick(node: Node, output: str) -> Node:
    """One output of a loop: a stacked one by its name, a final state as ``final/<state>``."""
    return apply("pick", node, output=output)
