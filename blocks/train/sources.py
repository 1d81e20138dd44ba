"""Where batches come from: samples that are cut into batches, or batches that are given, made or handed in.

    {"x": X, "target": T}            arrays, or lists of sequences      Samples
    [{"x": …}, {"x": …}, …]          a sequence of batches              Listed
    def data(rng, update): …         a function that makes a batch      Made
    DataLoader(…)                    anything to go through             Streamed

The first three say for any place in training which batch stands there, so a run that was interrupted goes on to the
same bits. Of several trials each has an order of its own, and batches that are made with a generator of its own.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import BlocksError, FeedError, nearest
from .data import Data
from .inputs import Arrays, Inputs
from .state import Position

BATCH_SIZE = 32  # where none is asked for
MADE = (0, 1)  # behind the seed and the number of a batch: no draw has these bits


@dataclass
class Batch:
    """What one batch feeds, time first; and how many steps its longest sequence has."""

    feeds: Arrays
    data: Data
    index: np.ndarray

    def steps(self, time: str) -> int:
        """The steps of its longest sequence."""
        return self.data.steps_of(self.index, time)


class Source(ABC):
    """Batches of training data for some inputs, those of one trial or of several; `seed` is that of the first."""

    again = True  # whether any batch can be had again, after an interruption
    endless = False  # whether an epoch goes on where the last one ended
    count: int | None = None  # batches of an epoch, where that is known

    def __init__(self, inputs: Inputs, seed: int):
        self.inputs = inputs
        self.seeds = [seed + r for r in range(inputs.trials or 1)]

    @abstractmethod
    def batches(self, at: Position) -> Iterator[Batch]:
        """The batches of an epoch, from where training stands."""

    def digest(self) -> str:
        """A short text that differs for other data; none, where no batch can be had again."""
        return ""

    def steps(self, at: Position, time: str) -> list[int] | None:
        """The steps of each batch of an epoch, where they are known before."""
        return None

    def order(self, at: Position, many: int) -> np.ndarray:
        """The numbers below `many` in the order of this epoch; of each trial, ``(trials, many)``."""
        orders = [np.random.default_rng([seed, at.epoch]).permutation(many) for seed in self.seeds]
        return orders[0] if self.inputs.trials is None else np.stack(orders)

    def joined(self, parts: Sequence[Any], label: str) -> Batch:
        """A batch, of one dict for each trial. Raises FeedError, with the label, for what is no batch."""
        try:
            for part in parts:
                if not isinstance(part, Mapping):
                    raise FeedError(f"a batch is a dict by input, {{'x': array}}, not a {type(part).__name__}")
            data = Data(self.inputs, parts[0] if len(parts) == 1 else _side_by_side(self.inputs, parts))
        except FeedError as error:
            raise FeedError(f"{label}: {error}") from None
        index: np.ndarray = np.arange(data.samples)
        if self.inputs.trials is not None and len(parts) > 1:
            index = index.reshape(len(parts), -1)
        return Batch(data.batch(index), data, index)


class Samples(Source):
    """Samples, cut into batches; in a new order in each epoch, where `shuffle` is."""

    def __init__(self, inputs: Inputs, seed: int, data: Mapping[str, Any], size: int, shuffle: bool):
        super().__init__(inputs, seed)
        together = max(size, 2) if shuffle and inputs.trials is not None else size  # each trial has its own samples
        self.data = Data(inputs, data, together).check_masks()
        self.size, self.shuffle = size, shuffle
        self.count = math.ceil(self.data.samples / size)

    def groups(self, at: Position) -> list[np.ndarray]:
        """The numbers of the samples of each batch."""
        order = self.order(at, self.data.samples) if self.shuffle else np.arange(self.data.samples)
        return [order[..., i : i + self.size] for i in range(0, self.data.samples, self.size)]

    def batches(self, at: Position) -> Iterator[Batch]:
        """See `Source`."""
        for index in self.groups(at)[at.batch :]:
            yield Batch(self.data.batch(index), self.data, index)

    def digest(self) -> str:
        """See `Source`."""
        return self.data.digest()

    def steps(self, at: Position, time: str) -> list[int]:
        """See `Source`."""
        return [self.data.steps_of(index, time) for index in self.groups(at)]


class Listed(Source):
    """A sequence of batches; in a new order in each epoch, where `shuffle` is."""

    def __init__(self, inputs: Inputs, seed: int, data: Sequence[Mapping[str, Any]], shuffle: bool):
        super().__init__(inputs, seed)
        if not len(data):
            raise FeedError("there is no batch in the data")
        self.data, self.shuffle, self.count = data, shuffle, len(data)
        self.joined([self.data[0]], "batch 0")

    def batches(self, at: Position) -> Iterator[Batch]:
        """See `Source`."""
        order = self.order(at, len(self.data)) if self.shuffle else np.arange(len(self.data))
        for k in order.T[at.batch :]:
            rows = np.unique(k)
            yield self.joined([self.data[int(i)] for i in (rows if len(rows) == 1 else k)], f"batch {_numbers(rows)}")

    def digest(self) -> str:
        """See `Source`: of the first and the last batch, and how many there are."""
        ends = [self.joined([self.data[i]], f"batch {i}").data.digest() for i in (0, len(self.data) - 1)]
        return " ".join([str(len(self.data)), *ends])


class Made(Source):
    """Batches that a function makes, of each trial with a generator of its own."""

    endless = True

    def __init__(self, inputs: Inputs, seed: int, make: Callable[..., Any], count: int, first: int):
        super().__init__(inputs, seed)
        self.make, self.count, self.many = make, count, count
        self.known: tuple[int, list[Any]] = (-1, [])  # the last number, and what was made for it
        self.made(first)  # a look at what it makes, before training begins

    def made(self, number: int) -> Batch:
        """The batch of a number."""
        if self.known[0] != number:
            rngs = [np.random.default_rng([seed, number, *MADE]) for seed in self.seeds]
            self.known = number, [self.make(rng, number) for rng in rngs]
        return self.joined(self.known[1], f"the batch {number} that {_named(self.make)} makes")

    def batches(self, at: Position) -> Iterator[Batch]:
        """See `Source`."""
        for number in range(at.batches, at.batches + self.many - at.batch):
            yield self.made(number)

    def digest(self) -> str:
        """See `Source`: of the first batch."""
        kept = self.known
        self.known = (-1, [])
        first = self.made(0).data.digest()
        self.known = kept
        return f"{_named(self.make)} {self.count} {first}"


class Streamed(Source):
    """Batches of anything to go through, once an epoch; or `count` of them an epoch, and on."""

    again = False

    def __init__(self, inputs: Inputs, seed: int, data: Iterable[Any], count: int | None):
        super().__init__(inputs, seed)
        self.data, self.endless = data, count is not None
        self.count = count if count is not None else _length(data)
        self.running = iter(data)
        self.first = self._next(0)  # a look at the first one, before training begins
        if self.first is None:
            raise FeedError("there is no batch in the data")

    def _next(self, number: int) -> Batch | None:
        found = next(self.running, None)
        return None if found is None else self.joined([found], f"batch {number}")

    def batches(self, at: Position) -> Iterator[Batch]:
        """See `Source`. Raises FeedError where there are no more, and cannot be."""
        if self.first is None and not self.endless:
            self.running = iter(self.data)
        number = 0
        while not self.endless or number < (self.count or 0):
            batch, self.first = self.first or self._next(number), None
            if batch is None and not self.endless and number:
                return
            if batch is None:
                raise FeedError(
                    f"the data ends with batch {number} of epoch {at.epoch}: it cannot be gone through again"
                )
            number += 1
            yield batch


def source_of(
    inputs: Inputs,
    seed: int,
    data: Any,
    batch_size: int | None,
    shuffle: bool | None,
    count: int | None,
    epochs: int,
    first: int,
) -> Source:
    """The source for what a user handed over; `first` is the number of the batch to begin with. Raises FeedError for
    what is none, BlocksError for an option that has no effect on it."""
    cut, listed = isinstance(data, Mapping), is_listed(data)
    kind = "a dict of arrays" if cut else "a sequence of batches" if listed else "data that comes batch by batch"
    if not cut and batch_size is not None:
        raise BlocksError(f"batch_size={batch_size} is for a dict of arrays; {kind} has its own")
    if not (cut or listed) and shuffle:
        raise BlocksError(f"shuffle=True is for a dict of arrays and for a sequence of batches, not for {kind}")
    if (cut or listed) and count is not None:
        raise BlocksError(f"batches_per_epoch={count} is for data without an end; {kind} has one")
    if cut:
        return Samples(inputs, seed, data, batch_size or BATCH_SIZE, shuffle is not False)
    if listed:
        return Listed(inputs, seed, data, shuffle is not False)
    if callable(data) and not isinstance(data, Iterable):
        if count is None:
            raise BlocksError("how many batches of a function make an epoch? fit(..., batches_per_epoch=100)")
        return Made(inputs, seed, data, count, first)
    if not isinstance(data, Iterable) or isinstance(data, str | bytes | np.ndarray):
        raise FeedError(
            "data is a dict by input, {'x': array}, a sequence of such dicts, a function (rng, update) that makes one, "
            f"or an iterable of them; not a {type(data).__name__}"
        )
    if iter(data) is data and count is None and epochs > 1:
        raise BlocksError(
            f"a {type(data).__name__} can be gone through once, not {epochs} times: hand over what begins anew "
            "(a list, a DataLoader), or say how much of it is an epoch, batches_per_epoch=100"
        )
    return Streamed(inputs, seed, data, count)


def is_listed(data: Any) -> bool:
    """Whether something is a sequence of batches: it has a length, and each can be asked for by its number."""
    if isinstance(data, Mapping | str | bytes | np.ndarray):
        return False
    return isinstance(data, Sequence) or (hasattr(data, "__getitem__") and hasattr(data, "__len__"))


def datasets(inputs: Inputs, data: Any, batch_size: int = 2) -> Iterator[Data]:
    """The data of an evaluation: one, or one for each dict of a sequence."""
    if not is_listed(data):
        yield Data(inputs, data, batch_size)
        return
    if not len(data):
        raise FeedError("there is no batch in the data")
    for i in range(len(data)):
        try:
            yield Data(inputs, data[i], batch_size)
        except FeedError as error:
            raise FeedError(f"batch {i}: {error}") from None


def _side_by_side(inputs: Inputs, parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The batches of all trials as samples one after the other. Raises FeedError where they do not fit together."""
    out: dict[str, Any] = {}
    for name in parts[0]:
        values = [part[name] for part in parts if name in part]
        if len(values) != len(parts):
            raise FeedError(f"{name!r} is in the batch of one trial, but not of another{nearest(name, parts[-1])}")
        if not inputs.known(name):
            continue
        if "batch" not in inputs.nodes[name].shape:
            if any(not np.array_equal(values[0], value) for value in values[1:]):
                raise FeedError(f"{name!r} has no batch, so it is one for all trials; here it differs among them")
            out[name] = values[0]
            continue
        counts = {len(value) for value in values}
        if len(counts) > 1:
            raise FeedError(f"{name!r} has {min(counts)} samples in one trial, and {max(counts)} in another")
        arrays = all(isinstance(value, np.ndarray) for value in values)
        if arrays and len({value.shape for value in values}) == 1:
            out[name] = np.concatenate(values)
            continue
        if isinstance(values[0], np.ndarray) and inputs.masks - set(parts[0]):
            raise FeedError(f"{name!r} has other lengths in other trials: give lists of sequences, or a mask")
        out[name] = [row for value in values for row in value]
    return out


def _numbers(rows: np.ndarray) -> str:
    return ", ".join(map(str, rows.tolist()))


def _named(make: Any) -> str:
    return str(getattr(make, "__qualname__", type(make).__name__))


def _length(data: Any) -> int | None:
    try:
        return len(data)
    except TypeError:
        return None
