"""The outputs of a model for some data, as a user has them: the batch first, sequences as long as they were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..arguments import checked
from ..errors import BlocksError
from ..graph import Shape
from .data import Data
from .masks import mask_inputs
from .outputs import batch_first, joined
from .pieces import pieces, time_of_chunks
from .purposes import FINAL, within
from .terms import looks_back_only
from .trainable import Trainable


@checked
def predict(
    model: Trainable,
    data: Mapping[str, Any],
    batch_size: int = 256,
    chunk: int | None = None,
    final: bool = False,
) -> Any:
    """The outputs for some inputs: an array ``(batch, time, features)``, or a dict of them where the
    model names several; for sequences of unequal length, a list of arrays. With trials, an array ``(trials,
    batch, time, features)``, or a list of what each trial has.

    States start at zero, or where `data` has them under their names; with `final` the last states are
    returned too, as a dict that can be handed in again. So draws are their expectation, or what `data` has under
    their names, of each sample. Data for the loss alone is not needed.
    Raises FeedError for data that does not fit.
    """
    graph = model.graph_for("predict")
    # what follows a sequence's end is cut off, and a cell that looks back does not see it
    causal = bool(mask_inputs(model.graph)) and not final and looks_back_only(graph)
    size = 1 if causal else batch_size
    prepared = Data(model.inputs_of("predict"), data, size)
    shapes = graph.inputs
    alone = [k for k in within(graph.outputs, FINAL) if "batch" not in shapes[k]]
    if final and alone and prepared.samples > batch_size:
        raise BlocksError(f"the state {alone[0]!r} is one for all sequences: its last value needs one batch of all")
    parts: dict[str, list[list[np.ndarray]]] = {}
    finals: dict[str, list[np.ndarray]] = {}
    time = time_of_chunks(model, "predict", chunk) or ""
    for piece in pieces(model, "predict", prepared, batch_size, chunk):
        for name in model.outputs:
            batches = parts.setdefault(name, [])
            joins = not piece.first and time in graph.outputs[name].shape
            part = piece.results[name]
            batches[-1:] = [[*batches[-1], part]] if joins else [*batches[-1:], [part]]
            if not piece.first and not joins:
                batches[-2:] = [batches[-1]]
        for name, state in piece.finals().items():
            known = finals.setdefault(name, [])
            known[len(known) if piece.first else len(known) - 1 :] = [state]
    outputs = {k: _handed_out(model, found, graph.outputs[k].shape, time, prepared) for k, found in parts.items()}
    result = outputs[model.outputs[0]] if len(outputs) == 1 else outputs
    more = 0 if model.trials is None else 1
    states = {k: v[-1] if k in alone else joined(v, shapes[k].index("batch") + more) for k, v in finals.items()}
    return (result, states) if final else result


def _handed_out(model: Trainable, batches: list[list[np.ndarray]], shape: Shape, time: str, data: Data) -> Any:
    """An output as `predict` gives it."""
    if model.trials is None:
        return batch_first(batches, shape, time, data)
    trials = [[[part[r] for part in parts] for parts in batches] for r in range(model.trials)]
    rows = [batch_first(of_one, shape, time, data) for of_one in trials]
    return rows if isinstance(rows[0], list) else np.stack(rows)
