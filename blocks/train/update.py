"""One update of all weights, as a graph over one vector of them: the norm of the gradient, its limit, the rule.

    weights, gradient, slots, lr, step, decays   →   new weights, new slots, norm

The rule of an optimizer goes number by number, so it takes no more calls for all weights than for one. Of several
trials each is a row, with a norm, a learning rate and a number of the update of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ..compile import NUMPY, compile
from ..errors import BlocksError
from ..graph import Graph, Node
from ..ops.elementwise import TRIALS, abs_, maximum, sqrt, stop_gradient
from ..ops.leaves import make_input
from ..ops.shape import max_, sum_
from .inputs import Arrays, is_number
from .vector import Vector

Factor = float | Node  # what a weight's change is multiplied by
VECTOR = ("weights",)  # the shape of all weights together
SLOT, GRAD = "slot/", "grad/"
TINY = float(np.finfo(np.float32).tiny)


class Rule(Protocol):
    """What an update asks of an optimizer; see `optimizers.Optimizer`."""

    @property
    def slot_names(self) -> tuple[str, ...]:
        """What is kept for each weight."""

    def moved(
        self, w: Node, g: Node, slots: Sequence[Node], lr: Factor, t: Node, decays: Factor
    ) -> tuple[Node, Sequence[Node]]:
        """What to subtract from the weights, their decay with it, and their new slots."""


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
    change, after = optimizer.moved(w, g, tuple(slots.values()), lr, step + 1.0, decaying)
    new = {SLOT + n: node for n, node in zip(slots, after, strict=True)}
    return Graph({"weights": w - change, **new, "norm": norm})


def check_plain(optimizer: Rule) -> None:
    """Raises BlocksError for an optimizer that has a wire for a setting, which a learner takes."""
    wires = [name for name, value in vars(optimizer).items() if isinstance(value, Node)]
    if wires:
        raise BlocksError(f"{type(optimizer).__name__}: {wires[0]} is a wire, for a learner; here it is a number")


class Update:
    """The updates of some weights, compiled: proposed first, and accepted once their norm is known.

    Attributes: weights; gradient, of the last update; slots, slot → as the weights; program, the `Program`, whose
    `source` is what runs. Of several trials each has a norm, and may have a rate and a number of the update of its own.

    `slots` that are given are gone on with; weights that are `frozen` stay as they are; what is in `gradient`, if it is
    given, is that of the next update. `target`: what computes it. Raises BlocksError for an optimizer that has a wire
    for a setting, which a learner takes.
    """

    def __init__(
        self,
        optimizer: Rule,
        weights: Vector,
        clip: float | None = None,
        slots: Mapping[str, Vector] | None = None,
        frozen: Collection[str] = (),
        gradient: Vector | None = None,
        target: str = NUMPY.name,
    ):
        check_plain(optimizer)
        self.weights, self.gradient = weights, weights.like() if gradient is None else gradient
        self.slots = {slot: weights.like() for slot in optimizer.slot_names} if slots is None else slots
        decaying, move = weights.like(), weights.like()
        for name, view in decaying.items():
            view[...] = decays(name)
            move[name][...] = name not in frozen
        self.move = move.all != 0 if frozen else None
        lead, dtype = weights.all.shape[:-1], weights.all.dtype
        self.program = compile(update_graph(optimizer, clip, (TRIALS,) if lead else ()), target=target)
        feeds = {
            "weights": weights.all,
            "gradient": self.gradient.all,
            **{SLOT + slot: vector.all for slot, vector in self.slots.items()},
            "decays": decaying.all,
            "lr": np.zeros(lead, dtype),
            "step": np.zeros(lead, dtype),
        }
        self.call = self.program.bound({n: array for n, array in feeds.items() if n in self.program.graph.inputs})
        self.written = [(weights.all, "weights"), *((v.all, SLOT + slot) for slot, v in self.slots.items())]
        self.lr, self.step = feeds["lr"], feeds["step"]
        self.new: Arrays = {}

    def take(self, gradients: Mapping[str, np.ndarray]) -> None:
        """Take gradients, ``grad/weight`` → array; those that are not given are as they were, 0 at first."""
        for name, view in self.gradient.views.items():
            if GRAD + name in gradients:
                view[...] = gradients[GRAD + name]

    def propose(self, step: Any, lr: Any) -> np.ndarray:
        """The norm of the gradient under which the weights would move in update number `step`, counted from 0, at a
        learning rate."""
        self.lr[...], self.step[...] = lr, step
        self.new = self.call() if self.weights else {"norm": np.zeros(self.lr.shape)}
        return self.new["norm"]

    def accept(self, moving: np.ndarray | bool = True) -> None:
        """Write the new weights and slots over the old ones; of those trials that are `moving`."""
        if not self.weights:
            return
        where: Any = True if self.weights.trials is None else np.asarray(moving)[..., None]
        where = where if self.move is None else self.move & where
        for old, name in self.written:
            if where is True:
                old[...] = self.new[name]
            else:
                np.copyto(old, self.new[name], where=where)
