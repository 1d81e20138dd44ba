"""One graph of ONNX under construction: the whole, or the body of a loop.

A value is a name. What stands in a graph is seen by the bodies of its loops, so weights, sizes and whatever is the same
at each step are simply named there; a `Scan` is handed its states and its sequences alone. It runs forwards: sequences
of a loop from the last step to the first are turned around before and after.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import BlocksError
from ...graph import Graph, Node, Shape
from ...ops.loop import FINAL, NEXT
from ..recognise import known
from ..rows import hole, parsed
from ..walk import walk
from .fused import fused
from .parts import PARTS
from .rows import END, ONNX, moved

if TYPE_CHECKING:
    from .file import File

OPERATORS = {
    ast.Add: "Add", ast.Sub: "Sub", ast.Mult: "Mul", ast.Div: "Div", ast.MatMult: "MatMul", ast.USub: "Neg",
}  # fmt: skip


class Value(str):
    """The name of a value; anything else that a row calls a node with is a constant."""


class Scope:
    """A graph under construction; a `walk.Writer` of values."""

    def __init__(self, file: File, graph: Graph):
        self.file, self.graph = file, graph
        self.nodes: list[Any] = []
        self.made: set[str] = set()  # what nodes of this scope give
        self.label = ""  # of the node of blocks that is being written

    # -- nodes

    def emit(self, operator: str, *inputs: Any, label: str | None = None, **attributes: Any) -> Value:
        """A node with one result."""
        (result,) = self.emit_all(operator, inputs, [label or f"{self.label}.{operator}"], **attributes)
        return result

    def emit_all(self, operator: str, inputs: Any, labels: list[str], **attributes: Any) -> list[Value]:
        """A node with several results."""
        results = [Value(self.file.fresh(label)) for label in labels]
        given = [self.value(i) for i in inputs]
        while given and not given[-1]:
            given.pop()
        self.nodes.append(self.file.helper.make_node(operator, given, results, **attributes))
        self.made.update(results)
        return results

    def value(self, given: Any) -> Value:
        """A value as it is; a number, or a tuple of them, as a constant; nothing, for None."""
        if isinstance(given, Value):
            return given
        if given is None:
            return Value("")
        return self.file.constant(np.asarray(given, np.int64 if given == () else None))

    # -- operations

    def operation(self, node: Node, operands: list[Value]) -> Value:
        """An operation, by its row."""
        if node.op.name == "constant":
            return self.file.constant(node.attrs["value"])
        self.label = self.graph.name_of(node)
        if node.op.name == "size":
            return self.emit("Cast", self.file.count(node.attrs["dims"]), to=self.file.types["float"])
        row = ONNX.row(node)
        assert row is not None
        return self.value(Filled(self, node, operands).made(parsed(row, node), self.label))

    # -- loops

    def loop(self, node: Node, operands: list[Value]) -> Mapping[str, Value]:
        """A loop: one operator, where it is a known cell, or a `Scan`."""
        self.label = self.graph.name_of(node)
        given = dict(zip(node.attrs["ports"], operands, strict=True))
        found = known(node) if self.file.fused else None
        return self.scan(node, given) if found is None else fused(self, node, found, given)

    def scan(self, node: Node, given: Mapping[str, Value]) -> Mapping[str, Value]:
        """A loop, as a `Scan`."""
        a, label = node.attrs, self.label
        body: Graph = a["body"]
        wires = dict(zip(a["ports"], node.operands, strict=True))
        inner, used = Scope(self.file, body), body.fed("input")
        sequences = [p for p in a["sequences"] if p in used]
        fed = {**given, **{p: Value(self.file.fresh(f"{p} of a step")) for p in (*a["states"], *sequences)}}
        values = walk(body, {p: fed[p] for p in used}, inner)
        arguments = [self.file.declared(fed[s], wires[s].dtype, wires[s].shape) for s in a["states"]]
        arguments += [self.file.declared(fed[p], used[p].dtype, used[p].shape) for p in sequences]
        rows = [self.turned(given[p], a["reverse"]) for p in sequences]
        if not rows:  # a Scan goes over something
            rows = [self.emit("Expand", 0.0, self.file.sizes((a["time"],)))]
            arguments.append(self.file.declared(self.file.fresh("step"), "float", ()))
        keys = [NEXT + s for s in a["states"]] + list(a["stacked"])
        results = [inner.returned(values[body.outputs[k]], k) for k in keys]
        gives = [
            self.file.declared(r, body.outputs[k].dtype, body.outputs[k].shape)
            for r, k in zip(results, keys, strict=True)
        ]
        outputs = [FINAL + s for s in a["states"]] + list(a["stacked"])
        text = self.file.helper.make_graph(inner.nodes, label, arguments, gives)
        names = [f"{label}.{k.removeprefix(FINAL)}" for k in outputs]
        taken = self.emit_all(
            "Scan", [*(given[s] for s in a["states"]), *rows], names, body=text, num_scan_inputs=len(rows)
        )
        found = dict(zip(outputs, taken, strict=True))
        return {k: self.turned(v, a["reverse"] and k in a["stacked"]) for k, v in found.items()}

    def returned(self, value: Value, label: str) -> Value:
        """A value as a result of a body, of which each is a node's of its own."""
        if value in self.made:
            self.made.remove(value)
            return value
        return Value(self.emit_all("Identity", [value], [label])[0])

    def turned(self, sequence: Value, around: bool = True) -> Value:
        """A sequence with its last step first."""
        return self.emit("Slice", sequence, (-1,), (-END,), (0,), (-1,)) if around else sequence

    def running_max(self, x: Value, rank: int) -> Value:
        """The largest integer of all steps up to each."""
        helper = self.file.helper
        before, now, after, kept = (Value(self.file.fresh(f"{self.label}.{k}")) for k in ("old", "x", "max", "kept"))
        nodes = [helper.make_node("Max", [before, now], [after]), helper.make_node("Identity", [after], [kept])]
        some: Shape = tuple(self.file.fresh("any") for _ in range(rank - 1))
        declared = [self.file.declared(v, "int", some) for v in (before, now, after, kept)]
        body = helper.make_graph(nodes, self.label, declared[:2], declared[2:])
        first, last, every = self.emit("Gather", x, 0, axis=0), f"{self.label}.last", f"{self.label}.max"
        return self.emit_all("Scan", [first, x], [last, every], body=body, num_scan_inputs=1)[1]

    def moved(self, x: Value, rank: int, source: int, destination: int) -> Value:
        """A value with an axis at another place."""
        return x if source == destination else self.emit("Transpose", x, perm=moved(rank, source, destination))


