"""Data: what a user hands over, checked once and cut into batches.

A user's arrays are (batch, time, features), as in Keras; inside, time comes first. Sequences of unequal
length may come as a list of arrays; they are padded batch by batch, and the graph's mask is made from
their lengths.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import BlocksError, FeedError, nearest
from ..graph import Graph, Node, Op, Shape, show_shape
from ..ops.elementwise import place_of_trials
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


class Data:
    """Samples for the inputs of a graph.

    `data` is input name → array ``(samples, time, ...)`` or ``(samples, ...)``, or, for sequences of unequal
    length, a list of arrays ``(time, ...)``. Inputs without a batch dimension are the same in all batches.
    `others` may be in `data` too, and are passed over; `batch_size` is how many samples will be run together. With
    `trials`, an initial state may lead with them, ``(trials, samples, ...)``, and a batch may be one for each.

    What stands at masked steps does not matter, where no output depends on it. Raises FeedError naming the
    input and the sample for anything else that is missing, unknown, of the wrong shape or type, empty, not
    finite, or out of the range of its classes.
    """

    def __init__(
        self,
        graph: Graph,
        data: Mapping[str, Any],
        dtype: np.dtype,
        others: Sequence[str] = (),
        batch_size: int = 2,
        trials: int | None = None,
    ):
        if not isinstance(data, Mapping):
            raise FeedError(f"data is a dict by input, {{'x': array}}, not a {type(data).__name__}")
        self.nodes = graph.fed("input")
        self.dtype, self._digest, self.trials = dtype, "", trials
        for name in data:
            if name not in self.nodes and name not in others:
                raise FeedError(
                    f"the model has no input {name!r}{nearest(str(name), self.nodes)}; it has {', '.join(self.nodes)}"
                )
        self.lengths: dict[str, np.ndarray] = {}  # of the sequences in each time dimension
        self.values: dict[str, Any] = {}
        for name, node in self.nodes.items():
            if name in data:
                self.values[name] = self._checked(name, node, data[name])
        self.masks = mask_inputs(graph)
        for name in sorted(self.masks):
            node = self.nodes[name]
            if name not in self.values and node.shape and node.shape[0] in self.lengths:
                lengths = self.lengths[str(node.shape[0])]
                self.values[name] = [
                    np.ones(n, {"int": np.int64, "bool": bool}.get(node.dtype, dtype)) for n in lengths
                ]
        for name, node in self.nodes.items():
            if name not in self.values and node.attrs["default"] is None:
                raise FeedError(
                    f"the model's input {name!r} {show_shape(node.shape)} has no data{nearest(name, data)}; "
                    f"there is data for {', '.join(map(str, data)) or 'nothing'}"
                )
        if batch_size > 1:
            self._check_lengths(graph)
        self._check_steps()
        counts = {n: len(v) for n, v in self.values.items() if "batch" in self.nodes[n].shape}
        if len(set(counts.values())) > 1:
            raise FeedError("inputs of one batch differ in the number of samples: " + _listed(counts))
        self.samples = next(iter(counts.values()), 1)
        self.covered = covered_inputs(graph)
        limits = _class_counts(graph)
        for name in self.values:
            self._check_numbers(name, limits.get(name))

    # -- checks -----------------------------------------------------------------------------------

    def _checked(self, name: str, node: Node, value: Any) -> Any:
        if isinstance(value, np.ndarray) and value.dtype == object and value.ndim == 1:
            value = list(value)  # what np.load and columns of pandas give
        is_sequence = len(node.shape) > 1 and node.shape[1] == "batch" and isinstance(node.shape[0], str)
        if is_sequence and _is_list_of_sequences(value):
            parts = [self._array(f"{name!r}, sample {i}", node, v) for i, v in enumerate(value)]
            wanted = (node.shape[0], *node.shape[2:])
            for i, part in enumerate(parts):
                if part.ndim != len(wanted) or part.shape[1:] != node.shape[2:]:
                    raise FeedError(f"{name!r}, sample {i}: {show_shape(wanted)} fits, not {part.shape}")
                if len(part) == 0:
                    raise FeedError(f"{name!r}, sample {i}: this sequence is empty")
            lengths = np.array([len(p) for p in parts])
            time = str(node.shape[0])
            known = self.lengths.setdefault(time, lengths)
            if len(known) == len(lengths) and (known != lengths).any():
                i = int(np.argmax(known != lengths))
                raise FeedError(f"{name!r}, sample {i}: {lengths[i]} steps where another input has {known[i]}")
            return parts
        array = self._array(repr(name), node, value)
        axes = ["samples" if d == "batch" else d for d in self._user_order(node)]
        if self.trials is not None and node.role == "initial" and array.ndim == len(axes) + 1:
            if len(array) != self.trials:
                raise FeedError(f"{name!r}: there are {self.trials} trials; {array.shape} has {len(array)} in front")
            for each in array:  # every trial as if it were alone
                self._checked(name, node, each)
            return np.moveaxis(array, 0, 1) if "batch" in node.shape else array
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
        return array

    def _array(self, label: str, node: Node, value: Any) -> np.ndarray:
        if np.ma.isMaskedArray(value) and np.ma.getmaskarray(value).any():
            raise FeedError(f"{label} has masked values: fill them (.filled(0)), and feed a mask of the steps")
        try:
            array = np.asarray(value)
        except ValueError:
            raise FeedError(f"{label}: rows of different lengths; give a list of arrays, one a sequence") from None
        fits = {"float": "fiub", "int": "iu", "bool": "b"}[node.dtype]
        if array.dtype.kind not in fits:
            raise FeedError(f"{label} wants {node.dtype} numbers; an array of {array.dtype} does not fit")
        return array.astype(self.dtype, copy=False) if node.dtype == "float" else array

    def _user_order(self, node: Node) -> tuple[Any, ...]:
        shape = node.shape
        if "batch" not in shape:
            return shape
        at = shape.index("batch")
        return ("batch", *shape[:at], *shape[at + 1 :])

    def _check_lengths(self, graph: Graph) -> None:
        times = {t for t, lengths in self.lengths.items() if len(set(lengths.tolist())) > 1}
        masked = {str(self.nodes[m].shape[0]) for m in mask_inputs(graph) if self.nodes[m].shape}
        for time in times - masked:
            lengths = self.lengths[time]
            raise FeedError(
                f"sequences have {lengths.min()} to {lengths.max()} steps, but the model has no mask over {time!r}: "
                f"make one, mask = sequence('mask'), and give it to scan and to the loss"
            )

    def _check_steps(self) -> None:
        """Sequences over one time dimension have equally many steps; beside a list, as many as its longest."""
        known: dict[str, tuple[str, int]] = {}
        for name, value in self.values.items():
            time = next((d for d in self.nodes[name].shape if isinstance(d, str) and d != "batch"), None)
            if time is None:
                continue
            if isinstance(value, list):
                steps = max(map(len, value))
            else:
                steps = value.shape[self._user_order(self.nodes[name]).index(time)]
            other, many = known.setdefault(time, (name, steps))
            if steps != many:
                raise FeedError(f"{name!r} has {steps} steps where {other!r} has {many}; both are over {time!r}")

    def _check_numbers(self, name: str, classes: int | None) -> None:
        """Numbers are finite and classes in their range, but at masked steps, where they become 0."""
        whole = self.values[name]
        parts = whole if isinstance(whole, list) else [whole]
        for i, part in enumerate(parts):
            if classes is not None:
                bad = (part < 0) | (part >= classes)
            elif part.dtype.kind == "f":
                bad = ~np.isfinite(part)
            else:
                continue
            if not bad.any():
                continue
            seen = bad & self._admitted(name, i, part)
            if seen.any():
                place = tuple(int(k) for k in np.argwhere(seen)[0])
                inside = f"{name!r}, sample {i}" if isinstance(whole, list) else f"{name!r}"
                if classes is None:
                    raise FeedError(f"{inside} is {part[place]} at {place}; put a number there, and mask that step")
                if not isinstance(whole, list) and "batch" in self.nodes[name].shape:
                    inside += f", sample {place[0]}"
                raise FeedError(f"{inside}: the class {part[place]} is outside of 0 to {classes - 1}")
            mended = np.where(bad, np.zeros((), part.dtype), part)
            if isinstance(whole, list):
                whole[i] = mended
            else:
                self.values[name] = mended

    def _admitted(self, name: str, i: int, part: np.ndarray) -> np.ndarray:
        """Where a value of an input has a part in the outputs; `part` is its array, or sample `i` of its list."""
        mask = self.values.get(self.covered.get(name, ""))
        if mask is None:
            return np.ones(part.shape, bool)
        if isinstance(self.values[name], list):
            row = np.asarray(mask[i][: len(part)])
        elif isinstance(mask, list):
            row = np.zeros(part.shape[:2])
            for k, m in enumerate(mask):
                row[k, : len(m)] = m
        else:
            row = mask
        row = np.reshape(row != 0, (*row.shape, *(1 for _ in range(part.ndim - row.ndim))))
        return np.broadcast_to(row, part.shape)

    def check_masks(self) -> Data:
        """Raises FeedError for a mask that masks all samples whole: there is nothing to learn from."""
        for name, mask in self.values.items():
            if name in self.masks and not any(np.any(row) for row in mask):
                raise FeedError(
                    f"the mask masks everything: {name!r} is 0 everywhere, so nothing is left to learn from"
                )
        return self

    def digest(self) -> str:
        """A short text that differs for other data; read once."""
        if self._digest:
            return self._digest
        known = hashlib.sha256()
        for name in sorted(self.values):
            value = self.values[name]
            for part in value if isinstance(value, list) else [value]:
                known.update(f"{name} {part.dtype} {part.shape};".encode())
                known.update(np.ascontiguousarray(part).data)
        self._digest = known.hexdigest()[:32]
        return self._digest

    # -- batches ----------------------------------------------------------------------------------

    def batch(self, index: np.ndarray) -> Arrays:
        """The samples `index` as feeds, time first, padded to the longest of them. An index ``(trials, samples)`` gives
        each trial samples of its own; such feeds lead with trials."""
        feeds: Arrays = {}
        for name, value in self.values.items():
            shape = self.nodes[name].shape
            if "batch" not in shape:
                feeds[name] = value
            elif isinstance(value, list):
                steps, row = max(len(value[i]) for i in index.flat), value[0].shape[1:]
                out = np.zeros((steps, *index.shape, *row), value[0].dtype)
                for place, i in np.ndenumerate(index):
                    out[(slice(len(value[i])), *place)] = value[i]
                feeds[name] = np.moveaxis(out, 1, 0) if index.ndim > 1 else out
            elif value.ndim > len(shape):  # a state of each trial
                trial = np.arange(value.shape[1])[:, None]
                feeds[name] = np.moveaxis(value[index, trial], 1, 1 + shape.index("batch"))
            else:
                feeds[name] = _time_first(value[index], index.ndim, shape)
                time = shape[0]
                if time in self.lengths:  # a padded array beside a list: as long as the batch's longest
                    steps = self.lengths[str(time)][index].max()
                    feeds[name] = feeds[name][(slice(None),) * (index.ndim - 1) + (slice(steps),)]
        return feeds

    def batches(self, size: int, order: np.ndarray | None = None) -> Iterator[tuple[np.ndarray, Arrays]]:
        """All samples in batches, in a given order: the numbers of the samples, and the feeds."""
        order = np.arange(self.samples) if order is None else order
        for start in range(0, self.samples, size):
            index = order[start : start + size]
            yield index, self.batch(index)

    def steps_of(self, index: np.ndarray, time: str) -> int:
        """How many steps a batch of these samples has."""
        if time in self.lengths:
            return int(self.lengths[time][index].max())
        for name, value in self.values.items():
            order = self._user_order(self.nodes[name])
            if time in order:
                return int(value.shape[order.index(time)])
        raise BlocksError(f"no data has the dimension {time!r}")


def _time_first(samples: np.ndarray, leading: int, shape: Shape) -> np.ndarray:
    """Samples, ``(batch, time, ...)`` or ``(trials, batch, time, ...)``, in the order of a shape behind the trials; in
    memory as a graph takes them."""
    if leading == 1:
        at = shape.index("batch")
        axes = (*range(1, at + 1), 0, *range(at + 1, samples.ndim))
        return np.ascontiguousarray(samples.transpose(axes))
    at = place_of_trials(shape)
    inner = np.moveaxis(samples, 1, 1 + shape.index("batch"))
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(inner, 0, at)), at, 0)


def _is_list_of_sequences(values: Any) -> bool:
    return isinstance(values, list | tuple) and bool(values) and all(np.ndim(v) or isinstance(v, list) for v in values)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} has {n}" for name, n in counts.items())
