"""Who decides: the generator asks for one choice after another, and does not know where they come from.

- `Dice(seed)` is a random generator of its own: case number 17 is the same network in every process.
- `Drawn(draw)` hands Hypothesis the choices, so that it can shrink them.
- `Replayed(choices)` says again what was said before; when it has said all, it says 0. `shrink` makes the
  shortest and smallest such list for which something still fails. The first option of everything is therefore
  the plainest one.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

MANY = 2**20  # a choice is a number below


class Choices(ABC):
    """What all have in common; `next()` gives a number, 0 to MANY - 1. What was said is kept in `said`."""

    def __init__(self) -> None:
        self.said: list[int] = []

    @abstractmethod
    def next(self) -> int:
        """The next number."""

    def choice(self) -> int:
        self.said.append(self.next())
        return self.said[-1]

    def integer(self, low: int, high: int) -> int:
        return low + self.choice() % (high - low + 1)

    def chance(self, per_cent: int) -> bool:
        """True so often; False where the choice is 0."""
        return self.choice() % 100 >= 100 - per_cent

    def pick(self, options: Sequence[Any]) -> Any:
        return options[self.choice() % len(options)]

    def some(self, options: Sequence[Any], low: int, high: int) -> list[Any]:
        """So many different ones, in any order."""
        left, out = list(options), []
        for _ in range(min(self.integer(low, high), len(left))):
            out.append(left.pop(self.choice() % len(left)))
        return out

    def rng(self) -> np.random.Generator:
        return np.random.default_rng(self.choice())


class Dice(Choices):
    """Random choices."""

    def __init__(self, seed: int):
        super().__init__()
        self.random = random.Random(seed)

    def next(self) -> int:
        return self.random.randrange(MANY)


class Drawn(Choices):
    """The choices of Hypothesis: `draw` gives one of `numbers`."""

    def __init__(self, draw: Callable[[Any], int], numbers: Any):
        super().__init__()
        self.draw, self.numbers = draw, numbers

    def next(self) -> int:
        return self.draw(self.numbers)


class Replayed(Choices):
    """Choices that are known; 0 after the last."""

    def __init__(self, choices: Sequence[int]):
        super().__init__()
        self.choices = choices

    def next(self) -> int:
        return self.choices[len(self.said)] if len(self.said) < len(self.choices) else 0


def shrink(choices: Sequence[int], fails: Callable[[Sequence[int]], bool], tries: int = 1000) -> list[int]:
    """The smallest list of choices found for which `fails` still holds: some left out, some 0, some halved."""
    best, width = list(choices), max(1, len(choices) // 2)

    def better(candidate: list[int]) -> bool:
        nonlocal best, tries
        if tries <= 0 or candidate == best:
            return False
        tries -= 1
        if fails(candidate):
            best = candidate
            return True
        return False

    while width and tries > 0:
        at = len(best)
        changed = False
        while at > 0 and tries > 0:
            at = min(at, len(best))
            start = max(0, at - width)
            if better(best[:start] + best[at:]) or (
                any(best[start:at]) and better(best[:start] + [0] * (at - start) + best[at:])
            ):
                changed = True
            at = start
        if width == 1 and changed:
            continue
        width //= 2
    return best
