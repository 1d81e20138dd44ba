"""The record of one update of a cell or a graph, with numbers: values, gradients, new weights, each with the rule that
made it and what it is the sum of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..arguments import checked
from ..cell import Cell
from ..errors import BlocksError, FeedError, WiringError, fresh_name, made
from ..graph import Graph, Node, stamped
from ..interpret import bind
from ..ops.leaves import make_input
from ..ops.loop import loop_op
from ..ops.loss import squared_error
from ..ops.shape import sum_
from ..scan import scan
from ..train.optimizers import SGD, Optimizer, optimizer_named
from .record import Contribution, Entry, Norms, Table, Trace
from .script import script_of

__all__ = ["Contribution", "Entry", "Norms", "Table", "Trace", "trace", "training_graph"]

Loss = Callable[..., Node]
TIME = "time"


@checked
def trace(
    cell: Cell | Graph,
    feeds: Mapping[str, Any],
    *,
    steps: int | None = None,
    loss: str | Loss | None = None,
    optimizer: Optimizer | str | None = None,
) -> Trace:
    """The record of one update: every value of every step, the loss, every gradient in the order in which reverse mode
    makes them, and the new weights.

        cell = bk.cells.lstm(2, 3)
        rng = np.random.default_rng(0)
        feeds = {**cell.graph.init(0, "float64"), "x": rng.normal(size=(4, 1, 2)), "target": rng.normal(size=(4, 1, 3))}
        trace = bk.trace(cell, feeds)
        trace["C(1)"], trace["∂L/∂C(1)"], trace.gradient("forget", 2)
        print(trace.table())
        trace.plot()

    Args:
        cell: a `Cell`, which is run over the steps of its inputs; or a `Graph`, with loops or without.
        feeds: weights, inputs ``(time, batch, ...)`` and, where they are not zero, first states. Of a cell also
            ``target``, of the shape of its output at each step, or class numbers; ``target/<output>`` where it has
            several outputs; and, if only some steps count, ``mask``, ``(time, batch)``.
        steps: how many steps of the inputs are traced; all by default.
        loss: of a cell, a function of (y, target), and of the mask where one is fed, to the loss of one step; they are
            added up. By default half the squared error, ½ Σ (y − target)². Of a graph, the output that is minimised,
            "loss" by default.
        optimizer: what makes the update, an optimizer or the name of one; SGD at the rate 0.1 by default.

    Returns a `Trace`. Its symbols are the names of values with their steps, ``C(1)``; a gradient is ``∂L/∂C(1)``. A
    value without a name is its own formula.

    Raises FeedError for a feed that is missing or does not fit, BlocksError for an output that there is not, and for
    more steps than are fed.
    """
    feeds = dict(feeds)
    rule = SGD(0.1) if optimizer is None else optimizer_named(optimizer)
    if isinstance(cell, Cell):
        if isinstance(loss, str):
            raise BlocksError(f"of a cell the loss is a function of (y, target), not {loss!r}")
        graph, minimised = training_graph(cell, feeds, loss), "loss"
    elif isinstance(cell, Graph):
        if loss is not None and not isinstance(loss, str):
            raise BlocksError("of a graph the loss is the name of one of its outputs, not a function")
        graph, minimised = cell, "loss" if loss is None else loss
    else:
        raise BlocksError(
            f"trace takes a Cell or a Graph, not a {type(cell).__name__}; a cell function is called first"
        )
    feeds = _first_steps(graph, feeds, steps)
    arrays, context = bind(graph, feeds)
    return Trace(script_of(graph, context.dims, minimised, rule), feeds, arrays, context)


def training_graph(cell: Cell, feeds: Mapping[str, Any], loss: Loss | None = None) -> Graph:
    """A cell over time with a loss at each step, added up: its outputs "loss" and those of the cell; its inputs those
    of the cell, ``target`` and, where it is fed, ``mask``. See `trace`."""
    fed = cell.graph.fed("input")
    inputs = {n: make_input(n, fed[n].shape, fed[n].dtype, "input") for n in cell.inputs}
    result = cell(**inputs)
    outputs = result if isinstance(result, dict) else {cell.outputs[0]: result}
    asked = (
        {"target": outputs[cell.outputs[0]]} if len(outputs) == 1 else {f"target/{n}": y for n, y in outputs.items()}
    )
    asked = {name: y for name, y in asked.items() if name in feeds}
    if not asked:
        names = " or ".join(repr(n if len(outputs) > 1 else "target") for n in (f"target/{n}" for n in outputs))
        raise FeedError(f"the loss compares the outputs of {cell} with {names}: feed it")
    if taken := [name for name in (*asked, "mask") if name in cell.inputs]:
        raise BlocksError(f"{cell} has an input {taken[0]!r} itself; trace a graph with a loss of your own")
    if "mask" in feeds:
        inputs["mask"] = make_input("mask", ("batch",), "float", "input")
    mask = [inputs["mask"]] if "mask" in feeds else []
    total: Any = None
    for name, y in asked.items():
        inputs[name] = _target(name, feeds[name], y)
        term = (loss or half_squared_error)(y, inputs[name], *mask)
        if not isinstance(term, Node) or term.shape != () or term.dtype != "float":
            said = made(term) if isinstance(term, Node) else repr(term)
            raise WiringError(f"the loss of a step is one number, not {said}; take the sum or the mean", "loss")
        with stamped(role="loss"):
            total = term if total is None else total + term
    own = fresh_name("loss", cell.outputs)
    whole = Cell(states={}, outputs={**outputs, own: total})
    sequences = {name: _over_steps(name, node, feeds) for name, node in inputs.items()}
    if not any(TIME in node.shape for node in sequences.values()):
        shapes = ", ".join(f"{name} {np.shape(feeds[name])}" for name in sequences)
        raise FeedError(f"{cell} is traced over steps: one feed at least has them as its first axis; given {shapes}")
    stacked = scan(whole, sequences)
    with stamped(role="loss"):
        return Graph({"loss": sum_(stacked.pop(own)), **{n: y for n, y in stacked.items() if n != "loss"}})


def half_squared_error(y: Node, target: Node, mask: Node | None = None) -> Node:
    """½ Σ (y − target)², over features and examples."""
    with stamped(role="loss"):
        return 0.5 * squared_error(y, target, mask, reduction="sum")


def _target(name: str, fed: Any, y: Node) -> Node:
    """The input that an output is compared with at each step: class numbers where integers are fed for other numbers,
    else of the output's shape."""
    array = np.asarray(fed)
    if array.dtype.kind in "iu" and y.dtype == "float" and array.ndim == len(y.shape):
        return make_input(name, y.shape[:-1], "int", "input")
    return make_input(name, y.shape, y.dtype, "input")


def _over_steps(name: str, node: Node, feeds: Mapping[str, Any]) -> Node:
    """The wire of an input over time: a sequence, or one value for all steps, where that is fed."""
    if name not in feeds or np.ndim(feeds[name]) != len(node.shape):
        return make_input(name, (TIME, *node.shape), node.dtype, "sequence")
    return make_input(name, node.shape, node.dtype, "input")


def _first_steps(graph: Graph, feeds: Mapping[str, Any], steps: int | None) -> dict[str, Any]:
    """The feeds cut to some steps. Raises BlocksError for more than there are."""
    if steps is None:
        return dict(feeds)
    times = {node.attrs["time"] for node in graph.order() if node.op is loop_op}
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise BlocksError(f"a run is traced over 1 step or more, not {steps!r}")
    found = dict(feeds)
    for name, shape in {**graph.inputs, **graph.draws}.items():
        if name in feeds and shape and shape[0] in times:
            array = np.asarray(feeds[name])
            if len(array) < steps:
                raise BlocksError(f"steps={steps}, but {name!r} has {len(array)}")
            found[name] = array[:steps]
    return found