class Filled:
    """The template of a row, as nodes."""

    def __init__(self, scope: Scope, node: Node, operands: list[Value]):
        self.scope, self.node, self.operands = scope, node, operands

    def made(self, e: ast.expr, label: str | None = None) -> Any:
        """What an expression is: a value, or a number, a text, a tuple, None."""
        s = self.scope
        match e:
            case ast.Name():
                here = hole(e.id)
                if here is not None:
                    return self.filled(here[0])
            case ast.Constant():
                return e.value
            case ast.Tuple():
                return tuple(self.made(item) for item in e.elts)
            case ast.UnaryOp(op=ast.USub()):
                inner = self.made(e.operand)
                return s.emit("Neg", inner, label=label) if isinstance(inner, Value) else -inner
            case ast.BinOp() if type(e.op) in OPERATORS:
                return s.emit(OPERATORS[type(e.op)], self.made(e.left), self.made(e.right), label=label)
            case ast.Call(func=ast.Name(id=called)):
                arguments = [self.made(a) for a in e.args]
                options = {str(k.arg): self.made(k.value) for k in e.keywords}
                if called in PARTS:
                    return PARTS[called](s, *arguments, **options)
                if s.file.onnx.defs.has(called):
                    return s.emit(called, *arguments, label=label, **options)
        raise BlocksError(
            f"{ast.unparse(e)!r} in the row of operation {self.node.op.name!r} is nothing that ONNX has; a row is made "
            "of operators of ONNX, as 'Exp({0}) + 1.0'"
        )

    def filled(self, key: str) -> Any:
        """What stands in the place of a hole."""
        node, file = self.node, self.scope.file
        if key.isdigit() and int(key) < len(self.operands):
            return self.operands[int(key)]
        if key == "sizes":
            return file.sizes(node.shape)
        if key == "dtype":
            return file.types[node.dtype]
        if key in node.attrs:
            return file.sizes(node.attrs[key]) if key in ("shape", "dims") else node.attrs[key]
        known = [f"{{{i}}}" for i in range(len(self.operands))] + [f"{{{k}}}" for k in node.attrs]
        raise BlocksError(
            f"a row of operation {node.op.name!r} has no {{{key}}}; it may have {', '.join(known)}, {{sizes}} and "
            "{dtype}"
        )
