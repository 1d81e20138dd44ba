"""Data: what a user hands over, checked once and cut into batches.

A user's arrays are (batch, time, features), as in Keras; inside, time comes first. Sequences of unequal
length may come as a list of arrays; they are padded batch by batch, and the graph's mask is made from
their lengths. An array that is mapped from a file (`numpy.memmap`) stays there: it is read in blocks to be checked, and
batch by batch to be used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..errors import BlocksError, FeedError, nearest
from ..graph import Shape, show_shape
from ..ops.elementwise import place_of_trials
from .inputs import Arrays, Inputs

BLOCK = 1 << 26  # bytes of a mapped array that are in memory at once, while it is read through


class Data:
    """Samples for the inputs of a graph.

    `data` is input name → array ``(samples, time, ...)`` or ``(samples, ...)``, or, for sequences of unequal
    length, a list of arrays ``(time, ...)``. Inputs without a batch dimension are the same in all batches.
    `batch_size` is how many samples will be run together. With trials, an initial state may lead with them,
    ``(trials, samples, ...)``, and a batch may be one for each.

    What stands at masked steps does not matter, where no output depends on it. Raises FeedError naming the
    input and the sample for anything else that is missing, unknown, of the wrong shape or type, empty, not
    finite, or out of the range of its classes.
    """

    def __init__(self, inputs: Inputs, data: Mapping[str, Any], batch_size: int = 2):
        if not isinstance(data, Mapping):
            raise FeedError(f"data is a dict by input, {{'x': array}}, not a {type(data).__name__}")
        self.inputs, self.nodes = inputs, inputs.nodes
        self._digest = ""
        self.lengths: dict[str, np.ndarray] = {}  # of the sequences in each time dimension
        self.values: dict[str, Any] = {}
        self.kinds: dict[str, np.dtype] = {}  # the types of the numbers of lists
        self.mended: set[str] = set()  # the mapped arrays with numbers that are none, at masked steps
        given = [name for name in data if inputs.known(name)]
        for name in sorted(given, key=list(self.nodes).index):
            self.values[name], lengths = inputs.checked(name, data[name])
            if lengths is not None:
                self._same_lengths(name, str(self.nodes[name].shape[0]), lengths)
        self._make_masks()
        for name, node in self.nodes.items():
            if name not in self.values and inputs.needed(name):
                raise FeedError(
                    f"the model's input {name!r} {show_shape(node.shape)} has no data{nearest(name, data)}; "
                    f"there is data for {', '.join(map(str, data)) or 'nothing'}"
                )
        if batch_size > 1:
            self._check_lengths()
        self._check_steps()
        counts = {n: len(v) for n, v in self.values.items() if "batch" in self.nodes[n].shape}
        if len(set(counts.values())) > 1:
            raise FeedError("inputs of one batch differ in the number of samples: " + _listed(counts))
        self.samples = next(iter(counts.values()), 1)
        for name in self.values:
            self._check_numbers(name, inputs.classes.get(name))

    # -- checks -----------------------------------------------------------------------------------

    def _same_lengths(self, name: str, time: str, lengths: np.ndarray) -> None:
        known = self.lengths.setdefault(time, lengths)
        if len(known) == len(lengths) and (known != lengths).any():
            i = int(np.argmax(known != lengths))
            raise FeedError(f"{name!r}, sample {i}: {lengths[i]} steps where another input has {known[i]}")

    def _make_masks(self) -> None:
        """The masks that were not given, from the lengths of the sequences."""
        for name in sorted(self.inputs.masks):
            node = self.nodes[name]
            if name not in self.values and node.shape and node.shape[0] in self.lengths:
                kind = {"int": np.dtype(np.int64), "bool": np.dtype(bool)}.get(node.dtype, self.inputs.dtype)
                self.values[name] = [np.ones(n, kind) for n in self.lengths[str(node.shape[0])]]

    def _check_lengths(self) -> None:
        times = {t for t, lengths in self.lengths.items() if len(set(lengths.tolist())) > 1}
        masked = {str(self.nodes[m].shape[0]) for m in self.inputs.masks if self.nodes[m].shape}
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
                steps = value.shape[self.inputs.axes(self.nodes[name]).index(time)]
            other, many = known.setdefault(time, (name, steps))
            if steps != many:
                raise FeedError(f"{name!r} has {steps} steps where {other!r} has {many}; both are over {time!r}")

    def _check_numbers(self, name: str, classes: int | None) -> None:
        """Numbers are finite and classes in their range, but at masked steps, where they become 0."""
        for start, part in self._parts(name):
            bad = _not_numbers(part, classes)
            if bad is None or not bad.any():
                continue
            seen = bad & self._admitted(name, start, part)
            if seen.any():
                self._refuse(name, start, part, tuple(int(k) for k in np.argwhere(seen)[0]), classes)
            whole = self.values[name]
            if isinstance(whole, np.memmap):
                self.mended.add(name)
            elif isinstance(whole, list):
                whole[start] = _mended(part, bad)
            else:
                self.values[name] = _mended(part, bad)

    def _refuse(self, name: str, start: int, part: np.ndarray, place: tuple[int, ...], classes: int | None) -> None:
        """Raise FeedError for the number at a place of a part."""
        number, listed = part[place], isinstance(self.values[name], list)
        if not listed and "batch" in self.nodes[name].shape:
            place = (place[0] + start, *place[1:])
        inside = f"{name!r}, sample {start}" if listed else f"{name!r}"
        if classes is None:
            raise FeedError(f"{inside} is {number} at {place}; put a number there, and mask that step")
        if not listed and "batch" in self.nodes[name].shape:
            inside += f", sample {place[0]}"
        raise FeedError(f"{inside}: the class {number} is outside of 0 to {classes - 1}")

    def _parts(self, name: str) -> Iterator[tuple[int, np.ndarray]]:
        """The data of an input in parts: a sequence each, or blocks of samples of what is mapped, or all at once; and
        the number of the first sample."""
        value = self.values[name]
        if isinstance(value, list):
            yield from enumerate(value)
        elif isinstance(value, np.memmap) and value.ndim:
            rows = max(1, BLOCK * len(value) // max(1, value.nbytes))
            for start in range(0, len(value), rows):
                yield start, np.asarray(value[start : start + rows])
        else:
            yield 0, value

    def _admitted(self, name: str, start: int, part: np.ndarray) -> np.ndarray:
        """Where a value of an input has a part in the outputs; `part` is its array from sample `start` on, or that
        sample of its list."""
        mask = self.values.get(self.inputs.covered.get(name, ""))
        if mask is None:
            return np.ones(part.shape, bool)
        if isinstance(self.values[name], list):
            row = np.asarray(mask[start][: len(part)])
        elif isinstance(mask, list):
            row = np.zeros(part.shape[:2])
            for k, m in enumerate(mask[start : start + len(part)]):
                row[k, : len(m)] = m
        else:
            row = np.asarray(mask[start : start + len(part)])
        row = np.reshape(row != 0, (*row.shape, *(1 for _ in range(part.ndim - row.ndim))))
        return np.broadcast_to(row, part.shape)

    def check_masks(self) -> Data:
        """Raises FeedError for a mask that masks all samples whole: there is nothing to learn from."""
        for name, mask in self.values.items():
            if name in self.inputs.masks and not any(np.any(row) for row in mask):
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
            if isinstance(value, np.memmap):
                known.update(f"{name} {value.dtype} {value.shape};".encode())
            for _, part in self._parts(name):
                if not isinstance(value, np.memmap):
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
                feeds[name] = self._read(name, value)
            elif isinstance(value, list):
                feeds[name] = self._padded(name, value, index)
            elif value.ndim > len(shape):  # a state of each trial
                trial = np.arange(value.shape[1])[:, None]
                feeds[name] = np.moveaxis(self._read(name, value, (index, trial)), 1, 1 + shape.index("batch"))
            else:
                feeds[name] = _time_first(self._read(name, value, index), index.ndim, shape)
                time = shape[0]
                if time in self.lengths:  # a padded array beside a list: as long as the batch's longest
                    steps = self.lengths[str(time)][index].max()
                    feeds[name] = feeds[name][(slice(None),) * (index.ndim - 1) + (slice(steps),)]
        return feeds

    def _padded(self, name: str, sequences: list[np.ndarray], index: np.ndarray) -> np.ndarray:
        """Sequences of a list as a batch, time first, or behind trials, padded to the longest of them."""
        chosen = [sequences[i] for i in index.ravel().tolist()]
        parts = [self._read(name, one) if isinstance(one, np.memmap) else one for one in chosen]
        if name not in self.kinds:
            self.kinds[name] = np.result_type(
                *{self.inputs.typed(self.nodes[name], one[:0]).dtype for one in sequences}
            )
        if index.shape == (1,):  # nothing to pad
            return parts[0][:, None].astype(self.kinds[name])
        out = np.zeros((max(map(len, parts)), len(parts), *parts[0].shape[1:]), self.kinds[name])
        for place, part in enumerate(parts):
            out[: len(part), place] = part
        if index.ndim == 1:
            return out
        return np.moveaxis(out.reshape(len(out), *index.shape, *out.shape[2:]), 1, 0)

    def _read(self, name: str, whole: np.ndarray, part: Any = ...) -> np.ndarray:
        """A part of an input's data as it is fed; read from its file, if it is mapped."""
        if not isinstance(whole, np.memmap):
            return whole.take(part, axis=0) if isinstance(part, np.ndarray) else whole[part]
        here = np.asarray(whole[part])
        if name in self.mended:
            bad = _not_numbers(here, self.inputs.classes.get(name))
            here = here if bad is None else _mended(here, bad)
        return self.inputs.typed(self.nodes[name], here)

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
            order = self.inputs.axes(self.nodes[name])
            if time in order:
                return int(value.shape[order.index(time)])
        raise BlocksError(f"no data has the dimension {time!r}")


def _not_numbers(part: np.ndarray, classes: int | None) -> np.ndarray | None:
    """Where an array has no finite number, or no class that there is; None, where it may have any."""
    if classes is not None:
        return (part < 0) | (part >= classes)
    return ~np.isfinite(part) if part.dtype.kind == "f" else None


def _mended(part: np.ndarray, bad: np.ndarray) -> np.ndarray:
    return np.where(bad, np.zeros((), part.dtype), part)


def _time_first(samples: np.ndarray, leading: int, shape: Shape) -> np.ndarray:
    """Samples, ``(batch, time, ...)`` or ``(trials, batch, time, ...)``, in the order of a shape behind the trials; in
    memory as a graph takes them."""
    if leading == 1:
        at = shape.index("batch")
        moved = samples.swapaxes(0, 1) if at == 1 else np.moveaxis(samples, 0, at)
        return moved if moved.flags.c_contiguous else moved.copy()
    at = place_of_trials(shape)
    inner = np.moveaxis(samples, 1, 1 + shape.index("batch"))
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(inner, 0, at)), at, 0)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} has {n}" for name, n in counts.items())
