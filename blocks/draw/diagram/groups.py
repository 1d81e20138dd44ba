"""Groups: the cells inside a cell, and how each is folded into one box.

A cell that is called inside another one has a name, and its bricks, states and draws have it before theirs:
``layer1/forget``, ``layer1/C``. What stands before all names of the cell around it makes no group. Its operations
without weights have no name; they are those that lie between.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ...errors import BlocksError, nearest
from ..text import clip, line
from .elements import Element, Link, common_scope


def members(elements: dict[str, Element]) -> dict[str, set[str]]:
    """Name of a group → the keys of its elements; in the order of the cell."""
    users: dict[str, list[str]] = {key: [] for key in elements}
    for e in elements.values():
        for link in e.entries:
            users[link.source].append(e.key)
    named: dict[str, set[str]] = {}
    owned = [e for e in elements.values() if e.kind in ("brick", "state", "next", "draw")]
    scope = common_scope(e.name for e in owned)
    if all(e.name.rpartition("/")[0] == scope[:-1] for e in owned):  # all of it is one group
        scope = common_scope([scope[:-1]])
    for e in owned:
        first, slash, _ = e.name.removeprefix(scope).partition("/")
        if slash:
            named.setdefault(scope + first, set()).add(e.key)
    found: dict[str, set[str]] = {}
    for name, own in named.items():
        ends = {key for key in own if elements[key].kind == "next"}
        sources = {key: [link.source for link in e.entries] for key, e in elements.items()}
        between = {e.key for e in elements.values() if e.kind in ("operation", "merge")} | own
        after, before = _reach(own, users, between), _reach(ends, sources, between)
        found[name] = own | (after & before)
        for e in elements.values():  # merges that only this group needs
            if e.kind == "merge" and users[e.key] and all(user in found[name] for user in users[e.key]):
                found[name].add(e.key)
    return found


def _reach(start: set[str], ways: dict[str, list[str]], between: set[str]) -> set[str]:
    """What can be reached over such elements alone."""
    found: set[str] = set()
    pending = sorted(start)
    while pending:
        for key in ways[pending.pop()]:
            if key not in found and key in between:
                found.add(key)
                pending.append(key)
    return found


def fold(elements: dict[str, Element], wanted: Iterable[str] | None = None) -> dict[str, Element]:
    """The elements with the wanted groups as one box each (all groups, if None). Raises BlocksError for a
    name that no group has."""
    groups = members(elements)
    names = list(groups) if wanted is None else list(wanted)
    if not names:
        raise BlocksError("fold: there is no named cell inside this one to draw as one box")
    for name in names:
        if name not in groups:
            known = ", ".join(groups) or "none"
            raise BlocksError(f"there is no group {name!r} to fold{nearest(str(name), groups)}; there are: {known}")
        elements = _fold_one(elements, name, members(elements)[name])
    return elements


def _fold_one(elements: dict[str, Element], name: str, own: set[str]) -> dict[str, Element]:
    inside = [e for e in elements.values() if e.key in own]
    key = f"group-{sum(e.key.startswith('group-') for e in elements.values()) + 1}"
    states = [e.name.removeprefix(f"{name}/") for e in inside if e.kind == "next"]
    bricks = sum(e.kind == "brick" for e in inside)
    lines = [line(clip(name.rpartition("/")[2]), 13), line(f"{bricks} brick{'s' * (bricks != 1)}", 8)]
    if states:
        lines.append(line(clip(f"state{'s' * (len(states) > 1)} {', '.join(states)}"), 8))
    nodes = sorted({n for e in inside for n in e.nodes}, key=lambda n: n.serial)
    tip = f"{name}: {', '.join(e.name.removeprefix(f'{name}/') for e in inside if e.kind == 'brick')}"
    box = Element(key, "brick", "box", name, tuple(lines), tip, nodes, {name} | {n for e in inside for n in e.names})
    sources: dict[str, Link] = {}
    for e in inside:
        for link in e.entries:
            if link.source not in own:
                sources.setdefault(link.source, Link(link.source, link.node))
    box.entries = list(sources.values())
    out: dict[str, Element] = {}
    for e in elements.values():
        if e.key not in own:
            e.entries = [replace(link, source=key) if link.source in own else link for link in e.entries]
            out[e.key] = e
    out[key] = box
    return out
