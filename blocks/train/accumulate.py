"""One update from several batches: the gradient of their loss as if they were one batch.

A loss is an expression over terms, L = f(T₁, T₂, …; W), and the term of all batches is the mean of those of each,
weighed by what they count, or their sum (see `terms`). So

    ∂L/∂W = Σᵢ ∂f/∂Tᵢ · Σ_b (n_ib / Nᵢ) ∂T_ib/∂W  +  ∂f/∂W

Each batch gives the gradients of its terms; ∂f is taken at the end, where all terms are known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..errors import BlocksError, made
from ..grad import grad
from ..graph import Graph
from .inputs import Arrays
from .purposes import LOSS, METRIC, TERM_GRAD, measured
from .terms import Terms, Totals, numbers_of

Run = Callable[[Graph, Mapping[str, Any]], Arrays]


def check_accumulated(terms: Terms) -> None:
    """Raises BlocksError, naming the node, for a loss of which the gradient cannot be put together from batches."""
    for node, join in zip(terms.nodes, terms.joins, strict=True):
        if join not in ("average", "add") or node.shape:
            raise BlocksError(
                f"accumulate= adds up means and sums over batches; {made(node)} is neither, or is more than one number"
            )


class Gathered:
    """The results of the batches of one update. `run` computes a graph of the model once."""

    def __init__(self, graph: Graph, run: Run):
        self.loss, self.metrics = measured(graph)
        self.run = run
        self.totals, self.measured = Totals(self.loss.joins), Totals(self.metrics.joins, self.metrics.prefix)
        self.gradients: Arrays = {}
        assert self.loss.rest is not None
        rest = self.loss.rest
        self.outer = grad(rest, of=LOSS, wrt=[n for n in rest.inputs if n.startswith("term/")] + list(rest.params))

    def add(self, results: Mapping[str, np.ndarray]) -> None:
        """The results of one batch more."""
        self.totals.add(results)
        self.measured.add(results)
        for name, value in results.items():
            if not name.startswith(TERM_GRAD):
                continue
            i = int(name.split("/")[1])
            wide = np.asarray(value, np.float64)
            if self.loss.joins[i] == "average":
                wide = wide * _beside(results[f"count/{i}"], wide)
            self.gradients[name] = self.gradients[name] + wide if name in self.gradients else wide

    def results(self, fixed: Mapping[str, Any]) -> Arrays:
        """What one batch of all of them gives, where nothing has no batch but what is `fixed`."""
        outer = self.run(self.outer, {**fixed, **self.totals.feeds("term")})
        found: Arrays = {LOSS: outer[LOSS]}
        for of, totals in ((self.loss, self.totals), (self.metrics, self.measured)):
            for i, (value, count) in totals.known.items():
                found |= {f"{of.prefix}value/{i}": value, f"{of.prefix}count/{i}": np.asarray(count)}
        found |= {METRIC + k: v for k, v in numbers_of(self.metrics, self.measured, fixed, self.run).items()}
        gradients = {k: v for k, v in outer.items() if k.startswith("grad/") and not k.startswith("grad/term/")}
        for name, value in self.gradients.items():
            _, term, weight = name.split("/", 2)
            slope = outer[f"grad/term/{term}"]
            if self.loss.joins[int(term)] == "average":
                count = np.asarray(self.totals.known[int(term)][1])
                slope = slope / np.where(count == 0, 1.0, count)
            part = value * _beside(slope, value)
            known = gradients.get(f"grad/{weight}")
            gradients[f"grad/{weight}"] = part if known is None else known + part
        return found | gradients


def _beside(number: Any, array: np.ndarray) -> np.ndarray:
    """A number, or one of each trial, to multiply an array with."""
    number = np.asarray(number, np.float64)
    return number.reshape(number.shape + (1,) * (array.ndim - number.ndim))
