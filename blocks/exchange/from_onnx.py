"""Recurrent layers of a file of ONNX as a model: RNN, LSTM and GRU, one on top of the other.

    LSTM    W, R rows i o f c; P rows i o f        GRU    rows z r h        B = [of the input, of the state]

Between the operators stands what only moves numbers: `Squeeze` of an only direction, `Transpose` and `Reshape` of two,
a sequence that is turned around. The graph is read from its output backwards; whatever else it meets is refused.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..arguments import checked
from ..errors import BlocksError
from ..optional import needed
from ..train.model import Model
from .layers import Direction, gates, model_of

BRICKS = {
    "LSTM": ("input", "output", "forget", "candidate"),
    "GRU": ("update", "reset", "candidate"),
    "RNN": ("hidden",),
}
PEEPHOLES = ("input", "output", "forget")
USUAL = {"LSTM": ("sigmoid", "tanh", "tanh"), "GRU": ("sigmoid", "tanh"), "RNN": ("tanh",)}
OPTIONS = ("activations", "direction", "hidden_size", "linear_before_reset", "layout", "input_forget")
MOVES = ("Identity", "Squeeze", "Unsqueeze", "Expand", "Reshape", "Transpose", "Slice", "Tile", "Cast")


@dataclass(frozen=True)
class _Rows:
    """A value on the way: what layers made it, how its axes stand, whether its last step stands first."""

    layers: tuple[tuple[str, tuple[Direction, ...]], ...]  # the node that made each, and its directions
    axes: str  # "tbf"; "tdbf" of an operator, "tbdf" of one whose directions come last; "btf"
    turned: bool = False


@checked
def from_onnx(source: str | os.PathLike[str] | Any) -> Model:
    """The recurrent layers of a file of ONNX, or of a `ModelProto`, as a `Model` without a loss: x ``(batch, time,
    inputs)`` → y ``(batch, time, units)``, units of both directions side by side.

    It reads RNN (tanh, relu), LSTM (with peepholes or without) and GRU (the reset before the product or after it), in
    one direction or two, one on top of the other, as PyTorch, Keras's converters and `to_onnx` write them. Of the
    outputs it takes that of all steps. First states must be zero, or inputs; then they are fed to `predict` by name.

    The cells are those of the gallery: `lstm`, `lstm_peephole`, `gru`, `gru_reset_after`, `srn`, `irnn`; names of the
    weights are as of `from_torch`.

    Raises BlocksError for a file that is none, a graph with anything else in it (a product after the last layer, say),
    and options of the operators that the gallery does not have: clip, other activations, layout=1, input_forget,
    lengths of sequences; each by its name.
    """
    onnx = needed("onnx", "from_onnx")
    file = os.fspath(source) if isinstance(source, str | os.PathLike) else "the model"
    if isinstance(source, str | os.PathLike):
        try:
            source = onnx.load(source)
        except OSError as error:
            raise BlocksError(f"{file}: {error.strerror or error}") from None
        except Exception as error:
            raise BlocksError(f"{file} is no file of ONNX: {type(error).__name__}") from None
    if not isinstance(source, onnx.ModelProto):
        raise BlocksError(f"from_onnx takes a file or a ModelProto, not a {type(source).__name__}")
    return model_of(_Reader(onnx, source, file).layers())


class _Reader:
    """What stands in a file, read from its output backwards."""

    def __init__(self, onnx: Any, model: Any, file: str):
        self.onnx, self.model, self.file = onnx, model, file
        self.made = {name: node for node in model.graph.node for name in node.output}
        self.arrays = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
        self.inputs = {i.name for i in model.graph.input} - set(self.arrays)

    def refuse(self, what: str) -> BlocksError:
        return BlocksError(f"{self.file}: {what}")

    def layers(self) -> list[list[Direction]]:
        """The layers that make the output of all steps."""
        if not any(node.op_type in BRICKS for node in self.model.graph.node):
            kinds = sorted({node.op_type for node in self.model.graph.node})
            raise self.refuse(f"there is no RNN, LSTM or GRU in it, but {', '.join(kinds) or 'nothing'}")
        found = [self.rows(output.name) for output in self.model.graph.output if not self.is_last(output.name)]
        if not found:
            raise self.refuse("it gives last states alone; a model gives the output of all steps")
        whole = max(found, key=lambda rows: len(rows.layers))
        if whole.turned or whole.axes not in ("tbf", "btf"):
            raise self.refuse("its output does not stand as (time, batch, units) or (batch, time, units)")
        if not whole.layers:
            raise self.refuse("its output is its input")
        return [list(directions) for _, directions in whole.layers]

    def is_last(self, name: str) -> bool:
        """Whether a value is a last state."""
        while name in self.made and self.made[name].op_type in MOVES:
            name = self.made[name].input[0]
        node = self.made.get(name)
        return node is not None and node.op_type in BRICKS and name != node.output[0]

    def rows(self, name: str) -> _Rows:
        """How a value was made."""
        if name in self.inputs:
            return _Rows((), "tbf")
        node = self.made.get(name)
        if node is None:
            raise self.refuse(f"the value {name!r} is made by nothing")
        if node.op_type in BRICKS and name == node.output[0]:
            return self.operator(node)
        if node.op_type == "Concat":
            return self.side_by_side(node)
        if node.op_type not in ("Identity", "Squeeze", "Transpose", "Reshape", "Slice"):
            raise self.refuse(
                f"{node.op_type} {node.name or name!r} is no recurrent layer; hand in a graph of RNN, LSTM and GRU "
                "alone"
            )
        before = self.rows(node.input[0])
        after = before if node.op_type == "Identity" else self.moved(node, before)
        if after is None:
            raise self.refuse(
                f"{node.op_type} {node.name or name!r} does something else than to put steps, sequences and units in "
                "order"
            )
        return after

    def moved(self, node: Any, before: _Rows) -> _Rows | None:
        """What is left of a value whose axes are put in order; None for anything else."""
        options, axes = self.options(node), before.axes
        if node.op_type == "Transpose":
            order = options.get("perm", list(range(len(axes)))[::-1])
            if not before.layers and order == [1, 0, 2]:  # of the input, which then is batch first
                return before
            after = "".join(axes[i] for i in order)
            return replace(before, axes=after) if after in ("tbf", "btf", "tbdf", "tdbf") else None
        if node.op_type == "Squeeze":
            where = options.get("axes") or (list(self.constant(node.input[1])) if len(node.input) > 1 else None)
            one = before.layers and len(before.layers[-1][1]) == 1
            return replace(before, axes="tbf") if axes == "tdbf" and one and where == [1] else None
        if node.op_type == "Reshape":
            shape = self.constant(node.input[1])
            fits = shape is None or len(shape) == 3
            return replace(before, axes="tbf") if axes == "tbdf" and fits else None
        start, stop, along, step = (self.constant(i) for i in (*node.input[1:], *[""] * 4)[:4])
        whole = [None if v is None else [int(n) for n in v] for v in (start, along, step)] == [[-1], [0], [-1]]
        return replace(before, turned=not before.turned) if axes == "tbf" and whole and stop[0] < -(2**30) else None

    def side_by_side(self, node: Any) -> _Rows:
        """Two directions that are two operators."""
        parts = [self.rows(name) for name in node.input]
        below = {tuple(name for name, _ in p.layers[:-1]) for p in parts}
        alike = len(parts) == 2 and len(below) == 1 and all(p.layers for p in parts)
        flat = all(p.axes == "tbf" and not p.turned for p in parts) and self.options(node)["axis"] in (2, -1)
        found = [d for p in parts for d in p.layers[-1][1]] if alike else []
        if not flat or [d.reverse for d in found] != [False, True]:
            raise self.refuse("what stands side by side is not one layer forwards and one backwards")
        return _Rows((*parts[0].layers[:-1], ("+".join(node.input), tuple(found))), "tbf")

    # -- operators

    def operator(self, node: Any) -> _Rows:
        """A layer."""
        before, options = self.rows(node.input[0]), self.options(node)
        if before.axes != "tbf":
            raise self.refuse(f"what {node.op_type} {node.name!r} sees does not stand as (time, batch, features)")
        self.check(node, options)
        w, r, b, p = (self.weights(node, i) for i in (1, 2, 3, 7))
        assert w is not None and r is not None
        ways = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}
        sides = ways[options.get("direction", b"forward").decode()]
        directions = tuple(
            self.direction(node.op_type, options, w[i], r[i], None if b is None else b[i], None if p is None else p[i])
            for i in range(len(sides))
        )
        found = tuple(replace(d, reverse=side != before.turned) for d, side in zip(directions, sides, strict=True))
        return _Rows((*before.layers, (node.output[0], found)), "tdbf", before.turned)

    def check(self, node: Any, options: dict[str, Any]) -> None:
        """Raises BlocksError for what the gallery's cells do not do."""
        for name, value in options.items():
            if name not in OPTIONS and value not in ([], 0):
                raise self.refuse(f"{node.op_type} {node.name!r} has the option {name}={value!r:.40}")
        for name in ("layout", "input_forget"):
            if options.get(name, 0):
                raise self.refuse(f"{node.op_type} {node.name!r} has the option {name}={options[name]}")
        usual = USUAL[node.op_type]
        given = [a.decode().lower() for a in options.get("activations", [])]
        known = [[*usual], [*usual, *usual]] + ([["relu"], ["relu"] * 2] if node.op_type == "RNN" else [])
        if given and given not in known:
            raise self.refuse(f"{node.op_type} {node.name!r} has the activations {', '.join(given)}")
        inputs = [*node.input, *[""] * 8]
        if inputs[4]:
            raise self.refuse(
                f"{node.op_type} {node.name!r} is given the lengths of its sequences; a mask says them here"
            )
        for name in inputs[5:7]:
            if name and not self.is_zero(name):
                raise self.refuse(
                    f"{node.op_type} {node.name!r} begins with {name!r}, which is neither zero nor an input"
                )

    def direction(
        self,
        kind: str,
        options: dict[str, Any],
        w: np.ndarray,
        r: np.ndarray,
        b: np.ndarray | None,
        p: np.ndarray | None,
    ) -> Direction:
        """The cell of one direction."""
        bricks = BRICKS[kind]
        first, second = np.split(np.zeros(2 * len(w), w.dtype) if b is None else b, 2)
        weights = gates(bricks, w.T, "W_x", 1) | gates(bricks, r.T, "W_h", 1) | gates(bricks, first + second, "b")
        if kind == "LSTM":
            peeps = gates(PEEPHOLES, p, "W_C")
            some = any(np.any(v) for v in peeps.values())
            return Direction("lstm_peephole" if some else "lstm", weights | (peeps if some else {}))
        if kind == "RNN":
            relu = [a.lower() for a in options.get("activations", [])][:1] == [b"relu"]
            return Direction("relu" if relu else "tanh", weights)
        if not options.get("linear_before_reset", 0):
            return Direction("gru", weights)
        weights["recurrent.W_h"] = weights.pop("candidate.W_h")
        weights["candidate.b"], weights["recurrent.b"] = np.split(first, 3)[2], np.split(second, 3)[2]
        return Direction("gru_reset_after", weights)

    # -- values

    def options(self, node: Any) -> dict[str, Any]:
        return {a.name: self.onnx.helper.get_attribute_value(a) for a in node.attribute}

    def weights(self, node: Any, at: int) -> np.ndarray | None:
        """An operand that must be known."""
        name = node.input[at] if at < len(node.input) else ""
        value = self.constant(name) if name else None
        if name and value is None:
            raise self.refuse(f"the weights {name!r} of {node.op_type} {node.name!r} depend on what is fed")
        return value

    def constant(self, name: str) -> Any:
        """A value that no input has a part in; None for others."""
        if not name:
            return None
        if name not in self.arrays:
            nodes, pending = [], [name]
            while pending:
                wanted = pending.pop()
                if wanted in self.inputs or (wanted not in self.arrays and wanted not in self.made):
                    return None
                if wanted not in self.arrays and self.made[wanted] not in nodes:
                    nodes.append(self.made[wanted])
                    pending += [i for i in self.made[wanted].input if i]
            self.arrays[name] = self.computed(name, nodes)
        return self.arrays[name]

    def computed(self, name: str, nodes: Sequence[Any]) -> np.ndarray:
        """A value that some nodes make of weights."""
        from onnx.reference import ReferenceEvaluator

        order = [node for node in self.model.graph.node if node in nodes]
        needed = {i for node in order for i in node.input}
        known = [t for t in self.model.graph.initializer if t.name in needed]
        helper = self.onnx.helper
        graph = helper.make_graph(order, "weights", [], [helper.make_empty_tensor_value_info(name)], known)
        part = helper.make_model(graph, opset_imports=self.model.opset_import, ir_version=self.model.ir_version)
        results: Any = ReferenceEvaluator(part).run(None, {})
        return np.asarray(results[0])

    def is_zero(self, name: str) -> bool:
        """Whether a first state is zero, or an input."""
        while name not in self.inputs:
            value = self.constant(name)
            if value is not None:
                return not np.any(value)
            node = self.made.get(name)
            if node is not None and node.op_type == "ConstantOfShape":
                filled = self.options(node).get("value")
                return filled is None or not np.any(self.onnx.numpy_helper.to_array(filled))
            if node is None or node.op_type not in MOVES:
                return False
            name = node.input[0]
        return True
