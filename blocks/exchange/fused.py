"""A loop that is a known cell as the operator of PyTorch's `nn.LSTM`, `nn.GRU` or `nn.RNN`, with its weights packed.

LSTM    columns i f g o                       GRU    columns r z n, the reset after the product
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from ..graph import Graph, Node
from ..ops.loop import FINAL
from .function import Value, listed, plural, short
from .recognise import Known, known
from .rows import call, code, name, text
from .walk import walk

if TYPE_CHECKING:
    from .function import Function

# Gates in the order of PyTorch, as (brick with W_x and b, brick with W_h and, if it is another one, a bias of its own).
GATES = {
    "lstm": [(b, b) for b in ("input", "forget", "candidate", "output")],
    "gru_reset_after": [("reset", "reset"), ("update", "update"), ("candidate", "recurrent")],
    "rnn": [("hidden", "hidden")],
}
OPERATORS = {"Tanh": "torch.rnn_tanh", "Relu": "torch.rnn_relu"}


def recognised(loop: Node) -> Known | None:
    """What a loop is, if PyTorch has an operator for it: peepholes have none, nor has a reset before the product."""
    found = known(loop)
    if found is None or found.kind not in GATES:
        return None
    peepholes = [node for weight, node in found.weights.items() if weight.endswith(".W_C")]
    return None if any(node is not None for node in peepholes) else found


def fused(f: Function, loop: Node, operands: list[Value], found: Known) -> dict[str, Value]:
    """The line of the operator, and what the loop gives."""
    a, gates = loop.attrs, GATES[found.kind]
    given = dict(zip(a["ports"], operands, strict=True))
    wires = dict(zip(a["ports"], loop.operands, strict=True))
    weights = {n: _value(f, node, given) for n, node in found.weights.items() if node is not None}
    if found.turned:  # 1 − σ(z) = σ(−z)
        weights |= {n: ast.UnaryOp(ast.USub(), w) for n, w in weights.items() if n.startswith("update.")}
    of_x = [weights.get(f"{b}.b") for b, _ in gates]
    of_h = [weights.get(f"{h}.b") if h != x else None for x, h in gates]
    packed = [
        _packed(f, "W_x", [weights[f"{b}.W_x"] for b, _ in gates], ", 1"),
        _packed(f, "W_h", [weights[f"{b}.W_h"] for _, b in gates], ", 1"),
        *(_packed(f, label, _filled(some), "") for label, some in (("b", of_x), ("b_h", of_h)) if any(some)),
    ]
    if any(of_h) and not any(of_x):
        packed.insert(2, code("None"))
    kinds = ["h", "C"] if found.kind == "lstm" else ["h"]
    states = [f.as_array(wires[found.states[s]], given[found.states[s]]) for s in kinds]
    operator = {"lstm": "torch.lstm", "gru_reset_after": "torch.gru"}.get(found.kind, OPERATORS[found.activation])
    arguments = [operator, text(f.as_array(wires[found.row], given[found.row])), text(ast.Tuple(states, ast.Load()))]
    arguments += [text(p) for p in packed] + (["reverse=True"] if a["reverse"] else [])
    stacked = [short(k) for k in a["stacked"]]
    ys = f.names.fresh(plural(stacked[0])) if stacked else "_"
    last = {s: f.names.fresh(short(found.states[s])) for s in kinds}
    f.need("fused")
    f.lines += listed(f"{', '.join([ys, *last.values()])} = fused(", arguments, ")")
    finals = {FINAL + found.states[s]: Value(name(i)) for s, i in last.items()}
    return {**{k: Value(name(ys)) for k in a["stacked"]}, **finals}


def _value(f: Function, node: Node, given: dict[str, Value]) -> ast.expr:
    """Weights, which the body of a loop says over its ports, in the function around it."""
    return walk(Graph({"weights": node}), given, f)[node].expression


def _packed(f: Function, label: str, parts: list[ast.expr], axis: str) -> ast.expr:
    """Weights side by side."""
    if len(parts) == 1:
        return parts[0]
    return f.bind(label, code(f"torch.cat(({', '.join(text(p) for p in parts)}){axis})"))


def _filled(biases: list[ast.expr | None]) -> list[ast.expr]:
    """Biases, zeros for those that are not there."""
    one = next(b for b in biases if b is not None)
    return [call("torch.zeros_like", one) if b is None else b for b in biases]
