"""Ranks: which of the things of any graph stand at one height, and in what order from left to right.

    rank 2      loss
    rank 1    [ out ]   target      each thing above all that it takes; what takes nothing, right below what takes it
    rank 0      x

A net, one value with all its ways, passes a rank that it does not end in at one place of its own. The order is that in
which the fewest ways cross: sweeps up and down in which each thing goes to the mean of its neighbours (Sugiyama, Tagawa
and Toda 1981), the author's order first, and the best of all sweeps stands.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import NamedTuple

SWEEPS = 12
SIDES = ("left", "right")


@dataclass
class Item:
    """What stands in a rank. `ins` and `outs` are its ports, how far to the right of its middle each is; an item
    without `ins` is entered wherever there is room. `align`: whether it stands at the top, in the middle or at the
    bottom of its rank; an item at the "left" or "right" stands beside all ranks, and its wire comes from there or goes
    there. `large`: a frame, about which others stand. `leaf`: what takes nothing."""

    key: str
    w: float
    h: float
    ins: dict[str, float] = field(default_factory=dict)
    outs: dict[str, float] = field(default_factory=dict)
    align: str = "middle"
    large: bool = False
    leaf: bool = False
    rank: int = 0


@dataclass
class Net:
    """A value on its way: from the port `out` of the item `source` to ports of other items."""

    out: str
    source: str
    targets: list[tuple[str, str]] = field(default_factory=list)  # (item, port)


class Place(NamedTuple):
    """A place in a rank: that of an item, or, with its number, where a net passes a rank."""

    key: str
    passing: int = -1


@dataclass
class Ranks:
    """Items and nets, and the order of each rank."""

    items: Mapping[str, Item]
    nets: Sequence[Net]
    rows: list[list[Place]]

    def item(self, place: Place) -> Item | None:
        """The item at a place; None where a net passes."""
        return None if place.passing >= 0 else self.items[place.key]

    def low(self, net: Net, channel: int) -> Place | None:
        """Where a net comes into the channel above a rank; None if it does not."""
        begins, ends = self.reach(net)
        if not begins <= channel < ends:
            return None
        return Place(net.source) if begins == channel else Place(net.out, channel)

    def highs(self, net: Net, channel: int) -> Iterator[tuple[Place, str]]:
        """Where a net leaves the channel above a rank: a place of the next rank, and the port there."""
        begins, ends = self.reach(net)
        if begins <= channel < ends:
            yield from ((Place(t), port) for t, port in net.targets if self.items[t].rank == channel + 1)
            if ends > channel + 1:
                yield Place(net.out, channel + 1), ""

    def reach(self, net: Net) -> tuple[int, int]:
        """The rank in which a net begins, and the last one that it gets to."""
        return self.items[net.source].rank, max(self.items[t].rank for t, _ in net.targets)


def ranked(items: Mapping[str, Item], nets: Sequence[Net], framed: bool = False) -> Ranks:
    """Items in ranks, ordered. framed: what stands at the left or is entered from below stands in the lowest rank, what
    stands at the right or takes what leaves, in the highest, and neither holds anything else; else only what the nets
    say counts."""
    _rank(items, nets, framed)
    height = 1 + max(item.rank for item in items.values())
    ranks = Ranks(items, nets, [[] for _ in range(height)])
    for item in items.values():
        if item.align not in SIDES:
            ranks.rows[item.rank].append(Place(item.key))
    for net in nets:
        begins, ends = ranks.reach(net)
        for rank in range(begins + 1, ends):
            ranks.rows[rank].append(Place(net.out, rank))
    _order(ranks)
    return ranks


def _rank(items: Mapping[str, Item], nets: Sequence[Net], framed: bool) -> None:
    """The longest way from what takes nothing; what takes nothing, or is made of that alone, as high as can be."""
    users: dict[str, set[str]] = {key: set() for key in items}
    sources: dict[str, dict[str, None]] = {key: {} for key in items}  # in order, as sets of words are not
    for net in nets:
        for target, _ in net.targets:
            users[net.source].add(target)
            sources[target][net.source] = None
    first = [k for k in items if framed and (items[k].align == "left" or (items[k].align == "top" and items[k].leaf))]
    last = [k for k in items if framed and (items[k].align == "right" or (items[k].align == "bottom"))]
    order = list(TopologicalSorter(sources).static_order())
    for key in order:
        if key not in first:
            items[key].rank = 1 + max((items[s].rank for s in sources[key]), default=0 if framed else -1)
    loose: set[str] = set()
    for key in order:
        if not items[key].large and key not in first and sources[key].keys() <= loose:
            loose.add(key)
    for key in reversed(order):
        if key in loose and users[key]:
            items[key].rank = min(items[u].rank for u in users[key]) - 1
    top = max([2, *(item.rank + (key not in last) for key, item in items.items())])
    for key in last:
        items[key].rank = top


# --- the order in a rank -------------------------------------------------------------------------


def _order(ranks: Ranks) -> None:
    best, fewest = [list(row) for row in ranks.rows], _crossings(ranks)
    for sweep in range(SWEEPS):
        upwards = sweep % 2 == 0
        numbers = range(1, len(ranks.rows)) if upwards else range(len(ranks.rows) - 2, -1, -1)
        for number in numbers:
            _sort(ranks, number, number - 1 if upwards else number)
        crossings = _crossings(ranks)
        if crossings < fewest:
            best, fewest = [list(row) for row in ranks.rows], crossings
        if not fewest:
            break
    ranks.rows[:] = best


def _sort(ranks: Ranks, number: int, channel: int) -> None:
    """Sort one rank by where the ways through a channel have their other ends."""
    below = channel < number
    found: dict[Place, list[float]] = {}
    for low, high, here, there in _ways(ranks, channel):
        found.setdefault(there if below else here, []).append(low if below else high)
    row = ranks.rows[number]
    mean = {p: sum(found[p]) / len(found[p]) for p in row if p in found}
    free = iter(sorted((p for p in row if p in mean), key=lambda p: mean[p]))
    ranks.rows[number] = [next(free) if p in mean else p for p in row]  # what has no way here keeps its place


def _ways(ranks: Ranks, channel: int) -> Iterator[tuple[float, float, Place, Place]]:
    """The ways through a channel: where each begins and ends, as places in the order of its ranks."""
    at = {place: i for row in (channel, channel + 1) for i, place in enumerate(ranks.rows[row])}

    def position(place: Place, port: str, ports: str) -> float:
        item = ranks.item(place)
        if item is None:
            return at[place]
        if item.align in SIDES:
            return -1.0 if item.align == "left" else 1e6
        return at[place] + 0.9 * getattr(item, ports).get(port, 0.0) / (item.w or 1.0)

    for net in ranks.nets:
        low = ranks.low(net, channel)
        if low:
            start = position(low, net.out, "outs")
            for high, port in ranks.highs(net, channel):
                yield start, position(high, port, "ins"), low, high


def _crossings(ranks: Ranks) -> int:
    """How many ways cross in all channels."""
    total = 0
    for channel in range(len(ranks.rows) - 1):
        seen: list[float] = []
        for _, high, _, _ in sorted(_ways(ranks, channel), key=lambda way: way[:2]):
            total += len(seen) - bisect_right(seen, high)
            insort(seen, high)
    return total
