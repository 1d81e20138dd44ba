"""Cells: one step of a recurrent network, and the ways to run it over time.

A `Cell` is a one-step graph in which every state is a wire paired with its next value. `scan` runs it
over sequences as one loop, whatever their length; `unroll` writes some steps out, for drawing and
teaching. A finished cell is itself a brick: called inside another cell, it brings its states along.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from .errors import BlocksError, WiringError, fresh_name, made, nearest, user_line
from .graph import FED, Graph, Node, Shape, Wire, as_node, rebuild, show_shape, stamped, substitute, topological
from .ops.elementwise import where
from .ops.leaves import check_name, check_shape, constant, input_op, make_input, make_parameter, parameter_op
from .ops.loop import FINAL, NEXT, loop, pick
from .ops.loss import as_mask, hold
from .ops.random import draw_op, renamed, stepped
from .ops.shape import ZERO, broadcast, zeros

FIRST = "first/"  # what a state begins with, beside the outputs of a cell


def _sizes(name: str, features: tuple[Any, ...], dims: tuple[str, ...], shape: Any) -> Shape:
    if features and shape is not None:
        raise WiringError(f"{name!r}: its sizes stand in shape={shape!r} or before it, not in both [{user_line()}]")
    try:
        return check_shape(shape if shape is not None else (*dims, *features), repr(name))
    except WiringError as error:
        raise WiringError(f"{error} [{user_line()}]") from None


def input(name: str, *features: int, dtype: str = "float", shape: Shape | None = None) -> Node:
    """A wire that is fed: ``input("x", 8)`` is ``(batch, 8)``, ``input("class", dtype="int")`` is
    ``(batch,)``; `shape` gives all dimensions instead. dtype: "float", "int" or "bool"."""
    return make_input(name, _sizes(name, features, ("batch",), shape), dtype, role="input")


def sequence(name: str, *features: int, dtype: str = "float", time: str = "time") -> Node:
    """A fed wire with a value for every step: ``sequence("x", 8)`` is ``(time, batch, 8)``.

    `time` names the dimension: sequences of lengths of their own need names of their own.
    """
    return make_input(name, _sizes(name, features, (time, "batch"), None), dtype, role="sequence")


def state(name: str, *features: int, dtype: str = "float", shape: Shape | None = None, init: Any = 0.0) -> Node:
    """A wire of a cell that carries the value of the step before: ``state("h", 32)`` is ``(batch, 32)``.

    A state may have any shape: ``state("C", 8, 8)`` is a matrix memory, ``state("seen", dtype="int")`` counts for
    each sequence, and `shape` gives all dimensions: ``state("mean", shape=(8,))`` is one for the whole batch.

    Args:
        name, dtype ("float", "int" or "bool"), features or shape: as for `input`.
        init: its value before the first step, if no other is given or fed there: a number, an array that can be
            repeated to the shape, or a wire of the dtype that depends on weights alone, repeated too: ``init=
            parameter("h0", 32)`` is learnt. Such a state is not fed.

    Raises WiringError for a first value that does not fit, naming both.
    """
    sizes = _sizes(name, features, ("batch",), shape)
    learnt = init if isinstance(init, Node) else None
    try:
        if isinstance(init, str):
            raise WiringError(f"{name!r}: it begins with a number, an array or a wire, not with {init!r}")
        node = make_input(name, sizes, dtype, role="state", default=0 if learnt is not None else init)
    except WiringError as error:
        raise WiringError(f"the state {error}", "state") from None
    if learnt is None:
        return node
    _check_learnt(node, learnt)
    return rebuild(node, first=learnt)


def _check_learnt(node: Node, first: Node) -> None:
    """Raises WiringError unless a state may begin with a wire."""
    here = f"the state {node.describe()} {node.dtype} made at {node.where} begins with {made(first)} {first.dtype}"
    try:
        fits = first.dtype == node.dtype and broadcast(first, shape=node.shape).shape == node.shape
    except WiringError:
        fits = False
    if not fits:
        raise WiringError(
            f"{here}; a value fits that has its shape and type, or can be repeated to it", "state", (first,)
        )
    for leaf in topological([first]):
        if leaf.op is input_op:
            raise WiringError(
                f"{here}, which depends on {made(leaf)}; such a value is given where the cell is run: "
                f"scan(cell, xs, initial={{{node.name!r}: wire}})",
                "state",
                (first, leaf),
            )


def parameter(name: str, *sizes: int, init: Any = "glorot") -> Node:
    """Weights without a brick, ``parameter("scale", 32, init=1.0)``; `init` as for bricks."""
    return make_parameter(name, _sizes(name, sizes, (), None), init)


def named(name: str, wire: Wire) -> Node:
    """The same value under a name: what it is called in the names of weights that meet it, in equations and in source.

    ``rh = named("h", r * h)`` gives a brick on it the weights ``W_h``. Use the wire that is returned: the one given
    keeps the name that it had. Inside of a named cell it is ``layer1/h``, as its bricks are.

    Raises WiringError for a name that is none, and for an input, a state, weights or a draw, which have names.
    """
    check_name(name, "a wire")
    node = as_node(wire)
    if node.op.name in FED:
        raise WiringError(
            f"{made(node)} is named where it is made; it cannot be called {name!r} [{user_line()}]", "named"
        )
    return rebuild(node, name=name)


_scoped: WeakKeyDictionary[Node, Node] = WeakKeyDictionary()  # a parameter → itself inside a named cell


class Cell:
    """One step of a recurrent network: states, each with its next value, and outputs.

    Args:
        states: state wire → the wire of its next value.
        outputs: one wire, or a dict of named wires.
        name: put in front of the names of weights and states, ``layer1/forget.W_x``; needed when a graph
            has two cells of one kind.

    Attributes: graph, the one-step `Graph`, with the outputs and ``next/<state>``; states, inputs and
    outputs, their names (an only output is called "y").

    Random numbers in a cell (`bernoulli`, `dropout`) are drawn anew at each step; those that are handed to it as an
    input are the same at each.

    Raises WiringError for a state that is never given a next value or belongs to another cell, for a wire
    that has a time dimension, and for names used twice.
    """

    def __init__(self, states: Mapping[Node, Node], outputs: Node | Mapping[str, Node], name: str | None = None):
        self.name = None if name is None else check_name(name, "a cell")
        self.where = user_line()
        here = f"cell {name!r}" if name else "the cell"
        named = _outputs(here, outputs)
        pairs = _with_states_of_inner_cells({s: as_node(n) for s, n in states.items()}, named)
        _check_pairs(here, pairs, named)
        prefix = f"{name}/" if name else ""
        everything = {**named, **{f"{NEXT}{prefix}{b.name}": a for b, a in pairs.items()}}
        everything = _beginning(everything)
        firsts = {f"{FIRST}{prefix}{b.name}": b.first for b in pairs if b.first is not None}
        everything |= firsts
        if self.name:
            everything = _in_scope(everything, self.name)
        self._firsts: dict[str, Node] = {name.removeprefix(FIRST): everything.pop(name) for name in firsts}
        self.outputs: tuple[str, ...] = tuple(named)
        self.graph = Graph(everything).verify()
        self._pairs = {f"{prefix}{b.name}": b for b in pairs}
        self.states: tuple[str, ...] = tuple(self._pairs)
        fed = self.graph.fed("input")
        self.inputs: tuple[str, ...] = tuple(n for n, node in fed.items() if node.role != "state")
        self._initial: dict[str, Node] = {}
        self._drawn: dict[tuple[str, str], Node] = {}

    def __call__(self, *wires: Wire, **named: Wire) -> Any:
        """The cell as a brick inside another cell: its output for these inputs, at this step.

        Inputs by position, if there is one, or by name. Its states become states of the cell around it.
        One wire, or a dict of them where the cell has several outputs.
        """
        inputs = self._by_name(wires, named)
        states = {s: self._port(s, "state") for s in self.states}
        outputs, after = self.step(inputs, states)
        for name, node in states.items():
            object.__setattr__(node, "next", after[name])
        return outputs[self.outputs[0]] if len(outputs) == 1 else outputs

    def step(
        self, inputs: Mapping[str, Wire], states: Mapping[str, Wire], label: int | None = None
    ) -> tuple[dict[str, Node], dict[str, Node]]:
        """One step written out: the outputs, and the next value of each state, by name."""
        fed = self.graph.fed("input")
        mapping: dict[Node, Node] = {}
        for name, wire in {**inputs, **states}.items():
            node = as_node(wire)
            if name not in fed and name in self.states:
                continue  # a state whose old value the cell does not use
            if name not in fed:
                known = [*self.inputs, *self.states]
                raise WiringError(f"{self} has no input {name!r}{nearest(name, known)}; it has {', '.join(known)}")
            if node.shape != fed[name].shape or node.dtype != fed[name].dtype:
                raise WiringError(
                    f"{self}: {name!r} is {show_shape(fed[name].shape)} {fed[name].dtype}, but {node.describe()} "
                    f"{node.dtype} made at {node.where} was wired to it",
                    "cell",
                    (node,),
                )
            mapping[fed[name]] = node
        if label is not None:
            mapping |= {n: renamed(n, f"{n.name}({label})", step=label) for n in self.graph.fed("draw").values()}
        missing = [n for n in fed if fed[n] not in mapping]
        if missing:
            raise WiringError(f"{self}: nothing is wired to {', '.join(map(repr, missing))}", "cell")

        def relabel(node: Node) -> dict[str, Any]:
            return {} if label is None or node.op is parameter_op else {"step": label}

        new = substitute(self.graph.outputs, mapping, relabel)
        return {k: new[k] for k in self.outputs}, {s: new[NEXT + s] for s in self.states}

    def _by_name(self, wires: tuple[Wire, ...], named: Mapping[str, Wire]) -> dict[str, Wire]:
        if len(wires) > 1 or (wires and (len(self.inputs) != 1)):
            raise WiringError(f"{self} has the inputs {', '.join(self.inputs) or 'none'}; wire them by name", "cell")
        return {**dict(zip(self.inputs, wires, strict=False)), **named}

    def _port(self, name: str, role: str, called: str | None = None) -> Node:
        """A new wire like a state; `called`: under another name."""
        like = self._pairs[name]
        node = make_input(called or name, like.shape, like.dtype, role=role, default=like.attrs["default"])
        return rebuild(node, first=self._firsts[name]) if name in self._firsts else node

    def initial(self, name: str) -> Node:
        """The wire that is a state's value before the first step: what is learnt, or fed under the state's name, else
        its `init`."""
        if name not in self._initial:
            learnt, shape = self._firsts.get(name), self._pairs[name].shape
            if learnt is None:
                self._initial[name] = self._port(name, "initial")
            else:
                self._initial[name] = learnt if learnt.shape == shape else broadcast(learnt, shape=shape)
        return self._initial[name]

    @property
    def params(self) -> dict[str, Shape]:
        """Name → shape of all weights, of learnt first values too."""
        return Graph({**self.graph.outputs, **{FIRST + s: n for s, n in self._firsts.items()}}).params

    def draw(self, **options: Any) -> Any:
        """A `Figure` of one step; see `Graph.draw`."""
        return self.graph.draw(**options)

    def _repr_svg_(self) -> str:
        return self.draw()._repr_svg_()

    def __repr__(self) -> str:
        return f"<Cell {self.name or ''}({', '.join(self.inputs)}; {', '.join(self.states)})>".replace(
            "Cell (", "Cell("
        )


def _outputs(here: str, outputs: Node | Mapping[str, Node]) -> dict[str, Node]:
    """The outputs by name. Raises WiringError for what is no wire, and for none."""
    named = {"y": outputs} if isinstance(outputs, Node) else dict(outputs)
    for key, node in named.items():
        if not isinstance(node, Node):
            raise WiringError(f"{here}: output {key!r} is a {type(node).__name__}, not a wire")
    if not named:
        raise WiringError(f"{here} has no output")
    return named


def _states_in(wires: Iterable[Node]) -> list[Node]:
    return [n for n in topological(wires) if n.role == "state" and n.op is input_op]


def _with_states_of_inner_cells(pairs: dict[Node, Node], outputs: Mapping[str, Node]) -> dict[Node, Node]:
    """The states with their next values, and those that cells inside this one brought along."""
    pairs = dict(pairs)
    used = _states_in([*outputs.values(), *pairs.values()])
    for node in used:  # grows while it is walked
        if node not in pairs and node.next is not None:
            pairs[node] = node.next
            used.extend(n for n in _states_in([node.next]) if n not in used)
    return pairs


def _check_pairs(here: str, pairs: Mapping[Node, Node], outputs: Mapping[str, Node]) -> None:
    """Raises WiringError for a state that is none, that has no next value or one that does not fit, for a sequence,
    and for a name used twice."""
    for node in pairs:
        if not isinstance(node, Node) or node.role != "state":
            raise WiringError(f"{here}: {node!r} is no state; states come from state(name, units)")
    for node in _states_in([*outputs.values(), *pairs.values()]):
        if node not in pairs:
            raise WiringError(
                f"{here}: the state {made(node)} is used, but never given a next value: "
                f"put it into states={{...}}; if it is a wire of another cell, hand its value over as an input",
                "cell",
                (node,),
            )
    for before, after in pairs.items():
        if before.shape != after.shape or before.dtype != after.dtype:
            raise WiringError(
                f"{here}: the state {before.describe()} {before.dtype} made at {before.where} has the next value "
                f"{after.describe()} {after.dtype} made at {after.where}; both must have one shape and type",
                "cell",
                (before, after),
            )
    for node in topological([*outputs.values(), *pairs.values()]):
        if node.role == "sequence":
            raise WiringError(
                f"{here}: {made(node)} is a sequence; a cell sees one step of it: "
                f"use input({node.name!r}, ...) inside, and scan(cell, ...) outside",
                "cell",
                (node,),
            )
    ports: dict[str, Node] = {}
    for before in pairs:
        other = ports.setdefault(str(before.name), before)
        if other is not before:
            raise WiringError(
                f"{here}: two states are called {before.name!r}, made at {other.where} and {before.where}", "cell"
            )


def _beginning(outputs: Mapping[str, Node]) -> dict[str, Node]:
    """A scan inside a cell begins anew at each of the cell's steps: with its states' `init`, where it is not wired."""
    unwired = [n for n in topological(outputs.values()) if n.op is input_op and n.role == "initial"]
    return substitute(outputs, {n: _default_of(n) for n in unwired}) if unwired else dict(outputs)


def _default_of(node: Node) -> Node:
    """The value of an input that is not fed, as a wire."""
    default = node.attrs["default"]
    if isinstance(default, str):
        return zeros(node.shape, node.dtype)
    value = constant(value=default if node.dtype != "float" else default.astype(np.float64))
    return broadcast(value, shape=node.shape)


def _in_scope(outputs: Mapping[str, Node], name: str) -> dict[str, Node]:
    """Parameters, states, draws and bricks under the name of their cell: ``layer1/forget.W_x``."""
    mapping: dict[Node, Node] = {}
    for node in topological(outputs.values()):
        if node.op is parameter_op:
            if node not in _scoped:
                again = rebuild(node, name=f"{name}/{node.name}", brick=_within(name, node.brick))
                object.__setattr__(again, "origin", node)
                _scoped[node] = again
            mapping[node] = _scoped[node]
        elif node.op is draw_op:
            mapping[node] = renamed(node, f"{name}/{node.name}")
        elif node.op is input_op and node.role == "state":
            mapping[node] = rebuild(node, name=f"{name}/{node.name}")

    def relabel(node: Node) -> dict[str, Any]:
        labels = {"brick": _within(name, node.brick), "name": None if node.op.name in FED else _within(name, node.name)}
        return {key: label for key, label in labels.items() if label}

    return substitute(outputs, mapping, relabel)


def _within(name: str, label: str | None) -> str | None:
    return f"{name}/{label}" if label else None


def scan(
    cell: Cell,
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
        sequences = {k: hold(v, admitted) if v.shape[:2] == mask.shape else v for k, v in sequences.items()}
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
        outputs[name] = where(valid, outputs[name], ZERO[outputs[name].dtype])
    for s in cell.states:
        before = fed[s] if s in fed else cell._port(s, "state")
        if "batch" not in before.shape:
            raise WiringError(
                f"{cell}: the state {made(before)} is one for all sequences; a mask holds states of sequences, which "
                "have a batch",
                "scan",
                (before,),
            )
        outputs[NEXT + s] = where(valid, outputs[NEXT + s], before)
    return port, outputs


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
    shape, dtype = cell._pairs[name].shape, cell._pairs[name].dtype
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
        s: rebuild(cell.initial(s), name=f"{s}(0)") if s in cell._firsts else cell._port(s, "state", f"{s}(0)")
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
