"""Emphasis: what is shown in full colour when the user asks for a part; the rest is faded.

A part is asked for by the name of a brick, wire, state, output or group of bricks, or by a predicate on
nodes. With a brick come the wires that it takes, and the operations that its value goes into: the forget gate
is seen with its product and the two pieces of the conveyor that meet there, the output gate with the tanh that the
product needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from ...errors import BlocksError, nearest
from ...graph import Node
from ..diagram.elements import Diagram, Element
from ..diagram.groups import members
from ..scene import Scene, Shape, Wire, ways_from

Wanted = str | Iterable[str] | Callable[[Node], bool] | None


def emphasise(scene: Scene, diagram: Diagram, wanted: Wanted) -> Scene:
    """The scene with all that is not wanted faded. Raises BlocksError for a name that nothing has."""
    if wanted is None:
        return scene
    groups = members(diagram.elements)
    lit, wires = _Choice(diagram, chosen(diagram.elements, {**diagram.conveyors, **groups}, wanted)).spread()
    for name in {wanted} if isinstance(wanted, str) else () if callable(wanted) else {*wanted}:  # all that is in a cell
        own = groups.get(name, set())
        wires |= {(link.source, key) for key in own for link in diagram.elements[key].entries if link.source in own}
    shapes = tuple(replace(s, lit=s.key in lit) for s in scene.shapes)
    drawn = tuple(
        replace(w, lit=(w.source, w.target) in wires or (w.source in lit and w.target in lit and w.kind == "conveyor"))
        for w in scene.wires
    )
    return _with_wires(scene, shapes, drawn)


def emphasise_layers(scene: Scene, elements: Mapping[str, Element], wanted: Wanted) -> Scene:
    """The same for a graph of any kind, whose elements have the keys of their shapes: what is wanted, and the wires
    between two such parts."""
    if wanted is None:
        return scene
    lit = chosen(elements, {}, wanted)
    shapes = tuple(replace(s, lit=s.key in lit) for s in scene.shapes)
    return _with_wires(scene, shapes, [replace(w, lit=w.source in lit and w.target in lit) for w in scene.wires])


def _with_wires(scene: Scene, shapes: Sequence[Shape], wires: Sequence[Wire]) -> Scene:
    """The scene with shapes and wires lit or faded, its forks with them, and the ground of all that has something faded
    on it."""
    shining = [w for w in wires if w.lit]
    dots = tuple(
        replace(d, lit=len(ways_from((d.x, d.y), [w for w in shining if w.net == d.net])) > 1) for d in scene.dots
    )
    frames = tuple(replace(f, lit=all(s.lit for s in shapes if f.holds(s.x, s.y))) for f in scene.frames)
    return replace(scene, shapes=tuple(shapes), wires=tuple(wires), frames=frames, dots=dots)


def chosen(by_key: Mapping[str, Element], several: Mapping[str, Iterable[str]], wanted: Wanted) -> set[str]:
    """The keys of the elements that were asked for. several: those that go by one name, the way of a state or a cell
    inside the cell."""
    elements = by_key.values()
    if callable(wanted):
        return {key for key, e in by_key.items() if e.kind != "merge" and any(_says(wanted, n) for n in e.nodes)}
    found: set[str] = set()
    for name in [wanted] if isinstance(wanted, str) else list(() if wanted is None else wanted):
        keys = {key for key, e in by_key.items() if name in e.names or e.name.startswith((f"{name}/", f"{name}."))}
        if not keys:
            known = sorted({n for e in elements for n in (e.name, *e.names) if e.kind != "merge"})
            hint = nearest(str(name), known)
            raise BlocksError(f"there is nothing called {name!r} to highlight{hint}; there are {', '.join(known)}")
        found |= keys | set(several.get(name, ()))
    return found


def _says(wanted: Callable[[Node], bool], node: Node) -> bool:
    """Whether a user's function chooses a node. Raises BlocksError if it says something else than yes or no."""
    says = wanted(node)
    if not isinstance(says, bool | np.bool_):
        raise BlocksError(f"highlight: the function says True or False of a node, not {says!r:.60}")
    return bool(says)


class _Choice:
    def __init__(self, diagram: Diagram, wanted: set[str]):
        self.elements, self.users = diagram.elements, diagram.users()
        self.lane = {key for way in diagram.conveyors.values() for key in way}
        self.pieces = [pair for way in diagram.conveyors.values() for pair in pairwise(way)]
        self.wanted, self.lit = wanted, set(wanted)
        self.wires: set[tuple[str, str]] = set()

    def spread(self) -> tuple[set[str], set[tuple[str, str]]]:
        fed: set[str] = set()
        for key in [k for k in self.elements if k in self.wanted]:
            element = self.elements[key]
            if element.folded:
                self.incoming(key)
                fed |= {u for u in self.users[key] if self.elements[u].kind in ("operation", "part")}
            if element.kind in ("brick", "input", "parameter", "constant", "merge") or key not in self.lane:
                self.outgoing(key)
            if element.kind in ("next", "output") and key not in self.lane:
                self.incoming(key)
        self.lit |= fed
        for a, b in self.pieces:
            if a in fed or b in fed:
                self.wires.add((a, b))
                self.lit |= {key for key in (a, b) if self.elements[key].kind in ("state", "next")}
        for key in fed:
            for link in self.elements[key].entries:  # a squashing that only this operation needs
                helper = self.elements[link.source]
                if helper.kind == "operation" and helper.key not in self.lane and set(self.users[helper.key]) <= fed:
                    self.lit.add(helper.key)
                    self.incoming(helper.key)
                    self.wires.add((helper.key, key))
            for user in self.users[key]:
                if self.elements[user].kind in ("next", "output") and key not in self.lane:
                    self.lit.add(user)
                    self.wires.add((key, user))
        return self.lit, self.wires

    def incoming(self, key: str) -> None:
        """Light what comes in, back through merges to where it is made."""
        pending = [key]
        while pending:
            target = pending.pop()
            for link in self.elements[target].entries:
                self.wires.add((link.source, target))
                kind = "merge" if self.joins(link.source) else self.elements[link.source].kind
                if kind == "merge":
                    pending.append(link.source)
                if kind in ("merge", "input", "state"):
                    self.lit.add(link.source)

    def joins(self, key: str) -> bool:
        """Whether this joins inputs and states, and nothing else, for bricks: a merge, or the sum x + h."""
        element = self.elements[key]
        before = {self.elements[link.source].kind for link in element.entries}
        after = {self.elements[user].kind for user in self.users[key]}
        summed = element.kind == "operation" and before <= {"input", "state"} and after <= {"brick"}
        return element.kind == "merge" or summed

    def outgoing(self, key: str) -> None:
        """Light the ways out, on through merges."""
        pending = [key]
        while pending:
            source = pending.pop()
            for user in self.users[source]:
                self.wires.add((source, user))
                if self.elements[user].kind == "merge":
                    self.lit.add(user)
                    pending.append(user)
                elif self.elements[user].kind in ("next", "output"):
                    self.lit.add(user)
