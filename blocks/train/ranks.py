"""Training on several processes at once: each computes its rows of every batch, and all make the same update.

    rank 0   rows 0 … 10   ─╮                                             ╭─  the same weights,
    rank 1   rows 11 … 21  ─┼─  one sum: gradients, terms, final states  ─┼─  to the last bit
    rank 2   rows 22 … 31  ─╯                                             ╰─

What each computes, so that the sum is the gradient over all rows, stands in `shares`. States are carried, and draws
made, for the whole batch, so another number of ranks may go on.

Processes find each other by `torch.distributed` (gloo): under ``torchrun``, or in a process group that is there.
"""

from __future__ import annotations

import atexit
import hashlib
import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Protocol

import numpy as np

from ..errors import BlocksError
from ..files import to_json
from ..interpret import Run
from .purposes import FINAL, WATCH, Purpose
from .shares import SEED, VALUE, Shared, Shares, portion, rows
from .terms import BATCH, Arrays
from .trials import Number
from .vector import Vector

STOP = "stop"


class Ranked(Shared, Protocol):
    """What ranks ask of a model."""

    seed: int
    dtype: np.dtype
    trials: int | None

    @property
    def weights(self) -> Vector:
        """Name → array."""

    def results(self, purpose: Purpose, feeds: Mapping[str, Any], step: Number | None = None) -> Arrays:
        """Run one of its graphs."""

    def why_not_finite(
        self,
        purpose: Purpose,
        feeds: Mapping[str, Any],
        results: Arrays,
        step: Number | None = None,
        trial: int | None = None,
    ) -> str:
        """What is not, and where."""


class Alone:
    """One process, which has all rows.

    Attributes: rank, from 0; count, of all; stopping, a list with something in it once training is to stop.
    """

    rank, count = 0, 1

    def __init__(self) -> None:
        self.stopping: list[Any] = []

    def begin(self, model: Ranked, slots: Mapping[str, Vector]) -> None:
        """Before the first update: see that all ranks train the same model from the same weights."""

    def results(
        self, model: Ranked, purpose: Purpose, feeds: Mapping[str, Any], states: Mapping[str, Any], step: Number
    ) -> Arrays:
        """The loss, its terms, gradients and final states of an update, over all rows of a batch."""
        return model.results(purpose, {**feeds, **states}, step)

    def why_not_finite(
        self,
        model: Ranked,
        purpose: Purpose,
        feeds: Mapping[str, Any],
        results: Arrays,
        step: Number,
        trial: int | None = None,
    ) -> str:
        """What is not finite, and where."""
        return model.why_not_finite(purpose, feeds, results, step, trial)

    def any(self, happened: bool) -> bool:
        """Whether it happened in any process."""
        return happened

    def stops(self) -> bool:
        """Whether training was to stop when the last update was made: the same in all processes."""
        return bool(self.stopping)


