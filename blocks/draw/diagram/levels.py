"""Layers: which cells inside a cell stand above which, and what goes from one level to the next.

    level 2    h₂ ──[ layer 2 ]── h₂
                        ▲
    level 1    h₁ ──[ layer 1 ]── h₁
                        ▲
                        x

A cell inside the cell stands one level above all that it takes something of; what belongs to none of them, as high as
what it takes. What is fed comes in at the lowest level, what is given leaves at the highest, and passes those between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

from .elements import Element
from .groups import members

UP, DOWN = "up", "down"  # before the number of what stands for a value where it leaves a level, and where it comes in


@dataclass
class Level:
    """A part of a cell: its elements, and, by the key of what it comes from, each value that comes in from below and
    that leaves upwards, with a key for what stands for it there."""

    elements: dict[str, Element] = field(default_factory=dict)
    ins: dict[str, str] = field(default_factory=dict)
    outs: dict[str, str] = field(default_factory=dict)


def levels_of(elements: Mapping[str, Element]) -> list[Level]:
    """The levels of a cell, from below upwards; none, where it has no layers, or values go downwards, as a state does
    that one layer has and a higher one changes."""
    at = _numbers(elements)
    levels = [Level() for _ in range(max(at.values(), default=-1) + 1)]
    for key in at:
        levels[at[key]].elements[key] = elements[key]
    for key in at:
        for link in elements[key].entries:
            _pass_on(link.source, levels, at[link.source], at[key])
    return levels


def _numbers(elements: Mapping[str, Element]) -> dict[str, int]:
    """The level of each element, from 0; nothing, where all are on one, or values go downwards."""
    groups = members(dict(elements))
    home = {key: name for name, own in groups.items() for key in own}
    heights = _heights(elements, home) if len(groups) > 1 else {}
    top = max(heights.values(), default=0)
    if top == 0:
        return {}
    ends = {"input": 0, "output": top}
    at = {key: ends.get(e.kind, heights[home.get(key, key)]) for key, e in elements.items()}
    states = {e.name: at[key] for key, e in elements.items() if e.kind == "state"}
    changed = any(e.kind == "next" and states.get(e.name, at[key]) != at[key] for key, e in elements.items())
    downwards = any(at[link.source] > at[key] for key, e in elements.items() for link in e.entries)
    return {} if changed or downwards else at


def _pass_on(source: str, levels: Sequence[Level], start: int, end: int) -> None:
    """A value leaves each level from one to another upwards, and comes into the next one."""
    for below, above in zip(levels[start:end], levels[start + 1 : end + 1], strict=True):
        if source not in below.outs:
            number = sum(len(level.outs) for level in levels) + 1
            below.outs[source], above.ins[source] = f"{UP}{number}", f"{DOWN}{number}"


def _heights(elements: Mapping[str, Element], home: Mapping[str, str]) -> dict[str, int]:
    """The level of each cell inside a cell, and of what belongs to none; nothing where they go round in a circle."""
    sources: dict[str, dict[str, None]] = {}
    for key, element in elements.items():
        name = home.get(key, key)
        taken = (home.get(link.source, link.source) for link in element.entries)
        sources.setdefault(name, {}).update(dict.fromkeys(source for source in taken if source != name))
    try:
        order = list(TopologicalSorter(sources).static_order())
    except CycleError:
        return {}
    groups = {*home.values()}
    reach: dict[str, int] = {}  # how many cells stand above each other up to here
    for own in order:
        reach[own] = max((reach[source] for source in sources[own]), default=0) + (own in groups)
    level = {own: max(number - 1, 0) for own, number in reach.items()}
    for own in reversed(order):  # what is made of nothing stands where it is needed
        users = [level[user] for user, needed in sources.items() if own in needed]
        level[own] = min(users) if users and not sources[own] and own not in groups else level[own]
    return level


def alone(elements: Mapping[str, Element]) -> set[str]:
    """The elements of cells that have a level to themselves, but for what is fed and given: there they need not be
    called by the name of their cell."""
    groups = members(dict(elements))
    found: set[str] = set()
    for level in levels_of(elements):
        inside = {key for key, e in level.elements.items() if e.kind not in ("input", "output")}
        found |= {key for own in groups.values() if inside == own for key in own}
    return found
