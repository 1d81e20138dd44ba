"""A loop that is a known cell as one operator: LSTM, GRU or RNN, with its weights packed as ONNX has them.

LSTM    rows i o f c; peepholes i o f         GRU    rows z r h         B: biases of the input, then of the state
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graph import Graph, Node
from ...ops.loop import FINAL
from ..recognise import Known
from ..walk import walk

if TYPE_CHECKING:
    from .scope import Scope, Value

# Gates in the order of ONNX, as (brick with W_x and b, brick with W_h and, if it is another one, a bias of its own).
GATES = {
    "lstm": [(b, b) for b in ("input", "output", "forget", "candidate")],
    "gru": [(b, b) for b in ("update", "reset", "candidate")],
    "gru_reset_after": [("update", "update"), ("reset", "reset"), ("candidate", "recurrent")],
    "rnn": [("hidden", "hidden")],
}
OPERATORS = {"lstm": "LSTM", "gru": "GRU", "gru_reset_after": "GRU", "rnn": "RNN"}
PEEPHOLES = ("input", "output", "forget")


def fused(scope: Scope, loop: Node, found: Known, given: Mapping[str, Value]) -> dict[str, Value]:
    """The operator, and what the loop gives; `given`: the value of each port."""
    a, gates = loop.attrs, GATES[found.kind]
    weights = {name: _value(scope, node, given) for name, node in found.weights.items() if node is not None}
    if found.turned:  # 1 − σ(z) = σ(−z)
        weights |= {n: scope.emit("Neg", w) for n, w in weights.items() if n.startswith("update.")}
    x = scope.turned(given[found.row], a["reverse"])
    biases = [weights.get(f"{b}.b") for b, _ in gates]
    biases += [weights.get(f"{of_h}.b") if of_h != of_x else None for of_x, of_h in gates]
    first = {s: scope.emit("Unsqueeze", given[name], (0,)) for s, name in found.states.items()}
    operands: list[Any] = [
        x,
        _packed(scope, [weights[f"{b}.W_x"] for b, _ in gates]),
        _packed(scope, [weights[f"{b}.W_h"] for _, b in gates]),
        _row(scope, biases, found.units),
        None,  # the lengths of the sequences
        first["h"],
    ]
    options: dict[str, Any] = {"hidden_size": found.units}
    if found.kind == "lstm":
        operands += [first["C"], _row(scope, [weights.get(f"{b}.W_C") for b in PEEPHOLES], found.units)]
    elif found.kind == "rnn":
        options["activations"] = [found.activation]
    else:
        options["linear_before_reset"] = int(found.kind == "gru_reset_after")
    names = [f"{scope.label}.{k}" for k in ("Y", "Y_h", "Y_c")[: 3 if found.kind == "lstm" else 2]]
    whole, *ends = scope.emit_all(OPERATORS[found.kind], operands, names, **options)
    last = dict(zip(("h", "C"), ends, strict=False))
    results = {FINAL + name: scope.emit("Squeeze", last[s], (0,)) for s, name in found.states.items()}
    if a["stacked"]:
        y = scope.turned(scope.emit("Squeeze", whole, (1,)), a["reverse"])
        results |= dict.fromkeys(a["stacked"], y)
    return results


def _value(scope: Scope, node: Node, given: Mapping[str, Value]) -> Value:
    """Weights, which the body of a loop says over its ports, in the graph around it."""
    inner = type(scope)(scope.file, Graph({"weights": node}))
    inner.nodes = scope.nodes
    return walk(inner.graph, given, inner)[node]


def _packed(scope: Scope, weights: list[Value]) -> Value:
    """(inputs, units) each → (1, gates · units, inputs)."""
    side_by_side = scope.emit("Concat", *weights, axis=1)
    return scope.emit("Unsqueeze", scope.emit("Transpose", side_by_side, perm=(1, 0)), (0,))


def _row(scope: Scope, vectors: list[Value | None], units: int) -> Value | None:
    """(units,) each → (1, n · units), zeros for those that are not there; None, if none is."""
    if not any(vectors):
        return None
    zeros = scope.file.constant(np.zeros(units))
    return scope.emit("Unsqueeze", scope.emit("Concat", *(zeros if v is None else v for v in vectors), axis=0), (0,))
