"""Loops one after the other: where the last states of one are the first of another, the two stand side by side, and the
states go on from left to right.

    ┌─────────┐      ┌─────────┐
    │ encoder ├──C──▶│ decoder │
    │         ├──h──▶│         │
    └─────────┘      └─────────┘

Loops that run from the last step to the first stand the other way round. Where the second also takes what is made of
the first in another way, it stands above it, as any two loops do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from itertools import chain as joined
from itertools import combinations, pairwise, permutations

from ...ops.loop import FINAL
from ..diagram.elements import Network
from ..scene import MARGIN, Point, Scene, Shape, Wire, corners, fit, mirrored

PIN = "pin-"
ASIDE = ">"  # behind the key of a pin: where its value leaves at the side
APART, TRACK = 8.0, 10.0  # between two loops, between two ways there
TRIED, SHARED = 5, 100  # so many ways are put in the best order; what a shared piece costs, in crossings


End = tuple[Shape, Shape]  # the pins that a way leads from and to


@dataclass(frozen=True)
class Sides:
    """Pins of a loop that its first values come in at from the side, and those that its last values leave at to the
    side; of these, those that leave upwards, too."""

    ins: frozenset[str] = frozenset()
    outs: frozenset[str] = frozenset()
    both: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Chain:
    """Boxes side by side, the first to run first, and the ways between them, from pin to pin."""

    boxes: tuple[str, ...]
    ways: tuple[tuple[str, str], ...]

    @property
    def key(self) -> str:
        """The key of what stands for all of them."""
        return "".join(self.boxes)


def chains_of(network: Network) -> list[Chain]:
    """The chains of a diagram, of two loops at least."""
    ways = dict.fromkeys(_ways(network))
    between: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for source, target in ways:
        between.setdefault((network.home(source), network.home(target)), []).append((source, target))
    chains: list[Chain] = []
    for (one, other), own in between.items():
        before = next((c for c in chains if c.boxes[-1] == one), Chain((one,), ()))
        after = next((c for c in chains if c.boxes[0] == other), Chain((other,), ()))
        taken = {key for c in chains if c not in (before, after) for key in c.boxes}
        if one in taken or other in taken or before is after:
            continue
        both = Chain((*before.boxes, *after.boxes), (*before.ways, *own, *after.ways))
        rest = [c for c in chains if c not in (before, after)]
        if _stands(network, [*rest, both]):
            chains = [*rest, both]
    return chains


def _ways(network: Network) -> Iterator[tuple[str, str]]:
    """From the last values of the states of one loop to another, in the same direction of time, whose first values some
    of them are."""
    finals = {pin for box in network.boxes.values() for name, pin in box.outs.items() if name.startswith(FINAL)}
    for key, box in network.boxes.items():
        found = [(k.source, port) for port, pin in box.ins.items() for k in network.elements[pin].entries]
        for source, port in found:
            home = network.home(source)
            first = any(network.home(s) == home and p in box.node.attrs["states"] for s, p in found if s in finals)
            if source in finals and first and home != key and _back(network, home) == _back(network, key):
                yield source, box.ins[port]


def _back(network: Network, box: str) -> bool:
    return bool(network.boxes[box].node.attrs["reverse"])


def _stands(network: Network, chains: Sequence[Chain]) -> bool:
    """Whether nothing that stands side by side takes anything else of each other."""
    home = {box: c.key for c in chains for box in c.boxes}
    level = {way for c in chains for way in c.ways}
    sources: dict[str, set[str]] = {}
    for key, element in network.elements.items():
        own = home.get(network.home(key), network.home(key))
        for link in element.entries:
            if (link.source, key) not in level:
                other = home.get(network.home(link.source), network.home(link.source))
                if own == other:
                    return False
                sources.setdefault(own, set()).add(other)
    try:
        TopologicalSorter(sources).prepare()
    except CycleError:
        return False
    return True


def sides_of(network: Network, chains: Sequence[Chain]) -> dict[str, Sides]:
    """Box → its pins at its sides."""
    level = {way for c in chains for way in c.ways}
    others = {
        link.source for key, e in network.elements.items() for link in e.entries if (link.source, key) not in level
    }
    found = {}
    for key in [box for c in chains for box in c.boxes]:
        states = {
            pin for port, pin in network.boxes[key].ins.items() if port in network.boxes[key].node.attrs["states"]
        }
        ins = frozenset(b for _, b in level if b in states)
        outs = frozenset(a for a, _ in level if network.home(a) == key)
        found[key] = Sides(ins, outs, outs & others)
    return found


def with_chains(network: Network, chains: Sequence[Chain]) -> Network:
    """The diagram with one box for each chain, without the ways inside of it."""
    home = {box: c.key for c in chains for box in c.boxes}
    level = {way for c in chains for way in c.ways}
    elements = {
        key: replace(
            e, frame=home.get(e.frame, e.frame), entries=[k for k in e.entries if (k.source, key) not in level]
        )
        for key, e in network.elements.items()
    }
    return replace(network, elements=elements)


def side_by_side(chain: Chain, scenes: Mapping[str, Scene], network: Network, mirror: bool) -> Scene:
    """The scene of a chain, with all pins of its loops."""
    placed: list[Scene] = []
    wires: list[Wire] = []
    for key in chain.boxes:
        scene = _prefixed(fit(mirrored(scenes[key])) if mirror else scenes[key], key)
        if placed:
            left, right = _pins(placed[-1]), _pins(scene)
            ways = [(f"{PIN}{a}{ASIDE}", f"{PIN}{b}") for a, b in chain.ways if network.home(b) == key]
            ends = [(left[a], right[b]) for a, b in ways if a in left and b in right]  # what neither knows has no way
            dx = placed[-1].width + APART - 2 * MARGIN
            dy, between = _lifted(ends, dx)
            wires += between
            dx += TRACK * len(_bent(ends, dy))
            scene = replace(scene.moved(dx, dy), width=scene.width + dx)
        placed.append(scene)
    whole = replace(
        placed[0],
        shapes=tuple(joined.from_iterable(s.shapes for s in placed)),
        wires=(*joined.from_iterable(s.wires for s in placed), *wires),
        frames=tuple(joined.from_iterable(s.frames for s in placed)),
    )
    return fit(mirrored(whole) if mirror else whole)


def _pins(scene: Scene) -> dict[str, Shape]:
    return {s.key: s for s in scene.shapes if s.kind == "pin"}


def _prefixed(scene: Scene, key: str) -> Scene:
    """The scene with a key before all others but those of its pins."""
    pins = _pins(scene)
    moved = scene.moved(0.0, 0.0, f"{key}-")
    name = lambda k: own if (own := k.removeprefix(f"{key}-")) in pins else k
    return replace(
        moved,
        shapes=tuple(replace(s, key=name(s.key)) for s in moved.shapes),
        wires=tuple(replace(w, source=name(w.source), target=name(w.target), net=name(w.net)) for w in moved.wires),
    )


def _bent(ends: Sequence[End], dy: float) -> list[End]:
    """The ways that go up or down, if the next loop is lifted so far; what no state begins with comes in from below."""
    return [(a, b) for a, b in ends if a.y != b.y + dy or not b.name]


def _lifted(ends: Sequence[End], dx: float) -> tuple[float, list[Wire]]:
    """How far a loop is lifted so that its ways go up or down as little as can be, one of them not at all, and none
    shares a piece with another one; and these ways."""
    apart = [a.y - b.y for a, b in ends if b.name]
    near = sorted({0.0, *apart}, key=lambda dy: (sum(abs(dy - other) for other in apart), abs(dy)))
    tried = [_between(ends, dx, dy + more) for dy in near for more in (0.0, TRACK)]
    return min(tried, key=lambda found: found[0] >= SHARED)[1:]


def _between(ends: Sequence[End], dx: float, dy: float) -> tuple[int, float, list[Wire]]:
    """The ways from one loop to the next, of which those that are not straight go up or down one beside the other, with
    what they cost and how far the next loop is lifted."""
    bent = _bent(ends, dy)
    orders = permutations(bent) if len(bent) <= TRIED else iter([tuple(sorted(bent, key=lambda e: -e[0].y))])
    dx += TRACK * len(bent)

    def drawn(order: Sequence[End]) -> list[tuple[Point, ...]]:
        found = []
        for a, b in ends:
            number = order.index((a, b)) if (a, b) in order else 0
            x, under = a.x + APART / 2 + TRACK * (number + 0.5), dy - TRACK * (number + 0.5)
            way = [(x, b.y + dy)] if b.name else [(x, under), (b.x + dx, under)]
            found.append(corners([(a.x, a.y), (x, a.y), *way, (b.x + dx, b.y + dy)]))
        return found

    def cost(ways: Sequence[tuple[Point, ...]]) -> int:
        return sum(
            _meetings(p, q) for (p, (a, _)), (q, (b, _)) in combinations(zip(ways, ends, strict=True), 2) if a != b
        )

    best = min(map(drawn, orders), key=cost)
    wires = [
        Wire(f"{a.key}-{b.key}", "wire", a.key, b.key, a.key, way, arrow=False)
        for (a, b), way in zip(ends, best, strict=True)
    ]
    return cost(best), dy, wires


def _meetings(one: Sequence[Point], other: Sequence[Point]) -> int:
    """How often two ways cross; a piece that both share counts as many."""
    total = 0
    for (a, b), (c, d) in ((p, q) for p in pairwise(one) for q in pairwise(other)):
        x = min(max(a[0], b[0]), max(c[0], d[0])) - max(min(a[0], b[0]), min(c[0], d[0]))
        y = min(max(a[1], b[1]), max(c[1], d[1])) - max(min(a[1], b[1]), min(c[1], d[1]))
        if x >= 0 and y >= 0:
            total += 1 if (a[0] == b[0]) != (c[0] == d[0]) else SHARED
    return total
