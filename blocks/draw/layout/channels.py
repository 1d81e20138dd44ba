"""The channels between two ranks: each net that must go sideways there has a level piece at a height of its own.

    rank r+1      a     b      c
                  ├─────┘      │        net 1 at height 1
                  │  ┌─────────┘        net 2 at height 0
    rank r        x  y

A net comes in from below at one place and leaves upwards at one or several; its upright pieces lie below and above its
level one. Which of two nets lies lower is decided so that they do not share an upright piece, then so that they cross
least often; where each would have to lie below the other, one of them goes round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..scene import Point

NEAR = 6.0  # upright pieces of two nets nearer than this would be one
SHARED = 1000.0  # what that costs, in crossings
SWEEPS = 8


@dataclass(eq=False)
class Piece:
    """The way of a net through a channel: where it comes in from below, where it leaves upwards; None and "left" or
    "right" where it comes from or goes to a side. `level` is the number of its height, from 0."""

    net: str
    low: float | None
    highs: list[float]
    side: str = ""
    level: int = -1
    room: float = 0.0  # that its height needs, for what stands at its side
    parts: list[Piece] = field(default_factory=list)  # of one that goes round: what it goes on with

    @property
    def span(self) -> tuple[float, float]:
        """From where to where its level piece reaches."""
        ends = [*self.highs, *([self.low] if self.low is not None else [])]
        return (
            float("-inf") if self.side == "left" else min(ends),
            float("inf") if self.side == "right" else max(ends),
        )

    @property
    def straight(self) -> bool:
        """Whether it goes straight up."""
        low, high = self.span
        return low == high


def assign(pieces: Sequence[Piece]) -> int:
    """Give each piece that is not straight its level, and say how many there are. Pieces that go round are split: their
    `parts` leave where they did."""
    bent = [p for p in pieces if not p.straight]
    straight = [p for p in pieces if p.straight]
    order = _sifted(bent, straight)
    while (stuck := _conflict(order)) is not None:
        below, above = stuck
        rest = _round(below, above, [*order, *straight])
        order = _sifted([*order, rest], straight)
    for i, piece in enumerate(order):
        lower = [other.level for other in order[:i] if _meet(piece, other)]
        piece.level = 1 + max(lower, default=-1)
    return 1 + max((p.level for p in order), default=-1)


def _cost(lower: Piece, upper: Piece) -> float:
    """What it costs that one piece lies below another one."""
    if lower.net == upper.net:
        return SHARED * any(part is lower for part in upper.parts)
    low, high = upper.span
    total = 0.0
    for x in lower.highs:
        total += low < x < high
        total += SHARED * (upper.low is not None and abs(x - upper.low) < NEAR)
    low, high = lower.span
    return total + (upper.low is not None and low < upper.low < high)


def _meet(a: Piece, b: Piece) -> bool:
    """Whether two pieces have to lie at different heights."""
    (a0, a1), (b0, b1) = a.span, b.span
    return a0 - NEAR < b1 and b0 - NEAR < a1


def _sifted(pieces: Sequence[Piece], straight: Sequence[Piece]) -> list[Piece]:
    """Pieces from below upwards, each moved to where it costs least as long as that helps."""
    order = sorted(pieces, key=lambda p: (p.span[0], p.span[1]))
    cost = {(id(a), id(b)): _cost(a, b) for a in order for b in order if a is not b}
    for _ in range(SWEEPS):
        moved = False
        for piece in list(order):
            here = order.index(piece)
            rest = order[:here] + order[here + 1 :]
            total = sum(cost[id(piece), id(other)] for other in rest)
            totals = [total]
            for other in rest:
                total += cost[id(other), id(piece)] - cost[id(piece), id(other)]
                totals.append(total)
            best = min(range(len(totals)), key=lambda i: (totals[i], abs(i - here)))
            if totals[best] < totals[here]:
                order, moved = [*rest[:best], piece, *rest[best:]], True
        if not moved:
            break
    return order


def _conflict(order: Sequence[Piece]) -> tuple[Piece, Piece] | None:
    """Two pieces that share an upright piece in this order."""
    for i, lower in enumerate(order):
        for upper in order[i + 1 :]:
            if _cost(lower, upper) >= SHARED:
                return lower, upper
    return None


def _round(lower: Piece, upper: Piece, others: Sequence[Piece]) -> Piece:
    """Let the lower of two pieces go round: it leaves at a free place, and a new piece above brings it to where it
    belongs. Returns that."""
    assert upper.low is not None
    at = next(x for x in lower.highs if abs(x - upper.low) < NEAR)
    taken = [x for p in others for x in (*p.highs, *([p.low] if p.low is not None else []))]
    step = 2 * NEAR
    free = next(x for i in range(1, len(taken) + 2) for x in (at + i * step, at - i * step)
                if all(abs(x - other) >= NEAR for other in taken))  # fmt: skip
    rest = Piece(lower.net, free, [at])
    lower.highs[lower.highs.index(at)] = free
    lower.parts.append(rest)
    return rest


def through(piece: Piece, at: float, levels: Mapping[int, float]) -> list[Point]:
    """The points of a way through a channel to where it leaves upwards."""
    if piece.level < 0:
        return [(at, 0.0)] if piece.low is None else []
    way = _to(piece, at)
    points: list[Point] = []
    x = piece.low
    for part, leaves in way:
        y = levels[part.level]
        points += [(x, y)] if x is not None else []
        points.append((leaves, y))
        x = leaves
    return points


def _to(piece: Piece, at: float) -> list[tuple[Piece, float]]:
    """The pieces on the way to a place, each with where it leaves them."""
    if at in piece.highs:
        return [(piece, at)]
    for part in piece.parts:
        if part.low is not None and (rest := _to(part, at)):
            return [(piece, part.low), *rest]
    return []
