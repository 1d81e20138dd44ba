"""The wires that a network under construction has, and what it may take one for.

A pool stands for one level: the graph itself, or the inside of a cell. Values of `Node`s are bounded by hand: an
operation adds its result with the largest absolute value it can have, and what could be too large is squashed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

import blocks as bk
from blocks.graph import Node, Shape

from .dice import Choices

LARGEST = 12.0  # wires of larger numbers are squashed
FEATURES = 40  # wires of more numbers for each step and sample are cut
RANK = 5
FED = 3.0  # the bound of what is fed


class World:
    """What the levels of one network share: names, sizes, random numbers, and whether there may be kinks."""

    def __init__(self, dice: Choices, kinks: bool):
        self.dice, self.kinks = dice, kinks
        self.rng = dice.rng()
        self.counter = itertools.count()
        self.dims = dict(zip(("time", "batch", "steps", "later"), dice.some((3, 2, 4, 1, 5, 6), 4, 4), strict=True))
        self.positive: set[str] = set()  # names of feeds that are probabilities
        self.masks: set[str] = set()  # names of feeds that are masks
        self.ids: dict[str, int] = {}  # name of integer feeds → how many ids there are

    def fresh(self, stem: str) -> str:
        return f"{stem}{next(self.counter)}"

    def normal(self, *sizes: int) -> np.ndarray:
        return self.rng.standard_normal(sizes)


class Pool:
    """The wires of one level, with a bound for each."""

    def __init__(self, world: World, inside: bool = False):
        self.world, self.dice, self.inside = world, world.dice, inside
        self.bounds: dict[Node, float] = {}
        self.whole: list[Node] = []  # integers and booleans
        self.classes: dict[Node, int] = {}  # an integer wire → how many ids there are

    def add(self, node: Node, bound: float) -> Node | None:
        """A wire more; squashed where its numbers could be large, left out where they are too many or of no use."""
        named = [d for d in node.shape if isinstance(d, str)]
        if math.prod(d for d in node.shape if isinstance(d, int)) > FEATURES or len(node.shape) > RANK:
            return None
        if len(set(named)) < len(named):  # (batch, batch): it meets nothing by name
            return None
        if node.dtype != "float":
            self.whole.append(node)
            return node
        if bound > LARGEST:
            node, bound = bk.tanh(node * (3.0 / bound)), 1.0
        self.bounds[node] = bound
        return node

    def any(self, fits: Callable[[Node], bool] = lambda n: True, otherwise: Any = None) -> Any:
        """A floating-point wire, the youngest more often; `otherwise`, where none fits."""
        found = [n for n in reversed(self.bounds) if fits(n)]
        if not found:
            return otherwise
        return found[min(self.dice.integer(0, len(found) - 1), self.dice.integer(0, len(found) - 1))]

    def partner(self, x: Node) -> Node:
        """A wire that x meets: of its shape, or of any other that may fit."""
        same = self.any(lambda n: n.shape == x.shape and n is not x)
        if same is not None and not self.dice.chance(30):
            return same
        return self.any()

    def bound(self, node: Node) -> float:
        return self.bounds.get(node, FED)

    def fitted(self, shape: Shape) -> Node:
        """A wire of this shape, made by a brick from one that has its named dimensions; else fed."""
        there = self.any(lambda n: n.shape == shape)
        if there is not None and not self.dice.chance(25):
            return there
        if shape and isinstance(shape[-1], int):
            lead = shape[:-1]
            x = self.any(lambda n: n.shape[:-1] == lead and bool(n.shape) and isinstance(n.shape[-1], int))
            if x is not None and not self.dice.chance(20):
                name = self.world.fresh("into")
                kind = self.dice.pick([bk.TANH, bk.ADD, bk.SIGM])
                out = kind(shape[-1], name=name)(x)
                bound = self.bound(x) * int(x.shape[-1]) + 2 if kind is bk.ADD else 1.0
                made = self.add(out, bound)
                return out if made is None else made
        return there if there is not None and self.dice.chance(50) else self.feed(shape)

    def feed(self, shape: Shape) -> Node:
        """A new input."""
        out = bk.input(self.world.fresh("fed"), shape=shape)
        self.bounds[out] = FED
        return out

    def ids(self, shape: Shape) -> Node:
        """An integer wire, fed."""
        name = self.world.fresh("ids")
        node = bk.input(name, shape=shape, dtype="int")
        self.world.ids[name] = self.classes[node] = self.dice.integer(2, 5)
        self.whole.append(node)
        return node
