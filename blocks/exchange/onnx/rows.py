"""What ONNX writes for each operation: templates as those of other dialects (see `..rows`), which become nodes.

    "Sigmoid({0})"                     a node; keywords are its attributes
    "Max({0}, 0.0) + Log({1})"         + - * / @ are nodes too; 0.0 is a number of the floating-point type, 0 an integer
    "ReduceSum({0}, (0, 1))"           a tuple is a list of integers, {sizes} the sizes of the result
    "weighted_mean({0}, {1}, {empty})" a function of `parts`, for what takes several nodes

All nodes are of opset 18. Where onnxruntime lacks a kernel in double precision (OneHot, Softplus), others say it.
"""

from __future__ import annotations

from ...graph import Node, Shape
from ..rows import Dialect, Row

INT = 7  # TensorProto.INT64
END = 2**63 - 1  # of an axis, as a slice has it


def _compared(operator: str) -> Row:
    """A comparison; booleans are compared as integers."""

    def row(node: Node) -> str:
        if node.operands[0].dtype != "bool":
            return f"{operator}({{0}}, {{1}})"
        return f"{operator}(Cast({{0}}, to={INT}), Cast({{1}}, to={INT}))"

    return row


def _zero(node: Node) -> str:
    return {"float": "0.0", "int": "0", "bool": "False"}[node.dtype]


def _where(node: Node) -> str:
    condition = node.operands[0]
    holds = "{0}" if condition.dtype == "bool" else f"Not(Equal({{0}}, {_zero(condition)}))"
    if node.dtype == "bool":
        return f"Or(And({holds}, {{1}}), And(Not({holds}), {{2}}))"
    return f"Where({holds}, {{1}}, {{2}})"


def _over(operator: str) -> Row:
    """A reduction; over no axis, the value itself."""

    def row(node: Node) -> str:
        return f"{operator}({{0}}, {{axis}}, keepdims={int(node.attrs['keepdims'])})" if node.attrs["axis"] else "{0}"

    return row


def _argmax(node: Node) -> str:
    x = "{0}" if node.operands[0].dtype == "float" else f"Cast({{0}}, to={INT})"
    return f"ArgMax({x}, axis={node.attrs['axis']}, keepdims={int(node.attrs['keepdims'])})"


def _integers_or(whole: str, number: str) -> Row:
    return lambda node: whole if node.dtype == "int" else number


def _reshape(node: Node) -> str:
    """Of named sizes as few as must be are computed: one that stays in its place is 0, the only one −1."""
    before, after = node.operands[0].shape, node.shape
    named = [i for i, d in enumerate(after) if isinstance(d, str)]
    if all(before[i : i + 1] == (after[i],) for i in named):
        return f"Reshape({{0}}, {tuple(0 if isinstance(d, str) else d for d in after)})"
    if len(named) == 1:
        return f"Reshape({{0}}, {tuple(-1 if isinstance(d, str) else d for d in after)})"
    return "Reshape({0}, {sizes})"


def moved(rank: int, source: int, destination: int) -> tuple[int, ...]:
    """The order of the axes after one has moved."""
    order = [i for i in range(rank) if i != source]
    order.insert(destination, source)
    return tuple(order)


def _moveaxis(node: Node) -> str:
    order = moved(len(node.shape), node.attrs["source"], node.attrs["destination"])
    return f"Transpose({{0}}, perm={order})"


def _transposed(x: str, rank: int) -> str:
    return f"Transpose({x}, perm={(*range(rank - 2), rank - 1, rank - 2)})"


def _slice(node: Node) -> str:
    axis, start, stop = (node.attrs[k] for k in ("axis", "start", "stop"))
    return f"Slice({{0}}, ({start},), ({END if stop is None else stop},), ({axis},))"


def _pad(node: Node) -> str:
    axis, start, stop = (node.attrs[k] for k in ("axis", "start", "stop"))
    length, width = node.shape[axis], node.operands[0].shape[axis]
    assert isinstance(width, int)
    if isinstance(length, int):
        before = range(length)[slice(start, stop)].start
        return f"Pad({{0}}, ({before}, {length - before - width}), {_zero(node)}, ({axis},))"
    rest = f"Slice({{sizes}}, ({axis},), ({axis + 1},)) - ({width},)"  # of the named axis
    fixed, first = (start, True) if start >= 0 else (-(stop or 0), False)
    ends = f"({fixed},), {rest} - ({fixed},)" if first else f"{rest} - ({fixed},), ({fixed},)"
    return f"Pad({{0}}, Concat({ends}, axis=0), {_zero(node)}, ({axis},))"


