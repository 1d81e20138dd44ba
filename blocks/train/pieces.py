"""A run over all of some data: batch by batch, and the steps of a batch in pieces, states carried over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import BlocksError
from .data import Data
from .inputs import Arrays, is_whole
from .purposes import FINAL, Purpose, within
from .terms import check_causal
from .trainable import Trainable
from .truncated import carried_states, slice_time, windows


@dataclass(frozen=True)
class Piece:
    """What a run of some steps of a batch gave, what the whole batch was fed, and whether the batch begins and ends
    with them."""

    results: Arrays
    feeds: Arrays
    first: bool
    last: bool

    def finals(self) -> Arrays:
        """The states behind it."""
        return within(self.results, FINAL)


def time_of_chunks(model: Trainable, purpose: str, chunk: int | None) -> str | None:
    """The dimension that chunks cut. Raises BlocksError for a model that cannot run in chunks."""
    if chunk is None:
        return None
    if not is_whole(chunk) or chunk < 1:
        raise BlocksError(f"a chunk is a number of steps from 1, not {chunk!r}")
    carried_states(model.graph_for(purpose), strict=True)
    check_causal(model.graph_for(purpose), model.time())
    return model.time()


def pieces(model: Trainable, purpose: Purpose | str, data: Data, batch_size: int, chunk: int | None) -> Iterator[Piece]:
    """The results of each batch, in pieces of `chunk` steps."""
    if not is_whole(batch_size) or batch_size < 1:
        raise BlocksError(f"batch_size must be a whole number from 1, not {batch_size!r}")
    for index, feeds in data.batches(batch_size):
        if chunk is None:
            yield Piece(model.execute(purpose, feeds), feeds, first=True, last=True)
            continue
        time = model.time()
        states: Arrays = {}
        steps = data.steps_of(index, time)
        for window in windows(steps, chunk, chunk):
            part = slice_time(model.graph, feeds, time, window.start, window.stop)
            results = model.execute(purpose, {**part, **states})
            piece = Piece(results, feeds, window.start == 0, window.stop == steps)
            states = piece.finals()
            yield piece
