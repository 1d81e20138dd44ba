"""The two ways to run a cell over time: `scan`, one loop whatever the length of the sequences, and `unroll`, some
steps written out for drawing and teaching.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, overload

from .arguments import checked
from .cell import Cell, Outputs
from .errors import BlocksError, WiringError, fresh_name, made, nearest
from .graph import Graph, Node, Wire, as_node, rebuild, show_shape, stamped, substitute
from .ops.elementwise import split_named, where
from .ops.leaves import make_input
from .ops.loop import FINAL, NEXT, loop, pick
from .ops.masks import as_mask, hold
from .ops.random import stepped
from .ops.shape import ZERO, broadcast, moveaxis, reshape


@overload
@checked
def scan(
    cell: Cell[Outputs],
    xs: Node | Mapping[str, Node],
    initial: Mapping[str, Wire] | Wire | None = None,
    reverse: bool = False,
    mask: Node | None = None,
    final: Literal[False] = False,
) -> Outputs: ...


@overload
@checked
def scan(
    cell: Cell[Outputs],
    xs: Node | Mapping[str, Node],
    initial: Mapping[str, Wire] | Wire | None = None,
    reverse: bool = False,
    mask: Node | None = None,
    *,
    final: Literal[True],
) -> tuple[Outputs, dict[str, Node]]: ...


@overload
@checked
def scan(
    cell: Cell[Any],
    xs: Node | Mapping[str, Node],
    initial: Mapping[str, Wire] | Wire | None = None,
    reverse: bool = False,
    mask: Node | None = None,
    final: bool = False,
) -> Any: ...


@checked
def scan(
    cell: Cell[Any],
    xs: Node | Mapping[str, Node],
    initial: Mapping[str, Wire] | Wire | None = None,
    reverse: bool = False,
    mask: Node | None = None,
    final: bool = False,
) -> Any:
    """Run a cell over sequences.

    Args:
        cell: a `Cell`.
        xs: the wire for its only input, ``(time, batch, ...)``; or a dict by input. A wire with the shape
            of the input itself, without time, is the same at every step.
        initial: the states before the first step, a dict by state (for a cell with one state, a wire). What has
            no batch, a parameter ``(32,)`` or a number, is repeated. A state that is not named is fed under its own
            name, and zero if it is not fed; inside a cell it is zero.
        reverse: from the last step to the first. Outputs stand in the order of time all the same.
        mask: ``(time, batch)``, 1 where a sequence has a step and 0 where it is padded: there states keep
            their value and outputs are 0.
        final: give the last states too.

    Returns the outputs of all steps, ``(time, batch, ...)``: a wire, or a dict where the cell names
    several; with `final`, a pair of that and the dict of final states.

    Raises WiringError naming the input, state or mask that does not fit.
    """
    if not isinstance(cell, Cell):
        raise WiringError(f"scan runs a Cell, not a {type(cell).__name__}; a cell function must be called first")
    sequences, constants = _sequences_and_constants(cell, xs if isinstance(xs, Mapping) else cell._by_name((xs,), {}))
    times = {str(node.shape[0]): node for node in sequences.values()}
    if len(times) != 1:
        raise WiringError(
            f"{cell}: a scan needs sequences over one time dimension, not {', '.join(times) or 'none'}", "scan"
        )
    (time,) = times
    mapping: dict[Node, Node] = {}
    for name, node in cell.graph.fed("parameter").items():
        with stamped(brick=node.brick):
            mapping[node] = make_input(name, node.shape, "float", role="parameter")
        constants[name] = node
    for name, node in cell.graph.fed("draw").items():
        with stamped(brick=node.brick):
            mapping[node] = make_input(name, node.shape, "float", role="draw")
    outputs = substitute(cell.graph.outputs, mapping)
    if mask is not None:
        port, outputs = _masked(cell, outputs, mask, time)
        admitted = as_mask(mask)
        # A masked step changes nothing, but it is computed: with the values of an admitted step, so that no
        # division by a padded zero is.
        sequences = {k: _held(v, admitted) for k, v in sequences.items()}
        sequences[port] = admitted
    sequences |= _draws_of_all_steps(cell, time)
    node = loop(Graph(outputs), constants, _initial_wires(cell, initial), sequences, cell.outputs, time, bool(reverse))
    stacked = {name: pick(node, name) for name in cell.outputs}
    result = stacked[cell.outputs[0]] if len(stacked) == 1 else stacked
    return (result, {s: pick(node, FINAL + s) for s in cell.states}) if final else result


def _draws_of_all_steps(cell: Cell, time: str) -> dict[str, Node]:
    """The draws of a cell's step by name, as sequences; those that the user named are the same in each scan."""
    draws: dict[str, Node] = {}
    for name, node in cell.graph.fed("draw").items():
        known = cell._drawn.get((name, time)) if node.attrs["named"] else None
        with stamped(brick=node.brick):
            draws[name] = cell._drawn[name, time] = stepped(node, time) if known is None else known
    return draws


