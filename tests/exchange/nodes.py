"""Nodes of ONNX in NumPy: as much of the package `onnx`, and of what runs its files, as the tests need without it.

It is stricter than the package: a name is made once in a whole model, before it is used, and each input and output is of
the type and shape that it was declared with. Operators are written from their specification, opset 18.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

TYPES = {1: np.float32, 11: np.float64, 7: np.int64, 9: np.bool_}


class Node(NamedTuple):
    op: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]


class Declared(NamedTuple):
    name: str
    type: int
    shape: tuple[int | str, ...]


class Graph(NamedTuple):
    node: list[Node]
    name: str
    input: list[Declared]
    output: list[Declared]
    initializer: list[tuple[str, np.ndarray]] = []  # noqa: RUF012 (nobody changes it)


ONNX = SimpleNamespace(
    TensorProto=SimpleNamespace(FLOAT=1, DOUBLE=11, INT64=7, BOOL=9),
    defs=SimpleNamespace(has=lambda name: name in OPERATORS),
    numpy_helper=SimpleNamespace(from_array=lambda value, name: (name, value)),
    helper=SimpleNamespace(
        make_node=lambda op, inputs, outputs, **attributes: Node(op, list(inputs), list(outputs), attributes),
        make_tensor_value_info=lambda name, type, shape: Declared(name, type, tuple(shape)),
        make_graph=Graph,
        make_opsetid=lambda domain, version: (domain, version),
        make_model=lambda graph, **_: graph,
    ),
)


def run(graph: Graph, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs of a model. AssertionError, where it is none."""
    made: set[str] = set()
    weights = dict(graph.initializer)
    assert len(weights) == len(graph.initializer)
    names = [declared.name for declared in graph.input]
    assert set(feeds) <= set(names) and set(names) - set(feeds) <= set(weights), (sorted(feeds), names)
    made |= {*names, *weights}
    return _run(graph, feeds, weights, made, {})


def _run(graph: Graph, feeds: Any, known: Any, made: set[str], dims: dict[str, int]) -> dict[str, np.ndarray]:
    values = {**known, **feeds}
    for declared in graph.input:
        _check(declared, values[declared.name], dims)
    for node in graph.node:
        given = [values[i] if i else None for i in node.inputs]  # a KeyError: used before it is made
        repeated = made & {*node.outputs}
        assert not repeated and all(node.outputs), f"{node.op} makes {repeated} again"
        made |= {*node.outputs}
        if node.op == "Scan":
            results = _scan(node, given, values, made, dims)
        else:
            results = OPERATORS[node.op](*given, **node.attributes)
        results = results if isinstance(results, tuple) else (results,)
        values |= zip(node.outputs, map(np.asarray, results), strict=False)
    found = {declared.name: values[declared.name] for declared in graph.output}
    assert len(found) == len(graph.output)
    for declared in graph.output:
        _check(declared, found[declared.name], dims)
    return found


def _check(declared: Declared, value: np.ndarray, dims: dict[str, int]) -> None:
    assert value.dtype == TYPES[declared.type], (declared, value.dtype)
    assert len(declared.shape) == value.ndim, (declared, value.shape)
    for d, n in zip(declared.shape, value.shape, strict=True):
        assert (dims.setdefault(d, n) if isinstance(d, str) else d) == n, (declared, value.shape)


def _scan(node: Node, given: Any, values: Any, made: set[str], dims: dict[str, int]) -> tuple[np.ndarray, ...]:
    body: Graph = node.attributes["body"]
    count = len(given) - node.attributes["num_scan_inputs"]
    states, rows = given[:count], given[count:]
    names = [declared.name for declared in body.input]
    own = {name for inner in body.node for name in inner.outputs}
    assert not made & {*names, *own}
    stacked: list[list[np.ndarray]] = [[] for _ in body.output[count:]]
    sizes = dict(dims)
    for t in range(len(rows[0])):
        fed = dict(zip(names, [*states, *(row[t] for row in rows)], strict=True))
        results = list(_run(body, fed, values, {*made, *names}, sizes).values())
        states = results[:count]
        for column, value in zip(stacked, results[count:], strict=True):
            column.append(value)
    made |= own | {*names}
    return (*states, *map(np.stack, stacked))


# --- operators -----------------------------------------------------------------------------------


