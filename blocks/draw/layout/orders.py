"""A search for beauty: the order of the bricks, from left to right, in which the fewest wires cross.

Up to five bricks all orders are tried. Of more, one after the other is moved to where it does best (sifting, after
Rudell 1993), as long as there are tries left. What counts are crossings, then bends; of equal orders that of the author
stands. A number of tries ends the search, never a time, so a figure is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise, permutations

from ..diagram.elements import Diagram
from .place import place, weighted
from .route import Routes, Unroutable, route

ALL, TRIES = 5, 120  # bricks of which all orders are tried; the most orders that are
Order = tuple[str, ...]
Score = tuple[int, int]


def best_columns(diagram: Diagram, lanes: Mapping[str, float]) -> dict[str, float]:
    """Brick → its column, for `place.place`."""
    search = _Search(diagram, lanes)
    return _columns(search.all() if len(search.author) <= ALL else search.sifted())


def score(routes: Routes) -> Score:
    """How many crossings and how many bends the wires have."""
    bends = 0
    for way in routes.ways.values():
        steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(way)]
        bends += sum(one != other for one, other in pairwise(steps))
    return len(routes.crossings()), bends


def _columns(order: Sequence[str]) -> dict[str, float]:
    return {key: float(column) for column, key in enumerate(order, 1)}


class _Search:
    def __init__(self, diagram: Diagram, lanes: Mapping[str, float]):
        self.diagram, self.lanes = diagram, lanes
        self.author: Order = tuple(weighted(diagram))
        self.known: dict[Order, Score | None] = {}

    def score(self, order: Order) -> Score | None:
        """The score of an order; None where its wires find no way."""
        if order not in self.known:
            try:
                self.known[order] = score(route(self.diagram, place(self.diagram, _columns(order), self.lanes)))
            except Unroutable:
                self.known[order] = None
        return self.known[order]

    def better(self, orders: Iterator[Order], best: Order) -> Order:
        """The best of some orders, and of one that stands where none is better."""
        for order in orders:
            if order not in self.known and len(self.known) >= TRIES:
                break
            found, so_far = self.score(order), self.score(best)
            if found is not None and (so_far is None or found < so_far):
                best = order
        return best

    def all(self) -> Order:
        """The best of all orders."""
        return self.better(permutations(self.author), self.author)

    def sifted(self) -> Order:
        """An order that no brick can make better by moving, or the best within the tries."""
        best = self.author
        while True:
            before = best
            for key in self.author:
                rest = [k for k in best if k != key]
                best = self.better(((*rest[:i], key, *rest[i:]) for i in range(len(rest) + 1)), best)
            if best == before or len(self.known) >= TRIES:
                return best
