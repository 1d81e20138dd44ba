"""The results of one update, put together from those of its parts: the rows of several processes, and several batches.

    batch 0   rows 0 … 10 │ rows 11 … 21     each process computes its rows of every batch;
    batch 1   rows 0 … 10 │ rows 11 … 21     the sum of what all give is what one batch of all rows gives
                rank 0    │    rank 1

What a part computes, so that the sum is the gradient over all rows, stands in `shares`. States are carried, and draws
made, for whole batches, so that another number of processes may go on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ..interpret import Run
from .purposes import FINAL, WATCH
from .shares import Shares, portion
from .terms import BATCH, Arrays
from .trials import Number

STOP = "stop"
Fed = tuple[Mapping[str, Any], Number]  # a batch, with the states before it, and the update that its draws are of


class Team(Protocol):
    """The processes that train one model: see `ranks`."""

    rank: int
    count: int
    stopping: list[Any]

    def sum(self, array: np.ndarray) -> None:
        """Add up an array over all of them, in place."""


@dataclass
class Part:
    """The rows of a batch that one process computes.

    Attributes: whole and sizes, what all rows are fed; own and here, what these are; here is None, where there are
    none; portions, how much they weigh in each term; found, what they gave; step, the number of the draws.
    """

    first: int
    end: int
    step: Number
    whole: Arrays
    sizes: Run
    own: Arrays
    here: Run | None
    portions: dict[str, Any] = field(default_factory=dict)
    found: Arrays = field(default_factory=dict)

    @classmethod
    def of(cls, shares: Shares, batch: Fed, team: Team) -> Part:
        """That of a process."""
        whole, sizes = shares.bind(*batch)
        size = sizes.dims.get(BATCH, 1)
        first, end = (size * rank // team.count for rank in (team.rank, team.rank + 1))
        own = {name: shares.rows(name, a, first, end) for name, a in whole.items()}
        here = Run({**sizes.dims, BATCH: end - first}, sizes.dtype) if end > first else None
        return cls(first, end, batch[1], whole, sizes, own, here)


def joint(shares: Shares, batches: Sequence[Fed], team: Team) -> tuple[Arrays, list[Part]]:
    """What the graph of an update gives over all rows of some batches, the same in all processes, and ``stop``, whether
    any is to stop; and the parts that this one computed. Of several batches it gives no final states, and nothing that
    is watched."""
    parts = [Part.of(shares, batch, team) for batch in batches]
    last = parts[-1]
    counts: Arrays = {}
    for part in parts:
        for name, value in shares.run("counts", part.whole, part.sizes).items():
            counts[name] = counts[name] + value if name in counts else np.asarray(value)
    terms = shares.empty("values" if not shares.fixed else "", last.sizes)
    for part in parts:
        part.portions = shares.portions(counts, shares.run("counts", part.own, part.here) if part.here else {})
        for name, value in (shares.run("values", part.own, part.here) if terms and part.here else {}).items():
            terms.views[name][...] += portion(part.portions[name], value)
    if terms:
        team.sum(terms.all)
    seeds = shares.seeds(terms, last.whole, last.sizes)
    beside = FINAL, WATCH
    joined = shares.empty("gradient", last.sizes, () if len(parts) == 1 else beside, **{STOP: ()})
    for part in parts:
        part.found = shares.gradient(part.own, seeds, part.portions, part.here) if part.here else {}
        for name, value in part.found.items():
            if name not in joined or (name.startswith(beside) and not shares.has_rows(name) and team.rank):
                continue  # what has no batch is the same in all ranks: it comes from the first
            view = shares.rows(name, joined.views[name], part.first, part.end)
            view[...] += portion(part.portions[name], value) if name in part.portions else value
    joined.views[STOP][...] = bool(team.stopping)
    team.sum(joined.all)
    results = {name: shares.typed(name, value) for name, value in joined.items()} | counts
    numbers = shares.numbers(results, last.whole, last.sizes)
    return results | {n: results[n] + v if n in results else v for n, v in numbers.items()}, parts
