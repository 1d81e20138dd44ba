"""Optimizers: how weights move, given their gradients. Each is a few lines of the package's own operations.

So a rule is written once, as a graph: `fit` compiles it over all weights as one vector (see `update`), and `learner`
makes it a part of a cell, where it is drawn, scanned and differentiated.

An optimizer has no state of its own. Its *slots* (momentum, second moments) are one value per weight, kept and saved by
the model beside the weights, so that a resumed run has the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ..arguments import checked
from ..errors import BlocksError, made, nearest
from ..graph import Graph, Node
from ..interpret import run
from ..ops.elementwise import expm1, log, maximum, sqrt
from ..ops.leaves import make_input
from .inputs import Arrays
from .schedules import SCHEDULES, Schedule, plateau
from .update import TINY, VECTOR, Factor, Update, check_clip, norm_of, scale_to
from .vector import Vector


@dataclass(frozen=True)
class Optimizer:
    """What all optimizers have in common: a learning rate, or a schedule from the step to it.

    One of your own is a subclass that says how weights `change`, and what its `slot_names` are:

        @dataclass(frozen=True)
        class SignSGD(Optimizer):
            def change(self, w, g, slots, lr, t, decays):
                return lr * bk.sign(g), ()

    Each setting is a number; for a `learner` it may be a wire of one, ``SGD(bk.parameter("lr", init=0.1))``.

    All of them take two ways of weight decay, by name, which spare biases and gains:

    l2: λ w is added to the gradient, behind its limit: that of the penalty ½ λ Σ w².
    decoupled: w is pulled by lr · λ · w beside what the gradient does (Loshchilov and Hutter 2019).
    """

    lr: float | Schedule | Node = 0.01
    l2: float | Node = field(default=0.0, kw_only=True)
    decoupled: float | Node = field(default=0.0, kw_only=True)
    below_one: ClassVar[tuple[str, ...]] = ()  # settings that are weights of an average

    def __post_init__(self) -> None:
        for name, value in self.__dict__.items():
            if isinstance(value, np.number):
                object.__setattr__(self, name, value := value.item())
            if isinstance(value, Node):
                if value.shape != () or value.dtype != "float":
                    raise BlocksError(f"{type(self).__name__}: {name} is one number, not {made(value)}")
                continue
            number = isinstance(value, int | float) and np.isfinite(value) and value >= 0
            if not number and not (name == "lr" and callable(value)):
                raise BlocksError(f"{type(self).__name__}: {name} must be a number from 0, not {value!r}")
            if name in self.below_one and value >= 1:
                raise BlocksError(f"{type(self).__name__}: {name} must be below 1, not {value!r}")

    @property
    def slot_names(self) -> tuple[str, ...]:
        """What is kept for each weight from update to update; zero before the first."""
        return ()

    def change(
        self, w: Node, g: Node, slots: Sequence[Node], lr: Factor, t: Node, decays: Factor
    ) -> tuple[Node, Sequence[Node]]:
        """What to subtract from a weight, and its new slots, as wires of the weight's shape.

        w, g and `slots`, in the order of `slot_names`, are such wires; lr is a number or a wire of one; t, a wire of
        one, counts updates from 1; `decays` is 1 for weights that decay and 0 for others.
        """
        raise BlocksError(f"{type(self).__name__} does not say how weights change")

    def moved(
        self, w: Node, g: Node, slots: Sequence[Node], lr: Factor, t: Node, decays: Factor
    ) -> tuple[Node, Sequence[Node]]:
        """As `change`, with weight decay."""
        g = g if _is_zero(self.l2) else g + self.l2 * decays * w
        change, after = self.change(w, g, slots, lr, t, decays)
        pull = self.pull
        return change if _is_zero(pull) else change + lr * pull * decays * w, after

    @property
    def pull(self) -> float | Node:
        """The decoupled decay."""
        return self.decoupled

    # -- on arrays

    def slots(self, weights: Mapping[str, np.ndarray]) -> Arrays:
        """Fresh slots: ``slot/weight`` → zeros."""
        return {f"{slot}/{name}": np.zeros_like(w) for slot in self.slot_names for name, w in weights.items()}

    def update(
        self, weights: Arrays, gradients: Mapping[str, np.ndarray], slots: Arrays, step: int
    ) -> tuple[Arrays, Arrays]:
        """New weights and slots after update number `step`, counted from 0; the old ones stay as they are. It compiles
        the rule, as `fit` does once for all its updates."""
        update = Update(self, Vector.of(weights))
        for slot, vector in update.slots.items():
            vector.take(slots, f"{slot}/")
        update.take({f"grad/{name}": g for name, g in gradients.items()})
        update.propose(step, self.rate(step))
        update.accept()
        new = {f"{slot}/{name}": view for slot, vector in update.slots.items() for name, view in vector.items()}
        return dict(update.weights), new

    # -- the learning rate

    def check_rates(self, first: int, last: int) -> None:
        """Raises BlocksError for a schedule that gives something else than a number from 0: at one of the first
        updates, at the last, or at some between."""
        stride = max(1, (last - first) // 1000)
        for step in (*range(first, min(last, first + 100)), *range(first, last, stride), max(first, last - 1)):
            self.rate(step)

    def rate(self, step: int, scale: float = 1.0) -> float:
        """The learning rate at an update, counted from 0; `scale` is what a plateau has made of it. Raises BlocksError
        if the schedule gives none."""
        rate = self.lr(step) if callable(self.lr) else self.lr
        if isinstance(self.lr, plateau):
            rate = max(rate * scale, self.lr.least)
        if not isinstance(rate, int | float | np.number) or not math.isfinite(rate) or rate < 0:
            raise BlocksError(f"{type(self).__name__}: the schedule of lr gives {rate!r} at update {step}")
        return float(rate)

    def rate_at(self, step: Node) -> Factor:
        """The learning rate at an update, a wire that counts them from 0, as a wire, or as a number where it stays the
        same. Raises BlocksError for a schedule that is not made of operations."""
        if not callable(self.lr):
            return self.lr
        if isinstance(self.lr, plateau):
            raise BlocksError("a plateau watches the epochs of fit; a learner has none")
        try:
            rate = self.lr(step)
        except (TypeError, AttributeError) as error:
            raise BlocksError(
                f"{type(self).__name__}: the schedule of lr takes numbers alone ({error}); where the number of the "
                "update is a wire, make it of operations: bk.where, bk.minimum, +, *, …"
            ) from None
        if not isinstance(rate, Node | int | float | np.number) or (isinstance(rate, Node) and rate.shape != ()):
            raise BlocksError(f"{type(self).__name__}: the schedule of lr gives {rate!r}, not one number")
        return rate if isinstance(rate, Node) else float(rate)


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent: v = momentum · v + g; w = w - lr · v. With `nesterov`, w = w - lr · (g + momentum · v).

    (Polyak 1964; Nesterov 1983 in the form of Sutskever et al. 2013.)
    """

    lr: float | Schedule | Node = 0.1
    momentum: float | Node = 0.0
    nesterov: bool = False

    @property
    def slot_names(self) -> tuple[str, ...]:
        """The momentum v, where there is any."""
        return () if _is_zero(self.momentum) else ("momentum",)

    def change(
        self, w: Node, g: Node, slots: Sequence[Node], lr: Factor, t: Node, decays: Factor
    ) -> tuple[Node, Sequence[Node]]:
        """See the class."""
        if not slots:
            return lr * g, ()
        v = self.momentum * slots[0] + g
        return lr * (g + self.momentum * v if self.nesterov else v), (v,)


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """s = decay · s + (1 - decay) · g²; w = w - lr · g / (√s + epsilon) (Tieleman and Hinton 2012)."""

    lr: float | Schedule | Node = 1e-3
    decay: float | Node = 0.9
    epsilon: float | Node = 1e-7
    below_one = ("decay",)

    @property
    def slot_names(self) -> tuple[str, ...]:
        """The mean square s."""
        return ("square",)

    def change(
        self, w: Node, g: Node, slots: Sequence[Node], lr: Factor, t: Node, decays: Factor
    ) -> tuple[Node, Sequence[Node]]:
        """See the class."""
        s = self.decay * slots[0] + (1 - self.decay) * g * g
        return lr * g / (root(s) + self.epsilon), (s,)


