"""The layout of any graph: what it shows in ranks from below upwards, loops as blocks that have a scene of their own.

    diagram ─▶ ranks (order) ─▶ columns (places) ─▶ channels (levels) ─▶ scene (points)

Wires run upright through the ranks and level between them, and none passes through anything. Of one step of a cell,
states come in at the left and leave at the right, what is fed comes from below.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ...graph import show_shape
from ..diagram.elements import Element, Link, Network
from ..scene import Frame, Point, Scene, Shape, Wire, corners, fit
from ..text import END_ROOM, extent
from .channels import Piece, assign, through
from .columns import WAY, columns, settle
from .marks import marked, room_beside
from .ranks import Item, Net, Place, ranked

CIRCLE, SIDE = 24.0, 12.0  # the size of a circle, and how far beside it a wire comes up that enters it there
LEVEL, LABEL, MARGIN, PADDED = 10.0, 22.0, 12.0, 22.0  # level to level; at a state's name; channel to rank; to a frame
ENTRY, EDGE = 11.0, 9.0  # between two wires into one shape, at least, and from its corner
LEFT = -1e6  # where comes from what stands beside all ranks
ASIDE, FORK = 18.0, 6.0  # from a frame to the names of its states, and to where the way to several parts


@dataclass
class Block:
    """What a box becomes: a scene, and where on its lower and upper border each pin of the box is."""

    scene: Scene
    ins: dict[str, float] = field(default_factory=dict)
    outs: dict[str, float] = field(default_factory=dict)


def laid_out(
    network: Network,
    blocks: Mapping[str, Block],
    title: str = "",
    room: float = 0.0,
    beside: Mapping[str, tuple[float, float]] | None = None,
) -> Scene:
    """The scene of a diagram, pins still in it. room: points more between two ranks, for labels. beside: by element,
    how much room it needs at its sides, and how high that is."""
    return _Layout(network, blocks, title, room, beside or {}).scene()


class _Layout:
    def __init__(
        self,
        network: Network,
        blocks: Mapping[str, Block],
        title: str,
        room: float,
        beside: Mapping[str, tuple[float, float]],
    ):
        self.network, self.blocks, self.title, self.room, self.aside = network, blocks, title, room, beside
        self.shapes = {key: shape_of(e) for key, e in network.elements.items() if not e.frame}
        self.links = [(e, link) for e in network.elements.values() for link in e.entries]
        self.items = self.made()
        nets: dict[str, Net] = {}
        for element, link in self.links:
            net = nets.setdefault(link.source, Net(link.source, network.home(link.source)))
            net.targets.append((network.home(element.key), element.key))
        self.net, self.nets = nets, list(nets.values())
        self.ranks = ranked(self.items, self.nets, network.stepped)
        self.round()
        self.free = [e for e in network.elements.values() if e.entries and not e.frame and not self.items[e.key].ins]
        for _ in range(2):  # where wires enter depends on where they come from, and the other way round
            self.x = columns(self.ranks)
            self.below()
        self.beside()
        self.channels = [self.channel(number) for number in range(len(self.ranks.rows) - 1)]

    def made(self) -> dict[str, Item]:
        """An item for each element and each block, in the order of the diagram."""
        items: dict[str, Item] = {}
        for element in self.network.elements.values():
            key = element.frame or element.key
            if key not in items:
                items[key] = self.item(element) if not element.frame else self.block(key)
        return items

    def block(self, key: str) -> Item:
        block = self.blocks[key]
        half = block.scene.width / 2
        ins, outs = ({k: x - half for k, x in ports.items()} for ports in (block.ins, block.outs))
        return Item(key, block.scene.width, block.scene.height, ins, outs, large=True, leaf=not ins)

    def item(self, element: Element) -> Item:
        shape = self.shapes[element.key]
        leaf = not element.entries
        align = "top" if leaf else "bottom" if element.kind == "output" else "middle"
        if self.network.stepped:
            align = {"state": "left", "next": "right", "output": "bottom", "input": "top"}.get(element.kind, "middle")
        aside, high = self.aside.get(element.key, (0.0, 0.0))
        wide = 2 * SIDE * (shape.form == "circle" and len(element.entries) > 1) + 2 * aside
        return Item(element.key, shape.w + wide, max(shape.h, high), {}, {element.key: 0.0}, align, leaf=leaf)

    # --- where wires enter ---------------------------------------------------------------------

    def low(self, target: Element, link: Link) -> Place:
        """Where the way to a target goes through the channel below it."""
        rank = self.items[self.network.home(target.key)].rank
        net = self.net[link.source]
        place = self.ranks.low(net, rank - 1)
        assert place is not None
        return place

    def round(self) -> None:
        """Which wire enters a circle from below, and which at its sides: from below what is no leaf, the first."""
        at = {place: i for row in self.ranks.rows for i, place in enumerate(row)}
        for element in self.network.elements.values():
            if element.frame or self.shapes[element.key].form != "circle" or len(element.entries) < 2:
                continue
            links = sorted(element.entries, key=lambda link: at.get(self.low(element, link), -1))
            middle = (
                links[1] if len(links) == 3 else min(links, key=lambda k: self.items[self.network.home(k.source)].leaf)
            )
            left = links[: links.index(middle)]
            reach = self.shapes[element.key].w / 2 + SIDE
            sides = {link.source: -reach if link in left else reach for link in links}
            self.items[element.key].ins = {**sides, middle.source: 0.0}
        for net in self.nets:  # the ports of circles are called by what comes in there
            net.targets = [(item, net.out if net.out in self.items[item].ins else port) for item, port in net.targets]

    def below(self) -> None:
        """Where wires enter all else: from below, each as far under its source as there is room."""
        for element in self.free:
            item = self.items[element.key]
            if item.align == "right":
                continue
            wishes = {link.source: self.out(self.low(element, link), link.source) for link in element.entries}
            order = sorted(wishes, key=lambda k: wishes[k])
            here, reach = self.x[Place(element.key)], self.shapes[element.key].w / 2 - EDGE
            inside = [[(min(max(wishes[k] - here, -reach), reach), 1.0)] for k in order]
            apart = entry_of(element)
            places = settle(inside, [apart] * (len(order) - 1))
            last = reach - apart * (len(order) - 1)
            item.ins = {
                k: min(max(place - apart * i, -reach), last) + apart * i
                for i, (k, place) in enumerate(zip(order, places, strict=True))
            }
        for net in self.nets:
            net.targets = [(item, net.out if net.out in self.items[item].ins else port) for item, port in net.targets]

    def beside(self) -> None:
        """A wire into the side of a circle comes up right above its source, where nothing stands between."""
        for row in self.ranks.rows:
            for number, place in enumerate(row):
                item = self.ranks.item(place)
                element = self.network.elements.get(item.key) if item else None
                if item is None or element is None or self.shapes[element.key].form != "circle":
                    continue
                for link in element.entries:
                    low, offset = self.low(element, link), item.ins.get(link.source, 0.0)
                    if low not in self.x:
                        continue
                    wish = self.out(low, link.source) - self.x[place]
                    if offset and offset * wish > 0 and abs(wish) > abs(offset):
                        other = number + (1 if wish > 0 else -1)
                        if (
                            not 0 <= other < len(row)
                            or abs(wish) < abs(self.edge(row[other], wish) - self.x[place]) - WAY
                        ):
                            item.ins[link.source] = wish

    def edge(self, place: Place, side: float) -> float:
        """The border of a neighbour on the side that is nearer; `side`: where it stands."""
        item = self.ranks.item(place)
        return self.x[place] - (item.w / 2 if item else 0.0) * (1 if side > 0 else -1)

    def out(self, place: Place, port: str) -> float:
        """Where a net comes into a channel from below."""
        item = self.ranks.item(place)
        return self.x.get(place, LEFT) + (item.outs.get(port, 0.0) if item else 0.0)

    def into(self, place: Place, port: str) -> float:
        """Where a net leaves a channel upwards."""
        item = self.ranks.item(place)
        return self.x[place] + (item.ins.get(port, 0.0) if item else 0.0)

    # --- channels ------------------------------------------------------------------------------

    def channel(self, number: int) -> dict[str, Piece]:
        """The ways through a channel by net, with their levels."""
        pieces: dict[str, Piece] = {}
        for net in self.nets:
            place = self.ranks.low(net, number)
            if place is None:
                continue
            side = "left" if place == Place(net.source) and self.items[net.source].align == "left" else ""
            highs, sides = [], 1
            for high, port in self.ranks.highs(net, number):
                if (item := self.ranks.item(high)) and item.align == "right":
                    side, sides = "right", sides + (side == "right")
                else:
                    highs.append(self.into(high, port))
            low = None if side == "left" else self.out(place, net.out)
            pieces[net.out] = Piece(net.out, low, sorted(set(highs)), side, room=LABEL * sides if side else 0.0)
        assign(list(pieces.values()))
        return pieces

    def heights(self) -> tuple[list[float], list[dict[int, float]]]:
        """The lower border of each rank, and the height of each level of each channel."""
        bottoms, levels, y = [0.0], list[dict[int, float]](), 0.0
        tall = [0.0] * len(self.ranks.rows)
        for item in self.items.values():
            if item.align not in ("left", "right"):
                tall[item.rank] = max(tall[item.rank], item.h)
        for number, pieces in enumerate(self.channels):
            framed = self.network.stepped and number in (0, len(self.channels) - 1)
            every = [part for p in pieces.values() for part in _parts(p) if part.level >= 0]
            margin = (MARGIN if every else MARGIN - LEVEL / 2) + self.room / 2
            y += tall[number] + (PADDED if framed and number == 0 else margin)
            rooms: dict[int, float] = {}
            for p in every:
                rooms[p.level] = max(rooms.get(p.level, LEVEL), p.room)
            found = {}
            for level in sorted(rooms):
                y += (rooms[level] + rooms.get(level - 1, rooms[level])) / 2 if level else 0.0
                found[level] = y
            levels.append(found)
            y += PADDED if framed and number else margin
            bottoms.append(y)
        return bottoms, levels

    # --- the scene -----------------------------------------------------------------------------

    def scene(self) -> Scene:
        self.bottoms, self.levels = self.heights()
        tops = [max((item.h for p in row if (item := self.ranks.item(p))), default=0.0) for row in self.ranks.rows]
        self.y: dict[str, float] = {}  # the middle of each item
        for item in self.items.values():
            room = tops[item.rank] - item.h if item.align not in ("left", "right") else 0.0
            share = {"top": 1.0, "bottom": 0.0}.get(item.align, 0.5)
            self.y[item.key] = self.bottoms[item.rank] + room * share + item.h / 2
        drawn: dict[str, Shape] = {}
        parts: list[Scene] = []
        for key, item in self.items.items():
            if item.align in ("left", "right"):
                continue
            x = self.x[Place(key)]
            if key in self.blocks:
                block = self.blocks[key].scene
                parts.append(block.moved(x - block.width / 2, self.y[key] - block.height / 2, f"{key}-"))
            else:
                drawn[key] = replace(self.shapes[key], x=x, y=self.y[key])
        frames = self.sided(drawn, tops)
        pins = {s.key: s for part in parts for s in part.shapes if s.kind == "pin"}
        wires = [self.wire(element, link, drawn, pins) for element, link in self.links]
        scene = Scene(
            0, 0,
            (*drawn.values(), *(s for part in parts for s in part.shapes)),
            (*wires, *(w for part in parts for w in part.wires)),
            (*frames, *(f for part in parts for f in part.frames)),
            title=self.title,
        )  # fmt: skip
        marks = {w.key: link.mark for w, (_, link) in zip(wires, self.links, strict=True) if link.mark}
        return fit(marked(scene, marks))

    def sided(self, drawn: dict[str, Shape], tops: list[float]) -> list[Frame]:
        """Of one step of a cell, its frame; and the names of its states, beside it."""
        if not self.network.stepped:
            return []
        reach = [(x, item.w / 2 if (item := self.ranks.item(p)) else 0.0) for p, x in self.x.items()]
        reach += [(x, 0.0) for pieces in self.channels for p in pieces.values() for q in _parts(p)
                  for x in (*q.highs, *([] if q.low is None else [q.low]))]  # fmt: skip
        x0, x1 = min(x - w for x, w in reach) - MARGIN, max(x + w for x, w in reach) + MARGIN
        y0, y1 = self.bottoms[0] + tops[0] + MARGIN, self.bottoms[-1] - MARGIN
        for key, shape in self.shapes.items():
            item = self.items[key]
            if item.align in ("left", "right"):
                left = item.align == "left"
                number = 0 if left else len(self.channels) - 1
                net = key if left else self.network.elements[key].entries[0].source
                y = self.levels[number][self.channels[number][net].level]
                beside = [t for t in self.net[net].targets if self.items[t[0]].align == "right"]
                if not left:  # the names of several values that come from one place, below each other
                    y += LABEL * ((len(beside) - 1) / 2 - [t for t, _ in beside].index(key))
                reach_x = x0 - ASIDE - shape.w / 2 if left else x1 + ASIDE + shape.w / 2
                drawn[key] = replace(shape, x=reach_x, y=y)
        self.side = x1
        return [Frame("cell", "cell", x0, y0, x1 - x0, y1 - y0, tooltip=self.title)]

    def wire(self, element: Element, link: Link, drawn: Mapping[str, Shape], pins: Mapping[str, Shape]) -> Wire:
        net = self.net[link.source]
        home = self.network.home(element.key)
        kind = "wrong" if element.kind == "wrong" else "gradient" if link.node.role == "gradient" else "wire"
        source = drawn.get(link.source) or pins[f"{net.source}-pin-{link.source}"]
        target = drawn.get(element.key) or pins[f"{home}-pin-{element.key}"]
        port = link.source if link.source in self.items[home].ins else element.key
        points = self.way(net, home, port, source, target)
        return Wire(
            f"{source.key}-{target.key}", kind, source.key, target.key, source.key, points,
            tooltip=link.node.describe(), shape=show_shape(link.node.shape),
            called=self.network.elements[link.source].called,
        )  # fmt: skip

    def way(self, net: Net, home: str, port: str, source: Shape, target: Shape) -> tuple[Point, ...]:
        """The points of a wire."""
        first, last = self.ranks.items[net.source].rank, self.items[home].rank
        entries = (
            [link.source for link in self.network.elements[target.key].entries] if target.key in self.shapes else []
        )
        aside = 10.0 / len(entries) * entries.index(net.out) - 5.0 * (1 - 1 / len(entries)) if entries else 0.0
        points: list[Point] = []
        for number in range(first, last):
            piece, levels = self.channels[number][net.out], self.levels[number]
            end = number + 1 == last
            if piece.side == "right" and end and self.items[home].align == "right":
                assert piece.low is not None
                level, bar = levels[piece.level], self.side + FORK + aside
                points += [(piece.low, level), (bar, level), (bar, target.y + aside)]
                break
            at = self.into(Place(home), port) if end else self.x[Place(net.out, number + 1)]
            points += through(piece, at, levels)
        item = self.items[net.source]
        points.insert(
            0, (source.right, source.y) if item.align == "left" else (self.out(Place(net.source), net.out), source.top)
        )
        if self.items[home].align == "right":
            points.append((target.left, target.y + aside))
        elif target.form == "circle" and abs(points[-1][0] - target.x) > target.w / 2:
            side = target.left if points[-1][0] < target.x else target.right
            points += [(points[-1][0], target.y), (side, target.y)]
        else:
            points.append((points[-1][0], target.bottom))
        return corners(points)


def _parts(piece: Piece) -> list[Piece]:
    """A piece and all that it goes on with."""
    return [piece, *(q for part in piece.parts for q in _parts(part))]


def entry_of(element: Element) -> float:
    """How far apart the wires into a shape are: the widest of their marks has room between two."""
    return max([ENTRY, *(room_beside(link.mark) for link in element.entries if link.mark)])


def shape_of(element: Element) -> Shape:
    """The shape of an element, not yet in its place."""
    w, h = extent(element.lines)
    wide = max(len(element.entries) - 1, 0) * entry_of(element) + 2 * EDGE
    form = element.form if element.form != "circle" or len(element.entries) <= 3 else "pill"
    size = {
        "circle": (CIRCLE, CIRCLE),
        "text": (max(w + END_ROOM, wide), h + 2),
        "pill": (max(w + 16, wide), 22.0),
    }.get(form, (max(w + 16, wide), h + 10) if element.kind == "wrong" else (max(w + 16, 46.0, wide), max(h + 8, 30.0)))
    nodes = (element.name,) if element.nodes else ()
    return Shape(
        element.key,
        element.kind,
        form,
        element.name,
        0,
        0,
        *size,
        element.lines,
        element.tooltip,
        nodes,
        shared=element.shared,
    )
