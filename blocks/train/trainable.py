"""What training asks of a model, so that it need not know how one is made."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from ..graph import Graph
from .history import History
from .inputs import Arrays, Inputs
from .purposes import Purpose
from .shares import Shares
from .state import Training
from .terms import Terms
from .trials import Number
from .vector import Vector


class Trainable(Protocol):
    """What training asks of a model."""

    graph: Graph
    info: dict[str, Any]
    history: History
    seed: int
    dtype: np.dtype
    trials: int | None
    target: str
    outputs: tuple[str, ...]
    checkpoint: Any
    training: Training | None

    @property
    def weights(self) -> Vector:
        """Name → array."""

    def graph_for(self, purpose: Purpose | str) -> Graph:
        """The graph of one purpose, "train" say."""

    def execute(self, purpose: Purpose | str, feeds: Mapping[str, Any], step: Number | None = None) -> Arrays:
        """Run it, and see that all is finite."""

    def results(self, purpose: Purpose | str, feeds: Mapping[str, Any], step: Number | None = None) -> Arrays:
        """Run it."""

    def gradient_for(self, purpose: Purpose | str) -> Vector:
        """What its gradients are written into."""

    def why_not_finite(
        self,
        purpose: Purpose | str,
        feeds: Mapping[str, Any],
        results: Arrays,
        step: Number | None = None,
        trial: int | None = None,
    ) -> str:
        """What is not, and where."""

    def shares_for(self, purpose: Purpose | str) -> Shares:
        """What a part of an update is computed by."""

    def runs_on(self, purpose: Purpose | str) -> str:
        """The target of that graph."""

    def prepare(self, purpose: Purpose | str) -> None:
        """Compile what runs it."""

    def time(self) -> str:
        """The name of the time dimension."""

    def inputs_of(self, purpose: Purpose | str) -> Inputs:
        """What that graph takes."""

    def terms(self, time: str | None = None, purpose: Purpose | str = "loss") -> tuple[Terms, Terms]:
        """What the loss counts, and what the metrics do."""

    def run_once(self, graph: Graph, feeds: Mapping[str, Any]) -> Arrays:
        """Run any graph of its weights."""

    def save(self, path: str | os.PathLike[str], training: bool = True) -> None:
        """Write the model to a file, and where its training stands."""
