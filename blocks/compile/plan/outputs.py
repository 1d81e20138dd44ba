"""The outputs of a plan: what a caller may hold and write to.

An output is never a feed, a constant, a buffer that is used again, or numbers that stand in two places at once; no two
outputs share a number. Where a value is not already so, it is copied.
"""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass, field

from ...graph import Node
from .geometry import only_part
from .places import Buffer, Copy, Instruction, Place, View, array_of, buffer_for


def hand_out(values: dict[str, tuple[Node, Place]], instructions: list[Instruction]) -> dict[str, Place]:
    """The place of each output, name → (node, where its value is), after some more copies."""
    given: dict[Place, _Given] = {}  # an array → what was handed out of it
    places: dict[str, Place] = {}
    for name in sorted(values, key=lambda name: len(_way(values[name][1]))):  # a whole before its parts
        node, place = values[name]
        array, *way = _way(place)
        own = isinstance(array, Buffer) and array.fresh and not any(p.geometry.repeats for p in way)
        if own and given.setdefault(array, _Given()).take(way):
            places[name] = place
        else:
            places[name] = buffer_for(node, True)
            instructions.append(Copy(place, places[name]))
    return {name: places[name] for name in values}


@dataclass
class _Given:
    """What was handed out of a place: all of it, or of one view of it, or of ranges of one axis that do not meet."""

    whole: bool = False
    views: dict[Place, _Given] = field(default_factory=dict)
    axis: int | None = None
    ranges: list[tuple[int, int]] = field(default_factory=list)  # in order

    def take(self, way: list[Place]) -> bool:
        """Hand out what stands at the end of a way, if nobody has any of it."""
        given = self
        for place in way:
            if given.whole or (place not in given.views and not given.add(place)):
                return False
            given = given.views[place]
        given.whole, free = True, not given.whole and not given.views
        return free

    def add(self, view: Place) -> bool:
        """Note one more view, if it shares nothing with those there are."""
        cut = _range(view.node) if isinstance(view, View) else None
        if self.views and (cut is None or cut[0] != self.axis):
            return False
        if cut is not None:
            at = bisect(self.ranges, cut[1:])
            if (at and self.ranges[at - 1][1] > cut[1]) or (at < len(self.ranges) and self.ranges[at][0] < cut[2]):
                return False
            self.axis = cut[0]
            self.ranges.insert(at, cut[1:])
        self.views[view] = _Given()
        return True


def _way(place: Place) -> list[Place]:
    """From the array that a place is in to the place: the view of it, the view of that, …"""
    way = [place]
    while isinstance(place, View):
        place = place.base
        way.append(place)
    return way[::-1] if way[-1] is array_of(place) else [array_of(place), *way[::-1]]


def _range(node: Node) -> tuple[int, int, int] | None:
    """The axis, start and stop of a slice along an axis of known length, also of one whose axis is dropped."""
    cut = node if only_part(node) is None else node.operands[0]
    if cut.op.name != "slice":
        return None
    axis, length = cut.attrs["axis"], cut.operands[0].shape[cut.attrs["axis"]]
    if not isinstance(length, int):
        return None
    start, stop, _ = slice(cut.attrs["start"], cut.attrs["stop"]).indices(length)
    return axis, start, stop
