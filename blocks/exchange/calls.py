"""Which call of which brick made some nodes of a graph: its kind, its options and its wires."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .. import bricks, norms
from ..bricks import EMBED
from ..equations import ends_of_bricks
from ..graph import Graph, Node
from ..ops.norm import EPSILON
from .signatures import value_key

NORMS = {"layernorm": norms.LAYERNORM, "rmsnorm": norms.RMSNORM}
SQUASHED = {"sigm": bricks.SIGM, "tanh": bricks.TANH, "relu": bricks.RELU, "softmax": bricks.SOFTMAX}


@dataclass(frozen=True)
class Call:
    """A call of a brick, as its nodes say: the name of the brick, its wires by slot, in order, its weights by their
    short name, and the kinds that it may be of."""

    brick: str
    end: Node
    inside: frozenset[Node]
    wires: dict[str, Node]
    weights: dict[str, Node]
    kinds: tuple[Any, ...]
    epsilon: float | None

    @property
    def units(self) -> int:
        """The features of the result."""
        return int(self.end.shape[-1])

    def options(self, kind: Any) -> dict[str, Any]:
        """The options of the brick but for its name and its first weights."""
        given: dict[str, Any] = {}
        shapes = {slot: self.weights[f"W_{slot}"].shape for slot in self.wires if f"W_{slot}" in self.weights}
        kinds = {slot: ("scalar", "diagonal", "dense")[len(shape)] for slot, shape in shapes.items()}
        other = {slot: k for slot, k in kinds.items() if k != "dense"}
        if other:
            every = set(kinds.values())
            given["weights"] = every.pop() if len(every) == 1 else other
        if kind is not EMBED and ("b" in self.weights) != kind.default_bias:
            given["bias"] = "b" in self.weights
        if self.epsilon not in (None, EPSILON):
            given["epsilon"] = self.epsilon
        return given

    def inits(self, brick: Any) -> Any:
        """The first weights that are not those that a brick has by itself; None, if all are."""
        if isinstance(brick, EMBED):
            init = self.weights["W"].attrs["init"]
            return None if value_key(init) == value_key(brick.table.attrs["init"]) else init
        own = {k: value_key(node.attrs["init"]) for k, node in brick._params.items()}
        given = {k: n.attrs["init"] for k, n in self.weights.items() if value_key(n.attrs["init"]) != own.get(k)}
        of_wires = [k for k in self.weights if k != "b"]
        keys = {value_key(self.weights[k].attrs["init"]) for k in of_wires}
        if len(of_wires) > 1 and set(given) == set(of_wires) and len(keys) == 1:
            return given[of_wires[0]]
        return given or None


def calls_of(graph: Graph) -> Iterator[Call]:
    """The calls of bricks, as far as nodes tell; what is made of them must be compared."""
    pending, seen = ends_of_bricks(graph), set[Node]()
    while pending:
        end = pending.pop()
        found = None if end in seen else _call(end)
        seen.add(end)
        if found is not None:
            yield found
            pending += [w for w in found.wires.values() if w.brick == end.brick]  # what a brick made of its own result


def _call(end: Node) -> Call | None:
    brick = str(end.brick)
    inside: set[Node] = set()
    weights: dict[str, Node] = {}
    wires: list[tuple[Node, str, Node]] = []
    epsilon: float | None = None
    norm, pending = "", [end]
    while pending:
        node = pending.pop()
        if node in inside or node.brick != brick or not node.operands:
            continue
        inside.add(node)
        own = [o for o in node.operands if o.op.name == "parameter" and str(o.name).startswith(f"{brick}.")]
        if not own:
            pending += node.operands
            continue
        (weight,) = own[:1]
        name = str(weight.name).removeprefix(f"{brick}.")
        weights[name] = weight
        (other,) = [o for o in node.operands if o is not weight][:1] or [weight]
        if name == "b":
            pending.append(other)
        elif name == "gain":
            if other.op.name not in NORMS:
                return None
            norm, epsilon = other.op.name, other.attrs["epsilon"]
            inside.add(other)
            wires.append((node, "gain", other.operands[0]))
        else:
            while other.role == "align" and other.brick == brick:
                inside.add(other)
                other = other.operands[0]
            wires.append((node, name.removeprefix("W_"), other))
    wires.sort(key=lambda wire: wire[0].serial)
    if not wires or len({slot for _, slot, _ in wires}) < len(wires):
        return None
    kinds: tuple[Any, ...] = (bricks.ADD, bricks.MULTIPLY)
    if norm:
        kinds = (NORMS[norm],)
    elif set(weights) == {"W"}:
        kinds = (EMBED,)
    elif end.op.name in SQUASHED:
        kinds = (SQUASHED[end.op.name],)
    return Call(brick, end, frozenset(inside), {s: w for _, s, w in wires}, weights, kinds, epsilon)
