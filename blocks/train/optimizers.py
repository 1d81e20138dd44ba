"""Optimizers: how weights move, given their gradients. Each is a few lines over dicts of arrays.

An optimizer has no state of its own. Its *slots* (momentum, second moments) are one array per weight
and slot, kept and saved by the model beside the weights, so that a resumed run has the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..errors import BlocksError, nearest

Arrays = dict[str, np.ndarray]
Schedule = Callable[[int], float]


@dataclass(frozen=True)
class Optimizer:
    """What all optimizers have in common: a learning rate, or a schedule from the step to it."""

    lr: float | Schedule = 0.01
    slot_names: ClassVar[tuple[str, ...]] = ()
    below_one: ClassVar[tuple[str, ...]] = ()  # settings that are weights of an average

    def __post_init__(self) -> None:
        for name, value in self.__dict__.items():
            if isinstance(value, np.number):
                object.__setattr__(self, name, value := value.item())
            number = isinstance(value, int | float) and np.isfinite(value) and value >= 0
            if not number and not (name == "lr" and callable(value)):
                raise BlocksError(f"{type(self).__name__}: {name} must be a number from 0, not {value!r}")
            if name in self.below_one and value >= 1:
                raise BlocksError(f"{type(self).__name__}: {name} must be below 1, not {value!r}")

    def check_rates(self, first: int, last: int) -> None:
        """Raises BlocksError for a schedule that gives something else than a number from 0: at one of the first
        updates, at the last, or at some between."""
        stride = max(1, (last - first) // 1000)
        for step in (*range(first, min(last, first + 100)), *range(first, last, stride), max(first, last - 1)):
            self.rate(step)

    def rate(self, step: int) -> float:
        """The learning rate at an update, counted from 0. Raises BlocksError if the schedule gives none."""
        if not callable(self.lr):
            return float(self.lr)
        rate = self.lr(step)
        if not isinstance(rate, int | float | np.number) or not np.isfinite(rate) or rate < 0:
            raise BlocksError(f"{type(self).__name__}: the schedule of lr gives {rate!r} at update {step}")
        return float(rate)

    def slots(self, weights: Mapping[str, np.ndarray]) -> Arrays:
        """Fresh slots: ``slot/weight`` → zeros."""
        return {f"{slot}/{name}": np.zeros_like(w) for slot in self.slot_names for name, w in weights.items()}

    def update(
        self, weights: Arrays, gradients: Mapping[str, np.ndarray], slots: Arrays, step: int
    ) -> tuple[Arrays, Arrays]:
        """New weights and slots after update number `step`, counted from 0; the old ones stay as they are."""
        new_weights, new_slots, lr = {}, {}, self.rate(step)
        for name, w in weights.items():
            mine = [slots[f"{slot}/{name}"] for slot in self.slot_names]
            change, mine = self.change(w, gradients[name], mine, lr, step + 1, decays(name))
            new_weights[name] = (w - change).astype(w.dtype, copy=False)
            for slot, value in zip(self.slot_names, mine, strict=True):
                new_slots[f"{slot}/{name}"] = value.astype(w.dtype, copy=False)
        return new_weights, new_slots

    def change(
        self, w: np.ndarray, g: np.ndarray, slots: list[np.ndarray], lr: float, t: int, decays: bool
    ) -> tuple[Any, list[np.ndarray]]:
        """What to subtract from a weight, and its new slots; t counts updates from 1. `decays`: see the function."""
        raise BlocksError(f"{type(self).__name__} does not say how weights change")


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent: v = momentum · v + g; w = w - lr · v. With `nesterov`, w = w - lr · (g + momentum · v).

    (Polyak 1964; Nesterov 1983 in the form of Sutskever et al. 2013.)
    """

    lr: float | Schedule = 0.1
    momentum: float = 0.0
    nesterov: bool = False
    slot_names = ("momentum",)

    def change(self, w: np.ndarray, g: np.ndarray, slots: list[np.ndarray], lr: float, t: int, decays: bool) -> Any:
        """See the class."""
        v = self.momentum * slots[0] + g
        return lr * (g + self.momentum * v if self.nesterov else v), [v]


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """s = decay · s + (1 - decay) · g²; w = w - lr · g / (√s + epsilon) (Tieleman and Hinton 2012)."""

    lr: float | Schedule = 1e-3
    decay: float = 0.9
    epsilon: float = 1e-7
    slot_names = ("square",)
    below_one = ("decay",)

    def change(self, w: np.ndarray, g: np.ndarray, slots: list[np.ndarray], lr: float, t: int, decays: bool) -> Any:
        """See the class."""
        s = self.decay * slots[0] + (1 - self.decay) * g * g
        return lr * g / (np.sqrt(s) + self.epsilon), [s]


