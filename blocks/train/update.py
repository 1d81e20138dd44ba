"""One update of all weights, as a graph over one vector of them: the norm of the gradient, its limit, the rule.

    weights, gradient, slots, lr, step, decays   →   new weights, new slots, norm

The rule of an optimizer goes number by number, so it takes no more calls for all weights than for one. Of several
trials each is a row, with a norm, a learning rate and a number of the update of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ..compile import compile
from ..errors import BlocksError
from ..graph import Graph, Node, Wire
from ..ops.elementwise import TRIALS, abs_, maximum, sqrt, stop_gradient
from ..ops.leaves import make_input
from ..ops.shape import max_, sum_
from .data import Arrays, is_number
from .trials import each

VECTOR = ("weights",)  # the shape of all weights together
SLOT = "slot/"
TINY = float(np.finfo(np.float32).tiny)


class Rule(Protocol):
    """What an update asks of an optimizer; see `optimizers.Optimizer`."""

    @property
    def slot_names(self) -> tuple[str, ...]:
        """What is kept for each weight."""

    def change(
        self, w: Node, g: Node, slots: Sequence[Node], lr: Wire, t: Node, decays: Wire
    ) -> tuple[Node, Sequence[Node]]:
        """What to subtract from the weights, and their new slots."""


def norm_of(gradient: Node) -> Node:
    """The Euclidean norm along the last axis: finite, where the numbers are, also if their squares are
    not, and not finite if a number is not."""
    largest = stop_gradient(max_(abs_(gradient), axis=-1))
    parts = gradient / maximum(largest, TINY)
    squares = sum_(parts * parts, axis=-1)  # from 1 on; or 0, where √ would have no slope
    return largest * sqrt(maximum(squares, 0.5))


def scale_to(limit: float, norm: Node) -> Node:
    """What scales a gradient down to a norm of at most `limit` (Pascanu et al. 2013, algorithm 1)."""
    return limit / maximum(norm, limit)


def check_clip(clip: Any) -> float | None:
    """A limit of the norm, or None, as it is. Raises BlocksError for anything else."""
    if clip is not None and not (is_number(clip) and clip > 0):
        raise BlocksError(f"clip must be a positive number or None, not {clip!r}")
    return None if clip is None else float(clip)


def decays(name: str) -> bool:
    """Whether weights of that name decay, where an optimizer has weight decay: biases, ``forget.b``, and gains,
    ``norm.gain``, do not. Their shape does not decide: a bias of several trials is a matrix."""
    return name.rpartition(".")[2] not in ("b", "gain")


def update_graph(optimizer: Rule, clip: float | None = None, trials: tuple[str, ...] = ()) -> Graph:
    """One update of a vector of weights; its inputs and outputs are those above, slots as ``slot/<name>``. `trials` are
    the dimensions in front of all."""
    shape = (*trials, *VECTOR)
    w, g, decaying = (make_input(k, shape, "float", role="input") for k in ("weights", "gradient", "decays"))
    lr, step = (make_input(k, trials, "float", role="input") for k in ("lr", "step"))
    slots = {n: make_input(SLOT + n, shape, "float", role="input") for n in optimizer.slot_names}
    norm = norm_of(g)
    if clip is not None:
        g = g * scale_to(clip, norm)
    change, after = optimizer.change(w, g, tuple(slots.values()), lr, step + 1.0, decaying)
    new = {SLOT + n: node for n, node in zip(slots, after, strict=True)}
    return Graph({"weights": w - change, **new, "norm": norm})


class Update:
    """One update of weights of known names and shapes, compiled. With `trials` all arrays lead with them, and so do
    norms.

    Attributes: program, the `Program`; its `source` is what runs.

    Raises BlocksError for an optimizer that has a wire for a setting, which a learner takes.
    """

    def __init__(
        self,
        optimizer: Rule,
        weights: Mapping[str, np.ndarray],
        clip: float | None = None,
        trials: int | None = None,
    ):
        wires = [name for name, value in vars(optimizer).items() if isinstance(value, Node)]
        if wires:
            raise BlocksError(f"{type(optimizer).__name__}: {wires[0]} is a wire, for a learner; here it is a number")
        self.shapes = {name: w.shape for name, w in weights.items()}
        self.lead = () if trials is None else (trials,)
        self.ends = np.cumsum([math.prod(w.shape[len(self.lead) :]) for w in weights.values()])
        self.names = optimizer.slot_names
        self.program = compile(update_graph(optimizer, clip, () if trials is None else (TRIALS,)))
        self.asked = set(self.program.graph.inputs)
        self.decays = {name: np.full(w.shape, decays(name), w.dtype) for name, w in weights.items()}

    def __call__(
        self,
        weights: Arrays,
        gradients: Mapping[str, np.ndarray],
        slots: Arrays,
        step: Any,
        lr: Any,
        moving: np.ndarray | bool = True,
    ) -> tuple[Arrays, Arrays, Any]:
        """New weights and slots, ``slot/weight`` → array, after update number `step`, counted from 0, at a learning
        rate, and the norm of the gradients; the old ones stay as they are. Trials may have numbers and rates of their
        own; those that are not `moving` keep what they have."""
        if not self.shapes:
            return {}, {}, 0.0
        dtype = next(iter(self.decays.values())).dtype
        feeds = {
            "weights": self.joined(weights),
            "gradient": self.joined(gradients),
            **{SLOT + slot: self.joined(slots, f"{slot}/") for slot in self.names},
            "decays": self.joined(self.decays),
            "lr": np.full(self.lead, lr, dtype),
            "step": np.full(self.lead, step, dtype),
        }
        new = self.program({k: v for k, v in feeds.items() if k in self.asked})
        if not np.all(moving):
            new |= {k: each(moving, v, feeds[k]) for k, v in new.items() if k != "norm"}
        return (
            self.parts(new["weights"]),
            {k: v for slot in self.names for k, v in self.parts(new[SLOT + slot], f"{slot}/").items()},
            new["norm"] if self.lead else float(new["norm"]),
        )

    def joined(self, arrays: Mapping[str, np.ndarray], prefix: str = "") -> np.ndarray:
        """Some arrays, one a weight, as one vector; of each trial."""
        return np.concatenate([arrays[prefix + name].reshape(*self.lead, -1) for name in self.shapes], axis=-1)

    def parts(self, vector: np.ndarray, prefix: str = "") -> Arrays:
        """What a vector was joined of."""
        cut = zip(self.shapes.items(), np.split(vector, self.ends[:-1], axis=-1), strict=True)
        return {prefix + name: part.reshape(shape) for (name, shape), part in cut}
