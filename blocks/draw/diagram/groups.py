"""Groups: the cells inside a cell, and how each is folded into one box.

A cell that is called inside another one has a name, and its bricks, states and draws have it before theirs:
``layer1/forget``, ``layer1/C``. What stands before all names of the cell around it makes no group. Its operations
without weights have no name; they are those that lie between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...errors import BlocksError, nearest
from ...graph import Node
from ...notation import root
from ..text import clip, line
from ..typeset import name_line
from .elements import Element, Link, common_scope, size
from .signs import takes_weights


def members(elements: dict[str, Element]) -> dict[str, set[str]]:
    """Name of a group → the keys of its elements; in the order of the cell."""
    users: dict[str, list[str]] = {key: [] for key in elements}
    for e in elements.values():
        for link in e.entries:
            users[link.source].append(e.key)
    sources = {key: [link.source for link in e.entries] for key, e in elements.items()}
    inside = {e.key for e in elements.values() if e.kind in ("operation", "merge")}
    found: dict[str, set[str]] = {}
    for name, own in _named(elements).items():
        ends = {key for key in own if elements[key].kind == "next"}
        after, before = _reach(own, users, inside | own), _reach(ends, sources, inside | own)
        found[name] = own | (after & before)
        for e in elements.values():  # merges that only this group needs
            if e.kind == "merge" and users[e.key] and found[name].issuperset(users[e.key]):
                found[name].add(e.key)
    return found


def _named(elements: Mapping[str, Element]) -> dict[str, set[str]]:
    """Name of a group → the keys of its elements that have a name, which begins with the group's."""
    owned = [e for e in elements.values() if e.folded or e.kind in ("state", "next", "draw")]
    scope = common_scope(e.name for e in owned)
    if all(e.name.rpartition("/")[0] == scope[:-1] for e in owned):  # all of it is one group
        scope = common_scope([scope[:-1]])
    named: dict[str, set[str]] = {}
    for e in owned:
        first, slash, _ = e.name.removeprefix(scope).partition("/")
        if slash:
            named.setdefault(scope + first, set()).add(e.key)
    for e in owned:  # the box of a cell of operations alone, which has the name of the group
        if e.name in named:
            named[e.name].add(e.key)
    return named


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


@dataclass(frozen=True)
class Folding:
    """How groups are folded into boxes: the names of the wanted ones, all if None; `steps`: their states go into a box
    and come out of it, from step to step, else they are only named there; `counts`: how many weights it has stands in
    the box; `mark`: what stands before its name, ``∂``."""

    wanted: Sequence[str] | None = None
    steps: bool = False
    counts: bool = False
    mark: str = ""


def fold(elements: dict[str, Element], how: Folding) -> dict[str, Element]:
    """The elements with groups as one box each. Raises BlocksError for a name that no group has."""
    groups = members(elements)
    names = list(groups) if how.wanted is None else how.wanted
    if not names:
        raise BlocksError("fold: there is no named cell inside this one to draw as one box")
    for name in names:
        if name not in groups:
            known = ", ".join(groups) or "none"
            raise BlocksError(f"there is no group {name!r} to fold{nearest(str(name), groups)}; there are: {known}")
        own = members(elements)[name]
        ends = {key for key in own if elements[key].kind in ("state", "next")} if how.steps else set()
        elements = _fold_one(elements, name, own - ends, how)
    return elements


def _fold_one(elements: dict[str, Element], name: str, own: set[str], how: Folding) -> dict[str, Element]:
    key = f"group-{sum(e.key.startswith('group-') for e in elements.values()) + 1}"
    inside = [e for e in elements.values() if e.key in own]
    box = _box(key, name, inside, how)
    sources: dict[str, Link] = {}
    for link in (link for e in inside for link in e.entries if link.source not in own):
        sources.setdefault(link.source, Link(link.source, link.node))
    box.entries = list(sources.values())
    out = {e.key: e for e in elements.values() if e.key not in own} | {key: box}
    parts = _parts(box, out, elements, own, how)
    for e in out.values():
        e.entries = [
            Link(parts[root(link.node)].key, link.node, link.mark) if link.source in own else link for link in e.entries
        ]
    return out | {part.key: part for part in parts.values() if part is not box}


def _box(key: str, name: str, inside: Sequence[Element], how: Folding) -> Element:
    """The box of a group, with what it says of what is inside; nothing comes into it yet."""
    nodes = sorted({n for e in inside for n in e.nodes}, key=lambda n: n.serial)
    bricks = [e.name.removeprefix(f"{name}/") for e in inside if e.kind == "brick"]
    states = [e.name.removeprefix(f"{name}/") for e in inside if e.kind == "next"]
    kind = "brick" if takes_weights(nodes) else "operation"
    lines = [line(how.mark + clip(name.rpartition("/")[2]), 13)]
    if kind == "brick":
        lines.append(line(f"{len(bricks)} brick{'s' * (len(bricks) != 1)}", 9))
    if states:
        lines.append(line(clip(f"state{'s' * (len(states) > 1)} {', '.join(states)}"), 9))
    if how.counts:
        lines.append(line(f"{sum(size(n) for n in nodes if n.op.name == 'parameter'):,} weights", 9))
    names = {name, *(n for e in inside for n in e.names)}
    return Element(key, kind, "box", name, tuple(lines), f"{name}: {', '.join(bricks)}", nodes, names)


def _parts(
    box: Element, out: Mapping[str, Element], elements: Mapping[str, Element], own: set[str], how: Folding
) -> dict[Node, Element]:
    """Each value that a box hands on, with what it comes from: the box itself, or, where it hands on several, a part of
    what the box gives, with the name of the value."""
    taken = [(e, link) for e in out.values() for link in e.entries if link.source in own]
    names: dict[Node, str] = {}
    for e, link in sorted(taken, key=lambda t: t[0].kind != "next"):  # a state has the first say
        names.setdefault(root(link.node), e.name if e.kind == "next" else elements[link.source].name)
    if len(names) < 2:
        return dict.fromkeys(names, box)
    found = {}
    for number, (node, name) in enumerate(names.items(), 1):
        text = name_line(name.removeprefix(f"{box.name}/"), 11, how.mark)
        tip = f"{name}, a part of what {box.name} gives"
        found[node] = Element(f"{box.key}-{number}", "part", "pill", name, (text,), tip, [node], {name})
        found[node].entries = [Link(box.key, node)]
    return found
