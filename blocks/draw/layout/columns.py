"""Where the things of each rank stand from left to right: as straight above what they take as their order allows.

Each wish, to stand right above or below another thing, costs its distance times its weight. For one rank between two
others that are settled the cheapest places are found exactly: what would overlap becomes one block, which stands at the
weighted median of its wishes (pool adjacent violators). A few sweeps up and down settle all ranks.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from .lines import EXACT
from .ranks import SIDES, Place, Ranks

GAP, WAY, ROOM = 15.0, 8.0, 34.0  # between two things, the width of a passing net, between two frames
SWEEPS = 6
ANCHORED, PASSING, MAIN, LEAF, CENTRE = 50.0, 6.0, 3.0, 1.0, 0.01  # weights of wishes

Wish = tuple[float, float]  # where to stand, and how much that counts


def columns(ranks: Ranks) -> dict[Place, float]:
    """The middle of each place of each rank."""
    x: dict[Place, float] = {}
    for row in ranks.rows:
        x |= _packed(ranks, row)
    anchors: dict[Place, float] = {}
    for row in ranks.rows:
        frames = [p for p in row if (item := ranks.item(p)) and item.large]
        anchors |= _packed(ranks, frames)
    above, below = _links(ranks)
    numbers = range(len(ranks.rows))
    for sweep in range(SWEEPS):
        both = sweep >= SWEEPS - 2
        for number in numbers if sweep % 2 == 0 else reversed(numbers):
            row = ranks.rows[number]
            wishes = []
            for p in row:
                near = [*below.get(p, ()), *above.get(p, ())] if both else (below, above)[sweep % 2].get(p, ())
                own = [(x[q] + offset, weight) for q, offset, weight in near]
                own.append((x[p], CENTRE) if own else (x[p], LEAF))
                wishes.append([(anchors[p], ANCHORED)] if p in anchors else own)
            apart = [_apart(ranks, a, b) for a, b in pairwise(row)]
            x |= {p: round(EXACT * at) / EXACT for p, at in zip(row, settle(wishes, apart), strict=True)}
    return x


def settle(wishes: Sequence[Sequence[Wish]], apart: Sequence[float]) -> list[float]:
    """The cheapest places from left to right, of which each two neighbours are so far apart at least."""
    offsets = [0.0]
    for distance in apart:
        offsets.append(offsets[-1] + distance)
    blocks: list[tuple[list[Wish], int, float]] = []  # wishes, how many places, where
    for own, offset in zip(wishes, offsets, strict=False):
        merged, count = [(at - offset, weight) for at, weight in own], 1
        place = _median(merged)
        while blocks and blocks[-1][2] > place:
            before, others, _ = blocks.pop()
            merged, count = before + merged, count + others
            place = _median(merged)
        blocks.append((merged, count, place))
    places = [place for _, count, place in blocks for _ in range(count)]
    return [place + offset for place, offset in zip(places, offsets, strict=False)]


def _median(wishes: Sequence[Wish]) -> float:
    """The weighted median; halfway between two that are as good."""
    ordered = sorted(wishes)
    half, seen = sum(weight for _, weight in ordered) / 2, 0.0
    for i, (at, weight) in enumerate(ordered):
        seen += weight
        if abs(seen - half) < 1e-9 and i + 1 < len(ordered):
            return (at + ordered[i + 1][0]) / 2
        if seen > half:
            return at
    return ordered[-1][0]


def _apart(ranks: Ranks, a: Place, b: Place) -> float:
    """How far two neighbours are apart, from middle to middle."""
    one, other = ranks.item(a), ranks.item(b)
    gap = ROOM if one and other and one.large and other.large else GAP if one or other else WAY
    return ((one.w if one else 0.0) + (other.w if other else 0.0)) / 2 + gap


def _packed(ranks: Ranks, row: Sequence[Place]) -> dict[Place, float]:
    """Places side by side around 0."""
    at, out = 0.0, {}
    for i, place in enumerate(row):
        at += _apart(ranks, row[i - 1], place) if i else 0.0
        out[place] = at
    return {place: value - at / 2 for place, value in out.items()}


def _links(ranks: Ranks) -> tuple[dict[Place, list[tuple[Place, float, float]]], ...]:
    """For each place the wishes to stand in line with places above, and below: with which, how far from its middle, and
    how much it counts."""
    above: dict[Place, list[tuple[Place, float, float]]] = {}
    below: dict[Place, list[tuple[Place, float, float]]] = {}
    for channel in range(len(ranks.rows) - 1):
        for net in ranks.nets:
            low = ranks.low(net, channel)
            source = ranks.item(low) if low else None
            if low is None or (source and source.align in SIDES):
                continue
            out = source.outs.get(net.out, 0.0) if source else 0.0
            for high, port in ranks.highs(net, channel):
                target = ranks.item(high)
                if target and target.align in SIDES:
                    continue
                into = target.ins.get(port, 0.0) if target else 0.0
                passing = source is None and target is None
                aside = (source and source.leaf) or (target and target.align == "bottom")
                weight = PASSING if passing else LEAF if aside else MAIN
                above.setdefault(low, []).append((high, into - out, weight))
                below.setdefault(high, []).append((low, out - into, weight))
    return above, below