def _reduced(how: Callable[..., Any]) -> Callable[..., Any]:
    def over(x: np.ndarray, axes: Any = None, keepdims: int = 1) -> Any:
        return how(x, axis=None if axes is None else tuple(map(int, axes)), keepdims=bool(keepdims)).astype(x.dtype)

    return over


def _same_types(how: Callable[..., Any]) -> Callable[..., Any]:
    def of(a: np.ndarray, b: np.ndarray) -> Any:
        assert a.dtype == b.dtype, (a.dtype, b.dtype)
        return how(a, b)

    return of


def _reshape(x: np.ndarray, shape: np.ndarray) -> np.ndarray:
    return x.reshape([x.shape[i] if n == 0 else n for i, n in enumerate(shape)])


def _divide(a: np.ndarray, b: np.ndarray) -> Any:
    return a / b if a.dtype.kind == "f" else np.trunc(a / b).astype(a.dtype)


def _mod(a: np.ndarray, b: np.ndarray, fmod: int = 0) -> Any:
    assert fmod == int(a.dtype.kind == "f")
    return np.fmod(a, b) if fmod else np.mod(a, b)


def _slice(x: np.ndarray, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> np.ndarray:
    cut, axes = [slice(None)] * x.ndim, range(len(starts)) if axes is None else axes
    for axis, start, end, step in zip(axes, starts, ends, [1] * len(axes) if steps is None else steps, strict=True):
        cut[axis] = slice(int(start), None if end <= -x.shape[axis] - 1 else int(end), int(step))
    return x[tuple(cut)]


def _pad(x: np.ndarray, pads: Any, value: Any, axes: Any) -> np.ndarray:
    widths = [(0, 0)] * x.ndim
    for i, axis in enumerate(axes):
        widths[axis] = int(pads[i]), int(pads[len(axes) + i])
    return np.pad(x, widths, constant_values=value)


def _cumsum(x: np.ndarray, axis: Any, reverse: int = 0) -> np.ndarray:
    return np.flip(np.cumsum(np.flip(x, axis), axis), axis) if reverse else np.cumsum(x, axis)


def _softmax(x: np.ndarray, axis: int) -> np.ndarray:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def _log_softmax(x: np.ndarray, axis: int) -> np.ndarray:
    y = x - x.max(axis, keepdims=True)
    return y - np.log(np.exp(y).sum(axis, keepdims=True))


def _gather_nd(x: np.ndarray, indices: np.ndarray, batch_dims: int = 0) -> np.ndarray:
    if batch_dims:
        return np.stack([_gather_nd(a, i) for a, i in zip(x, indices, strict=True)])
    return x[tuple(np.moveaxis(indices, -1, 0))]


def _scatter_nd(x: np.ndarray, indices: np.ndarray, updates: np.ndarray, reduction: str) -> np.ndarray:
    assert reduction == "add"
    out = x.copy()
    np.add.at(out, tuple(np.moveaxis(indices, -1, 0)), updates)
    return out


def _unsqueeze(x: np.ndarray, axes: Any) -> np.ndarray:
    return np.expand_dims(x, tuple(map(int, axes)))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.where(x >= 0, 1.0, np.exp(-np.abs(x))).astype(x.dtype) / (1.0 + np.exp(-np.abs(x)))


def _split(x: np.ndarray, n: int) -> list[np.ndarray]:
    return [np.zeros(())] * n if x is None else np.split(x[0], n)


def _rnn(step: Callable[..., Any], states: int) -> Callable[..., Any]:
    """An operator over time; `step`: (x, states, W, R, B) → next states, h first."""

    def run(x: Any, W: Any, R: Any, B: Any = None, lengths: Any = None, h: Any = None, c: Any = None, P: Any = None, *, hidden_size: int, **options: Any) -> Any:  # fmt: skip
        assert lengths is None and x.ndim == 3 and W.shape[1] % hidden_size == 0 and W.shape[2] == x.shape[2]
        gates = W.shape[1] // hidden_size
        values = [v[0] for v in (h, c)[:states]]
        W, R, B, P, ys = _split(W, gates), _split(R, gates), _split(B, 2 * gates), _split(P, 3), []
        for row in x:
            values = step(row, values, W, R, B[:gates], B[gates:], P, **options)
            ys.append(values[0])
        return (np.stack(ys)[:, None], *(v[None] for v in values))

    return run


def _lstm_step(x: Any, states: Any, W: Any, R: Any, b: Any, r: Any, P: Any) -> Any:
    h, c = states
    i, o, f, g = (x @ w.T + h @ u.T + v + s for w, u, v, s in zip(W, R, b, r, strict=True))
    new = _sigmoid(f + P[2] * c) * c + _sigmoid(i + P[0] * c) * np.tanh(g)
    return [_sigmoid(o + P[1] * new) * np.tanh(new), new]


def _gru_step(x: Any, states: Any, W: Any, R: Any, b: Any, r: Any, P: Any, linear_before_reset: int) -> Any:
    (h,) = states
    z, reset = (_sigmoid(x @ W[i].T + h @ R[i].T + b[i] + r[i]) for i in (0, 1))
    past = reset * (h @ R[2].T + r[2]) if linear_before_reset else (reset * h) @ R[2].T + r[2]
    return [(1 - z) * np.tanh(x @ W[2].T + past + b[2]) + z * h]


def _rnn_step(x: Any, states: Any, W: Any, R: Any, b: Any, r: Any, P: Any, activations: Any) -> Any:
    how = {"Tanh": np.tanh, "Relu": lambda v: np.maximum(v, 0)}[activations[0]]
    return [how(x @ W[0].T + states[0] @ R[0].T + b[0] + r[0])]


OPERATORS: dict[str, Callable[..., Any]] = {
    "Add": _same_types(np.add), "Sub": _same_types(np.subtract), "Mul": _same_types(np.multiply),
    "Div": _same_types(_divide), "MatMul": _same_types(np.matmul), "Pow": _same_types(np.power),
    "Max": _same_types(np.maximum), "Min": _same_types(np.minimum), "Mod": _mod,
    "Neg": np.negative, "Exp": np.exp, "Log": np.log, "Sqrt": np.sqrt, "Sin": np.sin, "Cos": np.cos,
    "Floor": np.floor, "Round": np.rint, "Abs": np.abs, "Sign": np.sign, "Sigmoid": _sigmoid, "Tanh": np.tanh,
    "Relu": lambda x: np.maximum(x, 0), "Sinh": np.sinh,
    "Greater": _same_types(np.greater), "GreaterOrEqual": _same_types(np.greater_equal),
    "Less": _same_types(np.less), "LessOrEqual": _same_types(np.less_equal), "Equal": _same_types(np.equal),
    "Not": np.logical_not, "And": np.logical_and, "Or": np.logical_or, "Xor": np.logical_xor,
    "Where": lambda c, a, b: _same_types(functools.partial(np.where, c))(a, b),
    "Cast": lambda x, to: (np.trunc(x) if to == 7 and x.dtype.kind == "f" else x).astype(TYPES[to]),
    "ReduceSum": _reduced(np.sum), "ReduceMean": _reduced(np.mean), "ReduceMax": _reduced(np.max),
    "ReduceProd": _reduced(np.prod), "CumSum": _cumsum,
    "ArgMax": lambda x, axis, keepdims: np.argmax(x, axis, keepdims=bool(keepdims)),
    "Softmax": _softmax, "LogSoftmax": _log_softmax,
    "Expand": lambda x, shape: x * np.ones(shape, x.dtype) if x.dtype.kind != "b" else x & np.ones(shape, bool),
    "Reshape": _reshape, "Transpose": lambda x, perm: np.transpose(x, perm),
    "Concat": lambda *xs, axis: np.concatenate(xs, axis), "Slice": _slice, "Pad": _pad,
    "Gemm": lambda a, b, transA: a.T @ b,
    "Flatten": lambda x, axis: x.reshape(int(np.prod(x.shape[:axis])), -1),
    "Unsqueeze": _unsqueeze, "Squeeze": lambda x, axes: np.squeeze(x, tuple(map(int, axes))),
    "Gather": lambda x, ids, axis: np.take(x, ids, axis), "GatherND": _gather_nd,
    "GatherElements": lambda x, ids, axis: np.take_along_axis(x, ids, axis),
    "LSTM": _rnn(_lstm_step, 2), "GRU": _rnn(_gru_step, 1), "RNN": _rnn(_rnn_step, 1),
    "ScatterND": _scatter_nd, "Range": np.arange, "Identity": lambda x: x,
    "Shape": lambda x, start=0, end=None: np.array(x.shape[start:end], np.int64),
}  # fmt: skip