@dataclass(frozen=True)
class Adam(Optimizer):
    """m = β₁ m + (1 - β₁) g; v = β₂ v + (1 - β₂) g²; w = w - lr · m̂ / (√v̂ + epsilon), with
    m̂ = m / (1 - β₁ᵗ), v̂ = v / (1 - β₂ᵗ) (Kingma and Ba 2015, algorithm 1)."""

    lr: float | Schedule | Node = 1e-3
    beta1: float | Node = 0.9
    beta2: float | Node = 0.999
    epsilon: float | Node = 1e-8
    below_one = ("beta1", "beta2")

    @property
    def slot_names(self) -> tuple[str, ...]:
        """The mean m and the mean square v."""
        return ("mean", "square")

    def change(
        self, w: Node, g: Node, slots: Sequence[Node], lr: Factor, t: Node, decays: Factor
    ) -> tuple[Node, Sequence[Node]]:
        """See the class."""
        m = self.beta1 * slots[0] + (1 - self.beta1) * g
        v = self.beta2 * slots[1] + (1 - self.beta2) * g * g
        m_hat, v_hat = m / weight_so_far(self.beta1, t), v / weight_so_far(self.beta2, t)
        return lr * m_hat / (root(v_hat) + self.epsilon), (m, v)


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with weight decay beside the gradient: w = w - lr · (Adam's step + decay · w) (Loshchilov and
    Hutter 2019, algorithm 2). Biases do not decay."""

    decay: float | Node = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        if not _is_zero(self.decoupled):
            raise BlocksError(f"AdamW: its decoupled decay is decay={self.decoupled!r}")

    @property
    def pull(self) -> float | Node:
        """The decoupled decay."""
        return self.decay


def _is_zero(setting: float | Node) -> bool:
    return not isinstance(setting, Node) and setting == 0


def root(square: Node) -> Node:
    """√ of a mean square. Where that is 0 its slope is 0, not infinite: there the gradient is 0 too, and so is what is
    divided, and a gradient through the update would be NaN."""
    return sqrt(maximum(square, TINY))


def weight_so_far(beta: float | Node, t: Node) -> Node:
    """1 - βᵗ, the sum of the weights of an average that began with 0, t updates ago: exact in float32, where βᵗ is
    nearly 1."""
    return -expm1(t * (log(beta) if isinstance(beta, Node) else math.log(max(beta, 1e-300))))


OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": SGD, "rmsprop": RMSprop, "adam": Adam, "adamw": AdamW}


def optimizer_named(optimizer: Optimizer | str) -> Optimizer:
    """An optimizer as it is, or one by name with its usual settings. Raises BlocksError for an unknown one."""
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, str) and optimizer.lower() in OPTIMIZERS:
        return OPTIMIZERS[optimizer.lower()]()
    raise BlocksError(
        f"unknown optimizer {optimizer!r}{nearest(str(optimizer).lower(), OPTIMIZERS)}; "
        f"there are {', '.join(OPTIMIZERS)}, or an object like Adam(1e-3)"
    )


def plain(setting: Any) -> Any:
    """A setting as a file can hold it: a number as it is, a schedule by its name, its settings and some rates."""
    if not callable(setting):
        return setting
    own = getattr(setting, "__dict__", {})
    return {
        "schedule": getattr(setting, "__qualname__", type(setting).__name__),
        "settings": {k: plain(v) for k, v in own.items() if isinstance(v, int | float | str) or callable(v)},
        "rates": [repr(float(setting(step))) for step in (0, 10, 1000)],
    }


def described(optimizer: Optimizer | dict[str, Any] | None) -> dict[str, Any] | None:
    """An optimizer as a file can hold it."""
    if not isinstance(optimizer, Optimizer):
        return optimizer
    return {"optimizer": type(optimizer).__name__, "settings": {k: plain(v) for k, v in vars(optimizer).items()}}


def from_description(description: dict[str, Any] | None) -> Optimizer | dict[str, Any] | None:
    """The optimizer that was described, if it is one of the package's with one of its schedules; else the description.
    Raises KeyError, TypeError for what is none."""
    if description is None:
        return None
    kinds = {kind.__name__: kind for kind in OPTIMIZERS.values()}
    try:
        settings = {str(k): _setting(v) for k, v in description["settings"].items()}
        made = kinds[description["optimizer"]](**settings)
    except (BlocksError, KeyError, TypeError):
        made = None
    same = made is not None and described(made) == description
    return made if same else {"optimizer": str(description["optimizer"]), "settings": dict(description["settings"])}


def _setting(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return SCHEDULES[value["schedule"]](**{str(k): _setting(v) for k, v in value["settings"].items()})


@checked
def clip_by_norm(gradients: Mapping[str, np.ndarray], limit: float) -> tuple[Arrays, float]:
    """Gradients scaled down together, and the norm that they had: ``{"w": (n, m), …}`` → arrays of the same shapes,
    whose norm, that of all together, is at most `limit`; for a loop of one's own, `fit` has ``clip=``.

    The squares of what is finite do not overflow. Raises BlocksError for a limit that is no positive number.

    Source: Pascanu, Mikolov and Bengio 2013, algorithm 1.
    """
    most = check_clip(limit)
    if most is None:
        raise BlocksError("clip_by_norm takes a limit, a positive number, not None")
    vector = Vector.of(gradients)
    gradient = make_input("gradient", VECTOR, "float", role="input")
    norm = norm_of(gradient)
    found = run(Graph({"clipped": gradient * scale_to(most, norm), "norm": norm}), {"gradient": vector.all})
    return dict(vector.like(found["clipped"])), float(found["norm"])
