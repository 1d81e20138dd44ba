"""An SRN beside an LSTM on one task with a long lag: for each the gradient of a batch of sequences, as a graph with a
loop, and how large the gradient of each state is at each step.

    h(t) + probe(t)        a probe is zero, so it changes nothing; its gradient is ∂L/∂h(t)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..bricks import ADD
from ..cell import Cell
from ..cells import lstm, srn
from ..grad import grad
from ..graph import Graph, substitute
from ..ops.leaves import make_input
from ..ops.loop import NEXT
from ..ops.loss import squared_error
from ..scan import scan
from ..tasks.lags import Task
from ..wires import input, sequence, state
from .document import array_json, graph_json

STEPS, SEQUENCES = 20, 8
PROBE = "probe/"


def comparison(task: Task, units: int, seed: int) -> dict[str, Any]:
    """The data; and for both cells the graph, its weights, and the names of its probes."""
    data = {k: np.moveaxis(v, 0, 1) for k, v in task.make(np.random.default_rng(seed), SEQUENCES, STEPS).items()}
    found = []
    for name, make in (("SRN", srn), ("LSTM", lstm)):
        cell = probed(make(task.inputs, units))
        graph = _training(cell, task)
        probes = [n for n in cell.inputs if n.startswith(PROBE)]
        found.append(
            {
                "name": name,
                "graph": graph_json(grad(graph, wrt=[*graph.params, *probes])),
                "weights": {n: array_json(v) for n, v in graph.init(seed, "float64").items()},
                "probes": probes,
            }
        )
    return {"data": {n: array_json(v) for n, v in data.items()}, "cells": found}


def probed(cell: Cell) -> Cell:
    """The cell with an input ``probe/h`` for each state h, which is added to its next value wherever that is used."""
    fed = cell.graph.fed("input")
    states = {s: state(s, shape=cell.wires[s].shape) for s in cell.states}
    inputs = {n: make_input(n, fed[n].shape, fed[n].dtype, "input") for n in cell.inputs}
    outputs, after = cell.step(inputs, states)
    wires = {**outputs, **{NEXT + s: node for s, node in after.items()}}
    for s in sorted(cell.states, key=lambda s: after[s].serial):
        node = wires[NEXT + s]
        wires = substitute(wires, {node: node + input(PROBE + s, shape=node.shape)})
    return Cell({states[s]: wires[NEXT + s] for s in cell.states}, {n: wires[n] for n in outputs})


def _training(cell: Cell, task: Task) -> Graph:
    xs = {
        n: make_input(n, ("time", *shape), "float", "sequence", "zeros" if n.startswith(PROBE) else None)
        for n, shape in cell.graph.inputs.items()
        if n in cell.inputs
    }
    y = ADD(task.outputs, name="w_o")(scan(cell, xs))
    return Graph({"loss": squared_error(y, sequence("target", task.outputs), sequence("mask"))})
