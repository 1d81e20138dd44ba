"""Shapes as blocks, whose sides are as long as the sizes: a bar for a value, its features long; a rectangle for each of
the weights of a brick, with as many rows as it takes features and as many columns as it gives, below each other.

              ┌───────┐
      ▬▬ ───▶ │ brick │ ───▶ ▬▬▬▬
              └──┬──┬─┘
                 │ ┌┴─┐
                 │ │  │  W: 2 × 4
                 │ └──┘

Time and the batch have no size that a graph knows, and no side here. What a length means stands above the figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ...graph import Graph, subgraphs
from ...notation import root
from ..diagram.elements import Element
from ..layout.lines import Hung, Room
from ..scene import MARGIN, Scene, Shape, Wire, fit
from ..text import extent, line
from .labels import places

LONGEST, SHORTEST, APART = 20.0, 2.5, 1.5  # of a side; between two blocks that belong together
HANG, ASIDE, CLEAR = 9.0, 8.0, 4.0  # from a brick to its weights, from its wire to them, and to what is next
NAMED = 8  # sizes that are named, the largest of more
OFF = 4.0  # around a bar, which does not touch its wire
SIZE = "size-"  # before the keys of blocks
Block = tuple[int, int]  # rows, columns


@dataclass(frozen=True)
class Measure:
    """How long a side is: that of the largest size as long as can be, the others beside it."""

    largest: int

    def side(self, size: int) -> float:
        """The length of a size, in quarters of a point."""
        return max(SHORTEST, round(4 * LONGEST * size / self.largest) / 4)

    def pile(self, blocks: Iterable[Block]) -> tuple[float, float]:
        """The width and the height of some blocks below each other."""
        sides = [(self.side(columns), self.side(rows)) for rows, columns in blocks]
        return max(w for w, _ in sides), sum(h + APART for _, h in sides) - APART

    def row(self, blocks: Iterable[Block]) -> tuple[float, float]:
        """The same side by side."""
        sides = [(self.side(columns), self.side(rows)) for rows, columns in blocks]
        return sum(w + APART for w, _ in sides) - APART, max(h for _, h in sides)


def measure_of(graph: Graph) -> Measure:
    """The measure of the figure of a graph: of all its values and weights, those in loops too."""
    sizes, graphs = [1], [graph]
    while graphs:
        for node in graphs.pop().order():
            sizes += [d for d in node.shape if not isinstance(d, str)]
            graphs += subgraphs(node).values()
    return Measure(max(sizes))


def block_of(shape: Iterable[object]) -> Block:
    """The block of a shape: of its sizes that are known the last two; a row where there is one."""
    known = [int(str(d)) for d in shape if str(d).isdecimal()]
    return (known[-2], known[-1]) if len(known) > 1 else (1, known[-1] if known else 1)


def weights_in(element: Element) -> dict[str, Block]:
    """The weights of a brick by name, each with its block."""
    nodes = [n for node in element.nodes for n in (node, *map(root, node.operands)) if element.kind == "brick"]
    own = sorted({n for n in nodes if n.role == "parameter"}, key=lambda node: node.serial)
    return {str(n.name): block_of(n.shape) for n in own}


def rooms_with(elements: Mapping[str, Element], rooms: Mapping[str, Room], measure: Measure) -> dict[str, Room]:
    """The room of each element with that of its weights below it."""
    found = dict(rooms)
    for key, element in elements.items():
        if own := weights_in(element):
            w, h = measure.pile(own.values())
            room = rooms[key]
            top = room.below + HANG
            found[key] = room._replace(hung=Hung(ASIDE + w + CLEAR, top, top + h + CLEAR))
    return found


def beside_with(elements: Mapping[str, Element], measure: Measure) -> dict[str, tuple[float, float]]:
    """How far the weights of each brick reach at its side, and how high they are."""
    piles = {key: measure.pile(own.values()) for key, element in elements.items() if (own := weights_in(element))}
    return {key: (HANG + w, h) for key, (w, h) in piles.items()}


def with_weights(scene: Scene, elements: Mapping[str, Element], measure: Measure, beside: bool = False) -> Scene:
    """The scene with the weights of each brick below it, or beside it, at its right."""
    shapes, wires = list(scene.shapes), list(scene.wires)
    for owner in scene.shapes:
        own = weights_in(elements[owner.key]) if owner.key in elements else {}
        if not own:
            continue
        width, height = measure.pile(own.values())
        left, top = (owner.right + HANG, owner.y + height / 2) if beside else (owner.x + ASIDE, owner.bottom - HANG)
        pile: list[Shape] = []
        for number, (name, block) in enumerate(own.items(), 1):
            h, key = measure.side(block[0]), f"{SIZE}{owner.key}-{number}"
            said = f"{name}: {block[0]} × {block[1]}"
            pile.append(_drawn(key, "parameter", left, top - h / 2, block, measure, said, owner.lit))
            top -= h + APART
        if beside:  # from the one that is level with the middle of the brick
            start = min(pile, key=lambda s: abs(s.y - owner.y))
            level = min(max(owner.y, start.bottom), start.top)
            way = ((left, level), (owner.right, level))
        else:
            start, down = pile[0], min(left + width / 2, owner.right - 2 * CLEAR)
            way = ((down, start.top), (down, owner.bottom))
        tip, key = f"weights of {owner.name}", f"{start.key}-{owner.key}"
        wires.append(Wire(key, "wire", start.key, owner.key, start.key, way, tooltip=tip, lit=owner.lit))
        shapes += pile
    return replace(scene, shapes=tuple(shapes), wires=tuple(wires))


def with_bars(scene: Scene, measure: Measure) -> Scene:
    """The scene with a bar for each value, at its wire, and side by side for those on a bus. One that finds no place is
    left to its tooltip."""
    into = {s.key: [w for w in scene.wires if w.target == s.key] for s in scene.shapes if s.kind == "merge"}

    def blocks(wire: Wire) -> list[Block]:
        if wire.source in into:
            return [block for own in into[wire.source] for block in blocks(own)]
        return [block_of(wire.shape.strip("()").replace(",", " ").split())] if wire.shape else []

    def room(wire: Wire) -> tuple[float, float] | None:
        own = blocks(wire)
        return (measure.row(own)[0] + OFF, measure.row(own)[1] + OFF) if own else None

    where, _ = places(scene, room)
    shapes = list(scene.shapes)
    for wire in scene.wires:
        if wire.key in where:
            x, y = where[wire.key]
            x -= measure.row(blocks(wire))[0] / 2
            for number, block in enumerate(blocks(wire), 1):
                said = f"{wire.tooltip.partition(':')[0]}: {wire.shape}"
                shapes.append(_drawn(f"{SIZE}{wire.key}-{number}", "part", x, y, block, measure, said, wire.lit))
                x += measure.side(block[1]) + APART
    return replace(scene, shapes=tuple(shapes))


def with_sizes(scene: Scene, measure: Measure) -> Scene:
    """The scene with a line above it that says which length is which size."""
    named = [s.name.split(" × ") for s in scene.shapes if SIZE in s.key]
    shapes: list[Shape] = []
    x, y = MARGIN, scene.height + 10.0
    for size in sorted({int(side) for sides in named for side in sides})[-NAMED:]:
        key, words = f"{SIZE}{size}", line(str(size), 9)
        shapes.append(_drawn(key, "part", x, y, (1, size), measure, f"a size of {size}", True))
        x, wide = x + measure.side(size) + 4, extent((words,))[0]
        shapes.append(Shape(f"{key}-said", "caption", "text", str(size), x + wide / 2, y, wide, 12.0, (words,)))
        x += wide + 16
    return fit(replace(scene, shapes=(*scene.shapes, *shapes)))


def _drawn(key: str, kind: str, left: float, y: float, block: Block, measure: Measure, tip: str, lit: bool) -> Shape:
    """A rectangle for a block, from its left side on, y its middle."""
    w, h = measure.side(block[1]), measure.side(block[0])
    name = f"{block[0]} × {block[1]}"
    return Shape(key, kind, "cell", name, left + w / 2, y, w, h, tooltip=tip, lit=lit, sample=True)