def _sequences_and_constants(cell: Cell, wires: Mapping[str, Wire]) -> tuple[dict[str, Node], dict[str, Node]]:
    """The wires of a scan by input: those with a value for every step, and those that are the same at each.

    Raises WiringError for an input that is unknown, missing or does not fit."""
    fed = cell.graph.fed("input")
    for name in wires:
        if name not in cell.inputs:
            raise WiringError(
                f"{cell} has no input {name!r}{nearest(str(name), cell.inputs)}; it has {', '.join(cell.inputs)}"
            )
    missing = [n for n in cell.inputs if n not in wires]
    if missing:
        raise WiringError(f"{cell}: nothing is wired to {', '.join(map(repr, missing))}")
    sequences: dict[str, Node] = {}
    constants: dict[str, Node] = {}
    for name, wire in wires.items():
        node, inside = as_node(wire), fed[name].shape
        if node.shape == inside:
            constants[name] = node
        elif node.shape[1:] == inside and node.shape and isinstance(node.shape[0], str):
            sequences[name] = node
        else:
            raise WiringError(
                f"{cell}: the input {name!r} is {show_shape(inside)} at each step, so its sequence is "
                f"{show_shape(('time', *inside))}; {made(node)} does not fit",
                "scan",
                (node,),
            )
    return sequences, constants


def _masked(cell: Cell, outputs: Mapping[str, Node], mask: Node, time: str) -> tuple[str, dict[str, Node]]:
    """The port of the mask, and the outputs of a step that may be none: there states keep their value, and what the
    cell gives is 0."""
    if mask.shape != (time, "batch"):
        raise WiringError(f"{cell}: a mask for these sequences is ({time}, batch), not {made(mask)}", "scan")
    fed, outputs = cell.graph.fed("input"), dict(outputs)
    port = fresh_name("mask", cell.graph.nodes)
    valid = make_input(port, ("batch",), "float", role="input")
    for name in cell.outputs:
        outputs[name] = where(_along(valid, outputs[name]), outputs[name], ZERO[outputs[name].dtype])
    for s in cell.states:
        before = fed[s] if s in fed else cell.port(s, "state")
        if "batch" not in before.shape:
            raise WiringError(
                f"{cell}: the state {made(before)} is one for all sequences; a mask holds states of sequences, which "
                "have a batch",
                "scan",
                (before,),
            )
        outputs[NEXT + s] = where(_along(valid, before), outputs[NEXT + s], before)
    return port, outputs


def _held(sequence: Node, admitted: Node) -> Node:
    """A sequence whose masked steps have an admitted step's value; as it is, where it has no batch."""
    if "batch" not in sequence.shape:
        return sequence
    at = sequence.shape.index("batch")
    if at == 1:
        return hold(sequence, admitted)
    return moveaxis(hold(moveaxis(sequence, source=at, destination=1), admitted), source=1, destination=at)


def _along(valid: Node, value: Node) -> Node:
    """The mask of a step so that it meets a value along its batch, wherever that stands."""
    if "batch" not in value.shape or "batch" in split_named(value.shape)[0]:
        return valid
    return reshape(valid, shape=tuple(d if d == "batch" else 1 for d in value.shape))


def _initial_wires(cell: Cell, initial: Any) -> dict[str, Node]:
    if initial is not None and not isinstance(initial, Mapping):
        if len(cell.states) != 1:
            raise WiringError(f"{cell} has the states {', '.join(cell.states)}; give initial={{name: wire}}")
        initial = {cell.states[0]: initial}
    given = dict(initial or {})
    wires: dict[str, Node] = {}
    for name in cell.states:
        short = name.rsplit("/", 1)[-1]
        wire = given.pop(name, given.pop(short, None)) if name in given or short in given else None
        if wire is None:
            wires[name] = cell.initial(name)
            continue
        wires[name] = _initial_value(cell, name, as_node(wire))
    if given:
        name = next(iter(given))
        raise WiringError(
            f"{cell} has no state {name!r}{nearest(str(name), cell.states)}; it has {', '.join(cell.states)}"
        )
    return wires


def _initial_value(cell: Cell, name: str, node: Node) -> Node:
    """A wire as the value of a state before the first step: repeated, where it has no batch."""
    shape, dtype = cell.wires[name].shape, cell.wires[name].dtype
    try:
        fitting = node if node.shape == shape else broadcast(node, shape=shape)
    except WiringError:
        fitting = None
    if fitting is None or node.dtype != dtype:
        raise WiringError(
            f"{cell}: the state {name!r} is {show_shape(shape)} {dtype}, its initial value {made(node)} {node.dtype}; "
            "a value fits that has its shape and type, or can be repeated to it",
            "scan",
            (node,),
        )
    return fitting


@checked
def unroll(cell: Cell, steps: int) -> Graph:
    """Some steps of a cell written out as one plain graph, for drawing and teaching.

    Inputs are ``x(1)``, ``x(2)``, …, the states before the first step ``h(0)``, outputs ``y(1)``, … and
    the final states ``h(steps)``. The weights are shared. Each node carries its step. Raises BlocksError
    if `steps` is not a positive number.
    """
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
        raise BlocksError(f"a cell is unrolled over 1 step or more, not {steps!r}")
    fed = cell.graph.fed("input")
    states: dict[str, Wire] = {
        s: rebuild(cell.initial(s), name=f"{s}(0)") if s in cell.firsts else cell.port(s, "state", f"{s}(0)")
        for s in cell.states
    }
    outputs: dict[str, Node] = {}
    for t in range(1, steps + 1):
        inputs = {n: rebuild(fed[n], name=f"{n}({t})", step=t) for n in cell.inputs}
        results, after = cell.step(inputs, states, label=t)
        outputs |= {f"{name}({t})": node for name, node in results.items()}
        states = {**after}
    return Graph(
        {**outputs, **{f"{s}({steps})": as_node(n) for s, n in states.items() if f"{s}({steps})" not in outputs}}
    )
