"""A graph of blocks evaluated by PyTorch, in float64: a row for each operation, and the loop as a loop in Python.

Nothing here knows of gradients: they are PyTorch's own, by autograd. Shapes come from the nodes, with the sizes
of named dimensions from the feeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from blocks.errors import BlocksError
from blocks.graph import FED, Graph, Node
from blocks.interpret import bind

Tensor = torch.Tensor
KINDS = {"float": torch.float64, "int": torch.int64, "bool": torch.bool}


def tensor(value: Any, dtype: str) -> Tensor:
    return torch.tensor(np.array(value), dtype=KINDS[dtype])


def evaluate(graph: Graph, feeds: Mapping[str, Any], wrt: list[str]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The outputs of a graph, name → tensor; and the leaves of `wrt`, whose gradients autograd keeps."""
    arrays, context = bind(graph, feeds)
    leaves = graph.fed("input") | graph.fed("parameter") | graph.fed("draw")
    values = {name: tensor(arrays[name], node.dtype) for name, node in leaves.items()}
    for name in wrt:
        values[name].requires_grad_()
    return run(graph, values, context.dims), {name: values[name] for name in wrt}


def gradients(outputs: Mapping[str, Tensor], leaves: Mapping[str, Tensor], of: str = "loss") -> dict[str, np.ndarray]:
    """d outputs[of] / d leaf for each leaf; zeros, where nothing flows."""
    loss = outputs[of]
    got: Any = [None] * len(leaves)
    if loss.requires_grad and leaves:
        got = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    return {
        name: np.zeros(leaf.shape) if g is None else g.numpy()
        for (name, leaf), g in zip(leaves.items(), got, strict=True)
    }


def run(graph: Graph, values: Mapping[str, Tensor], dims: Mapping[str, int]) -> dict[str, Tensor]:
    """The outputs of a graph, or of a loop's body, given what is fed."""
    known: dict[Node, Any] = {}
    for node in graph.order():
        name = node.op.name
        if name in FED:
            known[node] = values[str(node.name)]
            continue
        if name not in ROWS:
            raise BlocksError(f"the PyTorch reference has no row for the operation {name!r}")
        sizes = tuple(dims[d] if isinstance(d, str) else d for d in node.shape)
        known[node] = ROWS[name](Place(node, sizes, dims), *(known[o] for o in node.operands))
        if node.dtype != "loop":
            assert tuple(known[node].shape) == sizes, (name, tuple(known[node].shape), sizes)
    return {name: known[node] for name, node in graph.outputs.items()}


class Place:
    """What a row may ask of the node that it computes."""

    def __init__(self, node: Node, sizes: tuple[int, ...], dims: Mapping[str, int]):
        self.node, self.sizes, self.dims = node, sizes, dims

    def __getattr__(self, name: str) -> Any:
        return self.node.attrs[name]


def over(p: Place, x: Tensor, how: Callable[..., Tensor]) -> Tensor:
    """A reduction over the axes of a node; over none, the value itself."""
    return how(x, dim=tuple(p.axis), keepdim=p.keepdims) if p.axis else x


def along(p: Place, x: Tensor, how: Callable[..., Tensor]) -> Tensor:
    """A normalisation along one axis."""
    y = x.movedim(p.axis, -1)
    return how(y, y.shape[-1:], eps=p.epsilon).movedim(-1, p.axis)


def part(p: Place, x: Tensor) -> tuple[slice, ...]:
    return tuple(slice(p.start, p.stop) if i == p.axis else slice(None) for i in range(x.ndim))


def padded(p: Place, g: Tensor) -> Tensor:
    out = torch.zeros(p.sizes, dtype=g.dtype)
    out[part(p, out)] = g
    return out


def scattered(p: Place, g: Tensor, ids: Tensor) -> Tensor:
    flat = g.reshape(-1, g.shape[-1])
    return torch.zeros(p.sizes, dtype=g.dtype).index_add(0, ids.reshape(-1), flat)