@dataclass(frozen=True)
class Adam(Optimizer):
    """m = β₁ m + (1 - β₁) g; v = β₂ v + (1 - β₂) g²; w = w - lr · m̂ / (√v̂ + epsilon), with
    m̂ = m / (1 - β₁ᵗ), v̂ = v / (1 - β₂ᵗ) (Kingma and Ba 2015, algorithm 1)."""

    lr: float | Schedule = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    slot_names = ("mean", "square")
    below_one = ("beta1", "beta2")

    def change(self, w: np.ndarray, g: np.ndarray, slots: list[np.ndarray], lr: float, t: int, decays: bool) -> Any:
        """See the class."""
        m = self.beta1 * slots[0] + (1 - self.beta1) * g
        v = self.beta2 * slots[1] + (1 - self.beta2) * g * g
        m_hat, v_hat = m / (1 - self.beta1**t), v / (1 - self.beta2**t)
        return lr * m_hat / (np.sqrt(v_hat) + self.epsilon), [m, v]


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with weight decay beside the gradient: w = w - lr · (Adam's step + decay · w) (Loshchilov and
    Hutter 2019, algorithm 2). Biases do not decay."""

    decay: float = 0.01

    def change(self, w: np.ndarray, g: np.ndarray, slots: list[np.ndarray], lr: float, t: int, decays: bool) -> Any:
        """See the class."""
        change, slots = super().change(w, g, slots, lr, t, decays)
        return change + lr * self.decay * w if decays else change, slots


def decays(name: str) -> bool:
    """Whether weights of that name decay, where an optimizer has weight decay: biases, ``forget.b``, do not. Their
    shape does not decide: a bias of several trials is a matrix."""
    return name.rpartition(".")[2] != "b"


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
    """A setting as a file can hold it: a number as it is, a schedule by its name and settings."""
    if not callable(setting):
        return setting
    settings = getattr(setting, "__dict__", {})
    numbers = {k: v for k, v in settings.items() if isinstance(v, int | float | str)}
    name = getattr(setting, "__qualname__", type(setting).__name__)
    return [name, *(f"{k}={v!r}" for k, v in numbers.items()), *(repr(float(setting(step))) for step in (0, 10, 1000))]


def global_norm(gradients: Mapping[str, np.ndarray]) -> float:
    """The Euclidean norm of all gradients together; finite, where they are, also if their squares are not."""
    with np.errstate(over="ignore", under="ignore"):
        total = sum(float(np.vdot(g, g)) for g in gradients.values())
    if np.isfinite(total) and total > np.finfo(np.float32).tiny:
        return float(np.sqrt(total))
    largest = max((float(np.max(np.abs(g), initial=0.0)) for g in gradients.values()), default=0.0)
    if largest == 0 or not np.isfinite(largest):
        return largest
    return largest * float(
        np.sqrt(sum(float(np.sum((g / largest).astype(np.float64) ** 2)) for g in gradients.values()))
    )


def clip_by_norm(gradients: Arrays, limit: float | None) -> tuple[Arrays, float]:
    """The gradients scaled down together to a norm of at most `limit`, and the norm that they had
    (Pascanu et al. 2013, algorithm 1)."""
    norm = global_norm(gradients)
    if limit is None or not norm > limit:
        return gradients, norm
    scale = limit / norm
    return {name: (g * scale).astype(g.dtype, copy=False) for name, g in gradients.items()}, norm
