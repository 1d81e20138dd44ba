"""Which bricks may stand above others: those that take what others give.

┌───┐
│ b │          b takes what comes out of a alone; in the row of the bricks its wire
└─▲─┘          would go up, over b, and come down again
┌─┴─┐
│ a │
└─▲─┘
"""

from __future__ import annotations

from ..diagram.elements import Diagram


def rising(diagram: Diagram) -> set[str]:
    """The bricks that may stand above others: all that they take is made of what comes out of bricks, and some of it is
    on no lane, from which it would have to come down."""
    on_lanes = {key for way in diagram.conveyors.values() for key in way}
    made: set[str] = set()  # what comes out of bricks, or is computed of that
    found: set[str] = set()
    for key, element in diagram.elements.items():
        sources = {link.source for link in element.entries}
        if element.kind == "brick":
            made.add(key)
            if sources and sources <= made and not sources <= on_lanes:
                found.add(key)
        elif sources and (sources <= made if element.kind == "merge" else sources & made):
            made.add(key)
    return found
