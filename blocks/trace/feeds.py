"""What a figure of a cell is fed so that it shows a trace of it: weights, inputs, first states, and the gradient that
comes in at each output.

    ∂L/∂h(2) = what comes back through the cell, at this step and the next ones, + what comes from outside of it: d/y(2)
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from ..errors import BlocksError
from ..grad import Handed, backward
from ..graph import Graph, Node, topological
from ..interpret import run
from ..ops.leaves import constant
from ..ops.loop import NEXT
from ..ops.shape import zeros

if TYPE_CHECKING:
    from .record import Trace

OTHER = "values: this is a trace of something else than this cell: "


def feeds_of_figure(trace: Trace, cell: Graph, gradient: bool) -> dict[str, np.ndarray]:
    """Name → array for the values of a cell at all steps of a trace of it; with `gradient`, ``d/y`` and ``d/next/h``.

    Raises BlocksError for a trace of something else, and for a cell with draws, which no figure has step by step.
    """
    if cell.draws:
        raise BlocksError(
            f"values: {next(iter(cell.draws))!r} is drawn anew at each step; feed one step instead of a trace"
        )
    states = {name.removeprefix(NEXT) for name in cell.outputs if name.startswith(NEXT)}
    needed = [*cell.params, *(name for name in cell.inputs if name not in states)]
    if missing := [name for name in needed if name not in trace.arrays]:
        raise BlocksError(f"{OTHER}it has no {missing[0]!r}")
    body, copies = _steps(trace, cell)
    fed = body.fed("input")
    wanted = {name: copies[0][fed[name]] for name in states if name in cell.inputs}
    seeds = _coming_in(trace, body, copies, cell) if gradient else {}
    nodes = {**wanted, **{f"{name}({t})": node for name, steps in seeds.items() for t, node in enumerate(steps)}}
    found = run(Graph({**trace.script.graph.outputs, **nodes}), trace.arrays)
    feeds = {name: trace.arrays[name] for name in needed} | {name: found[name] for name in wanted}
    for name, steps in seeds.items():
        parts = [np.asarray(found[f"{name}({t})"]) for t in range(len(steps))]
        feeds[name] = parts[-1] if name.startswith(f"d/{NEXT}") else np.stack(parts)
    return feeds


def _steps(trace: Trace, cell: Graph) -> tuple[Graph, list[dict[Node, Node]]]:
    """The body of the loop that runs the cell, and what each of its nodes is at each step."""
    times: dict[Graph, list[tuple[int, ...]]] = {}
    for body, at in trace.script.written.copies:
        times.setdefault(body, []).append(at)
    for body, steps in times.items():
        if len(steps[0]) == 1 and set(cell.outputs) <= set(body.outputs) and _does(body, cell) == _does(cell, cell):
            if steps != [(t,) for t in range(1, trace.steps + 1)]:
                raise BlocksError("values: the trace runs the cell backwards in time, and a figure forwards")
            return body, [trace.script.written.copies[body, at] for at in steps]
    raise BlocksError(f"{OTHER}no loop of it runs this cell, without a mask")


def _does(graph: Graph, cell: Graph) -> Counter[str]:
    """How often each operation stands in what makes the outputs of a cell."""
    return Counter(node.op.name for node in topological(graph.outputs[name] for name in cell.outputs) if node.operands)


def _coming_in(trace: Trace, body: Graph, copies: list[dict[Node, Node]], cell: Graph) -> dict[str, list[Node]]:
    """``d/y`` → what comes back to an output at each step, but from the cell itself."""
    script = trace.script
    own = topological(body.outputs[name] for name in cell.outputs)
    inside = {copy[node] for copy in copies for node in own}
    order = topological(script.written.outputs.values())
    handed: Handed = {}
    backward({script.loss: constant(value=1.0)}, [node for node in order if node.dtype == "float"], handed)
    found: dict[str, list[Node]] = {}
    taken: set[Node] = set()
    for name in sorted(cell.outputs, key=lambda name: name.startswith(NEXT)):  # outputs that are one value share it
        node = body.outputs[name]
        if node in taken or node.dtype != "float":
            continue
        taken.add(node)
        found[f"d/{name}"] = [
            sum((g for user, g in handed.get(copy[node], ()) if user not in inside), start=zeros(node.shape))
            for copy in copies
        ]
    return found
