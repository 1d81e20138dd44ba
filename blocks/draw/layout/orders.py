"""A search for beauty: the order of the bricks, from left to right, in which the fewest wires cross.

What counts are crossings, and half as much each pair of bricks of which the left one is fed by the right one, as one
reads that backwards; then bends; then how near an order is to the author's. The author's stands unless another one is
better by a crossing.

Bricks that take what comes out of others alone rise above these, unless that costs a crossing.

Of up to five bricks all orders are estimated; of more, one after the other is moved to where it does best (sifting,
after Rudell 1993). The best of them are laid out. Numbers of tries, fewer for large cells, end the search, never a
time, so a figure is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import combinations, pairwise, permutations

from ..diagram.elements import Diagram
from .place import by_age, estimate, place, weighted
from .rising import rising
from .route import Routes, Unroutable, route

ALL, LAID_OUT = 5, 8  # bricks of which all orders are estimated; the most orders that are laid out
ESTIMATES, LAYOUTS = 3000, 160  # the most elements that are placed in a search, roughly and for good
KEPT = 256  # forms of cells whose order is remembered
Order = tuple[str, ...]
Form = tuple[tuple[object, ...], ...]
Score = tuple[int, int]
Found = tuple[float, int]  # a score, with what the order itself costs
Columns = dict[str, float | None]


_found: dict[Form, Columns] = {}


def best_columns(diagram: Diagram, lanes: Mapping[str, float]) -> Columns:
    """Brick → its column, for `place.place`; None for one that rises."""
    form = _form(diagram, lanes)
    if form not in _found:
        if len(_found) >= KEPT:
            del _found[next(iter(_found))]
        _found[form] = _best(diagram, lanes)
    return dict(_found[form])


def _best(diagram: Diagram, lanes: Mapping[str, float]) -> Columns:
    """The columns with which the fewest wires cross."""
    risen = rising(diagram)
    above = _Search(diagram, lanes, risen)
    order, found = above.best()
    if risen and (found is None or found[0] >= 1):
        in_row = _Search(diagram, lanes)
        other, lowest = in_row.best()
        if lowest is not None and (found is None or lowest < found):
            return in_row.columns(other)
    return above.columns(order)


def _form(diagram: Diagram, lanes: Mapping[str, float]) -> Form:
    """All of a diagram that a layout depends on: cells that differ in their sizes alone have one form."""
    elements = ((e.key, e.kind, e.name, *(link.source for link in e.entries)) for e in diagram.elements.values())
    ages = (e.key for e in by_age(diagram))
    ways = ((state, *keys) for state, keys in diagram.conveyors.items())
    return tuple(elements), tuple(ages), tuple(ways), tuple(lanes.items())


def score(routes: Routes) -> Score:
    """How many crossings and how many bends the wires have."""
    bends = 0
    for way in routes.ways.values():
        steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(way)]
        bends += sum(one != other for one, other in pairwise(steps))
    return len(routes.crossings()), bends


class _Search:
    """Of the bricks in the row; those that are `risen` stand above it."""

    def __init__(self, diagram: Diagram, lanes: Mapping[str, float], risen: Collection[str] = ()):
        self.diagram, self.lanes, self.risen = diagram, lanes, risen
        self.author: Order = tuple(key for key in weighted(diagram) if key not in risen)
        self.known: dict[Order, tuple[float, float]] = {}
        self.feeding = {key: _feeding(diagram, key) for key in self.author}
        size = len(diagram.elements)
        self.estimates, self.layouts = ESTIMATES // size, min(LAID_OUT, LAYOUTS // size)

    def columns(self, order: Order) -> Columns:
        return {key: float(column) for column, key in enumerate(order, 1)} | dict.fromkeys(self.risen)

    def best(self) -> tuple[Order, Found | None]:
        """The order with the lowest score; the author's, where none is better by a crossing. And its score, if it was
        laid out and its wires find their ways."""
        if self.layouts < 1 or (len(self.author) < 2 and not self.risen):
            return self.author, None
        own = self.laid_out(self.author)
        if len(self.author) < 2 or (own is not None and own[0] < 1):
            return self.author, own
        ranked = sorted(self.orders(), key=lambda order: (self.estimated(order), self.moved(order)))
        tried = [order for order in ranked if order != self.author][: self.layouts]
        found = [(score, self.moved(order), order) for order in tried if (score := self.laid_out(order)) is not None]
        if not found or (own is not None and min(found)[0][0] > own[0] - 1):
            return self.author, own
        lowest, _, order = min(found)
        return order, lowest

    def laid_out(self, order: Order) -> Found | None:
        """The score of an order; None where its wires find no way."""
        try:
            crossings, bends = score(route(self.diagram, place(self.diagram, self.columns(order), self.lanes)))
        except Unroutable:
            return None
        return crossings + self.backwards(order), bends

    def estimated(self, order: Order) -> tuple[float, float]:
        """The score of an order, about, with what its wires cost in place of bends."""
        if order not in self.known:
            crossings, cost = estimate(self.diagram, self.columns(order), self.lanes)
            self.known[order] = crossings + self.backwards(order), cost
        return self.known[order]

    def backwards(self, order: Order) -> float:
        """Half the number of pairs of bricks of which the left one is fed by the right one."""
        return 0.5 * sum(b in self.feeding[a] for a, b in combinations(order, 2))

    def moved(self, order: Order) -> int:
        """How many pairs of bricks do not stand as the author put them."""
        number = {key: i for i, key in enumerate(self.author)}
        return sum(number[a] > number[b] for a, b in combinations(order, 2))

    def orders(self) -> Iterable[Order]:
        """The orders that are worth a layout."""
        if len(self.author) <= ALL:
            return permutations(self.author)
        self.sift()
        return self.known

    def sift(self) -> None:
        """Move one brick after the other to where it does best, until none does better or the tries are used up."""
        best, before = self.author, None
        while best != before:
            before = best
            for key in self.author:
                for order in _moves(best, key):
                    if order not in self.known and len(self.known) >= self.estimates:
                        return
                    if self.estimated(order) < self.estimated(best):
                        best = order


def _feeding(diagram: Diagram, key: str) -> set[str]:
    """All elements that an element is computed from, at the same step."""
    found, pending = set[str](), [key]
    while pending:
        for link in diagram.elements[pending.pop()].entries:
            if link.source not in found:
                found.add(link.source)
                pending.append(link.source)
    return found


def _moves(order: Order, key: str) -> Iterator[Order]:
    """An order with one brick at each of its places."""
    rest = [k for k in order if k != key]
    return ((*rest[:i], key, *rest[i:]) for i in range(len(rest) + 1))
