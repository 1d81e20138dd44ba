"""Wires that go to several places together are merged once, into a bus; then elements are put in order."""

from __future__ import annotations

from collections.abc import Callable

from ...errors import BlocksError
from .elements import Element, Link

MOST_ENTRIES = 3  # a shape has four sides, and one of them is its exit
Bar = Callable[[list[Link]], Element]  # makes a merge of some wires


def merge(elements: dict[str, Element], bar: Bar) -> None:
    """Put a merge before each set of wires that go to bricks together, the most useful set first."""
    for element in elements.values():
        if element.folded:
            element.entries = list({link.source: link for link in reversed(element.entries)}.values())[::-1]
    while loose := _loose(elements):
        sets = sorted({a & b for a in loose.values() for b in loose.values() if len(a & b) > 1}, key=sorted)
        if not sets:
            break
        gain = {s: (len(s) - 1) * sum(s <= wires for wires in loose.values()) for s in sets}
        best = max(sets, key=lambda s: (gain[s], -len(s)))
        _merge_one(best, [elements[key] for key, wires in loose.items() if best <= wires], bar)
    _shorten(elements, bar)


def _loose(elements: dict[str, Element]) -> dict[str, frozenset[str]]:
    """The sources of what takes several wires one by one, and should not."""
    found: dict[str, frozenset[str]] = {}
    for e in elements.values():
        sources = frozenset(link.source for link in e.entries)
        many = len(e.entries) > MOST_ENTRIES and not any(link.mark for link in e.entries)  # marks stay with one user
        if len(sources) > 1 and e.kind != "merge" and (e.kind == "brick" or many):
            found[e.key] = sources
    return found


def _merge_one(sources: frozenset[str], users: list[Element], bar: Bar) -> None:
    first: dict[str, Link] = {}
    for link in users[0].entries:
        if link.source in sources:
            first.setdefault(link.source, link)
    merged = bar(list(first.values()))
    for element in users:
        rest = [link for link in element.entries if link.source not in sources]
        element.entries = [Link(merged.key, merged.nodes[0]), *rest]


def _shorten(elements: dict[str, Element], bar: Bar) -> None:
    """Give nothing more entries than it has sides; a merge, too, has few."""
    for element in list(elements.values()):
        while element.kind == "merge" and len(element.entries) > MOST_ENTRIES:
            merged = bar(element.entries[:MOST_ENTRIES])
            element.entries = [Link(merged.key, element.entries[0].node), *element.entries[MOST_ENTRIES:]]
    for element in list(elements.values()):
        if element.kind != "merge" and len(element.entries) > MOST_ENTRIES:
            merged = bar(element.entries[1:])
            element.entries = [element.entries[0], Link(merged.key, element.entries[1].node)]


def ordered(elements: dict[str, Element]) -> dict[str, Element]:
    """Sources before targets; else in the order in which they were made. Raises BlocksError where that cannot
    be."""
    waiting = {key: {link.source for link in e.entries} for key, e in elements.items()}
    users: dict[str, list[str]] = {key: [] for key in elements}
    for key, sources in waiting.items():
        for source in sources:
            users[source].append(key)
    rank = {key: i for i, key in enumerate(elements)}
    ready = sorted((k for k, sources in waiting.items() if not sources), key=rank.__getitem__)
    out: dict[str, Element] = {}
    while ready:
        key = ready.pop(0)
        out[key] = elements[key]
        for user in users[key]:
            waiting[user].discard(key)
            if not waiting[user]:
                ready.append(user)
        ready.sort(key=rank.__getitem__)
    if len(out) < len(elements):
        raise BlocksError("a group takes a value that is made from its own; it cannot be folded into one box")
    return out