def _outer(node: Node) -> str:
    each = node.attrs.get("each", ())
    if not each:
        a, b = (f"Flatten({{{i}}}, axis={len(o.shape) - 1})" for i, o in enumerate(node.operands))
        return f"Gemm({a}, {b}, transA=1)"

    def rows(i: int, shape: Shape) -> str:
        order = (*each, *(axis for axis in range(len(shape)) if axis not in each))
        return f"Reshape(Transpose({{{i}}}, perm={order}), {(*(0,) * len(each), -1, shape[-1])})"

    a, b = (rows(i, o.shape) for i, o in enumerate(node.operands))
    return f"MatMul({_transposed(a, len(each) + 2)}, {b})"


def _scatter(node: Node) -> str:
    if node.attrs.get("each"):
        return "scatter_each({0}, {1}, {rows}, {sizes})"
    return "scatter({0}, {1}, {sizes})"


def _gather(node: Node) -> str:
    if node.attrs.get("each"):
        return "GatherND({0}, Unsqueeze({1}, (-1,)), batch_dims=1)"
    return "Gather({0}, {1}, axis=0)"


def _cross_entropy(node: Node) -> str:
    logits, target = node.operands
    if target.dtype != "int":
        return "-ReduceSum({1} * LogSoftmax({0}, axis=-1), (-1,), keepdims=0)"
    chosen = f"GatherElements(LogSoftmax({{0}}, axis=-1), Unsqueeze({{1}}, (-1,)), axis={len(logits.shape) - 1})"
    return f"-Squeeze({chosen}, (-1,))"


def _held(what: str) -> Row:
    return lambda node: f"{what}({{0}}, Not(Equal({{1}}, {_zero(node.operands[1])})), {len(node.operands[1].shape)})"


ROWS: dict[str, Row] = {
    "add": "{0} + {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "divide": "{0} / {1}",
    "floor_divide": _integers_or(
        "Where(Equal({1}, 0), 0, ({0} - Mod({0}, Where(Equal({1}, 0), 1, {1}))) / Where(Equal({1}, 0), 1, {1}))",
        "floor_divide({0}, {1})",
    ),
    "mod": _integers_or("Where(Equal({1}, 0), 0, Mod({0}, Where(Equal({1}, 0), 1, {1})))", "mod({0}, {1})"),
    "power": "Pow({0}, {1})",
    "maximum": "Max({0}, {1})",
    "minimum": "Min({0}, {1})",
    "negative": "-{0}",
    "exp": "Exp({0})",
    "expm1": "expm1({0})",
    "log": "Log({0})",
    "sqrt": "Sqrt({0})",
    "sin": "Sin({0})",
    "cos": "Cos({0})",
    "floor": "Floor({0})",
    "round": "Round({0})",
    "abs": "Abs({0})",
    "sign": "Sign({0})",
    "sigm": "Sigmoid({0})",
    "tanh": "Tanh({0})",
    "relu": "Relu({0})",
    "softplus": "Max({0}, 0.0) + Log(1.0 + Exp(-Abs({0})))",
    "greater": _compared("Greater"),
    "greater_equal": _compared("GreaterOrEqual"),
    "less": _compared("Less"),
    "less_equal": _compared("LessOrEqual"),
    "equal": "Equal({0}, {1})",
    "not_equal": "Not(Equal({0}, {1}))",
    "logical_and": "And({0}, {1})",
    "logical_or": "Or({0}, {1})",
    "logical_not": "Not({0})",
    "where": _where,
    "cast": "Cast({0}, to={dtype})",
    "truncate": "Cast({0}, to={dtype})",
    "stop_gradient": "{0}",
    "sum": _over("ReduceSum"),
    "mean": _over("ReduceMean"),
    "max": _over("ReduceMax"),
    "cumsum": lambda node: f"CumSum({{0}}, {{axis}}, reverse={int(node.attrs['reverse'])})",
    "argmax": _argmax,
    "softmax": "Softmax({0}, axis={axis})",
    "log_softmax": "LogSoftmax({0}, axis={axis})",
    "weighted_mean": lambda node: f"weighted_mean({{0}}, {{1}}, {node.attrs.get('empty')!r})",
    "broadcast": "Expand({0}, {sizes})",
    "reshape": _reshape,
    "moveaxis": _moveaxis,
    "transpose": lambda node: _transposed("{0}", len(node.shape)),
    "concat": lambda node: f"Concat({', '.join(f'{{{i}}}' for i in range(len(node.operands)))}, axis={{axis}})",
    "slice": _slice,
    "pad": _pad,
    "matmul": "{0} @ {1}",
    "outer": _outer,
    "outer_each": "Unsqueeze({0}, (-1,)) * Unsqueeze({1}, (-2,))",
    "gather": _gather,
    "scatter": _scatter,
    "one_hot": "Cast(Equal(Unsqueeze({0}, (-1,)), Range(0, {classes}, 1)), to={dtype})",
    "mask": "Cast({0}, to={dtype})",
    "hold": _held("hold"),
    "release": _held("release"),
    "cross_entropy": _cross_entropy,
}
ONNX = Dialect("onnx", "ONNX", ROWS)