class Ranks(Alone):
    """One of several processes, with its group; see the module."""

    def __init__(self, group: Group):
        super().__init__()
        self.group, self.rank, self.count = group, group.rank, group.count
        self.known: dict[Purpose, Shares] = {}
        self.stop = False
        self.last: tuple[Arrays, Arrays] = {}, {}  # what this rank was fed, and found

    def begin(self, model: Ranked, slots: Mapping[str, Vector]) -> None:
        """See `Alone.begin`. Weights and slots become those of rank 0. Raises BlocksError for ranks that differ, and
        for trials."""
        if model.trials is not None:
            raise BlocksError(
                f"{self.count} processes share the rows of one model's batches; trials={model.trials} are as many "
                "models: train them in one process, without torchrun"
            )
        graph = hashlib.sha256(to_json(model.graph).encode()).hexdigest()
        own = {"graph": graph, "seed": model.seed, "dtype": str(model.dtype), "optimizer": sorted(slots)}
        for rank, other in enumerate(self.gathered(own)):
            if differs := [what for what in own if own[what] != other[what]]:
                raise BlocksError(
                    f"rank {self.rank} and rank {rank} train models that differ in {', '.join(differs)}: all ranks "
                    "make the same model"
                )
        for vector in (model.weights, *slots.values()):
            if self.rank:
                vector.all[...] = 0
            self.sum(vector.all)

    def results(
        self, model: Ranked, purpose: Purpose, feeds: Mapping[str, Any], states: Mapping[str, Any], step: Number
    ) -> Arrays:
        """See `Alone.results`: joined from those of all ranks, and the same in each."""
        if purpose not in self.known:
            self.known[purpose] = Shares.of(model, purpose)
        shares = self.known[purpose]
        feeds, sizes = shares.bind({**feeds, **states}, (model.seed, step))
        size = sizes.dims.get(BATCH, 1)
        part = size * self.rank // self.count, size * (self.rank + 1) // self.count
        own = {name: rows(shares.axis(name), a, *part) for name, a in feeds.items()}
        here = Run({**sizes.dims, BATCH: part[1] - part[0]}, sizes.dtype) if part[1] > part[0] else None
        counts = shares.run("counts", feeds, sizes)
        portions = shares.portions(counts, shares.run("counts", own, here) if here else {})
        terms = Vector({} if shares.fixed else shares.shapes("values", sizes), model.dtype)
        if terms:
            for name, value in (shares.run("values", own, here) if here else {}).items():
                terms.views[name][...] = portion(portions[name], value)
            self.sum(terms.all)
        fed = {
            name: np.asarray(portion(portions[VALUE + name.removeprefix(SEED)], seed), model.dtype)
            for name, seed in shares.seeds(terms, sizes).items()
        }
        found = shares.run("gradient", {**own, **fed}, here) if here else {}
        self.last = own, found
        joined = Vector({**shares.shapes("gradient", sizes), STOP: ()}, model.dtype)
        for name, value in found.items():
            axis = shares.axis(name)
            if name in portions:
                value = portion(portions[name], value)
            elif name.startswith((FINAL, WATCH)) and axis is None and self.rank:
                continue  # what has no batch is the same in all ranks: it comes from the first
            rows(axis, joined.views[name], *part)[...] = value
        joined.views[STOP][...] = bool(self.stopping)
        self.sum(joined.all)
        self.stop = bool(joined.views[STOP])
        results = {name: shares.typed(name, value) for name, value in joined.views.items() if name != STOP} | counts
        numbers = shares.numbers(results, feeds, sizes)
        return results | {n: results[n] + v if n in results else v for n, v in numbers.items()}

    def why_not_finite(
        self,
        model: Ranked,
        purpose: Purpose,
        feeds: Mapping[str, Any],
        results: Arrays,
        step: Number,
        trial: int | None = None,
    ) -> str:
        """See `Alone.why_not_finite`: told by the first rank in which it is so."""
        own, found = self.last
        finite = all(np.isfinite(v).all() for v in found.values() if v.dtype.kind == "f")
        said = None if finite else model.why_not_finite(purpose, own, results, step)
        for rank, told in enumerate(self.gathered(said)):
            if told is not None:
                return f"rank {rank}: {told}"
        return f"the sum over {self.count} ranks is not finite at update {step}"

    def stops(self) -> bool:
        """See `Alone.stops`."""
        return self.stop

    def any(self, happened: bool) -> bool:
        """See `Alone.any`."""
        flag = np.array([float(happened)])
        self.sum(flag)
        return bool(flag[0])

    def sum(self, array: np.ndarray) -> None:
        """Add up an array over all ranks, in place."""
        with self._answered():
            self.group.sum(array)

    def gathered(self, thing: Any) -> list[Any]:
        """What each rank has."""
        with self._answered():
            return self.group.gathered(thing)

    @contextmanager
    def _answered(self) -> Iterator[None]:
        """Raises BlocksError where another process does not answer."""
        try:
            yield
        except RuntimeError as error:
            raise BlocksError(
                f"rank {self.rank} of {self.count} has lost another rank, and training ends; what autosave wrote last "
                f"can be gone on with, by resume=True ({str(error).splitlines()[0]})"
            ) from None


class Group(Protocol):
    """Processes that add up arrays and exchange things."""

    rank: int
    count: int

    def sum(self, array: np.ndarray) -> None:
        """Add up an array over all of them, in place. Raises RuntimeError for one that does not answer."""

    def gathered(self, thing: Any) -> list[Any]:
        """What each of them has."""


class TorchGroup:
    """A process group of `torch.distributed`, by gloo."""

    def __init__(self, distributed: Any):
        import torch

        self.torch, self.distributed = torch, distributed
        own = distributed.get_backend() != "gloo"
        self.group = distributed.new_group(backend="gloo") if own else None
        self.rank, self.count = distributed.get_rank(), distributed.get_world_size()

    def sum(self, array: np.ndarray) -> None:
        """See `Group.sum`."""
        self.distributed.all_reduce(self.torch.from_numpy(array), group=self.group)

    def gathered(self, thing: Any) -> list[Any]:
        """See `Group.gathered`."""
        things: list[Any] = [None] * self.count
        self.distributed.all_gather_object(things, thing, group=self.group)
        return things


def ranks() -> Alone:
    """This process among those that train together: of the process group that is there, of one that ``torchrun`` asks
    for, or alone. Raises BlocksError where ``torchrun`` asks for one and PyTorch is not installed."""
    distributed: Any = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        asked = os.environ.get("WORLD_SIZE", "1")
        if not asked.isdigit() or int(asked) < 2 or not {"RANK", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys():
            return Alone()
        try:
            distributed = importlib.import_module("torch.distributed")
        except ImportError:
            raise BlocksError(
                f"{asked} processes train together by torch.distributed: pip install 'blocks[torch]'"
            ) from None
        distributed.init_process_group("gloo")
        atexit.register(_leave, distributed.destroy_process_group)
    return Ranks(TorchGroup(distributed)) if distributed.get_world_size() > 1 else Alone()


def _leave(leave: Callable[[], None]) -> None:
    with suppress(Exception):  # the process ends, and another rank may have gone before
        leave()
