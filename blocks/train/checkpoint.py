"""Where the training of a model stood, read from its file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import BlocksError
from ..files import ModelFileError
from .files import read_model
from .history import History
from .inputs import Arrays
from .state import Training
from .trainable import Trainable
from .vector import Vector


def checkpoint_of(model: Trainable, path: str | os.PathLike[str]) -> tuple[Training, History, Arrays]:
    """Where the training of a model stood, its history and its weights. Raises ModelFileError if the file is no
    checkpoint of this model."""
    graph, arrays, meta = read_model(path)
    name = os.fspath(path)
    same = meta.get("seed") == model.seed and meta.get("trials") == model.trials
    if graph.params != model.graph.params or not same:
        raise ModelFileError(f"{name}: this is a checkpoint of another model")
    if str(meta.get("dtype")) != str(model.dtype):
        raise ModelFileError(f"{name}: this checkpoint is {meta.get('dtype')}, the model {model.dtype}")
    training, history = read_training(name, arrays, meta, model.weights)
    if training is None:
        raise ModelFileError(f"{name}: this is a model, but no checkpoint: it does not say where training stood")
    return training, history, {k: arrays[k] for k in model.weights}


def read_training(
    name: str, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any], weights: Vector
) -> tuple[Training | None, History]:
    """Where the training of a model in a file stands, and its history; None, where the file does not say. Raises
    ModelFileError, naming the file, for what is broken."""
    training = meta.get("training")
    if not isinstance(training, dict) or "call" not in training:
        return None, History()
    try:
        stands = Training.read(arrays, training, weights)
        history = History(ended={r: c.ended for r, c in enumerate(stands.at.courses) if c.ended})
        history.read(training["steps"], training["epochs"])
    except (BlocksError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{name}: this checkpoint is broken ({error})") from None
    return stands, history
