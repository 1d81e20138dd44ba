"""The loss and the metrics of all of some data, as if it were one batch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..arguments import checked
from ..errors import FeedError, NonFiniteError
from ..graph import Node
from .pieces import pieces, time_of_chunks
from .purposes import LOSS, Purpose
from .sources import datasets, is_listed
from .terms import Tally
from .trainable import Trainable


@checked
def evaluate(
    model: Trainable,
    data: Any,
    batch_size: int = 256,
    chunk: int | None = None,
    metrics: Mapping[str, Node] | None = None,
) -> Any:
    """The loss of all the data, as if it were one batch: each of its means is over all that it counts
    (steps that a mask admits, samples, weights), whatever the batch size, the chunk and the padding. A number; with
    trials an array ``(trials,)``, in which NaN and infinity are left. With `metrics`, name → wire of one number, a
    dict: "loss" and each of them, counted likewise.

    `data` is a dict as that of `fit`, or a sequence of such dicts. `chunk` runs long sequences in pieces of so many
    steps, states carried over. Raises FeedError for data that does not fit, or of which the mask leaves nothing,
    and BlocksError naming the node for a loss or a network that needs whole sequences, where they come in chunks.
    """
    purpose = Purpose("loss", tuple((metrics or {}).items()))
    numbers = evaluated(model, data, batch_size, chunk, purpose)
    return numbers if metrics else numbers[LOSS]


def evaluated(model: Trainable, data: Any, batch_size: int, chunk: int | None, purpose: Purpose) -> dict[str, Any]:
    """The loss and the metrics of a purpose over some data; see `evaluate`."""
    known = model.terms(time_of_chunks(model, LOSS, chunk), purpose.called("loss"))
    tallies, fixed = [Tally(terms, model.run_once) for terms in known], dict[str, Any]()
    running = purpose.called("evaluate" if chunk is None else "evaluate in chunks")
    several = is_listed(data) and len(data) > 1
    for prepared in datasets(model.inputs_of(purpose.called("loss")), data, batch_size):
        fixed |= {k: v for k, v in prepared.values.items() if "batch" not in prepared.nodes[k].shape}
        for terms in known:
            terms.pieces_fit(several or prepared.samples > batch_size)
        for piece in pieces(model, running, prepared, batch_size, chunk):
            for tally in tallies:
                tally.add(piece.results, piece.feeds, piece.last)
    if tallies[0].totals.nothing():
        raise FeedError("the mask masks everything: there is nothing to evaluate")
    return numbers_over(model, tallies[0], tallies[1], fixed)


def numbers_over(model: Trainable, loss: Tally, metrics: Tally, fixed: Mapping[str, Any]) -> dict[str, Any]:
    """The loss and the metrics of all pieces of the data, given what has no batch; of each trial, where NaN and
    infinity are left in. A metric that has nothing to count is NaN."""
    numbers = loss.numbers(fixed)
    if model.trials is None and not math.isfinite(numbers[LOSS]):
        raise NonFiniteError(f"the loss over all data is not finite: it is {float(numbers[LOSS])}")
    measured = metrics.numbers(fixed)
    if metrics.totals.nothing():
        measured = {name: np.full_like(value, np.nan) for name, value in measured.items()}
    return {k: float(v) if model.trials is None else v for k, v in {**numbers, **measured}.items()}
