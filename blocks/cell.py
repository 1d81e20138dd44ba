"""Cells: one step of a recurrent network.

A `Cell` is a one-step graph in which every state is a wire paired with its next value; `scan` runs it over time.
A finished cell is itself a brick: called inside another cell, it brings its states along.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, overload
from weakref import WeakKeyDictionary

import numpy as np

from .arguments import checked
from .errors import WiringError, made, nearest, user_line
from .graph import FED, Graph, Node, Shape, Wire, as_node, rebuild, show_shape, substitute, topological
from .ops.leaves import check_name, constant, input_op, make_input, parameter_op
from .ops.loop import NEXT
from .ops.random import draw_op, renamed
from .ops.shape import broadcast, zeros

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Concatenate, ParamSpec

    from typing_extensions import TypeVar

    from .draw.views import draw as _draw

    P = ParamSpec("P")
    R = TypeVar("R")
    Outputs = TypeVar("Outputs", default=Node)

    def _of_cells(of_graphs: Callable[Concatenate[Graph, P], R]) -> Callable[Concatenate[Cell[Any], P], R]: ...

else:
    from typing import TypeVar

    Outputs = TypeVar("Outputs")

FIRST = "first/"  # what a state begins with, beside the outputs of a cell

_scoped: WeakKeyDictionary[Node, Node] = WeakKeyDictionary()  # a parameter → itself inside a named cell


class Cell(Generic[Outputs]):
    """One step of a recurrent network: states, each with its next value, and outputs.

    Args:
        states: state wire → the wire of its next value.
        outputs: one wire, or a dict of named wires.
        name: put in front of the names of weights and states, ``layer1/forget.W_x``; needed when a graph
            has two cells of one kind.

    Attributes: graph, the one-step `Graph`, with the outputs and ``next/<state>``; states, inputs and
    outputs, their names (an only output is called "y"); wires, a state's name → its wire as the user made it; firsts,
    → the wire that it begins with, where that is learnt.

    Random numbers in a cell (`bernoulli`, `dropout`) are drawn anew at each step; those that are handed to it as an
    input are the same at each.

    Raises WiringError for a state that is never given a next value or belongs to another cell, for a wire
    that has a time dimension, and for names used twice.
    """

    @overload
    def __init__(self: Cell[Node], states: Mapping[Node, Wire], outputs: Node, name: str | None = None): ...

    @overload
    def __init__(
        self: Cell[Any], states: Mapping[Node, Wire], outputs: Mapping[str, Node], name: str | None = None
    ): ...

    @checked
    def __init__(self, states: Mapping[Node, Wire], outputs: Node | Mapping[str, Node], name: str | None = None):
        self.name = None if name is None else check_name(name, "a cell")
        self.where = user_line()
        here = f"cell {name!r}" if name else "the cell"
        named = _outputs(here, outputs)
        pairs = with_states_of_inner_cells({s: as_node(n) for s, n in states.items()}, named)
        _check_pairs(here, pairs, named)
        prefix = f"{name}/" if name else ""
        everything = {**named, **{f"{NEXT}{prefix}{b.name}": a for b, a in pairs.items()}}
        everything = beginning(everything)
        firsts = {f"{FIRST}{prefix}{b.name}": b.first for b in pairs if b.first is not None}
        everything |= firsts
        if self.name:
            everything = _in_scope(everything, self.name)
        self.firsts: dict[str, Node] = {name.removeprefix(FIRST): everything.pop(name) for name in firsts}
        self.outputs: tuple[str, ...] = tuple(named)
        self.graph = Graph(everything).verify()
        self.wires: dict[str, Node] = {f"{prefix}{b.name}": b for b in pairs}
        self.states: tuple[str, ...] = tuple(self.wires)
        fed = self.graph.fed("input")
        self.inputs: tuple[str, ...] = tuple(n for n, node in fed.items() if node.role != "state")
        self._initial: dict[str, Node] = {}
        self._drawn: dict[tuple[str, str], Node] = {}

    @checked
    def __call__(self, *wires: Wire, **named: Wire) -> Outputs:
        """The cell as a brick inside another cell: its output for these inputs, at this step.

        Inputs by position, if there is one, or by name. Its states become states of the cell around it.
        One wire, or a dict of them where the cell has several outputs.
        """
        inputs = self._by_name(wires, named)
        states = {s: self.port(s, "state") for s in self.states}
        outputs, after = self.step(inputs, states)
        for name, node in states.items():
            object.__setattr__(node, "next", after[name])
        found: Any = outputs[self.outputs[0]] if len(outputs) == 1 else outputs
        return found

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

    def port(self, name: str, role: str, called: str | None = None) -> Node:
        """A new wire like a state; `called`: under another name."""
        like = self.wires[name]
        node = make_input(called or name, like.shape, like.dtype, role=role, default=like.attrs["default"])
        return rebuild(node, first=self.firsts[name]) if name in self.firsts else node

    def initial(self, name: str) -> Node:
        """The wire that is a state's value before the first step: what is learnt, or fed under the state's name, else
        its `init`."""
        if name not in self._initial:
            learnt, shape = self.firsts.get(name), self.wires[name].shape
            if learnt is None:
                self._initial[name] = self.port(name, "initial")
            else:
                self._initial[name] = learnt if learnt.shape == shape else broadcast(learnt, shape=shape)
        return self._initial[name]

    @property
    def params(self) -> dict[str, Shape]:
        """Name → shape of all weights, of learnt first values too."""
        return self.graph.params | (Graph(self.firsts).params if self.firsts else {})

    if TYPE_CHECKING:  # bound in blocks/__init__.py: the figure of its graph
        draw = _of_cells(_draw)

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


def with_states_of_inner_cells(pairs: dict[Node, Node], outputs: Mapping[str, Node]) -> dict[Node, Node]:
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


def beginning(outputs: Mapping[str, Node]) -> dict[str, Node]:
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
    nodes = topological(outputs.values())
    whole = len(outputs) == 1 and _is_one_brick(nodes)
    for node in nodes:
        if node.op is parameter_op:
            if node not in _scoped:
                again = rebuild(node, name=f"{name}/{node.name}", brick=name if whole else _within(name, node.brick))
                object.__setattr__(again, "origin", node)
                _scoped[node] = again
            mapping[node] = _scoped[node]
        elif node.op is draw_op:
            mapping[node] = renamed(node, f"{name}/{node.name}")
        elif node.op is input_op and node.role == "state":
            mapping[node] = rebuild(node, name=f"{name}/{node.name}")

    def relabel(node: Node) -> dict[str, Any]:
        brick = name if whole and node.operands else _within(name, node.brick)
        labels = {"brick": brick, "name": None if node.op.name in FED else _within(name, node.name)}
        return {key: label for key, label in labels.items() if label}

    return substitute(outputs, mapping, relabel)


def _is_one_brick(nodes: Iterable[Node]) -> bool:
    """Whether a cell is a brick by itself: it has no state, and neither bricks nor loops that are more than that."""
    for node in nodes:
        own = node.op is parameter_op and str(node.name).startswith(f"{node.brick}.")
        if own or node.op.kind == "loop" or (node.op is input_op and node.role == "state"):
            return False
    return True


def _within(name: str, label: str | None) -> str | None:
    return f"{name}/{label}" if label else None