def outer(p: Place, a: Tensor, b: Tensor) -> Tensor:
    """The products of all rows, summed over every leading axis that is not kept."""
    each = p.node.attrs.get("each", ())
    summed = [i for i in range(a.ndim - 1) if i not in each]
    products = a[..., :, None] * b[..., None, :]
    return products.sum(summed) if summed else products


def cross_entropy(p: Place, logits: Tensor, target: Tensor) -> Tensor:
    logp = F.log_softmax(logits, -1)
    if target.dtype == torch.int64:
        return -torch.gather(logp, -1, target[..., None])[..., 0]
    return -(target * logp).sum(-1)


def weighted_mean(p: Place, x: Tensor, w: Tensor) -> Tensor:
    w = w.expand(x.shape)
    return (x * w).sum() / w.sum()


def masked(p: Place, m: Tensor) -> Tensor:
    assert bool((m != 0).any()), "the mask masks everything"
    return m.to(torch.float64)


def held(p: Place, x: Tensor, m: Tensor) -> Tensor:
    """Masked steps with the value of the last admitted one before, else of the first."""
    admitted = m != 0
    whole = [b for b in range(m.shape[1]) if bool(admitted[:, b].any())]
    if not whole:
        return x
    columns = []
    for b in range(m.shape[1]):
        at = b if b in whole else whole[0]
        known = [t for t in range(m.shape[0]) if bool(admitted[t, at])]
        source = [max([k for k in known if k <= t], default=known[0]) for t in range(m.shape[0])]
        columns.append(x[source, at])
    return torch.stack(columns, dim=1)


def last(p: Place, x: Tensor, m: Tensor) -> Tensor:
    """The last admitted step of each sequence, one by one."""
    rows = [[t for t in range(m.shape[0]) if bool(m[t, b] != 0)] for b in range(m.shape[1])]
    return torch.stack([x[row[-1], b] if row else torch.zeros_like(x[0, b]) for b, row in enumerate(rows)])


def released(p: Place, g: Tensor, m: Tensor) -> Tensor:
    """The transpose of `held`, by PyTorch's own gradient of it."""
    with torch.enable_grad():
        x = torch.zeros_like(g, requires_grad=True)
        return torch.autograd.grad(held(p, x, m), x, g, create_graph=True)[0]


def loop(p: Place, *operands: Tensor) -> dict[str, Tensor]:
    """Step by step; stacked outputs in the order of time."""
    a = p.node.attrs
    if a.get("every") is not None:
        raise BlocksError("the PyTorch reference has no row for a loop over blocks of steps")
    fed = dict(zip(a["ports"], operands, strict=True))
    steps = range(p.dims[a["time"]])
    rows: dict[str, dict[int, Tensor]] = {name: {} for name in a["stacked"]}
    for t in reversed(steps) if a["reverse"] else steps:
        out = run(a["body"], {k: v[t] if k in a["sequences"] else v for k, v in fed.items()}, p.dims)
        for name in a["stacked"]:
            rows[name][t] = out[name]
        fed |= {s: out[f"next/{s}"] for s in a["states"]}
    stacked = {name: torch.stack([by_step[t] for t in steps]) for name, by_step in rows.items()}
    return stacked | {f"final/{s}": fed[s] for s in a["states"]}


