"""Training on several processes at once: each computes its rows of every batch, and all make the same update.

    rank 0   rows 0 … 10   ─╮                                             ╭─  the same weights,
    rank 1   rows 11 … 21  ─┼─  one sum: gradients, terms, final states  ─┼─  to the last bit
    rank 2   rows 22 … 31  ─╯                                             ╰─

What each computes, and how it is put together, stands in `joint`; one process does the same with several batches of an
update.

Processes find each other by `torch.distributed` (gloo): under ``torchrun``, or in a process group that is there.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, Protocol

import numpy as np

from ..errors import BlocksError
from ..files import to_json
from ..optional import needed
from .joint import STOP, Fed, joint
from .purposes import Purpose
from .shares import Shared, Shares
from .terms import Arrays
from .trials import Number
from .vector import Vector


class Ranked(Shared, Protocol):
    """What ranks ask of a model."""

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
        self.last: list[tuple[Callable[[int | None], Mapping[str, Any]], Arrays, Number]] = []

    def begin(self, model: Ranked, slots: Mapping[str, Vector]) -> None:
        """Before the first update: see that all ranks train the same model from the same weights."""

    def results(self, model: Ranked, shares: Shares | None, purpose: Purpose, batches: Sequence[Fed]) -> Arrays:
        """The loss, its terms, gradients and final states of an update, over all rows of some batches; without
        `shares`, of an only one."""
        if shares is None:
            ((feeds, step),) = batches
            found = model.results(purpose, feeds, step)
            self.last = [(lambda trial: feeds, found, step)]
            return found
        results, parts = joint(shares, batches, self)
        self.last = [(lambda trial, own=part.own: shares.of_one(own, trial), part.found, part.step) for part in parts]  # type: ignore[misc]
        self.noted(bool(np.any(results.pop(STOP))))
        return results

    def noted(self, stop: bool) -> None:
        """Note whether any process is to stop."""

    def why_not_finite(self, model: Ranked, purpose: Purpose, step: Number, trial: int | None = None) -> str:
        """What was not finite in the last results, and where: told by the first rank in which it is so."""
        told = None
        for feeds, found, own in self.last:
            here = {k: v if trial is None else v[trial] for k, v in found.items()}
            if told is None and not all(np.isfinite(v).all() for v in here.values() if v.dtype.kind == "f"):
                told = model.why_not_finite(purpose, feeds(trial), found, own, trial)
        for rank, said in enumerate(self.gathered(told)):
            if said is not None:
                return said if self.count == 1 else f"rank {rank}: {said}"
        return f"the sum over all that is learnt from is not finite at update {step}"

    def sum(self, array: np.ndarray) -> None:
        """Add up an array over all ranks, in place."""

    def gathered(self, thing: Any) -> list[Any]:
        """What each rank has."""
        return [thing]

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
        self.stop = False

    def begin(self, model: Ranked, slots: Mapping[str, Vector]) -> None:
        """See `Alone.begin`. Weights and slots become those of rank 0. Raises BlocksError for ranks that differ."""
        graph = hashlib.sha256(to_json(model.graph).encode()).hexdigest()
        own = {"graph": graph, "seed": model.seed, "dtype": str(model.dtype), "trials": model.trials}
        own |= {"optimizer": sorted(slots)}
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

    def noted(self, stop: bool) -> None:
        """See `Alone.noted`."""
        self.stop = stop

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
                f"rank {self.rank} of {self.count} has lost another rank, and ends; what was saved last can be gone on "
                f"with: fit(resume=True), or the same command again ({str(error).splitlines()[0]})"
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


def ranks(patience: timedelta | None = None) -> Alone:
    """This process among those that work together: of the process group that is there, of one that ``torchrun`` asks
    for, or alone. `patience`: how long it waits for another one; by default as long as `torch.distributed` does. Raises
    BlocksError where ``torchrun`` asks for a group and PyTorch is not installed."""
    distributed: Any = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        asked = os.environ.get("WORLD_SIZE", "1")
        if not asked.isdigit() or int(asked) < 2 or not {"RANK", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys():
            return Alone()
        distributed = needed("torch.distributed", f"training by {asked} processes")
        distributed.init_process_group("gloo", timeout=patience)
        atexit.register(_leave, distributed.destroy_process_group)
    return Ranks(TorchGroup(distributed)) if distributed.get_world_size() > 1 else Alone()


def _leave(leave: Callable[[], None]) -> None:
    with suppress(Exception):  # the process ends, and another rank may have gone before
        leave()
