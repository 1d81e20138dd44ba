"""The reference executor: a graph, node by node, in NumPy.

It is slow and it is the truth. Every pass of the compiler, every backend and every exporter is tested
against it, so nothing here may know of any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .arguments import checked
from .errors import BlocksError, FeedError, WiringError, nearest
from .graph import FED, Graph, Node, Shape, check_graph, show_shape
from .ops.leaves import check_whole
from .ops.random import Draw, check_draw, draw_array

Feeds = Mapping[str, Any]
Watch = Callable[[Node, Any, tuple[int, ...]], None]  # node, its value, the steps of the loops around it


@dataclass
class Run:
    """What an operation may ask of the run it is part of."""

    dims: dict[str, int]  # the size of each named dimension
    dtype: np.dtype
    watch: Watch | None = None
    steps: tuple[int, ...] = field(default=())

    def shape(self, shape: Shape) -> tuple[int, ...]:
        """The sizes of a shape in this run; raises FeedError for a dimension that no feed has."""
        missing = [d for d in shape if isinstance(d, str) and d not in self.dims]
        if missing:
            raise FeedError(f"the size of {missing[0]!r} is unknown: no feed has that dimension")
        return tuple(self.dims[d] if isinstance(d, str) else d for d in shape)

    def type_of(self, dtype: str) -> np.dtype:
        """The NumPy type of "float", "int" or "bool" in this run: integers have 64 bits."""
        return self.dtype if dtype == "float" else np.dtype(np.int64 if dtype == "int" else np.bool_)

    def step(self, body: Graph, feeds: Feeds, t: int, dims: Mapping[str, int] | None = None) -> dict[str, Any]:
        """One step of a loop; `dims` has the sizes that only this step knows."""
        known = self.dims if dims is None else {**self.dims, **dims}
        return execute(body, feeds, Run(known, self.dtype, self.watch, (*self.steps, t)))


@checked
def run(graph: Graph, feeds: Feeds, watch: Watch | None = None, draw: Draw = None) -> dict[str, np.ndarray]:
    """The outputs of a graph, name → array.

    `feeds` is one flat dict of parameters, inputs and initial states (zero, if not given); arrays have
    the shapes that the graph says, with time first. The floating-point type is that of the weights; integers have 64
    bits, whatever is fed.
    `watch(node, value, steps)` sees every value as it is computed. With ``draw=(seed, update)`` random numbers are
    drawn from both, as in that update of a `Model` with that seed; else they are their expectation, or what is fed
    under their names.

    Raises FeedError naming a feed that is missing, unknown or does not fit, and BlocksError for what is no graph.
    """
    check_graph(graph, "run")
    arrays, context = bind(graph, feeds, draw)
    context.watch = watch
    with np.errstate(all="ignore"):  # NaN and infinity are found by name, not by warning
        return execute(graph, arrays, context)


def execute(graph: Graph, feeds: Feeds, context: Run) -> dict[str, Any]:
    """Run a graph on feeds that are known to fit."""
    values: dict[Node, Any] = {}
    for node in graph.order():
        if node.op.name in FED:
            values[node] = feeds[str(node.name)]
        else:
            values[node] = evaluate(node, [values[o] for o in node.operands], context)
        if context.watch:
            context.watch(node, values[node], context.steps)
    return {name: values[node] for name, node in graph.outputs.items()}


def evaluate(node: Node, operands: list[Any], context: Run) -> Any:
    """One operation. Raises BlocksError with the name of the node for values that it refuses."""
    try:
        if node.op.dynamic:
            return node.op.forward(context, *operands, **node.attrs)
        return node.op.forward(*operands, **node.attrs)
    except FeedError:
        raise
    except BlocksError as error:
        made = f" [made at {node.where}]" if node.where else ""
        raise FeedError(f"{node.op.name} of {', '.join(o.describe() for o in node.operands)}: {error}{made}") from None


def bind(graph: Graph, feeds: Feeds, draw: Draw = None) -> tuple[dict[str, np.ndarray], Run]:
    """The feeds as arrays that fit the graph, random numbers among them, and the sizes of the named dimensions.

    Raises FeedError naming a feed that is missing, unknown or does not fit.
    """
    leaves = graph.fed("input", "parameter", "draw")
    if not isinstance(feeds, Mapping):
        raise FeedError(f"feeds are a dict, name → array, not a {type(feeds).__name__}")
    for name in feeds:
        if name not in leaves:
            raise FeedError(f"the graph has no input {name!r}{nearest(str(name), leaves)}; it has {', '.join(leaves)}")
    arrays = {name: _array(leaves[name], value) for name, value in feeds.items()}
    dtype = _float_type(graph, arrays)
    context = Run({}, dtype)
    origin: dict[str, str] = {}
    for name, array in arrays.items():
        _bind_dims(leaves[name], array, context.dims, origin)
    for name, node in leaves.items():
        if name not in arrays and node.op.name != "draw":
            if node.op.name == "parameter" or node.attrs["default"] is None:
                raise FeedError(
                    f"{name!r} {show_shape(node.shape)} is not fed{nearest(name, feeds)}; the feeds are "
                    f"{', '.join(map(str, feeds)) or 'empty'}"
                )
            default, kind = node.attrs["default"], context.type_of(node.dtype)
            arrays[name] = np.full(context.shape(node.shape), 0 if isinstance(default, str) else default, kind)
        elif name in arrays:
            arrays[name] = arrays[name].astype(context.type_of(node.dtype), copy=False)
    return arrays | drawn(graph.fed("draw"), arrays, draw, context), context


def drawn(draws: Mapping[str, Node], feeds: Feeds, draw: Draw, context: Run) -> dict[str, np.ndarray]:
    """The numbers of those draws that are not fed, name → array.

    Raises FeedError for one whose size is not known, and BlocksError for a `draw` that is no pair."""
    draw = check_draw(draw)
    out: dict[str, np.ndarray] = {}
    for name, node in draws.items():
        if name not in feeds:
            context.shape(node.shape)
            out[name] = draw_array(node, draw, context.dims).astype(context.dtype, copy=False)
    return out


def _array(node: Node, value: Any) -> np.ndarray:
    wanted = f"{node.name!r} wants {node.dtype} numbers of shape {show_shape(node.shape)}"
    try:
        array = np.asarray(value)
    except ValueError:
        raise FeedError(f"{wanted}; rows of different lengths make no array: pad them, and feed a mask") from None
    fits = {"float": "fiub", "int": "iu", "bool": "b"}[node.dtype]
    if array.dtype.kind not in fits:
        hint = "; whole numbers: use .astype(int)" if node.dtype == "int" and array.dtype.kind == "f" else ""
        raise FeedError(f"{wanted}; an array of {array.dtype} does not fit{hint}")
    try:
        check_whole(array, repr(node.name))
    except WiringError as error:
        raise FeedError(str(error)) from None
    return array


def _float_type(graph: Graph, arrays: Mapping[str, np.ndarray]) -> np.dtype:
    """That of the weights; of the inputs, where there are no weights."""
    weights = [arrays[name].dtype for name in graph.fed("parameter") if name in arrays]
    kinds = [d for d in weights or [a.dtype for a in arrays.values()] if d.kind == "f"]
    return np.result_type(*kinds) if kinds else np.dtype(np.float64)


def _bind_dims(node: Node, array: np.ndarray, dims: dict[str, int], origin: dict[str, str]) -> None:
    wanted = f"{node.name!r} wants {show_shape(node.shape)}, not {array.shape}"
    if array.ndim != len(node.shape):
        raise FeedError(f"{wanted}: {len(node.shape)} axes, not {array.ndim}")
    for d, n in zip(node.shape, array.shape, strict=True):
        if n == 0:
            raise FeedError(f"{wanted}: there is nothing in it" + (f", {d!r} is 0 long" if isinstance(d, str) else ""))
        if isinstance(d, int) and n != d:
            raise FeedError(f"{wanted}: {n} where {d} fits")
        if isinstance(d, str) and dims.setdefault(d, n) != n:
            raise FeedError(f"{wanted}: {d} is {n} here, but {dims[d]} in {origin[d]!r}")
        if isinstance(d, str):
            origin.setdefault(d, str(node.name))
