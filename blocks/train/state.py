"""Where training stands: everything that decides what comes next. It stays with the model from one `fit` to the next,
and goes into the model's file: what is read from there goes on to the same bits.

The order of the data and what is drawn come from the seed, the epoch and the number of the update, so no generator has
a state to keep.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from .inputs import Arrays
from .optimizers import Optimizer, described, from_description
from .terms import Totals
from .trials import Course
from .vector import Vector

SLOT, AVERAGE, BEST, EPOCH, METRICS, STATE = "//slot/", "//average/", "//best/", "//epoch/", "//metrics/", "//state/"


@dataclass
class Position:
    """Where training stands, between two updates."""

    epoch: int = 0
    batch: int = 0  # in the epoch
    window: int = 0  # in the batch
    step: int = 0  # updates so far
    batches: int = 0  # whole ones so far
    courses: list[Course] = field(default_factory=list)  # of each trial; of the only one

    @property
    def ended(self) -> bool:
        """Whether no trial trains any more."""
        return all(course.ended for course in self.courses)

    def next_epoch(self) -> None:
        """Begin the next epoch."""
        self.epoch, self.batch, self.window = self.epoch + 1, 0, 0


@dataclass
class Call:
    """A call of `fit`: its epochs, the first of them, and what must be the same for it to be finished later."""

    epochs: int
    first: int
    settings: dict[str, Any]

    @property
    def last(self) -> int:
        """The epoch behind its last one."""
        return self.first + self.epochs


@dataclass
class Training:
    """Where the training of a model stands.

    optimizer: the last one, or its description, where it came from a file and cannot be made of that; slots, slot → a
    value for each weight; carried: the step in the sequences → the states before it; totals, measured: of this epoch's
    updates, the loss and the metrics; best: the weights with the best validation loss of this call, as one vector,
    empty before there are any; average: the moving average of the weights, likewise; target: what computed the last
    update.
    """

    at: Position
    optimizer: Optimizer | dict[str, Any] | None = None
    slots: dict[str, Vector] = field(default_factory=dict)
    carried: dict[int, Arrays] = field(default_factory=dict)
    totals: Totals = field(default_factory=lambda: Totals([]))
    measured: Totals = field(default_factory=lambda: Totals([]))
    best: np.ndarray = field(default_factory=lambda: np.empty(0))
    average: np.ndarray = field(default_factory=lambda: np.empty(0))
    call: Call = field(default_factory=lambda: Call(0, 0, {}))
    target: str = ""

    @classmethod
    def new(cls, trials: int | None) -> Training:
        """Before the first update."""
        return cls(Position(courses=[Course() for _ in range(trials or 1)]))

    @property
    def within(self) -> bool:
        """Whether it stands inside of an epoch."""
        return bool(self.at.batch or self.at.window)

    @property
    def interrupted(self) -> bool:
        """Whether its last call has epochs left."""
        return self.at.epoch < self.call.last and not self.at.ended

    def leave_epoch(self, keep: bool = False) -> None:
        """Go on with the next epoch, where it stands inside of one. `keep`: the states behind a whole batch, too."""
        if not keep or self.at.window:
            self.carried = {}
        if self.within:
            self.at.batches += self.at.window > 0
            self.at.next_epoch()
        self.totals, self.measured = Totals([]), Totals([])

    def begin(self, optimizer: Optimizer, weights: Vector, averages: bool) -> None:
        """Begin a call: slots of the optimizer, fresh ones where it is of another kind than the last; a new search for
        the best weights, for those trials too that had stopped in the last call; the average, if it goes on."""
        self.average = self.average if averages else np.empty(0)
        if list(self.slots) != list(optimizer.slot_names) or kind_of(self.optimizer) != kind_of(optimizer):
            self.slots = {slot: weights.like() for slot in optimizer.slot_names}
            for course in self.at.courses:
                course.since = course.updates
        self.optimizer = optimizer
        self.best = np.empty(0)
        for course in self.at.courses:
            course.begin()

    # -- files

    def arrays(self, weights: Vector) -> Arrays:
        """What goes into a file as arrays."""
        arrays = {f"{SLOT}{slot}/{k}": v for slot, vector in self.slots.items() for k, v in vector.items()}
        for name, vector in ((BEST, self.best), (AVERAGE, self.average)):
            arrays |= {f"{name}{k}": v for k, v in weights.like(vector).items()} if vector.size else {}
        arrays |= {f"{STATE}{t}/{k}": v for t, states in self.carried.items() for k, v in states.items()}
        return arrays | self.totals.arrays(EPOCH) | self.measured.arrays(METRICS)

    def meta(self) -> dict[str, Any]:
        """What goes into a file as JSON."""
        return {
            "position": asdict(self.at),
            "call": asdict(self.call),
            "optimizer": described(self.optimizer),
            "slots": list(self.slots),
            "carried": list(self.carried),
            "target": self.target,
        }

    @classmethod
    def read(cls, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any], weights: Vector) -> Training:
        """What `arrays` and `meta` gave. Raises KeyError, TypeError, ValueError for what is broken."""
        at = Position(**meta["position"])
        at.courses = [Course(**course) for course in meta["position"]["courses"]]
        if len(at.courses) != (weights.trials or 1):
            raise ValueError(f"it has {len(at.courses)} trials")
        for value in (at.epoch, at.batch, at.window, at.step, at.batches, *(c.updates for c in at.courses)):
            if not isinstance(value, int) or value < 0:
                raise ValueError(f"it stands at {value!r}")
        slots = {slot: weights.like() for slot in meta["slots"]}
        for slot, vector in slots.items():
            vector.take({name: arrays[f"{SLOT}{slot}/{name}"] for name in vector})
        vectors = {}
        for name in (BEST, AVERAGE):
            known = weights.like()
            known.take(arrays, name)
            vectors[name] = known.all if any(key.startswith(name) for key in arrays) else np.empty(0)
        carried = {
            int(t): {k[len(f"{STATE}{t}/") :]: v for k, v in arrays.items() if k.startswith(f"{STATE}{t}/")}
            for t in meta["carried"]
        }
        totals, measured = Totals([]), Totals([])
        totals.restore(arrays, EPOCH)
        measured.restore(arrays, METRICS)
        call, optimizer = Call(**meta["call"]), from_description(meta["optimizer"])
        if not isinstance(call.epochs, int) or not isinstance(call.first, int) or not isinstance(call.settings, dict):
            raise ValueError("its call is none")
        return cls(
            at, optimizer, slots, carried, totals, measured, vectors[BEST], vectors[AVERAGE], call, meta["target"]
        )


def kind_of(optimizer: Optimizer | dict[str, Any] | None) -> str:
    """The name of an optimizer's class."""
    if optimizer is None:
        return ""
    return str(optimizer["optimizer"]) if isinstance(optimizer, dict) else type(optimizer).__name__
