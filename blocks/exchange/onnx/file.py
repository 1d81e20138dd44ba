"""The whole model of ONNX: what it takes and gives, weights and constants, and the sizes of named dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import BlocksError
from ...graph import Dim, Node, Shape, show_shape
from ...ops.random import LAWS
from ..given import Given
from ..walk import ready, walk
from .rows import ONNX
from .scope import Scope, Value

OPSET, IR = 18, 8  # of 2022: what onnxruntime runs from 1.14 on
LARGEST = 2**31 - 1  # bytes of a model: protobuf's


class File:
    """A model under construction.

    Args: onnx, the package; what, see `Given`; trained, whether weights and draws are inputs too; states, "zeros" or
    "inputs"; fused, whether a loop that is a known cell becomes one operator; dtype, "float32" or "float64".
    """

    def __init__(self, onnx: Any, what: Given, trained: bool, states: str, fused: bool, dtype: str):
        self.onnx, self.helper, self.what = onnx, onnx.helper, what
        self.trained, self.states, self.fused, self.dtype = trained, states, fused, np.dtype(dtype)
        number = onnx.TensorProto
        self.types = {"float": number.FLOAT if dtype == "float32" else number.DOUBLE}
        self.types |= {"int": number.INT64, "bool": number.BOOL}
        self.graph = ready(what.graph, ONNX.covers, "ONNX")
        self.inputs = {name: leaf for name, leaf in what.leaves.items() if self._asked(leaf)}
        self.fixed = self._fixed_dims()
        self.taken = {*what.leaves, *what.graph.params, *what.graph.outputs}
        self.constants: dict[tuple[str, tuple[int, ...], bytes], Value] = {}
        self.initializers: list[Any] = []
        self.measuring: list[Any] = []  # the nodes that say how large everything is, before all others
        self.measured: dict[Shape, Value] = {}

    def _asked(self, leaf: Node) -> bool:
        """Whether a leaf is an input of the model."""
        if leaf.op.name == "draw":
            return self.trained
        return leaf.attrs["default"] is None or leaf.role == "state" or self.states == "inputs"

    def _fixed_dims(self) -> dict[str, int]:
        """The sizes that the weights say."""
        sizes: dict[str, int] = {}
        for name, leaf in self.what.graph.fed("parameter").items():
            pairs = zip(leaf.shape, self.what.weights[name].shape, strict=True)
            sizes |= {d: n for d, n in pairs if isinstance(d, str)}
        return sizes

    # -- what scopes ask for

    def fresh(self, wish: str) -> str:
        """A name that no other value has."""
        name, number = wish, 2
        while name in self.taken:
            name, number = f"{wish}_{number}", number + 1
        self.taken.add(name)
        return name

    def constant(self, value: np.ndarray) -> Value:
        """A constant array, in the type of the model."""
        value = self._typed(value)
        key = value.dtype.str, value.shape, value.tobytes()
        if key not in self.constants:
            self.constants[key] = self._initialized(self.fresh("constant"), value)
        return self.constants[key]

    def sizes(self, shape: Shape) -> Value:
        """The sizes of a shape, as a list of integers."""
        shape = self._known(shape)
        if not any(isinstance(d, str) for d in shape):
            return self.constant(np.array(shape, np.int64))
        if shape not in self.measured:
            pieces = [self._size(d) for d in shape]
            whole = f"sizes of {show_shape(shape)}"
            self.measured[shape] = pieces[0] if len(pieces) == 1 else self._measure("Concat", pieces, whole, axis=0)
        return self.measured[shape]

    def count(self, dims: Shape) -> Value:
        """The number of elements along some dimensions."""
        label = f"count of {show_shape(dims)}"
        if (label,) not in self.measured:
            self.measured[label,] = self._measure("ReduceProd", [self.sizes(dims)], label, keepdims=0)
        return self.measured[label,]

    def _known(self, shape: Shape) -> Shape:
        return tuple(self.fixed.get(d, d) if isinstance(d, str) else d for d in shape)

    def _size(self, dim: Dim) -> Value:
        if isinstance(dim, int):
            return self.constant(np.array([dim], np.int64))
        if (dim,) not in self.measured:
            places = [(n, s.index(dim)) for n, s in ((n, self.outside(i)) for n, i in self.inputs.items()) if dim in s]
            if not places:
                raise BlocksError(
                    f"the size of {dim!r} is unknown, as no input has it; with states='inputs' first states are inputs"
                )
            name, axis = places[0]
            self.measured[dim,] = self._measure("Shape", [Value(name)], dim, start=axis, end=axis + 1)
        return self.measured[dim,]

    def _measure(self, operator: str, inputs: list[Value], label: str, **attributes: Any) -> Value:
        result = Value(self.fresh(label))
        self.measuring.append(self.helper.make_node(operator, inputs, [result], **attributes))
        return result

    def declared(self, name: str, dtype: str, shape: Shape) -> Any:
        """A value with its type."""
        return self.helper.make_tensor_value_info(name, self.types[dtype], self._known(shape))

    def _typed(self, value: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            return value.astype(self.dtype) if value.dtype.kind == "f" else value

    def _initialized(self, name: str, value: np.ndarray) -> Value:
        self.initializers.append(self.onnx.numpy_helper.from_array(value, name))
        return Value(name)

    # -- the whole

    def outside(self, node: Node) -> Shape:
        """The shape of what a user hands in or gets: of a model, batch first."""
        at = self.what.batch_at(node)
        return (*node.shape[at : at + 1], *node.shape[:at], *node.shape[at + 1 :])

    def model(self) -> Any:
        """The `ModelProto`. Raises BlocksError for one that is too large for a file of ONNX."""
        self._check_size()
        top = Scope(self, self.graph)
        fed = {name: self._fed(top, name, leaf) for name, leaf in self.what.leaves.items()}
        weights = self.graph.fed("parameter")
        fed |= {name: self._initialized(name, self._typed(self.what.weights[name])) for name in weights}
        values = walk(self.graph, fed, top)
        wanted = dict(self.what.graph.outputs) if self.states == "inputs" else self.what.outputs
        outputs = [self._given_back(top, k, node, values[self.graph.outputs[k]]) for k, node in wanted.items()]
        inputs = [self.declared(n, leaf.dtype, self.outside(leaf)) for n, leaf in self.inputs.items()]
        if self.trained:  # the weights of the file are what they are if they are not fed
            inputs += [self.declared(n, leaf.dtype, leaf.shape) for n, leaf in weights.items()]
        nodes = [*self.measuring, *top.nodes]
        graph = self.helper.make_graph(nodes, self.what.title, inputs, outputs, self.initializers)
        opset = self.helper.make_opsetid("", OPSET)
        return self.helper.make_model(graph, opset_imports=[opset], ir_version=IR, producer_name="blocks")

    def _check_size(self) -> None:
        size = sum(w.size for w in self.what.weights.values()) * self.dtype.itemsize
        if size > LARGEST:
            raise BlocksError(f"the weights have {size:,} bytes; a file of ONNX has {LARGEST:,} at most")

    def _fed(self, top: Scope, name: str, leaf: Node) -> Value:
        """What is fed, as the graph has it; or what it is, where it is not fed."""
        at = self.what.batch_at(leaf)
        top.label = name
        if name in self.inputs:
            return top.moved(Value(name), len(leaf.shape), 0, at)
        if name not in self.graph.fed("input", "draw"):
            return Value("")  # nothing asks for it
        if leaf.op.name == "draw":
            value = np.array(LAWS[leaf.attrs["law"]].mean(*leaf.attrs["of"]), np.float64)
        elif isinstance(leaf.attrs["default"], str):
            value = np.zeros((), {"float": np.float64, "int": np.int64, "bool": np.bool_}[leaf.dtype])
        else:
            value = leaf.attrs["default"]
            value = value.astype(np.float64) if leaf.dtype == "float" else value
        return top.emit("Expand", self.constant(value), self.sizes(leaf.shape), label=name)

    def _given_back(self, top: Scope, name: str, node: Node, value: Value) -> Any:
        """An output. One that is called as an input is, or as weights are, is called ``NAME_out``."""
        top.label = name
        value = top.moved(value, len(node.shape), self.what.batch_at(node), 0)
        if name in self.what.leaves or name in self.what.graph.params:
            name = self.fresh(f"{name}_out")
        top.nodes.append(self.helper.make_node("Identity", [value], [name]))
        return self.declared(name, node.dtype, self.outside(node))
