"""What the inputs of a graph take: found out once, and asked of each array that a user hands over.

A draw is one of them, that need not be fed: where it is not, the run makes its numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import FeedError, nearest
from ..graph import Graph, Node, Op, show_shape
from ..ops.leaves import input_op
from ..ops.loss import cross_entropy_op
from ..ops.shape import gather, one_hot
from .masks import covered_inputs, mask_inputs

Arrays = dict[str, np.ndarray]


def is_whole(value: Any) -> bool:
    """Whether something is a whole number, NumPy's included; a truth value is none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether something is a finite number, NumPy's included; a truth value is none."""
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and bool(np.isfinite(value))


# How many classes an operation knows, and which operand names them.
_CLASSES: dict[Op, Callable[[Node], tuple[Any, Node]]] = {
    cross_entropy_op: lambda n: (n.operands[0].shape[-1], n.operands[1]),
    gather: lambda n: (n.operands[0].shape[0], n.operands[1]),
    one_hot: lambda n: (n.attrs["classes"], n.operands[0]),
}


def _class_counts(graph: Graph) -> dict[str, int]:
    """How many classes each integer input may name, where an operation says so."""
    counts: dict[str, int] = {}
    for node in graph.order():
        if node.op in _CLASSES:
            limit, ids = _CLASSES[node.op](node)
            if ids.op is input_op and ids.dtype == "int":
                counts[str(ids.name)] = min(int(limit), counts.get(str(ids.name), int(limit)))
    return counts


class Inputs:
    """The inputs of a graph, and what fits them.

    Args:
        graph: those of which.
        dtype: what floating-point numbers become.
        others: more names that may be in the data, and are passed over.
        trials: how many independent networks take them, or None.

    Attributes: nodes, name → wire; masks, the names of those that are masks; covered, name → the mask that covers it;
    classes, name → how many it may name.
    """

    def __init__(self, graph: Graph, dtype: np.dtype, others: Sequence[str] = (), trials: int | None = None):
        self.nodes = graph.fed("input", "draw")
        self.dtype, self.others, self.trials = dtype, others, trials
        self.masks = mask_inputs(graph)
        self.covered = covered_inputs(graph)
        self.classes = _class_counts(graph)

    def array(self, label: str, node: Node, value: Any) -> np.ndarray:
        """A value as an array of the type of an input; what is mapped from a file stays there. Raises FeedError, with
        the label, for what is none."""
        if np.ma.isMaskedArray(value) and np.ma.getmaskarray(value).any():
            raise FeedError(f"{label} has masked values: fill them (.filled(0)), and feed a mask of the steps")
        try:
            array = np.asanyarray(value) if isinstance(value, np.memmap) else np.asarray(value)
        except ValueError:
            raise FeedError(f"{label}: rows of different lengths; give a list of arrays, one a sequence") from None
        except (TypeError, RuntimeError) as error:  # a tensor of another library, on another device say
            raise FeedError(f"{label}: this {type(value).__name__} is no array: {error}") from None
        fits = {"float": "fiub", "int": "iu", "bool": "b"}[node.dtype]
        if array.dtype.kind not in fits:
            raise FeedError(f"{label} wants {node.dtype} numbers; an array of {array.dtype} does not fit")
        return array if isinstance(array, np.memmap) else self.typed(node, array)

    def typed(self, node: Node, array: np.ndarray) -> np.ndarray:
        """An array of the floating-point type, where the input is of such numbers."""
        return array.astype(self.dtype, copy=False) if node.dtype == "float" else array

    def axes(self, node: Node) -> tuple[Any, ...]:
        """The dimensions of an input in the order in which a user has them: the batch first."""
        shape = node.shape
        if "batch" not in shape:
            return shape
        at = shape.index("batch")
        return ("batch", *shape[:at], *shape[at + 1 :])

    def checked(self, name: str, value: Any) -> tuple[Any, np.ndarray | None]:
        """The data of one input, an array or a list of sequences; and the lengths of these, or None. Raises FeedError
        for a shape or a type that does not fit."""
        node = self.nodes[name]
        if isinstance(value, np.ndarray) and value.dtype == object and value.ndim == 1:
            value = list(value)  # what np.load and columns of pandas give
        is_sequence = len(node.shape) > 1 and node.shape[1] == "batch" and isinstance(node.shape[0], str)
        if is_sequence and _is_list_of_sequences(value):
            return self._sequences(name, node, value)
        array = self.array(repr(name), node, value)
        axes = ["samples" if d == "batch" else d for d in self.axes(node)]
        if self.trials is not None and node.role == "initial" and array.ndim == len(axes) + 1:
            if len(array) != self.trials:
                raise FeedError(f"{name!r}: there are {self.trials} trials; {array.shape} has {len(array)} in front")
            for each in array:  # every trial as if it were alone
                self.checked(name, each)
            return np.moveaxis(array, 0, 1) if "batch" in node.shape else array, None
        if array.ndim != len(axes) or any(
            isinstance(d, int) and d != n for d, n in zip(axes, array.shape, strict=True)
        ):
            raise FeedError(f"{name!r}: {show_shape(axes)} fits, not {array.shape}")
        if array.size == 0:
            empty = axes[array.shape.index(0)]
            raise FeedError(
                f"{name!r} is empty: {array.shape} has no {empty}"
                if empty == "samples"
                else f"{name!r} holds empty sequences: {array.shape} has 0 for {empty}"
            )
        return array, None

    def _sequences(self, name: str, node: Node, value: Any) -> tuple[list[np.ndarray], np.ndarray]:
        parts = [self.array(f"{name!r}, sample {i}", node, v) for i, v in enumerate(value)]
        wanted = (node.shape[0], *node.shape[2:])
        for i, part in enumerate(parts):
            if part.ndim != len(wanted) or part.shape[1:] != node.shape[2:]:
                raise FeedError(f"{name!r}, sample {i}: {show_shape(wanted)} fits, not {part.shape}")
            if len(part) == 0:
                raise FeedError(f"{name!r}, sample {i}: this sequence is empty")
        return parts, np.array([len(p) for p in parts])

    def needed(self, name: str) -> bool:
        """Whether an input must be fed."""
        return self.nodes[name].attrs.get("default", "drawn") is None

    def known(self, name: str) -> bool:
        """Whether an input is called so, or one that is passed over. Raises FeedError if none is."""
        if name not in self.nodes and name not in self.others:
            raise FeedError(
                f"the model has no input {name!r}{nearest(str(name), self.nodes)}; it has {', '.join(self.nodes)}"
            )
        return name in self.nodes


def _is_list_of_sequences(values: Any) -> bool:
    return isinstance(values, list | tuple) and bool(values) and all(np.ndim(v) or isinstance(v, list) for v in values)
