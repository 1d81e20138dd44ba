"""The outputs of a plan: what a caller may hold and write to.

An output is never a feed, a constant, a buffer that is used again, or numbers that stand in two places at once; no two
outputs share a number. Where a value is not already so, it is copied.
"""

from __future__ import annotations

from ...graph import Node
from .geometry import only_part
from .places import Buffer, Copy, Instruction, Place, View, array_of, buffer_for


def hand_out(values: dict[str, tuple[Node, Place]], instructions: list[Instruction]) -> dict[str, Place]:
    """The place of each output, name → (node, where its value is), after some more copies."""
    given: dict[Place, list[list[Place]]] = {}  # an array → the ways to what was handed out of it
    places: dict[str, Place] = {}
    for name in sorted(values, key=lambda name: len(_way(values[name][1]))):  # a whole before its parts
        node, place = values[name]
        array, way = array_of(place), _way(place)
        own = isinstance(array, Buffer) and array.fresh and not place.geometry.repeats
        if own and all(_apart(way, other) for other in given.get(array, [])):
            given.setdefault(array, []).append(way)
            places[name] = place
        else:
            places[name] = buffer_for(node, True)
            instructions.append(Copy(place, places[name]))
    return {name: places[name] for name in values}


def _way(place: Place) -> list[Place]:
    """From the array that a place is in to the place: the view of it, the view of that, …"""
    way = [place]
    while isinstance(place, View):
        place = place.base
        way.append(place)
    return way[::-1] if way[-1] is array_of(place) else [array_of(place), *way[::-1]]


def _apart(a: list[Place], b: list[Place]) -> bool:
    """Whether two places in one array share no number: where their ways part, they take ranges that do not meet."""
    for one, other in zip(a, b, strict=False):
        if one is not other:
            return _ranges_apart(one, other)
    return False


def _ranges_apart(a: Place, b: Place) -> bool:
    if not (isinstance(a, View) and isinstance(b, View)):
        return False
    first, second = _range(a.node), _range(b.node)
    if first is None or second is None or first[0] != second[0]:
        return False
    return first[2] <= second[1] or second[2] <= first[1]


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
