"""States that are handed on: from window to window of a batch (see `truncated`), and from batch to batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import BlocksError, FeedError
from ..graph import Graph
from .inputs import Arrays
from .masks import all_masked
from .purposes import FINAL, Purpose, within
from .sources import Batch
from .state import Training
from .terms import check_causal
from .trainable import Trainable
from .trials import Number
from .truncated import WINDOW, Window, carried_states, slice_time, windows


class Carry:
    """What a call of `fit` hands on, and where: at the ends of windows, of (k1, k2) steps of `tbptt`, if there are any,
    and of batches, if it is to `carry` states to the next ones.

    Raises BlocksError for a model whose states cannot be carried over.
    """

    training: Training  # where training stands

    def __init__(self, model: Trainable, purpose: Purpose, tbptt: tuple[int, int] | None, carry: bool):
        self.model, self.purpose, self.tbptt, self.carry = model, purpose, tbptt, carry
        self.needed = bool(tbptt or carry)
        self.time = model.time() if self.needed else ""
        if self.needed:
            carried_states(model.graph_for("loss"), strict=True)  # an error, if they cannot be
            check_causal(model.graph_for("loss"), self.time)

    @property
    def graph(self) -> Graph:
        """That of the updates."""
        return self.model.graph_for(self.purpose)

    def windows_of(self, batch: Batch) -> list[Window | None]:
        """The windows of a batch; None for all of its steps at once. Raises FeedError for a batch that has not as many
        sequences as the states that are carried to it."""
        for name, state in self.training.carried.get(0, {}).items():
            shape = self.model.graph.inputs.get(name, ())
            many = state.shape[shape.index("batch") + (self.model.trials is not None)] if "batch" in shape else 0
            if many and many != batch.index.shape[-1]:
                raise FeedError(
                    f"carry=True: the batch {self.training.at.batches} has {batch.index.shape[-1]} sequences, that "
                    f"before it {many}; states are carried from sequence to sequence"
                )
        if not self.tbptt:
            return [None]
        self._check_ends(batch)
        return list(windows(batch.steps(self.time), *self.tbptt))

    def _check_ends(self, batch: Batch) -> None:
        """Raises BlocksError for sequences of unequal length, of which each trial has others: the last k2 of k1 steps
        are counted from the end of a batch, which then is not where it is for a trial alone."""
        unequal = len(set(batch.data.lengths.get(self.time, np.empty(0)).tolist())) > 1
        if unequal and batch.index.ndim > 1 and self.tbptt and self.tbptt[1] < self.tbptt[0]:
            raise BlocksError(
                f"tbptt={self.tbptt} counts from the ends of sequences, which differ among the trials' batches: "
                "take k2 from k1 on, or shuffle=False"
            )

    def before(self, feeds: Arrays, window: Window | None, numbers: Number) -> tuple[Arrays, Any]:
        """What the update of a window is fed, states with it, of what the batch is; and whether the mask leaves
        something of the steps that count, or to which trials. Nothing is fed, where it leaves nothing."""
        if window is None:
            return ({**feeds, **self.states(0, feeds, numbers)} if self.carry else feeds), True
        idle = all_masked(self.graph, slice_time(self.graph, feeds, self.time, window.counts, window.stop))
        if idle.all():
            return {}, False
        states = self.states(window.start, feeds, numbers)
        fed = slice_time(self.graph, feeds, self.time, window.start, window.stop)
        if self.purpose.name == "windowed":
            counts = np.arange(window.start, window.stop) >= window.counts
            fed[WINDOW] = counts.astype(self.model.dtype)
        return {**fed, **states}, ~idle if idle.ndim else True

    def after(self, results: Arrays, window: Window | None) -> None:
        """Keep the states behind a window, of what its update has given."""
        start, stop = (window.start, window.stop) if window else (1, 0)
        kept = {t: s for t, s in self.training.carried.items() if t >= start}
        self.training.carried = kept | {stop: within(results, FINAL)}

    def states(self, start: int, feeds: Arrays, numbers: Number) -> Arrays:
        """The states before step `start`: as carried over, or run up to there from the last ones known."""
        carried = self.training.carried
        if start == 0:
            return carried.get(0, {})
        if start not in carried:
            known = max((t for t in carried if t <= start), default=0)
            graph = self.model.graph_for("advance")
            part = slice_time(graph, feeds, self.time, known, start)
            states = carried.get(known, {})
            if not all_masked(graph, part).all():
                results = self.model.execute("advance", {**part, **states}, numbers)
                states = within(results, FINAL)
            carried[start] = states
        return carried[start]

    def end_batch(self, batch: Batch, numbers: Number) -> None:
        """Keep the states behind a batch, if they go on to the next."""
        end = batch.steps(self.time) if self.carry and self.tbptt else 0
        self.training.carried = {0: self.states(end, batch.feeds, numbers)} if self.carry else {}