ROWS: dict[str, Callable[..., Any]] = {
    "constant": lambda p: tensor(p.value, p.node.dtype),
    "size": lambda p: torch.tensor(
        float(math.prod(p.dims[d] if isinstance(d, str) else d for d in p.node.attrs["dims"])), dtype=torch.float64
    ),
    # elementwise
    "add": lambda p, a, b: a + b,
    "subtract": lambda p, a, b: a - b,
    "multiply": lambda p, a, b: a * b,
    "divide": lambda p, a, b: a / b,
    "floor_divide": lambda p, a, b: torch.floor_divide(a.detach(), b.detach()),
    "mod": lambda p, a, b: torch.remainder(a, b),
    "power": lambda p, a, b: torch.pow(a, b),
    "maximum": lambda p, a, b: torch.maximum(a, b),
    "minimum": lambda p, a, b: torch.minimum(a, b),
    "negative": lambda p, x: -x,
    "exp": lambda p, x: torch.exp(x),
    "expm1": lambda p, x: torch.expm1(x),
    "log": lambda p, x: torch.log(x),
    "sqrt": lambda p, x: torch.sqrt(x),
    "silu": lambda p, x: F.silu(x),
    "gelu": lambda p, x: F.gelu(x, approximate="tanh"),
    "sin": lambda p, x: torch.sin(x),
    "cos": lambda p, x: torch.cos(x),
    "floor": lambda p, x: torch.floor(x),
    "round": lambda p, x: torch.round(x),
    "abs": lambda p, x: torch.abs(x),
    "sign": lambda p, x: torch.sign(x),
    "sigm": lambda p, x: torch.sigmoid(x),
    "tanh": lambda p, x: torch.tanh(x),
    "relu": lambda p, x: torch.relu(x),
    "softplus": lambda p, x: torch.logaddexp(x, torch.zeros_like(x)),
    "greater": lambda p, a, b: a > b,
    "greater_equal": lambda p, a, b: a >= b,
    "less": lambda p, a, b: a < b,
    "less_equal": lambda p, a, b: a <= b,
    "equal": lambda p, a, b: a == b,
    "not_equal": lambda p, a, b: a != b,
    "logical_and": lambda p, a, b: a & b,
    "logical_or": lambda p, a, b: a | b,
    "logical_not": lambda p, x: ~x,
    "where": lambda p, c, a, b: torch.where(c != 0, a, b),
    "cast": lambda p, x: x.to(KINDS[p.dtype]),
    "truncate": lambda p, x: torch.trunc(x).to(torch.int64),
    "stop_gradient": lambda p, x: x.detach(),
    # reductions
    "sum": lambda p, x: over(p, x, torch.sum),
    "mean": lambda p, x: over(p, x, torch.mean),
    "max": lambda p, x: over(p, x, torch.amax),
    "softmax": lambda p, x: torch.softmax(x, p.axis),
    "log_softmax": lambda p, x: torch.log_softmax(x, p.axis),
    "weighted_mean": weighted_mean,
    "weighted_sum": lambda p, x, w: (x * w).sum(),
    "last": last,
    "layernorm": lambda p, x: along(p, x, F.layer_norm),
    "rmsnorm": lambda p, x: along(p, x, F.rms_norm),
    # shapes
    "broadcast": lambda p, x: x.expand(p.sizes),
    "reshape": lambda p, x: x.reshape(p.sizes),
    "moveaxis": lambda p, x: torch.movedim(x, p.source, p.destination),
    "transpose": lambda p, x: x.transpose(-1, -2),
    "concat": lambda p, *xs: torch.cat(xs, p.axis),
    "slice": lambda p, x: x[part(p, x)],
    "pad": padded,
    # products
    "matmul": lambda p, x, w: torch.matmul(x, w),
    "outer": outer,
    "outer_each": lambda p, a, b: a[..., :, None] * b[..., None, :],
    "cumsum": lambda p, x: torch.cumsum(x.flip(p.axis), p.axis).flip(p.axis) if p.reverse else torch.cumsum(x, p.axis),
    "argmax": lambda p, x: torch.argmax(x, p.axis, keepdim=p.keepdims),
    # rows by number
    "gather": lambda p, table, ids: F.embedding(ids, table),
    "scatter": scattered,
    "one_hot": lambda p, ids: F.one_hot(ids, p.classes).to(torch.float64),
    # losses and loops
    "mask": masked,
    "hold": held,
    "release": released,
    "cross_entropy": cross_entropy,
    "loop": loop,
    "pick": lambda p, values: values[p.output],
}
